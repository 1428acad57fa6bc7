//! `cargo xtask size`: what a page downloads, in bytes, beside what it may be. Over budget is a failure, here and in
//! `cargo xtask test`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::process;
use crate::setup::Tools;

/// Some files that a page downloads together, or the Worker.
struct Subject {
    name: &'static str,
    /// In `build/assets/v1`, each with its `.gz` and `.br` beside it.
    files: &'static [&'static str],
    budget: Option<Budget>,
    /// What comparable scripts weigh.
    peers: &'static str,
}

/// Bytes in brotli, by the browser's own network log.
struct Budget {
    most: u64,
    goal: Option<u64>,
}

const SUBJECTS: [Subject; 4] = [
    Subject {
        name: "selgeo.js",
        files: &["selgeo.js"],
        budget: Some(Budget { most: 4_096, goal: Some(2_513) }),
        peers: "Dub with everything 2,513; Dub base 1,510; gzip: refref 1,717, Reflio 3,423",
    },
    Subject {
        name: "selgeo.js + fallback",
        files: &["selgeo.js", "selgeo-fallback.js"],
        budget: Some(Budget { most: 8_192, goal: None }),
        peers: "",
    },
    Subject {
        name: "trac.js",
        files: &["trac.js"],
        budget: Some(Budget { most: 6_144, goal: Some(4_596) }),
        peers: "Traaaction, gzip: 9,522; minified 4,596",
    },
    Subject { name: "trac.js + fallback", files: &["trac.js", "trac-fallback.js"], budget: None, peers: "" },
];

/// What the command can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// A subject as it was found.
struct Row {
    name: &'static str,
    weight: Option<Weight>,
    budget: Option<Budget>,
    peers: &'static str,
}

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    raw: u64,
    gzip: u64,
    /// Not asked of the Worker, which is uploaded in gzip.
    brotli: Option<u64>,
}

/// Prints the table, then fails if anything is over its budget.
pub fn run(root: &Path, tools: &Tools, options: &Options) -> Result<()> {
    let rows = weigh(root, tools)?;
    if options.json {
        println!("{:#}", as_json(&rows));
    } else {
        println!("{}", table(&rows));
    }
    judge(&rows)
}

/// The same for `cargo xtask test`.
pub fn check(root: &Path, tools: &Tools) -> Result<()> {
    run(root, tools, &Options { json: false })
}

fn weigh(root: &Path, tools: &Tools) -> Result<Vec<Row>> {
    let folder = root.join("build/assets/v1");
    ensure!(folder.join("selgeo.js").exists(), "nothing is built yet. Run `cargo xtask build` first");
    let mut rows = Vec::new();
    for Subject { name, files, budget, peers } in SUBJECTS {
        rows.push(Row { name, weight: Some(weight_of(&folder, files)?), budget, peers });
    }
    let weight = worker(root, tools)?;
    let peers = "a budget of 524,288 in gzip is to come";
    rows.push(Row { name: "the Worker", weight, budget: None, peers });
    Ok(rows)
}

/// The sum of what is served.
fn weight_of(folder: &Path, files: &[&str]) -> Result<Weight> {
    let mut sum = Weight { brotli: Some(0), ..Weight::default() };
    for file in files {
        let bytes = |suffix: &str| {
            let path = folder.join(format!("{file}{suffix}"));
            let found = fs::metadata(&path).with_context(|| format!("{} is missing: build anew", path.display()));
            found.map(|found| found.len())
        };
        sum.raw += bytes("")?;
        sum.gzip += bytes(".gz")?;
        sum.brotli = Some(sum.brotli.unwrap_or(0) + bytes(".br")?);
    }
    Ok(sum)
}

/// Node has the compressor; a crate for it would be compiled before every command.
const WEIGH: &str = r"
const { gzipSync } = require('node:zlib');
const files = process.argv.slice(1).map((file) => require('node:fs').readFileSync(file));
const sum = (lengths) => lengths.reduce((a, b) => a + b, 0);
console.log(sum(files.map((b) => b.length)), sum(files.map((b) => gzipSync(b, { level: 9 }).length)));";

/// The Worker's modules as they are uploaded.
fn worker(root: &Path, tools: &Tools) -> Result<Option<Weight>> {
    let Ok(entries) = fs::read_dir(root.join("build/worker")) else { return Ok(None) };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js" || extension == "wasm") {
            files.push(path);
        }
    }
    let told = process::ask(tools.command(&tools.node).args(["-e", WEIGH, "--"]).args(files));
    let told = told.context("Node could not weigh the Worker")?;
    let numbers = told.split_once(' ').and_then(|(raw, gzip)| Some((raw.parse().ok()?, gzip.parse().ok()?)));
    let (raw, gzip) = numbers.with_context(|| format!("Node weighed the Worker as {told:?}"))?;
    Ok(Some(Weight { raw, gzip, brotli: None }))
}

impl Row {
    /// By how many bytes it is too heavy.
    fn over(&self) -> Option<u64> {
        let (brotli, most) = (self.weight?.brotli?, self.budget.as_ref()?.most);
        brotli.checked_sub(most).filter(|over| *over > 0)
    }

    fn verdict(&self) -> String {
        let goal = self.budget.as_ref().and_then(|budget| budget.goal);
        let brotli = self.weight.and_then(|weight| weight.brotli);
        match (self.weight, self.over(), brotli.zip(goal)) {
            (None, ..) => "not built".to_owned(),
            (_, Some(over), _) => format!("OVER by {}", grouped(over)),
            (_, None, Some((brotli, goal))) if brotli > goal => format!("{} above the goal", grouped(brotli - goal)),
            (_, None, Some(_)) => "at the goal".to_owned(),
            _ if self.budget.is_some() => "within".to_owned(),
            _ => "no budget".to_owned(),
        }
    }
}

