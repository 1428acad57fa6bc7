use std::sync::Arc;

use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::stripe_api::ANSWER_BYTES_MAX;
use crate::testing::shop::{Shop, orders, shop};
use crate::testing::{NextWrite, Says, Sqlite, charge, invoice_paid, refund, session_completed};

const KEY: &str = "rk_test_51Abc123";

/// A shop whose partner earns 20 % net of fees, and the event of a sale by that partner's link.
fn net_shop() -> (Shop, Json) {
    let shop = shop();
    let rewards = json!({"rewards": [{"trigger": "sale", "percent_bps": 2000, "basis": "net_of_fees"}]});
    shop.world.program_with(&shop.world.keys.sk_test, "net", rewards);
    let click_id = shop.world.click(&shop.world.keys.pk_test, "net");
    let sale = session_completed("1", shop.now_s(), json!({"client_reference_id": click_id}));
    (shop, sale)
}

#[track_caller]
fn set_key(shop: &Shop, key: &str) {
    let line = format!("POST /api/v1/stripe-connections/{}/restricted-key", shop.connection);
    let set = shop.world.api(&line, json!({"restricted_key": key}));
    assert_eq!(set.status, 200, "{}", set.body);
}

fn connection(shop: &Shop) -> Json {
    shop.world.pass_ms(1);
    shop.world.api(&format!("GET /api/v1/stripe-connections/{}", shop.connection), json!(null)).body
}

fn transaction(id: &str, fee: i64, currency: &str) -> Says {
    Says::Told(
        json!({"id": id, "object": "balance_transaction", "fee": fee, "currency": currency, "created": 1_780_000_000}),
    )
}

fn list(data: &[Json], has_more: bool) -> Says {
    Says::Told(json!({"object": "list", "url": "/v1/x", "has_more": has_more, "data": data}))
}

const ASKED: &str = "/v1/balance_transactions/txn_1";
const PROVISIONAL: &str = "stripe 10000 attributed_click; 2000 pending [earned 2000]";
const CORRECTED: &str = "stripe 10000 attributed_click; 1936 pending [earned 2000, corrected -64]";

#[test]
fn a_fee_that_the_api_tells_corrects_the_commission_whatever_came_first() {
    for order in orders(&[0, 1]) {
        let (shop, sale) = net_shop();
        set_key(&shop, KEY);
        shop.world.stripe_api.say(|_| transaction("txn_1", 320, "eur"));
        let facts = [sale, charge("1", shop.now_s() + 1, 0)];
        for place in &order {
            shop.take(&facts[*place]);
        }
        assert_eq!(shop.world.stripe_api.last_key().as_deref(), Some(KEY));
        assert_eq!(shop.world.stripe_api.asked(), [ASKED], "{order:?}");
        assert_eq!(shop.books(), CORRECTED, "{order:?}");
        assert_eq!(shop.fates(), ["processed", "processed"], "{order:?}");
        // Half of it goes back: half of tax and fee with it.
        shop.take(&refund("1", "1", shop.now_s(), 5_000, "succeeded"));
        assert!(shop.books().contains("968 pending"), "{}", shop.books());
        shop.world.sweep();
        assert!(shop.world.stripe_api.asked().is_empty());
    }
}

#[test]
fn a_commission_whose_fee_becomes_known_needs_no_review_and_is_approved() {
    let (shop, sale) = net_shop();
    set_key(&shop, KEY);
    shop.world.stripe_api.say(|_| transaction("txn_1", 320, "eur"));
    shop.take(&sale);
    assert_eq!(shop.data("commissions")[0]["review_reasons"], json!(["fee_unknown"]));
    shop.take(&charge("1", shop.now_s() + 1, 0));
    shop.world.sweep();
    let commission = shop.data("commissions").remove(0);
    assert_eq!((&commission["needs_review"], &commission["state"]), (&json!(false), &json!("approved")));
}

#[test]
fn nothing_is_asked_where_no_fee_matters() {
    let (shop, sale) = net_shop();
    set_key(&shop, KEY);
    let s = shop.now_s();
    // Credited by a reward that is not net of fees; credited to nobody; and told by the event itself.
    shop.take(&session_completed("2", s, shop.hint()));
    shop.take(&charge("2", s, 0));
    shop.take(&session_completed("3", s, json!({})));
    shop.take(&charge("3", s, 0));
    shop.take(&sale);
    let mut told = charge("1", s, 0);
    told["data"]["object"]["balance_transaction"] = json!({"id": "txn_1", "fee": 320, "currency": "eur"});
    shop.take(&told);
    shop.world.sweep();
    assert!(shop.world.stripe_api.asked().is_empty());
    assert_eq!(shop.data("commissions").iter().filter(|c| c["amount_cents"] == 1_936).count(), 1);
}

