//! Wiping test mode's data. [`OF_FAMILIES`], [`LOOSE`] and [`KEPT`] name every table of the schema: one that a migration
//! adds belongs into one of them (a test says which is missing). Each statement confines itself to test mode, whoever calls.

use domain::ids::{ActId, PersonId, WorkspaceId};
use domain::time::Instant;

use super::{DbError, Row, Statement, packs};

/// Families that one batch deletes, each whole: between two batches, the books are sound.
pub const FAMILIES_MAX: i64 = 200;
/// Rows of each table that one batch deletes, once no family is left.
pub const ROWS_MAX: i64 = 2_000;

/// What is deleted of one table.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The table.
    pub table: &'static str,
    /// Which of its rows.
    rows: &'static str,
}

/// The table whose rows hold what belongs to several programs.
const PACKS: &str = "click_packs";

const fn step(table: &'static str, rows: &'static str) -> Step {
    Step { table, rows }
}

/// Everything that hangs on families of sales, children first. Each condition binds one `?`: the families, a JSON list.
pub const OF_FAMILIES: &[Step] = &[
    step(
        "stripe_bodies",
        "stripe_event_id IN (SELECT stripe_event_id FROM facts WHERE family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "stripe_events",
        "mode = 'test' AND id IN (SELECT stripe_event_id FROM facts WHERE family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "webhook_attempts",
        "delivery_id IN (SELECT d.id FROM webhook_deliveries d JOIN events e ON e.id = d.event_id WHERE e.mode = 'test' AND e.subject IN \
         (SELECT j.value FROM conversions c LEFT JOIN commissions m ON m.conversion_id = c.id, \
         json_each(json_array(c.id, m.id)) j WHERE c.family_id IN (SELECT value FROM json_each(?))))",
    ),
    step(
        "webhook_deliveries",
        "id IN (SELECT d.id FROM webhook_deliveries d JOIN events e ON e.id = d.event_id WHERE e.mode = 'test' AND e.subject IN \
         (SELECT j.value FROM conversions c LEFT JOIN commissions m ON m.conversion_id = c.id, \
         json_each(json_array(c.id, m.id)) j WHERE c.family_id IN (SELECT value FROM json_each(?))))",
    ),
    step(
        "events",
        "mode = 'test' AND subject IN (SELECT j.value FROM conversions c LEFT JOIN commissions m ON m.conversion_id = c.id, \
         json_each(json_array(c.id, m.id)) j WHERE c.family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "notices",
        "mode = 'test' AND subject IN (SELECT m.id FROM commissions m JOIN conversions c ON c.id = m.conversion_id \
         WHERE c.family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "entries",
        "mode = 'test' AND commission_id IN (SELECT m.id FROM commissions m JOIN conversions c ON c.id = m.conversion_id \
         WHERE c.family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "commissions",
        "mode = 'test' AND conversion_id IN (SELECT id FROM conversions WHERE family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "decisions",
        "mode = 'test' AND conversion_id IN (SELECT id FROM conversions WHERE family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "fraud_alerts",
        "mode = 'test' AND conversion_id IN (SELECT id FROM conversions WHERE family_id IN (SELECT value FROM json_each(?)))",
    ),
    step(
        "refunds",
        "mode = 'test' AND conversion_id IN (SELECT id FROM conversions WHERE family_id IN (SELECT value FROM json_each(?)))",
    ),
    step("awaited_codes", "mode = 'test' AND family_id IN (SELECT value FROM json_each(?))"),
    step("conversions", "mode = 'test' AND family_id IN (SELECT value FROM json_each(?))"),
    step("facts", "mode = 'test' AND family_id IN (SELECT value FROM json_each(?))"),
    step("family_keys", "mode = 'test' AND family_id IN (SELECT value FROM json_each(?))"),
    step("families", "mode = 'test' AND id IN (SELECT value FROM json_each(?))"),
];

