//! `customers` and `customer_keys`: who bought, and whom the customer is bound to.

use domain::ids::{ConversionId, CustomerId, Id};
use domain::time::Instant;

use super::page::Page;
use super::{DbError, Row, Scope, Statement};

/// A customer as a booking needs it.
#[derive(Clone, Debug)]
pub struct Known {
    /// Which.
    pub id: CustomerId,
    /// Whom it is bound to.
    pub participant_id: Option<String>,
    /// The conversion that bound it.
    pub bound_by: Option<String>,
    /// First payments and single purchases.
    pub purchases: i64,
    /// Anybody could have said what bound it, and nobody has vouched for it since.
    pub unauthenticated: bool,
}

/// Reads a customer as a booking needs it.
pub fn decode_known(row: &Row) -> Result<Known, DbError> {
    Ok(Known {
        id: row.parsed("id", Id::parse, "a customer id")?,
        participant_id: row.text_opt("participant_id")?,
        bound_by: row.text_opt("bound_by")?,
        purchases: row.integer("purchases")?,
        unauthenticated: row.flag("unauthenticated")?,
    })
}

/// A new customer, known by nothing yet.
pub fn insert(
    scope: &Scope,
    id: &CustomerId,
    external_id: Option<&String>,
    stripe_customer_id: Option<&String>,
    now: Instant,
) -> Statement {
    Statement::new(
        "INSERT INTO customers (id, workspace_id, mode, external_id, stripe_customer_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(id.as_str())
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(external_id)
    .bind(stripe_customer_id)
    .bind(now)
}

/// More keys of a customer. One that is another's by now fails the batch.
pub fn insert_keys(scope: &Scope, id: &CustomerId, keys: &[&String]) -> Result<Statement, DbError> {
    Ok(Statement::new(
        "INSERT INTO customer_keys (workspace_id, mode, key, customer_id) SELECT ?1, ?2, value, ?3 FROM json_each(?4)",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(id.as_str())
    .bind(super::to_json(&keys)?))
}

/// Holds that a customer is still bound as it was seen: else the CHECK fails, and the batch with it, so that bindings count in
/// the order of recording.
pub fn hold(known: &Known) -> Statement {
    Statement::new(
        "UPDATE customers SET purchases = CASE WHEN participant_id IS ? THEN purchases ELSE -1 END WHERE id = ?",
    )
    .bind(known.participant_id.as_ref())
    .bind(known.id.as_str())
}

/// Counts purchases; one that turned out to be another sale's, backwards.
pub fn count(id: &CustomerId, purchases: i64) -> Statement {
    Statement::new("UPDATE customers SET purchases = MAX(0, purchases + CAST(? AS INTEGER)) WHERE id = ?")
        .bind(purchases)
        .bind(id.as_str())
}

/// Fills in what is told of a customer who was known by other keys.
pub fn fill_in(id: &CustomerId, external_id: Option<&String>, stripe_customer_id: Option<&String>) -> Statement {
    Statement::new(
        "UPDATE customers SET external_id = COALESCE(external_id, ?), stripe_customer_id = COALESCE(stripe_customer_id, ?) \
         WHERE id = ?",
    )
    .bind(external_id)
    .bind(stripe_customer_id)
    .bind(id.as_str())
}

/// Binds a customer, by a conversion or by a lead that is to come, unless it is bound: what anybody could have bound gives way to
/// whoever has a secret.
pub fn bind(
    id: &CustomerId,
    participant_id: &str,
    conversion: Option<&ConversionId>,
    unauthenticated: bool,
    now: Instant,
) -> Statement {
    Statement::new(
        "UPDATE customers SET participant_id = ?1, bound_by = ?2, bound_at = ?3, unauthenticated = ?4 \
         WHERE id = ?5 AND (participant_id IS NULL OR unauthenticated = 1 AND ?4 = 0)",
    )
    .bind(participant_id)
    .bind(conversion.map(|conversion| conversion.as_str()))
    .bind(now)
    .bind(unauthenticated)
    .bind(id.as_str())
}

/// Vouches for a customer's binding: what it is bound to was credited by something that a secret or a person stands behind.
pub fn vouch(id: &CustomerId) -> Statement {
    Statement::new("UPDATE customers SET unauthenticated = 0 WHERE id = ?").bind(id.as_str())
}

/// The same, where a person approves what a customer's conversion earned for whom the customer is bound to.
pub fn vouch_for(scope: &Scope, commission_id: &str) -> Statement {
    Statement::new(
        "UPDATE customers SET unauthenticated = 0 WHERE unauthenticated = 1 AND id = (SELECT v.customer_id FROM commissions m \
         JOIN conversions v ON v.id = m.conversion_id WHERE +m.workspace_id = ?1 AND +m.mode = ?2 AND m.id = ?3) \
         AND participant_id = (SELECT m.participant_id FROM commissions m WHERE m.id = ?3)",
    )
    .bind_workspace(&scope.workspace_id)
    .bind(scope.mode)
    .bind(commission_id)
}

/// A customer as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The merchant's own id of it.
    pub external_id: Option<String>,
    /// `cus_…`.
    pub stripe_customer_id: Option<String>,
    /// Whom it is bound to.
    pub participant_id: Option<String>,
    /// The conversion that bound it.
    pub bound_by: Option<String>,
    /// When.
    pub bound_at: Option<Instant>,
    /// First payments and single purchases.
    pub purchases: i64,
    /// When it was first seen.
    pub created_at: Instant,
}

const COLUMNS: &str = "SELECT id, external_id, stripe_customer_id, participant_id, bound_by, bound_at, purchases, created_at \
     FROM customers ";

/// One customer.
pub fn by_id(scope: &Scope, id: &str) -> Statement {
    scope.bound(Statement::new(COLUMNS)).push(" AND id = ?").bind(id)
}

/// A page of customers, or the one that a key names.
pub fn list(scope: &Scope, key: Option<&String>, page: &Page) -> Statement {
    let statement = scope.bound(Statement::new(COLUMNS));
    let statement = match key {
        None => statement,
        Some(key) => statement
            .push(" AND id IN (SELECT k.customer_id FROM customer_keys k WHERE k.workspace_id = ?")
            .bind_workspace(&scope.workspace_id)
            .push(" AND k.mode = ?")
            .bind(scope.mode)
            .push(" AND k.key = ?)")
            .bind(key),
    };
    page.bound(statement)
}

/// Reads a customer.
pub fn decode(row: &Row) -> Result<Listed, DbError> {
    Ok(Listed {
        id: row.text("id")?,
        external_id: row.text_opt("external_id")?,
        stripe_customer_id: row.text_opt("stripe_customer_id")?,
        participant_id: row.text_opt("participant_id")?,
        bound_by: row.text_opt("bound_by")?,
        bound_at: row.instant_opt("bound_at")?,
        purchases: row.integer("purchases")?,
        created_at: row.instant("created_at")?,
    })
}
