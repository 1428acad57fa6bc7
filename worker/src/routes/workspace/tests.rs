//! Wiping test mode's data.

use std::collections::BTreeSet;

use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::store::wipe::{KEPT, LOOSE, OF_FAMILIES};
use crate::store::{Database, Statement};
use crate::testing::shop::{Shop, shop};
use crate::testing::{Does, NextWrite, World, charge, invoice_paid, invoice_payment, refund, session_completed};

const WIPE: &str = "POST /api/v1/workspace/wipe-test-data";

fn report(world: &World, keys: (&str, &str), link_ref: &str, transaction: &str) -> String {
    let click_id = world.click(keys.0, link_ref);
    world.deliver();
    report_of(world, keys.1, &click_id, transaction)
}

fn report_of(world: &World, key: &str, click_id: &str, transaction: &str) -> String {
    let body = json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase",
        "amount_cents": 10_000, "currency": "EUR"});
    let made = world.api_as(key, "POST /api/v1/conversions", body);
    assert_eq!(made.status, 201, "{}", made.body);
    made.text("/id")
}

/// Test data of every kind, of two programs, and live data beside it.
fn lived_in() -> Shop {
    let shop = shop();
    let world = &shop.world;
    for key in [&world.keys.sk_test, &world.keys.sk_live] {
        for url in ["https://hooks.shop.test/one", "https://hooks.shop.test/two"] {
            world.make(key, "webhook-endpoints", json!({"url": url, "events": ["*"]}));
        }
    }
    world.receivers.say("https://hooks.shop.test/two", Does::Status(500));
    let (pk, sk) = (world.keys.pk_test.clone(), world.keys.sk_test.clone());
    world.program(&sk, "bert");
    let conversion = report(world, (&pk, &sk), "anna", "txn_anna");
    world.api(
        &format!("POST /api/v1/conversions/{conversion}/refunds"),
        json!({"amount_cents": 1_000, "external_refund_id": "r1"}),
    );
    // Its record is lost: the conversion writes it.
    let lost = world.click(&pk, "bert");
    world.lose_queue();
    report_of(world, &sk, &lost, "txn_bert");
    world.api("POST /api/v1/conversions", json!({"external_transaction_id": "txn_none", "event_type": "purchase"}));
    let now = shop.now_s();
    // A subscription whose invoice and session come apart and are joined: a family that was merged.
    shop.take(&invoice_paid("1", now, false, json!({})));
    shop.take(&session_completed(
        "1",
        now,
        json!({"mode": "subscription", "subscription": null, "payment_intent": "pi_1",
        "client_reference_id": shop.click_id}),
    ));
    shop.take(&invoice_payment("1", now));
    shop.take(&charge("1", now, 0));
    shop.take(&session_completed(
        "2",
        now,
        json!({"discounts": [{"promotion_code": "promo_unknown", "coupon": null}]}),
    ));
    let mut discount = session_completed("5", now, json!({}));
    discount["type"] = json!("customer.discount.created");
    discount["data"]["object"] = json!({"id": "di_1", "object": "discount", "promotion_code": "promo_unknown"});
    shop.take(&discount);
    let line = format!("POST /api/v1/stripe-connections/{}/restricted-key", shop.connection);
    let set = world.api(&line, json!({"restricted_key": "rk_test_0123456789abcdef"}));
    assert_eq!(set.status, 200, "{}", set.body);
    shop.take(&refund("3", "3", now, 5_000, "succeeded"));
    let mut ignored = session_completed("4", now, json!({}));
    ignored["type"] = json!("customer.created");
    shop.take(&ignored);
    // Some clicks are in the totals, and some are not yet.
    world.sum_clicks();
    for link_ref in ["anna", "bert"] {
        world.click(&pk, link_ref);
    }
    world.deliver();
    let (pk, sk) = (world.keys.pk_live.clone(), world.keys.sk_live.clone());
    world.program(&sk, "live");
    report(world, (&pk, &sk), "live", "txn_anna");
    let due = world.api_as(&sk, "POST /api/v1/payouts", json!({}));
    assert_eq!(due.body["data"].as_array().unwrap().len(), 1, "{}", due.body);
    let other = world.workspace("Other");
    world.program(&other.sk_test, "other");
    report(world, (&other.pk_test, &other.sk_test), "other", "txn_anna");
    let asks = "INSERT INTO questions (id, workspace_id, mode, program_id, participant_id, text, status, created_at) \
        SELECT 'qst_' || id, workspace_id, mode, program_id, id, 'Why?', 'open', created_at FROM participants";
    world.db.execute(asks).unwrap();
    world.run_lanes();
    world.pass_ms(MINUTE_MS);
    shop
}