#[test]
fn without_a_key_the_fee_stays_unknown_until_there_is_one() {
    let (shop, sale) = net_shop();
    shop.world.stripe_api.say(|_| transaction("txn_1", 320, "eur"));
    shop.take(&sale);
    shop.take(&charge("1", shop.now_s(), 0));
    shop.world.sweep();
    assert!(shop.world.stripe_api.asked().is_empty());
    assert_eq!(shop.books(), PROVISIONAL);
    assert_eq!(shop.data("commissions")[0]["review_reasons"], json!(["fee_unknown"]));
    set_key(&shop, KEY);
    shop.world.sweep();
    assert_eq!((shop.world.stripe_api.asked(), shop.books()), (vec![ASKED.to_owned()], CORRECTED.to_owned()));
}

#[test]
fn a_fee_in_another_currency_changes_no_amount_and_yen_and_dinars_are_integers() {
    let check = |sale_currency: &str, fee: i64, fee_currency: &'static str, expected: i64| {
        let (shop, mut sale) = net_shop();
        set_key(&shop, KEY);
        shop.world.stripe_api.say(move |_| transaction("txn_1", fee, fee_currency));
        sale["data"]["object"]["currency"] = json!(sale_currency);
        let mut charged = charge("1", shop.now_s(), 0);
        charged["data"]["object"]["currency"] = json!(sale_currency);
        shop.take(&sale);
        shop.take(&charged);
        assert_eq!(shop.world.stripe_api.asked(), [ASKED]);
        assert_eq!(shop.data("commissions")[0]["amount_cents"], expected, "{sale_currency} {fee_currency}");
    };
    check("eur", 320, "usd", 2_000);
    check("jpy", 360, "jpy", 1_928);
    check("jpy", 2, "eur", 2_000);
    check("kwd", 415, "kwd", 1_917);
}

/// What the API says first, how often that is asked before it is left, and what is shown of it then.
#[test]
fn what_fails_is_asked_again_later_or_given_up_with_a_reason_that_can_be_seen() {
    let check = |says: Says, passes: bool, error: &str| {
        let (shop, sale) = net_shop();
        set_key(&shop, KEY);
        let first = says.clone();
        shop.world.stripe_api.say(move |_| first.clone());
        shop.take(&sale);
        shop.take(&charge("1", shop.now_s(), 0));
        assert_eq!(shop.world.stripe_api.asked(), [ASKED], "{error}");
        assert_eq!(shop.books(), PROVISIONAL);
        let lookup = || shop.data(&format!("stripe-connections/{}/lookups", shop.connection)).remove(0);
        assert_eq!((lookup()["last_error"].as_str(), lookup()["attempts"].as_i64()), (Some(error), Some(1)));
        assert_eq!(lookup()["state"], if passes { "pending" } else { "failed" }, "{error}");
        // At once it is not asked again, a minute later it is, where that may help.
        shop.world.sweep();
        assert!(shop.world.stripe_api.asked().is_empty());
        shop.world.pass_ms(MINUTE_MS);
        shop.world.sweep();
        assert_eq!(shop.world.stripe_api.asked().len(), usize::from(passes), "{error}");
        for _ in 0..20 {
            shop.world.pass_ms(600 * MINUTE_MS);
            shop.world.sweep();
        }
        assert_eq!(shop.world.stripe_api.asked().len(), if passes { 8 } else { 0 }, "{error}");
        let shown = connection(&shop);
        assert_eq!(shown["lookups"], json!({"pending": 0, "failed": 1, "last_error": error}));
        // Another key: all of it is asked again.
        shop.world.stripe_api.say(|_| transaction("txn_1", 320, "eur"));
        set_key(&shop, "sk_test_51Other123");
        shop.world.sweep();
        assert_eq!(shop.world.stripe_api.last_key().as_deref(), Some("sk_test_51Other123"));
        assert_eq!(shop.books(), CORRECTED, "{error}");
        assert_eq!(connection(&shop)["lookups"], json!({"pending": 0, "failed": 0, "last_error": null}));
    };
    check(Says::Status(401), false, "key_refused");
    check(Says::Status(403), false, "key_refused");
    check(Says::Status(404), false, "not_found");
    check(Says::Status(400), false, "request_refused");
    check(Says::Bytes(vec![b' '; ANSWER_BYTES_MAX + 1]), false, "answer_too_long");
    check(Says::Status(429), true, "rate_limited");
    check(Says::Status(500), true, "stripe_failed");
    check(Says::Nothing, true, "timed_out");
    check(Says::Unreached, true, "unreachable");
    check(Says::Bytes(b"<html>".to_vec()), true, "answer_unreadable");
    check(Says::Bytes(vec![0xff; 128 * 1024]), true, "answer_unreadable");
    check(Says::Told(json!({"id": "txn_1", "object": "balance_transaction"})), true, "answer_unreadable");
    check(transaction("txn_2", 320, "eur"), true, "answer_unreadable");
}

