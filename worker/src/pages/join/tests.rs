//! Joining a program, by requests.

use std::sync::atomic::Ordering;

use domain::partner::INVITE_LIVES_MS;
use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::pages::POLICY;
use crate::testing::{Answer, ORIGIN, Visitor, World};

const NOTHING: Json = Json::Null;
const TERMS: &str = "No coupons.\n\nNo spam.";
const FORM: &str = "name=Ann&email=ann%40partner.test&promotion=A+blog&accept=yes";

#[track_caller]
fn check_page(answer: &Answer, status: u16, text: &str) {
    assert_eq!(answer.status, status, "{}", answer.raw);
    assert!(answer.raw.contains(text), "{text} is not in {}", answer.raw);
    assert_eq!(answer.header("content-security-policy"), POLICY);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.raw.contains("<script") && !answer.raw.contains(" style="), "{}", answer.raw);
}

/// Sends the form of a page that showed the terms below.
fn sends(visitor: &Visitor<'_>, form: &str) -> Answer {
    let terms = hex::encode(Sha256::digest(TERMS));
    visitor.post("/join/friends", &form.replace("accept=yes", &format!("accept={terms}")))
}

/// An active program at `/join/friends`.
fn friends(world: &World, key: &str, more: Json) -> String {
    let mut program = json!({
        "name": "Friends", "slug": "friends", "status": "active", "terms": TERMS,
        "rewards": [{"trigger": "sale", "percent_bps": 2000, "hold_days": 30}],
    });
    program.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.make(key, "programs", program)
}

fn participants(world: &World, key: &str) -> Vec<Json> {
    world.pass_ms(1);
    world.api_as(key, "GET /api/v1/participants", NOTHING).body["data"].as_array().unwrap().clone()
}

#[test]
fn an_application_waits_with_what_was_said_and_in_live_mode_a_letter_goes_out_once() {
    for live in [false, true] {
        let world = World::new();
        let key = if live { world.keys.sk_live.clone() } else { world.keys.sk_test.clone() };
        friends(&world, &key, json!({}));
        let visitor = Visitor::new(&world);
        let page = visitor.get("/join/friends");
        for text in ["Partner program of", "Friends", "20 % of every sale; approved after 30 days", "No spam."] {
            check_page(&page, 200, text);
        }
        assert_eq!(page.raw.contains("test mode"), !live);
        let done = sends(&visitor, FORM);
        check_page(&done, 200, "Thank you");
        assert_eq!(done.raw.contains("no letter is sent"), !live);
        let joined = participants(&world, &key);
        assert_eq!((joined.len(), &joined[0]["status"]), (1, &json!("pending")));
        let said = &joined[0]["application"];
        assert_eq!(
            (&said["name"], &said["promotion"], &said["invited"]),
            (&json!("Ann"), &json!("A blog"), &json!(false))
        );
        assert_eq!(said["terms_sha256"].as_str().unwrap().len(), 64);
        // The outbox tells it without what was said: events are for good.
        let events = world.api_as(&key, "GET /api/v1/events", NOTHING);
        assert!(events.raw.contains("participant.created") && !events.raw.contains("A blog"), "{}", events.raw);
        world.deliver();
        let letters = std::mem::take(&mut *world.mail.sent.lock().unwrap());
        assert_eq!(
            letters.iter().map(|letter| letter.subject.as_str()).collect::<Vec<_>>(),
            match live {
                true => vec!["Your application to Friends"],
                false => vec![],
            }
        );
        check_page(&sends(&visitor, FORM), 200, "Thank you");
        world.deliver();
        assert!(world.mail.sent.lock().unwrap().is_empty());
        assert_eq!(participants(&world, &key).len(), 1);
        // They sign in as ever, in either mode.
        Visitor::signed_in(&world, "ann@partner.test");
    }
}

