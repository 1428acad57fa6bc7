use serde_json::{Value as Json, json};

use crate::testing::World;
use crate::testing::session_completed;
use crate::testing::shop::shop;

struct Two {
    world: World,
    anna: String,
    bert: String,
}

/// Two partners of one program of this model.
fn two(model: &str) -> Two {
    let world = World::new();
    let described = json!({"attribution_model": model, "rewards": [{"trigger": "sale", "percent_bps": 2000}]});
    let anna = world.program_with(&world.keys.sk_test, "anna", described);
    let sk = &world.keys.sk_test;
    let partner = world.make(sk, "partners", json!({"name": "Bert", "email": "bert@partner.test"}));
    let joined = json!({"program_id": anna.program_id, "partner_id": partner, "status": "approved"});
    let bert = world.make(sk, "participants", joined);
    let link = json!({"participant_id": bert, "ref": "bert", "landing_url": "https://shop.test/", "name": "x"});
    world.make(sk, "links", link);
    Two { anna: anna.participant_id, bert, world }
}

impl Two {
    /// Reports a purchase of 10.00; who is credited, and the reason.
    #[track_caller]
    fn buy(&self, transaction: &str, more: Json) -> (Json, String) {
        let mut body = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 1_000,
            "currency": "EUR"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.world.pass_ms(1_000);
        let made = self.world.api("POST /api/v1/conversions", body);
        assert_eq!(made.status, 201, "{}", made.body);
        let attribution = &made.body["attribution"];
        (attribution["participant_id"].clone(), attribution["reason"].as_str().unwrap().to_owned())
    }

    fn click(&self, link_ref: &str) -> String {
        self.world.click(&self.world.keys.pk_test, link_ref)
    }
}

fn by(participant: &str, reason: &str) -> (Json, String) {
    (json!(participant), reason.to_owned())
}

#[test]
fn a_customer_is_bound_by_the_first_attributed_conversion_and_a_newer_click_wins() {
    let two = two("last_click");
    let none = two.world.api(
        "POST /api/v1/conversions",
        json!({"external_transaction_id": "t0", "event_type": "x", "customer_external_id": "7"}),
    );
    assert_eq!(none.summary(), "422 NO_ATTRIBUTION_SIGNAL");
    let first = two.buy("t1", json!({"click_id": two.click("anna"), "customer_external_id": "7"}));
    assert_eq!(first, by(&two.anna, "attributed_click"));
    assert_eq!(two.buy("t2", json!({"customer_external_id": "7"})), by(&two.anna, "attributed_customer"));
    let third = two.buy("t3", json!({"click_id": two.click("bert"), "customer_external_id": "7"}));
    assert_eq!(third, by(&two.bert, "attributed_click"));
    // Bound once and for good, by the first.
    assert_eq!(two.buy("t4", json!({"customer_external_id": "7"})), by(&two.anna, "attributed_customer"));
    let customers = two.world.api("GET /api/v1/customers?external_id=7", json!(null));
    assert_eq!(customers.body["data"][0]["participant_id"], two.anna);
    assert_eq!(customers.body["data"][0]["purchases"], 4);
    assert_eq!(two.world.db.count("SELECT count(*) FROM customers"), 1);
}

#[test]
fn where_the_first_click_counts_the_binding_wins_over_clicks_but_not_over_codes() {
    let two = two("first_click");
    two.buy("t1", json!({"click_id": two.click("anna"), "customer_external_id": "7"}));
    let second = two.buy("t2", json!({"click_id": two.click("bert"), "customer_external_id": "7"}));
    assert_eq!(second, by(&two.anna, "attributed_customer"));
    let code = json!({"participant_id": two.bert, "code": "BERT10"});
    two.world.make(&two.world.keys.sk_test, "promo-codes", code);
    let third = two.buy("t3", json!({"promo_code": "bert10", "customer_external_id": "7"}));
    assert_eq!(third, by(&two.bert, "attributed_promo_code"));
    two.world.api(&format!("POST /api/v1/participants/{}/suspend", two.anna), json!(null));
    let fourth = two.buy("t4", json!({"click_id": two.click("bert"), "customer_external_id": "7"}));
    assert_eq!(fourth, by(&two.bert, "attributed_click"));
}

