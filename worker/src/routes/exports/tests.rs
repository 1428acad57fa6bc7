use std::collections::BTreeSet;

use domain::time::{DAY_MS, HOUR_MS};
use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::store::exports::{LEFT_OUT, STEPS, WITHHELD};
use crate::store::{Database, Statement};
use crate::testing::shop::{Shop, shop};
use crate::testing::{Answer, NextWrite, OPERATOR_TOKEN, Visitor, World, session_completed};

const EXPORT: &str = "POST /api/v1/exports";
const OWNER: &str = "owner@shop.test";

/// A shop in which something of everything happened.
fn lived_in() -> Shop {
    let shop = shop();
    let world = &shop.world;
    let endpoint = json!({"url": "https://hooks.shop.test/", "events": ["*"]});
    world.api("POST /api/v1/webhook-endpoints", endpoint);
    shop.take(&session_completed("1", shop.now_s(), shop.hint()));
    world.run_lanes();
    world.sweep();
    let code = json!({"participant_id": shop.program.participant_id, "code": "ANNA10"});
    assert_eq!(world.api("POST /api/v1/promo-codes", code).status, 201);
    let invited = json!({"program_id": shop.program.program_id, "email": "new@partner.test", "name": "New"});
    assert_eq!(world.api("POST /api/v1/invites", invited).status, 201);
    world.pass_ms(HOUR_MS);
    shop
}

fn begin(world: &World, key: &str) -> Answer {
    let begun = world.api_as(key, EXPORT, json!(null));
    assert_eq!(begun.status, 201, "{}", begun.raw);
    begun
}

/// Every line of all pages that follow one.
fn lines(begun: &Answer, get: &dyn Fn(&str) -> Answer) -> Vec<Json> {
    let mut path = begun.text("/first_page");
    let mut lines: Vec<Json> = Vec::new();
    loop {
        let page = get(&format!("GET {path}"));
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "application/x-ndjson"), "{}", page.raw);
        lines.extend(page.raw.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()));
        let next = lines.last().unwrap()["next"].clone();
        let Some(next) = next.as_str() else { return lines };
        path = format!("/api/v1/exports/{}/pages/{next}", begun.text("/id"));
    }
}

fn names(world: &World, sql: &'static str) -> BTreeSet<String> {
    let rows = pollster::block_on(world.db.rows(Statement::new(sql))).unwrap();
    rows.iter().map(|row| row.text("name").unwrap()).collect()
}

