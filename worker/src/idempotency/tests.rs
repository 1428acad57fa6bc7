//! Requests that come again under one key, at once, after failures and by others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::time::{HOUR_MS, MINUTE_MS, SECOND_MS};
use serde_json::{Value as Json, json};

use crate::app;
use crate::call::Peer;
use crate::testing::shop::shop;
use crate::testing::{Answer, NextWrite, ORIGIN, Visitor, World};

const KEY: &str = "6f1c2c1e-retry";

/// Sends with the test key and an `Idempotency-Key`.
fn keyed(world: &World, line: &str, key: &str, body: &Json) -> Answer {
    keyed_as(world, &world.keys.sk_test, line, key, body)
}

fn keyed_as(world: &World, secret: &str, line: &str, key: &str, body: &Json) -> Answer {
    world.send(line, &[("authorization", &format!("Bearer {secret}")), ("idempotency-key", key)], body.clone())
}

fn endpoint() -> Json {
    json!({"url": "https://hooks.shop.test/", "events": ["*"]})
}

#[track_caller]
fn is_replayed(again: &Answer, first: &Answer) {
    assert_eq!((again.status, &again.raw), (first.status, &first.raw));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
}

fn rows(world: &World, table: &str) -> i64 {
    world.db.count(&format!("SELECT count(*) FROM {table}"))
}

/// What happens between a request's claim and the write of its deed.
fn between_claim_and_deed(world: &World, meanwhile: impl FnOnce() + Send + 'static) {
    let db = world.db.clone();
    world.db.before_next_write(move || db.before_next_write(meanwhile));
}

#[test]
fn the_same_key_and_body_have_the_same_answer_and_one_object() {
    let world = World::new();
    let line = "POST /api/v1/webhook-endpoints";
    let first = keyed(&world, line, KEY, &endpoint());
    assert_eq!(first.status, 201, "{}", first.raw);
    world.pass_ms(23 * HOUR_MS);
    is_replayed(&keyed(&world.another_isolate(), line, KEY, &endpoint()), &first);
    assert_eq!(rows(&world, "webhook_endpoints"), 1);
    // The secret that is shown once is in both, and in no row.
    let secret = first.text("/secret");
    assert!(secret.starts_with("whsec_") && !world.db.everything().contains(&secret));
    assert!(!world.db.everything().contains(KEY));
    let other = json!({"url": "https://other.shop.test/", "events": ["*"]});
    assert_eq!(keyed(&world, line, KEY, &other).summary(), "422 IDEMPOTENCY_KEY_REUSED");
    assert_eq!(keyed(&world, &format!("{line}?x=1"), KEY, &endpoint()).summary(), "422 IDEMPOTENCY_KEY_REUSED");
    is_replayed(&keyed(&world, line, KEY, &endpoint()), &first);
    world.pass_ms(HOUR_MS);
    let anew = keyed(&world, line, KEY, &endpoint());
    assert_eq!((anew.status.as_u16(), anew.header("idempotent-replayed")), (201, ""));
    assert_ne!(anew.text("/id"), first.text("/id"));
    is_replayed(&keyed(&world, line, KEY, &endpoint()), &anew);
}

#[test]
fn a_key_is_one_of_its_workspace_mode_and_path() {
    let world = World::new();
    let other = world.workspace("Other");
    let body = json!({"name": "Anna", "email": "anna@partner.test"});
    let mut ids = std::collections::BTreeSet::new();
    for secret in [&world.keys.sk_test, &world.keys.sk_live, &other.sk_test, &other.sk_live] {
        for _ in 0..2 {
            let made = keyed_as(&world, secret, "POST /api/v1/partners", KEY, &body);
            assert_eq!(made.status, 201, "{}", made.raw);
            ids.insert(made.text("/id"));
        }
    }
    assert_eq!((ids.len(), rows(&world, "partners")), (4, 4));
    assert_eq!(keyed(&world, "POST /api/v1/programs", KEY, &body).header("idempotent-replayed"), "");
}

