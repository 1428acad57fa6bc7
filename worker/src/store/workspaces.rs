//! `workspaces`.

use domain::ids::WorkspaceId;
use domain::time::Instant;

use super::page::Page;
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

/// A new workspace. What lies in another database than the first has a copy of its row there.
pub fn insert(id: &WorkspaceId, name: &str, limits: Limits, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO workspaces (id, name, clicks_per_minute, conversions_per_minute, other_per_minute, created_at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind_workspace(id)
    .bind(name)
    .bind(limits.clicks)
    .bind(limits.conversions)
    .bind(limits.other)
    .bind(now)
}

/// The oldest workspace of this name.
pub fn oldest_named(name: &str) -> Statement {
    Statement::directory("SELECT id FROM workspaces WHERE name = ? ORDER BY id LIMIT 1").bind(name)
}

/// Reads the id of a row.
pub fn decode_id(row: &Row) -> Result<WorkspaceId, DbError> {
    row.parsed("id", WorkspaceId::parse, "a workspace id")
}

/// A workspace that lies in the database that is asked, and one that its directory lists: told apart by who has keys there.
pub fn any_of_database() -> [Statement; 2] {
    [
        Statement::new("SELECT workspace_id AS id FROM api_keys LIMIT 1"),
        Statement::new("SELECT id FROM workspaces LIMIT 1"),
    ]
}

/// One workspace.
pub fn by_id(id: &str) -> Statement {
    Statement::directory(COLUMNS).push(" WHERE id = ?").bind(id)
}

const COLUMNS: &str = "SELECT id, name, clicks_per_minute, conversions_per_minute, other_per_minute, clicks_kept_days, track_by_workspace_id, \
     suspended_at, created_at FROM workspaces";

/// A page of all workspaces: of every customer of this deployment, for its operator.
pub fn list(page: &Page) -> Statement {
    page.bound(Statement::directory(COLUMNS).push(" WHERE true"))
}

/// Changes what is given of a workspace and of its copy in the directory; the time for which clicks are kept from the next purge on, which is soon.
pub fn change(
    id: &WorkspaceId,
    name: Option<&str>,
    clicks_kept_days: Option<i64>,
    track_by_workspace_id: Option<bool>,
) -> Statement {
    Statement::each(
        "UPDATE workspaces SET name = COALESCE(?, name), clicks_kept_days = COALESCE(?, clicks_kept_days), \
         track_by_workspace_id = COALESCE(?, track_by_workspace_id), clicks_purge_at = 0 WHERE id = ?",
    )
    .bind(name)
    .bind(clicks_kept_days)
    .bind(track_by_workspace_id)
    .bind(id.as_str())
}

/// What the operator changes of a workspace and of its copy in the directory, each only where it is given. One that is suspended
/// already stays so since then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ordered {
    /// See [`Limits::clicks`].
    pub clicks: Option<i64>,
    /// See [`Limits::conversions`].
    pub conversions: Option<i64>,
    /// See [`Limits::other`].
    pub other: Option<i64>,
    /// Whether it is to be suspended from now on.
    pub suspended: Option<bool>,
}

/// Changes that. Each is written alone, so that of two changes at once neither undoes the other.
pub fn order(id: &WorkspaceId, ordered: Ordered, now: Instant) -> Statement {
    Statement::each(
        "UPDATE workspaces SET clicks_per_minute = COALESCE(?, clicks_per_minute), \
         conversions_per_minute = COALESCE(?, conversions_per_minute), other_per_minute = COALESCE(?, other_per_minute), \
         suspended_at = CASE ? WHEN 1 THEN COALESCE(suspended_at, ?) WHEN 0 THEN NULL ELSE suspended_at END WHERE id = ?",
    )
    .bind(ordered.clicks)
    .bind(ordered.conversions)
    .bind(ordered.other)
    .bind(ordered.suspended)
    .bind(now)
    .bind(id.as_str())
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
    /// For how many days raw clicks are kept.
    pub clicks_kept_days: i64,
    /// Since when the operator has it suspended, if they have.
    pub suspended_at: Option<Instant>,
    /// Whether its id alone suffices to report leads and sales.
    pub track_by_workspace_id: bool,
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
        clicks_kept_days: row.integer("clicks_kept_days")?,
        suspended_at: row.instant_opt("suspended_at")?,
        track_by_workspace_id: row.flag("track_by_workspace_id")?,
        created_at: row.instant("created_at")?,
    })
}

/// A workspace that leads and sales may come to without a key.
#[derive(Clone, Debug)]
pub struct Tracking {
    /// Which.
    pub workspace_id: WorkspaceId,
    /// Whether its id alone suffices.
    pub by_workspace_id: bool,
    /// Whether the operator has it suspended.
    pub is_suspended: bool,
    /// Its limit of everything but clicks and reported conversions.
    pub other_per_minute: u32,
}

/// A workspace, as it is named by its id.
pub fn tracking(id: &WorkspaceId) -> Statement {
    Statement::new("SELECT w.id, w.track_by_workspace_id, w.suspended_at IS NOT NULL AS is_suspended, w.other_per_minute FROM workspaces w WHERE w.id = ?")
        .bind_workspace(id)
}

/// The workspaces that registered this host in live mode, two of them where there are more; suspended ones last.
pub fn tracking_by_host(host: &str) -> Statement {
    Statement::each(
        "SELECT w.id, w.track_by_workspace_id, w.suspended_at IS NOT NULL AS is_suspended, w.other_per_minute FROM hosts o JOIN workspaces w ON w.id = o.workspace_id \
         WHERE o.mode = 'live' AND o.host = ? ORDER BY w.suspended_at IS NOT NULL LIMIT 2",
    )
    .bind(host)
}

/// Reads a row of [`tracking`] or [`tracking_by_host`].
pub fn decode_tracking(row: &Row) -> Result<Tracking, DbError> {
    Ok(Tracking {
        workspace_id: decode_id(row)?,
        by_workspace_id: row.flag("track_by_workspace_id")?,
        is_suspended: row.flag("is_suspended")?,
        other_per_minute: u32::try_from(row.integer("other_per_minute")?).unwrap_or(u32::MAX),
    })
}