#[test]
fn an_invite_lets_in_at_once_with_its_own_address_and_once() {
    for live in [false, true] {
        let world = World::new();
        let key = if live { world.keys.sk_live.clone() } else { world.keys.sk_test.clone() };
        let program_id = friends(&world, &key, json!({"applications": "closed"}));
        let invite = json!({"program_id": program_id, "email": "ben@partner.test", "name": "Ben <3"});
        let made = world.api_as(&key, "POST /api/v1/invites", invite);
        let path = made.text("/url").strip_prefix(ORIGIN).unwrap().to_owned();
        let token = path.split('=').nth(1).unwrap();
        let visitor = Visitor::new(&world);
        check_page(&visitor.get("/join/friends"), 403, "Friends is by invitation");
        check_page(&sends(&visitor, FORM), 403, "Friends is by invitation");
        check_page(&visitor.get(&path), 200, "ben@partner.test");
        check_page(&visitor.get(&path), 200, "value=\"Ben &#60;3\"");
        let form = format!("invite={token}&name=Ben&email=other%40partner.test&accept=yes");
        check_page(&sends(&visitor, &form), 200, "You are in");
        let joined = participants(&world, &key);
        assert_eq!((joined.len(), &joined[0]["status"]), (1, &json!("approved")));
        let partner =
            world.api_as(&key, &format!("GET /api/v1/partners/{}", joined[0]["partner_id"].as_str().unwrap()), NOTHING);
        assert_eq!(partner.text("/email"), "ben@partner.test");
        let read = world.api_as(&key, &format!("GET /api/v1/invites/{}", made.text("/id")), NOTHING);
        assert_eq!((read.text("/status"), &read.body["participant_id"]), ("accepted".to_owned(), &joined[0]["id"]));
        let revoke = world.api_as(&key, &format!("DELETE /api/v1/invites/{}", made.text("/id")), NOTHING);
        assert_eq!(revoke.summary(), "409 CONFLICT");
        let told = visitor.get(&path).raw;
        for answer in [visitor.get(&path), sends(&visitor, &form)] {
            check_page(&answer, 410, "This invitation does not work any more");
            assert_eq!(answer.raw, told);
        }
        world.deliver();
        let letters = world.mail.sent.lock().unwrap();
        let subjects: Vec<_> = letters.iter().map(|letter| letter.subject.as_str()).collect();
        let live_letters = ["First invites you to Friends", "You are in: Friends"];
        // The invite was accepted before its letter left.
        assert_eq!(subjects, if live { &live_letters[1..] } else { &[][..] });
        drop(letters);
        // That they are in is told once, and is a notice in the portal too.
        world.sweep();
        assert_eq!(world.mail.sent.lock().unwrap().len(), usize::from(live));
        assert_eq!(world.db.count("SELECT count(*) FROM notices WHERE kind = 'joined'"), 1);
    }
}

#[test]
fn expired_revoked_guessed_and_foreign_invites_are_told_alike() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let program_id = friends(&world, &key, json!({"applications": "closed"}));
    let other = world.make(&key, "programs", json!({"name": "Other", "slug": "other", "status": "active"}));
    let token = |program: &str, email: &str| {
        let made = world.api("POST /api/v1/invites", json!({"program_id": program, "email": email}));
        (made.text("/url").split('=').nth(1).unwrap().to_owned(), made.text("/id"))
    };
    let (expired, _) = token(&program_id, "a@b.test");
    world.pass_ms(INVITE_LIVES_MS);
    let (revoked, id) = token(&program_id, "b@b.test");
    assert_eq!(world.api(&format!("DELETE /api/v1/invites/{id}"), NOTHING).status, 204);
    let (foreign, _) = token(&other, "c@b.test");
    let visitor = Visitor::new(&world);
    let guessed = "A".repeat(43);
    let told = visitor.get(&format!("/join/friends?invite={guessed}")).raw;
    for token in [&expired, &revoked, &foreign, &guessed, "x", "%00", "%3Cscript%3E"] {
        let form = format!("invite={token}&name=Ann&accept=yes");
        for answer in [visitor.get(&format!("/join/friends?invite={token}")), sends(&visitor, &form)] {
            check_page(&answer, 410, "This invitation does not work any more");
            assert_eq!(answer.raw, told, "{token}");
        }
        world.pass_ms(MINUTE_MS);
    }
    assert_eq!(world.db.count("SELECT count(*) FROM participants"), 0);
    world.limiter.no_strangers.store(true, Ordering::SeqCst);
    check_page(&visitor.get(&format!("/join/friends?invite={guessed}")), 429, "Too many tries");
    check_page(&visitor.get("/join/nothing"), 429, "Too many tries");
}

#[test]
fn a_program_that_is_not_active_has_a_calm_page_and_a_draft_is_not_announced() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let id = friends(&world, &key, json!({"status": "draft"}));
    let visitor = Visitor::new(&world);
    check_page(&visitor.get("/join/nothing"), 404, "There is no such program");
    let told = visitor.get("/join/nothing").raw;
    assert_eq!(visitor.get("/join/friends").raw, told);
    check_page(&sends(&visitor, FORM), 404, "There is no such program");
    let invited = || json!({"program_id": id, "email": "a@b.test"});
    for (verb, status, text) in [
        ("activate", 200, "What you earn"),
        ("pause", 410, "Friends takes nobody in right now"),
        ("activate", 200, "What you earn"),
        ("archive", 410, "Friends takes nobody in right now"),
    ] {
        assert_eq!(world.api(&format!("POST /api/v1/programs/{id}/{verb}"), json!({})).status, 200);
        check_page(&visitor.get("/join/friends"), status, text);
    }
    assert_eq!(world.api("POST /api/v1/invites", invited()).summary(), "409 CONFLICT");
    check_page(&sends(&visitor, FORM), 410, "takes nobody in");
    assert_eq!(world.db.count("SELECT count(*) FROM participants"), 0);
}