/// What is left of a workspace once its families are gone. Each condition binds two: the workspace and how many rows.
pub const LOOSE: &[Step] = &[
    step(
        "stripe_bodies",
        "stripe_event_id IN (SELECT b.stripe_event_id FROM stripe_events e JOIN stripe_bodies b ON b.stripe_event_id = e.id \
         WHERE e.workspace_id = ? AND e.mode = 'test' ORDER BY e.id LIMIT ?)",
    ),
    step(
        "stripe_events",
        "id IN (SELECT id FROM stripe_events e WHERE workspace_id = ? AND mode = 'test' AND NOT EXISTS \
         (SELECT 1 FROM stripe_bodies b WHERE b.stripe_event_id = e.id) ORDER BY id LIMIT ?)",
    ),
    step(
        "decisions",
        "id IN (SELECT id FROM decisions WHERE workspace_id = ? AND mode = 'test' AND conversion_id IS NULL LIMIT ?)",
    ),
    step("clicks", "click_id IN (SELECT click_id FROM clicks WHERE workspace_id = ? AND mode = 'test' LIMIT ?)"),
    step(PACKS, "id IN (SELECT id FROM click_packs WHERE workspace_id = ? AND mode = 'test' LIMIT ?)"),
    step(
        "click_totals",
        "(workspace_id, mode, kind, name, day) IN (SELECT workspace_id, mode, kind, name, day FROM click_totals \
         WHERE workspace_id = ? AND mode = 'test' LIMIT ?)",
    ),
    step(
        "daily_conversions",
        "(workspace_id, mode, day) IN (SELECT workspace_id, mode, day FROM daily_conversions WHERE workspace_id = ? \
         AND mode = 'test' LIMIT ?)",
    ),
    step(
        "daily_commissions",
        "(workspace_id, mode, day, currency) IN (SELECT workspace_id, mode, day, currency FROM daily_commissions \
         WHERE workspace_id = ? AND mode = 'test' LIMIT ?)",
    ),
    step(
        "balances",
        "(workspace_id, mode, participant_id, currency) IN (SELECT workspace_id, mode, participant_id, currency FROM balances \
         WHERE workspace_id = ? AND mode = 'test' LIMIT ?)",
    ),
    step(
        "program_balances",
        "(workspace_id, mode, program_id, currency) IN (SELECT workspace_id, mode, program_id, currency FROM program_balances \
         WHERE workspace_id = ? AND mode = 'test' LIMIT ?)",
    ),
    step("questions", "id IN (SELECT id FROM questions WHERE workspace_id = ? AND mode = 'test' LIMIT ?)"),
    step("notices", "id IN (SELECT id FROM notices WHERE workspace_id = ? AND mode = 'test' LIMIT ?)"),
    // By their events, each of which may be owed to ten endpoints and tried there again and again: hence fewer.
    step(
        "webhook_attempts",
        "delivery_id IN (SELECT id FROM webhook_deliveries WHERE event_id IN (SELECT id FROM events WHERE workspace_id = ? \
         AND mode = 'test' ORDER BY id LIMIT CAST(? AS INTEGER) / 4))",
    ),
    step(
        "webhook_deliveries",
        "event_id IN (SELECT id FROM events WHERE workspace_id = ? AND mode = 'test' ORDER BY id \
         LIMIT CAST(? AS INTEGER) / 4)",
    ),
    step(
        "events",
        "id IN (SELECT id FROM events WHERE workspace_id = ? AND mode = 'test' ORDER BY id LIMIT CAST(? AS INTEGER) / 4)",
    ),
    step("refunds", "id IN (SELECT id FROM refunds WHERE workspace_id = ? AND mode = 'test' LIMIT ?)"),
    step("stripe_lookups", "id IN (SELECT id FROM stripe_lookups WHERE workspace_id = ? AND mode = 'test' LIMIT ?)"),
    step(
        "customer_keys",
        "(workspace_id, mode, key) IN (SELECT workspace_id, mode, key FROM customer_keys WHERE workspace_id = ? \
         AND mode = 'test' LIMIT ?)",
    ),
    step(
        "customers",
        "id IN (SELECT id FROM customers u WHERE workspace_id = ? AND mode = 'test' AND NOT EXISTS \
         (SELECT 1 FROM customer_keys k WHERE k.customer_id = u.id) LIMIT ?)",
    ),
    step(
        "stripe_discounts",
        "(workspace_id, mode, discount) IN (SELECT workspace_id, mode, discount FROM stripe_discounts WHERE workspace_id = ? \
         AND mode = 'test' LIMIT ?)",
    ),
];

