use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::testing::session_completed;
use crate::testing::shop::{Shop, shop};

const KEY: &str = "rk_test_51Abc123";
const NEXT_SECRET: &str = "whsec_next_0123456789";

fn post(shop: &Shop, what: &str, body: Json) -> crate::testing::Answer {
    shop.world.pass_ms(1);
    shop.world.api(&format!("POST /api/v1/stripe-connections/{}/{what}", shop.connection), body)
}

#[test]
fn a_key_is_taken_in_its_mode_sealed_and_never_shown() {
    let shop = shop();
    let at_creation = json!({"signing_secret": "whsec_test_0123456789", "restricted_key": format!(" {KEY}\n")});
    let made = shop.world.api("POST /api/v1/stripe-connections", at_creation);
    assert_eq!((made.status.as_u16(), &made.body["has_restricted_key"]), (201, &json!(true)));
    let set = post(&shop, "restricted-key", json!({"restricted_key": KEY}));
    assert_eq!((set.status.as_u16(), &set.body["has_restricted_key"]), (200, &json!(true)));
    let line = format!("GET /api/v1/stripe-connections/{}", shop.connection);
    let shown = shop.world.api(&line, json!(null));
    assert_eq!(shown.body["reconcile"], json!(null));
    assert_eq!(shown.body["lookups"], json!({"pending": 0, "failed": 0, "last_error": null}));
    for answer in [&made, &set, &shown, &shop.world.api("GET /api/v1/stripe-connections", json!(null))] {
        assert!(!answer.raw.contains("51Abc123"), "{}", answer.raw);
    }
    let stored = "SELECT count(*) FROM stripe_connections WHERE restricted_key LIKE '%51Abc123%'";
    assert_eq!(shop.world.db.count(stored), 0);
    // Taken away.
    let removed = post(&shop, "restricted-key", json!({"restricted_key": null}));
    assert_eq!((removed.status.as_u16(), &removed.body["has_restricted_key"]), (200, &json!(false)));
    assert_eq!(post(&shop, "reconcile", json!({})).summary(), "409 CONFLICT");
    for (key, expected) in [
        ("sk_test_51Abc123", "200"),
        ("rk_live_51Abc123", "400 VALIDATION_ERROR"),
        ("pk_test_51Abc123", "400 VALIDATION_ERROR"),
        ("rk_test_51 Abc123", "400 VALIDATION_ERROR"),
        ("", "400 VALIDATION_ERROR"),
        (&format!("rk_test_{}", "x".repeat(248)), "400 VALIDATION_ERROR"),
    ] {
        let answer = post(&shop, "restricted-key", json!({"restricted_key": key}));
        assert_eq!(answer.summary(), expected, "{key}");
        if key.starts_with("rk_live") {
            let told = answer.text("/error/message");
            assert!(told.contains("rk_test_…") && !told.contains("51Abc123"), "{told}");
        }
    }
}

#[test]
fn anothers_connection_is_not_there() {
    let shop = shop();
    let other = shop.world.workspace("Other");
    for key in [&shop.world.keys.sk_live, &other.sk_test] {
        for line in
            ["GET ", "DELETE ", "GET /lookups", "POST /reconcile", "POST /restricted-key", "POST /signing-secret"]
        {
            let (method, rest) = line.split_once(' ').unwrap();
            let mode = if key.starts_with("sk_live") { "live" } else { "test" };
            let body = match method {
                "POST" => json!({"restricted_key": format!("rk_{mode}_51Abc123"), "signing_secret": NEXT_SECRET}),
                _ => json!(null),
            };
            let line = format!("{method} /api/v1/stripe-connections/{}{rest}", shop.connection);
            assert_eq!(shop.world.api_as(key, &line, body).summary(), "404 NOT_FOUND", "{line}");
        }
    }
}

