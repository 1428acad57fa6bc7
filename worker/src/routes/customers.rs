//! `/api/v1/customers`: who bought, and which participant won them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::mode::Mode;
use domain::sale::customer;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::customers::{self as table, Listed};

/// A page of customers; `external_id` or `stripe_customer_id` names one.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let external = query.text("external_id").map(|id| customer::external_key(&id));
    let stripe = query.text("stripe_customer_id").map(|id| customer::stripe_key(&id));
    let page = query.page::<ids::Customer>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, external.or(stripe).as_ref(), &page)).await? {
        let customer = table::decode(row)?;
        shown.push((customer.id.clone(), shape(&customer, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One customer.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shape(&table::decode(row)?, scope.mode))),
        None => Err(ApiError::NotFound("customer")),
    }
}

fn shape(customer: &Listed, mode: Mode) -> Json {
    json!({
        "id": customer.id, "mode": mode, "external_id": customer.external_id,
        "stripe_customer_id": customer.stripe_customer_id, "participant_id": customer.participant_id,
        "bound_by": customer.bound_by, "bound_at": customer.bound_at.map(|at| at.to_string()),
        "purchases": customer.purchases, "created_at": customer.created_at.to_string(),
    })
}

#[cfg(test)]
mod tests;
