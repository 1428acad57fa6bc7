//! Clicks of pages that send no key: contract, section 11.

use std::sync::atomic::Ordering;

use domain::time::SECOND_MS;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, World};

const PAGE: &str = "https://shop.test";
const UNAUTHORIZED: &str = "401 INVALID_API_KEY";

/// A world whose first workspace has the link `anna` and the host `shop.test` in live mode.
fn world() -> World {
    let world = World::new();
    world.program(&world.keys.sk_live, "anna");
    world
}

fn from(world: &World, origin: &str, body: Json) -> Answer {
    let answer = world.send("POST /v1/clicks", &[("content-type", "text/plain"), ("origin", origin)], body);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    answer
}

fn register_host(world: &World, key: &str, host: &str) -> String {
    world.make(key, "hosts", json!({"host": host}))
}

#[test]
fn a_page_without_a_key_is_its_hosts_workspaces_in_live_mode() {
    let world = world();
    for line in ["POST /v1/clicks", "POST /_s/v1/clicks"] {
        let answer = world.send(line, &[("origin", PAGE)], json!({"ref": "anna", "merchant": null}));
        assert_eq!(answer.status, 201, "{}", answer.body);
        world.deliver();
        let path = format!("GET /api/v1/clicks/{}", answer.text("/click_id"));
        assert_eq!(world.api_as(&world.keys.sk_live, &path, json!(null)).body["mode"], "live");
    }
    // A link of test mode is none of live mode's.
    world.program(&world.keys.sk_test, "bert");
    assert_eq!(from(&world, PAGE, json!({"ref": "bert"})).summary(), "404 REFERRAL_NOT_FOUND");
}

#[test]
fn hosts_are_compared_as_landing_pages_are() {
    let world = world();
    register_host(&world, &world.keys.sk_live, "Bücher.example:8443");
    register_host(&world, &world.keys.sk_live, "localhost:8787");
    let check = |origin: &str, expected: &str| {
        assert_eq!(from(&world, origin, json!({"ref": "anna"})).summary(), expected, "{origin}");
    };
    check(PAGE, "201");
    check("https://SHOP.test", "201");
    check("https://shop.test:443", "201");
    check("https://xn--bcher-kva.example:8443", "201");
    check("http://localhost:8787", "201");
    for stranger in [
        "",
        "null",
        "http://shop.test",
        "https://shop.test:8443",
        "https://www.shop.test",
        "https://shop.test.evil.test",
        "https://xn--bcher-kva.example",
        "https://localhost",
        "https://other.test",
        "shop.test",
        "https://shop.test/",
        "https://me@shop.test",
    ] {
        check(stranger, UNAUTHORIZED);
    }
}

#[test]
fn a_host_of_test_mode_alone_is_nobodys() {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    assert_eq!(from(&world, PAGE, json!({"ref": "anna"})).summary(), UNAUTHORIZED);
}

#[test]
fn a_bad_key_never_falls_back_to_the_origin() {
    let world = world();
    let (sk, stranger) = (world.keys.sk_live.clone(), format!("pk_live_{}", "z".repeat(32)));
    for merchant in [json!(""), json!(7), json!([]), json!(sk), json!(stranger), json!("pk_x")] {
        let answer = from(&world, PAGE, json!({"ref": "anna", "merchant": merchant}));
        assert_eq!(answer.summary(), UNAUTHORIZED, "{merchant}");
    }
    for credential in ["Bearer x", "Bearer ", "Basic dTpw", "x", &format!("Bearer {sk}")] {
        let headers = [("origin", PAGE), ("authorization", credential)];
        let answer = world.send("POST /v1/clicks", &headers, json!({"ref": "anna"}));
        assert_eq!(answer.summary(), UNAUTHORIZED, "{credential}");
    }
    // A good key counts, wherever the page lies.
    let elsewhere = json!({"ref": "anna", "merchant": world.keys.pk_live});
    assert_eq!(from(&world, "https://other.test", elsewhere).status, 201);
}

#[test]
fn a_host_that_two_workspaces_registered_is_neithers() {
    let world = world();
    let other = world.workspace("Second");
    let id = register_host(&world, &other.sk_live, "shop.test");
    assert_eq!(from(&world, PAGE, json!({"ref": "anna"})).summary(), UNAUTHORIZED);
    assert_eq!(world.api_as(&other.sk_live, &format!("DELETE /api/v1/hosts/{id}"), json!(null)).status, 204);
    assert_eq!(from(&world, PAGE, json!({"ref": "anna"})).status, 201);
    // Test mode's hosts do not stand in the way.
    register_host(&world, &other.sk_test, "shop.test");
    world.pass_ms(60 * SECOND_MS);
    assert_eq!(from(&world, PAGE, json!({"ref": "anna"})).status, 201);
}

