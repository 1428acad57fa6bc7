//! `cargo xtask listen`: forwards the running `cargo xtask dev`'s events to a receiver on this machine, and prints what became of
//! each, as Stripe's command line does. An endpoint in test mode does the work; what is printed is its log.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::http::Client;

/// How often the log is looked at. Well under the limit of requests.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody has pressed Ctrl-C.
const STOP_WITHIN: Duration = Duration::from_millis(100);
/// Deliveries that are looked at: an attempt at an older one is not printed.
const DELIVERIES: usize = 100;

/// What `cargo xtask listen` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Where to post events, such as http://localhost:3000/webhooks
    #[arg(long, value_name = "URL")]
    forward_to: String,
    /// Which events, comma-separated, such as conversion.created,payout.paid; all of them without
    #[arg(long, value_delimiter = ',', default_value = "*", hide_default_value = true)]
    events: Vec<String>,
}

/// Runs until Ctrl-C, and then removes the endpoint that it made.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let path = root.join(".selgeo").join("dev.json");
    let dev = fs::read_to_string(&path).with_context(|| {
        format!("{} cannot be read. Start `cargo xtask dev` first, and leave it running", path.display())
    })?;
    let dev: Value = serde_json::from_str(&dev)?;
    let is_over = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, is_over.clone())?;
    }
    let server = Server {
        client: Client::new(),
        origin: text(&dev, "/url")?.to_owned(),
        bearer: format!("Bearer {}", text(&dev, "/keys/sk_test")?),
    };
    let endpoint = server.endpoint(&url(&options.forward_to), &options.events)?;
    println!("{}", welcome(&endpoint));
    let listened = listen(&server, &endpoint, &is_over);
    if endpoint.is_ours {
        let removed = server.delete(&endpoint.id);
        return listened.and(removed.context("the endpoint that was made for this could not be removed"));
    }
    listened
}

/// As a person writes it: the scheme may be left out.
fn url(given: &str) -> String {
    if given.contains("://") { given.to_owned() } else { format!("http://{given}") }
}

fn welcome(endpoint: &Endpoint) -> String {
    let secret = match &endpoint.secret {
        Some(secret) => format!("Signing secret: {secret}"),
        None => "There is an endpoint with this URL already; its events and its signing secret are as it was made."
            .to_owned(),
    };
    format!("Forwarding to {} ({})\n{secret}\nCtrl-C stops it.\n", endpoint.url, endpoint.id)
}

struct Server {
    client: Client,
    origin: String,
    bearer: String,
}

struct Endpoint {
    id: String,
    url: String,
    /// Told to whoever makes it, and to nobody after.
    secret: Option<String>,
    is_ours: bool,
}

impl Server {
    /// The one that goes there already, or a new one.
    fn endpoint(&self, url: &str, events: &[String]) -> Result<Endpoint> {
        let known = self.ask("GET", "webhook-endpoints?limit=100", None)?;
        // The server spells URLs as browsers do: http://localhost:3000 gets a slash.
        let is_it =
            |known: &&Value| known["url"].as_str().is_some_and(|known| known == url || known == format!("{url}/"));
        if let Some(known) = known["data"].as_array().and_then(|all| all.iter().find(is_it)) {
            // Left by a run whose server went away, or made by hand: it may have been disabled since.
            let path = format!("webhook-endpoints/{}", text(known, "/id")?);
            self.ask("POST", &format!("{path}/enable"), Some(&json!({})))?;
            let known = self.ask("PATCH", &path, Some(&json!({"events": events})))?;
            return Endpoint::read(&known, false);
        }
        Endpoint::read(&self.ask("POST", "webhook-endpoints", Some(&json!({"url": url, "events": events})))?, true)
    }

    /// Newest first.
    fn deliveries(&self, endpoint: &Endpoint) -> Result<Vec<Value>> {
        let path = format!("webhook-deliveries?endpoint_id={}&limit={DELIVERIES}", endpoint.id);
        match self.ask("GET", &path, None)?["data"].take() {
            Value::Array(deliveries) => Ok(deliveries),
            other => Err(anyhow!("no list of deliveries but {other}")),
        }
    }

    fn delete(&self, id: &str) -> Result<()> {
        self.ask("DELETE", &format!("webhook-endpoints/{id}"), None).map(drop)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let url = format!("{}/api/v1/{path}", self.origin);
        let headers = [("authorization", self.bearer.as_str())];
        let answer = match (method, body) {
            ("POST", Some(body)) => self.client.post(&url, &headers, &body.to_string()),
            ("PATCH", Some(body)) => self.client.patch(&url, &headers, &body.to_string()),
            ("DELETE", _) => self.client.delete(&url, &headers),
            _ => self.client.get(&url, &headers),
        };
        let answer = answer.context("is `cargo xtask dev` running?")?;
        match answer.status {
            204 => Ok(Value::Null),
            200 | 201 => Ok(serde_json::from_str(&answer.body)?),
            status => bail!("{method} {url} answered {status}: {}", answer.body),
        }
    }
}

