//! Answers of Stripe's API, where a merchant's key allows to ask it: read by the same shapes as events. An answer that lacks
//! what it was asked for is none; what of a list matters to nobody is left out.

use std::fmt;

use domain::fact::{FeeFact, StripeFact};
use domain::time::Instant;
use serde_json::Value;

use crate::event::EmailHasher;
use crate::shape::{Shape, Unreadable, is_id};
use crate::{invoice_payment, json, session};

/// The most elements that Stripe puts into one page of a list.
pub const PAGE_MAX: usize = 100;

/// A fact that the API told, with what makes it one fact however often it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The object's id.
    pub id: String,
    /// When the object came to be; absent where it does not say.
    pub at: Option<Instant>,
    /// What it says.
    pub fact: StripeFact,
}

/// One page of a list of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events, each as its text, the newest first.
    pub events: Vec<EventText>,
    /// Where the next page goes on; none where this is the last one.
    pub next: Option<String>,
}

/// An event that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventText {
    /// `evt_…`.
    pub id: String,
    /// As a delivery would bring it.
    pub body: String,
}

/// The answer is none to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnAnswer {
    /// It is not JSON.
    NotJson,
    /// It is no list.
    NotAList,
    /// The object lacks what was asked for.
    Unreadable(Unreadable),
}

impl fmt::Display for NotAnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the answer is not JSON"),
            Self::NotAList => f.write_str("the answer is no list"),
            Self::Unreadable(unreadable) => unreadable.fmt(f),
        }
    }
}

impl std::error::Error for NotAnAnswer {}

/// Reads `GET /v1/balance_transactions/{id}`.
pub fn balance_transaction(body: &[u8]) -> Result<Told, NotAnAnswer> {
    let body = parse(body)?;
    let transaction = Shape::of(&body);
    let read = || {
        transaction.must_be("balance_transaction")?;
        let fact = FeeFact {
            balance_transaction: transaction.own_id("id")?,
            fee: transaction.own_amount("fee")?,
            currency: transaction.own_currency("currency")?,
        };
        Ok(fact)
    };
    let fact = read().map_err(NotAnAnswer::Unreadable)?;
    let id = fact.balance_transaction.clone();
    Ok(Told { id, at: transaction.time("created"), fact: StripeFact::Fee(fact) })
}

/// Reads `GET /v1/invoice_payments`: those that are paid.
pub fn invoice_payments(body: &[u8]) -> Result<Vec<Told>, NotAnAnswer> {
    let body = parse(body)?;
    let paid = list(&body)?.filter(|payment| payment.text("status") == Some("paid"));
    Ok(paid
        .filter_map(|payment| {
            let fact = invoice_payment::read(payment).ok()?;
            let at = payment.time("status_transitions.paid_at").or_else(|| payment.time("created"));
            Some(Told { id: fact.invoice_payment.clone(), at, fact: StripeFact::InvoicePayment(fact) })
        })
        .collect())
}

/// Reads `GET /v1/checkout/sessions`: those that were completed, as an event would tell of. When that was, a session does not
/// say: it is told as of its creation, and by the time of its event should that come after all.
pub fn sessions(body: &[u8], hash_email: EmailHasher<'_>) -> Result<Vec<Told>, NotAnAnswer> {
    let body = parse(body)?;
    let completed = list(&body)?
        .filter(|session| matches!(session.text("status"), None | Some("complete")) && !session::is_setup(*session));
    Ok(completed
        .filter_map(|session| {
            let fact = session::read(session, hash_email).ok()?;
            Some(Told { id: fact.session.clone(), at: session.time("created"), fact: StripeFact::Session(fact) })
        })
        .collect())
}

/// Reads a page of `GET /v1/events`. An element without an id is left out.
pub fn events(body: &[u8]) -> Result<EventPage, NotAnAnswer> {
    let body = parse(body)?;
    let events: Vec<EventText> =
        list(&body)?.filter_map(|event| Some(EventText { id: event.as_id()?, body: event.to_text() })).collect();
    let more = Shape::of(&body).flag("has_more").unwrap_or(false);
    let next = events.last().filter(|_| more).map(|event| event.id.clone());
    Ok(EventPage { events, next })
}

