//! From a click to exactly one commission, however often and in whatever order Stripe tells of the sale.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::{invoice, session, subscription_session, wait_for};
use serde_json::{Value, json};

use super::shop::Shop;

/// The queue waits a second for company; a slow machine is slower.
const BOOKED_WITHIN: Duration = Duration::from_secs(30);

pub fn a_visitor_of_a_landing_page_becomes_a_commission(stage: &mut Shop) -> Result<()> {
    stage.arrive("01-landing?ref=bench1&utm_source=mail")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1, "{clicks:?}");
    assert_eq!(clicks[0].url, format!("{}/v1/clicks", stage.api_origin()));
    assert_eq!(clicks[0].body["merchant"], stage.public_key);
    assert_eq!(clicks[0].body["ref"], "bench1");
    assert_eq!(clicks[0].body["url"], stage.site.page("01-landing?ref=bench1&utm_source=mail"));

    let click = stage.click_id()?;
    let kept = stage.kept()?;
    assert_eq!(kept[0], click);
    let token = kept[1].as_str().context("no visitor token is kept")?.to_owned();
    ensure!((1..=64).contains(&token.len()), "{token}");
    stage.expect_marked(&click)?;

    // Loaded again, on another page of the shop, and by the same link once more: no further request, the same click.
    stage.browser.reload()?;
    assert_eq!(stage.clicks()?.len(), 0);
    for page in ["02-watched", "01-landing?ref=bench1"] {
        stage.browser.go(&stage.site.page(page))?;
        assert_eq!(stage.clicks()?.len(), 0, "{page}");
        stage.expect_marked(&click)?;
    }
    assert_eq!(stage.kept()?, json!([click, token]));
    let cookies = stage.run("return document.cookie + Object.keys(localStorage)")?;
    assert_eq!(cookies, "");

    // Stripe hands back what the link said.
    let link = stage.link("plain")?;
    let (_, reference) = link.split_once("client_reference_id=").context("no reference")?;
    let event = session("journey", reference, 4_900)?;
    stage.stripe.send(&event)?.expect(200)?;
    stage.wait_processed(&[&event])?;
    stage.expect_one_sale(&click, 4_900)
}

pub fn an_event_sent_five_times_is_one_sale(stage: &mut Shop) -> Result<()> {
    let click = stage.api.click(&stage.public_key, "bench2")?;
    let event = session("five", &click, 12_345)?;
    // Three before it can have been processed, two after.
    for _ in 0..3 {
        stage.stripe.send(&event)?.expect(200)?;
    }
    stage.wait_processed(&[&event])?;
    for _ in 0..2 {
        let answer = stage.stripe.send(&event)?.expect(200)?;
        assert_eq!(answer["duplicate"], true);
    }
    stage.expect_one_sale(&click, 12_345)
}

pub fn a_first_invoice_before_or_after_its_session_is_one_sale(stage: &mut Shop) -> Result<()> {
    let mut sales = Vec::new();
    for (name, old_shape, invoice_first) in [
        ("new_invoice_first", false, true),
        ("old_invoice_first", true, true),
        ("new_session_first", false, false),
        ("old_session_first", true, false),
    ] {
        let click = stage.api.click(&stage.public_key, "bench3")?;
        let paid = invoice(name, 2_000, old_shape)?;
        let completed = subscription_session(name, &click, 2_000, old_shape)?;
        let (first, second) = if invoice_first { (paid, completed) } else { (completed, paid) };
        sales.push((click, first, second));
    }
    // Every event five times.
    for _ in 0..5 {
        for (_, first, _) in &sales {
            stage.stripe.send(first)?.expect(200)?;
        }
    }
    stage.wait_processed(&sales.iter().map(|(_, first, _)| first).collect::<Vec<_>>())?;
    for _ in 0..5 {
        for (_, _, second) in &sales {
            stage.stripe.send(second)?.expect(200)?;
        }
    }
    stage.wait_processed(&sales.iter().map(|(_, _, second)| second).collect::<Vec<_>>())?;
    for (click, _, _) in &sales {
        stage.expect_one_sale(click, 2_000)?;
    }
    // No invoice has become a sale of its own.
    let conversions = stage.api.list("conversions")?;
    let of_subscriptions = conversions.iter().filter(|conversion| {
        let ids = conversion["stripe"].to_string();
        ids.contains("invoice_first") || ids.contains("session_first")
    });
    assert_eq!(of_subscriptions.count(), sales.len());
    Ok(())
}

impl Shop {
    /// Waits until the ingress log says that these events were processed.
    fn wait_processed(&self, events: &[&Value]) -> Result<()> {
        wait_for("the events to be processed", BOOKED_WITHIN, || {
            let log = self.api.list("stripe-events")?;
            let outcome = |event: &&Value| {
                let mut same = log.iter().filter(|row| row["stripe_id"] == event["id"]);
                let outcome = same.next().map(|row| row["outcome"].clone());
                ensure!(same.next().is_none(), "{} is twice in the log", event["id"]);
                Ok(outcome)
            };
            let outcomes = events.iter().map(outcome).collect::<Result<Vec<_>>>()?;
            let waits = |outcome: &Option<Value>| outcome.as_ref().is_none_or(|outcome| outcome == "pending");
            if outcomes.iter().any(waits) {
                return Ok(None);
            }
            ensure!(outcomes.iter().all(|outcome| *outcome == Some(json!("processed"))), "{outcomes:?}");
            Ok(Some(()))
        })
    }

    /// There is one conversion of this click, of this amount, and one commission of 20 % of it.
    fn expect_one_sale(&self, click: &str, amount: u64) -> Result<()> {
        let conversions = self.api.list("conversions")?;
        let of_click: Vec<&Value> =
            conversions.iter().filter(|conversion| conversion["attribution"]["click_id"] == *click).collect();
        let [conversion] = of_click[..] else {
            bail!("not one conversion of {click}: {of_click:#?}");
        };
        assert_eq!(conversion["amount_cents"], amount);
        assert_eq!(conversion["currency"], "USD");
        assert_eq!(conversion["attribution"]["status"], "attributed");
        assert_eq!(conversion["attribution"]["method"], "click");
        assert_eq!(conversion["source"], "stripe");
        let commissions = self.api.list("commissions")?;
        let of_conversion: Vec<&Value> =
            commissions.iter().filter(|commission| commission["conversion_id"] == conversion["id"]).collect();
        let [commission] = of_conversion[..] else {
            bail!("not one commission of {conversion}: {of_conversion:#?}");
        };
        assert_eq!(commission["id"], conversion["commission_id"]);
        assert_eq!(commission["amount_cents"], amount / 5);
        assert_eq!(commission["state"], "approved");
        assert_eq!(commission["needs_review"], false);
        let decision =
            self.api.list(&format!("attribution-audit?conversion_id={}", conversion["id"].as_str().unwrap_or("")))?;
        ensure!(!decision.is_empty(), "no decision of {conversion}");
        Ok(())
    }
}
