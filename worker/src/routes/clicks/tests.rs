use std::sync::atomic::Ordering;

use domain::time::MINUTE_MS;
use serde_json::{Value as Json, json};

use crate::testing::{Answer, World};

const CHROME: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36";

fn register(world: &World, body: Json) -> Answer {
    world.send("POST /v1/clicks", &[("content-type", "text/plain"), ("user-agent", CHROME)], body)
}

/// A world with the link `anna` in test mode.
fn world() -> World {
    let world = World::new();
    world.program(&world.keys.sk_test, "anna");
    world
}

#[track_caller]
fn has_cors(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    assert_eq!(answer.header("set-cookie"), "");
}

#[test]
fn a_click_gets_an_id_that_looks_like_version_4_and_a_token() {
    let world = world();
    for media in ["application/json", "text/plain", "text/plain;charset=UTF-8", "Application/JSON"] {
        let headers = [("content-type", media)];
        let answer = world.send("POST /v1/clicks", &headers, json!({"merchant": world.keys.pk_test, "ref": "anna"}));
        assert_eq!(answer.status, 201, "{media}");
        assert_eq!(answer.body.as_object().unwrap().len(), 2);
        let id = answer.text("/click_id");
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        assert!("89ab".contains(&id[19..20]) && id == id.to_lowercase(), "{id}");
        let token = answer.text("/visitor_token");
        assert!((1..=64).contains(&token.len()));
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
        assert_eq!(answer.header("x-ratelimit-limit"), "1000");
        has_cors(&answer);
    }
    let bearer = format!("Bearer {}", world.keys.pk_test);
    let answer = world.send("POST /v1/clicks", &[("authorization", &bearer)], json!({"ref": "anna", "merchant": null}));
    assert_eq!(answer.status, 201);
    let mounted = world.send("POST /_s/v1/clicks", &[], json!({"merchant": world.keys.pk_test, "ref": "anna"}));
    assert_eq!(mounted.status, 201);
}

#[test]
fn refusals_come_in_order_413_415_malformed_401_429_other_400_404_all_with_cors() {
    let world = world();
    let send = |media: &str, body: Vec<u8>| world.send_bytes("POST /v1/clicks", &[("content-type", media)], body);
    let check = |answer: Answer, expected: &str, counted: bool| {
        assert_eq!(answer.summary(), expected);
        assert_eq!(answer.header("x-ratelimit-limit") == "1000", counted, "{expected}");
        assert_eq!(answer.body["error"]["request_id"], answer.header("x-request-id"));
        has_cors(&answer);
    };
    let body = |value: Json| value.to_string().into_bytes();
    let pk = &world.keys.pk_test;
    check(send("image/png", vec![b'{'; 70_000]), "413 PAYLOAD_TOO_LARGE", false);
    check(send("image/png", b"{".to_vec()), "415 UNSUPPORTED_MEDIA_TYPE", false);
    check(send("text/plain", b"{".to_vec()), "400 VALIDATION_ERROR", false);
    check(send("text/plain", body(json!({"ref": 7}))), "401 INVALID_API_KEY", false);
    check(send("text/plain", body(json!({"merchant": "pk_x", "ref": 7}))), "401 INVALID_API_KEY", false);
    check(send("text/plain", body(json!({"merchant": pk, "ref": 7}))), "400 VALIDATION_ERROR", true);
    check(send("text/plain", body(json!({"merchant": pk, "ref": "nobody"}))), "404 REFERRAL_NOT_FOUND", true);
    let last = send("text/plain", body(json!({"merchant": pk, "ref": "anna"})));
    assert_eq!(last.header("x-ratelimit-remaining"), "997");
    while register(&world, json!({"merchant": pk, "ref": "nobody"})).status != 429 {}
    check(send("text/plain", body(json!({"merchant": pk, "ref": 7}))), "429 RATE_LIMIT_EXCEEDED", true);
    check(send("text/plain", body(json!({"merchant": "pk_x", "ref": 7}))), "401 INVALID_API_KEY", false);
    assert_eq!(world.queued().len(), 1);
}

