//! Writes that are lost or land unreported, and two runs at once.

use serde_json::json;

use super::*;
use crate::testing::{Does, NextWrite, World};

#[test]
fn what_is_noted_holds_once_even_where_a_write_is_lost_or_lands_unreported() {
    for (does, status) in [(Does::Status(200), "delivered"), (Does::Status(500), "pending")] {
        for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
            let world = World::new();
            let made = endpoint(&world, HOOK, &["*"]);
            let id = ping(&world, &made);
            world.receivers.say(HOOK, does.clone());
            world.db.next_write(fate);
            assert!(world.run_lane(&made.id).is_err(), "{fate:?}");
            // The alarm is repeated.
            world.run_lane(&made.id).unwrap();
            let times = world.receivers.received().len();
            assert_eq!(times, if fate == NextWrite::IsLost { 2 } else { 1 }, "{fate:?}");
            let noted = delivery(&world, &id);
            assert_eq!((noted["status"].as_str(), noted["attempts"].as_array().unwrap().len()), (Some(status), 1));
            assert_eq!(world.db.count("SELECT attempts * 10 + run_attempts FROM webhook_deliveries"), 11);
        }
    }
}

#[test]
fn two_runs_of_a_lane_at_once_note_each_attempt_once() {
    for does in [Does::Status(200), Does::Status(500), Does::Status(410)] {
        let world = World::new();
        let made = endpoint(&world, HOOK, &["*"]);
        let id = ping(&world, &made);
        world.receivers.say(HOOK, does.clone());
        let (app, endpoint_id) = (world.app.clone(), made.id.clone());
        world.receivers.meanwhile(move || {
            pollster::block_on(crate::webhooks::lane::run(&app, &endpoint_id)).unwrap();
        });
        world.run_lane(&made.id).unwrap();
        let posts = world.receivers.received();
        assert_eq!(posts.len(), 2, "the receiver may see it twice, and knows it by its id");
        assert_eq!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
        assert_eq!(delivery(&world, &id)["attempts"].as_array().unwrap().len(), 1, "{does:?}");
        assert_eq!(world.db.count("SELECT attempts * 10 + run_attempts FROM webhook_deliveries"), 11);
    }
}

#[test]
fn an_event_whose_cause_was_lost_is_owed_to_nobody_and_one_that_landed_is() {
    for (fate, owed) in [(NextWrite::IsLost, 0), (NextWrite::LandsButReportsFailure, 1)] {
        let world = World::new();
        endpoint(&world, HOOK, &["*"]);
        let program = world.make(&world.keys.sk_test, "programs", json!({"name": "Friends"}));
        let partner = world.make(&world.keys.sk_test, "partners", json!({"name": "Anna", "email": "a@partner.test"}));
        world.app.owed.take();
        world.api("GET /api/v1/events", json!(null));
        assert!(world.app.owed.is_empty(), "reading owes nothing");
        world.db.next_write(fate);
        let body = json!({"program_id": program, "partner_id": partner});
        assert_eq!(world.api("POST /api/v1/participants", body).status, 503);
        assert!(!world.app.owed.is_empty(), "what failed may have landed");
        for table in ["participants", "events", "webhook_deliveries"] {
            assert_eq!(world.db.count(&format!("SELECT count(*) FROM {table}")), owed, "{table} {fate:?}");
        }
        world.run_lanes();
        assert_eq!(world.receivers.received().len() as i64, owed);
    }
}
