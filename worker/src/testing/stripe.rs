//! Stripe events, small but in Stripe's shapes.

use serde_json::{Value as Json, json};

/// `checkout.session.completed` of a payment (or, with a subscription, of a subscription).
pub fn session_completed(id: &str, created_s: i64, object: Json) -> Json {
    let mut session = json!({
        "id": format!("cs_test_{id}"), "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 10_000, "currency": "eur", "payment_intent": format!("pi_{id}"), "customer": null,
        "invoice": null, "subscription": null, "client_reference_id": null, "metadata": {},
        "customer_details": {"email": "buyer@example.com"},
    });
    merge(&mut session, object);
    event(
        &format!("evt_session_{id}"),
        "checkout.session.completed",
        created_s,
        session,
    )
}

/// `invoice.paid` of a subscription's first payment, in the shape since 2025-03-31, or (`old`) before.
pub fn invoice_paid(id: &str, created_s: i64, old: bool, object: Json) -> Json {
    let mut invoice = json!({
        "id": format!("in_{id}"), "object": "invoice", "billing_reason": "subscription_create", "amount_paid": 10_000,
        "total": 10_000, "currency": "eur", "customer": format!("cus_{id}"), "customer_email": "buyer@example.com",
        "status_transitions": {"paid_at": created_s}, "metadata": {},
    });
    if old {
        merge(
            &mut invoice,
            json!({"subscription": format!("sub_{id}"), "payment_intent": format!("pi_{id}"), "charge": null}),
        );
    } else {
        let details = json!({"subscription": format!("sub_{id}"), "metadata": {}});
        merge(
            &mut invoice,
            json!({"parent": {"type": "subscription_details", "subscription_details": details}}),
        );
    }
    merge(&mut invoice, object);
    event(&format!("evt_invoice_{id}"), "invoice.paid", created_s, invoice)
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
