//! The fraud rules, each seen through the API: what it finds, what is done about it, and who is told.

use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::testing::{Answer, World, charge, invoice_paid, refund, session_completed};

struct Shop {
    world: World,
    participant: String,
}

/// A shop whose program says this of fraud; its partner is `anna@partner.test`.
fn shop(fraud: Json) -> Shop {
    let world = World::new();
    let described = json!({"fraud": fraud, "rewards": [{"trigger": "sale", "percent_bps": 2000}]});
    let participant = world.program_with(&world.keys.sk_test, "anna", described).participant_id;
    Shop { world, participant }
}

impl Shop {
    fn click(&self) -> String {
        self.world.click(&self.world.keys.pk_test, "anna")
    }

    /// A purchase a minute after a click, with more fields.
    #[track_caller]
    fn buy(&self, transaction: &str, more: Json) -> Answer {
        let click_id = self.click();
        self.world.pass_ms(MINUTE_MS);
        self.report(transaction, &click_id, more)
    }

    #[track_caller]
    fn report(&self, transaction: &str, click_id: &str, more: Json) -> Answer {
        let mut body = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 1_000,
            "currency": "EUR", "click_id": click_id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.world.api("POST /api/v1/conversions?explain=1", body);
        assert_eq!(made.status, 201, "{}", made.body);
        made
    }

    /// The open alerts of a conversion: `rule response`.
    fn alerts(&self, conversion: &Answer) -> Vec<String> {
        self.world.pass_ms(1);
        let line = format!("GET /api/v1/fraud-alerts?conversion_id={}", conversion.text("/id"));
        let answer = self.world.api(&line, json!(null));
        let rows = answer.body["data"].as_array().unwrap().iter();
        rows.map(|row| format!("{} {}", row["rule"], row["response"]).replace('"', "")).collect()
    }

    fn commission(&self, conversion: &Answer) -> (String, bool) {
        let line = format!("GET /api/v1/commissions/{}", conversion.text("/commission_id"));
        let commission = self.world.api(&line, json!(null));
        (commission.text("/state"), commission.body["needs_review"] == true)
    }
}

#[test]
fn a_partner_who_buys_from_himself_is_held_by_default_and_a_person_decides() {
    let shop = shop(json!({}));
    for (n, address) in ["anna@partner.test", "Anna+shop@partner.test", "bert@partner.test"].iter().enumerate() {
        let made = shop.buy(&format!("t{n}"), json!({"prospect_email": address}));
        assert_eq!(shop.alerts(&made), ["self_referral hold"], "{address}");
        assert_eq!(shop.commission(&made), ("pending".to_owned(), true), "{address}");
        shop.world.pass_ms(DAY_MS);
        shop.world.sweep();
        assert_eq!(shop.commission(&made).0, "pending");
        let approve = format!("POST /api/v1/commissions/{}/approve", made.text("/commission_id"));
        assert_eq!(shop.world.api(&approve, json!(null)).text("/state"), "approved");
    }
    let other = shop.buy("t9", json!({"prospect_email": "carl@buyer.test"}));
    assert_eq!((shop.alerts(&other), shop.commission(&other)), (vec![], ("approved".to_owned(), false)));
    let stored = shop.world.db.count("SELECT count(*) FROM decisions WHERE inputs LIKE '%partner.test%'");
    assert_eq!(stored, 0);
}

#[test]
fn a_program_may_block_and_the_conversion_is_recorded_without_commission() {
    let shop = shop(json!({"self_referral": "block"}));
    let made = shop.buy("t1", json!({"prospect_email": "anna@partner.test", "customer_external_id": "7"}));
    assert_eq!(made.text("/attribution/reason"), "fraud_blocked");
    assert_eq!(made.body["commission_id"], json!(null));
    assert_eq!(shop.alerts(&made), ["self_referral block"]);
    assert_eq!(made.body["explanation"]["candidates"][0]["outcome"], "fraud_blocked");
    // Nobody has won this customer.
    let customers = shop.world.api("GET /api/v1/customers?external_id=7", json!(null));
    assert_eq!(customers.body["data"][0]["participant_id"], json!(null));
}

