//! Leads and sales as clients of Traaaction report them: contract, section 11.

use std::sync::atomic::Ordering;

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use crate::replay::{self, Wanted};
use crate::store::{Scope, customers};
use crate::testing::{Answer, NextWrite, OPERATOR_TOKEN, Program, Visitor, World, invoice_paid, session_completed};

const LEAD: &str = "POST /api/track/lead";
const SALE: &str = "POST /api/track/conversion";
const PAGE: &str = "https://shop.test";

/// A program with a lead reward of 5 EUR and a sale reward of 20 %, in both modes; `anna` is test mode's link, `live-anna` live mode's.
struct Town {
    world: World,
    test: Program,
    click: String,
}

fn town() -> Town {
    let world = World::new();
    let rewards = json!([
        {"trigger": "lead", "flat": {"amount_cents": 500, "currency": "EUR"}},
        {"trigger": "sale", "percent_bps": 2000},
        {"trigger": "recurring", "percent_bps": 1000},
    ]);
    let test = world.program_with(&world.keys.sk_test, "anna", json!({"rewards": rewards}));
    world.program_with(&world.keys.sk_live, "live-anna", json!({"rewards": rewards}));
    let click = world.click(&world.keys.pk_test, "anna");
    world.pass_ms(MINUTE_MS);
    Town { world, test, click }
}

impl Town {
    /// With a secret key of test mode.
    fn secret(&self, line: &str, body: &Json) -> Answer {
        self.world.api(line, body.clone())
    }

    /// With a public key of test mode.
    fn public(&self, line: &str, body: &Json) -> Answer {
        self.world.send(line, &[("x-publishable-key", &self.world.keys.pk_test)], body.clone())
    }

    fn lead(&self, more: Json) -> Json {
        with(json!({"eventName": "sign_up", "customerExternalId": "c_1", "clickId": self.click}), more)
    }

    fn sale(&self, more: Json) -> Json {
        with(json!({"customerExternalId": "c_1", "amount": 5_900, "clickId": self.click}), more)
    }

    fn data(&self, path: &str) -> Vec<Json> {
        let answer = self.world.api(&format!("GET /api/v1/{path}"), json!(null));
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        answer.body["data"].as_array().unwrap().clone()
    }

    /// Every decision and every sale comes out as it stands.
    fn is_replayed(&self) {
        let report = pollster::block_on(replay::all(&self.world.app, &Wanted::everything())).unwrap();
        assert!(report.differences.is_empty(), "{:?}", report.differences);
    }

    /// Each conversion with what it earned: `lead_api sign_up 0 attributed_click: 500 approved []`.
    fn books(&self) -> Vec<String> {
        let commissions = self.data("commissions");
        let told = |conversion: Json| {
            let id = &conversion["id"];
            let of = commissions.iter().filter(|one| one["conversion_id"] == *id);
            let earned: Vec<String> =
                of.map(|one| format!("{} {} {}", one["amount_cents"], one["state"], one["review_reasons"])).collect();
            let reason = &conversion["attribution"]["reason"];
            format!(
                "{} {} {} {reason}: {}",
                conversion["source"],
                conversion["event_type"],
                conversion["amount_cents"],
                earned.join(", ")
            )
            .replace('"', "")
        };
        self.data("conversions").into_iter().map(told).collect()
    }
}

fn with(mut body: Json, more: Json) -> Json {
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

/// The customer's binding, by the merchant's id.
fn bound(town: &Town, customer: &str) -> Json {
    town.data(&format!("customers?external_id={customer}"))
        .first()
        .map_or(Json::Null, |one| one["participant_id"].clone())
}

#[test]
fn a_lead_with_a_secret_key_is_a_conversion_that_earns_the_lead_reward() {
    let town = town();
    let body =
        town.lead(json!({"customerEmail": "Ann@Example.com", "customerName": "Ann", "metadata": {"plan": "pro"}}));
    let answer = town.secret(LEAD, &body);
    assert_eq!(answer.status, 200, "{}", answer.raw);
    let told = &answer.body;
    let expected = json!({
        "success": true,
        "customer": {"id": told["customer"]["id"], "externalId": "c_1", "email": "Ann@Example.com", "name": "Ann"},
        "lead": {
            "id": told["lead"]["id"], "mode": "test", "eventName": "sign_up", "customerExternalId": "c_1", "clickId": town.click,
            "externalTransactionId": told["lead"]["externalTransactionId"], "createdAt": "2026-06-01T12:01:00.000Z",
            "attribution": {"status": "attributed", "reason": "attributed_click", "programId": town.test.program_id,
                "participantId": town.test.participant_id},
            "commissionId": told["lead"]["commissionId"],
        },
    });
    assert_eq!(told, &expected);
    assert!(told["customer"]["id"].as_str().unwrap().starts_with("cust_"), "{told}");
    assert_eq!(answer.header("x-ratelimit-limit"), "300");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(town.books(), ["lead_api sign_up 0 attributed_click: 500 approved []"]);
    let conversion = town.data("conversions").remove(0);
    assert_eq!((&conversion["id"], &conversion["metadata"]), (&told["lead"]["id"], &json!({"plan": "pro"})));
    assert_eq!(bound(&town, "c_1"), json!(town.test.participant_id));
    // Neither the address nor the name is kept anywhere.
    for (table, columns) in
        [("facts", "body"), ("conversions", "metadata || stripe"), ("decisions", "inputs"), ("events", "data")]
    {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE lower({columns}) LIKE '%example.com%' OR {columns} LIKE '%Ann%'"
        );
        assert_eq!(town.world.db.count(&sql), 0, "{table}");
    }
}

#[test]
fn a_lead_is_one_for_each_customer_and_event_and_a_repeat_answers_with_the_first() {
    let town = town();
    let first = town.secret(LEAD, &town.lead(json!({})));
    town.world.pass_ms(DAY_MS);
    for more in
        [json!({}), json!({"customerEmail": "x@y.test"}), json!({"clickId": null}), json!({"metadata": {"a": 1}})]
    {
        let again = town.secret(LEAD, &town.lead(more.clone()));
        assert_eq!((again.status.as_u16(), &again.body["duplicate"]), (200, &json!(true)), "{more}");
        assert_eq!(again.body["lead"], first.body["lead"], "{more}");
    }
    assert_eq!(first.body.get("duplicate"), None);
    for more in
        [json!({"eventName": "demo_booked"}), json!({"eventName": "Sign_up"}), json!({"customerExternalId": "c_2"})]
    {
        let other = town.secret(LEAD, &town.lead(more.clone()));
        assert_eq!((other.status.as_u16(), other.body.get("duplicate")), (200, None), "{more}");
    }
    assert_eq!(town.books().len(), 4);
}

