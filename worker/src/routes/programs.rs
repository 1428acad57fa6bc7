//! `/api/v1/programs`, with their rewards.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::attribution::{WINDOW_DAYS_DEFAULT, WINDOW_DAYS_MAX};
use domain::fraud::{self, Policy, Rule};
use domain::ids::{self, ProgramId};
use domain::partner::{Applications, TERMS_CHARS_MAX};
use domain::reward::RewardVersion;
use domain::status::{AttributionModel, ProgramStatus};
use http::StatusCode;
use serde_json::Value as Json;

use super::listing::{self, Query};
use super::{management, rewards};
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::shapes;
use crate::store::programs::{self as table, Change, Program};
use crate::store::slugs::{self, Slugged};
use crate::store::{DbError, Scope, rewards as versions_table};

/// Rewards that are read at once.
pub const REWARDS_MAX: usize = 20;

/// Makes a program and the first version of each of its rewards.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let id: ProgramId = app.fresh(call.now);
    if fields.raw("name").is_none() {
        fields.error("name", "is required");
    }
    let settings = settings(&mut fields);
    let slug = fields.text("slug", 63);
    if slug.as_deref().is_some_and(|slug| !is_slug(slug)) {
        fields.error("slug", "must be lower-case letters, digits and inner dashes");
    }
    let program = Program {
        slug: slug.unwrap_or_else(|| id.as_str().replace('_', "-")),
        name: settings.name.unwrap_or_default(),
        status: fields.word("status", ProgramStatus::WORDS, ProgramStatus::parse).unwrap_or(ProgramStatus::Draft),
        attribution_window_days: settings.attribution_window_days.unwrap_or(WINDOW_DAYS_DEFAULT),
        attribution_model: settings.attribution_model.unwrap_or(AttributionModel::LastClick),
        fraud: settings.fraud.unwrap_or_default(),
        reverse_pending_on_end: settings.reverse_pending_on_end.unwrap_or(false),
        minimum_payout_cents: settings.minimum_payout_cents.unwrap_or(0),
        terms: settings.terms.unwrap_or_default(),
        applications: settings.applications.unwrap_or(Applications::Open),
        created_at: call.now,
        id,
    };
    let mut versions = Vec::new();
    for (place, object) in fields.objects("rewards", REWARDS_MAX).into_iter().enumerate() {
        let mut nested = Fields::of(object);
        versions.extend(rewards::version(&app, &mut nested, Some(&program.id), None, call.now));
        fields.absorb(&format!("rewards[{place}]"), nested);
    }
    fields.finish()?;
    let mut batch = vec![table::insert(&scope, &program)?];
    for version in &versions {
        batch.push(versions_table::insert(&scope, version, call.now)?);
    }
    const TAKEN: &str = "This slug is taken.";
    if !slugs::claim(&app.db, &scope.workspace_id, Slugged::Program, &program.slug).await? {
        return Err(ApiError::Conflict(TAKEN.to_owned()));
    }
    let shown = shapes::program(&program, &versions, scope.mode);
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shown)),
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict(TAKEN.to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// The settings that are given, at creation and afterwards alike: a new setting is read here and written by
/// [`table::change`].
pub fn settings(fields: &mut Fields) -> Change {
    Change {
        name: fields.text("name", 100),
        attribution_window_days: fields.integer("attribution_window_days", 1, WINDOW_DAYS_MAX),
        attribution_model: fields.word("attribution_model", AttributionModel::WORDS, AttributionModel::parse),
        fraud: fraud_policy(fields),
        reverse_pending_on_end: fields.boolean("reverse_pending_on_end"),
        minimum_payout_cents: fields.amount("minimum_payout_cents"),
        terms: fields.text_or_empty("terms", TERMS_CHARS_MAX),
        applications: fields.word("applications", Applications::WORDS, Applications::parse),
    }
}

/// Changes the settings that are given; `clear` names those that end. They hold for decisions from now on; what was decided stands.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let mut change = settings(&mut fields);
    let cleared = fields.cleared(&["minimum_payout_cents", "terms"]);
    fields.finish()?;
    if cleared.contains(&"minimum_payout_cents") {
        change.minimum_payout_cents = Some(0);
    }
    if cleared.contains(&"terms") {
        change.terms = Some(String::new());
    }
    app.db.batch(vec![table::change(&scope, &id, &change)?]).await?;
    answer_one(&app, &scope, &id).await
}

/// What is done about each fraud rule: `{"self_referral": "block"}`; what is not said is the default.
fn fraud_policy(fields: &mut Fields) -> Option<Policy> {
    let Json::Object(given) = fields.raw("fraud")?.clone() else {
        fields.error("fraud", "must be an object of rules and responses");
        return None;
    };
    let mut policy = Policy::default();
    for (name, response) in &given {
        let rule = Rule::parse(name);
        let response = response.as_str().and_then(fraud::Response::parse);
        match (rule, response) {
            (Some(rule), Some(response)) => {
                policy.0.insert(rule, response);
            }
            (None, _) => fields.error(&format!("fraud.{name}"), format!("is no rule: {}", Rule::WORDS.join(", "))),
            (_, None) => {
                let words = fraud::Response::WORDS.join(", ");
                fields.error(&format!("fraud.{name}"), format!("must be one of {words}"));
            }
        }
    }
    Some(policy)
}

/// 1 to 63 lower-case letters and digits, with dashes between them.
pub fn is_slug(text: &str) -> bool {
    let inner = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    inner && !text.is_empty() && text.len() <= 63 && !text.starts_with('-') && !text.ends_with('-')
}

async fn shown(app: &App, scope: &Scope, programs: &[Program]) -> Result<Vec<(String, Json)>, ApiError> {
    let ids: Vec<String> = programs.iter().map(|program| program.id.to_string()).collect();
    let mut versions: Vec<RewardVersion> = Vec::new();
    for row in &app.db.rows(versions_table::of_programs(scope, &ids)?).await? {
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
    let status = query.word("status", ProgramStatus::WORDS);
    let page = query.page::<ids::Program>();
    query.finish()?;
    let rows = app.db.rows(table::list(&scope, status.as_ref(), &page)).await?;
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
    let reads = vec![table::by_id(scope, id), versions_table::of_programs(scope, &[id.to_owned()])?];
    let mut found = app.db.batch(reads).await?.into_iter();
    let program = listing::first(&found.next().unwrap_or_default(), table::decode, "program")?;
    let versions = found.next().unwrap_or_default();
    let versions = versions.iter().map(|row| row.json("body")).collect::<Result<Vec<RewardVersion>, _>>()?;
    Ok(call::json(StatusCode::OK, &shapes::program(&program, &versions, scope.mode)))
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
    let program = listing::one(&app, table::by_id(&scope, &id), table::decode, "program").await?;
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