impl Endpoint {
    fn read(shown: &Value, is_ours: bool) -> Result<Self> {
        Ok(Self {
            id: text(shown, "/id")?.to_owned(),
            url: text(shown, "/url")?.to_owned(),
            secret: shown["secret"].as_str().map(str::to_owned),
            is_ours,
        })
    }
}

fn listen(server: &Server, endpoint: &Endpoint, is_over: &AtomicBool) -> Result<()> {
    let mut log = Log::default();
    if !endpoint.is_ours {
        // What was sent before is no news.
        log.news(&server.deliveries(endpoint)?);
    }
    while !is_over.load(Ordering::Relaxed) {
        for line in log.news(&server.deliveries(endpoint)?) {
            println!("{line}");
        }
        io::stdout().flush()?;
        let mut slept = Duration::ZERO;
        while slept < LOOK_EVERY && !is_over.load(Ordering::Relaxed) {
            thread::sleep(STOP_WITHIN);
            slept += STOP_WITHIN;
        }
    }
    Ok(())
}

/// Which attempts have been printed: how many of each delivery.
#[derive(Default)]
struct Log(HashMap<String, usize>);

impl Log {
    /// A line for each attempt that was not there before, oldest first.
    fn news(&mut self, deliveries: &[Value]) -> Vec<String> {
        let mut lines: Vec<(String, String)> = Vec::new();
        let mut seen = HashMap::new();
        for delivery in deliveries {
            let id = delivery["id"].as_str().unwrap_or_default();
            let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
            let known = self.0.get(id).copied().unwrap_or(0);
            for attempt in attempts.iter().skip(known) {
                lines.push((attempt["at"].as_str().unwrap_or_default().to_owned(), line(delivery, attempt)));
            }
            seen.insert(id.to_owned(), attempts.len());
        }
        // Those that are no longer looked at are forgotten.
        self.0 = seen;
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

fn line(delivery: &Value, attempt: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let outcome = match attempt["status"].as_u64() {
        Some(status) => format!("[{status}]"),
        None => format!("[{}]", text(&attempt["error"])),
    };
    let again = match delivery["next_attempt_at"].as_str() {
        Some(at) => format!(", again at {at}"),
        None => String::new(),
    };
    let (kind, event, number) =
        (text(&delivery["type"]), text(&delivery["event_id"]), attempt["number"].as_u64().unwrap_or(0));
    let number = if number > 1 { format!(", attempt {number}") } else { String::new() };
    let (at, took) = (text(&attempt["at"]), attempt["duration_ms"].as_u64().unwrap_or(0));
    format!("{at}  {outcome} {kind} {event} ({took} ms{number}{again})")
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| anyhow!("no text at {pointer} in {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: &str, attempts: Value, next: Value) -> Value {
        json!({
            "id": id, "type": "conversion.created", "event_id": "evt_1", "attempts": attempts, "next_attempt_at": next,
        })
    }

    #[test]
    fn each_attempt_is_printed_once_in_the_order_of_time() {
        let attempt = |number: u64, at: &str, status: Value, error: Value| json!({"number": number, "at": at, "duration_ms": 12, "status": status, "error": error});
        let first = attempt(1, "2026-11-25T08:00:00Z", json!(200), Value::Null);
        let failed = attempt(1, "2026-11-25T08:00:01Z", Value::Null, json!("timed out"));
        let again = attempt(2, "2026-11-25T08:00:06Z", json!(204), Value::Null);
        let mut log = Log::default();
        let next = json!("2026-11-25T08:00:06Z");
        let before = [delivery("whd_2", json!([failed]), next), delivery("whd_1", json!([first]), Value::Null)];
        assert_eq!(
            log.news(&before),
            [
                "2026-11-25T08:00:00Z  [200] conversion.created evt_1 (12 ms)",
                "2026-11-25T08:00:01Z  [timed out] conversion.created evt_1 (12 ms, again at 2026-11-25T08:00:06Z)",
            ]
        );
        assert_eq!(log.news(&before), [""; 0]);
        let after = [delivery("whd_2", json!([failed, again]), Value::Null), before[1].clone()];
        assert_eq!(log.news(&after), ["2026-11-25T08:00:06Z  [204] conversion.created evt_1 (12 ms, attempt 2)"]);
    }

    #[test]
    fn the_scheme_may_be_left_out() {
        assert_eq!(url("localhost:3000/hooks"), "http://localhost:3000/hooks");
        assert_eq!(url("http://127.0.0.1:3000"), "http://127.0.0.1:3000");
    }
}
