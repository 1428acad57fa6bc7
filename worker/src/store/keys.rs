//! `api_keys`, with their workspace's limits.

use domain::ids::{Id, KeyId, WorkspaceId};
use domain::key::{ApiKey, KeyKind, KeyScope};
use domain::mode::Mode;
use domain::time::Instant;

use super::links::Owner;
use super::page::Page;
use super::{DbError, Row, Scope, Statement, links};

/// A key that is not revoked.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// The key's id.
    pub id: KeyId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// Its mode.
    pub mode: Mode,
    /// Public or secret.
    pub kind: KeyKind,
    /// What a secret key is for.
    pub scopes: Vec<KeyScope>,
    /// Its workspace is suspended.
    pub is_suspended: bool,
    /// The workspace's limit of clicks.
    pub clicks_per_minute: u32,
    /// The workspace's limit of reported conversions.
    pub conversions_per_minute: u32,
    /// The workspace's limit of everything else.
    pub other_per_minute: u32,
}

/// The key with this digest.
pub fn by_digest(digest: &str) -> Statement {
    Statement::somewhere(
        "SELECT k.id, k.workspace_id, k.mode, k.kind, k.scopes, w.suspended_at IS NOT NULL AS is_suspended, w.clicks_per_minute, w.conversions_per_minute, w.other_per_minute \
         FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id WHERE k.digest = ? AND k.revoked_at IS NULL",
    )
    .bind(digest)
}

/// Reads a row of [`by_digest`].
pub fn decode(row: &Row) -> Result<KeyRow, DbError> {
    let limit = |column| Ok::<_, DbError>(u32::try_from(row.integer(column)?).unwrap_or(u32::MAX));
    Ok(KeyRow {
        id: row.parsed("id", Id::parse, "a key id")?,
        workspace_id: row.parsed("workspace_id", Id::parse, "a workspace id")?,
        mode: row.mode("mode")?,
        kind: row.parsed("kind", KeyKind::parse, "public or secret")?,
        scopes: scopes(row)?,
        is_suspended: row.flag("is_suspended")?,
        clicks_per_minute: limit("clicks_per_minute")?,
        conversions_per_minute: limit("conversions_per_minute")?,
        other_per_minute: limit("other_per_minute")?,
    })
}

/// Whose the public key with this digest is. One of a suspended workspace is as good as revoked.
pub fn owner_by_digest(digest: &str) -> Statement {
    Statement::somewhere(
        "SELECT k.id AS key_id, k.workspace_id, k.mode, w.clicks_per_minute FROM api_keys k \
         JOIN workspaces w ON w.id = k.workspace_id WHERE k.digest = ? AND k.kind = 'public' AND k.revoked_at IS NULL \
         AND w.suspended_at IS NULL",
    )
    .bind(digest)
}

/// Reads a row of [`owner_by_digest`].
pub fn decode_owner(row: &Row) -> Result<Owner, DbError> {
    links::decode_owner(row)
}

/// Whether a key is still valid and its workspace not suspended, and its workspace's limit of clicks.
pub fn validity(id: &KeyId) -> Statement {
    Statement::somewhere(
        "SELECT k.revoked_at IS NULL AND w.suspended_at IS NULL AS is_valid, w.clicks_per_minute FROM api_keys k \
         JOIN workspaces w ON w.id = k.workspace_id WHERE k.id = ?",
    )
    .bind(id.as_str())
}

/// Reads a row of [`validity`].
pub fn decode_validity(row: &Row) -> Result<(bool, u32), DbError> {
    Ok((row.flag("is_valid")?, u32::try_from(row.integer("clicks_per_minute")?).unwrap_or(u32::MAX)))
}

fn scopes(row: &Row) -> Result<Vec<KeyScope>, DbError> {
    let words: Vec<String> = row.json("scopes")?;
    // A scope that is not known yet lets nobody in.
    Ok(words.iter().filter_map(|word| KeyScope::parse(word)).collect())
}

/// A new key.
pub fn insert(
    id: &KeyId,
    workspace: &WorkspaceId,
    key: &ApiKey,
    scopes: &[KeyScope],
    now: Instant,
) -> Result<Statement, DbError> {
    let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    Ok(Statement::new(
        "INSERT INTO api_keys (id, workspace_id, mode, kind, digest, shown, scopes, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.as_str())
    .bind_workspace(workspace)
    .bind(key.mode())
    .bind(key.kind().as_str())
    .bind(key.digest())
    .bind(key.shown())
    .bind(super::to_json(&words)?)
    .bind(now))
}

/// The newest public key that is not revoked. Public keys are no secret, and are stored whole.
pub fn public(scope: &Scope) -> Statement {
    scope
        .bound(Statement::new("SELECT shown FROM api_keys "))
        .push(" AND kind = 'public' AND revoked_at IS NULL ORDER BY id DESC LIMIT 1")
}

/// The ids of the public keys that are not revoked, so many at most.
pub fn public_ids(scope: &Scope, limit: i64) -> Statement {
    scope
        .bound(Statement::new("SELECT id FROM api_keys "))
        .push(" AND kind = 'public' AND revoked_at IS NULL ORDER BY id DESC LIMIT ?")
        .bind(limit)
}

/// Reads a row of [`public`].
pub fn decode_shown(row: &Row) -> Result<String, DbError> {
    row.text("shown")
}

/// A key, as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: KeyId,
    /// Public or secret.
    pub kind: KeyKind,
    /// What a secret key is for.
    pub scopes: Vec<KeyScope>,
    /// What may be shown of it.
    pub shown: String,
    /// When it was made.
    pub created_at: Instant,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Instant>,
}

/// A page of keys.
pub fn list(scope: &Scope, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new("SELECT id, kind, scopes, shown, created_at, revoked_at FROM api_keys ")))
}

/// One key, revoked or not.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    let statement = Statement::new("SELECT id, kind, scopes, shown, created_at, revoked_at FROM api_keys ");
    scope.bound(statement).push(" AND id = ?").bind(id)
}

/// Reads a row of [`list`].
pub fn decode_listed(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.parsed("id", Id::parse, "a key id")?,
        kind: row.parsed("kind", KeyKind::parse, "public or secret")?,
        scopes: scopes(row)?,
        shown: row.text("shown")?,
        created_at: row.instant("created_at")?,
        revoked_at: row.instant_opt("revoked_at")?,
    })
}

/// Revokes a key, once; gives its digest where there is such a key.
pub fn revoke(scope: &Scope, id: &str, now: Instant) -> Statement {
    let update = Statement::new("UPDATE api_keys SET revoked_at = COALESCE(revoked_at, ?) ").bind(now);
    scope.bound(update).push(" AND id = ?").bind(id).push(" RETURNING digest")
}
