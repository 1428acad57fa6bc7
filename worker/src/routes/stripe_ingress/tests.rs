use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};
use stripe::signature::sign;

use crate::testing::shop::{orders, shop};
use crate::testing::{NextWrite, invoice_paid, session_completed};

const SECRET: &str = "whsec_test_0123456789";

const ONE: &str = "stripe 10000 attributed_click; 2000 approved [earned 2000]";

#[test]
fn only_what_stripe_signed_lately_is_taken() {
    let shop = shop();
    let event = session_completed("1", shop.now_s(), shop.hint()).to_string();
    let line = format!("POST /webhooks/stripe/{}", shop.connection);
    let now = shop.now_s();
    let check = |headers: &[&str], body: &str, expected: &str| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|header| ("stripe-signature", *header)).collect();
        let answer = shop.world.send_bytes(&line, &headers, body.as_bytes().to_vec());
        assert_eq!(answer.summary(), expected, "{headers:?}");
        assert!(!answer.raw.contains(SECRET) && answer.header("x-ratelimit-limit").is_empty());
    };
    let signed = |at_s: i64| sign(SECRET, at_s, event.as_bytes());
    let bad = "400 INVALID_SIGNATURE";
    check(&[], &event, bad);
    check(&[""], &event, bad);
    check(&["t=1,v1=x"], &event, bad);
    check(&["nonsense"], &event, bad);
    check(&[&signed(now - 301)], &event, bad);
    check(&[&signed(now + 301)], &event, bad);
    check(&[&sign("whsec_other_0123456789", now, event.as_bytes())], &event, bad);
    check(&[&sign("", now, event.as_bytes())], &event, bad);
    check(&[&signed(now)], &format!("{event} "), bad);
    check(&[&signed(now), &signed(now)], &event, bad);
    check(&[&signed(now).replace("v1=", "v0=")], &event, bad);
    let moved = signed(now).replace(&format!("t={now}"), &format!("t={}", now - 1));
    check(&[&moved], &event, bad);
    assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_events"), 0);
    let other = sign("whsec_other_0123456789", now, event.as_bytes());
    let two = format!("{other},{}", signed(now).split_once(',').unwrap().1);
    check(&[&two], &event, "200");
    check(&[&signed(now - 300)], &event, "200");
    check(&[&signed(now + 300)], &event, "200");
    assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_events"), 1);
}

#[test]
fn refusals_come_in_order_unknown_connection_too_large_signature_no_event() {
    let shop = shop();
    let signed = |path: &str, body: &[u8]| {
        let header = sign(SECRET, shop.now_s(), body);
        shop.world.send_bytes(&format!("POST {path}"), &[("stripe-signature", &header)], body.to_vec()).summary()
    };
    let here = format!("/webhooks/stripe/{}", shop.connection);
    let large = vec![b' '; 1024 * 1024 + 1];
    for unknown in [
        "/webhooks/stripe/conn_00000000000000000000000000",
        "/webhooks/stripe/x",
        "/api/webhooks/x",
        "/webhooks/stripe/%00",
    ] {
        assert_eq!(signed(unknown, &large), "404 NOT_FOUND", "{unknown}");
    }
    assert_eq!(signed(&here, &large), "413 PAYLOAD_TOO_LARGE");
    // What is no event, however well signed.
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"{\"object\":\"charge\"}",
        b"{\"object\":\"event\",\"id\":\"evt_1\"}",
        b"\xff",
        &large[1..],
    ];
    for body in bodies {
        assert_eq!(
            signed(&here, body),
            "400 VALIDATION_ERROR",
            "{:?}",
            String::from_utf8_lossy(&body[..body.len().min(50)])
        );
    }
    let deep = format!("{{\"object\":\"event\",\"x\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(signed(&here, deep.as_bytes()), "400 VALIDATION_ERROR");
    let thin = json!({"object": "v2.core.event", "id": "evt_1", "type": "x"});
    assert_eq!(signed(&here, thin.to_string().as_bytes()), "400 VALIDATION_ERROR");
    // 64 KiB is the limit of other paths.
    let padded = json!({"id": "evt_p", "object": "event", "type": "charge.expired", "created": 1, "livemode": false,
        "data": {"object": {}}, "padding": "x".repeat(200_000)});
    assert_eq!(signed(&here, padded.to_string().as_bytes()), "200");
    let alias = format!("/api/webhooks/{}", shop.connection);
    let event = session_completed("1", shop.now_s(), json!({}));
    assert_eq!(signed(&alias, event.to_string().as_bytes()), "200");
}

