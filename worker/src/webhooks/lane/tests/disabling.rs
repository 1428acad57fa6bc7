//! Endpoints that are gone, that only fail, or that are removed; and what is sent again.

use std::collections::BTreeSet;

use domain::time::{DAY_MS, HOUR_MS};
use domain::webhook::schedule::TIMEOUT_MS;
use serde_json::{Value as Json, json};

use super::*;
use crate::store::{Home, Statement};
use crate::testing::{Does, World};

#[test]
fn one_that_is_gone_is_disabled_and_what_it_missed_can_be_sent_again() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    world.receivers.say(HOOK, Does::Status(410));
    let first = ping(&world, &made);
    world.run_lanes();
    assert_eq!(delivery(&world, &first)["status"], "dead_letter");
    assert_eq!(delivery(&world, &first)["attempts"].as_array().unwrap().len(), 1);
    let endpoint = shown(&world, &made);
    assert_eq!((&endpoint["status"], &endpoint["disabled_reason"]), (&json!("disabled"), &json!("gone")));
    assert_eq!(world.receivers.received().len(), 1);
    let since = world.now();
    world.pass_ms(1);
    world.program(&world.keys.sk_test, "anna");
    world.run_lanes();
    assert_eq!(world.receivers.received().len(), 0, "a disabled endpoint is sent nothing");
    let missed = ["webhook.test dead_letter", "participant.created dead_letter", "participant.approved dead_letter"];
    assert_eq!(log(&world, &made).into_iter().collect::<BTreeSet<_>>(), missed.map(str::to_owned).into());
    // Not while it is disabled.
    let resend = json!({"since": since.to_string()});
    assert_eq!(act(&world, &made, "resend", resend.clone()).summary(), "409 CONFLICT");
    let line = format!("POST /api/v1/webhook-deliveries/{first}/resend");
    assert_eq!(world.api(&line, json!(null)).summary(), "409 CONFLICT");
    act(&world, &made, "enable", json!(null));
    world.receivers.say(HOOK, Does::Status(200));
    let resent = act(&world, &made, "resend", resend.clone());
    assert_eq!((resent.status.as_u16(), &resent.body), (202, &json!({"resent": 2, "more": false})));
    world.run_lanes();
    let mut kinds = world.receivers.kinds_at(HOOK);
    kinds.sort_unstable();
    assert_eq!(kinds, ["participant.approved", "participant.created"]);
    // Nothing has failed since; the one before is sent by its own id.
    assert_eq!(act(&world, &made, "resend", resend).body["resent"], 0);
    assert_eq!(world.api(&line, json!(null)).status, 202);
    world.run_lanes();
    assert_eq!(world.receivers.kinds_at(HOOK), ["webhook.test"]);
    assert!(log(&world, &made).iter().all(|line| line.ends_with(" delivered")));
}

#[test]
fn one_that_moved_while_its_old_place_said_gone_stays_enabled() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    world.receivers.say(HOOK, Does::Status(410));
    let id = ping(&world, &made);
    let to = "https://hooks.moved.example/in";
    let app = world.app.clone();
    world.receivers.meanwhile(move || {
        let moved = Statement::new("UPDATE webhook_endpoints SET url = ?").bind(to);
        pollster::block_on(app.db.rows(moved.at(Home::Each))).unwrap();
    });
    world.run_lanes();
    assert_eq!(shown(&world, &made)["status"], "enabled");
    let line = format!("POST /api/v1/webhook-deliveries/{id}/resend");
    assert_eq!(world.api(&line, json!(null)).status, 202);
    world.run_lanes();
    assert_eq!(world.receivers.kinds_at(to), ["webhook.test"]);
}

#[test]
fn one_that_only_fails_for_five_days_is_disabled_and_a_success_begins_anew() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    let fail_for = |days: i64| {
        world.receivers.say(HOOK, Does::Status(500));
        for _ in 0..days * 4 {
            let id = ping(&world, &made);
            world.run_lanes();
            assert_eq!(delivery(&world, &id)["attempts"][0]["status"], 500);
            world.pass_ms(6 * HOUR_MS);
        }
    };
    fail_for(4);
    assert!(shown(&world, &made)["failing_since"].is_string());
    world.receivers.say(HOOK, Does::Status(200));
    ping(&world, &made);
    world.run_lanes();
    assert_eq!(shown(&world, &made)["failing_since"], Json::Null);
    let since = world.now();
    fail_for(5);
    assert_eq!(shown(&world, &made)["status"], "enabled", "not a moment early");
    ping(&world, &made);
    world.run_lanes();
    let endpoint = shown(&world, &made);
    assert_eq!((&endpoint["status"], &endpoint["disabled_reason"]), (&json!("disabled"), &json!("failing")));
    world.run_lanes();
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"), 0);
    // Enabled, it is taken for one that never failed, and gets what it missed.
    act(&world, &made, "enable", json!(null));
    assert_eq!(shown(&world, &made)["failing_since"], Json::Null);
    world.receivers.received();
    world.receivers.say(HOOK, Does::Status(200));
    let resent = act(&world, &made, "resend", json!({"since": since.to_string()}));
    assert_eq!(resent.body["resent"], 21);
    world.run_lanes();
    assert_eq!(world.receivers.received().len(), 21);
}

