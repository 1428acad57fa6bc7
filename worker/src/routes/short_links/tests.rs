use std::sync::atomic::Ordering;

use serde_json::json;

use crate::testing::{Answer, World};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36";

/// A world with a link of this landing page under `/r/anna`, in test mode.
fn world(landing_url: &str) -> World {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    link(&world, &key, "anna", "an&na=é", landing_url);
    world
}

fn link(world: &World, key: &str, slug: &str, link_ref: &str, landing_url: &str) -> String {
    let program = world.program(key, &format!("first-{slug}"));
    let described =
        json!({"participant_id": program.participant_id, "slug": slug, "ref": link_ref, "landing_url": landing_url});
    world.make(key, "links", described)
}

fn follow(world: &World, line: &str, headers: &[(&str, &str)]) -> Answer {
    let mut all = vec![("user-agent", CHROME)];
    all.retain(|(name, _)| !headers.iter().any(|(given, _)| given == name));
    all.extend(headers);
    world.send(line, &all, json!(null))
}

/// Where a visitor is sent, with the click's id cut off and given beside it.
#[track_caller]
fn sent_to(answer: &Answer) -> (String, String) {
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (302, "no-store"));
    assert_eq!(answer.header("set-cookie"), "");
    let location = answer.header("location");
    match location.split_once("&trac_click_id=") {
        Some((before, rest)) => {
            let (id, fragment) = rest.split_at(36);
            (format!("{before}{fragment}"), id.to_owned())
        }
        None => (location.to_owned(), String::new()),
    }
}

#[test]
fn a_short_link_registers_the_click_and_hands_its_id_to_the_landing_page() {
    let world = world("https://shop.test/p");
    let headers = [("referer", "https://blog.test/post"), ("x-request-id", "req-of-the-click")];
    let answer = follow(&world, "GET /r/anna?to=https://evil.test/", &headers);
    let (to, id) = sent_to(&answer);
    assert_eq!(to, "https://shop.test/p?ref=an%26na%3D%C3%A9");
    assert_eq!(answer.header("x-ratelimit-remaining"), "999");
    // The id holds at once: the record is not stored yet.
    let sale = json!({"click_id": id, "external_transaction_id": "t1", "event_type": "purchase", "amount_cents": 100,
        "currency": "EUR"});
    let sold = world.api("POST /api/v1/conversions", sale);
    assert_eq!(sold.body["attribution"]["status"], "attributed", "{}", sold.body);
    world.deliver();
    let click = world.api(&format!("GET /api/v1/clicks/{id}"), json!(null)).body;
    assert_eq!(click["url"], "https://shop.test/p");
    assert_eq!(click["referrer"], "https://blog.test/post");
    assert_eq!((&click["human"], &click["request_id"]), (&json!(true), &json!("req-of-the-click")));
}

#[test]
fn each_visit_is_a_click_of_its_own_in_the_links_own_mode_and_under_a_mount_too() {
    let world = world("https://shop.test/");
    let live = world.keys.sk_live.clone();
    link(&world, &live, "bert", "bert", "https://shop.test/");
    let ids = ["GET /r/anna", "GET /_s/r/anna", "GET /r/bert"].map(|line| sent_to(&follow(&world, line, &[])).1);
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 36), "{ids:?}");
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks WHERE mode = 'test'"), 2);
    assert_eq!(world.api_as(&live, &format!("GET /api/v1/clicks/{}", ids[2]), json!(null)).status, 200);
}

#[test]
fn the_landing_pages_own_query_and_fragment_are_kept_as_they_are_escaped() {
    let check = |landing_url: &str, expected: &str| {
        let (to, id) = sent_to(&follow(&world(landing_url), "GET /r/anna", &[]));
        assert_eq!((to.as_str(), id.len()), (expected, 36), "{landing_url}");
    };
    let ours = "ref=an%26na%3D%C3%A9";
    check("https://shop.test", &format!("https://shop.test/?{ours}"));
    check("https://shop.test/?", &format!("https://shop.test/?{ours}"));
    check(
        "https://shop.test/p?a=%2f+b%20c&d&e=f=g%zz#top?x&y",
        &format!("https://shop.test/p?a=%2f+b%20c&d&e=f=g%zz&{ours}#top?x&y"),
    );
    check("https://shop.test/p?ref=old&x=1&ref", &format!("https://shop.test/p?x=1&{ours}"));
    check("https://shop.test/p?%72ef=old&trac_click_id=mine&xref=1", &format!("https://shop.test/p?xref=1&{ours}"));
    check("https://shop.test/p#ref=old", &format!("https://shop.test/p?{ours}#ref=old"));
    check("https://shop.test/é?ü=ß", &format!("https://shop.test/%C3%A9?%C3%BC=%C3%9F&{ours}"));
}

