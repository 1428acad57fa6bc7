//! What each receiver gets, and when: the schedule, the ids, the signatures, and the end.

use std::collections::BTreeSet;

use domain::time::{DAY_MS, HOUR_MS, Instant, SECOND_MS};
use domain::webhook::schedule::STEPS_MS;
use expect_test::expect;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{Does, World};
use crate::webhooks::{ANSWER_BYTES_MAX, Unreached};

/// The waits between attempts, each step give or take a fifth, or what was asked for.
#[track_caller]
fn on_schedule(waits: &[i64], asked_ms: i64, what: &str) {
    assert_eq!(waits.len(), STEPS_MS.len(), "{what}: {waits:?}");
    for (wait, step) in waits.iter().zip(STEPS_MS) {
        let (least, most) = (step - step / 5, step + step / 5);
        let asked = asked_ms.min(2 * step);
        assert!((least.max(asked)..=most.max(asked)).contains(wait), "{what}: {wait} of {step}");
    }
}

/// One receiver, from its first attempt to its dead letter.
fn fails_to_the_end(world: &World, host: &str, asked_ms: i64, expected: (Option<u16>, Option<&str>)) -> Json {
    let url = format!("https://{host}/in");
    let made = endpoint(world, &url, &["conversion.created"]);
    let id = ping(world, &made);
    let began = world.now();
    // What is not posted because of its name is tried all the same: the log tells when.
    let posts = run_out(world, &made);
    let ended = delivery(world, &id);
    assert_eq!(ended["status"], "dead_letter", "{host}");
    assert_eq!(ended["next_attempt_at"], Json::Null);
    assert!(ended["finished_at"].is_string());
    let attempts = ended["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 8, "{host}");
    let at = |one: &Json| Instant::parse(one["at"].as_str().unwrap()).unwrap().ms();
    let times: Vec<i64> = attempts.iter().map(at).collect();
    assert_eq!(times[0], began.ms());
    on_schedule(&times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>(), asked_ms, host);
    for (place, attempt) in attempts.iter().enumerate() {
        assert_eq!(attempt["number"], place + 1);
        assert_eq!(attempt["url"], url);
        if posts.len() == 8 {
            assert_eq!(attempt["status"].as_u64(), expected.0.map(u64::from), "{host}");
            assert_eq!(attempt["error"].as_str(), expected.1, "{host}");
        }
    }
    let mut signatures = BTreeSet::new();
    for (at, post) in &posts {
        holds(post, &made.secret, *at);
        assert_eq!((post.id(), &post.raw), (posts[0].1.id(), &posts[0].1.raw), "{host}");
        signatures.insert(post.header("x-selgeo-signature").to_owned());
    }
    assert_eq!(signatures.len(), posts.len(), "each attempt is signed anew");
    world.api(&format!("DELETE /api/v1/webhook-endpoints/{}", made.id), json!(null));
    ended
}

#[test]
fn each_receiver_that_fails_gets_exactly_the_schedule_and_then_a_dead_letter() {
    let world = World::new();
    let check = |host: &str, does: Does, asked_ms: i64, expected: (Option<u16>, Option<&str>)| {
        world.receivers.say(&format!("https://{host}/in"), does);
        fails_to_the_end(&world, host, asked_ms, expected)
    };
    check("moved.example", Does::Status(301), 0, (Some(301), None));
    check("moved-with-body.example", Does::Status(308), 0, (Some(308), None));
    check("refuses.example", Does::Status(400), 0, (Some(400), None));
    check("broken.example", Does::Status(500), 0, (Some(500), None));
    check("switching.example", Does::Status(101), 0, (Some(101), None));
    check("busy-short.example", Does::Asks(429, "8"), 8 * SECOND_MS, (Some(429), None));
    check("busy-hour.example", Does::Asks(503, "3600"), HOUR_MS, (Some(503), None));
    check("busy-garbage.example", Does::Asks(429, "soon\u{7f}"), 0, (Some(429), None));
    check("busy-negative.example", Does::Asks(429, "-5"), 0, (Some(429), None));
    check("busy-past.example", Does::Asks(429, "Wed, 21 Oct 2015 07:28:00 GMT"), 0, (Some(429), None));
    check("busy-decade.example", Does::Asks(429, "315360000"), 10 * 365 * DAY_MS, (Some(429), None));
    check("busy-digits.example", Does::Asks(429, "99999999999999999999999999"), i64::MAX, (Some(429), None));
    // A day of the next century, as a date.
    check("busy-date.example", Does::Asks(429, "Fri, 01 Jan 2100 00:00:00 GMT"), i64::MAX, (Some(429), None));
    check("silent.example", Does::Nothing, 0, (None, Some("timed out")));
    check("reset.example", Does::Fails("connection reset"), 0, (None, Some("not reached: connection reset")));
    check("tls.example", Does::Fails("bad certificate"), 0, (None, Some("not reached: bad certificate")));
}

#[test]
fn a_date_is_waited_for_and_no_longer() {
    let world = World::new();
    // The world begins at 12:00:00, and a ping is a second later.
    world.receivers.say(HOOK, Does::Asks(429, "Mon, 01 Jun 2026 12:00:09 GMT"));
    let made = endpoint(&world, HOOK, &["*"]);
    ping(&world, &made);
    assert_eq!(world.now().to_string(), "2026-06-01T12:00:01.000Z");
    let next = world.run_lane(&made.id).unwrap().unwrap();
    assert_eq!(next.to_string(), "2026-06-01T12:00:09.000Z");
}

#[test]
fn where_a_name_leads_is_asked_anew_in_each_round_and_until_it_is_known() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    let owe = |count: usize| (0..count).map(|_| ping(&world, &made)).collect::<Vec<_>>();
    owe(50);
    world.receivers.asked();
    world.run_lane(&made.id).unwrap();
    assert_eq!((world.receivers.received().len(), world.receivers.asked().len()), (50, 1));
    // The next round asks again, and what it is told counts.
    owe(1);
    world.receivers.lead("hooks.merchant.example", Ok(&["10.0.0.1"]));
    world.run_lane(&made.id).unwrap();
    assert_eq!((world.receivers.received().len(), world.receivers.asked().len()), (0, 1));
    // One bad answer of the resolver is not every delivery's; and the one before is due again.
    owe(10);
    world.receivers.lead("hooks.merchant.example", Err(Unreached::TimedOut));
    world.receivers.asked();
    world.run_lane(&made.id).unwrap();
    assert_eq!((world.receivers.received().len(), world.receivers.asked().len()), (0, 11));
}

