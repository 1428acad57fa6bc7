//! `cargo xtask import`: a file of partners, links or promo codes, cut into what a request may bring, and summed up. The file is read
//! as a stream; what its rows come to, the deployment says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use csv::{ByteRecord, StringRecord};
use serde_json::{Value, json};

use crate::export::{again, key};
use crate::http::Client;
use crate::process::say;

/// A larger file is refused: it is no list of partners.
const FILE_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// Rows of a request; the API takes more.
const ROWS_MAX: usize = 400;
/// Bytes of a request's text as JSON writes it; a body has at most 64 KiB, and a text 61,440 characters.
const TEXT_BYTES_MAX: usize = 56 * 1024;
/// Errors that are printed; all are counted.
const ERRORS_TOLD_MAX: usize = 100;

/// What `cargo xtask import` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Where the deployment is, `https://…`; or the running `cargo xtask dev`
    #[arg(long)]
    url: String,
    /// A secret key with the scope `manage`, whose mode is imported into; without it, what the environment's SELGEO_KEY says
    #[arg(long, value_name = "sk_…")]
    key: Option<String>,
    /// `partners`, `links` or `promo_codes`
    #[arg(long)]
    kind: String,
    /// CSV in UTF-8, with a header line, of at most 100 MB
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Say what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
    /// `traaaction`: programs take back pending commissions when a subscription ends, and scripts may name the workspace's id
    #[arg(long)]
    source: Option<String>,
}

/// How often it is told how far an import has come.
const TOLD_EVERY_ROWS: usize = 10_000;

/// Some rows of the file, with their header line.
struct Chunk {
    text: String,
    /// Bytes that the text has in JSON.
    json_bytes: usize,
    /// Where each row stands in the file.
    lines: Vec<u64>,
}

/// What came of all rows so far.
#[derive(Default)]
struct Sum {
    counts: BTreeMap<String, u64>,
    errors: Vec<String>,
    differing: Vec<String>,
}

/// Imports, prints what came of it, and fails where a row is wrong.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let file = File::open(&options.file).with_context(|| format!("{} cannot be read", options.file.display()))?;
    let bytes = file.metadata()?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("{} has {bytes} bytes, and may have {FILE_BYTES_MAX}", options.file.display());
    }
    let (client, bearer) = (Client::reaching(root, &options.url)?, format!("Bearer {}", key(options.key.as_ref())?));
    let url = format!("{}/api/v1/imports", options.url.trim_end_matches('/'));
    let (mut sum, mut sent) = (Sum::default(), 0);
    chunks(file, &mut sum, |chunk, sum| {
        if sent > 0 && sent % TOLD_EVERY_ROWS < ROWS_MAX {
            say(&format!("{sent} rows so far, up to line {}", chunk.lines.first().unwrap_or(&1)));
        }
        sent += chunk.lines.len();
        let body =
            json!({"kind": options.kind, "csv": chunk.text, "dry_run": options.dry_run, "source": options.source});
        let answer = again(|| client.post(&url, &[("authorization", bearer.as_str())], &body.to_string()))?;
        if answer.status != 200 {
            let (first, last) = (chunk.lines.first().unwrap_or(&1), chunk.lines.last().unwrap_or(&1));
            bail!("lines {first} to {last}: POST {url} answered {}: {}", answer.status, answer.body);
        }
        sum.add(&serde_json::from_str(&answer.body)?, &chunk.lines);
        Ok(())
    })?;
    println!("{}", sum.shown());
    match sum.counts.get("error") {
        None => Ok(()),
        Some(many) => bail!("{many} rows are wrong; mend them and import the file again: what is there stays as it is"),
    }
}

