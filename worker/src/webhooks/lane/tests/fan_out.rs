//! Which endpoint is told of what, and that everything is told.

use std::collections::{BTreeMap, BTreeSet};

use domain::time::DAY_MS;
use domain::webhook::EVENT_TYPES;
use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{Answer, Keys, Program, Received, World, invoice_paid, invoice_payment, session_completed};

#[test]
fn an_event_reaches_every_endpoint_of_its_workspace_and_mode_that_lists_its_type() {
    let world = World::new();
    let other = world.workspace("Other");
    let url = |name: &str| format!("https://{name}.example/in");
    for (name, events) in [
        ("all", &["*"][..]),
        ("one", &["participant.created"]),
        ("both", &["participant.approved", "participant.created"]),
        ("else", &["payout.paid", "commission.created"]),
    ] {
        endpoint(&world, &url(name), events);
    }
    endpoint_of(&world, &world.keys.sk_live, &url("live"), &["*"]);
    endpoint_of(&world, &other.sk_test, &url("other"), &["*"]);
    let by_hand = endpoint(&world, &url("by-hand"), &["*"]);
    assert_eq!(act(&world, &by_hand, "disable", json!(null)).body["disabled_reason"], "by_hand");
    world.program(&world.keys.sk_test, "anna");
    world.run_lanes();
    let received = world.receivers.received();
    let at = |name: &str| -> Vec<&str> {
        let mut kinds: Vec<&str> = received.iter().filter(|one| one.url == url(name)).map(Received::kind).collect();
        kinds.sort_unstable();
        kinds
    };
    let both = ["participant.approved", "participant.created"];
    assert_eq!(at("all"), both);
    assert_eq!(at("one"), ["participant.created"]);
    assert_eq!(at("both"), both);
    assert_eq!(received.len(), 5, "{received:?}");
    let ids: BTreeSet<&str> = received.iter().map(Received::id).collect();
    assert_eq!(ids.len(), 2, "an event has one id at every endpoint");
    assert_eq!(log(&world, &by_hand), Vec::<String>::new());
    // What was not owed is not owed later.
    assert_eq!(act(&world, &by_hand, "enable", json!(null)).status, 200);
    world.run_lanes();
    assert_eq!(world.receivers.received().len(), 0);
}

#[test]
fn a_ping_goes_to_its_endpoint_alone() {
    let world = World::new();
    let made = endpoint(&world, HOOK, &["payout.paid"]);
    endpoint(&world, "https://hooks.other.example/in", &["*"]);
    ping(&world, &made);
    world.run_lanes();
    let received = world.receivers.received();
    assert_eq!(received.len(), 1);
    assert_eq!((received[0].url.as_str(), received[0].kind()), (HOOK, "webhook.test"));
    assert_eq!(received[0].body["subject"], made.id);
    ping(&world, &made);
    world.run_lanes();
    assert_eq!(world.receivers.received()[0].body["sequence"], 2);
    act(&world, &made, "disable", json!(null));
    assert_eq!(act(&world, &made, "ping", json!(null)).summary(), "409 CONFLICT");
}

/// Everything that can be told of happens in live mode.
fn eventful(world: &World, keys: &Keys) {
    let (pk, sk) = (keys.pk_live.as_str(), keys.sk_live.as_str());
    let rewards = json!([{"trigger": "sale", "percent_bps": 2000}]);
    let described = json!({"rewards": rewards, "hold_days": 1});
    let Program { program_id, participant_id, .. } = world.program_with(sk, "anna", described);
    let api = |line: &str, body: Json| {
        world.pass_ms(1_000);
        let answer = world.api_as(sk, line, body);
        assert!(answer.status.is_success(), "{line} {}", answer.body);
        answer
    };
    let partner = |name: &str| {
        let email = format!("{name}@partner.test");
        let partner_id = api("POST /api/v1/partners", json!({"name": name, "email": email})).text("/id");
        api("POST /api/v1/participants", json!({"program_id": program_id, "partner_id": partner_id})).text("/id")
    };
    let rejected = partner("bert");
    api(&format!("POST /api/v1/participants/{rejected}/reject"), json!(null));
    let suspended = partner("cleo");
    api(&format!("POST /api/v1/participants/{suspended}/approve"), json!(null));
    api(&format!("POST /api/v1/participants/{suspended}/suspend"), json!(null));
    let sale = |transaction: &str| {
        let click_id = world.click(pk, "anna");
        api(
            "POST /api/v1/conversions",
            json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase",
                "amount_cents": 10_000, "currency": "EUR", "customer_external_id": "customer-1"}),
        )
    };
    let first = sale("t1");
    // The same customer once more: a repeat purchase is flagged.
    let second = sale("t2");
    api(
        &format!("POST /api/v1/conversions/{}/refunds", first.text("/id")),
        json!({"amount_cents": 1_000, "external_refund_id": "r1"}),
    );
    let line = |of: &Answer, verb: &str| format!("POST /api/v1/commissions/{}/{verb}", of.text("/commission_id"));
    api(&line(&second, "reject"), json!({"reason": "a test"}));
    let connection = world.stripe_connection(sk);
    let stripe = |mut event: Json| {
        event["livemode"] = json!(true);
        world.pass_ms(1_000);
        assert_eq!(world.stripe(&connection, &event).status, 200);
        world.deliver();
    };
    let now = world.now().seconds();
    // Unreferred at first, then credited by hand.
    stripe(session_completed("7", now, json!({})));
    let all = world.api_as(sk, "GET /api/v1/conversions", json!(null));
    let unreferred = all.body["data"][0]["id"].as_str().unwrap().to_owned();
    api(
        &format!("POST /api/v1/conversions/{unreferred}/attribute"),
        json!({"participant_id": participant_id, "reason": "They met in person."}),
    );
    // Two conversions that turn out to be one sale.
    sale("pi_8");
    let click = json!({"client_reference_id": world.click(pk, "anna"), "mode": "subscription", "payment_intent": null,
        "subscription": "sub_8", "invoice": "in_8", "customer": "cus_8"});
    stripe(session_completed("8", now, click));
    stripe(invoice_paid("8", now, false, json!({})));
    stripe(invoice_payment("8", now));
    world.pass_ms(2 * DAY_MS);
    world.sweep();
    let drafted = api("POST /api/v1/payouts", json!({"participant_id": participant_id, "currency": "EUR"}));
    api(&format!("POST /api/v1/payouts/{}/pay", drafted.text("/id")), json!(null));
    api(
        &format!("POST /api/v1/conversions/{}/refunds", first.text("/id")),
        json!({"amount_cents": 2_000, "external_refund_id": "r2"}),
    );
}

