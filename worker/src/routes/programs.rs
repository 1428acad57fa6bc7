//! `/api/v1/programs`, with their rewards.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::attribution::{WINDOW_DAYS_DEFAULT, WINDOW_DAYS_MAX};
use domain::ids::{self, ProgramId};
use domain::money::Currency;
use domain::reward::{Basis, Rate, RewardVersion, Trigger, WHOLE_BPS};
use domain::status::{AttributionModel, ProgramStatus};
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Map, Value as Json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::shapes;
use crate::store::programs::{self as table, Program};
use crate::store::{DbError, Scope};

const REWARDS_MAX: usize = 20;
const HOLD_DAYS_MAX: i64 = 365;

/// Makes a program and the first version of each of its rewards.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let id: ProgramId = app.fresh(call.now);
    let name = fields.required_text("name", 100);
    let slug = fields.text("slug", 63);
    if slug.as_deref().is_some_and(|slug| !is_slug(slug)) {
        fields.error("slug", "must be lower-case letters, digits and inner dashes");
    }
    let program = Program {
        slug: slug.unwrap_or_else(|| id.as_str().replace('_', "-")),
        name,
        status: fields.word("status", ProgramStatus::WORDS, ProgramStatus::parse).unwrap_or(ProgramStatus::Draft),
        attribution_window_days: fields
            .integer("attribution_window_days", 1, WINDOW_DAYS_MAX)
            .unwrap_or(WINDOW_DAYS_DEFAULT),
        attribution_model: fields
            .word("attribution_model", AttributionModel::WORDS, AttributionModel::parse)
            .unwrap_or(AttributionModel::LastClick),
        minimum_payout_cents: fields.amount("minimum_payout_cents").unwrap_or(0),
        created_at: call.now,
        id,
    };
    let mut versions = Vec::new();
    for (place, object) in fields.objects("rewards", REWARDS_MAX).into_iter().enumerate() {
        let mut nested = Fields::of(object);
        versions.extend(first_version(&app, &mut nested, &program.id, call.now));
        fields.absorb(&format!("rewards[{place}]"), nested);
    }
    fields.finish()?;
    let mut batch = vec![table::insert(&scope, &program)];
    for version in &versions {
        batch.push(table::insert_reward(&scope, version, call.now)?);
    }
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shapes::program(&program, &versions, scope.mode))),
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict("This slug is taken.".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// 1 to 63 lower-case letters and digits, with dashes between them.
pub fn is_slug(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    inner && !text.is_empty() && text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-')
}

fn first_version(app: &App, fields: &mut Fields, program: &ProgramId, now: Instant) -> Option<RewardVersion> {
    if fields.raw("trigger").is_none() {
        fields.error("trigger", "is required");
    }
    let trigger = fields.word("trigger", Trigger::WORDS, Trigger::parse);
    let rate = rate(fields);
    let payments_max = fields.integer("payments_max", 1, 1_000);
    let version = RewardVersion {
        id: app.fresh(now),
        reward_id: app.fresh(now),
        version: 1,
        program_id: program.clone(),
        participant_id: None,
        trigger: trigger?,
        event_type: fields.text("event_type", 100),
        rate: rate?,
        basis: fields.word("basis", Basis::WORDS, Basis::parse).unwrap_or(Basis::Gross),
        hold_days: fields.integer("hold_days", 0, HOLD_DAYS_MAX).unwrap_or(0),
        auto_approve: fields.boolean("auto_approve").unwrap_or(true),
        payments_max,
        valid_from: now,
        retired: false,
    };
    Some(version)
}

/// Exactly one of `percent_bps` and `flat`.
fn rate(fields: &mut Fields) -> Option<Rate> {
    let percent = fields.raw("percent_bps").is_some();
    match (percent, fields.raw("flat").cloned()) {
        (true, None) => fields.integer("percent_bps", 0, WHOLE_BPS).map(Rate::PercentBps),
        (false, Some(Json::Object(flat))) => flat_rate(fields, flat),
        (false, Some(_)) => {
            fields.error("flat", "must be an object with amount_cents and currency");
            None
        }
        (true, Some(_)) | (false, None) => {
            fields.error("percent_bps", "give either percent_bps (0 to 10000) or flat");
            None
        }
    }
}

fn flat_rate(fields: &mut Fields, flat: Map<String, Json>) -> Option<Rate> {
    let mut nested = Fields::of(flat);
    let amount_cents = nested.amount("amount_cents");
    let currency: Option<Currency> = nested.currency("currency");
    if amount_cents.is_none() || currency.is_none() {
        nested.error("amount_cents", "amount_cents and currency are both required");
    }
    fields.absorb("flat", nested);
    Some(Rate::Flat { amount_cents: amount_cents?, currency: currency? })
}

async fn shown(app: &App, scope: &Scope, programs: &[Program]) -> Result<Vec<(String, Json)>, ApiError> {
    let ids: Vec<String> = programs.iter().map(|program| program.id.to_string()).collect();
    let mut versions: Vec<RewardVersion> = Vec::new();
    for row in &app.db.rows(table::rewards_of(scope, &ids)?).await? {
        versions.push(row.json("body")?);
    }
    Ok(programs
        .iter()
        .map(|program| (program.id.to_string(), shapes::program(program, &versions, scope.mode)))
        .collect())
}

/// A page of programs.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Program>();
    query.finish()?;
    let rows = app.db.rows(table::list(&scope, &page)).await?;
    let programs = rows.iter().map(table::decode).collect::<Result<Vec<_>, _>>()?;
    Ok(listing::answer(shown(&app, &scope, &programs).await?, page.limit))
}

/// One program.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    answer_one(&app, &scope, &id).await
}

async fn answer_one(app: &App, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let rows = app.db.rows(table::by_id(scope, id)).await?;
    let programs = rows.iter().map(table::decode).collect::<Result<Vec<_>, _>>()?;
    match shown(app, scope, &programs).await?.pop() {
        Some((_, shape)) => Ok(call::json(StatusCode::OK, &shape)),
        None => Err(ApiError::NotFound("program")),
    }
}

/// `POST …/{id}/{verb}`: `activate`, `pause`, `archive`. An archived program stays archived.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let to = match verb.as_str() {
        "activate" => ProgramStatus::Active,
        "pause" => ProgramStatus::Paused,
        "archive" => ProgramStatus::Archived,
        _ => return Err(ApiError::NotFound("action")),
    };
    let rows = app.db.rows(table::by_id(&scope, &id)).await?;
    let program = rows.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("program"))?;
    if program.status == ProgramStatus::Archived && to != ProgramStatus::Archived {
        return Err(ApiError::Conflict("An archived program stays archived.".to_owned()));
    }
    let moved = table::set_status(&scope, &program.id, program.status, to);
    match app.db.batch(vec![moved]).await {
        Ok(_) => answer_one(&app, &scope, &id).await,
        Err(DbError::Constraint(_)) => {
            Err(ApiError::Conflict("The program was changed at the same time; look again.".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}
