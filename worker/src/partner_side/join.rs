//! Joining a program by its page: what is loaded, and what is written, for an application and for an invite.

use domain::account::Token;
use domain::ids::{ParticipantId, PartnerId};
use domain::partner::{InviteStatus, Joining, joining};
use domain::status::ParticipantStatus;

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::jobs::Message;
use crate::mail::Waiting;
use crate::routes::participants::event;
use crate::store::invites::{self, Invite};
use crate::store::partners::{self, Application, Participant, Partner};
use crate::store::portal::Door;
use crate::store::{DbError, Statement, notices};

/// How often it is decided again because another request came between.
const ATTEMPTS_MAX: u32 = 3;

/// What somebody says who joins.
#[derive(Clone, Debug)]
pub struct Said {
    /// What they call themselves.
    pub name: String,
    /// Their address, in its normal form.
    pub email: String,
    /// How they promote; may be empty.
    pub promotion: String,
}

/// What came of it.
pub enum Joined {
    /// Written, or there was nothing to write: which of the two is nobody's business. What is to be queued.
    Done(Vec<Message>),
    /// The invite was spent or taken back meanwhile.
    TooLate,
}

/// The open invite with this token, if there is one.
pub async fn invite(app: &App, call: &Call, door: &Door, token: &Token) -> Result<Option<Invite>, ApiError> {
    let rows = app.db.rows(invites::by_digest(&door.scope, &door.program_id, &token.digest())).await?;
    let invite = rows.first().map(invites::decode).transpose()?;
    Ok(invite.filter(|invite| invite.status.at(invite.expires_at, call.now) == InviteStatus::Pending))
}

/// Joins. The work is the same whether anybody has the address already or not: one read, one write.
pub async fn join(
    app: &App,
    call: &Call,
    door: &Door,
    said: &Said,
    invite: Option<&Invite>,
) -> Result<Joined, ApiError> {
    let scope = &door.scope;
    for _ in 0..ATTEMPTS_MAX {
        let reads = vec![
            partners::by_email(scope, &said.email),
            partners::participant_by_email(scope, &door.program_id, &said.email),
        ];
        let mut found = app.db.batch(reads).await?.into_iter();
        let partner = found.next().unwrap_or_default().first().map(partners::decode).transpose()?;
        let before = found.next().unwrap_or_default().first().map(partners::decode_participant).transpose()?;
        let decided = joining(before.as_ref().map(|participant| participant.status), invite.is_some());
        let (mut batch, participant) = written(app, call, door, said, partner, before, decided, invite.is_some())?;
        if let Some(invite) = invite {
            batch.push(invites::accept(&invite.id, &participant, call.now));
        }
        let mut messages = Vec::new();
        // Letters go out in live mode only, and once for each participant, so that nobody is sent any number of them.
        if scope.mode == domain::mode::Mode::Live && !matches!(decided, Joining::Stays(_)) {
            let letter = Waiting::Joined {
                email: said.email.clone(),
                origin: call.origin.clone(),
                program: door.name.clone(),
                workspace: door.workspace_name.clone(),
                approved: invite.is_some(),
            };
            let (statement, message) = letter.post(app, call.now)?;
            batch.push(statement);
            batch.push(notices::joined_is_told(&participant, call.now));
            messages.push(message);
        }
        if batch.is_empty() {
            // As many round trips as where somebody is new.
            batch.push(partners::by_email(scope, &said.email));
        }
        match app.db.batch(batch).await {
            Ok(_) => return Ok(Joined::Done(messages)),
            // Somebody else with this address, or this invite, was faster, or whoever had the address is erased: what is there
            // now decides.
            Err(DbError::Constraint(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match invite {
        Some(_) => Ok(Joined::TooLate),
        None => Err(ApiError::Unavailable("somebody with the same address kept being faster".to_owned())),
    }
}

/// The statements of a decision, and the participant that it is about.
#[expect(clippy::too_many_arguments, reason = "all of it is what the one decision is about")]
fn written(
    app: &App,
    call: &Call,
    door: &Door,
    said: &Said,
    partner: Option<Partner>,
    before: Option<Participant>,
    decided: Joining,
    invited: bool,
) -> Result<(Vec<Statement>, ParticipantId), ApiError> {
    let scope = &door.scope;
    let application = Application {
        name: said.name.clone(),
        promotion: said.promotion.clone(),
        invited,
        terms_sha256: door.terms_sha256(),
        at: call.now,
    };
    let mut batch = Vec::new();
    match (decided, before) {
        (Joining::Moves { from, to }, Some(mut participant)) => {
            participant.status = to;
            batch.push(partners::move_participant(scope, participant.id.as_str(), from, to));
            batch.push(partners::set_application(scope, participant.id.as_str(), &application)?);
            batch.push(event(app, call, scope, "participant.approved", &participant)?);
            Ok((batch, participant.id))
        }
        (_, Some(participant)) => Ok((batch, participant.id)),
        (decided, None) => {
            let status = match decided {
                Joining::Enters(status) => status,
                _ => ParticipantStatus::Pending,
            };
            let partner_id: PartnerId = match partner {
                Some(partner) => partner.id,
                None => {
                    let new = Partner {
                        id: app.fresh(call.now),
                        name: said.name.clone(),
                        email: said.email.clone(),
                        erased_at: None,
                        created_at: call.now,
                    };
                    batch.push(partners::insert(scope, &new));
                    new.id
                }
            };
            let participant = Participant {
                id: app.fresh(call.now),
                program_id: door.program_id.clone(),
                partner_id,
                status,
                application: Some(application),
                created_at: call.now,
            };
            batch.push(partners::insert_participant(scope, &participant)?);
            batch.push(event(app, call, scope, "participant.created", &participant)?);
            if status == ParticipantStatus::Approved {
                batch.push(event(app, call, scope, "participant.approved", &participant)?);
            }
            Ok((batch, participant.id))
        }
    }
}