#[test]
fn what_becomes_of_an_event_is_answered_and_logged() {
    let shop = shop();
    let check = |event: &Json, answered: &str, fate: &str| {
        let answer = shop.take(event);
        let told = format!("{} {} {}", answer.body["outcome"], answer.body["reason"], answer.body["duplicate"]);
        assert_eq!(told.replace('"', ""), answered, "{event}");
        assert_eq!(answer.body["received"], true);
        assert_eq!(shop.fates()[0], fate, "{event}");
        shop.world.pass_ms(1_000);
    };
    let paid = session_completed("1", shop.now_s(), shop.hint());
    check(&paid, "pending null false", "processed");
    check(&paid, "processed null true", "processed");
    let mut unused = session_completed("2", shop.now_s(), json!({}));
    unused["type"] = json!("customer.created");
    check(&unused, "ignored events of this type are not used false", "ignored: events of this type are not used");
    let mut live = session_completed("3", shop.now_s(), shop.hint());
    live["livemode"] = json!(true);
    check(&live, "skipped mode_mismatch false", "skipped: mode_mismatch");
    check(&live, "skipped mode_mismatch true", "skipped: mode_mismatch");
    let setup = session_completed("4", shop.now_s(), json!({"mode": "setup"}));
    check(
        &setup,
        "ignored the session only saved a payment method false",
        "ignored: the session only saved a payment method",
    );
    let broken = session_completed("5", shop.now_s(), json!({"amount_total": 10.5}));
    check(&broken, "pending null false", "failed: `amount_total` is no integer from 0 to 9007199254740991");
    let mut refund = session_completed("6", shop.now_s(), json!({}));
    refund["type"] = json!("refund.created");
    refund["data"]["object"] = json!({"id": "re_1", "object": "refund", "amount": 5, "currency": "eur", "status": "succeeded", "charge": "ch_1"});
    check(&refund, "pending null false", "parked: sale_unknown");
    assert_eq!(shop.books(), ONE);
    for (query, count) in [
        ("outcome=skipped", 1),
        ("type=refund.created", 1),
        ("reason=mode_mismatch", 1),
        ("from=2026-06-01T12:01:03Z", 4),
        ("to=2026-06-01T12:01:03Z", 2),
    ] {
        assert_eq!(shop.data(&format!("stripe-events?{query}")).len(), count, "{query}");
    }
    let bad = shop.world.api("GET /api/v1/stripe-events?outcome=lost", json!(null));
    assert_eq!(bad.summary(), "400 VALIDATION_ERROR");
    let first = shop.data("stripe-events?outcome=processed")[0].clone();
    let keys: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        ["connection_id", "created_at", "id", "mode", "outcome", "reason", "request_id", "stripe_id", "type"]
    );
}

#[test]
fn a_payment_is_one_conversion_with_its_ids_times_and_money() {
    let shop = shop();
    let created_s = shop.now_s() - 20;
    for _ in 0..5 {
        shop.take(&session_completed("1", created_s, shop.hint()));
    }
    assert_eq!(shop.books(), ONE);
    let conversion = &shop.data("conversions")[0];
    assert_eq!(conversion["stripe"], json!({"session": "cs_test_1", "payment_intent": "pi_1"}));
    assert_eq!(
        (&conversion["occurred_at"], &conversion["currency"]),
        (&json!("2026-06-01T12:00:40.000Z"), &json!("EUR"))
    );
    assert_eq!((&conversion["event_type"], &conversion["external_transaction_id"]), (&json!("purchase"), &json!(null)));
    assert_eq!(conversion["attribution"]["participant_id"], shop.program.participant_id);
    assert_eq!(conversion["attribution"]["click_id"], shop.click_id);
    // The buyer's address stays sealed in the raw body.
    for (table, column) in [("facts", "body"), ("stripe_bodies", "sealed"), ("events", "data")] {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} LIKE '%buyer%'");
        assert_eq!(shop.world.db.count(&sql), 0, "{table}");
    }
}

