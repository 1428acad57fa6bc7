//! What a delivery costs, what is kept of it, and for how long.

use std::collections::BTreeSet;

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use domain::time::{DAY_MS, MINUTE_MS, SECOND_MS};
use serde_json::json;

use super::*;
use crate::store::{Scope, webhooks};
use crate::testing::shop::{Shop, shop};
use crate::testing::{Does, World};

#[test]
fn a_delivery_costs_few_round_trips_and_rows() {
    let Shop { world, .. } = shop();
    let made = endpoint(&world, HOOK, &["*"]);
    let cost = |pings: usize| {
        for _ in 0..pings {
            ping(&world, &made);
        }
        world.db.round_trips();
        let before = world.db.count("SELECT total_changes()");
        assert_eq!(world.run_lane(&made.id), Ok(None));
        (world.db.round_trips(), world.db.count("SELECT total_changes()") - before)
    };
    // To read what is due, and to note the outcome, which sees that no more is due. A row for the attempt, and the delivery's own.
    assert_eq!(cost(1), (2, 2));
    // What ends together is noted together.
    let (trips, rows) = cost(50);
    assert!(trips <= 1 + 50 / 5, "{trips}");
    assert_eq!(rows, 100);
    // What is owed costs its cause no round trip, and a row for each endpoint.
    let before = world.db.count("SELECT total_changes()");
    world.db.round_trips();
    ping(&world, &made);
    assert_eq!(world.db.round_trips(), 2, "the endpoint is read, the event is written");
    assert_eq!(world.db.count("SELECT total_changes()") - before, 2);
}

#[test]
fn the_lanes_that_are_due_are_found_longest_overdue_first_along_an_index() {
    let world = World::new();
    let url = |name: &str| format!("https://{name}.example/in");
    let (a, b, c) =
        (endpoint(&world, &url("a"), &["*"]), endpoint(&world, &url("b"), &["*"]), endpoint(&world, &url("c"), &["*"]));
    let ids = |statement| -> BTreeSet<String> {
        let rows = pollster::block_on(world.app.db.rows(statement));
        rows.unwrap().iter().map(|row| row.text("id").unwrap()).collect()
    };
    // Those of the workspace, and for the sweep those of all.
    let scope = Scope {
        workspace_id: WorkspaceId::parse(&world.db.text("SELECT id FROM workspaces")).unwrap(),
        mode: Mode::Test,
    };
    let due = |expected: &[&String]| {
        let expected: BTreeSet<String> = expected.iter().map(|id| (*id).clone()).collect();
        assert_eq!(ids(webhooks::due_endpoints_of(&scope, world.now())), expected);
        assert_eq!(ids(webhooks::due_endpoints(world.now(), 10)), expected);
    };
    due(&[]);
    for made in [&b, &c, &a, &b] {
        ping(&world, made);
    }
    due(&[&a.id, &b.id, &c.id]);
    assert_eq!(ids(webhooks::due_endpoints(world.now(), 1)).len(), 1);
    let other = Scope { mode: Mode::Live, ..scope.clone() };
    assert_eq!(ids(webhooks::due_endpoints_of(&other, world.now())), BTreeSet::new());
    world.run_lane(&b.id).unwrap();
    due(&[&a.id, &c.id]);
    world.receivers.say(&url("c"), Does::Status(500));
    world.run_lane(&c.id).unwrap();
    due(&[&a.id]);
    world.pass_ms(10 * SECOND_MS);
    due(&[&a.id, &c.id]);
    let plan = world.db.plan(webhooks::due_endpoints_of(&scope, world.now()).sql());
    assert!(plan.contains("webhook_endpoints_of_workspace") && plan.contains("webhook_deliveries_due"), "{plan}");
    let statement = webhooks::due_endpoints(world.now(), 1);
    let plan = world.db.plan(statement.sql());
    assert!(!plan.contains("SCAN webhook_deliveries\n") && !plan.contains("SCAN d\n"), "{plan}");
    assert!(!plan.contains("webhook_endpoints"), "{plan}");
    let statement = webhooks::due(&b.id, world.now(), 1);
    let plan = world.db.plan(statement.sql());
    assert!(plan.contains("webhook_deliveries_due") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn the_log_is_purged_after_thirty_days_and_what_waits_stays() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    let delivered = ping(&world, &made);
    world.run_lanes();
    world.receivers.say(HOOK, Does::Status(500));
    let waits = ping(&world, &made);
    world.run_lanes();
    world.pass_ms(30 * DAY_MS - MINUTE_MS);
    world.sweep();
    assert_eq!(log(&world, &made).len(), 2);
    world.pass_ms(MINUTE_MS);
    world.sweep();
    assert_eq!(log(&world, &made), ["webhook.test pending"]);
    let gone = format!("GET /api/v1/webhook-deliveries/{delivered}");
    assert_eq!(world.api(&gone, json!(null)).summary(), "404 NOT_FOUND");
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_attempts"), 1);
    world.receivers.say(HOOK, Does::Status(200));
    world.run_lanes();
    assert_eq!(delivery(&world, &waits)["status"], "delivered");
    world.sweep();
    assert_eq!(log(&world, &made).len(), 0);
    assert_eq!(world.db.count("SELECT count(*) FROM events WHERE type = 'webhook.test'"), 2, "events stay");
}
