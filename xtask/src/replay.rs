//! `cargo xtask replay` and `simulate`: every stored decision and commission made again, and what a draft of a program's rules
//! would change. The work is the Worker's own code, natively over the local server's database, or in workerd.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::dev;
use crate::http::Client;
use crate::process::{Timer, say};

/// What `cargo xtask replay` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Where `cargo xtask dev` keeps its data
    #[arg(long, default_value = dev::STATE_DEFAULT)]
    state: PathBuf,
    /// Ask the running `cargo xtask dev`, page by page, in place of reading its database
    #[arg(long)]
    in_workerd: bool,
    /// One workspace; all without it
    #[arg(long)]
    workspace: Option<String>,
    /// `test` or `live`; both without it
    #[arg(long, requires = "workspace")]
    mode: Option<String>,
    /// In place of a database: a file that `cargo xtask export` made, of whatever deployment
    #[arg(long, value_name = "FILE", conflicts_with_all = ["state", "in_workerd", "workspace", "mode"])]
    export: Option<PathBuf>,
    /// Build with optimisations first, to measure
    #[arg(long)]
    release: bool,
}

/// What `cargo xtask simulate` can be told.
#[derive(clap::Args)]
pub struct Draft {
    /// JSON: `program_id`, and `rewards` as for POST /api/v1/rewards, `attribution_window_days`, `attribution_model`, `fraud`;
    /// what is left out stays as it is
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// Where `cargo xtask dev` keeps its data
    #[arg(long, default_value = dev::STATE_DEFAULT)]
    state: PathBuf,
}

/// Replays, prints what was found, and fails where something differs.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let state = dev::absolute(root, &options.state)?;
    let report = match &options.export {
        Some(file) => of_export(root, file, options.release)?,
        None if options.in_workerd => in_workerd(&state, options)?,
        None => natively(root, &state, options)?,
    };
    println!("{}", shown(&report));
    if report.pointer("/export/changed_meanwhile") == Some(&Value::Bool(true)) {
        say(
            "Something was booked while the export was made: what differs may come of that. Export again at a quieter moment",
        );
    }
    match number(&report, "differences_total") {
        0 => Ok(()),
        many => bail!("{many} differ from what is stored"),
    }
}

/// Simulates, and prints what each participant has and would have.
pub fn simulate(root: &Path, draft: &Draft) -> Result<()> {
    let state = dev::absolute(root, &draft.state)?;
    let rules = env::current_dir()?.join(&draft.rules);
    let told = host(root, false, &["simulate".as_ref(), state.as_ref(), rules.as_ref()])?;
    println!("{}", simulated(&told));
    Ok(())
}

fn natively(root: &Path, state: &Path, options: &Options) -> Result<Value> {
    let mut args: Vec<&OsStr> = vec!["replay".as_ref(), state.as_os_str()];
    args.extend(options.workspace.iter().chain(&options.mode).map(OsStr::new));
    host(root, options.release, &args)
}

fn of_export(root: &Path, file: &Path, release: bool) -> Result<Value> {
    let file = env::current_dir()?.join(file);
    host(root, release, &["replay-export".as_ref(), file.as_ref()])
}

