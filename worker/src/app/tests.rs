//! What holds of every answer, whatever the path: contract, sections 2 and 4, and the order of refusals of section 16.

use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, OPERATOR_TOKEN, World};

/// One path of each kind, with its method.
const LINES: [&str; 13] = [
    "GET /healthz",
    "GET /v1/selgeo.js",
    "GET /v1/other.txt",
    "GET /r/nobody",
    "POST /v1/clicks",
    "OPTIONS /v1/clicks",
    "POST /api/v1/conversions",
    "GET /api/v1/attribution-audit",
    "GET /api/v1/programs",
    "POST /webhooks/stripe/conn_x",
    "POST /operator/v1/workspaces",
    "GET /nowhere",
    "DELETE /healthz",
];

/// A body of a bit more than 64 KiB that is JSON all the same.
fn over_64_kib() -> Vec<u8> {
    format!("{{\"name\":\"{}\"}}", "x".repeat(64 * 1024)).into_bytes()
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[track_caller]
fn is_error_shape(answer: &Answer) {
    let error = answer.body["error"].as_object().expect("an error object");
    assert_eq!(answer.body.as_object().unwrap().len(), 1, "{}", answer.body);
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert_eq!(error["request_id"], answer.header("x-request-id"));
    assert_eq!(answer.header("content-type"), "application/json");
    for detail in error.get("details").and_then(Json::as_array).into_iter().flatten() {
        let keys: Vec<_> = detail.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["field", "message"]);
    }
}

#[test]
fn a_request_id_is_echoed_where_it_is_fit_and_otherwise_replaced() {
    let world = World::new();
    for line in LINES {
        let check = |given: &str, echoed: bool| {
            let answer = world.send(line, &[("x-request-id", given)], json!(null));
            let id = answer.header("x-request-id");
            assert_eq!(id == given, echoed, "{line} {given:?} → {id:?}");
            assert!((1..=128).contains(&id.len()), "{line}");
            if let Some(told) = answer.body.pointer("/error/request_id") {
                assert_eq!(told, id, "{line}");
            }
        };
        check("abc-123", true);
        check("!~", true);
        check(&"x".repeat(128), true);
        check(&"x".repeat(129), false);
        check("two words", false);
        check("über", false);
    }
    let (one, two) = (world.send("GET /healthz", &[], json!(null)), world.send("GET /healthz", &[], json!(null)));
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
    assert!(one.header("x-request-id").starts_with("req_"));
}

#[test]
fn plain_http_is_refused_except_on_loopback() {
    let world = World::new();
    let check = |url: &str, expected: &str| {
        let answer = world.send(&format!("GET {url}"), &[], json!(null));
        assert_eq!(answer.summary(), expected, "{url}");
        assert!(!answer.header("x-request-id").is_empty());
    };
    check("https://api.selgeo.test/healthz", "200");
    check("http://api.selgeo.test/healthz", "403 HTTPS_REQUIRED");
    check("http://localhost.evil.test/healthz", "403 HTTPS_REQUIRED");
    check("http://127.0.0.1.evil.test/healthz", "403 HTTPS_REQUIRED");
    check("http://192.168.0.1/healthz", "403 HTTPS_REQUIRED");
    check("http://localhost:8787/healthz", "200");
    check("http://127.0.0.1:8787/healthz", "200");
    check("http://[::1]:8787/healthz", "200");
    is_error_shape(&world.send("GET http://api.selgeo.test/healthz", &[], json!(null)));
}

#[test]
fn what_is_no_path_is_404() {
    let world = World::new();
    for line in [
        "GET /nowhere",
        "POST /nowhere",
        "GET /api",
        "GET /api/v1",
        "GET /api/v1/",
        "GET /api/v1/conversions/",
        "GET /api/v1/nowhere",
        "GET /api/v2/conversions",
        "POST /api/v1/clicks/x/y",
        "GET //healthz",
        "GET /v1/selgeo.css",
        "GET /v1/selgeo.js%3Fx.js",
        "GET /v1/selgeo%2F..%2Fx.js",
        "GET /v1/%FF.js",
        "GET /api/v1/conversions/%FF",
        "POST /api/v1/links/%FF/archive",
        "POST /webhooks/stripe/%FF",
        "POST /_s/api/v1/conversions",
        "GET /_s/healthz",
        "GET /_t/v1/selgeo.js",
        "GET /static/nothing.css",
    ] {
        let answer = world.api(line, json!(null));
        assert_eq!(answer.summary(), "404 NOT_FOUND", "{line} {}", answer.body);
        is_error_shape(&answer);
    }
}

