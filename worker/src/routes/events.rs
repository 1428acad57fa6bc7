//! `/api/v1/events`: the outbox.

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
use crate::store::events as table;

/// A page of events; `?type=` and `?subject=` narrow it.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let (kind, subject) = (query.text("type"), query.text("subject"));
    let page = query.page::<ids::Event>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, kind.as_ref(), subject.as_ref(), &page)).await? {
        let event = table::decode(row)?;
        shown.push((event.id.clone(), shapes::event(&event, &scope)));
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
    let event = listing::one(&app, table::by_id(&scope, &id), table::decode, "event").await?;
    Ok(call::json(StatusCode::OK, &shapes::event(&event, &scope)))
}
