use domain::time::DAY_MS;
use serde_json::{Value as Json, json};

use crate::testing::shop::{Shop, orders, shop};
use crate::testing::{charge, dispute, invoice_paid, invoice_payment, refund, session_completed, subscription_deleted};

/// What is left of the one commission, and what its conversion says.
fn left(shop: &Shop) -> (i64, String, String, i64) {
    let commissions = shop.data("commissions");
    let conversions = shop.data("conversions");
    let live: Vec<&Json> = conversions.iter().filter(|c| c["status"] != "merged").collect();
    assert_eq!(live.len(), 1, "{conversions:#?}");
    let amount = commissions.iter().map(|c| c["amount_cents"].as_i64().unwrap()).sum();
    let state = commissions.first().map_or("none", |c| c["state"].as_str().unwrap());
    (
        amount,
        state.to_owned(),
        live[0]["status"].as_str().unwrap().to_owned(),
        live[0]["refunded_cents"].as_i64().unwrap(),
    )
}

#[test]
fn repeated_partial_refunds_equal_one_refund_of_their_sum_and_a_full_one_leaves_nothing() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    for (n, expected) in [(1, 1_340), (2, 680), (3, 20)] {
        shop.take(&refund("1", &n.to_string(), s + n, 3_300, "succeeded"));
        assert_eq!(left(&shop).0, expected);
    }
    shop.take(&refund("1", "4", s + 4, 100, "succeeded"));
    assert_eq!(left(&shop), (0, "reversed".to_owned(), "refunded".to_owned(), 10_000));
    let kinds: Vec<Json> = shop.data("commissions")[0]["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| json!([entry["kind"], entry["amount_cents"]]))
        .collect();
    assert_eq!(
        json!(kinds),
        json!([["earned", 2_000], ["refunded", -660], ["refunded", -660], ["refunded", -660], ["refunded", -20]])
    );
}

#[test]
fn a_refund_that_fails_gives_the_money_back() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    shop.take(&refund("1", "1", s + 1, 10_000, "pending"));
    assert_eq!(left(&shop), (0, "reversed".to_owned(), "refunded".to_owned(), 10_000));
    shop.take(&refund("1", "1", s + 2, 10_000, "failed"));
    shop.world.sweep();
    assert_eq!(left(&shop), (2_000, "approved".to_owned(), "recorded".to_owned(), 0));
}

#[test]
fn a_refund_on_a_version_that_embeds_none_is_seen_by_the_charges_figure() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    shop.take(&charge("1", s + 1, 2_500));
    assert_eq!(left(&shop), (1_500, "approved".to_owned(), "partially_refunded".to_owned(), 2_500));
    // The same money, told again by its own event, is not taken twice.
    shop.take(&refund("1", "1", s + 2, 2_500, "succeeded"));
    assert_eq!(left(&shop).0, 1_500);
}

#[test]
fn a_dispute_stops_approval_and_lost_reverses_and_won_restores() {
    let described = json!({"rewards": [{"trigger": "sale", "percent_bps": 2000, "hold_days": 7}]});
    let shop = shop();
    shop.world.program_with(&shop.world.keys.sk_test, "held", described);
    let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
    let s = shop.now_s();
    shop.take(&session_completed("1", s, json!({"client_reference_id": click_id})));
    shop.take(&dispute("1", s + 1, "needs_response"));
    shop.world.pass_ms(8 * DAY_MS);
    shop.world.sweep();
    let commission = shop.data("commissions").remove(0);
    // The dispute names a charge that nothing joins yet, but its payment intent is the session's.
    assert_eq!((&commission["state"], &commission["disputed"]), (&json!("pending"), &json!(true)));
    shop.take(&dispute("1", s + 2, "won"));
    shop.world.sweep();
    let commission = shop.data("commissions").remove(0);
    assert_eq!((&commission["state"], &commission["disputed"]), (&json!("approved"), &json!(false)));
    let lost = json!({"client_reference_id": click_id});
    shop.take(&session_completed("2", shop.now_s(), lost));
    shop.take(&dispute("2", shop.now_s(), "lost"));
    let commission = shop.data("commissions").remove(0);
    assert_eq!((&commission["state"], &commission["amount_cents"]), (&json!("reversed"), &json!(0)));
    assert_eq!(commission["entries"][1]["kind"], "disputed");
}