#[test]
fn whether_anybody_has_an_address_is_not_told_by_the_answer_or_the_work() {
    for live in [false, true] {
        let world = World::new();
        let key = if live { world.keys.sk_live.clone() } else { world.keys.sk_test.clone() };
        let id = friends(&world, &key, json!({}));
        let partner = |email: &str| world.make(&key, "partners", json!({"name": "x", "email": email}));
        for (email, status) in [("in@p.test", "approved"), ("waits@p.test", "pending")] {
            let body = json!({"program_id": id, "partner_id": partner(email), "status": status});
            world.make(&key, "participants", body);
        }
        partner("known@p.test");
        let visitor = Visitor::new(&world);
        let mut seen = Vec::new();
        for email in ["in@p.test", "waits@p.test", "known@p.test", "new@p.test"] {
            world.round_trips();
            let answer = sends(&visitor, &format!("name=A&email={}&accept=yes", email.replace('@', "%40")));
            check_page(&answer, 200, "Thank you");
            let mut headers: Vec<String> = answer.headers.keys().map(|name| name.to_string()).collect();
            headers.sort();
            seen.push((answer.raw.replace(email, "IT"), world.round_trips(), headers));
        }
        for one in &seen {
            assert_eq!(one, &seen[0]);
        }
        let status = |email: &str| {
            let sql = format!(
                "SELECT m.status FROM participants m JOIN partners p ON p.id = m.partner_id WHERE p.email = '{email}'"
            );
            world.db.text(&sql)
        };
        assert_eq!(
            ["in@p.test", "waits@p.test", "known@p.test", "new@p.test"].map(status),
            ["approved", "pending", "pending", "pending"]
        );
    }
}

#[test]
fn what_is_wrong_gets_the_form_again_with_what_was_said() {
    let world = World::new();
    friends(&world, &world.keys.sk_test, json!({}));
    let visitor = Visitor::new(&world);
    let long = "x".repeat(10_000);
    for (form, text) in [
        ("", "Say what you are called."),
        ("name=+&email=a%40b.test&accept=yes", "Say what you are called."),
        ("name=A&email=a&accept=yes", "Enter your e-mail address"),
        ("name=A&email=part_x%40erased.invalid&accept=yes", "Enter your e-mail address"),
        ("name=A&email=a%40b.test", "Without them, nobody can join."),
        (&format!("name={long}&email=a%40b.test&accept=yes"), "At most 200 characters."),
        (&format!("name=A&email=a%40b.test&accept=yes&promotion={long}"), "At most 500 characters."),
        ("name=A%00B&email=a%40b.test&accept=yes", "At most 200 characters."),
        ("name=%22%3E%3Cscript%3E&email=&accept=yes", "value=\"&#34;&#62;&#60;script&#62;\""),
        ("name=A&email=&accept=yes&promotion=%3C%2Ftextarea%3E%3Cscript%3E", "&#60;/textarea&#62;&#60;script&#62;"),
    ] {
        check_page(&sends(&visitor, form), 422, text);
        world.pass_ms(MINUTE_MS);
    }
    assert_eq!(world.db.count("SELECT count(*) FROM partners"), 0);
}

#[test]
fn the_terms_that_are_accepted_are_those_that_were_shown() {
    let world = World::new();
    let program = friends(&world, &world.keys.sk_test, json!({}));
    let visitor = Visitor::new(&world);
    let shown = visitor.get("/join/friends").raw;
    let box_of = |page: &str| {
        let tag = page.split("name=\"accept\" value=\"").nth(1).unwrap();
        let (value, rest) = tag.split_once('"').unwrap();
        (value.to_owned(), rest.split('>').next().unwrap().contains("checked"))
    };
    let (first, _) = box_of(&shown);
    let form = |terms: &str| format!("name=Ann&email=ann%40partner.test&accept={terms}");
    world.api(&format!("PATCH /api/v1/programs/{program}"), json!({"terms": "All coupons."}));
    let again = visitor.post("/join/friends", &form(&first));
    check_page(&again, 422, "They were changed since you opened this page.");
    assert!(again.raw.contains("All coupons.") && participants(&world, &world.keys.sk_test).is_empty());
    let (second, is_ticked) = box_of(&again.raw);
    assert!(first != second && !is_ticked, "{}", again.raw);
    check_page(&visitor.post("/join/friends", &form(&second)), 200, "Thank you");
    assert_eq!(participants(&world, &world.keys.sk_test)[0]["application"]["terms_sha256"], json!(second));
}

