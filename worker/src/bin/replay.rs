//! `replay STATE [WORKSPACE [MODE]]`, `simulate STATE FILE` and `export STATE OUT WORKSPACE [MODE]` over the state that `cargo
//! xtask dev` keeps, natively; `check-export FILE` and `replay-export FILE` over nothing but an export. Prints one line of JSON; the
//! exit code says only whether that could be done. `cargo xtask` shows it to people.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use domain::ids::WorkspaceId;
use domain::mode::Mode;
use selgeo_worker::error::ApiError;
use selgeo_worker::export;
use selgeo_worker::host::{self, export_file, load, sqlite::Sqlite};
use selgeo_worker::replay::{self, Wanted};
use selgeo_worker::secrets::Secrets;
use selgeo_worker::store::{Database, DbError, workspaces};
use selgeo_worker::{app::App, simulate};
use serde_json::{Value, json};

const USAGE: &str = "usage: replay STATE [WORKSPACE [MODE]] | simulate STATE FILE | export STATE OUT WORKSPACE [MODE] | \
     check-export FILE | replay-export FILE";

/// Where an export is loaded, by the tables as they are.
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of the host; its clock only times its own work")]
fn run(args: &[&str]) -> Result<Value, String> {
    let begun = std::time::Instant::now();
    let mut told = match args {
        ["replay", state, narrowed @ ..] => {
            let report = pollster::block_on(replay::all(&app(Path::new(state))?, &wanted(narrowed)?));
            json!(report.map_err(|error| said(&error))?)
        }
        ["simulate", state, file] => {
            let rules = std::fs::read(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
            let simulated = pollster::block_on(simulate::simulate(&app(Path::new(state))?, &rules));
            json!(simulated.map_err(|error| format!("{file}: {}", said(&error)))?)
        }
        ["export", state, out, narrowed @ ..] => exported(&app(Path::new(state))?, Path::new(out), &wanted(narrowed)?)?,
        ["check-export", file] => {
            shown(&export_file::read(opened(file)?, |_, _, _| Ok(())).map_err(|why| format!("{file}: {why}"))?)
        }
        ["replay-export", file] => {
            let loaded = load::load(opened(file)?, Path::new(MIGRATIONS), nobodys_secrets()?);
            let loaded = loaded.map_err(|why| format!("{file}: {why}"))?;
            let report = pollster::block_on(replay::all(&loaded.app, &loaded.wanted()));
            let mut told = json!(report.map_err(|error| said(&error))?);
            told["export"] = shown(&loaded.whole);
            told
        }
        _ => return Err(USAGE.to_owned()),
    };
    told["elapsed_us"] = json!(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    Ok(told)
}

fn opened(file: &str) -> Result<BufReader<File>, String> {
    File::open(file).map(BufReader::new).map_err(|error| format!("{file} cannot be read: {error}"))
}

/// Writes all pages of an export that only this machine knows of.
fn exported(app: &App, out: &Path, wanted: &Wanted) -> Result<Value, String> {
    let workspace = wanted.workspace_id.clone().ok_or(USAGE)?;
    let modes = wanted.mode.map_or_else(|| vec![Mode::Test, Mode::Live], |mode| vec![mode]);
    let export = export::unrecorded(app, workspace, modes, app.clock.now());
    let why = |error: std::io::Error| format!("{} cannot be written: {error}", out.display());
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(out).map_err(why)?;
    let mut next: Option<String> = None;
    loop {
        let page = pollster::block_on(export::page(app, &export, next.as_deref())).map_err(|error| said(&error))?;
        let (lines, foot) = page.trim_end().rsplit_once('\n').ok_or("a page has no end")?;
        let mut foot: Value = serde_json::from_str(foot).map_err(|error| error.to_string())?;
        next = foot["next"].as_str().map(str::to_owned);
        if next.is_some() {
            // What is sealed here is so under numbers that come again with the next run, and stays here: nobody is to ask for it.
            foot["next"] = json!("the next page");
        }
        file.write_all(format!("{lines}\n{foot}\n").as_bytes()).map_err(why)?;
        if next.is_none() {
            return Ok(json!({ "out": out }));
        }
    }
}

fn shown(whole: &export_file::Whole) -> Value {
    json!({
        "export_id": whole.export_id, "workspace_id": whole.workspace_id, "modes": whole.modes,
        "created_at": whole.created_at, "digest": whole.digest, "pages": whole.pages, "rows": whole.rows,
        "signature": whole.signature, "changed_meanwhile": whole.changed_meanwhile,
    })
}

/// Secrets under which nothing was ever sealed: an export needs none.
fn nobodys_secrets() -> Result<Secrets, String> {
    let secret = "00".repeat(32);
    Secrets::read(&secret, &secret, &secret, &secret).map_err(|bad| format!("{} is malformed", bad.0))
}

fn wanted(narrowed: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted::everything();
    if let Some(id) = narrowed.first() {
        wanted.workspace_id = Some(WorkspaceId::parse(id).ok_or_else(|| format!("{id} is no workspace's id"))?);
    }
    if let Some(mode) = narrowed.get(1) {
        wanted.mode = Some(Mode::parse(mode).ok_or_else(|| format!("{mode} is no mode: test or live"))?);
    }
    Ok(wanted)
}

/// What an error says to who runs this: every field, and what a server would only log.
fn said(error: &ApiError) -> String {
    match error {
        ApiError::Validation { message, details } if details.is_empty() => message.clone(),
        ApiError::Validation { details, .. } => {
            let lines: Vec<String> = details.iter().map(|one| format!("{}: {}", one.field, one.message)).collect();
            lines.join("\n")
        }
        ApiError::NotFound(what) => format!("there is no such {what}"),
        other => other.log_detail().map_or_else(|| format!("{other:?}"), str::to_owned),
    }
}

fn app(state: &Path) -> Result<App, String> {
    let file = state.join("secrets.json");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let kept: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let secret = |name: &str| kept[name].as_str().unwrap_or_default();
    let (clicks, encryption) = (secret("CLICK_SECRETS"), secret("ENCRYPTION_SECRETS"));
    let secrets = Secrets::read(clicks, encryption, secret("HASH_SECRETS"), secret("OPERATOR_TOKEN"));
    let secrets = secrets.map_err(|bad| format!("{} is missing or malformed in {}", bad.0, file.display()))?;
    let none = || format!("there is no database under {}: start `cargo xtask dev` once", state.display());
    let mut databases = databases(state)?.into_iter().map(|one| Arc::new(one) as Arc<dyn Database>);
    Ok(host::app(databases.next().ok_or_else(none)?, databases.collect(), secrets))
}

/// The files of the local server's databases that have our tables, in the deployment's order. Their names are digests: which is
/// which, the keys of the workspaces tell that lie there. One that has workspaces and no keys is the directory; empty ones fill the gaps.
fn databases(state: &Path) -> Result<Vec<Sqlite>, String> {
    let mut folders = vec![state.join("v3").join("d1")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "sqlite") {
                files.push(path);
            }
        }
    }
    files.sort();
    let (mut placed, mut empty) = (BTreeMap::new(), Vec::new());
    for file in &files {
        let why = |error: DbError| format!("{}: {error}", file.display());
        let opened = Sqlite::open_read_only(file).map_err(why)?;
        if !opened.has_table("decisions") {
            continue;
        }
        let [owner, listed] = workspaces::any_of_database().map(|statement| {
            let rows = pollster::block_on(opened.rows(statement))?;
            rows.first().map(workspaces::decode_id).transpose()
        });
        let (owner, listed) = (owner.map_err(why)?, listed.map_err(why)?);
        match (owner, listed) {
            (None, None) => empty.push(opened),
            (owner, _) => {
                let index = owner.map_or(0, |workspace| workspace.database());
                if placed.insert(index, opened).is_some() {
                    return Err(format!("{} says to be database {index}, and so does another one", file.display()));
                }
            }
        }
    }
    let last = placed.keys().next_back().copied().unwrap_or(0);
    let mut missing = |index| empty.pop().ok_or_else(|| format!("database {index} is not under {}", state.display()));
    (0..=last).map(|index| placed.remove(&index).map_or_else(|| missing(index), Ok)).collect()
}
