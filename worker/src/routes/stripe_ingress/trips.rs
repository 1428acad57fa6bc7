//! What an event costs, what its message carries, and what an isolate remembers of connections.

use std::sync::atomic::Ordering;

use domain::time::{DAY_MS, MINUTE_MS, SECOND_MS};
use serde_json::{Value as Json, json};
use stripe::signature::sign;

use super::SWEEP_AFTER_MS;
use crate::connections::FAILURES_PER_MINUTE;
use crate::jobs::Message;
use crate::testing::shop::{Shop, shop};
use crate::testing::{NextWrite, invoice_paid, refund, session_completed};

const ONE: &str = "stripe 10000 attributed_click; 2000 approved [earned 2000]";

/// A shop whose click is written, and whose connection is remembered.
fn warm() -> Shop {
    let shop = shop();
    shop.world.deliver();
    let mut unused = session_completed("warm", shop.now_s(), json!({}));
    unused["type"] = json!("customer.created");
    shop.take(&unused);
    shop.world.db.round_trips();
    shop
}

/// Everything that a repetition could change: revisions and rows.
fn whole(shop: &Shop) -> Vec<i64> {
    let mut all = vec![shop.world.db.count("SELECT COALESCE(sum(revision), 0) FROM families")];
    for table in ["facts", "family_keys", "conversions", "decisions", "commissions", "entries", "events"] {
        all.push(shop.world.db.count(&format!("SELECT count(*) FROM {table}")));
    }
    all
}

fn processed(shop: &Shop) -> usize {
    shop.fates().iter().filter(|fate| *fate == "processed").count()
}

/// The one message that waits.
fn message(shop: &Shop) -> (String, Json) {
    let queued = shop.world.queued();
    assert_eq!(queued.len(), 1, "{queued:?}");
    let Message::StripeEvent { id, .. } = &queued[0] else { panic!("{queued:?}") };
    (id.clone(), serde_json::to_value(&queued[0]).unwrap())
}

#[test]
fn a_stripe_event_costs_one_round_trip_to_take_in_and_two_to_book() {
    let shop = warm();
    let s = shop.now_s();
    let mut subscription = shop.subscription_session(Some("in_2"));
    subscription["id"] = json!("evt_session_2");
    subscription["data"]["object"]["id"] = json!("cs_test_2");
    for event in [
        session_completed("1", s, shop.hint()),
        refund("1", "1", s + 1, 2_500, "succeeded"),
        subscription,
        invoice_paid("2", s, false, json!({})),
        refund("unknown", "9", s + 1, 2_500, "succeeded"),
    ] {
        shop.send(&event);
        assert_eq!(shop.world.db.round_trips(), 1, "{event}");
        shop.world.deliver();
        assert_eq!(shop.world.db.round_trips(), 2, "{event}");
    }
    // What is not to be processed, and what came before, is told at once.
    let mut unused = session_completed("3", s, json!({}));
    unused["type"] = json!("customer.created");
    for event in [unused, session_completed("1", s, shop.hint())] {
        shop.take(&event);
        assert_eq!(shop.world.db.round_trips(), 1, "{event}");
    }
    // Cold, the connection is asked for too; and after the sweep, the body.
    shop.world.pass_ms(30 * SECOND_MS);
    shop.send(&session_completed("4", shop.now_s(), json!({})));
    assert_eq!((shop.world.db.round_trips(), shop.world.lose_queue()), (2, 1));
    shop.world.pass_ms(SWEEP_AFTER_MS);
    let found = pollster::block_on(crate::jobs::sweep(&shop.world.app));
    shop.world.db.round_trips();
    shop.world.handle(found);
    assert_eq!(shop.world.db.round_trips(), 3);
    assert_eq!(processed(&shop), 5, "{:?}", shop.fates());
}