#[test]
fn a_click_is_read_from_wherever_stripe_carries_it() {
    let check = |place: fn(&str) -> Json, expected: &str| {
        let shop = shop();
        shop.take(&session_completed("1", shop.now_s(), place(&shop.click_id)));
        assert_eq!(shop.data("conversions")[0]["attribution"]["reason"], expected, "{}", place("…"));
    };
    let (click, none, unknown) = ("attributed_click", "no_signal", "click_not_found");
    check(|click| json!({"client_reference_id": click}), click);
    check(|click| json!({"client_reference_id": click.to_uppercase()}), click);
    check(|click| json!({"metadata": {"aff_click_id": click}}), click);
    check(|click| json!({"metadata": {"tracClickId": click}}), click);
    check(|_| json!({}), none);
    check(|_| json!({"client_reference_id": "order 7", "metadata": {"aff_click_id": ""}}), none);
    check(|_| json!({"client_reference_id": "0190f3c1-5e5a-4c3e-9b1a-0123456789ab"}), unknown);
    check(
        |click| json!({"client_reference_id": click, "metadata": {"aff_click_id": "0190f3c1-5e5a-4c3e-9b1a-0123456789ab"}}),
        click,
    );
    check(|click| json!({"client_reference_id": click, "metadata": {"selgeo": "false"}}), "opted_out");
}

#[test]
fn a_stripe_promotion_code_credits_its_participant_before_the_click() {
    let shop = shop();
    let bert = shop.world.program(&shop.world.keys.sk_test, "bert");
    let code = json!({"participant_id": bert.participant_id, "code": "BERT", "stripe_promotion_code_id": "promo_1"});
    shop.world.make(&shop.world.keys.sk_test, "promo-codes", code);
    let more =
        json!({"client_reference_id": shop.click_id, "discounts": [{"coupon": null, "promotion_code": "promo_1"}]});
    shop.take(&session_completed("1", shop.now_s(), more));
    let attribution = &shop.data("conversions")[0]["attribution"];
    assert_eq!(attribution["reason"], "attributed_promo_code");
    assert_eq!(attribution["participant_id"], bert.participant_id);
}

#[test]
fn a_session_and_its_invoice_are_one_sale_in_any_order_however_often_and_in_both_shapes() {
    for old in [false, true] {
        for names_invoice in [false, true] {
            for session_money in [10_000, 9_000] {
                let mut seen = Vec::new();
                let kinds = [0, 0, 1, 1];
                let mut all = orders(&kinds);
                all.sort();
                all.dedup();
                for order in all {
                    let shop = shop();
                    let created_s = shop.now_s();
                    let mut session = shop.subscription_session(names_invoice.then_some("in_1"));
                    session["data"]["object"]["amount_total"] = json!(session_money);
                    let invoice = invoice_paid("1", created_s, old, json!({}));
                    for kind in &order {
                        shop.world.pass_ms(500);
                        let event = if *kind == 0 { &session } else { &invoice };
                        // Stripe sends it, and a machine repeats it.
                        shop.send(event);
                        shop.take(event);
                        shop.take(event);
                    }
                    let conversions = shop.data("conversions");
                    let commissions = shop.data("commissions");
                    assert_eq!((conversions.len(), commissions.len()), (1, 1), "{order:?}");
                    let told = json!([
                        conversions[0]["amount_cents"],
                        conversions[0]["occurred_at"],
                        conversions[0]["stripe"],
                        conversions[0]["attribution"],
                        conversions[0]["status"],
                        commissions[0]["amount_cents"],
                        commissions[0]["state"],
                        commissions[0]["participant_id"],
                    ]);
                    assert_eq!(shop.fates(), ["processed", "processed"], "{order:?}");
                    seen.push((
                        order,
                        told.to_string().replace(&shop.click_id, "click").replace(&shop.program.participant_id, "ppt"),
                    ));
                }
                let first = seen[0].1.clone();
                assert!(
                    first.contains("10000") && first.contains("2000") && first.contains("attributed_click"),
                    "{first}"
                );
                // Ids differ from world to world only by the clock, which stands at the same place in each.
                for (order, told) in &seen {
                    assert_eq!(*told, first, "{order:?} old {old}, names invoice {names_invoice}");
                }
            }
        }
    }
}

