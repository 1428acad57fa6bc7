//! `Idempotency-Key` on every `POST` of `/api/v1`: the same key and body, the same answer (contract, sections 4 and 16).
//!
//! A key is 1 to 255 visible ASCII characters and holds for 24 hours in one workspace, mode and path, whoever asks there. What is
//! asked, the query and the body, is compared by a keyed digest.
//!
//! 1. *Claim.* Once the caller is let in and before a handler does anything ([`claim`]): one trip, in which of several requests one
//!    becomes the owner. The others are answered what was kept, or 409 while the owner is at it; one that died is replaced after
//!    [`OWNER_ANSWERS_MS`].
//! 2. *Keep.* Kept is whatever was done, and refusals that tell how things stood: 2xx, 404, 409, 422. Not kept, so that the key
//!    can be used again: other refusals (400, 401, 403, 413, 415, 429), before which nothing was done. After a 5xx the key is let go,
//!    for the same body only. The bodies are sealed: some show a secret, some tell who a partner is. An erasure does not find them;
//!    they are gone with the key.
//!
//! What if the deed was done and its answer is lost, because a write landed unreported or a machine died in between? Where doing it
//! twice would do more than once (what makes an object or a secret), the answer is written in the batch of the deed
//! ([`with_deed`]), so that there is none without the other; and a run that lost its claim fails there, so that two never both do
//! it. A bonus is an act whose id comes from the key ([`act_id`]). All else runs again and may be answered otherwise than the
//! first time: it is known by something of its own (409 `CONVERSION_DUPLICATE`, the first refund, 409 of a promo code or a member who
//! is there already), or it comes to the same (a state that is reached already is reached, or 409 that says which it is), or it is
//! meant to come more than once (a ping, a resent delivery). An answer over [`ANSWER_BYTES_MAX`], as only a hundred large drafts of
//! payouts make, is not kept: asked again, it makes the next ones.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use domain::ids::{ActId, Id};
use domain::time::{DAY_MS, Instant, SECOND_MS};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::app::{self, App};
use crate::call::{self, BODY_BYTES_MAX, Call};
use crate::error::ApiError;
use crate::store::idempotency::{self as table, Claim};
use crate::store::{Scope, Statement};

/// How long a key holds.
pub const KEY_HOLDS_MS: i64 = DAY_MS;
/// How long whoever claimed a key is waited for.
const OWNER_ANSWERS_MS: i64 = 60 * SECOND_MS;
/// The longest key.
const KEY_CHARS_MAX: usize = 255;
/// The longest answer that is kept; sealed it is a third longer, and a row of D1 holds 2 MB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

const KEY_HEADER: &str = "idempotency-key";
const REPLAYED_HEADER: &str = "idempotent-replayed";

/// A request with a key, and how far it has come.
pub struct Keyed {
    asked: Result<Asked, ApiError>,
    state: Mutex<State>,
}

/// What is asked.
struct Asked {
    key: String,
    path: String,
    query: String,
    body_sha256: String,
}

enum State {
    /// Nothing is claimed.
    Free,
    /// The answer will be this run's.
    Claimed {
        claim: Claim,
        /// When it was asked first.
        since: Option<Instant>,
        /// The status of an answer that was sent to the database with the deed.
        with_deed: Option<StatusCode>,
    },
    /// It was answered before.
    Answered { status: StatusCode, body: Vec<u8> },
}

