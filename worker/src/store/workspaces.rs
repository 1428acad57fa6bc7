//! `workspaces`.

use domain::ids::WorkspaceId;
use domain::time::Instant;

use super::{DbError, Row, Statement};

/// Requests per aligned minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clicks, per public key.
    pub clicks: i64,
    /// Reported conversions, per secret key.
    pub conversions: i64,
    /// Everything else, per address.
    pub other: i64,
}

impl Default for Limits {
    /// Contract, section 4.
    fn default() -> Self {
        Self { clicks: 1_000, conversions: 120, other: 300 }
    }
}

/// A new workspace.
pub fn insert(id: &WorkspaceId, name: &str, limits: Limits, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO workspaces (id, name, clicks_per_minute, conversions_per_minute, other_per_minute, created_at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(id.as_str())
    .bind(name)
    .bind(limits.clicks)
    .bind(limits.conversions)
    .bind(limits.other)
    .bind(now)
}

/// The oldest workspace of this name.
pub fn oldest_named(name: &str) -> Statement {
    Statement::new("SELECT id FROM workspaces WHERE name = ? ORDER BY id LIMIT 1").bind(name)
}

/// Reads the id of a row.
pub fn decode_id(row: &Row) -> Result<WorkspaceId, DbError> {
    row.parsed("id", WorkspaceId::parse, "a workspace id")
}

/// One workspace.
pub fn by_id(id: &str) -> Statement {
    Statement::new("SELECT id, name, clicks_per_minute, conversions_per_minute, other_per_minute, created_at FROM workspaces WHERE id = ?")
        .bind(id)
}

/// A workspace, as it is shown.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// When it was made.
    pub created_at: Instant,
}

/// Reads a row of [`by_id`].
pub fn decode(row: &Row) -> Result<Workspace, DbError> {
    Ok(Workspace {
        id: decode_id(row)?,
        name: row.text("name")?,
        limits: Limits {
            clicks: row.integer("clicks_per_minute")?,
            conversions: row.integer("conversions_per_minute")?,
            other: row.integer("other_per_minute")?,
        },
        created_at: row.instant("created_at")?,
    })
}
