//! The operator's page: who sees it, what it costs, and what it shows when something is amiss.

use domain::time::{HOUR_MS, MINUTE_MS};
use serde_json::json;

use crate::testing::{Does, OPERATOR_EMAIL, Visitor, World};

fn operator(world: &World) -> Visitor<'_> {
    let (_, link) = world.owned_workspace("Operator's own", OPERATOR_EMAIL);
    let visitor = Visitor::new(world);
    assert_eq!(visitor.post(&link, "").status, 303);
    visitor
}

#[test]
fn there_is_no_such_page_for_anybody_else() {
    let world = World::new();
    assert_eq!(Visitor::new(&world).get("/app/operator").status, 303);
    let (_, link) = world.owned_workspace("Shop", "owner@shop.test");
    let owner = Visitor::new(&world);
    owner.post(&link, "");
    let page = owner.get("/app/operator");
    assert_eq!(page.status, 404);
    assert!(page.raw.contains("no such page") && !page.raw.contains("Operator"), "{}", page.raw);
    assert!(!owner.get("/app").raw.contains("/app/operator"));
    world.program(&world.keys.sk_test, "anna");
    let partner = Visitor::signed_in(&world, "anna@partner.test");
    assert_eq!(partner.get("/app/operator").status, 403);
    assert_eq!(partner.get("/app").status, 403);
    let operator = operator(&world);
    assert!(operator.get("/app").raw.contains("href=\"/app/operator\""));
    assert_eq!(operator.get("/app/operator").status, 200);
}

#[test]
fn an_operator_of_no_workspace_finds_the_page_too() {
    let world = World::new();
    let operator = Visitor::signed_in(&world, OPERATOR_EMAIL);
    assert_eq!(operator.get("/").header("location"), "/app");
    let chooser = operator.get("/app");
    assert!(chooser.status == 200 && chooser.raw.contains("href=\"/app/operator\""), "{}", chooser.raw);
    assert_eq!(operator.get("/app/operator").status, 200);
}

#[test]
fn it_shows_the_last_sweep_and_how_far_behind_work_is() {
    let world = World::new();
    let operator = operator(&world);
    assert!(operator.get("/app/operator").raw.contains("No sweep has run yet"));
    world.sweep();
    let page = operator.get("/app/operator").raw;
    assert!(page.contains("on time") && page.contains("nothing waits") && page.contains(" kB"), "{page}");
    assert_eq!(world.directory.count("SELECT count(*) FROM sweeps"), 1);
    world.sweep();
    assert_eq!(world.directory.count("SELECT count(*) FROM sweeps"), 1);

    let endpoint = json!({"url": "https://hooks.shop.test/", "events": ["*"]});
    world.make(&world.keys.sk_test, "webhook-endpoints", endpoint);
    world.receivers.say("https://hooks.shop.test/", Does::Status(500));
    world.program(&world.keys.sk_test, "anna");
    let connection = world.stripe_connection(&world.keys.sk_test);
    world.stripe(&connection, &crate::testing::refund("r", "unknown", world.now().seconds(), 500, "succeeded"));
    world.deliver();
    world.stripe(&connection, &crate::testing::session_completed("1", world.now().seconds(), json!({})));
    world.lose_queue();
    world.pass_ms(3 * HOUR_MS);
    let page = operator.get("/app/operator").raw;
    assert_eq!(page.matches("data-state=\"failed\">late<").count(), 3, "sweep, webhooks, Stripe events: {page}");
    assert!(page.contains("3 h behind") || page.contains("2 h behind"), "{page}");
    assert!(page.contains("Stripe events that are parked</dt><dd class=\"number\">1 "), "{page}");
    world.db.execute("UPDATE stripe_events SET outcome = 'failed'").unwrap();
    assert!(operator.get("/app/operator").raw.contains("Stripe events that failed</dt><dd class=\"number\">2 "));
}

#[test]
fn what_failed_in_a_sweep_is_named() {
    let world = World::new();
    let operator = operator(&world);
    world.db.execute("ALTER TABLE stripe_bodies RENAME TO stripe_bodies_gone").unwrap();
    world.sweep();
    assert!(operator.get("/app/operator").raw.contains(">purge of bodies<"));
    world.db.execute("ALTER TABLE stripe_bodies_gone RENAME TO stripe_bodies").unwrap();
    world.pass_ms(MINUTE_MS);
    world.sweep();
    assert!(!operator.get("/app/operator").raw.contains("purge of bodies"));
}

#[test]
fn workspaces_are_paged_and_the_page_costs_four_round_trips() {
    let world = World::new();
    for number in 0..30 {
        world.pass_ms(1);
        world.workspace(&format!("<b>Shop</b> {number}"));
    }
    let operator = operator(&world);
    world.round_trips();
    let first = operator.get("/app/operator").raw;
    // Who it is and what is listed, of the directory; what waits, and their sizes, of both.
    assert_eq!((world.directory.round_trips(), world.db.round_trips()), (4, 2));
    assert!(first.contains("&#60;b&#62;Shop") && !first.contains("<b>Shop"), "{first}");
    assert_eq!(first.matches("data-label=\"Id\"").count(), 25);
    let next = first.split("\" rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap().to_owned();
    let second = operator.get(&next).raw;
    assert_eq!(second.matches("data-label=\"Id\"").count(), 32 - 25);
    assert!(second.contains(">First<") && second.contains(">Newest<"), "{second}");
    assert_eq!(operator.get("/app/operator?after=nothing").raw.matches("data-label=\"Id\"").count(), 25);
    for statement in [crate::store::overdue::due(), crate::store::overdue::amiss()] {
        let plan = world.db.plan(statement.sql());
        for line in plan.lines().filter(|line| line.contains("SCAN ") && !line.contains("CONSTANT ROW")) {
            assert!(line.contains("hop") || line.contains("subquery") || line.contains("USING"), "{line}: {plan}");
        }
    }
}