#[test]
fn refusals_that_tell_how_things_stood_are_kept_and_others_leave_the_key_free() {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    let link =
        |slug: &str, url: &str| json!({"participant_id": program.participant_id, "slug": slug, "landing_url": url});
    let line = "POST /api/v1/links";
    world.api(line, link("taken", "https://shop.test/"));
    // Kept: 404, 409, 422.
    let stranger = json!({"participant_id": "part_00000000000000000000000000", "landing_url": "https://shop.test/"});
    let check = |line: &str, key: &str, body: &Json, expected: &str| {
        let first = keyed(&world, line, key, body);
        assert_eq!(first.summary(), expected, "{}", first.raw);
        is_replayed(&keyed(&world, line, key, body), &first);
        assert_eq!(keyed(&world, line, key, &json!({"other": 1})).summary(), "422 IDEMPOTENCY_KEY_REUSED");
    };
    check(line, "conflict", &link("taken", "https://shop.test/"), "409 CONFLICT");
    check("POST /api/v1/links/none/archive", "nothing", &json!(null), "404 NOT_FOUND");
    let nobody = json!({"external_transaction_id": "t", "event_type": "purchase"});
    check("POST /api/v1/conversions", "nobody", &nobody, "422 NO_ATTRIBUTION_SIGNAL");
    // Not the 201 that went along with an insertion of nothing.
    let found = keyed(&world, line, "stranger", &stranger);
    let again = keyed(&world, line, "stranger", &stranger);
    assert!(!found.status.is_success() && found.status == again.status, "{}", found.raw);
    // Free: what was refused before anything was done.
    let wrong = link("new", "nowhere");
    for _ in 0..2 {
        let refused = keyed(&world, line, "corrected", &wrong);
        assert_eq!((refused.summary().as_str(), refused.header("idempotent-replayed")), ("400 VALIDATION_ERROR", ""));
    }
    assert_eq!(keyed(&world, line, "corrected", &link("new", "https://shop.test/")).status, 201);
}

#[test]
fn an_answer_is_not_kept_with_a_deed_that_changed_nothing() {
    let world = World::new();
    let line = "POST /api/v1/webhook-endpoints";
    for _ in 0..domain::webhook::ENDPOINTS_MAX {
        assert_eq!(world.api(line, endpoint()).status, 201);
    }
    let first = keyed(&world, line, KEY, &endpoint());
    assert_eq!(first.summary(), "409 CONFLICT");
    is_replayed(&keyed(&world, line, KEY, &endpoint()), &first);
}

#[test]
fn a_malformed_key_is_refused_after_who_calls_and_what_is_sent_and_nothing_is_done() {
    let world = World::new();
    let line = "POST /api/v1/partners";
    let body = json!({"name": "Anna", "email": "anna@partner.test"});
    let long = "k".repeat(256);
    for key in ["a b", "ä", long.as_str(), "tab\there"] {
        let refused = keyed(&world, line, key, &body);
        assert_eq!(refused.summary(), "400 VALIDATION_ERROR", "{key}");
        assert_eq!(refused.text("/error/details/0/field"), "Idempotency-Key");
    }
    let bearer = format!("Bearer {}", world.keys.sk_test);
    let send = |headers: &[(&str, &str)], body: &[u8]| world.send_bytes(line, headers, body.to_vec()).summary();
    let twice = [("authorization", bearer.as_str()), ("idempotency-key", "a"), ("idempotency-key", "b")];
    assert_eq!(send(&twice, b"{}"), "400 VALIDATION_ERROR");
    assert_eq!(send(&[("idempotency-key", "a b")], b"{}"), "401 INVALID_API_KEY");
    let large = vec![b' '; 64 * 1024 + 1];
    let bad = [("authorization", bearer.as_str()), ("idempotency-key", "a b")];
    assert_eq!(send(&bad, &large), "413 PAYLOAD_TOO_LARGE");
    assert_eq!(send(&[&bad[..], &[("content-type", "text/xml")]].concat(), b"{}"), "415 UNSUPPORTED_MEDIA_TYPE");
    let good = [("authorization", bearer.as_str()), ("idempotency-key", KEY)];
    assert_eq!(send(&good, &large), "413 PAYLOAD_TOO_LARGE");
    assert_eq!(send(&[&good[..], &[("content-type", "text/xml")]].concat(), b"{}"), "415 UNSUPPORTED_MEDIA_TYPE");
    assert_eq!((rows(&world, "partners"), rows(&world, "idempotency_keys")), (0, 0));
    let longest = "~".repeat(255);
    assert_eq!(keyed(&world, line, &longest, &body).status, 201);
    // Whoever reads is not asked for a key.
    assert_eq!(keyed(&world, "GET /api/v1/partners", "a b", &json!(null)).status, 200);
    assert_eq!(rows(&world, "idempotency_keys"), 1);
}

