//! `dispute`: money that the buyer's bank asks back, and how it ended.

use domain::fact::{DisputeFact, DisputeStatus};

use crate::shape::{Shape, Unreadable};

/// Reads the state of a dispute.
pub(crate) fn read(dispute: Shape<'_>) -> Result<DisputeFact, Unreadable> {
    dispute.must_be("dispute")?;
    Ok(DisputeFact {
        dispute: dispute.own_id("id")?,
        charge: dispute
            .id("charge")
            .or_else(|| dispute.id("payment_intent.latest_charge")),
        payment_intent: dispute
            .id("payment_intent")
            .or_else(|| dispute.id("charge.payment_intent")),
        amount: dispute.own_amount("amount")?,
        currency: dispute.own_currency("currency")?,
        status: status(dispute),
    })
}

fn status(dispute: Shape<'_>) -> DisputeStatus {
    match dispute.text("status") {
        Some("won" | "warning_closed" | "prevented") => DisputeStatus::Won,
        Some("lost") => DisputeStatus::Lost,
        _ => DisputeStatus::Open,
    }
}