#[test]
fn a_message_delivered_again_or_after_the_sweep_changes_nothing() {
    let shop = warm();
    shop.send(&session_completed("1", shop.now_s(), shop.hint()));
    let queued = shop.world.queued();
    assert_eq!(shop.world.handle([queued.clone(), queued.clone()].concat()), [true, true]);
    let (books, before) = (shop.books(), whole(&shop));
    shop.world.db.round_trips();
    assert_eq!(shop.world.handle(queued.clone()), [true]);
    assert_eq!(shop.world.db.round_trips(), 1, "that it is settled is read with everything else");
    shop.world.pass_ms(DAY_MS);
    assert_eq!(shop.world.handle(queued), [true]);
    assert_eq!((shop.books(), whole(&shop)), (books, before));
    shop.world.lose_queue();

    shop.send(&refund("1", "1", shop.now_s(), 2_500, "succeeded"));
    let late = shop.world.queued();
    shop.world.lose_queue();
    shop.world.pass_ms(SWEEP_AFTER_MS);
    shop.world.sweep();
    let (books, before) = (shop.books(), whole(&shop));
    assert!(books.contains("refunded -500"), "{books}");
    assert_eq!(shop.world.handle(late), [true]);
    assert_eq!((shop.books(), whole(&shop)), (books, before));
    assert_eq!(processed(&shop), 2, "{:?}", shop.fates());
}

#[test]
fn a_message_of_an_event_that_was_left_for_a_person_books_nothing() {
    let shop = warm();
    shop.send(&session_completed("1", shop.now_s(), shop.hint()));
    let gave_up = "UPDATE stripe_events SET outcome = 'failed', reason = 'gave_up' WHERE outcome = 'pending'";
    assert_eq!(shop.world.db.execute(gave_up), Ok(1));
    let before = whole(&shop);
    shop.world.deliver();
    assert_eq!(whole(&shop), before);
    assert!(shop.fates().contains(&"failed: gave_up".to_owned()), "{:?}", shop.fates());
}

#[test]
fn of_a_message_and_a_sweep_at_once_one_books() {
    for fate in [NextWrite::Works, NextWrite::LandsButReportsFailure] {
        let shop = warm();
        shop.send(&session_completed("1", shop.now_s(), shop.hint()));
        let (id, _) = message(&shop);
        let app = shop.world.app.clone();
        shop.world.db.before_next_write(move || {
            let swept = Message::StripeEvent { id, told: None };
            assert_eq!(pollster::block_on(crate::jobs::handle(&app, vec![swept])).done, [true]);
        });
        shop.world.db.next_write(fate);
        shop.world.deliver();
        shop.world.pass_ms(DAY_MS);
        shop.world.sweep();
        assert_eq!((shop.books().as_str(), processed(&shop)), (ONE, 1), "{fate:?}");
    }
}

#[test]
fn a_message_holds_facts_and_no_address_and_what_is_too_much_for_it_stays_in_the_body() {
    let shop = warm();
    shop.send(&session_completed("1", shop.now_s(), shop.hint()));
    let (_, sent) = message(&shop);
    assert_eq!(sent["told"]["facts"][0]["session"], "cs_test_1");
    assert!(!sent.to_string().contains("buyer@example.com"), "{sent}");
    shop.world.deliver();
    let refunds: Vec<Json> = (0..100)
        .map(|n| {
            let id = format!("re_{n}_{}", "\"".repeat(240));
            json!({"id": id, "object": "refund", "amount": 25, "currency": "eur", "status": "succeeded",
                "charge": format!("ch_{}", "x".repeat(240)), "payment_intent": "pi_1"})
        })
        .collect();
    let charge = json!({"id": format!("ch_{}", "x".repeat(240)), "object": "charge", "payment_intent": "pi_1",
        "amount": 10_000, "amount_captured": 10_000, "amount_refunded": 2_500, "currency": "eur",
        "refunds": {"object": "list", "data": refunds}});
    let event = json!({"id": "evt_large", "object": "event", "type": "charge.refunded", "created": shop.now_s(),
        "livemode": false, "data": {"object": charge}});
    shop.send(&event);
    assert_eq!(message(&shop).1.get("told"), None);
    shop.world.deliver();
    assert!(shop.books().contains("[earned 2000, refunded -500]"), "{}", shop.books());
}

#[test]
fn a_message_of_old_that_names_the_event_alone_is_processed() {
    let shop = warm();
    shop.send(&session_completed("1", shop.now_s(), shop.hint()));
    let (id, _) = message(&shop);
    shop.world.lose_queue();
    let old = serde_json::from_value(json!({"kind": "stripe_event", "id": id})).unwrap();
    assert_eq!(shop.world.handle(vec![old]), [true]);
    assert_eq!(shop.books(), ONE);
}

