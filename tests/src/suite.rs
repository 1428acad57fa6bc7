//! Tests that share what takes seconds to start: a server, a browser. Under libtest each test would start its own, or a static
//! would keep it, which nothing ends. So these test programs have a `main` of their own, which runs one test after another,
//! drops what they shared, and prints what libtest prints.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::Result;

use crate::time::Timer;

/// The `main` of a test program: `suite! { start; a_test, another_test }`. Those after `; patient:` take minutes in which nothing
/// happens: they run with `--ignored` only, as libtest calls it, and then alone.
#[macro_export]
macro_rules! suite {
    ($start:expr; $($test:ident),+ $(,)? $(; patient: $($patient:ident),+ $(,)?)?) => {
        fn main() -> std::process::ExitCode {
            let tests = [
                $($crate::Test::new(stringify!($test), $test)),+
                $(, $($crate::Test::new(stringify!($patient), $patient).patient()),+)?
            ];
            $crate::run($start, &tests)
        }
    };
}

/// A test, of what it shares with others.
pub struct Test<S> {
    name: String,
    is_patient: bool,
    test: Box<Body<S>>,
}

type Body<S> = dyn Fn(&mut S) -> Result<()>;

impl<S> Test<S> {
    /// A test of that name.
    pub fn new(name: impl Into<String>, test: impl Fn(&mut S) -> Result<()> + 'static) -> Self {
        Self { name: name.into(), is_patient: false, test: Box::new(test) }
    }

    /// The same, as one that takes its time.
    pub fn patient(self) -> Self {
        Self { is_patient: true, ..self }
    }
}

/// Runs the tests whose names contain one of the command line's words (all, if there are none) on what `start` gives.
pub fn run<S>(start: impl FnOnce() -> Result<S>, tests: &[Test<S>]) -> ExitCode {
    let (options, words): (Vec<String>, Vec<String>) = env::args().skip(1).partition(|word| word.starts_with('-'));
    let patient_wanted = options.iter().any(|option| option == "--ignored");
    let is_named = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let (patient, others): (Vec<_>, Vec<_>) =
        tests.iter().filter(|test| is_named(&test.name)).partition(|test| test.is_patient);
    let (wanted, ignored) = if patient_wanted { (patient, 0) } else { (others, patient.len()) };
    let timer = Timer::start();
    let mut failed = Vec::new();
    println!("\nrunning {} tests", wanted.len());
    if !wanted.is_empty() {
        match start() {
            Ok(mut shared) => {
                println!("started what they share ({:.1} s)", timer.elapsed().as_secs_f64());
                failed = run_each(&mut shared, &wanted);
            }
            Err(error) => {
                println!("what they share did not start: {error:#}");
                failed = wanted.iter().map(|test| test.name.as_str()).collect();
            }
        }
    }
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; {ignored} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        wanted.len() - failed.len(),
        failed.len(),
        tests.len() - wanted.len() - ignored,
        timer.elapsed().as_secs_f64(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The names of those that failed. A failed one keeps no other from running.
fn run_each<'a, S>(shared: &mut S, tests: &[&'a Test<S>]) -> Vec<&'a str> {
    let mut failed = Vec::new();
    for Test { name, test, .. } in tests {
        let timer = Timer::start();
        // The panic's own message has been printed by then.
        let outcome = catch_unwind(AssertUnwindSafe(|| test(shared)));
        let passed = match outcome {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                println!("{name}: {error:#}");
                false
            }
            Err(_) => false,
        };
        let word = if passed { "ok" } else { "FAILED" };
        println!("test {name} ... {word} ({:.1} s)", timer.elapsed().as_secs_f64());
        if !passed {
            failed.push(name.as_str());
        }
    }
    failed
}
