//! What a click costs, and how old what is known of keys and links may be.

use std::sync::atomic::Ordering;

use domain::time::SECOND_MS;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, NextWrite, OPERATOR_TOKEN, Visitor, World};

fn world() -> World {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    world
}

fn register(world: &World, link_ref: &str) -> Answer {
    world.send("POST /v1/clicks", &[], json!({"merchant": world.keys.pk_test, "ref": link_ref}))
}

/// Round trips to the database, questions to the limiter, and to the shelf, since this was last asked.
fn asked(world: &World) -> (u32, u64, u64) {
    let taken = |count: &std::sync::atomic::AtomicU64| count.swap(0, Ordering::SeqCst);
    (world.db.round_trips(), taken(&world.limiter.asked), taken(&world.shelf.asked))
}

#[test]
fn a_warm_click_asks_nobody_and_a_cold_one_each_but_once() {
    let world = world();
    asked(&world);
    assert_eq!(register(&world, "anna").status, 201);
    // Key and link: looked for on the shelf, then in the database, and put on the shelf after the answer.
    assert_eq!(asked(&world), (2, 1, 4));
    for _ in 0..25 {
        assert_eq!(register(&world, "anna").status, 201);
    }
    assert_eq!(asked(&world), (0, 0, 0));
    // Another isolate finds them on the shelf; the link is asked for again after the answer.
    let other = world.another_isolate();
    assert_eq!(register(&other, "anna").status, 201);
    assert_eq!(asked(&other), (1, 1, 2));
    assert_eq!(register(&other, "anna").status, 201);
    assert_eq!(asked(&other), (0, 0, 0));
    // A lease that is used up costs one question.
    assert_eq!(register(&world, "anna").status, 201);
    assert_eq!(asked(&world), (0, 1, 0));
}

#[test]
fn a_warm_short_link_asks_nobody() {
    let world = world();
    let slug = world.api("GET /api/v1/links", json!(null)).text("/data/0/slug");
    let follow = |world: &World| world.send(&format!("GET /r/{slug}"), &[], json!(null)).status;
    assert_eq!(follow(&world), 302);
    asked(&world);
    assert_eq!(follow(&world), 302);
    assert_eq!(asked(&world), (0, 0, 0));
    assert_eq!(world.queued().len(), 2);
}

#[test]
fn what_is_known_of_a_link_is_asked_for_again_behind_the_answer() {
    let world = world();
    register(&world, "anna");
    asked(&world);
    for passed_s in [19, 2, 60, 3_600, 80_000] {
        world.pass_ms(passed_s * SECOND_MS);
        assert_eq!(register(&world, "anna").status, 201, "{passed_s}");
    }
    // A day after it was asked for last, it is asked for before the answer.
    world.pass_ms(86_400 * SECOND_MS);
    assert_eq!(register(&world, "anna").status, 201);
    world.pass_ms(86_400 * SECOND_MS);
    world.db.is_down.store(true, Ordering::SeqCst);
    assert_eq!(register(&world, "anna").summary(), "503 UNAVAILABLE");
}

#[test]
fn two_isolates_admit_no_more_than_the_limit_and_hardly_less() {
    let world = world();
    let other = world.another_isolate();
    let admitted = (0..2_400).filter(|number| {
        let isolate = if number % 3 == 0 { &other } else { &world };
        register(isolate, "anna").status == 201
    });
    let admitted = admitted.count();
    assert!((950..=1_000).contains(&admitted), "{admitted}");
    // A refusal is remembered for a second, so that a flood does not reach the counter.
    asked(&world);
    assert!((0..100).all(|_| register(&world, "anna").status == 429));
    assert_eq!(asked(&world), (0, 0, 0));
    world.pass_ms(60 * SECOND_MS);
    assert_eq!(register(&world, "anna").status, 201);
}

#[test]
fn what_an_isolate_says_is_left_is_hardly_less_than_what_is() {
    let world = world();
    for sent in 1..=200 {
        let left: i64 = register(&world, "anna").header("x-ratelimit-remaining").parse().unwrap();
        assert!((1_000 - sent - 50..=1_000 - sent).contains(&left), "{left} after {sent}");
    }
}

/// Revokes the public test key behind the API's back, as another place does whose message was lost.
fn revoke(world: &World) {
    world.db.execute("UPDATE api_keys SET revoked_at = 1 WHERE kind = 'public' AND mode = 'test'").unwrap();
}