#[test]
fn a_wrong_method_is_405_and_says_which_are_right() {
    let world = World::new();
    let check = |line: &str, allowed: &[&str]| {
        let answer = world.api(line, json!(null));
        assert_eq!(answer.summary(), "405 METHOD_NOT_ALLOWED", "{line}");
        is_error_shape(&answer);
        let mut said: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        said.sort_unstable();
        assert_eq!(said, allowed, "{line}");
    };
    check("GET /v1/clicks", &["OPTIONS", "POST"]);
    check("PUT /api/v1/conversions", &["GET", "HEAD", "POST"]);
    check("OPTIONS /api/v1/conversions", &["GET", "HEAD", "POST"]);
    check("POST /api/v1/attribution-audit", &["GET", "HEAD"]);
    check("DELETE /api/v1/programs/prog_x", &["GET", "HEAD", "PATCH"]);
    check("DELETE /api/v1/partners/part_x", &["GET", "HEAD", "PATCH"]);
    check("PUT /api/v1/links/link_x", &["GET", "HEAD", "PATCH"]);
    check("PATCH /api/v1/rewards/rew_x", &["GET", "HEAD"]);
    check("GET /api/v1/rewards/rew_x/change", &["POST"]);
    check("GET /api/v1/links/link_x/archive", &["POST"]);
    check("GET /webhooks/stripe/conn_x", &["POST"]);
    check("GET /api/webhooks/conn_x", &["POST"]);
    check("POST /healthz", &["GET", "HEAD"]);
    check("POST /v1/selgeo.js", &["GET", "HEAD"]);
    check("POST /r/nobody", &["GET", "HEAD"]);
}

#[test]
fn secret_endpoints_refuse_in_order_401_429_413_415_400() {
    let paths = [
        "conversions",
        "programs",
        "rewards",
        "partners",
        "participants",
        "links",
        "hosts",
        "promo-codes",
        "stripe-connections",
    ];
    for path in paths {
        let world = World::new();
        let line = format!("POST /api/v1/{path}");
        let (good, text) = (bearer(&world.keys.sk_test), "text/plain");
        let send = |key: &str, media: &str, body: Vec<u8>| {
            let headers = [("authorization", key), ("content-type", media)];
            world.send_bytes(&line, &headers, body)
        };
        // All is wrong but what has been mended before.
        assert_eq!(send("Bearer x", text, over_64_kib()).summary(), "401 INVALID_API_KEY", "{path}");
        assert_eq!(send(&good, text, over_64_kib()).summary(), "413 PAYLOAD_TOO_LARGE", "{path}");
        assert_eq!(send(&good, text, b"{".to_vec()).summary(), "415 UNSUPPORTED_MEDIA_TYPE", "{path}");
        let answer = send(&good, "application/json; charset=utf-8", b"{".to_vec());
        assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{path}");
        is_error_shape(&answer);
        let limit: usize = answer.header("x-ratelimit-limit").parse().unwrap();
        assert_eq!(limit, if path == "conversions" { 120 } else { 300 }, "{path}");
        // What passed the limiter was counted, whatever came after; what was refused before it was not.
        assert_eq!(answer.header("x-ratelimit-remaining"), (limit - 3).to_string(), "{path}");
        while send(&good, "application/json", Vec::new()).status != 429 {}
        let refused = send(&good, text, over_64_kib());
        assert_eq!(refused.summary(), "429 RATE_LIMIT_EXCEEDED", "{path}");
        assert_eq!(refused.header("x-ratelimit-remaining"), "0");
        assert_eq!(refused.header("retry-after"), "60");
        assert_eq!(refused.header("x-ratelimit-reset"), "60");
        is_error_shape(&refused);
        assert_eq!(send("Bearer x", text, over_64_kib()).summary(), "401 INVALID_API_KEY", "{path}");
        world.pass_ms(59_001);
        assert_eq!(send(&good, "application/json", Vec::new()).header("retry-after"), "1", "{path}");
        world.pass_ms(999);
        assert_eq!(send(&good, "application/json", Vec::new()).summary(), "400 VALIDATION_ERROR", "{path}");
    }
}

#[test]
fn exactly_the_limit_is_let_in_and_the_next_minute_begins_anew() {
    let world = World::new();
    let line = "GET /api/v1/programs";
    let outcomes: Vec<u16> = (0..500).map(|_| world.api(line, json!(null)).status.as_u16()).collect();
    assert_eq!(outcomes.iter().filter(|status| **status == 200).count(), 300);
    assert!(outcomes[300..].iter().all(|status| *status == 429));
    // Another address has its own count, and so has the other zone; the /64 of an IPv6 address counts as one.
    world.come_from("2001:db8:1:2::1");
    assert_eq!(world.api(line, json!(null)).header("x-ratelimit-remaining"), "299");
    world.come_from("2001:db8:1:2:ffff::9");
    assert_eq!(world.api(line, json!(null)).header("x-ratelimit-remaining"), "298");
    world.come_from("2001:db8:1:3::1");
    assert_eq!(world.api(line, json!(null)).header("x-ratelimit-remaining"), "299");
    world.come_from("192.0.2.7");
    assert_eq!(world.api("POST /api/v1/conversions", json!({})).header("x-ratelimit-limit"), "120");
    let other = world.workspace("Second");
    assert_eq!(world.api_as(&other.sk_test, line, json!(null)).status, 200);
    world.pass_ms(60_000);
    assert_eq!(world.api(line, json!(null)).header("x-ratelimit-remaining"), "299");
}

