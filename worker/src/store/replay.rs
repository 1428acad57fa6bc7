//! What a replay goes through, each in the order of its ids: workspaces, decisions, families, commissions.

use domain::ids::{FamilyId, WorkspaceId};
use domain::time::Instant;

use super::{DbError, Row, Scope, Statement};

/// The workspace after another, or the first one.
pub fn workspace_after(id: &str) -> Statement {
    Statement::directory("SELECT id FROM workspaces WHERE id > ? ORDER BY id LIMIT 1").bind(id)
}

/// One workspace, if it is there.
pub fn workspace(id: &WorkspaceId) -> Statement {
    Statement::directory("SELECT id FROM workspaces WHERE id = ?").bind(id.as_str())
}

/// Workspace and mode of a program.
pub fn scope_of_program(id: &str) -> Statement {
    Statement::somewhere("SELECT workspace_id, mode FROM programs WHERE id = ?").bind(id)
}

/// Participants of a program after one of them.
pub fn participants(scope: &Scope, program_id: &str, after: &str, limit: i64) -> Statement {
    scope
        .bound(Statement::new("SELECT id FROM participants "))
        .push(" AND program_id = ?")
        .bind(program_id)
        .push(" AND id > ? ORDER BY id LIMIT ?")
        .bind(after)
        .bind(limit)
}

/// Keys of the customers whom any of these conversions bound.
pub fn customers_bound_by(scope: &Scope, conversions: &[String]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "SELECT k.key FROM customers u JOIN customer_keys k ON k.customer_id = u.id WHERE u.workspace_id = ?1 AND u.mode = ?2 \
         AND u.id IN (SELECT c.customer_id FROM conversions c WHERE c.id IN (SELECT value FROM json_each(?3))) \
         AND u.bound_by IN (SELECT value FROM json_each(?3))",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(super::to_json(&conversions)?))
}

/// Decisions after one of them.
pub fn decisions(scope: &Scope, after: &str, limit: i64) -> Statement {
    let statement = scope.bound(Statement::new("SELECT * FROM decisions "));
    statement.push(" AND id > ? ORDER BY id LIMIT ?").bind(after).bind(limit)
}

/// A commission as the digest takes it.
pub struct Sum {
    /// Its id.
    pub id: String,
    /// The conversion.
    pub conversion_id: String,
    /// Whose.
    pub participant_id: String,
    /// Its currency.
    pub currency: String,
    /// The sum of its entries.
    pub amount_cents: i64,
}

/// Commissions after one of them, each with the sum of its entries.
pub fn commissions(scope: &Scope, after: &str, limit: i64) -> Statement {
    let statement = Statement::new(
        "SELECT id, conversion_id, participant_id, currency, (SELECT COALESCE(SUM(e.amount_cents), 0) FROM entries e \
         WHERE e.commission_id = commissions.id) AS amount_cents FROM commissions ",
    );
    scope.bound(statement).push(" AND id > ? ORDER BY id LIMIT ?").bind(after).bind(limit)
}

/// Reads a row of [`commissions`].
pub fn decode_sum(row: &Row) -> Result<Sum, DbError> {
    Ok(Sum {
        id: row.text("id")?,
        conversion_id: row.text("conversion_id")?,
        participant_id: row.text("participant_id")?,
        currency: row.text("currency")?,
        amount_cents: row.integer("amount_cents")?,
    })
}

/// A family and whatever was joined to it.
macro_rules! joined {
    () => {
        "(SELECT f.id UNION ALL SELECT g.id FROM families g WHERE g.merged_into = f.id)"
    };
}

/// With the last moment at which a booking left something of the family: a fact, a conversion, a decision, an entry.
const FAMILIES: &str = concat!(
    "SELECT f.id, f.revision, f.due_at, (SELECT k.key FROM family_keys k WHERE k.family_id = f.id LIMIT 1) AS key, MAX(\
     COALESCE((SELECT MAX(x.recorded_at) FROM facts x WHERE x.family_id IN ",
    joined!(),
    "), 0), COALESCE((SELECT MAX(c.created_at) FROM conversions c WHERE c.family_id IN ",
    joined!(),
    "), 0), COALESCE((SELECT MAX(d.created_at) FROM conversions c JOIN decisions d ON d.conversion_id = c.id \
     WHERE c.family_id IN ",
    joined!(),
    "), 0), COALESCE((SELECT MAX(e.created_at) FROM conversions c JOIN commissions m ON m.conversion_id = c.id \
     JOIN entries e ON e.commission_id = m.id WHERE e.kind <> 'bonus' AND c.family_id IN ",
    joined!(),
    "), 0)) AS moment FROM families f WHERE f.workspace_id = ? AND f.mode = ? AND f.merged_into IS NULL "
);

/// A family to be rebuilt.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its id.
    pub id: FamilyId,
    /// Of which the rest was read.
    pub revision: i64,
    /// When time alone changes something of it.
    pub due_at: Option<Instant>,
    /// Any key that leads to it; none leads to one that has none.
    pub key: Option<String>,
    /// When it was booked last and something came of it.
    pub moment: Instant,
}

/// Families after one of them; those that were joined to another go with it.
pub fn families(scope: &Scope, after: &str, limit: i64) -> Statement {
    let statement = Statement::new(FAMILIES).bind_workspace(&scope.workspace_id).bind(scope.mode);
    statement.push(" AND f.id > ? ORDER BY f.id LIMIT ?").bind(after).bind(limit)
}

/// One family, if it was not joined to another.
pub fn family(scope: &Scope, id: &FamilyId) -> Statement {
    let statement = Statement::new(FAMILIES).bind_workspace(&scope.workspace_id).bind(scope.mode);
    statement.push(" AND f.id = ?").bind(id.as_str())
}

/// Reads a row of [`families`].
pub fn decode_family(row: &Row) -> Result<Family, DbError> {
    Ok(Family {
        id: row.parsed("id", FamilyId::parse, "a family id")?,
        revision: row.integer("revision")?,
        due_at: row.instant_opt("due_at")?,
        key: row.text_opt("key")?,
        moment: row.instant("moment")?,
    })
}
