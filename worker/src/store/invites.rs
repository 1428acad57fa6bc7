//! `invites`.

use domain::ids::{Id, InviteId, ParticipantId, ProgramId};
use domain::partner::InviteStatus;
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// An invite to join a program.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// Which program.
    pub program_id: ProgramId,
    /// Who is invited.
    pub email: String,
    /// What they are called; may be empty.
    pub name: String,
    /// As it stands in the books; see [`InviteStatus::at`].
    pub status: InviteStatus,
    /// When it ends.
    pub expires_at: Instant,
    /// Who it became.
    pub participant_id: Option<String>,
    /// When it was accepted or revoked.
    pub settled_at: Option<Instant>,
    /// When it was made.
    pub created_at: Instant,
}

/// A new invite, found by its token's digest. One before it that ran out makes room; one that is still open refuses.
pub fn insert(scope: &Scope, invite: &Invite, digest: &str) -> Vec<Statement> {
    let room = Statement::new(
        "UPDATE invites SET status = 'expired' WHERE program_id = ? AND email = ? AND status = 'pending' AND expires_at <= ?",
    )
    .bind(invite.program_id.as_str())
    .bind(&invite.email)
    .bind(invite.created_at);
    let insert = Statement::new(
        "INSERT INTO invites (id, workspace_id, mode, program_id, email, name, digest, status, expires_at, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)",
    )
    .bind(invite.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(invite.program_id.as_str())
    .bind(&invite.email)
    .bind(&invite.name)
    .bind(digest)
    .bind(invite.expires_at)
    .bind(invite.created_at);
    vec![room, insert]
}

const COLUMNS: &str =
    "SELECT id, program_id, email, name, status, expires_at, participant_id, settled_at, created_at FROM invites ";

/// One invite.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// The invite to a program with this token.
pub fn by_digest(scope: &Scope, program_id: &ProgramId, digest: &str) -> Statement {
    scope
        .bound(Statement::new(COLUMNS))
        .push(" AND digest = ? AND program_id = ?")
        .bind(digest)
        .bind(program_id.as_str())
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// As they stand now.
    pub status: Option<InviteStatus>,
    /// To one program.
    pub program_id: Option<String>,
}

/// A page of invites.
pub fn list(scope: &Scope, filter: &Filter, now: Instant, page: &Page) -> Statement {
    let statement = scope.bound(Statement::new(COLUMNS)).push_if(" AND program_id = ?", filter.program_id.as_ref());
    let statement = match filter.status {
        None => statement,
        Some(InviteStatus::Pending) => statement.push(" AND status = 'pending' AND expires_at > ?").bind(now),
        Some(InviteStatus::Expired) => {
            statement.push(" AND (status = 'expired' OR status = 'pending' AND expires_at <= ?)").bind(now)
        }
        Some(settled) => statement.push(" AND status = ?").bind(settled.as_str()),
    };
    page.bound(statement)
}

/// Takes an invite back that is still open, and gives its id if it was.
pub fn revoke(scope: &Scope, id: &str, now: Instant) -> Statement {
    let update = Statement::new("UPDATE invites SET status = 'revoked', settled_at = ? ").bind(now);
    scope.bound(update).push(" AND id = ? AND status = 'pending' AND expires_at > ? RETURNING id").bind(id).bind(now)
}

/// Revokes what a participant was invited by and has not used: whoever is turned down or stopped does not come back by it.
pub fn revoke_of(scope: &Scope, participant: &ParticipantId, now: Instant) -> Statement {
    let update = Statement::new("UPDATE invites SET status = 'revoked', settled_at = ? ").bind(now);
    scope
        .bound(update)
        .push(
            " AND status = 'pending' AND (program_id, email) IN (SELECT p.program_id, a.email FROM participants p \
             JOIN partners a ON a.id = p.partner_id WHERE p.id = ?)",
        )
        .bind(participant.as_str())
}

/// Spends an invite on whoever joins by it. If it is not open any more, the CHECK fails, and the batch with it.
pub fn accept(id: &InviteId, participant: &ParticipantId, now: Instant) -> Statement {
    Statement::new(
        "UPDATE invites SET status = CASE WHEN status = 'pending' AND expires_at > ?1 THEN 'accepted' ELSE 'raced' END, \
         participant_id = ?2, settled_at = ?1 WHERE id = ?3",
    )
    .bind(now)
    .bind(participant.as_str())
    .bind(id.as_str())
}

/// Reads an invite.
pub fn decode(row: &Row) -> Result<Invite, DbError> {
    Ok(Invite {
        id: row.parsed("id", Id::parse, "an invite id")?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        status: row.parsed("status", InviteStatus::parse, "an invite's status")?,
        expires_at: row.instant("expires_at")?,
        participant_id: row.text_opt("participant_id")?,
        settled_at: row.instant_opt("settled_at")?,
        created_at: row.instant("created_at")?,
    })
}

/// What the letter of an invite needs to know when it is sent: whether it is still open, and its program's name.
pub fn for_letter(id: &str, now: Instant) -> Statement {
    Statement::somewhere(
        "SELECT g.name AS program, w.name AS workspace FROM invites i JOIN programs g ON g.id = i.program_id \
         JOIN workspaces w ON w.id = i.workspace_id WHERE i.id = ? AND i.status = 'pending' AND i.expires_at > ?",
    )
    .bind(id)
    .bind(now)
}