/// Wipes until it is done; every answer.
fn wipe(world: &World, body: &Json) -> Vec<Json> {
    let mut answers = Vec::new();
    loop {
        world.pass_ms(1_000);
        let answer = world.api(WIPE, body.clone());
        assert_eq!(answer.status, 200, "{}", answer.body);
        let done = answer.body["done"] == true;
        assert_eq!(world.totals_that_differ(), if done { vec![] } else { world.totals_that_differ() });
        answers.push(answer.body);
        if done {
            return answers;
        }
        assert!(answers.len() < 20, "{answers:?}");
    }
}

fn names(world: &World, sql: &'static str) -> BTreeSet<String> {
    let rows = pollster::block_on(world.db.rows(Statement::new(sql))).unwrap();
    rows.iter().map(|row| row.text("name").unwrap()).collect()
}

/// Whether a table says of each row whose it is; the others hang on one that does.
fn has_mode(table: &str) -> bool {
    !["stripe_bodies", "webhook_attempts"].contains(&table)
}

fn wiped_tables() -> BTreeSet<String> {
    OF_FAMILIES.iter().chain(LOOSE).map(|step| step.table.to_owned()).collect()
}

/// Every row of the tables, that is not the first workspace's test data.
fn others(world: &World) -> Vec<(String, i64)> {
    let first = "(SELECT id FROM workspaces WHERE name = 'First')";
    let with_mode = names(
        world,
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'mode'",
    );
    let count = |table: &String| {
        world.db.count(&format!("SELECT count(*) FROM {table} WHERE NOT (mode = 'test' AND workspace_id = {first})"))
    };
    with_mode.iter().map(|table| (table.clone(), count(table))).collect()
}

#[test]
fn every_table_is_either_wiped_or_kept() {
    let world = World::new();
    let all = names(&world, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    let mut named = wiped_tables();
    for (table, _) in KEPT {
        assert!(named.insert((*table).to_owned()), "{table} is both wiped and kept");
    }
    assert_eq!(named, all, "a table that a migration adds belongs into one of the lists of store::wipe");
}

#[test]
fn a_wipe_leaves_nothing_of_test_mode_and_everything_else() {
    let shop = lived_in();
    let world = &shop.world;
    let first = "workspace_id = (SELECT id FROM workspaces WHERE name = 'First') AND mode = 'test'";
    let before = others(world);
    for table in wiped_tables().iter().filter(|table| has_mode(table)) {
        assert!(
            world.db.count(&format!("SELECT count(*) FROM {table} WHERE {first}")) > 0,
            "{table} had nothing to wipe"
        );
    }
    let kept: Vec<i64> = ["programs", "links", "participants", "stripe_connections", "webhook_endpoints", "api_keys"]
        .iter()
        .map(|table| world.db.count(&format!("SELECT count(*) FROM {table}")))
        .collect();
    assert!(world.db.count("SELECT count(*) FROM families WHERE merged_into IS NOT NULL") > 0);
    let had = ["events", "webhook_deliveries"]
        .map(|table| world.db.count(&format!("SELECT count(*) FROM {table} WHERE {first}")));
    let live = "SELECT count(*) FROM webhook_attempts a JOIN webhook_deliveries d ON d.id = a.delivery_id WHERE d.mode = 'live'";
    let live_attempts = world.db.count(live);
    assert!(live_attempts > 0 && world.db.count("SELECT count(*) FROM webhook_attempts") > live_attempts);
    let answers = wipe(world, &json!({}));
    for table in wiped_tables().iter().filter(|table| has_mode(table)) {
        assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table} WHERE {first}")), 0, "{table}");
    }
    assert_eq!(world.db.count("SELECT count(*) FROM stripe_bodies"), 0);
    // The live endpoint's stay.
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_attempts"), live_attempts);
    // Every row that went is in some act.
    for (table, count) in ["events", "webhook_deliveries"].iter().zip(had) {
        let told: i64 = answers.iter().filter_map(|answer| answer["deleted"][table].as_i64()).sum();
        assert_eq!(told, count, "{table}");
    }
    assert_eq!(others(world), before);
    let still: Vec<i64> = ["programs", "links", "participants", "stripe_connections", "webhook_endpoints", "api_keys"]
        .iter()
        .map(|table| world.db.count(&format!("SELECT count(*) FROM {table}")))
        .collect();
    assert_eq!(still, kept);
    // Each batch is an act with its counts, and the act stays.
    let acts = answers.iter().filter(|answer| answer["act_id"].is_string()).count();
    assert_eq!(world.db.count("SELECT count(*) FROM acts WHERE kind = 'workspace.wipe_test_data'"), acts as i64);
    assert!(acts >= 2);
    assert_eq!(answers[0]["deleted"]["commissions"], 3);
    assert_eq!(answers[0]["left"]["families"], 0);
    assert_eq!(
        ["clicks", "click_packs"].map(|table| answers[1]["deleted"][table].clone()),
        [json!(1), json!(2)],
        "{answers:?}"
    );
    // Nothing is there: nothing is recorded.
    let again = world.api(WIPE, json!(null));
    assert_eq!((&again.body["done"], &again.body["act_id"]), (&json!(true), &json!(null)));
    assert_eq!(world.db.count("SELECT count(*) FROM acts WHERE kind = 'workspace.wipe_test_data'"), acts as i64);
    // What was used is free again.
    report(world, (&world.keys.pk_test.clone(), &world.keys.sk_test.clone()), "anna", "txn_anna");
    shop.take(&session_completed("1", shop.now_s(), shop.hint()));
    assert_eq!(shop.data("commissions").len(), 2);
}

