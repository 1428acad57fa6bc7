//! `/api/v1/stripe-connections`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::ids::{self, ConnectionId};
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::stripe_events::{self as table, Connection};

/// What a connection's signing secret is sealed for.
pub fn secret_purpose(id: &ConnectionId) -> String {
    format!("stripe signing secret {id}")
}

/// Makes a connection of the signing secret that Stripe showed the merchant. The secret is never shown again.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    // Copied from a page, white space comes along.
    let secret = fields.required_text("signing_secret", 255).trim().to_owned();
    if !secret.is_empty() && (!secret.starts_with("whsec_") || secret.len() < 16) {
        fields.error("signing_secret", "must be the signing secret that Stripe shows, whsec_…");
    }
    fields.finish()?;
    let id: ConnectionId = app.fresh(call.now);
    let signing_secret = app.secrets.seal(&*app.random, &secret_purpose(&id), secret.as_bytes())?;
    let connection = Connection { id, scope, signing_secret, created_at: call.now };
    app.db.batch(vec![table::insert_connection(&connection)]).await?;
    Ok(call::json(StatusCode::CREATED, &shapes::connection(&connection, &call.origin)))
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
        shown.push((connection.id.to_string(), shapes::connection(&connection, &call.origin)));
    }
    Ok(listing::answer(shown, page.limit))
}
