//! `cargo xtask stripe`: one event, built and signed as Stripe would, sent to the running `cargo xtask dev`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http::Client;

/// The newest shape, and one from before the great move of 2025-03-31.
const VERSIONS: (&str, &str) = ("2026-08-26.dahlia", "2024-06-20");

/// What `cargo xtask stripe` can be told.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// The event's type
    event: EventType,
    /// A click id: the session's client_reference_id, or the invoice's metadata
    #[arg(long)]
    click: Option<String>,
    /// In the currency's minor unit
    #[arg(long, default_value_t = 5000)]
    amount: u64,
    /// Three letters
    #[arg(long, default_value = "usd")]
    currency: String,
    /// Which mode's connection it is sent to
    #[arg(long, value_enum, default_value_t = Mode::Test)]
    mode: Mode,
    /// The buyer's address
    #[arg(long, default_value = "buyer@example.com")]
    email: String,
    /// The event's id; the same id again is a redelivery
    #[arg(long, value_name = "evt_…")]
    id: Option<String>,
    /// The session's or the paid invoice
    #[arg(long, value_name = "in_…")]
    invoice: Option<String>,
    /// Makes it a subscription's checkout or invoice
    #[arg(long, value_name = "sub_…")]
    subscription: Option<String>,
    /// The payment
    #[arg(long, value_name = "pi_…")]
    payment_intent: Option<String>,
    /// The checkout session
    #[arg(long, value_name = "cs_…")]
    session: Option<String>,
    /// The customer; a guest without
    #[arg(long, value_name = "cus_…")]
    customer: Option<String>,
    /// A subscription's invoice that is not its first
    #[arg(long)]
    renewal: bool,
    /// The shape of API version 2024-06-20
    #[arg(long)]
    old_shape: bool,
    /// For the end-to-end tests: what the running server says of itself, if not .selgeo/dev.json
    #[arg(long, hide = true)]
    dev: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EventType {
    #[value(name = "checkout.session.completed")]
    CheckoutSessionCompleted,
    #[value(name = "invoice.paid")]
    InvoicePaid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Test,
    Live,
}

/// Sends it, and prints what the ingress answered.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let path = options.dev.clone().unwrap_or_else(|| root.join(".selgeo").join("dev.json"));
    let dev = fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read. Start `cargo xtask dev` first, and leave it running", path.display())
    })?;
    let dev: Value = serde_json::from_str(&dev)?;
    let mode = options.mode.name();
    let text = |name| dev.pointer(&format!("/stripe/{mode}/{name}")).and_then(Value::as_str);
    let (url, secret) = (text("url"), text("secret"));
    let (url, secret) =
        url.zip(secret).ok_or_else(|| anyhow!("{} has no Stripe connection of mode {mode}", path.display()))?;

    let now = now()?;
    let event = event(options, &Ids::new(now.as_nanos()), now.as_secs());
    let body = event.to_string();
    let signature = stripe::signature::sign(secret, i64::try_from(now.as_secs())?, body.as_bytes());
    let answer = Client::new().post(url, &[("stripe-signature", signature.as_str())], &body);
    let answer = answer.context("is `cargo xtask dev` running?")?;

    println!("{} {} → {}", name(&event, "/type"), name(&event, "/id"), url);
    for id in ["id", "invoice", "payment_intent", "subscription"] {
        if let Some(value) = event.pointer(&format!("/data/object/{id}")).and_then(Value::as_str) {
            println!("  {id}: {value}");
        }
    }
    println!("{} {}", answer.status, answer.body);
    if answer.status != 200 {
        bail!("the ingress did not take the event");
    }
    Ok(())
}

/// A paid session of test mode that names a click, as Stripe would tell of it.
pub fn paid_session(click: Option<&str>, amount: u64) -> Result<Value> {
    let options = Options {
        event: EventType::CheckoutSessionCompleted,
        click: click.map(str::to_owned),
        amount,
        currency: "usd".to_owned(),
        mode: Mode::Test,
        email: "doctor@example.com".to_owned(),
        id: None,
        invoice: None,
        subscription: None,
        payment_intent: None,
        session: None,
        customer: None,
        renewal: false,
        old_shape: false,
        dev: None,
    };
    let now = now()?;
    Ok(event(&options, &Ids::new(now.as_nanos()), now.as_secs()))
}

/// The `Stripe-Signature` of a body that is sent now.
pub fn signed(secret: &str, body: &str) -> Result<String> {
    Ok(stripe::signature::sign(secret, i64::try_from(now()?.as_secs())?, body.as_bytes()))
}

fn name<'a>(event: &'a Value, pointer: &str) -> &'a str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or("")
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::CheckoutSessionCompleted => "checkout.session.completed",
            Self::InvoicePaid => "invoice.paid",
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the task runner is no Worker; Stripe signs with its own clock too")]
fn now() -> Result<std::time::Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// Ids in Stripe's form, different at each call of the command.
struct Ids(String);

impl Ids {
    fn new(seed: u128) -> Self {
        Self(hex::encode(Sha256::digest(seed.to_be_bytes())))
    }

    fn make(&self, prefix: &str) -> String {
        format!("{prefix}_{}", &self.0[..24])
    }

    fn given_or_new(&self, given: Option<&String>, prefix: &str) -> String {
        given.cloned().unwrap_or_else(|| self.make(prefix))
    }
}

