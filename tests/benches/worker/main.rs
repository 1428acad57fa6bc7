//! The Worker under load, beside Workers that do nothing and one in plain JavaScript that does the same jobs: in turn, round by
//! round, on the same workerd. `cargo xtask bench worker` builds what is needed and starts this. It prints tables; nothing here is
//! asserted, because a time on a shared machine proves nothing. With `--soak` it is a steady load instead.

mod host;
mod load;
mod soak;
mod subject;
mod supply;
mod table;

use std::env;

use anyhow::Result;

use host::Host;
use load::{Pressure, Repeat, Seen, press};
use subject::{Subject, look};

/// Until the runtime has compiled what is used much.
const WARM_UP_SECONDS: u64 = 2;
const SECONDS_DEFAULT: u64 = 10;
const ROUNDS_DEFAULT: u64 = 5;
const CONNECTIONS_DEFAULT: u64 = 32;
const PER_SECOND_DEFAULT: u64 = 100;

/// One round of one subject.
pub struct Sample {
    full: Seen,
    /// At about half of that rate. What comes once has no such run.
    half: Option<Seen>,
    /// Processor time a request, with what is done after its answer.
    cpu_us: f64,
    /// Whether it ended within the time for it.
    settled: bool,
}

const NOTES: &str = "\
Requests/s, p50 and p99: as much as that many connections bring. Half load: each connection rests for a random time between its \
requests; the share that came of it is beside. CPU: of the whole workerd process, including what the queue brings later, the \
local databases and the local queue. Warm: the same key and link again and again. Cold: a server that was just started, and each \
link asked for once. No consumer here: what is queued is dropped and nothing is swept, as if another machine did both. Medians of all rounds.\n";

fn main() -> Result<()> {
    let pressure = Pressure {
        seconds: number("--seconds", SECONDS_DEFAULT),
        connections: number("--connections", CONNECTIONS_DEFAULT),
        pause_ms: 0.0,
    };
    let minutes = number("--soak", 0);
    if minutes > 0 {
        println!("{}", table::machine());
        return soak::run(minutes, number("--per-second", PER_SECOND_DEFAULT));
    }
    let rounds = number("--rounds", ROUNDS_DEFAULT);
    let machine = table::machine();
    let (mut hosts, subjects) = subject::all(usize::try_from(rounds)?, pressure.seconds)?;
    let mut measured: Vec<(Subject, String, Vec<Sample>)> = Vec::new();
    for subject in subjects {
        eprintln!("    {} of {}: warming up", subject.path, subject.of);
        let asks = prepare(&subject, &mut hosts, pressure)?;
        measured.push((subject, asks, Vec::new()));
    }
    for round in 1..=rounds {
        for (subject, _, samples) in &mut measured {
            let sample = measure(subject, &mut hosts, pressure, round)?;
            let (path, of, Seen { per_s, p99_ms, .. }) = (subject.path, subject.of, sample.full);
            eprintln!("    round {round}: {path} of {of}: {per_s:.0} requests/s, p99 {p99_ms:.1} ms");
            samples.push(sample);
        }
    }
    println!("{machine}\n{rounds} rounds of {} s, {} connections.\n", pressure.seconds, pressure.connections);
    println!("{}\n{NOTES}\n{}", table::rows(&measured), table::ratios(&measured));
    Ok(())
}

fn number(option: &str, default: u64) -> u64 {
    let mut words = env::args().skip_while(|word| word != option).skip(1);
    words.next().and_then(|word| word.parse().ok()).unwrap_or(default)
}

/// Looks whether it answers as it should, and what it asks of the platform once it is warm.
fn prepare(subject: &Subject, hosts: &mut [Host], pressure: Pressure) -> Result<String> {
    let host = &mut hosts[subject.host];
    if subject.repeat == Repeat::Once {
        host.restart()?;
        let asks = look(subject, &host.url(), "look")?;
        host.workerd()?.settle()?;
        return Ok(asks);
    }
    let warm_up = (subject.requests)("warm")?;
    press(&host.url(), &warm_up, subject.repeat, Pressure { seconds: WARM_UP_SECONDS, ..pressure })?;
    host.workerd()?.settle()?;
    look(subject, &host.url(), "look")
}

/// As much as it answers, then half of that.
fn measure(subject: &Subject, hosts: &mut [Host], pressure: Pressure, round: u64) -> Result<Sample> {
    let host = &mut hosts[subject.host];
    if subject.repeat == Repeat::Once {
        host.restart()?;
        host.workerd()?.settle()?;
    }
    let (origin, workerd) = (host.url(), host.workerd()?);
    let requests = (subject.requests)(&format!("r{round}"))?;
    let before = workerd.cpu_ms()?;
    let full = press(&origin, &requests, subject.repeat, pressure)?;
    let mut settled = workerd.settle()?;
    let cpu_us = 1_000.0 * (workerd.cpu_ms()? - before) as f64 / full.requests as f64;
    let mut half = None;
    if subject.repeat != Repeat::Once {
        let requests = (subject.requests)(&format!("h{round}"))?;
        half = Some(press(&origin, &requests, subject.repeat, pressure.half(full.per_s))?);
        settled &= workerd.settle()?;
    }
    Ok(Sample { full, half, cpu_us, settled })
}
