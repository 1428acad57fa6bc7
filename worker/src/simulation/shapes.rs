//! What Stripe tells, written in the shape of an old API version or of a new one.

use serde_json::{Map, Value as Json, json};

use super::told::{Charge, Invoice, Outcome, Paid, Refund, Session, Signals, Told};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Before 2025-03-31.
    Old,
    /// Since then.
    New,
}

/// An event's body.
pub fn event(id: &str, kind: &str, at_s: i64, live: bool, told: &Told, shape: Shape) -> Json {
    let version = if shape == Shape::Old { "2022-08-01" } else { "2025-09-30.clover" };
    json!({
        "id": id, "object": "event", "type": kind, "created": at_s, "livemode": live, "api_version": version,
        "data": {"object": object(told, shape)},
    })
}

fn object(told: &Told, shape: Shape) -> Json {
    match told {
        Told::Session(session) => session_object(session, shape),
        Told::Invoice(invoice) => invoice_object(invoice, shape),
        Told::Payment { invoice, intent } => json!({
            "id": format!("inpay_{intent}"), "object": "invoice_payment", "invoice": invoice, "status": "paid",
            "payment": {"type": "payment_intent", "payment_intent": intent},
        }),
        Told::Charge(charge) => charge_object(charge, shape),
        Told::Refund(refund) => refund_object(refund),
        Told::Dispute { id, charge, intent, outcome } => {
            let status = match outcome {
                Outcome::Open => "needs_response",
                Outcome::Won => "won",
                Outcome::Lost => "lost",
            };
            json!({"id": id, "object": "dispute", "charge": charge, "payment_intent": intent, "amount": 1,
                "currency": "eur", "status": status})
        }
        Told::Ended { subscription } => {
            json!({"id": subscription, "object": "subscription", "status": "canceled", "metadata": {}})
        }
        Told::Report(_) | Told::GivenBack { .. } => panic!("Stripe does not tell what merchants do"),
    }
}

fn metadata(signals: &Signals) -> Json {
    let mut metadata = Map::new();
    if let Some(click) = &signals.aff_click_id {
        metadata.insert("aff_click_id".to_owned(), json!(click));
    }
    if let Some(click) = &signals.trac_click_id {
        metadata.insert("tracClickId".to_owned(), json!(click));
    }
    if signals.opted_out {
        metadata.insert("selgeo".to_owned(), json!("false"));
    }
    Json::Object(metadata)
}

fn email(buyer: usize) -> String {
    format!("buyer@home-of-{buyer}.example")
}

/// New shapes expand what old ones name, as a merchant's settings may.
fn named(id: Option<&String>, object: &str, shape: Shape) -> Json {
    match (id, shape) {
        (Some(id), Shape::New) if id.len() % 2 == 0 => json!({"id": id, "object": object}),
        (id, _) => json!(id),
    }
}

fn session_object(session: &Session, shape: Shape) -> Json {
    let signals = &session.signals;
    let discounts: Vec<Json> = signals.promotion_codes.iter().map(|id| json!({"promotion_code": id})).collect();
    json!({
        "id": session.id, "object": "checkout.session",
        "mode": if session.starts.is_some() { "subscription" } else { "payment" },
        "payment_status": match session.paid {
            Paid::Yes => "paid",
            Paid::NotYet => "unpaid",
            Paid::NothingToPay => "no_payment_required",
        },
        "amount_total": session.amount, "currency": session.currency.to_lowercase(),
        "total_details": {"amount_tax": session.tax},
        "payment_intent": named(session.intent.as_ref(), "payment_intent", shape),
        "invoice": named(session.invoice.as_ref(), "invoice", shape),
        "subscription": named(session.starts.as_ref(), "subscription", shape),
        "customer": session.customer, "customer_details": {"email": email(session.buyer)},
        "client_reference_id": signals.client_reference_id, "metadata": metadata(signals), "discounts": discounts,
    })
}

fn invoice_object(invoice: &Invoice, shape: Shape) -> Json {
    let mut object = json!({
        "id": invoice.id, "object": "invoice", "billing_reason": invoice.reason, "amount_paid": invoice.amount,
        "total": invoice.amount, "currency": invoice.currency.to_lowercase(), "customer": invoice.customer,
        "customer_email": email(invoice.buyer), "status_transitions": {"paid_at": invoice.paid_at_s},
    });
    let signals = metadata(&invoice.signals);
    let more = match shape {
        Shape::Old => {
            let (own, of_subscription) = match invoice.subscription {
                Some(_) => (json!({}), json!({"metadata": signals})),
                None => (signals, json!(null)),
            };
            json!({
                "subscription": invoice.subscription, "payment_intent": invoice.intent, "charge": invoice.charge,
                "paid": true, "tax": invoice.tax, "metadata": own, "subscription_details": of_subscription,
            })
        }
        Shape::New => {
            let taxes = invoice.tax.map(|tax| json!([{"amount": tax, "tax_behavior": "inclusive"}]));
            let details = json!({"subscription": invoice.subscription, "metadata": signals});
            match &invoice.subscription {
                Some(_) => json!({"parent": {"type": "subscription_details", "subscription_details": details},
                    "metadata": {}, "total_taxes": taxes}),
                None => json!({"parent": null, "metadata": signals, "total_taxes": taxes}),
            }
        }
    };
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

fn charge_object(charge: &Charge, shape: Shape) -> Json {
    let mut object = json!({
        "id": charge.id, "object": "charge", "payment_intent": named(charge.intent.as_ref(), "payment_intent", shape),
        "amount": charge.captured + charge.released, "amount_captured": charge.captured,
        "amount_refunded": charge.refunded, "currency": charge.currency.to_lowercase(), "captured": true,
        "balance_transaction": format!("txn_{}", charge.id),
    });
    if shape == Shape::Old {
        object["invoice"] = json!(charge.invoice);
        object["amount_refunded"] = json!(charge.refunded + charge.released);
    }
    if !charge.refunds.is_empty() {
        let refunds: Vec<Json> = charge.refunds.iter().map(refund_object).collect();
        object["refunds"] = json!({"object": "list", "data": refunds});
    }
    object
}

fn refund_object(refund: &Refund) -> Json {
    json!({
        "id": refund.id, "object": "refund", "charge": refund.charge, "payment_intent": refund.intent,
        "amount": refund.amount, "currency": refund.currency.to_lowercase(), "status": refund.status,
    })
}
