//! Outgoing webhooks on the real Durable Object and over real connections: receivers on this machine, good and bad, and a server
//! that is killed.
//!
//! `SELGEO_WEBHOOK_EVENTS` says how many events at least (300), `SELGEO_CRASH_SEED` repeats a run's random numbers.

mod endpoint;
mod kills;
mod loopback;
mod steps;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Received, Receiver, Reply, Server, Timer, wait_for};
use serde_json::{Value, json};

use self::endpoint::{Endpoint, bench, convert, verify};
use self::kills::what_was_caused_is_told_at_least_once_through_kills;
use self::loopback::without_the_binding_nothing_goes_to_this_machine;
use self::steps::{
    the_second_step_of_the_schedule_comes_after_five_minutes,
    what_failed_is_sent_again_after_five_seconds_and_signed_anew,
};

/// From a cause to its deliveries, at most, while nothing else goes on.
const SOON: Duration = Duration::from_secs(10);
/// A receiver has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
const MAIL_WITHIN: Duration = Duration::from_secs(30);

e2e::suite! {
    Server::start;
    a_conversion_is_told_with_signatures_that_verify,
    what_failed_is_sent_again_after_five_seconds_and_signed_anew,
    a_redirect_is_not_followed,
    an_answer_is_one_as_soon_as_its_head_is_there,
    one_that_hangs_delays_no_other,
    the_owner_of_one_that_is_gone_is_told_by_mail,
    what_was_caused_is_told_at_least_once_through_kills,
    without_the_binding_nothing_goes_to_this_machine;
    patient:
    the_second_step_of_the_schedule_comes_after_five_minutes,
}

fn a_conversion_is_told_with_signatures_that_verify(server: &mut Server) -> Result<()> {
    let receiver = Receiver::good()?;
    let client = bench(server)?;
    let all = Endpoint::add(&client, &receiver.url("/all"), &["*"])?;
    let few = Endpoint::add(&client, &receiver.url("/few"), &["commission.created"])?;
    let conversion = convert(server, "txn_told")?;
    let of = |path: &str| -> Vec<Received> {
        receiver.received().into_iter().filter(|received| received.path == path).collect()
    };
    let told = wait_for("all that the conversion caused", SOON, || {
        let told = of("/all");
        let kinds: HashSet<String> =
            told.iter().map(|one| Ok(one.event()?["type"].as_str().unwrap_or("").to_owned())).collect::<Result<_>>()?;
        let wanted = ["conversion.created", "commission.created", "commission.approved"];
        Ok((wanted.iter().all(|kind| kinds.contains(*kind)) && !of("/few").is_empty()).then_some(told))
    })?;
    for received in &told {
        verify(received, &all.secret)?;
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("user-agent"), "Selgeo-Webhooks/1");
        let event = received.event()?;
        assert_eq!((&event["api_version"], &event["mode"]), (&json!("v1"), &json!("test")));
    }
    let of_conversion = told.iter().map(Received::event).collect::<Result<Vec<_>>>()?;
    let sequences: Vec<u64> = of_conversion
        .iter()
        .filter(|event| event["subject"] == *conversion)
        .filter_map(|event| event["sequence"].as_u64())
        .collect();
    assert_eq!(sequences.iter().copied().collect::<HashSet<_>>(), (1..=sequences.len() as u64).collect());
    // The same bytes at every endpoint, under its own secret.
    let few_told = of("/few");
    assert_eq!(few_told.len(), 1);
    verify(&few_told[0], &few.secret)?;
    assert!(told.iter().any(|one| one.body == few_told[0].body));
    let delivery = few.delivery("delivered", SOON)?;
    assert_eq!(delivery["attempts"][0]["status"], 200);
    assert_eq!(delivery["attempts"][0]["answer"], "answered 200");
    Ok(())
}

fn a_redirect_is_not_followed(server: &mut Server) -> Result<()> {
    let elsewhere = Receiver::good()?;
    let location = elsewhere.url("/elsewhere");
    let receiver = Receiver::start(move |received, _| {
        let status = if received.path == "/moved" { 301 } else { 308 };
        Reply::With(status, "location", location.clone())
    })?;
    let client = bench(server)?;
    for (path, status) in [("/moved", 301), ("/permanently", 308)] {
        let endpoint = Endpoint::add(&client, &receiver.url(path), &["conversion.created"])?;
        client.post(&format!("/api/v1/webhook-endpoints/{}/ping", endpoint.id), &json!({}))?.expect(202)?;
        let attempt = wait_for("an attempt", SOON, || {
            Ok(endpoint.deliveries()?.first().map(|one| one["attempts"][0].clone()).filter(|one| !one.is_null()))
        })?;
        assert_eq!(attempt["status"], status, "{attempt}");
    }
    assert_eq!(elsewhere.count(), 0);
    Ok(())
}

