//! `charge`: what was captured, what went back so far, and which balance transaction knows the fee.

use domain::fact::{ChargeFact, RefundFact};
use domain::money::Currency;

use crate::refund;
use crate::shape::{Shape, Unreadable};

/// The most refunds read of one charge; its cumulative figure tells of the rest.
const REFUNDS_MAX: usize = 100;

/// Reads the state of a charge.
pub(crate) fn read(charge: Shape<'_>) -> Result<ChargeFact, Unreadable> {
    charge.must_be("charge")?;
    let id = charge.own_id("id")?;
    let payment_intent = charge.id("payment_intent");
    let amount_captured = amount_captured(charge)?;
    Ok(ChargeFact {
        amount_captured,
        amount_refunded: amount_refunded(charge, amount_captured)?,
        currency: charge.own_currency("currency")?,
        balance_transaction: charge.id("balance_transaction"),
        fee: fee(charge)?,
        refunds: refunds(charge, &id, payment_intent.as_deref())?,
        invoice: charge.id("invoice"),
        payment_intent,
        charge: id,
    })
}

fn amount_captured(charge: Shape<'_>) -> Result<i64, Unreadable> {
    match charge.amount("amount_captured")? {
        Some(amount) => Ok(amount),
        None if charge.flag("captured") == Some(false) => Ok(0),
        None => charge.own_amount("amount"),
    }
}

/// The cumulative figure of money that really went back.
///
/// Before 2025-03-31 the release of what was authorized but not captured counted as a refund; it is taken off here.
/// Since then it does not. A shape of before is known by its key `invoice`, which went in the same version.
fn amount_refunded(charge: Shape<'_>, amount_captured: i64) -> Result<i64, Unreadable> {
    let told = charge.own_amount("amount_refunded")?;
    if !charge.knows("invoice") {
        return Ok(told);
    }
    let released = charge
        .amount("amount")?
        .map_or(0, |amount| amount.saturating_sub(amount_captured).max(0));
    Ok(told.saturating_sub(released).max(0))
}

/// The fee, where the balance transaction came expanded. An event names it only, and its fee must be asked of the API.
fn fee(charge: Shape<'_>) -> Result<Option<(i64, Currency)>, Unreadable> {
    let fee = charge.amount("balance_transaction.fee")?;
    let currency = charge.currency("balance_transaction.currency")?;
    Ok(fee.zip(currency))
}

/// Refunds inside the charge: always there before 2022-11-15, later only if asked for.
fn refunds(charge: Shape<'_>, id: &str, payment_intent: Option<&str>) -> Result<Vec<RefundFact>, Unreadable> {
    let mut refunds = Vec::new();
    for embedded in charge.items("refunds").take(REFUNDS_MAX) {
        let mut refund = refund::read(embedded)?;
        refund.charge.get_or_insert_with(|| id.to_owned());
        refund.payment_intent = refund.payment_intent.or_else(|| payment_intent.map(str::to_owned));
        refunds.push(refund);
    }
    Ok(refunds)
}
