//! `/api/v1/rewards`: what participants of a program earn. A reward is its versions: a change, and its end too, is a new
//! version from now on, so that a sale earns by what was promised when it happened.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::{self, ParticipantId, ProgramId};
use domain::money::Currency;
use domain::reward::{Basis, Rate, RewardVersion, Trigger, WHOLE_BPS};
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::shapes;
use crate::store::rewards::{self as table, Filter, Reward};
use crate::store::{DbError, Scope, partners, programs};

const EVENT_TYPE_CHARS_MAX: usize = 100;
const HOLD_DAYS_MAX: i64 = 365;
const PAYMENTS_MAX: i64 = 1_000;
/// Versions of one reward: all of them are shown, and looked at by every sale.
const VERSIONS_MAX: i64 = 1_000;

/// Of what makes a reward that reward.
const STAYS: &str = "cannot be changed: retire this reward and make another";

/// Makes a reward of a program; with `participant_id`, that participant's own, which wins over the program's rewards of the
/// same trigger.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let program_id: Option<ProgramId> = fields.id("program_id");
    if fields.raw("program_id").is_none() {
        fields.error("program_id", "is required");
    }
    let participant_id: Option<ParticipantId> = fields.id("participant_id");
    let version = version(&app, &mut fields, program_id.as_ref(), None, call.now);
    fields.finish()?;
    let version = version.map(|version| RewardVersion { participant_id, ..version });
    let version = version.ok_or_else(|| ApiError::malformed("program_id, trigger and a rate are required."))?;
    belongs(&app, &scope, &version).await?;
    let mut batch = vec![table::insert(&scope, &version, call.now)?];
    let reward = Reward { current: version, created_at: call.now };
    let shown = shapes::reward_of_its_own(&reward, scope.mode);
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    app.db.batch(batch).await?;
    Ok(call::json(StatusCode::CREATED, &shown))
}

/// The program must be of this workspace and mode, and the participant, if there is one, of the program. Neither of the two
/// ever leaves, so that nothing can come between this and the write.
async fn belongs(app: &App, scope: &Scope, version: &RewardVersion) -> Result<(), ApiError> {
    let participant = version.participant_id.as_ref();
    let mut reads = vec![programs::by_id(scope, version.program_id.as_str())];
    reads.extend(participant.map(|id| partners::participant_by_id(scope, id.as_str())));
    let mut found = app.db.batch(reads).await?.into_iter();
    listing::first(&found.next().unwrap_or_default(), programs::decode, "program")?;
    if participant.is_some() {
        let rows = found.next().unwrap_or_default();
        let participant = listing::first(&rows, partners::decode_participant, "participant")?;
        if participant.program_id != version.program_id {
            return Err(ApiError::field("participant_id", "must be a participant of this program"));
        }
    }
    Ok(())
}

/// What a change can clear: from then on it is as it is by default.
const CLEARABLE: [&str; 3] = ["event_type", "hold_days", "payments_max"];

/// Reads a version of a reward. What is neither given nor cleared is as it was before, or, of a new reward, as it is by default.
/// All of whose it is (program, participant, trigger) stays. `None` when something is wrong with it, which the fields hold.
pub fn version(
    app: &App,
    fields: &mut Fields,
    program_id: Option<&ProgramId>,
    before: Option<&RewardVersion>,
    now: Instant,
) -> Option<RewardVersion> {
    let trigger = trigger(fields, before.map(|before| before.trigger));
    let rate = rate(fields, before.map(|before| before.rate));
    let event_type = fields.text("event_type", EVENT_TYPE_CHARS_MAX);
    let basis = fields.word("basis", Basis::WORDS, Basis::parse);
    let hold_days = fields.integer("hold_days", 0, HOLD_DAYS_MAX);
    let auto_approve = fields.boolean("auto_approve");
    let payments_max = fields.integer("payments_max", 1, PAYMENTS_MAX);
    if payments_max.is_some() && trigger.is_some_and(|trigger| trigger != Trigger::Recurring) {
        fields.error("payments_max", "is for rewards of trigger recurring only");
    }
    let cleared = before.map(|_| fields.cleared(&CLEARABLE)).unwrap_or_default();
    let kept = |name: &str| before.filter(|_| !cleared.contains(&name));
    Some(RewardVersion {
        id: app.fresh(now),
        reward_id: before.map_or_else(|| app.fresh(now), |before| before.reward_id.clone()),
        version: before.map_or(1, |before| before.version + 1),
        program_id: program_id?.clone(),
        participant_id: before.and_then(|before| before.participant_id.clone()),
        trigger: trigger?,
        event_type: event_type.or_else(|| kept("event_type").and_then(|before| before.event_type.clone())),
        rate: rate?,
        basis: basis.or(before.map(|before| before.basis)).unwrap_or(Basis::Gross),
        hold_days: hold_days.or(kept("hold_days").map(|before| before.hold_days)).unwrap_or(0),
        auto_approve: auto_approve.or(before.map(|before| before.auto_approve)).unwrap_or(true),
        payments_max: payments_max.or(kept("payments_max").and_then(|before| before.payments_max)),
        valid_from: before.map_or(now, |before| before.valid_from.max(now)),
        retired: false,
    })
}

