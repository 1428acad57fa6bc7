//! `cargo xtask bench`: what things cost, always beside a reference in the same run. Nothing is asserted.

mod startup;
mod worker;

use std::ffi::OsStr;
use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::build;
use crate::process::{run, say};
use crate::setup::Tools;

/// What can be measured.
#[derive(clap::Subcommand)]
pub enum What {
    /// The snippet on a page, in a slowed-down Chromium, beside plain JavaScript that does the same
    Snippet {
        /// How many times each page is visited
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
    },
    /// Outgoing webhooks: from a cause to its delivery while conversions come in, and deliveries a second to one endpoint
    Webhooks {
        /// For how long conversions come in
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
        seconds: u16,
        /// How many of them a second
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
        per_second: u16,
    },
    /// The Worker under load, beside empty Workers and one in plain JavaScript that does the same; needs `wrk`
    Worker(worker::Options),
    /// The Worker's bytes, and how long workerd takes to start it, beside an empty one
    Startup {
        /// How many times each is started
        #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
    },
}

/// Node has both compressors; a crate for each would be compiled before every command.
const BYTES: &str = r"
const { gzipSync, brotliCompressSync } = require('node:zlib');
const weights = (file) => {
  const bytes = require('node:fs').readFileSync(file);
  return [bytes, gzipSync(bytes, { level: 9 }), brotliCompressSync(bytes)].map((packed) => packed.length);
};
console.log('| bytes | raw | gzip | brotli |\n|---|---:|---:|---:|');
for (const [title, ...files] of [
  ['selgeo.js', 'selgeo.js'],
  ['selgeo.js and selgeo-fallback.js', 'selgeo.js', 'selgeo-fallback.js'],
  ['plain JS, minified', 'plain.js'],
]) {
  const sums = files.map(weights).reduce((sum, more) => sum.map((bytes, at) => bytes + more[at]));
  console.log(['', title, ...sums.map((bytes) => bytes.toLocaleString('en')), ''].join(' | ').trim());
}";

/// Measures, and prints tables in Markdown.
pub fn run_one(root: &Path, tools: &Tools, what: &What) -> Result<()> {
    match what {
        What::Snippet { rounds } => snippet(root, tools, *rounds),
        What::Webhooks { seconds, per_second } => webhooks(root, tools, *seconds, *per_second),
        What::Worker(options) => worker::run(root, tools, options),
        What::Startup { rounds } => startup::run(root, tools, *rounds),
    }
}

/// The scripts are put into `build/bench`; `tests/benches/snippet.rs` drives the browser.
fn snippet(root: &Path, tools: &Tools, rounds: u16) -> Result<()> {
    build::script(root, tools)?;
    let folder = root.join("build").join("bench");
    fs::create_dir_all(&folder)?;
    for name in ["selgeo.js", "selgeo-fallback.js"] {
        let built = root.join("build").join("assets").join("v1").join(name);
        fs::copy(&built, folder.join(name)).with_context(|| format!("{} is not there", built.display()))?;
    }
    let mut esbuild = tools.command(tools.npm_bin.join("esbuild"));
    esbuild
        .arg("tests/benches/plain.js")
        .args(["--minify", "--format=iife", "--target=es2021", "--log-level=warning"])
        .arg(format!("--outfile={}", folder.join("plain.js").display()));
    run(esbuild.current_dir(root))?;
    run(tools.command(&tools.node).args(["-e", BYTES]).current_dir(&folder))?;
    say(&format!("Visiting pages in Chromium, {rounds} rounds and one before them, half a minute each"));
    drive(root, tools, "snippet", &["--rounds", &rounds.to_string()])
}

/// `tests/benches/webhooks.rs` starts the server, reports the conversions and receives.
fn webhooks(root: &Path, tools: &Tools, seconds: u16, per_second: u16) -> Result<()> {
    build::run(root, tools)?;
    say(&format!("Reporting conversions for {seconds} seconds, twice, and about a minute more"));
    let (seconds, per_second) = (seconds.to_string(), per_second.to_string());
    drive(root, tools, "webhooks", &["--seconds", &seconds, "--per-second", &per_second])
}

/// Runs one of `tests/benches`. Only the browser or the server is measured: the program that drives it need not be fast.
fn drive(root: &Path, tools: &Tools, bench: &str, args: &[impl AsRef<OsStr>]) -> Result<()> {
    let own = env::current_exe().context("the task runner's own path is not known")?;
    let mut cargo = build::cargo(tools);
    cargo.args(["bench", "--quiet", "--package", "e2e", "--bench", bench, "--profile", "dev", "--"]).args(args);
    run(cargo.env("SELGEO_XTASK", own).current_dir(root)).context("the bench broke off. See its message above")
}