#[test]
fn a_rolled_secret_is_accepted_beside_the_old_one_until_the_overlap_ends() {
    let shop = shop();
    let line = format!("POST /webhooks/stripe/{}", shop.connection);
    let send = |id: &str, secret: &str| {
        let body = session_completed(id, shop.now_s(), json!({})).to_string();
        let header = stripe::signature::sign(secret, shop.now_s(), body.as_bytes());
        shop.world.send_bytes(&line, &[("stripe-signature", &header)], body.into_bytes()).summary()
    };
    const OLD: &str = "whsec_test_0123456789";
    const BAD: &str = "400 INVALID_SIGNATURE";
    assert_eq!((send("1", OLD).as_str(), send("2", NEXT_SECRET).as_str()), ("200", BAD));
    let rolled = post(&shop, "signing-secret", json!({"signing_secret": NEXT_SECRET, "overlap_hours": 2}));
    assert_eq!(rolled.status, 200, "{}", rolled.body);
    let until = shop.world.now().plus_ms(120 * MINUTE_MS).to_string();
    assert_eq!(rolled.body["previous_secret_accepted_until"], json!(until));
    assert_eq!((send("3", OLD).as_str(), send("4", NEXT_SECRET).as_str()), ("200", "200"));
    // Said again, by a merchant who heard no answer: the old one is still the old one.
    let again = post(&shop, "signing-secret", json!({"signing_secret": NEXT_SECRET, "overlap_hours": 72}));
    assert_eq!(again.body["previous_secret_accepted_until"], json!(until));
    shop.world.pass_ms(120 * MINUTE_MS);
    assert_eq!((send("5", OLD).as_str(), send("6", NEXT_SECRET).as_str()), (BAD, "200"));
    assert_eq!(send("7", "").as_str(), BAD);
    // With no overlap the old one ends at once.
    post(&shop, "signing-secret", json!({"signing_secret": OLD, "overlap_hours": 0}));
    assert_eq!((send("8", OLD).as_str(), send("9", NEXT_SECRET).as_str()), ("200", BAD));
    for body in [
        json!({}),
        json!({"signing_secret": "sk_test_0123456789"}),
        json!({"signing_secret": OLD, "overlap_hours": 73}),
        json!({"signing_secret": OLD, "overlap_hours": -1}),
    ] {
        assert_eq!(post(&shop, "signing-secret", body.clone()).summary(), "400 VALIDATION_ERROR", "{body}");
    }
}

#[test]
fn only_a_connection_by_which_nothing_came_is_deleted() {
    let shop = shop();
    let line = format!("DELETE /api/v1/stripe-connections/{}", shop.connection);
    shop.take(&session_completed("1", shop.now_s(), json!({})));
    assert_eq!(shop.world.api(&line, json!(null)).summary(), "409 CONFLICT");
    let unused = shop.world.stripe_connection(&shop.world.keys.sk_test);
    let of_unused = |rest: &str| format!("/api/v1/stripe-connections/{unused}{rest}");
    shop.world.api(&format!("POST {}", of_unused("/restricted-key")), json!({"restricted_key": KEY}));
    assert_eq!(shop.world.api(&format!("POST {}", of_unused("/reconcile")), json!({})).status, 202);
    assert_eq!(shop.world.api(&format!("DELETE {}", of_unused("")), json!(null)).summary(), "204");
    assert_eq!(shop.world.api(&format!("GET {}", of_unused("")), json!(null)).summary(), "404 NOT_FOUND");
    assert_eq!(shop.world.api(&format!("DELETE {}", of_unused("")), json!(null)).summary(), "404 NOT_FOUND");
    // What was to be asked with its key is not asked any more.
    shop.world.sweep();
    assert!(shop.world.stripe_api.asked().is_empty());
}

#[test]
fn what_was_asked_is_listed_page_by_page() {
    let shop = shop();
    post(&shop, "restricted-key", json!({"restricted_key": KEY}));
    for n in 0..5 {
        shop.take(&crate::testing::refund(&n.to_string(), &n.to_string(), shop.now_s(), 1, "succeeded"));
        shop.world.pass_ms(10);
    }
    let path = format!("stripe-connections/{}/lookups", shop.connection);
    let first = shop.world.api(&format!("GET /api/v1/{path}?limit=3&state=pending"), json!(null));
    let cursor = first.text("/next_cursor");
    let rest = shop.world.api(&format!("GET /api/v1/{path}?limit=3&cursor={cursor}"), json!(null));
    let subjects: Vec<String> = [&first, &rest]
        .iter()
        .flat_map(|page| page.body["data"].as_array().unwrap())
        .map(|lookup| lookup["subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(subjects, ["pi_4", "pi_3", "pi_2", "pi_1", "pi_0"]);
    assert!(shop.data(&format!("{path}?state=done")).is_empty());
    let wrong = shop.world.api(&format!("GET /api/v1/{path}?state=open"), json!(null));
    assert_eq!(wrong.summary(), "400 VALIDATION_ERROR");
}