#[test]
fn a_preflight_is_answered_for_any_origin_and_for_long() {
    let world = World::new();
    for path in ["/v1/clicks", "/_s/v1/clicks"] {
        let answer = world.send(&format!("OPTIONS {path}"), &[("origin", "https://shop.test")], json!(null));
        assert_eq!(answer.status, 204);
        has_cors(&answer);
        assert!(answer.header("access-control-max-age").parse::<u32>().unwrap() >= 3_600);
        assert!(answer.header("access-control-allow-methods").contains("POST"));
        assert!(answer.header("access-control-allow-headers").contains("content-type"));
    }
}

#[test]
fn keys_of_the_wrong_kind_or_in_the_wrong_place_are_refused() {
    let world = world();
    let other = world.workspace("Second");
    let check = |body: Json, headers: &[(&str, &str)], expected: &str| {
        let answer = world.send("POST /v1/clicks", headers, body.clone());
        assert_eq!(answer.summary(), expected, "{body}");
    };
    let (pk, sk) = (world.keys.pk_test.as_str(), world.keys.sk_test.as_str());
    let unauthorized = "401 INVALID_API_KEY";
    check(json!({"merchant": sk, "ref": "anna"}), &[], unauthorized);
    check(json!({"merchant": "", "ref": "anna"}), &[], unauthorized);
    check(json!({"merchant": [pk], "ref": "anna"}), &[], unauthorized);
    check(json!({"merchant": format!(" {pk}"), "ref": "anna"}), &[], unauthorized);
    check(json!({"merchant": format!("pk_test_{}", "z".repeat(32)), "ref": "anna"}), &[], unauthorized);
    check(json!({"ref": "anna"}), &[("authorization", &format!("Bearer {sk}"))], unauthorized);
    check(json!({"ref": "anna"}), &[("x-publishable-key", pk)], unauthorized);
    let in_query = world.send(&format!("POST /v1/clicks?merchant={pk}"), &[], json!({"ref": "anna"}));
    assert_eq!(in_query.summary(), unauthorized);
    // Another workspace's link, and the other mode's.
    check(json!({"merchant": other.pk_test, "ref": "anna"}), &[], "404 REFERRAL_NOT_FOUND");
    check(json!({"merchant": world.keys.pk_live, "ref": "anna"}), &[], "404 REFERRAL_NOT_FOUND");
    check(json!({"merchant": pk, "ref": "anna"}), &[], "201");
    assert!(!world.send("POST /v1/clicks", &[], json!({"merchant": sk})).body.to_string().contains(sk));
}

