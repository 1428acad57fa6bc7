//! `acts`: what a person decided, and why.

use domain::ids::ActId;
use domain::time::Instant;

use super::{DbError, Row, Scope, Statement};

/// A human step.
pub struct NewAct<'a> {
    /// Its id.
    pub id: ActId,
    /// Such as `commission.reject`.
    pub kind: &'static str,
    /// What it was done to.
    pub subject: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// What it said beside its reason, as JSON.
    pub detail: Option<String>,
    /// The request that brought it.
    pub request_id: &'a str,
}

/// Writes an act. It is never changed.
pub fn insert(scope: &Scope, act: &NewAct<'_>, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO acts (id, workspace_id, mode, kind, subject, reason, detail, request_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(act.id.as_str())
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(act.kind)
    .bind(act.subject)
    .bind(act.reason)
    .bind(act.detail.as_ref())
    .bind(act.request_id)
    .bind(now)
}

/// An act as it is shown.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Such as `commission.reject`.
    pub kind: String,
    /// What it was done to.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
    /// What it said beside.
    pub detail: Option<serde_json::Value>,
    /// The request that brought it.
    pub request_id: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// What people did to a conversion and its commissions, oldest first.
pub fn of_conversion(scope: &Scope, conversion_id: &str) -> Statement {
    Statement::new(
        "SELECT id, kind, subject, reason, detail, request_id, created_at FROM acts WHERE workspace_id = ?1 AND mode = ?2 \
         AND subject IN (SELECT ?3 UNION SELECT m.id FROM commissions m WHERE m.conversion_id = ?3) ORDER BY id LIMIT 100",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(conversion_id)
}

/// Rejections of these commissions, oldest first: the last one of each says why it is rejected.
pub fn rejections(scope: &Scope, commission_ids: &[&str]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT id, kind, subject, reason, detail, request_id, created_at FROM acts WHERE workspace_id = ? AND mode = ? \
         AND kind = 'commission.reject' AND subject IN (SELECT value FROM json_each(?)) ORDER BY id",
    )
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(super::to_json(&commission_ids)?))
}

/// Reads an act.
pub fn decode(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.text("id")?,
        kind: row.text("kind")?,
        subject: row.text("subject")?,
        reason: row.text_opt("reason")?,
        detail: row.text_opt("detail")?.and_then(|text| serde_json::from_str(&text).ok()),
        request_id: row.text_opt("request_id")?,
        created_at: row.instant("created_at")?,
    })
}
