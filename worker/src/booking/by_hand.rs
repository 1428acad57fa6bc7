//! What people decide: attribution by hand, a bonus, a match of an unmatched refund, a rejection that outlives a merge.

use domain::time::DAY_MS;
use serde_json::{Value as Json, json};

use crate::testing::shop::{Shop, shop};
use crate::testing::{charge, dispute, invoice_paid, invoice_payment, refund, session_completed};

fn act(shop: &Shop, path: &str, body: Json) -> crate::testing::Answer {
    shop.world.pass_ms(1_000);
    shop.world.api(&format!("POST /api/v1/{path}"), body)
}

fn id(row: &Json) -> String {
    row["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_unattributed_conversion_is_attributed_by_hand_once_with_a_reason_and_stays_so() {
    let shop = shop();
    shop.take(&session_completed("1", shop.now_s(), json!({})));
    let conversion = id(&shop.data("conversions")[0]);
    let path = format!("conversions/{conversion}/attribute");
    let participant = &shop.program.participant_id;
    let word = json!({"participant_id": participant, "reason": "came by phone"});
    assert_eq!(act(&shop, &path, json!({"participant_id": participant})).summary(), "400 VALIDATION_ERROR");
    let unknown = json!({"participant_id": "ppt_00000000000000000000000000", "reason": "x"});
    assert_eq!(act(&shop, &path, unknown).summary(), "404 NOT_FOUND");
    let done = act(&shop, &path, word.clone());
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.text("/attribution/reason"), "attributed_manual");
    assert_eq!(done.text("/attribution/participant_id"), *participant);
    assert_eq!(shop.books(), "stripe 10000 attributed_manual; 2000 approved [earned 2000]");
    assert_eq!(act(&shop, &path, word).summary(), "409 CONFLICT");
    // A refund and a click that comes later change the money, not the word.
    shop.take(&refund("1", "1", shop.now_s(), 5_000, "succeeded"));
    let late = json!({"invoice": null, "client_reference_id": shop.click_id});
    let mut again = session_completed("1", shop.now_s() + 1, late);
    again["id"] = json!("evt_again");
    shop.take(&again);
    assert_eq!(shop.books(), "stripe 10000 attributed_manual; 1000 approved [earned 2000, refunded -1000]");
    let audit = shop.world.api(&format!("GET /api/v1/attribution-audit/{conversion}"), json!(null));
    assert_eq!(audit.body["acts"][0]["reason"], "came by phone");
    assert!(audit.body["history"].as_array().is_some_and(|history| !history.is_empty()));
    let told = shop.data("events?type=conversion.attributed");
    assert_eq!(told.len(), 1);
}

#[test]
fn only_an_approved_participant_of_a_running_program_is_credited_by_hand() {
    let shop = shop();
    shop.take(&session_completed("1", shop.now_s(), json!({})));
    let path = format!("conversions/{}/attribute", id(&shop.data("conversions")[0]));
    let word = json!({"participant_id": shop.program.participant_id, "reason": "x"});
    act(&shop, &format!("participants/{}/suspend", shop.program.participant_id), json!(null));
    assert_eq!(act(&shop, &path, word).summary(), "409 CONFLICT");
    let foreign = shop.world.workspace("Second");
    let body = json!({"participant_id": shop.program.participant_id, "reason": "x"});
    let answer = shop.world.api_as(&foreign.sk_test, &format!("POST /api/v1/{path}"), body);
    assert_eq!(answer.summary(), "404 NOT_FOUND");
}