#[test]
fn bad_fields_are_400_and_odd_ones_are_borne() {
    let world = world();
    let check = |changes: Json, expected: &str| {
        let mut body = json!({"merchant": world.keys.pk_test, "ref": "anna"});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_eq!(register(&world, body).summary(), expected, "{changes}");
    };
    let (bad, unknown) = ("400 VALIDATION_ERROR", "404 REFERRAL_NOT_FOUND");
    for wrong in [json!(null), json!(""), json!(7), json!(["anna"]), json!({"a": 1}), json!(true), json!("an\0na")] {
        check(json!({"ref": wrong}), bad);
    }
    check(json!({"ref": "r".repeat(255)}), unknown);
    check(json!({"ref": "r".repeat(256)}), bad);
    check(json!({"ref": "ü".repeat(255)}), unknown);
    check(json!({"ref": "😀".repeat(255)}), unknown);
    check(json!({"ref": "😀".repeat(256)}), bad);
    check(json!({"ref": "ANNA"}), unknown);
    check(json!({"ref": "anna' OR 1=1 --"}), unknown);
    check(json!({"url": "u".repeat(2_048)}), "201");
    check(json!({"url": "u".repeat(2_049)}), bad);
    check(json!({"url": 7}), bad);
    check(json!({"referrer": "ü".repeat(2_048)}), "201");
    check(json!({"referrer": "ü".repeat(2_049)}), bad);
    check(json!({"url": null, "referrer": null, "visitor_token": null, "else": {"x": [1]}}), "201");
    for token in [json!(7), json!(""), json!([]), json!("x".repeat(60_000)), json!("😀\0")] {
        check(json!({"visitor_token": token}), "201");
    }
    // Of keys that stand twice the last counts.
    let twice = format!(r#"{{"merchant":"{}","ref":"nobody","ref":"anna"}}"#, world.keys.pk_test);
    assert_eq!(world.send_bytes("POST /v1/clicks", &[], twice.into_bytes()).status, 201);
}

#[test]
fn a_ref_of_255_characters_is_taken() {
    let world = World::new();
    let long = "é".repeat(255);
    let program = world.program(&world.keys.sk_test, "anna");
    let link = json!({"participant_id": program.participant_id, "ref": long, "landing_url": "https://shop.test/"});
    world.make(&world.keys.sk_test, "links", link);
    world.click(&world.keys.pk_test, &long);
}

#[test]
fn the_same_link_again_within_half_an_hour_is_the_same_click() {
    let world = world();
    world.program(&world.keys.sk_live, "anna");
    let other = world.workspace("Second");
    world.program(&other.sk_test, "anna");
    let link = json!({"participant_id": world.program(&world.keys.sk_test, "bert").participant_id, "ref": "bert2",
        "landing_url": "https://shop.test/"});
    world.make(&world.keys.sk_test, "links", link);
    let pk = world.keys.pk_test.clone();
    let first = register(&world, json!({"merchant": pk, "ref": "anna"}));
    let token = first.text("/visitor_token");
    let check = |pk: &str, link_ref: &str, token: &str, same: bool| {
        let answer = register(&world, json!({"merchant": pk, "ref": link_ref, "visitor_token": token}));
        assert_eq!(answer.status, if same { 200 } else { 201 }, "{link_ref} {token}");
        assert_eq!(answer.body == first.body, same, "{link_ref} {token}");
        has_cors(&answer);
    };
    let queued = world.queued().len();
    check(&pk, "anna", &token, true);
    assert_eq!(world.queued().len(), queued, "nothing is stored again");
    check(&pk, "bert", &token, false);
    check(&world.keys.pk_live, "anna", &token, false);
    check(&other.pk_test, "anna", &token, false);
    let mut forged = token.clone().into_bytes();
    let last = forged.len() - 2;
    forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
    check(&pk, "anna", &String::from_utf8(forged).unwrap(), false);
    check(&pk, "anna", &format!("{token}A"), false);
    check(&pk, "anna", &first.text("/click_id"), false);
    world.pass_ms(30 * MINUTE_MS);
    check(&pk, "anna", &token, true);
    world.pass_ms(1);
    check(&pk, "anna", &token, false);
}

#[test]
fn a_link_that_is_paused_or_archived_takes_no_clicks_and_nothing_is_stored() {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    let body = json!({"merchant": world.keys.pk_test, "ref": "anna"});
    let check = |verb: &str, expected: &str| {
        let line = format!("POST /api/v1/links/{}/{verb}", program.link_id);
        assert_eq!(world.api(&line, json!(null)).status, 200);
        assert_eq!(register(&world, body.clone()).summary(), expected, "{verb}");
    };
    check("pause", "404 REFERRAL_NOT_FOUND");
    check("activate", "201");
    check("archive", "404 REFERRAL_NOT_FOUND");
    assert_eq!(world.queued().len(), 1);
}

#[test]
fn a_participant_who_is_not_approved_and_a_paused_program_still_record_clicks() {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    world.api(&format!("POST /api/v1/participants/{}/suspend", program.participant_id), json!(null));
    world.click(&world.keys.pk_test, "anna");
    world.api(&format!("POST /api/v1/programs/{}/pause", program.program_id), json!(null));
    world.click(&world.keys.pk_test, "anna");
    world.deliver();
    assert_eq!(world.records(), 2);
}

#[test]
fn a_click_is_listed_without_fragment_address_and_user_agent() {
    let world = World::new();
    let program = world.program(&world.keys.sk_test, "anna");
    let url = "https://shop.test/p?ref=anna#token=secret";
    let body = json!({"merchant": world.keys.pk_test, "ref": "anna", "url": url, "referrer": "https://blog.test/"});
    let headers = [("user-agent", CHROME), ("x-request-id", "req-of-the-click")];
    let id = world.send("POST /v1/clicks", &headers, body).text("/click_id");
    world.deliver();
    let listed = world.api("GET /api/v1/clicks", json!(null));
    let expected = json!({
        "id": id, "click_id": id, "mode": "test", "link_id": program.link_id, "participant_id": program.participant_id,
        "url": "https://shop.test/p?ref=anna", "referrer": "https://blog.test/", "human": true, "flags": [],
        "device": "desktop", "browser": "chrome", "country": "DE", "request_id": "req-of-the-click",
        "created_at": "2026-06-01T12:00:00.000Z",
    });
    assert_eq!(listed.body, json!({"data": [expected], "next_cursor": null}));
    let upper = format!("GET /api/v1/clicks/{}", id.to_uppercase());
    assert_eq!(world.api(&upper, json!(null)).body, expected);
    let stored = "SELECT count(*) FROM packed_clicks WHERE concat(url, referrer, flags, address_hash, device, browser, country, \
                  request_id) LIKE '%192.0.2.7%' OR concat(address_hash, browser, device, flags) LIKE '%mozilla%'";
    assert_eq!(world.db.count(stored), 0);
    assert_eq!(world.db.count("SELECT length(address_hash) FROM packed_clicks"), 32);
}

#[test]
fn machines_are_answered_alike_and_labelled() {
    let world = world();
    let check = |headers: &[(&str, &str)], flag: Option<&str>| {
        let answer = world.send("POST /v1/clicks", headers, json!({"merchant": world.keys.pk_test, "ref": "anna"}));
        assert_eq!(answer.status, 201, "{headers:?}");
        world.deliver();
        let click = world.api(&format!("GET /api/v1/clicks/{}", answer.text("/click_id")), json!(null));
        assert_eq!(click.body["human"], flag.is_none(), "{headers:?}");
        assert_eq!(click.body["flags"], json!(flag.into_iter().collect::<Vec<_>>()), "{headers:?}");
    };
    check(&[("user-agent", CHROME)], None);
    check(&[("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)")], Some("crawler"));
    check(&[("user-agent", "curl/8.5.0")], Some("crawler"));
    check(&[("user-agent", "facebookexternalhit/1.1")], Some("preview"));
    check(&[("user-agent", "WhatsApp/2.23")], Some("preview"));
    check(&[("user-agent", CHROME), ("sec-purpose", "prefetch;prerender")], Some("prefetch"));
    check(&[("user-agent", CHROME), ("purpose", "prefetch")], Some("prefetch"));
    check(&[], Some("no_agent"));
    let humans = world.api("GET /api/v1/clicks?human=true", json!(null));
    assert_eq!(humans.body["data"].as_array().unwrap().len(), 1);
}

#[test]
fn exactly_the_limit_of_clicks_is_admitted_per_key() {
    let world = world();
    world.program(&world.keys.sk_live, "anna");
    let body = json!({"merchant": world.keys.pk_test, "ref": "anna"});
    let answers: Vec<Answer> = (0..1_200).map(|_| register(&world, body.clone())).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1_000);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 200);
    assert_eq!(world.queued().len(), 1_000);
    let mut ids: Vec<String> = answers.iter().map(|answer| answer.text("/click_id")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1_001, "no two clicks of one link and millisecond have one id; the refused have none");
    assert_eq!(register(&world, json!({"merchant": world.keys.pk_live, "ref": "anna"})).status, 201);
    world.deliver();
    assert_eq!(world.records(), 1_001);
}

