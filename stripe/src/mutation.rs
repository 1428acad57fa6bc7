//! Whatever bytes come, there is an answer; and whatever is read is money within its range and is stored and read again
//! as the same. Valid events of every type are bent at random: in their bytes and in their values.

use domain::fact::StripeFact;
use domain::money::AMOUNT_MAX;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::event::{self, Reading};
use crate::testing::{envelope, hash_email};

const CLICK: &str = "0190f3c1-5e5a-4c3e-9b1a-0123456789ab";

/// One valid event of each type that is used.
fn valid_events() -> Vec<Value> {
    let refund = json!({"id": "re_1", "object": "refund", "amount": 2, "currency": "eur", "status": "succeeded",
        "charge": {"id": "ch_1", "payment_intent": "pi_1"}, "created": 5});
    let charge = json!({"id": "ch_1", "object": "charge", "amount": 9, "amount_captured": 8, "amount_refunded": 2,
        "currency": "eur", "invoice": null, "captured": true, "balance_transaction": {"fee": 1, "currency": "eur"},
        "refunds": {"data": [refund]}});
    let session = json!({"id": "cs_1", "object": "checkout.session", "mode": "payment", "payment_status": "paid",
        "amount_total": 7, "currency": "eur", "customer_details": {"email": "a@example.com"},
        "client_reference_id": CLICK, "metadata": {"aff_click_id": CLICK, "tracCustomerExternalId": "u1"},
        "discounts": [{"promotion_code": "promo_1"}],
        "total_details": {"amount_tax": 1, "breakdown": {"discounts": [{"discount": {"id": "di_1"}}]}}});
    let payment = json!({"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1", "amount_paid": 7,
        "currency": "eur", "status": "paid", "payment": {"payment_intent": "pi_1"}});
    let invoice = json!({"id": "in_1", "object": "invoice", "amount_paid": 7, "total": 9, "currency": "eur",
        "amount_paid_off_stripe": 1, "total_taxes": [{"amount": 1}, {"amount": "2.0"}], "tax": 3,
        "parent": {"subscription_details": {"subscription": {"id": "sub_1"}, "metadata": {"tracClickId": CLICK}}},
        "discounts": ["di_1", {"id": "di_2", "promotion_code": "promo_1"}], "payments": {"data": [payment]},
        "status_transitions": {"paid_at": 5}});
    let dispute = json!({"id": "dp_1", "object": "dispute", "amount": 2, "currency": "eur", "status": "lost"});
    let discount = json!({"id": "di_1", "object": "discount", "promotion_code": {"id": "promo_1"}});
    vec![
        envelope("checkout.session.completed", &session),
        envelope("invoice.paid", &invoice),
        envelope("invoice_payment.paid", &payment),
        envelope("charge.refunded", &charge),
        envelope("refund.failed", &refund),
        envelope("charge.dispute.closed", &dispute),
        envelope("customer.subscription.deleted", &json!({"id": "sub_1", "ended_at": 5})),
        envelope("customer.discount.created", &discount),
    ]
}

/// Reads the body and checks what holds of any reading.
fn check(body: &[u8]) {
    let Ok(event) = event::read(body, &hash_email) else {
        return;
    };
    assert!((1..=255).contains(&event.id.len()));
    let Reading::Facts(facts) = event.reading else {
        return;
    };
    assert!(!facts.is_empty());
    for fact in facts {
        let stored = serde_json::to_value(&fact).unwrap();
        check_amounts(&stored);
        assert_eq!(serde_json::from_value::<StripeFact>(stored).unwrap(), fact);
    }
}

fn check_amounts(stored: &Value) {
    for (key, value) in stored.as_object().unwrap() {
        if key.starts_with("amount") || key == "tax" || key == "total" {
            assert!(value.is_null() || (0..=AMOUNT_MAX).contains(&value.as_i64().unwrap()), "{stored}");
        }
        for refund in value.as_array().filter(|_| key == "refunds").into_iter().flatten() {
            check_amounts(refund);
        }
    }
}

/// Puts `replacement` in the place of the value that comes `nth` in reading order.
fn replace(value: &mut Value, nth: &mut usize, replacement: &Value) {
    if *nth == 0 {
        *value = replacement.clone();
        *nth = usize::MAX;
        return;
    }
    *nth -= 1;
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, nth, replacement)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, nth, replacement)),
        _ => {}
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2_i64..3).prop_map(|near| json!(AMOUNT_MAX + near)),
        ".{0,20}".prop_map(Value::from),
        "-?[0-9]{0,20}(\\.[0-9]{0,3})?".prop_map(Value::from),
        "(eur|jpy|promo_1|di_1|false|won|paid|setup)".prop_map(Value::from),
    ];
    let key = "(id|object|amount|data|currency|metadata|promotion_code|payment_intent|[a-z]{1,3})";
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_have_an_answer(body: Vec<u8>) {
        check(&body);
    }

    #[test]
    fn an_event_with_bent_bytes_has_an_answer(
        which in 0..8_usize,
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut body = valid_events()[which].to_string().into_bytes();
        for (at, byte) in bends {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if cut {
            body.truncate(end.index(body.len()));
        }
        check(&body);
    }

    #[test]
    fn an_event_with_bent_values_has_an_answer(
        which in 0..8_usize,
        bends in prop::collection::vec((0..70_usize, any_json()), 1..4),
    ) {
        let mut event = valid_events().swap_remove(which);
        for (mut nth, replacement) in bends {
            replace(&mut event, &mut nth, &replacement);
        }
        check(event.to_string().as_bytes());
    }

    #[test]
    fn any_object_under_any_type_has_an_answer(which in 0..8_usize, object in any_json()) {
        let mut event = valid_events().swap_remove(which);
        event["data"]["object"] = object;
        check(event.to_string().as_bytes());
    }
}

#[test]
fn the_events_that_are_bent_are_valid() {
    for event in valid_events() {
        let read = event::read(event.to_string().as_bytes(), &hash_email).unwrap();
        assert!(matches!(read.reading, Reading::Facts(_)), "{read:?}");
    }
}