fn table(rows: &[Row]) -> String {
    let line = |cells: [String; 8]| {
        let [name, raw, gzip, brotli, budget, goal, verdict, peers] = cells;
        let line = format!("{name:<21} {raw:>9} {gzip:>9} {brotli:>9} {budget:>9} {goal:>9}  {verdict:<22} {peers}");
        line.trim_end().to_owned()
    };
    let heads = ["bytes", "raw", "gzip", "brotli", "budget", "goal", "", "for comparison, brotli unless named"];
    let mut lines = vec![line(heads.map(str::to_owned))];
    for row in rows {
        let (weight, budget) = (row.weight, row.budget.as_ref());
        lines.push(line([
            row.name.to_owned(),
            cell(weight.map(|weight| weight.raw)),
            cell(weight.map(|weight| weight.gzip)),
            cell(weight.and_then(|weight| weight.brotli)),
            cell(budget.map(|budget| budget.most)),
            cell(budget.and_then(|budget| budget.goal)),
            row.verdict(),
            row.peers.to_owned(),
        ]));
    }
    lines.join("\n")
}

fn cell(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "-".to_owned(), grouped)
}

/// `4,096`.
fn grouped(bytes: u64) -> String {
    if bytes < 1_000 { bytes.to_string() } else { format!("{},{:03}", grouped(bytes / 1_000), bytes % 1_000) }
}

fn as_json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        json!({
            "name": row.name,
            "built": row.weight.is_some(),
            "raw": row.weight.map(|weight| weight.raw),
            "gzip": row.weight.map(|weight| weight.gzip),
            "brotli": row.weight.and_then(|weight| weight.brotli),
            "budget": row.budget.as_ref().map(|budget| budget.most),
            "goal": row.budget.as_ref().and_then(|budget| budget.goal),
            "over": row.over().is_some(),
        })
    };
    json!({ "files": rows.iter().map(row).collect::<Vec<_>>() })
}

fn judge(rows: &[Row]) -> Result<()> {
    let over = |row: &Row| row.over().map(|over| format!("{} by {} bytes of brotli", row.name, grouped(over)));
    let over: Vec<String> = rows.iter().filter_map(over).collect();
    if over.is_empty() {
        return Ok(());
    }
    bail!("over budget: {}", over.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The subjects' rows, as if each weighed this in brotli.
    fn rows(brotli: [Option<u64>; 4]) -> Vec<Row> {
        let weight = |brotli| Weight { raw: 10_000, gzip: 5_000, brotli: Some(brotli) };
        let both = SUBJECTS.into_iter().zip(brotli);
        both.map(|(it, brotli)| Row { name: it.name, weight: brotli.map(weight), budget: it.budget, peers: it.peers })
            .collect()
    }

    #[test]
    fn the_budgets_are_the_contracts() {
        let check = |brotli, expected: &str| {
            let told = judge(&rows(brotli)).map_or_else(|error| error.to_string(), |()| "within".to_owned());
            assert_eq!(told, expected, "{brotli:?}");
        };
        check([Some(4_096), Some(8_192), Some(6_144), Some(99_999)], "within");
        check([Some(4_097), Some(8_192), Some(6_144), None], "over budget: selgeo.js by 1 bytes of brotli");
        check(
            [Some(1), Some(9_192), Some(6_145), None],
            "over budget: selgeo.js + fallback by 1,000 bytes of brotli; trac.js by 1 bytes of brotli",
        );
        // What is not built yet weighs nothing.
        check([None, None, None, None], "within");
    }

    #[test]
    fn the_table_says_in_words_how_each_stands() {
        let told: Vec<String> = rows([Some(2_600), Some(8_193), None, Some(1)]).iter().map(Row::verdict).collect();
        assert_eq!(told, ["87 above the goal", "OVER by 1", "not built", "no budget"]);
        let told: Vec<String> = rows([Some(2_513), Some(8_192), Some(4_597), None]).iter().map(Row::verdict).collect();
        assert_eq!(told, ["at the goal", "within", "1 above the goal", "not built"]);
        let table = table(&rows([Some(2_600), Some(8_193), None, None]));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 5);
        assert!(
            lines[1].starts_with("selgeo.js ") && lines[1].contains("10,000     5,000     2,600     4,096     2,513")
        );
        assert!(lines[1].contains("Dub with everything 2,513"), "{table}");
        assert!(lines[3].contains(" - ") && lines[3].contains("not built"), "{table}");
    }

    #[test]
    fn json_format_unchanged() {
        let told = as_json(&rows([Some(5_000), None, None, None]));
        assert_eq!(
            told["files"][0],
            json!({"name": "selgeo.js", "built": true, "raw": 10_000, "gzip": 5_000, "brotli": 5_000, "budget": 4_096,
                "goal": 2_513, "over": true}),
        );
        assert_eq!((&told["files"][1]["built"], &told["files"][1]["brotli"]), (&json!(false), &Value::Null));
    }

    #[test]
    fn bytes_are_grouped_by_thousands() {
        let check = |bytes, expected| assert_eq!(grouped(bytes), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(4_096, "4,096");
        check(1_000_007, "1,000,007");
    }
}