#[test]
fn an_address_attributes_only_through_a_binding_made_before_and_joins_a_customers_keys() {
    let two = two("last_click");
    let report = json!({"external_transaction_id": "t0", "event_type": "x", "prospect_email": "buyer@x.test"});
    assert_eq!(two.world.api("POST /api/v1/conversions", report).summary(), "422 NO_ATTRIBUTION_SIGNAL");
    two.buy(
        "t1",
        json!({"click_id": two.click("anna"), "prospect_email": "Buyer@x.test", "customer_external_id": "7"}),
    );
    // An unknown click gives way to the binding of the address.
    let lost = json!({"click_id": "0190f3c1-5e5a-4c3e-9b1a-0123456789ab", "prospect_email": "buyer@x.test"});
    assert_eq!(two.buy("t2", lost), by(&two.anna, "attributed_customer"));
    assert_eq!(two.buy("t3", json!({"customer_external_id": "7"})), by(&two.anna, "attributed_customer"));
    let stored = two.world.db.count("SELECT count(*) FROM facts WHERE body LIKE '%buyer%'");
    assert_eq!(stored, 0);
}

#[test]
fn what_stripe_tells_of_a_customer_binds_it_for_the_api_too() {
    let shop = shop();
    let metadata = json!({"tracCustomerExternalId": "7"});
    let more = json!({"client_reference_id": shop.click_id, "customer": "cus_9", "metadata": metadata});
    shop.take(&session_completed("1", shop.now_s(), more));
    shop.world.pass_ms(1_000);
    shop.take(&session_completed("2", shop.now_s() + 60, json!({"customer": "cus_9"})));
    let reasons: Vec<Json> = shop.data("conversions").iter().map(|c| c["attribution"]["reason"].clone()).collect();
    assert_eq!(reasons, ["attributed_customer", "attributed_click"]);
    let body = json!({"external_transaction_id": "t1", "event_type": "upgrade", "customer_external_id": "7"});
    let made = shop.world.api("POST /api/v1/conversions", body);
    assert_eq!(made.text("/attribution/reason"), "attributed_customer");
    // A refund later does not look at the binding that the sale itself has made.
    shop.take(&crate::testing::refund("1", "1", shop.now_s(), 5_000, "succeeded"));
    let reasons: Vec<Json> = shop.data("conversions").iter().map(|c| c["attribution"]["reason"].clone()).collect();
    assert_eq!(reasons, ["attributed_customer", "attributed_customer", "attributed_click"]);
}

#[test]
fn two_first_conversions_of_one_customer_at_once_count_in_the_order_of_recording() {
    let two = two("first_click");
    let (anna, bert) = (two.click("anna"), two.click("bert"));
    let body = |transaction: &str, click: &str| {
        json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 1_000, "currency": "EUR",
            "click_id": click, "customer_external_id": "7"})
    };
    two.world.before_next_write("POST /api/v1/conversions", body("t1", &anna));
    let second = two.world.api("POST /api/v1/conversions", body("t2", &bert));
    assert_eq!(second.text("/attribution/participant_id"), two.anna);
    assert_eq!(second.text("/attribution/reason"), "attributed_customer");
}

#[test]
fn a_customer_of_the_other_mode_or_workspace_is_nobody() {
    let two = two("last_click");
    two.buy("t1", json!({"click_id": two.click("anna"), "customer_external_id": "7"}));
    let body = json!({"external_transaction_id": "t1", "event_type": "x", "customer_external_id": "7"});
    for key in [two.world.keys.sk_live.clone(), two.world.workspace("Second").sk_test] {
        let answer = two.world.api_as(&key, "POST /api/v1/conversions", body.clone());
        assert_eq!(answer.summary(), "422 NO_ATTRIBUTION_SIGNAL");
        let list = two.world.api_as(&key, "GET /api/v1/customers", json!(null));
        assert_eq!(list.body["data"], json!([]));
    }
}
