//! `dispute`: money that the buyer's bank asks back, and how it ended.

use domain::fact::{DisputeFact, DisputeStatus};

use crate::shape::{Shape, Unreadable};

/// Reads the state of a dispute.
pub(crate) fn read(dispute: Shape<'_>) -> Result<DisputeFact, Unreadable> {
    dispute.must_be("dispute")?;
    Ok(DisputeFact {
        dispute: dispute.own_id("id")?,
        charge: dispute.id("charge").or_else(|| dispute.id("payment_intent.latest_charge")),
        payment_intent: dispute.id("payment_intent").or_else(|| dispute.id("charge.payment_intent")),
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check, check_refused, with, without};

    fn dispute() -> Value {
        json!({
            "id": "dp_1", "object": "dispute", "amount": 10_000, "charge": "ch_1", "currency": "usd",
            "payment_intent": "pi_1", "status": "needs_response",
        })
    }

    #[test]
    fn both_types_of_dispute_event_give_the_dispute() {
        for kind in ["charge.dispute.created", "charge.dispute.closed"] {
            check(
                kind,
                dispute(),
                json!({"kind": "dispute", "dispute": "dp_1", "charge": "ch_1", "payment_intent": "pi_1",
                    "amount": 10_000, "currency": "USD", "status": "open"}),
            );
        }
        check(
            "charge.dispute.created",
            with(&dispute(), json!({"charge": {"id": "ch_2", "payment_intent": "pi_2"}, "payment_intent": null})),
            json!({"charge": "ch_2", "payment_intent": "pi_2"}),
        );
    }

    #[test]
    fn every_status_has_its_reading() {
        let check = |status: &str, expected: &str| {
            check("charge.dispute.closed", with(&dispute(), json!({"status": status})), json!({"status": expected}));
        };
        check("won", "won");
        check("warning_closed", "won");
        check("prevented", "won");
        check("lost", "lost");
        check("needs_response", "open");
        check("under_review", "open");
        check("warning_needs_response", "open");
        check("warning_under_review", "open");
        check("a_word_of_2030", "open");
    }

    #[test]
    fn what_a_dispute_cannot_do_without_is_named() {
        for key in ["id", "amount", "currency"] {
            let expected = format!("the object has no `{key}`");
            check_refused("charge.dispute.created", without(&dispute(), key), &expected);
        }
    }
}
