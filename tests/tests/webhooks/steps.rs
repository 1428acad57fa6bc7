//! What failed is sent again: the first steps of the schedule, on the clock of this machine.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::{Receiver, Reply, Server, wait_for};
use serde_json::{Value, json};

use crate::SOON;
use crate::endpoint::{Endpoint, bench, convert, verify, verify_body};

/// The second step takes six minutes at most; a busy machine adds to it.
const PATIENCE: Duration = Duration::from_secs(400);
/// Receivers that are waited for at once: each draws its own fifth.
const RECEIVERS: usize = 5;

pub fn what_failed_is_sent_again_after_five_seconds_and_signed_anew(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|_, before| match before {
        0 => Reply::Status(500),
        1 => Reply::Close,
        _ => Reply::Status(204),
    })?;
    let endpoint = Endpoint::add(&bench(server)?, &receiver.url("/"), &["conversion.created"])?;
    convert(server, "txn_again")?;
    wait_for("a second attempt", Duration::from_secs(20), || Ok((receiver.count() > 1).then_some(())))?;
    let [first, second] = &receiver.received()[..] else { bail!("more than two attempts") };
    let wait = second.at.saturating_sub(first.at).as_secs_f64();
    println!("the second attempt came {wait:.2} s after the first");
    // Five seconds, give or take a fifth, and what a busy machine adds.
    ensure!((3.9..9.0).contains(&wait), "the second attempt came after {wait} s");
    verify(first, &endpoint.secret)?;
    verify(second, &endpoint.secret)?;
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_ne!(first.header("webhook-timestamp"), second.header("webhook-timestamp"));
    assert_ne!(first.header("x-selgeo-signature"), second.header("x-selgeo-signature"));
    // The next step is minutes away: until then it is owed.
    let delivery = wait_for("the second attempt's outcome", SOON, || {
        Ok(endpoint.deliveries()?.into_iter().find(|one| one["attempts"].as_array().is_some_and(|all| all.len() == 2)))
    })?;
    assert_eq!(delivery["status"], "pending", "{delivery}");
    assert_eq!(delivery["attempts"][0]["status"], 500);
    assert_eq!(delivery["attempts"][1]["status"], Value::Null);
    ensure!(delivery["attempts"][1]["error"].as_str().is_some_and(|why| why.starts_with("not reached")), "{delivery}");
    // By hand it is sent at once, and from the schedule's beginning.
    let resend = format!("/api/v1/webhook-deliveries/{}/resend", delivery["id"].as_str().unwrap_or(""));
    endpoint.client.post(&resend, &json!({}))?.expect(202)?;
    endpoint.delivery("delivered", SOON)?;
    Ok(())
}

/// Each receiver fails twice, then takes it. After the second failure the server is killed: who is owed something is in the database alone.
pub fn the_second_step_of_the_schedule_comes_after_five_minutes(server: &mut Server) -> Result<()> {
    let client = bench(server)?;
    let receivers = (0..RECEIVERS)
        .map(|_| Receiver::start(|_, before| Reply::Status(if before < 2 { 503 } else { 200 })))
        .collect::<Result<Vec<_>>>()?;
    let add = |receiver: &Receiver| Endpoint::add(&client, &receiver.url("/"), &["conversion.created"]);
    let endpoints = receivers.iter().map(add).collect::<Result<Vec<_>>>()?;
    let conversion = convert(server, "txn_patient")?;
    let all_have = |posts: usize| receivers.iter().all(|receiver| receiver.count() >= posts).then_some(());
    wait_for("the first step", Duration::from_secs(30), || Ok(all_have(2)))?;
    let has_noted = |endpoint: &Endpoint| -> Result<bool> {
        Ok(endpoint.deliveries()?.iter().all(|one| one["attempts"].as_array().is_some_and(|all| all.len() == 2)))
    };
    wait_for("the first step's outcomes", SOON, || {
        let noted = endpoints.iter().map(has_noted).collect::<Result<Vec<_>>>()?;
        Ok(noted.into_iter().all(|noted| noted).then_some(()))
    })?;
    server.kill9()?;
    server.restart()?;
    wait_for("the second step", PATIENCE, || Ok(all_have(3)))?;
    let delivered = endpoints.iter().map(|one| one.delivery("delivered", SOON)).collect::<Result<Vec<_>>>()?;
    for ((receiver, endpoint), delivery) in receivers.iter().zip(&endpoints).zip(&delivered) {
        let [first, second, third] = &receiver.received()[..] else { bail!("more than three attempts") };
        let waits =
            [second.at.saturating_sub(first.at), third.at.saturating_sub(second.at)].map(|wait| wait.as_secs_f64());
        println!(
            "the second attempt came {:.2} s after the first, the third {:.1} s after the second",
            waits[0], waits[1]
        );
        // Five seconds, then five minutes, give or take a fifth, and what a busy machine adds.
        ensure!((3.9..9.0).contains(&waits[0]), "the second attempt came after {} s", waits[0]);
        ensure!((239.0..375.0).contains(&waits[1]), "the third attempt came after {} s", waits[1]);
        for received in [first, second, third] {
            verify_body(received, &endpoint.secret)?;
            assert_eq!(received.body, first.body);
            assert_eq!(received.header("webhook-id"), first.header("webhook-id"));
            assert_eq!(received.event()?["subject"], *conversion);
            // Signed when it was sent.
            let signed: u64 = received.header("webhook-timestamp").parse()?;
            ensure!(received.at.as_secs().abs_diff(signed) < 10, "signed at {signed}, received at {:?}", received.at);
        }
        let attempts = delivery["attempts"].as_array().context("no attempts")?;
        let statuses: Vec<&Value> = attempts.iter().map(|attempt| &attempt["status"]).collect();
        assert_eq!(statuses, [&json!(503), &json!(503), &json!(200)]);
    }
    Ok(())
}
