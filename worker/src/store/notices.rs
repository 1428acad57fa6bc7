//! `notices`: what partners are told. Rows are written by the trigger `events_are_noticed`, and by the answer to a question.

use domain::ids::{Id, ParticipantId, PartnerId, WorkspaceId};
use domain::mode::Mode;
use domain::money::Currency;
use domain::partner::{MailSwitch, NOTICES_MAILED_EVERY_MS, NoticeKind};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// Something that a partner is told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its id.
    pub id: String,
    /// As whom.
    pub participant_id: String,
    /// The program's name.
    pub program: String,
    /// What.
    pub kind: NoticeKind,
    /// A commission, a payout, a participant or a question.
    pub subject: String,
    /// The amount, where it is about one.
    pub amount_cents: Option<i64>,
    /// Its currency.
    pub currency: Option<Currency>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, participant_id, kind, subject, amount_cents, currency, reason, created_at, \
     (SELECT g.name FROM participants m JOIN programs g ON g.id = m.program_id WHERE m.id = notices.participant_id) AS program \
     FROM notices ";

/// A page of what a partner was told, of one program where one is given.
pub fn list(scope: &Scope, partner_id: &str, participant_id: Option<&str>, page: &Page) -> Statement {
    let statement = scope.bound(Statement::new(COLUMNS)).push(" AND partner_id = ?").bind(partner_id);
    page.bound(statement.push_if(" AND participant_id = ?", participant_id))
}

/// Reads a notice.
pub fn decode(row: &Row) -> Result<Notice, DbError> {
    let currency = row.text_opt("currency")?;
    Ok(Notice {
        id: row.text("id")?,
        participant_id: row.text("participant_id")?,
        program: row.text("program")?,
        kind: row.parsed("kind", NoticeKind::parse, "a notice's kind")?,
        subject: row.text("subject")?,
        amount_cents: row.integer_opt("amount_cents")?,
        currency: currency.as_deref().and_then(|code| Currency::parse(code).ok()),
        reason: row.text_opt("reason")?,
        created_at: row.instant("created_at")?,
    })
}

/// Partners to whom a letter is to be written by now.
pub fn due(now: Instant, limit: i64) -> Statement {
    Statement::somewhere(
        "SELECT DISTINCT n.partner_id FROM notices n JOIN partners p ON p.id = n.partner_id WHERE n.mail_due_at <= ? \
         AND COALESCE(p.noticed_at, 0) <= ? LIMIT ?",
    )
    .bind(now)
    .bind(now.plus_ms(-NOTICES_MAILED_EVERY_MS))
    .bind(limit)
}

/// A partner to whom a letter is written.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Where the letter goes.
    pub email: String,
    /// The merchant's workspace.
    pub workspace_id: WorkspaceId,
    /// What the merchant is called.
    pub workspace: String,
    /// What is not mailed.
    pub unmailed: Vec<MailSwitch>,
    /// Nobody is there any more.
    pub is_erased: bool,
}

/// Who is written to.
pub fn reader(partner_id: &str) -> Statement {
    Statement::somewhere(
        "SELECT p.email, w.id AS workspace_id, w.name AS workspace, p.unmailed, p.erased_at, p.mode FROM partners p \
         JOIN workspaces w ON w.id = p.workspace_id WHERE p.id = ?",
    )
    .bind(partner_id)
}

/// What a partner is not told by mail yet, oldest first. (The plus keeps the planner from going through all notices by their ids.)
pub fn unmailed(partner_id: &str, now: Instant, limit: i64) -> Statement {
    Statement::somewhere(COLUMNS)
        .push("WHERE partner_id = ? AND mail_due_at <= ? ORDER BY +id LIMIT ?")
        .bind(partner_id)
        .bind(now)
        .bind(limit)
}

/// Reads who is written to.
pub fn decode_reader(row: &Row) -> Result<Reader, DbError> {
    Ok(Reader {
        email: row.text("email")?,
        workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
        workspace: row.text("workspace")?,
        unmailed: row.json("unmailed")?,
        is_erased: row.integer_opt("erased_at")?.is_some() || row.mode("mode")? != Mode::Live,
    })
}

/// Notes that these were mailed, or will not be, and when the partner was last written to. If another letter took up one of
/// them meanwhile, the CHECK fails, and the batch with it: each notice is in one letter.
pub fn settle(partner_id: &PartnerId, ids: &[&str], written_at: Option<Instant>) -> Result<Vec<Statement>, DbError> {
    let ids = super::to_json(&ids)?;
    let settled = Statement::new(
        "UPDATE notices SET kind = iif(mail_due_at IS NULL, 'raced', kind), mail_due_at = NULL \
         WHERE id IN (SELECT value FROM json_each(?))",
    )
    .bind(ids);
    let written = written_at
        .map(|at| Statement::new("UPDATE partners SET noticed_at = ? WHERE id = ?").bind(at).bind(partner_id.as_str()));
    Ok(std::iter::once(settled).chain(written).collect())
}

/// That somebody is in is told by a letter of its own, written in the same batch.
pub fn joined_is_told(participant_id: &ParticipantId, now: Instant) -> Statement {
    Statement::new("UPDATE notices SET mail_due_at = NULL WHERE subject = ? AND kind = 'joined' AND created_at = ?")
        .bind(participant_id.as_str())
        .bind(now)
}

/// What a partner does not want mailed.
pub fn set_unmailed(scope: &Scope, partner_id: &PartnerId, unmailed: &[MailSwitch]) -> Result<Statement, DbError> {
    let update = Statement::new("UPDATE partners SET unmailed = ? ").bind(super::to_json(&unmailed)?);
    Ok(scope.bound(update).push(" AND erased_at IS NULL AND id = ?").bind(partner_id.as_str()))
}

/// Reads the id of a row of [`due`].
pub fn decode_due(row: &Row) -> Result<PartnerId, DbError> {
    row.parsed("partner_id", Id::parse, "a partner id")
}
