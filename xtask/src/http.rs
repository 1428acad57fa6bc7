//! The few HTTP calls that commands make: to the local server by themselves, to a deployment through Node, which has TLS.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::setup::{self, Tools};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client. Every status is an answer, not an error.
pub struct Client {
    plain: ureq::Agent,
    secure: Option<Node>,
}

/// What is asked over HTTPS, `dev/fetch.mjs` asks.
struct Node {
    program: PathBuf,
    script: PathBuf,
}

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
        Self { plain: config.new_agent(), secure: None }
    }

    /// A client that reaches deployments too.
    pub fn reaching_out(root: &Path, tools: &Tools) -> Self {
        let script = root.join("xtask").join("dev").join("fetch.mjs");
        Self { secure: Some(Node { program: tools.node.clone(), script }), ..Self::new() }
    }

    /// A client for this address: of a deployment, or of the local server.
    pub fn reaching(root: &Path, url: &str) -> Result<Self> {
        match url.starts_with("https://") {
            true => Ok(Self::reaching_out(root, &setup::prepare(root)?)),
            false => Ok(Self::new()),
        }
    }

    /// Posts a JSON body that is already text, with further headers.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        self.send("POST", url, headers, Some(body))
    }

    /// Changes, with a JSON body that is already text.
    pub fn patch(&self, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer> {
        self.send("PATCH", url, headers, Some(body))
    }

    /// Gets, with further headers.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.send("GET", url, headers, None)
    }

    /// Deletes, with further headers.
    pub fn delete(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.send("DELETE", url, headers, None)
    }

    fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: Option<&str>) -> Result<Answer> {
        let media_type = body.map(|_| ("content-type", "application/json"));
        let headers: Vec<(&str, &str)> = media_type.into_iter().chain(headers.iter().copied()).collect();
        if url.starts_with("https://") {
            let node = self.secure.as_ref().with_context(|| format!("{url}: only a local server is asked here"))?;
            return node.send(&json!({
                "method": method, "url": url, "body": body,
                "headers": headers.iter().map(|(name, value)| (*name, *value)).collect::<HashMap<_, _>>(),
            }));
        }
        // A key or token would go in clear text.
        if !["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|local| is_at(url, local)) {
            bail!("{url}: only a server on this machine is asked without TLS. Say https://");
        }
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let said = match body {
            Some(body) => self.plain.run(request.body(body)?),
            None => self.plain.run(request.body(())?),
        };
        Answer::read(url, said)
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

impl Node {
    fn send(&self, request: &Value) -> Result<Answer> {
        let url = request["url"].as_str().unwrap_or_default();
        let mut command = Command::new(&self.program);
        command.arg(&self.script).env("NODE_USE_ENV_PROXY", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(request.to_string().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{url} could not be reached: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let said: Value = serde_json::from_slice(&output.stdout).context("fetch.mjs printed no JSON")?;
        let status = said["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.context("fetch.mjs told no status")?;
        Ok(Answer { status, body: said["body"].as_str().unwrap_or_default().to_owned() })
    }
}

/// Whether a URL is at an origin, whatever its port.
fn is_at(url: &str, origin: &str) -> bool {
    url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
}

impl Answer {
    fn read(url: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Self> {
        let mut response = response.with_context(|| format!("{url} could not be reached"))?;
        let body = response.body_mut().read_to_string().with_context(|| format!("{url} broke off its answer"))?;
        let status = response.status().as_u16();
        Ok(Self { status, body })
    }
}