/// Whether a text can stand in a path or a query of the API as it is.
pub fn is_plain_id(text: &str) -> bool {
    is_id(text) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn parse(body: &[u8]) -> Result<Value, NotAnAnswer> {
    json::parse(body).ok_or(NotAnAnswer::NotJson)
}

fn list(body: &Value) -> Result<impl Iterator<Item = Shape<'_>>, NotAnAnswer> {
    let list = Shape::of(body);
    if list.text("object") != Some("list") || !body.get("data").is_some_and(Value::is_array) {
        return Err(NotAnAnswer::NotAList);
    }
    Ok(list.items("data").take(PAGE_MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{hash_email, with, without};

    fn transaction() -> Value {
        json!({"id": "txn_1", "object": "balance_transaction", "amount": 10_000, "fee": 320, "net": 9_680,
            "currency": "eur", "created": 1_700_000_000, "exchange_rate": null, "type": "charge", "source": "ch_1"})
    }

    fn bytes(body: &Value) -> Vec<u8> {
        body.to_string().into_bytes()
    }

    fn list_of(data: Value) -> Vec<u8> {
        bytes(&json!({"object": "list", "url": "/v1/x", "has_more": false, "data": data}))
    }

    #[test]
    fn a_balance_transaction_tells_its_fee() {
        let told = balance_transaction(&bytes(&transaction())).unwrap();
        let currency = domain::money::Currency::EUR;
        let fact = FeeFact { balance_transaction: "txn_1".to_owned(), fee: 320, currency };
        let at = Some(Instant::from_seconds(1_700_000_000));
        assert_eq!(told, Told { id: "txn_1".to_owned(), at, fact: StripeFact::Fee(fact) });
        for code in ["jpy", "KWD"] {
            let told = balance_transaction(&bytes(&with(&transaction(), json!({"currency": code})))).unwrap();
            assert!(matches!(told.fact, StripeFact::Fee(fee) if fee.currency.code() == code.to_uppercase()));
        }
    }

    #[test]
    fn an_answer_that_lacks_what_was_asked_is_none() {
        let refused = |body: &Value, expected: &str| {
            assert_eq!(balance_transaction(&bytes(body)).unwrap_err().to_string(), expected, "{body}");
        };
        refused(&without(&transaction(), "fee"), "the object has no `fee`");
        refused(&without(&transaction(), "id"), "the object has no `id`");
        refused(&with(&transaction(), json!({"fee": 3.2})), "`fee` is no integer from 0 to 9007199254740991");
        refused(&with(&transaction(), json!({"fee": -1})), "`fee` is no integer from 0 to 9007199254740991");
        refused(&with(&transaction(), json!({"currency": "zzz"})), "`currency` is no currency code of ISO 4217");
        let wrong = "`object` names another kind of object than the event's type";
        refused(&with(&transaction(), json!({"object": "charge"})), wrong);
        assert_eq!(balance_transaction(b"<html>").unwrap_err(), NotAnAnswer::NotJson);
        for body in [&b""[..], b"{", b"\xff"] {
            assert_eq!(events(body).unwrap_err(), NotAnAnswer::NotJson);
        }
        for body in [json!([]), json!(null), json!({"object": "list"}), json!({"object": "event", "data": []})] {
            assert_eq!(events(&bytes(&body)).unwrap_err(), NotAnAnswer::NotAList);
            assert_eq!(invoice_payments(&bytes(&body)).unwrap_err(), NotAnAnswer::NotAList);
        }
    }

    #[test]
    fn of_invoice_payments_the_paid_ones_are_told() {
        let payment = |id: &str, status: &str| {
            json!({"id": id, "object": "invoice_payment", "invoice": "in_1", "status": status, "created": 5,
                "payment": {"type": "payment_intent", "payment_intent": "pi_1"}, "amount_paid": 7, "currency": "eur",
                "status_transitions": {"paid_at": 9, "canceled_at": null}})
        };
        let data = json!([payment("inpay_1", "paid"), payment("inpay_2", "open"), {"id": "inpay_3", "status": "paid"}]);
        let told = invoice_payments(&list_of(data)).unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].id.as_str(), told[0].at), ("inpay_1", Some(Instant::from_seconds(9))));
        assert!(matches!(&told[0].fact, StripeFact::InvoicePayment(fact) if fact.invoice == "in_1"));
    }

    #[test]
    fn of_sessions_the_completed_ones_are_told_without_addresses() {
        let session = |id: &str, more: Value| {
            let plain = json!({"id": id, "object": "checkout.session", "mode": "payment", "payment_status": "paid",
                "status": "complete", "amount_total": 7, "currency": "eur", "created": 5, "payment_intent": "pi_1",
                "customer_details": {"email": "ann@example.com"}});
            with(&plain, more)
        };
        let data = json!([
            session("cs_1", json!({})),
            session("cs_2", json!({"status": "expired", "payment_status": "unpaid"})),
            session("cs_3", json!({"mode": "setup"})),
        ]);
        let told = sessions(&list_of(data), &hash_email).unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].id.as_str(), told[0].at), ("cs_1", Some(Instant::from_seconds(5))));
        assert!(!format!("{told:?}").contains("ann@"));
    }

    #[test]
    fn a_page_of_events_gives_each_as_a_delivery_would_and_where_it_goes_on() {
        let event = |id: &str| {
            json!({"id": id, "object": "event", "type": "invoice.paid", "created": 5, "livemode": false,
                "data": {"object": {"id": "in_1"}}})
        };
        let page = |more: bool| {
            let body = json!({"object": "list", "has_more": more, "data": [event("evt_2"), 7, event("evt_1")]});
            events(&bytes(&body)).unwrap()
        };
        let first = page(true);
        assert_eq!(first.next.as_deref(), Some("evt_1"));
        assert_eq!(page(false).next, None);
        let ids: Vec<_> = first.events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["evt_2", "evt_1"]);
        let read = crate::event::read(first.events[0].body.as_bytes(), &hash_email).unwrap();
        assert_eq!((read.id.as_str(), read.kind.as_str()), ("evt_2", "invoice.paid"));
    }

    #[test]
    fn only_a_plain_id_may_stand_in_a_path() {
        for id in ["txn_1", "pi_3Abc_x"] {
            assert!(is_plain_id(id));
        }
        for text in ["", "..", "txn_1/..", "txn_1?x", "txn 1", "txn_1%2f", "tön", "txn-1"] {
            assert!(!is_plain_id(text), "{text}");
        }
    }
}