#[test]
fn what_anybody_could_have_said_waits_for_a_person() {
    let town = town();
    assert_eq!(town.public(LEAD, &town.lead(json!({}))).status, 200);
    town.world.pass_ms(1);
    assert_eq!(town.public(SALE, &town.sale(json!({}))).status, 200);
    town.world.pass_ms(DAY_MS);
    town.world.sweep();
    assert_eq!(
        town.books(),
        [
            "lead_api Purchase 5900 attributed_click: 1180 pending [unauthenticated]",
            "lead_api sign_up 0 attributed_click: 500 pending [unauthenticated]",
        ]
    );
    for commission in town.data("commissions") {
        assert_eq!(commission["needs_review"], true);
        let line = format!("POST /api/v1/commissions/{}/approve", commission["id"].as_str().unwrap());
        assert_eq!(town.world.api(&line, json!(null)).text("/state"), "approved");
    }
    town.is_replayed();
}

#[test]
fn nobody_in_particular_is_told_nothing_of_a_customer_but_what_they_said() {
    let town = town();
    town.secret(
        LEAD,
        &town.lead(json!({"customerEmail": "ann@example.com", "customerName": "Ann", "metadata": {"plan": "pro"}})),
    );
    town.secret(SALE, &town.sale(json!({"externalTransactionId": "order-1"})));
    let again = town.public(LEAD, &json!({"eventName": "sign_up", "customerExternalId": "c_1"}));
    let id = again.body["lead"]["id"].clone();
    assert_eq!(
        again.body,
        json!({
            "success": true, "customer": {"externalId": "c_1"}, "duplicate": true,
            "lead": {"id": id, "mode": "test", "eventName": "sign_up", "customerExternalId": "c_1"},
        })
    );
    let sale = json!({"customerExternalId": "guess", "amount": 1, "externalTransactionId": "order-1"});
    let again = town.public(SALE, &sale);
    let id = again.body["conversion"]["id"].clone();
    assert_eq!(
        again.body,
        json!({
            "success": true, "duplicate": true,
            "conversion": {"id": id, "mode": "test", "eventName": "Purchase", "currency": "EUR", "externalTransactionId": "order-1"},
        })
    );
    // A new one is told back as it was said.
    let own = town.public(SALE, &town.sale(json!({"amount": 700, "currency": "usd", "eventName": "Upgrade"})));
    assert_eq!(
        own.body["conversion"],
        json!({"id": own.body["conversion"]["id"], "mode": "test", "eventName": "Upgrade", "customerExternalId": "c_1",
            "clickId": town.click, "amount": 700, "currency": "USD"})
    );
}

#[test]
fn a_sale_of_a_customer_won_before_is_attributed_without_a_click() {
    let town = town();
    town.secret(LEAD, &town.lead(json!({})));
    town.world.pass_ms(60 * DAY_MS);
    let sale = town.secret(SALE, &json!({"customerExternalId": "c_1", "amount": 10_000}));
    let told = &sale.body["conversion"];
    assert_eq!((sale.status.as_u16(), &sale.body["success"]), (200, &json!(true)), "{}", sale.raw);
    assert_eq!(
        [&told["amount"], &told["currency"], &told["eventName"]],
        [&json!(10_000), &json!("EUR"), &json!("Purchase")]
    );
    assert_eq!(town.books()[0], "lead_api Purchase 10000 attributed_customer: 2000 approved []");
    // Of nobody known, nothing says who is to be credited.
    let nobody = town.secret(SALE, &json!({"customerExternalId": "c_9", "amount": 10_000}));
    assert_eq!(nobody.summary(), "422 NO_ATTRIBUTION_SIGNAL");
    assert_eq!(town.books().len(), 2);
}

#[test]
fn a_sale_of_nothing_is_a_lead() {
    let town = town();
    town.secret(SALE, &town.sale(json!({"amount": 0, "eventName": "trial"})));
    assert_eq!(town.books(), ["lead_api trial 0 attributed_click: 500 approved []"]);
}

#[test]
fn without_a_transaction_the_same_body_within_ten_minutes_is_the_same_sale() {
    let town = town();
    let body = town.sale(json!({}));
    let is_new = |body: &Json| {
        let answer = town.secret(SALE, body);
        assert_eq!(answer.status, 200, "{}", answer.raw);
        answer.body.get("duplicate").is_none()
    };
    // Wherever in ten aligned minutes the first comes.
    for offset_ms in [0, 1, 4 * MINUTE_MS, 10 * MINUTE_MS - 1] {
        let into = town.world.now().ms().rem_euclid(10 * MINUTE_MS);
        town.world.pass_ms(20 * MINUTE_MS - into + offset_ms);
        assert!(is_new(&body), "{offset_ms}");
        for step_ms in [1, MINUTE_MS, 9 * MINUTE_MS - 1] {
            town.world.pass_ms(step_ms);
            assert!(!is_new(&body), "{offset_ms} {step_ms}");
        }
        // Exactly ten minutes have passed.
        town.world.pass_ms(1);
        assert!(is_new(&body), "{offset_ms}");
        assert!(!is_new(&body), "{offset_ms}");
    }
    assert_eq!(town.books().len(), 8);
    for more in [
        json!({"amount": 5_901}),
        json!({"currency": "USD"}),
        json!({"eventName": "Upgrade"}),
        json!({"customerExternalId": "c_2"}),
        json!({"externalTransactionId": "t_1"}),
    ] {
        assert!(is_new(&town.sale(more.clone())), "{more}");
    }
    // What is said by default is the same as what is said.
    assert!(!is_new(
        &town
            .sale(json!({"currency": "eur", "eventName": "Purchase", "clickId": town.click.to_uppercase(), "more": 1}))
    ));
}