/// What is left of one program once its families are gone. Each condition binds two: the program and how many rows.
const OF_PROGRAM: &[Step] = &[
    step(
        "clicks",
        "click_id IN (SELECT k.click_id FROM participants p JOIN links l ON l.participant_id = p.id JOIN clicks k \
         ON k.link_number = l.number AND k.workspace_id = l.workspace_id AND k.mode = l.mode \
         WHERE p.program_id = ? AND k.mode = 'test' LIMIT ?)",
    ),
    // Packs that hold others' clicks too: only the program's are taken out. A pack may be a hundred times a row.
    step(
        PACKS,
        "id IN (SELECT p.id FROM programs q CROSS JOIN click_packs p ON p.workspace_id = q.workspace_id AND p.mode = 'test' \
         WHERE q.id = ? AND EXISTS (SELECT 1 FROM json_each(p.records) r WHERE r.value ->> 1 IN (SELECT l.number \
         FROM participants m JOIN links l ON l.participant_id = m.id WHERE m.program_id = q.id)) LIMIT CAST(? AS INTEGER) / 20)",
    ),
    step(
        "click_totals",
        "(workspace_id, mode, kind, name, day) IN (SELECT t.workspace_id, t.mode, t.kind, t.name, t.day FROM participants p \
         LEFT JOIN links l ON l.participant_id = p.id CROSS JOIN json_each(json_array(json_array('participant', p.id), \
         json_array('link', CAST(l.number AS TEXT)), json_array('link_ever', CAST(l.number AS TEXT)))) k CROSS JOIN click_totals t \
         ON t.workspace_id = p.workspace_id AND t.mode = p.mode AND t.kind = k.value ->> 0 AND t.name = k.value ->> 1 \
         WHERE p.program_id = ? AND t.mode = 'test' LIMIT ?)",
    ),
    step(
        "balances",
        "(workspace_id, mode, participant_id, currency) IN (SELECT b.workspace_id, b.mode, b.participant_id, b.currency \
         FROM participants p JOIN balances b ON b.workspace_id = p.workspace_id AND b.mode = p.mode AND b.participant_id = p.id \
         WHERE p.program_id = ? AND b.mode = 'test' LIMIT ?)",
    ),
    step(
        "program_balances",
        "(workspace_id, mode, program_id, currency) IN (SELECT b.workspace_id, b.mode, b.program_id, b.currency FROM programs g \
         JOIN program_balances b ON b.workspace_id = g.workspace_id AND b.mode = g.mode AND b.program_id = g.id \
         WHERE g.id = ? AND b.mode = 'test' LIMIT ?)",
    ),
    step(
        "questions",
        "id IN (SELECT q.id FROM participants p JOIN questions q ON q.workspace_id = p.workspace_id AND q.mode = p.mode \
         AND q.participant_id = p.id WHERE p.program_id = ? AND q.mode = 'test' LIMIT ?)",
    ),
    step(
        "notices",
        "id IN (SELECT n.id FROM participants p JOIN notices n ON n.workspace_id = p.workspace_id AND n.mode = p.mode \
         AND n.partner_id = p.partner_id AND n.participant_id = p.id WHERE p.program_id = ? AND n.mode = 'test' LIMIT ?)",
    ),
    // A customer whom nobody of the program won stays.
    step(
        "customer_keys",
        "(workspace_id, mode, key) IN (SELECT k.workspace_id, k.mode, k.key FROM participants p JOIN customers u \
         ON u.participant_id = p.id JOIN customer_keys k ON k.customer_id = u.id \
         WHERE p.program_id = ? AND k.mode = 'test' LIMIT ?)",
    ),
    step(
        "customers",
        "id IN (SELECT u.id FROM participants p JOIN customers u ON u.participant_id = p.id WHERE p.program_id = ? \
         AND u.mode = 'test' AND NOT EXISTS (SELECT 1 FROM customer_keys k WHERE k.customer_id = u.id) LIMIT ?)",
    ),
];

