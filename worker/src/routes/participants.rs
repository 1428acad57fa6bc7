//! `/api/v1/participants`: who is in which program.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::{self, PartnerId, ProgramId};
use domain::mode::Mode;
use domain::status::{ParticipantAct, ParticipantStatus};
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::idempotency;
use crate::shapes;
use crate::store::events::{self, Event};
use crate::store::partners::{self as table, Participant, ParticipantFilter};
use crate::store::{DbError, Scope, invites, programs};

/// Puts a partner into a program, `pending` unless the merchant says otherwise.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let program_id: Option<ProgramId> = fields.id("program_id");
    let partner_id: Option<PartnerId> = fields.id("partner_id");
    for (name, missing) in [("program_id", program_id.is_none()), ("partner_id", partner_id.is_none())] {
        if missing && fields.raw(name).is_none() {
            fields.error(name, "is required");
        }
    }
    let status = fields.word("status", &["pending", "approved"], |word| {
        ParticipantStatus::parse(word).filter(|s| matches!(s, ParticipantStatus::Pending | ParticipantStatus::Approved))
    });
    fields.finish()?;
    let (Some(program_id), Some(partner_id)) = (program_id, partner_id) else {
        return Err(ApiError::malformed("program_id and partner_id are required."));
    };
    let participant = Participant {
        id: app.fresh(call.now),
        program_id,
        partner_id,
        status: status.unwrap_or(ParticipantStatus::Pending),
        application: None,
        created_at: call.now,
    };
    let (program, partner) = (participant.program_id.as_str(), participant.partner_id.as_str());
    let found = app.db.batch(vec![programs::by_id(&scope, program), table::by_id(&scope, partner)]).await?;
    if found.iter().any(Vec::is_empty) {
        return Err(ApiError::NotFound("program or partner"));
    }
    for row in found.iter().skip(1).flatten() {
        super::partners::must_not_be_erased(&table::decode(row)?)?;
    }
    let mut batch = vec![
        table::insert_participant(&scope, &participant)?,
        event(&app, &call, &scope, "participant.created", &participant)?,
    ];
    if participant.status == ParticipantStatus::Approved {
        batch.push(event(&app, &call, &scope, "participant.approved", &participant)?);
    }
    let shown = shown(&participant, scope.mode);
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shown)),
        Err(DbError::Constraint(_)) => {
            Err(ApiError::Conflict("This partner is in this program already, or was erased meanwhile.".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// A participant with what they said when they joined. Events do not tell that: they are for good, and it can be erased.
fn shown(participant: &Participant, mode: Mode) -> Json {
    let mut shown = shapes::participant(participant, mode);
    shown["application"] = match &participant.application {
        None => Json::Null,
        Some(said) => json!({
            "name": said.name, "promotion": said.promotion, "invited": said.invited, "terms_sha256": said.terms_sha256,
            "at": said.at.to_string(),
        }),
    };
    shown
}

/// What happened to a participant, for the outbox.
pub fn event(
    app: &App,
    call: &Call,
    scope: &Scope,
    kind: &'static str,
    participant: &Participant,
) -> Result<crate::store::Statement, ApiError> {
    let data = shapes::participant(participant, scope.mode);
    let event = Event { id: app.fresh(call.now), kind, subject: participant.id.to_string(), data };
    Ok(events::insert(scope, &event, call.now)?)
}

/// A page of participants.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = ParticipantFilter {
        program_id: query.text("program_id"),
        partner_id: query.text("partner_id"),
        status: query.word("status", ParticipantStatus::WORDS),
    };
    let page = query.page::<ids::Participant>();
    query.finish()?;
    let rows = table::list_participants(&scope, &filter, &page);
    listing::page(&app, rows, &page, |row| Ok(shown(&table::decode_participant(row)?, scope.mode))).await
}

async fn one(app: &App, scope: &Scope, id: &str) -> Result<Participant, ApiError> {
    listing::one(app, table::participant_by_id(scope, id), table::decode_participant, "participant").await
}

/// One participant.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let participant = one(&app, &scope, &id).await?;
    Ok(call::json(StatusCode::OK, &shown(&participant, scope.mode)))
}

/// `POST …/{id}/{verb}`: `approve`, `reject`, `suspend`.
pub async fn act(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path((id, verb)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let (act, kind) = match verb.as_str() {
        "approve" => (ParticipantAct::Approve, "participant.approved"),
        "reject" => (ParticipantAct::Reject, "participant.rejected"),
        "suspend" => (ParticipantAct::Suspend, "participant.suspended"),
        _ => return Err(ApiError::NotFound("action")),
    };
    let mut participant = one(&app, &scope, &id).await?;
    if act == ParticipantAct::Approve {
        let of = table::by_id(&scope, participant.partner_id.as_str());
        super::partners::must_not_be_erased(&listing::one(&app, of, table::decode, "partner").await?)?;
    }
    let from = participant.status;
    let Some(to) = from.after(act) else {
        return Err(ApiError::Conflict(format!("A participant who is {} cannot be changed so.", from.as_str())));
    };
    participant.status = to;
    let mut batch =
        vec![table::move_participant(&scope, &id, from, to), event(&app, &call, &scope, kind, &participant)?];
    if act != ParticipantAct::Approve {
        batch.push(invites::revoke_of(&scope, &participant.id, call.now));
    }
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::OK, &shown(&participant, scope.mode))),
        Err(DbError::Constraint(_)) => {
            Err(ApiError::Conflict("The participant was changed at the same time; look again.".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}
