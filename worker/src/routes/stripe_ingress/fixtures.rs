//! Every file of Stripe data that lies beside the project, sent to the whole Worker: what becomes of it, and what is booked.
//! (What the parser reads of each is another table, in `stripe/src/fixtures.rs`.) The files are not part of the project:
//! where the folder is absent, this test says so and is skipped.

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::testing::shop::shop;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures/stripe");

const BOOKED: &str = "processed";
const PARKED: &str = "parked: sale_unknown";
const SETUP: &str = "ignored: the session only saved a payment method";
const UNUSED: &str = "ignored: events of this type are not used";

/// Whole events: the file, what becomes of it, and what is booked.
const EVENTS_OF_2020: [(&str, &str, &str); 20] = [
    // Its object has lost its id.
    ("charge.dispute.closed", "failed: the object has no `id`", ""),
    ("charge.dispute.created", PARKED, ""),
    ("charge.refund.updated", PARKED, ""),
    ("charge.refunded", PARKED, ""),
    ("charge.succeeded", UNUSED, ""),
    ("charge.updated", PARKED, ""),
    ("checkout.session.completed", BOOKED, "stripe 3000 no_signal"),
    ("checkout.session.completed.payment_mode", BOOKED, "stripe 25000 no_signal"),
    ("checkout.session.completed.setup_mode", SETUP, ""),
    ("customer.created", UNUSED, ""),
    ("customer.deleted", UNUSED, ""),
    ("customer.subscription.created", UNUSED, ""),
    ("customer.subscription.deleted", BOOKED, ""),
    ("customer.subscription.updated", UNUSED, ""),
    ("invoice.paid", BOOKED, "stripe 2000 no_signal"),
    ("invoice.payment_failed", UNUSED, ""),
    ("invoice.payment_succeeded", UNUSED, ""),
    ("payment_intent.succeeded", UNUSED, ""),
    ("payout.paid", UNUSED, ""),
    ("transfer.created", UNUSED, ""),
];

/// Single objects: the file, the type of an event that would carry it, what becomes of that, and what is booked.
const OBJECTS_OF_2026: [(&str, &str, &str, &str); 18] = [
    ("balance_transaction", "balance.available", UNUSED, ""),
    ("charge", "charge.updated", PARKED, ""),
    // Not paid yet.
    ("checkout.session", "checkout.session.completed", BOOKED, ""),
    ("coupon", "coupon.created", UNUSED, ""),
    ("credit_note", "credit_note.created", UNUSED, ""),
    ("customer", "customer.created", UNUSED, ""),
    // Of a coupon, and of no subscription: it speaks of nothing that is sold.
    ("discount", "customer.discount.created", "ignored: the discount has no promotion code", ""),
    ("dispute", "charge.dispute.created", PARKED, ""),
    ("event", "plan.created", UNUSED, ""),
    ("invoice", "invoice.paid", BOOKED, "stripe 0 no_signal"),
    // Its invoice is unknown.
    ("invoice_payment", "invoice_payment.paid", PARKED, ""),
    ("line_item", "invoiceitem.created", UNUSED, ""),
    ("payment_intent", "payment_intent.succeeded", UNUSED, ""),
    ("payment_link", "payment_link.created", UNUSED, ""),
    ("promotion_code", "promotion_code.created", UNUSED, ""),
    ("refund", "refund.created", PARKED, ""),
    ("subscription", "customer.subscription.deleted", BOOKED, ""),
    ("webhook_endpoint", "account.updated", UNUSED, ""),
];

#[test]
fn every_stored_event_and_object_of_stripes_ends_as_the_table_says() {
    if !Path::new(FOLDER).is_dir() {
        println!("skipped: the folder of Stripe fixtures is absent");
        return;
    }
    assert_eq!(names("events-2020-08-27"), sorted(EVENTS_OF_2020.map(|row| row.0)));
    for (name, fate, books) in EVENTS_OF_2020 {
        check(name, &file("events-2020-08-27", name), fate, books);
    }
    assert_eq!(names("objects-2026-08"), sorted(OBJECTS_OF_2026.map(|row| row.0)));
    for (name, kind, fate, books) in OBJECTS_OF_2026 {
        let event = json!({"object": "event", "type": kind, "api_version": "2026-08-26", "created": 1_780_000_000,
            "livemode": false, "data": {"object": file("objects-2026-08", name)}});
        check(name, &event, fate, books);
    }
}

/// Sends it under one fresh id, twice, and under another: what it says is booked once.
fn check(name: &str, event: &Json, fate: &str, books: &str) {
    let shop = shop();
    for (id, duplicate) in [("evt_fresh_1", false), ("evt_fresh_1", true), ("evt_fresh_2", false)] {
        let mut event = event.clone();
        event["id"] = json!(id);
        let answer = shop.take(&event);
        assert_eq!(answer.body["duplicate"], json!(duplicate), "{name} {id}");
        assert_eq!(shop.books(), books, "{name} {id}");
        shop.world.pass_ms(1);
    }
    assert_eq!(shop.fates(), [fate, fate], "{name}");
    // In the other mode it is set aside.
    let live = shop.world.stripe_connection(&shop.world.keys.sk_live);
    let mut event = event.clone();
    event["id"] = json!("evt_fresh_3");
    let answer = shop.world.stripe(&live, &event);
    assert_eq!((answer.text("/outcome"), answer.text("/reason")), ("skipped".to_owned(), "mode_mismatch".to_owned()));
}

fn file(folder: &str, name: &str) -> Json {
    serde_json::from_slice(&fs::read(format!("{FOLDER}/{folder}/{name}.json")).unwrap()).unwrap()
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("{FOLDER}/{folder}")).unwrap();
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    sorted(files.map(|file| file.trim_end_matches(".json").to_owned()))
}

fn sorted(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
    names.sort();
    names
}
