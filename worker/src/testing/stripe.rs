//! Stripe events, small but in Stripe's shapes.

use serde_json::{Value as Json, json};

/// `checkout.session.completed` of a payment (or, with a subscription, of a subscription).
pub fn session_completed(id: &str, created_s: i64, object: Json) -> Json {
    let mut session = json!({
        "id": format!("cs_test_{id}"), "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 10_000, "currency": "eur", "payment_intent": format!("pi_{id}"), "customer": null,
        "invoice": null, "subscription": null, "client_reference_id": null, "metadata": {},
        "customer_details": {"email": format!("buyer{id}@example.com")},
    });
    merge(&mut session, object);
    event(&format!("evt_session_{id}"), "checkout.session.completed", created_s, session)
}

/// `invoice.paid` of a subscription's first payment, in the shape since 2025-03-31, or (`old`) before.
pub fn invoice_paid(id: &str, created_s: i64, old: bool, object: Json) -> Json {
    let mut invoice = json!({
        "id": format!("in_{id}"), "object": "invoice", "billing_reason": "subscription_create", "amount_paid": 10_000,
        "total": 10_000, "currency": "eur", "customer": format!("cus_{id}"), "customer_email": format!("buyer{id}@example.com"),
        "status_transitions": {"paid_at": created_s}, "metadata": {},
    });
    if old {
        merge(
            &mut invoice,
            json!({"subscription": format!("sub_{id}"), "payment_intent": format!("pi_{id}"), "charge": null}),
        );
    } else {
        let details = json!({"subscription": format!("sub_{id}"), "metadata": {}});
        merge(&mut invoice, json!({"parent": {"type": "subscription_details", "subscription_details": details}}));
    }
    merge(&mut invoice, object);
    event(&format!("evt_invoice_{id}"), "invoice.paid", created_s, invoice)
}

/// `invoice_payment.paid`: joins the payment intent to the invoice.
pub fn invoice_payment(id: &str, created_s: i64) -> Json {
    let object = json!({
        "id": format!("inpay_{id}"), "object": "invoice_payment", "invoice": format!("in_{id}"), "status": "paid",
        "amount_paid": 10_000, "currency": "eur",
        "payment": {"type": "payment_intent", "payment_intent": format!("pi_{id}")},
    });
    event(&format!("evt_inpay_{id}"), "invoice_payment.paid", created_s, object)
}

/// `charge.updated` (or, with refunds, `charge.refunded`) of the payment intent.
pub fn charge(id: &str, created_s: i64, refunded: i64) -> Json {
    let object = json!({
        "id": format!("ch_{id}"), "object": "charge", "payment_intent": format!("pi_{id}"), "amount": 10_000,
        "amount_captured": 10_000, "amount_refunded": refunded, "currency": "eur", "captured": true,
        "balance_transaction": format!("txn_{id}"),
    });
    let kind = if refunded == 0 { "charge.updated" } else { "charge.refunded" };
    event(&format!("evt_charge_{id}_{refunded}"), kind, created_s, object)
}

/// `refund.created` with a status.
pub fn refund(id: &str, refund: &str, created_s: i64, amount: i64, status: &str) -> Json {
    let object = json!({
        "id": format!("re_{refund}"), "object": "refund", "charge": format!("ch_{id}"),
        "payment_intent": format!("pi_{id}"), "amount": amount, "currency": "eur", "status": status,
        "created": created_s,
    });
    event(&format!("evt_refund_{refund}_{status}"), "refund.updated", created_s, object)
}

/// `charge.dispute.created`, or `…closed` where the status says so.
pub fn dispute(id: &str, created_s: i64, status: &str) -> Json {
    let object = json!({
        "id": format!("dp_{id}"), "object": "dispute", "charge": format!("ch_{id}"),
        "payment_intent": format!("pi_{id}"), "amount": 10_000, "currency": "eur", "status": status,
    });
    let kind = if matches!(status, "won" | "lost") { "charge.dispute.closed" } else { "charge.dispute.created" };
    event(&format!("evt_dispute_{id}_{status}"), kind, created_s, object)
}

/// `customer.subscription.deleted`.
pub fn subscription_deleted(id: &str, created_s: i64) -> Json {
    let object = json!({
        "id": format!("sub_{id}"), "object": "subscription", "customer": format!("cus_{id}"), "status": "canceled",
        "ended_at": created_s, "metadata": {},
    });
    event(&format!("evt_sub_deleted_{id}"), "customer.subscription.deleted", created_s, object)
}

fn event(id: &str, kind: &str, created_s: i64, object: Json) -> Json {
    json!({
        "id": id, "object": "event", "type": kind, "created": created_s, "livemode": false,
        "api_version": "2025-03-31.basil", "data": {"object": object},
    })
}

fn merge(into: &mut Json, from: Json) {
    if let (Json::Object(into), Json::Object(from)) = (into, from) {
        into.extend(from);
    }
}
