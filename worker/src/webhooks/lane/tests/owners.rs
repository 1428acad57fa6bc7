//! Who is told that an endpoint has disabled itself.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use domain::account::MAIL_CLAIMED_MS;
use domain::time::{DAY_MS, HOUR_MS};
use serde_json::json;

use super::*;
use crate::jobs::{self, Message};
use crate::mail::Letter;
use crate::testing::{Does, NextWrite, OPERATOR_TOKEN, Visitor, World};

const OWNERS: [&str; 2] = ["ann@shop.test", "bo@shop.test"];
const MAILS: &str = "SELECT count(*) FROM mails";

/// A workspace with two owners and somebody who is none.
fn owned() -> World {
    let world = World::new();
    let workspace = world.db.text("SELECT id FROM workspaces");
    let bearer = format!("Bearer {OPERATOR_TOKEN}");
    for owner in OWNERS {
        let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
        assert_eq!(world.send(&line, &[("authorization", &bearer)], json!({"owner_email": owner})).status, 201);
    }
    let ann = Visitor::signed_in(&world, OWNERS[0]);
    let admin = json!({"email": "admin@shop.test", "role": "admin"});
    assert_eq!(ann.api(&workspace, "POST /api/v1/members", admin).status, 201);
    world.deliver();
    world.db.execute("DELETE FROM mails").unwrap();
    world.mail.sent.lock().unwrap().clear();
    world
}

fn letters(world: &World) -> Vec<Letter> {
    std::mem::take(&mut *world.mail.sent.lock().unwrap())
}

/// Each owner has one letter, and nobody else has any.
#[track_caller]
fn each_is_told_once(letters: &[Letter]) {
    let told: BTreeSet<&str> = letters.iter().map(|letter| letter.to.as_str()).collect();
    assert_eq!((letters.len(), told), (2, OWNERS.into()));
}

/// Makes it fail, until a single failure more disables it.
fn fail_for_five_days(world: &World, made: &Made, url: &str) {
    world.receivers.say(url, Does::Status(500));
    for _ in 0..20 {
        ping(world, made);
        world.run_lanes();
        world.pass_ms(6 * HOUR_MS);
    }
    assert_eq!(shown(world, made)["status"], "enabled");
}

