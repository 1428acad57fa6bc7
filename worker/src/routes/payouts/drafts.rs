//! `POST /api/v1/payouts`: makes drafts. With `participant_id` and `currency`, one draft is made and answered. Without, a
//! draft is made for everybody who is due, in all programs or in the one that `program_id` names, at most
//! [`DRAFTS_MAX`] in one call, and the answer is `{"data":[…],"left":n}`: `n` more are due, and the call is to be repeated.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::ids::{ParticipantId, ProgramId};
use domain::mode::Mode;
use domain::money::Currency;
use domain::payout::{Balance, PayoutStatus, balance};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::ATTEMPTS_MAX;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::idempotency;
use crate::routes::management;
use crate::shapes;
use crate::store::events::{self, Event};
use crate::store::payouts::{self as table, Payout, Standing};
use crate::store::{DbError, Scope, Statement, partners, programs};

/// Drafts that one call makes.
pub const DRAFTS_MAX: i64 = 100;

/// Makes one draft, or one for everybody who is due.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let participant_id: Option<ParticipantId> = fields.id("participant_id");
    let program_id: Option<ProgramId> = fields.id("program_id");
    let currency = fields.currency("currency");
    let given = |name| fields.raw(name).is_some();
    match (given("participant_id"), given("currency"), given("program_id")) {
        (true, false, _) => fields.error("currency", "is required with participant_id"),
        (false, true, _) => fields.error("participant_id", "is required with currency"),
        (true, _, true) => fields.error("program_id", "is not taken with participant_id, who is in one program"),
        _ => {}
    }
    fields.finish()?;
    if scope.mode == Mode::Test {
        let why = "Test mode is never paid out: what is earned there is not real. Use a key of live mode.";
        return Err(ApiError::Conflict(why.to_owned()));
    }
    match participant_id.zip(currency) {
        Some((participant, currency)) => one(&app, &call, &scope, &participant, currency).await,
        None => everybody(&app, &call, &scope, program_id.as_ref()).await,
    }
}

async fn one(
    app: &App,
    call: &Call,
    scope: &Scope,
    participant: &ParticipantId,
    currency: Currency,
) -> Result<Response, ApiError> {
    for _ in 0..ATTEMPTS_MAX {
        let id = participant.as_str();
        let found = app.db.batch(vec![partners::of_participant(scope, id), table::unsettled(scope, &[id])?]).await?;
        let [known, standings] = found.as_slice() else {
            return Err(ApiError::Internal("a batch of two gave another number of results".to_owned()));
        };
        let partner = known.first().map(partners::decode).transpose()?.ok_or(ApiError::NotFound("participant"))?;
        if partner.erased_at.is_some() {
            let why =
                "The partner is erased: nobody knows any more where to send it, and nobody is paid in their place.";
            return Err(ApiError::Conflict(why.to_owned()));
        }
        let standings = standings.iter().map(table::decode_unsettled).collect::<Result<Vec<_>, _>>()?;
        let Some(standing) = standings.iter().find(|standing| standing.currency == currency) else {
            return Err(ApiError::Conflict(format!("There is nothing unsettled in {currency}.")));
        };
        let (payout, mut batch) = draft(app, call, scope, standing)?;
        let shown = shapes::payouts::payout(&payout, scope.mode);
        batch.extend(idempotency::with_deed(app, call, StatusCode::CREATED, &shown)?);
        match app.db.batch(batch).await {
            Ok(_) => return Ok(call::json(StatusCode::CREATED, &shown)),
            // Another draft, or another entry, was faster: looked at again.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Conflict("The balance was changed at the same time; look again.".to_owned()))
}

async fn everybody(app: &App, call: &Call, scope: &Scope, program: Option<&ProgramId>) -> Result<Response, ApiError> {
    let program = program.map(|id| id.as_str());
    if let Some(id) = program
        && app.db.rows(programs::by_id(scope, id)).await?.is_empty()
    {
        return Err(ApiError::NotFound("program"));
    }
    let rows = app.db.rows(table::due(scope, program, DRAFTS_MAX)).await?;
    let due = rows.first().map_or(Ok(0), |row| row.integer("due"))?;
    let pairs = rows.iter().map(table::decode_due).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<&str> = pairs.iter().map(|pair| pair.participant_id.as_str()).collect();
    let rows = if ids.is_empty() { Vec::new() } else { app.db.rows(table::unsettled(scope, &ids)?).await? };
    let mut made = Vec::new();
    for row in &rows {
        let standing = table::decode_unsettled(row)?;
        let is_due = |pair: &table::DuePair| {
            pair.participant_id == standing.participant_id && pair.currency == standing.currency
        };
        if !pairs.iter().any(is_due) {
            continue;
        }
        // Each in a batch of its own: one that another request was faster with holds up nobody else's.
        match draft(app, call, scope, &standing) {
            Ok((payout, batch)) => match app.db.batch(batch).await {
                Ok(_) => made.push(shapes::payouts::payout(&payout, scope.mode)),
                Err(DbError::Constraint(_)) => {}
                Err(error) => return Err(error.into()),
            },
            // It was due a moment ago; it is carried now.
            Err(ApiError::Conflict(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let left = due - i64::try_from(made.len()).unwrap_or(0);
    Ok(call::json(StatusCode::CREATED, &json!({ "data": made, "left": left })))
}

/// The draft of what stands, and its batch; a conflict that says why where it is carried.
fn draft(app: &App, call: &Call, scope: &Scope, standing: &Standing) -> Result<(Payout, Vec<Statement>), ApiError> {
    let entries = standing.unsettled();
    let amount_cents = match balance(&entries, standing.minimum_cents) {
        Balance::Due { amount_cents } => amount_cents,
        Balance::Carried { amount_cents } => return Err(ApiError::Conflict(carried(standing, amount_cents))),
    };
    let payout = Payout {
        id: app.fresh(call.now),
        participant_id: standing.participant_id.clone(),
        program_id: standing.program_id.clone(),
        currency: standing.currency,
        amount_cents,
        status: PayoutStatus::Draft,
        entries: i64::try_from(entries.len()).unwrap_or(i64::MAX),
        commission_ids: standing.commission_ids(),
        created_at: call.now,
        settled_at: None,
    };
    let data: Json = shapes::payouts::payout(&payout, scope.mode);
    let event = Event { id: app.fresh(call.now), kind: "payout.created", subject: payout.id.to_string(), data };
    let mut batch = table::insert(scope, &payout, standing, call.now, &call.request_id)?;
    batch.push(events::insert(scope, &event, call.now)?);
    Ok((payout, batch))
}

fn carried(standing: &Standing, amount_cents: i64) -> String {
    let (currency, minimum) = (standing.currency, standing.minimum_cents);
    let amount = currency.decimal(amount_cents);
    if amount_cents <= 0 {
        format!("The balance is {amount} {currency}: a payout is never negative, so it is carried to the next one.")
    } else {
        let minimum = currency.decimal(minimum);
        format!("The balance of {amount} {currency} is below the program's minimum of {minimum}; it is carried.")
    }
}
