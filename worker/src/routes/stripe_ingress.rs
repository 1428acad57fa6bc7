//! `POST /webhooks/stripe/{connection_id}`: verify on the raw bytes, store, answer. Processing comes after the answer, by
//! message or by sweep: once stored, an event is lost in no failure.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::StripeEventId;
use domain::mode::Mode;
use domain::status::StripeOutcome;
use domain::time::{Instant, SECOND_MS};
use http::StatusCode;
use serde_json::json;
use stripe::event::{Event, Reading};

use super::stripe_connections::secret_purpose;
use crate::addresses;
use crate::app::App;
use crate::call::{self, Call};
use crate::connections::{self, Known};
use crate::error::ApiError;
use crate::jobs::{Message, Told};
use crate::store::Statement;
use crate::store::stripe_events::{self as table, Connection, NewEvent};

/// A body is at most this long.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// The sweep takes an event up when its message has not been heard of for so long. A message takes a second or two; an event
/// that is taken up twice is processed once.
const SWEEP_AFTER_MS: i64 = 15 * SECOND_MS;

/// What an event's raw body is sealed for.
pub fn body_purpose(id: &StripeEventId) -> String {
    format!("stripe body {id}")
}

/// Takes an event in. Refusals in this order: 404, 413, 400 `INVALID_SIGNATURE` (429 when too many of them), 400
/// `VALIDATION_ERROR`.
pub async fn receive(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(connection_id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let known = connections::find(&app, &connection_id, call.now).await?;
    let headers = request.headers().clone();
    let body = call::body(request, BODY_BYTES_MAX).await?;
    let lines: Vec<&[u8]> = headers.get_all("stripe-signature").iter().map(http::HeaderValue::as_bytes).collect();
    let connection = signed_for(&app, &call, known, &lines, &body).await?;
    let addresses = addresses::of_workspace(&app, connection.scope.workspace_id.as_str()).await;
    let event = stripe::event::read(&body, &|address| addresses.hash(address))
        .map_err(|error| ApiError::malformed(format!("The body is signed, but not a Stripe event: {error}.")))?;

    let Recorded { id, pending, statements } = record(&app, &connection, &event, &body, call.now, &call.request_id)?;
    let stored = app.db.batch(statements).await?;
    let stands = stored
        .last()
        .and_then(|rows| rows.first())
        .ok_or_else(|| ApiError::Internal("a stored Stripe event is not there".to_owned()))?;
    let duplicate = stands.text("id")? != id.as_str();
    let answer = json!({
        "received": true, "outcome": stands.text("outcome")?, "reason": stands.text_opt("reason")?,
        "duplicate": duplicate,
    });
    let response = call::json(StatusCode::OK, &answer);
    Ok(if pending && !duplicate {
        let told = Told::of(&connection.scope, event, &call.request_id);
        call::after(response, [Message::StripeEvent { id: id.to_string(), told }])
    } else {
        response
    })
}

/// The connection whose secret the body is signed with. One whose secret was changed is asked for again, so that the new
/// secret holds at once; failures are counted, and once there are too many of them, only what is signed is still taken.
async fn signed_for(
    app: &App,
    call: &Call,
    known: Known,
    lines: &[&[u8]],
    body: &[u8],
) -> Result<Connection, ApiError> {
    let Known { mut connection, remembered } = known;
    let mut verified = verify(app, call, &connection, lines, body);
    if !matches!(verified, Err(ApiError::InvalidSignature(_))) {
        return verified.map(|()| connection);
    }
    let mut refused = connections::flooded(app, &connection, call.now);
    if refused.is_none() {
        if remembered {
            connection = connections::ask(app, connection.id.as_str(), call.now).await?;
            verified = verify(app, call, &connection, lines, body);
        }
        if matches!(verified, Err(ApiError::InvalidSignature(_))) {
            refused = connections::count_failure(app, &connection, call.now).await;
        }
    }
    if let Some(admission) = refused {
        call.note_admission(admission);
        return Err(ApiError::RateLimitExceeded { retry_after_s: admission.reset_s });
    }
    verified.map(|()| connection)
}

/// An event as it is stored, however it came.
pub struct Recorded {
    /// Our id of it.
    pub id: StripeEventId,
    /// It waits to be processed.
    pub pending: bool,
    /// Store it, unless this connection has had it before; the last one's row is the one that stands.
    pub statements: Vec<Statement>,
}

/// What stores an event with its body, sealed.
pub fn record(
    app: &App,
    connection: &Connection,
    event: &Event,
    body: &[u8],
    now: Instant,
    request_id: &str,
) -> Result<Recorded, ApiError> {
    let id: StripeEventId = app.fresh(now);
    let (outcome, reason) = fate(event, connection.scope.mode);
    let pending = outcome == StripeOutcome::Pending;
    let sealed_body = if pending { Some(app.secrets.seal(&*app.random, &body_purpose(&id), body)?) } else { None };
    let new = NewEvent {
        id: &id,
        connection,
        stripe_id: &event.id,
        kind: &event.kind,
        outcome,
        reason: reason.as_deref(),
        sealed_body,
        next_attempt_at: pending.then(|| now.plus_ms(SWEEP_AFTER_MS)),
    };
    let statements = table::insert(&new, now, request_id);
    Ok(Recorded { id, pending, statements })
}

fn verify(app: &App, call: &Call, connection: &Connection, lines: &[&[u8]], body: &[u8]) -> Result<(), ApiError> {
    let open = |sealed: &str| {
        let opened = app.secrets.open(&secret_purpose(&connection.id), sealed);
        opened.and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let secret = open(&connection.signing_secret)
        .ok_or_else(|| ApiError::Internal(format!("the signing secret of {} does not open", connection.id)))?;
    let previous = connection.previous.as_ref().filter(|(_, until)| call.now < *until);
    let previous = previous.and_then(|(sealed, _)| open(sealed));
    let secrets: Vec<&str> = std::iter::once(&secret).chain(&previous).map(String::as_str).collect();
    stripe::signature::verify(&secrets, lines, body, call.now)
        .map_err(|error| ApiError::InvalidSignature(format!("The Stripe-Signature header does not hold: {error}.")))
}

/// What can be said of an event before it is processed.
fn fate(event: &Event, mode: Mode) -> (StripeOutcome, Option<String>) {
    if Mode::of_livemode(event.livemode) != mode {
        return (StripeOutcome::Skipped, Some("mode_mismatch".to_owned()));
    }
    match &event.reading {
        Reading::Facts(_) => (StripeOutcome::Pending, None),
        Reading::Ignored(reason) => (StripeOutcome::Ignored, Some(reason.to_string())),
        // Kept with its body, so that it can be processed once we read its shape.
        Reading::Unreadable(_) => (StripeOutcome::Pending, None),
    }
}

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trips;
