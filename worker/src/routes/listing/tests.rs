//! What lists are narrowed to, and that a narrowed list is paged as a whole one is.

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::Instant;
use serde_json::{Value as Json, json};

use crate::store::page::Page;
use crate::store::partners::{self, ParticipantFilter};
use crate::store::{Scope, Statement, commissions, conversions, fraud_alerts, payouts, refunds, stripe_events};
use crate::testing::{Program, World};

/// Makes an object a second later, so that lists have an order.
#[track_caller]
fn make(world: &World, path: &str, body: Json) -> String {
    world.pass_ms(1_000);
    world.make(&world.keys.sk_test, path, body)
}

/// The ids of a list's page, and where the next one begins.
#[track_caller]
fn page(world: &World, path: &str) -> (Vec<String>, String) {
    world.pass_ms(1_000);
    let answer = world.api(&format!("GET /api/v1/{path}"), json!(null));
    assert_eq!(answer.status, 200, "{path} {}", answer.body);
    let ids =
        answer.body["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    (ids, answer.text("/next_cursor"))
}

/// The whole list is as expected, newest first, also when it is read one by one.
#[track_caller]
fn check(world: &World, path: &str, expected: &[&String]) {
    let expected: Vec<String> = expected.iter().map(|id| (*id).clone()).collect();
    assert_eq!(page(world, path), (expected.clone(), String::new()), "{path}");
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let (ids, next) = page(world, &format!("{path}&limit=1&cursor={cursor}"));
        seen.extend(ids);
        if next.is_empty() {
            break;
        }
        cursor = next;
    }
    assert_eq!(seen, expected, "{path}");
}

#[track_caller]
fn refused(world: &World, path: &str) {
    assert_eq!(world.api(&format!("GET /api/v1/{path}"), json!(null)).summary(), "400 VALIDATION_ERROR", "{path}");
}

fn anna(world: &World) -> Program {
    world.program(&world.keys.sk_test, "anna")
}

#[test]
fn programs_participants_links_and_codes_are_narrowed() {
    let world = World::new();
    let anna = anna(&world);
    let draft = make(&world, "programs", json!({"name": "Draft"}));
    check(&world, "programs?status=draft", &[&draft]);
    check(&world, "programs?status=active", &[&anna.program_id]);
    check(&world, "programs?status=archived", &[]);
    refused(&world, "programs?status=open");

    let bert = make(&world, "partners", json!({"name": "Bert", "email": "bert@partner.test"}));
    let join = |program: &String, partner: &String| json!({"program_id": program, "partner_id": partner});
    let pending = make(&world, "participants", join(&anna.program_id, &bert));
    let elsewhere = make(&world, "participants", join(&draft, &bert));
    let path = |query: &str| format!("participants?{query}");
    check(&world, &path(&format!("program_id={}", anna.program_id)), &[&pending, &anna.participant_id]);
    check(&world, &path(&format!("partner_id={bert}")), &[&elsewhere, &pending]);
    check(&world, &path("status=approved"), &[&anna.participant_id]);
    check(&world, &path(&format!("status=pending&program_id={draft}&partner_id={bert}")), &[&elsewhere]);
    check(&world, &path("program_id=prog_else"), &[]);
    refused(&world, &path("status=gone"));

    let link = |participant: &String| json!({"participant_id": participant, "landing_url": "https://shop.test/"});
    let own = make(&world, "links", link(&anna.participant_id));
    let others = make(&world, "links", link(&pending));
    world.api(&format!("POST /api/v1/links/{own}/pause"), json!(null));
    let of_anna = format!("links?participant_id={}", anna.participant_id);
    check(&world, &of_anna, &[&own, &anna.link_id]);
    check(&world, "links?status=active", &[&others, &anna.link_id]);
    check(&world, &format!("{of_anna}&status=paused"), &[&own]);
    refused(&world, "links?status=open");

    let code = |participant: &String, code: &str| json!({"participant_id": participant, "code": code});
    let first = make(&world, "promo-codes", code(&anna.participant_id, "A"));
    let second = make(&world, "promo-codes", code(&anna.participant_id, "B"));
    make(&world, "promo-codes", code(&pending, "C"));
    check(&world, &format!("promo-codes?participant_id={}", anna.participant_id), &[&second, &first]);
    // Another mode and another workspace see nothing of it.
    for key in [&world.keys.sk_live, &world.workspace("Second").sk_test] {
        let answer = world.api_as(key, &format!("GET /api/v1/{of_anna}"), json!(null));
        assert_eq!(answer.body["data"], json!([]));
    }
}