#[test]
fn every_table_goes_out_or_is_left_out_and_every_column_is_known() {
    let world = World::new();
    let all = names(&world, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    let mut named: BTreeSet<String> = STEPS.iter().map(|step| step.table.to_owned()).collect();
    for (table, _) in LEFT_OUT {
        assert!(named.insert((*table).to_owned()), "{table} both goes out and is left out");
    }
    assert_eq!(named, all, "a table that a migration adds belongs into one of the lists of store::exports");
    let mut columns = names(
        &world,
        "SELECT m.name || '.' || c.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    );
    for (table, column, _) in WITHHELD {
        assert!(columns.remove(&format!("{table}.{column}")), "{table}.{column} is not there");
    }
    // What sounds as if it should not go out, and does.
    let words = ["secret", "digest", "token", "key", "sealed", "hash", "password", "email", "body"];
    let odd = columns.iter().filter(|name| STEPS.iter().any(|step| name.split('.').next() == Some(step.table)));
    let odd: Vec<&str> = odd
        .filter(|name| words.iter().any(|word| name.split('.').nth(1).is_some_and(|column| column.contains(word))))
        .map(String::as_str)
        .collect();
    expect![[r#"
        [
            "awaited_codes.key",
            "clicks.address_hash",
            "customer_keys.key",
            "decisions.digest",
            "facts.body",
            "family_keys.key",
            "invites.email",
            "partners.email",
            "refunds.key",
            "refunds.sale_key",
            "reward_versions.body",
        ]
    "#]]
    .assert_debug_eq(&odd);
}

#[test]
fn every_row_of_the_workspace_and_mode_goes_out_once_and_nobody_elses() {
    let shop = lived_in();
    let world = &shop.world;
    let other = world.workspace("Other");
    world.program(&other.sk_test, "elsewhere");
    world.program(&world.keys.sk_live, "anna-live");
    let begun = begin(world, &world.keys.sk_test);
    let lines = lines(&begun, &|line| world.api(line, json!(null)));
    let workspace = begun.text("/workspace_id");
    let mut empty = Vec::new();
    let tables: BTreeSet<&str> = STEPS.iter().map(|step| step.table).collect();
    for table in tables {
        let of = |line: &&Json| line["table"] == table;
        let told = lines.iter().filter(of).count() as i64;
        let whose = match table {
            "workspaces" => format!("id = '{workspace}'"),
            "payout_entries" => "false".to_owned(),
            "webhook_attempts" => "true".to_owned(),
            "members" => continue,
            _ => format!("workspace_id = '{workspace}' AND mode = 'test'"),
        };
        let there = world.db.count(&format!("SELECT count(*) FROM {table} WHERE {whose}"));
        assert_eq!(told, there, "{table}");
        if told == 0 {
            empty.push(table);
        }
    }
    expect![[r#"["awaited_codes", "click_totals", "clicks", "fraud_alerts", "payout_entries", "payouts", "questions", "refunds", "stripe_discounts", "stripe_lookups"]"#]]
        .assert_eq(&format!("{empty:?}"));
    let text = lines.iter().map(Json::to_string).collect::<String>();
    assert!(text.contains("anna@partner.test"));
    for foreign in ["elsewhere", "anna-live", "whsec_", &world.keys.sk_test, &world.keys.sk_live] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    // A sealed text begins so.
    let cells = lines.iter().filter_map(|line| line["row"].as_object()).flat_map(|row| row.values());
    for cell in cells.filter_map(Json::as_str) {
        assert!(!(cell.starts_with("1.") && cell.matches('.').count() == 2 && cell.len() > 60), "{cell}");
    }
    assert_eq!(lines.last().unwrap()["changed_meanwhile"], json!(false));
}

#[test]
fn a_member_exports_both_modes_and_an_export_is_on_record() {
    let shop = lived_in();
    let world = &shop.world;
    world.program(&world.keys.sk_live, "anna-live");
    let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
    assert_eq!(world.send(&line, &[("authorization", &operator)], json!({"owner_email": OWNER})).status, 201);
    let owner = Visitor::signed_in(world, OWNER);
    let begun = owner.api(&workspace, EXPORT, json!({}));
    assert_eq!((begun.status.as_u16(), &begun.body["modes"]), (201, &json!(["test", "live"])), "{}", begun.raw);
    let lines = lines(&begun, &|line| owner.api(&workspace, line, json!(null)));
    let of = |table: &str| lines.iter().filter(|line| line["table"] == table).count();
    assert_eq!((of("programs"), of("members"), of("workspaces")), (2, 1, 1));
    assert_eq!(
        world.db.count("SELECT count(*) FROM acts WHERE kind = 'workspace.export' AND person_id IS NOT NULL"),
        1
    );
    let listed = owner.api(&workspace, "GET /api/v1/exports", json!(null));
    assert_eq!(listed.text("/data/0/id"), begun.text("/id"));
    // It holds the other mode's, which is no key's to see.
    let id = begun.text("/id");
    assert_eq!(world.api("GET /api/v1/exports", json!(null)).body["data"], json!([]));
    for path in ["", "/pages/first", "/verify"] {
        let line = format!("GET /api/v1/exports/{id}{path}");
        assert_eq!(world.api(&line, json!(null)).summary(), "404 NOT_FOUND", "{line}");
        assert_eq!(owner.api(&workspace, &line, json!(null)).status, 200, "{line}");
    }
}

#[test]
fn an_export_belongs_to_its_workspace_and_mode_and_to_its_own_pages() {
    let shop = lived_in();
    let world = &shop.world;
    let other = world.workspace("Other");
    let (own, theirs) = (begin(world, &world.keys.sk_test), begin(world, &other.sk_test));
    let page = |id: &str, cursor: &str| format!("GET /api/v1/exports/{id}/pages/{cursor}");
    let (id, foreign) = (own.text("/id"), theirs.text("/id"));
    for line in [
        page(&foreign, "first"),
        format!("GET /api/v1/exports/{foreign}"),
        format!("GET /api/v1/exports/{foreign}/verify"),
    ] {
        assert_eq!(world.api(&line, json!(null)).summary(), "404 NOT_FOUND", "{line}");
        assert_eq!(world.api_as(&world.keys.sk_live, &line, json!(null)).summary(), "404 NOT_FOUND", "{line}");
    }
    let first = world.api(&page(&id, "first"), json!(null));
    let foot: Json = serde_json::from_str(first.raw.lines().last().unwrap()).unwrap();
    let next = foot["next"].as_str().unwrap();
    assert_eq!(world.api(&page(&id, next), json!(null)).status, 200);
    let their_page = world.api_as(&other.sk_test, &page(&foreign, next), json!(null));
    assert_eq!(their_page.summary(), "404 NOT_FOUND");
    for cursor in ["second", "1.a.b", &next[1..], &format!("{next}x"), "%00"] {
        assert_eq!(world.api(&page(&id, cursor), json!(null)).summary(), "404 NOT_FOUND", "{cursor}");
    }
    world.pass_ms(DAY_MS + 1);
    assert_eq!(world.api(&page(&id, "first"), json!(null)).summary(), "409 CONFLICT");
    world.db.next_write(NextWrite::IsLost);
    assert_eq!(world.api(EXPORT, json!(null)).summary(), "503 UNAVAILABLE");
    assert_eq!(world.db.count("SELECT count(*) FROM acts WHERE kind = 'workspace.export'"), 2);
}

#[test]
fn a_signature_holds_for_what_was_signed_and_what_changes_meanwhile_is_told() {
    let shop = lived_in();
    let world = &shop.world;
    let begun = begin(world, &world.keys.sk_test);
    let get = |line: &str| world.api(line, json!(null));
    let foot = lines(&begun, &get).pop().unwrap();
    let id = begun.text("/id");
    let text = |name: &str| foot[name].as_str().map_or_else(|| foot[name].to_string(), str::to_owned);
    let verify = |digest: &str, pages: &str, rows: &str, signature: &str| {
        let query = format!("digest={digest}&pages={pages}&rows={rows}&signature={signature}");
        world.api(&format!("GET /api/v1/exports/{id}/verify?{query}"), json!(null)).body["valid"] == true
    };
    let (digest, pages, rows, signature) = (text("digest"), text("pages_total"), text("rows_total"), text("signature"));
    assert!(verify(&digest, &pages, &rows, &signature));
    assert!(!verify(&signature, &pages, &rows, &signature));
    assert!(!verify(&digest, "1000", &rows, &signature));
    assert!(!verify(&digest, &pages, "0", &signature));
    assert!(!verify(&digest, &pages, &rows, &digest));
    assert!(!verify("", "", "", ""));
    assert_eq!(foot["changed_meanwhile"], json!(false));
    let second = begin(world, &world.keys.sk_test);
    shop.take(&session_completed("2", shop.now_s(), shop.hint()));
    assert_eq!(lines(&second, &get).pop().unwrap()["changed_meanwhile"], json!(true));
}

#[test]
fn a_page_is_bounded_in_what_it_reads_and_in_what_it_says() {
    let shop = lived_in();
    let world = &shop.world;
    world.click(&world.keys.pk_test, "anna");
    for n in 0..40 {
        let long = "x".repeat(20_000);
        world.api("POST /api/v1/programs", json!({"name": format!("Program {n}"), "terms": long}));
    }
    let begun = begin(world, &world.keys.sk_test);
    let mut path = begun.text("/first_page");
    let mut pages = 0;
    loop {
        world.round_trips();
        let page = world.api(&format!("GET {path}"), json!(null));
        assert!(world.round_trips() <= 36 && page.raw.len() < 600_000, "{}", page.raw.len());
        pages += 1;
        let foot: Json = serde_json::from_str(page.raw.lines().last().unwrap()).unwrap();
        let Some(next) = foot["next"].as_str() else { break };
        path = format!("/api/v1/exports/{}/pages/{next}", begun.text("/id"));
    }
    assert!(pages >= 3, "{pages}");
}