#[test]
fn while_the_limiter_cannot_answer_a_few_clicks_are_admitted_unmetered() {
    let world = world();
    world.limiter.unreachable.store(true, Ordering::SeqCst);
    let body = json!({"merchant": world.keys.pk_test, "ref": "anna"});
    let answers: Vec<Answer> = (0..60).map(|_| register(&world, body.clone())).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 20);
    assert!(answers[20..].iter().all(|answer| answer.summary() == "429 RATE_LIMIT_EXCEEDED"));
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks WHERE flags = '[\"unmetered\"]' AND human = 1"), 20);
    world.limiter.unreachable.store(false, Ordering::SeqCst);
    assert_eq!(register(&world, body).header("x-ratelimit-remaining"), "999");
}

#[test]
fn a_batch_of_clicks_is_written_once_however_often_and_in_whatever_order_it_comes() {
    let world = world();
    for _ in 0..120 {
        world.click(&world.keys.pk_test, "anna");
    }
    let mut batch = world.queued();
    batch.reverse();
    world.handle(batch.clone());
    batch.extend(batch.clone());
    assert!(world.handle(batch).iter().all(|handled| *handled));
    assert_eq!(world.records(), 120);
}

#[test]
fn a_batch_that_is_lost_is_delivered_again() {
    use crate::testing::NextWrite;
    let world = world();
    world.click(&world.keys.pk_test, "anna");
    for fate in [NextWrite::IsLost, NextWrite::LandsButReportsFailure] {
        world.db.next_write(fate);
        assert_eq!(world.handle(world.queued()), [false]);
    }
    assert_eq!(world.handle(world.queued()), [true]);
    assert_eq!(world.records(), 1);
}

