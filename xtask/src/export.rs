//! `cargo xtask export`: everything that a workspace holds, page by page into one file, of the local server's database or of any
//! deployment by its API. What came is checked as a whole before it is called an export.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

use crate::dev;
use crate::http::{Answer, Client};
use crate::process::say;
use crate::replay;

/// The API lets an address ask so often in a minute; a page that is refused for it is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// As often as that: longer than any minute.
const TRIES_MAX: u32 = 30;

/// What `cargo xtask export` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Where `cargo xtask dev` keeps its data; its database is read, and nothing is written
    #[arg(long, default_value = dev::STATE_DEFAULT)]
    state: PathBuf,
    /// Of the local database: which workspace; the demo workspace without it
    #[arg(long)]
    workspace: Option<String>,
    /// Of the local database: `test` or `live`; both without it
    #[arg(long)]
    mode: Option<String>,
    /// In place of the local database: where a deployment is, `https://…`. The key's mode is exported
    #[arg(long, conflicts_with_all = ["state", "workspace", "mode"])]
    url: Option<String>,
    /// A secret key with the scope `manage`; without it, what the environment's SELGEO_KEY says
    #[arg(long, requires = "url", value_name = "sk_…")]
    key: Option<String>,
    /// The file to be written
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Exports, checks, and prints what is in the file.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let out = env::current_dir()?.join(&options.out);
    match &options.url {
        Some(url) => fetched(root, url.trim_end_matches('/'), &key(options.key.as_ref())?, &out)?,
        None => read(root, options, &out)?,
    }
    let told = replay::host(root, false, &["check-export".as_ref(), out.as_os_str()])?;
    println!("{}", shown(&told, &out));
    if told.get("changed_meanwhile") == Some(&Value::Bool(true)) {
        say(
            "Something was booked while it was made: some rows may be of before and some of after. Export again at a quieter moment",
        );
    }
    Ok(())
}

fn read(root: &Path, options: &Options, out: &Path) -> Result<()> {
    let state = dev::absolute(root, &options.state)?;
    let workspace = match &options.workspace {
        Some(id) => id.clone(),
        None => {
            let path = state.join("dev.json");
            let text = fs::read_to_string(&path);
            let text =
                text.with_context(|| format!("{} cannot be read. Start `cargo xtask dev` once", path.display()))?;
            let dev: Value = serde_json::from_str(&text)?;
            word(&dev, "workspace_id").to_owned()
        }
    };
    let mut args: Vec<&OsStr> = vec!["export".as_ref(), state.as_ref(), out.as_ref(), workspace.as_ref()];
    args.extend(options.mode.iter().map(OsStr::new));
    replay::host(root, false, &args).map(drop)
}

fn fetched(root: &Path, url: &str, key: &str, out: &Path) -> Result<()> {
    let client = Client::reaching(root, url)?;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str())];
    let begun = again(|| client.post(&format!("{url}/api/v1/exports"), &headers, "{}"))?;
    if begun.status != 201 {
        bail!("POST {url}/api/v1/exports answered {}: {}", begun.status, begun.body);
    }
    let begun: Value = serde_json::from_str(&begun.body)?;
    let id = word(&begun, "id");
    let mut path = word(&begun, "first_page").to_owned();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(out)
        .with_context(|| format!("{} cannot be written", out.display()))?;
    loop {
        let page = again(|| client.get(&format!("{url}{path}"), &headers))?;
        if page.status != 200 {
            bail!("GET {url}{path} answered {}: {}", page.status, page.body);
        }
        file.write_all(page.body.as_bytes())?;
        let foot = page.body.lines().last().ok_or_else(|| anyhow!("GET {url}{path} answered nothing"))?;
        let foot: Value = serde_json::from_str(foot)?;
        match foot.get("next").and_then(Value::as_str) {
            Some(next) => path = format!("/api/v1/exports/{id}/pages/{next}"),
            None => return Ok(file.sync_all()?),
        }
    }
}

/// The key that was given, or that of the environment, where no list of processes shows it.
pub fn key(given: Option<&String>) -> Result<String> {
    match given {
        Some(key) => Ok(key.clone()),
        None => env::var("SELGEO_KEY").context("give a secret key: --key sk_…, or SELGEO_KEY in the environment"),
    }
}

/// Asks, and asks again while there is not room for it.
pub fn again(ask: impl Fn() -> Result<Answer>) -> Result<Answer> {
    for attempt in 1..TRIES_MAX {
        let answer = ask()?;
        if !matches!(answer.status, 429 | 503) {
            return Ok(answer);
        }
        if attempt == 1 {
            say(&format!("It is answered {}: trying again until there is room", answer.status));
        }
        thread::sleep(AGAIN_AFTER);
    }
    ask()
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn shown(told: &Value, out: &Path) -> String {
    let number = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or(0);
    let lines = [
        format!("{:<12} {}", "file", out.display()),
        format!("{:<12} {}", "export", word(told, "export_id")),
        format!("{:<12} {}", "workspace", word(told, "workspace_id")),
        format!("{:<12} {}", "pages", number("pages")),
        format!("{:<12} {}", "rows", number("rows")),
        format!("{:<12} {}", "digest", word(told, "digest")),
        format!("{:<12} {}", "signature", word(told, "signature")),
    ];
    lines.join("\n")
}
