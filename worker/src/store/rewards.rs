//! `reward_versions`: a reward is its versions, and a change is a new one.

use domain::reward::RewardVersion;
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A reward as it stands: its newest version.
#[derive(Clone, Debug)]
pub struct Reward {
    /// The newest version.
    pub current: RewardVersion,
    /// When its first version was made.
    pub created_at: Instant,
}

/// A new version of a reward. Who comes second with the same one is refused by the table, and its batch with it.
pub fn insert(scope: &Scope, version: &RewardVersion, now: Instant) -> Result<Statement, DbError> {
    let body = super::to_json(version)?;
    Ok(Statement::new(
        "INSERT INTO reward_versions (id, workspace_id, mode, program_id, reward_id, version, valid_from, body, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(version.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(version.program_id.as_str())
    .bind(version.reward_id.as_str())
    .bind(version.version)
    .bind(version.valid_from)
    .bind(body)
    .bind(now))
}

/// Every version of every reward of these programs: a JSON list of ids.
pub fn of_programs(scope: &Scope, program_ids: &[String]) -> Result<Statement, DbError> {
    Ok(Statement::new("SELECT body FROM reward_versions WHERE program_id IN (SELECT value FROM json_each(?))")
        .bind(super::to_json(&program_ids)?)
        .push(" AND workspace_id = ?")
        .bind_workspace(&scope.workspace_id)
        .push(" AND mode = ? ORDER BY reward_id, version")
        .bind(scope.mode))
}

/// All versions of one reward, the first one first.
pub fn versions(scope: &Scope, reward_id: &str) -> Statement {
    scope
        .bound(Statement::new("SELECT body, created_at FROM reward_versions "))
        .push(" AND reward_id = ? ORDER BY version")
        .bind(reward_id)
}

/// What a list of rewards is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One program's.
    pub program_id: Option<String>,
    /// One participant's own.
    pub participant_id: Option<String>,
    /// Of one trigger.
    pub trigger: Option<String>,
}

/// A page of rewards, each at its newest version; retired ones too.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = Statement::new(
        "SELECT body, (SELECT f.created_at FROM reward_versions f WHERE f.workspace_id = v.workspace_id \
         AND f.mode = v.mode AND f.reward_id = v.reward_id AND f.version = 1) AS created_at \
         FROM reward_versions v ",
    );
    scope
        .bound(statement)
        .push(
            " AND NOT EXISTS (SELECT 1 FROM reward_versions n WHERE n.workspace_id = v.workspace_id \
             AND n.mode = v.mode AND n.reward_id = v.reward_id AND n.version > v.version)",
        )
        .push_if(" AND program_id = ?", filter.program_id.as_ref())
        .push_if(" AND json_extract(body, '$.participant_id') = ?", filter.participant_id.as_ref())
        .push_if(" AND json_extract(body, '$.trigger') = ?", filter.trigger.as_ref())
        .push_if(" AND reward_id < ?", page.after.as_ref())
        .push(" ORDER BY reward_id DESC LIMIT ?")
        .bind(page.limit + 1)
}

/// Reads a reward of [`list`].
pub fn decode(row: &Row) -> Result<Reward, DbError> {
    Ok(Reward { current: row.json("body")?, created_at: row.instant("created_at")? })
}