fn event(options: &Options, ids: &Ids, now_s: u64) -> Value {
    let object = match options.event {
        EventType::CheckoutSessionCompleted => session(options, ids, now_s),
        EventType::InvoicePaid => invoice(options, ids, now_s),
    };
    json!({
        "id": ids.given_or_new(options.id.as_ref(), "evt"),
        "object": "event",
        "api_version": if options.old_shape { VERSIONS.1 } else { VERSIONS.0 },
        "created": now_s,
        "data": {"object": object},
        "livemode": options.mode == Mode::Live,
        "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null},
        "type": options.event.name(),
    })
}

/// A paid session: one of a subscription names its invoice, one of a single payment its payment intent.
fn session(options: &Options, ids: &Ids, now_s: u64) -> Value {
    let subscribes = options.subscription.is_some();
    let invoice = match &options.invoice {
        None if subscribes => Some(ids.make("in")),
        given => given.clone(),
    };
    let payment_intent = (!subscribes).then(|| ids.given_or_new(options.payment_intent.as_ref(), "pi"));
    let session_prefix = format!("cs_{}", options.mode.name());
    json!({
        "id": ids.given_or_new(options.session.as_ref(), &session_prefix),
        "object": "checkout.session",
        "amount_subtotal": options.amount,
        "amount_total": options.amount,
        "client_reference_id": options.click,
        "created": now_s.saturating_sub(60),
        "currency": options.currency.to_lowercase(),
        "customer": options.customer,
        "customer_details": {"email": options.email, "name": "A Buyer", "address": {"country": "US"}},
        "customer_email": null,
        "discounts": [],
        "invoice": invoice,
        "livemode": options.mode == Mode::Live,
        "metadata": {},
        "mode": if subscribes { "subscription" } else { "payment" },
        "payment_intent": payment_intent,
        "payment_status": "paid",
        "status": "complete",
        "subscription": options.subscription,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    })
}

/// A paid invoice. What it says of its subscription stood elsewhere before 2025-03-31.
fn invoice(options: &Options, ids: &Ids, now_s: u64) -> Value {
    let reason = match (&options.subscription, options.renewal) {
        (None, _) => "manual",
        (Some(_), false) => "subscription_create",
        (Some(_), true) => "subscription_cycle",
    };
    let metadata = match &options.click {
        Some(click) => json!({"aff_click_id": click}),
        None => json!({}),
    };
    let mut invoice = json!({
        "id": ids.given_or_new(options.invoice.as_ref(), "in"),
        "object": "invoice",
        "amount_due": options.amount,
        "amount_paid": options.amount,
        "amount_remaining": 0,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": now_s.saturating_sub(60),
        "currency": options.currency.to_lowercase(),
        "customer": ids.given_or_new(options.customer.as_ref(), "cus"),
        "customer_email": options.email,
        "discounts": [],
        "livemode": options.mode == Mode::Live,
        "metadata": {},
        "status": "paid",
        "status_transitions": {"finalized_at": now_s.saturating_sub(30), "paid_at": now_s},
        "subtotal": options.amount,
        "total": options.amount,
    });
    match (&options.subscription, options.old_shape) {
        (None, _) => invoice["metadata"] = metadata,
        (Some(subscription), false) => {
            let details = json!({"subscription": subscription, "metadata": metadata});
            invoice["parent"] =
                json!({"type": "subscription_details", "quote_details": null, "subscription_details": details});
        }
        (Some(subscription), true) => {
            invoice["subscription"] = json!(subscription);
            invoice["subscription_details"] = json!({"metadata": metadata});
        }
    }
    if options.old_shape {
        invoice["paid"] = json!(true);
        invoice["tax"] = json!(null);
        invoice["payment_intent"] = json!(ids.given_or_new(options.payment_intent.as_ref(), "pi"));
        invoice["charge"] = json!(ids.make("ch"));
    } else {
        invoice["total_taxes"] = json!([]);
    }
    invoice
}

#[cfg(test)]
mod tests {
    use super::*;

    use clap::{Args, FromArgMatches};
    use domain::fact::StripeFact;

    fn facts(line: &str) -> Vec<StripeFact> {
        let command = Options::augment_args(clap::Command::new("stripe").no_binary_name(true));
        let options = Options::from_arg_matches(&command.get_matches_from(line.split(' '))).unwrap();
        let event = event(&options, &Ids::new(7), 1_800_000_000);
        match stripe::event::read(event.to_string().as_bytes(), &|_| None).unwrap().reading {
            stripe::event::Reading::Facts(facts) => facts,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_ingress_reads_every_event_that_is_sent() {
        let click = "0e3f2c1a-7b6d-4e5f-8a9b-0c1d2e3f4a5b";
        let check = |line: &str, expected: &str| {
            let facts = format!("{:?}", facts(&line.replace("CLICK", click)));
            assert!(facts.contains(expected), "{line}: {facts}");
            assert!(facts.contains(click) == line.contains("CLICK"), "{line}: {facts}");
        };
        check("checkout.session.completed --click CLICK --amount 1234", "amount: 1234");
        check("checkout.session.completed --subscription sub_1 --click CLICK", "subscription: Some(\"sub_1\")");
        check("invoice.paid --subscription sub_1 --click CLICK", "SubscriptionCreate");
        check("invoice.paid --subscription sub_1 --click CLICK --old-shape", "subscription: Some(\"sub_1\")");
        check("invoice.paid --subscription sub_1 --renewal", "SubscriptionCycle");
        check("invoice.paid --click CLICK --invoice in_1", "invoice: \"in_1\"");
    }
}