#[test]
fn a_transaction_is_one_sale_whichever_way_it_comes_in() {
    let town = town();
    let first = town.secret(SALE, &town.sale(json!({"externalTransactionId": "order-1"})));
    town.world.pass_ms(DAY_MS);
    let again = town.secret(SALE, &town.sale(json!({"externalTransactionId": "order-1", "amount": 1})));
    assert_eq!((&again.body["duplicate"], &again.body["conversion"]), (&json!(true), &first.body["conversion"]));
    let report = json!({"external_transaction_id": "order-1", "event_type": "purchase", "click_id": town.click});
    let refused = town.secret("POST /api/v1/conversions", &report);
    assert_eq!(refused.summary(), "409 CONVERSION_DUPLICATE");
    assert_eq!(refused.body["error"]["conversion_id"], first.body["conversion"]["id"]);
    // And the other way round.
    let report = with(report, json!({"external_transaction_id": "order-2"}));
    let first = town.secret("POST /api/v1/conversions", &report);
    let again = town.secret(SALE, &town.sale(json!({"externalTransactionId": "order-2"})));
    assert_eq!((&again.body["duplicate"], &again.body["conversion"]["id"]), (&json!(true), &first.body["id"]));
    assert_eq!(town.books().len(), 2);
}

#[test]
fn what_anybody_said_gives_way_to_whoever_has_a_secret() {
    let town = town();
    town.world.program(&town.world.keys.sk_test, "mallory");
    let theirs = town.world.click(&town.world.keys.pk_test, "mallory");
    let guess =
        json!({"customerExternalId": "c_7", "amount": 100, "clickId": theirs, "externalTransactionId": "order-1"});
    let first = town.public(SALE, &guess);
    assert_eq!(first.status, 200);
    let report = json!({"external_transaction_id": "order-1", "event_type": "purchase", "amount_cents": 10_000, "currency": "EUR",
        "click_id": town.click, "customer_external_id": "c_1"});
    let taken = town.secret("POST /api/v1/conversions", &report);
    assert_eq!((taken.status.as_u16(), &taken.body["id"]), (201, &first.body["conversion"]["id"]), "{}", taken.raw);
    assert_eq!([&taken.body["source"], &taken.body["customer_external_id"]], ["api", "c_1"]);
    assert_eq!(taken.body["attribution"]["participant_id"], json!(town.test.participant_id));
    assert_eq!(town.books()[0].matches("2000 approved []").count(), 1, "{:?}", town.books());
    assert_eq!(town.books()[0].matches("0 reversed").count(), 1, "{:?}", town.books());
    // From then on it is as reported.
    assert_eq!(town.secret("POST /api/v1/conversions", &report).summary(), "409 CONVERSION_DUPLICATE");
    assert_eq!(town.public(SALE, &guess).body["duplicate"], true);
    // The same of a lead.
    let lead = town.lead(json!({"customerExternalId": "c_8"}));
    town.public(LEAD, &with(lead.clone(), json!({"clickId": theirs})));
    let taken = town.secret(LEAD, &lead);
    assert_eq!(
        (taken.body.get("duplicate"), &taken.body["lead"]["attribution"]["participantId"]),
        (None, &json!(town.test.participant_id))
    );
    assert_eq!(town.secret(LEAD, &lead).body["duplicate"], true);
    town.is_replayed();
}

#[test]
fn what_rests_on_a_binding_that_anybody_could_have_made_waits_too_until_somebody_vouches_for_it() {
    let town = town();
    town.public(LEAD, &town.lead(json!({})));
    let order = |number: u32| {
        let body = json!({"external_transaction_id": format!("t_{number}"), "event_type": "purchase", "amount_cents": 10_000,
            "currency": "EUR", "customer_external_id": "c_1"});
        town.world.pass_ms(1_000);
        assert_eq!(town.secret("POST /api/v1/conversions", &body).status, 201);
        town.books().remove(0)
    };
    assert_eq!(order(1), "api purchase 10000 attributed_customer: 2000 pending [unauthenticated]");
    let lead = town.data("commissions").pop().unwrap();
    let line = format!("POST /api/v1/commissions/{}/approve", lead["id"].as_str().unwrap());
    assert_eq!(town.world.api(&line, json!(null)).text("/state"), "approved");
    assert_eq!(order(2), "api purchase 10000 attributed_customer: 2000 approved []");
    let scope = Scope { workspace_id: WorkspaceId::make(town.world.now(), [1; 10]), mode: Mode::Test };
    let plan = town.world.db.plan(customers::vouch_for(&scope, "x").sql());
    assert!(!plan.contains("SCAN"), "{plan}");
    // A click that a secret names vouches as well.
    town.public(LEAD, &town.lead(json!({"customerExternalId": "c_2"})));
    town.secret(SALE, &town.sale(json!({"customerExternalId": "c_2", "amount": 100})));
    town.world.pass_ms(1);
    let sale = town.secret(SALE, &json!({"customerExternalId": "c_2", "amount": 200}));
    assert_eq!(sale.body["conversion"]["attribution"]["reason"], "attributed_customer");
    assert_eq!(town.books()[0], "lead_api Purchase 200 attributed_customer: 40 approved []");
    town.is_replayed();
}

#[test]
fn a_deferred_lead_binds_the_customer_and_makes_no_conversion() {
    let town = town();
    let deferred = town.lead(json!({"mode": "deferred", "customerEmail": "ann@example.com"}));
    let answer = town.secret(LEAD, &deferred);
    let id = answer.body["customer"]["id"].clone();
    let customer = json!({"id": id, "externalId": "c_1", "email": "ann@example.com"});
    assert_eq!(answer.body, json!({"success": true, "deferred": true, "customer": customer}));
    assert_eq!((town.books().len(), bound(&town, "c_1")), (0, json!(town.test.participant_id)));
    let listed = town.data("customers").remove(0);
    assert_eq!((&listed["id"], &listed["bound_by"]), (&id, &Json::Null));
    // The decision is kept, with what it looked at.
    let decision = town.data("attribution-audit").remove(0);
    assert_eq!(
        [&decision["conversion_id"], &decision["refused"], &decision["reason"]],
        [&json!(null), &json!(null), &json!("attributed_click")]
    );
    // A repeat changes nothing.
    assert_eq!(town.secret(LEAD, &deferred).body, answer.body);
    assert_eq!(town.world.db.count("SELECT count(*) FROM decisions"), 1);
    // What comes later names no click, and needs none: the lead itself, and a sale.
    town.world.pass_ms(60 * DAY_MS);
    let lead = town.secret(LEAD, &json!({"eventName": "sign_up", "customerExternalId": "c_1", "clickId": ""}));
    assert_eq!(lead.body["lead"]["attribution"]["reason"], "attributed_customer", "{}", lead.raw);
    town.world.pass_ms(1);
    town.secret(SALE, &json!({"customerExternalId": "c_1", "amount": 100}));
    assert_eq!(
        town.books(),
        [
            "lead_api Purchase 100 attributed_customer: 20 approved []",
            "lead_api sign_up 0 attributed_customer: 500 approved []"
        ]
    );
    // After the lead there is nothing to defer.
    let after = town.secret(LEAD, &deferred);
    assert_eq!(
        (&after.body["deferred"], after.body.get("lead"), after.body.get("duplicate")),
        (&json!(true), None, None)
    );
    town.is_replayed();
}