#[test]
fn its_owners_are_told_what_was_disabled_why_and_where_to_look() {
    let world = owned();
    let url = format!("{HOOK}?token=hidden");
    let made = endpoint(&world, &url, &["*"]);
    world.receivers.say(&url, Does::Status(410));
    ping(&world, &made);
    world.run_lanes();
    assert_eq!(letters(&world).len(), 0, "it waits with the batch's other rows");
    let at = world.now();
    world.pass_ms(1_000);
    world.sweep();
    let told = letters(&world);
    each_is_told_once(&told);
    let expected = expect_test::expect![[r#"
        A webhook endpoint of First was disabled (test mode)

        A webhook endpoint of the workspace "First" on Selgeo was disabled in test mode, at 2026-06-01T12:00:01.000Z:

        https://hooks.merchant.example/in

        It answered 410 Gone, by which a receiver says that it wants nothing more.

        Nothing is sent there any more. What it was still owed, and what happens from now on, is kept for 30 days as dead letters.

        Once the receiver works, enable the endpoint (ID) and resend what it has missed. Look after it here:

        https://api.selgeo.test/app
    "#]];
    expected.assert_eq(&format!("{}\n\n{}", told[0].subject, told[0].text).replace(&made.id, "ID"));
    assert!(told[0].text.contains(&at.to_string()));
    assert!(!told[0].text.contains(&made.secret) && !told[0].text.contains("hidden"));
    world.pass_ms(DAY_MS);
    world.sweep();
    assert_eq!(letters(&world).len(), 0);
}

#[test]
fn owners_are_told_of_five_days_of_failures_in_either_mode_and_of_the_next_time_too() {
    let world = owned();
    for key in [&world.keys.sk_test, &world.keys.sk_live] {
        let made = endpoint_of(&world, key, HOOK, &["*"]);
        let mode = if *key == world.keys.sk_test { "test" } else { "live" };
        for _ in 0..2 {
            world.receivers.say(HOOK, Does::Status(500));
            let act = |verb: &str| {
                world.api_as(key, &format!("POST /api/v1/webhook-endpoints/{}/{verb}", made.id), json!(null)).status
            };
            for _ in 0..21 {
                assert_eq!(act("ping"), 202);
                world.run_lanes();
                assert_eq!(letters(&world).len(), 0);
                world.pass_ms(6 * HOUR_MS);
                world.sweep();
            }
            let told = letters(&world);
            each_is_told_once(&told);
            assert_eq!(told[0].subject, format!("A webhook endpoint of First was disabled ({mode} mode)"));
            assert!(told[0].text.contains("Every attempt of the last five days has failed."), "{}", told[0].text);
            assert_eq!(act("enable"), 200);
        }
    }
}

#[test]
fn nobody_is_told_of_what_a_person_did() {
    let world = owned();
    let made = endpoint(&world, HOOK, &["*"]);
    ping(&world, &made);
    let (app, id) = (world.app.clone(), made.id.clone());
    world.receivers.say(HOOK, Does::Status(410));
    // While a receiver says that it is gone, its merchant says so too.
    world.receivers.meanwhile(move || {
        let by_hand = "UPDATE webhook_endpoints SET status = 'disabled', disabled_reason = 'by_hand' WHERE id = ?";
        pollster::block_on(app.db.rows(crate::store::Statement::new(by_hand).bind(id).at(crate::store::Home::Each)))
            .unwrap();
    });
    world.run_lane(&made.id).unwrap();
    assert_eq!(shown(&world, &made)["disabled_reason"], "by_hand");
    assert_eq!(world.db.count(MAILS), 0);
}

#[test]
fn of_two_runs_that_see_the_same_one_tells() {
    for fails in [false, true] {
        let world = owned();
        let made = endpoint(&world, HOOK, &["*"]);
        if fails {
            fail_for_five_days(&world, &made, HOOK);
        } else {
            world.receivers.say(HOOK, Does::Status(410));
        }
        ping(&world, &made);
        let (app, id) = (world.app.clone(), made.id.clone());
        world.receivers.meanwhile(move || {
            pollster::block_on(crate::webhooks::lane::run(&app, &id)).unwrap();
        });
        world.run_lane(&made.id).unwrap();
        assert_eq!(shown(&world, &made)["disabled_reason"], if fails { "failing" } else { "gone" });
        assert_eq!(world.db.count(MAILS), 1);
        world.sweep();
        each_is_told_once(&letters(&world));
    }
}

#[test]
fn a_write_that_is_lost_or_lands_unreported_tells_once() {
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        let world = owned();
        let made = endpoint(&world, HOOK, &["*"]);
        world.receivers.say(HOOK, Does::Status(410));
        ping(&world, &made);
        world.db.next_write(fate);
        assert!(world.run_lane(&made.id).is_err());
        let landed = i64::from(fate == NextWrite::LandsButReportsFailure);
        let disabled = "SELECT count(*) FROM webhook_endpoints WHERE status = 'disabled'";
        assert_eq!((world.db.count(disabled), world.db.count(MAILS)), (landed, landed), "both or neither");
        world.run_lanes();
        assert_eq!((world.db.count(disabled), world.db.count(MAILS)), (1, 1));
        world.sweep();
        each_is_told_once(&letters(&world));
    }
}

/// A world in which the mail of a disabling waits; and its id.
fn disabled() -> (World, String) {
    let world = owned();
    let made = endpoint(&world, HOOK, &["*"]);
    world.receivers.say(HOOK, Does::Status(410));
    ping(&world, &made);
    world.run_lanes();
    let id = world.db.text("SELECT id FROM mails");
    (world, id)
}

/// What happens after a mail was claimed, before what it turns into is written.
fn once_claimed(world: &World, what: impl FnOnce() + Send + 'static) {
    let db = world.db.clone();
    world.db.before_next_write(move || db.before_next_write(what));
}

#[test]
fn each_owner_has_a_mail_of_their_own_whatever_becomes_of_the_write() {
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        let (world, id) = disabled();
        let db = world.db.clone();
        once_claimed(&world, move || db.next_write(fate));
        assert_eq!(world.handle(vec![Message::Mail { id }]), [false]);
        let waiting = "SELECT count(*) FROM mails WHERE next_attempt_at IS NOT NULL";
        assert_eq!(world.db.count(waiting), if fate == NextWrite::IsLost { 1 } else { 2 });
        world.mail.refuses.store(true, Ordering::SeqCst);
        world.pass_ms(MAIL_CLAIMED_MS);
        world.sweep();
        assert_eq!((world.db.count(waiting), letters(&world).len()), (2, 0));
        world.mail.refuses.store(false, Ordering::SeqCst);
        world.pass_ms(MAIL_CLAIMED_MS);
        world.sweep();
        each_is_told_once(&letters(&world));
        assert_eq!(world.db.count("SELECT count(*) FROM mails WHERE content IS NOT NULL"), 0);
    }
}

#[test]
fn a_mail_that_two_turn_into_letters_at_once_becomes_one_for_each_owner() {
    let (world, id) = disabled();
    let (app, clock, same) = (world.app.clone(), world.clock.clone(), id.clone());
    once_claimed(&world, move || {
        // The first one is slow enough to be taken for dead.
        clock.pass_ms(MAIL_CLAIMED_MS);
        let handled = pollster::block_on(jobs::handle(&app, vec![Message::Mail { id: same }]));
        assert_eq!(handled.done, [true]);
    });
    assert_eq!(world.handle(vec![Message::Mail { id }]), [true]);
    assert_eq!(world.db.count(MAILS), 3);
    world.sweep();
    each_is_told_once(&letters(&world));
}

#[test]
fn an_owner_whose_address_does_not_open_keeps_no_other_from_being_told() {
    let (world, _) = disabled();
    let first =
        "UPDATE people SET email = 'x' WHERE id = (SELECT person_id FROM members WHERE role = 'owner' ORDER BY id)";
    world.directory.execute(first).unwrap();
    world.sweep();
    let told: Vec<String> = letters(&world).into_iter().map(|letter| letter.to).collect();
    assert_eq!(told, [OWNERS[1]]);
    assert_eq!(world.db.count("SELECT count(*) FROM mails WHERE content IS NOT NULL"), 0);
}
