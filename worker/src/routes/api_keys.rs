//! `/api/v1/api-keys`: the keys of a mode. Scopes are still to come: a secret key may do all that a mode's keys may.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::account::Permission;
use domain::ids::{self, KeyId};
use domain::key::{ApiKey, KeyKind};
use domain::mode::Mode;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management::{self, Actor};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::keys::{self as table, Listed};

/// A page of keys, revoked ones too. A secret one is not shown again.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Key>();
    query.finish()?;
    listing::page(&app, table::list(&scope, &page), &page, |row| Ok(shape(&table::decode_listed(row)?, scope.mode)))
        .await
}

/// Makes a key. Of a secret one, this answer alone holds it.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    must_be_member(&actor)?;
    let mut fields = management::json_body(request).await?;
    let kind = fields.word("kind", &["public", "secret"], KeyKind::parse);
    if fields.raw("kind").is_none() {
        fields.error("kind", "is required");
    }
    fields.finish()?;
    let key = new_key(&app, kind.unwrap_or(KeyKind::Public), scope.mode)?;
    let id: KeyId = app.fresh(call.now);
    app.db.batch(vec![table::insert(&id, &scope.workspace_id, &key, call.now)]).await?;
    let listed = Listed { id, kind: key.kind(), shown: key.shown(), created_at: call.now, revoked_at: None };
    let mut shown = shape(&listed, scope.mode);
    shown["key"] = json!(key.as_str());
    Ok(call::json(StatusCode::CREATED, &shown))
}

/// Revokes a key, everywhere within a minute.
pub async fn revoke(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    must_be_member(&actor)?;
    let revoked = app.db.batch(vec![table::revoke(&scope, &id, call.now)]).await?;
    if revoked.iter().all(Vec::is_empty) {
        return Err(ApiError::NotFound("key"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A key that makes keys could not be taken from whoever stole it.
fn must_be_member(actor: &Actor) -> Result<(), ApiError> {
    match actor {
        Actor::Member { membership, .. } => people::allow(membership.role, Permission::Keys),
        Actor::Key => Err(ApiError::Forbidden("Only a signed-in member may do this, not a key.".to_owned())),
    }
}

/// A key of random bytes.
pub fn new_key(app: &App, kind: KeyKind, mode: Mode) -> Result<ApiKey, ApiError> {
    let mut random = [0; 64];
    app.random.fill(&mut random);
    ApiKey::make(kind, mode, &random).ok_or_else(|| ApiError::Unavailable("64 random bytes made no key".to_owned()))
}

fn shape(key: &Listed, mode: Mode) -> Json {
    json!({
        "id": key.id,
        "mode": mode,
        "kind": key.kind.as_str(),
        "shown": key.shown,
        "created_at": key.created_at.to_string(),
        "revoked_at": key.revoked_at.map(|at| at.to_string()),
    })
}