/// Cuts a file, and hands over one chunk after the other. A row that cannot be sent is an error of its own.
fn chunks(file: impl Read, sum: &mut Sum, mut send: impl FnMut(&Chunk, &mut Sum) -> Result<()>) -> Result<()> {
    // Lines end with LF; the CR before it is white space of the last cell. The last line ends too.
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder
        .flexible(true)
        .has_headers(false)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(file.chain(&b"\n"[..]));
    let mut bytes = ByteRecord::new();
    reader.read_byte_record(&mut bytes)?;
    let header = StringRecord::from_byte_record(bytes.clone()).ok().context("the header line is not UTF-8")?;
    let header = written(&header)?;
    let mut chunk = Chunk::new(&header);
    let (mut rows, mut ends) = (0u64, reader.position().line());
    while reader.read_byte_record(&mut bytes)? {
        let after = reader.position().line();
        // Blank lines before a row are passed over with it; only those within its cells are its own.
        let own: usize = bytes.iter().map(|cell| cell.iter().filter(|byte| **byte == b'\n').count()).sum();
        let line = after.saturating_sub(1 + own as u64).max(ends);
        ends = after;
        if bytes.iter().all(|cell| cell.trim_ascii().is_empty()) {
            continue;
        }
        rows += 1;
        let Ok(record) = StringRecord::from_byte_record(bytes.clone()) else {
            sum.wrong(line, "is not UTF-8; save the file as \"CSV UTF-8\"");
            continue;
        };
        if record.iter().any(|cell| cell.trim().contains(['\n', '\r'])) {
            sum.wrong(line, "has a line break within a cell; is a quote not closed?");
            continue;
        }
        let text = written(&record)?;
        let json_bytes = in_json(&text);
        if header.len() + json_bytes > TEXT_BYTES_MAX {
            sum.wrong(line, "is longer than any row may be");
            continue;
        }
        if chunk.lines.len() >= ROWS_MAX || chunk.json_bytes + json_bytes > TEXT_BYTES_MAX {
            send(&chunk, sum)?;
            chunk = Chunk::new(&header);
        }
        chunk.text += &text;
        chunk.json_bytes += json_bytes;
        chunk.lines.push(line);
    }
    // A file of nothing but a header line is sent too: its columns may be wrong.
    if !chunk.lines.is_empty() || rows == 0 { send(&chunk, sum) } else { Ok(()) }
}

impl Chunk {
    fn new(header: &str) -> Self {
        Self { text: header.to_owned(), json_bytes: in_json(header), lines: Vec::new() }
    }
}

/// One line as CSV.
fn written(record: &StringRecord) -> Result<String> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    writer.write_record(record.iter().map(str::trim))?;
    let bytes = writer.into_inner().context("a row cannot be written")?;
    Ok(String::from_utf8(bytes)?)
}

fn in_json(text: &str) -> usize {
    text.chars().map(|c| if c < ' ' || c == '"' || c == '\\' { 6 } else { c.len_utf8() }).sum()
}

impl Sum {
    /// Adds an answer, whose lines are the chunk's: the header line and then the rows.
    fn add(&mut self, answer: &Value, lines: &[u64]) {
        for row in answer.get("rows").and_then(Value::as_array).into_iter().flatten() {
            let place =
                row.get("line").and_then(Value::as_u64).and_then(|line| usize::try_from(line.checked_sub(2)?).ok());
            let line = place.and_then(|place| lines.get(place)).copied().unwrap_or(0);
            match row.get("outcome").and_then(Value::as_str).unwrap_or_default() {
                "error" => {
                    let errors = row.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
                    let word =
                        |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                    let told: Vec<String> =
                        errors.iter().map(|one| format!("{} {}", word(one, "field"), word(one, "message"))).collect();
                    self.wrong(line, told.join("; ").trim());
                }
                outcome => {
                    *self.counts.entry(outcome.to_owned()).or_default() += 1;
                    let differs: Vec<&str> = row
                        .get("differs")
                        .and_then(Value::as_array)
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .collect();
                    if !differs.is_empty() {
                        *self.counts.entry("differs".to_owned()).or_default() += 1;
                        if self.differing.len() < ERRORS_TOLD_MAX {
                            self.differing
                                .push(format!("line {line}: what is there has another {}", differs.join(", ")));
                        }
                    }
                }
            }
        }
    }