#[test]
fn a_second_purchase_a_fast_one_and_a_burst_of_clicks_are_shown_and_stop_nothing() {
    let shop = shop(json!({}));
    let first = shop.buy("t1", json!({"customer_external_id": "7"}));
    assert_eq!(shop.alerts(&first), [""; 0]);
    let second = shop.buy("t2", json!({"customer_external_id": "7"}));
    assert_eq!(shop.alerts(&second), ["repeat_purchase flag"]);
    assert_eq!(shop.commission(&second), ("approved".to_owned(), false));
    let click_id = shop.click();
    shop.world.pass_ms(799);
    let fast = shop.report("t3", &click_id, json!({}));
    assert_eq!(shop.alerts(&fast), ["fast_conversion flag"]);
    for _ in 0..19 {
        shop.click();
    }
    let click_id = shop.click();
    shop.world.deliver();
    shop.world.pass_ms(MINUTE_MS);
    let burst = shop.report("t4", &click_id, json!({}));
    assert_eq!(shop.alerts(&burst), ["click_burst flag"]);
    let told = shop.world.api("GET /api/v1/events?type=conversion.fraud_detected", json!(null));
    assert_eq!(told.body["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(told.body["data"][0]["subject"], burst.body["id"]);
}

#[test]
fn what_was_found_of_a_sale_stays_found_when_a_later_fact_comes() {
    let shop = shop(json!({"click_burst": "block"}));
    let world = &shop.world;
    let connection = world.stripe_connection(&world.keys.sk_test);
    for _ in 0..19 {
        shop.click();
    }
    let click_id = shop.click();
    world.deliver();
    world.pass_ms(MINUTE_MS);
    let s = world.now().seconds();
    let more = json!({"client_reference_id": click_id});
    for event in [session_completed("1", s, more), charge("1", s + 1, 0), refund("1", "1", s + 2, 100, "succeeded")] {
        world.stripe(&connection, &event);
        world.deliver();
    }
    assert_eq!(world.db.count("SELECT count(*) FROM conversions WHERE attribution_reason = 'fraud_blocked'"), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM commissions"), 0);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'conversion.fraud_detected'"), 1);
}

#[test]
fn the_renewals_of_a_subscription_that_is_held_are_held_until_a_person_has_looked() {
    let world = World::new();
    let described = json!({"rewards": [{"trigger": "recurring", "percent_bps": 2000}]});
    world.program_with(&world.keys.sk_test, "anna", described);
    let connection = world.stripe_connection(&world.keys.sk_test);
    let click_id = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(MINUTE_MS);
    let s = world.now().seconds();
    let email = json!({"email": "anna@partner.test"});
    let session = json!({"mode": "subscription", "payment_intent": null, "subscription": "sub_1", "invoice": "in_1",
        "customer": "cus_1", "client_reference_id": click_id, "customer_details": email});
    let details = json!({"type": "subscription_details",
        "subscription_details": {"subscription": "sub_1", "metadata": {}}});
    let renewal = |n: i64| {
        let more = json!({"billing_reason": "subscription_cycle", "parent": details, "customer": "cus_1"});
        invoice_paid(&n.to_string(), s + n * 86_400, false, more)
    };
    let take = |event: &Json| {
        world.pass_ms(1_000);
        world.stripe(&connection, event);
        world.deliver();
        world.sweep();
    };
    let states = || {
        world.pass_ms(1);
        let list = world.api("GET /api/v1/commissions", json!(null));
        let rows = list.body["data"].as_array().unwrap().clone();
        rows.iter().rev().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    take(&session_completed("1", s, session));
    take(&invoice_paid("1", s, false, json!({"customer_email": "anna@partner.test"})));
    take(&renewal(2));
    world.pass_ms(3 * DAY_MS);
    world.sweep();
    assert_eq!(states(), ["pending", "pending"]);
    let list = world.api("GET /api/v1/commissions", json!(null));
    let first = list.text("/data/1/id");
    world.api(&format!("POST /api/v1/commissions/{first}/approve"), json!(null));
    take(&renewal(3));
    world.pass_ms(4 * DAY_MS);
    world.sweep();
    assert_eq!(states(), ["approved", "approved", "approved"]);
}

#[test]
fn a_throw_away_address_is_shown_whichever_way_it_comes() {
    let shop = shop(json!({}));
    let made = shop.buy("t1", json!({"prospect_email": "x@MX.throwaway.test"}));
    assert_eq!(shop.alerts(&made), ["disposable_email flag"]);
    let world = &shop.world;
    let connection = world.stripe_connection(&world.keys.sk_test);
    let click_id = shop.click();
    world.pass_ms(MINUTE_MS);
    let more = json!({"client_reference_id": click_id, "customer_details": {"email": "y@throwaway.test"}});
    world.stripe(&connection, &session_completed("1", world.now().seconds(), more));
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM fraud_alerts WHERE rule = 'disposable_email'"), 2);
}

#[test]
fn a_lead_and_then_a_purchase_of_one_customer_are_no_repeat() {
    let shop = shop(json!({}));
    let lead = json!({"customer_external_id": "7", "amount_cents": 0, "event_type": "lead"});
    shop.buy("t1", lead);
    let sale = shop.buy("t2", json!({"customer_external_id": "7"}));
    assert_eq!(shop.alerts(&sale), [""; 0]);
}

#[test]
fn much_that_is_given_back_is_remarkable() {
    let shop = shop(json!({"high_refund_rate": "hold"}));
    for n in 0..10 {
        let made = shop.buy(&format!("t{n}"), json!({}));
        if n < 3 {
            let line = format!("POST /api/v1/conversions/{}/refunds", made.text("/id"));
            shop.world.api(&line, json!({"external_refund_id": "r", "amount_cents": 1_000}));
        }
    }
    let next = shop.buy("t10", json!({}));
    assert_eq!(shop.alerts(&next), ["high_refund_rate hold"]);
    assert_eq!(shop.commission(&next), ("pending".to_owned(), true));
}

#[test]
fn an_address_that_stripe_tells_later_is_looked_at_too_and_a_replay_of_the_event_tells_nothing_twice() {
    let shop = shop(json!({}));
    let world = &shop.world;
    let connection = world.stripe_connection(&world.keys.sk_test);
    let click_id = shop.click();
    world.pass_ms(MINUTE_MS);
    let made = shop.report("pi_1", &click_id, json!({}));
    assert_eq!(shop.alerts(&made), [""; 0]);
    let session = json!({"customer_details": {"email": "anna@partner.test"}, "amount_total": 1_000});
    for n in 0..2 {
        let mut event = session_completed("1", world.now().seconds(), session.clone());
        event["id"] = json!(format!("evt_{n}"));
        world.stripe(&connection, &event);
        world.deliver();
    }
    assert_eq!(shop.alerts(&made), ["self_referral hold"]);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'conversion.fraud_detected'"), 1);
    // It was approved before anybody could know.
    assert_eq!(shop.commission(&made), ("approved".to_owned(), false));
}

#[test]
fn an_alert_is_dismissed_once_and_belongs_to_its_workspace() {
    let shop = shop(json!({}));
    let made = shop.buy("t1", json!({"prospect_email": "anna@partner.test"}));
    let list = shop.world.api("GET /api/v1/fraud-alerts?status=open", json!(null));
    let id = list.text("/data/0/id");
    assert_eq!(list.text("/data/0/participant_id"), shop.participant);
    let line = format!("POST /api/v1/fraud-alerts/{id}/dismiss");
    let foreign = shop.world.workspace("Second");
    assert_eq!(shop.world.api_as(&foreign.sk_test, &line, json!(null)).summary(), "404 NOT_FOUND");
    assert_eq!(shop.world.api(&line, json!(null)).text("/status"), "dismissed");
    assert_eq!(shop.world.api(&line, json!(null)).summary(), "409 CONFLICT");
    assert_eq!(shop.world.db.count("SELECT count(*) FROM acts WHERE kind = 'fraud_alert.dismiss'"), 1);
    assert_eq!(shop.commission(&made).0, "pending");
}

#[test]
fn a_programs_policy_is_checked_and_changed() {
    let shop = shop(json!({}));
    let wrong = shop
        .world
        .api("POST /api/v1/programs", json!({"name": "x", "fraud": {"self_referral": "shoot", "weather": "flag"}}));
    assert_eq!(wrong.summary(), "400 VALIDATION_ERROR");
    assert_eq!(wrong.body["error"]["details"].as_array().map(Vec::len), Some(2));
    let programs = shop.world.api("GET /api/v1/programs", json!(null));
    let line = format!("PATCH /api/v1/programs/{}", programs.text("/data/0/id"));
    let changed = shop.world.api(&line, json!({"fraud": {"self_referral": "flag"}}));
    assert_eq!(changed.body["fraud"]["self_referral"], "flag");
    let made = shop.buy("t1", json!({"prospect_email": "anna@partner.test"}));
    assert_eq!(shop.alerts(&made), ["self_referral flag"]);
    assert_eq!(shop.commission(&made), ("approved".to_owned(), false));
}