/// Tables that a wipe leaves alone, each with why.
#[cfg(test)]
pub const KEPT: &[(&str, &str)] = &[
    ("workspaces", "is not data of a mode"),
    ("api_keys", "set-up"),
    ("people", "are of no mode"),
    ("members", "span both modes"),
    ("sign_in_links", "are of no mode"),
    ("sessions", "are of no mode"),
    ("mails", "are of no mode"),
    ("claimed_slugs", "set-up"),
    ("dev_mailbox", "is empty but on a local server"),
    ("hosts", "set-up"),
    ("programs", "set-up"),
    ("reward_versions", "set-up"),
    ("partners", "set-up"),
    ("participants", "set-up"),
    ("invites", "set-up"),
    ("links", "set-up; click ids name them for good"),
    ("promo_codes", "set-up"),
    ("stripe_connections", "set-up"),
    ("webhook_endpoints", "set-up"),
    ("acts", "what people did stays on record, the wipe itself too"),
    ("daily_clicks", "stands still since click_totals, and nothing reads it"),
    ("click_days", "stands still since click_totals, and nothing reads it"),
    ("participant_clicks", "stands still since click_totals, and nothing reads it"),
    ("click_sums", "tells how far clicks are summed, and counts nothing"),
    ("milestones", "that something was done once stays known; what it was is wiped"),
    ("sweeps", "are of no workspace"),
    (
        "idempotency_keys",
        "hold answers, sealed, and are gone within a day; what is repeated meanwhile must still be known",
    ),
    ("exports", "that something was exported stays on record, as acts do"),
    ("payouts", "of live mode only"),
    ("payout_entries", "of live mode only"),
];

/// What is to be wiped.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The workspace.
    pub workspace_id: &'a WorkspaceId,
    /// One program of it, or all.
    pub program_id: Option<&'a str>,
}

