use std::path::Path;
use std::sync::Arc;

use domain::attribution::{self, Inputs, Sighting, Verdict};
use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::{DAY_MS, MINUTE_MS};
use serde_json::{Value as Json, json};

use super::{Difference, Report, Wanted, all};
use crate::host;
use crate::host::load::Loaded;
use crate::store::Database;
use crate::testing::shop::{Shop, shop};
use crate::testing::{
    NextWrite, OPERATOR_TOKEN, charge, dispute, invoice_paid, invoice_payment, refund, session_completed,
    subscription_deleted,
};

const REPORT: &str = "POST /api/v1/conversions";

/// Replays everything; whatever it would write would be lost, and make it fail.
fn replayed_by(shop: &Shop, wanted: &Wanted) -> Report {
    shop.world.db.next_write(NextWrite::IsLost);
    let report = pollster::block_on(all(&shop.world.app, wanted)).unwrap();
    shop.world.db.next_write(NextWrite::Works);
    report
}

fn replayed(shop: &Shop) -> Report {
    replayed_by(shop, &Wanted::everything())
}

fn api(shop: &Shop, line: &str, body: Json, expected: u16) -> Json {
    shop.world.pass_ms(1_000);
    let answer = shop.world.api(line, body);
    assert_eq!(answer.status, expected, "{line} {}", answer.body);
    answer.body
}

