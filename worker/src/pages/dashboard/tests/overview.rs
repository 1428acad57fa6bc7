//! The overview: what it shows, what it costs, and the part of it that asks again.

use domain::time::DAY_MS;
use serde_json::json;

use super::{OWNER, Shop};
use crate::store::totals::{self, Span};
use crate::testing::{Answer, Visitor};

/// What stands in the figure of this name.
fn figure(page: &str, name: &str) -> String {
    let after = page.split(&format!(">{name}</a></dt>")).nth(1).unwrap_or_else(|| panic!("no {name} in {page}"));
    after.split("<span class=\"figure\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

fn figures(page: &Answer) -> [String; 4] {
    assert_eq!(page.status, 200, "{}", page.raw);
    ["Clicks", "Conversions", "Credited", "Not credited"].map(|name| figure(&page.raw, name))
}

fn unreferred(shop: &Shop, transaction: &str) {
    let body = json!({"promo_code": "NONE", "external_transaction_id": transaction, "event_type": "purchase",
        "amount_cents": 500, "currency": "EUR"});
    assert_eq!(shop.world.api("POST /api/v1/conversions", body).status, 201);
}

#[test]
fn a_new_workspace_is_told_what_to_do() {
    let shop = Shop::new();
    let page = shop.owner().get(&shop.at(""));
    assert_eq!(figures(&page), ["0", "0", "0", "0"]);
    assert!(
        page.raw.contains("Nothing happened in these days") && page.raw.contains("/test/checklist\""),
        "{}",
        page.raw
    );
    assert!(page.raw.contains("No conversion yet.") && page.raw.contains("No click yet."));
}

#[test]
fn clicks_conversions_and_money_are_summed_over_the_days_that_the_address_names() {
    let shop = Shop::new();
    shop.sale("txn_1");
    shop.world.deliver();
    shop.world.pass_ms(8 * DAY_MS);
    shop.sale("txn_2");
    unreferred(&shop, "txn_3");
    // A robot's click.
    let robot = [("user-agent", "Googlebot/2.1 (+http://www.google.com/bot.html)")];
    let body = json!({"merchant": shop.world.keys.pk_test, "ref": "anna"});
    assert_eq!(shop.world.send("POST /v1/clicks", &robot, body).status, 201);
    shop.world.deliver();
    let owner = shop.owner();
    let month = owner.get(&shop.at(""));
    assert_eq!(figures(&month), ["2", "3", "2", "1"]);
    assert!(month.raw.contains("and 1 of robots"), "{}", month.raw);
    assert!(month.raw.contains("data-label=\"Earned\" class=\"number\">40.00 EUR"), "{}", month.raw);
    let week = owner.get(&shop.at("?days=7"));
    assert_eq!(figures(&week), ["1", "2", "1", "1"]);
    assert!(week.raw.contains("data-label=\"Approved\" class=\"number\">20.00 EUR"), "{}", week.raw);
    for odd in ["?days=0", "?days=8", "?days=-7", "?days=x", "?days=99999999999999999999"] {
        assert_eq!(figures(&owner.get(&shop.at(odd))), figures(&month), "{odd}");
    }
    assert_eq!(figures(&owner.get(&format!("/app/{}/live?days=90", shop.workspace))), ["0", "0", "0", "0"]);
    assert_eq!(shop.world.totals_that_differ(), [""; 0]);
}

#[test]
fn charts_are_drawings_with_their_numbers_beside_and_nothing_inline() {
    let shop = Shop::new();
    shop.sale("txn_1");
    shop.world.deliver();
    let page = shop.owner().get(&shop.at("")).raw;
    assert_eq!(page.matches("<svg class=\"chart-drawing\"").count(), 3, "{page}");
    assert_eq!(page.matches("role=\"img\"").count(), 3);
    assert!(page.contains("data-label=\"earned\" class=\"number\">20.00 EUR"), "{page}");
    assert!(page.contains("<time datetime=\"2026-06-01\">2026-06-01</time>"), "{page}");
    assert!(!page.contains("style=") && !page.contains("<script>") && !page.contains("onclick"), "{page}");
}

#[test]
fn what_waits_is_counted_and_leads_there() {
    let shop = Shop::new();
    let world = &shop.world;
    let late = json!({"name": "L", "email": "late@partner.test"});
    let partner = world.make(&world.keys.sk_test, "partners", late);
    let applied = json!({"program_id": shop.program.program_id, "partner_id": partner, "status": "pending"});
    world.make(&world.keys.sk_test, "participants", applied);
    let endpoint = json!({"url": "https://hooks.shop.test/", "events": ["*"]});
    let endpoint = world.make(&world.keys.sk_test, "webhook-endpoints", endpoint);
    world.api(&format!("POST /api/v1/webhook-endpoints/{endpoint}/disable"), json!({}));
    let connection = world.stripe_connection(&world.keys.sk_test);
    world.stripe(&connection, &crate::testing::refund("r", "unknown", world.now().seconds(), 500, "succeeded"));
    world.deliver();
    shop.sale("txn_1");
    world.db.execute("UPDATE commissions SET state = 'pending', needs_review = '[\"fraud\"]'").unwrap();
    let owner = shop.owner();
    let page = owner.get(&shop.at("")).raw;
    for (count, what, leads) in [
        (1, "commission to review", "review"),
        (1, "partner applied", "participants?status=pending"),
        (1, "refund of no known sale", "refunds?matched=false"),
        (1, "Stripe event waits for its sale", "stripe-events?outcome=parked"),
        (1, "webhook endpoint disabled", "webhook-endpoints"),
    ] {
        let line = format!("<strong class=\"number\">{count}</strong> <span>{what}</span>");
        assert!(page.contains(&line), "{what}: {page}");
        assert!(page.contains(&format!("href=\"{}\"", shop.at(leads))), "{leads}");
        assert_eq!(owner.get(&shop.at(leads)).status, 200, "{leads}");
    }
    assert!(!page.contains("Stripe events failed") && !page.contains("given up"), "{page}");
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO stripe_events (id, \
        workspace_id, mode, connection_id, stripe_id, type, outcome, received_at) SELECT 'sev_' || i, workspace_id, mode, \
        connection_id, 'evt_' || i, type, 'failed', received_at FROM n, (SELECT * FROM stripe_events LIMIT 1)";
    world.db.execute(many).unwrap();
    let page = owner.get(&shop.at("")).raw;
    assert!(page.contains("<strong class=\"number\">50 or more</strong> <span>Stripe events failed"), "{page}");
}

#[test]
fn the_overview_costs_three_round_trips_and_reads_no_rows_that_a_workspace_has_many_of() {
    let shop = Shop::new();
    for number in 0..12 {
        shop.sale(&format!("txn_{number}"));
    }
    shop.world.deliver();
    let owner = shop.owner();
    shop.world.round_trips();
    for path in ["", "?days=90", "live"] {
        assert_eq!(owner.get(&shop.at(path)).status, 200);
        assert_eq!(shop.world.round_trips(), 3, "{path}");
    }
    let scope = crate::store::Scope {
        workspace_id: domain::ids::Id::parse(&shop.workspace).unwrap(),
        mode: domain::mode::Mode::Test,
    };
    let span = Span::ending(20_000, 90);
    for (statement, plan) in [
        (totals::clicks(&scope, span), "SEARCH click_totals USING PRIMARY KEY"),
        (totals::conversions(&scope, span), "SEARCH daily_conversions USING PRIMARY KEY"),
        (totals::commissions(&scope, span), "SEARCH daily_commissions USING PRIMARY KEY"),
    ] {
        assert!(shop.world.db.plan(statement.sql()).contains(plan), "{}", shop.world.db.plan(statement.sql()));
    }
    let plan = shop.world.db.plan(totals::waiting(&scope).sql());
    for index in [
        "commissions_to_review",
        "participants_who_applied",
        "questions_open",
        "refunds_unmatched",
        "stripe_events_failed",
        "stripe_events_parked",
        "webhook_deliveries_dead",
        "webhook_endpoints_of_workspace",
        "fraud_alerts_open",
    ] {
        assert!(plan.contains(&format!("INDEX {index} ")), "{index}: {plan}");
    }
}

#[test]
fn the_newest_part_is_sent_again_only_when_it_has_changed() {
    let shop = Shop::new();
    shop.sale("txn_1");
    shop.world.deliver();
    let owner = shop.owner();
    let ask = |tag: &str| {
        let cookie = owner.cookie.borrow().clone();
        let headers = [("cookie", cookie.as_str()), ("if-none-match", tag)];
        shop.world.send_bytes(&format!("GET {}", shop.at("live")), &headers, Vec::new())
    };
    let first = ask("");
    assert_eq!((first.status.as_u16(), first.header("cache-control")), (200, "private, no-cache"));
    let tag = first.header("etag").to_owned();
    assert!(
        tag.starts_with("W/\"") && first.raw.contains("id=\"live\"") && !first.raw.contains("<html"),
        "{}",
        first.raw
    );
    // The page has the very same part, which asks with the same tag.
    let written = tag.replace('"', "\\&#34;");
    assert!(owner.get(&shop.at("")).raw.contains(&written), "{written} {}", owner.get(&shop.at("")).raw);
    for same in [tag.as_str(), tag.trim_start_matches("W/"), &format!("\"x\", {tag}")] {
        let again = ask(same);
        assert_eq!(
            (again.status.as_u16(), again.raw.as_str(), again.header("etag")),
            (304, "", tag.as_str()),
            "{same}"
        );
    }
    shop.sale("txn_2");
    let changed = ask(&tag);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), tag);
}

