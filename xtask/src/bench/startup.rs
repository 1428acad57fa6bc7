//! `cargo xtask bench startup`: the Worker's bytes, and how long a fresh process takes until it answers, beside an empty Worker
//! in JavaScript that has the same bindings.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::build;
use crate::process::say;
use crate::setup::Tools;

const GZIP_BYTES_BUDGET: u64 = 524_288;
const START_MS_BUDGET: f64 = 50.0;
/// Exports the Durable Objects that wrangler.toml names, as workerd wants them, and does nothing with them.
const EMPTY: &str = r#"import { DurableObject } from "cloudflare:workers";
export class RateLimiter extends DurableObject {}
export class WebhookLane extends DurableObject {}
export default { fetch: () => new Response("ok"), queue() {}, scheduled() {} };
"#;

/// Node has the compressor; a crate for it would be compiled before every command.
const WEIGH: &str = r"
const { readdirSync, readFileSync } = require('node:fs');
const { gzipSync } = require('node:zlib');
console.log('| bytes | raw | gzip | budget |\n|---|---:|---:|---:|');
const sum = [0, 0];
const row = (name, raw, gzip, budget) => console.log(`| ${name} | ${raw.toLocaleString('en')} | ${gzip.toLocaleString('en')} | ${budget} |`);
for (const name of readdirSync('.').filter((name) => /[.](js|wasm)$/.test(name)).sort()) {
  const bytes = readFileSync(name);
  const gzip = gzipSync(bytes, { level: 9 }).length;
  sum[0] += bytes.length;
  sum[1] += gzip;
  row(name, bytes.length, gzip, '');
}
row('together', ...sum, Number(process.argv[1]).toLocaleString('en'));";

/// Prints both tables.
pub fn run(root: &Path, tools: &Tools, rounds: u16) -> Result<()> {
    build::run(root, tools)?;
    let ours = root.join("build").join("worker");
    let budget = GZIP_BYTES_BUDGET.to_string();
    crate::process::run(tools.command(&tools.node).args(["-e", WEIGH, "--", &budget]).current_dir(&ours))?;

    let folder = root.join("build").join("bench");
    let (empty, state) = (folder.join("empty-js"), folder.join("startup-state"));
    fs::create_dir_all(&empty)?;
    fs::write(empty.join("index.js"), EMPTY)?;
    say(&format!("Starting workerd {} times", 2 * (rounds + 1)));
    let mut times = Vec::new();
    for round in 0..=rounds {
        let pair = (first_answer_ms(root, tools, &empty, &state)?, first_answer_ms(root, tools, &ours, &state)?);
        // The first makes the state and fills the system's caches.
        if round > 0 {
            times.push(pair);
        }
    }
    let [empty, ours] =
        [times.iter().map(|(empty, _)| *empty).collect(), times.iter().map(|(_, ours)| *ours).collect()].map(
            |mut times: Vec<f64>| {
                times.sort_by(f64::total_cmp);
                (times.get(times.len() / 2).copied().unwrap_or(f64::NAN), times.first().copied().unwrap_or(f64::NAN))
            },
        );
    println!(
        "\n| from workerd's start to the first answer, {rounds} rounds | median, ms | least, ms | budget, ms |\n|---|---:|---:|---:|"
    );
    println!("| empty JS, the same bindings | {:.1} | {:.1} | |", empty.0, empty.1);
    println!("| Selgeo | {:.1} | {:.1} | |", ours.0, ours.1);
    println!("| what Selgeo adds | {:.1} | {:.1} | {START_MS_BUDGET} |", ours.0 - empty.0, ours.1 - empty.1);
    Ok(())
}

/// Of a fresh process, for a preflight, which takes no storage.
fn first_answer_ms(root: &Path, tools: &Tools, modules: &Path, state: &Path) -> Result<f64> {
    let mut server = tools.command(&tools.node);
    server.arg(root.join("xtask").join("dev").join("server.mjs")).arg("--root").arg(root).arg("--state").arg(state);
    server.arg("--modules").arg(modules).arg("--until-answer").env("CI", "1");
    // Held open: the server ends when its standard input does.
    let mut child = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("Node could not be started")?;
    let lifeline = child.stdin.take();
    let output = child.wait_with_output()?;
    drop(lifeline);
    ensure!(output.status.success(), "the server did not start ({})", output.status);
    let told: Value = serde_json::from_slice(&output.stdout).context("the server told no time")?;
    told["first_answer_ms"].as_f64().with_context(|| format!("the server told {told}"))
}
