//! `subscription`: only that it ended, and when. Its payments are invoices.

use domain::fact::SubscriptionEndedFact;

use crate::shape::{Shape, Unreadable};

/// Reads a deleted subscription.
pub(crate) fn read_ended(subscription: Shape<'_>) -> Result<SubscriptionEndedFact, Unreadable> {
    subscription.must_be("subscription")?;
    Ok(SubscriptionEndedFact {
        subscription: subscription.own_id("id")?,
        customer: subscription.id("customer"),
        ended_at: subscription.time("ended_at").or_else(|| subscription.time("canceled_at")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check as check_kind, check_refused};

    fn check(subscription: Value, expected: Value) {
        check_kind("customer.subscription.deleted", subscription, expected);
    }

    #[test]
    fn a_deleted_subscription_tells_when_it_ended() {
        check(
            json!({"id": "sub_1", "object": "subscription", "customer": "cus_1", "ended_at": 1_700_000_000,
                "canceled_at": 1_600_000_000}),
            json!({"kind": "subscription_ended", "subscription": "sub_1", "customer": "cus_1",
                "ended_at": 1_700_000_000_000_i64}),
        );
        check(
            json!({"id": "sub_1", "customer": {"id": "cus_1"}, "ended_at": null, "canceled_at": 1_600_000_000}),
            json!({"customer": "cus_1", "ended_at": 1_600_000_000_000_i64}),
        );
        check(json!({"id": "sub_1"}), json!({"customer": null, "ended_at": null}));
        check(json!({"id": "sub_1", "ended_at": "soon"}), json!({"ended_at": null}));
        check_refused("customer.subscription.deleted", json!({}), "the object has no `id`");
    }
}
