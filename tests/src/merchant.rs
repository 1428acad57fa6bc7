//! A demo workspace in which something has happened, so that no list is empty and no page without its story.

use crate::{Client, Server};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// A name that no page may take for anything but text.
const HOSTILE: &str = "<script>alert(1)</script> \"quoted\" \u{202e}turned";

/// Makes sales, refunds, people and webhooks, by the API.
pub fn furnish(server: &Server) -> Result<()> {
    let api = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let pk = server.text("/keys/pk_test")?;
    let participant = server.text("/participant_id")?;
    let program = server.text("/program_id")?;
    let make = |path: &str, body: Value| api.post(&format!("/api/v1/{path}"), &body)?.expect(201);
    for number in 0..30 {
        let click = api.click(pk, "anna")?;
        let sale = make("conversions", sale(&format!("order-{number}"), json!({"click_id": click})))?;
        if number % 7 == 0 {
            let id = sale["id"].as_str().unwrap_or_default();
            let refund = json!({"external_refund_id": format!("refund-{number}"), "amount_cents": 2_500});
            make(&format!("conversions/{id}/refunds"), refund)?;
        }
    }
    // By a customer whom nobody is credited for, and by one who is bound.
    make("conversions", sale("order-code", json!({"promo_code": "demo20", "customer_external_id": "user-42"})))?;
    make("conversions", sale("order-again", json!({"customer_external_id": "user-42"})))?;
    let partner =
        make("partners", json!({"name": HOSTILE, "email": "long.address.of.somebody.with.a.name@partner.example"}))?;
    make("participants", json!({"program_id": program, "partner_id": partner["id"], "status": "pending"}))?;
    let hook = json!({"url": format!("{}/nowhere", server.url()), "events": ["*"]});
    make("webhook-endpoints", hook)?;
    make(
        "rewards",
        json!({"program_id": program, "participant_id": participant, "trigger": "lead",
        "flat": {"amount_cents": 500, "currency": "EUR"}, "auto_approve": false}),
    )?;
    let click = api.click(pk, "anna")?;
    make(
        "conversions",
        json!({"external_transaction_id": "lead-1", "event_type": "lead", "amount_cents": 0, "click_id": click}),
    )?;
    let click = api.click(pk, "anna")?;
    make("conversions", sale("order-last", json!({"click_id": click})))?;
    furnish_live(server)
}

/// What only live mode has: a payout that is paid, one that is not, and something that is still due.
fn furnish_live(server: &Server) -> Result<()> {
    let api = Client::new(server.url()).with_key(server.text("/keys/sk_live")?);
    let participant = live_participant(server)?;
    let link = json!({"participant_id": participant, "ref": "live-anna", "name": "Newsletter",
        "landing_url": format!("{}/demo/", server.url())});
    api.post("/api/v1/links", &link)?.expect(201)?;
    let sell = |number: u32| {
        let click = api.click(server.text("/keys/pk_live")?, "live-anna")?;
        let body = sale(&format!("live-{number}"), json!({"click_id": click}));
        api.post("/api/v1/conversions", &body)?.expect(201)
    };
    let draft = || api.post("/api/v1/payouts", &json!({"participant_id": participant, "currency": "EUR"}))?.expect(201);
    sell(1)?;
    let paid = draft()?;
    let id = paid["id"].as_str().unwrap_or_default();
    api.post(&format!("/api/v1/payouts/{id}/pay"), &json!({"reason": "SEPA transfer 1"}))?.expect(200)?;
    sell(2)?;
    draft()?;
    sell(3)?;
    Ok(())
}

/// The demo's participant in live mode.
pub fn live_participant(server: &Server) -> Result<String> {
    let api = Client::new(server.url()).with_key(server.text("/keys/sk_live")?);
    let participants = api.list("participants")?;
    let id = participants.last().and_then(|one| one["id"].as_str()).context("live mode has no participant")?;
    Ok(id.to_owned())
}

fn sale(transaction: &str, signal: Value) -> Value {
    let mut body = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 12_000, "currency": "EUR"});
    for (name, value) in signal.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}
