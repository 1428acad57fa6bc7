//! `/api/v1/webhook-endpoints`: where a merchant is told of what happens.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::{self, DeliveryId, EndpointId, EventId};
use domain::mode::Mode;
use domain::status::{DisabledReason, EndpointStatus};
use domain::time::{HOUR_MS, Instant};
use domain::webhook::signature::Secret;
use domain::webhook::{ENDPOINTS_MAX, EVENT_TYPES, PING};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::shapes::webhooks as shapes;
use crate::store::webhooks::{self as table, Endpoint};
use crate::store::{Scope, events};
use crate::webhooks::URL_CHARS_MAX;
use crate::webhooks::lane::{GIVEN_UP_AT_ONCE, secret_purpose};
use crate::webhooks::target;

/// Hours for which an old secret signs beside the new one, unless the caller says otherwise.
const OVERLAP_HOURS_DEFAULT: i64 = 24;
/// And at most.
const OVERLAP_HOURS_MAX: i64 = 72;
/// Every event, as an endpoint names it.
const EVERYTHING: &str = "*";
/// Deliveries that one call owes again at most; the caller repeats it while there is more.
const RESENT_AT_ONCE: i64 = 1_000;

/// Adds an endpoint. Its secret is in this answer and in no other.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let given = fields.required_text("url", URL_CHARS_MAX);
    let url = url(&app, &mut fields, &given, scope.mode).await;
    let events = event_types(&mut fields);
    if events.is_none() && fields.raw("events").is_none() {
        fields.error("events", format!("must list event types, or [\"{EVERYTHING}\"] for all of them"));
    }
    fields.finish()?;
    let id: EndpointId = app.fresh(call.now);
    let secret = fresh_secret(&app);
    let endpoint = Endpoint {
        secret: app.secrets.seal(&*app.random, &secret_purpose(&id), secret.as_str().as_bytes())?,
        id,
        scope,
        url: url.unwrap_or_default(),
        events: events.unwrap_or_default(),
        status: EndpointStatus::Enabled,
        disabled_reason: None,
        previous: None,
        failing_since: None,
        origin: Some(call.origin.clone()),
        created_at: call.now,
    };
    let shown = shapes::endpoint(&endpoint, call.now, Some(&secret));
    let mut batch = vec![table::insert(&endpoint)?];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    let added = app.db.batch(batch).await?;
    if added.iter().all(Vec::is_empty) {
        let why = format!("There are {ENDPOINTS_MAX} endpoints in this mode, which is the limit: delete one first.");
        return Err(ApiError::Conflict(why));
    }
    Ok(call::json(StatusCode::CREATED, &shown))
}

fn fresh_secret(app: &App) -> Secret {
    let mut bytes = [0; 32];
    app.random.fill(&mut bytes);
    Secret::new(bytes)
}

/// The URL as it will be asked, if a webhook may go there.
async fn url(app: &App, fields: &mut Fields, given: &str, mode: Mode) -> Option<String> {
    if given.is_empty() {
        return None;
    }
    match target::judge(app, given, mode).await {
        Ok(target) => Some(target.url),
        Err(bad) => {
            fields.error("url", bad.to_string());
            None
        }
    }
}

fn event_types(fields: &mut Fields) -> Option<Vec<String>> {
    let given = fields.raw("events")?.clone();
    let texts = given.as_array().map(|list| list.iter().map(Json::as_str).collect::<Option<Vec<_>>>());
    let Some(Some(names)) = texts.filter(|names| names.as_ref().is_none_or(|names| !names.is_empty())) else {
        fields.error("events", "must be a list of event types, not empty");
        return None;
    };
    if let Some(unknown) = names.iter().find(|name| ![EVERYTHING, PING].contains(name) && !EVENT_TYPES.contains(name)) {
        let shown: String = unknown.chars().take(50).collect();
        fields.error("events", format!("must hold {EVERYTHING} or any of {}; not {shown}", EVENT_TYPES.join(", ")));
        return None;
    }
    // In the order of the list of all, each once.
    let known = std::iter::once(&EVERYTHING).chain(EVENT_TYPES.iter()).chain(std::iter::once(&PING));
    Some(known.filter(|name| names.contains(name)).map(|name| (*name).to_owned()).collect())
}

/// A page of endpoints.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Endpoint>();
    query.finish()?;
    let show = |row: &_| Ok(shapes::endpoint(&table::decode(row)?, call.now, None));
    listing::page(&app, table::list(&scope, &page), &page, show).await
}

async fn find(app: &App, scope: &Scope, id: &str) -> Result<Endpoint, ApiError> {
    listing::one(app, table::by_id(scope, id), table::decode, "webhook endpoint").await
}

async fn shown(app: &App, call: &Call, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    Ok(call::json(StatusCode::OK, &shapes::endpoint(&find(app, scope, id).await?, call.now, None)))
}

/// One endpoint.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    shown(&app, &call, &scope, &id).await
}