impl fmt::Debug for Keyed {
    /// Without what was asked and answered: it may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}

impl Keyed {
    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn take(&self) -> State {
        std::mem::replace(&mut *self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Free)
    }
}

/// Whether a request is to be answered once. Others cost nothing more.
pub fn is_keyed(request: &Request) -> bool {
    request.method() == Method::POST
        && request.headers().contains_key(KEY_HEADER)
        && request.uri().path().starts_with("/api/v1/")
}

/// Answers a request that carries a key.
pub async fn once(app: &App, router: &Router, call: &Call, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let read = call::body(Request::from_parts(parts.clone(), body), BODY_BYTES_MAX).await;
    let (asked, body) = match read {
        Ok(body) => (asked(&parts, &body), body),
        // Whoever is let in is told of it, before anything is done.
        Err(refusal) => (Err(refusal), Bytes::new()),
    };
    let keyed = Arc::new(Keyed { asked, state: Mutex::new(State::Free) });
    parts.extensions.insert(call.keyed(keyed.clone()));
    let response = app::routed(router, Request::from_parts(parts, Body::from(body))).await;
    match keyed.take() {
        State::Free => response,
        State::Answered { status, body } => replayed(status, body),
        State::Claimed { claim, with_deed, .. } if with_deed != Some(response.status()) => {
            settle(app, call, &claim, response).await
        }
        State::Claimed { .. } => response,
    }
}

/// What is asked under which key: 415, then 400 for a key that is none.
fn asked(parts: &Parts, body: &[u8]) -> Result<Asked, ApiError> {
    let key = key(&parts.headers).ok_or_else(|| {
        let is_json = body.is_empty() || call::has_media_type(&parts.headers, &["application/json"]);
        match is_json {
            true => ApiError::field(
                "Idempotency-Key",
                format!("must be one header of 1 to {KEY_CHARS_MAX} visible ASCII characters"),
            ),
            false => ApiError::UnsupportedMediaType("application/json"),
        }
    })?;
    Ok(Asked {
        key: key.to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body_sha256: hex::encode(Sha256::digest(body)),
    })
}

fn key(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(KEY_HEADER).iter();
    let (Some(one), None) = (given.next(), given.next()) else { return None };
    let key = one.to_str().ok()?;
    let is_key = (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    is_key.then_some(key)
}

/// Makes this run the one that answers, if the request carries a key. To be called once it is known that the caller may do what is
/// asked, since whoever comes this far is shown what was answered. An error here is what the handler is to end with: a refusal, or
/// one that [`once`] replaces by the answer that was kept.
pub async fn claim(app: &App, call: &Call, scope: &Scope) -> Result<(), ApiError> {
    let Some(keyed) = &call.keyed else { return Ok(()) };
    let asked = keyed.asked.as_ref().map_err(ApiError::clone)?;
    let claim = asked.claim(app, scope);
    // Before it is sent: it may land and be reported as failed.
    keyed.set(State::Claimed { claim: claim.clone(), since: None, with_deed: None });
    let (stale, expired) = (call.now.plus_ms(-OWNER_ANSWERS_MS), call.now.plus_ms(-KEY_HOLDS_MS));
    let rows = app.db.batch(table::claim(&claim, call.now, stale, expired)).await?;
    let row = rows.last().and_then(|rows| rows.first());
    let row = row.ok_or_else(|| ApiError::Internal("a key that was claimed is not there".to_owned()))?;
    let found = table::decode(row)?;
    if found.owner.as_ref() == Some(&claim.owner) && found.answer.is_none() {
        keyed.set(State::Claimed { claim, since: Some(found.created_at), with_deed: None });
        return Ok(());
    }
    keyed.set(State::Free);
    if found.body != claim.body {
        return Err(ApiError::IdempotencyKeyReused);
    }
    let Some((status, sealed)) = found.answer else {
        return Err(ApiError::Conflict("A request with this Idempotency-Key is being answered; try again.".to_owned()));
    };
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let Some((status, body)) = status.zip(app.secrets.open(&purpose(&claim), &sealed)) else {
        return Err(ApiError::Internal("idempotency_keys: an answer does not open".to_owned()));
    };
    keyed.set(State::Answered { status, body });
    Err(ApiError::Conflict("This was answered before.".to_owned()))
}

impl Asked {
    fn claim(&self, app: &App, scope: &Scope) -> Claim {
        let digest = |parts: &[&str]| app.secrets.sent_digest(scope.workspace_id.as_str(), parts);
        let mut owner = [0; 16];
        app.random.fill(&mut owner);
        Claim {
            name: digest(&["key", scope.mode.as_str(), &self.path, &self.key]),
            body: digest(&["body", &self.query, &self.body_sha256]),
            owner: hex::encode(owner),
            scope: scope.clone(),
        }
    }
}

/// The statement that keeps an answer in the batch of the deed; none where no key came. It belongs directly behind a statement
/// that changes a row if, and only if, the deed is done.
pub fn with_deed(app: &App, call: &Call, status: StatusCode, shown: &Json) -> Result<Option<Statement>, ApiError> {
    let Some(keyed) = &call.keyed else { return Ok(None) };
    let mut state = keyed.state.lock().unwrap_or_else(PoisonError::into_inner);
    let State::Claimed { claim, with_deed, .. } = &mut *state else { return Ok(None) };
    let sealed = app.secrets.seal(&*app.random, &purpose(claim), shown.to_string().as_bytes())?;
    *with_deed = Some(status);
    Ok(Some(table::keep_with_deed(claim, status.as_u16(), &sealed)))
}

/// The id of an act that is done once under the request's key.
pub fn act_id(call: &Call) -> Option<ActId> {
    let state = call.keyed.as_ref()?.state.lock().unwrap_or_else(PoisonError::into_inner);
    let State::Claimed { claim, since: Some(since), .. } = &*state else { return None };
    let mut bytes = [0; 10];
    hex::decode_to_slice(claim.name.get(..20)?, &mut bytes).ok()?;
    Some(Id::make(*since, bytes))
}

/// Keeps the answer, or gives the key free. Where that fails, the answer goes out all the same.
async fn settle(app: &App, call: &Call, claim: &Claim, response: Response) -> Response {
    let (response, settled) = match response.status() {
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            kept(app, call, claim, response).await
        }
        status if status.is_success() => kept(app, call, claim, response).await,
        status if status.is_server_error() => (response, Ok(table::let_go(claim))),
        _ => (response, Ok(table::forget(claim))),
    };
    let written = match settled {
        Ok(statement) => app.db.batch(vec![statement]).await.map_err(ApiError::from),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        crate::log(&format!("{} answer not kept: {}", call.request_id, error.log_detail().unwrap_or("refused")));
    }
    response
}

async fn kept(
    app: &App,
    call: &Call,
    claim: &Claim,
    mut response: Response,
) -> (Response, Result<Statement, ApiError>) {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = error.render(&call.request_id);
    }
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => {
            let error = ApiError::Internal(format!("an answer could not be read: {error}"));
            return (error.render(&call.request_id), Ok(table::let_go(claim)));
        }
    };
    let statement = match body.len() <= ANSWER_BYTES_MAX {
        true => app
            .secrets
            .seal(&*app.random, &purpose(claim), &body)
            .map(|sealed| table::keep(claim, parts.status.as_u16(), &sealed)),
        false => Ok(table::let_go(claim)),
    };
    (Response::from_parts(parts, Body::from(body)), statement)
}

/// An answer that was kept. All that the API answers to a `POST` is JSON, or nothing.
fn replayed(status: StatusCode, body: Vec<u8>) -> Response {
    let is_empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !is_empty {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

fn purpose(claim: &Claim) -> String {
    format!("answer {} {} {}", claim.scope.workspace_id, claim.scope.mode, claim.name)
}

#[cfg(test)]
mod tests;