    fn wrong(&mut self, line: u64, what: &str) {
        *self.counts.entry("error".to_owned()).or_default() += 1;
        if self.errors.len() < ERRORS_TOLD_MAX {
            self.errors.push(format!("line {line}: {what}"));
        }
    }

    fn shown(&self) -> String {
        let mut lines = self.errors.clone();
        let told = lines.len() as u64;
        let wrong = self.counts.get("error").copied().unwrap_or(0);
        if wrong > told {
            lines.push(format!("… and {} more", wrong - told));
        }
        lines.extend(self.differing.iter().cloned());
        lines.extend(self.counts.iter().map(|(outcome, count)| format!("{outcome:<12} {count}")));
        if self.counts.is_empty() {
            lines.push("there are no rows in it".to_owned());
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of each chunk that a file is cut into, and what is said of rows that are not sent.
    fn cut(file: &[u8]) -> (Vec<Vec<u64>>, Vec<String>) {
        let (mut sum, mut all) = (Sum::default(), Vec::new());
        chunks(file, &mut sum, |chunk, _| {
            let text = serde_json::to_string(&chunk.text)?;
            assert!(text.len() <= TEXT_BYTES_MAX + 100 && chunk.text.starts_with("email,name\n"), "{}", text.len());
            assert_eq!(chunk.text.lines().count(), chunk.lines.len() + 1);
            all.push(chunk.lines.clone());
            Ok(())
        })
        .unwrap();
        (all, sum.errors)
    }

    #[test]
    fn a_file_is_cut_and_its_lines_stay_known() {
        assert_eq!(cut(b"email,name\n"), (vec![vec![]], vec![]));
        assert_eq!(cut(b"\xef\xbb\xbfemail,name\r\na@b.c,\"A, \"\"a\"\"\"\r\n\r\nb@b.c,B"), (vec![vec![2, 4]], vec![]));
        let many = format!("email,name\n{}", "a@b.c,A\n".repeat(1_000));
        let (all, errors) = cut(many.as_bytes());
        assert_eq!((all.iter().map(Vec::len).collect::<Vec<_>>(), errors), (vec![400, 400, 200], vec![]));
        assert_eq!((all[1].first(), all[2].last()), (Some(&402), Some(&1_001)));
        let wide = format!("email,name\n{}", format!("a@b.c,{}\n", "\"\"".repeat(0) + &"x".repeat(20_000)).repeat(5));
        assert_eq!(cut(wide.as_bytes()).0, vec![vec![2, 3], vec![4, 5], vec![6]]);
    }

    #[test]
    fn a_row_that_cannot_be_sent_stops_no_other() {
        let file = b"email,name\na@b.c,Ren\xe9\nb@b.c,\"two\nlines\"\nc@b.c,C\n";
        let (all, errors) = cut(file);
        assert_eq!(all, vec![vec![5]]);
        assert_eq!(errors.len(), 2);
        assert!(
            errors[0].starts_with("line 2: is not UTF-8") && errors[1].starts_with("line 3: has a line break"),
            "{errors:?}"
        );
        let long = format!("email,name\n{},A\nb@b.c,B\n", "x".repeat(100_000));
        assert_eq!(cut(long.as_bytes()).1, ["line 2: is longer than any row may be"]);
    }

    #[test]
    fn answers_are_added_up_by_the_files_own_lines() {
        let mut sum = Sum::default();
        let error = json!([{"field": "email", "message": "is required"}]);
        let rows =
            json!({"rows": [{"line": 2, "outcome": "created"}, {"line": 3, "outcome": "error", "errors": error}]});
        sum.add(&rows, &[402, 403]);
        sum.add(&json!({"rows": [{"line": 2, "outcome": "created"}]}), &[500]);
        assert_eq!(sum.shown(), "line 403: email is required\ncreated      2\nerror        1");
    }
}
