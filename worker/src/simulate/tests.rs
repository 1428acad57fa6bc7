use domain::time::DAY_MS;
use serde_json::{Value as Json, json};

use crate::error::ApiError;
use crate::testing::shop::{Shop, shop};
use crate::testing::{NextWrite, invoice_paid, refund, session_completed};

fn simulated(shop: &Shop, file: Json) -> Result<Json, ApiError> {
    shop.world.db.next_write(NextWrite::IsLost);
    let simulation = pollster::block_on(super::simulate(&shop.world.app, file.to_string().as_bytes()));
    shop.world.db.next_write(NextWrite::Works);
    simulation.map(|simulation| json!(simulation))
}

/// `EUR 2000 2500 500`, one line each.
fn lines(list: &Json, participant_id: Option<&str>) -> Vec<String> {
    let of = list.as_array().unwrap().iter().filter(|line| line["participant_id"].as_str() == participant_id);
    of.map(|line| {
        let currency = line["currency"].as_str().unwrap();
        format!("{currency} {} {} {}", line["now_cents"], line["draft_cents"], line["difference_cents"])
    })
    .collect()
}

/// Another participant of the shop's program, with a link.
fn participant(shop: &Shop, name: &str) -> String {
    let key = &shop.world.keys.sk_test;
    let partner = json!({"name": name, "email": format!("{name}@partner.test")});
    let partner_id = shop.world.make(key, "partners", partner);
    let body = json!({"program_id": shop.program.program_id, "partner_id": partner_id, "status": "approved"});
    let id = shop.world.make(key, "participants", body);
    let link = json!({"participant_id": id, "ref": name, "landing_url": "https://shop.test/", "name": name});
    shop.world.make(key, "links", link);
    id
}

/// A sale by a click on a link, now.
fn sale(shop: &Shop, id: &str, link_ref: &str, more: Json) {
    let click_id = shop.world.click(&shop.world.keys.pk_test, link_ref);
    shop.world.pass_ms(60_000);
    let mut session = json!({"client_reference_id": click_id});
    session.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    shop.take(&session_completed(id, shop.now_s(), session));
}

#[test]
fn a_higher_percentage_is_told_per_participant_and_currency_before_it_is_published() {
    let shop = shop();
    let bert = participant(&shop, "bert");
    let anna = shop.program.participant_id.clone();
    let other = shop.world.program(&shop.world.keys.sk_test, "other");
    sale(&shop, "1", "anna", json!({}));
    sale(&shop, "2", "anna", json!({"amount_total": 1_000, "currency": "jpy"}));
    sale(&shop, "3", "bert", json!({"amount_total": 5_000}));
    sale(&shop, "4", "bert", json!({"amount_total": 33}));
    sale(&shop, "5", "other", json!({}));
    shop.take(&refund("3", "1", shop.now_s(), 2_500, "succeeded"));
    let first = shop.data("commissions").pop().unwrap();
    let bonus = json!({"amount_cents": 300, "reason": "well done"});
    let line = format!("POST /api/v1/commissions/{}/bonus", first["id"].as_str().unwrap());
    assert_eq!(shop.world.api(&line, bonus).status, 200);
    let file = json!({"program_id": shop.program.program_id, "rewards": [{"trigger": "sale", "percent_bps": 2_500}]});
    let told = simulated(&shop, file.clone()).unwrap();
    // 20 % and 25 % of 100.00, with a bonus of 3.00 either way; of 1000 yen.
    assert_eq!(lines(&told["participants"], Some(&anna)), ["EUR 2300 2800 500", "JPY 200 250 50"]);
    // Of 50.00 half of which went back: 5.00 and 6.25. Of 0.33: 0.07 and 0.08.
    assert_eq!(lines(&told["participants"], Some(&bert)), ["EUR 507 633 126"]);
    assert_eq!(lines(&told["participants"], Some(&other.participant_id)), Vec::<String>::new());
    assert_eq!(lines(&told["totals"], None), ["EUR 2807 3433 626", "JPY 200 250 50"]);
    assert_eq!((&told["conversions"], &told["families"]), (&json!(4), &json!(5)));
    // Bert's own reward, and the later of two, which is the newer one.
    let rewards = json!([
        {"trigger": "sale", "percent_bps": 1},
        {"trigger": "sale", "percent_bps": 2_000},
        {"trigger": "sale", "participant_id": bert, "flat": {"amount_cents": 100, "currency": "EUR"}},
    ]);
    let told = simulated(&shop, json!({"program_id": shop.program.program_id, "rewards": rewards})).unwrap();
    assert_eq!(lines(&told["participants"], Some(&anna)), ["EUR 2300 2300 0", "JPY 200 200 0"]);
    assert_eq!(lines(&told["participants"], Some(&bert)), ["EUR 507 200 -307"]);
    // No reward at all, and none of the rules changed.
    let told = simulated(&shop, json!({"program_id": shop.program.program_id, "rewards": []})).unwrap();
    assert_eq!(lines(&told["totals"], None), ["EUR 2807 300 -2507", "JPY 200 0 -200"]);
    let told = simulated(&shop, json!({"program_id": shop.program.program_id})).unwrap();
    assert_eq!(lines(&told["totals"], None), ["EUR 2807 2807 0", "JPY 200 200 0"]);
}

