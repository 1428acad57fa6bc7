//! Two D1 databases: a workspace in the second does all that one in the first does, through a kill, and nothing of either is in the
//! other.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Receiver, Server, Stripe, invoice, subscription_session, wait_for};
use serde_json::{Value, json};

const WITHIN: Duration = Duration::from_secs(30);

e2e::suite! {
    Server::start_with_two_databases;
    a_workspace_of_the_second_database_goes_from_the_click_to_the_webhook,
    a_replay_goes_through_both_databases_on_the_host_and_in_workerd,
}

/// A merchant in a database, with a program, a participant and a link.
struct Shop {
    api: Client,
    pk: String,
    connection: Value,
}

fn shop(server: &Server, database: u8) -> Result<Shop> {
    let url = server.url();
    let operator = Client::new(url.clone()).with_key(server.operator_token());
    let body = json!({"name": format!("Shop of {database}"), "database": database});
    let made = operator.post("/operator/v1/workspaces", &body)?.expect(201)?;
    ensure!(made["database"] == json!(database), "{made}");
    let key = |name: &str| made["keys"][name].as_str().map(str::to_owned).context("no key");
    let api = Client::new(url.clone()).with_key(&key("sk_test")?);
    let make = |path: &str, body: Value| api.post(&format!("/api/v1/{path}"), &body)?.expect(201);
    make("hosts", json!({"host": "shop.example"}))?;
    let reward =
        |trigger: &str| json!({"trigger": trigger, "percent_bps": 2_000, "hold_days": 0, "auto_approve": true});
    let program = make(
        "programs",
        json!({"name": "Friends", "status": "active", "rewards": [reward("sale"), reward("recurring")]}),
    )?;
    let partner = make("partners", json!({"name": "Anna", "email": format!("anna{database}@partner.example")}))?;
    let participant =
        make("participants", json!({"program_id": program["id"], "partner_id": partner["id"], "status": "approved"}))?;
    make("links", json!({"participant_id": participant["id"], "ref": "anna", "landing_url": "https://shop.example/"}))?;
    let secret = format!("whsec_{:032}", database);
    let connection = make("stripe-connections", json!({"signing_secret": secret}))?;
    let connection = json!({"url": connection["url"], "secret": secret});
    Ok(Shop { api, pk: key("pk_test")?, connection })
}

fn a_workspace_of_the_second_database_goes_from_the_click_to_the_webhook(server: &mut Server) -> Result<()> {
    let receiver = Receiver::good()?;
    for database in [1, 0] {
        let shop = shop(server, database)?;
        let hook = json!({"url": receiver.url(&format!("/{database}")), "events": ["commission.created"]});
        shop.api.post("/api/v1/webhook-endpoints", &hook)?.expect(201)?;
        let click = shop.api.click(&shop.pk, "anna")?;
        let sale = json!({"click_id": click, "external_transaction_id": "T1", "event_type": "purchase",
            "amount_cents": 5_000, "currency": "EUR"});
        let sold = shop.api.post("/api/v1/conversions", &sale)?.expect(201)?;
        ensure!(sold["attribution"]["status"] == "attributed", "{sold}");
        let mut stripe = Stripe::start(&server.url(), &shop.connection)?;
        let name = format!("db{database}");
        for event in [subscription_session(&name, &click, 4_900, false)?, invoice(&name, 4_900, false)?] {
            let answer = stripe.send(&event)?;
            ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        }
        wait_for("two commissions", WITHIN, || Ok((shop.api.list("commissions")?.len() == 2).then_some(())))?;
        wait_for("the click", WITHIN, || Ok((shop.api.list("clicks")?.len() == 1).then_some(())))?;
        let path = format!("/{database}");
        wait_for("two webhooks", WITHIN, || {
            Ok((receiver.received().iter().filter(|one| one.path == path).count() == 2).then_some(()))
        })?;
        server.restart()?;
        let kept = shop.api.list("conversions")?;
        ensure!(kept.len() == 2 && kept.iter().all(|one| one["attribution"]["status"] == "attributed"), "{kept:?}");
    }
    Ok(())
}

fn a_replay_goes_through_both_databases_on_the_host_and_in_workerd(server: &mut Server) -> Result<()> {
    let mut digests = Vec::new();
    for place in [&[][..], &["--in-workerd"]] {
        let told = server.xtask("replay", place)?;
        let line = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        ensure!(line("differences") == Some("0") && line("commissions") == Some("4"), "{place:?}: {told}");
        digests.push(line("digest").context("no digest")?.to_owned());
    }
    ensure!(digests[0] == digests[1], "{digests:?}");
    Ok(())
}