#[test]
fn only_a_known_key_of_the_right_kind_in_its_place_is_let_in() {
    let world = World::new();
    let (sk, pk) = (world.keys.sk_test.clone(), world.keys.pk_test.clone());
    let unknown = format!("sk_test_{}", "a".repeat(32));
    let check = |headers: &[(&str, &str)], query: &str, expected: &str| {
        let line = format!("GET /api/v1/programs{query}");
        let answer = world.send(&line, headers, json!(null));
        assert_eq!(answer.summary(), expected, "{headers:?} {query}");
        if expected != "200" {
            is_error_shape(&answer);
            assert_eq!(answer.header("x-ratelimit-limit"), "");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    };
    check(&[("authorization", &bearer(&sk))], "", "200");
    check(&[("authorization", &format!("bearer  {sk} "))], "", "200");
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        &sk,
        &format!("Basic {sk}"),
        &bearer(&pk),
        &bearer(&unknown),
        &bearer(&sk.to_uppercase()),
        &bearer(&sk.replace("test", "live")),
        &bearer(&format!("{sk}a")),
        &bearer(&sk[..sk.len() - 1]),
        &bearer("sk_test_ééééééééééééééééé"),
    ] {
        check(&[("authorization", wrong)], "", "401 INVALID_API_KEY");
    }
    check(&[], &format!("?api_key={sk}&key={sk}&authorization=Bearer%20{sk}"), "401 INVALID_API_KEY");
    check(&[("x-api-key", &sk)], "", "401 INVALID_API_KEY");
    check(&[("x-publishable-key", &pk)], "", "401 INVALID_API_KEY");
}

#[test]
fn strangers_are_held_off_without_a_count_and_known_keys_are_not() {
    let world = World::new();
    world.limiter.no_strangers.store(true, std::sync::atomic::Ordering::SeqCst);
    let unknown = format!("sk_test_{}", "a".repeat(32));
    let refused = world.api_as(&unknown, "GET /api/v1/programs", json!(null));
    assert_eq!(refused.summary(), "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(refused.header("retry-after"), "60");
    let refused = world.send("POST /operator/v1/workspaces", &[("authorization", "Bearer x")], json!({"name": "x"}));
    assert_eq!(refused.summary(), "429 RATE_LIMIT_EXCEEDED");
    assert_eq!(world.api("GET /api/v1/programs", json!(null)).status, 200);
}

#[test]
fn a_revoked_key_ends_within_a_minute() {
    let world = World::new();
    assert_eq!(world.api("GET /api/v1/programs", json!(null)).status, 200);
    world.db.execute("UPDATE api_keys SET revoked_at = 1").unwrap();
    world.pass_ms(60_000);
    assert_eq!(world.api("GET /api/v1/programs", json!(null)).summary(), "401 INVALID_API_KEY");
}

#[test]
fn while_the_limiter_or_the_database_cannot_answer_it_is_503_in_fixed_words() {
    let world = World::new();
    world.limiter.unreachable.store(true, std::sync::atomic::Ordering::SeqCst);
    for line in ["GET /api/v1/programs", "POST /api/v1/conversions"] {
        let answer = world.api(line, json!(null));
        assert_eq!(answer.summary(), "503 UNAVAILABLE", "{line}");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.body.to_string().contains("reach"), "{}", answer.body);
        is_error_shape(&answer);
    }
    let world = World::new();
    world.db.execute(crate::store::schema::UNDONE).unwrap();
    let answer = world.send("GET /healthz", &[], json!(null));
    assert_eq!(answer.summary(), "503 UNAVAILABLE");
    assert!(!answer.body.to_string().contains("person_id"));
}

#[test]
fn health_and_files_need_no_key() {
    let world = World::new();
    let answer = world.send("GET /healthz", &[], json!(null));
    assert_eq!(answer.body, json!({"status": "ok"}));
    let check = |path: &str, cache: &str| {
        let answer = world.send(&format!("GET {path}"), &[], json!(null));
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), cache, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
    };
    check("/v1/selgeo.js", "public, max-age=300, must-revalidate");
    check("/_s/v1/selgeo.js", "public, max-age=300, must-revalidate");
    check("/v1/selgeo.0123456789abcdef.js", "public, max-age=31536000, immutable");
    assert_eq!(world.send("GET /v1/selgeo.ffff.js", &[], json!(null)).summary(), "404 NOT_FOUND");
}

