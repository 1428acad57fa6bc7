//! `/api/v1/webhook-deliveries`: what was sent where, and what came of it. Kept for 30 days.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::status::DeliveryStatus;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes::webhooks as shapes;
use crate::store::Scope;
use crate::store::webhooks::{self as table, Filter};

/// A page of deliveries.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        endpoint_id: query.text("endpoint_id"),
        event_id: query.text("event_id"),
        status: query.word("status", DeliveryStatus::WORDS).and_then(|word| DeliveryStatus::parse(&word)),
    };
    let page = query.page::<ids::Delivery>();
    query.finish()?;
    let show = |row: &_| Ok(shapes::delivery(&table::decode_delivery(row)?, &scope));
    listing::page(&app, table::list_deliveries(&scope, &filter, &page), &page, show).await
}

async fn shown(app: &App, scope: &Scope, id: &str, status: StatusCode) -> Result<Response, ApiError> {
    let delivery = listing::one(app, table::delivery(scope, id), table::decode_delivery, "webhook delivery").await?;
    Ok(call::json(status, &shapes::delivery(&delivery, scope)))
}

/// One delivery.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    shown(&app, &scope, &id, StatusCode::OK).await
}

/// `POST …/{id}/resend`: owes it once more, from the schedule's beginning, whatever came of it.
pub async fn resend(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    listing::one(&app, table::delivery(&scope, &id), table::decode_delivery, "webhook delivery").await?;
    let resent = app.db.rows(table::resend(&scope, &id, call.now)).await?;
    if resent.is_empty() {
        return Err(ApiError::Conflict("Its endpoint is disabled or deleted: enable it first.".to_owned()));
    }
    shown(&app, &scope, &id, StatusCode::ACCEPTED).await
}
