//! `partners` and `participants`.

use std::collections::HashMap;

use domain::attribution::Standing;
use domain::ids::{Id, ParticipantId, PartnerId, ProgramId};
use domain::status::{ParticipantStatus, ProgramStatus};
use domain::time::Instant;
use serde::{Deserialize, Serialize};

use super::page::Page;
use super::{DbError, Row, Scope, Statement, search};

/// A partner.
#[derive(Clone, Debug)]
pub struct Partner {
    /// Its id.
    pub id: PartnerId,
    /// The person's name.
    pub name: String,
    /// The person's e-mail address.
    pub email: String,
    /// Who they were is gone, and these are placeholders.
    pub erased_at: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
}

/// A new partner.
pub fn insert(scope: &Scope, partner: &Partner) -> Statement {
    Statement::new("INSERT INTO partners (id, workspace_id, mode, name, email, created_at) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(partner.id.as_str())
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(&partner.name)
        .bind(&partner.email)
        .bind(partner.created_at)
}

const PARTNER: &str = "SELECT id, name, email, erased_at, created_at FROM partners ";

/// One partner.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(PARTNER)).push(" AND id = ?").bind(id)
}

/// The partner whom a participant is.
pub fn of_participant(scope: &Scope, participant_id: &str) -> Statement {
    scope
        .bound(Statement::new(PARTNER))
        .push(" AND id = (SELECT partner_id FROM participants WHERE id = ?)")
        .bind(participant_id)
}

/// A page of partners.
pub fn list(scope: &Scope, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new(PARTNER)))
}

/// A page of those whose name or address begins so, whatever its case; each row's `is_cut` tells whether more begin so than are
/// looked at.
pub fn list_beginning(scope: &Scope, prefix: &str, page: &Page) -> Statement {
    page.bound(search::partners_beginning(scope, prefix))
}

/// The partner with this address.
pub fn by_email(scope: &Scope, email: &str) -> Statement {
    scope.bound(Statement::new(PARTNER)).push(" AND email = ?").bind(email)
}

/// Changes what is given of a partner who is not erased. Each is written alone, so that of two changes at once neither undoes
/// the other.
pub fn change(scope: &Scope, id: &str, name: Option<&String>, email: Option<&String>) -> Statement {
    let update = Statement::new("UPDATE partners SET name = COALESCE(?, name), email = COALESCE(?, email) ")
        .bind(name)
        .bind(email);
    scope.bound(update).push(" AND erased_at IS NULL AND id = ?").bind(id)
}

/// Reads a partner.
pub fn decode(row: &Row) -> Result<Partner, DbError> {
    Ok(Partner {
        id: row.parsed("id", Id::parse, "a partner id")?,
        name: row.text("name")?,
        email: row.text("email")?,
        erased_at: row.instant_opt("erased_at")?,
        created_at: row.instant("created_at")?,
    })
}

/// What somebody said when they joined a program by its page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// What they call themselves.
    pub name: String,
    /// Their site, and how they promote; may be empty.
    pub promotion: String,
    /// They came by an invite.
    pub invited: bool,
    /// SHA-256 of the terms that they accepted.
    pub terms_sha256: String,
    /// When.
    pub at: Instant,
}

/// A partner's membership of a program.
#[derive(Clone, Debug)]
pub struct Participant {
    /// Its id.
    pub id: ParticipantId,
    /// The program.
    pub program_id: ProgramId,
    /// The partner.
    pub partner_id: PartnerId,
    /// Its status.
    pub status: ParticipantStatus,
    /// What they said when they joined by the page.
    pub application: Option<Application>,
    /// When it was made.
    pub created_at: Instant,
}

/// A new participant. If the partner is erased by now, the CHECK fails, and the batch with it: nothing that somebody says is kept
/// under who they no longer are.
pub fn insert_participant(scope: &Scope, participant: &Participant) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO participants (id, workspace_id, mode, program_id, partner_id, status, application, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, iif(EXISTS (SELECT 1 FROM partners WHERE id = ?5 AND erased_at IS NOT NULL), 'raced', ?6), \
         ?7, ?8)",
    )
    .bind(participant.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(participant.program_id.as_str())
    .bind(participant.partner_id.as_str())
    .bind(participant.status.as_str())
    .bind(participant.application.as_ref().map(super::to_json).transpose()?)
    .bind(participant.created_at))
}

