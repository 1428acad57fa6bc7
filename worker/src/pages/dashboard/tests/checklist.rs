//! The checklist, from nothing to live: each line is ticked by what comes in, and by nothing else.

use domain::time::{DAY_MS, MINUTE_MS, SECOND_MS};
use serde_json::{Value as Json, json};

use super::Shop;
use crate::testing::{Does, Program, Visitor, charge, session_completed};

const HOOK: &str = "https://hooks.shop.test/live";

/// The titles of the lines that are done.
fn done(page: &str) -> Vec<String> {
    let lines = page.split("<li class=\"check check-done\">").skip(1);
    lines.map(|line| line.split("<h2>").nth(1).unwrap().split('<').next().unwrap().to_owned()).collect()
}

fn checklist(owner: &Visitor<'_>, shop: &Shop, mode: &str) -> String {
    let page = owner.get(&format!("/app/{}/{mode}/checklist", shop.workspace));
    assert_eq!(page.status, 200, "{}", page.raw);
    page.raw
}

fn of_live(event: Json) -> Json {
    let mut event = event;
    event["livemode"] = json!(true);
    event
}

/// Live mode with everything that a merchant sets up by hand, and nothing that comes in.
fn set_up(shop: &Shop) -> (Program, String, String) {
    let sk = &shop.world.keys.sk_live;
    let program = shop.world.program(sk, "live");
    let connection = shop.world.stripe_connection(sk);
    let endpoint = shop.world.make(sk, "webhook-endpoints", json!({"url": HOOK, "events": ["*"]}));
    (program, connection, endpoint)
}

#[test]
fn everything_is_missing_at_first_and_says_where_to_mend_it() {
    let shop = Shop::new();
    let owner = shop.owner();
    let page = checklist(&owner, &shop, "test");
    assert_eq!(done(&page), [""; 0]);
    assert_eq!(page.matches(">Missing<").count(), 8, "{page}");
    for leads in ["programs", "api-keys", "stripe-connections", "webhook-endpoints", "conversions"] {
        assert!(page.contains(&format!("href=\"/app/{}/live/{leads}\"", shop.workspace)), "{leads}");
    }
    // It is about live mode from wherever one looks.
    assert_eq!(done(&checklist(&owner, &shop, "live")), done(&page));
}

#[test]
fn each_line_is_ticked_by_its_own_evidence() {
    let shop = Shop::new();
    let (world, owner) = (&shop.world, shop.owner());
    assert_eq!(shop.sale("txn_test").status, 201);
    assert_eq!(done(&checklist(&owner, &shop, "live")), ["A whole run in test mode"]);
    let (program, connection, endpoint) = set_up(&shop);
    assert_eq!(done(&checklist(&owner, &shop, "test")), ["A whole run in test mode", "An active program"]);

    let click = shop.visit(&world.keys.pk_live, "live");
    world.deliver();
    let page = checklist(&owner, &shop, "test");
    assert!(done(&page).contains(&"A real click".to_owned()) && page.contains(&click), "{page}");

    // A test event at the live connection is skipped, and shows no type.
    world.stripe(&connection, &session_completed("t", world.now().seconds(), json!({})));
    let page = checklist(&owner, &shop, "test");
    for line in ["Every type of event that is needed", "Stripe in live mode"] {
        assert!(!done(&page).contains(&line.to_owned()), "{line}: {page}");
    }
    let bought = json!({"client_reference_id": click, "livemode": true});
    assert_eq!(world.stripe(&connection, &of_live(session_completed("1", world.now().seconds(), bought))).status, 200);
    world.deliver();
    let page = checklist(&owner, &shop, "test");
    assert!(done(&page).contains(&"Stripe in live mode".to_owned()), "{page}");
    assert!(page.contains("Not seen yet: charge.refunded, invoice.paid."), "{page}");
    let mut refunded = of_live(charge("1", world.now().seconds(), 10_000));
    refunded["type"] = json!("charge.refunded");
    assert_eq!(world.stripe(&connection, &refunded).status, 200);
    world.deliver();
    let page = checklist(&owner, &shop, "test");
    assert!(done(&page).contains(&"A real purchase, and its refund".to_owned()), "{page}");
    // The program promises renewals, of which one must have come.
    assert!(page.contains("Not seen yet: invoice.paid."), "{page}");
    let paid = of_live(crate::testing::invoice_paid("2", world.now().seconds(), false, json!({})));
    assert_eq!(world.stripe(&connection, &paid).status, 200);
    assert!(done(&checklist(&owner, &shop, "test")).contains(&"Every type of event that is needed".to_owned()));

    world.receivers.say(HOOK, Does::Status(500));
    world.api_as(&world.keys.sk_live, &format!("POST /api/v1/webhook-endpoints/{endpoint}/ping"), json!({}));
    world.run_lanes();
    assert!(checklist(&owner, &shop, "test").contains("No ping has arrived where the endpoint is now."));
    world.receivers.say(HOOK, Does::Status(200));
    world.pass_ms(10 * SECOND_MS);
    world.run_lanes();
    let page = checklist(&owner, &shop, "test");
    assert!(done(&page).contains(&"Your own server is told".to_owned()) && page.contains(HOOK), "{page}");

    world.pass_ms(MINUTE_MS);
    let said = owner.post(&shop.at("checklist/rewards-reviewed"), "");
    assert_eq!(said.status, 303, "{}", said.raw);
    let page = owner.get(said.header("location")).raw;
    assert_eq!(done(&page).len(), 8, "{page}");
    assert!(
        page.contains("You are live.") && page.contains("Said to be right by") && page.contains("owner@shop.test"),
        "{page}"
    );

    // Whoever changes a reward afterwards looks again; whoever moves the endpoint pings again.
    world.pass_ms(MINUTE_MS);
    let reward =
        json!({"program_id": program.program_id, "trigger": "lead", "flat": {"amount_cents": 100, "currency": "EUR"}});
    world.make(&world.keys.sk_live, "rewards", reward);
    world.api_as(
        &world.keys.sk_live,
        &format!("PATCH /api/v1/webhook-endpoints/{endpoint}"),
        json!({"url": "https://hooks.shop.test/2"}),
    );
    let page = checklist(&owner, &shop, "test");
    assert_eq!(done(&page).len(), 6, "{page}");
    assert!(page.contains("were changed since") && page.contains("No ping has arrived"), "{page}");
    // And a new connection has to show that events come by it.
    let next = world.stripe_connection(&world.keys.sk_live);
    let is_ticked = || done(&checklist(&owner, &shop, "test")).contains(&"Stripe in live mode".to_owned());
    assert!(!is_ticked());
    assert_eq!(world.stripe(&next, &of_live(session_completed("2", world.now().seconds(), json!({})))).status, 200);
    assert!(is_ticked());
}

