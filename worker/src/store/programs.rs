//! `programs` and `reward_versions`.

use domain::ids::{Id, ProgramId};
use domain::reward::RewardVersion;
use domain::status::{AttributionModel, ProgramStatus};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its id.
    pub id: ProgramId,
    /// Its name.
    pub name: String,
    /// In `/join/{slug}`.
    pub slug: String,
    /// Its status.
    pub status: ProgramStatus,
    /// How long a click counts.
    pub attribution_window_days: i64,
    /// How a bound customer is treated.
    pub attribution_model: AttributionModel,
    /// What a payout must reach, in the minor unit of its currency, whichever that is.
    pub minimum_payout_cents: i64,
    /// When it was made.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, name, slug, status, attribution_window_days, attribution_model, minimum_payout_cents, created_at \
     FROM programs ";

/// A new program.
pub fn insert(scope: &Scope, program: &Program) -> Statement {
    Statement::new(
        "INSERT INTO programs (id, workspace_id, mode, name, slug, status, attribution_window_days, attribution_model, \
         minimum_payout_cents, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(program.id.as_str())
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(&program.name)
    .bind(&program.slug)
    .bind(program.status.as_str())
    .bind(program.attribution_window_days)
    .bind(program.attribution_model.as_str())
    .bind(program.minimum_payout_cents)
    .bind(program.created_at)
}

/// One program.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// A page of programs.
pub fn list(scope: &Scope, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new(COLUMNS)))
}

/// Moves a program on from where it was seen. If it stands elsewhere by now, the CHECK fails, and the batch with it.
pub fn set_status(scope: &Scope, id: &ProgramId, from: ProgramStatus, to: ProgramStatus) -> Statement {
    let update = Statement::new("UPDATE programs SET status = CASE WHEN status = ? THEN ? ELSE 'raced' END ")
        .bind(from.as_str())
        .bind(to.as_str());
    scope.bound(update).push(" AND id = ?").bind(id.as_str())
}

/// Reads a program.
pub fn decode(row: &Row) -> Result<Program, DbError> {
    Ok(Program {
        id: row.parsed("id", Id::parse, "a program id")?,
        name: row.text("name")?,
        slug: row.text("slug")?,
        status: row.parsed("status", ProgramStatus::parse, "a program's status")?,
        attribution_window_days: row.integer("attribution_window_days")?,
        attribution_model: row.parsed("attribution_model", AttributionModel::parse, "an attribution model")?,
        minimum_payout_cents: row.integer("minimum_payout_cents")?,
        created_at: row.instant("created_at")?,
    })
}

/// A new version of a reward.
pub fn insert_reward(scope: &Scope, version: &RewardVersion, now: Instant) -> Result<Statement, DbError> {
    let body = super::to_json(version)?;
    Ok(Statement::new(
        "INSERT INTO reward_versions (id, workspace_id, mode, program_id, reward_id, version, valid_from, body, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(version.id.as_str())
    .bind(scope.workspace_id.as_str())
    .bind(scope.mode)
    .bind(version.program_id.as_str())
    .bind(version.reward_id.as_str())
    .bind(version.version)
    .bind(version.valid_from)
    .bind(body)
    .bind(now))
}

/// Every version of every reward of these programs: a JSON list of ids.
pub fn rewards_of(scope: &Scope, program_ids: &[String]) -> Result<Statement, DbError> {
    Ok(Statement::new("SELECT body FROM reward_versions WHERE program_id IN (SELECT value FROM json_each(?))")
        .bind(super::to_json(&program_ids)?)
        .push(" AND workspace_id = ?")
        .bind(scope.workspace_id.as_str())
        .push(" AND mode = ? ORDER BY reward_id, version")
        .bind(scope.mode))
}
