//! One run of wrk.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/worker/load.lua");
/// A run that ends by itself ends before this.
const SECONDS_MAX: u64 = 300;
/// An answer is half a request away, and the answer's own time is a guess: somewhat more than when answers come one by one.
const ANSWER_IN_SERVICE_TIMES: f64 = 1.5;

/// A request, in which a body's `{n}` may stand for a number.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    /// With its query.
    pub path: String,
    /// One line.
    pub body: String,
    pub headers: Vec<(&'static str, String)>,
}

impl Request {
    /// A `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: String::new(), headers: Vec::new() }
    }

    /// A `POST` of JSON.
    pub fn post(path: impl Into<String>, body: impl ToString) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { method: "POST", path: path.into(), body: body.to_string(), headers }
    }

    /// The same with a header more.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// How requests repeat; `load.lua` says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    Same,
    Fresh,
    Listed,
    Once,
}

/// How wrk is to press.
#[derive(Clone, Copy)]
pub struct Pressure {
    pub seconds: u64,
    pub connections: u64,
    /// The average rest of a connection before it sends.
    pub pause_ms: f64,
}

impl Pressure {
    /// About half of what was answered without rests. wrk knows no rates: each connection rests for a random time before it
    /// sends.
    pub fn half(self, per_s: f64) -> Self {
        let interval_ms = 1_000.0 * self.connections as f64 / (per_s / 2.0);
        Self { pause_ms: (interval_ms - ANSWER_IN_SERVICE_TIMES * 1_000.0 / per_s).max(1.0), ..self }
    }
}

/// What wrk saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub requests: u64,
    pub per_s: f64,
    /// Answers of 400 and above, and requests without an answer.
    pub failed: u64,
    /// Listed requests came twice.
    pub ran_out: bool,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

/// Sends until the time is over, or all of them once.
pub fn press(origin: &str, requests: &[Request], repeat: Repeat, pressure: Pressure) -> Result<Seen> {
    let folder = TempDir::new()?;
    let file = folder.path().join("requests");
    fs::write(&file, lines(requests)?)?;
    let seconds = if repeat == Repeat::Once { SECONDS_MAX } else { pressure.seconds };
    let repeat = format!("{repeat:?}").to_lowercase();
    let mut wrk = Command::new("wrk");
    // One thread: workerd answers on one, and the machine may have no more than two processors.
    wrk.args(["--threads", "1", "--timeout", "30s", "--latency", "--script", SCRIPT])
        .args(["--connections", &pressure.connections.to_string(), "--duration", &format!("{seconds}s"), origin, "--"])
        .args([repeat.as_str(), &file.to_string_lossy(), &pressure.pause_ms.to_string()]);
    let output = wrk.stderr(Stdio::inherit()).output().context("wrk could not be started")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let line = told.lines().find_map(|line| line.strip_prefix("measured "));
    let line = line.ok_or_else(|| anyhow!("wrk did not measure: {told}"))?;
    let numbers: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let &[requests, duration_us, refused, broken, ran_out, p50_us, p99_us] = numbers.as_slice() else {
        return Err(anyhow!("wrk measured {line:?}"));
    };
    ensure!(requests > 0.0 && duration_us > 0.0, "wrk got no answer from {origin}: {told}");
    Ok(Seen {
        requests: requests as u64,
        per_s: requests * 1_000_000.0 / duration_us,
        failed: (refused + broken) as u64,
        ran_out: ran_out > 0.0,
        p50_ms: p50_us / 1_000.0,
        p99_ms: p99_us / 1_000.0,
    })
}

fn lines(requests: &[Request]) -> Result<String> {
    let mut lines = String::new();
    for Request { method, path, body, headers } in requests {
        ensure!(!body.contains(['\t', '\n']), "a body is one line without tabs: {body}");
        write!(lines, "{method}\t{path}\t{body}")?;
        for (name, value) in headers {
            write!(lines, "\t{name}\t{value}")?;
        }
        lines.push('\n');
    }
    Ok(lines)
}
