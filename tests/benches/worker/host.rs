//! The servers that are pressed, and what their processes use.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use e2e::{Server, Timer};
use serde_json::Value;
use tempfile::TempDir;

/// Linux tells processor time to programs in hundredths of a second, whatever its own clock.
const MS_PER_TICK: u64 = 10;
const PAGE_BYTES: u64 = 4_096;
/// A server that has used less than this for so long does nothing any more; the sweep comes every five seconds.
const QUIET: Duration = Duration::from_millis(1_500);
const QUIET_MS_MAX: u64 = 75;
const QUIET_WITHIN: Duration = Duration::from_secs(180);

/// A server of ours, or of a Worker that is held against ours.
pub enum Host {
    Ours(Server),
    Reference(Reference),
}

impl Host {
    /// Its origin.
    pub fn url(&self) -> String {
        match self {
            Self::Ours(server) => server.url(),
            Self::Reference(reference) => format!("http://127.0.0.1:{}", reference.port),
        }
    }

    /// The process that answers.
    pub fn workerd(&self) -> Result<Workerd> {
        match self {
            Self::Ours(server) => server.workerd_pid().map(Workerd).context("the server does not run"),
            Self::Reference(reference) => Ok(Workerd(reference.workerd_pid)),
        }
    }

    /// Starts ours anew: a fresh isolate that remembers nothing.
    pub fn restart(&mut self) -> Result<()> {
        match self {
            Self::Ours(server) => server.restart(),
            Self::Reference(_) => bail!("references are not restarted"),
        }
    }
}

/// One of `tests/benches/references`, started by `start.mjs`.
pub struct Reference {
    child: Child,
    port: u16,
    workerd_pid: u64,
    _state: TempDir,
}

impl Reference {
    /// Starts it with empty tables.
    pub fn start(worker: &str) -> Result<Self> {
        let state = TempDir::new()?;
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("node")
            .arg(tests.join("benches").join("references").join("start.mjs"))
            .arg("--root")
            .arg(tests.join(".."))
            .arg("--state")
            .arg(state.path())
            .args(["--worker", worker])
            // Held open by `child`: when this process ends, the server does too.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Node could not be started")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let number = |name: &str| ready["ready"][name].as_u64();
        let Some((port, workerd_pid)) = number("port").zip(number("workerd_pid")) else {
            child.wait()?;
            bail!("the reference {worker} did not start. See its message above");
        };
        Ok(Self { child, port: u16::try_from(port)?, workerd_pid, _state: state })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It ends when its standard input does.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A process, by its id.
#[derive(Clone, Copy)]
pub struct Workerd(pub u64);

impl Workerd {
    /// Processor time since it was started, all threads, in the kernel too.
    pub fn cpu_ms(self) -> Result<u64> {
        let stat = self.read("stat")?;
        // The name before may hold anything, but ends with the last bracket. Then come the third field and those after it.
        let (_, fields) = stat.rsplit_once(") ").ok_or_else(|| anyhow!("{stat:?}"))?;
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        Ok(ticks.sum::<u64>() * MS_PER_TICK)
    }

    /// Memory that it holds, in bytes.
    pub fn resident_bytes(self) -> Result<u64> {
        let statm = self.read("statm")?;
        let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
        Ok(pages.with_context(|| format!("{statm:?}"))? * PAGE_BYTES)
    }

    /// Waits until it has done what is left to do after the answers. False if that takes too long.
    pub fn settle(self) -> Result<bool> {
        let timer = Timer::start();
        while timer.elapsed() < QUIET_WITHIN {
            let before = self.cpu_ms()?;
            thread::sleep(QUIET);
            if self.cpu_ms()? - before <= QUIET_MS_MAX {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn read(self, what: &str) -> Result<String> {
        fs::read_to_string(format!("/proc/{}/{what}", self.0))
            .context("only Linux tells what a process uses, and only while it lives")
    }
}
