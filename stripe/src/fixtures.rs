//! Every file of Stripe data that lies beside the project, read and compared with a table. The files are not part of the
//! project: where the folder is absent, this test says so and is skipped.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::testing::{as_json, envelope, read};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures/stripe");
const UNUSED: &str = "events of this type are not used";

/// Whole events, in the shape of 2020-08-27 and older.
fn events_of_2020() -> Vec<(&'static str, Value)> {
    vec![
        ("charge.dispute.closed", json!("the object has no `id`")),
        (
            "charge.dispute.created",
            json!({"kind": "dispute", "dispute": "dp_000000000000000000000000",
                "charge": "ch_000000000000000000000000", "amount": 100, "status": "open"}),
        ),
        (
            "charge.refund.updated",
            json!({"kind": "refund", "refund": "re_000000000000000000000000", "charge": "ch_000000000000000000000000",
                "amount": 100, "currency": "USD", "status": "succeeded", "created": 1_648_319_945_000_i64}),
        ),
        (
            "charge.refunded",
            json!({"kind": "charge", "charge": "ch_000000000000000000000000", "amount_captured": 100,
                "amount_refunded": 100, "balance_transaction": "txn_000000000000000000000000", "fee": null,
                "refunds": [{"refund": "re_000000000000000000000000", "charge": "ch_000000000000000000000000",
                    "payment_intent": null, "amount": 100, "currency": "USD", "status": "succeeded",
                    "created": 1_648_319_949_000_i64}]}),
        ),
        ("charge.succeeded", json!(UNUSED)),
        (
            "charge.updated",
            json!({"kind": "charge", "invoice": "in_00000000000000", "amount_captured": 1000, "amount_refunded": 0,
                "balance_transaction": "txn_00000000000000"}),
        ),
        (
            "checkout.session.completed",
            json!({"kind": "session", "mode": "payment", "payment_status": "paid", "amount": 3000, "tax": 0,
                "currency": "USD", "payment_intent": "pi_000000000000000000000000", "customer": "cus_00000000000000",
                "invoice": null, "hints": {}}),
        ),
        (
            "checkout.session.completed.payment_mode",
            json!({"kind": "session", "mode": "payment", "amount": 25000, "payment_intent": "pi_00000000000000"}),
        ),
        ("checkout.session.completed.setup_mode", json!("the session only saved a payment method")),
        ("customer.created", json!(UNUSED)),
        ("customer.deleted", json!(UNUSED)),
        ("customer.subscription.created", json!(UNUSED)),
        (
            "customer.subscription.deleted",
            json!({"kind": "subscription_ended", "subscription": "sub_000000000000000000000000",
                "customer": "cus_00000000000000", "ended_at": 1_648_320_097_000_i64}),
        ),
        ("customer.subscription.updated", json!(UNUSED)),
        (
            "invoice.paid",
            json!({"kind": "invoice", "invoice": "in_000000000000000000000000", "subscription": null,
                "billing_reason": "other", "amount_paid": 2000, "amount_paid_off_stripe": 0, "total": 2000, "tax": 0,
                "currency": "USD", "payment_intent": "pi_000000000000000000000000",
                "charge": "ch_000000000000000000000000", "paid_at": 1_648_320_013_000_i64}),
        ),
        ("invoice.payment_failed", json!(UNUSED)),
        ("invoice.payment_succeeded", json!(UNUSED)),
        ("payment_intent.succeeded", json!(UNUSED)),
        ("payout.paid", json!(UNUSED)),
        ("transfer.created", json!(UNUSED)),
    ]
}

