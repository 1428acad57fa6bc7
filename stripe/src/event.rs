//! The event's envelope, and the table of event types that are used.

use std::fmt;

use domain::email::EmailHashes;
use domain::fact::StripeFact;
use domain::time::Instant;
use serde_json::Value;

use crate::shape::{Shape, Unreadable, is_id};
use crate::{charge, discount, dispute, invoice, invoice_payment, json, refund, session, subscription};

/// Reduces an e-mail address to hashes, or to nothing if it is none. The caller has the key.
pub type EmailHasher<'a> = &'a dyn Fn(&str) -> Option<EmailHashes>;

/// The types of event that are used: what a merchant's endpoint should listen to.
pub const TYPES: [&str; 14] = [
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "invoice.paid",
    "invoice_payment.paid",
    "charge.refunded",
    "charge.updated",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.closed",
    "customer.subscription.deleted",
    "customer.discount.created",
];

/// One of Stripe's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `evt_…`.
    pub id: String,
    /// `type`, such as `invoice.paid`.
    pub kind: String,
    /// When Stripe made it.
    pub created: Instant,
    /// Whether it is of live mode. An event that does not say so is not.
    pub livemode: bool,
    /// The version that its shape follows, for the log only.
    pub api_version: Option<String>,
    /// What it says.
    pub reading: Reading,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// At least one fact.
    Facts(Vec<StripeFact>),
    /// Nothing that matters here.
    Ignored(IgnoredReason),
    /// It is of a type that matters, and lacks what we cannot do without.
    Unreadable(Unreadable),
}

/// Why an event does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoredReason {
    /// Its type is not in the table.
    UnusedType,
    /// The session only saved a card.
    SetupSession,
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnusedType => "events of this type are not used",
            Self::SetupSession => "the session only saved a payment method",
        })
    }
}

/// The body is none of Stripe's snapshot events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnEvent {
    /// It is not JSON.
    NotJson,
    /// It is JSON, and its `object` is not `event`.
    AnotherObject,
    /// It is a thin event (`v2.core.event`), which names an object without showing it.
    Thin,
    /// A field is not there or not of its kind: `id` (at most 255 bytes), `type`, `created` or `data.object`.
    Lacks(&'static str),
}

impl fmt::Display for NotAnEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the body is not JSON"),
            Self::AnotherObject => f.write_str("the body is JSON but not a Stripe event"),
            Self::Thin => f.write_str("thin events are not supported; choose snapshot payloads for this endpoint"),
            Self::Lacks(field) => write!(f, "the event has no usable `{field}`"),
        }
    }
}

impl std::error::Error for NotAnEvent {}

/// Reads the body of a delivery whose signature has been verified.
pub fn read(body: &[u8], hash_email: EmailHasher<'_>) -> Result<Event, NotAnEvent> {
    let body: Value = json::parse(body).ok_or(NotAnEvent::NotJson)?;
    let event = Shape::of(&body);
    match event.text("object") {
        Some("event") => {}
        Some("v2.core.event") => return Err(NotAnEvent::Thin),
        _ => return Err(NotAnEvent::AnotherObject),
    }
    let name = |field| event.text(field).filter(|text| is_id(text)).map(str::to_owned);
    let id = name("id").ok_or(NotAnEvent::Lacks("id"))?;
    let kind = name("type").ok_or(NotAnEvent::Lacks("type"))?;
    let object = event.at("data.object");
    if !object.is_object() {
        return Err(NotAnEvent::Lacks("data.object"));
    }
    let created = event.time("created").ok_or(NotAnEvent::Lacks("created"))?;
    Ok(Event {
        created,
        livemode: event.flag("livemode").unwrap_or(false),
        api_version: name("api_version"),
        reading: reading(&kind, object, hash_email),
        id,
        kind,
    })
}

