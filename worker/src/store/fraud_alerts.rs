//! `fraud_alerts`: what a fraud rule found, for people to look at.

use domain::attribution::Verdict;
use domain::fraud::Found;
use domain::ids::{ConversionId, FraudAlertId};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// Writes an alert, once for a conversion, a participant and a rule.
pub fn insert(scope: &Scope, id: &FraudAlertId, conversion: &ConversionId, found: &Found, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO fraud_alerts (id, workspace_id, mode, conversion_id, participant_id, rule, response, status, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?) ON CONFLICT (conversion_id, participant_id, rule) DO NOTHING",
    )
    .bind(id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(conversion.as_str())
    .bind(found.participant_id.as_str())
    .bind(found.rule.as_str())
    .bind(found.response.as_str())
    .bind(now)
}

/// What a verdict found that the one before it had not.
pub fn new<'a>(verdict: &'a Verdict, before: Option<&'a Verdict>) -> Vec<&'a Found> {
    let known = |found: &Found| {
        before.is_some_and(|before| {
            before.findings.iter().any(|one| one.rule == found.rule && one.participant_id == found.participant_id)
        })
    };
    verdict.findings.iter().filter(|found| !known(found)).collect()
}

/// An alert as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The conversion.
    pub conversion_id: String,
    /// Who would be credited, or was.
    pub participant_id: String,
    /// What is remarkable.
    pub rule: String,
    /// What was done.
    pub response: String,
    /// `open` or `dismissed`.
    pub status: String,
    /// When it was found.
    pub created_at: Instant,
}

/// All of what is shown, and from where.
pub(super) const COLUMNS: &str =
    "SELECT id, conversion_id, participant_id, rule, response, status, created_at FROM fraud_alerts ";

/// One alert.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One conversion.
    pub conversion_id: Option<String>,
    /// One participant.
    pub participant_id: Option<String>,
    /// One rule.
    pub rule: Option<String>,
    /// `open` or `dismissed`.
    pub status: Option<String>,
}

/// A page of alerts.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = scope
        .bound_unless(filter.conversion_id.is_some(), Statement::new(COLUMNS))
        .push_if(" AND conversion_id = ?", filter.conversion_id.as_ref())
        .push_if(" AND participant_id = ?", filter.participant_id.as_ref())
        .push_if(" AND rule = ?", filter.rule.as_ref());
    let statement = match filter.status.as_deref() {
        // As the partial index says it.
        Some("open") => statement.push(" AND status = 'open'"),
        status => statement.push_if(" AND status = ?", status),
    };
    page.bound(statement)
}

/// Dismisses an alert that is open. If it is not any more, the CHECK fails, and the batch with it.
pub fn dismiss(scope: &Scope, id: &str) -> Statement {
    let update =
        Statement::new("UPDATE fraud_alerts SET status = CASE WHEN status = 'open' THEN 'dismissed' ELSE 'raced' END ");
    scope.bound(update).push(" AND id = ?").bind(id)
}

/// Dismisses whatever is open of a conversion.
pub fn dismiss_all(conversion: &ConversionId) -> Statement {
    Statement::new("UPDATE fraud_alerts SET status = 'dismissed' WHERE conversion_id = ?").bind(conversion.as_str())
}

/// Reads an alert.
pub fn decode(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.text("id")?,
        conversion_id: row.text("conversion_id")?,
        participant_id: row.text("participant_id")?,
        rule: row.text("rule")?,
        response: row.text("response")?,
        status: row.text("status")?,
        created_at: row.instant("created_at")?,
    })
}
