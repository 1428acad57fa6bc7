//! `invoice_payment`: joins a payment intent or a charge to an invoice, which since 2025-03-31 names neither.

use domain::fact::InvoicePaymentFact;

use crate::shape::{Shape, Unreadable};

/// Reads a payment made for an invoice. The join is what matters: an amount or a currency that is not told, or is none
/// of ISO 4217, does not spoil it.
pub(crate) fn read(payment: Shape<'_>) -> Result<InvoicePaymentFact, Unreadable> {
    payment.must_be("invoice_payment")?;
    Ok(InvoicePaymentFact {
        invoice_payment: payment.own_id("id")?,
        invoice: payment.own_id("invoice")?,
        payment_intent: payment.id("payment.payment_intent").or_else(|| payment.id("payment.charge.payment_intent")),
        charge: payment.id("payment.charge").or_else(|| payment.id("payment.payment_intent.latest_charge")),
        amount_paid: payment.amount("amount_paid")?.unwrap_or(0),
        currency: payment.currency("currency").unwrap_or(None),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::{check as check_kind, check_refused, with, without};

    fn payment() -> Value {
        json!({
            "id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "amount_paid": 11_900, "currency": "eur",
            "is_default": true, "payment": {"type": "payment_intent", "payment_intent": "pi_1"}, "status": "paid",
        })
    }

    fn check(changes: Value, expected: Value) {
        check_kind("invoice_payment.paid", with(&payment(), changes), expected);
    }

    #[test]
    fn a_payment_joins_its_payment_intent_or_charge_to_its_invoice() {
        check(
            json!({}),
            json!({"kind": "invoice_payment", "invoice_payment": "inpay_1", "invoice": "in_1", "payment_intent": "pi_1",
                "charge": null, "amount_paid": 11_900, "currency": "EUR"}),
        );
        check(
            json!({"payment": {"type": "charge", "charge": "ch_1"}}),
            json!({"payment_intent": null, "charge": "ch_1"}),
        );
        check(
            json!({"payment": {"payment_intent": {"id": "pi_2", "latest_charge": "ch_2"}}, "invoice": {"id": "in_2"}}),
            json!({"invoice": "in_2", "payment_intent": "pi_2", "charge": "ch_2"}),
        );
        check(
            json!({"payment": {"type": "payment_record", "payment_record": "pr_1"}}),
            json!({"payment_intent": null, "charge": null}),
        );
    }

    #[test]
    fn the_join_does_not_depend_on_the_amount() {
        check(
            json!({"amount_paid": null, "currency": "none"}),
            json!({"payment_intent": "pi_1", "amount_paid": 0, "currency": null}),
        );
    }

    #[test]
    fn what_a_payment_cannot_do_without_is_named() {
        for key in ["id", "invoice"] {
            let expected = format!("the object has no `{key}`");
            check_refused("invoice_payment.paid", without(&payment(), key), &expected);
        }
        check_refused(
            "invoice_payment.paid",
            with(&payment(), json!({"amount_paid": -1})),
            "`amount_paid` is no integer from 0 to 9007199254740991",
        );
    }
}
