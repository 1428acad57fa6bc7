//! `/api/v1/stripe-connections`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::{self, ConnectionId, StripeLookupId};
use domain::mode::Mode;
use domain::status::LookupState;
use domain::time::MINUTE_MS;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::jobs::Message;
use crate::shapes;
use crate::store::stripe_events::{self as table, Connection};
use crate::store::stripe_lookups::{self, Lookup};
use crate::store::{DbError, Scope, families};
use crate::stripe_api::{KEY_CHARS_MAX, RestrictedKey, key_purpose};

/// For how long the old signing secret is accepted after a roll, unless the merchant says otherwise; in hours.
const OVERLAP_HOURS_DEFAULT: i64 = 24;
/// And at most. Stripe itself keeps an old secret for at most a day.
const OVERLAP_HOURS_MAX: i64 = 72;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What a connection's signing secret is sealed for.
pub fn secret_purpose(id: &ConnectionId) -> String {
    format!("stripe signing secret {id}")
}

/// Makes a connection, optionally with the signing secret that Stripe showed the merchant and a key to Stripe's API. Neither is
/// ever shown again. Stripe shows its secret to whoever has told it the connection's URL: until the secret is set, by
/// `signing-secret`, whatever comes is refused, since nobody knows what it would have to be signed with.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let secret = match fields.raw("signing_secret") {
        Some(_) => signing_secret(&mut fields),
        None => people::token(&app).as_str().to_owned(),
    };
    let key = restricted_key(&mut fields, scope.mode);
    fields.finish()?;
    let id: ConnectionId = app.fresh(call.now);
    let signing_secret = app.secrets.seal(&*app.random, &secret_purpose(&id), secret.as_bytes())?;
    let restricted_key = sealed_key(&app, &id, key)?;
    let connection = Connection { id, scope, signing_secret, previous: None, restricted_key, created_at: call.now };
    let shown = shapes::connection(&connection, &call.origin, call.now);
    let mut batch = vec![table::insert_connection(&connection)];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    app.db.batch(batch).await?;
    Ok(call::json(StatusCode::CREATED, &shown))
}

/// Copied from a page, white space comes along.
fn signing_secret(fields: &mut Fields) -> String {
    let secret = fields.required_text("signing_secret", 255).trim().to_owned();
    if !secret.is_empty() && (!secret.starts_with("whsec_") || secret.len() < 16) {
        fields.error("signing_secret", "must be the signing secret that Stripe shows, whsec_…");
    }
    secret
}

fn restricted_key(fields: &mut Fields, mode: Mode) -> Option<String> {
    let key = fields.text("restricted_key", KEY_CHARS_MAX)?.trim().to_owned();
    if !RestrictedKey::is_one(&key, mode) {
        let message = format!("must be a key of Stripe's {mode} mode: rk_{mode}_… (a restricted key) or sk_{mode}_…");
        fields.error("restricted_key", message);
    }
    Some(key)
}

fn sealed_key(app: &App, id: &ConnectionId, key: Option<String>) -> Result<Option<String>, ApiError> {
    key.map(|key| app.secrets.seal(&*app.random, &key_purpose(id), key.as_bytes())).transpose()
}

async fn find(app: &App, scope: &Scope, id: &str) -> Result<Connection, ApiError> {
    let rows = app.db.rows(table::connection_of(scope, id)).await?;
    rows.first().map(table::decode_connection).transpose()?.ok_or(ApiError::NotFound("Stripe connection"))
}

/// One connection, with what Stripe's API was asked by it.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let connection = find(&app, &scope, &id).await?;
    shown(&app, &call, &connection, StatusCode::OK).await
}

async fn shown(app: &App, call: &Call, connection: &Connection, status: StatusCode) -> Result<Response, ApiError> {
    let asked = vec![stripe_lookups::reconcile_of(&connection.id), stripe_lookups::counts(&connection.id)];
    let asked = app.db.of(&connection.scope.workspace_id).batch(asked).await?;
    let first = |place: usize| asked.get(place).and_then(|rows| rows.first());
    let reconcile: Option<Lookup> = first(0).map(stripe_lookups::decode).transpose()?;
    let counts = first(1).ok_or_else(|| ApiError::Internal("counting look-ups gave no row".to_owned()))?;
    let counts = (counts.integer("pending")?, counts.integer("failed")?, counts.text_opt("last_error")?);
    let shape = shapes::connection_with_lookups(connection, &call.origin, call.now, reconcile.as_ref(), counts);
    Ok(call::json(status, &shape))
}

