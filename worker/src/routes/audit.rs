//! `GET /api/v1/attribution-audit`: every decision, with what it looked at and why.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::attribution::Reason;
use domain::ids;
use http::StatusCode;
use serde_json::json;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::conversions::{self as table, AuditFilter};

/// The decisions of a workspace and mode, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = AuditFilter {
        conversion_id: query.text("conversion_id"),
        external_transaction_id: query.text("external_transaction_id"),
        participant_id: query.text("participant_id"),
        reason: query.word("reason", Reason::WORDS),
        from: query.instant("from"),
        to: query.instant("to"),
    };
    let page = query.page::<ids::Decision>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::audit(&scope, &filter, &page)).await? {
        let decision = table::decode_decision(row)?;
        shown.push((decision.id.to_string(), shapes::decision(&decision, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One conversion's decision in force, and those before it in `history`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(conversion_id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut decisions = Vec::new();
    for row in &app.db.rows(table::decisions_of(&scope, &conversion_id)).await? {
        decisions.push(shapes::decision(&table::decode_decision(row)?, scope.mode));
    }
    if decisions.is_empty() {
        return Err(ApiError::NotFound("conversion"));
    }
    let mut current = decisions.remove(0);
    current["history"] = json!(decisions);
    Ok(call::json(StatusCode::OK, &current))
}
