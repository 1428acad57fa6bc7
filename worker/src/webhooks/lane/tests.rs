//! Lanes under a clock moved by hand, against receivers that a test scripts.

mod costs;
mod disabling;
mod fan_out;
mod faults;
mod owners;
mod receivers;
mod rotation;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::time::Instant;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use crate::testing::{Answer, Received, World};

const HOOK: &str = "https://hooks.merchant.example/in";

/// An endpoint: its id and its secret.
struct Made {
    id: String,
    secret: String,
}

#[track_caller]
fn endpoint_of(world: &World, key: &str, url: &str, events: &[&str]) -> Made {
    let made = world.api_as(key, "POST /api/v1/webhook-endpoints", json!({"url": url, "events": events}));
    assert_eq!(made.status, 201, "{}", made.body);
    Made { id: made.text("/id"), secret: made.text("/secret") }
}

#[track_caller]
fn endpoint(world: &World, url: &str, events: &[&str]) -> Made {
    endpoint_of(world, &world.keys.sk_test, url, events)
}

#[track_caller]
fn act(world: &World, made: &Made, verb: &str, body: Json) -> Answer {
    world.pass_ms(1_000);
    world.api(&format!("POST /api/v1/webhook-endpoints/{}/{verb}", made.id), body)
}

/// Owes the endpoint a ping; its delivery's id.
#[track_caller]
fn ping(world: &World, made: &Made) -> String {
    let pinged = act(world, made, "ping", json!(null));
    assert_eq!(pinged.status, 202, "{}", pinged.body);
    pinged.text("/id")
}

#[track_caller]
fn read(world: &World, path: &str) -> Json {
    world.pass_ms(1_000);
    let answer = world.api(&format!("GET /api/v1/{path}"), json!(null));
    assert_eq!(answer.status, 200, "{path} {}", answer.body);
    answer.body
}

fn delivery(world: &World, id: &str) -> Json {
    read(world, &format!("webhook-deliveries/{id}"))
}

fn shown(world: &World, made: &Made) -> Json {
    read(world, &format!("webhook-endpoints/{}", made.id))
}

/// Each delivery of an endpoint as `type status`, oldest first.
fn log(world: &World, made: &Made) -> Vec<String> {
    let all = read(world, &format!("webhook-deliveries?limit=100&endpoint_id={}", made.id));
    let line = |one: &Json| format!("{} {}", one["type"].as_str().unwrap(), one["status"].as_str().unwrap());
    all["data"].as_array().unwrap().iter().rev().map(line).collect()
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Whether `X-Selgeo-Signature` is one under this secret, as the published receivers compute it.
fn is_signed_by(post: &Received, secret: &str) -> bool {
    let header = post.header("x-selgeo-signature");
    let (t, v1) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hex::decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    v1 == hex::encode(hmac(&key, &format!("{t}.{}", post.raw)))
}

/// Whether `webhook-signature` holds both signatures under this secret: its 32 bytes', and what the official libraries compute,
/// which take the secret's text for base64.
fn is_standard_signed_by(post: &Received, secret: &str) -> bool {
    let (id, at) = (post.header("webhook-id"), post.header("webhook-timestamp"));
    let text = secret.strip_prefix("whsec_").unwrap();
    let given: Vec<&str> = post.header("webhook-signature").split(' ').collect();
    [hex::decode(text).unwrap(), STANDARD.decode(text).unwrap()].iter().all(|key| {
        let signed = format!("v1,{}", STANDARD.encode(hmac(key, &format!("{id}.{at}.{}", post.raw))));
        given.contains(&signed.as_str())
    })
}

/// A post whose every header holds for the moment, and whose signatures verify.
#[track_caller]
fn holds(post: &Received, secret: &str, at: Instant) {
    assert_eq!(post.header("webhook-id"), post.id());
    assert_eq!(post.header("webhook-timestamp"), at.seconds().to_string());
    assert!(post.header("x-selgeo-signature").starts_with(&format!("t={},", at.seconds())));
    assert!(is_signed_by(post, secret));
    assert!(is_standard_signed_by(post, secret));
    assert_eq!(post.header("webhook-signature").split(' ').count(), 2);
}

/// Runs the lane whenever it says it is due, until it is owed nothing: each post with its moment.
fn run_out(world: &World, made: &Made) -> Vec<(Instant, Received)> {
    let mut all = Vec::new();
    loop {
        let next = world.run_lane(&made.id).unwrap();
        all.extend(world.receivers.received().into_iter().map(|post| (world.now(), post)));
        let Some(next) = next else { return all };
        assert!(next > world.now(), "what is due was sent");
        // Not a moment early.
        world.pass_ms(next.ms() - world.now().ms() - 1);
        world.run_lane(&made.id).unwrap();
        assert_eq!(world.receivers.received().len(), 0);
        world.pass_ms(1);
        assert!(all.len() < 20);
    }
}