#[test]
fn a_request_whose_write_is_lost_or_lands_unreported_is_done_once_when_it_is_sent_again() {
    let program = |world: &World| world.program(&world.keys.sk_test, "anna").program_id;
    let check = |path: &str, body: &dyn Fn(&World) -> Json, table: &str| {
        for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
            for is_deed in [false, true] {
                let world = World::new();
                let (line, body) = (format!("POST /api/v1/{path}"), body(&world));
                let before = rows(&world, table);
                if is_deed {
                    let db = world.db.clone();
                    between_claim_and_deed(&world, move || db.next_write(fate));
                } else {
                    world.db.next_write(fate);
                }
                assert_eq!(keyed(&world, &line, KEY, &body).summary(), "503 UNAVAILABLE", "{line}");
                let other = json!([]);
                assert_eq!(keyed(&world, &line, KEY, &other).summary(), {
                    // A claim that was lost leaves no trace.
                    let is_known = is_deed || fate == NextWrite::LandsButReportsFailure;
                    if is_known { "422 IDEMPOTENCY_KEY_REUSED" } else { "400 VALIDATION_ERROR" }
                });
                let again = keyed(&world, &line, KEY, &body);
                assert_eq!(again.status, 201, "{line} {fate:?}: {}", again.raw);
                let replayed = is_deed && fate == NextWrite::LandsButReportsFailure;
                assert_eq!(again.header("idempotent-replayed") == "true", replayed, "{line} {fate:?}");
                assert_eq!(keyed(&world, &line, KEY, &body).raw, again.raw);
                assert_eq!(rows(&world, table) - before, 1, "{line} {fate:?}");
            }
        }
    };
    check("webhook-endpoints", &|_| endpoint(), "webhook_endpoints");
    check("stripe-connections", &|_| json!({"signing_secret": "whsec_test_0123456789"}), "stripe_connections");
    check("hosts", &|_| json!({"host": "shop.test"}), "hosts");
    check("programs", &|_| json!({"name": "Friends"}), "programs");
    check("partners", &|_| json!({"name": "Anna", "email": "a@partner.test"}), "partners");
    check(
        "rewards",
        &|world| json!({"program_id": program(world), "trigger": "sale", "percent_bps": 1}),
        "reward_versions",
    );
    check("invites", &|world| json!({"program_id": program(world), "email": "b@partner.test"}), "invites");
    check(
        "links",
        &|world| {
            let participant = world.program(&world.keys.sk_test, "anna").participant_id;
            json!({"participant_id": participant, "landing_url": "https://shop.test/"})
        },
        "links",
    );
    check(
        "participants",
        &|world| {
            let partner = world.make(&world.keys.sk_test, "partners", json!({"name": "B", "email": "b@partner.test"}));
            json!({"program_id": program(world), "partner_id": partner, "status": "approved"})
        },
        "participants",
    );
}