#[test]
fn a_programs_data_goes_with_its_families_and_the_other_programs_stay() {
    let shop = lived_in();
    let world = &shop.world;
    let before = others(world);
    let answers = wipe(world, &json!({"program_id": shop.program.program_id}));
    assert_eq!(answers[0]["deleted"]["commissions"], 2);
    let mut left: Vec<String> =
        shop.data("conversions").iter().map(|c| c["external_transaction_id"].to_string()).collect();
    left.sort();
    assert_eq!(left, ["\"txn_bert\"", "null"]);
    assert_eq!(shop.data("commissions").len(), 1);
    assert_eq!(shop.data(&format!("clicks?participant_id={}", shop.program.participant_id)).len(), 0);
    assert_eq!(shop.data("clicks").len(), 2);
    assert_eq!(shop.data("stripe-events?outcome=parked").len(), 1);
    assert_eq!(others(world), before);
    assert_eq!(shop.data("events?type=participant.created").len(), 2);
    let subjects = world.db.count(
        "SELECT count(*) FROM events WHERE type LIKE 'con%' AND mode = 'test' AND subject NOT IN (SELECT id FROM conversions)",
    );
    assert_eq!(subjects, 0);
    let act = world.db.count(&format!("SELECT count(*) FROM acts WHERE subject = '{}'", shop.program.program_id));
    assert_eq!(act, 2);
}

#[test]
fn live_data_is_not_wiped_and_a_foreign_program_is_unknown() {
    let shop = lived_in();
    let world = &shop.world;
    let live = world.api_as(&world.keys.sk_live, WIPE, json!({}));
    assert_eq!(live.summary(), "403 FORBIDDEN");
    assert_eq!(live.text("/error/message"), "Live data is never deleted; a key of test mode wipes test data.");
    assert_eq!(world.api(WIPE, json!({"program_id": "x"})).summary(), "400 VALIDATION_ERROR");
    for unknown in ["live", "other"] {
        let id = world.db.count(&format!(
            "SELECT m.rowid FROM participants m JOIN links l ON l.participant_id = m.id WHERE l.ref = '{unknown}'"
        ));
        let rows =
            world.db.rows(Statement::new("SELECT program_id AS name FROM participants WHERE rowid = ?").bind(id));
        let program = pollster::block_on(rows).unwrap()[0].text("name").unwrap();
        assert_eq!(world.api(WIPE, json!({"program_id": program})).summary(), "404 NOT_FOUND", "{unknown}");
    }
    assert_eq!(shop.data("commissions").len(), 3);
}

#[test]
fn a_wipe_that_is_lost_or_lands_unreported_is_repeated() {
    let shop = lived_in();
    let world = &shop.world;
    world.db.next_write(NextWrite::IsLost);
    assert_eq!(world.api(WIPE, json!({})).summary(), "503 UNAVAILABLE");
    assert_eq!(shop.data("commissions").len(), 3);
    world.db.next_write(NextWrite::LandsButReportsFailure);
    assert_eq!(world.api(WIPE, json!({})).summary(), "503 UNAVAILABLE");
    assert_eq!(world.db.count("SELECT count(*) FROM acts WHERE kind = 'workspace.wipe_test_data'"), 1);
    wipe(world, &json!({}));
    assert_eq!(world.db.count("SELECT count(*) FROM families WHERE mode = 'test'"), 1, "the other workspace's");
}

#[test]
fn more_families_than_one_batch_takes_are_wiped_by_repeating() {
    let world = World::new();
    let workspace = "(SELECT id FROM workspaces)";
    for number in 0..450 {
        world
            .db
            .execute(&format!(
                "INSERT INTO families (id, workspace_id, mode, revision) VALUES ('fam_{number}', {workspace}, 'test', 0)"
            ))
            .unwrap();
        world
            .db
            .execute(&format!("INSERT INTO family_keys VALUES ({workspace}, 'test', 'key_{number}', 'fam_{number}')"))
            .unwrap();
    }
    let answers = wipe(&world, &json!({}));
    let left: Vec<_> = answers.iter().map(|answer| answer["left"]["families"].as_i64().unwrap()).collect();
    assert_eq!(left, [250, 50, 0]);
}
