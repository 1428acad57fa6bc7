//! Events for tests: an envelope around an object, and checks of what was read.

use domain::email::EmailHashes;
use serde_json::{Value, json};

use crate::event::{self, Event, Reading};

/// Stands in for the keyed hash: the length of the address, so that no address can hide in a fact.
pub(crate) fn hash_email(address: &str) -> Option<EmailHashes> {
    address.contains('@').then(|| EmailHashes {
        exact: format!("exact-{}", address.len()),
        plain: "plain".to_owned(),
        domain: "domain".to_owned(),
        disposable: false,
    })
}

/// An event of type `kind` about `object`.
pub(crate) fn envelope(kind: &str, object: &Value) -> Value {
    json!({
        "id": "evt_1", "object": "event", "api_version": "2026-03-25", "created": 1_700_000_000, "livemode": false,
        "type": kind, "data": {"object": object}, "pending_webhooks": 1, "request": {"id": null}, "new": {"field": []},
    })
}

pub(crate) fn read(body: &Value) -> Event {
    event::read(body.to_string().as_bytes(), &hash_email).unwrap()
}

pub(crate) fn reading(kind: &str, object: &Value) -> Reading {
    read(&envelope(kind, object)).reading
}

/// What was read, as JSON: the facts as they are stored, or the sentence that says why there are none.
pub(crate) fn as_json(reading: &Reading) -> Value {
    match reading {
        Reading::Facts(facts) => serde_json::to_value(facts).unwrap(),
        Reading::Ignored(reason) => reason.to_string().into(),
        Reading::Unreadable(unreadable) => unreadable.to_string().into(),
    }
}

/// Checks that the event gives one fact that says at least what `expected` says.
pub(crate) fn check(kind: &str, object: Value, expected: Value) {
    let read = as_json(&reading(kind, &object));
    let facts = read.as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(facts.len(), 1, "{kind} of {object} was read as {read}");
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&facts[0][key], value, "`{key}` in {kind} of {object}");
    }
}

/// Checks that the event gives no fact, and why.
pub(crate) fn check_refused(kind: &str, object: Value, expected: &str) {
    assert_eq!(as_json(&reading(kind, &object)), json!(expected), "{kind} of {object}");
}

/// `base` with the keys of `changes` put over it.
pub(crate) fn with(base: &Value, changes: Value) -> Value {
    let mut changed = base.as_object().unwrap().clone();
    changed.extend(changes.as_object().unwrap().clone());
    Value::Object(changed)
}

/// `base` without a key.
pub(crate) fn without(base: &Value, key: &str) -> Value {
    let mut changed = base.as_object().unwrap().clone();
    changed.remove(key);
    Value::Object(changed)
}
