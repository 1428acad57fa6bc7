//! `/api/v1/questions`: "why was this not credited?", asked by partners in the portal and answered here.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::partner::{QUESTION_CHARS_MAX, QuestionStatus};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::page::Page;
use crate::store::questions::{self as table, Filter, Question};
use crate::store::{Scope, conversions};

/// Conversions of one transaction id that are shown beside a question.
const CONVERSIONS_MAX: i64 = 5;

/// A page of questions; `?status=`, `?participant_id=` and `?program_id=` narrow it.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        status: query.word("status", QuestionStatus::WORDS),
        participant_id: query.text("participant_id"),
        program_id: query.text("program_id"),
    };
    let page = query.page::<ids::Question>();
    query.finish()?;
    let rows = table::list(&scope, &filter, &page);
    listing::page(&app, rows, &page, |row| Ok(shape(&table::decode(row)?, &scope))).await
}

/// One question, with the conversions that it names, as far as this workspace and mode have them, and what was decided of each.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    answer_one(&app, &scope, &id).await
}

/// `POST …/{id}/answer` `{text}`: closes the question, and the partner is told. A question has one answer.
pub async fn answer(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let text = fields.required_text("text", QUESTION_CHARS_MAX);
    fields.finish()?;
    let question = listing::one(&app, table::by_id(&scope, &id), table::decode, "question").await?;
    let written = app.db.batch(table::answer(&scope, &question, &text, &app.fresh(call.now), call.now)).await?;
    if written.first().is_none_or(Vec::is_empty) {
        return Err(ApiError::Conflict("The question has its answer already.".to_owned()));
    }
    answer_one(&app, &scope, &id).await
}

async fn answer_one(app: &App, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let question = listing::one(app, table::by_id(scope, id), table::decode, "question").await?;
    let mut shown = shape(&question, scope);
    shown["conversions"] = json!(beside(app, scope, &question).await?);
    Ok(call::json(StatusCode::OK, &shown))
}

/// The conversions that a question names, each with the decision in force. For the merchant's eyes only.
pub async fn beside(app: &App, scope: &Scope, question: &Question) -> Result<Vec<Json>, ApiError> {
    let mut reads = Vec::new();
    if let Some(id) = &question.conversion_id {
        reads.push(conversions::by_id(scope, id));
    }
    if let Some(transaction) = &question.external_transaction_id {
        let filter = conversions::Filter { external_transaction_id: Some(transaction.clone()), ..Default::default() };
        reads.push(conversions::list(scope, &filter, &Page { limit: CONVERSIONS_MAX - 1, after: None }));
    }
    if reads.is_empty() {
        return Ok(Vec::new());
    }
    let mut shown: Vec<(String, Json)> = Vec::new();
    for row in app.db.batch(reads).await?.iter().flatten() {
        let (conversion, commission_id) = conversions::decode(row)?;
        let id = conversion.id.to_string();
        if !shown.iter().any(|(known, _)| *known == id) {
            shown.push((id, shapes::conversion(&conversion, scope.mode, commission_id.as_deref())));
        }
    }
    let reads = shown.iter().map(|(id, _)| conversions::decisions_of(scope, id)).collect::<Vec<_>>();
    if reads.is_empty() {
        return Ok(Vec::new());
    }
    for ((_, shape), rows) in shown.iter_mut().zip(app.db.batch(reads).await?) {
        let decision = rows.first().map(conversions::decode_decision).transpose()?;
        shape["decision"] = json!(decision.map(|decision| shapes::decision(&decision, scope.mode)));
    }
    Ok(shown.into_iter().map(|(_, shape)| shape).collect())
}

fn shape(question: &Question, scope: &Scope) -> Json {
    json!({
        "id": question.id, "mode": scope.mode, "program_id": question.program_id,
        "participant_id": question.participant_id, "external_transaction_id": question.external_transaction_id,
        "happened_on": question.happened_on, "conversion_id": question.conversion_id, "text": question.text,
        "status": question.status.as_str(), "answer": question.answer,
        "answered_at": question.answered_at.map(|at| at.to_string()), "created_at": question.created_at.to_string(),
    })
}

#[cfg(test)]
mod tests;
