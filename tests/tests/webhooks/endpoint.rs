//! Endpoints as a merchant makes them, causes of events, and signatures computed anew.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::{Client, Received, Server, now, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// An endpoint of the bench workspace, until this value ends.
pub struct Endpoint {
    pub client: Client,
    pub id: String,
    pub secret: String,
}

impl Endpoint {
    pub fn add(client: &Client, url: &str, events: &[&str]) -> Result<Self> {
        let made = client.post("/api/v1/webhook-endpoints", &json!({"url": url, "events": events}))?.expect(201)?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {made}"));
        Ok(Self { client: client.clone(), id: text("id")?, secret: text("secret")? })
    }

    /// What it is owed or was told, newest first.
    pub fn deliveries(&self) -> Result<Vec<Value>> {
        self.client.list(&format!("webhook-deliveries?endpoint_id={}", self.id))
    }

    /// Its one delivery, once it has come so far.
    pub fn delivery(&self, status: &str, within: Duration) -> Result<Value> {
        wait_for(&format!("a delivery that is {status}"), within, || {
            Ok(self.deliveries()?.into_iter().find(|delivery| delivery["status"] == status))
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The test has failed already, or a later one says that there are too many.
        let _ = self.client.send("DELETE", &format!("/api/v1/webhook-endpoints/{}", self.id), &[], "");
    }
}

pub fn bench(server: &Server) -> Result<Client> {
    Ok(Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?))
}

/// Reports a conversion that somebody is credited for; returns its id.
pub fn convert(server: &Server, transaction: &str) -> Result<String> {
    let client = bench(server)?;
    let click = client.click(server.text("/bench/keys/pk_test")?, "bench1")?;
    let body = report(&click, transaction);
    let made = client.post("/api/v1/conversions", &body)?.expect(201)?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

pub fn report(click: &str, transaction: &str) -> Value {
    json!({
        "click_id": click, "external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 5_000,
        "currency": "eur",
    })
}

fn mac(key: &[u8], signed: &str) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| anyhow!("{error}"))?;
    mac.update(signed.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

fn key(secret: &str) -> Result<Vec<u8>> {
    hex::decode(secret.trim_start_matches("whsec_")).map_err(|error| anyhow!("{error}"))
}

/// Both families, computed here from the secret as it was shown.
pub fn verify(received: &Received, secret: &str) -> Result<()> {
    let digits = secret.strip_prefix("whsec_").context("no whsec_")?;
    let (id, at) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let bytes = key(secret)?;
    let own = format!("t={at},v1={}", hex::encode(mac(&bytes, &format!("{at}.{}", received.body))?));
    assert_eq!(received.header("x-selgeo-signature"), own);
    let signed = format!("{id}.{at}.{}", received.body);
    for key in [bytes, STANDARD.decode(digits)?] {
        let expected = format!("v1,{}", STANDARD.encode(mac(&key, &signed)?));
        let all = received.header("webhook-signature");
        ensure!(all.split(' ').any(|one| one == expected), "{expected} is not among {all}");
    }
    let age = now()?.as_secs().abs_diff(at.parse()?);
    ensure!(age < 60, "signed {age} s ago");
    assert_eq!(received.event()?["id"], id);
    Ok(())
}

/// The signature alone: some of these are minutes old.
pub fn verify_body(received: &Received, secret: &str) -> Result<()> {
    let bytes = key(secret)?;
    let at = received.header("webhook-timestamp");
    let own = format!("t={at},v1={}", hex::encode(mac(&bytes, &format!("{at}.{}", received.body))?));
    assert_eq!(received.header("x-selgeo-signature"), own);
    Ok(())
}