fn an_answer_is_one_as_soon_as_its_head_is_there(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|received, _| match received.path.as_str() {
        "/endless" => Reply::EndlessBody,
        _ => Reply::HangInBody,
    })?;
    let client = bench(server)?;
    let endless = Endpoint::add(&client, &receiver.url("/endless"), &["conversion.created"])?;
    let hanging = Endpoint::add(&client, &receiver.url("/hanging"), &["conversion.created"])?;
    convert(server, "txn_bodies")?;
    let delivery = endless.delivery("delivered", SOON)?;
    // Lists shorten answers.
    let path = format!("/api/v1/webhook-deliveries/{}", delivery["id"].as_str().unwrap_or(""));
    let delivery = client.get(&path, &[])?.expect(200)?;
    let answer = delivery["attempts"][0]["answer"].as_str().context("no answer")?;
    ensure!(answer.len() == 20_000 && answer.bytes().all(|byte| byte == b'a'), "{} bytes are kept", answer.len());
    let delivery = hanging.delivery("delivered", TIMEOUT + SOON)?;
    assert_eq!(delivery["attempts"][0]["answer"], "This is the beginning.");
    assert_eq!(receiver.count(), 2);
    Ok(())
}

fn one_that_hangs_delays_no_other(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|received, _| match received.path.as_str() {
        "/0" => Reply::Hang,
        _ => Reply::Status(200),
    })?;
    let client = bench(server)?;
    let add = |number: usize| Endpoint::add(&client, &receiver.url(&format!("/{number}")), &["conversion.created"]);
    let endpoints = (0..10).map(add).collect::<Result<Vec<_>>>()?;
    const CONVERSIONS: usize = 20;
    for number in 0..CONVERSIONS {
        convert(server, &format!("txn_hang_{number}"))?;
    }
    let timer = Timer::start();
    wait_for("every event at the nine that answer", TIMEOUT, || {
        let mut told: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for received in receiver.received().into_iter().filter(|received| received.path != "/0") {
            told.entry(received.path.clone()).or_default().insert(received.header("webhook-id").to_owned());
        }
        Ok((told.len() == 9 && told.values().all(|events| events.len() == CONVERSIONS)).then_some(()))
    })?;
    println!("nine have everything {:.1} s after the last cause", timer.elapsed().as_secs_f64());
    // The tenth's first attempts are all still under way.
    let hanging = endpoints[0].deliveries()?;
    assert_eq!(hanging.len(), CONVERSIONS);
    let has_ended = |delivery: &&Value| delivery["attempts"].as_array().is_none_or(|attempts| !attempts.is_empty());
    assert_eq!(hanging.iter().filter(has_ended).count(), 0, "an attempt at the one that hangs has ended");
    ensure!(receiver.received().iter().any(|received| received.path == "/0"), "nothing was sent to the one that hangs");
    let ended = wait_for("its first attempt to end", TIMEOUT + SOON, || {
        Ok(endpoints[0].deliveries()?.iter().map(|one| one["attempts"][0].clone()).find(|one| !one.is_null()))
    })?;
    assert_eq!((&ended["status"], &ended["error"]), (&Value::Null, &json!("timed out")));
    let took = ended["duration_ms"].as_u64().context("no duration")?;
    ensure!((14_900..20_000).contains(&took), "the time-out came after {took} ms");
    Ok(())
}

fn the_owner_of_one_that_is_gone_is_told_by_mail(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|_, _| Reply::Status(410))?;
    let client = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let endpoint = Endpoint::add(&client, &receiver.url("/gone?token=hidden"), &["*"])?;
    let path = format!("/api/v1/webhook-endpoints/{}", endpoint.id);
    client.post(&format!("{path}/ping"), &json!({}))?.expect(202)?;
    endpoint.delivery("dead_letter", SOON)?;
    let shown = client.get(&path, &[])?.expect(200)?;
    assert_eq!((&shown["status"], &shown["disabled_reason"]), (&json!("disabled"), &json!("gone")));
    // Nothing but the sweep sends it, every five seconds here.
    let mailbox = wait_for("the letter", MAIL_WITHIN, || {
        let page = client.get("/dev/mailbox", &[])?;
        Ok((page.status == 200 && page.body.contains("A webhook endpoint of")).then_some(page.body))
    })?;
    ensure!(mailbox.matches(&endpoint.id).count() == 1, "not one letter: {mailbox}");
    for told in
        ["To owner@demo.example", &receiver.url("/gone"), "It answered 410 Gone", &format!("{}/app", server.url())]
    {
        ensure!(mailbox.contains(told), "{told} is not in {mailbox}");
    }
    ensure!(!mailbox.contains("hidden") && !mailbox.contains(&endpoint.secret), "a secret is in {mailbox}");
    Ok(())
}
