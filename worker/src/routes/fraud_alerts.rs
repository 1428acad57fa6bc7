//! `/api/v1/fraud-alerts`: what the fraud rules found remarkable.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::fraud::Rule;
use domain::ids;
use domain::mode::Mode;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::acts::{self, NewAct};
use crate::store::fraud_alerts::{self as table, Filter, Listed};
use crate::store::{DbError, Scope};

/// A page of alerts.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        conversion_id: query.text("conversion_id"),
        participant_id: query.text("participant_id"),
        rule: query.word("rule", Rule::WORDS),
        status: query.word("status", &["open", "dismissed"]),
    };
    let page = query.page::<ids::FraudAlert>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let alert = table::decode(row)?;
        shown.push((alert.id.clone(), shape(&alert, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

async fn one(app: &App, scope: &Scope, id: &str) -> Result<Listed, ApiError> {
    let rows = app.db.rows(table::by_id(scope, id)).await?;
    rows.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("fraud alert"))
}

/// One alert.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    Ok(call::json(StatusCode::OK, &shape(&one(&app, &scope, &id).await?, scope.mode)))
}

/// `POST …/{id}/dismiss`, which may have a `reason`: a person has looked, and it is nothing. A commission that it holds is approved at the commission.
pub async fn dismiss(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let mut fields = management::json_body_or_nothing(request).await?;
    let reason = fields.text("reason", 500);
    fields.finish()?;
    let mut alert = one(&app, &scope, &id).await?;
    let act = NewAct {
        id: app.fresh(call.now),
        kind: "fraud_alert.dismiss",
        subject: &alert.conversion_id,
        reason: reason.as_deref(),
        detail: Some(crate::store::to_json(&json!({"fraud_alert_id": id, "rule": alert.rule}))?),
        request_id: &call.request_id,
        person_id: actor.person_id(),
    };
    match app.db.batch(vec![table::dismiss(&scope, &id), acts::insert(&scope, &act, call.now)]).await {
        Ok(_) => {
            alert.status = "dismissed".to_owned();
            Ok(call::json(StatusCode::OK, &shape(&alert, scope.mode)))
        }
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict("This alert is dismissed already.".to_owned())),
        Err(error) => Err(error.into()),
    }
}

fn shape(alert: &Listed, mode: Mode) -> Json {
    json!({
        "id": alert.id, "mode": mode, "conversion_id": alert.conversion_id, "participant_id": alert.participant_id,
        "rule": alert.rule, "explanation": Rule::parse(&alert.rule).map(Rule::explanation), "response": alert.response,
        "status": alert.status, "created_at": alert.created_at.to_string(),
    })
}
