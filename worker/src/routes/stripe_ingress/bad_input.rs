//! What no merchant's Stripe should ever send, and some do: each has its defined end.

use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};
use stripe::signature::sign;

use crate::testing::shop::{Shop, shop};
use crate::testing::{charge, dispute, invoice_paid, refund, session_completed, subscription_deleted};

const SECRET: &str = "whsec_test_0123456789";
const ONE: &str = "stripe 10000 attributed_click; 2000 approved [earned 2000]";

/// Sends a body as it stands, signed.
#[track_caller]
fn take_raw(shop: &Shop, body: &str) {
    let header = sign(SECRET, shop.now_s(), body.as_bytes());
    let line = format!("POST /webhooks/stripe/{}", shop.connection);
    let answer = shop.world.send_bytes(&line, &[("stripe-signature", &header)], body.as_bytes().to_vec());
    assert_eq!(answer.status, 200, "{body} {}", answer.raw);
    shop.world.deliver();
}

#[test]
fn an_amount_that_is_no_whole_number_up_to_2_53_fails_by_name_and_books_nothing() {
    let s = shop().now_s();
    let events = [
        ("amount_total", session_completed("1", s, json!({"amount_total": 77_777}))),
        ("amount_paid", invoice_paid("1", s, false, json!({"amount_paid": 77_777}))),
        ("amount", refund("1", "1", s, 77_777, "succeeded")),
        ("amount_refunded", charge("1", s, 77_777)),
    ];
    for (field, mut event) in events {
        event["id"] = json!("evt_bad");
        let named = format!("failed: `{field}` is no integer from 0 to 9007199254740991");
        for literal in [
            "-1",
            "-9007199254740991",
            "1.5",
            "1e3",
            "1E3",
            "10.0",
            "9007199254740992",
            "18446744073709551616",
            "\"1e3\"",
            "\"1.5\"",
            "\"ten\"",
            "true",
            "[100]",
            "{}",
        ] {
            let shop = shop();
            let body = event.to_string().replacen("77777", literal, 1);
            assert!(body.contains(&format!("\"{field}\":{literal}")), "{body}");
            take_raw(&shop, &body);
            assert_eq!((shop.fates(), shop.books()), (vec![named.clone()], String::new()), "{field} {literal}");
        }
        // The greatest there is.
        let shop = shop();
        take_raw(&shop, &event.to_string().replacen("77777", "9007199254740991", 1));
        assert!(!shop.fates()[0].starts_with("failed"), "{field} {:?}", shop.fates());
    }
}

#[test]
fn an_amount_that_is_not_there_or_in_an_unknown_currency_fails_by_name() {
    let check = |event: fn(i64, Json) -> Json, changes: Json, expected: &str| {
        let shop = shop();
        shop.take(&event(shop.now_s(), changes.clone()));
        assert_eq!((shop.fates(), shop.books()), (vec![expected.to_owned()], String::new()), "{changes}");
    };
    let session = |s, changes| session_completed("1", s, changes);
    let invoice = |s, changes| invoice_paid("1", s, false, changes);
    check(session, json!({"amount_total": null}), "failed: the object has no `amount_total`");
    check(invoice, json!({"amount_paid": null}), "failed: the object has no `amount_paid`");
    check(session, json!({"currency": null}), "failed: the object has no `currency`");
    check(invoice, json!({"currency": null}), "failed: the object has no `currency`");
    for unknown in ["zzz", "", "e", "euro", "€"] {
        let expected = "failed: `currency` is no currency code of ISO 4217";
        check(session, json!({"currency": unknown}), expected);
        check(invoice, json!({"currency": unknown}), expected);
    }
}

#[test]
fn the_window_ends_to_the_millisecond_for_stripes_whole_seconds_too() {
    for (age_ms, expected) in [
        (-5 * MINUTE_MS - 1, "stripe 10000 click_after_conversion"),
        (-5 * MINUTE_MS, ONE),
        (0, ONE),
        (30 * DAY_MS, ONE),
        (30 * DAY_MS + 1, "stripe 10000 window_expired"),
    ] {
        let shop = shop();
        // The payment's second is fixed; the click is so much older.
        let paid_s = shop.now_s() + 40 * 86_400;
        shop.world.pass_ms(paid_s * 1_000 - age_ms - shop.world.now().ms());
        let click_id = shop.world.click(&shop.world.keys.pk_test, "anna");
        shop.world.pass_ms(31 * DAY_MS);
        shop.take(&session_completed("1", paid_s, json!({"client_reference_id": click_id})));
        assert_eq!(shop.books(), expected, "{age_ms}");
    }
}

#[test]
fn refunds_above_the_sale_leave_nothing_and_never_less() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    shop.take(&refund("1", "1", s + 1, 9_000, "succeeded"));
    shop.take(&refund("1", "2", s + 2, 9_000, "succeeded"));
    shop.take(&charge("1", s + 3, 25_000));
    let books = "stripe 10000 attributed_click; 0 reversed [earned 2000, refunded -1800, refunded -200]";
    assert_eq!(shop.books(), books);
    let conversion = shop.data("conversions").remove(0);
    assert_eq!((&conversion["refunded_cents"], &conversion["status"]), (&json!(10_000), &json!("refunded")));
    // Nor does a lost dispute take it a second time.
    shop.take(&dispute("1", s + 4, "lost"));
    assert_eq!(shop.books(), books);
}

