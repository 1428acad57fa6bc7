//! `exports`, and what an export reads: [`STEPS`] goes through every table that holds something of a workspace, each in the order of a
//! key that an index has. [`STEPS`] and [`LEFT_OUT`] name every table of the schema (a test says which is missing), and
//! [`WITHHELD`] the columns that stay here.

use domain::ids::{ExportId, WorkspaceId};
use domain::mode::Mode;
use domain::time::Instant;
use serde_json::{Map, Value as Json};

use super::page::Page;
use super::{DbError, Row, Scope, Statement, Value};

/// Rows that one read gives.
const ROWS_MAX: i64 = 200;
/// The same of rows that may have almost a megabyte each.
const LARGE_ROWS_MAX: i64 = 2;

/// A table's rows that are read one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The table.
    pub table: &'static str,
    /// Whose rows they are.
    pub of: Of,
    sql: &'static str,
    /// What continues after a row; binds the first column of the key, and then all of them.
    after: &'static str,
    order: &'static str,
    /// The key's columns, as the rows name them.
    key: &'static [&'static str],
    /// Rows that one read gives at most.
    pub rows_max: i64,
}

/// Whose rows a step reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A mode's.
    Mode,
    /// The workspace's.
    Workspace,
    /// The workspace's, which stand in the directory.
    WorkspaceInDirectory,
}

/// A step over `$from`, where the rows are `t`'s and `$whose` says whose they are.
macro_rules! step {
    ($table:literal, $from:literal, $whose:literal, [$($key:tt)+]) => {
        step!(@ $table, concat!("SELECT t.* FROM ", $from, " WHERE ", $whose, ".workspace_id = ? AND ", $whose, ".mode = ?"),
            Of::Mode, ROWS_MAX, [$($key)+])
    };
    (@ $table:literal, $sql:expr, $of:expr, $rows:expr, [$a:literal = $a_name:literal]) => {
        Step { table: $table, of: $of, sql: $sql, after: concat!(" AND ", $a, " >= ? AND ", $a, " > ?"),
            order: concat!(" ORDER BY ", $a, " LIMIT ?"), key: &[$a_name], rows_max: $rows }
    };
    (@ $table:literal, $sql:expr, $of:expr, $rows:expr, [$a:literal = $a_name:literal, $b:literal = $b_name:literal]) => {
        Step { table: $table, of: $of, sql: $sql, after: concat!(" AND ", $a, " >= ? AND (", $a, ", ", $b, ") > (?, ?)"),
            order: concat!(" ORDER BY ", $a, ", ", $b, " LIMIT ?"), key: &[$a_name, $b_name], rows_max: $rows }
    };
    (@ $table:literal, $sql:expr, $of:expr, $rows:expr,
        [$a:literal = $a_name:literal, $b:literal = $b_name:literal, $c:literal = $c_name:literal]) => {
        Step { table: $table, of: $of, sql: $sql,
            after: concat!(" AND ", $a, " >= ? AND (", $a, ", ", $b, ", ", $c, ") > (?, ?, ?)"),
            order: concat!(" ORDER BY ", $a, ", ", $b, ", ", $c, " LIMIT ?"), key: &[$a_name, $b_name, $c_name], rows_max: $rows }
    };
}

