//! schemathesis against the running Worker: every phase and check that applies, on the description that the Worker itself serves.
//! With `CI=true` only.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server};
use serde_json::{Value, json};
use tempfile::TempDir;

/// No bench reaches them, and no fuzzing.
const LIMIT: u64 = 1_000_000_000;

e2e::suite! {
    Server::start;
    what_is_sent_to_the_api_is_answered_as_the_description_says,
}

fn what_is_sent_to_the_api_is_answered_as_the_description_says(server: &mut Server) -> Result<()> {
    let Some(python) = env::var_os("SELGEO_TEST_PYTHON") else {
        println!("skipped: `cargo xtask test` with CI=true brings schemathesis");
        return Ok(());
    };
    let folder = TempDir::new()?;
    let users = folder.path().join("users.json");
    let (told, pk) = users_of(server)?;
    fs::write(&users, told.to_string())?;
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join("schemathesis.toml");
    let url = server.url();
    let output = Command::new(python)
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&config)
        .args(["run", &format!("{url}/openapi.json"), "--url", &url, "--checks", "all"])
        // What a schema allows may still be refused: a cursor of another list, a landing page on a host that is not registered.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .env("SELGEO_FUZZ_USERS", &users)
        .env("SELGEO_FUZZ_PK", pk)
        // Nothing of it is to be kept.
        .current_dir(folder.path())
        .output()
        .context("schemathesis could not be started")?;
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    ensure!(output.status.success(), "schemathesis: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Two who must never see each other's objects, each with the key of a workspace of their own. The first one has some to begin with,
/// and a public key.
fn users_of(server: &Server) -> Result<(Value, String)> {
    let operator = Client::new(server.url()).with_key(server.operator_token());
    let limits = json!({"clicks_per_minute": LIMIT, "conversions_per_minute": LIMIT, "other_per_minute": LIMIT});
    let (mut users, mut public) = (Vec::new(), String::new());
    for name in ["one", "other"] {
        let body = json!({"name": name, "limits": limits});
        let made = operator.post("/operator/v1/workspaces", &body)?.expect(201)?;
        let text = |pointer| made.pointer(pointer).and_then(Value::as_str).context("a workspace has no such key");
        let key = text("/keys/sk_test")?;
        if users.is_empty() {
            public = text("/keys/pk_test")?.to_owned();
            furnish(&Client::new(server.url()).with_key(key), &public)?;
        }
        let header = json!({"name": "Authorization", "value": format!("Bearer {key}")});
        users.push(json!({"name": name, "fixedHeaders": [header]}));
    }
    Ok((json!({"auth": users}), public))
}

/// One of most kinds of objects.
fn furnish(api: &Client, pk: &str) -> Result<()> {
    let make = |path: &str, body: Value| api.post(&format!("/api/v1/{path}"), &body)?.expect(201);
    make("webhook-endpoints", json!({"url": "http://127.0.0.1:9/", "events": ["payout.paid"]}))?;
    make("stripe-connections", json!({}))?;
    make("hosts", json!({"host": "shop.example"}))?;
    let reward = json!({"trigger": "sale", "percent_bps": 2_000});
    let program = make("programs", json!({"name": "Friends", "status": "active", "rewards": [reward]}))?;
    make("invites", json!({"program_id": program["id"], "email": "dora@partner.example"}))?;
    let partner = make("partners", json!({"name": "Anna", "email": "anna@partner.example"}))?;
    let joins = json!({"program_id": program["id"], "partner_id": partner["id"], "status": "approved"});
    let participant = make("participants", joins)?;
    make("promo-codes", json!({"participant_id": participant["id"], "code": "ANNA"}))?;
    let link = json!({"participant_id": participant["id"], "ref": "anna", "landing_url": "https://shop.example/"});
    make("links", link)?;
    let click = api.click(pk, "anna")?;
    let sale = json!({"click_id": click, "external_transaction_id": "order-1", "event_type": "purchase", "amount_cents": 9_900,
        "currency": "EUR", "customer_external_id": "customer-1"});
    let sale = make("conversions", sale)?;
    let refunds = format!("conversions/{}/refunds", sale["id"].as_str().unwrap_or_default());
    make(&refunds, json!({"external_refund_id": "refund-1", "amount_cents": 900}))?;
    Ok(())
}
