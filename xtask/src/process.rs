//! Running other programs: what is being done is said before, and what went wrong after.

use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Announces a step. Steps go to stderr, like the output of the programs that they run; stdout is for results.
pub fn say(step: &str) {
    eprintln!("==> {step}");
}

/// Runs a program that speaks for itself, and fails unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs a program that speaks for itself.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.stdin(Stdio::null()).status().with_context(|| format!("{} could not be started", name(command)))
}

/// What a program prints on stdout, or nothing if it is not there or fails. For asking what is installed.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The program's name, without its path.
pub fn name(command: &Command) -> String {
    let path = std::path::Path::new(command.get_program());
    path.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned()
}

/// A stop-watch for telling how long things took.
pub struct Timer(Instant);

impl Timer {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the task runner is no Worker; its clock only times its own steps")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago the start was.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The same in words: `4.2 s`, `3 min 05 s`.
    pub fn words(&self) -> String {
        in_words(self.elapsed())
    }
}

fn in_words(time: Duration) -> String {
    match time.as_secs() {
        s if s < 60 => format!("{:.1} s", time.as_secs_f64()),
        s => format!("{} min {:02} s", s / 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_seconds_and_from_a_minute_on_in_minutes() {
        let check = |ms, expected| assert_eq!(in_words(Duration::from_millis(ms)), expected);
        check(0, "0.0 s");
        check(4_240, "4.2 s");
        check(60_000, "1 min 00 s");
        check(185_900, "3 min 05 s");
    }
}
