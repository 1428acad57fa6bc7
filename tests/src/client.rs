//! A plain HTTP client of the Worker. Every status is an answer, not an error.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use ureq::http;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Far more pages than any list here has.
const PAGES_MAX: usize = 1_000;

/// A client that sends a key, and keeps its connections: one for each thread.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    origin: String,
    bearer: Option<String>,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body, as it came over the wire: nothing is unpacked.
    pub bytes: Vec<u8>,
    /// The same as text.
    pub body: String,
}

impl Client {
    /// A client without a key of the server at this origin, whatever proxies the environment names.
    pub fn new(origin: impl Into<String>) -> Self {
        Self { agent: config().build().new_agent(), origin: origin.into(), bearer: None }
    }

    /// The same, but it shows where it is sent to instead of going there.
    pub fn unled(origin: impl Into<String>) -> Self {
        let config = config().max_redirects(0).max_redirects_will_error(false).build();
        Self { agent: config.new_agent(), origin: origin.into(), bearer: None }
    }

    /// The same with a key.
    pub fn with_key(mut self, key: &str) -> Self {
        self.bearer = Some(format!("Bearer {key}"));
        self
    }

    /// Gets a path, with further headers.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.send("GET", path, headers, "")
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string())
    }

    /// Sends any request. An error means that there is no whole answer: whether the request was obeyed is not known.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.origin));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let mut response = match body {
            "" => self.agent.run(request.body(())?),
            body => self.agent.run(request.body(body)?),
        }
        .with_context(|| format!("{method} {path} got no answer"))?;
        let bytes = response.body_mut().read_to_vec();
        let bytes = bytes.with_context(|| format!("{method} {path} got half an answer"))?;
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), bytes, body })
    }

    /// Every row of a list, page by page.
    pub fn list(&self, resource: &str) -> Result<Vec<Value>> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        let separator = if resource.contains('?') { '&' } else { '?' };
        for _ in 0..PAGES_MAX {
            let mut page = self.get(&format!("/api/v1/{resource}{separator}limit=100{cursor}"), &[])?.expect(200)?;
            match page["data"].take() {
                Value::Array(data) => rows.extend(data),
                other => return Err(anyhow!("{resource}: no list but {other}")),
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(rows),
            }
        }
        Err(anyhow!("{resource} has no end"))
    }

    /// Registers a click; returns its id.
    pub fn click(&self, public_key: &str, link_ref: &str) -> Result<String> {
        let body = serde_json::json!({"merchant": public_key, "ref": link_ref, "url": "https://shop.example/"});
        let made = self.post("/v1/clicks", &body)?.expect(201)?;
        text(&made, "click_id").map(str::to_owned)
    }
}

impl Answer {
    /// The body, if the status is this one.
    pub fn expect(&self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "{} instead of {status}: {}", self.status, self.body);
        self.json()
    }

    /// The body.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body)
            .with_context(|| format!("{} with a body that is not JSON: {}", self.status, self.body))
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

fn config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).proxy(None)
}

/// A text field.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value[field].as_str().ok_or_else(|| anyhow!("no text {field} in {value}"))
}
