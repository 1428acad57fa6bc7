//! Where a partner is paid and their tax id: only the partner writes them, and they lie sealed.

use domain::ids::PartnerId;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::error::ApiError;
use crate::store::payees::{self as table, Sealed};
use crate::store::{Scope, Statement, to_json};

/// How and where somebody is paid, in their own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// Such as `Bank transfer` or `PayPal`.
    pub method: String,
    /// Such as an IBAN or an address.
    pub details: String,
}

/// What a partner said of how to pay them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payee {
    /// How and where.
    pub way: Option<Way>,
    /// Their tax id.
    pub tax_id: Option<String>,
}

/// Reads it; `None` where there is no such partner.
pub async fn read(app: &App, scope: &Scope, partner_id: &str) -> Result<Option<Payee>, ApiError> {
    let rows = app.db.rows(table::by_id(scope, partner_id)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let sealed = table::decode(row)?;
    let open = |purpose: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => match app.secrets.open(&named(purpose, partner_id), text) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(ApiError::Internal(format!("partners: {purpose} of {partner_id} does not open"))),
        },
    };
    let way = open(DETAILS, &sealed.payout_details)?.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    let tax_id = open(TAX_ID, &sealed.tax_id)?.map(String::from_utf8).transpose();
    match (way, tax_id) {
        (Ok(way), Ok(tax_id)) => Ok(Some(Payee { way, tax_id })),
        _ => Err(ApiError::Internal(format!("partners: payout details of {partner_id} are not of their format"))),
    }
}

/// Keeps it, sealed.
pub fn set(app: &App, scope: &Scope, partner_id: &PartnerId, payee: &Payee) -> Result<Statement, ApiError> {
    let seal = |purpose: &str, text: String| {
        app.secrets.seal(&*app.random, &named(purpose, partner_id.as_str()), text.as_bytes())
    };
    let sealed = Sealed {
        payout_details: payee.way.as_ref().map(|way| seal(DETAILS, to_json(way)?)).transpose()?,
        tax_id: payee.tax_id.clone().map(|text| seal(TAX_ID, text)).transpose()?,
    };
    Ok(table::set(scope, partner_id, &sealed))
}

const DETAILS: &str = "payout details";
const TAX_ID: &str = "tax id";

fn named(purpose: &str, partner_id: &str) -> String {
    format!("{purpose} {partner_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_way_format_unchanged() {
        let way = Way { method: "PayPal".to_owned(), details: "a@b.test".to_owned() };
        assert_eq!(to_json(&way).unwrap(), r#"{"method":"PayPal","details":"a@b.test"}"#);
    }
}
