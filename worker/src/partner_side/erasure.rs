//! Erasing a partner (contract, section 14): by the merchant, one; by themselves, wherever they are one.

use domain::ids::PersonId;
use domain::status::{ParticipantAct, ParticipantStatus};

use crate::app::App;
use crate::auth::people;
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::participants;
use crate::store::acts::{self, NewAct};
use crate::store::page::Page;
use crate::store::partners::{self, Participant, ParticipantFilter, Partner};
use crate::store::{DbError, Scope, Statement, erasure};

/// Programs that a partner of one workspace can be in and still be erased at once.
const PARTICIPATIONS_MAX: i64 = 1_000;
/// How often it is put together again because a participant was changed meanwhile.
const ATTEMPTS_MAX: u32 = 3;

/// Erases a partner: what tells who they were is replaced, they are stopped in every program, and whoever is nobody else any more is
/// signed out. Repeating it changes nothing.
pub async fn one(
    app: &App,
    call: &Call,
    scope: &Scope,
    partner_id: &str,
    by: Option<&PersonId>,
) -> Result<(), ApiError> {
    for _ in 0..ATTEMPTS_MAX {
        let filter = ParticipantFilter { partner_id: Some(partner_id.to_owned()), ..Default::default() };
        let page = Page { limit: PARTICIPATIONS_MAX, after: None };
        let reads = vec![partners::by_id(scope, partner_id), partners::list_participants(scope, &filter, &page)];
        let mut found = app.db.batch(reads).await?.into_iter();
        let partner = found.next().unwrap_or_default();
        let partner = partner.first().map(partners::decode).transpose()?.ok_or(ApiError::NotFound("partner"))?;
        if partner.erased_at.is_some() {
            return Ok(());
        }
        let rows = found.next().unwrap_or_default();
        let participants = rows.iter().map(partners::decode_participant).collect::<Result<Vec<_>, _>>()?;
        // First: should the rest fail, they sign in once more, and whoever erases them tries again.
        forget(app, &partner).await?;
        let act = NewAct {
            id: app.fresh(call.now),
            kind: "partner.erase",
            subject: partner_id,
            reason: None,
            detail: None,
            request_id: &call.request_id,
            person_id: by,
        };
        let mut batch = vec![acts::insert(scope, &act, call.now)];
        for participant in participants {
            batch.extend(stopped(app, call, scope, participant)?);
        }
        batch.extend(erasure::partner(scope, &partner.id, &partner.email, call.now));
        match app.db.batch(batch).await {
            Ok(_) => return Ok(()),
            // A participant was approved, stopped or added meanwhile.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ApiError::Conflict("The partner was changed at the same time; look again.".to_owned()))
}

/// Nobody is paid in their place: they earn no more.
fn stopped(app: &App, call: &Call, scope: &Scope, mut participant: Participant) -> Result<Vec<Statement>, ApiError> {
    let from: ParticipantStatus = participant.status;
    let Some(to) = from.after(ParticipantAct::Suspend) else { return Ok(Vec::new()) };
    participant.status = to;
    Ok(vec![
        partners::move_participant(scope, participant.id.as_str(), from, to),
        participants::event(app, call, scope, "participant.suspended", &participant)?,
    ])
}

/// Forgets who signs in with the partner's address, if they are nobody else.
async fn forget(app: &App, partner: &Partner) -> Result<(), ApiError> {
    let Some(address) = people::kept_address(app, &partner.email).await? else { return Ok(()) };
    let rows = app.db.rows(erasure::left_of(&address.hash, &partner.email, &partner.id)).await?;
    let (is_somebody, has_acted) = erasure::decode_left(&rows)?;
    if !is_somebody {
        app.db.batch(erasure::person(&address.hash, has_acted)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