#[test]
fn a_shorter_window_takes_the_credit_of_a_sale_and_of_the_renewals_that_inherit_it() {
    let shop = shop();
    shop.world.pass_ms(20 * DAY_MS);
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
    shop.world.pass_ms(30 * DAY_MS);
    let details = json!({"subscription": "sub_1", "metadata": {}});
    let more = json!({"billing_reason": "subscription_cycle", "amount_paid": 3_000, "total": 3_000, "customer": "cus_1",
        "parent": {"type": "subscription_details", "subscription_details": details}});
    shop.take(&invoice_paid("2", shop.now_s(), false, more));
    let told = |days: i64| {
        let file = json!({"program_id": shop.program.program_id, "attribution_window_days": days});
        lines(&simulated(&shop, file).unwrap()["totals"], None)
    };
    // The click is 20 days and a minute old. The renewal would be credited by its customer too, whom that sale bound.
    assert_eq!(told(21), ["EUR 2600 2600 0"]);
    assert_eq!(told(20), ["EUR 2600 0 -2600"]);
}

#[test]
fn a_stricter_fraud_policy_and_another_model_are_judged_from_the_stored_inputs() {
    let shop = shop();
    let bert = participant(&shop, "bert");
    let anna = shop.program.participant_id.clone();
    let customer = json!({"customer": "cus_1"});
    sale(&shop, "1", "anna", customer.clone());
    sale(&shop, "2", "bert", customer);
    let told = |more: Json| {
        let mut file = json!({"program_id": shop.program.program_id});
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = simulated(&shop, file).unwrap();
        [&anna, &bert].map(|id| lines(&told["participants"], Some(id)).join(";"))
    };
    assert_eq!(told(json!({})), ["EUR 2000 2000 0", "EUR 2000 2000 0"]);
    // The customer was bound to Anna by the first sale.
    assert_eq!(told(json!({"attribution_model": "first_click"})), ["EUR 2000 4000 2000", "EUR 2000 0 -2000"]);
    // The second purchase of one customer: nobody is credited.
    let strict = json!({"fraud": {"repeat_purchase": "block"}});
    assert_eq!(told(strict), ["EUR 2000 2000 0", "EUR 2000 0 -2000"]);
}

#[test]
fn what_is_wrong_with_a_draft_is_told_field_by_field_as_the_api_does() {
    let shop = shop();
    let check = |file: Json, expected: &[&str]| {
        let Err(ApiError::Validation { details, .. }) = simulated(&shop, file.clone()) else { panic!("{file}") };
        let fields: Vec<&str> = details.iter().map(|detail| detail.field.as_str()).collect();
        assert_eq!(fields, expected, "{file}");
    };
    check(json!({}), &["program_id"]);
    check(json!({"program_id": "prog_x"}), &["program_id"]);
    check(json!({"program_id": "prog_00000000000000000000000000"}), &["program_id"]);
    let id = &shop.program.program_id;
    check(json!({"program_id": id, "rewards": {}}), &["rewards"]);
    let rewards = json!([{"trigger": "sale", "percent_bps": 1}, {"trigger": "sail", "percent_bps": 10_001}]);
    check(json!({"program_id": id, "rewards": rewards}), &["rewards[1].trigger", "rewards[1].percent_bps"]);
    check(json!({"program_id": id, "attribution_window_days": 0}), &["attribution_window_days"]);
    check(json!({"program_id": id, "attribution_model": "any"}), &["attribution_model"]);
    check(json!({"program_id": id, "fraud": {"luck": "hold"}}), &["fraud.luck"]);
    let stranger = json!([{"trigger": "sale", "percent_bps": 1, "participant_id": "ppt_00000000000000000000000000"}]);
    check(json!({"program_id": id, "rewards": stranger}), &["rewards"]);
    let malformed = pollster::block_on(super::simulate(&shop.world.app, b"[]"));
    assert!(matches!(malformed, Err(ApiError::Validation { .. })));
}