#[test]
fn a_reward_is_changed_a_secret_rotated_and_a_review_noted_once() {
    let world = World::new();
    let program_id = world.program(&world.keys.sk_test, "anna").program_id;
    let reward = world.make(
        &world.keys.sk_test,
        "rewards",
        json!({"program_id": program_id, "trigger": "sale", "percent_bps": 1}),
    );
    let hook = world.make(&world.keys.sk_test, "webhook-endpoints", endpoint());
    for (line, body) in [
        (format!("POST /api/v1/rewards/{reward}/change"), json!({"percent_bps": 2})),
        (format!("POST /api/v1/webhook-endpoints/{hook}/rotate"), json!(null)),
    ] {
        world.pass_ms(SECOND_MS);
        let db = world.db.clone();
        between_claim_and_deed(&world, move || db.next_write(NextWrite::LandsButReportsFailure));
        assert_eq!(keyed(&world, &line, KEY, &body).summary(), "503 UNAVAILABLE");
        let again = keyed(&world, &line, KEY, &body);
        assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (200, "true"), "{}", again.raw);
    }
    let (key, line) = (&world.keys.sk_live, "POST /api/v1/workspace/rewards-reviewed");
    let db = world.db.clone();
    between_claim_and_deed(&world, move || db.next_write(NextWrite::LandsButReportsFailure));
    assert_eq!(keyed_as(&world, key, line, KEY, &json!(null)).summary(), "503 UNAVAILABLE");
    assert_eq!(keyed_as(&world, key, line, KEY, &json!(null)).status, 201);
    assert_eq!(rows(&world, "acts"), 1);
    let versions = format!("SELECT count(*) FROM reward_versions WHERE reward_id = '{reward}'");
    assert_eq!(world.db.count(&versions), 2);
}

#[test]
fn a_sale_a_refund_and_a_bonus_are_counted_once_whatever_becomes_of_the_answer() {
    let shop = shop();
    let world = &shop.world;
    let money = "SELECT COALESCE(sum(amount_cents), 0) FROM entries";
    let unreported = || {
        let db = world.db.clone();
        between_claim_and_deed(world, move || db.next_write(NextWrite::LandsButReportsFailure));
    };
    let click = world.click(&world.keys.pk_test, "anna");
    world.deliver();
    let sale = json!({"click_id": click, "external_transaction_id": "t1", "event_type": "purchase", "amount_cents": 10_000,
        "currency": "EUR"});
    unreported();
    let line = "POST /api/v1/conversions";
    assert_eq!(keyed(world, line, KEY, &sale).summary(), "503 UNAVAILABLE");
    let again = keyed(world, line, KEY, &sale);
    assert_eq!(again.summary(), "409 CONVERSION_DUPLICATE");
    is_replayed(&keyed(world, line, KEY, &sale), &again);
    let conversion = again.text("/error/conversion_id");
    let earned = world.db.count(money);
    assert!(earned > 0);
    let refund = json!({"external_refund_id": "r1", "amount_cents": 1_000});
    let line = format!("POST /api/v1/conversions/{conversion}/refunds");
    unreported();
    assert_eq!(keyed(world, &line, KEY, &refund).summary(), "503 UNAVAILABLE");
    assert_eq!(keyed(world, &line, KEY, &refund).status, 200);
    let commission = world.db.text("SELECT id FROM commissions");
    let line = format!("POST /api/v1/commissions/{commission}/bonus");
    let bonus = json!({"amount_cents": 77, "reason": "for the good work"});
    let before = world.db.count(money);
    unreported();
    assert_eq!(keyed(world, &line, KEY, &bonus).summary(), "503 UNAVAILABLE");
    assert_eq!(keyed(world, &line, KEY, &bonus).status, 200);
    assert_eq!(world.db.count(money) - before, 77);
    // Under another key it is another bonus.
    assert_eq!(keyed(world, &line, "another", &bonus).status, 200);
    assert_eq!(world.db.count(money) - before, 2 * 77);
}

