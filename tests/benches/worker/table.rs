//! What was measured, as tables in Markdown.

use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};

use crate::Sample;
use crate::subject::{JS, OURS, RUST, Subject};

/// A figure of one row held against that of another, as its issue asks for it.
struct Goal {
    name: &'static str,
    figure: fn(&Sample) -> f64,
    of: (&'static str, &'static str),
    to: (&'static str, &'static str),
    goal: &'static str,
}

const THROUGHPUT: fn(&Sample) -> f64 = |sample| sample.full.per_s;
const P99_AT_HALF: fn(&Sample) -> f64 = |sample| sample.half.map_or(f64::NAN, |half| half.p99_ms);
const WARM: (&str, &str) = ("click, warm", OURS);
const APART: (&str, &str) = ("click, warm, no consumer here", OURS);
const EMPTY: (&str, &str) = ("nothing", RUST);
const CONVERSION: (&str, &str) = ("conversion", OURS);

const GOALS: [Goal; 7] = [
    Goal { name: "requests/s", figure: THROUGHPUT, of: WARM, to: EMPTY, goal: "≥ 0.6" },
    Goal { name: "requests/s", figure: THROUGHPUT, of: APART, to: EMPTY, goal: "≥ 0.6" },
    Goal { name: "requests/s", figure: THROUGHPUT, of: WARM, to: ("click", JS), goal: "≥ 5" },
    Goal { name: "requests/s", figure: THROUGHPUT, of: APART, to: ("click", JS), goal: "≥ 5" },
    Goal { name: "p99 at half load", figure: P99_AT_HALF, of: WARM, to: EMPTY, goal: "≤ 2" },
    Goal { name: "p99 at half load", figure: P99_AT_HALF, of: APART, to: EMPTY, goal: "≤ 2" },
    Goal { name: "requests/s", figure: THROUGHPUT, of: CONVERSION, to: ("conversion", JS), goal: "≥ 1.5" },
];

/// On what was measured.
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let version = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        // wrk calls its version a wrong use.
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        text.lines().next().unwrap_or("unknown").split(" [").next().unwrap_or_default().to_owned()
    };
    let rows = [
        ("processor", field(&cpuinfo, "model name")),
        ("processors", thread::available_parallelism().map_or(0, usize::from).to_string()),
        ("memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load before (1, 5, 15 minutes)", read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")),
        ("data on", file_system(&env::temp_dir())),
        ("runtime", version("workerd")),
        ("load generator", version("wrk")),
    ];
    let rows = rows.iter().map(|(name, value)| format!("| {name} | {value} |\n"));
    format!("| machine | |\n|---|---|\n{}", rows.collect::<String>())
}

/// What a write has to wait for. `TMPDIR` chooses another.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let over = fields.filter(|fields| fields.get(1).is_some_and(|point| folder.starts_with(point)));
    let nearest = over.max_by_key(|fields| fields[1].len());
    format!("{} ({})", folder.display(), nearest.map_or("unknown", |fields| fields[2]))
}

/// A row for each subject, with the medians of its rounds.
pub fn rows(measured: &[(Subject, String, Vec<Sample>)]) -> String {
    let mut table = String::from(
        "| path | of | requests/s | p50, ms | p99, ms | p99 at half load, ms | CPU a request, µs | asked of the platform | |\n\
         |---|---|---:|---:|---:|---:|---:|---|---|\n",
    );
    for (subject, asks, samples) in measured {
        let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
        let share = of(|sample| sample.half.map_or(f64::NAN, |half| 100.0 * half.per_s / sample.full.per_s));
        let half = of(P99_AT_HALF);
        let half = if half.is_nan() { "–".to_owned() } else { format!("{half:.1} (at {share:.0} %)") };
        table += &format!(
            "| {} | {} | {:.0} | {:.1} | {:.1} | {half} | {:.0} | {asks} | {} |\n",
            subject.path,
            subject.of,
            of(THROUGHPUT),
            of(|sample| sample.full.p50_ms),
            of(|sample| sample.full.p99_ms),
            of(|sample| sample.cpu_us),
            remarks(samples),
        );
    }
    table
}

/// What makes a row worth less.
fn remarks(samples: &[Sample]) -> String {
    let runs = || samples.iter().flat_map(|sample| [Some(sample.full), sample.half]).flatten();
    let failed: u64 = runs().map(|seen| seen.failed).sum();
    let mut remarks = Vec::new();
    if failed > 0 {
        remarks
            .push(format!("**{failed} of {} not answered 2xx or 3xx**", runs().map(|seen| seen.requests).sum::<u64>()));
    }
    if runs().any(|seen| seen.ran_out) {
        remarks.push("**some requests came twice**".to_owned());
    }
    if samples.iter().any(|sample| !sample.settled) {
        remarks.push("**CPU without what was still to do**".to_owned());
    }
    remarks.join(", ")
}

/// The median of each round's ratio, beside the goal.
pub fn ratios(measured: &[(Subject, String, Vec<Sample>)]) -> String {
    let samples = |(path, of): (&str, &str)| {
        let row = measured.iter().find(|(subject, ..)| subject.path == path && subject.of == of);
        row.map(|(.., samples)| samples.as_slice()).unwrap_or_default()
    };
    let mut table = String::from("| ratio | of | to | median | least to most | goal |\n|---|---|---|---:|---:|---:|\n");
    for Goal { name, figure, of, to, goal } in GOALS {
        let pairs = samples(of).iter().zip(samples(to));
        let mut ratios: Vec<f64> = pairs.map(|(of, to)| figure(of) / figure(to)).collect();
        ratios.sort_by(f64::total_cmp);
        let end = |ratio: Option<&f64>| ratio.copied().unwrap_or(f64::NAN);
        let (least, most) = (end(ratios.first()), end(ratios.last()));
        let median = median(ratios.iter().copied());
        let name_of = |(path, of): (&str, &str)| format!("{path} ({of})");
        table += &format!(
            "| {name} | {} | {} | {median:.2} | {least:.2} to {most:.2} | {goal} |\n",
            name_of(of),
            name_of(to)
        );
    }
    table
}

/// The middle one; of an even number, the upper of the two.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