/// Builds and runs the Worker's program for the host, and reads the line that it prints.
pub fn host(root: &Path, release: bool, args: &[&OsStr]) -> Result<Value> {
    say("Building the Worker's code for this machine");
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "selgeo-worker", "--features", "host", "--bin", "replay"]);
    if release {
        cargo.arg("--release");
    }
    // SQLite asks for memory and gives it back with every subquery: glibc is told to keep it, which makes it seven times as fast.
    for (name, bytes) in [("MMAP_THRESHOLD", 1 << 30), ("TRIM_THRESHOLD", 1 << 30), ("TOP_PAD", 1 << 26)] {
        cargo.env(format!("MALLOC_{name}_"), i32::to_string(&bytes));
    }
    cargo.arg("--").args(args).current_dir(root).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = cargo.output().context("cargo could not be started")?;
    if !output.status.success() {
        bail!("it could not be done. See the message above");
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Asks for page after page, and adds them up.
fn in_workerd(state: &Path, options: &Options) -> Result<Value> {
    let read = |name: &str| -> Result<Value> {
        let path = state.join(name);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("{} cannot be read. Start `cargo xtask dev` first", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    };
    let (dev, secrets) = (read("dev.json")?, read("secrets.json")?);
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let url = text(&dev, "url").ok_or_else(|| anyhow!("dev.json has no url"))?;
    let token = text(&secrets, "OPERATOR_TOKEN").ok_or_else(|| anyhow!("secrets.json has no OPERATOR_TOKEN"))?;
    let (bearer, url) = (format!("Bearer {token}"), format!("{url}/operator/v1/replay"));
    let client = Client::new();
    let timer = Timer::start();
    let mut whole = Value::Null;
    let mut cursor = Value::Null;
    loop {
        let body = json!({"workspace_id": options.workspace, "mode": options.mode, "cursor": cursor});
        let answer = client.post(&url, &[("authorization", bearer.as_str())], &body.to_string());
        let answer = answer.context("is `cargo xtask dev` running?")?;
        if answer.status != 200 {
            bail!("POST {url} answered {}: {}", answer.status, answer.body);
        }
        let page: Value = serde_json::from_str(&answer.body)?;
        cursor = page.get("next_cursor").cloned().unwrap_or_default();
        whole = added(whole, page);
        if cursor.is_null() {
            whole["elapsed_us"] = json!(u64::try_from(timer.elapsed().as_micros())?);
            return Ok(whole);
        }
    }
}

/// Numbers are added, lists continued, and the digest is the last page's.
fn added(whole: Value, page: Value) -> Value {
    let Value::Object(mut all) = whole else { return page };
    let Value::Object(page) = page else { return Value::Object(all) };
    for (name, value) in page {
        let sum = match (all.get(&name), value) {
            (Some(Value::Number(held)), Value::Number(more)) => {
                json!(held.as_u64().unwrap_or(0) + more.as_u64().unwrap_or(0))
            }
            (Some(Value::Array(held)), Value::Array(more)) => Value::Array(held.iter().cloned().chain(more).collect()),
            (_, value) => value,
        };
        all.insert(name, sum);
    }
    Value::Object(all)
}

fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or("-")
}

fn shown(report: &Value) -> String {
    let mut lines = Vec::new();
    for one in report.get("differences").and_then(Value::as_array).into_iter().flatten() {
        let conversion = word(one, "conversion_id");
        lines.push(format!("{} {} (conversion {conversion})", word(one, "what"), word(one, "id")));
        lines.push(format!("  stored    {}", word(one, "stored")));
        lines.push(format!("  replayed  {}", word(one, "replayed")));
    }
    let told = lines.len() / 3;
    let total = number(report, "differences_total");
    if total > told as u64 {
        lines.push(format!("… and {} more", total - told as u64));
    }
    for name in ["decisions", "families", "facts", "commissions"] {
        lines.push(format!("{name:<12} {}", number(report, name)));
    }
    if number(report, "waiting") > 0 {
        lines.push(format!("{:<12} {} families that the next sweep books", "waiting", number(report, "waiting")));
    }
    lines.push(format!("{:<12} {total}", "differences"));
    lines.push(format!("{:<12} {}", "digest", word(report, "digest")));
    let elapsed = Duration::from_micros(number(report, "elapsed_us"));
    let per_second = number(report, "facts") as f64 / elapsed.as_secs_f64().max(1e-6);
    lines.push(format!("{:<12} {per_second:.0} ({:.2} s)", "facts/s", elapsed.as_secs_f64()));
    lines.join("\n")
}

fn simulated(told: &Value) -> String {
    let row = |who: &str, line: &Value| {
        let cents = |name: &str| line.get(name).and_then(Value::as_i64).unwrap_or(0);
        let (now, draft, difference) = (cents("now_cents"), cents("draft_cents"), cents("difference_cents"));
        format!("{who:<32} {:<4} {now:>14} {draft:>14} {difference:>+14}", word(line, "currency"))
    };
    let list = |name: &str| told.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = vec![format!("{:<32} {:<4} {:>14} {:>14} {:>14}", "participant", "", "now", "draft", "difference")];
    lines.extend(list("participants").iter().map(|line| row(word(line, "participant_id"), line)));
    lines.extend(list("totals").iter().map(|line| row("all", line)));
    lines.push(format!(
        "{} conversions of {}, in {} families. Amounts are in the minor unit; nothing was written.",
        number(told, "conversions"),
        word(told, "program_id"),
        number(told, "families")
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_added_up_and_the_last_digest_counts() {
        let page = |facts: u64, digest: &str, differences: Value| json!({"facts": facts, "digest": digest, "differences": differences, "next_cursor": null});
        let first = added(Value::Null, page(2, "a", json!([1])));
        let whole = added(first, page(3, "b", json!([2])));
        assert_eq!(whole, page(5, "b", json!([1, 2])));
    }

    #[test]
    fn differences_are_named_before_the_figures() {
        let one = json!({"what": "decision", "id": "dec_1", "conversion_id": "conv_1", "stored": "x", "replayed": "y"});
        let report = json!({"decisions": 4, "families": 2, "facts": 10, "commissions": 1, "differences_total": 2,
            "differences": [one], "digest": "ab", "elapsed_us": 2_000_000});
        let expected = "decision dec_1 (conversion conv_1)\n  stored    x\n  replayed  y\n… and 1 more\n\
            decisions    4\nfamilies     2\nfacts        10\ncommissions  1\ndifferences  2\ndigest       ab\n\
            facts/s      5 (2.00 s)";
        assert_eq!(shown(&report), expected);
    }

    #[test]
    fn a_simulation_is_a_table_with_totals() {
        let line = |who: Value| {
            json!({"participant_id": who, "currency": "EUR", "now_cents": 2_000, "draft_cents": 2_500,
                "difference_cents": 500})
        };
        let told = json!({"program_id": "prog_1", "conversions": 1, "families": 3, "participants": [line(json!("ppt_1"))],
            "totals": [line(Value::Null)]});
        let text = simulated(&told);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[1], ["ppt_1", "EUR", "2000", "2500", "+500"]);
        assert_eq!(words[2], ["all", "EUR", "2000", "2500", "+500"]);
    }
}