#[test]
fn a_deferred_lead_of_nobody_in_particular_binds_until_somebody_vouches_and_one_of_an_old_click_binds_nobody() {
    let town = town();
    let answer = town.public(LEAD, &town.lead(json!({"mode": "deferred"})));
    assert_eq!(answer.body, json!({"success": true, "deferred": true, "customer": {"externalId": "c_1"}}));
    town.secret(SALE, &json!({"customerExternalId": "c_1", "amount": 100}));
    assert_eq!(town.books(), ["lead_api Purchase 100 attributed_customer: 20 pending [unauthenticated]"]);
    town.world.pass_ms(31 * DAY_MS);
    let old = town.lead(json!({"mode": "deferred", "customerExternalId": "c_2"}));
    assert_eq!(town.secret(LEAD, &old).body["deferred"], true);
    assert_eq!(bound(&town, "c_2"), json!(null));
    assert_eq!(town.data("attribution-audit")[0]["reason"], "window_expired");
    // A click that counts binds whom an old one did not.
    let new = with(old, json!({"clickId": town.world.click(&town.world.keys.pk_test, "anna")}));
    town.secret(LEAD, &new);
    assert_eq!(bound(&town, "c_2"), json!(town.test.participant_id));
    // Without any signal there is nothing to bind to.
    let nothing = json!({"mode": "deferred", "eventName": "x", "customerExternalId": "c_3"});
    assert_eq!(town.secret(LEAD, &nothing).summary(), "422 NO_ATTRIBUTION_SIGNAL");
    assert_eq!(bound(&town, "c_3"), json!(null));
}

#[test]
fn two_deferred_leads_at_once_bind_the_customer_once() {
    let town = town();
    town.world.program(&town.world.keys.sk_test, "bert");
    let other = town.world.click(&town.world.keys.pk_test, "bert");
    let deferred = town.lead(json!({"mode": "deferred"}));
    town.world.before_next_write(LEAD, with(deferred.clone(), json!({"clickId": other})));
    assert_eq!(town.secret(LEAD, &deferred).status, 200);
    assert_ne!(bound(&town, "c_1"), json!(town.test.participant_id));
    assert_eq!(town.world.db.count("SELECT count(*) FROM customers"), 1);
}

#[test]
fn a_lead_between_decision_and_write_is_a_duplicate_and_so_is_one_whose_answer_was_lost() {
    let town = town();
    for (line, body) in [
        (LEAD, town.lead(json!({}))),
        (SALE, town.sale(json!({}))),
        (SALE, town.sale(json!({"externalTransactionId": "t"}))),
    ] {
        town.world.before_next_write(line, body.clone());
        assert_eq!(town.secret(line, &body).body["duplicate"], true, "{line}");
    }
    assert_eq!(town.books().len(), 3);
    // At the border of two spans of ten minutes.
    let into = town.world.now().ms().rem_euclid(10 * MINUTE_MS);
    town.world.pass_ms(20 * MINUTE_MS - into - 1);
    let body = town.sale(json!({"customerExternalId": "c_5"}));
    assert_eq!(town.secret(SALE, &body).body.get("duplicate"), None);
    town.world.pass_ms(2);
    assert_eq!(town.secret(SALE, &body).body["duplicate"], true);
    for (line, body) in [
        (LEAD, town.lead(json!({"customerExternalId": "c_6"}))),
        (SALE, town.sale(json!({"customerExternalId": "c_6"}))),
    ] {
        town.world.db.next_write(NextWrite::LandsButReportsFailure);
        assert_eq!(town.secret(line, &body).summary(), "503 UNAVAILABLE");
        assert_eq!(town.secret(line, &body).body["duplicate"], true);
        town.world.db.next_write(NextWrite::IsLost);
        let other = with(body, json!({"customerExternalId": "c_7"}));
        assert_eq!(town.secret(line, &other).summary(), "503 UNAVAILABLE");
        assert_eq!(town.secret(line, &other).body.get("duplicate"), None);
    }
}

#[test]
fn a_click_that_cannot_be_credited_is_recorded_with_its_reason() {
    let town = town();
    let other = town.world.workspace("Second");
    town.world.program(&other.sk_test, "theirs");
    let (unknown, foreign) = (uuid(), town.world.click(&other.pk_test, "theirs"));
    let live = town.world.click(&town.world.keys.pk_live, "live-anna");
    let check = |click: &str, customer: &str, expected: &str| {
        for (line, body) in [(LEAD, town.lead(json!({}))), (SALE, town.sale(json!({})))] {
            let answer = town.secret(line, &with(body, json!({"clickId": click, "customerExternalId": customer})));
            let of = if line == LEAD { "/lead/attribution/reason" } else { "/conversion/attribution/reason" };
            let told = if answer.status == 200 { answer.text(of) } else { answer.summary() };
            assert_eq!(told, expected, "{line} {click}");
        }
    };
    check(&unknown, "c_1", "click_not_found");
    check(&foreign, "c_2", "click_not_found");
    // As old cookies hold them.
    check("clk_1704067200_a1b2c3d4e5f67890", "c_3", "click_not_found");
    check(&live, "c_4", "422 MODE_MISMATCH");
    check("", "c_5", "422 NO_ATTRIBUTION_SIGNAL");
    town.world.pass_ms(31 * DAY_MS);
    check(&town.click, "c_6", "window_expired");
    // Another workspace's customer is nobody here.
    let theirs = json!({"eventName": "sign_up", "customerExternalId": "c_7", "clickId": foreign});
    assert_eq!(town.world.api_as(&other.sk_test, LEAD, theirs).status, 200);
    check("", "c_7", "422 NO_ATTRIBUTION_SIGNAL");
}

