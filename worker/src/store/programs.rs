//! `programs` and `reward_versions`.

use domain::fraud::Policy;
use domain::ids::{Id, ProgramId};
use domain::partner::Applications;
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
    /// What is done about each fraud rule.
    pub fraud: Policy,
    /// A subscription that ends takes its pending commissions with it.
    pub reverse_pending_on_end: bool,
    /// What a payout must reach, in the minor unit of its currency, whichever that is.
    pub minimum_payout_cents: i64,
    /// What whoever joins accepts; may be empty.
    pub terms: String,
    /// Whether anybody may apply.
    pub applications: Applications,
    /// When it was made.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, name, slug, status, attribution_window_days, attribution_model, fraud, \
     reverse_pending_on_end, minimum_payout_cents, terms, applications, created_at \
     FROM programs ";

/// A new program.
pub fn insert(scope: &Scope, program: &Program) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO programs (id, workspace_id, mode, name, slug, status, attribution_window_days, attribution_model, \
         fraud, reverse_pending_on_end, minimum_payout_cents, terms, applications, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(program.id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(&program.name)
    .bind(&program.slug)
    .bind(program.status.as_str())
    .bind(program.attribution_window_days)
    .bind(program.attribution_model.as_str())
    .bind(super::to_json(&program.fraud)?)
    .bind(program.reverse_pending_on_end)
    .bind(program.minimum_payout_cents)
    .bind(&program.terms)
    .bind(program.applications.as_str())
    .bind(program.created_at))
}

/// One program.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// A page of programs, of one status where one is given.
pub fn list(scope: &Scope, status: Option<&String>, page: &Page) -> Statement {
    page.bound(scope.bound(Statement::new(COLUMNS)).push_if(" AND status = ?", status))
}

/// Settings of a program that change; the others stay.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// How long a click counts.
    pub attribution_window_days: Option<i64>,
    /// How a bound customer is treated.
    pub attribution_model: Option<AttributionModel>,
    /// What is done about each fraud rule: the whole policy.
    pub fraud: Option<Policy>,
    /// A subscription that ends takes its pending commissions with it.
    pub reverse_pending_on_end: Option<bool>,
    /// Below this, in the minor unit, a balance is carried.
    pub minimum_payout_cents: Option<i64>,
    /// What whoever joins from now on accepts; may be empty.
    pub terms: Option<String>,
    /// Whether anybody may apply.
    pub applications: Option<Applications>,
}

/// Changes settings of a program. Each is written alone, so that of two changes at once neither undoes the other.
pub fn change(scope: &Scope, id: &str, change: &Change) -> Result<Statement, DbError> {
    let update = Statement::new(
        "UPDATE programs SET name = COALESCE(?, name), attribution_window_days = COALESCE(?, attribution_window_days), \
         attribution_model = COALESCE(?, attribution_model), fraud = COALESCE(?, fraud), \
         reverse_pending_on_end = COALESCE(?, reverse_pending_on_end), \
         minimum_payout_cents = COALESCE(?, minimum_payout_cents), terms = COALESCE(?, terms), \
         applications = COALESCE(?, applications) ",
    )
    .bind(change.name.as_ref())
    .bind(change.attribution_window_days)
    .bind(change.attribution_model.map(AttributionModel::as_str))
    .bind(change.fraud.as_ref().map(super::to_json).transpose()?)
    .bind(change.reverse_pending_on_end)
    .bind(change.minimum_payout_cents)
    .bind(change.terms.as_ref())
    .bind(change.applications.map(Applications::as_str));
    Ok(scope.bound(update).push(" AND id = ?").bind(id))
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
        fraud: row.json("fraud")?,
        reverse_pending_on_end: row.flag("reverse_pending_on_end")?,
        minimum_payout_cents: row.integer("minimum_payout_cents")?,
        terms: row.text("terms")?,
        applications: row.parsed("applications", Applications::parse, "open or closed")?,
        created_at: row.instant("created_at")?,
    })
}
