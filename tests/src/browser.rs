//! A real browser, spoken to over WebDriver.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::engine::{Driver, Engine};

/// How often, and how many times, a page is looked at until it is as it should be: ten seconds.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 200;

/// A browser with one tab and nothing remembered. It ends with this value.
pub struct Browser {
    /// `http://127.0.0.1:PORT/session/ID`.
    session: String,
    engine: Engine,
    _driver: Driver,
    _home: TempDir,
}

impl Browser {
    /// Starts a browser of an engine.
    pub fn start(engine: Engine) -> Result<Self> {
        let home = TempDir::new()?;
        let driver = Driver::start(engine, home.path()).context(engine.needs())?;
        let capabilities = json!({"capabilities": {"alwaysMatch": engine.capabilities(home.path())?}});
        let opened = post(&format!("{}/session", driver.url), &capabilities).context(engine.needs())?;
        let id = opened.get("sessionId").and_then(Value::as_str).context("the driver opened no session")?;
        let session = format!("{}/session/{id}", driver.url);
        Ok(Self { session, engine, _driver: driver, _home: home })
    }

    /// Which engine this is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Goes to a page and waits until it is loaded.
    pub fn go(&self, url: &str) -> Result<()> {
        post(&format!("{}/url", self.session), &json!({"url": url})).map(drop)
    }

    /// Loads the page again.
    pub fn reload(&self) -> Result<()> {
        post(&format!("{}/refresh", self.session), &json!({})).map(drop)
    }

    /// Goes back in the tab's history.
    pub fn back(&self) -> Result<()> {
        post(&format!("{}/back", self.session), &json!({})).map(drop)
    }

    /// Goes forward in the tab's history.
    pub fn forward(&self) -> Result<()> {
        post(&format!("{}/forward", self.session), &json!({})).map(drop)
    }

    /// Runs a function body in the page, with `arguments`, and gives what it returns. What it leaves for the page it has to set
    /// on `window`: Firefox keeps bare names for the driver's scripts.
    pub fn run(&self, script: &str, arguments: &Value) -> Result<Value> {
        let body = json!({"script": script, "args": arguments});
        post(&format!("{}/execute/sync", self.session), &body)
    }

    /// The same with a function body that is over when it calls its last argument; gives what that is called with.
    pub fn run_async(&self, script: &str, arguments: &Value) -> Result<Value> {
        let body = json!({"script": script, "args": arguments});
        post(&format!("{}/execute/async", self.session), &body)
    }

    /// The page's cookie of that name, as the driver tells it.
    pub fn cookie(&self, name: &str) -> Result<Value> {
        let mut response = ureq::get(&format!("{}/cookie/{name}", self.session)).call()?;
        let mut answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
        Ok(answer["value"].take())
    }

    /// Gives Chromium a command of its developer tools' protocol, and gives what it answers.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        post(&format!("{}/goog/cdp/execute", self.session), &json!({"cmd": command, "params": parameters}))
    }

    /// Clicks, as a person would, on the first element that the selector finds.
    pub fn click(&self, selector: &str) -> Result<()> {
        post(&format!("{}/click", self.element(selector)?), &json!({})).map(drop)
    }

    /// Types, as a person would, into the first element that the selector finds.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        post(&format!("{}/value", self.element(selector)?), &json!({"text": text})).map(drop)
    }

    /// The visible text of the first element that the selector finds. No script runs in the page for it.
    pub fn text(&self, selector: &str) -> Result<String> {
        let text = get(&format!("{}/text", self.element(selector)?))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// The address of the page. No script runs in the page for it.
    pub fn address(&self) -> Result<String> {
        Ok(get(&format!("{}/url", self.session))?.as_str().unwrap_or_default().to_owned())
    }

    fn element(&self, selector: &str) -> Result<String> {
        let found = post(&format!("{}/element", self.session), &json!({"using": "css selector", "value": selector}))?;
        let element = found.as_object().and_then(|object| object.values().next());
        let element = element.and_then(Value::as_str).ok_or_else(|| anyhow!("no {selector}"))?;
        Ok(format!("{}/element/{element}", self.session))
    }

    /// Waits until a function body returns something true, and gives it. A page may be on its way out while it is asked.
    pub fn until(&self, script: &str, arguments: &Value) -> Result<Value> {
        let mut last = Ok(Value::Null);
        for _ in 0..LOOKS_MAX {
            last = self.run(script, arguments);
            match &last {
                Ok(Value::Null | Value::Bool(false)) | Err(_) => thread::sleep(LOOK_EVERY),
                Ok(found) => return Ok(found.clone()),
            }
        }
        let page = self.run("return location.href + '\\n' + document.body.innerText", &json!([]));
        bail!("never came true: {script} {arguments}, at last {last:?} on {page:?}")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session first: it takes the browser's processes with it. The driver ends after this.
        let _ = ureq::delete(&self.session).call();
    }
}

/// One question.
fn get(url: &str) -> Result<Value> {
    let mut response = ureq::get(url).config().http_status_as_error(false).build().call()?;
    let mut answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    if !response.status().is_success() {
        bail!("{url}: {}", answer["value"]["message"]);
    }
    Ok(answer["value"].take())
}

/// One command. What the driver refuses is an error with its words.
fn post(url: &str, body: &Value) -> Result<Value> {
    let request = ureq::post(url).config().http_status_as_error(false).build();
    let mut response = request.send(body.to_string())?;
    let mut answer: Value = serde_json::from_str(&response.body_mut().read_to_string()?)?;
    if !response.status().is_success() {
        bail!("{url}: {}", answer["value"]["message"]);
    }
    Ok(answer["value"].take())
}