#[test]
fn a_batch_of_the_largest_clicks_stays_under_what_the_database_binds() {
    let world = world();
    let body = json!({"merchant": world.keys.pk_test, "ref": "anna", "url": "\u{1}".repeat(2_048),
        "referrer": "\u{1}".repeat(2_048)});
    for _ in 0..100 {
        assert_eq!(register(&world, body.clone()).status, 201);
    }
    // D1 binds at most 2,000,000 bytes.
    assert!(world.handle(world.queued()).iter().all(|handled| *handled));
    assert!(world.db.longest_argument() < 2_000_000, "{}", world.db.longest_argument());
}

#[test]
fn clicks_are_filtered_and_paged_while_new_ones_come() {
    let world = World::new();
    let anna = world.program(&world.keys.sk_test, "anna");
    let bert = world.program(&world.keys.sk_test, "bert");
    let mut ids = Vec::new();
    for place in 0..7 {
        ids.push(world.click(&world.keys.pk_test, if place % 2 == 0 { "anna" } else { "bert" }));
        world.pass_ms(1_000);
    }
    world.deliver();
    let list = |query: &str| {
        let answer = world.api(&format!("GET /api/v1/clicks{query}"), json!(null));
        assert_eq!(answer.status, 200, "{query}");
        let data = answer.body["data"].as_array().unwrap().clone();
        (
            data.iter().map(|click| click["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
            answer.text("/next_cursor"),
        )
    };
    let (first, cursor) = list("?limit=3");
    assert_eq!(first, [&ids[6], &ids[5], &ids[4]].map(String::clone));
    world.click(&world.keys.pk_test, "anna");
    world.deliver();
    let (second, cursor) = list(&format!("?limit=3&cursor={cursor}"));
    assert_eq!(second, [&ids[3], &ids[2], &ids[1]].map(String::clone));
    let (third, cursor) = list(&format!("?limit=3&cursor={cursor}"));
    assert_eq!((third, cursor.as_str()), (vec![ids[0].clone()], ""));
    let count = |query: &str| list(query).0.len();
    assert_eq!(count(&format!("?link_id={}", bert.link_id)), 3);
    assert_eq!(count(&format!("?participant_id={}", anna.participant_id)), 5);
    assert_eq!(count("?from=2026-06-01T12:00:02Z&to=2026-06-01T12:00:04Z"), 2);
    assert_eq!(count("?human=false"), 8);
    assert_eq!(count("?link_id="), 8);
    for bad in ["human=maybe", "from=now", "limit=0", "cursor=x", "cursor=!", "cursor=YWJj", "cursor=MTIzIHg"] {
        let answer = world.api(&format!("GET /api/v1/clicks?{bad}"), json!(null));
        assert_eq!(answer.summary(), "400 VALIDATION_ERROR", "{bad}");
    }
}