#[test]
fn messages_may_come_twice_late_and_in_any_order() {
    let kinds = [0, 1, 2];
    for order in orders(&kinds) {
        let shop = shop();
        let session = shop.subscription_session(None);
        shop.send(&session);
        shop.send(&invoice_paid("1", shop.now_s(), false, json!({})));
        let mut async_paid = session.clone();
        async_paid["id"] = json!("evt_async");
        async_paid["type"] = json!("checkout.session.async_payment_succeeded");
        shop.send(&async_paid);
        let queued: Vec<_> = shop.world.queued().split_off(1);
        let batch: Vec<_> = order.iter().map(|place| queued[*place].clone()).collect();
        shop.world.handle([batch.clone(), batch].concat());
        shop.world.deliver();
        assert_eq!(shop.books(), ONE, "{order:?}");
        assert_eq!(shop.world.db.count("SELECT count(*) FROM facts"), 3);
    }
}

#[test]
fn the_invoice_corrects_what_the_session_said() {
    let shop = shop();
    shop.take(&shop.subscription_session(Some("in_1")));
    assert_eq!(shop.books(), ONE);
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({"amount_paid": 11_900})));
    assert_eq!(shop.books(), "stripe 11900 attributed_click; 2380 approved [earned 2000, corrected 380]");
    shop.take(&invoice_paid("1", shop.now_s(), true, json!({"amount_paid": 11_900})));
    assert_eq!(shop.books(), "stripe 11900 attributed_click; 2380 approved [earned 2000, corrected 380]");
}

#[test]
fn an_unpaid_session_waits_for_its_payment() {
    let shop = shop();
    let unpaid =
        session_completed("1", shop.now_s(), json!({"payment_status": "unpaid", "client_reference_id": shop.click_id}));
    shop.take(&unpaid);
    assert_eq!((shop.books(), shop.fates()), (String::new(), vec!["processed".to_owned()]));
    shop.world.pass_ms(3 * DAY_MS);
    shop.world.sweep();
    assert_eq!(shop.books(), "");
    let mut paid = session_completed("1", shop.now_s(), shop.hint());
    paid["id"] = json!("evt_async");
    paid["type"] = json!("checkout.session.async_payment_succeeded");
    shop.take(&paid);
    assert_eq!(shop.books(), ONE);
    shop.take(&unpaid);
    assert_eq!(shop.books(), ONE);
    assert_eq!(shop.data("conversions")[0]["occurred_at"], shop.world.now().to_string()[..19].to_owned() + ".000Z");
}

#[test]
fn a_subscription_session_without_invoice_waits_ten_minutes_and_then_converts() {
    let shop = shop();
    shop.take(&shop.subscription_session(None));
    shop.world.pass_ms(10 * MINUTE_MS - 1);
    shop.world.sweep();
    assert_eq!(shop.books(), "");
    shop.world.pass_ms(1);
    shop.world.sweep();
    shop.world.sweep();
    assert_eq!(shop.books(), ONE);
    assert_eq!(shop.world.db.count("SELECT count(*) FROM families WHERE due_at IS NOT NULL"), 0);
    // The invoice that comes at last only corrects.
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({"amount_paid": 9_000})));
    assert_eq!(shop.books(), "stripe 9000 attributed_click; 1800 approved [earned 2000, corrected -200]");
}

#[test]
fn the_invoice_ends_the_wait() {
    let shop = shop();
    shop.take(&shop.subscription_session(None));
    shop.world.pass_ms(MINUTE_MS);
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
    assert_eq!(shop.books(), ONE);
    shop.world.pass_ms(DAY_MS);
    shop.world.sweep();
    assert_eq!(shop.books(), ONE);
}