#[test]
fn a_name_that_stops_resolving_or_begins_to_lead_inside_is_a_failure_without_a_post() {
    let world = World::new();
    for (host, leads, expected) in [
        ("gone.example", Ok(&[][..]), "name not resolved: the name has no address"),
        ("broken-dns.example", Err(Unreached::Failed("SERVFAIL".to_owned())), "name not resolved: SERVFAIL"),
        ("slow-dns.example", Err(Unreached::TimedOut), "name not resolved: the resolver did not answer in time"),
        (
            "rebound.example",
            Ok(&["10.0.0.1"][..]),
            "target refused: must lead to the public Internet: its name leads to 10.0.0.1",
        ),
        (
            "half-rebound.example",
            Ok(&["93.184.215.14", "::1"][..]),
            "target refused: must lead to the public Internet: its name leads to ::1",
        ),
    ] {
        let url = format!("https://{host}/in");
        let made = endpoint(&world, &url, &["*"]);
        ping(&world, &made);
        world.run_lane(&made.id).unwrap();
        assert_eq!(world.receivers.kinds_at(&url), ["webhook.test"], "it led to the Internet when it was saved");
        world.api(&format!("DELETE /api/v1/webhook-endpoints/{}", made.id), json!(null));
        world.receivers.lead(host, leads.clone());
        // Saved again where it can be; a name that leads inside is refused.
        world.receivers.lead(host, Ok(&["93.184.215.14"]));
        let made = endpoint(&world, &url, &["*"]);
        world.receivers.lead(host, leads);
        let id = ping(&world, &made);
        assert_eq!(run_out(&world, &made).len(), 0, "{host}");
        let ended = delivery(&world, &id);
        assert_eq!(ended["status"], "dead_letter");
        let attempts = ended["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 8);
        let at = |one: &Json| Instant::parse(one["at"].as_str().unwrap()).unwrap().ms();
        let times: Vec<i64> = attempts.iter().map(at).collect();
        on_schedule(&times.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>(), 0, host);
        assert!(attempts.iter().all(|one| one["error"] == expected && one["status"].is_null()), "{ended}");
        assert!(attempts.iter().all(|one| one["headers"] == json!({})), "what was not sent had no headers: {ended}");
        world.api(&format!("DELETE /api/v1/webhook-endpoints/{}", made.id), json!(null));
    }
}

#[test]
fn an_endless_answer_is_taken_and_cut_at_twenty_thousand_bytes() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    let kept = |does: Does| {
        world.receivers.say(HOOK, does);
        let id = ping(&world, &made);
        world.run_lanes();
        let delivered = delivery(&world, &id);
        assert_eq!((&delivered["status"], delivered["attempts"].as_array().unwrap().len()), (&json!("delivered"), 1));
        delivered["attempts"][0]["answer"].as_str().unwrap().to_owned()
    };
    assert_eq!(kept(Does::Tells(200, b"thanks".to_vec())), "thanks");
    assert_eq!(kept(Does::Status(299)), "");
    assert_eq!(kept(Does::Tells(200, vec![b'x'; 5_000_000])), "x".repeat(ANSWER_BYTES_MAX));
    // Cut inside a character, no text at all, and zeros, at which SQL's text would end.
    let umlauts = "ü".repeat(20_000);
    let cut = kept(Does::Tells(200, [b"x", umlauts.as_bytes()].concat()));
    assert!(
        cut.len() <= ANSWER_BYTES_MAX && cut.starts_with("xüü") && cut.len() > ANSWER_BYTES_MAX - 4,
        "{}",
        cut.len()
    );
    assert_eq!(kept(Does::Tells(200, vec![0xff; 30_000])).len(), 19_998);
    assert_eq!(kept(Does::Tells(200, b"a\0b\x1b[31m\tc\r\n".to_vec())), "a\u{fffd}b\u{fffd}[31m\tc\r\n");
    assert_eq!(world.db.count("SELECT max(length(CAST(answer AS BLOB))) FROM webhook_attempts"), 20_000);
    // In a list the beginning will do.
    let listed = read(&world, "webhook-deliveries");
    let longest = listed["data"].as_array().unwrap().iter().map(|one| one["attempts"][0]["answer"].as_str().unwrap());
    assert_eq!(longest.map(|answer| answer.chars().count()).max(), Some(1_000));
}