fn uuid() -> String {
    "0b0e7c2e-4a3c-4d57-9d0d-1f2a3b4c5d6e".to_owned()
}

#[test]
fn whoever_calls_is_judged_by_what_they_send_and_in_live_mode_without_a_key() {
    let town = town();
    let world = &town.world;
    let keys = &world.keys;
    let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
    let (pk, sk, bearer_pk) =
        (keys.pk_test.as_str(), format!("Bearer {}", keys.sk_test), format!("Bearer {}", keys.pk_test));
    let strange = format!("pk_live_{}", "z".repeat(32));
    let customer = std::cell::Cell::new(0);
    let check = |headers: &[(&str, &str)], expected: &str| {
        customer.set(customer.get() + 1);
        let name = format!("n_{}", customer.get());
        let body = json!({"eventName": "sign_up", "customerExternalId": name, "clickId": uuid()});
        for line in [LEAD, "POST /_s/api/track/lead"] {
            let answer = world.send(line, headers, body.clone());
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            let told = if answer.status == 200 { answer.text("/lead/mode") } else { answer.summary() };
            assert_eq!(told, expected, "{headers:?} {}", answer.raw);
        }
        let sale = json!({"customerExternalId": name, "clickId": uuid(), "amount": 1});
        let answer = world.send(SALE, headers, sale);
        let told = if answer.status == 200 { answer.text("/conversion/mode") } else { answer.summary() };
        assert_eq!(told, expected, "{headers:?}");
    };
    const UNKNOWN: &str = "401 INVALID_API_KEY";
    check(&[("x-publishable-key", pk)], "test");
    check(&[("authorization", &bearer_pk)], "test");
    check(&[("authorization", &sk)], "test");
    check(&[("origin", PAGE)], "live");
    // Whoever sends a credential is judged by it.
    check(&[("x-publishable-key", &keys.sk_test), ("origin", PAGE)], UNKNOWN);
    check(&[("x-publishable-key", "pk_x"), ("authorization", &sk)], UNKNOWN);
    check(&[("x-publishable-key", &strange), ("origin", PAGE)], UNKNOWN);
    check(&[("authorization", "Basic dTpw"), ("origin", PAGE)], UNKNOWN);
    check(&[("authorization", "Bearer "), ("x-workspace-id", &workspace)], UNKNOWN);
    check(&[("x-publishable-key", pk), ("authorization", "Bearer x")], "test");
    check(&[], UNKNOWN);
    for origin in ["null", "https://other.test", "https://www.shop.test", "http://shop.test", "shop.test"] {
        check(&[("origin", origin)], UNKNOWN);
    }
    // An id suffices where an owner said so, and not before.
    check(&[("x-workspace-id", &workspace), ("origin", PAGE)], "403 FORBIDDEN");
    world.pass_ms(MINUTE_MS);
    for wrong in ["ws_x", "", &workspace[1..], &format!("{workspace} "), "ws_00000000000000000000000000"] {
        let expected = if wrong.trim() == workspace { "403 FORBIDDEN" } else { UNKNOWN };
        if !wrong.is_empty() {
            check(&[("x-workspace-id", wrong)], expected);
        }
    }
    world.pass_ms(MINUTE_MS);
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let owners = format!("POST /operator/v1/workspaces/{workspace}/owners");
    world.send(&owners, &[("authorization", &operator)], json!({"owner_email": "owner@shop.test"}));
    let owner = Visitor::signed_in(world, "owner@shop.test");
    let set = |to: Json| owner.api(&workspace, "PATCH /api/v1/workspace", json!({"track_by_workspace_id": to}));
    assert_eq!(set(json!("yes")).summary(), "400 VALIDATION_ERROR");
    assert_eq!(set(json!(true)).body["track_by_workspace_id"], true);
    check(&[("x-workspace-id", &workspace)], "live");
    let live = world.api_as(&keys.sk_live, "GET /api/v1/conversions", json!(null));
    let sources: Vec<&Json> = live.body["data"].as_array().unwrap().iter().map(|one| &one["source"]).collect();
    assert_eq!(sources, [&json!("lead_api"); 4]);
    assert_eq!(set(json!(false)).body["track_by_workspace_id"], false);
    // Within a minute everywhere.
    world.pass_ms(MINUTE_MS);
    check(&[("x-workspace-id", &workspace)], "403 FORBIDDEN");
}