/// `POST …/{id}/restricted-key`: sets the key, or without one takes it away. With a key, what had been given up is asked again,
/// and what nobody could be asked about so far is looked at.
pub async fn set_restricted_key(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let key = restricted_key(&mut fields, scope.mode);
    fields.finish()?;
    let mut connection = find(&app, &scope, &id).await?;
    connection.restricted_key = sealed_key(&app, &connection.id, key)?;
    let mut batch = vec![table::set_restricted_key(&scope, &connection.id, connection.restricted_key.as_ref())];
    if connection.restricted_key.is_some() {
        batch.push(stripe_lookups::revive(&connection.id, call.now));
        batch.push(table::take_up_parked(&connection.id, call.now));
        batch.push(families::look_again_at_unknown_fees(&scope, call.now));
    }
    app.db.batch(batch).await?;
    shown(&app, &call, &connection, StatusCode::OK).await
}

/// `POST …/{id}/signing-secret`: takes the secret that Stripe showed when it was rolled. The old one is accepted until the
/// overlap ends. The same secret again changes nothing.
pub async fn roll_signing_secret(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let secret = signing_secret(&mut fields);
    let overlap = fields.integer("overlap_hours", 0, OVERLAP_HOURS_MAX).unwrap_or(OVERLAP_HOURS_DEFAULT);
    fields.finish()?;
    let mut connection = find(&app, &scope, &id).await?;
    let purpose = secret_purpose(&connection.id);
    let held = app.secrets.open(&purpose, &connection.signing_secret);
    if held.is_none_or(|held| held != secret.as_bytes()) {
        let sealed = app.secrets.seal(&*app.random, &purpose, secret.as_bytes())?;
        let until = call.now.plus_ms(overlap * HOUR_MS);
        app.db.batch(vec![table::roll_signing_secret(&scope, &connection.id, &sealed, until)]).await?;
        let old = std::mem::replace(&mut connection.signing_secret, sealed);
        connection.previous = Some((old, until));
    }
    shown(&app, &call, &connection, StatusCode::OK).await
}

/// `POST …/{id}/reconcile`: begins to list what Stripe could not deliver in 30 days, unless that is going on already. How far
/// it has come, the connection shows.
pub async fn reconcile(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let connection = find(&app, &scope, &id).await?;
    if connection.restricted_key.is_none() {
        let why = "Reconciling needs a key to Stripe's API: set restricted_key first.";
        return Err(ApiError::Conflict(why.to_owned()));
    }
    let id: StripeLookupId = app.fresh(call.now);
    let begin = stripe_lookups::begin_reconcile(&scope, &connection.id, &id, call.now);
    let found = app.db.of(&scope.workspace_id).batch(vec![begin, stripe_lookups::reconcile_of(&connection.id)]).await?;
    let missing = DbError::Row { column: "id", expected: "a reconciliation that was just begun" };
    let row = found.get(1).and_then(|rows| rows.first()).ok_or(missing)?;
    let message = Message::StripeLookup { id: row.text("id")? };
    let response = shown(&app, &call, &connection, StatusCode::ACCEPTED).await?;
    Ok(call::after(response, [message]))
}

/// A page of what Stripe's API was asked by this connection, and what came of it.
pub async fn lookups(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let state = query.word("state", LookupState::WORDS);
    let page = query.page::<ids::StripeLookup>();
    query.finish()?;
    let connection = find(&app, &scope, &id).await?;
    let mut shown = Vec::new();
    for row in &app.db.rows(stripe_lookups::list(&scope, &connection.id, state.as_ref(), &page)).await? {
        let lookup = stripe_lookups::decode(row)?;
        shown.push((lookup.id.to_string(), shapes::stripe_lookup(&lookup)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// Deletes a connection by which no event has come. One that has had events is what they were verified by.
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let connection = find(&app, &scope, &id).await?;
    let deleted = app.db.batch(table::delete_connection(&scope, connection.id.as_str())).await?;
    if deleted.last().is_none_or(Vec::is_empty) {
        let why = "Events have come by this connection; it is kept with them.";
        return Err(ApiError::Conflict(why.to_owned()));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A page of connections.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Connection>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list_connections(&scope, &page)).await? {
        let connection = table::decode_connection(row)?;
        shown.push((connection.id.to_string(), shapes::connection(&connection, &call.origin, call.now)));
    }
    Ok(listing::answer(shown, page.limit))
}

#[cfg(test)]
mod tests;