#[test]
fn conversions_are_narrowed_and_times_mean_when_they_were_recorded() {
    let world = World::new();
    let anna = anna(&world);
    let bert = world.program(&world.keys.sk_test, "bert");
    let mut recorded: Vec<Instant> = Vec::new();
    let mut report = |link_ref: &str, transaction: &str| {
        let click_id = world.click(&world.keys.pk_test, link_ref);
        let body = json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": 1_000, "currency": "EUR", "occurred_at": "2026-06-01T12:00:00Z"});
        let id = make(&world, "conversions", body);
        recorded.push(world.now());
        id
    };
    let (first, second, third) = (report("anna", "txn_1"), report("anna", "txn_2"), report("bert", "txn_3"));
    let refund = json!({"external_refund_id": "r", "amount_cents": 1_000});
    assert_eq!(world.api(&format!("POST /api/v1/conversions/{second}/refunds"), refund).status, 201);
    let path = |query: &str| format!("conversions?{query}");
    check(&world, &path("source=api"), &[&third, &second, &first]);
    check(&world, &path("source=stripe"), &[]);
    check(&world, &path(&format!("participant_id={}", anna.participant_id)), &[&second, &first]);
    check(&world, &path(&format!("program_id={}", bert.program_id)), &[&third]);
    check(&world, &path("status=refunded"), &[&second]);
    check(&world, &path(&format!("status=recorded&participant_id={}", anna.participant_id)), &[&first]);
    check(&world, &path("external_transaction_id=txn_2"), &[&second]);
    check(&world, &path("external_transaction_id=TXN_2"), &[]);
    check(&world, &path("external_transaction_id=txn_2&status=recorded"), &[]);
    check(&world, &path(&format!("from={}", recorded[1])), &[&third, &second]);
    check(&world, &path(&format!("to={}", recorded[1])), &[&first]);
    check(&world, &path(&format!("from={}&to={}", recorded[0].plus_ms(1), recorded[2])), &[&second]);
    check(&world, &path("to=1960-01-01T00:00:00Z"), &[]);
    check(&world, &path("from=1960-01-01T00:00:00Z&to=9999-01-01T00:00:00Z"), &[&third, &second, &first]);
    for bad in ["status=gone", "source=sky", "from=yesterday", "to=2026"] {
        refused(&world, &path(bad));
    }
    let other = world.workspace("Second");
    let answer = world.api_as(&other.sk_test, "GET /api/v1/conversions?external_transaction_id=txn_1", json!(null));
    assert_eq!(answer.body["data"], json!([]));
}

/// A list that a link leads to may hold few rows among many: it must not be looked for among all of the workspace's.
#[test]
fn what_a_link_narrows_a_list_to_is_found_by_an_index() {
    let world = World::new();
    let scope = Scope { workspace_id: WorkspaceId::least(world.now()), mode: Mode::Test };
    let check = |statement: Statement, index: &str| {
        let plan = world.db.plan(statement.sql());
        let first = plan.lines().next().unwrap();
        // By the id too: so the page begins where it does, and nothing is sorted.
        assert!(first.contains(&format!("USING INDEX {index} ")) && first.ends_with("id<?)"), "{index}: {plan}");
    };
    let one = || Some("x".to_owned());
    let page = Page { limit: 25, after: one() };
    let earned = |filter: commissions::Filter| commissions::list(&scope, &filter, &page);
    let waits =
        commissions::Filter { state: Some("pending".to_owned()), needs_review: Some(true), ..Default::default() };
    check(earned(waits), "commissions_to_review");
    check(earned(commissions::Filter { program_id: one(), ..Default::default() }), "commissions_by_program");
    check(earned(commissions::Filter { participant_id: one(), ..Default::default() }), "commissions_by_participant");
    let sold = |filter: conversions::Filter| conversions::list(&scope, &filter, &page);
    check(sold(conversions::Filter { program_id: one(), ..Default::default() }), "conversions_by_program");
    check(sold(conversions::Filter { participant_id: one(), ..Default::default() }), "conversions_by_participant");
    let unmatched = refunds::Filter { matched: Some(false), ..Default::default() };
    check(refunds::list(&scope, &unmatched, &page), "refunds_unmatched");
    let alerts = |filter: fraud_alerts::Filter| fraud_alerts::list(&scope, &filter, &page);
    let open = fraud_alerts::Filter { status: Some("open".to_owned()), ..Default::default() };
    check(alerts(open), "fraud_alerts_open");
    let of_one = fraud_alerts::Filter { participant_id: one(), ..Default::default() };
    check(alerts(of_one), "fraud_alerts_by_participant");
    let drafts = payouts::Filter { status: Some("draft".to_owned()), ..Default::default() };
    check(payouts::list(&scope, &drafts, &page), "payouts_by_status");
    let of_one = payouts::Filter { participant_id: one(), ..Default::default() };
    check(payouts::list(&scope, &of_one, &page), "payouts_by_participant");
    let applied = ParticipantFilter { status: Some("pending".to_owned()), ..Default::default() };
    check(partners::list_participants(&scope, &applied, &page), "participants_who_applied");
    for (outcome, index) in [("failed", "stripe_events_failed"), ("parked", "stripe_events_parked")] {
        let filter = stripe_events::Filter { outcome: Some(outcome.to_owned()), ..Default::default() };
        check(stripe_events::list(&scope, &filter, &page), index);
    }
}