/// Changes its URL, its events, or both. What is owed already goes to the new URL.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let endpoint = find(&app, &scope, &id).await?;
    let given = fields.text("url", URL_CHARS_MAX).unwrap_or_default();
    let url = url(&app, &mut fields, &given, scope.mode).await;
    let events = event_types(&mut fields);
    fields.finish()?;
    let (url, events) = (url.unwrap_or(endpoint.url), events.unwrap_or(endpoint.events));
    app.db.batch(vec![table::change(&scope, &endpoint.id, &url, &events)?]).await?;
    shown(&app, &call, &scope, &id).await
}

/// Removes an endpoint. What it is owed is given up.
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let endpoint = find(&app, &scope, &id).await?;
    // What is more than this its lane gives up.
    let given_up = table::give_up(&endpoint.id, call.now, GIVEN_UP_AT_ONCE);
    app.db.batch(vec![table::delete(&scope, &endpoint.id, call.now), given_up]).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST …/{id}/ping`: owes this endpoint a `webhook.test`, whatever it wants to be told of.
pub async fn ping(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let endpoint = find(&app, &scope, &id).await?;
    refuse_disabled(&endpoint)?;
    let event_id: EventId = app.fresh(call.now);
    let event = table::ping(event_id.clone(), &endpoint);
    let owed = table::delivery_of(&endpoint.id, event_id.as_str());
    let rows = app.db.batch(vec![events::insert(&scope, &event, call.now)?, owed]).await?;
    let missing = || ApiError::Internal("a ping was not owed".to_owned());
    let delivery = rows.last().and_then(|rows| rows.first()).ok_or_else(missing)?;
    let delivery = table::decode_delivery(delivery)?;
    Ok(call::json(StatusCode::ACCEPTED, &shapes::delivery(&delivery, &scope)))
}

fn refuse_disabled(endpoint: &Endpoint) -> Result<(), ApiError> {
    match endpoint.status {
        EndpointStatus::Enabled => Ok(()),
        EndpointStatus::Disabled => Err(ApiError::Conflict("This endpoint is disabled: enable it first.".to_owned())),
    }
}

/// `POST …/{id}/resend`: owes again what failed of the events that happened since a moment. A call that says `more` has left some: repeat it.
pub async fn resend(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let since: Option<Instant> = fields.instant("since");
    if since.is_none() && fields.raw("since").is_none() {
        fields.error("since", "must say since when, such as 2026-11-01T00:00:00Z");
    }
    fields.finish()?;
    let endpoint = find(&app, &scope, &id).await?;
    refuse_disabled(&endpoint)?;
    let after = DeliveryId::least(since.unwrap_or(call.now));
    let resent = app.db.rows(table::resend_since(&endpoint, &after, call.now, RESENT_AT_ONCE)).await?;
    let more = i64::try_from(resent.len()).is_ok_and(|count| count == RESENT_AT_ONCE);
    Ok(call::json(StatusCode::ACCEPTED, &json!({ "resent": resent.len(), "more": more })))
}

/// `POST …/{id}/rotate`: makes a new secret, which is in this answer and in no other. The old one signs too until the overlap
/// ends or is ended.
pub async fn rotate(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut fields = management::json_body_or_nothing(request).await?;
    let overlap = fields.integer("overlap_hours", 0, OVERLAP_HOURS_MAX).unwrap_or(OVERLAP_HOURS_DEFAULT);
    fields.finish()?;
    let mut endpoint = find(&app, &scope, &id).await?;
    if endpoint.previous.as_ref().is_some_and(|(_, until)| call.now < *until) {
        let why = "The last rotation's overlap is not over, and a third secret would end it: switch first.";
        return Err(ApiError::Conflict(why.to_owned()));
    }
    let secret = fresh_secret(&app);
    let sealed = app.secrets.seal(&*app.random, &secret_purpose(&endpoint.id), secret.as_str().as_bytes())?;
    let until = call.now.plus_ms(overlap * HOUR_MS);
    let mut batch = vec![table::rotate(&endpoint, &sealed, until)];
    let old = std::mem::replace(&mut endpoint.secret, sealed);
    endpoint.previous = Some((old, until));
    let shown = shapes::endpoint(&endpoint, call.now, Some(&secret));
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::OK, &shown)?);
    let rotated = app.db.batch(batch).await?;
    if rotated.iter().all(Vec::is_empty) {
        return Err(ApiError::Conflict("This endpoint was rotated by somebody else just now.".to_owned()));
    }
    Ok(call::json(StatusCode::OK, &shown))
}

/// `POST …/{id}/{verb}`: `enable`, `disable`, or `switch`, which ends the overlap of a rotation.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    if !["enable", "disable", "switch"].contains(&verb.as_str()) {
        return Err(ApiError::NotFound("path"));
    }
    let endpoint = find(&app, &scope, &id).await?;
    let batch = match verb.as_str() {
        "enable" => vec![table::set_status(&scope, &endpoint.id, None)],
        "disable" => vec![
            table::set_status(&scope, &endpoint.id, Some(DisabledReason::ByHand)),
            table::give_up(&endpoint.id, call.now, GIVEN_UP_AT_ONCE),
        ],
        _ => vec![table::switch(&scope, &endpoint.id)],
    };
    app.db.batch(batch).await?;
    shown(&app, &call, &scope, &id).await
}

#[cfg(test)]
mod tests;
