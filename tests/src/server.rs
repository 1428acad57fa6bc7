//! A server of a test's own: the built Worker on workerd, with its data in a temporary folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

/// How often, and how many times, the end of a killed server is looked for: ten seconds.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: u32 = 500;

/// A running server. It ends with this value, and its data with it.
pub struct Server {
    folder: TempDir,
    bare: bool,
    /// Variables of its environment, which say what is different about it.
    env: Vec<(&'static str, String)>,
    running: Option<Running>,
    port: u16,
    operator_token: String,
    dev: Value,
}

struct Running {
    child: Child,
    workerd_pid: u64,
}

impl Server {
    /// Starts a server with the demo and bench workspaces.
    pub fn start() -> Result<Self> {
        Self::start_with(false, &[])
    }

    /// Starts a server that asks Stripe's API at this origin.
    pub fn start_asking(stripe_api: &str) -> Result<Self> {
        Self::start_with(false, &[("STRIPE_API_BASE", stripe_api)])
    }

    /// Starts a server that sends webhooks as a deployment does, to no address of this machine, and asks this resolver.
    pub fn start_without_loopback(resolver: &str) -> Result<Self> {
        Self::start_with(false, &[("SELGEO_LOOPBACK", "0"), ("DNS_OVER_HTTPS_URL", resolver)])
    }

    /// Starts a server that hands its mail to this provider, as a deployment does.
    pub fn start_mailing(url: &str, token: &str, from: &str) -> Result<Self> {
        Self::start_with(false, &[("MAIL_HTTP_URL", url), ("MAIL_HTTP_TOKEN", token), ("MAIL_FROM", from)])
    }

    /// Starts a server whose queue nobody reads and which nobody sweeps: what comes after an answer is left out.
    pub fn start_without_consumers() -> Result<Self> {
        Self::start_with(false, &[("SELGEO_CONSUMERS", "0")])
    }

    /// Starts a server with a second database.
    pub fn start_with_two_databases() -> Result<Self> {
        Self::start_with(false, &[("SELGEO_DATABASES", "2")])
    }

    /// Starts a server without any workspace.
    pub fn start_bare() -> Result<Self> {
        Self::start_with(true, &[])
    }

    fn start_with(bare: bool, env: &[(&'static str, &str)]) -> Result<Self> {
        let folder = TempDir::new()?;
        let env = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut server =
            Self { folder, bare, env, running: None, port: 0, operator_token: String::new(), dev: Value::Null };
        server.restart()?;
        Ok(server)
    }

    /// `http://127.0.0.1:PORT`; the same after a restart.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `.selgeo/dev.json` would hold; null for a bare server.
    pub fn dev(&self) -> &Value {
        &self.dev
    }

    /// A text of [`Self::dev`], by JSON pointer, such as `/keys/pk_test`.
    pub fn text(&self, pointer: &str) -> Result<&str> {
        let text = self.dev.pointer(pointer).and_then(Value::as_str);
        text.ok_or_else(|| anyhow!("dev.json has no text at {pointer}"))
    }

    /// What the operator of this server sends.
    pub fn operator_token(&self) -> &str {
        &self.operator_token
    }

    /// The process that answers requests, while it lives.
    pub fn workerd_pid(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.workerd_pid)
    }

    /// What the server has written to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// What a command of the task runner prints that is told where this server's data lies. It must succeed.
    pub fn xtask(&self, command: &str, args: &[&str]) -> Result<String> {
        let state = self.folder.path().join("state");
        let state = state.to_str().ok_or_else(|| anyhow!("the folder's name is no text"))?;
        self.xtask_without_state(command, &[&["--state", state], args].concat())
    }

    /// The same of a command that is told nothing of where this server's data lies.
    pub fn xtask_without_state(&self, command: &str, args: &[&str]) -> Result<String> {
        let output = task_runner()?.arg(command).args(args).output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "{command}: {told}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(told)
    }

    /// Where the server's data lies. To be touched while it is stopped.
    pub fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    /// Kills workerd without a warning, as a crash would, and waits until it is gone. Its data stays.
    pub fn kill9(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        kill(running.workerd_pid)?;
        for _ in 0..LOOKS_MAX {
            if running.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(LOOK_EVERY);
        }
        running.child.kill()?;
        running.child.wait()?;
        bail!("the server went on without workerd")
    }

    /// Starts it again with the same data and on the same port; kills it first if it runs.
    pub fn restart(&mut self) -> Result<()> {
        self.kill9()?;
        let state = self.folder.path().join("state");
        let mut command = task_runner()?;
        command.args(["dev", "--harness", "--port", &self.port.to_string(), "--state"]).arg(&state);
        if self.bare {
            command.arg("--bare");
        }
        command.envs(self.env.iter().map(|(name, value)| (*name, value)));
        let log = File::options().create(true).append(true).open(self.folder.path().join("server.log"))?;
        // Its standard input is held open by `child`: when this process is killed, the server ends too.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let mut ready: Value = serde_json::from_str(&line).unwrap_or_default();
        let number = |name: &str| ready.pointer(&format!("/ready/{name}")).and_then(Value::as_u64);
        let Some((port, workerd_pid)) = number("port").zip(number("workerd_pid")) else {
            child.wait()?;
            bail!("the server did not start. Its log:\n{}", self.log());
        };
        self.port = u16::try_from(port)?;
        self.operator_token = ready["ready"]["operator_token"].as_str().unwrap_or_default().to_owned();
        self.dev = ready["ready"]["dev"].take();
        self.running = Some(Running { child, workerd_pid });
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is to be done about a server that cannot be killed.
        let _ = self.kill9();
    }
}

fn kill(pid: u64) -> Result<()> {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
    // It may have ended by itself; then there is nothing to kill.
    killed.map(drop).context("the program `kill` was not found")
}

/// The task runner: the one that runs these tests, else cargo's, after a build.
fn task_runner() -> Result<Command> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    if let Some(program) = env::var_os("SELGEO_XTASK") {
        return Ok(Command::new(program));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--package", "xtask", "--"]).current_dir(&root);
        cargo
    };
    let built = BUILT.get_or_init(|| cargo().arg("build").status().is_ok_and(|status| status.success()));
    ensure!(built, "`cargo xtask build` failed");
    Ok(cargo())
}