#[test]
fn a_long_answer_with_a_fee_in_it_is_read() {
    let (shop, sale) = net_shop();
    set_key(&shop, KEY);
    let details: Vec<Json> =
        (0..4_000).map(|n| json!({"amount": n, "description": "a fee among many others"})).collect();
    shop.world.stripe_api.say(move |_| {
        Says::Told(json!({"id": "txn_1", "object": "balance_transaction", "fee": 320, "currency": "eur",
            "fee_details": details}))
    });
    shop.take(&sale);
    shop.take(&charge("1", shop.now_s(), 0));
    assert_eq!(shop.books(), CORRECTED);
}

/// Lets the write that is being made go wrong, or a later one.
fn at_write(db: Arc<Sqlite>, place: usize, fate: NextWrite) {
    match place {
        0 => db.next_write(fate),
        _ => {
            let next = db.clone();
            db.before_next_write(move || at_write(next, place - 1, fate));
        }
    }
}

#[test]
fn a_lost_message_a_lost_write_and_an_unreported_one_cost_time_only() {
    for (place, fate) in [
        (0, NextWrite::IsLost),
        (0, NextWrite::LandsButReportsFailure),
        (1, NextWrite::IsLost),
        (1, NextWrite::LandsButReportsFailure),
        (2, NextWrite::IsLost),
        (2, NextWrite::LandsButReportsFailure),
    ] {
        let (shop, sale) = net_shop();
        set_key(&shop, KEY);
        shop.world.stripe_api.say(|_| transaction("txn_1", 320, "eur"));
        shop.take(&sale);
        shop.send(&charge("1", shop.now_s(), 0));
        let messages = shop.world.queued();
        shop.world.lose_queue();
        shop.world.handle(messages);
        assert_eq!(shop.world.lose_queue(), 1);
        // Claiming, booking, noting that it is done: one of the three goes wrong.
        let db = shop.world.db.clone();
        shop.world.db.before_next_write(move || at_write(db, place, fate));
        for _ in 0..8 {
            shop.world.sweep();
            shop.world.pass_ms(3 * MINUTE_MS);
        }
        // With its fee known, nobody has to look at it: the sweep approves it.
        assert_eq!(shop.books(), CORRECTED.replace("pending", "approved"), "{place} {fate:?}");
        assert_eq!(connection(&shop)["lookups"]["pending"], 0, "{place} {fate:?}");
    }
}

#[test]
fn a_parked_refund_is_asked_for_and_joined_to_its_invoice() {
    let shop = shop();
    set_key(&shop, KEY);
    let s = shop.now_s();
    // The new shape of an invoice names no payment intent, and invoice_payment.paid is not listened to.
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", s, false, json!({})));
    shop.take(&refund("1", "1", s + 1, 2_500, "succeeded"));
    shop.world.stripe_api.say(|path| {
        let payment = |id: &str, status: &str| {
            json!({"id": id, "object": "invoice_payment", "invoice": "in_1", "status": status, "amount_paid": 10_000,
                "currency": "eur", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}})
        };
        match path {
            path if path.starts_with("/v1/invoice_payments") => {
                list(&[payment("inpay_1", "paid"), payment("inpay_0", "canceled")], false)
            }
            _ => list(&[], false),
        }
    });
    shop.world.sweep();
    assert!(shop.world.stripe_api.asked().is_empty(), "the joining fact may be on its way");
    assert!(shop.fates().contains(&"parked: sale_unknown".to_owned()));
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    let asked = shop.world.stripe_api.asked();
    assert_eq!(
        asked,
        [
            "/v1/invoice_payments?payment%5Btype%5D=payment_intent&payment%5Bpayment_intent%5D=pi_1&limit=100",
            "/v1/checkout/sessions?payment_intent=pi_1&limit=100",
        ]
    );
    assert!(shop.books().contains("1500 approved [earned 2000, refunded -500]"), "{}", shop.books());
    assert!(shop.fates().iter().all(|fate| fate == "processed"), "{:?}", shop.fates());
    // A second refund of the same sale asks nobody.
    shop.take(&refund("1", "2", s + 2, 2_500, "succeeded"));
    shop.world.pass_ms(2 * MINUTE_MS);
    shop.world.sweep();
    assert!(shop.world.stripe_api.asked().is_empty());
    assert!(shop.books().contains("1000 approved"), "{}", shop.books());
}