#[test]
fn a_connection_that_is_deleted_or_whose_secret_changes_is_so_within_a_minute() {
    let shop = shop();
    let second = shop.world.stripe_connection(&shop.world.keys.sk_test);
    let line = format!("POST /webhooks/stripe/{second}");
    let count = std::cell::Cell::new(0);
    let deliver = |secret: &str| {
        count.set(count.get() + 1);
        // Not stored, so that the connection can be deleted: signed, and no event.
        let body = format!("no event {}", count.get()).into_bytes();
        let header = sign(secret, shop.now_s(), &body);
        shop.world.send_bytes(&line, &[("stripe-signature", &header)], body).summary()
    };
    let (signed, unsigned, gone) = ("400 VALIDATION_ERROR", "400 INVALID_SIGNATURE", "404 NOT_FOUND");
    assert_eq!(deliver("whsec_test_0123456789"), signed);
    let id: domain::ids::ConnectionId = domain::ids::Id::parse(&second).unwrap();
    let app = &shop.world.app;
    let purpose = super::secret_purpose(&id);
    let sealed = app.secrets.seal(&*app.random, &purpose, b"whsec_changed_0123456789").unwrap();
    let change = format!("UPDATE stripe_connections SET signing_secret = '{sealed}' WHERE id = '{second}'");
    assert_eq!(shop.world.db.execute(&change), Ok(1));
    // The new secret at once; the old one as long as it is remembered.
    assert_eq!(deliver("whsec_test_0123456789"), signed);
    assert_eq!(deliver("whsec_changed_0123456789"), signed);
    assert_eq!(deliver("whsec_test_0123456789"), unsigned);
    let delete = format!("DELETE FROM stripe_connections WHERE id = '{second}'");
    assert_eq!(shop.world.db.execute(&delete), Ok(1));
    assert_eq!(deliver("whsec_changed_0123456789"), signed);
    shop.world.pass_ms(30 * SECOND_MS);
    assert_eq!(deliver("whsec_changed_0123456789"), gone);
    // What is unknown is asked for each time, and nothing is kept of it.
    shop.world.db.round_trips();
    assert_eq!(deliver("whsec_changed_0123456789"), gone);
    assert_eq!(shop.world.db.round_trips(), 1);
}

#[test]
fn failed_signatures_are_limited_per_connection_and_nothing_that_stripe_signed_is() {
    let shop = shop();
    shop.world.pass_ms(MINUTE_MS - shop.world.now().ms() % MINUTE_MS);
    let second = shop.world.stripe_connection(&shop.world.keys.sk_test);
    let bad = |connection: &str| {
        let headers = [("stripe-signature", "t=1,v1=00")];
        shop.world.send_bytes(&format!("POST /webhooks/stripe/{connection}"), &headers, b"{}".to_vec())
    };
    for failure in 0..FAILURES_PER_MINUTE {
        // From one address or many: it is no matter.
        shop.world.come_from(&format!("192.0.2.{}", failure % 200));
        let answer = bad(&shop.connection);
        assert_eq!(answer.summary(), "400 INVALID_SIGNATURE", "{failure}");
        assert!(answer.header("x-ratelimit-limit").is_empty());
    }
    shop.world.pass_ms(500);
    for _ in 0..3 {
        let answer = bad(&shop.connection);
        assert_eq!(answer.summary(), "429 RATE_LIMIT_EXCEEDED");
        assert_eq!((answer.header("retry-after"), answer.header("x-ratelimit-limit")), ("60", "300"));
        assert_eq!(bad(&second).summary(), "400 INVALID_SIGNATURE");
    }
    // Once it is known, a flood costs neither the limiter nor the database anything.
    shop.world.db.round_trips();
    bad(&shop.connection);
    assert_eq!(shop.world.db.round_trips(), 0);
    for n in 0..400 {
        let event = session_completed(&n.to_string(), shop.now_s(), json!({}));
        assert_eq!(shop.send(&event).status, 200, "{n}");
    }
    shop.world.pass_ms(MINUTE_MS);
    assert_eq!(bad(&shop.connection).summary(), "400 INVALID_SIGNATURE");
    shop.world.limiter.unreachable.store(true, Ordering::SeqCst);
    assert_eq!(bad(&shop.connection).summary(), "400 INVALID_SIGNATURE");
    assert_eq!(shop.send(&session_completed("x", shop.now_s(), json!({}))).status, 200);
}
