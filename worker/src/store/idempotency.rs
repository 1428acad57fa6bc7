//! `idempotency_keys`: who is answering a request that carries a key, and what was answered.

use domain::time::Instant;

use super::{DbError, Home, Row, Scope, Statement};

/// A run that wants to be the one that answers.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose request it is.
    pub scope: Scope,
    /// Stands for the path and the key.
    pub name: String,
    /// Stands for what is asked: the query and the body.
    pub body: String,
    /// The run.
    pub owner: String,
}

/// What stands under a key once it was claimed.
#[derive(Clone, Debug)]
pub struct Found {
    /// What was asked first.
    pub body: String,
    /// The run that answers.
    pub owner: Option<String>,
    /// When it was asked first.
    pub created_at: Instant,
    /// The status and the sealed body of the answer.
    pub answer: Option<(i64, String)>,
}

/// Claims a key, unless it is answered, or another run is answering it since `stale`; a row of before `expired` is none any more. The
/// last statement gives what stands there then.
pub fn claim(claim: &Claim, now: Instant, stale: Instant, expired: Instant) -> Vec<Statement> {
    let old = Statement::new("DELETE FROM idempotency_keys ");
    let inserted = Statement::new(
        "INSERT INTO idempotency_keys (workspace_id, mode, name, body, owner, claimed_at, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (workspace_id, mode, name) DO UPDATE SET owner = excluded.owner, \
         claimed_at = excluded.claimed_at WHERE idempotency_keys.status IS NULL AND idempotency_keys.body = excluded.body \
         AND (idempotency_keys.owner IS NULL OR idempotency_keys.claimed_at <= ?7)",
    )
    .bind_workspace(&claim.scope.workspace_id)
    .bind(claim.scope.mode)
    .bind(&claim.name)
    .bind(&claim.body)
    .bind(&claim.owner)
    .bind(now)
    .bind(stale);
    let found = Statement::new("SELECT body, owner, created_at, status, answer FROM idempotency_keys ");
    vec![named(claim, old).push(" AND created_at <= ?").bind(expired), inserted, named(claim, found)]
}

/// Reads the row that [`claim`] gives.
pub fn decode(row: &Row) -> Result<Found, DbError> {
    Ok(Found {
        body: row.text("body")?,
        owner: row.text_opt("owner")?,
        created_at: row.instant("created_at")?,
        answer: row.integer_opt("status")?.zip(row.text_opt("answer")?),
    })
}

/// Keeps the answer in the batch of the deed, if the statement before this one changed anything. Where the claim is another run's by
/// now, or nobody's, a CHECK fails, and the deed with it.
pub fn keep_with_deed(claim: &Claim, status: u16, answer: &str) -> Statement {
    let kept = Statement::new(
        "UPDATE idempotency_keys SET status = iif(owner = ? AND status IS NULL, iif(changes() > 0, ?, NULL), 0), \
         answer = iif(changes() > 0, ?, NULL) ",
    );
    named(claim, kept.bind(&claim.owner).bind(i64::from(status)).bind(answer))
}

/// Keeps the answer of a claim that still is this run's.
pub fn keep(claim: &Claim, status: u16, answer: &str) -> Statement {
    let kept = Statement::new("UPDATE idempotency_keys SET status = ?, answer = ? ");
    owned(claim, kept.bind(i64::from(status)).bind(answer))
}

/// Lets the next run try at once, for what is asked and nothing else. Whatever of this run is under way to the database and would
/// keep its answer there finds the claim gone, and fails.
pub fn let_go(claim: &Claim) -> Statement {
    owned(claim, Statement::new("UPDATE idempotency_keys SET owner = NULL "))
}

/// Forgets the key, of a request that was refused before it did anything.
pub fn forget(claim: &Claim) -> Statement {
    owned(claim, Statement::new("DELETE FROM idempotency_keys "))
}

fn named(claim: &Claim, statement: Statement) -> Statement {
    claim.scope.bound(statement).push(" AND name = ?").bind(&claim.name)
}

fn owned(claim: &Claim, statement: Statement) -> Statement {
    named(claim, statement).push(" AND status IS NULL AND owner = ?").bind(&claim.owner)
}

/// Deletes some of the oldest rows of before a moment. While the very oldest is younger, it looks at nothing else.
pub fn purge(expired: Instant, limit: i64) -> Statement {
    Statement::new(
        "DELETE FROM idempotency_keys WHERE rowid IN (SELECT rowid FROM (SELECT rowid, created_at FROM idempotency_keys \
         ORDER BY rowid LIMIT iif((SELECT created_at FROM idempotency_keys ORDER BY rowid LIMIT 1) <= ?1, ?2, 0)) \
         WHERE created_at <= ?1)",
    )
    .bind(expired)
    .bind(limit)
    .at(Home::Each)
}
