//! `refund`: one refund and how far it got.

use domain::fact::{RefundFact, RefundStatus};

use crate::shape::{Shape, Unreadable};

/// Reads the state of one refund.
pub(crate) fn read(refund: Shape<'_>) -> Result<RefundFact, Unreadable> {
    refund.must_be("refund")?;
    Ok(RefundFact {
        refund: refund.own_id("id")?,
        charge: refund
            .id("charge")
            .or_else(|| refund.id("payment_intent.latest_charge")),
        payment_intent: refund
            .id("payment_intent")
            .or_else(|| refund.id("charge.payment_intent")),
        amount: refund.own_amount("amount")?,
        currency: refund.own_currency("currency")?,
        status: status(refund),
        created: refund.time("created"),
    })
}

/// Reads the refund of a `refund.failed`, whose type says that it failed even if the status is a new word.
pub(crate) fn read_failed(refund: Shape<'_>) -> Result<RefundFact, Unreadable> {
    let fact = read(refund)?;
    let status = match fact.status {
        RefundStatus::Canceled => RefundStatus::Canceled,
        _ => RefundStatus::Failed,
    };
    Ok(RefundFact { status, ..fact })
}

fn status(refund: Shape<'_>) -> RefundStatus {
    match refund.text("status") {
        None | Some("succeeded") => RefundStatus::Succeeded,
        Some("requires_action") => RefundStatus::RequiresAction,
        Some("failed") => RefundStatus::Failed,
        Some("canceled") => RefundStatus::Canceled,
        Some(_) => RefundStatus::Pending,
    }
}
