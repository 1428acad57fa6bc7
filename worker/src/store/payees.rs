//! Where partners are paid, and their tax ids: columns of `partners` that only they write, sealed.

use domain::ids::PartnerId;

use super::{DbError, Row, Scope, Statement};

/// What is kept of where a partner is paid: sealed texts.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    /// How and where.
    pub payout_details: Option<String>,
    /// The tax id.
    pub tax_id: Option<String>,
}

/// One partner's.
pub fn by_id(scope: &Scope, partner_id: &str) -> Statement {
    scope.bound(Statement::new("SELECT payout_details, tax_id FROM partners ")).push(" AND id = ?").bind(partner_id)
}

/// Keeps both anew, of a partner who is not erased.
pub fn set(scope: &Scope, partner_id: &PartnerId, sealed: &Sealed) -> Statement {
    let update = Statement::new("UPDATE partners SET payout_details = ?, tax_id = ? ")
        .bind(sealed.payout_details.as_ref())
        .bind(sealed.tax_id.as_ref());
    scope.bound(update).push(" AND erased_at IS NULL AND id = ?").bind(partner_id.as_str())
}

/// Reads a row.
pub fn decode(row: &Row) -> Result<Sealed, DbError> {
    Ok(Sealed { payout_details: row.text_opt("payout_details")?, tax_id: row.text_opt("tax_id")? })
}