#[test]
fn a_revoked_key_is_refused_within_45_seconds_though_nobody_was_told() {
    for clicks_every_s in [1, 7, 19, 60] {
        let world = world();
        assert_eq!(register(&world, "anna").status, 201);
        revoke(&world);
        for second in 1..=60 {
            world.pass_ms(SECOND_MS);
            if second % clicks_every_s == 0 {
                let answer = register(&world, "anna");
                assert!(second < 45 || answer.summary() == "401 INVALID_API_KEY", "{second}: {}", answer.summary());
            }
        }
    }
}

#[test]
fn a_revoked_key_is_refused_at_once_where_the_counter_knows() {
    let world = world();
    let other = world.another_isolate();
    for isolate in [&world, &other] {
        assert_eq!(register(isolate, "anna").status, 201);
    }
    let workspace = world.api("GET /api/v1/workspace", json!(null)).text("/id");
    let operator = format!("Bearer {OPERATOR_TOKEN}");
    let line = format!("POST /operator/v1/workspaces/{workspace}/owners");
    let made = world.send(&line, &[("authorization", &operator)], json!({"owner_email": "owner@shop.test"}));
    assert_eq!(made.status, 201, "{}", made.raw);
    let owner = Visitor::signed_in(&world, "owner@shop.test");
    let keys = owner.api(&workspace, "GET /api/v1/api-keys", json!(null));
    let public = |key: &&Json| key["kind"] == "public" && key["mode"] == "test";
    let id = keys.body["data"].as_array().unwrap().iter().find(public).unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(owner.api(&workspace, &format!("DELETE /api/v1/api-keys/{id}"), json!(null)).status, 204);
    assert_eq!(register(&world, "anna").summary(), "401 INVALID_API_KEY");
    // Another isolate spends what was lent to it, for 20 seconds at most; even from a shelf that is old nobody else comes in.
    assert_eq!(register(&other, "anna").status, 201);
    world.pass_ms(20 * SECOND_MS);
    assert_eq!(register(&other, "anna").summary(), "401 INVALID_API_KEY");
    assert_eq!(register(&world.another_isolate(), "anna").summary(), "401 INVALID_API_KEY");
}

#[test]
fn while_the_limiter_cannot_answer_a_revoked_key_is_refused_all_the_same() {
    let world = world();
    assert_eq!(register(&world, "anna").status, 201);
    revoke(&world);
    world.limiter.unreachable.store(true, Ordering::SeqCst);
    world.pass_ms(31 * SECOND_MS);
    assert_eq!(register(&world, "anna").summary(), "401 INVALID_API_KEY");
}

#[test]
fn an_archived_link_is_gone_at_once_here_and_elsewhere_when_leases_end() {
    let world = world();
    let other = world.another_isolate();
    let slug = world.api("GET /api/v1/links", json!(null)).text("/data/0/slug");
    let follow = |world: &World| world.send(&format!("GET /r/{slug}"), &[], json!(null)).status;
    for isolate in [&world, &other] {
        assert_eq!(
            (register(isolate, "anna").status, follow(isolate)),
            (201.try_into().unwrap(), 302.try_into().unwrap())
        );
        world.pass_ms(3 * SECOND_MS);
    }
    // Another place's shelf does not hear of it.
    world.shelf.is_deaf.store(true, Ordering::SeqCst);
    let link = world.api("GET /api/v1/links", json!(null)).text("/data/0/id");
    assert_eq!(world.api(&format!("POST /api/v1/links/{link}/archive"), json!(null)).status, 200);
    world.pass_ms(20 * SECOND_MS);
    for isolate in [&world, &other, &world.another_isolate()] {
        assert_eq!(register(isolate, "anna").summary(), "404 REFERRAL_NOT_FOUND");
        assert_eq!(follow(isolate), 404);
    }
    assert_eq!(world.api(&format!("POST /api/v1/links/{link}/activate"), json!(null)).status, 200);
    world.pass_ms(21 * SECOND_MS);
    for isolate in [&world, &other] {
        assert_eq!(
            (register(isolate, "anna").status, follow(isolate)),
            (201.try_into().unwrap(), 302.try_into().unwrap())
        );
    }
}

#[test]
fn where_nobody_is_told_that_a_link_is_archived_one_more_click_comes_through() {
    let world = world();
    let other = world.another_isolate();
    assert_eq!(register(&other, "anna").status, 201);
    world.db.execute("UPDATE links SET status = 'archived'").unwrap();
    world.pass_ms(3_600 * SECOND_MS);
    assert_eq!(register(&other, "anna").status, 201);
    assert_eq!(register(&other, "anna").summary(), "404 REFERRAL_NOT_FOUND");
}