#[test]
fn every_refusal_says_that_it_did_not_succeed_and_why() {
    let town = town();
    let (world, pk) = (&town.world, town.world.keys.pk_test.as_str());
    let check = |line: &str, headers: &[(&str, &str)], body: &[u8], expected: &str| {
        let headers: Vec<_> = headers.iter().copied().chain([("x-request-id", "req-7")]).collect();
        let answer = world.send_bytes(line, &headers, body.to_vec());
        assert_eq!(answer.summary(), expected, "{line} {}", answer.raw);
        let told = answer.body.as_object().unwrap();
        assert_eq!((&told["success"], &told["request_id"]), (&json!(false), &json!("req-7")), "{line}");
        assert!(told["error"].as_str().is_some_and(|why| !why.is_empty()), "{line} {}", answer.raw);
        assert_eq!((answer.header("x-request-id"), answer.header("content-type")), ("req-7", "application/json"));
        answer
    };
    let key = ("x-publishable-key", pk);
    for path in ["/api/track/lead", "/_s/api/track/lead", "/api/track/conversion"] {
        let line = format!("POST {path}");
        check(&line, &[], b"{}", "401 INVALID_API_KEY");
        check(&line, &[key], &[b' '; 70_000], "413 PAYLOAD_TOO_LARGE");
        check(&line, &[key, ("content-type", "text/plain")], b"{", "415 UNSUPPORTED_MEDIA_TYPE");
        check(&line, &[key], b"{", "400 VALIDATION_ERROR");
        check(&line, &[key], b"[]", "400 VALIDATION_ERROR");
        let missing = check(&line, &[key], b"{}", "400 VALIDATION_ERROR");
        assert_eq!(missing.body["details"].as_array().map(Vec::len), Some(2), "{}", missing.raw);
        let wrong = check(&format!("GET {path}"), &[key], b"", "405 METHOD_NOT_ALLOWED");
        assert!(wrong.header("allow").contains("POST"), "{}", wrong.header("allow"));
    }
    check("POST /api/track/nothing", &[key], b"{}", "404 NOT_FOUND");
    check("POST /api/track/", &[key], b"{}", "404 NOT_FOUND");
    check("POST /api/track/%FF", &[key], b"{}", "404 NOT_FOUND");
    check("POST http://api.selgeo.test/api/track/lead", &[key], b"{}", "403 HTTPS_REQUIRED");
    let nothing =
        check(LEAD, &[key], b"{\"eventName\":\"x\",\"customerExternalId\":\"c\"}", "422 NO_ATTRIBUTION_SIGNAL");
    assert_eq!(
        nothing.text("/error"),
        "Send clickId, or the customerExternalId of a customer already credited to a partner."
    );
    let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
    let off = check(LEAD, &[("x-workspace-id", &workspace)], b"{}", "403 FORBIDDEN");
    assert!(off.text("/error").contains("under Settings"), "{}", off.raw);
    world.limiter.no_strangers.store(true, Ordering::SeqCst);
    let many =
        check(LEAD, &[("x-publishable-key", &format!("pk_test_{}", "z".repeat(32)))], b"{}", "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(many.header("retry-after"), "60");
    // Who is known is not refused for what strangers do.
    check(LEAD, &[key], b"{}", "400 VALIDATION_ERROR");
    world.db.is_down.store(true, Ordering::SeqCst);
    let body = town.lead(json!({})).to_string();
    check(LEAD, &[key], body.as_bytes(), "503 UNAVAILABLE");
    world.db.is_down.store(false, Ordering::SeqCst);
    // Elsewhere errors are as they were.
    assert_eq!(world.send("POST /api/tracks", &[], json!({})).body["error"]["code"], "NOT_FOUND");
}

#[test]
fn a_field_is_refused_where_it_is_no_good() {
    let town = town();
    let check = |line: &str, more: Json, field: &str| {
        let body = if line == LEAD { town.lead(more.clone()) } else { town.sale(more.clone()) };
        let answer = town.secret(line, &body);
        let told = answer.text("/details/0/field");
        assert_eq!((answer.summary().as_str(), told.as_str()), ("400 VALIDATION_ERROR", field), "{line} {more}");
    };
    let long = "x".repeat(256);
    for line in [LEAD, SALE] {
        for wrong in [json!(null), json!(""), json!(7), json!(long), json!("a\u{0}b"), json!({})] {
            check(line, json!({"customerExternalId": wrong}), "customerExternalId");
        }
        for wrong in [json!(7), json!("nonsense"), json!(long), json!([]), json!("clk")] {
            check(line, json!({"clickId": wrong}), "clickId");
        }
        for wrong in [json!(7), json!("x".repeat(101))] {
            check(line, json!({"eventName": wrong}), "eventName");
        }
    }
    for wrong in [json!(null), json!("")] {
        check(LEAD, json!({"eventName": wrong}), "eventName");
    }
    for wrong in [json!("nobody"), json!(7), json!(format!("{}@x.test", "x".repeat(254)))] {
        check(LEAD, json!({"customerEmail": wrong}), "customerEmail");
    }
    check(LEAD, json!({"customerName": ["Ann"]}), "customerName");
    for wrong in [json!("text"), json!([]), json!({"a": "x".repeat(20_000)})] {
        check(LEAD, json!({"metadata": wrong}), "metadata");
    }
    for wrong in [json!("later"), json!(true)] {
        check(LEAD, json!({"mode": wrong}), "mode");
    }
    for wrong in [json!(null), json!(-1), json!(1.5), json!("100"), json!(1_u64 << 53)] {
        check(SALE, json!({"amount": wrong}), "amount");
    }
    for wrong in [json!("EURO"), json!(978), json!("XXX1")] {
        check(SALE, json!({"currency": wrong}), "currency");
    }
    for wrong in [json!(7), json!(long)] {
        check(SALE, json!({"externalTransactionId": wrong}), "externalTransactionId");
    }
    // Null and nothing say nothing, and what is not known is ignored.
    let plain = json!({"clickId": town.click, "customerEmail": "", "customerName": null, "metadata": null, "mode": null, "customerAvatar": ""});
    assert_eq!(town.secret(LEAD, &town.lead(plain)).status, 200);
    let plain = json!({"currency": null, "eventName": "", "externalTransactionId": null});
    assert_eq!(town.secret(SALE, &town.sale(plain)).status, 200);
    assert_eq!(town.books().len(), 2);
}

#[test]
fn it_is_limited_per_address_and_a_strangers_calls_cost_no_quota() {
    let town = town();
    let world = &town.world;
    let left = |answer: &Answer| answer.header("x-ratelimit-remaining").parse::<u32>().unwrap();
    let first = left(&town.public(LEAD, &json!({})));
    world.send(LEAD, &[("x-publishable-key", "pk_test_x")], json!({}));
    assert_eq!(left(&town.public(SALE, &json!({}))), first - 1);
    assert_eq!(left(&town.secret(LEAD, &json!({}))), first - 2);
    // Its own mode, a page's host too, and the rest of the API from the same address.
    assert_eq!(left(&world.send(LEAD, &[("origin", PAGE)], json!({}))), first - 3);
    while town.public(LEAD, &json!({})).status != 429 {}
    let refused = town.public(SALE, &town.sale(json!({})));
    assert_eq!((refused.summary().as_str(), refused.header("retry-after")), ("429 RATE_LIMIT_EXCEEDED", "60"));
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    world.come_from("192.0.2.99");
    assert_eq!(town.public(SALE, &town.sale(json!({}))).status, 200);
    world.limiter.unreachable.store(true, Ordering::SeqCst);
    assert_eq!(town.public(SALE, &town.sale(json!({}))).summary(), "503 UNAVAILABLE");
}

#[test]
fn a_key_without_the_scope_reports_nothing() {
    let town = town();
    town.world.db.execute("UPDATE api_keys SET scopes = '[\"read\"]' WHERE kind = 'secret'").unwrap();
    town.world.pass_ms(MINUTE_MS);
    assert_eq!(town.secret(LEAD, &town.lead(json!({}))).summary(), "403 FORBIDDEN");
    town.world.db.execute("UPDATE api_keys SET scopes = '[\"conversions\"]' WHERE kind = 'secret'").unwrap();
    town.world.pass_ms(MINUTE_MS);
    assert_eq!(town.secret(LEAD, &town.lead(json!({}))).status, 200);
}

#[test]
fn a_browser_may_ask_from_anywhere() {
    let town = town();
    for line in ["OPTIONS /api/track/lead", "OPTIONS /_s/api/track/lead", "OPTIONS /api/track/conversion"] {
        let answer = town.world.send(
            line,
            &[("origin", "https://any.test"), ("access-control-request-method", "POST")],
            json!(null),
        );
        assert_eq!(answer.status, 204, "{line}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-methods"), "POST");
        assert_eq!(answer.header("access-control-max-age"), "86400");
        let allowed = answer.header("access-control-allow-headers");
        for header in ["content-type", "x-publishable-key", "x-workspace-id", "authorization"] {
            assert!(allowed.contains(header), "{line} {allowed}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[test]
fn money_given_back_after_it_was_paid_is_netted_by_the_next_payout() {
    let town = town();
    let world = &town.world;
    let live = world.keys.sk_live.clone();
    let click = world.click(&world.keys.pk_live, "live-anna");
    let sell = |number: u32, amount: i64| {
        world.pass_ms(MINUTE_MS);
        let body = json!({"customerExternalId": "c_1", "amount": amount, "clickId": click, "externalTransactionId": format!("t_{number}")});
        world.api_as(&live, SALE, body).text("/conversion/id")
    };
    let participant = world.api_as(&live, "GET /api/v1/participants", json!(null)).text("/data/0/id");
    let draft =
        || world.api_as(&live, "POST /api/v1/payouts", json!({"participant_id": participant, "currency": "EUR"}));
    let first = sell(1, 10_000);
    let payout = draft();
    assert_eq!((payout.status.as_u16(), &payout.body["amount_cents"]), (201, &json!(2_000)), "{}", payout.raw);
    let pay = format!("POST /api/v1/payouts/{}/pay", payout.text("/id"));
    assert_eq!(world.api_as(&live, &pay, json!({"reason": "transfer 1"})).status, 200);
    let refund = json!({"external_refund_id": "r_1", "amount_cents": 10_000});
    assert_eq!(world.api_as(&live, &format!("POST /api/v1/conversions/{first}/refunds"), refund).status, 201);
    // Paid stays paid, and the balance is below nothing.
    let commission = world.api_as(&live, "GET /api/v1/commissions", json!(null)).body["data"][0].clone();
    assert_eq!([&commission["state"], &commission["amount_cents"]], [&json!("paid"), &json!(0)]);
    assert_eq!(commission["entries"][1]["amount_cents"], -2_000);
    let balance = || {
        world.api_as(&live, "GET /api/v1/payouts/balances", json!(null)).body["data"][0]["balances"][0]["unsettled_cents"].clone()
    };
    assert_eq!(balance(), -2_000);
    assert_eq!(draft().status, 409);
    sell(2, 5_000);
    assert_eq!((balance(), draft().status.as_u16()), (json!(-1_000), 409));
    sell(3, 10_000);
    assert_eq!(draft().body["amount_cents"], 1_000);
}

#[test]
fn stripes_facts_join_a_sale_that_was_reported_under_one_of_their_ids() {
    let town = town();
    let connection = town.world.stripe_connection(&town.world.keys.sk_test);
    town.secret(SALE, &town.sale(json!({"externalTransactionId": "cs_test_1", "amount": 9_900})));
    let event = session_completed(
        "1",
        town.world.now().seconds(),
        json!({"metadata": {"tracClickId": town.click, "tracCustomerExternalId": "c_1"}}),
    );
    assert_eq!(town.world.stripe(&connection, &event).status, 200);
    town.world.deliver();
    assert_eq!(town.books().len(), 1, "{:?}", town.books());
    assert!(town.books()[0].starts_with("lead_api Purchase"), "{:?}", town.books());
}

#[test]
fn a_customer_won_by_a_lead_is_known_to_stripe_by_its_metadata() {
    let town = town();
    let connection = town.world.stripe_connection(&town.world.keys.sk_test);
    town.secret(LEAD, &town.lead(json!({})));
    for alias in ["/webhooks/stripe", "/api/webhooks"] {
        let event = session_completed(
            alias,
            town.world.now().seconds(),
            json!({"metadata": {"tracCustomerExternalId": "c_1"}}),
        );
        let body = event.to_string();
        let signature = ::stripe::signature::sign("whsec_test_0123456789", town.world.now().seconds(), body.as_bytes());
        let headers = [("stripe-signature", signature.as_str())];
        let line = format!("POST {alias}/{connection}");
        assert_eq!(town.world.send_bytes(&line, &headers, body.into_bytes()).status, 200, "{alias}");
        town.world.deliver();
        assert!(town.books()[0].contains("attributed_customer"), "{alias} {:?}", town.books());
    }
    assert_eq!(town.books().len(), 3);
}

#[test]
fn renewals_of_what_anybody_could_have_won_wait_until_a_person_has_approved_one_payment() {
    let town = town();
    let connection = town.world.stripe_connection(&town.world.keys.sk_test);
    town.public(LEAD, &town.lead(json!({})));
    let pay = |number: u32, reason: &str| {
        town.world.pass_ms(30 * DAY_MS);
        let details = json!({"subscription": "sub_1", "metadata": {"tracCustomerExternalId": "c_1"}});
        let more = json!({"billing_reason": reason, "customer": "cus_1", "customer_email": "buyer@example.com",
            "parent": {"type": "subscription_details", "subscription_details": details}});
        let event = invoice_paid(&number.to_string(), town.world.now().seconds(), false, more);
        assert_eq!(town.world.stripe(&connection, &event).status, 200);
        town.world.deliver();
        town.books().remove(0)
    };
    const WAITS: &str = "stripe purchase 10000 attributed_customer: 1000 pending [unauthenticated]";
    assert_eq!(pay(1, "subscription_create"), WAITS);
    assert_eq!(pay(2, "subscription_cycle"), WAITS);
    let first = town.data("commissions").remove(1);
    let line = format!("POST /api/v1/commissions/{}/approve", first["id"].as_str().unwrap());
    assert_eq!(town.world.api(&line, json!(null)).text("/state"), "approved");
    assert_eq!(pay(3, "subscription_cycle"), "stripe purchase 10000 attributed_customer: 1000 approved []");
    town.is_replayed();
}

#[test]
fn a_public_report_glues_no_customer_to_another() {
    let town = town();
    let connection = town.world.stripe_connection(&town.world.keys.sk_test);
    town.world.program(&town.world.keys.sk_test, "mallory");
    let theirs = town.world.click(&town.world.keys.pk_test, "mallory");
    let address = json!({"customerEmail": "mallory@example.com"});
    // Mallory is a customer himself, by a secret; by a public key he says that the customer 1234 has his address.
    town.secret(LEAD, &with(town.lead(json!({"customerExternalId": "m_1", "clickId": theirs})), address.clone()));
    let squat =
        |customer: &str| with(town.lead(json!({"customerExternalId": customer, "clickId": theirs})), address.clone());
    assert_eq!(town.public(LEAD, &squat("1234")).status, 200);
    let waits = |customer: &str| {
        town.world.pass_ms(1);
        let sale = town.secret(SALE, &json!({"customerExternalId": customer, "amount": 10_000}));
        assert_eq!(sale.status, 200, "{}", sale.raw);
        assert_eq!(
            town.books()[0],
            "lead_api Purchase 10000 attributed_customer: 2000 pending [unauthenticated]",
            "{customer}"
        );
    };
    waits("1234");
    // Nor does what he buys with his address vouch for whom he named, before it or in the same sale.
    let pay = |number: &str| {
        town.world.pass_ms(1);
        let event = session_completed(
            number,
            town.world.now().seconds(),
            json!({"customer": "cus_m", "customer_details": {"email": "other@example.com"}, "metadata": {"tracClickId": theirs}}),
        );
        assert_eq!(town.world.stripe(&connection, &event).status, 200);
        town.world.deliver();
    };
    let other = json!({"customerEmail": "other@example.com"});
    town.public(LEAD, &with(squat("1235"), other));
    town.public(
        SALE,
        &town.sale(json!({"customerExternalId": "1236", "clickId": theirs, "externalTransactionId": "cs_test_1"})),
    );
    pay("1");
    pay("2");
    waits("1235");
    waits("1236");
    town.is_replayed();
}

#[test]
fn whoever_has_a_secret_binds_anew_whom_anybody_could_have_bound() {
    for model in ["last_click", "first_click"] {
        let town = town();
        let path = format!("PATCH /api/v1/programs/{}", town.test.program_id);
        assert_eq!(town.world.api(&path, json!({"attribution_model": model})).status, 200);
        let other = town.world.program_with(
            &town.world.keys.sk_test,
            "mallory",
            json!({"attribution_model": model,
            "rewards": [{"trigger": "sale", "percent_bps": 2000}]}),
        );
        let theirs = town.world.click(&town.world.keys.pk_test, "mallory");
        let check = |customer: &str, line: &str, body: Json| {
            let of_customer = json!({"customerExternalId": customer});
            town.public(LEAD, &with(town.lead(json!({"clickId": theirs, "eventName": "squat"})), of_customer.clone()));
            assert_eq!(bound(&town, customer), json!(other.participant_id));
            assert_eq!(town.secret(line, &with(body, of_customer.clone())).status, 200);
            assert_eq!(bound(&town, customer), json!(town.test.participant_id), "{model} {customer}");
            // From then on nobody in particular changes it, and what it earns waits for nobody.
            town.public(LEAD, &with(town.lead(json!({"clickId": theirs, "eventName": "again"})), of_customer.clone()));
            assert_eq!(bound(&town, customer), json!(town.test.participant_id), "{model} {customer}");
            town.world.pass_ms(1);
            town.secret(SALE, &with(json!({"amount": 100}), of_customer));
            assert_eq!(
                town.books()[0],
                "lead_api Purchase 100 attributed_customer: 20 approved []",
                "{model} {customer}"
            );
        };
        check("c_1", LEAD, town.lead(json!({})));
        check("c_2", LEAD, town.lead(json!({"mode": "deferred"})));
        check("c_3", SALE, town.sale(json!({})));
        town.is_replayed();
    }
}

#[test]
fn nobody_in_particular_reports_huge_amounts() {
    let town = town();
    let too_much = town.public(SALE, &town.sale(json!({"amount": 1_000_000_000_000_i64})));
    assert_eq!(
        (too_much.summary().as_str(), too_much.text("/details/0/field").as_str()),
        ("400 VALIDATION_ERROR", "amount")
    );
    assert_eq!(town.public(SALE, &town.sale(json!({"amount": 999_999_999_999_i64}))).status, 200);
    assert_eq!(town.secret(SALE, &town.sale(json!({"amount": 1_000_000_000_000_i64}))).status, 200);
}

#[test]
fn what_anybody_could_have_said_is_no_purchase_before_another() {
    let town = town();
    town.secret(LEAD, &town.lead(json!({})));
    let purchases = || town.data("customers?external_id=c_1")[0]["purchases"].clone();
    town.public(SALE, &town.sale(json!({})));
    assert_eq!(purchases(), 0);
    town.secret(SALE, &town.sale(json!({"amount": 100})));
    assert_eq!(purchases(), 1);
    let ordered = town.sale(json!({"amount": 200, "externalTransactionId": "order-1"}));
    town.public(SALE, &ordered);
    assert_eq!(purchases(), 1);
    // Until it comes with a secret.
    for _ in 0..2 {
        town.secret(SALE, &ordered);
        assert_eq!(purchases(), 2);
    }
    town.is_replayed();
}

#[test]
fn without_a_transaction_too_what_anybody_said_gives_way_to_whoever_has_a_secret() {
    let town = town();
    let sale = town.sale(json!({}));
    let first = town.public(SALE, &sale);
    town.world.pass_ms(MINUTE_MS);
    assert_eq!(town.public(SALE, &sale).body["duplicate"], true);
    let taken = town.secret(SALE, &sale);
    assert_eq!(
        (taken.status.as_u16(), taken.body.get("duplicate"), &taken.body["conversion"]["id"]),
        (200, None, &first.body["conversion"]["id"]),
        "{}",
        taken.raw
    );
    assert_eq!(town.books(), ["lead_api Purchase 5900 attributed_click: 1180 pending []"]);
    town.world.pass_ms(MINUTE_MS);
    town.world.sweep();
    assert_eq!(town.books(), ["lead_api Purchase 5900 attributed_click: 1180 approved []"]);
    assert_eq!(town.secret(SALE, &sale).body["duplicate"], true);
    assert_eq!(town.public(SALE, &sale).body["duplicate"], true);
    town.is_replayed();
}
