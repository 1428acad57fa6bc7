//! Facts are stored as JSON for good and read again by every later version: these tests hold the format still.

use domain::fact::StripeFact;
use serde_json::{Value, json};

use crate::testing::{as_json, reading};

/// The event is stored exactly so, and what is stored is read as the same fact.
fn check(kind: &str, object: Value, stored: &str) {
    let facts = as_json(&reading(kind, &object));
    let fact: StripeFact = serde_json::from_value(facts[0].clone()).unwrap();
    assert_eq!(serde_json::to_string(&fact).unwrap(), stored);
    assert_eq!(serde_json::from_str::<StripeFact>(stored).unwrap(), fact);
}

const CLICK: &str = "0190f3c1-5e5a-4c3e-9b1a-0123456789ab";

#[test]
fn session_format_unchanged() {
    check(
        "checkout.session.completed",
        json!({"id": "cs_1", "mode": "subscription", "payment_status": "no_payment_required", "amount_total": 7,
            "currency": "eur", "customer": "cus_1", "subscription": "sub_1", "invoice": "in_1", "payment_intent": "pi_1",
            "customer_email": "a@example.com", "client_reference_id": CLICK, "total_details": {"amount_tax": 1,
                "breakdown": {"discounts": [{"discount": "di_1"}, {"discount": {"promotion_code": "promo_1"}}]}},
            "metadata": {"tracCustomerExternalId": "u1", "selgeo": "false"}}),
        concat!(
            r#"{"kind":"session","session":"cs_1","mode":"subscription","payment_status":"no_payment_required","#,
            r#""amount":7,"tax":1,"currency":"EUR","payment_intent":"pi_1","invoice":"in_1","subscription":"sub_1","#,
            r#""customer":"cus_1","email":{"exact":"exact-13","plain":"plain","domain":"domain","disposable":false},"#,
            r#""hints":{"clicks":[{"source":"client_reference_id","click_id":"0190f3c1-5e5a-4c3e-9b1a-0123456789ab"}],"#,
            r#""promotion_codes":["promo_1"],"discounts":["di_1"],"customer_external_id":"u1","opted_out":true}}"#,
        ),
    );
    check(
        "checkout.session.completed",
        json!({"id": "cs_1"}),
        concat!(
            r#"{"kind":"session","session":"cs_1","mode":"other","payment_status":"other","amount":0,"tax":null,"#,
            r#""currency":null,"payment_intent":null,"invoice":null,"subscription":null,"customer":null,"email":null,"#,
            r#""hints":{}}"#,
        ),
    );
}

#[test]
fn invoice_format_unchanged() {
    check(
        "invoice.paid",
        json!({"id": "in_1", "amount_paid": 7, "total": 9, "currency": "eur", "billing_reason": "subscription_create",
            "amount_paid_off_stripe": 2, "status_transitions": {"paid_at": 5}, "tax": 1, "payment_intent": "pi_1",
            "charge": "ch_1", "subscription": "sub_1", "customer": "cus_1", "metadata": {"aff_click_id": CLICK}}),
        concat!(
            r#"{"kind":"invoice","invoice":"in_1","subscription":"sub_1","customer":"cus_1","email":null,"#,
            r#""billing_reason":"subscription_create","amount_paid":7,"amount_paid_off_stripe":2,"total":9,"tax":1,"#,
            r#""currency":"EUR","paid_at":5000,"payment_intent":"pi_1","charge":"ch_1","#,
            r#""hints":{"clicks":[{"source":"aff_click_id","click_id":"0190f3c1-5e5a-4c3e-9b1a-0123456789ab"}]}}"#,
        ),
    );
}

#[test]
fn invoice_payment_format_unchanged() {
    check(
        "invoice_payment.paid",
        json!({"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}, "amount_paid": 7,
            "currency": "eur"}),
        concat!(
            r#"{"kind":"invoice_payment","invoice_payment":"inpay_1","invoice":"in_1","payment_intent":"pi_1","#,
            r#""charge":null,"amount_paid":7,"currency":"EUR"}"#,
        ),
    );
}

#[test]
fn charge_format_unchanged() {
    check(
        "charge.refunded",
        json!({"id": "ch_1", "amount": 9, "amount_captured": 9, "amount_refunded": 2, "currency": "eur",
            "payment_intent": "pi_1", "invoice": "in_1",
            "balance_transaction": {"id": "txn_1", "fee": 1, "currency": "usd"},
            "refunds": {"data": [{"id": "re_1", "amount": 2, "currency": "eur", "created": 5}]}}),
        concat!(
            r#"{"kind":"charge","charge":"ch_1","payment_intent":"pi_1","invoice":"in_1","amount_captured":9,"#,
            r#""amount_refunded":2,"currency":"EUR","balance_transaction":"txn_1","fee":[1,"USD"],"#,
            r#""refunds":[{"refund":"re_1","charge":"ch_1","payment_intent":"pi_1","amount":2,"currency":"EUR","#,
            r#""status":"succeeded","created":5000}]}"#,
        ),
    );
}

#[test]
fn fee_format_unchanged() {
    let stored = r#"{"kind":"fee","balance_transaction":"txn_1","fee":320,"currency":"EUR"}"#;
    let body = json!({"id": "txn_1", "object": "balance_transaction", "fee": 320, "currency": "eur"});
    let told = crate::api::balance_transaction(body.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&told.fact).unwrap(), stored);
    assert_eq!(serde_json::from_str::<StripeFact>(stored).unwrap(), told.fact);
}

#[test]
fn refund_format_unchanged() {
    check(
        "refund.updated",
        json!({"id": "re_1", "charge": "ch_1", "amount": 2, "currency": "jpy", "status": "requires_action"}),
        concat!(
            r#"{"kind":"refund","refund":"re_1","charge":"ch_1","payment_intent":null,"amount":2,"currency":"JPY","#,
            r#""status":"requires_action","created":null}"#,
        ),
    );
}

#[test]
fn dispute_format_unchanged() {
    check(
        "charge.dispute.closed",
        json!({"id": "dp_1", "charge": "ch_1", "amount": 2, "currency": "kwd", "status": "lost"}),
        concat!(
            r#"{"kind":"dispute","dispute":"dp_1","charge":"ch_1","payment_intent":null,"amount":2,"currency":"KWD","#,
            r#""status":"lost"}"#,
        ),
    );
}

#[test]
fn subscription_ended_format_unchanged() {
    check(
        "customer.subscription.deleted",
        json!({"id": "sub_1", "customer": "cus_1", "ended_at": 5}),
        r#"{"kind":"subscription_ended","subscription":"sub_1","customer":"cus_1","ended_at":5000}"#,
    );
}

#[test]
fn discount_format_unchanged() {
    check(
        "customer.discount.created",
        json!({"id": "di_1", "promotion_code": "promo_1", "customer": "cus_1"}),
        r#"{"kind":"discount","discount":"di_1","promotion_code":"promo_1","customer":"cus_1","subscription":null}"#,
    );
}