#[test]
fn what_was_delivered_or_is_waiting_is_sent_again_with_the_same_id_from_the_schedules_beginning() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    let id = ping(&world, &made);
    world.run_lanes();
    world.receivers.say(HOOK, Does::Status(500));
    let line = format!("POST /api/v1/webhook-deliveries/{id}/resend");
    let resent = world.api(&line, json!(null));
    assert_eq!((resent.status.as_u16(), resent.text("/status").as_str()), (202, "pending"));
    let posts = run_out(&world, &made);
    assert_eq!(posts.len(), 9, "one that was taken, and eight that were not");
    assert!(posts.iter().all(|(_, post)| post.raw == posts[0].1.raw));
    let ended = delivery(&world, &id);
    assert_eq!((&ended["status"], ended["attempts"].as_array().unwrap().len()), (&json!("dead_letter"), 9));
    // Owed anew while it waits: at once.
    world.api(&line, json!(null));
    world.run_lanes();
    world.pass_ms(1_000);
    world.api(&line, json!(null));
    world.run_lanes();
    assert_eq!(world.receivers.received().len(), 2);
    // Owed anew while an attempt is under way, the last of its run: that one's failure does not end the new run.
    for _ in 0..7 {
        let next = world.run_lane(&made.id).unwrap().unwrap();
        world.pass_ms(next.ms() - world.now().ms());
        if world.db.count("SELECT run_attempts FROM webhook_deliveries") == 7 {
            break;
        }
    }
    assert_eq!(world.db.count("SELECT run_attempts FROM webhook_deliveries"), 7);
    let app = world.app.clone();
    world.receivers.meanwhile(move || {
        let again = "UPDATE webhook_deliveries SET run_attempts = 0, status = 'pending', next_attempt_at = 0";
        pollster::block_on(app.db.rows(Statement::new(again).at(Home::Each))).unwrap();
    });
    world.run_lanes();
    assert_eq!(world.db.count("SELECT run_attempts FROM webhook_deliveries"), 1);
    assert_eq!(delivery(&world, &id)["status"], "pending");
}

#[test]
fn what_a_removed_endpoint_is_owed_is_given_up() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    world.receivers.say(HOOK, Does::Status(500));
    let tried = ping(&world, &made);
    world.run_lanes();
    let untried = ping(&world, &made);
    let line = format!("DELETE /api/v1/webhook-endpoints/{}", made.id);
    assert_eq!(world.api(&line, json!(null)).status, 204);
    assert_eq!(world.api(&line, json!(null)).summary(), "404 NOT_FOUND");
    world.receivers.received();
    world.pass_ms(DAY_MS);
    world.run_lanes();
    assert_eq!(world.run_lane(&made.id), Ok(None));
    assert_eq!(world.receivers.received().len(), 0);
    for id in [&tried, &untried] {
        assert_eq!(delivery(&world, id)["status"], "dead_letter");
        assert_eq!(
            world.api(&format!("POST /api/v1/webhook-deliveries/{id}/resend"), json!(null)).summary(),
            "409 CONFLICT"
        );
    }
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_endpoints WHERE secret <> '' OR previous_secret <> ''"), 0);
    // More than one batch gives up is given up by its lane.
    let made = endpoint(&world, HOOK, &["*"]);
    ping(&world, &made);
    world
        .db
        .execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
             INSERT INTO webhook_deliveries (id, workspace_id, mode, endpoint_id, event_id, status, next_attempt_at, created_at) \
             SELECT d.id || i, workspace_id, mode, endpoint_id, event_id, status, next_attempt_at, created_at \
             FROM n, webhook_deliveries d WHERE d.status = 'pending'",
        )
        .unwrap();
    world.api(&format!("DELETE /api/v1/webhook-endpoints/{}", made.id), json!(null));
    let pending = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'";
    assert_eq!(world.db.count(pending), 701);
    world.run_lanes();
    assert_eq!(world.db.count(pending), 0);
    assert_eq!(world.receivers.received().len(), 0);
}

#[test]
fn one_that_is_disabled_while_it_is_slow_gets_no_more_than_what_was_under_way() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    for _ in 0..20 {
        ping(&world, &made);
    }
    let (app, clock) = (world.app.clone(), world.clock.clone());
    world.receivers.meanwhile(move || {
        let disabled = "UPDATE webhook_endpoints SET status = 'disabled', disabled_reason = 'by_hand'";
        pollster::block_on(app.db.rows(Statement::new(disabled).at(Home::Each))).unwrap();
        clock.pass_ms(TIMEOUT_MS);
    });
    assert_eq!(world.run_lane(&made.id), Ok(None));
    assert_eq!(world.receivers.received().len(), 5);
    let ended = log(&world, &made);
    let count = |status: &str| ended.iter().filter(|line| line.ends_with(status)).count();
    assert_eq!((count(" delivered"), count(" dead_letter")), (5, 15));
}