#[test]
fn a_link_that_was_asked_for_before_it_was_made_is_there_at_once() {
    let world = world();
    assert_eq!(register(&world, "early").summary(), "404 REFERRAL_NOT_FOUND");
    let participant = world.api("GET /api/v1/participants", json!(null)).text("/data/0/id");
    let body = json!({"participant_id": participant, "ref": "early", "landing_url": "https://shop.test/"});
    world.make(&world.keys.sk_test, "links", body);
    assert_eq!(register(&world, "early").status, 201);
}

#[test]
fn while_the_database_is_down_clicks_are_answered_and_conversions_are_told_to_come_again() {
    let world = world();
    let click = register(&world, "anna").text("/click_id");
    let other = world.another_isolate();
    world.db.is_down.store(true, Ordering::SeqCst);
    for second in 0..600 {
        world.pass_ms(SECOND_MS);
        assert_eq!(register(&world, "anna").status, 201, "{second}");
        // Who has never seen the key finds it on the shelf.
        if second < 200 {
            assert_eq!(register(&other, "anna").status, 201, "{second}");
        }
    }
    assert_eq!(register(&world, "nobody").summary(), "503 UNAVAILABLE");
    let sale = json!({"click_id": click, "external_transaction_id": "t", "event_type": "purchase", "amount_cents": 1, "currency": "EUR"});
    let refused = world.api("POST /api/v1/conversions", sale.clone());
    assert_eq!((refused.summary().as_str(), refused.header("retry-after").is_empty()), ("503 UNAVAILABLE", false));
    world.db.is_down.store(false, Ordering::SeqCst);
    assert_eq!(world.api("POST /api/v1/conversions", sale).text("/attribution/status"), "attributed");
}

#[test]
fn a_conversion_that_the_database_refuses_leaves_nothing_half_written() {
    let world = world();
    let click = register(&world, "anna").text("/click_id");
    let sale = json!({"click_id": click, "external_transaction_id": "t", "event_type": "purchase", "amount_cents": 1, "currency": "EUR"});
    let before = world.db.count("SELECT (SELECT count(*) FROM facts) + (SELECT count(*) FROM conversions) + (SELECT count(*) FROM decisions) + (SELECT count(*) FROM events)");
    world.db.next_write(NextWrite::IsLost);
    let refused = world.api("POST /api/v1/conversions", sale.clone());
    assert_eq!((refused.summary().as_str(), refused.header("retry-after").is_empty()), ("503 UNAVAILABLE", false));
    let after = world.db.count("SELECT (SELECT count(*) FROM facts) + (SELECT count(*) FROM conversions) + (SELECT count(*) FROM decisions) + (SELECT count(*) FROM events)");
    assert_eq!(before, after);
    assert_eq!(world.api("POST /api/v1/conversions", sale).status, 201);
}

#[test]
fn while_the_limiter_cannot_answer_conversions_are_told_to_come_again() {
    let world = world();
    let click = register(&world, "anna").text("/click_id");
    world.limiter.unreachable.store(true, Ordering::SeqCst);
    let sale = json!({"click_id": click, "external_transaction_id": "t", "event_type": "purchase", "amount_cents": 1, "currency": "EUR"});
    let refused = world.api("POST /api/v1/conversions", sale);
    assert_eq!((refused.summary().as_str(), refused.header("retry-after").is_empty()), ("503 UNAVAILABLE", false));
    assert_eq!(world.db.count("SELECT count(*) FROM decisions"), 0);
}

#[test]
fn floods_of_names_of_nothing_end_at_the_isolate() {
    let world = world();
    register(&world, "anna");
    asked(&world);
    // One unknown ref: asked for once in five seconds.
    for _ in 0..20 {
        assert_eq!(register(&world, "nobody").summary(), "404 REFERRAL_NOT_FOUND");
    }
    assert_eq!(asked(&world).0, 1);
    // Many: as many as the key's limit lets in.
    world.pass_ms(60 * SECOND_MS);
    let unknown = (0..3_000).filter(|number| register(&world, &format!("x{number}")).status == 404).count();
    assert_eq!(unknown, 1_000);
    // Now and then the key beside; and the link of one that is refused only then.
    assert!((1_000..1_005).contains(&asked(&world).0));
    // Many unknown keys of one address.
    world.limiter.no_strangers.store(true, Ordering::SeqCst);
    let key = |number: u32| format!("pk_test_{number:0>32}");
    for number in 0..100 {
        let answer = world.send("POST /v1/clicks", &[], json!({"merchant": key(number), "ref": "anna"}));
        assert_eq!(answer.summary(), "429 RATE_LIMIT_EXCEEDED");
    }
    assert_eq!(asked(&world).0, 1);
    // Who is known is let in from there too.
    world.pass_ms(60 * SECOND_MS);
    assert_eq!(register(&world, "anna").status, 201);
}

