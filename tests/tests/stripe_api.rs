//! What the Worker asks Stripe's API with a merchant's key: really fetched, from a server on this machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server, Stripe, StripeApi, charge_updated, session, wait_for};
use serde_json::{Value, json};

const KEY: &str = "rk_test_51EndToEnd";
/// The queue waits a second for company, twice in a row here; should a message be lost, a sweep comes.
const ASKED_WITHIN: Duration = Duration::from_secs(60);
/// More than a page.
const UNDELIVERED: usize = 120;

e2e::suite! {
    Stage::start;
    a_refused_key_is_told_and_another_one_is_asked_with,
    a_fee_that_only_the_api_knows_corrects_the_commission,
    what_stripe_could_not_deliver_is_fetched_page_by_page,
}

/// A server that asks Stripe's API on this machine, and a program of the bench workspace that pays net of fees.
struct Stage {
    /// The first to end: nothing is asked of an API that is gone.
    _server: Server,
    stripe_api: StripeApi,
    stripe: Stripe,
    api: Client,
    public_key: String,
    connection: String,
}

impl Stage {
    fn start() -> Result<Self> {
        let stripe_api = StripeApi::start(KEY)?;
        let server = Server::start_asking(stripe_api.url())?;
        let api = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
        let stripe = Stripe::start(&server.url(), &server.dev()["bench"]["stripe"]["test"])?;
        let connection = stripe.path().rsplit('/').next().context("no connection")?.to_owned();
        let public_key = server.text("/bench/keys/pk_test")?.to_owned();
        let stage = Self { _server: server, stripe_api, stripe, api, public_key, connection };
        stage.program()?;
        Ok(stage)
    }

    /// A partner who earns 20 % net of fees by the link `net`.
    fn program(&self) -> Result<()> {
        let make = |path: &str, body: Value| -> Result<String> {
            let made = self.api.post(&format!("/api/v1/{path}"), &body)?.expect(201)?;
            Ok(made["id"].as_str().context("no id")?.to_owned())
        };
        let rewards = json!([{"trigger": "sale", "percent_bps": 2_000, "basis": "net_of_fees"}]);
        let program_id = make("programs", json!({"name": "Net", "status": "active", "rewards": rewards}))?;
        let partner_id = make("partners", json!({"name": "Net", "email": "net@partner.example"}))?;
        let participant = json!({"program_id": program_id, "partner_id": partner_id, "status": "approved"});
        let participant_id = make("participants", participant)?;
        self.api.post("/api/v1/hosts", &json!({"host": "net.example"}))?;
        let link = json!({"participant_id": participant_id, "ref": "net", "landing_url": "https://net.example/", "name": "Net"});
        make("links", link).map(drop)
    }

    fn set_key(&self, key: &str) -> Result<()> {
        let path = format!("/api/v1/stripe-connections/{}/restricted-key", self.connection);
        let set = self.api.post(&path, &json!({"restricted_key": key}))?.expect(200)?;
        ensure!(set["has_restricted_key"] == true && !set.to_string().contains(key), "{set}");
        Ok(())
    }

    fn connection(&self) -> Result<Value> {
        self.api.get(&format!("/api/v1/stripe-connections/{}", self.connection), &[])?.expect(200)
    }

    /// The commission of a sale, once it comes to so much.
    fn wait_for_commission(&self, click: &str, amount: i64) -> Result<Value> {
        wait_for(&format!("a commission of {amount}"), ASKED_WITHIN, || {
            let conversions = self.api.list("conversions")?;
            let ours = conversions.iter().find(|conversion| conversion["attribution"]["click_id"] == click);
            let Some(id) = ours.map(|conversion| conversion["id"].clone()) else { return Ok(None) };
            let commissions = self.api.list("commissions")?;
            Ok(commissions.into_iter().find(|c| c["conversion_id"] == id && c["amount_cents"] == amount))
        })
    }
}

fn a_refused_key_is_told_and_another_one_is_asked_with(stage: &mut Stage) -> Result<()> {
    stage.set_key("rk_test_51Revoked")?;
    stage.stripe_api.add_balance_transaction("txn_refused", 250, "usd");
    let click = stage.api.click(&stage.public_key, "net")?;
    stage.stripe.send(&session("refused", &click, 10_000)?)?.expect(200)?;
    stage.stripe.send(&charge_updated("refused", 10_000)?)?.expect(200)?;
    wait_for("the refused key's error", ASKED_WITHIN, || {
        Ok((stage.connection()?["lookups"]["last_error"] == "key_refused").then_some(()))
    })?;
    stage.wait_for_commission(&click, 2_000)?;
    stage.set_key(KEY)?;
    // 100.00 less 2.50, of which 20 %.
    stage.wait_for_commission(&click, 1_950)?;
    ensure!(stage.connection()?["lookups"] == json!({"pending": 0, "failed": 0, "last_error": null}));
    Ok(())
}

fn a_fee_that_only_the_api_knows_corrects_the_commission(stage: &mut Stage) -> Result<()> {
    stage.set_key(KEY)?;
    stage.stripe_api.add_balance_transaction("txn_known", 320, "usd");
    let click = stage.api.click(&stage.public_key, "net")?;
    // The charge may come first: nobody knows of a sale then.
    stage.stripe.send(&charge_updated("known", 10_000)?)?.expect(200)?;
    stage.stripe.send(&session("known", &click, 10_000)?)?.expect(200)?;
    let commission = stage.wait_for_commission(&click, 1_936)?;
    let kinds: Vec<&Value> = commission["entries"].as_array().into_iter().flatten().map(|e| &e["kind"]).collect();
    assert_eq!(kinds, ["earned", "corrected"]);
    let asked = stage.stripe_api.asked();
    let of_it = asked.iter().filter(|path| *path == "/v1/balance_transactions/txn_known").count();
    assert_eq!(of_it, 1, "{asked:?}");
    Ok(())
}

fn what_stripe_could_not_deliver_is_fetched_page_by_page(stage: &mut Stage) -> Result<()> {
    stage.set_key(KEY)?;
    let click = stage.api.click(&stage.public_key, "bench1")?;
    for number in 0..UNDELIVERED {
        stage.stripe_api.add_undelivered(&session(&format!("undelivered{number}"), &click, 1_000)?);
    }
    let path = format!("/api/v1/stripe-connections/{}/reconcile", stage.connection);
    stage.api.post(&path, &json!({}))?.expect(202)?;
    let job = wait_for("the end of the reconciliation", ASKED_WITHIN, || {
        let job = stage.connection()?["reconcile"].take();
        Ok((job["state"] == "done").then_some(job))
    })?;
    assert_eq!((&job["found"], &job["new"]), (&json!(UNDELIVERED), &json!(UNDELIVERED)));
    wait_for("every sale that was fetched", ASKED_WITHIN, || {
        let conversions = stage.api.list("conversions")?;
        let ours = conversions.iter().filter(|c| c["amount_cents"] == 1_000 && c["attribution"]["click_id"] == click);
        Ok((ours.count() == UNDELIVERED).then_some(()))
    })
}