#[test]
fn a_host_taken_away_ends_within_a_minute() {
    let world = World::new();
    world.program(&world.keys.sk_live, "anna");
    let id = register_host(&world, &world.keys.sk_live, "app.test");
    let click = || from(&world, "https://app.test", json!({"ref": "anna"})).summary();
    assert_eq!(click(), "201");
    world.api_as(&world.keys.sk_live, &format!("DELETE /api/v1/hosts/{id}"), json!(null));
    world.pass_ms(60 * SECOND_MS);
    assert_eq!(click(), UNAUTHORIZED);
    // Who was refused is not remembered: a host counts from when it is registered.
    register_host(&world, &world.keys.sk_live, "app.test");
    assert_eq!(click(), "201");
}

#[test]
fn the_visitors_token_is_the_same_with_a_key_and_without() {
    let world = world();
    let first = from(&world, PAGE, json!({"ref": "anna"}));
    let token = first.text("/visitor_token");
    let again = from(&world, PAGE, json!({"ref": "anna", "visitor_token": token}));
    assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
    let body = json!({"ref": "anna", "visitor_token": token, "merchant": world.keys.pk_live});
    let keyed = from(&world, PAGE, body);
    assert_eq!((keyed.status.as_u16(), &keyed.body), (200, &first.body));
}

#[test]
fn it_counts_under_the_workspaces_live_public_key() {
    let world = world();
    world.click(&world.keys.pk_live, "anna");
    let left: u32 = from(&world, PAGE, json!({"ref": "anna"})).header("x-ratelimit-remaining").parse().unwrap();
    // What is lent for clicks with the key is not left for those without.
    assert!((948..=998).contains(&left), "{left}");
    let with_key = || world.send("POST /v1/clicks", &[], json!({"merchant": world.keys.pk_live, "ref": "anna"}));
    let without = (0..).take_while(|_| from(&world, PAGE, json!({"ref": "anna"})).status == 201).count();
    let with = (0..).take_while(|_| with_key().status == 201).count();
    assert!((950..=1_000).contains(&(2 + without + with)), "{without} and {with}");
    assert_eq!(with_key().summary(), "429 RATE_LIMIT_EXCEEDED");
    // Refusals come in the order of clicks with a key.
    let send = |media: &str, origin: &str, body: &[u8]| {
        world.send_bytes("POST /v1/clicks", &[("content-type", media), ("origin", origin)], body.to_vec()).summary()
    };
    assert_eq!(send("image/png", "null", &[b'{'; 70_000]), "413 PAYLOAD_TOO_LARGE");
    assert_eq!(send("image/png", "null", b"{"), "415 UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(send("text/plain", "null", b"{"), "400 VALIDATION_ERROR");
    assert_eq!(send("text/plain", "null", b"{}"), UNAUTHORIZED);
    assert_eq!(send("text/plain", PAGE, b"{}"), "429 RATE_LIMIT_EXCEEDED");
    world.pass_ms(60 * SECOND_MS);
    assert_eq!(send("text/plain", PAGE, b"{}"), "400 VALIDATION_ERROR");
    assert_eq!(send("text/plain", PAGE, b"{\"ref\":\"nobody\"}"), "404 REFERRAL_NOT_FOUND");
}

#[test]
fn without_a_public_key_or_a_limiter_it_works_too() {
    let world = world();
    world.db.execute("UPDATE api_keys SET revoked_at = 1 WHERE kind = 'public'").unwrap();
    assert_eq!(from(&world, PAGE, json!({"ref": "anna"})).status, 201);
    // What is lent ends with its minute.
    world.pass_ms(60 * SECOND_MS);
    world.limiter.unreachable.store(true, Ordering::SeqCst);
    let counted = (0..60).filter(|_| from(&world, PAGE, json!({"ref": "anna"})).status == 201).count();
    assert_eq!(counted, 20);
}

#[test]
fn strangers_are_limited_by_address_and_known_hosts_are_not() {
    let world = world();
    world.limiter.no_strangers.store(true, Ordering::SeqCst);
    let refused = from(&world, "https://other.test", json!({"ref": "anna"}));
    assert_eq!((refused.summary().as_str(), refused.header("retry-after")), ("429 RATE_LIMIT_EXCEEDED", "60"));
    assert_eq!(from(&world, PAGE, json!({"ref": "anna"})).status, 201);
    // What cannot be a registered host is not even looked up.
    world.db.round_trips();
    assert_eq!(from(&world, "null", json!({"ref": "anna"})).summary(), UNAUTHORIZED);
    assert_eq!(world.db.round_trips(), 0);
}

#[test]
fn it_costs_two_round_trips_cold_and_none_warm() {
    let world = world();
    world.db.round_trips();
    from(&world, PAGE, json!({"ref": "anna"}));
    assert_eq!(world.db.round_trips(), 2);
    from(&world, PAGE, json!({"ref": "anna"}));
    assert_eq!(world.db.round_trips(), 0);
}
