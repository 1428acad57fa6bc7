//! `GET /api/v1/commissions`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::commissions as table;

/// A page of commissions.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Commission>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &page)).await? {
        let commission = table::decode(row)?;
        shown.push((commission.id.clone(), shapes::commission(&commission, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One commission.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shapes::commission(&table::decode(row)?, scope.mode))),
        None => Err(ApiError::NotFound("commission")),
    }
}