#[test]
fn every_type_is_told_and_each_subjects_sequence_has_no_gap() {
    let world = World::new();
    // One for each type alone, in two batches, since there are ten at most.
    let keys = world.keys.clone();
    let all = endpoint_of(&world, &keys.sk_live, HOOK, &["*"]);
    let halves = EVENT_TYPES.chunks(8).map(|kinds| {
        let url = format!("https://half.example/{}", kinds[0]);
        (endpoint_of(&world, &keys.sk_live, &url, kinds), url, kinds)
    });
    let halves: Vec<_> = halves.collect();
    eventful(&world, &keys);
    world.run_lanes();
    let received = world.receivers.received();
    let at = |url: &str| received.iter().filter(|one| one.url == url).cloned().collect::<Vec<_>>();
    let told = at(HOOK);
    let kinds: BTreeSet<&str> = told.iter().map(Received::kind).collect();
    assert_eq!(kinds, EVENT_TYPES.iter().copied().collect::<BTreeSet<_>>());
    for (_, url, kinds) in &halves {
        let expected = told.iter().filter(|one| kinds.contains(&one.kind())).map(Received::id).collect::<BTreeSet<_>>();
        let half = at(url);
        assert_eq!(half.iter().map(Received::id).collect::<BTreeSet<_>>(), expected);
        assert_eq!(half.len(), expected.len());
    }
    // None twice, none missing, and none of which the outbox does not know.
    assert_eq!(told.len() as i64, world.db.count("SELECT count(*) FROM events WHERE mode = 'live'"));
    let mut subjects = BTreeMap::<&str, Vec<i64>>::new();
    for post in &told {
        assert_eq!((&post.body["mode"], &post.body["api_version"]), (&json!("live"), &json!("v1")));
        holds_shape(post);
        let subject = post.body["subject"].as_str().unwrap();
        subjects.entry(subject).or_default().push(post.body["sequence"].as_i64().unwrap());
    }
    for (subject, mut sequences) in subjects {
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=sequences.len() as i64).collect::<Vec<_>>(), "{subject}");
    }
    assert!(log_is_delivered(&world, &all));
}

fn holds_shape(post: &Received) {
    let names: BTreeSet<&str> = post.body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["api_version", "created_at", "data", "id", "mode", "sequence", "subject", "type"];
    assert_eq!(names, expected.into());
    let prefix = match post.kind().split_once('.').unwrap().0 {
        "conversion" => "conv_",
        "commission" => "com_",
        "participant" => "ppt_",
        _ => "payout_",
    };
    let subject = post.body["subject"].as_str().unwrap();
    assert!(subject.starts_with(prefix), "{}", post.raw);
    let told = if post.kind() == "conversion.fraud_detected" { "conversion_id" } else { "id" };
    assert_eq!(post.body["data"][told], subject, "{}", post.raw);
}

fn log_is_delivered(world: &World, made: &Made) -> bool {
    let line = format!("GET /api/v1/webhook-deliveries?limit=100&endpoint_id={}", made.id);
    let all = world.api_as(&world.keys.sk_live, &line, json!(null));
    all.body["data"].as_array().unwrap().iter().all(|one| one["status"] == "delivered")
}
