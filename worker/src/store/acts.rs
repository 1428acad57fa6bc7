//! `acts`: what a person decided, and why.

use domain::ids::{ActId, PersonId};
use domain::time::Instant;

use super::accounts::Address;
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
    /// The member whose session brought it; none where a key did.
    pub person_id: Option<&'a PersonId>,
}

/// Writes an act. It is never changed.
pub fn insert(scope: &Scope, act: &NewAct<'_>, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO acts (id, workspace_id, mode, kind, subject, reason, detail, request_id, person_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(act.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(act.kind)
    .bind(act.subject)
    .bind(act.reason)
    .bind(act.detail.as_ref())
    .bind(act.request_id)
    .bind(act.person_id.map(PersonId::as_str))
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
    /// Who, where it was no key: their name, which may be empty, and their address.
    pub by: Option<(String, Address)>,
    /// When.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT a.id, a.kind, a.subject, a.reason, a.detail, a.request_id, a.created_at, p.name, p.email_hash, \
     p.email FROM acts a LEFT JOIN people p ON p.id = a.person_id ";

/// What people did to a conversion and its commissions, oldest first.
pub fn of_conversion(scope: &Scope, conversion_id: &str) -> Statement {
    Statement::new(COLUMNS)
        .push(
            "WHERE a.workspace_id = ?1 AND a.mode = ?2 AND a.subject IN \
             (SELECT ?3 UNION SELECT m.id FROM commissions m WHERE m.conversion_id = ?3) ORDER BY a.id LIMIT 100",
        )
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(conversion_id)
}

/// What people did to one thing, oldest first.
pub fn of_subject(scope: &Scope, subject: &str) -> Statement {
    Statement::new(COLUMNS)
        .push("WHERE a.workspace_id = ? AND a.mode = ? AND a.subject = ? ORDER BY a.id LIMIT 100")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(subject)
}

/// One act.
pub fn by_id(scope: &Scope, id: &ActId) -> Statement {
    Statement::new(COLUMNS)
        .push("WHERE a.workspace_id = ? AND a.mode = ? AND a.id = ?")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(id.as_str())
}

/// Rejections of these commissions, oldest first: the last one of each says why it is rejected.
pub fn rejections(scope: &Scope, commission_ids: &[&str]) -> Result<Statement, DbError> {
    let which = "WHERE a.workspace_id = ? AND a.mode = ? AND a.kind = 'commission.reject' \
         AND a.subject IN (SELECT value FROM json_each(?)) ORDER BY a.id";
    Ok(Statement::new(COLUMNS)
        .push(which)
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(super::to_json(&commission_ids)?))
}

/// Reads an act.
pub fn decode(row: &Row) -> Result<Listed, DbError> {
    let by = match row.text_opt("email_hash")? {
        Some(hash) => Some((row.text("name")?, Address { hash, sealed: row.text("email")? })),
        None => None,
    };
    Ok(Listed {
        by,
        id: row.text("id")?,
        kind: row.text("kind")?,
        subject: row.text("subject")?,
        reason: row.text_opt("reason")?,
        detail: row.text_opt("detail")?.and_then(|text| serde_json::from_str(&text).ok()),
        request_id: row.text_opt("request_id")?,
        created_at: row.instant("created_at")?,
    })
}
