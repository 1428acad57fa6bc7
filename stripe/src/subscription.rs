//! `subscription`: only that it ended, and when. Its payments are invoices.

use domain::fact::SubscriptionEndedFact;

use crate::shape::{Shape, Unreadable};

/// Reads a deleted subscription.
pub(crate) fn read_ended(subscription: Shape<'_>) -> Result<SubscriptionEndedFact, Unreadable> {
    subscription.must_be("subscription")?;
    Ok(SubscriptionEndedFact {
        subscription: subscription.own_id("id")?,
        customer: subscription.id("customer"),
        ended_at: subscription
            .time("ended_at")
            .or_else(|| subscription.time("canceled_at")),
    })
}
