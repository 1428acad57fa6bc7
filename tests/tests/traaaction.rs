//! Traaaction's own client, pointed at our Worker. It swallows every error, so what it did is looked for on our side.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server};
use serde_json::{Value, json};

e2e::suite! {
    Shop::start;
    what_the_public_client_reports_is_recorded_and_attributed_and_waits_for_a_person,
    what_the_public_client_cannot_report_it_swallows_and_nothing_is_recorded,
}

struct Shop {
    server: Server,
    api: Client,
    pk: String,
}

impl Shop {
    fn start() -> Result<Self> {
        let server = Server::start()?;
        let api = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
        let pk = server.text("/keys/pk_test")?.to_owned();
        Ok(Self { server, api, pk })
    }

    /// Calls the client; whether it is there.
    fn track(&self, key: &str, calls: &[(&str, Value)]) -> Result<bool> {
        let Some(python) = std::env::var_os("SELGEO_TEST_PYTHON") else {
            println!("    Traaaction's client is not installed: `cargo xtask test` brings it where there is Python");
            return Ok(false);
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/track.py");
        let mut command = Command::new(python);
        // Whatever proxy the environment names is not for this machine.
        command.arg(script).env("no_proxy", "*").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        for (call, with) in calls {
            let line = json!({"base_url": self.server.url(), "key": key, "call": call, "with": with});
            writeln!(stdin, "{line}")?;
        }
        drop(stdin);
        let output = child.wait_with_output()?;
        let told = String::from_utf8_lossy(&output.stdout).lines().filter(|line| *line == "told").count();
        ensure!(output.status.success() && told == calls.len(), "{told} of {} calls returned", calls.len());
        Ok(true)
    }

    /// The conversions of one customer, the first first: how each came, what it is, why it is credited, and what it earned.
    fn of(&self, customer: &str) -> Result<Vec<String>> {
        let (conversions, commissions) = (self.api.list("conversions")?, self.api.list("commissions")?);
        let own = conversions.iter().rev().filter(|one| one["customer_external_id"] == customer);
        let told = own.map(|one| {
            let id = &one["id"];
            let of_it = commissions.iter().filter(|commission| commission["conversion_id"] == *id);
            let earned: Vec<String> =
                of_it.map(|it| format!("{} {} {}", it["amount_cents"], it["state"], it["review_reasons"])).collect();
            let line = format!(
                "{} {} {} {}",
                one["source"], one["event_type"], one["amount_cents"], one["attribution"]["reason"]
            );
            format!("{line}: {}", earned.join(", ")).replace('"', "")
        });
        Ok(told.collect())
    }
}

fn what_the_public_client_reports_is_recorded_and_attributed_and_waits_for_a_person(shop: &mut Shop) -> Result<()> {
    let click = shop.api.click(&shop.pk, "anna")?;
    let lead = json!({"customer_id": "user-7", "event_name": "sign_up", "click_id": click, "customer_email": "ann@example.com",
        "customer_name": "Ann"});
    let sale = json!({"customer_id": "user-7", "amount": 5_900});
    let calls = [
        ("lead", lead.clone()),
        ("sale", sale.clone()),
        // Again, as a form that is sent twice.
        ("lead", lead),
        ("sale", sale),
        // On one device, and confirmed on another.
        ("lead", json!({"customer_id": "user-8", "click_id": click, "deferred": true})),
        ("lead", json!({"customer_id": "user-8"})),
        (
            "sale",
            json!({"customer_id": "user-8", "amount": 1_000, "currency": "USD", "event_name": "Upgrade", "click_id": click}),
        ),
    ];
    if !shop.track(&shop.pk, &calls)? {
        return Ok(());
    }
    let first = shop.of("user-7")?;
    let expected = [
        "lead_api sign_up 0 attributed_click: ",
        "lead_api Purchase 5900 attributed_customer: 1180 pending [unauthenticated]",
    ];
    ensure!(first == expected, "{first:?}");
    let second = shop.of("user-8")?;
    let expected = [
        "lead_api sign_up 0 attributed_customer: ",
        "lead_api Upgrade 1000 attributed_click: 200 pending [unauthenticated]",
    ];
    ensure!(second == expected, "{second:?}");
    let customers = shop.api.list("customers")?;
    let bound = customers.iter().filter(|one| ["user-7", "user-8"].iter().any(|id| one["external_id"] == *id));
    let participant = shop.server.text("/participant_id")?;
    ensure!(bound.filter(|one| one["participant_id"] == participant).count() == 2, "{customers:?}");
    Ok(())
}

fn what_the_public_client_cannot_report_it_swallows_and_nothing_is_recorded(shop: &mut Shop) -> Result<()> {
    let before = shop.api.list("conversions")?.len();
    let stranger = format!("pk_test_{}", "z".repeat(32));
    shop.track(&stranger, &[("sale", json!({"customer_id": "user-9", "amount": 1}))])?;
    let calls = [
        // Nothing says who is to be credited; no UUID; less than nothing.
        ("lead", json!({"customer_id": "user-9"})),
        ("lead", json!({"customer_id": "user-9", "click_id": "mine"})),
        ("sale", json!({"customer_id": "user-9", "amount": -1, "click_id": "00000000-0000-4000-8000-000000000000"})),
    ];
    shop.track(&shop.pk, &calls)?;
    let after = shop.api.list("conversions")?.len();
    ensure!(before == after, "{} more", after - before);
    Ok(())
}
