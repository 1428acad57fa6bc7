//! `refund`: one refund and how far it got.

use domain::fact::{RefundFact, RefundStatus};

use crate::shape::{Shape, Unreadable};

/// Reads the state of one refund.
pub(crate) fn read(refund: Shape<'_>) -> Result<RefundFact, Unreadable> {
    refund.must_be("refund")?;
    Ok(RefundFact {
        refund: refund.own_id("id")?,
        charge: refund.id("charge").or_else(|| refund.id("payment_intent.latest_charge")),
        payment_intent: refund.id("payment_intent").or_else(|| refund.id("charge.payment_intent")),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check, check_refused, with, without};

    fn refund() -> Value {
        json!({
            "id": "re_1", "object": "refund", "amount": 2_500, "charge": "ch_1", "created": 1_700_000_000,
            "currency": "usd", "payment_intent": "pi_1", "status": "succeeded", "reason": "requested_by_customer",
        })
    }

    #[test]
    fn every_type_of_refund_event_gives_the_refund() {
        for kind in ["charge.refund.updated", "refund.created", "refund.updated"] {
            check(
                kind,
                refund(),
                json!({"kind": "refund", "refund": "re_1", "charge": "ch_1", "payment_intent": "pi_1", "amount": 2_500,
                    "currency": "USD", "status": "succeeded", "created": 1_700_000_000_000_i64}),
            );
        }
    }

    #[test]
    fn every_status_has_its_reading() {
        let check = |kind: &str, status: Value, expected: &str| {
            check(kind, with(&refund(), json!({"status": status})), json!({"status": expected}));
        };
        check("refund.updated", json!("pending"), "pending");
        check("refund.updated", json!("requires_action"), "requires_action");
        check("refund.updated", json!("succeeded"), "succeeded");
        check("refund.updated", json!("failed"), "failed");
        check("refund.updated", json!("canceled"), "canceled");
        check("refund.updated", json!("a_word_of_2030"), "pending");
        check("refund.updated", json!(null), "succeeded");
        check("refund.failed", json!("failed"), "failed");
        check("refund.failed", json!("a_word_of_2030"), "failed");
        check("refund.failed", json!("canceled"), "canceled");
    }

    #[test]
    fn the_payment_is_found_alone_expanded_or_inside_the_other() {
        let check = |changes: Value, charge: Value, payment_intent: Value| {
            check(
                "refund.created",
                with(&refund(), changes),
                json!({"charge": charge, "payment_intent": payment_intent}),
            );
        };
        check(json!({"charge": {"id": "ch_2"}}), json!("ch_2"), json!("pi_1"));
        check(
            json!({"charge": {"id": "ch_2", "payment_intent": "pi_2"}, "payment_intent": null}),
            json!("ch_2"),
            json!("pi_2"),
        );
        check(
            json!({"charge": null, "payment_intent": {"id": "pi_2", "latest_charge": "ch_2"}}),
            json!("ch_2"),
            json!("pi_2"),
        );
        check(json!({"charge": null, "payment_intent": null}), json!(null), json!(null));
    }

    #[test]
    fn what_a_refund_cannot_do_without_is_named() {
        for key in ["id", "amount", "currency"] {
            check_refused("refund.created", without(&refund(), key), &format!("the object has no `{key}`"));
        }
        check_refused(
            "refund.failed",
            with(&refund(), json!({"amount": -1})),
            "`amount` is no integer from 0 to 9007199254740991",
        );
        check_refused(
            "charge.refund.updated",
            with(&refund(), json!({"object": "charge"})),
            "`object` names another kind of object than the event's type",
        );
    }
}
