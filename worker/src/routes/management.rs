//! What every management path does first: let the caller in, and read a body.

use axum::body::HttpBody as _;
use axum::extract::Request;
use domain::ids::PersonId;
use domain::key::Need;
use http::{HeaderMap, header};
use serde_json::Map;

use crate::app::App;
use crate::auth::people::{self, Person};
use crate::auth::{self, Zone};
use crate::call::{self, BODY_BYTES_MAX, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::store::Scope;
use crate::store::accounts::Membership;

/// Who asks.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Whoever holds a secret key.
    Key,
    /// A signed-in member.
    Member {
        /// Who.
        person: Box<Person>,
        /// What they are in the workspace.
        membership: Box<Membership>,
    },
}

impl Actor {
    /// The person, where it is one: a key is nobody.
    pub fn person_id(&self) -> Option<&PersonId> {
        match self {
            Self::Key => None,
            Self::Member { person, .. } => Some(&person.id),
        }
    }
}

/// A caller with a secret key, or a member's session, in the zone of every other path: 401, then 429, then 403 for a key that is
/// not for this. A viewer only reads.
pub async fn enter(app: &App, call: &Call, headers: &HeaderMap) -> Result<Scope, ApiError> {
    enter_as(app, call, headers).await.map(|(_, scope)| scope)
}

/// The same, and who it is.
pub async fn enter_as(app: &App, call: &Call, headers: &HeaderMap) -> Result<(Actor, Scope), ApiError> {
    let need = if call.method.is_safe() { Need::Read } else { Need::Change };
    enter_for(app, call, headers, need).await
}

/// The same, of a key that is for something else than its method says.
pub async fn enter_for(app: &App, call: &Call, headers: &HeaderMap, need: Need) -> Result<(Actor, Scope), ApiError> {
    let (actor, scope) = admit(app, call, headers, need).await?;
    idempotency::claim(app, call, &scope).await?;
    Ok((actor, scope))
}

/// A caller whom something else may still refuse, who is not to be shown before that what was answered to another:
/// [`idempotency::claim`] is to follow.
pub async fn admit(app: &App, call: &Call, headers: &HeaderMap, need: Need) -> Result<(Actor, Scope), ApiError> {
    // A key that is sent is what is meant, whatever cookie comes along.
    let has_session = call.inside.is_some() || people::cookie(call, headers).is_some();
    if !headers.contains_key(header::AUTHORIZATION) && has_session {
        let (person, membership, scope) = people::member(app, call, headers).await?;
        return Ok((Actor::Member { person: Box::new(person), membership: Box::new(membership) }, scope));
    }
    let access = auth::secret(app, call, headers, Zone::Other, need).await?;
    Ok((Actor::Key, Scope { workspace_id: access.workspace_id, mode: access.mode }))
}

/// The same, and a JSON body: 413, 415, 400.
pub async fn enter_with_body(app: &App, call: &Call, request: Request) -> Result<(Scope, Fields), ApiError> {
    let (_, scope, fields) = enter_as_with_body(app, call, request).await?;
    Ok((scope, fields))
}

/// The same, and who it is.
pub async fn enter_as_with_body(app: &App, call: &Call, request: Request) -> Result<(Actor, Scope, Fields), ApiError> {
    let (actor, scope) = enter_as(app, call, request.headers()).await?;
    Ok((actor, scope, json_body(request).await?))
}

/// A JSON body: 413, 415, 400.
pub async fn json_body(request: Request) -> Result<Fields, ApiError> {
    let is_json = call::has_media_type(request.headers(), &["application/json"]);
    let body = call::body(request, BODY_BYTES_MAX).await?;
    if !is_json {
        return Err(ApiError::UnsupportedMediaType("application/json"));
    }
    Fields::parse(&body)
}

/// The same, of a request that may also come without a body.
pub async fn json_body_or_nothing(request: Request) -> Result<Fields, ApiError> {
    let empty = request.headers().get(header::CONTENT_TYPE).is_none() && request.body().is_end_stream();
    if empty { Ok(Fields::of(Map::new())) } else { json_body(request).await }
}

#[cfg(test)]
mod tests;
