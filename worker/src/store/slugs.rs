//! `claimed_slugs`: what workspaces of other databases than the first have taken, so that a slug is unique in the installation.

use domain::ids::WorkspaceId;

use super::Statement;
use super::databases::Databases;
use crate::store::DbError;

/// What a slug leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slugged {
    /// `/r/{slug}`.
    Link,
    /// `/join/{slug}`.
    Program,
}

/// Takes a slug for a workspace, before what has it is written. False where it is taken; one that is claimed and never written is the
/// workspace's to use. In the first database whoever writes is told by a trigger, and nothing is asked here.
pub async fn claim(db: &Databases, workspace: &WorkspaceId, what: Slugged, slug: &str) -> Result<bool, DbError> {
    if workspace.database() == 0 {
        return Ok(true);
    }
    let results = db.batch(vec![insert(workspace, what, slug), claimed_by(workspace, what, slug)]).await?;
    Ok(results.last().is_some_and(|rows| !rows.is_empty()))
}

/// The same of many links, in one trip. One that somebody else has taken is a constraint that refuses, as in the first database.
pub async fn claim_all(db: &Databases, workspace: &WorkspaceId, slugs: &[String]) -> Result<(), DbError> {
    if workspace.database() == 0 || slugs.is_empty() {
        return Ok(());
    }
    let all = super::to_json(&slugs)?;
    let insert = Statement::directory(
        "INSERT INTO claimed_slugs (kind, slug, workspace_id) SELECT 'link', value, ?1 FROM json_each(?2) \
         WHERE NOT EXISTS (SELECT 1 FROM links WHERE slug = value) ON CONFLICT (kind, slug) DO NOTHING",
    );
    let own = Statement::directory(
        "SELECT count(*) AS own FROM claimed_slugs WHERE kind = 'link' AND workspace_id = ?1 \
         AND slug IN (SELECT value FROM json_each(?2))",
    );
    let bound = |statement: Statement| statement.bind_workspace(workspace).bind(&all);
    let results = db.batch(vec![bound(insert), bound(own)]).await?;
    let own = results.last().and_then(|rows| rows.first()).map(|row| row.integer("own")).transpose()?;
    match own == i64::try_from(slugs.len()).ok() {
        true => Ok(()),
        false => Err(DbError::Constraint("a slug was claimed meanwhile".to_owned())),
    }
}

/// Which of these links' slugs a workspace cannot take: they are links' already, or another's claim.
pub async fn taken(db: &Databases, workspace: &WorkspaceId, slugs: &[String]) -> Result<Vec<String>, DbError> {
    if slugs.is_empty() {
        return Ok(Vec::new());
    }
    let all = super::to_json(&slugs)?;
    let links = || Statement::new("SELECT slug FROM links WHERE slug IN (SELECT value FROM json_each(?))").bind(&all);
    let claimed = Statement::directory(
        "SELECT slug FROM claimed_slugs WHERE kind = 'link' AND slug IN (SELECT value FROM json_each(?)) AND workspace_id <> ?",
    );
    let claimed = claimed.bind(&all).bind_workspace(workspace);
    let found =
        db.batch_by_home(vec![links().at(super::Home::Directory), claimed, links().in_home_of(workspace)]).await?;
    found.iter().flatten().map(|row| row.text("slug")).collect()
}

fn word(what: Slugged) -> &'static str {
    match what {
        Slugged::Link => "link",
        Slugged::Program => "program",
    }
}

fn insert(workspace: &WorkspaceId, what: Slugged, slug: &str) -> Statement {
    let statement = Statement::directory(
        "INSERT INTO claimed_slugs (kind, slug, workspace_id) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (",
    )
    .push(match what {
        Slugged::Link => "SELECT 1 FROM links WHERE slug = ?2",
        Slugged::Program => "SELECT 1 FROM programs WHERE slug = ?2",
    })
    .push(") ON CONFLICT (kind, slug) DO NOTHING");
    statement.bind(word(what)).bind(slug).bind_workspace(workspace)
}

fn claimed_by(workspace: &WorkspaceId, what: Slugged, slug: &str) -> Statement {
    Statement::directory("SELECT slug FROM claimed_slugs WHERE kind = ? AND slug = ? AND workspace_id = ?")
        .bind(word(what))
        .bind(slug)
        .bind_workspace(workspace)
}
