//! A real browser, headless Chromium, spoken to over WebDriver.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::time::wait_for;

/// How often, and how many times, a page is looked at until it is as it should be: ten seconds.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 200;
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// A browser with one tab and nothing remembered. It ends with this value.
pub struct Browser {
    driver: Child,
    /// `http://127.0.0.1:PORT/session/ID`.
    session: String,
    /// The network log, as far as it was read and is not yet told.
    seen: Vec<Value>,
    barriers: u32,
    _profile: TempDir,
}

/// A request for a click, as the browser's network log has it.
#[derive(Debug)]
pub struct Click {
    /// Where it went.
    pub url: String,
    /// What it sent.
    pub body: Value,
}

impl Browser {
    /// Starts a browser.
    pub fn start() -> Result<Self> {
        let profile = TempDir::new()?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("chromedriver could not be started. On Debian: `apt-get install chromium chromium-driver`")?;
        let session = driver_url(&mut driver).and_then(|url| open(&url, &profile));
        match session {
            Ok(session) => Ok(Self { driver, session, seen: Vec::new(), barriers: 0, _profile: profile }),
            Err(error) => {
                driver.kill()?;
                driver.wait()?;
                Err(error)
            }
        }
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

    /// Runs a function body in the page, with `arguments`, and gives what it returns.
    pub fn run(&self, script: &str, arguments: &Value) -> Result<Value> {
        let body = json!({"script": script, "args": arguments});
        post(&format!("{}/execute/sync", self.session), &body)
    }

    /// Runs a function body whose last argument is the function that it gives its result to.
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
        let found = post(&format!("{}/element", self.session), &json!({"using": "css selector", "value": selector}))?;
        let element = found.as_object().and_then(|object| object.values().next());
        let element = element.and_then(Value::as_str).ok_or_else(|| anyhow!("no {selector}"))?;
        post(&format!("{}/element/{element}/click", self.session), &json!({})).map(drop)
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

    /// The requests for clicks since this was last asked, answered and dealt with by the page.
    ///
    /// There is no moment at which a request that never comes has not come. So the page is made to ask for a picture: what
    /// was asked for before stands before it in the log, and what was answered before has reached the page before it.
    pub fn clicks(&mut self) -> Result<Vec<Click>> {
        wait_for("the answers to clicks", ANSWERED_WITHIN, || {
            self.barrier()?;
            let all_over = self.seen.iter().filter(|entry| is_click(entry)).all(|request| {
                let id = &request["params"]["requestId"];
                self.seen.iter().any(|entry| is_end(entry) && entry["params"]["requestId"] == *id)
            });
            Ok(all_over.then_some(()))
        })?;
        self.barrier()?;
        let click = |entry: Value| {
            let request = &entry["params"]["request"];
            Click {
                url: request["url"].as_str().unwrap_or("").to_owned(),
                body: serde_json::from_str(request["postData"].as_str().unwrap_or("")).unwrap_or_default(),
            }
        };
        Ok(self.seen.drain(..).filter(is_click).map(click).collect())
    }

    fn barrier(&mut self) -> Result<()> {
        self.barriers += 1;
        let picture = format!("/barrier-{}", self.barriers);
        let script = "const [path, done] = arguments, picture = new Image();
            picture.onload = picture.onerror = () => done();
            picture.src = path;";
        let body = json!({"script": script, "args": [picture]});
        post(&format!("{}/execute/async", self.session), &body)?;
        wait_for("the browser's network log", ANSWERED_WITHIN, || {
            let log = post(&format!("{}/se/log", self.session), &json!({"type": "performance"}))?;
            for entry in log.as_array().into_iter().flatten() {
                let mut entry: Value = serde_json::from_str(entry["message"].as_str().unwrap_or("null"))?;
                self.seen.push(entry["message"].take());
            }
            let is_there = |entry: &Value| requested(entry).is_some_and(|url| url.ends_with(&picture));
            Ok(self.seen.iter().any(is_there).then_some(()))
        })
    }
}

/// The address, if this entry of the network log is a request.
fn requested(entry: &Value) -> Option<&str> {
    (entry["method"] == "Network.requestWillBeSent").then_some(entry["params"]["request"]["url"].as_str()?)
}

fn is_click(entry: &Value) -> bool {
    requested(entry).is_some_and(|url| url.split(['?', '#']).next().unwrap_or("").ends_with("/v1/clicks"))
}

fn is_end(entry: &Value) -> bool {
    ["Network.loadingFinished", "Network.loadingFailed"].iter().any(|end| entry["method"] == *end)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session first: it takes the browser's processes with it. What cannot be ended here ends with the tests.
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Where the driver listens, which it tells on standard output.
fn driver_url(driver: &mut Child) -> Result<String> {
    // Left in `driver`: a program whose output nobody can read any more may end at its next word.
    let stdout = driver.stdout.as_mut().context("the driver has no standard output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            return Ok(format!("http://127.0.0.1:{}", port.trim_end_matches('.')));
        }
    }
    bail!("chromedriver ended before it listened")
}

fn open(driver: &str, profile: &TempDir) -> Result<String> {
    let profile_argument = format!("--user-data-dir={}", profile.path().display());
    let mut arguments = vec![
        "--headless=new",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        profile_argument.as_str(),
    ];
    // The owner of what we have just made is who we are: Chromium refuses root its sandbox.
    if fs::metadata(profile.path())?.uid() == 0 {
        arguments.push("--no-sandbox");
    }
    let capabilities = json!({"capabilities": {"alwaysMatch": {
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"performance": "ALL"},
    }}});
    let opened = post(&format!("{driver}/session"), &capabilities)?;
    let id = opened.get("sessionId").and_then(Value::as_str);
    Ok(format!("{driver}/session/{}", id.context("the driver opened no session")?))
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
