//! The guides of `www/docs`, followed: each block of code that can run is run in the order of its guide, and what it is answered is
//! held against the answer that the guide shows.
//!
//! What stands behind a block's fence says what is done with it, see `xtask/src/docs/guide.rs`. In an expected answer `…` stands
//! for any text, so for ids and times; `"…"` alone for anything; a member named `…` for any further ones, an element `"…"` for any further
//! elements.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use e2e::{Server, Test, wait_for};
use serde_json::Value;
use tempfile::TempDir;

/// What Stripe sends is booked after it is answered.
const BOOKED_WITHIN: Duration = Duration::from_secs(30);
/// A reader looks again, and not so often that there are too many requests.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Every call's status goes where no body goes, and no proxy of this machine is asked.
const CURL: &str = "silent\nshow-error\nnoproxy = \"*\"\nwrite-out = \"%{stderr}%{http_code}\\n\"\n";

fn main() -> ExitCode {
    match guides() {
        Ok(guides) => e2e::run(Server::start, &guides),
        Err(error) => {
            println!("the guides cannot be read: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A test for each guide in which anything can run.
fn guides() -> Result<Vec<Test<Server>>> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join("www").join("docs"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.sort();
    let mut tests = Vec::new();
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str()).context("a guide without a name")?.to_owned();
        let blocks = blocks(&fs::read_to_string(&file)?);
        if blocks.iter().any(|block| block.runs) {
            let followed = move |server: &mut Server| Reader::new(server)?.follow(&blocks);
            tests.push(Test::new(format!("what_{}_says_is_so", name.replace('-', "_")), followed));
        }
    }
    ensure!(!tests.is_empty(), "nothing in them can run");
    Ok(tests)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A block of code.
#[derive(Debug, Default)]
struct Block {
    line: usize,
    language: String,
    file: Option<String>,
    runs: bool,
    /// Run again until the answer is as it should be.
    until: bool,
    is_answer: bool,
    is_output: bool,
    status: Option<String>,
    kept: Vec<(String, String)>,
    code: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.code.push_str(line);
                block.code.push('\n');
            }
            (None, Some(info)) => open = Some(block(index + 1, info)),
            (None, None) => {}
        }
    }
    blocks
}

fn block(line: usize, info: &str) -> Block {
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default().to_owned();
    let mut block = Block { line, language, ..Block::default() };
    for word in words {
        match word {
            "run" => block.runs = true,
            "until" => (block.runs, block.until) = (true, true),
            "answer" => block.is_answer = true,
            "output" => block.is_output = true,
            word => match word.split_once('=') {
                Some((name, field)) => block.kept.push((name.to_owned(), field.to_owned())),
                None if word.contains('.') => block.file = Some(word.to_owned()),
                None => block.status = Some(word.to_owned()),
            },
        }
    }
    block
}

/// Somebody who follows a guide: a folder as the project's is after `cargo xtask dev`, and a shell's variables.
struct Reader {
    folder: TempDir,
    /// What the last block that ran printed, unless it could not be run here.
    said: Option<String>,
    status: String,
}