#[test]
fn a_flood_of_forged_tokens_costs_nothing_more() {
    let world = world();
    register(&world, "anna");
    asked(&world);
    for number in 0..20 {
        let token = format!("{number:0>43}");
        let body = json!({"merchant": world.keys.pk_test, "ref": "anna", "visitor_token": token});
        assert_eq!(world.send("POST /v1/clicks", &[], body).status, 201);
    }
    assert_eq!(asked(&world), (0, 0, 0));
}

#[test]
fn a_clock_that_jumps_loses_no_click_and_opens_no_minute_twice() {
    let world = world();
    for jump_s in [0, 3_600, -7_200, 1, -1, 86_400, -86_400] {
        world.pass_ms(jump_s * SECOND_MS);
        assert_eq!(register(&world, "anna").status, 201, "{jump_s}");
    }
    let world = self::world();
    let admitted = (0..3_000).filter(|number| {
        world.pass_ms(if number % 2 == 0 { 61 } else { -61 } * SECOND_MS);
        register(&world, "anna").status == 201
    });
    assert!(admitted.count() <= 1_000);
}

#[test]
fn a_lease_for_clicks_without_a_key_lets_no_revoked_key_in() {
    let world = world();
    let slug = world.api("GET /api/v1/links", json!(null)).text("/data/0/slug");
    let follow = || world.send(&format!("GET /r/{slug}"), &[], json!(null)).status;
    assert_eq!(register(&world, "anna").status, 201);
    revoke(&world);
    world.pass_ms(46 * SECOND_MS);
    assert_eq!(follow(), 302);
    assert_eq!(register(&world, "anna").summary(), "401 INVALID_API_KEY");
}

#[test]
fn a_link_that_was_changed_before_the_database_went_down_keeps_no_click_from_its_answer() {
    let world = world();
    let slug = world.api("GET /api/v1/links", json!(null)).text("/data/0/slug");
    let link = world.api("GET /api/v1/links", json!(null)).text("/data/0/id");
    let follow = || world.send(&format!("GET /r/{slug}"), &[], json!(null)).status;
    assert_eq!(register(&world, "anna").status, 201);
    assert_eq!(follow(), 302);
    let other = json!({"participant_id": world.api("GET /api/v1/participants", json!(null)).text("/data/0/id"), "ref": "other",
        "landing_url": "https://shop.test/"});
    let other = world.make(&world.keys.sk_test, "links", other);
    assert_eq!(world.api(&format!("POST /api/v1/links/{other}/pause"), json!(null)).status, 200);
    world.db.is_down.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        world.pass_ms(20 * SECOND_MS);
        assert_eq!((register(&world, "anna").status.as_u16(), follow().as_u16()), (201, 302));
    }
    world.db.is_down.store(false, Ordering::SeqCst);
    // What a link is called concerns no visitor.
    world.pass_ms(60 * SECOND_MS);
    register(&world, "anna");
    assert_eq!(world.api(&format!("PATCH /api/v1/links/{link}"), json!({"name": "Spring"})).status, 200);
    asked(&world);
    register(&world, "anna");
    assert_eq!(asked(&world), (0, 0, 0));
}

#[test]
fn a_refusal_does_not_reach_into_the_next_minute() {
    let world = world();
    world.pass_ms(59_900);
    assert_eq!((0..1_100).filter(|_| register(&world, "anna").status == 201).count(), 1_000);
    world.pass_ms(100);
    assert_eq!(register(&world, "anna").status, 201);
}

#[test]
fn one_asks_for_a_link_again_for_all_who_come_meanwhile() {
    let world = world();
    register(&world, "anna");
    world.db.is_down.store(true, Ordering::SeqCst);
    asked(&world);
    for second in 0..60 {
        world.pass_ms(SECOND_MS);
        for _ in 0..5 {
            assert_eq!(register(&world, "anna").status, 201, "{second}");
        }
    }
    // Every five seconds, from the twentieth on; and about the key as often as it is lent without a proof.
    let trips = asked(&world).0;
    assert!(trips <= 30, "{trips}");
}

#[test]
fn what_can_be_no_slug_is_neither_looked_for_nor_remembered() {
    let world = world();
    asked(&world);
    for slug in ["x".repeat(64), "UPPER".to_owned(), "-x".to_owned(), "a%20b".to_owned()] {
        assert_eq!(world.send(&format!("GET /r/{slug}"), &[], json!(null)).summary(), "404 NOT_FOUND", "{slug}");
    }
    assert_eq!(asked(&world), (0, 0, 0));
}