#[test]
fn a_parked_refund_finds_a_session_that_no_event_told_and_a_late_event_is_the_same_sale() {
    let shop = shop();
    set_key(&shop, KEY);
    let event = session_completed("1", shop.now_s() + 60, shop.hint());
    let mut session = event["data"]["object"].clone();
    session["status"] = json!("complete");
    session["created"] = json!(shop.now_s());
    shop.world.stripe_api.say(move |path| match path {
        path if path.starts_with("/v1/checkout/sessions") => list(std::slice::from_ref(&session), false),
        // This key may not read invoice payments.
        _ => Says::Status(403),
    });
    shop.take(&refund("1", "1", shop.now_s() + 90, 2_500, "succeeded"));
    shop.world.pass_ms(MINUTE_MS);
    shop.world.sweep();
    let books = "stripe 10000 attributed_click; 1500 approved [earned 1500]";
    assert_eq!((shop.books().as_str(), shop.fates()), (books, vec!["processed".to_owned()]));
    shop.take(&event);
    assert_eq!((shop.books().as_str(), shop.fates().len()), (books, 2));
    let shown = shop.data(&format!("stripe-connections/{}/lookups?state=done", shop.connection));
    assert_eq!((&shown[0]["subject"], &shown[0]["found"]), (&json!("pi_1"), &json!(1)));
    assert!(!shop.world.api("GET /api/v1/conversions", json!(null)).raw.contains("buyer@"));
}

#[test]
fn a_refund_that_nobody_knows_of_stays_parked_and_is_asked_for_once() {
    let shop = shop();
    set_key(&shop, KEY);
    shop.world.stripe_api.say(|_| list(&[], false));
    shop.take(&refund("1", "1", shop.now_s(), 2_500, "succeeded"));
    for _ in 0..5 {
        shop.world.pass_ms(MINUTE_MS);
        shop.world.sweep();
    }
    shop.take(&refund("1", "1", shop.now_s(), 2_500, "failed"));
    shop.world.pass_ms(2 * MINUTE_MS);
    shop.world.sweep();
    assert_eq!(shop.world.stripe_api.asked().len(), 2);
    assert_eq!(shop.fates(), ["parked: sale_unknown", "parked: sale_unknown"]);
}

#[test]
fn a_parked_refund_is_asked_for_once_there_is_a_key() {
    let shop = shop();
    shop.take(&refund("1", "1", shop.now_s(), 2_500, "succeeded"));
    shop.world.pass_ms(2 * MINUTE_MS);
    shop.world.sweep();
    assert!(shop.world.stripe_api.asked().is_empty());
    set_key(&shop, KEY);
    shop.world.sweep();
    shop.world.pass_ms(2 * MINUTE_MS);
    shop.world.sweep();
    assert_eq!(shop.world.stripe_api.asked().len(), 2);
}

/// Pages of 100 of `count` events that were not delivered, the newest first: sessions, among them one of the other mode and
/// one of a type that is not used.
fn undelivered(shop: &Shop, count: usize) -> impl Fn(&str) -> Says + Send + 'static {
    let (s, hint) = (shop.now_s(), shop.hint());
    move |path: &str| {
        let value = |name: &str| {
            let (_, rest) = path.split_once(&format!("{name}="))?;
            Some(rest.split('&').next().unwrap().to_owned())
        };
        let size: usize = value("limit").unwrap().parse().unwrap();
        let from = match value("starting_after") {
            Some(after) => after.strip_prefix("evt_session_").unwrap().parse::<usize>().unwrap() + 1,
            None => 0,
        };
        let to = (from + size).min(count);
        let events: Vec<Json> = (from..to)
            .map(|n| {
                let mut event = session_completed(&n.to_string(), s, hint.clone());
                match n {
                    1 => event["livemode"] = json!(true),
                    2 => event["type"] = json!("customer.created"),
                    _ => {}
                }
                event
            })
            .collect();
        list(&events, to < count)
    }
}

