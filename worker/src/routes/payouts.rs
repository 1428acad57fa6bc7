//! `/api/v1/payouts`: listed, read, paid and canceled; and what is still to be paid. [`drafts`] makes them, [`csv`] writes
//! them for a bank or a spreadsheet.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::{self, ActId};
use domain::payout::{PayoutAct, PayoutStatus, is_payable};
use domain::status::CommissionState;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::acts::{self, NewAct};
use crate::store::commissions::{self, Commission};
use crate::store::events::{self, Event};
use crate::store::payouts::{self as table, Payout};
use crate::store::{DbError, Scope, Statement};

pub mod csv;
pub mod drafts;

/// How often something is decided again because another request came between.
const ATTEMPTS_MAX: u32 = 3;

/// What a list is narrowed to, by `?status=` and `?participant_id=`.
fn filter(query: &mut Query) -> table::Filter {
    table::Filter { status: query.word("status", PayoutStatus::WORDS), participant_id: query.text("participant_id") }
}

/// A page of payouts.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = filter(&mut query);
    let page = query.page::<ids::Payout>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let payout = table::decode(row)?;
        shown.push((payout.id.to_string(), shapes::payouts::payout(&payout, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One payout.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shapes::payouts::payout(&table::decode(row)?, scope.mode))),
        None => Err(ApiError::NotFound("payout")),
    }
}

/// `GET …/balances`: a page of the participants who have commissions, each with what is unsettled, drafted and paid in each
/// currency; `?program_id=` and `?participant_id=` narrow it.
pub async fn balances(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let (program, participant) = (query.text("program_id"), query.text("participant_id"));
    let page = query.page::<ids::Participant>();
    query.finish()?;
    let rows = app.db.rows(table::participants(&scope, program.as_ref(), participant.as_ref(), &page)).await?;
    let participants: Vec<(String, String)> =
        rows.iter().map(|row| Ok((row.text("id")?, row.text("program_id")?))).collect::<Result<_, DbError>>()?;
    let ids: Vec<String> = participants.iter().map(|(id, _)| id.clone()).collect();
    let rows = app.db.rows(table::sums(&scope, &ids)?).await?;
    let sums = rows.iter().map(table::decode_sums).collect::<Result<Vec<_>, _>>()?;
    let shown = participants
        .into_iter()
        .map(|(id, program)| {
            let shape = shapes::payouts::balances(&id, &program, &sums, scope.mode);
            (id, shape)
        })
        .collect();
    Ok(listing::answer(shown, page.limit))
}

/// `POST …/{id}/{verb}`: `pay` says that the money was sent, and makes the payout's commissions paid; `cancel` gives its
/// entries free. Both may have a `reason`.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let (act, kind) = match verb.as_str() {
        "pay" => (PayoutAct::Pay, "payout.pay"),
        "cancel" => (PayoutAct::Cancel, "payout.cancel"),
        _ => return Err(ApiError::NotFound("action")),
    };
    let mut fields = management::json_body_or_nothing(request).await?;
    let reason = fields.text("reason", 500);
    fields.finish()?;
    let act_id: ActId = app.fresh(call.now);
    for _ in 0..ATTEMPTS_MAX {
        let mut found =
            app.db.batch(vec![table::by_id(&scope, &id), commissions::of_payout(&scope, &id)]).await?.into_iter();
        let row = found.next().unwrap_or_default();
        let mut payout = row.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("payout"))?;
        let settled = found.next().unwrap_or_default();
        let settled = settled.iter().map(commissions::decode).collect::<Result<Vec<_>, _>>()?;
        let Some(to) = payout.status.after(act) else {
            return Err(ApiError::Conflict(format!("A payout that is {} cannot be changed.", payout.status.as_str())));
        };
        let recorded = NewAct {
            id: act_id.clone(),
            kind,
            subject: &id,
            reason: reason.as_deref(),
            detail: None,
            request_id: &call.request_id,
            person_id: actor.person_id(),
        };
        let mut batch =
            vec![table::move_by_act(&scope, &payout, to, call.now), acts::insert(&scope, &recorded, call.now)];
        (payout.status, payout.settled_at) = (to, Some(call.now));
        batch.extend(match act {
            PayoutAct::Pay => paid(&app, &call, &scope, &payout, settled)?,
            PayoutAct::Cancel => vec![table::release(&payout.id)],
        });
        match app.db.batch(batch).await {
            Ok(_) => return Ok(call::json(StatusCode::OK, &shapes::payouts::payout(&payout, scope.mode))),
            // The payout or one of its commissions was changed meanwhile: looked at again, it says which.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Conflict("The payout was changed at the same time; look again.".to_owned()))
}

/// What is written beside the payout's own row when it is paid. Every commission must still be payable.
fn paid(
    app: &App,
    call: &Call,
    scope: &Scope,
    payout: &Payout,
    settled: Vec<Commission>,
) -> Result<Vec<Statement>, ApiError> {
    if let Some(stuck) = settled.iter().find(|commission| !is_payable(commission.state, commission.disputed)) {
        let why = if stuck.disputed { "disputed" } else { stuck.state.as_str() };
        return Err(ApiError::Conflict(format!(
            "The commission {} is {why} by now; cancel this payout and make another without it.",
            stuck.id
        )));
    }
    let event = |kind, subject: &str, data| Event { id: app.fresh(call.now), kind, subject: subject.to_owned(), data };
    let mut told = vec![event("payout.paid", payout.id.as_str(), shapes::payouts::payout(payout, scope.mode))];
    let mut batch = Vec::new();
    for seen in [CommissionState::Approved, CommissionState::Paid] {
        let ids: Vec<&str> = settled.iter().filter(|one| one.state == seen).map(|one| one.id.as_str()).collect();
        if !ids.is_empty() {
            batch.push(commissions::pay(scope, &ids, seen)?);
        }
    }
    for mut commission in settled.into_iter().filter(|one| one.state == CommissionState::Approved) {
        commission.state = CommissionState::Paid;
        told.push(event("commission.paid", &commission.id, shapes::commission(&commission, scope.mode)));
    }
    batch.extend(events::insert_all(scope, &told, call.now)?);
    Ok(batch)
}

#[cfg(test)]
mod tests;
