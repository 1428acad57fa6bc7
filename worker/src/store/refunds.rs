//! `refunds`: refunds and disputes, as they are listed. They follow the facts; nothing is decided by them.

use domain::sale::listed::{Listed as Told, Source};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// Writes what a fact told of a refund or dispute, or brings it up to what is told now.
pub fn upsert(scope: &Scope, id: &str, told: &Told, conversion_id: Option<&str>, now: Instant) -> Statement {
    Statement::new(
        "INSERT INTO refunds (id, workspace_id, mode, key, kind, source, conversion_id, external_refund_id, sale_key, \
         amount_cents, currency, status, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (workspace_id, mode, key) DO UPDATE SET conversion_id = excluded.conversion_id, \
         amount_cents = excluded.amount_cents, currency = excluded.currency, status = excluded.status",
    )
    .bind(id)
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(&told.key)
    .bind(told.kind.as_str())
    .bind(match told.source {
        Source::Reported => "api",
        Source::Stripe => "stripe",
    })
    .bind(conversion_id)
    .bind(&told.external_refund_id)
    .bind(&told.sale_key)
    .bind(told.amount_cents)
    .bind(told.currency.map(String::from))
    .bind(told.status)
    .bind(now)
}

/// Removes what charges told as sums.
pub fn delete(scope: &Scope, charges: &[&String]) -> Result<Statement, DbError> {
    let statement = scope.bound(Statement::new("DELETE FROM refunds "));
    Ok(statement.push(" AND key IN (SELECT value FROM json_each(?))").bind(super::to_json(&charges)?))
}

/// A refund or dispute.
#[derive(Clone, Debug)]
pub struct Refund {
    /// Its id.
    pub id: String,
    /// `refund` or `dispute`.
    pub kind: String,
    /// `api` or `stripe`.
    pub source: String,
    /// The conversion; none while nobody knows the sale.
    pub conversion_id: Option<String>,
    /// The merchant's id of it, or Stripe's.
    pub external_refund_id: String,
    /// A key of the sale that it speaks of.
    pub sale_key: String,
    /// In the minor unit.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: Option<String>,
    /// Its status.
    pub status: String,
    /// When it was recorded.
    pub created_at: Instant,
}

/// All of what is shown, and from where.
pub(super) const COLUMNS: &str = "SELECT id, kind, source, conversion_id, external_refund_id, sale_key, amount_cents, currency, status, \
     created_at FROM refunds ";

/// What a list is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One conversion.
    pub conversion_id: Option<String>,
    /// With a conversion, or without.
    pub matched: Option<bool>,
    /// One kind.
    pub kind: Option<String>,
}

/// One refund.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// A page of refunds.
pub fn list(scope: &Scope, filter: &Filter, page: &Page) -> Statement {
    let statement = scope
        .bound_unless(filter.conversion_id.is_some(), Statement::new(COLUMNS))
        .push_if(" AND conversion_id = ?", filter.conversion_id.as_ref());
    let statement = match filter.matched {
        None => statement,
        Some(true) => statement.push(" AND conversion_id IS NOT NULL"),
        // As the partial index says it.
        Some(false) => statement.push(" AND conversion_id IS NULL"),
    };
    page.bound(statement.push_if(" AND kind = ?", filter.kind.as_ref()))
}

/// Reads a refund.
pub fn decode(row: &Row) -> Result<Refund, DbError> {
    Ok(Refund {
        id: row.text("id")?,
        kind: row.text("kind")?,
        source: row.text("source")?,
        conversion_id: row.text_opt("conversion_id")?,
        external_refund_id: row.text("external_refund_id")?,
        sale_key: row.text("sale_key")?,
        amount_cents: row.integer("amount_cents")?,
        currency: row.text_opt("currency")?,
        status: row.text("status")?,
        created_at: row.instant("created_at")?,
    })
}