#[test]
fn a_bonus_is_an_entry_of_its_own_that_no_refund_takes_back() {
    let shop = shop();
    shop.take(&session_completed("1", shop.now_s(), shop.hint()));
    let path = format!("commissions/{}/bonus", id(&shop.data("commissions")[0]));
    for wrong in [json!({"amount_cents": 0, "reason": "x"}), json!({"amount_cents": 5}), json!({"reason": "x"})] {
        assert_eq!(act(&shop, &path, wrong).summary(), "400 VALIDATION_ERROR");
    }
    let given = act(&shop, &path, json!({"amount_cents": 500, "reason": "a fine review"}));
    assert_eq!((given.status.as_u16(), &given.body["amount_cents"]), (200, &json!(2_500)));
    shop.take(&refund("1", "1", shop.now_s(), 10_000, "succeeded"));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 500 approved [earned 2000, bonus 500, refunded -2000]");
    shop.take(&session_completed("2", shop.now_s(), json!({"client_reference_id": shop.click_id})));
    shop.take(&refund("2", "2", shop.now_s(), 10_000, "succeeded"));
    let reversed = shop.data("commissions?state=reversed");
    let path = format!("commissions/{}/bonus", id(&reversed[0]));
    assert_eq!(act(&shop, &path, json!({"amount_cents": 500, "reason": "x"})).summary(), "409 CONFLICT");
}

#[test]
fn a_refund_that_nothing_joins_is_matched_by_hand() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", s, false, json!({})));
    shop.take(&charge("1", s + 1, 0));
    shop.take(&refund("1", "1", s + 2, 2_500, "succeeded"));
    let unmatched = shop.data("refunds?matched=false");
    assert_eq!((unmatched.len(), &unmatched[0]["amount_cents"]), (1, &json!(2_500)));
    let conversion = id(&shop.data("conversions")[0]);
    let path = format!("refunds/{}/match", id(&unmatched[0]));
    assert_eq!(act(&shop, &path, json!({"conversion_id": conversion})).summary(), "400 VALIDATION_ERROR");
    let nowhere = json!({"conversion_id": "conv_x", "reason": "x"});
    assert_eq!(act(&shop, &path, nowhere).summary(), "404 NOT_FOUND");
    let word = json!({"conversion_id": conversion, "reason": "the only sale of that amount"});
    let matched = act(&shop, &path, word.clone());
    assert_eq!((matched.status.as_u16(), matched.text("/conversion_id")), (200, conversion.clone()));
    assert_eq!(shop.books(), "stripe 10000 attributed_click; 1500 approved [earned 2000, refunded -500]");
    assert!(shop.fates().iter().all(|fate| fate == "processed"), "{:?}", shop.fates());
    assert_eq!(shop.data("refunds?matched=false").len(), 0);
    assert_eq!(act(&shop, &path, word).summary(), "409 CONFLICT");
    // Should Stripe join them after all, nothing is taken twice.
    shop.take(&invoice_payment("1", s + 3));
    shop.take(&refund("1", "2", s + 4, 2_500, "succeeded"));
    assert_eq!(shop.data("commissions")[0]["amount_cents"], 1_000);
    let audit = shop.world.api(&format!("GET /api/v1/attribution-audit/{conversion}"), json!(null));
    assert_eq!(audit.body["acts"][0]["kind"], "refund.match");
}

#[test]
fn refunds_and_disputes_are_listed_once_each_as_they_stand() {
    let shop = shop();
    let s = shop.now_s();
    shop.take(&session_completed("1", s, shop.hint()));
    shop.take(&refund("1", "1", s + 1, 2_500, "pending"));
    shop.take(&refund("1", "1", s + 2, 2_500, "succeeded"));
    shop.take(&dispute("1", s + 3, "needs_response"));
    let listed: Vec<String> = shop
        .data("refunds")
        .iter()
        .map(|row| format!("{} {} {}", row["kind"], row["external_refund_id"], row["status"]).replace('"', ""))
        .collect();
    assert_eq!(listed, ["dispute dp_1 open", "refund re_1 succeeded"]);
    assert_eq!(shop.data("refunds?kind=dispute").len(), 1);
    let body = json!({"external_transaction_id": "t1", "event_type": "order", "amount_cents": 1_000, "currency": "EUR",
        "click_id": shop.click_id});
    let made = shop.world.api("POST /api/v1/conversions", body);
    let path = format!("conversions/{}/refunds", made.text("/id"));
    let given = act(&shop, &path, json!({"external_refund_id": "r1", "amount_cents": 400}));
    let read = shop.world.api(&format!("GET /api/v1/refunds/{}", given.text("/id")), json!(null));
    assert_eq!((read.status.as_u16(), read.text("/conversion_id")), (200, made.text("/id")));
    assert_eq!(read.text("/source"), "api");
}