fn text(value: &Json, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// A payment of a subscription after the first.
fn renewal(id: &str, subscription: &str, s: i64, paid: i64) -> Json {
    let details = json!({"subscription": subscription, "metadata": {}});
    let more = json!({"billing_reason": "subscription_cycle", "amount_paid": paid, "total": paid, "customer": "cus_1",
        "parent": {"type": "subscription_details", "subscription_details": details}});
    invoice_paid(id, s, false, more)
}

/// What happens in the shop in one month, at least: a renewal and a single payment, some of which go back.
fn month(shop: &Shop, n: i64) {
    shop.world.pass_ms(30 * DAY_MS);
    let s = shop.now_s();
    let (id, single) = (format!("r{n}"), format!("s{n}"));
    shop.take(&renewal(&id, "sub_1", s, 3_000 + n));
    shop.take(&invoice_payment(&id, s + 1));
    let click_id = shop.world.click(&shop.world.keys.pk_test, "anna");
    shop.take(&session_completed(&single, s, json!({"client_reference_id": click_id, "customer": "cus_9"})));
    match n {
        3 => {
            shop.take(&refund(&id, "p3", s + 2, 1_000, "succeeded"));
        }
        4 => {
            for part in ["a", "b"] {
                shop.take(&refund(&single, &format!("f4{part}"), s + 2, 5_000, "succeeded"));
            }
        }
        5 => {
            shop.take(&dispute(&id, s + 2, "needs_response"));
            shop.take(&dispute(&id, s + 3, "lost"));
        }
        7 => {
            shop.take(&dispute(&single, s + 2, "needs_response"));
            shop.world.pass_ms(DAY_MS);
            shop.take(&dispute(&single, s + 3, "won"));
        }
        8 => {
            shop.take(&charge(&single, s + 2, 2_500));
        }
        9 => {
            // A refund that fails, and one of a sale that nobody knows.
            shop.take(&refund(&single, "p9", s + 2, 10_000, "pending"));
            shop.take(&refund(&single, "p9", s + 3, 10_000, "failed"));
            shop.take(&refund("unknown", "p9x", s + 3, 100, "succeeded"));
        }
        _ => {}
    }
    shop.world.sweep();
}

/// A year of a shop: renewals, refunds, disputes, bindings, people's words, a merged sale, rewards that change.
fn year() -> Shop {
    let shop = shop();
    shop.take(&shop.subscription_session(Some("in_1")));
    shop.take(&invoice_paid("1", shop.now_s(), false, json!({})));
    // A lead while no reward is for leads.
    let lead = json!({"external_transaction_id": "lead-1", "event_type": "lead", "click_id": shop.click_id,
        "customer_external_id": "c-1", "prospect_email": "buyer@example.com"});
    api(&shop, REPORT, lead, 201);
    for n in 1..=5 {
        month(&shop, n);
    }
    rewards_change(&shop);
    people_decide(&shop);
    merged(&shop);
    for n in 6..=11 {
        month(&shop, n);
    }
    // A customer who was won is known again; a stranger is refused, and so is the other mode's click.
    let bound = json!({"external_transaction_id": "again-1", "event_type": "purchase", "amount_cents": 4_200,
        "currency": "EUR", "customer_external_id": "c-1"});
    assert_eq!(api(&shop, REPORT, bound, 201)["attribution"]["method"], "customer");
    let stranger = json!({"external_transaction_id": "nobody-1", "event_type": "purchase", "amount_cents": 100,
        "currency": "EUR", "prospect_email": "new@example.com"});
    api(&shop, REPORT, stranger, 422);
    shop.world.program(&shop.world.keys.sk_live, "anna-live");
    let live = shop.world.click(&shop.world.keys.pk_live, "anna-live");
    let mismatch = json!({"external_transaction_id": "live-1", "event_type": "purchase", "click_id": live});
    api(&shop, REPORT, mismatch, 422);
    shop.take(&subscription_deleted("1", shop.now_s()));
    // One session still waits for its invoice, and another report of it says nothing that counts.
    let waiting = json!({"mode": "subscription", "payment_intent": null, "subscription": "sub_w", "customer": "cus_w",
        "client_reference_id": shop.click_id});
    shop.take(&session_completed("w", shop.now_s(), waiting));
    let early = json!({"external_transaction_id": "cs_test_w", "event_type": "purchase", "amount_cents": 100,
        "currency": "EUR", "prospect_email": "new@example.com"});
    api(&shop, REPORT, early, 422);
    shop
}

fn rewards_change(shop: &Shop) {
    for reward in shop.data("rewards") {
        let line = format!("POST /api/v1/rewards/{}/change", text(&reward, "id"));
        api(shop, &line, json!({"percent_bps": 1_500, "hold_days": 3}), 200);
    }
    let program_id = &shop.program.program_id;
    let lead = json!({"program_id": program_id, "trigger": "lead", "flat": {"amount_cents": 500, "currency": "EUR"}});
    api(shop, "POST /api/v1/rewards", lead, 201);
    let line = format!("PATCH /api/v1/programs/{program_id}");
    api(shop, &line, json!({"attribution_window_days": 7, "fraud": {"repeat_purchase": "hold"}}), 200);
}

fn people_decide(shop: &Shop) {
    let unknown = json!({"external_transaction_id": "by-hand-1", "event_type": "purchase", "amount_cents": 8_000,
        "currency": "EUR", "click_id": "00000000-0000-4000-8000-000000000000"});
    let id = text(&api(shop, REPORT, unknown, 201), "id");
    let who = json!({"participant_id": shop.program.participant_id, "reason": "told on the phone"});
    let line = format!("POST /api/v1/conversions/{id}/attribute");
    let commission_id = text(&api(shop, &line, who, 200), "commission_id");
    let bonus = json!({"amount_cents": 250, "reason": "well done"});
    api(shop, &format!("POST /api/v1/commissions/{commission_id}/bonus"), bonus, 200);
    let back = json!({"amount_cents": 1_000, "external_refund_id": "r-1"});
    api(shop, &format!("POST /api/v1/conversions/{id}/refunds"), back, 201);
    let approved = shop.data("commissions?state=approved");
    let line = format!("POST /api/v1/commissions/{}/reject", text(&approved[0], "id"));
    api(shop, &line, json!({"reason": "bought for himself"}), 200);
    // A promotion code that is mapped to its partner after the sale.
    let discounts = json!({"discounts": [{"coupon": null, "promotion_code": "promo_late"}]});
    shop.take(&session_completed("code", shop.now_s(), discounts));
    let code = json!({"participant_id": shop.program.participant_id, "code": "LATE",
        "stripe_promotion_code_id": "promo_late"});
    api(shop, "POST /api/v1/promo-codes", code, 201);
    shop.world.sweep();
}

fn merged(shop: &Shop) {
    let report = json!({"external_transaction_id": "pi_m", "event_type": "order", "amount_cents": 10_000,
        "currency": "EUR", "click_id": shop.click_id});
    api(shop, REPORT, report, 201);
    shop.world.pass_ms(1_000);
    shop.take(&invoice_paid("m", shop.now_s(), false, json!({})));
    shop.take(&invoice_payment("m", shop.now_s()));
    let merged = shop.data("conversions?status=merged");
    assert_eq!(merged.len(), 1);
}

fn none() -> Vec<Difference> {
    Vec::new()
}

#[test]
fn a_year_is_replayed_without_a_difference_and_nothing_is_written() {
    let shop = year();
    let report = replayed(&shop);
    assert_eq!(report.differences, none());
    assert_eq!((report.differences_total, report.waiting), (0, 0));
    let count = |sql: &str| u64::try_from(shop.world.db.count(sql)).unwrap();
    assert_eq!(report.decisions, count("SELECT count(*) FROM decisions"));
    assert_eq!(report.commissions, count("SELECT count(*) FROM commissions"));
    assert_eq!(report.families, count("SELECT count(*) FROM families WHERE merged_into IS NULL"));
    assert_eq!(report.facts, count("SELECT count(*) FROM facts"));
    assert!(report.families > 15 && report.facts > 45 && report.decisions > 30, "{report:?}");
    // The waiting session's time comes: until the sweep has booked it, what stands is what was due.
    shop.world.pass_ms(11 * MINUTE_MS);
    assert_eq!((replayed(&shop).differences, replayed(&shop).waiting), (none(), 0));
    shop.world.sweep();
    let after = replayed(&shop);
    assert_eq!((after.differences, after.decisions), (none(), report.decisions + 1));
}

#[test]
fn the_same_data_gives_the_same_digest_on_another_machine() {
    let shop = year();
    let report = replayed(&shop);
    let file = std::env::temp_dir().join(format!("selgeo-replay-{}.sqlite", std::process::id()));
    let _ = std::fs::remove_file(&file);
    shop.world.db.execute(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    let copy = host::sqlite::Sqlite::open_read_only(&file).unwrap();
    assert!(copy.has_table("decisions") && !copy.has_table("dragons"));
    let refused = pollster::block_on(copy.rows(crate::store::Statement::new("DELETE FROM entries")));
    assert!(refused.is_err());
    let secret = |byte: u8| hex::encode([byte; 32]);
    let secrets = crate::secrets::Secrets::read(&secret(1), &secret(2), &secret(3), OPERATOR_TOKEN).unwrap();
    let app = host::app(Arc::new(copy), Vec::new(), secrets);
    assert_eq!(pollster::block_on(all(&app, &Wanted::everything())).unwrap(), report);
    std::fs::remove_file(&file).unwrap();
    // Other data gives another one.
    shop.take(&session_completed("more", shop.now_s(), shop.hint()));
    assert_ne!(replayed(&shop).digest, report.digest);
}

/// Lets a test do to stored decisions what nothing else can.
fn changed(shop: &Shop, sql: &str) {
    shop.world.db.execute("DROP TRIGGER IF EXISTS decisions_are_final").unwrap();
    assert_eq!(shop.world.db.execute(sql), Ok(1), "{sql}");
}

#[test]
fn a_changed_byte_in_a_stored_decision_names_that_decision() {
    for set in [
        // Of no consequence for the verdict.
        r#"inputs = replace(inputs, '"window_days":30', '"window_days":31')"#,
        // No JSON any more.
        r#"inputs = replace(inputs, '"window_days":30', '"window_days":3O')"#,
        "verdict = substr(verdict, 2)",
        r#"verdict = replace(verdict, 'attributed_click', 'attributed_clock')"#,
        "reason = 'attributed_clicks'",
        "request_id = 'req_other'",
        "rule_version = 2",
        "created_at = created_at + 1",
    ] {
        let shop = shop();
        for n in 1..=3 {
            shop.take(&session_completed(&n.to_string(), shop.now_s(), shop.hint()));
        }
        let conversion = shop.data("conversions").remove(1);
        let audit = shop.world.api(&format!("GET /api/v1/attribution-audit/{}", text(&conversion, "id")), json!(null));
        let decision_id = shop.data("attribution-audit").remove(1)["id"].clone();
        assert_eq!(audit.status, 200);
        let id = decision_id.as_str().unwrap();
        changed(&shop, &format!("UPDATE decisions SET {set} WHERE id = '{id}'"));
        let report = replayed(&shop);
        let named: Vec<(&str, &str)> = report
            .differences
            .iter()
            .filter(|difference| difference.what == "decision")
            .map(|difference| (difference.id.as_str(), difference.conversion_id.as_deref().unwrap_or_default()))
            .collect();
        let id = conversion["id"].as_str().unwrap();
        assert_eq!(named.first(), Some(&(decision_id.as_str().unwrap(), id)), "{set} {:?}", report.differences);
        assert!(named.iter().all(|(named, _)| *named == decision_id), "{set}");
    }
}

/// The window, a millisecond wider at its end.
fn a_millisecond_more(inputs: &Inputs) -> Verdict {
    let mut inputs = inputs.clone();
    for click in &mut inputs.clicks {
        if let Sighting::Here(seen) = &mut click.sighting {
            seen.at = seen.at.plus_ms(1);
        }
    }
    attribution::attribute(&inputs)
}

#[test]
fn a_changed_rule_reports_exactly_the_decisions_that_it_changes() {
    let shop = shop();
    let click_id = shop.world.click(&shop.world.keys.pk_test, "anna");
    let clicked_at = shop.world.now();
    shop.world.pass_ms(31 * DAY_MS);
    let mut expected = Vec::new();
    for late_ms in [-DAY_MS, -1, 0, 1, 2, DAY_MS] {
        let report = json!({"external_transaction_id": format!("t{late_ms}"), "event_type": "purchase",
            "amount_cents": 1_000, "currency": "EUR", "click_id": click_id,
            "occurred_at": clicked_at.plus_ms(30 * DAY_MS + late_ms).to_string()});
        let made = api(&shop, REPORT, report, 201);
        let stands = made["attribution"]["reason"] == "attributed_click";
        assert_eq!(stands, late_ms <= 0, "{late_ms}");
        if late_ms == 1 {
            expected.push(text(&made, "id"));
        }
    }
    assert_eq!(replayed(&shop).differences, none());
    let report = replayed_by(&shop, &Wanted { rule: a_millisecond_more, ..Wanted::everything() });
    let named: Vec<String> = report.differences.iter().filter_map(|one| one.conversion_id.clone()).collect();
    assert_eq!(named, expected);
    assert!(report.differences[0].replayed.contains("attributed_click"), "{:?}", report.differences);
}

#[test]
fn what_does_not_stand_as_its_facts_have_it_is_named() {
    let check = |trigger: &str, sql: &str, what: &str, stored: &str, replayed_as: &str| {
        let shop = shop();
        shop.take(&session_completed("1", shop.now_s(), shop.hint()));
        shop.take(&refund("1", "1", shop.now_s(), 2_500, "succeeded"));
        assert_eq!(replayed(&shop).differences, none());
        if !trigger.is_empty() {
            shop.world.db.execute(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        assert_eq!(shop.world.db.execute(sql), Ok(1), "{sql}");
        let report = replayed(&shop);
        let told =
            |one: &Difference| one.what == what && one.stored.contains(stored) && one.replayed.contains(replayed_as);
        assert!(report.differences.iter().any(told), "{sql} {:#?}", report.differences);
    };
    let entry = "UPDATE entries SET amount_cents = 1999 WHERE kind = 'earned'";
    check("entries_are_final", entry, "commission", "1499", "1500");
    check("", "UPDATE conversions SET amount_cents = 1", "conversion", "amount_cents 1", "amount_cents 10000");
    check(
        "",
        "UPDATE conversions SET status = 'recorded'",
        "conversion",
        "status recorded",
        "status partially_refunded",
    );
    check("", "UPDATE commissions SET disputed = 1", "commission", "disputed", "not disputed");
    check("", "UPDATE conversions SET anchor = 'cs_other'", "conversion", "partially_refunded", "no sale of the facts");
    let fact = "UPDATE facts SET body = replace(body, '2500', '2600') WHERE body LIKE '%2500%'";
    check("facts_are_final", fact, "commission", "1500", "1480");
    let broken = "UPDATE facts SET body = substr(body, 2) WHERE body LIKE '%2500%'";
    check("facts_are_final", broken, "family", "column body", "cannot be read");
}

#[test]
fn the_operator_replays_page_by_page() {
    let shop = year();
    let whole = replayed(&shop);
    let send = |token: &str, body: Json| {
        let bearer = format!("Bearer {token}");
        shop.world.send("POST /operator/v1/replay", &[("authorization", &bearer)], body)
    };
    assert_eq!(send(&shop.world.keys.sk_test, json!({})).summary(), "401 INVALID_API_KEY");
    for wrong in [json!({"cursor": "x"}), json!({"mode": "both"}), json!({"workspace_id": "x"})] {
        assert_eq!(send(OPERATOR_TOKEN, wrong.clone()).summary(), "400 VALIDATION_ERROR", "{wrong}");
    }
    let nobody = json!({"workspace_id": "ws_00000000000000000000000000"});
    assert_eq!(send(OPERATOR_TOKEN, nobody).summary(), "404 NOT_FOUND");
    let run = |narrowed: Json| {
        let (mut report, mut pages, mut cursor) = (Report::default(), 0, json!(null));
        loop {
            let mut body = narrowed.clone();
            body["cursor"] = cursor;
            shop.world.db.round_trips();
            let page = send(OPERATOR_TOKEN, body);
            assert_eq!(page.status, 200, "{}", page.body);
            assert!(shop.world.db.round_trips() <= 45);
            report.add(serde_json::from_value(page.body.clone()).unwrap());
            pages += 1;
            cursor = page.body["next_cursor"].clone();
            if cursor.is_null() {
                return (report, pages);
            }
        }
    };
    let (report, pages) = run(json!({}));
    assert_eq!(report, whole);
    let workspace_id = shop.world.db.text("SELECT id FROM workspaces");
    let (test, _) = run(json!({"workspace_id": workspace_id, "mode": "test"}));
    let (live, _) = run(json!({"workspace_id": workspace_id, "mode": "live"}));
    assert_eq!((test.facts, live.facts), (whole.facts, 0));
    // Nothing is stored of live mode, so that it is the same text.
    assert_eq!(test.digest, whole.digest);
    assert!(pages >= 1);
}

#[test]
fn digest_format_unchanged() {
    let shop = shop();
    assert_eq!(replayed(&shop).digest, super::chain("", "selgeo replay 1"));
    let one = super::chain("a", "[\"decision\"]");
    assert_eq!(one, "352db23c3cc8eddb7b5453776e0426668e5102361dddd2c158ffa6229f998402");
}

/// All pages of an export that a key asks for.
fn exported(shop: &Shop, key: &str) -> Vec<String> {
    shop.world.pass_ms(1_000);
    let begun = shop.world.api_as(key, "POST /api/v1/exports", json!(null));
    assert_eq!(begun.status, 201, "{}", begun.raw);
    let mut path = begun.text("/first_page");
    let mut pages = Vec::new();
    loop {
        let page = shop.world.api_as(key, &format!("GET {path}"), json!(null));
        assert_eq!(page.status, 200, "{}", page.raw);
        let foot: Json = serde_json::from_str(page.raw.lines().last().unwrap()).unwrap();
        pages.push(page.raw);
        match foot["next"].as_str() {
            Some(next) => path = format!("/api/v1/exports/{}/pages/{next}", begun.text("/id")),
            None => return pages,
        }
    }
}

/// Loads it where other secrets are, and no database.
fn loaded(file: &str) -> Result<Loaded, String> {
    let secret = |byte: u8| hex::encode([byte; 32]);
    let secrets = crate::secrets::Secrets::read(&secret(91), &secret(92), &secret(93), "another operator").unwrap();
    let migrations = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"));
    host::load::load(file.as_bytes(), migrations, secrets)
}

fn of_mode(shop: &Shop, mode: Mode) -> Wanted {
    let id = shop.world.api("GET /api/v1/workspace", json!(null)).text("/id");
    Wanted { workspace_id: WorkspaceId::parse(&id), mode: Some(mode), ..Wanted::everything() }
}

#[test]
fn an_exported_year_is_replayed_elsewhere_under_other_secrets_to_the_same_digest() {
    let shop = year();
    // What others have is not among it.
    let other = shop.world.workspace("Other");
    shop.world.program(&other.sk_test, "elsewhere");
    let here = replayed_by(&shop, &of_mode(&shop, Mode::Test));
    let pages = exported(&shop, &shop.world.keys.sk_test);
    assert!(pages.len() > 1, "one page shows no chain");
    let there = loaded(&pages.concat()).unwrap();
    assert!(!there.whole.changed_meanwhile);
    assert_eq!(there.whole.pages, pages.len() as u64);
    assert_eq!(pollster::block_on(all(&there.app, &there.wanted())).unwrap(), here);
    assert!(here.decisions > 30 && here.differences == none(), "{here:?}");
    // Whom a decision saw is kept with it: should a click's secret be gone, the same comes out.
    let wanted = there.wanted();
    let mut blind = there.app;
    blind.secrets = blind.secrets.with_told_clicks(Default::default());
    assert_eq!(pollster::block_on(all(&blind, &wanted)).unwrap(), here);
    let live = exported(&shop, &shop.world.keys.sk_live);
    assert!(live.concat().contains("anna-live") && !pages.concat().contains("anna-live"));
    let live = loaded(&live.concat()).unwrap();
    let here = replayed_by(&shop, &of_mode(&shop, Mode::Live));
    assert_eq!(pollster::block_on(all(&live.app, &live.wanted())).unwrap(), here);
}

#[test]
fn an_export_that_is_not_whole_or_not_as_it_was_made_is_refused() {
    let shop = year();
    for n in 0..60 {
        let long = json!({"name": format!("Program {n}"), "terms": "x".repeat(20_000)});
        api(&shop, "POST /api/v1/programs", long, 201);
    }
    let pages = exported(&shop, &shop.world.keys.sk_test);
    let again = exported(&shop, &shop.world.keys.sk_test);
    let other = shop.world.workspace("Other");
    let foreign = exported(&shop, &other.sk_test);
    let [one, two, last] = [&pages[0], &pages[1], pages.last().unwrap()];
    assert!(pages.len() >= 3, "{}", pages.len());
    let check = |parts: &[&str], expected: &str| {
        let why = loaded(&parts.concat()).err().unwrap_or_else(|| "it was taken".to_owned());
        assert!(why.contains(expected), "{expected}: {why}");
    };
    let rest: String = pages[2..].concat();
    let changed = one.replacen("\"name\":\"First\"", "\"name\":\"Fierst\"", 1);
    assert!(changed != *one);
    check(&[&changed, two, &rest], "page 1 was changed: its digest is another");
    check(&[one, &rest], "page 2 is missing: this is 3");
    check(&[two, &rest], "page 1 is missing: this is 2");
    check(&[one, two, two, &rest], "page 2 is there twice");
    check(&[one, two, &rest, last], "is a page behind the last one");
    check(&[one, two], "it ends after page 2, which is not the last one");
    check(&[one, &two[..two.len() / 2]], "is broken off");
    let lines: Vec<&str> = two.split_inclusive('\n').collect();
    let cut = lines[..lines.len() - 1].concat();
    check(&[one, &cut], "it ends within page 2");
    check(&[one, lines[0], &lines[2..].concat(), &rest], "page 2 was changed");
    check(&[one, &again[1], &rest], "is a page of another export");
    check(&[one, &foreign[0], &rest], "is a page of another workspace");
    check(&[""], "it is empty");
    check(&["{}\n"], "line 1: is no head of a page");
    check(&[&one.replacen("selgeo export 1", "selgeo export 9", 1)], "is of the form");
    // A chain of which every digest was made anew is one, but nobody here has signed it.
    assert!(loaded(&pages.concat()).is_ok());
}