impl Target<'_> {
    /// Statements for what is left once the families are gone.
    fn rest(&self) -> &'static [Step] {
        if self.program_id.is_some() { OF_PROGRAM } else { LOOSE }
    }

    fn key(&self) -> &str {
        self.program_id.unwrap_or(self.workspace_id.as_str())
    }

    /// Continues a statement with the families' own ids (as `id`), of sales credited to the program or of all.
    fn families(&self, statement: Statement) -> Statement {
        match self.program_id {
            None => statement
                .push("SELECT DISTINCT family_id AS id FROM family_keys WHERE workspace_id = ? AND mode = 'test'")
                .bind_workspace(self.workspace_id),
            // A family whose sales are credited to two programs goes whole with either.
            Some(program) => statement
                .push(
                    "SELECT DISTINCT COALESCE(f.merged_into, f.id) AS id FROM conversions c JOIN families f \
                     ON f.id = c.family_id WHERE c.workspace_id = ?",
                )
                .bind_workspace(self.workspace_id)
                .push(
                    " AND c.mode = 'test' AND (c.program_id = ? OR EXISTS (SELECT 1 FROM commissions m \
                     WHERE m.conversion_id = c.id AND m.program_id = ?))",
                )
                .bind(program)
                .bind(program),
        }
    }

    /// Some of the families, with whatever was merged into them.
    pub fn some_families(&self) -> Statement {
        let roots =
            self.families(Statement::new("SELECT id FROM (WITH roots AS (")).push(" LIMIT ?) ").bind(FAMILIES_MAX);
        roots.push("SELECT id FROM roots UNION SELECT f.id FROM families f JOIN roots r ON f.merged_into = r.id)")
    }

    /// How much there is still, in one row: a column per table. (D1 takes no more than five `SELECT`s in a `UNION`.)
    pub fn left(&self) -> Statement {
        let statement = Statement::new("SELECT (SELECT count(*) FROM (");
        let mut statement = self.families(statement).push(")) AS families");
        for step in self.rest() {
            statement = statement.push(", (SELECT count(*) FROM ").push(step.table);
            statement = self.bound_rest(statement, step, i64::from(u32::MAX)).push(") AS ").push(step.table);
        }
        statement
    }

    /// Reads the row of [`Self::left`].
    pub fn decode_left(&self, rows: &[Row]) -> Result<Vec<(&'static str, i64)>, DbError> {
        let row = rows.first().ok_or(DbError::Row { column: "families", expected: "in one row" })?;
        let tables = std::iter::once("families").chain(self.rest().iter().map(|step| step.table));
        tables.map(|table| Ok((table, row.integer(table)?))).collect()
    }

    fn bound_rest(&self, statement: Statement, step: &Step, limit: i64) -> Statement {
        statement.push(" WHERE ").push(step.rows).bind(self.key()).bind(limit)
    }

    /// One batch: the act with what is deleted of each table, the deletions, and what the act says.
    pub fn batch(
        &self,
        selected: &Selected,
        (act, person): (&ActId, Option<&PersonId>),
        request_id: &str,
        now: Instant,
    ) -> Vec<Statement> {
        let steps = match selected {
            Selected::Families(_) => OF_FAMILIES,
            Selected::Rest => self.rest(),
        };
        let confined = |statement: Statement, step: &Step| match selected {
            Selected::Families(ids) => statement.push(" WHERE ").push(step.rows).bind(ids),
            Selected::Rest => self.bound_rest(statement, step, ROWS_MAX),
        };
        // JSON put together as text: D1's functions take few arguments.
        let mut recorded = Statement::new(
            "INSERT INTO acts (id, workspace_id, mode, kind, subject, request_id, person_id, created_at, reason) \
             SELECT ?, ?, 'test', 'workspace.wipe_test_data', ?, ?, ?, ?, '{' || ",
        )
        .bind(act.as_str())
        .bind_workspace(self.workspace_id)
        .bind(self.key())
        .bind(request_id)
        .bind(person.map(PersonId::as_str))
        .bind(now);
        for (place, step) in steps.iter().enumerate() {
            recorded = recorded.push(if place == 0 { "'\"" } else { "',\"" }).push(step.table);
            recorded = recorded.push("\":' || (SELECT count(*) FROM ").push(step.table);
            recorded = confined(recorded, step).push(") || ");
        }
        let deletions = steps.iter().flat_map(|step| match self.program_id {
            Some(program_id) if step.table == PACKS => packs::take_out(program_id, ROWS_MAX / 20),
            _ => vec![confined(Statement::new("DELETE FROM ").push(step.table), step)],
        });
        let told = Statement::new("SELECT reason FROM acts WHERE id = ?").bind(act.as_str());
        std::iter::once(recorded.push("'}'")).chain(deletions).chain([told, self.left()]).collect()
    }
}

/// What one batch deletes.
#[derive(Clone, Debug)]
pub enum Selected {
    /// These families, a JSON list of ids, and all that hangs on them.
    Families(String),
    /// What hangs on no family.
    Rest,
}

/// Reads the rows of [`Target::some_families`]; none where there are no families.
pub fn decode_families(rows: &[Row]) -> Result<Option<Selected>, DbError> {
    let ids = rows.iter().map(|row| row.text("id")).collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() { Ok(None) } else { super::to_json(&ids).map(|ids| Some(Selected::Families(ids))) }
}
