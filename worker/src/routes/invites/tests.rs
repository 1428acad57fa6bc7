//! Inviting, by requests. Joining by an invite is tested beside the join page.

use domain::partner::INVITE_LIVES_MS;
use serde_json::{Value as Json, json};

use crate::testing::{ORIGIN, World};

const NOTHING: Json = Json::Null;

fn active_program(world: &World, key: &str) -> String {
    world.make(key, "programs", json!({"name": "Friends", "slug": "friends", "status": "active"}))
}

#[test]
fn an_invites_address_is_in_its_answer_alone_and_in_live_mode_in_a_letter() {
    for live in [false, true] {
        let world = World::new();
        let key = if live { world.keys.sk_live.clone() } else { world.keys.sk_test.clone() };
        let program_id = active_program(&world, &key);
        let invite = json!({"program_id": program_id, "email": " Anna@Partner.test ", "name": "Anna"});
        let made = world.api_as(&key, "POST /api/v1/invites", invite);
        assert_eq!(made.summary(), "201", "{}", made.raw);
        let url = made.text("/url");
        let token = url.strip_prefix(&format!("{ORIGIN}/join/friends?invite=")).unwrap();
        assert_eq!(token.len(), 43);
        assert_eq!((made.text("/email").as_str(), made.text("/status").as_str()), ("anna@partner.test", "pending"));

        // The sealed mail is the only place that could tell it, and a sent one forgets.
        assert!(!world.db.everything().contains(token));
        world.deliver();
        let letters = world.mail.sent.lock().unwrap().clone();
        assert_eq!(letters.len(), usize::from(live));
        for letter in letters {
            assert_eq!(
                (letter.to.as_str(), letter.subject.as_str()),
                ("anna@partner.test", "First invites you to Friends")
            );
            assert!(letter.text.contains(&url));
        }
        let id = made.text("/id");
        for answer in [
            world.api_as(&key, &format!("GET /api/v1/invites/{id}"), NOTHING),
            world.api_as(&key, "GET /api/v1/invites", NOTHING),
        ] {
            assert_eq!(answer.status, 200);
            assert!(!answer.raw.contains(token) && answer.raw.contains(&id), "{}", answer.raw);
        }
        let other = if live { &world.keys.sk_test } else { &world.keys.sk_live };
        assert_eq!(world.api_as(other, &format!("GET /api/v1/invites/{id}"), NOTHING).summary(), "404 NOT_FOUND");
    }
}

#[test]
fn an_address_has_one_open_invite_to_a_program_until_it_is_revoked_or_runs_out() {
    let world = World::new();
    let key = &world.keys.sk_test;
    let program_id = active_program(&world, key);
    let invite = || world.api("POST /api/v1/invites", json!({"program_id": program_id, "email": "a@b.test"}));
    let of_status = |status: &str| {
        let listed = world.api(&format!("GET /api/v1/invites?status={status}"), NOTHING);
        assert_eq!(listed.status, 200, "{}", listed.raw);
        listed.body["data"].as_array().unwrap().len()
    };
    let first = invite();
    assert_eq!(invite().summary(), "409 CONFLICT");
    world.pass_ms(INVITE_LIVES_MS - 1);
    assert_eq!((of_status("pending"), of_status("expired")), (1, 0));
    world.pass_ms(1);
    assert_eq!((of_status("pending"), of_status("expired")), (0, 1));
    assert_eq!(world.api(&format!("GET /api/v1/invites/{}", first.text("/id")), NOTHING).text("/status"), "expired");
    world.pass_ms(1);
    let second = invite();
    assert_eq!(second.summary(), "201");
    let revoke = format!("DELETE /api/v1/invites/{}", second.text("/id"));
    for _ in 0..2 {
        assert_eq!(world.api(&revoke, NOTHING).summary(), "204");
    }
    assert_eq!((of_status("pending"), of_status("expired"), of_status("revoked")), (0, 1, 1));
    assert_eq!(invite().summary(), "201");
    assert_eq!(world.api("GET /api/v1/invites?status=lost", NOTHING).summary(), "400 VALIDATION_ERROR");
    assert_eq!(world.api("DELETE /api/v1/invites/inv_x", NOTHING).summary(), "404 NOT_FOUND");
}

#[test]
fn a_revoked_invites_letter_is_not_sent() {
    let world = World::new();
    let key = world.keys.sk_live.clone();
    let program_id = active_program(&world, &key);
    let id = world.make(&key, "invites", json!({"program_id": program_id, "email": "a@b.test"}));
    assert_eq!(world.api_as(&key, &format!("DELETE /api/v1/invites/{id}"), NOTHING).summary(), "204");
    world.deliver();
    assert!(world.mail.sent.lock().unwrap().is_empty());
    assert_eq!(world.db.count("SELECT count(*) FROM mails WHERE content IS NOT NULL"), 0);
}

#[test]
fn only_an_active_program_of_ones_own_takes_invites_and_only_of_who_is_not_in_it() {
    let world = World::new();
    let key = &world.keys.sk_test;
    let program = world.program(key, "anna");
    let draft = world.make(key, "programs", json!({"name": "Soon"}));
    let other = world.workspace("Other");
    let theirs = world.make(&other.sk_test, "programs", json!({"name": "Theirs", "status": "active"}));
    for (body, expected) in [
        (json!({"program_id": draft, "email": "a@b.test"}), "409 CONFLICT"),
        (json!({"program_id": theirs, "email": "a@b.test"}), "404 NOT_FOUND"),
        (json!({"program_id": program.program_id, "email": "anna@partner.test"}), "409 CONFLICT"),
        (json!({"program_id": program.program_id, "email": "anna"}), "400 VALIDATION_ERROR"),
        (json!({"program_id": program.program_id}), "400 VALIDATION_ERROR"),
        (json!({"email": "a@b.test"}), "400 VALIDATION_ERROR"),
        (
            json!({"program_id": program.program_id, "email": "a@b.test", "name": "x".repeat(201)}),
            "400 VALIDATION_ERROR",
        ),
        (json!({"program_id": program.program_id, "email": "a@b.test", "name": ""}), "201"),
    ] {
        let answer = world.api("POST /api/v1/invites", body);
        assert_eq!(answer.summary(), expected, "{}", answer.raw);
    }
}

#[test]
fn whoever_is_stopped_does_not_come_back_by_an_old_invite() {
    let world = World::new();
    let program_id = active_program(&world, &world.keys.sk_test);
    let invite = world.api("POST /api/v1/invites", json!({"program_id": program_id, "email": "anna@partner.test"}));
    let partner = json!({"name": "Anna", "email": "anna@partner.test"});
    let partner_id = world.make(&world.keys.sk_test, "partners", partner);
    let participant = json!({"program_id": program_id, "partner_id": partner_id, "status": "approved"});
    let id = world.make(&world.keys.sk_test, "participants", participant);
    let state = || world.api(&format!("GET /api/v1/invites/{}", invite.text("/id")), NOTHING).text("/status");
    assert_eq!(state(), "pending");
    assert_eq!(world.api(&format!("POST /api/v1/participants/{id}/suspend"), json!({})).status, 200);
    assert_eq!(state(), "revoked");
}
