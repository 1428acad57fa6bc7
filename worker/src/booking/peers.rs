//! Peers' failures, each as the test that names it: what others who book Stripe's events against partners got wrong, by
//! their own public accounts.

use axum::body::Body;
use axum::extract::Request;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};
use stripe::signature::sign;

use crate::app;
use crate::call::Peer;
use crate::testing::shop::{Shop, shop};
use crate::testing::{NextWrite, charge, invoice_paid, invoice_payment, refund, session_completed};

const REPORT: &str = "POST /api/v1/conversions";
const ONE: &str = "stripe 10000 attributed_click; 2000 approved [earned 2000]";

/// What a delivery does while another one of the same event is being taken in.
fn delivery(shop: &Shop, event: &Json) -> impl FnOnce() + Send + 'static {
    let app = shop.world.app.clone();
    let body = event.to_string();
    let header = sign("whsec_test_0123456789", shop.now_s(), body.as_bytes());
    let uri = format!("https://api.selgeo.test/webhooks/stripe/{}", shop.connection);
    move || {
        let request =
            Request::builder().method("POST").uri(uri).header("stripe-signature", header).body(Body::from(body));
        let router = app::router(app.clone());
        let answer = pollster::block_on(app::answer(&app, &router, request.unwrap(), Peer::default()));
        assert_eq!(answer.status(), 200);
    }
}

/// A renewal of the subscription `sub_1`.
fn renewal(id: &str, s: i64, paid: i64) -> Json {
    let details = json!({"subscription": "sub_1", "metadata": {}});
    let more = json!({"billing_reason": "subscription_cycle", "amount_paid": paid, "total": paid, "customer": "cus_1",
        "parent": {"type": "subscription_details", "subscription_details": details}});
    invoice_paid(id, s, false, more)
}

/// Peers read whether the event is known, work, and mark it known afterwards: two deliveries at once both work.
#[test]
fn duplicate_deliveries_that_race_are_booked_once() {
    let shop = shop();
    shop.world.deliver();
    let event = session_completed("1", shop.now_s(), shop.hint());
    // At the ingress: the second delivery is faster than the first one's write.
    shop.world.db.before_next_write(delivery(&shop, &event));
    assert_eq!(shop.send(&event).body["duplicate"], true);
    assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_events"), 1);
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    assert_eq!((shop.books().as_str(), shop.fates()), (ONE, vec!["processed".to_owned()]));
    // At work: two consumers hold the same message.
    let second = session_completed("2", shop.now_s(), json!({}));
    shop.send(&second);
    let (app, queued) = (shop.world.app.clone(), shop.world.queued());
    let same = queued.clone();
    shop.world.db.before_next_write(move || {
        assert_eq!(pollster::block_on(crate::jobs::handle(&app, same)).done, [true]);
    });
    assert_eq!(shop.world.handle(queued), [true]);
    assert_eq!(shop.data("conversions").len(), 2);
    assert_eq!(shop.fates(), ["processed"; 2]);
}

/// Peers take a lock on the event's id before the work. A crash between the two leaves the lock, and the retry is skipped.
#[test]
fn a_crash_between_lock_and_work_does_not_turn_the_retry_into_a_skip() {
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        let shop = shop();
        shop.world.deliver();
        let event = session_completed("1", shop.now_s(), shop.hint());
        // The lock is the stored row: whether it was written or not, Stripe is told that it was not.
        shop.world.db.next_write(fate);
        assert_eq!(shop.send(&event).summary(), "503 UNAVAILABLE");
        shop.world.lose_queue();
        // The retry finds it or stores it; either way the work is done.
        shop.take(&event);
        shop.world.pass_ms(MINUTE_MS);
        shop.world.sweep();
        assert_eq!((shop.books().as_str(), shop.fates()), (ONE, vec!["processed".to_owned()]), "{fate:?}");
    }
    let shop = shop();
    shop.world.deliver();
    let event = session_completed("1", shop.now_s(), shop.hint());
    shop.send(&event);
    // Stored and answered; then the machine dies with its queue, and Stripe delivers once more all the same.
    shop.world.lose_queue();
    assert_eq!(shop.take(&event).body["outcome"], "pending");
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    assert_eq!(shop.books(), ONE);
}

