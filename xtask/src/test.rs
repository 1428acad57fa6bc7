//! `cargo xtask test`: every check there is, one part after another. A part that fails does not keep the others from running,
//! so that one run tells everything. The last line of the output is `N passed, N failed`.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::build;
use crate::process::{self, Timer, say};
use crate::setup::{self, TestTools, Tools, WASM};
use crate::sites;
use crate::size;

/// The crates that are compiled to WebAssembly.
const WASM_CRATES: [&str; 4] = ["-p", "selgeo-worker", "-p", "snippet"];

/// Runs everything. The exit code says whether all of it passed.
pub fn run(root: &Path) -> ExitCode {
    let timer = Timer::start();
    let mut report = Report::default();
    let set_up = |_: &mut Counts| {
        let for_tests = setup::prepare_tests(root)?;
        Ok((setup::prepare(root)?, for_tests))
    };
    match report.part("set-up", set_up) {
        Some((tools, for_tests)) => parts(root, &tools, &for_tests, &mut report),
        None => say("Nothing else can run without its tools"),
    }
    report.print(&timer);
    if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parts(root: &Path, tools: &Tools, for_tests: &TestTools, report: &mut Report) {
    let cargo = || {
        let mut cargo = build::cargo(tools);
        cargo.current_dir(root);
        cargo
    };
    report.part("formatting", |_| {
        let formatted = process::run(cargo().args(["fmt", "--all", "--check"]));
        formatted.context("run `cargo fmt --all`")
    });
    report.part("lints, native", |_| {
        process::run(
            cargo()
                .args(["clippy", "--workspace", "--all-targets", "--features", "selgeo-worker/host"])
                .args(["--", "-D", "warnings"]),
        )
    });
    report.part("lints, wasm32", |_| {
        process::run(cargo().args(["clippy", "--target", WASM]).args(WASM_CRATES).args(["--", "-D", "warnings"]))?;
        let trac = ["clippy", "--target", WASM, "-p", "snippet", "--features", "trac", "--", "-D", "warnings"];
        process::run(cargo().args(trac))
    });
    report.part("native tests", |counts| counts.cargo_test(cargo().args(["test", "--no-fail-fast"])));
    // Without them only the tests that visit them fail.
    report.part("sites of frameworks", |_| sites::build(root, tools));
    let built = report.part("wasm builds", |_| build::run(root, tools)).is_some();
    if !built {
        say("Skipped: the sizes, the dry-run and the end-to-end tests need the build");
        return;
    }
    report.part("sizes", |_| size::check(root, tools));
    report.part("wrangler deploy --dry-run", |_| {
        let mut wrangler = tools.command(tools.npm_bin.join("wrangler"));
        wrangler.args(["deploy", "--dry-run", "--outdir", "build/dry-run"]).env("CI", "1").current_dir(root);
        process::run(&mut wrangler)
    });
    let end_to_end = || -> Result<Command> {
        let own = env::current_exe().context("the task runner's own path is not known")?;
        let mut tests = cargo();
        tests.args(["test", "--no-fail-fast", "-p", "e2e"]).env("SELGEO_XTASK", own);
        if let Some(geckodriver) = &for_tests.geckodriver {
            tests.env("SELGEO_GECKODRIVER", geckodriver);
        }
        if let Some(python) = &for_tests.python {
            tests.env("SELGEO_TEST_PYTHON", python);
        }
        Ok(tests)
    };
    // They wait for minutes that the others need anyway.
    let patient = end_to_end().map(|mut tests| {
        tests.args(["--test", "webhooks", "--", "--ignored"]);
        thread::spawn(move || tests.stdin(Stdio::null()).output())
    });
    report.part("end-to-end tests", |counts| counts.cargo_test(&mut end_to_end()?));
    report.part("patient tests, meanwhile", |counts| {
        let output = patient?.join().map_err(|_| anyhow!("the thread that waited for them panicked"))?;
        let output = output.context("cargo could not be started")?;
        std::io::stderr().write_all(&output.stderr)?;
        std::io::stdout().write_all(&output.stdout)?;
        counts.ended(&output)
    });
}

#[derive(Default)]
struct Report {
    passed: u64,
    failed: u64,
    lines: Vec<String>,
}

impl Report {
    /// Runs one part and notes how it went. A part that fails without a failed test counts as one failure.
    fn part<T>(&mut self, name: &str, work: impl FnOnce(&mut Counts) -> Result<T>) -> Option<T> {
        say(&format!("Checking: {name}"));
        let timer = Timer::start();
        let mut counts = Counts::default();
        let done = work(&mut counts);
        let word = match &done {
            Ok(_) => "ok",
            Err(error) => {
                eprintln!("{name}: {error:#}");
                counts.failed = counts.failed.max(1);
                "FAILED"
            }
        };
        self.passed += counts.passed;
        self.failed += counts.failed;
        self.lines.push(format!("{name:<28} {word:<8} {:>12}", timer.words()));
        done.ok()
    }

    fn print(&self, timer: &Timer) {
        println!("\n{}\n{:<37} {:>12}\n", self.lines.join("\n"), "all", timer.words());
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

/// Tests, as cargo's result lines tell them.
#[derive(Default, Debug, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// Runs `cargo test`, shows what it prints, and adds up its results.
    fn cargo_test(&mut self, cargo: &mut Command) -> Result<()> {
        let mut child =
            cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo could not be started")?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                writeln!(std::io::stdout(), "{line}")?;
                self.add(&line);
            }
        }
        succeeded(child.wait()?)
    }

    /// Adds up the results of a `cargo test` that has ended.
    fn ended(&mut self, output: &Output) -> Result<()> {
        String::from_utf8_lossy(&output.stdout).lines().for_each(|line| self.add(line));
        succeeded(output.status)
    }

    /// Adds `test result: ok. 5 passed; 0 failed; …`; other lines say nothing.
    fn add(&mut self, line: &str) {
        let Some(results) = line.strip_prefix("test result: ") else {
            return;
        };
        let (_, results) = results.split_once(". ").unwrap_or(("", results));
        for result in results.split("; ") {
            match result.split_once(' ') {
                Some((count, "passed")) => self.passed += count.parse::<u64>().unwrap_or(0),
                Some((count, "failed")) => self.failed += count.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }
}

fn succeeded(status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "running 5 tests",
            "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test passes ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            counts.add(line);
        }
        assert_eq!(counts, Counts { passed: 7, failed: 1 });
    }

    #[test]
    fn what_ran_meanwhile_counts_and_fails_like_the_rest() {
        let check = |script: &str, expected: Counts, is_good: bool| {
            let mut counts = Counts::default();
            let output = Command::new("sh").args(["-c", script]).output().unwrap();
            assert_eq!(counts.ended(&output).is_ok(), is_good, "{script}");
            assert_eq!(counts, expected, "{script}");
        };
        check("echo 'test result: ok. 1 passed; 0 failed; 0 ignored'", Counts { passed: 1, failed: 0 }, true);
        check("echo 'test result: FAILED. 0 passed; 1 failed'; exit 101", Counts { passed: 0, failed: 1 }, false);
        check("exit 101", Counts::default(), false);
    }
}
