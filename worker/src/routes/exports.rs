//! `/api/v1/exports`: everything that the workspace holds, in pages.
//!
//! A key exports its mode, a signed-in member both. Who may change the workspace may do it, and every export is an act.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::account::Permission;
use domain::ids;
use domain::key::Need;
use domain::mode::Mode;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management::{self, Actor};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::export::{self, PAGES_HAD_MS, Signed};
use crate::idempotency;
use crate::store::Scope;
use crate::store::acts::{self, NewAct};
use crate::store::exports::{self as table, Export};

/// What stands for the cursor of the first page.
const FIRST: &str = "first";

/// Begins an export.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    management::json_body_or_nothing(request).await?.finish()?;
    let modes = match &actor {
        Actor::Key => vec![scope.mode],
        Actor::Member { .. } => vec![Mode::Test, Mode::Live],
    };
    let id = app.fresh(call.now);
    let export = Export { id, workspace_id: scope.workspace_id.clone(), modes, created_at: call.now };
    let act = NewAct {
        id: app.fresh(call.now),
        kind: "workspace.export",
        subject: export.id.as_str(),
        reason: None,
        detail: Some(json!({ "modes": export.modes }).to_string()),
        request_id: &call.request_id,
        person_id: actor.person_id(),
    };
    let shown = shape(&export, &scope);
    let mut batch = vec![acts::insert(&scope, &act, call.now), table::insert(&scope, &export)?];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    app.db.batch(batch).await?;
    Ok(call::json(StatusCode::CREATED, &shown))
}

/// A page of exports that were asked for in this mode.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Export>();
    query.finish()?;
    let list = table::list(&scope, matches!(actor, Actor::Key), &page)?;
    listing::page(&app, list, &page, |row| Ok(shape(&table::decode(row)?, &scope))).await
}

/// One export: what it holds, and where its first page is.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let export = find(&app, (&actor, &scope), &id).await?;
    Ok(call::json(StatusCode::OK, &shape(&export, &scope)))
}

/// `GET …/{id}/pages/{cursor}`: the first page, or the one that the page before names as `next`.
pub async fn page(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, cursor)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_for(&app, &call, request.headers(), Need::Change).await?;
    if let Actor::Member { membership, .. } = &actor {
        people::allow(membership.role, Permission::Change)?;
    }
    let export = find(&app, (&actor, &scope), &id).await?;
    if call.now.since_ms(export.created_at) > PAGES_HAD_MS {
        return Err(ApiError::Conflict("This export is more than a day old; begin another.".to_owned()));
    }
    let next = (cursor != FIRST).then_some(cursor.as_str());
    let text = export::page(&app, &export, next).await?;
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// `GET …/{id}/verify?digest=&pages=&rows=&signature=`: whether this deployment signed that.
pub async fn verify(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let export = find(&app, (&actor, &scope), &id).await?;
    let mut query = Query::of(request.uri());
    let [digest, pages, rows, signature] = ["digest", "pages", "rows", "signature"].map(|name| query.text(name));
    query.finish()?;
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    let is_valid = match (digest, number(pages), number(rows), signature) {
        (Some(digest), Some(pages), Some(rows), Some(signature)) => {
            export::is_signed(&app, &export, &Signed { digest: &digest, pages, rows }, &signature)
        }
        _ => false,
    };
    Ok(call::json(StatusCode::OK, &json!({ "id": export.id, "valid": is_valid })))
}

/// An export of the workspace that was begun in this mode. One of both modes is no key's: a key sees its own.
async fn find(app: &App, (actor, scope): (&Actor, &Scope), id: &str) -> Result<Export, ApiError> {
    let export = listing::one(app, table::by_id(scope, id), table::decode, "export").await?;
    match actor {
        Actor::Key if export.modes != [scope.mode] => Err(ApiError::NotFound("export")),
        _ => Ok(export),
    }
}

fn shape(export: &Export, scope: &Scope) -> Json {
    json!({
        "id": export.id,
        "mode": scope.mode,
        "workspace_id": export.workspace_id,
        "modes": export.modes,
        "created_at": export.created_at.to_string(),
        "pages_until": export.created_at.plus_ms(PAGES_HAD_MS).to_string(),
        "first_page": format!("/api/v1/exports/{}/pages/{FIRST}", export.id),
        "contents": export::contents(),
    })
}

#[cfg(test)]
mod tests;