impl Reader {
    fn new(server: &Server) -> Result<Self> {
        let folder = TempDir::new()?;
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at(".selgeo"))?;
        fs::write(at(".selgeo/dev.json"), server.dev().to_string())?;
        fs::write(at(".curlrc"), CURL)?;
        let mut variables = format!("export PATH={}:\"$PATH\"\n", quoted(&at("bin").to_string_lossy()));
        for (name, value) in [
            ("SELGEO_URL", server.url()),
            ("PK_TEST", server.text("/keys/pk_test")?.to_owned()),
            ("SK_TEST", server.text("/keys/sk_test")?.to_owned()),
        ] {
            writeln!(variables, "export {name}={}", quoted(&value))?;
        }
        fs::write(at(".variables"), variables)?;
        // `cargo xtask …` is about this server, not about the project's.
        fs::create_dir_all(at("bin"))?;
        let runner = match env::var("SELGEO_XTASK") {
            Ok(program) => quoted(&program),
            Err(_) => format!(
                "{} run --quiet --manifest-path {} --package xtask --",
                quoted(env!("CARGO")),
                quoted(&root().join("Cargo.toml").to_string_lossy())
            ),
        };
        let shim = format!(
            "#!/bin/sh\n[ \"$1\" = xtask ] || exec {} \"$@\"\nshift\ncase \"$1\" in\n\
             replay) exec {runner} \"$@\" --state {} ;;\n\
             *) exec {runner} \"$@\" --dev \"$PWD/.selgeo/dev.json\" ;;\nesac\n",
            quoted(env!("CARGO")),
            quoted(&server.state().to_string_lossy())
        );
        fs::write(at("bin/cargo"), shim)?;
        fs::set_permissions(at("bin/cargo"), fs::Permissions::from_mode(0o755))?;
        // The packages that guides import.
        std::os::unix::fs::symlink(root().canonicalize()?.join("tests/clients/node_modules"), at("node_modules"))?;
        Ok(Self { folder, said: None, status: String::new() })
    }

    fn follow(&mut self, blocks: &[Block]) -> Result<()> {
        for (index, block) in blocks.iter().enumerate() {
            let next = blocks.get(index + 1);
            let done = if block.until {
                wait_for("the answer that the guide shows", BOOKED_WITHIN, || {
                    self.take(block)?;
                    let has_come = next.is_none_or(|answer| self.take(answer).is_ok());
                    if !has_come {
                        thread::sleep(AGAIN_AFTER);
                    }
                    Ok(has_come.then_some(()))
                })
                .or_else(|_| next.map_or(Ok(()), |answer| self.take(answer)))
            } else {
                self.take(block)
            };
            done.with_context(|| format!("the block at line {}", block.line))?;
        }
        Ok(())
    }

    fn take(&mut self, block: &Block) -> Result<()> {
        if let (true, Some(said)) = (block.is_answer, &self.said) {
            let expected: Value = serde_json::from_str(&block.code).context("the guide's answer is no JSON")?;
            let said: Value =
                serde_json::from_str(said).map_err(|_| anyhow!("no JSON was answered but {} {said}", self.status))?;
            compare("", &expected, &said).with_context(|| format!("what came is {} {said:#}", self.status))?;
            if let Some(status) = &block.status {
                ensure!(*status == self.status, "{} instead of {status}: {said}", self.status);
            }
            return block.kept.iter().try_for_each(|(name, field)| self.keep(name, field, &said));
        }
        if let (true, Some(said)) = (block.is_output, &self.said) {
            let (expected, said) = (block.code.trim_end(), said.trim_end());
            let fits = expected.lines().count() == said.lines().count()
                && expected.lines().zip(said.lines()).all(|(expected, said)| is_like(expected, said));
            ensure!(fits, "it printed\n{said}");
            return Ok(());
        }
        // Node.js tells a module by its name.
        let ending = if block.language == "js" { "mjs" } else { &block.language };
        let file = block.file.clone().unwrap_or_else(|| format!("block-{}.{ending}", block.line));
        let path = self.folder.path().join(&file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, &block.code)?;
        if block.runs {
            return self.run(block, &file);
        }
        // What needs somebody else's server is at least a program.
        match (&block.file, block.language.as_str()) {
            (Some(_), "js") if file.ends_with(".mjs") => self.check(&["node", "--check"], &file),
            (Some(_), "python") => self.check(&["python3", "-m", "py_compile"], &file),
            (Some(_), "php") => self.check(&["php", "-l"], &file),
            _ => Ok(()),
        }
    }

    fn keep(&self, name: &str, field: &str, said: &Value) -> Result<()> {
        let pointer = format!("/{}", field.replace('.', "/"));
        let value = said.pointer(&pointer).and_then(Value::as_str);
        let value = value.with_context(|| format!("no text {field} in {said}"))?;
        let path = self.folder.path().join(".variables");
        let before = fs::read_to_string(&path)?;
        Ok(fs::write(&path, format!("{before}export {name}={}\n", quoted(value)))?)
    }

    fn run(&mut self, block: &Block, file: &str) -> Result<()> {
        let program = match block.language.as_str() {
            "sh" => "sh",
            "js" => "node",
            "python" => "python3",
            "php" => "php",
            other => bail!("{other} does not run"),
        };
        let mut asked = Command::new(program);
        asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if program != "sh" && asked.status().is_err() {
            self.said = None;
            println!("    the block at line {} was not run: there is no {program} here", block.line);
            return Ok(());
        }
        let script = if program == "sh" {
            format!(". ./.variables\n. ./{file}\nexport -p > .variables")
        } else {
            format!(". ./.variables\nexec {program} {file}")
        };
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", &script]).current_dir(self.folder.path()).env("CURL_HOME", self.folder.path());
        let output = command.stdin(Stdio::null()).output()?;
        self.note(&output)?;
        Ok(())
    }

    fn check(&self, program: &[&str], file: &str) -> Result<()> {
        let (name, args) = program.split_first().context("no program")?;
        let mut command = Command::new(name);
        command.args(args).arg(file).current_dir(self.folder.path()).stdin(Stdio::null());
        match command.output() {
            Ok(output) => ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => println!("    {file} was not looked at: there is no {name} here"),
        }
        Ok(())
    }

    fn note(&mut self, output: &Output) -> Result<()> {
        let told = String::from_utf8_lossy(&output.stderr);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        self.status = told.lines().last().unwrap_or_default().to_owned();
        ensure!(output.status.success(), "it ended with {}: {said}{told}", output.status);
        self.said = Some(said);
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether a text is as the guide has it.
fn is_like(expected: &str, said: &str) -> bool {
    match expected.split_once('…') {
        None => expected == said,
        Some((before, after)) => {
            let Some(rest) = said.strip_prefix(before) else { return false };
            after.is_empty() || rest.char_indices().any(|(at, _)| is_like(after, &rest[at..])) || is_like(after, "")
        }
    }
}

fn compare(place: &str, expected: &Value, said: &Value) -> Result<()> {
    match (expected, said) {
        (Value::String(expected), _) if expected == "…" => {}
        (Value::String(expected), Value::String(said)) => {
            ensure!(is_like(expected, said), "{place}: {said:?} instead of {expected:?}");
        }
        (Value::Array(expected), Value::Array(said)) => {
            let is_open = expected.last().is_some_and(|last| last == "…");
            let given = if is_open { &expected[..expected.len() - 1] } else { &expected[..] };
            let fits = if is_open { said.len() >= given.len() } else { said.len() == given.len() };
            ensure!(fits, "{place}: {} elements", said.len());
            for (index, (expected, said)) in given.iter().zip(said).enumerate() {
                compare(&format!("{place}/{index}"), expected, said)?;
            }
        }
        (Value::Object(expected), Value::Object(said)) => {
            for (name, expected) in expected.iter().filter(|(name, _)| *name != "…") {
                let said = said.get(name).with_context(|| format!("{place}: there is no {name}"))?;
                compare(&format!("{place}/{name}"), expected, said)?;
            }
            let further: Vec<&String> = said.keys().filter(|name| !expected.contains_key(*name)).collect();
            ensure!(expected.contains_key("…") || further.is_empty(), "{place}: {further:?} is there too");
        }
        (expected, said) => ensure!(expected == said, "{place}: {said} instead of {expected}"),
    }
    Ok(())
}
