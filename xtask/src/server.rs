//! The local server, `dev/server.mjs`: started, waited for, and gone when its owner is.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::setup::Tools;

/// The server's exit code when the port is taken.
const EXIT_PORT_IN_USE: i32 = 69;

/// A running server. Its standard input is held open: when this process ends, however it ends, the server does too.
pub struct Server {
    child: Child,
    /// Not left in `child`: waiting there would close it.
    lifeline: Option<ChildStdin>,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// The process that answers requests.
    pub workerd_pid: u64,
    /// The Bearer token of `/operator`.
    pub operator_token: String,
}

impl Server {
    /// Starts it and waits until it answers. Port 0 takes a free one.
    pub fn start(root: &Path, tools: &Tools, state: &Path, port: u16) -> Result<Self> {
        let mut command = tools.command(&tools.node);
        command
            .arg(root.join("xtask").join("dev").join("server.mjs"))
            .arg("--root")
            .arg(root)
            .arg("--state")
            .arg(state)
            .args(["--port", &port.to_string()])
            .env("CI", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().context("Node could not be started")?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some((port, workerd_pid, operator_token)) = read(&ready) else {
            let status = child.wait()?;
            if status.code() == Some(EXIT_PORT_IN_USE) {
                bail!(port_in_use(port));
            }
            bail!("the local server did not start ({status}). See its message above");
        };
        let lifeline = child.stdin.take();
        Ok(Self { child, lifeline, port, workerd_pid, operator_token })
    }

    /// Waits for its end, which is never a good one: it runs until it is stopped.
    pub fn wait(mut self) -> Result<()> {
        let status = self.child.wait()?;
        drop(self.lifeline);
        if status.success() { Ok(()) } else { bail!("the local server ended ({status})") }
    }
}

/// What to do about a taken port.
pub fn port_in_use(port: u16) -> String {
    format!("port {port} is in use. Stop what listens there, or choose another one with `--port N`")
}

fn read(line: &Value) -> Option<(u16, u64, String)> {
    let ready = line.get("ready")?;
    let port = ready.get("port")?.as_u64()?.try_into().ok()?;
    let token = ready.get("operator_token")?.as_str()?.to_owned();
    Some((port, ready.get("workerd_pid")?.as_u64()?, token))
}