#[test]
fn who_only_looks_is_redirected_uncounted() {
    let world = world("https://shop.test/?trac_click_id=mine");
    let check = |line: &str, headers: &[(&str, &str)]| {
        let answer = follow(&world, line, headers);
        let expected = ("https://shop.test/?ref=an%26na%3D%C3%A9".to_owned(), String::new());
        assert_eq!(sent_to(&answer), expected, "{line} {headers:?}");
        assert_eq!(answer.header("x-ratelimit-limit"), "", "it costs no quota");
    };
    check("HEAD /r/anna", &[]);
    check("HEAD /_s/r/anna", &[]);
    check("GET /r/anna", &[("sec-purpose", "prefetch")]);
    check("GET /r/anna", &[("sec-purpose", "prefetch;prerender")]);
    check("GET /r/anna", &[("purpose", "prefetch")]);
    check("GET /r/anna", &[("user-agent", "facebookexternalhit/1.1")]);
    check("GET /r/anna", &[("user-agent", "Slackbot-LinkExpanding 1.0")]);
    check("GET /r/anna", &[("user-agent", "WhatsApp/2.23")]);
    assert!(world.queued().is_empty());
    // A crawler that is no preview is answered as a click is: stored, labelled, left out of counts.
    let (_, id) = sent_to(&follow(&world, "GET /r/anna", &[("user-agent", "curl/8.5.0")]));
    world.deliver();
    assert_eq!(world.api(&format!("GET /api/v1/clicks/{id}"), json!(null)).body["flags"], json!(["crawler"]));
}

#[test]
fn over_the_limit_it_redirects_all_the_same_and_counts_under_the_public_key() {
    let world = world("https://shop.test/");
    let register = || world.send("POST /v1/clicks", &[], json!({"merchant": world.keys.pk_test, "ref": "first-anna"}));
    for _ in 0..10 {
        assert_eq!(register().status, 201);
    }
    let counted = (0..1_000).filter(|_| !sent_to(&follow(&world, "GET /r/anna", &[])).1.is_empty()).count();
    // What is lent for clicks with the key is not there for those without, and never both are more than the limit.
    let registered = 10 + (0..).take_while(|_| register().status == 201).count();
    assert!((950..=1_000).contains(&(counted + registered)), "{counted} and {registered}");
    assert_eq!(world.queued().len(), counted + registered);
    world.pass_ms(60_000);
    assert_eq!(sent_to(&follow(&world, "GET /r/anna", &[])).1.len(), 36);
}

#[test]
fn without_a_public_key_or_a_limiter_it_works_too() {
    let world = world("https://shop.test/");
    world.db.execute("UPDATE api_keys SET revoked_at = 1 WHERE kind = 'public'").unwrap();
    assert_eq!(sent_to(&follow(&world, "GET /r/anna", &[])).1.len(), 36);
    // What is lent ends with its minute.
    world.pass_ms(60_000);
    world.limiter.unreachable.store(true, Ordering::SeqCst);
    let counted = (0..60).filter(|_| !sent_to(&follow(&world, "GET /r/anna", &[])).1.is_empty()).count();
    assert_eq!(counted, 20);
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks WHERE flags = '[\"unmetered\"]'"), 20);
}

#[test]
fn a_link_that_is_unknown_paused_or_archived_is_not_found() {
    let world = World::new();
    let key = world.keys.sk_test.clone();
    let id = link(&world, &key, "anna", "anna", "https://shop.test/");
    for slug in ["nobody", "ANNA", "anna%2F", "%F0%9F%90%8C", "first-anna"] {
        assert_eq!(follow(&world, &format!("GET /r/{slug}"), &[]).summary(), "404 NOT_FOUND", "{slug}");
    }
    for (verb, status) in [("pause", 404), ("activate", 302), ("archive", 404)] {
        assert_eq!(world.api(&format!("POST /api/v1/links/{id}/{verb}"), json!(null)).status, 200);
        assert_eq!(follow(&world, "GET /r/anna", &[]).status, status, "{verb}");
        assert_eq!(follow(&world, "HEAD /r/anna", &[]).status, status, "{verb}");
    }
    assert_eq!(world.queued().len(), 1);
    assert_eq!(follow(&world, "POST /r/anna", &[]).summary(), "405 METHOD_NOT_ALLOWED");
}

#[test]
fn a_short_link_costs_one_round_trip() {
    let world = world("https://shop.test/");
    world.db.round_trips();
    follow(&world, "GET /r/anna", &[]);
    assert_eq!(world.db.round_trips(), 1);
}
