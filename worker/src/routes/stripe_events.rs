//! `/api/v1/stripe-events`: the ingress log.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::status::StripeOutcome;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::stripe_events::{self as table, Filter};

/// A page of events.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        kind: query.text("type"),
        outcome: query.word("outcome", StripeOutcome::WORDS),
        reason: query.text("reason"),
        from: query.instant("from"),
        to: query.instant("to"),
    };
    let page = query.page::<ids::StripeEvent>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let event = table::decode(row)?;
        shown.push((event.id.clone(), shapes::stripe_event(&event)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One event.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shapes::stripe_event(&table::decode(row)?))),
        None => Err(ApiError::NotFound("Stripe event")),
    }
}
