//! `cargo xtask simulate-world`: the simulation of `worker/src/simulation`, over many seeds, in release.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::process::{self, Timer, say};

/// The package and the test that is the simulation.
const TEST: [&str; 3] = ["-p", "selgeo-worker", "--lib"];
const NAME: &str = "simulation::many_seeds";
/// What the Worker logs of the faults that are put in.
const LOG: &str = "target/simulation.log";

#[derive(Args)]
pub struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Steps of each seed
    #[arg(long, default_value_t = 1_000)]
    steps: u64,
    /// Threads; as many as the machine has cores unless given
    #[arg(long)]
    threads: Option<usize>,
}

/// Runs the seeds. Findings, progress and the totals go to stdout.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let threads = options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    say("Building the simulation in release");
    process::run(Command::new("cargo").args(["test", "--release", "--no-run"]).args(TEST).current_dir(root))?;
    say(&format!("Simulating {} seeds from {} on; the Worker's log is {LOG}", options.seeds, options.from));
    let timer = Timer::start();
    let log = File::create(root.join(LOG)).with_context(|| format!("{LOG} cannot be written"))?;
    let mut simulation = Command::new("cargo");
    simulation.args(["test", "--release", "--quiet"]).args(TEST).args([
        NAME,
        "--",
        "--exact",
        "--ignored",
        "--nocapture",
    ]);
    simulation
        .env("SIMULATE_SEEDS", options.seeds.to_string())
        .env("SIMULATE_FROM", options.from.to_string())
        .env("SIMULATE_STEPS", options.steps.to_string())
        .env("SIMULATE_THREADS", threads.to_string())
        // glibc gives memory back that SQLite asks for again at once; half of the time goes into that unless it is told not to.
        .env("MALLOC_TRIM_THRESHOLD_", "4294967296")
        .env("MALLOC_MMAP_THRESHOLD_", "1073741824")
        .env("MALLOC_TOP_PAD_", "67108864")
        .current_dir(root)
        .stderr(log);
    let status = process::status(&mut simulation)?;
    say(&format!("Done in {}", timer.words()));
    if !status.success() {
        bail!("the simulation found something: see above. A seed is run again with --from SEED --seeds 1");
    }
    Ok(())
}