#[test]
fn whose_session_is_over_is_sent_to_sign_in_as_a_whole_page() {
    let shop = Shop::new();
    let nobody = Visitor::new(&shop.world);
    let page = nobody.get(&shop.at(""));
    assert_eq!(page.status, 303);
    assert!(page.header("location").starts_with("/sign-in?next="), "{}", page.header("location"));
    let part = nobody.get(&shop.at("live"));
    assert_eq!((part.status.as_u16(), part.header("hx-refresh")), (401, "true"));
    let partner = Visitor::signed_in(&shop.world, "anna@partner.test");
    assert_eq!(partner.get(&shop.at("live")).status, 403);
    let (other, _) = shop.world.owned_workspace("Other", "other@shop.test");
    assert_eq!(shop.owner().get(&format!("/app/{other}/test")).status, 404);
    assert_eq!(shop.owner().get(&format!("/app/{other}/test/live")).status, 404);
    assert_eq!(Visitor::signed_in(&shop.world, OWNER).get(&format!("/app/{}/test/", shop.workspace)).status, 200);
}

#[test]
fn what_somebody_wrote_is_text_in_the_overview() {
    let shop = Shop::new();
    let click = shop.visit(&shop.world.keys.pk_test, "anna");
    let body = json!({"click_id": click, "external_transaction_id": "t", "event_type": "<script>alert(1)</script>",
        "amount_cents": 100, "currency": "EUR"});
    assert_eq!(shop.world.api("POST /api/v1/conversions", body).status, 201);
    let partner = shop.world.api("GET /api/v1/partners", json!(null)).text("/data/0/id");
    shop.world.api(&format!("PATCH /api/v1/partners/{partner}"), json!({"name": "\"><img src=x onerror=1>"}));
    shop.world.deliver();
    let page = shop.owner().get(&shop.at("")).raw;
    assert!(
        page.contains("&#60;script&#62;alert(1)") && !page.contains("<script>alert") && !page.contains("<img src=x"),
        "{page}"
    );
}