#[test]
fn a_renewal_inherits_the_subscriptions_credit_even_when_it_comes_before_the_checkout() {
    let renewal = |id: &str, s: i64| {
        let details = json!({"type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": {}}});
        invoice_paid(
            id,
            s,
            false,
            json!({"billing_reason": "subscription_cycle", "parent": details, "customer": "cus_1",
            "amount_paid": 3_000, "total": 3_000}),
        )
    };
    for checkout_first in [true, false] {
        let shop = shop();
        let s = shop.now_s();
        let later = renewal("9", s + 40 * 86_400);
        let checkout = shop.subscription_session(Some("in_1"));
        let first = invoice_paid("1", s, false, json!({}));
        let all = if checkout_first { [&checkout, &first, &later] } else { [&later, &first, &checkout] };
        for event in all {
            shop.take(event);
        }
        let credited: Vec<Json> = shop.data("conversions").iter().map(|c| c["attribution"].clone()).collect();
        assert_eq!(credited.len(), 2, "{credited:#?}");
        for attribution in &credited {
            assert_eq!(attribution["participant_id"], shop.program.participant_id, "{checkout_first}");
            assert_eq!(attribution["reason"], "attributed_click");
        }
        let mut amounts: Vec<i64> =
            shop.data("commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).collect();
        amounts.sort_unstable();
        assert_eq!(amounts, [600, 2_000], "{checkout_first}");
        shop.take(&subscription_deleted("1", s + 50 * 86_400));
        assert_eq!(shop.data("commissions").len(), 2);
    }
}