/// Peers catch the error, log it and answer 200: Stripe never tries again, and nobody looks at the log.
#[test]
fn a_failure_is_not_logged_answered_200_and_forgotten() {
    let shop = shop();
    shop.world.deliver();
    let event = session_completed("1", shop.now_s(), shop.hint());
    shop.world.db.next_write(NextWrite::IsLost);
    assert_eq!(shop.send(&event).summary(), "503 UNAVAILABLE");
    assert_eq!(shop.send(&event).status, 200);
    // Now it is ours. Work that fails is taken up again, without Stripe.
    shop.world.db.next_write(NextWrite::IsLost);
    shop.world.deliver();
    assert_eq!((shop.books(), shop.fates()), (String::new(), vec!["pending".to_owned()]));
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    assert_eq!((shop.books().as_str(), shop.fates()), (ONE, vec!["processed".to_owned()]));
    // What cannot be read says so by name, is kept, and can be processed again.
    shop.take(&session_completed("2", shop.now_s(), json!({"amount_total": "ten"})));
    assert_eq!(shop.fates()[0], "failed: `amount_total` is no integer from 0 to 9007199254740991");
    let id = shop.data("stripe-events?outcome=failed")[0]["id"].clone();
    let replayed = shop.world.api(&format!("POST /api/v1/stripe-events/{}/replay", id.as_str().unwrap()), json!(null));
    assert_eq!(replayed.text("/outcome"), "pending");
}

/// Peers count `checkout.session.completed` and `invoice.paid` of one subscription sale as two.
#[test]
fn a_session_and_its_invoice_are_not_both_counted() {
    for names_invoice in [true, false] {
        let shop = shop();
        shop.take(&shop.subscription_session(names_invoice.then_some("in_1")));
        shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
        shop.take(&invoice_payment("1", shop.now_s()));
        shop.world.pass_ms(DAY_MS);
        shop.world.sweep();
        assert_eq!(shop.books(), ONE, "names its invoice {names_invoice}");
    }
}

/// Peers drop `invoice.paid` when no session has told of its subscription yet; the session then brings no money.
#[test]
fn an_invoice_paid_that_comes_first_is_not_dropped() {
    let shop = shop();
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
    assert_eq!(shop.books(), "stripe 10000 no_signal");
    shop.world.pass_ms(DAY_MS);
    shop.take(&shop.subscription_session(None));
    assert_eq!(shop.books(), ONE);
    assert_eq!(shop.fates(), ["processed"; 2]);
}

/// Peers pay on the first invoice only, and a trial's first invoice is 0: its first paid renewal never earns.
#[test]
fn a_trials_first_paid_renewal_earns() {
    let shop = shop();
    let s = shop.now_s();
    let mut session = shop.subscription_session(Some("in_1"));
    session["data"]["object"]["amount_total"] = json!(0);
    session["data"]["object"]["payment_status"] = json!("no_payment_required");
    shop.take(&session);
    shop.take(&invoice_paid("1", s, false, json!({"amount_paid": 0, "total": 0})));
    assert_eq!(shop.books(), "stripe 0 attributed_click");
    shop.world.pass_ms(14 * DAY_MS);
    shop.take(&renewal("2", s + 14 * 86_400, 3_000));
    let books = "stripe 3000 attributed_click; stripe 0 attributed_click; 600 approved [earned 600]";
    assert_eq!(shop.books(), books);
}

/// Peers take each partial refund's share of what is left, or of the cumulative figure again and again.
#[test]
fn repeated_partial_refunds_do_not_over_claw() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    // 25.00 and 25.00 of 100.00 at 20 %: 10.00 remains, where a peer computes 7.50.
    shop.take(&refund("1", "1", s + 1, 2_500, "succeeded"));
    shop.take(&charge("1", s + 1, 2_500));
    shop.take(&refund("1", "2", s + 2, 2_500, "succeeded"));
    shop.take(&charge("1", s + 2, 5_000));
    shop.take(&refund("1", "1", s + 3, 2_500, "pending"));
    let books = "stripe 10000 attributed_click; 1000 approved [earned 2000, refunded -500, refunded -500]";
    assert_eq!(shop.books(), books);
}