#[test]
fn a_receiver_that_recovers_gets_what_it_missed_at_its_time() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    world.receivers.say(HOOK, Does::Status(500));
    let id = ping(&world, &made);
    world.run_lanes();
    world.receivers.say(HOOK, Does::Status(200));
    world.run_lanes();
    assert_eq!(world.receivers.received().len(), 1, "not before its time");
    world.pass_ms(6 * SECOND_MS);
    world.run_lanes();
    let delivered = delivery(&world, &id);
    assert_eq!(delivered["status"], "delivered");
    let statuses: Vec<_> = delivered["attempts"].as_array().unwrap().iter().map(|one| one["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(500), Some(200)]);
    assert_eq!(shown(&world, &made)["failing_since"], Json::Null);
}

#[test]
fn event_body_format_unchanged() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["*"]);
    ping(&world, &made);
    world.run_lanes();
    let post = world.receivers.received().pop().unwrap();
    let raw = post.raw.replace(&made.id, "whe_1").replace(post.id(), "evt_1");
    expect![[r#"{"api_version":"v1","created_at":"2026-06-01T12:00:01.000Z","data":{"endpoint_id":"whe_1"},"id":"evt_1","mode":"test","sequence":1,"subject":"whe_1","type":"webhook.test"}"#]].assert_eq(&raw);
    let mut names: Vec<&str> = post.headers.keys().copied().collect();
    names.sort_unstable();
    assert_eq!(names, ["webhook-id", "webhook-signature", "webhook-timestamp", "x-selgeo-signature"]);
}