/// The table of event types, the same as [`TYPES`]. Others say the same again (`payment_intent.succeeded`, `invoice.payment_succeeded`) or
/// nothing of sales.
fn reading(kind: &str, object: Shape<'_>, hash_email: EmailHasher<'_>) -> Reading {
    let fact = match kind {
        "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
            if session::is_setup(object) {
                return Reading::Ignored(IgnoredReason::SetupSession);
            }
            session::read(object, hash_email).map(StripeFact::Session)
        }
        "invoice.paid" => {
            return match invoice::read(object, hash_email) {
                Ok(facts) => Reading::Facts(facts),
                Err(unreadable) => Reading::Unreadable(unreadable),
            };
        }
        "invoice_payment.paid" => invoice_payment::read(object).map(StripeFact::InvoicePayment),
        "charge.refunded" | "charge.updated" => charge::read(object).map(StripeFact::Charge),
        "charge.refund.updated" | "refund.created" | "refund.updated" => refund::read(object).map(StripeFact::Refund),
        "refund.failed" => refund::read_failed(object).map(StripeFact::Refund),
        "charge.dispute.created" | "charge.dispute.closed" => dispute::read(object).map(StripeFact::Dispute),
        "customer.subscription.deleted" => subscription::read_ended(object).map(StripeFact::SubscriptionEnded),
        "customer.discount.created" => discount::read(object).map(StripeFact::Discount),
        _ => return Reading::Ignored(IgnoredReason::UnusedType),
    };
    match fact {
        Ok(fact) => Reading::Facts(vec![fact]),
        Err(unreadable) => Reading::Unreadable(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{as_json, envelope, hash_email, reading, with, without};

    fn ignored() -> Value {
        envelope("customer.created", &json!({"id": "cus_1", "object": "customer"}))
    }

    fn check(body: &[u8], expected: Result<&str, NotAnEvent>) {
        let answer = super::read(body, &hash_email);
        let id = answer.as_ref().map(|event| event.id.as_str()).map_err(|error| *error);
        assert_eq!(id, expected, "{:?}", String::from_utf8_lossy(body));
    }

    #[test]
    fn the_envelope_is_read_whole() {
        let body = with(&ignored(), json!({"livemode": true}));
        let event = super::read(body.to_string().as_bytes(), &hash_email);
        let expected = Event {
            id: "evt_1".to_owned(),
            kind: "customer.created".to_owned(),
            created: Instant::from_seconds(1_700_000_000),
            livemode: true,
            api_version: Some("2026-03-25".to_owned()),
            reading: Reading::Ignored(IgnoredReason::UnusedType),
        };
        assert_eq!(event, Ok(expected));
    }

    #[test]
    fn an_envelope_may_lack_what_only_the_log_needs() {
        let event = without(&without(&ignored(), "livemode"), "api_version");
        let event = super::read(event.to_string().as_bytes(), &hash_email).unwrap();
        assert_eq!((event.livemode, event.api_version), (false, None));
    }

    #[test]
    fn what_is_signed_but_no_event_has_its_answer() {
        for body in ["", " ", "{", "event", "{} {}", "\u{feff}{}", "\0"] {
            check(body.as_bytes(), Err(NotAnEvent::NotJson));
        }
        check(b"\xff\xfe", Err(NotAnEvent::NotJson));
        check(b"\x1f\x8b\x08\x00\x00", Err(NotAnEvent::NotJson));
        check("[".repeat(1 << 20).as_bytes(), Err(NotAnEvent::NotJson));
        check("{\"a\":".repeat(1 << 17).as_bytes(), Err(NotAnEvent::NotJson));
        for body in ["null", "7", "\"event\"", "[]", "{}", r#"{"object":"charge"}"#, r#"{"object":["event"]}"#] {
            check(body.as_bytes(), Err(NotAnEvent::AnotherObject));
        }
        let thin = json!({"id": "evt_1", "object": "v2.core.event", "type": "v1.billing.meter.no_meter_found",
            "created": "2026-01-01T00:00:00Z", "related_object": {"id": "mtr_1"}});
        check(thin.to_string().as_bytes(), Err(NotAnEvent::Thin));
    }

    #[test]
    fn what_an_envelope_cannot_do_without_is_named() {
        let lacks = |field: &'static str, event: Value| {
            check(event.to_string().as_bytes(), Err(NotAnEvent::Lacks(field)));
        };
        lacks("id", without(&ignored(), "id"));
        lacks("id", with(&ignored(), json!({"id": ""})));
        lacks("id", with(&ignored(), json!({"id": 7})));
        lacks("id", with(&ignored(), json!({"id": "e".repeat(256)})));
        lacks("id", with(&ignored(), json!({"id": "evt_\u{0}"})));
        lacks("type", without(&ignored(), "type"));
        lacks("type", with(&ignored(), json!({"type": null})));
        lacks("created", without(&ignored(), "created"));
        lacks("created", with(&ignored(), json!({"created": 1.5})));
        lacks("data.object", without(&ignored(), "data"));
        lacks("data.object", with(&ignored(), json!({"data": {}})));
        lacks("data.object", with(&ignored(), json!({"data": {"object": "cus_1"}})));
        let longest = "e".repeat(255);
        let event = with(&ignored(), json!({"id": longest}));
        check(event.to_string().as_bytes(), Ok(&longest));
    }

    #[test]
    fn types_that_say_the_same_again_or_are_unknown_are_ignored() {
        for kind in [
            "invoice.payment_succeeded",
            "payment_intent.succeeded",
            "charge.succeeded",
            "checkout.session.async_payment_failed",
            "checkout.session.expired",
            "customer.subscription.updated",
            "invoice.payment_failed",
            "charge.dispute.updated",
            "refund.invented_in_2030",
            "INVOICE.PAID",
        ] {
            let read = reading(kind, &json!({"amount": -1}));
            assert_eq!(read, Reading::Ignored(IgnoredReason::UnusedType), "{kind}");
        }
    }

    #[test]
    fn every_listed_type_is_used() {
        for kind in TYPES {
            let read = reading(kind, &json!({}));
            assert!(matches!(read, Reading::Unreadable(_)), "{kind} of nothing was read as {read:?}");
        }
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts() {
        let body = br#"{"object":"event","id":"evt_1","id":"evt_2","created":1,"type":"a","data":{"object":{}}}"#;
        check(body, Ok("evt_2"));
    }

    #[test]
    fn a_lone_surrogate_in_free_text_loses_no_sale() {
        let body =
            br#"{"object":"event","id":"evt_1","created":1,"type":"refund.created","data":{"object":{"id":"re_1",
            "amount":1,"currency":"eur","description":"\ud83d"}}}"#;
        let event = super::read(body, &hash_email).unwrap();
        assert_eq!(as_json(&event.reading)[0]["refund"], "re_1");
    }

    #[test]
    fn refusals_are_sentences() {
        assert_eq!(NotAnEvent::NotJson.to_string(), "the body is not JSON");
        assert_eq!(NotAnEvent::AnotherObject.to_string(), "the body is JSON but not a Stripe event");
        assert_eq!(NotAnEvent::Lacks("data.object").to_string(), "the event has no usable `data.object`");
    }
}
