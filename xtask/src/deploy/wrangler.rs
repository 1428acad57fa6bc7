//! Running `wrangler`: asked, where its answer is read, or run, where it speaks for itself.

use std::env;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Error, Result, anyhow, bail};
use serde_json::Value;

use crate::setup::Tools;

/// Makes a command of wrangler's: the real one, or one of a test's.
pub struct Wrangler<'a>(Box<dyn Fn() -> Command + 'a>);

/// What it said.
pub struct Said {
    /// Whether it exited with 0.
    pub succeeded: bool,
    /// The first words of the command line.
    line: String,
    stdout: String,
    /// All that it printed.
    pub text: String,
}

impl<'a> Wrangler<'a> {
    /// The one that xtask brings, in the project's folder.
    pub fn of(root: &'a Path, tools: &'a Tools) -> Self {
        Self::at(move || {
            let mut command = tools.command(tools.npm_bin.join("wrangler"));
            command.current_dir(root);
            command
        })
    }

    /// Another one.
    pub fn at(command: impl Fn() -> Command + 'a) -> Self {
        Self(Box::new(command))
    }

    /// Runs it and keeps what it prints.
    pub fn ask(&self, args: &[&str]) -> Result<Said> {
        let output = self.0().args(args).stdin(Stdio::null()).output().context("wrangler could not be started")?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let text = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        Ok(Said { succeeded: output.status.success(), line: args.join(" "), stdout, text })
    }

    /// Runs it for what it does, with nothing to read: it asks no questions then.
    pub fn run(&self, args: &[&str]) -> Result<()> {
        self.run_with(args, "")
    }

    /// The same with something on its standard input, which no list of processes shows.
    pub fn run_with(&self, args: &[&str], input: &str) -> Result<()> {
        finish(self.0().args(args), args, input)
    }

    /// Deploys, and gives the addresses that wrangler tells.
    pub fn deploy(&self) -> Result<Vec<String>> {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let told = env::temp_dir().join(format!("selgeo-deploy-{}-{number}.json", std::process::id()));
        let _ = fs::remove_file(&told);
        let done = finish(self.0().arg("deploy").env("WRANGLER_OUTPUT_FILE_PATH", &told), &["deploy"], "");
        let lines = fs::read_to_string(&told).unwrap_or_default();
        let _ = fs::remove_file(&told);
        done.context("nothing new serves. What was created and migrated stays, and the old code goes on with it")?;
        let told: Vec<Value> = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let targets =
            told.iter().filter(|entry| entry["type"] == "deploy").filter_map(|entry| entry["targets"].as_array());
        // Routes and schedules are among them, which are no addresses.
        let urls = targets.flatten().filter_map(Value::as_str).filter_map(address);
        Ok(urls.collect())
    }
}

impl Said {
    /// What it printed on stdout, if that is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.stdout.trim()).ok()
    }

    /// That it failed, with its words.
    pub fn failure(&self) -> Error {
        anyhow!(
            "`wrangler {}` did not say what was asked:\n{}\nIf it speaks of several accounts, set CLOUDFLARE_ACCOUNT_ID; of rights, give \
             the token what it names; then run this again",
            self.line,
            self.text.trim()
        )
    }
}

/// `https://…`, or `selgeo.example (custom domain - zone name: selgeo.example)`.
fn address(target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return Some(target.to_owned());
    }
    target.split_once(" (custom domain").map(|(host, _)| format!("https://{host}"))
}

fn finish(command: &mut Command, args: &[&str], input: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn().context("wrangler could not be started")?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing has closed it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "`wrangler {}` ended with {status}. See its message above, mend that, and run this again",
            args.join(" ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_routes_and_schedules() {
        let check = |target, expected: Option<&str>| assert_eq!(address(target).as_deref(), expected, "{target}");
        check("https://selgeo.me.workers.dev", Some("https://selgeo.me.workers.dev"));
        check("selgeo.example (custom domain)", Some("https://selgeo.example"));
        check("a.selgeo.example (custom domain - zone name: selgeo.example)", Some("https://a.selgeo.example"));
        check("schedule: * * * * *", None);
        check("merchant.example/_s/*", None);
        check("Producer for selgeo", None);
    }
}
