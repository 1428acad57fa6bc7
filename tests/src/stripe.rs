//! Stripe's side: events in the shapes of its API, signed by its official library for Node.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use crate::client::{Answer, Client, text};
use crate::time::now;

/// A Stripe account that sends events to one connection.
pub struct Stripe {
    library: Child,
    to_library: ChildStdin,
    from_library: BufReader<ChildStdout>,
    client: Client,
    path: String,
    secret: String,
}

impl Stripe {
    /// Of a connection as `dev.json` describes it: `{"url", "secret"}`.
    pub fn start(origin: &str, connection: &Value) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let mut library = Command::new("node")
            .arg(folder.join("sign.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Node was not found")?;
        let (to_library, from_library) = library.stdin.take().zip(library.stdout.take()).context("no pipes")?;
        let url = text(connection, "url")?;
        let path = url.strip_prefix(origin).ok_or_else(|| anyhow!("{url} is not at {origin}"))?;
        Ok(Self {
            library,
            to_library,
            from_library: BufReader::new(from_library),
            client: Client::new(origin),
            path: path.to_owned(),
            secret: text(connection, "secret")?.to_owned(),
        })
    }

    /// Sends an event, signed now: each delivery has a signature of its own.
    pub fn send(&mut self, event: &Value) -> Result<Answer> {
        let payload = event.to_string();
        let signature = self.sign(&payload)?;
        let headers = [("content-type", "application/json"), ("stripe-signature", signature.as_str())];
        self.client.send("POST", &self.path, &headers, &payload)
    }

    /// The `Stripe-Signature` of a body.
    pub fn sign(&mut self, payload: &str) -> Result<String> {
        writeln!(self.to_library, "{}", json!({"payload": payload, "secret": self.secret}))?;
        let mut line = String::new();
        self.from_library.read_line(&mut line)?;
        ensure!(
            line.starts_with("t="),
            "Stripe's library gave no signature. Run `npm ci --ignore-scripts` in tests/clients"
        );
        Ok(line.trim().to_owned())
    }

    /// Where events go, below the origin.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        let _ = self.library.kill();
        let _ = self.library.wait();
    }
}

/// An event around an object, in the newest shape unless the object is of an older one.
fn event(name: &str, kind: &str, api_version: &str, object: Value) -> Result<Value> {
    Ok(json!({
        "id": format!("evt_{name}"), "object": "event", "api_version": api_version, "created": now()?.as_secs(),
        "data": {"object": object}, "livemode": false, "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null}, "type": kind,
    }))
}

const NEW: &str = "2026-08-26.dahlia";
const OLD: &str = "2024-06-20";

/// `checkout.session.completed` of a single payment. `name` makes its ids, `click` is its `client_reference_id`.
pub fn session(name: &str, click: &str, amount: u64) -> Result<Value> {
    let mut object = any_session(name, click, amount)?;
    object["mode"] = json!("payment");
    object["payment_intent"] = json!(format!("pi_{name}"));
    event(&format!("cs_{name}"), "checkout.session.completed", NEW, object)
}

/// `checkout.session.completed` of a subscription, which names its first invoice.
pub fn subscription_session(name: &str, click: &str, amount: u64, old_shape: bool) -> Result<Value> {
    let mut object = any_session(name, click, amount)?;
    object["mode"] = json!("subscription");
    object["subscription"] = json!(format!("sub_{name}"));
    object["invoice"] = json!(format!("in_{name}"));
    object["customer"] = json!(format!("cus_{name}"));
    let version = if old_shape { OLD } else { NEW };
    event(&format!("cs_{name}"), "checkout.session.completed", version, object)
}

fn any_session(name: &str, click: &str, amount: u64) -> Result<Value> {
    Ok(json!({
        "id": format!("cs_test_{name}"), "object": "checkout.session", "amount_subtotal": amount, "amount_total": amount,
        "client_reference_id": click, "created": now()?.as_secs() - 60, "currency": "usd", "customer": null,
        "customer_details": {"email": "buyer@example.com", "name": "A Buyer", "address": {"country": "US"}},
        "customer_email": null, "discounts": [], "invoice": null, "livemode": false, "metadata": {},
        "payment_intent": null, "payment_status": "paid", "status": "complete", "subscription": null,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
    }))
}

/// `invoice.paid` of the same subscription's first payment. What it says of its subscription stood elsewhere before 2025-03-31.
pub fn invoice(name: &str, amount: u64, old_shape: bool) -> Result<Value> {
    let now_s = now()?.as_secs();
    let mut object = json!({
        "id": format!("in_{name}"), "object": "invoice", "amount_due": amount, "amount_paid": amount, "amount_remaining": 0,
        "billing_reason": "subscription_create", "collection_method": "charge_automatically", "created": now_s - 60,
        "currency": "usd", "customer": format!("cus_{name}"), "customer_email": "buyer@example.com", "discounts": [],
        "livemode": false, "metadata": {}, "status": "paid",
        "status_transitions": {"finalized_at": now_s - 30, "paid_at": now_s}, "subtotal": amount, "total": amount,
    });
    let subscription = format!("sub_{name}");
    if old_shape {
        object["subscription"] = json!(subscription);
        object["subscription_details"] = json!({"metadata": {}});
        object["paid"] = json!(true);
        object["tax"] = Value::Null;
        object["payment_intent"] = json!(format!("pi_{name}"));
        object["charge"] = json!(format!("ch_{name}"));
    } else {
        let details = json!({"subscription": subscription, "metadata": {}});
        object["parent"] =
            json!({"type": "subscription_details", "quote_details": null, "subscription_details": details});
        object["total_taxes"] = json!([]);
    }
    event(&format!("in_{name}"), "invoice.paid", if old_shape { OLD } else { NEW }, object)
}

/// `charge.updated` of a single payment: names the balance transaction `txn_{name}`, whose fee only the API tells.
pub fn charge_updated(name: &str, amount: u64) -> Result<Value> {
    let object = json!({
        "id": format!("ch_{name}"), "object": "charge", "amount": amount, "amount_captured": amount, "amount_refunded": 0,
        "balance_transaction": format!("txn_{name}"), "captured": true, "created": now()?.as_secs() - 60,
        "currency": "usd", "customer": null, "livemode": false, "metadata": {}, "paid": true,
        "payment_intent": format!("pi_{name}"), "refunded": false, "status": "succeeded",
    });
    event(&format!("ch_{name}"), "charge.updated", NEW, object)
}