/// Peers void the whole commission at any refund.
#[test]
fn a_partial_refund_does_not_void_all() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    shop.take(&refund("1", "1", s + 1, 1, "succeeded"));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 2000 approved [earned 2000]");
    shop.take(&refund("1", "2", s + 2, 99, "succeeded"));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 1980 approved [earned 2000, refunded -20]");
}

/// Peers find a refund's sale by `charge.invoice`, which new versions do not send, and drop what they do not find.
#[test]
fn refunds_on_new_api_versions_do_not_fall_through() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", s, false, json!({})));
    // Neither names an invoice, nor does the invoice name the payment intent: it is said aloud that the sale is unknown.
    shop.take(&refund("1", "1", s + 1, 10_000, "succeeded"));
    assert_eq!(shop.books(), ONE);
    assert!(shop.fates().contains(&"parked: sale_unknown".to_owned()), "{:?}", shop.fates());
    shop.take(&invoice_payment("1", s + 2));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 0 reversed [earned 2000, refunded -2000]");
    assert_eq!(shop.fates(), ["processed"; 4]);
}

/// Peers put the webhook behind the same limit per address as everything else, and Stripe has few addresses.
#[test]
fn stripe_is_not_throttled_by_its_address() {
    let shop = shop();
    shop.world.come_from("3.18.12.63");
    let mut sent = 0;
    while sent < 1_200 {
        let mut event = session_completed(&sent.to_string(), shop.now_s(), json!({}));
        event["type"] = json!("payment_intent.succeeded");
        let answer = shop.send(&event);
        assert_eq!((answer.status.as_u16(), answer.header("x-ratelimit-limit")), (200, ""), "{sent}");
        sent += 1;
    }
    // Not even while the merchant's own calls from there are refused.
    let mut refused = 0;
    for _ in 0..301 {
        refused += i32::from(shop.world.api("GET /api/v1/links", json!(null)).status == 429);
    }
    assert_eq!(refused, 1);
    assert_eq!(shop.send(&session_completed("x", shop.now_s(), json!({}))).status, 200);
}

/// Peers divide by the amount, or refuse it, answer 500, and are sent the same invoice for days.
#[test]
fn a_zero_invoice_is_answered_200_once_and_not_retried() {
    let shop = shop();
    shop.world.deliver();
    let zero = json!({"amount_paid": 0, "total": 0, "billing_reason": "subscription_update"});
    let event = invoice_paid("1", shop.now_s(), false, zero);
    assert_eq!(shop.send(&event).status, 200);
    shop.world.deliver();
    assert_eq!((shop.books().as_str(), shop.fates()), ("stripe 0 no_signal", vec!["processed".to_owned()]));
    assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_events WHERE next_attempt_at IS NOT NULL"), 0);
    // Nor does a refund of nothing divide by it.
    shop.take(&invoice_payment("1", shop.now_s()));
    shop.take(&refund("1", "1", shop.now_s(), 100, "succeeded"));
    assert_eq!(shop.fates(), ["processed"; 3]);
}

/// Peers keep the ids of their API and of Stripe apart: a sale that comes both ways is counted twice.
#[test]
fn the_api_and_stripe_do_not_count_one_sale_twice() {
    for id in ["cs_test_1", "pi_1", "ch_1"] {
        for report_first in [true, false] {
            let shop = shop();
            let body = json!({"external_transaction_id": id, "event_type": "purchase", "amount_cents": 10_000,
                "currency": "EUR", "click_id": shop.click_id});
            let stripe = || {
                shop.take(&session_completed("1", shop.now_s(), shop.hint()));
                shop.take(&charge("1", shop.now_s(), 0));
            };
            if report_first {
                assert_eq!(shop.world.api(REPORT, body.clone()).status, 201, "{id}");
                shop.world.pass_ms(10);
                stripe();
            } else {
                stripe();
            }
            assert_eq!(shop.world.api(REPORT, body).summary(), "409 CONVERSION_DUPLICATE", "{id} {report_first}");
            let conversions = shop.data("conversions");
            let live = conversions.iter().filter(|conversion| conversion["status"] != "merged").count();
            let earned: i64 = shop.data("commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).sum();
            assert_eq!((live, earned), (1, 2_000), "{id} {report_first}");
        }
    }
}