#[test]
fn a_conversion_rejected_by_hand_stays_rejected_when_it_turns_out_to_be_another_ones_sale() {
    let shop = shop();
    // The invoice's sale, which nobody is credited for; and the report of its payment intent, rejected by a person.
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({"customer": null, "customer_email": null})));
    shop.world.pass_ms(10);
    let body = json!({"external_transaction_id": "pi_1", "event_type": "order", "amount_cents": 10_000,
        "currency": "EUR", "click_id": shop.click_id});
    let later = shop.world.api("POST /api/v1/conversions", body);
    act(&shop, &format!("commissions/{}/reject", later.text("/commission_id")), json!({"reason": "his own"}));
    shop.take(&invoice_payment("1", shop.now_s()));
    let mut states: Vec<Json> =
        shop.data("commissions").iter().map(|c| json!([c["state"], c["amount_cents"]])).collect();
    states.sort_by_key(Json::to_string);
    assert_eq!(states, [json!(["rejected", 0]), json!(["rejected", 2_000])]);
    // The conversion that stays is Stripe's, and takes the merchant's refunds too.
    let stays = shop.data("conversions?status=recorded").remove(0);
    assert_eq!((&stays["external_transaction_id"], &stays["source"]), (&json!("pi_1"), &json!("api")));
    let path = format!("conversions/{}/refunds", id(&stays));
    let given = act(&shop, &path, json!({"external_refund_id": "r1", "amount_cents": 5_000}));
    assert_eq!(given.status, 201, "{}", given.body);
}

#[test]
fn a_dispute_on_a_conversion_that_is_merged_goes_on_at_the_one_that_stays() {
    let shop = shop();
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({"customer": null, "customer_email": null})));
    shop.world.pass_ms(10);
    let body = json!({"external_transaction_id": "pi_1", "event_type": "order", "amount_cents": 10_000,
        "currency": "EUR", "click_id": shop.click_id});
    shop.world.api("POST /api/v1/conversions", body);
    shop.take(&dispute("1", shop.now_s(), "needs_response"));
    shop.take(&invoice_payment("1", shop.now_s()));
    let disputed = |shop: &Shop| {
        let mut all: Vec<Json> =
            shop.data("commissions").iter().map(|c| json!([c["amount_cents"], c["disputed"]])).collect();
        all.sort_by_key(Json::to_string);
        all
    };
    assert_eq!(disputed(&shop), [json!([0, false]), json!([2_000, true])]);
    shop.take(&dispute("1", shop.now_s() + 1, "won"));
    assert_eq!(disputed(&shop), [json!([0, false]), json!([2_000, false])]);
}

#[test]
fn what_a_charge_told_as_a_sum_is_listed_once_its_refunds_are_told_one_by_one() {
    let shop = shop();
    shop.take(&charge("7", shop.now_s(), 2_500));
    let keys = |shop: &Shop| {
        let rows = shop.data("refunds?matched=false");
        rows.iter().map(|row| row["external_refund_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&shop), ["ch_7"]);
    shop.take(&refund("7", "7", shop.now_s() + 1, 2_500, "succeeded"));
    assert_eq!(keys(&shop), ["re_7"]);
}

#[test]
fn money_that_comes_back_gives_back_what_a_person_had_approved() {
    let described = json!({"rewards": [{"trigger": "sale", "percent_bps": 2000, "auto_approve": false}]});
    let shop = shop();
    shop.world.program_with(&shop.world.keys.sk_test, "byhand", described);
    let click_id = shop.world.click(&shop.world.keys.pk_test, "byhand");
    let s = shop.now_s();
    shop.take(&session_completed("1", s, json!({"client_reference_id": click_id})));
    act(&shop, &format!("commissions/{}/approve", id(&shop.data("commissions")[0])), json!(null));
    shop.take(&refund("1", "1", s + 1, 10_000, "pending"));
    assert_eq!(shop.data("commissions")[0]["state"], "reversed");
    shop.world.pass_ms(DAY_MS);
    shop.take(&refund("1", "1", s + 2, 10_000, "failed"));
    assert_eq!(shop.data("commissions")[0]["state"], "approved");
}
