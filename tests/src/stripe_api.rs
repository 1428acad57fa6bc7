//! Stripe's API on this machine: a server that answers in its shapes what the Worker asks with a merchant's key. It knows
//! balance transactions, and the events that could not be delivered, page by page.

use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};
use url::Url;

/// An account's API, served until this value ends.
pub struct StripeApi {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    account: Arc<Mutex<Account>>,
    url: String,
}

/// What the account holds.
#[derive(Default)]
struct Account {
    key: String,
    balance_transactions: Vec<Value>,
    undelivered: Vec<Value>,
    asked: Vec<String>,
}

impl StripeApi {
    /// Serves an empty account, to whoever has this key.
    pub fn start(key: &str) -> Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port for Stripe's API: {error}"))?;
        let port = server.server_addr().to_ip().map_or(0, |address| address.port());
        let server = Arc::new(server);
        let account = Arc::new(Mutex::new(Account { key: key.to_owned(), ..Account::default() }));
        let (served, known) = (server.clone(), account.clone());
        let thread = thread::spawn(move || {
            for request in served.incoming_requests() {
                let response = known.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
                // A Worker that has gone away is no matter.
                let _ = request.respond(response);
            }
        });
        Ok(Self { server, thread: Some(thread), account, url: format!("http://127.0.0.1:{port}") })
    }

    /// What `STRIPE_API_BASE` is to be.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account's newest balance transaction.
    pub fn add_balance_transaction(&self, id: &str, fee: i64, currency: &str) {
        let transaction = json!({
            "id": id, "object": "balance_transaction", "amount": 10_000, "available_on": 1_790_000_000,
            "created": 1_780_000_000, "currency": currency, "exchange_rate": null, "fee": fee, "fee_details": [],
            "net": 10_000 - fee, "reporting_category": "charge", "status": "available", "type": "charge",
        });
        self.with(|account| account.balance_transactions.push(transaction));
    }

    /// An event that could not be delivered; the last one added is the newest.
    pub fn add_undelivered(&self, event: &Value) {
        self.with(|account| account.undelivered.insert(0, event.clone()));
    }

    /// The paths that were asked for so far, with their queries.
    pub fn asked(&self) -> Vec<String> {
        self.with(|account| account.asked.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Account) -> T) -> T {
        work(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for StripeApi {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Account {
    fn answer(&mut self, request: &Request) -> Response<Cursor<Vec<u8>>> {
        self.asked.push(request.url().to_owned());
        let bearer = format!("Bearer {}", self.key);
        let is_known = request
            .headers()
            .iter()
            .any(|header| header.field.equiv("authorization") && header.value.as_str() == bearer);
        let (status, body) = match Url::parse(&format!("http://stripe{}", request.url())) {
            _ if !is_known => error(401, "Invalid API Key provided."),
            Ok(url) if *request.method() == Method::Get => self.read(&url),
            _ => error(404, "Unrecognized request URL."),
        };
        let mut response = Response::from_string(body.to_string()).with_status_code(status);
        if let Ok(header) = Header::from_bytes("content-type", "application/json") {
            response.add_header(header);
        }
        response
    }

    fn read(&self, url: &Url) -> (u16, Value) {
        let segments: Vec<&str> = url.path().trim_matches('/').split('/').collect();
        match segments[..] {
            ["v1", "balance_transactions", id] => {
                let found = self.balance_transactions.iter().find(|transaction| transaction["id"] == id);
                found.map_or_else(|| error(404, "No such balance transaction."), |found| (200, found.clone()))
            }
            ["v1", "events"] => self.events(url),
            ["v1", "invoice_payments"] | ["v1", "checkout", "sessions"] => {
                (200, json!({"object": "list", "url": url.path(), "has_more": false, "data": []}))
            }
            _ => error(404, "Unrecognized request URL."),
        }
    }

    fn events(&self, url: &Url) -> (u16, Value) {
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        if value("delivery_success").as_deref() != Some("false") {
            return error(400, "This test asks for undelivered events only.");
        }
        let limit = value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10_usize);
        let from = match value("starting_after") {
            None => Some(0),
            Some(id) => self.undelivered.iter().position(|event| event["id"] == id).map(|place| place + 1),
        };
        let Some(rest) = from.and_then(|from| self.undelivered.get(from..)) else {
            return error(400, "No such event.");
        };
        let page: Vec<&Value> = rest.iter().take(limit).collect();
        (200, json!({"object": "list", "url": "/v1/events", "has_more": rest.len() > page.len(), "data": page}))
    }
}

fn error(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"error": {"type": "invalid_request_error", "message": message}}))
}