#[test]
fn an_event_of_the_other_mode_is_set_aside_whatever_it_says() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    for (n, event) in [
        refund("1", "1", s + 1, 2_500, "succeeded"),
        dispute("1", s + 2, "lost"),
        session_completed("1", s, json!({"amount_total": -1})),
        subscription_deleted("1", s),
    ]
    .iter_mut()
    .enumerate()
    {
        event["livemode"] = json!(true);
        event["id"] = json!(format!("evt_live_{n}"));
        let answer = shop.take(event);
        assert_eq!((answer.text("/outcome"), answer.text("/reason")), ("skipped".into(), "mode_mismatch".into()));
    }
    assert_eq!((shop.books().as_str(), shop.world.db.count("SELECT count(*) FROM facts")), (ONE, 1));
}

#[test]
fn events_of_an_unknown_subscription_book_what_they_say_and_touch_nothing_else() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&subscription_deleted("unknown", s));
    assert_eq!(shop.books(), ONE);
    // A renewal whose beginning nobody saw is recorded, without credit.
    shop.take(&invoice_paid(
        "unknown",
        s,
        false,
        json!({"billing_reason": "subscription_cycle", "amount_paid": 3_000, "customer": "cus_unknown",
            "customer_email": "unknown@example.com"}),
    ));
    assert_eq!(shop.books(), "stripe 3000 no_signal; stripe 10000 attributed_click; 2000 approved [earned 2000]");
    assert_eq!(shop.fates(), ["processed"; 3]);
}

#[test]
fn an_expanded_object_is_read_as_its_id() {
    let expand = |event: &Json, fields: &[&str]| {
        let mut event = event.clone();
        for field in fields {
            let id = event["data"]["object"][*field].clone();
            assert!(id.is_string(), "{field}");
            event["data"]["object"][*field] =
                json!({"id": id, "object": "whatever", "metadata": {}, "livemode": false});
        }
        event
    };
    let books = |expanded: bool| {
        let shop = shop();
        let s = shop.now_s();
        let e = |event: Json, fields: &[&str]| if expanded { expand(&event, fields) } else { event };
        shop.take(&e(shop.subscription_session(Some("in_1")), &["subscription", "invoice", "customer"]));
        shop.take(&e(invoice_paid("1", s, true, json!({})), &["subscription", "payment_intent", "customer"]));
        shop.take(&e(charge("1", s, 0), &["payment_intent", "balance_transaction"]));
        shop.take(&e(refund("1", "1", s + 1, 2_500, "succeeded"), &["charge", "payment_intent"]));
        shop.take(&e(dispute("1", s + 2, "lost"), &["charge", "payment_intent"]));
        shop.take(&e(subscription_deleted("1", s + 3), &["customer"]));
        assert_eq!(shop.fates(), ["processed"; 6]);
        (shop.books(), shop.data("conversions")[0]["stripe"].clone())
    };
    assert_eq!(books(true), books(false));
    assert!(books(true).0.ends_with("0 reversed [earned 2000, refunded -500, disputed -1500]"), "{}", books(true).0);
}

#[test]
fn words_that_stripe_has_not_invented_yet_lose_no_sale() {
    let check = |events: &dyn Fn(&Shop) -> Vec<Json>, fate: &str, books: &str| {
        let shop = shop();
        let mut shown = String::new();
        for event in events(&shop) {
            shown = event.to_string();
            shop.take(&event);
        }
        assert_eq!((shop.fates()[0].as_str(), shop.books().as_str()), (fate, books), "{shown}");
    };
    let session = |shop: &Shop, changes: Json| {
        let mut event = session_completed("1", shop.now_s(), shop.hint());
        for (key, value) in changes.as_object().unwrap() {
            event["data"]["object"][key] = value.clone();
        }
        event
    };
    check(&|shop| vec![session(shop, json!({"mode": "lease"}))], "processed", ONE);
    check(
        &|shop| vec![session(shop, json!({"status": "archived", "ui_mode": "spatial", "new": [{}]}))],
        "processed",
        ONE,
    );
    // Nobody says that it is paid.
    check(&|shop| vec![session(shop, json!({"payment_status": "promised"}))], "processed", "");
    check(
        &|shop| vec![invoice_paid("1", shop.now_s(), false, json!({"billing_reason": "whim"}))],
        "processed",
        "stripe 10000 no_signal",
    );
    let refunded =
        |shop: &Shop, status: &str| vec![session(shop, json!({})), refund("1", "1", shop.now_s() + 1, 2_500, status)];
    // Money that may be on its way counts as gone, until it is said to have failed.
    let less = "stripe 10000 attributed_click; 1500 approved [earned 2000, refunded -500]";
    check(&|shop| refunded(shop, "teleporting"), "processed", less);
    check(
        &|shop| [refunded(shop, "teleporting"), refunded(shop, "failed")].concat(),
        "processed",
        "stripe 10000 attributed_click; 2000 approved [earned 2000, refunded -500, refunded 500]",
    );
    check(&|shop| vec![session(shop, json!({})), dispute("1", shop.now_s() + 1, "mediated")], "processed", ONE);
    let mut invented = session_completed("1", 1_780_000_000, json!({}));
    invented["type"] = json!("checkout.session.teleported");
    check(&|_| vec![invented.clone()], "ignored: events of this type are not used", "");
}