#[test]
fn evidence_outlives_the_log_the_clicks_and_a_wipe() {
    let shop = Shop::new();
    let world = &shop.world;
    shop.sale("txn_test");
    let (_, _, endpoint) = set_up(&shop);
    world.api_as(&world.keys.sk_live, &format!("POST /api/v1/webhook-endpoints/{endpoint}/ping"), json!({}));
    world.run_lanes();
    while world.api("POST /api/v1/workspace/wipe-test-data", json!({})).body["done"] != true {}
    world.pass_ms(40 * DAY_MS);
    world.sweep();
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_deliveries WHERE status = 'delivered'"), 0);
    let owner = shop.owner();
    let page = checklist(&owner, &shop, "live");
    assert!(done(&page).contains(&"Your own server is told".to_owned()), "{page}");
    assert!(done(&page).contains(&"A whole run in test mode".to_owned()), "{page}");
}

#[test]
fn the_checklist_costs_two_round_trips_however_much_there_is() {
    let shop = Shop::new();
    set_up(&shop);
    let owner = shop.owner();
    shop.world.round_trips();
    assert_eq!(owner.get(&shop.at("checklist")).status, 200);
    assert_eq!(shop.world.round_trips(), 2);
    for statement in crate::store::checklist::reads(&domain::ids::Id::parse(&shop.workspace).unwrap()) {
        let plan = shop.world.db.plan(statement.sql());
        let scans = plan.lines().filter(|line| line.starts_with("SCAN ") && !line.contains("CONSTANT ROW"));
        // What is gone through is what a bounded read before it gave.
        assert!(
            scans.clone().all(|line| line.contains("subquery") || line.contains("VIRTUAL TABLE")),
            "{}: {plan}",
            statement.sql()
        );
    }
}

#[test]
fn only_who_may_change_something_says_that_the_rewards_are_right() {
    let shop = Shop::new();
    set_up(&shop);
    let owner = shop.owner();
    owner.post(&shop.at("members/new"), "email=v%40shop.test&role=viewer");
    let viewer = Visitor::signed_in(&shop.world, "v@shop.test");
    let path = shop.at("checklist/rewards-reviewed");
    assert!(!viewer.get(&shop.at("checklist")).raw.contains("rewards-reviewed"));
    assert_eq!(viewer.post(&path, "").status, 403);
    assert_eq!(owner.post_from("https://evil.test", &path, "").status, 403);
    assert_eq!(shop.world.db.count("SELECT count(*) FROM acts WHERE kind = 'workspace.rewards_reviewed'"), 0);
    let (other, _) = shop.world.owned_workspace("Other", "other@shop.test");
    assert_eq!(owner.post(&format!("/app/{other}/live/checklist/rewards-reviewed"), "").status, 404);
    assert_eq!(shop.world.api("POST /api/v1/workspace/rewards-reviewed", json!({})).status, 409);
    let live = shop.world.api_as(&shop.world.keys.sk_live, "POST /api/v1/workspace/rewards-reviewed", json!({}));
    assert_eq!(live.status, 201, "{}", live.raw);
    assert!(checklist(&owner, &shop, "live").contains("whoever holds a secret key"));
}