/// Everything that goes out, in this order.
pub const STEPS: &[Step] = &[
    step!(@ "workspaces", "SELECT t.* FROM workspaces t WHERE t.id = ?", Of::Workspace, ROWS_MAX, ["t.id" = "id"]),
    step!(@ "members", "SELECT t.* FROM members t WHERE t.workspace_id = ?", Of::WorkspaceInDirectory, ROWS_MAX,
        ["t.person_id" = "person_id"]),
    step!("api_keys", "api_keys t", "t", ["t.id" = "id"]),
    step!("hosts", "hosts t", "t", ["t.host" = "host"]),
    step!("programs", "programs t", "t", ["t.id" = "id"]),
    step!("reward_versions", "reward_versions t", "t", ["t.id" = "id"]),
    step!("partners", "partners t", "t", ["t.id" = "id"]),
    step!("participants", "participants t", "t", ["t.id" = "id"]),
    step!("invites", "invites t", "t", ["t.id" = "id"]),
    step!("links", "links t", "t", ["t.id" = "id"]),
    step!("promo_codes", "promo_codes t", "t", ["t.id" = "id"]),
    step!("stripe_connections", "stripe_connections t", "t", ["t.id" = "id"]),
    step!("stripe_discounts", "stripe_discounts t", "t", ["t.discount" = "discount"]),
    step!("stripe_events", "stripe_events t", "t", ["t.id" = "id"]),
    step!(
        "stripe_lookups",
        "stripe_connections p CROSS JOIN stripe_lookups t ON t.connection_id = p.id",
        "p",
        ["p.id" = "connection_id", "t.kind" = "kind", "t.subject" = "subject"]
    ),
    step!("clicks", "clicks t", "t", ["t.clicked_at" = "clicked_at", "t.click_id" = "click_id"]),
    step!(@ "click_packs", "SELECT t.* FROM click_packs t WHERE t.workspace_id = ? AND t.mode = ?", Of::Mode, LARGE_ROWS_MAX,
        ["t.hour" = "hour", "t.id" = "id"]),
    step!("click_sums", "click_sums t", "t", ["t.mode" = "mode"]),
    step!("click_totals", "click_totals t", "t", ["t.kind" = "kind", "t.name" = "name", "t.day" = "day"]),
    step!("families", "families t", "t.merged_into IS NULL AND t", ["t.id" = "id"]),
    step!(
        "families",
        "families p CROSS JOIN families t ON t.merged_into = p.id",
        "p.merged_into IS NULL AND p",
        ["p.id" = "merged_into", "t.id" = "id"]
    ),
    step!("family_keys", "family_keys t", "t", ["t.key" = "key"]),
    step!("awaited_codes", "awaited_codes t", "t", ["t.key" = "key", "t.family_id" = "family_id"]),
    step!(
        "facts",
        "families p CROSS JOIN facts t ON t.family_id = p.id",
        "p.merged_into IS NULL AND p",
        ["p.id" = "family_id", "t.source" = "source"]
    ),
    step!(
        "facts",
        "families p CROSS JOIN families m ON m.merged_into = p.id CROSS JOIN facts t ON t.family_id = m.id",
        "p.merged_into IS NULL AND p",
        ["m.id" = "family_id", "t.source" = "source"]
    ),
    step!("customers", "customers t", "t", ["t.id" = "id"]),
    step!("customer_keys", "customer_keys t", "t", ["t.key" = "key"]),
    step!("conversions", "conversions t", "t", ["t.id" = "id"]),
    step!("decisions", "decisions t", "t", ["t.id" = "id"]),
    step!("commissions", "commissions t", "t", ["t.id" = "id"]),
    step!(
        "entries",
        "commissions p CROSS JOIN entries t ON t.commission_id = p.id",
        "p",
        ["p.id" = "commission_id", "t.id" = "id"]
    ),
    step!("refunds", "refunds t", "t", ["t.id" = "id"]),
    step!("fraud_alerts", "fraud_alerts t", "t", ["t.id" = "id"]),
    step!("payouts", "payouts t", "t", ["t.id" = "id"]),
    step!(
        "payout_entries",
        "payouts p CROSS JOIN payout_entries t ON t.payout_id = p.id",
        "p",
        ["p.id" = "payout_id", "t.entry_id" = "entry_id"]
    ),
    step!("balances", "balances t", "t", ["t.participant_id" = "participant_id", "t.currency" = "currency"]),
    step!("program_balances", "program_balances t", "t", ["t.program_id" = "program_id", "t.currency" = "currency"]),
    step!("daily_conversions", "daily_conversions t", "t", ["t.day" = "day"]),
    step!("daily_commissions", "daily_commissions t", "t", ["t.day" = "day", "t.currency" = "currency"]),
    step!("questions", "questions t", "t", ["t.id" = "id"]),
    step!("notices", "notices t", "t", ["t.partner_id" = "partner_id", "t.id" = "id"]),
    step!("events", "events t", "t", ["t.id" = "id"]),
    step!("webhook_endpoints", "webhook_endpoints t", "t", ["t.id" = "id"]),
    step!("webhook_deliveries", "webhook_deliveries t", "t", ["t.id" = "id"]),
    step!(
        "webhook_attempts",
        "webhook_deliveries p CROSS JOIN webhook_attempts t ON t.delivery_id = p.id",
        "p",
        ["p.id" = "delivery_id", "t.number" = "number"]
    ),
    step!("milestones", "milestones t", "t", ["t.name" = "name"]),
    step!("exports", "exports t", "t", ["t.id" = "id"]),
    // Of all workspaces, from the key on: people act seldom, and an index of each workspace's would draw to it what has a better one.
    step!("acts", "acts t", "t", ["t.id" = "id"]),
];

/// Columns that stay here, each with why. Of a row that goes out, they are left out.
pub const WITHHELD: &[(&str, &str, &str)] = &[
    ("api_keys", "digest", "knows a key again"),
    ("invites", "digest", "knows an invitation's link again"),
    ("partners", "payout_details", "sealed; GET /api/v1/partners/{id}/payout-details shows it"),
    ("partners", "tax_id", "sealed; GET /api/v1/partners/{id}/payout-details shows it"),
    ("stripe_connections", "signing_secret", "is a secret of the merchant's Stripe account"),
    ("stripe_connections", "previous_signing_secret", "is a secret of the merchant's Stripe account"),
    ("stripe_connections", "restricted_key", "is a secret of the merchant's Stripe account"),
    ("webhook_endpoints", "secret", "signs webhooks"),
    ("webhook_endpoints", "previous_secret", "signs webhooks"),
];

