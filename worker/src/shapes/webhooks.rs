//! Outgoing webhooks, as clients see them.

use domain::time::Instant;
use domain::webhook::signature::Secret;
use serde_json::{Value as Json, json};

use crate::store::Scope;
use crate::store::webhooks::{Attempt, Delivery, Endpoint};

/// An endpoint; its secret only when it is new.
pub fn endpoint(endpoint: &Endpoint, now: Instant, new_secret: Option<&Secret>) -> Json {
    let overlap = endpoint.previous.as_ref().map(|(_, until)| *until).filter(|until| now < *until);
    let mut shown = json!({
        "id": endpoint.id, "mode": endpoint.scope.mode, "url": endpoint.url, "events": endpoint.events,
        "status": endpoint.status, "disabled_reason": endpoint.disabled_reason,
        "failing_since": endpoint.failing_since.map(|at| at.to_string()),
        "previous_secret_until": overlap.map(|at| at.to_string()),
        "created_at": endpoint.created_at.to_string(),
    });
    if let (Some(secret), Some(fields)) = (new_secret, shown.as_object_mut()) {
        fields.insert("secret".to_owned(), secret.as_str().into());
    }
    shown
}

/// A delivery, with what is sent and what was tried.
pub fn delivery(delivery: &Delivery, scope: &Scope) -> Json {
    json!({
        "id": delivery.id, "mode": scope.mode, "endpoint_id": delivery.endpoint_id, "event_id": delivery.event.id,
        "type": delivery.event.kind, "status": delivery.status,
        "next_attempt_at": delivery.next_attempt_at.map(|at| at.to_string()),
        "created_at": delivery.created_at.to_string(), "finished_at": delivery.finished_at.map(|at| at.to_string()),
        "request": super::event(&delivery.event, scope),
        "attempts": delivery.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Json {
    json!({
        "number": attempt.number, "at": attempt.at.to_string(), "duration_ms": attempt.duration_ms, "url": attempt.url,
        "headers": attempt.headers, "status": attempt.status, "error": attempt.error, "answer": attempt.answer,
    })
}