#[test]
fn an_amount_of_0_is_recorded_and_earns_nothing() {
    let shop = shop();
    let free = json!({"amount_total": 0, "payment_status": "no_payment_required", "payment_intent": null, "client_reference_id": shop.click_id});
    shop.take(&session_completed("1", shop.now_s(), free));
    assert_eq!(shop.books(), "stripe 0 attributed_click");
    let mut trial = shop.subscription_session(Some("in_1"));
    trial["id"] = json!("evt_trial");
    trial["data"]["object"]["id"] = json!("cs_trial");
    trial["data"]["object"]["amount_total"] = json!(0);
    shop.take(&trial);
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({"amount_paid": 0, "total": 0})));
    assert_eq!(shop.books(), "stripe 0 attributed_click; stripe 0 attributed_click");
}

#[test]
fn an_unreferred_sale_is_recorded() {
    let shop = shop();
    shop.take(&session_completed("1", shop.now_s(), json!({})));
    shop.take(&invoice_paid("9", shop.now_s(), false, json!({})));
    assert_eq!(shop.books(), "stripe 10000 no_signal; stripe 10000 no_signal");
}

#[test]
fn an_event_whose_message_was_lost_is_processed_by_the_sweep() {
    let shop = shop();
    shop.world.deliver();
    shop.send(&session_completed("1", shop.now_s(), shop.hint()));
    assert_eq!(shop.world.lose_queue(), 1);
    shop.world.pass_ms(super::SWEEP_AFTER_MS - 1);
    shop.world.sweep();
    assert_eq!(shop.fates(), ["pending"]);
    shop.world.pass_ms(1);
    shop.world.sweep();
    assert_eq!((shop.books().as_str(), shop.fates()), (ONE, vec!["processed".to_owned()]));
}

#[test]
fn an_event_that_could_not_be_stored_is_refused_so_that_stripe_sends_it_again() {
    let shop = shop();
    let event = session_completed("1", shop.now_s(), shop.hint());
    shop.world.db.next_write(NextWrite::IsLost);
    assert_eq!(shop.send(&event).summary(), "503 UNAVAILABLE");
    assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_events"), 0);
    shop.world.db.next_write(NextWrite::LandsButReportsFailure);
    assert_eq!(shop.send(&event).summary(), "503 UNAVAILABLE");
    let again = shop.take(&event);
    assert_eq!((&again.body["duplicate"], shop.fates()), (&json!(true), vec!["pending".to_owned()]));
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    assert_eq!(shop.books(), ONE);
}

#[test]
fn a_crash_while_processing_costs_time_and_counts_nothing_twice() {
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        let shop = shop();
        shop.world.deliver();
        shop.send(&session_completed("1", shop.now_s(), shop.hint()));
        shop.world.db.next_write(fate);
        shop.world.deliver();
        let landed = fate == NextWrite::LandsButReportsFailure;
        assert_eq!(shop.books(), if landed { ONE } else { "" });
        // Put off, and taken up again.
        shop.world.sweep();
        assert_eq!(shop.books(), if landed { ONE } else { "" });
        shop.world.pass_ms(MINUTE_MS);
        shop.world.sweep();
        shop.world.pass_ms(DAY_MS);
        shop.world.sweep();
        assert_eq!((shop.books().as_str(), shop.fates()), (ONE, vec!["processed".to_owned()]), "{fate:?}");
        assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_events WHERE next_attempt_at IS NOT NULL"), 0);
    }
}

#[test]
fn an_event_that_fails_again_and_again_is_tried_later_and_later_and_then_left_for_a_person() {
    let shop = shop();
    shop.world.deliver();
    shop.send(&session_completed("1", shop.now_s(), shop.hint()));
    for attempt in 0..10 {
        assert_eq!(shop.fates(), ["pending"], "{attempt}");
        shop.world.db.next_write(NextWrite::IsLost);
        shop.world.deliver();
        shop.world.pass_ms(10 * 60 * MINUTE_MS);
        let messages = pollster::block_on(crate::jobs::sweep(&shop.world.app));
        if attempt < 9 {
            assert_eq!(messages.len(), 1, "{attempt}");
            shop.world.db.next_write(NextWrite::IsLost);
            shop.world.handle(messages);
        }
        if shop.fates() != ["pending"] {
            break;
        }
    }
    assert_eq!(shop.fates(), ["failed: gave_up"]);
    assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_bodies"), 1, "it can be replayed");
}