#[test]
fn a_trials_first_paid_renewal_earns_and_a_cap_counts_by_the_payments_own_time() {
    let described = json!({"rewards": [{"trigger": "recurring", "percent_bps": 1000, "payments_max": 2}]});
    let shop = shop();
    shop.world.program_with(&shop.world.keys.sk_test, "capped", described);
    let click_id = shop.world.click(&shop.world.keys.pk_test, "capped");
    let s = shop.now_s();
    let invoice = |n: i64, reason: &str, paid: i64| {
        let details = json!({"type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": {}}});
        let more = json!({"billing_reason": reason, "parent": details, "amount_paid": paid, "total": paid});
        invoice_paid(&n.to_string(), s + n * 30 * 86_400, false, more)
    };
    let more = json!({"mode": "subscription", "payment_intent": null, "subscription": "sub_1", "invoice": "in_0",
        "payment_status": "no_payment_required", "amount_total": 0, "client_reference_id": click_id});
    shop.take(&session_completed("0", s, more));
    shop.take(&invoice(0, "subscription_create", 0));
    shop.take(&invoice(2, "subscription_cycle", 2_000));
    shop.take(&invoice(3, "subscription_cycle", 3_000));
    let earned = |shop: &Shop| {
        let mut all: Vec<i64> = shop.data("commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(earned(&shop), [200, 300]);
    // The earliest payment comes late: it is the first, and the third earns nothing any more.
    shop.take(&invoice(1, "subscription_cycle", 1_000));
    assert_eq!(earned(&shop), [0, 100, 200]);
}

#[test]
fn two_sales_that_turn_out_to_be_one_end_as_one_conversion() {
    let shop = shop();
    let body = json!({"external_transaction_id": "pi_1", "event_type": "order", "amount_cents": 10_000,
        "currency": "EUR", "click_id": shop.click_id});
    let first = shop.world.api("POST /api/v1/conversions", body.clone());
    assert_eq!(first.status, 201);
    shop.world.pass_ms(10);
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
    assert_eq!(shop.data("conversions").len(), 2);
    assert_eq!(left_sum(&shop), 4_000);
    // invoice_payment.paid tells that the reported payment intent is the invoice's.
    shop.take(&invoice_payment("1", shop.now_s()));
    assert_eq!(left(&shop), (2_000, "reversed".to_owned(), "recorded".to_owned(), 0));
    let conversions = shop.data("conversions");
    assert_eq!(conversions[0]["status"], "merged");
    assert_eq!(conversions[1]["id"], first.body["id"]);
    let told: Vec<Json> = shop.data("events?type=conversion.merged");
    assert_eq!(told.len(), 1);
    assert_eq!(shop.world.api("POST /api/v1/conversions", body).summary(), "409 CONVERSION_DUPLICATE");
    shop.take(&refund("1", "1", shop.now_s(), 5_000, "succeeded"));
    assert_eq!(left(&shop).0, 1_000);
}

#[test]
fn a_report_that_joins_an_older_conversion_makes_it_the_reported_one() {
    let shop = shop();
    shop.take(&shop.subscription_session(None));
    shop.world.pass_ms(DAY_MS);
    shop.world.sweep();
    let body = json!({"external_transaction_id": "in_1", "event_type": "upgrade", "amount_cents": 10_000,
        "currency": "EUR", "click_id": shop.click_id});
    assert_eq!(shop.world.api("POST /api/v1/conversions", body).status, 201);
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
    let conversions = shop.data("conversions");
    let told: Vec<_> = conversions.iter().map(|c| json!([c["status"], c["source"], c["event_type"]])).collect();
    assert_eq!(told, [json!(["merged", "api", "upgrade"]), json!(["recorded", "api", "upgrade"])]);
}

#[test]
fn a_commission_that_is_pending_goes_by_what_is_known_now() {
    // The session, a minute after the payment, is not when it was paid.
    let terms = |first: usize| {
        let shop = shop();
        let rewards = json!({"rewards": [{"trigger": "sale", "percent_bps": 2000, "hold_days": 1}]});
        shop.world.program_with(&shop.world.keys.sk_test, "held", rewards);
        let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
        let s = shop.now_s();
        let facts = [
            session_completed("1", s, json!({"invoice": "in_1", "client_reference_id": click_id})),
            invoice_paid("1", s - 60, false, json!({"billing_reason": "manual", "parent": null})),
        ];
        shop.take(&facts[first]);
        shop.take(&facts[1 - first]);
        let commission = shop.data("commissions").remove(0);
        json!([commission["state"], commission["hold_until"], commission["needs_review"]])
    };
    assert_eq!(terms(0), json!(["pending", "2026-06-02T12:00:00.000Z", false]));
    assert_eq!(terms(0), terms(1));
}

#[test]
fn what_a_person_approved_is_approved_again_once_it_earns_again_in_any_order() {
    let state = |order: [usize; 2]| {
        let shop = shop();
        let rewards = json!({"rewards": [{"trigger": "sale", "percent_bps": 2000, "auto_approve": false}]});
        shop.world.program_with(&shop.world.keys.sk_test, "held", rewards);
        let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
        let s = shop.now_s();
        shop.take(&session_completed("1", s, json!({"client_reference_id": click_id})));
        let id = shop.data("commissions")[0]["id"].as_str().unwrap().to_owned();
        let approved = shop.world.api(&format!("POST /api/v1/commissions/{id}/approve"), json!(null));
        assert_eq!(approved.status, 200);
        let facts = [refund("1", "1", s + 1, 10_000, "pending"), refund("1", "1", s + 2, 10_000, "failed")];
        for place in order {
            shop.take(&facts[place]);
        }
        left(&shop)
    };
    assert_eq!(state([0, 1]), (2_000, "approved".to_owned(), "recorded".to_owned(), 0));
    assert_eq!(state([0, 1]), state([1, 0]));
}

fn left_sum(shop: &Shop) -> i64 {
    shop.data("commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).sum()
}

#[test]
fn a_promotion_code_that_is_mapped_later_is_decided_again_and_a_discount_leads_to_it_in_any_order() {
    let discounts = |given: Json| json!({"discounts": given});
    let code = |shop: &Shop| {
        let body = json!({"participant_id": shop.program.participant_id, "code": "ANNA20",
            "stripe_promotion_code_id": "promo_1"});
        shop.world.make(&shop.world.keys.sk_test, "promo-codes", body);
        shop.world.deliver();
    };
    let credited = "stripe 10000 attributed_promo_code; 2000 approved [earned 2000]";
    // The session names the code itself.
    let shop1 = shop();
    shop1.take(&session_completed(
        "1",
        shop1.now_s(),
        discounts(json!([{"promotion_code": "promo_1", "coupon": null}])),
    ));
    assert_eq!(shop1.books(), "stripe 10000 promo_code_not_found");
    code(&shop1);
    assert_eq!(shop1.books(), credited);
    // It names a discount only; what it was made of, and whose the code is, are told in either order.
    let told = |shop: &Shop| {
        let mut event = session_completed("9", shop.now_s(), json!({}));
        event["type"] = json!("customer.discount.created");
        event["id"] = json!("evt_discount");
        event["data"]["object"] = json!({"id": "di_1", "object": "discount", "promotion_code": "promo_1",
            "customer": "cus_1"});
        shop.take(&event);
    };
    let sale = |shop: &Shop| {
        shop.take(&session_completed("1", shop.now_s(), discounts(json!(["di_1"]))));
    };
    for order in orders(&[0, 1, 2]) {
        let shop = shop();
        for step in &order {
            match step {
                0 => sale(&shop),
                1 => told(&shop),
                _ => code(&shop),
            }
        }
        shop.world.sweep();
        assert_eq!(shop.books(), credited, "{order:?}");
        assert!(shop.fates().iter().all(|fate| fate == "processed"), "{order:?} {:?}", shop.fates());
    }
    // A code that is there already is mapped afterwards.
    let mapped = shop();

    sale(&mapped);
    told(&mapped);
    let body = json!({"participant_id": mapped.program.participant_id, "code": "ANNA20"});
    let id = mapped.world.make(&mapped.world.keys.sk_test, "promo-codes", body);
    let map = |to: &str| {
        let line = format!("PATCH /api/v1/promo-codes/{id}");
        mapped.world.api(&line, json!({"stripe_promotion_code_id": to}))
    };
    assert_eq!(map("anna").summary(), "400 VALIDATION_ERROR");
    assert_eq!(map("promo_1").text("/stripe_promotion_code_id"), "promo_1");
    mapped.world.deliver();
    assert_eq!(mapped.books(), credited);
    // The sweep finds it, should the message be lost.
    let shop = shop();
    sale(&shop);
    told(&shop);
    let body = json!({"participant_id": shop.program.participant_id, "code": "ANNA20",
        "stripe_promotion_code_id": "promo_1"});
    shop.world.make(&shop.world.keys.sk_test, "promo-codes", body);
    assert!(shop.world.lose_queue() > 0);
    shop.world.sweep();
    assert_eq!(shop.books(), credited);
}

#[test]
fn money_that_the_merchant_opts_out_is_recorded_and_earns_nothing() {
    for more in [
        json!({"metadata": {"selgeo": "false"}}),
        json!({"customer": {"id": "cus_1", "object": "customer", "metadata": {"selgeo": "false"}}}),
    ] {
        let shop = shop();
        let mut more = more;
        more["client_reference_id"] = json!(shop.click_id);
        shop.take(&session_completed("1", shop.now_s(), more));
        assert_eq!(shop.books(), "stripe 10000 opted_out");
    }
}

#[test]
fn a_subscription_that_ends_takes_its_pending_commissions_with_it_where_the_program_says_so() {
    let renewal = |n: i64, s: i64| {
        let details = json!({"type": "subscription_details",
            "subscription_details": {"subscription": "sub_1", "metadata": {}}});
        let more = json!({"billing_reason": "subscription_cycle", "parent": details, "customer": "cus_1"});
        invoice_paid(&n.to_string(), s, false, more)
    };
    for (wanted, expected) in [(false, [2_000, 2_000]), (true, [0, 2_000])] {
        for order in orders(&[0, 1, 2]) {
            let shop = shop();
            let rewards = json!([{"trigger": "recurring", "percent_bps": 2000, "hold_days": 30}]);
            let described = json!({"reverse_pending_on_end": wanted, "rewards": rewards});
            shop.world.program_with(&shop.world.keys.sk_test, "held", described);
            let click_id = shop.world.click(&shop.world.keys.pk_test, "held");
            let s = shop.now_s();
            let more = json!({"mode": "subscription", "payment_intent": null, "subscription": "sub_1", "invoice": "in_1",
                "customer": "cus_1", "client_reference_id": click_id});
            shop.take(&session_completed("1", s, more));
            // The first payment's hold is over when the subscription ends, the second's is not.
            let events = [
                invoice_paid("1", s, false, json!({})),
                renewal(2, s + 31 * 86_400),
                subscription_deleted("1", s + 40 * 86_400),
            ];
            for place in &order {
                shop.take(&events[*place]);
            }
            let mut earned: Vec<i64> =
                shop.data("commissions").iter().map(|c| c["amount_cents"].as_i64().unwrap()).collect();
            earned.sort_unstable();
            earned.resize(2, 0);
            earned.sort_unstable();
            assert_eq!(earned, expected, "{wanted} {order:?}");
            shop.world.pass_ms(80 * DAY_MS);
            shop.world.sweep();
            assert_eq!(shop.data("commissions?state=pending").len(), 0, "{wanted} {order:?}");
        }
    }
}

#[test]
fn a_code_that_is_mapped_while_its_sale_is_decided_on_is_found_all_the_same() {
    let shop = shop();
    let session =
        session_completed("1", shop.now_s(), json!({"discounts": [{"promotion_code": "promo_1", "coupon": null}]}));
    let body = json!({"participant_id": shop.program.participant_id, "code": "ANNA20",
        "stripe_promotion_code_id": "promo_1"});
    assert_eq!(shop.send(&session).status, 200);
    shop.world.before_next_write("POST /api/v1/promo-codes", body);
    shop.world.deliver();
    shop.world.sweep();
    assert_eq!(shop.books(), "stripe 10000 attributed_promo_code; 2000 approved [earned 2000]");
}