#[test]
fn only_the_operator_makes_workspaces() {
    let world = World::new();
    let good = bearer(OPERATOR_TOKEN);
    let check = |token: &str, body: Json, expected: &str| {
        let answer = world.send("POST /operator/v1/workspaces", &[("authorization", token)], body);
        assert_eq!(answer.summary(), expected, "{token}");
        assert!(!answer.body.to_string().contains(OPERATOR_TOKEN));
    };
    check("", json!({"name": "x"}), "401 INVALID_API_KEY");
    check(&bearer(&world.keys.sk_live), json!({"name": "x"}), "401 INVALID_API_KEY");
    check(&good, json!({}), "400 VALIDATION_ERROR");
    check(&good, json!({"name": "x", "limits": 7}), "400 VALIDATION_ERROR");
    check(&good, json!({"name": "x", "limits": {"clicks_per_minute": 0}}), "400 VALIDATION_ERROR");
    check(&good, json!({"name": "x", "limits": {"clicks_per_minute": 7, "other_per_minute": null}}), "201");
}

#[test]
fn the_wrong_body_is_400_and_nothing_worse() {
    let world = World::new();
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes();
    let bodies: [(&str, &[u8]); 14] = [
        ("empty", b""),
        ("white space", b" \n"),
        ("text", b"hello"),
        ("a list", b"[{}]"),
        ("a string", b"\"{}\""),
        ("null", b"null"),
        ("a number", b"7"),
        ("cut off", b"{\"name\":"),
        ("two values", b"{}{}"),
        ("no UTF-8", b"{\"name\":\"\xff\"}"),
        ("a lone surrogate", b"{\"name\":\"\\ud83d\"}"),
        ("a byte order mark", b"\xef\xbb\xbf{}"),
        ("a number beyond a double", b"{\"name\":1e999}"),
        ("deeply nested", &deep),
    ];
    let (sk, pk) = (bearer(&world.keys.sk_test), bearer(&world.keys.pk_test));
    for (what, body) in bodies {
        for path in
            ["/api/v1/conversions", "/api/v1/programs", "/api/v1/links", "/api/v1/stripe-connections", "/v1/clicks"]
        {
            let key = if path == "/v1/clicks" { &pk } else { &sk };
            let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
            let answer = world.send_bytes(&format!("POST {path}"), &headers, body.to_vec());
            assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{what} at {path}");
            is_error_shape(&answer);
        }
    }
    for path in ["/api/v1/conversions", "/api/v1/programs", "/v1/clicks"] {
        let headers = [("authorization", sk.as_str())];
        let answer = world.send_bytes(&format!("POST {path}"), &headers, vec![b' '; 1024 * 1024]);
        assert_eq!(answer.summary(), "413 PAYLOAD_TOO_LARGE", "{path}");
        // A length that is only said is believed at once.
        let headers = [("authorization", sk.as_str()), ("content-length", "65537")];
        let answer = world.send_bytes(&format!("POST {path}"), &headers, b"{}".to_vec());
        assert_eq!(answer.summary(), "413 PAYLOAD_TOO_LARGE", "{path}");
    }
}

#[test]
fn all_wrong_fields_are_told_at_once_with_their_limits() {
    let world = World::new();
    let answer = world.api(
        "POST /api/v1/conversions",
        json!({"click_id": "x", "promo_code": "c".repeat(101), "external_transaction_id": "t".repeat(256), "event_type": 7,
            "amount_cents": 1.5, "currency": "ZZZ", "occurred_at": "yesterday", "prospect_email": "nobody",
            "customer_external_id": "", "metadata": []}),
    );
    let told: Vec<String> = answer.body["error"]["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|detail| format!("{}: {}", detail["field"].as_str().unwrap(), detail["message"].as_str().unwrap()))
        .collect();
    expect![[r#"
        external_transaction_id: must have 1 to 255 characters; has 256
        event_type: must be a string
        amount_cents: must be a whole number from 0 to 9007199254740991
        currency: must be a currency code of ISO 4217, such as EUR
        occurred_at: must be an ISO 8601 time with an offset, such as 2026-01-31T12:00:00Z
        click_id: must be a UUID
        promo_code: must have 1 to 100 characters; has 101
        prospect_email: must be an e-mail address
        customer_external_id: must have 1 to 255 characters; has 0
        metadata: must be an object"#]]
    .assert_eq(&told.join("\n"));
}