/// Tables of which nothing goes out, each with why.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("people", "accounts belong to people and not to a workspace; GET /api/v1/members shows who is a member"),
    ("sign_in_links", "of people, and secret"),
    ("sessions", "of people, and secret"),
    ("mails", "sealed letters, which are gone once they are sent"),
    ("dev_mailbox", "is empty but on a local server"),
    ("claimed_slugs", "repeats the slugs of links and programs"),
    ("stripe_bodies", "sealed, and gone after 90 days; facts hold what was taken from them"),
    ("idempotency_keys", "sealed, and gone within a day"),
    ("sweeps", "is of no workspace"),
    ("daily_clicks", "stands still; click_totals has taken it over"),
    ("click_days", "stands still; click_totals has taken it over"),
    ("participant_clicks", "stands still; click_totals has taken it over"),
];

/// Some rows of a step, from its beginning or after a key.
pub fn read(step: &Step, workspace: &WorkspaceId, mode: Mode, after: &[Json]) -> Statement {
    let mut statement = match step.of {
        Of::WorkspaceInDirectory => Statement::directory(step.sql).bind_workspace(workspace),
        Of::Workspace => Statement::new(step.sql).bind_workspace(workspace),
        Of::Mode => Statement::new(step.sql).bind_workspace(workspace).bind(mode),
    };
    if let Some(first) = after.first() {
        statement = statement.push(step.after);
        for value in std::iter::once(first).chain(after) {
            statement = statement.bind(bound(value));
        }
    }
    statement.push(step.order).bind(step.rows_max)
}

fn bound(value: &Json) -> Value {
    match value {
        Json::String(text) => Value::Text(text.clone()),
        number => number.as_i64().map_or(Value::Null, Value::Integer),
    }
}

impl Step {
    /// The key of a row's cells, after which the next read goes on.
    pub fn key(&self, cells: &Map<String, Json>) -> Vec<Json> {
        self.key.iter().map(|column| cells.get(*column).cloned().unwrap_or_default()).collect()
    }
}

/// Whether something was booked, said or told since then.
pub fn moved_since(scope: &Scope, at: Instant) -> Statement {
    use domain::ids::{ActId, DecisionId, EventId, RefundId, StripeEventId};
    const OF_MODE: &str = " WHERE workspace_id = ?1 AND mode = ?2 AND id >= ";
    let least = [
        EventId::least(at).to_string(),
        DecisionId::least(at).to_string(),
        RefundId::least(at).to_string(),
        StripeEventId::least(at).to_string(),
        ActId::least(at).to_string(),
    ];
    let statement = Statement::new("SELECT EXISTS (SELECT 1 FROM events")
        .push(OF_MODE)
        .push("?3) OR EXISTS (SELECT 1 FROM decisions")
        .push(OF_MODE)
        .push("?4) OR EXISTS (SELECT 1 FROM refunds")
        .push(OF_MODE)
        .push("?5) OR EXISTS (SELECT 1 FROM stripe_events")
        .push(OF_MODE)
        .push("?6) OR EXISTS (SELECT 1 FROM acts")
        .push(OF_MODE)
        .push("?7 AND kind <> 'workspace.export') AS moved")
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode);
    least.into_iter().fold(statement, Statement::bind)
}

/// An export that was asked for.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// What of it.
    pub modes: Vec<Mode>,
    /// When it was asked for.
    pub created_at: Instant,
}

/// A new export, asked for in a mode.
pub fn insert(scope: &Scope, export: &Export) -> Result<Statement, DbError> {
    Ok(Statement::new("INSERT INTO exports (id, workspace_id, mode, modes, created_at) VALUES (?, ?, ?, ?, ?)")
        .bind(export.id.as_str())
        .bind_workspace(&scope.workspace_id)
        .bind(scope.mode)
        .bind(super::to_json(&export.modes)?)
        .bind(export.created_at))
}

/// One export.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// A page of exports; for a key those of its mode alone.
pub fn list(scope: &Scope, own_mode: bool, page: &Page) -> Result<Statement, DbError> {
    let modes = own_mode.then(|| super::to_json(&[scope.mode])).transpose()?;
    Ok(page.bound(scope.bound(Statement::new(COLUMNS)).push_if(" AND modes = ?", modes)))
}

const COLUMNS: &str = "SELECT id, workspace_id, modes, created_at FROM exports ";

/// Reads an export.
pub fn decode(row: &Row) -> Result<Export, DbError> {
    Ok(Export {
        id: row.parsed("id", ExportId::parse, "an export id")?,
        workspace_id: row.parsed("workspace_id", WorkspaceId::parse, "a workspace id")?,
        modes: row.json("modes")?,
        created_at: row.instant("created_at")?,
    })
}
