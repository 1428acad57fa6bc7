//! What every handler may know of the request around it, and how answers are put together.

use std::sync::{Arc, Mutex};

use axum::response::Response;
use bytes::Bytes;
use domain::limit::Admission;
use domain::time::Instant;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;

use crate::auth::people::Person;
use crate::error::ApiError;
use crate::idempotency::Keyed;
use crate::known::Chore;

/// A body on any path but Stripe's is at most this long.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The visitor's or caller's side of a connection, as the platform tells it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// `CF-Connecting-IP`.
    pub address: String,
    /// Two letters, where the platform knows the country.
    pub country: Option<String>,
}

/// One request's surroundings.
#[derive(Clone, Debug)]
pub struct Call {
    /// Echoed or created; stored with what the request stores.
    pub request_id: String,
    /// The one `now` of this request.
    pub now: Instant,
    /// What is asked: to look, or to change.
    pub method: Method,
    /// Who is at the other end.
    pub peer: Peer,
    /// `https://host`, as the caller wrote it: for URLs in answers.
    pub origin: String,
    /// On whose behalf a page of ours asks the API within this request: known already, and counted by nobody.
    pub inside: Option<Arc<Person>>,
    /// Where it is to be answered once.
    pub keyed: Option<Arc<Keyed>>,
    admission: Arc<Mutex<Option<Admission>>>,
    chores: Arc<Mutex<Vec<Chore>>>,
}

impl Call {
    /// A call with no admission yet.
    pub fn new(request_id: String, now: Instant, method: Method, peer: Peer, origin: String) -> Self {
        let (admission, chores) = (Arc::default(), Arc::default());
        Self { request_id, now, method, peer, origin, inside: None, keyed: None, admission, chores }
    }

    /// The same call as one that a page makes for somebody who is signed in.
    pub fn inside(&self, person: Arc<Person>, method: Method) -> Self {
        Self { method, inside: Some(person), keyed: None, admission: Arc::default(), ..self.clone() }
    }

    /// The same call, to be answered once.
    pub fn keyed(&self, keyed: Arc<Keyed>) -> Self {
        Self { keyed: Some(keyed), ..self.clone() }
    }

    /// Notes what the limiter said, for the headers of whatever the answer will be.
    pub fn note_admission(&self, admission: Admission) {
        if let Ok(mut slot) = self.admission.lock() {
            *slot = Some(admission);
        }
    }

    /// Leaves something for after the answer.
    pub fn leave(&self, chore: Option<Chore>) {
        if let (Some(chore), Ok(mut chores)) = (chore, self.chores.lock()) {
            chores.push(chore);
        }
    }

    /// What was left.
    pub fn take_chores(&self) -> Vec<Chore> {
        self.chores.lock().map(|mut chores| std::mem::take(&mut *chores)).unwrap_or_default()
    }

    /// The `X-RateLimit-…` headers, if this call was counted.
    pub fn write_limit_headers(&self, headers: &mut HeaderMap) {
        let Some(admission) = self.admission.lock().ok().and_then(|slot| *slot) else {
            return;
        };
        headers.insert("x-ratelimit-limit", HeaderValue::from(admission.limit));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(admission.remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(admission.reset_s));
    }
}

/// Something for the queue once the answer is out. Losing it may only cost time: a sweep or a later request does it again.
#[derive(Clone, Debug, Default)]
pub struct AfterAnswer(pub Vec<crate::jobs::Message>);

/// What else is to be done once the answer is out.
#[derive(Clone, Debug)]
pub struct Chores(pub Vec<Chore>);

/// Adds messages to be queued after this answer.
pub fn after(mut response: Response, messages: impl IntoIterator<Item = crate::jobs::Message>) -> Response {
    let mut all = response.extensions_mut().remove::<AfterAnswer>().unwrap_or_default();
    all.0.extend(messages);
    response.extensions_mut().insert(all);
    response
}

/// A JSON answer.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let text = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
    let mut response = Response::new(axum::body::Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads a body of at most `limit_bytes`.
pub async fn body(request: axum::extract::Request, limit_bytes: usize) -> Result<Bytes, ApiError> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit_bytes as u64) {
        return Err(ApiError::PayloadTooLarge { limit_bytes });
    }
    match Limited::new(request.into_body(), limit_bytes).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::PayloadTooLarge { limit_bytes }),
        Err(error) => Err(ApiError::malformed(format!("The body could not be read: {error}"))),
    }
}

/// Whether this machine itself is meant, where plain HTTP is safe. Hosts as URLs write them.
pub fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// Whether the content type's essence is one of these. A body without a type is taken for JSON.
pub fn has_media_type(headers: &HeaderMap, accepted: &[&str]) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let Ok(text) = value.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or("").trim();
    accepted.iter().any(|one| essence.eq_ignore_ascii_case(one))
}
