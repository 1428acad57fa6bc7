//! Endpoints and deliveries as clients see them: what is shown, what is refused, and to whom.

use expect_test::expect;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, Does, World};

const ENDPOINTS: &str = "POST /api/v1/webhook-endpoints";
const URL: &str = "https://hooks.merchant.example/in";

fn good() -> Json {
    json!({"url": URL, "events": ["*"]})
}

#[track_caller]
fn made(world: &World) -> Answer {
    world.pass_ms(1_000);
    let made = world.api(ENDPOINTS, good());
    assert_eq!(made.status, 201, "{}", made.body);
    made
}

fn api(world: &World, line: &str, body: Json) -> Answer {
    world.pass_ms(1_000);
    world.api(line, body)
}

/// The fields that an answer blames.
fn blamed(answer: &Answer) -> Vec<String> {
    let details = answer.body["error"]["details"].as_array().cloned().unwrap_or_default();
    details.iter().map(|one| one["field"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_endpoint_is_made_listed_changed_and_removed() {
    let world = World::new();
    let first = made(&world);
    let second =
        api(&world, ENDPOINTS, json!({"url": "http://other.example", "events": ["payout.paid", "commission.paid"]}));
    assert_eq!(second.body["url"], "http://other.example/");
    // In the order of the list of all, each once.
    assert_eq!(second.body["events"], json!(["commission.paid", "payout.paid"]));
    let twice = json!({"events": ["payout.paid", "payout.paid", "conversion.created", "*"]});
    let path = format!("/api/v1/webhook-endpoints/{}", second.text("/id"));
    let changed = api(&world, &format!("PATCH {path}"), twice);
    assert_eq!(changed.body["events"], json!(["*", "conversion.created", "payout.paid"]));
    assert_eq!(changed.body["url"], "http://other.example/");
    let changed = api(&world, &format!("PATCH {path}"), json!({"url": "https://OTHER.example/x#y", "events": null}));
    assert_eq!(changed.body["url"], "https://other.example/x");
    assert_eq!(api(&world, &format!("PATCH {path}"), json!({})).body, changed.body);
    assert_eq!(api(&world, &format!("GET {path}"), json!(null)).body, changed.body);
    let ids = |answer: &Answer| -> Vec<String> {
        answer.body["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let listed = api(&world, "GET /api/v1/webhook-endpoints", json!(null));
    assert_eq!(ids(&listed), [second.text("/id"), first.text("/id")]);
    assert_eq!(api(&world, &format!("DELETE {path}"), json!(null)).status, 204);
    for line in
        [format!("GET {path}"), format!("PATCH {path}"), format!("DELETE {path}"), format!("POST {path}/enable")]
    {
        let body = if line.starts_with("PATCH") { json!({}) } else { json!(null) };
        assert_eq!(api(&world, &line, body).summary(), "404 NOT_FOUND", "{line}");
    }
    assert_eq!(ids(&api(&world, "GET /api/v1/webhook-endpoints", json!(null))), [first.text("/id")]);
}

#[test]
fn every_bad_field_is_blamed() {
    let world = World::new();
    let long = format!("https://hooks.example/{}", "a".repeat(2_027));
    let kinds = |names: Json| json!({"url": URL, "events": names});
    for (body, fields) in [
        (json!({}), vec!["url", "events"]),
        (json!({"url": null, "events": null}), vec!["url", "events"]),
        (json!({"url": 7, "events": 7}), vec!["url", "events"]),
        (json!({"url": "", "events": []}), vec!["url", "events"]),
        (json!({"url": [URL], "events": "*"}), vec!["url", "events"]),
        (json!({"url": long, "events": ["*"]}), vec!["url"]),
        (json!({"url": format!("{URL}\u{0}"), "events": ["*"]}), vec!["url"]),
        (kinds(json!([7])), vec!["events"]),
        (kinds(json!([null])), vec!["events"]),
        (kinds(json!(["*", ["*"]])), vec!["events"]),
        (kinds(json!({"0": "*"})), vec!["events"]),
        (kinds(json!([""])), vec!["events"]),
        (kinds(json!(["conversion.*"])), vec!["events"]),
        (kinds(json!(["Conversion.Created"])), vec!["events"]),
        (kinds(json!([" conversion.created"])), vec!["events"]),
        (kinds(json!(["conversion.created\u{0}"])), vec!["events"]),
        (kinds(json!(["webhook.tests"])), vec!["events"]),
        (kinds(json!(["*", "'; DROP TABLE events; --"])), vec!["events"]),
        (kinds(json!(["x".repeat(10_000)])), vec!["events"]),
    ] {
        let answer = api(&world, ENDPOINTS, body.clone());
        assert_eq!(
            (answer.summary().as_str(), blamed(&answer)),
            ("400 VALIDATION_ERROR", fields.iter().map(|f| (*f).to_owned()).collect()),
            "{body}"
        );
        assert!(answer.raw.len() < 2_000, "what was sent is not sent back at length");
    }
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_endpoints"), 0);
    let headers = [("authorization", format!("Bearer {}", world.keys.sk_test))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (body, expected) in [
        (b"".to_vec(), "400 VALIDATION_ERROR"),
        (b"[]".to_vec(), "400 VALIDATION_ERROR"),
        (b"{\"url\":".to_vec(), "400 VALIDATION_ERROR"),
        (b"\xff\xfe".to_vec(), "400 VALIDATION_ERROR"),
        (vec![b' '; 65 * 1024], "413 PAYLOAD_TOO_LARGE"),
    ] {
        assert_eq!(world.send_bytes(ENDPOINTS, &headers, body).summary(), expected);
    }
    // What is there already is changed to nothing worse.
    let path = format!("/api/v1/webhook-endpoints/{}", made(&world).text("/id"));
    for (body, field) in
        [(json!({"url": "nowhere"}), "url"), (json!({"events": []}), "events"), (json!({"url": ""}), "url")]
    {
        let answer = api(&world, &format!("PATCH {path}"), body);
        assert_eq!((answer.summary().as_str(), blamed(&answer)), ("400 VALIDATION_ERROR", vec![field.to_owned()]));
    }
    for overlap in [json!(-1), json!(73), json!("24"), json!(1.5), json!(1e9)] {
        let answer = api(&world, &format!("POST {path}/rotate"), json!({"overlap_hours": overlap}));
        assert_eq!(blamed(&answer), ["overlap_hours"], "{overlap}");
    }
    for since in [json!(null), json!(""), json!("yesterday"), json!(7), json!("2026-13-01T00:00:00Z")] {
        let answer = api(&world, &format!("POST {path}/resend"), json!({"since": since}));
        assert_eq!(blamed(&answer), ["since"], "{since}");
    }
    // As far as times go.
    for since in ["-009999-01-02T01:59:59Z", "9999-12-30T22:00:00Z", "1969-12-31T23:59:59Z"] {
        let answer = api(&world, &format!("POST {path}/resend"), json!({"since": since}));
        assert!([202, 400].contains(&answer.status.as_u16()), "{since} {}", answer.body);
    }
    assert_eq!(api(&world, &format!("POST {path}/explode"), json!(null)).summary(), "404 NOT_FOUND");
    assert_eq!(api(&world, &format!("PUT {path}"), json!({})).summary(), "405 METHOD_NOT_ALLOWED");
}

#[test]
fn a_url_that_leads_inside_is_refused_whatever_its_spelling() {
    let world = World::new();
    world.receivers.lead("inside.example", Ok(&["10.0.0.1"]));
    world.receivers.lead("mixed.example", Ok(&["93.184.215.14", "fd00::1"]));
    world.receivers.lead("metadata.example", Ok(&["169.254.169.254"]));
    world.receivers.lead("self.example", Ok(&["127.0.0.1"]));
    world.receivers.lead("mapped.example", Ok(&["::ffff:10.0.0.1"]));
    let path = format!("/api/v1/webhook-endpoints/{}", made(&world).text("/id"));
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost:8787/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://10.0.0.1/",
        "http://172.31.255.255/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://192.0.2.1/",
        "http://198.18.0.1/",
        "http://[fe80::1]/",
        "http://[fd00::1]/",
        "http://[ff02::1]/",
        "http://[2001:db8::1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://%31%32%37.0.0.1/",
        "http://metadata.google.internal/",
        "http://printer.local/",
        "http://intranet/",
        "https://inside.example/",
        "https://INSIDE.example./",
        "https://mixed.example/",
        "https://metadata.example/",
        "https://self.example/",
        "https://mapped.example/",
        "https://user@hooks.example/",
        "https://user:pass@hooks.example/",
        "ftp://hooks.example/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//hooks.example/",
        "hooks.example",
    ] {
        for (line, body) in [
            (ENDPOINTS.to_owned(), json!({"url": url, "events": ["*"]})),
            (format!("PATCH {path}"), json!({"url": url})),
        ] {
            let answer = api(&world, &line, body);
            assert_eq!(
                (answer.summary().as_str(), blamed(&answer)),
                ("400 VALIDATION_ERROR", vec!["url".to_owned()]),
                "{url}"
            );
        }
    }
    // Live needs HTTPS.
    let live = |url: &str| world.api_as(&world.keys.sk_live, ENDPOINTS, json!({"url": url, "events": ["*"]})).summary();
    assert_eq!(live("http://hooks.example/"), "400 VALIDATION_ERROR");
    assert_eq!(live("https://hooks.example/"), "201");
    // One that nobody can resolve now may be resolved when something is sent.
    world.receivers.lead("new.example", Ok(&[]));
    assert_eq!(api(&world, ENDPOINTS, json!({"url": "https://new.example/", "events": ["*"]})).status, 201);
}

#[test]
fn this_machine_is_a_target_under_the_local_server_only() {
    let local = json!({"url": "http://127.0.0.1:9000/in", "events": ["*"]});
    assert_eq!(World::new().api(ENDPOINTS, local.clone()).summary(), "400 VALIDATION_ERROR");
    let world = World::dev();
    assert_eq!(world.api(ENDPOINTS, local.clone()).status, 201);
    assert_eq!(
        world.api(ENDPOINTS, json!({"url": "http://10.0.0.1/", "events": ["*"]})).summary(),
        "400 VALIDATION_ERROR"
    );
    assert_eq!(world.api_as(&world.keys.sk_live, ENDPOINTS, local).summary(), "400 VALIDATION_ERROR");
}

#[test]
fn there_are_ten_endpoints_in_a_mode_at_most() {
    let world = World::new();
    for _ in 0..9 {
        made(&world);
    }
    // Two at once for the last place: one is faster.
    world.before_next_write(ENDPOINTS, good());
    assert_eq!(api(&world, ENDPOINTS, good()).summary(), "409 CONFLICT");
    assert_eq!(world.db.count("SELECT count(*) FROM webhook_endpoints"), 10);
    assert_eq!(api(&world, ENDPOINTS, good()).summary(), "409 CONFLICT");
    // Each mode and each workspace has its own ten, disabled ones count, and removed ones do not.
    let other = world.workspace("Other");
    for key in [&world.keys.sk_live, &other.sk_test] {
        assert_eq!(world.api_as(key, ENDPOINTS, good()).status, 201);
    }
    let listed = api(&world, "GET /api/v1/webhook-endpoints", json!(null));
    let path = format!("/api/v1/webhook-endpoints/{}", listed.text("/data/3/id"));
    assert_eq!(api(&world, &format!("POST {path}/disable"), json!(null)).status, 200);
    assert_eq!(api(&world, ENDPOINTS, good()).summary(), "409 CONFLICT");
    assert_eq!(api(&world, &format!("DELETE {path}"), json!(null)).status, 204);
    assert_eq!(api(&world, ENDPOINTS, good()).status, 201);
}

#[test]
fn secrets_are_sealed_and_shown_when_they_are_new_and_never_again() {
    let world = World::new();
    let made = made(&world);
    let path = format!("/api/v1/webhook-endpoints/{}", made.text("/id"));
    let secret = made.text("/secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 70, "{secret}");
    let rotated = api(&world, &format!("POST {path}/rotate"), json!(null));
    let second = rotated.text("/secret");
    assert!(second.starts_with("whsec_") && second != secret);
    let pinged = api(&world, &format!("POST {path}/ping"), json!(null));
    world.run_lanes();
    let delivery = format!("GET /api/v1/webhook-deliveries/{}", pinged.text("/id"));
    for line in [
        format!("GET {path}"),
        "GET /api/v1/webhook-endpoints".to_owned(),
        format!("POST {path}/disable"),
        format!("POST {path}/enable"),
        format!("POST {path}/switch"),
        "GET /api/v1/webhook-deliveries".to_owned(),
        delivery,
        "GET /api/v1/events".to_owned(),
    ] {
        let answer = api(&world, &line, json!(null));
        assert_eq!(answer.status, 200, "{line}");
        assert!(!answer.raw.contains("whsec_"), "{line}");
    }
    let changed = api(&world, &format!("PATCH {path}"), json!({"events": ["payout.paid"]}));
    assert!(!changed.raw.contains("whsec_"));
    // In no column of any table, neither as it is shown nor as bytes.
    api(&world, &format!("POST {path}/rotate"), json!(null));
    let everything = world.db.everything();
    assert!(everything.contains(URL), "it is everything");
    for secret in [&secret, &second] {
        assert!(!everything.contains(secret.trim_start_matches("whsec_")));
    }
    assert!(!everything.contains("whsec_"));
}

#[test]
fn two_rotations_at_once_are_one() {
    let world = World::new();
    let made = made(&world);
    let line = format!("POST /api/v1/webhook-endpoints/{}/rotate", made.text("/id"));
    world.before_next_write_as(&world.keys.sk_test, &line, json!({}));
    assert_eq!(api(&world, &line, json!({})).summary(), "409 CONFLICT");
}

#[test]
fn anothers_endpoints_and_deliveries_are_not_there() {
    let world = World::new();
    let other = world.workspace("Other");
    let made = made(&world);
    let path = format!("/api/v1/webhook-endpoints/{}", made.text("/id"));
    let pinged = api(&world, &format!("POST {path}/ping"), json!(null));
    let delivery = format!("/api/v1/webhook-deliveries/{}", pinged.text("/id"));
    let before = world.db.everything();
    for key in [&world.keys.sk_live, &other.sk_test, &other.sk_live] {
        for (line, body) in [
            (format!("GET {path}"), json!(null)),
            (format!("PATCH {path}"), json!({"events": ["*"]})),
            (format!("DELETE {path}"), json!(null)),
            (format!("POST {path}/ping"), json!(null)),
            (format!("POST {path}/rotate"), json!({})),
            (format!("POST {path}/resend"), json!({"since": "2026-01-01T00:00:00Z"})),
            (format!("POST {path}/enable"), json!(null)),
            (format!("POST {path}/disable"), json!(null)),
            (format!("POST {path}/switch"), json!(null)),
            (format!("GET {delivery}"), json!(null)),
            (format!("POST {delivery}/resend"), json!(null)),
        ] {
            assert_eq!(world.api_as(key, &line, body).summary(), "404 NOT_FOUND", "{line}");
        }
        for list in ["webhook-endpoints", "webhook-deliveries"] {
            let listed = world.api_as(key, &format!("GET /api/v1/{list}"), json!(null));
            assert_eq!(listed.body["data"], json!([]));
        }
    }
    assert_eq!(world.db.everything(), before);
    for line in [format!("GET {path}"), format!("GET {delivery}"), "GET /api/v1/webhook-endpoints".to_owned()] {
        assert_eq!(world.send(&line, &[], json!(null)).summary(), "401 INVALID_API_KEY");
        assert_eq!(world.api_as(&world.keys.pk_test, &line, json!(null)).summary(), "401 INVALID_API_KEY");
    }
}

#[test]
fn deliveries_are_listed_newest_first_and_narrowed_by_filters() {
    let world = World::new();
    let first = made(&world).text("/id");
    let second = api(&world, ENDPOINTS, json!({"url": "https://broken.example/", "events": ["participant.created"]}))
        .text("/id");
    world.receivers.say("https://broken.example/", Does::Status(410));
    world.program(&world.keys.sk_test, "anna");
    world.run_lanes();
    api(&world, &format!("POST /api/v1/webhook-endpoints/{first}/ping"), json!(null));
    let list = |query: &str| -> Vec<String> {
        let listed = api(&world, &format!("GET /api/v1/webhook-deliveries?{query}"), json!(null));
        assert_eq!(listed.status, 200, "{}", listed.body);
        let line = |one: &Json| format!("{} {}", one["type"], one["status"]).replace('"', "");
        listed.body["data"].as_array().unwrap().iter().map(line).collect()
    };
    assert_eq!(list("").len(), 4);
    assert_eq!(list("")[0], "webhook.test pending");
    assert_eq!(list(&format!("endpoint_id={second}")), ["participant.created dead_letter"]);
    assert_eq!(list("status=delivered").len(), 2);
    assert_eq!(list(&format!("status=delivered&endpoint_id={first}")).len(), 2);
    assert_eq!(list(&format!("status=delivered&endpoint_id={second}")), [""; 0]);
    assert_eq!(list("status=dead_letter").len(), 1);
    let event = api(&world, "GET /api/v1/webhook-deliveries?status=dead_letter", json!(null)).text("/data/0/event_id");
    assert_eq!(list(&format!("event_id={event}")).len(), 2);
    // Page by page, each once.
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api(&world, &format!("GET /api/v1/webhook-deliveries?limit=1&cursor={cursor}"), json!(null));
        seen.push(page.text("/data/0/id"));
        cursor = page.text("/next_cursor");
        if cursor.is_empty() {
            break;
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (4, &sorted));
    for query in ["status=lost", "limit=0", "cursor=x", "limit=101"] {
        let refused = api(&world, &format!("GET /api/v1/webhook-deliveries?{query}"), json!(null));
        assert_eq!(refused.summary(), "400 VALIDATION_ERROR", "{query}");
    }
}

/// An answer with ids, secrets and signatures by names.
fn named(answer: &Answer, names: &[(&str, &str)]) -> String {
    let mut text = serde_json::to_string_pretty(&answer.body).unwrap();
    for (id, name) in names {
        text = text.replace(id, name);
    }
    text
}

#[test]
fn endpoint_format_unchanged() {
    let world = World::new();
    let made = made(&world);
    let (id, secret) = (made.text("/id"), made.text("/secret"));
    expect![[r#"
        {
          "created_at": "2026-06-01T12:00:01.000Z",
          "disabled_reason": null,
          "events": [
            "*"
          ],
          "failing_since": null,
          "id": "whe_1",
          "mode": "test",
          "previous_secret_until": null,
          "secret": "whsec_1",
          "status": "enabled",
          "url": "https://hooks.merchant.example/in"
        }"#]]
    .assert_eq(&named(&made, &[(&id, "whe_1"), (&secret, "whsec_1")]));
    let path = format!("/api/v1/webhook-endpoints/{id}");
    api(&world, &format!("POST {path}/rotate"), json!({}));
    let disabled = api(&world, &format!("POST {path}/disable"), json!(null));
    expect![[r#"
        {
          "created_at": "2026-06-01T12:00:01.000Z",
          "disabled_reason": "by_hand",
          "events": [
            "*"
          ],
          "failing_since": null,
          "id": "whe_1",
          "mode": "test",
          "previous_secret_until": "2026-06-02T12:00:02.000Z",
          "status": "disabled",
          "url": "https://hooks.merchant.example/in"
        }"#]]
    .assert_eq(&named(&disabled, &[(&id, "whe_1")]));
}

#[test]
fn delivery_format_unchanged() {
    let world = World::new();
    let made = made(&world);
    let id = made.text("/id");
    world.receivers.say(URL, Does::Tells(500, b"oops".to_vec()));
    let pinged = api(&world, &format!("POST /api/v1/webhook-endpoints/{id}/ping"), json!(null));
    let (delivery, event) = (pinged.text("/id"), pinged.text("/event_id"));
    let names = [(id.as_str(), "whe_1"), (&delivery, "whd_1"), (&event, "evt_1")];
    expect![[r#"
        {
          "attempts": [],
          "created_at": "2026-06-01T12:00:02.000Z",
          "endpoint_id": "whe_1",
          "event_id": "evt_1",
          "finished_at": null,
          "id": "whd_1",
          "mode": "test",
          "next_attempt_at": "2026-06-01T12:00:02.000Z",
          "request": {
            "api_version": "v1",
            "created_at": "2026-06-01T12:00:02.000Z",
            "data": {
              "endpoint_id": "whe_1"
            },
            "id": "evt_1",
            "mode": "test",
            "sequence": 1,
            "subject": "whe_1",
            "type": "webhook.test"
          },
          "status": "pending",
          "type": "webhook.test"
        }"#]]
    .assert_eq(&named(&pinged, &names));
    world.run_lanes();
    world.receivers.say(URL, Does::Nothing);
    world.pass_ms(10_000);
    world.run_lanes();
    let shown = api(&world, &format!("GET /api/v1/webhook-deliveries/{delivery}"), json!(null));
    let posts = world.receivers.received();
    let signatures: Vec<&str> =
        posts.iter().flat_map(|post| [post.header("x-selgeo-signature"), post.header("webhook-signature")]).collect();
    let mut names = names.to_vec();
    names.extend(signatures.iter().map(|signature| (*signature, "signature")));
    expect![[r#"
        {
          "attempts": [
            {
              "answer": "oops",
              "at": "2026-06-01T12:00:02.000Z",
              "duration_ms": 0,
              "error": null,
              "headers": {
                "webhook-id": "evt_1",
                "webhook-signature": "signature",
                "webhook-timestamp": "1780315202",
                "x-selgeo-signature": "signature"
              },
              "number": 1,
              "status": 500,
              "url": "https://hooks.merchant.example/in"
            },
            {
              "answer": null,
              "at": "2026-06-01T12:00:12.000Z",
              "duration_ms": 0,
              "error": "timed out",
              "headers": {
                "webhook-id": "evt_1",
                "webhook-signature": "signature",
                "webhook-timestamp": "1780315212",
                "x-selgeo-signature": "signature"
              },
              "number": 2,
              "status": null,
              "url": "https://hooks.merchant.example/in"
            }
          ],
          "created_at": "2026-06-01T12:00:02.000Z",
          "endpoint_id": "whe_1",
          "event_id": "evt_1",
          "finished_at": null,
          "id": "whd_1",
          "mode": "test",
          "next_attempt_at": "2026-06-01T12:06:00.275Z",
          "request": {
            "api_version": "v1",
            "created_at": "2026-06-01T12:00:02.000Z",
            "data": {
              "endpoint_id": "whe_1"
            },
            "id": "evt_1",
            "mode": "test",
            "sequence": 1,
            "subject": "whe_1",
            "type": "webhook.test"
          },
          "status": "pending",
          "type": "webhook.test"
        }"#]]
    .assert_eq(&named(&shown, &names));
}
