//! `questions`: what a partner asks of a sale, and what the merchant answers.

use domain::ids::{Id, NoticeId, ParticipantId, ProgramId, QuestionId};
use domain::partner::QuestionStatus;
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// In which program.
    pub program_id: ProgramId,
    /// Who asks.
    pub participant_id: ParticipantId,
    /// The shop's number of the sale, as the partner knows it.
    pub external_transaction_id: Option<String>,
    /// The day of the sale, as the partner knows it.
    pub happened_on: Option<String>,
    /// One of their own conversions.
    pub conversion_id: Option<String>,
    /// What they ask.
    pub text: String,
    /// How it stands.
    pub status: QuestionStatus,
    /// What the merchant says.
    pub answer: Option<String>,
    /// When.
    pub answered_at: Option<Instant>,
    /// When it was asked.
    pub created_at: Instant,
}

/// A new question, unless the participant has too many open, or is erased by now; gives its id.
pub fn insert(scope: &Scope, question: &Question, open_max: i64) -> Statement {
    Statement::new(
        "INSERT INTO questions (id, workspace_id, mode, program_id, participant_id, external_transaction_id, happened_on, \
         conversion_id, text, status, created_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'open', ?10 \
         WHERE (SELECT count(*) FROM questions WHERE workspace_id = ?2 AND mode = ?3 AND participant_id = ?5 \
         AND status = 'open') < ?11 AND NOT EXISTS (SELECT 1 FROM participants m JOIN partners p ON p.id = m.partner_id \
         WHERE m.id = ?5 AND p.erased_at IS NOT NULL) RETURNING id",
    )
    .bind(question.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(question.program_id.as_str())
    .bind(question.participant_id.as_str())
    .bind(question.external_transaction_id.as_ref())
    .bind(question.happened_on.as_ref())
    .bind(question.conversion_id.as_ref())
    .bind(&question.text)
    .bind(question.created_at)
    .bind(open_max)
}

const COLUMNS: &str = "SELECT id, program_id, participant_id, external_transaction_id, happened_on, conversion_id, text, \
     status, answer, answered_at, created_at FROM questions ";

/// One question.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one status.
    pub status: Option<String>,
    /// One participant's.
    pub participant_id: Option<String>,
    /// Of one program.
    pub program_id: Option<String>,
}

/// A page of questions.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = scope.bound(Statement::new(COLUMNS));
    let statement = match filter.status.as_deref() {
        // As the partial index says it.
        Some("open") => statement.push(" AND status = 'open'"),
        status => statement.push_if(" AND status = ?", status),
    };
    let statement = statement
        .push_if(" AND participant_id = ?", filter.participant_id.as_ref())
        .push_if(" AND program_id = ?", filter.program_id.as_ref());
    page.bound(statement)
}

/// Answers an open question, and tells the partner. An answer that came first stays: then nothing is written; gives the id
/// where it is.
pub fn answer(scope: &Scope, question: &Question, answer: &str, notice: &NoticeId, now: Instant) -> Vec<Statement> {
    let update =
        Statement::new("UPDATE questions SET status = 'answered', answer = ?, answered_at = ? ").bind(answer).bind(now);
    let update = scope.bound(update).push(" AND id = ? AND status = 'open' RETURNING id").bind(question.id.as_str());
    let told = Statement::new(
        "INSERT INTO notices (id, workspace_id, mode, partner_id, participant_id, kind, subject, mail_due_at, created_at) \
         SELECT ?1, q.workspace_id, q.mode, m.partner_id, m.id, 'answered', q.id, iif(q.mode = 'live', ?2, NULL), ?2 \
         FROM questions q JOIN participants m ON m.id = q.participant_id WHERE q.id = ?3 \
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.subject = q.id)",
    )
    .bind(notice.as_str())
    .bind(now)
    .bind(question.id.as_str());
    vec![update, told]
}

/// Reads a question.
pub fn decode(row: &Row) -> Result<Question, DbError> {
    Ok(Question {
        id: row.parsed("id", Id::parse, "a question id")?,
        program_id: row.parsed("program_id", Id::parse, "a program id")?,
        participant_id: row.parsed("participant_id", Id::parse, "a participant id")?,
        external_transaction_id: row.text_opt("external_transaction_id")?,
        happened_on: row.text_opt("happened_on")?,
        conversion_id: row.text_opt("conversion_id")?,
        text: row.text("text")?,
        status: row.parsed("status", QuestionStatus::parse, "a question's status")?,
        answer: row.text_opt("answer")?,
        answered_at: row.instant_opt("answered_at")?,
        created_at: row.instant("created_at")?,
    })
}
