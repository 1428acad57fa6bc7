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

/// The table of event types. Others say the same again (`payment_intent.succeeded`, `invoice.payment_succeeded`) or
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
