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