#[test]
fn of_two_requests_at_once_one_is_answered_and_the_other_told_to_wait() {
    let world = World::new();
    let line = "POST /api/v1/webhook-endpoints";
    let second = meanwhile(&world, 0, "409");
    between_claim_and_deed(&world, second);
    let first = keyed(&world, line, KEY, &endpoint());
    assert_eq!(first.status, 201);
    is_replayed(&keyed(&world, line, KEY, &endpoint()), &first);
    assert_eq!(rows(&world, "webhook_endpoints"), 1);
}

#[test]
fn whoever_is_taken_for_dead_does_nothing_any_more() {
    let world = World::new();
    let line = "POST /api/v1/webhook-endpoints";
    let second = meanwhile(&world, MINUTE_MS, "201");
    between_claim_and_deed(&world, second);
    let late = keyed(&world, line, KEY, &endpoint());
    assert!(late.status.is_server_error(), "{}", late.raw);
    assert_eq!(rows(&world, "webhook_endpoints"), 1);
    let again = keyed(&world, line, KEY, &endpoint());
    assert_eq!((again.status.as_u16(), again.header("idempotent-replayed")), (201, "true"));
    assert_eq!(rows(&world, "webhook_endpoints"), 1);
}

#[test]
fn a_deed_that_lands_after_its_key_was_let_go_does_not_land() {
    let world = World::new();
    let line = "POST /api/v1/webhook-endpoints";
    let db = world.db.clone();
    between_claim_and_deed(&world, move || {
        assert_eq!(db.execute("UPDATE idempotency_keys SET owner = NULL"), Ok(1));
    });
    assert!(keyed(&world, line, KEY, &endpoint()).status.is_server_error());
    assert_eq!(rows(&world, "webhook_endpoints"), 0);
    assert_eq!(keyed(&world, line, KEY, &endpoint()).status, 201);
}

/// The same request again after a while, with the status that it is to have.
fn meanwhile(world: &World, span_ms: i64, status: &'static str) -> impl FnOnce() + Send + 'static {
    let (app, clock, key) = (world.app.clone(), world.clock.clone(), world.keys.sk_test.clone());
    move || {
        clock.pass_ms(span_ms);
        let router = app::router(Arc::clone(&app));
        let request = axum::extract::Request::post("https://api.selgeo.test/api/v1/webhook-endpoints")
            .header("authorization", format!("Bearer {key}"))
            .header("idempotency-key", KEY)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(endpoint().to_string()))
            .unwrap();
        let answer = pollster::block_on(app::answer(&app, &router, request, Peer::default()));
        assert_eq!(answer.status().as_str(), status);
    }
}

#[test]
fn whoever_dies_after_the_deed_is_waited_for_a_minute() {
    let shop = shop();
    let world = &shop.world;
    let click = world.click(&world.keys.pk_test, "anna");
    world.deliver();
    let body = json!({"click_id": click, "external_transaction_id": "t1", "event_type": "purchase", "amount_cents": 10_000,
        "currency": "EUR"});
    let db = world.db.clone();
    // The booking is the last that reaches the database.
    between_claim_and_deed(world, move || db.is_down.store(true, Ordering::SeqCst));
    let line = "POST /api/v1/conversions";
    assert_eq!(keyed(world, line, KEY, &body).status, 201);
    world.db.is_down.store(false, Ordering::SeqCst);
    world.pass_ms(MINUTE_MS - 1);
    assert_eq!(keyed(world, line, KEY, &body).summary(), "409 CONFLICT");
    world.pass_ms(1);
    assert_eq!(keyed(world, line, KEY, &body).summary(), "409 CONVERSION_DUPLICATE");
    assert_eq!(rows(world, "conversions"), 1);
}