const PARTICIPANT: &str = "SELECT id, program_id, partner_id, status, application, created_at FROM participants ";

/// One participant.
pub fn participant_by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(PARTICIPANT)).push(" AND id = ?").bind(id)
}

/// What the partner of this address is in a program.
pub fn participant_by_email(scope: &Scope, program_id: &ProgramId, email: &str) -> Statement {
    scope
        .bound(Statement::new(PARTICIPANT))
        .push(" AND program_id = ? AND partner_id = (SELECT id FROM partners WHERE workspace_id = ? AND mode = ? AND email = ?)")
        .bind(program_id.as_str())
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(email)
}

/// Keeps what a participant said who was there before. It is in one batch with [`move_participant`], which lets nobody in who is
/// erased.
pub fn set_application(scope: &Scope, id: &str, application: &Application) -> Result<Statement, DbError> {
    let update = Statement::new("UPDATE participants SET application = ? ").bind(super::to_json(application)?);
    Ok(scope.bound(update).push(" AND id = ?").bind(id))
}

/// What a list of participants is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct ParticipantFilter {
    /// One program's.
    pub program_id: Option<String>,
    /// One partner's.
    pub partner_id: Option<String>,
    /// Of one status.
    pub status: Option<String>,
}

/// A page of participants.
pub fn list_participants(scope: &Scope, filter: &ParticipantFilter, page: &Page) -> Statement {
    let statement = scope
        .bound(Statement::new(PARTICIPANT))
        .push_if(" AND program_id = ?", filter.program_id.as_ref())
        .push_if(" AND partner_id = ?", filter.partner_id.as_ref());
    let statement = match filter.status.as_deref() {
        // As the partial index says it.
        Some("pending") => statement.push(" AND status = 'pending'"),
        status => statement.push_if(" AND status = ?", status),
    };
    page.bound(statement)
}

/// Moves a participant on from where it was seen. If it stands elsewhere by now, or the partner to be
/// approved is erased, the CHECK fails, and the batch with it.
pub fn move_participant(scope: &Scope, id: &str, from: ParticipantStatus, to: ParticipantStatus) -> Statement {
    let update = Statement::new(
        "UPDATE participants SET status = CASE WHEN status = ?1 AND (?2 <> 'approved' OR NOT EXISTS (SELECT 1 FROM partners a \
         WHERE a.id = partner_id AND a.erased_at IS NOT NULL)) THEN ?2 ELSE 'raced' END ",
    )
    .bind(from.as_str())
    .bind(to.as_str());
    scope.bound(update).push(" AND id = ?").bind(id)
}

/// Reads a participant.
pub fn decode_participant(row: &Row) -> Result<Participant, DbError> {
    Ok(Participant {
        id: row.parsed("id", Id::parse, "a participant id")?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        partner_id: row.parsed("partner_id", Id::parse, "a partner id")?,
        status: row.parsed("status", ParticipantStatus::parse, "a participant's status")?,
        application: row.text_opt("application")?.map(|_| row.json("application")).transpose()?,
        created_at: row.instant("created_at")?,
    })
}

/// How a participant and its program stand.
pub fn standing(scope: &Scope, id: &str) -> Statement {
    Statement::new(
        "SELECT p.id AS participant_id, p.status AS participant_status, g.id AS program_id, g.status AS program_status, \
         g.attribution_window_days FROM participants p JOIN programs g ON g.id = p.program_id \
         WHERE p.workspace_id = ? AND p.mode = ? AND p.id = ?",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(id)
}

/// Reads how a participant stands.
pub fn decode_standing(row: &Row) -> Result<Standing, DbError> {
    Ok(Standing {
        participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
        participant_status: row.parsed("participant_status", ParticipantStatus::parse, "a participant's status")?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        program_status: row.parsed("program_status", ProgramStatus::parse, "a program's status")?,
        window_days: row.integer("attribution_window_days")?,
    })
}

/// The partner's name for each participant.
pub fn names(scope: &Scope) -> Statement {
    Statement::new(
        "SELECT m.id, p.name FROM participants m JOIN partners p ON p.id = m.partner_id \
         WHERE m.workspace_id = ? AND m.mode = ?",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
}

/// Reads the rows of [`names`], by participant id.
pub fn decode_names(rows: &[Row]) -> Result<HashMap<String, String>, DbError> {
    rows.iter().map(|row| Ok((row.text("id")?, row.text("name")?))).collect()
}
