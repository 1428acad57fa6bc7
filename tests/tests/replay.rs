//! A year of a subscription on the demo workspace, on the real D1 and queue: renewals, refunds, a dispute lost and one won. Then
//! `cargo xtask replay` makes every decision and every commission again, natively over the server's database and in workerd.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server, Stripe, invoice, now, subscription_session, wait_for};
use serde_json::{Value, json};

const MONTHS: u64 = 12;
const AMOUNT: u64 = 4_900;
/// Twelve months, of which the third is refunded in parts, the fifth in whole, and the seventh lost to a dispute: 20 % of the rest.
const EARNED: i64 = 980 * 9 + 686;
const BOOKED_WITHIN: Duration = Duration::from_secs(90);

e2e::suite! {
    Server::start;
    a_years_decisions_and_commissions_come_out_the_same_again,
}

fn a_years_decisions_and_commissions_come_out_the_same_again(server: &mut Server) -> Result<()> {
    let api = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let body = json!({"merchant": server.text("/keys/pk_test")?, "ref": server.text("/links/0/ref")?});
    let click = Client::new(server.url()).post("/v1/clicks", &body)?.expect(201)?;
    let click = click["click_id"].as_str().context("no click id")?.to_owned();
    let mut stripe = Stripe::start(&server.url(), &server.dev()["stripe"]["test"])?;
    for event in year(&click)? {
        let answer = stripe.send(&event)?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    }
    wait_for("the year's commissions", BOOKED_WITHIN, || {
        let commissions = api.list("commissions?limit=100")?;
        let sum: i64 = commissions.iter().filter_map(|one| one["amount_cents"].as_i64()).sum();
        Ok((sum == EARNED).then_some(()))
    })?;
    for place in [&[][..], &["--in-workerd"]] {
        let told = server.xtask("replay", place)?;
        println!("{told}");
        let line = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        ensure!(line("differences") == Some("0"), "{place:?}: {told}");
        let families: u64 = line("families").context("no families")?.parse()?;
        ensure!(families >= 1 && line("digest").is_some_and(|digest| digest.len() >= 32), "{place:?}: {told}");
    }
    exported(server)
}

/// Both ways of exporting the demo workspace give files that are replayed to its digest, without its database or its secrets.
fn exported(server: &Server) -> Result<()> {
    let text = |path: &str| server.text(path).map(ToString::to_string);
    let (url, key, workspace) = (server.url(), text("/keys/sk_test")?, text("/workspace_id")?);
    let digest =
        |told: &str| told.lines().find_map(|line| line.strip_prefix("digest")).map(|rest| rest.trim().to_owned());
    let by_api = ["--url", url.as_str(), "--key", key.as_str()];
    for (name, source, mode) in [("api", &by_api[..], &["--mode", "test"][..]), ("database", &[], &[])] {
        let of_workspace = [&["--workspace", workspace.as_str()], mode].concat();
        let here = digest(&server.xtask("replay", &of_workspace)?).context("no digest")?;
        let file = std::env::temp_dir().join(format!("selgeo-export-{name}-{}.jsonl", std::process::id()));
        let path = file.to_str().context("no path")?;
        let out = ["--out", path];
        let told = match source {
            [] => server.xtask("export", &out)?,
            by_api => server.xtask_without_state("export", &[by_api, &out].concat())?,
        };
        println!("{told}");
        let there = server.xtask_without_state("replay", &["--export", path])?;
        ensure!(digest(&there).as_ref() == Some(&here), "{name}: {here} became {there}");
        // A byte that somebody changed.
        let mut bytes = std::fs::read(&file)?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes)?;
        ensure!(server.xtask_without_state("replay", &["--export", path]).is_err(), "{name}: a changed byte was taken");
        std::fs::remove_file(&file)?;
    }
    Ok(())
}

/// What Stripe tells in a year.
fn year(click: &str) -> Result<Vec<Value>> {
    let start_s = now()?.as_secs();
    let mut events = vec![subscription_session("year", click, AMOUNT, false)?, invoice("year", AMOUNT, false)?];
    for month in 1..MONTHS {
        let mut renewal = invoice("year", AMOUNT, month % 2 == 0)?;
        let paid_at = start_s + month * 30 * 86_400;
        renewal["id"] = json!(format!("evt_in_year_{month}"));
        let object = &mut renewal["data"]["object"];
        object["id"] = json!(format!("in_year_{month}"));
        object["billing_reason"] = json!("subscription_cycle");
        object["status_transitions"]["paid_at"] = json!(paid_at);
        if month % 2 == 0 {
            object["payment_intent"] = json!(format!("pi_year_{month}"));
            object["charge"] = json!(format!("ch_year_{month}"));
        }
        events.push(renewal);
        if month % 2 == 1 {
            events.push(told("payment", month, "invoice_payment.paid", json!({
                "id": format!("inpay_year_{month}"), "object": "invoice_payment", "invoice": format!("in_year_{month}"),
                "amount_paid": AMOUNT, "currency": "usd", "status": "paid",
                "payment": {"type": "payment_intent", "payment_intent": format!("pi_year_{month}")},
            }))?);
        }
    }
    for (name, month, amount) in [("a", 3, 735), ("b", 3, 735), ("c", 5, AMOUNT)] {
        events.push(told(name, month, "refund.created", json!({
            "id": format!("re_year_{name}"), "object": "refund", "amount": amount, "currency": "usd", "status": "succeeded",
            "charge": format!("ch_year_{month}"), "payment_intent": format!("pi_year_{month}"), "created": start_s,
        }))?);
    }
    for (month, status) in [(7, "needs_response"), (7, "lost"), (9, "needs_response"), (9, "won")] {
        let kind = if status == "needs_response" { "charge.dispute.created" } else { "charge.dispute.closed" };
        events.push(told(status, month, kind, json!({
            "id": format!("dp_year_{month}"), "object": "dispute", "amount": AMOUNT, "currency": "usd", "status": status,
            "charge": format!("ch_year_{month}"), "payment_intent": format!("pi_year_{month}"),
        }))?);
    }
    Ok(events)
}

fn told(name: &str, month: u64, kind: &str, object: Value) -> Result<Value> {
    Ok(json!({
        "id": format!("evt_year_{name}_{month}"), "object": "event", "api_version": "2026-08-26.dahlia",
        "created": now()?.as_secs() + month, "data": {"object": object}, "livemode": false, "type": kind,
    }))
}
