//! `acts`: what a person decided, and why.

use domain::ids::ActId;
use domain::time::Instant;

use super::{Scope, Statement};

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
    /// The request that brought it.
    pub request_id: &'a str,
}

/// Writes an act. It is never changed.
pub fn insert(scope: &Scope, act: &NewAct<'_>, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO acts (id, workspace_id, mode, kind, subject, reason, request_id, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(act.id.as_str())
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(act.kind)
    .bind(act.subject)
    .bind(act.reason)
    .bind(act.request_id)
    .bind(now)
}
