//! Requests for each path: what is sent in one run.

use std::cell::Cell;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server, now, session};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::load::Request;

/// More than a second brings; signing them takes longer than sending.
const EVENTS_PER_S: u64 = 3_000;
/// Links that one cold round asks for.
const COLD: usize = 400;
/// Clicks that conversions and events name.
const CLICKS: usize = 100;
const OWNER: &str = "bench@demo.example";

/// Requests for one run, which has a name of its own.
pub type Supply = Box<dyn Fn(&str) -> Result<Vec<Request>>>;

/// What a merchant sends.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    pub public: &'a str,
    pub secret: &'a str,
}

/// The same request in every run.
pub fn one(request: Request) -> Supply {
    Box::new(move |_| Ok(vec![request.clone()]))
}

/// Below the origin.
pub fn path_of(url: &str, origin: &str) -> Result<String> {
    Ok(url.strip_prefix(origin).with_context(|| format!("{url} is not at {origin}"))?.to_owned())
}

/// A visitor's first.
pub fn click(public_key: &str, link_ref: &str) -> Request {
    let body = json!({"merchant": public_key, "ref": link_ref, "url": "https://shop.example/", "referrer": "https://blog.example/"});
    Request::post("/v1/clicks", body)
}

/// Registers some.
pub fn clicks(origin: &str, public_key: &str) -> Result<Vec<String>> {
    let client = Client::new(origin);
    (0..CLICKS).map(|_| client.click(public_key, "bench1")).collect()
}

/// Each run asks for links of its own, which nobody has asked for.
pub fn cold_clicks(server: &Server, rounds: usize) -> Result<Supply> {
    let client = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
    let first = client.get("/api/v1/links?limit=1", &[])?.expect(200)?;
    let participant = &first["data"][0]["participant_id"];
    // One run more: the requests that are looked at before all rounds.
    for number in 0..COLD * (rounds + 1) {
        let body = json!({"participant_id": participant, "ref": format!("cold{number}"), "landing_url": server.url()});
        client.post("/api/v1/links", &body)?.expect(201)?;
    }
    let key = server.text("/bench/keys/pk_test")?.to_owned();
    let run = Cell::new(0);
    Ok(Box::new(move |_| {
        let first = run.replace(run.get() + COLD);
        Ok((first..first + COLD).map(|number| click(&key, &format!("cold{number}"))).collect())
    }))
}

/// A short link that was made with the bench workspace.
pub fn short_link(server: &Server) -> Result<Request> {
    Ok(Request::get(format!("/r/{}", server.text("/bench/links/0/slug")?)))
}

/// Each is a transaction of its own.
pub fn conversions(origin: &str, keys: Keys<'_>) -> Result<Supply> {
    let clicks = clicks(origin, keys.public)?;
    let bearer = format!("Bearer {}", keys.secret);
    Ok(Box::new(move |run| {
        let conversion = |click: &String| {
            let body = json!({
                "click_id": click, "external_transaction_id": format!("{run}_{{n}}"), "event_type": "purchase",
                "amount_cents": 5_000, "currency": "EUR",
            });
            Request::post("/api/v1/conversions", body).with("authorization", bearer.as_str())
        };
        Ok(clicks.iter().map(conversion).collect())
    }))
}

/// Signed just before they are sent: a signature holds for five minutes.
pub fn events(path: &str, secret: &str, clicks: Vec<String>, seconds: u64) -> Supply {
    let (path, secret) = (path.to_owned(), secret.to_owned());
    Box::new(move |run| {
        let names = (0..EVENTS_PER_S * seconds.max(1)).zip(clicks.iter().cycle());
        names
            .map(|(number, click)| {
                let payload = session(&format!("{run}_{number}"), click, 4_200)?.to_string();
                Ok(Request::post(path.as_str(), &payload).with("stripe-signature", sign(&payload, &secret)?))
            })
            .collect()
    })
}

fn sign(payload: &str, secret: &str) -> Result<String> {
    let at = now()?.as_secs();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{at}.{payload}").as_bytes());
    Ok(format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes())))
}

/// The overview, as an owner sees it who is signed in.
pub fn overview(server: &Server) -> Result<Request> {
    let workspace = server.text("/bench/workspace_id")?;
    let operator = Client::new(server.url()).with_key(server.operator_token());
    let owners = format!("/operator/v1/workspaces/{workspace}/owners");
    operator.post(&owners, &json!({"owner_email": OWNER}))?.expect(201)?;
    let answer = Client::unled(server.url()).get(&format!("/dev/sign-in?email={OWNER}"), &[])?;
    let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    ensure!(!cookie.is_empty(), "signing in gave no session: {}", answer.status);
    Ok(Request::get(format!("/app/{workspace}/test")).with("cookie", cookie))
}