/// Single objects in the shape of August 2026, each with the type of an event that would carry it.
fn objects_of_2026() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("balance_transaction", "balance.available", json!(UNUSED)),
        (
            "charge",
            "charge.updated",
            json!({"kind": "charge", "charge": "ch_1PgafuB7WZ01zgkWXYmPNZs8", "amount_captured": 0,
                "amount_refunded": 0, "invoice": null, "balance_transaction": "txn_1PgaxNB7WZ01zgkWEV3TLf40"}),
        ),
        (
            "checkout.session",
            "checkout.session.completed",
            json!({"kind": "session", "mode": "payment", "payment_status": "unpaid", "amount": 0, "currency": null,
                "tax": 1_424_534_716, "payment_intent": "pi_1PgafyB7WZ01zgkWSjxsAJo3"}),
        ),
        ("coupon", "coupon.created", json!(UNUSED)),
        ("credit_note", "credit_note.created", json!(UNUSED)),
        ("customer", "customer.created", json!(UNUSED)),
        (
            "discount",
            "customer.discount.created",
            json!({"kind": "discount", "discount": "di_1Pgc6rB7WZ01zgkW7Al8Fal9", "promotion_code": null,
                "customer": "cus_QXg1o8vcGmoR32", "subscription": null}),
        ),
        (
            "dispute",
            "charge.dispute.created",
            json!({"kind": "dispute", "dispute": "dp_1Pgc71B7WZ01zgkWMevJiAUx",
                "charge": "ch_1PgafuB7WZ01zgkWXYmPNZs8", "amount": 1000, "status": "open"}),
        ),
        ("event", "plan.created", json!(UNUSED)),
        (
            "invoice",
            "invoice.paid",
            json!({"kind": "invoice", "invoice": "in_1Pgc6tB7WZ01zgkWu9fdqL6I", "subscription": "subscription",
                "customer": "cus_QXg1o8vcGmoR32", "amount_paid": 0, "total": 1000, "tax": null, "paid_at": null,
                "payment_intent": null, "charge": null}),
        ),
        (
            "invoice_payment",
            "invoice_payment.paid",
            json!({"kind": "invoice_payment", "invoice_payment": "obj_123", "invoice": "invoice", "amount_paid": 0,
                "currency": null, "payment_intent": null}),
        ),
        ("line_item", "invoiceitem.created", json!(UNUSED)),
        ("payment_intent", "payment_intent.succeeded", json!(UNUSED)),
        ("payment_link", "payment_link.created", json!(UNUSED)),
        ("promotion_code", "promotion_code.created", json!(UNUSED)),
        (
            "refund",
            "refund.created",
            json!({"kind": "refund", "refund": "re_1Pgc72B7WZ01zgkWqPvrRrPE",
                "charge": "ch_1PgafuB7WZ01zgkWXYmPNZs8", "payment_intent": null, "amount": 100,
                "status": "succeeded"}),
        ),
        (
            "subscription",
            "customer.subscription.deleted",
            json!({"kind": "subscription_ended", "subscription": "sub_1Pgc6rB7WZ01zgkWNy0Cn5nw",
                "ended_at": 1_234_567_890_000_i64}),
        ),
        ("webhook_endpoint", "account.updated", json!(UNUSED)),
    ]
}

#[test]
fn every_stored_event_and_object_of_stripes_is_read_as_the_table_says() {
    if !Path::new(FOLDER).is_dir() {
        println!("skipped: the folder of Stripe fixtures is absent");
        return;
    }
    let events = events_of_2020();
    assert_eq!(names("events-2020-08-27"), names_of(events.iter().map(|row| row.0)));
    for (name, expected) in events {
        check(name, &file("events-2020-08-27", name), &expected);
    }
    let objects = objects_of_2026();
    assert_eq!(names("objects-2026-08"), names_of(objects.iter().map(|row| row.0)));
    for (name, kind, expected) in objects {
        check(name, &envelope(kind, &file("objects-2026-08", name)), &expected);
    }
}

fn check(name: &str, event: &Value, expected: &Value) {
    let read = as_json(&read(event).reading);
    match expected.as_object() {
        None => assert_eq!(&read, expected, "{name}"),
        Some(fields) => {
            assert_eq!(read.as_array().map(Vec::len), Some(1), "{name} was read as {read}");
            for (key, value) in fields {
                assert_eq!(&read[0][key], value, "`{key}` in {name}");
            }
        }
    }
}

fn file(folder: &str, name: &str) -> Value {
    serde_json::from_slice(&fs::read(format!("{FOLDER}/{folder}/{name}.json")).unwrap()).unwrap()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("{FOLDER}/{folder}")).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = files.map(|file| file.trim_end_matches(".json").to_owned()).collect();
    names.sort();
    names
}

fn names_of<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    names.sort();
    names
}