#[test]
fn members_share_a_key_in_their_workspace_and_nobody_is_shown_what_they_may_not_ask() {
    let world = World::new();
    let (workspace, link) = world.owned_workspace("Members", "owner@shop.test");
    let owner = Visitor::new(&world);
    owner.post(&link, "");
    let headers = |mode: &'static str| {
        [
            ("origin", ORIGIN),
            ("x-selgeo-workspace", workspace.as_str()),
            ("x-selgeo-mode", mode),
            ("idempotency-key", KEY),
        ]
    };
    let line = "POST /api/v1/api-keys";
    let body = json!({"kind": "secret"});
    let made = owner.api_with(&headers("test"), line, body.clone());
    assert_eq!(made.status, 201, "{}", made.raw);
    let again = owner.api_with(&headers("test"), line, body.clone());
    is_replayed(&again, &made);
    let live = owner.api_with(&headers("live"), line, body.clone());
    assert!(live.text("/key").starts_with("sk_live_") && live.header("idempotent-replayed").is_empty());
    // Nor is a second one made where the first answer was lost.
    let db = world.db.clone();
    between_claim_and_deed(&world, move || db.next_write(NextWrite::LandsButReportsFailure));
    let before = rows(&world, "api_keys");
    let lost = [&headers("test")[..3], &[("idempotency-key", "lost")]].concat();
    assert_eq!(owner.api_with(&lost, line, body.clone()).summary(), "503 UNAVAILABLE");
    let found = owner.api_with(&lost, line, body.clone());
    assert_eq!((found.status.as_u16(), rows(&world, "api_keys") - before), (201, 1), "{}", found.raw);
    assert_eq!(world.api_as(&found.text("/key"), "GET /api/v1/workspace", json!(null)).status, 200);
    let key = made.text("/key");
    assert!(!world.db.everything().contains(&key[8..]));
    // A key makes no keys, and is not told of one either.
    assert_eq!(keyed_as(&world, &key, line, KEY, &body).summary(), "403 FORBIDDEN");
    let viewer = json!({"email": "viewer@shop.test", "role": "viewer"});
    assert_eq!(owner.api_with(&headers("test"), "POST /api/v1/members", viewer).status, 201);
    drop(owner);
    let viewer = Visitor::signed_in(&world, "viewer@shop.test");
    assert_eq!(viewer.api_with(&headers("test"), line, body).summary(), "403 FORBIDDEN");
}

#[test]
fn a_key_costs_two_trips_at_most_and_its_absence_none() {
    let world = World::new();
    let line = "POST /api/v1/webhook-endpoints";
    let trips = |send: &dyn Fn() -> Answer| {
        world.db.round_trips();
        send();
        world.db.round_trips()
    };
    world.api("GET /api/v1/workspace", json!(null));
    let plain = trips(&|| world.api(line, endpoint()));
    // The claim; the answer goes with the deed.
    assert_eq!(trips(&|| keyed(&world, line, KEY, &endpoint())), plain + 1);
    assert_eq!(trips(&|| keyed(&world, line, KEY, &endpoint())), 1);
    let hook = world.make(&world.keys.sk_test, "webhook-endpoints", endpoint());
    let line = format!("POST /api/v1/webhook-endpoints/{hook}/disable");
    let plain = trips(&|| world.api(&line, json!(null)));
    assert_eq!(trips(&|| keyed(&world, &line, KEY, &json!(null))), plain + 2);
    assert_eq!(trips(&|| keyed(&world, &line, KEY, &json!(null))), 1);
}

#[test]
fn the_sweep_forgets_keys_after_a_day() {
    let world = World::new();
    for number in 0..3 {
        let body = json!({"name": "Anna", "email": format!("a{number}@partner.test")});
        assert_eq!(keyed(&world, "POST /api/v1/partners", &number.to_string(), &body).status, 201);
        world.pass_ms(HOUR_MS);
    }
    world.pass_ms(20 * HOUR_MS);
    for left in [3, 2, 1, 0] {
        world.sweep();
        assert_eq!(rows(&world, "idempotency_keys"), left);
        world.pass_ms(HOUR_MS);
    }
}
