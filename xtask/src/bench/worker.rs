//! `cargo xtask bench worker`: what `tests/benches/worker` needs before it starts.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::drive;
use crate::build::{self, Worker};
use crate::process::say;
use crate::setup::Tools;

/// What ours is held against: the same SDK, doing nothing.
const EMPTY: Worker =
    Worker { folder: "tests/benches/references/empty", library: "empty_worker", to: "bench/empty-rust" };

/// What the command can be told.
#[derive(clap::Args)]
pub struct Options {
    /// How long each run lasts; a round has two of each path
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: u16,
    /// How often all paths are gone through
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Instead: a steady load for so many minutes, and whether memory grows and everything is stored
    #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u16).range(1..))]
    soak: Option<u16>,
    /// Of the steady load: clicks a second; every hundredth becomes a conversion
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    per_second: u16,
}

/// Builds ours and the empty one, and starts the bench.
pub fn run(root: &Path, tools: &Tools, options: &Options) -> Result<()> {
    let Options { seconds, rounds, connections, soak, per_second } = options;
    if soak.is_none() {
        must_have_wrk()?;
    }
    build::run(root, tools)?;
    let words = match soak {
        Some(minutes) => {
            say(&format!("Sending {per_second} clicks a second for {minutes} minutes"));
            [("--soak", minutes), ("--per-second", per_second)].to_vec()
        }
        None => {
            say("Compiling an empty Worker to WebAssembly");
            build::module(root, tools, &EMPTY)?;
            say(&format!(
                "Loading 15 paths in turn, {rounds} rounds; each takes {seconds} s twice, and what is left to do"
            ));
            [("--seconds", seconds), ("--rounds", rounds), ("--connections", connections)].to_vec()
        }
    };
    let words: Vec<String> =
        words.into_iter().flat_map(|(name, number)| [name.to_owned(), number.to_string()]).collect();
    drive(root, tools, "worker", &words)
}

fn must_have_wrk() -> Result<()> {
    // It calls a question for its version a wrong use: that it answers is enough.
    let answer = Command::new("wrk").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if answer.is_err() {
        bail!(
            "the load generator wrk was not found. Install it (on Debian: `apt-get install wrk`), then run this again"
        );
    }
    Ok(())
}
