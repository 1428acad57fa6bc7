//! The few HTTP calls that commands make to the local server.

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

impl Answer {
    fn read(url: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Self> {
        let mut response = response.with_context(|| format!("{url} could not be reached"))?;
        let body = response.body_mut().read_to_string().with_context(|| format!("{url} broke off its answer"))?;
        let status = response.status().as_u16();
        Ok(Self { status, body })
    }
}
