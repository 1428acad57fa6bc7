//! `/api/v1/invites`: asking somebody to join a program.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::{self, InviteId, ProgramId};
use domain::mode::Mode;
use domain::partner::{INVITE_LIVES_MS, InviteStatus};
use domain::status::{ParticipantStatus, ProgramStatus};
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::mail::Waiting;
use crate::store::invites::{self as table, Filter, Invite};
use crate::store::{DbError, Scope, partners, programs};

/// Invites somebody. The address at which they join is in this answer alone; in live mode it goes out by mail too.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let (program_id, email, name) = given(&app, &mut fields)?;
    fields.finish()?;
    let Some(program_id) = program_id else { return Err(ApiError::field("program_id", "is required")) };
    let reads =
        vec![programs::by_id(&scope, program_id.as_str()), partners::participant_by_email(&scope, &program_id, &email)];
    let mut found = app.db.batch(reads).await?.into_iter();
    let program = listing::first(&found.next().unwrap_or_default(), programs::decode, "program")?;
    let participant = found.next().unwrap_or_default().first().map(partners::decode_participant).transpose()?;
    if program.status != ProgramStatus::Active {
        let why = format!("The program is {}: its join page opens when it is active.", program.status.as_str());
        return Err(ApiError::Conflict(why));
    }
    if participant.is_some_and(|participant| participant.status == ParticipantStatus::Approved) {
        return Err(ApiError::Conflict("A partner with this address is in the program already.".to_owned()));
    }
    let token = people::token(&app);
    let invite = Invite {
        id: app.fresh(call.now),
        program_id,
        email,
        name,
        status: InviteStatus::Pending,
        expires_at: call.now.plus_ms(INVITE_LIVES_MS),
        participant_id: None,
        settled_at: None,
        created_at: call.now,
    };
    let url = format!("{}/join/{}?invite={}", call.origin, program.slug, token.as_str());
    let mut batch = table::insert(&scope, &invite, &token.digest());
    let mut messages = Vec::new();
    if scope.mode == Mode::Live {
        let letter =
            Waiting::PartnerInvite { id: invite.id.to_string(), email: invite.email.clone(), url: url.clone() };
        let (statement, message) = letter.post(&app, call.now)?;
        batch.push(statement);
        messages.push(message);
    }
    let mut shown = shape(&invite, &scope, call.now);
    shown["url"] = json!(url);
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::after(call::json(StatusCode::CREATED, &shown), messages)),
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict(
            "This address is invited to the program already; revoke that invite to send another.".to_owned(),
        )),
        Err(error) => Err(error.into()),
    }
}

fn given(app: &App, fields: &mut Fields) -> Result<(Option<ProgramId>, String, String), ApiError> {
    let program_id: Option<ProgramId> = fields.id("program_id");
    if fields.raw("program_id").is_none() {
        fields.error("program_id", "is required");
    }
    let email = people::normal(&fields.required_text("email", 254));
    if !email.is_empty() && people::address(app, &email)?.is_none() {
        fields.error("email", "must be an e-mail address");
    }
    let name = fields.text_or_nothing("name", 200).unwrap_or_default();
    Ok((program_id, email, name))
}

/// A page of invites; `?status=` and `?program_id=` narrow it.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let status = query.word("status", InviteStatus::WORDS);
    let filter =
        Filter { status: status.as_deref().and_then(InviteStatus::parse), program_id: query.text("program_id") };
    let page = query.page::<ids::Invite>();
    query.finish()?;
    let rows = table::list(&scope, &filter, call.now, &page);
    listing::page(&app, rows, &page, |row| Ok(shape(&table::decode(row)?, &scope, call.now))).await
}

/// One invite.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let invite = listing::one(&app, table::by_id(&scope, &id), table::decode, "invite").await?;
    Ok(call::json(StatusCode::OK, &shape(&invite, &scope, call.now)))
}

/// Revokes an invite: its address works no more. One that was accepted is a participant by now.
pub async fn revoke(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let done = app.db.batch(vec![table::revoke(&scope, &id, call.now), table::by_id(&scope, &id)]).await?;
    let invite = listing::first(done.get(1).map_or(&[], Vec::as_slice), table::decode, "invite")?;
    match invite.status {
        InviteStatus::Accepted => {
            Err(ApiError::Conflict("The invite was accepted; suspend the participant instead.".to_owned()))
        }
        _ => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

fn shape(invite: &Invite, scope: &Scope, now: Instant) -> Json {
    let status = invite.status.at(invite.expires_at, now);
    let settled_at = |wanted| invite.settled_at.filter(|_| status == wanted).map(|at| at.to_string());
    let id: &InviteId = &invite.id;
    json!({
        "id": id, "mode": scope.mode, "program_id": invite.program_id, "email": invite.email, "name": invite.name,
        "status": status.as_str(), "expires_at": invite.expires_at.to_string(), "participant_id": invite.participant_id,
        "accepted_at": settled_at(InviteStatus::Accepted), "revoked_at": settled_at(InviteStatus::Revoked),
        "created_at": invite.created_at.to_string(),
    })
}

#[cfg(test)]
mod tests;
