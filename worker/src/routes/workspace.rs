//! `/api/v1/workspace`: what concerns all of it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::account::Permission;
use domain::ids::{ActId, ProgramId};
use domain::mode::Mode;
use domain::retention::{CLICKS_KEPT_DAYS_MAX, CLICKS_KEPT_DAYS_MIN};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::listing;
use super::management::{self, Actor};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::idempotency;
use crate::store::acts::{self, NewAct};
use crate::store::wipe::{self, Selected, Target};
use crate::store::{DbError, Scope, checklist, programs, workspaces};

/// How often a batch is put together again because a sale was booked meanwhile.
const ATTEMPTS_MAX: u32 = 3;
/// As long as an operator's.
const NAME_CHARS_MAX: usize = 100;

/// `GET /api/v1/workspace`: the caller's own, in the caller's mode; of a session also what its member is there.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    shown(&app, &actor, &scope).await
}

/// `PATCH /api/v1/workspace`: its name, for how many days raw clicks are kept, and whether its id alone suffices to report leads and
/// sales. An owner's to say.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    match &actor {
        Actor::Member { membership, .. } => people::allow(membership.role, Permission::Workspace)?,
        Actor::Key => {
            let why = "A workspace is changed by a signed-in owner, not by a key.";
            return Err(ApiError::Forbidden(why.to_owned()));
        }
    }
    let mut fields = management::json_body(request).await?;
    let name = fields.text("name", NAME_CHARS_MAX);
    if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        fields.error("name", "must not be empty");
    }
    let days = fields.integer("clicks_kept_days", CLICKS_KEPT_DAYS_MIN, CLICKS_KEPT_DAYS_MAX);
    let by_workspace_id = fields.boolean("track_by_workspace_id");
    fields.finish()?;
    let change = workspaces::change(&scope.workspace_id, name.as_deref().map(str::trim), days, by_workspace_id);
    app.db.batch(vec![change]).await?;
    shown(&app, &actor, &scope).await
}

async fn shown(app: &App, actor: &Actor, scope: &Scope) -> Result<Response, ApiError> {
    let one = workspaces::by_id(scope.workspace_id.as_str());
    let workspace = listing::one(app, one, workspaces::decode, "workspace").await?;
    let limits = workspace.limits;
    let role = match actor {
        Actor::Member { membership, .. } => Some(membership.role.as_str()),
        Actor::Key => None,
    };
    let body = json!({
        "id": workspace.id,
        "mode": scope.mode,
        "name": workspace.name,
        "limits": {
            "clicks_per_minute": limits.clicks,
            "conversions_per_minute": limits.conversions,
            "other_per_minute": limits.other,
        },
        "clicks_kept_days": workspace.clicks_kept_days,
        "track_by_workspace_id": workspace.track_by_workspace_id,
        "role": role,
        "created_at": workspace.created_at.to_string(),
    });
    Ok(call::json(StatusCode::OK, &body))
}

/// `POST …/rewards-reviewed`: records that the caller has looked at what live mode's rewards pay, as the go-live checklist asks.
pub async fn note_review(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    if scope.mode == Mode::Test {
        return Err(ApiError::Conflict("Rewards are reviewed in live mode, where they pay.".to_owned()));
    }
    let detail = match &actor {
        Actor::Member { person, .. } => Some(json!({ "person_id": person.id }).to_string()),
        Actor::Key => None,
    };
    let id: ActId = app.fresh(call.now);
    let subject = checklist::review_subject(&scope.workspace_id);
    let act = NewAct {
        id: id.clone(),
        kind: checklist::REVIEWED,
        subject: &subject,
        reason: None,
        detail,
        request_id: &call.request_id,
        person_id: actor.person_id(),
    };
    let shown = json!({ "act_id": id, "created_at": call.now.to_string() });
    let mut batch = vec![acts::insert(&scope, &act, call.now)];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    app.db.batch(batch).await?;
    Ok(call::json(StatusCode::CREATED, &shown))
}

/// `POST …/wipe-test-data`: deletes what happened in test mode and keeps the set-up (programs, partners, participants, links,
/// codes, hosts, keys, connections, webhook endpoints) and the acts.
///
/// Without `program_id`: every family of sales with its conversions, decisions, commissions and entries; then Stripe events
/// and their bodies, refused decisions, clicks, and events of the outbox with their deliveries. With one: every family of which a sale is or was
/// credited to the program, whole, with the Stripe events and outbox events of these sales; then the clicks on its links.
/// Sales credited to nobody, refused reports and participants' events belong to no program, and stay.
///
/// One call deletes one bounded batch and records it as an act with its counts; it is to be repeated until `done`.
pub async fn wipe_test_data(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    let mut fields = management::json_body_or_nothing(request).await?;
    let program: Option<ProgramId> = fields.id("program_id");
    fields.finish()?;
    if scope.mode == Mode::Live {
        let why = "Live data is never deleted; a key of test mode wipes test data.";
        return Err(ApiError::Forbidden(why.to_owned()));
    }
    if let Some(id) = &program
        && app.db.rows(programs::by_id(&scope, id.as_str())).await?.is_empty()
    {
        return Err(ApiError::NotFound("program"));
    }
    let target = Target { workspace_id: &scope.workspace_id, program_id: program.as_ref().map(|id| id.as_str()) };
    for _ in 0..ATTEMPTS_MAX {
        let found = app.db.batch(vec![target.some_families(), target.left()]).await?;
        let [families, left] = found.as_slice() else {
            return Err(ApiError::Internal("a batch of two gave another number of results".to_owned()));
        };
        let left = target.decode_left(left)?;
        if left.iter().all(|(_, count)| *count == 0) {
            return Ok(answer(&target, None, json!({}), left));
        }
        let selected = wipe::decode_families(families)?.unwrap_or(Selected::Rest);
        let act: ActId = app.fresh(call.now);
        match app.db.batch(target.batch(&selected, (&act, actor.person_id()), &call.request_id, call.now)).await {
            Ok(mut results) => {
                let left = target.decode_left(&results.pop().unwrap_or_default())?;
                let told = results.pop().unwrap_or_default();
                let deleted: Json = told.first().map(|row| row.json("reason")).transpose()?.unwrap_or_default();
                return Ok(answer(&target, Some(act), deleted, left));
            }
            // A sale joined one of these families since they were looked for.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Unavailable("wiping lost its races against bookings".to_owned()))
}

fn answer(target: &Target<'_>, act: Option<ActId>, deleted: Json, left: Vec<(&str, i64)>) -> Response {
    let done = left.iter().all(|(_, count)| *count == 0);
    let left: Map<String, Json> = left.into_iter().map(|(table, count)| (table.to_owned(), json!(count))).collect();
    let body = json!({
        "mode": Mode::Test, "program_id": target.program_id, "act_id": act, "deleted": deleted, "left": left, "done": done,
    });
    call::json(StatusCode::OK, &body)
}

#[cfg(test)]
mod tests;