#[test]
fn two_events_of_one_sale_at_once_are_one_conversion() {
    let shop = shop();
    shop.world.deliver();
    shop.send(&shop.subscription_session(None));
    shop.send(&invoice_paid("1", shop.now_s(), false, json!({})));
    let queued = shop.world.queued();
    let (app, other) = (shop.world.app.clone(), queued[1].clone());
    shop.world.db.before_next_write(move || {
        assert_eq!(pollster::block_on(crate::jobs::handle(&app, vec![other])).done, [true]);
    });
    shop.world.handle(vec![queued[0].clone()]);
    assert_eq!((shop.books().as_str(), shop.fates()), (ONE, vec!["processed".to_owned(); 2]));
}

#[test]
fn a_report_under_stripes_own_id_is_that_sale_before_and_after() {
    for (id, subscription) in [("cs_test_1", false), ("pi_1", false), ("cs_test_1", true), ("in_1", true)] {
        for report_first in [true, false] {
            let shop = shop();
            let body = json!({"external_transaction_id": id, "event_type": "order", "amount_cents": 8_000, "currency": "EUR",
                "click_id": shop.click_id});
            let report = || shop.world.api("POST /api/v1/conversions", body.clone());
            let stripe = || {
                if subscription {
                    // The old shape, which names the payment intent.
                    shop.take(&shop.subscription_session(Some("in_1")));
                    shop.take(&invoice_paid("1", shop.now_s(), true, json!({})));
                } else {
                    shop.take(&session_completed("1", shop.now_s(), shop.hint()));
                }
            };
            let what = format!("{id} subscription {subscription} report first {report_first}");
            let conversion_id = if report_first {
                let made = report();
                assert_eq!(made.status, 201, "{what}");
                stripe();
                assert_eq!(
                    shop.books(),
                    "api 10000 attributed_click; 2000 approved [earned 1600, corrected 400]",
                    "{what}"
                );
                assert_eq!(shop.data("conversions")[0]["event_type"], "order");
                assert_eq!(report().summary(), "409 CONVERSION_DUPLICATE", "{what}");
                made.text("/id")
            } else {
                stripe();
                let refused = report();
                assert_eq!(refused.summary(), "409 CONVERSION_DUPLICATE", "{what}");
                assert_eq!(shop.books(), ONE, "{what}");
                refused.text("/error/conversion_id")
            };
            assert_eq!(shop.data("conversions")[0]["id"], conversion_id, "{what}");
            assert_eq!(shop.data("conversions")[0]["stripe"]["session"], "cs_test_1", "{what}");
            assert_eq!(shop.fates(), vec!["processed"; if subscription { 2 } else { 1 }], "{what}");
        }
    }
}

#[test]
fn a_decision_stands_when_a_later_fact_names_the_same_click() {
    let shop = shop();
    let body = json!({"external_transaction_id": "cs_test_1", "event_type": "order", "amount_cents": 10_000, "currency": "EUR",
        "click_id": shop.click_id});
    let made = shop.world.api("POST /api/v1/conversions", body);
    let suspend = format!("POST /api/v1/participants/{}/suspend", shop.program.participant_id);
    assert_eq!(shop.world.api(&suspend, json!(null)).status, 200);
    shop.take(&session_completed("1", shop.now_s(), shop.hint()));
    assert_eq!(shop.books(), "api 10000 attributed_click; 2000 approved [earned 2000]");
    let audit = shop.world.api(&format!("GET /api/v1/attribution-audit/{}", made.text("/id")), json!(null));
    assert_eq!((&audit.body["id"], &audit.body["history"]), (&made.body["decision_id"], &json!([])));
}

