//! `cargo xtask fuzz`: a long fuzzing of one target of `fuzz/`, by hand. The corpora run in every run of the tests.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{self, say};

#[derive(Args)]
pub struct Options {
    /// The target, a file of fuzz/fuzz_targets without its ending
    target: String,
    /// How long
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

/// Fuzzes. What crashed is written to `fuzz/artifacts`; put it into the target's corpus once it is mended.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let target = &options.target;
    if !root.join(format!("fuzz/fuzz_targets/{target}.rs")).is_file() {
        bail!("there is no target {target}. The targets are the files of fuzz/fuzz_targets");
    }
    if process::ask(Command::new("cargo").args(["fuzz", "--version"])).is_none() {
        bail!("cargo-fuzz is not installed. Run `cargo install cargo-fuzz`");
    }
    // What it finds on its way stays outside the corpus, which is small and ours.
    let found = format!("fuzz/target/found/{target}");
    std::fs::create_dir_all(root.join(&found))?;
    say(&format!("Fuzzing {target} for {} s", options.seconds));
    let mut fuzz = Command::new("cargo");
    fuzz.args(["fuzz", "run", target.as_str(), found.as_str(), &format!("fuzz/corpus/{target}"), "--"]);
    fuzz.arg(format!("-max_total_time={}", options.seconds)).arg("-timeout=10").arg("-print_final_stats=1");
    // libFuzzer's instrumentation is behind flags that the stable compiler only takes so.
    process::run(fuzz.env("RUSTC_BOOTSTRAP", "1").current_dir(root))
}
