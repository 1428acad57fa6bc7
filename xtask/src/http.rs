//! The few HTTP calls that commands make, to the local server and to a deployment.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client. Every status is an answer, not an error.
pub struct Client(ureq::Agent);

/// An answer, read whole.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Client {
    /// A client that goes straight to the local server, whatever proxies the environment names.
    pub fn new() -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(TIMEOUT)).proxy(None).build();
        Self(config.new_agent())
    }

    /// Posts a JSON body that is already text, with further headers.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        if url.starts_with("https://") {
            return by_curl(url, &[headers, &[("content-type", "application/json")]].concat(), Some(body));
        }
        let mut request = self.0.post(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(url, request.send(body))
    }

    /// Changes, with a JSON body that is already text.
    pub fn patch(&self, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        let mut request = self.0.patch(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(url, request.send(body))
    }

    /// Gets, with further headers.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        if url.starts_with("https://") {
            return by_curl(url, headers, None);
        }
        let request = headers.iter().fold(self.0.get(url), |request, (name, value)| request.header(*name, *value));
        Answer::read(url, request.call())
    }

    /// Deletes, with further headers.
    pub fn delete(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let request = headers.iter().fold(self.0.delete(url), |request, (name, value)| request.header(*name, *value));
        Answer::read(url, request.call())
    }

    /// Posts an object with a Bearer token, and expects 201 with an object.
    pub fn create(&self, url: &str, token: &str, body: &Value) -> Result<Value> {
        let made = self.create_unless_there(url, token, body)?;
        made.with_context(|| format!("POST {url} answered 409: {body} is there already"))
    }

    /// The same, but 409 is nothing made.
    pub fn create_unless_there(&self, url: &str, token: &str, body: &Value) -> Result<Option<Value>> {
        let bearer = format!("Bearer {token}");
        let answer = self.post(url, &[("authorization", bearer.as_str())], &body.to_string())?;
        match answer.status {
            201 => {
                let made = serde_json::from_str(&answer.body);
                made.with_context(|| format!("POST {url} answered no JSON: {}", answer.body))
            }
            409 => Ok(None),
            status => bail!("POST {url} answered {status}: {}", answer.body),
        }
    }
}

/// Asks a deployment. `curl` has TLS and knows this machine's proxies and certificates; the client above needs neither. What is
/// secret goes in by its standard input, where no list of processes shows it.
fn by_curl(url: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Answer> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let mut config = format!("url = {}\n", quoted(url));
    for (name, value) in headers {
        config += &format!("header = {}\n", quoted(&format!("{name}: {value}")));
    }
    if let Some(body) = body {
        config += &format!("data-binary = {}\n", quoted(body));
    }
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}", "--config", "-"]);
    curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut running = curl.spawn().context("curl could not be started: it is what asks an https address")?;
    if let Some(mut stdin) = running.stdin.take() {
        stdin.write_all(config.as_bytes())?;
    }
    let output = running.wait_with_output()?;
    if !output.status.success() {
        bail!("{url} could not be reached");
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("{url} answered no text"))?;
    let (body, status) = text.rsplit_once('\n').context("curl told no status")?;
    Ok(Answer { status: status.parse()?, body: body.to_owned() })
}

impl Answer {
    fn read(url: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Self> {
        let mut response = response.with_context(|| format!("{url} could not be reached"))?;
        let body = response.body_mut().read_to_string().with_context(|| format!("{url} broke off its answer"))?;
        let status = response.status().as_u16();
        Ok(Self { status, body })
    }
}