fn trigger(fields: &mut Fields, before: Option<Trigger>) -> Option<Trigger> {
    let given = fields.word("trigger", Trigger::WORDS, Trigger::parse);
    match before {
        None if fields.raw("trigger").is_none() => {
            fields.error("trigger", "is required");
            None
        }
        Some(before) => {
            if given.is_some_and(|given| given != before) {
                fields.error("trigger", STAYS);
            }
            Some(before)
        }
        None => given,
    }
}

/// Exactly one of `percent_bps` and `flat`; of a change, at most one.
fn rate(fields: &mut Fields, before: Option<Rate>) -> Option<Rate> {
    let percent = fields.raw("percent_bps").is_some();
    match (percent, fields.raw("flat").cloned()) {
        (true, None) => fields.integer("percent_bps", 0, WHOLE_BPS).map(Rate::PercentBps),
        (false, Some(Json::Object(flat))) => flat_rate(fields, flat),
        (false, Some(_)) => {
            fields.error("flat", "must be an object with amount_cents and currency");
            None
        }
        (false, None) if before.is_some() => before,
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

/// A page of rewards, each at its newest version.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        program_id: query.text("program_id"),
        participant_id: query.text("participant_id"),
        trigger: query.word("trigger", Trigger::WORDS),
    };
    let page = query.page::<ids::Reward>();
    query.finish()?;
    let rows = table::list(&scope, &filter, &page);
    listing::page(&app, rows, &page, |row| Ok(shapes::reward_of_its_own(&table::decode(row)?, scope.mode))).await
}

/// One reward at its newest version, and in `versions` all of them, the newest first.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let (versions, reward) = load(&app, &scope, &id).await?;
    Ok(call::json(StatusCode::OK, &with_versions(&reward, &versions, &scope)))
}

/// A reward's versions, the first one first, and the reward as it stands.
async fn load(app: &App, scope: &Scope, id: &str) -> Result<(Vec<RewardVersion>, Reward), ApiError> {
    let rows = app.db.rows(table::versions(scope, id)).await?;
    let versions = rows.iter().map(|row| row.json("body")).collect::<Result<Vec<RewardVersion>, _>>()?;
    match (versions.last(), rows.first()) {
        (Some(newest), Some(first)) => {
            let reward = Reward { current: newest.clone(), created_at: first.instant("created_at")? };
            Ok((versions, reward))
        }
        _ => Err(ApiError::NotFound("reward")),
    }
}

fn with_versions(reward: &Reward, versions: &[RewardVersion], scope: &Scope) -> Json {
    let mut shape = shapes::reward_of_its_own(reward, scope.mode);
    shape["versions"] = json!(versions.iter().rev().map(shapes::reward).collect::<Vec<_>>());
    shape
}

/// `POST …/{id}/{verb}`: `change`, with the fields that change and, in `clear`, the names of those that end, or `retire`. Either is a new version from now on.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let (retired, mut fields) = match verb.as_str() {
        "change" => (false, management::json_body(request).await?),
        "retire" => (true, Fields::of(Map::new())),
        _ => return Err(ApiError::NotFound("action")),
    };
    let (mut versions, reward) = load(&app, &scope, &id).await?;
    let before = &reward.current;
    let participant = before.participant_id.as_ref().map(|id| id.as_str());
    for (name, stands) in [("program_id", Some(before.program_id.as_str())), ("participant_id", participant)] {
        if fields.raw(name).is_some_and(|given| given.as_str() != stands) {
            fields.error(name, STAYS);
        }
    }
    let next = version(&app, &mut fields, Some(&before.program_id), Some(before), call.now);
    fields.finish()?;
    let next = next.map(|next| RewardVersion { retired, ..next });
    let next = next.ok_or_else(|| ApiError::Internal("a reward could not be changed".to_owned()))?;
    if before.retired {
        return Err(ApiError::Conflict("A retired reward stays retired; make another.".to_owned()));
    }
    if before.version >= VERSIONS_MAX && !retired {
        let message = format!("A reward has at most {VERSIONS_MAX} versions; retire it and make another.");
        return Err(ApiError::Conflict(message));
    }
    let mut batch = vec![table::insert(&scope, &next, call.now)?];
    versions.push(next.clone());
    let shown = with_versions(&Reward { current: next, ..reward }, &versions, &scope);
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::OK, &shown)?);
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::OK, &shown)),
        Err(DbError::Constraint(_)) => {
            Err(ApiError::Conflict("The reward was changed at the same time; look again.".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