#[test]
fn joining_is_limited_for_each_network_and_takes_own_forms_only() {
    let world = World::new();
    friends(&world, &world.keys.sk_test, json!({}));
    let visitor = Visitor::new(&world);
    for origin in ["https://evil.test", "null", ""] {
        assert_eq!(visitor.post_from(origin, "/join/friends", FORM).status, 403);
    }
    let json = world.send("POST /join/friends", &[("origin", ORIGIN)], json!({"name": "x"}));
    assert_eq!(json.status, 415);
    assert_eq!(sends(&visitor, &"x".repeat(70_000)).status, 413);
    for n in 0..10 {
        check_page(&sends(&visitor, &format!("name=A&email=a{n}%40b.test&accept=yes")), 200, "Thank you");
    }
    let refused = sends(&visitor, FORM);
    check_page(&refused, 429, "Too many tries");
    assert_eq!(refused.header("retry-after"), "60");
    world.come_from("198.51.100.9");
    check_page(&sends(&visitor, FORM), 200, "Thank you");
}

#[test]
fn of_two_who_accept_one_invite_at_once_one_joins() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let program_id = friends(&world, &key, json!({}));
    let made = world.api("POST /api/v1/invites", json!({"program_id": program_id, "email": "ben@p.test"}));
    let token = made.text("/url").split('=').nth(1).unwrap().to_owned();
    let revoke: &'static str = Box::leak(format!("DELETE /api/v1/invites/{}", made.text("/id")).into_boxed_str());
    world.before_next_write(revoke, json!({}));
    let late = sends(&Visitor::new(&world), &format!("invite={token}&name=Ben&accept=yes"));
    check_page(&late, 410, "This invitation does not work any more");
    assert_eq!(world.db.count("SELECT count(*) FROM participants"), 0);
}

#[test]
fn an_invite_lets_in_who_applied_before() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let program_id = friends(&world, &key, json!({}));
    let visitor = Visitor::new(&world);
    check_page(&sends(&visitor, FORM), 200, "Thank you");
    let made = world.api("POST /api/v1/invites", json!({"program_id": program_id, "email": "ann@partner.test"}));
    let token = made.text("/url").split('=').nth(1).unwrap().to_owned();
    check_page(&sends(&visitor, &format!("invite={token}&name=Ann&accept=yes")), 200, "You are in");
    let joined = participants(&world, &key);
    assert_eq!(
        (joined.len(), &joined[0]["status"], &joined[0]["application"]["invited"]),
        (1, &json!("approved"), &json!(true))
    );
    assert_eq!(world.db.count("SELECT count(*) FROM notices WHERE kind = 'joined'"), 1);
}

#[test]
fn who_is_erased_while_they_join_leaves_nothing_of_it_behind() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let program_id = friends(&world, &key, json!({}));
    let erase = |email: &str| -> &'static str {
        let id = world.db.text(&format!("SELECT id FROM partners WHERE email = '{email}'"));
        Box::leak(format!("POST /api/v1/partners/{id}/erase").into_boxed_str())
    };
    let under_erased = "SELECT count(*) FROM participants m JOIN partners p ON p.id = m.partner_id \
         WHERE p.erased_at IS NOT NULL AND (m.application IS NOT NULL OR m.status = 'approved')";
    // Whoever applies by their own will is somebody new by then.
    world.make(&key, "partners", json!({"name": "Ann", "email": "ann@partner.test"}));
    world.before_next_write(erase("ann@partner.test"), json!({}));
    check_page(&sends(&Visitor::new(&world), FORM), 200, "Thank you");
    assert_eq!(world.db.count("SELECT count(*) FROM participants"), 1);
    assert_eq!(world.db.count("SELECT count(*) FROM partners WHERE email = 'ann@partner.test'"), 1);
    assert_eq!(world.db.count(under_erased), 0);
    // The invites of somebody who is erased are revoked, whether they were in the program before or not.
    for (email, applied_before) in [("ben@partner.test", false), ("cleo@partner.test", true)] {
        world.make(&key, "partners", json!({"name": "Name", "email": email}));
        if applied_before {
            let form = format!("name=Name&email={}&accept=yes", email.replace('@', "%40"));
            check_page(&sends(&Visitor::new(&world), &form), 200, "Thank you");
        }
        let made = world.api("POST /api/v1/invites", json!({"program_id": program_id, "email": email}));
        let token = made.text("/url").split('=').nth(1).unwrap().to_owned();
        world.before_next_write(erase(email), json!({}));
        let late = sends(&Visitor::new(&world), &format!("invite={token}&name=Nickname&accept=yes"));
        check_page(&late, 410, "This invitation does not work any more");
        assert!(!world.db.everything().contains("Nickname"), "{email}");
        assert_eq!(world.db.count(under_erased), 0, "{email}");
    }
}
