//! `/api/v1/links`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::{self, ParticipantId};
use domain::status::LinkStatus;
use http::StatusCode;

use super::hosts::host_of;
use super::listing::{self, Query};
use super::management;
use super::programs::is_slug;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::known;
use crate::shapes;
use crate::store::links::{self as table, Link};
use crate::store::slugs::{self, Slugged};
use crate::store::{DbError, Scope};

/// Makes a link. It may land on a registered host only; ref and slug are made up where they are not given.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let participant_id: Option<ParticipantId> = fields.id("participant_id");
    if fields.raw("participant_id").is_none() {
        fields.error("participant_id", "is required");
    }
    let link_ref = fields.text("ref", 255);
    if link_ref.as_deref().is_some_and(|given| given.chars().any(|c| c.is_control() || c.is_whitespace())) {
        fields.error("ref", "must not contain white space");
    }
    let slug = fields.text("slug", 63);
    if slug.as_deref().is_some_and(|slug| !is_slug(slug)) {
        fields.error("slug", "must be lower-case letters, digits and inner dashes");
    }
    if fields.raw("landing_url").is_none() {
        fields.error("landing_url", "is required");
    }
    let landing = landing(&mut fields);
    let name = fields.text("name", NAME_CHARS_MAX).unwrap_or_default();
    fields.finish()?;
    let Some(participant_id) = participant_id else {
        return Err(ApiError::field("participant_id", "is required"));
    };
    let landing_url = registered(&app, &scope, landing).await?.unwrap_or_default();
    let link = Link {
        id: app.fresh(call.now),
        participant_id,
        link_ref: link_ref.unwrap_or_else(|| made_up(&app)),
        slug: slug.unwrap_or_else(|| made_up(&app)),
        landing_url,
        name,
        status: LinkStatus::Active,
        clicks: 0,
        created_at: call.now,
    };
    const TAKEN: &str = "This ref or slug is taken.";
    if !slugs::claim(&app.db, &scope.workspace_id, Slugged::Link, &link.slug).await? {
        return Err(ApiError::Conflict(TAKEN.to_owned()));
    }
    let shown = shapes::link(&link, scope.mode, &call.origin);
    let mut batch = vec![table::insert(&scope, &link)];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    match app.db.batch(batch).await {
        Ok(rows) if rows.iter().all(Vec::is_empty) => Err(ApiError::NotFound("participant")),
        Ok(_) => {
            known::forget_link(&app, &scope, &link).await;
            Ok(call::json(StatusCode::CREATED, &shown))
        }
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict(TAKEN.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Where a link leads, at most.
pub const LANDING_CHARS_MAX: usize = 2_048;
/// What its owner calls it, at most.
pub const NAME_CHARS_MAX: usize = 100;

/// Where the link is to lead, where that is given: an `http` or `https` URL.
pub fn landing(fields: &mut Fields) -> Option<(String, url::Url)> {
    let text = fields.text("landing_url", LANDING_CHARS_MAX)?;
    let url = landing_url(&text);
    if url.is_none() {
        fields.error("landing_url", "must be an http or https URL");
    }
    Some((text, url?))
}

/// The URL, if a link may lead to one of its kind.
pub fn landing_url(text: &str) -> Option<url::Url> {
    url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// Whether a URL is on a registered host, and which host it is on.
pub async fn is_registered(app: &App, scope: &Scope, url: &url::Url) -> Result<(bool, String), ApiError> {
    let host = host_of(url).unwrap_or_default();
    let is_registered = !app.db.rows(table::host_exists(scope, &host)).await?.is_empty();
    Ok((is_registered, host))
}

/// The URL as it was given, if it is on a registered host.
async fn registered(app: &App, scope: &Scope, landing: Option<(String, url::Url)>) -> Result<Option<String>, ApiError> {
    let Some((text, url)) = landing else { return Ok(None) };
    let (is_registered, host) = is_registered(app, scope, &url).await?;
    if !is_registered {
        let message = format!("{host} is not a registered host of this workspace and mode; register it under hosts");
        return Err(ApiError::field("landing_url", message));
    }
    Ok(Some(text))
}

/// Changes the name or where the link leads; with `clear`, it has no name.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let name = fields.text("name", NAME_CHARS_MAX);
    let name = fields.cleared(&["name"]).first().map(|_| String::new()).or(name);
    let landing = landing(&mut fields);
    fields.finish()?;
    let landing_url = registered(&app, &scope, landing).await?;
    app.db.batch(vec![table::change(&scope, &id, name.as_ref(), landing_url.as_ref())]).await?;
    // What it is called concerns no visitor.
    match landing_url {
        Some(_) => answer_changed(&app, &call, &scope, &id).await,
        None => answer_one(&app, &call, &scope, &id).await,
    }
}

/// Ten characters that are easily read aloud: 32^10 of them, so that a guess finds nothing.
pub fn made_up(app: &App) -> String {
    const ALPHABET: &[u8; 32] = b"23456789abcdefghijkmnpqrstuvwxyz";
    let mut random = [0; 10];
    app.random.fill(&mut random);
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// A page of links.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let (participant_id, status) = (query.text("participant_id"), query.word("status", LinkStatus::WORDS));
    let page = query.page::<ids::Link>();
    query.finish()?;
    let rows = table::list(&scope, participant_id.as_ref(), status.as_ref(), &page);
    listing::page(&app, rows, &page, |row| Ok(shapes::link(&table::decode(row)?, scope.mode, &call.origin))).await
}

async fn answer_one(app: &App, call: &Call, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let link = listing::one(app, table::by_id(scope, id), table::decode, "link").await?;
    Ok(call::json(StatusCode::OK, &shapes::link(&link, scope.mode, &call.origin)))
}

async fn answer_changed(app: &App, call: &Call, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let link = listing::one(app, table::by_id(scope, id), table::decode, "link").await?;
    known::link_changed(app, call.now, scope, &link).await;
    Ok(call::json(StatusCode::OK, &shapes::link(&link, scope.mode, &call.origin)))
}

/// One link.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    answer_one(&app, &call, &scope, &id).await
}

/// `POST …/{id}/{verb}`: `archive`, `pause`, `activate`.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let to = match verb.as_str() {
        "activate" => LinkStatus::Active,
        "pause" => LinkStatus::Paused,
        "archive" => LinkStatus::Archived,
        _ => return Err(ApiError::NotFound("action")),
    };
    app.db.batch(vec![table::set_status(&scope, &id, to)]).await?;
    answer_changed(&app, &call, &scope, &id).await
}