fn reconcile(shop: &Shop) -> Json {
    let line = format!("POST /api/v1/stripe-connections/{}/reconcile", shop.connection);
    let answer = shop.world.api(&line, json!({}));
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.body
}

#[test]
fn reconciling_takes_every_undelivered_event_page_by_page_as_if_it_had_come() {
    let shop = shop();
    set_key(&shop, KEY);
    // One had come after all.
    shop.take(&session_completed("0", shop.now_s(), shop.hint()));
    shop.world.stripe_api.say(undelivered(&shop, 305));
    let begun = reconcile(&shop);
    assert_eq!((&begun["reconcile"]["state"], &begun["reconcile"]["found"]), (&json!("pending"), &json!(0)));
    // While one is going on, another is the same one.
    reconcile(&shop);
    shop.world.deliver();
    let since = shop.world.now().plus_ms(0).seconds() - 30 * 86_400;
    let asked = shop.world.stripe_api.asked();
    assert_eq!(asked.len(), 4, "{asked:#?}");
    assert_eq!(asked[0], format!("/v1/events?delivery_success=false&created%5Bgte%5D={since}&limit=100"));
    assert!(asked[3].ends_with("&starting_after=evt_session_299"), "{}", asked[3]);
    let job = connection(&shop)["reconcile"].clone();
    assert_eq!((&job["state"], &job["found"], &job["new"]), (&json!("done"), &json!(305), &json!(304)));
    assert_eq!(job["last_error"], json!(null));
    let count = |sql: &str| shop.world.db.count(sql);
    assert_eq!(count("SELECT count(*) FROM stripe_events WHERE outcome = 'processed'"), 303);
    assert_eq!(count("SELECT count(*) FROM stripe_events WHERE outcome = 'skipped'"), 1);
    assert_eq!(count("SELECT count(*) FROM stripe_events WHERE outcome = 'ignored'"), 1);
    assert_eq!(count("SELECT count(*) FROM conversions"), 303);
    // Again: nothing is new.
    reconcile(&shop);
    shop.world.deliver();
    let job = connection(&shop)["reconcile"].clone();
    assert_eq!((&job["state"], &job["found"], &job["new"]), (&json!("done"), &json!(305), &json!(0)));
    assert_eq!(count("SELECT count(*) FROM conversions"), 303);
}

#[test]
fn a_reconciliation_that_is_cut_off_goes_on_where_it_was() {
    let shop = shop();
    set_key(&shop, KEY);
    let pages = undelivered(&shop, 305);
    shop.world.stripe_api.say(move |path| match path.contains("starting_after=evt_session_199") {
        true => Says::Status(500),
        false => pages(path),
    });
    reconcile(&shop);
    shop.world.lose_queue();
    shop.world.sweep();
    let job = connection(&shop)["reconcile"].clone();
    assert_eq!(
        (&job["state"], &job["found"], &job["last_error"]),
        (&json!("pending"), &json!(200), &json!("stripe_failed"))
    );
    shop.world.stripe_api.asked();
    shop.world.stripe_api.say(undelivered(&shop, 305));
    shop.world.pass_ms(2 * MINUTE_MS);
    shop.world.sweep();
    let asked = shop.world.stripe_api.asked();
    assert!(asked[0].ends_with("starting_after=evt_session_199") && asked.len() == 2, "{asked:#?}");
    let job = connection(&shop)["reconcile"].clone();
    assert_eq!((&job["state"], &job["found"], &job["new"]), (&json!("done"), &json!(305), &json!(305)));
    shop.world.sweep();
    assert_eq!(shop.world.db.count("SELECT count(*) FROM conversions"), 303);
}

#[test]
fn a_page_that_is_too_long_is_asked_for_in_smaller_ones_and_a_refused_key_ends_it() {
    let shop = shop();
    set_key(&shop, KEY);
    let pages = undelivered(&shop, 12);
    shop.world.stripe_api.say(move |path| match path.contains("limit=100") {
        true => Says::Bytes(vec![b'x'; ANSWER_BYTES_MAX + 1]),
        false => pages(path),
    });
    reconcile(&shop);
    shop.world.deliver();
    let job = connection(&shop)["reconcile"].clone();
    assert_eq!((&job["state"], &job["found"]), (&json!("done"), &json!(12)));
    shop.world.stripe_api.say(|_| Says::Status(401));
    reconcile(&shop);
    shop.world.deliver();
    let job = connection(&shop)["reconcile"].clone();
    assert_eq!((&job["state"], &job["last_error"]), (&json!("failed"), &json!("key_refused")));
}