#[test]
fn a_later_fact_that_names_somebody_better_is_decided_anew_and_the_history_stays() {
    let shop = shop();
    let bert = shop.world.program(&shop.world.keys.sk_test, "bert");
    let code = json!({"participant_id": bert.participant_id, "code": "BERT", "stripe_promotion_code_id": "promo_1"});
    shop.world.make(&shop.world.keys.sk_test, "promo-codes", code);
    shop.take(&shop.subscription_session(Some("in_1")));
    let before = shop.data("conversions")[0].clone();
    let discounts = json!({"discounts": [{"id": "di_1", "promotion_code": "promo_1"}]});
    shop.take(&invoice_paid("1", shop.now_s(), false, discounts));
    let after = shop.data("conversions")[0].clone();
    assert_eq!(after["attribution"]["participant_id"], bert.participant_id);
    assert_eq!(after["attribution"]["reason"], "attributed_promo_code");
    let commissions = shop.data("commissions");
    let mut told: Vec<String> = commissions.iter().map(|c| format!("{} {}", c["amount_cents"], c["state"])).collect();
    told.sort();
    assert_eq!(told, ["0 \"reversed\"", "2000 \"approved\""]);
    let counts = commissions.iter().find(|c| c["id"] == after["commission_id"]).unwrap();
    assert_eq!(counts["participant_id"], bert.participant_id);
    // Both decisions were made in one millisecond or not: the one in force stands first.
    let audit =
        shop.world.api(&format!("GET /api/v1/attribution-audit/{}", after["id"].as_str().unwrap()), json!(null));
    assert_eq!(audit.body["id"], after["decision_id"]);
    assert_eq!(audit.body["history"][0]["id"], before["decision_id"]);
    assert_eq!(audit.body["history"].as_array().unwrap().len(), 1);
    assert_eq!(shop.data("events?type=conversion.attributed").len(), 1);
}

#[test]
fn the_invoices_own_time_decides_the_window_in_either_order() {
    for invoice_first in [true, false] {
        let shop = shop();
        // The session's event is within the 30 days, the payment a minute later is not.
        shop.world.pass_ms(30 * DAY_MS - MINUTE_MS);
        let session = shop.subscription_session(Some("in_1"));
        let invoice = invoice_paid("1", shop.now_s() + 60, false, json!({}));
        let order = if invoice_first { [&invoice, &session] } else { [&session, &invoice] };
        for event in order {
            shop.take(event);
        }
        assert_eq!(
            shop.data("conversions")[0]["attribution"]["reason"],
            "window_expired",
            "invoice first {invoice_first}"
        );
        let open: i64 = shop.data("commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).sum();
        assert_eq!(open, 0, "invoice first {invoice_first}");
    }
}

#[test]
fn a_commission_on_hold_is_approved_when_its_payment_is_old_enough() {
    let shop = shop();
    let rewards = json!([{"trigger": "sale", "percent_bps": 1_000, "hold_days": 30}]);
    shop.world.program_with(&shop.world.keys.sk_test, "held", json!({"rewards": rewards}));
    let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
    shop.take(&session_completed("1", shop.now_s(), json!({"client_reference_id": click_id})));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 1000 pending [earned 1000]");
    shop.world.pass_ms(30 * DAY_MS - MINUTE_MS);
    shop.world.sweep();
    assert_eq!(shop.data("commissions")[0]["state"], "pending");
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 1000 approved [earned 1000]");
    // An old payment that comes late is not held again.
    let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
    shop.world.pass_ms(31 * DAY_MS);
    let old_s = shop.now_s() - 30 * 86_400 - 10;
    shop.take(&session_completed("2", old_s, json!({"client_reference_id": click_id})));
    assert_eq!(shop.data("commissions")[0]["state"], "approved");
}

#[test]
fn one_event_at_two_connections_is_one_sale_and_other_workspaces_have_their_own() {
    let shop = shop();
    let second = shop.world.stripe_connection(&shop.world.keys.sk_test);
    let event = session_completed("1", shop.now_s(), shop.hint());
    shop.take(&event);
    assert_eq!(shop.world.stripe(&second, &event).status, 200);
    shop.world.deliver();
    assert_eq!((shop.books().as_str(), shop.fates().len()), (ONE, 2));
    // The same ids under another workspace are another sale, and our click is none of theirs.
    let other = shop.world.workspace("Second");
    let theirs = shop.world.stripe_connection(&other.sk_test);
    assert_eq!(shop.world.stripe(&theirs, &event).status, 200);
    shop.world.deliver();
    assert_eq!(shop.books(), ONE);
    let answer = shop.world.api_as(&other.sk_test, "GET /api/v1/conversions", json!(null));
    assert_eq!(answer.body["data"][0]["attribution"]["reason"], "click_not_found");
}
