//! The API's description: written from the code by `cargo xtask openapi`, and handed on by the build.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::build::{Inputs, is_stamped};
use crate::process::{self, say};
use crate::reference;
use crate::setup::Tools;

/// The test that holds the file against what the code gives; told so, it writes it first.
const TEST: &str = "openapi::tests::the_description_is_what_the_code_gives_and_every_operation_has_an_example";

/// Hands the description on to what the Worker serves, without the white space that people read it by; and makes of it the
/// reference, `llms.txt`, and `build/openapi.d.ts`, the types of a release.
pub fn build(root: &Path, tools: &Tools) -> Result<()> {
    let document = read(root)?;
    let assets = root.join("build").join("assets");
    fs::create_dir_all(&assets)?;
    fs::write(assets.join("openapi.json"), document.to_string())?;
    reference::build(root, &document)?;
    fs::write(assets.join("llms.txt"), index(root, &document)?)?;
    types(root, tools)
}

/// TypeScript types of every operation and shape, if the description has changed.
fn types(root: &Path, tools: &Tools) -> Result<()> {
    let (from, to) = (root.join("www").join("openapi.json"), root.join("build").join("openapi.d.ts"));
    let mut inputs = Inputs::new(root, tools)?;
    inputs.file(&from)?;
    let (built, stamp) = (inputs.hash(), root.join("build").join(".types-built"));
    if is_stamped(&stamp, &built) && to.exists() {
        return Ok(());
    }
    say("Making openapi.d.ts");
    let mut make = tools.command(tools.npm_bin.join("openapi-typescript"));
    make.arg(&from).args(["--root-types", "--output"]).arg(&to).stdout(Stdio::null());
    process::run(&mut make).context("the types could not be made")?;
    fs::write(stamp, built)?;
    Ok(())
}

/// `llms.txt`: what there is to read, for programs that read.
fn index(root: &Path, document: &Value) -> Result<String> {
    let mut text = "# Selgeo\n\n> Partner programs: clicks, conversions, attribution, commissions, payouts and webhooks. Every guide \
                    below is a page of this host.\n\n## API\n\n- [OpenAPI 3.1](/openapi.json): every operation, with examples\n\
                    - [Reference](/docs/api): the same, to read\n"
        .to_owned();
    for tag in document.get("tags").and_then(Value::as_array).into_iter().flatten() {
        let of = |name| tag.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, about) = (of("name"), of("description"));
        writeln!(text, "- [{name}](/docs/api#{}): {about}", reference::anchor(name))?;
    }
    // The menu of the guides, with what it says of each.
    let menu = fs::read_to_string(root.join("www").join("docs").join("index.md")).context("there is no index.md")?;
    for line in menu.lines().filter(|line| line.starts_with("## ") || line.starts_with("- [")) {
        match line.strip_prefix("## ") {
            Some(name) => writeln!(text, "\n## {name}\n")?,
            None => writeln!(
                text,
                "{}",
                line.replacen("](", "](/docs/", 1).replacen(".md)", ")", 1).replace("/docs//docs", "/docs")
            )?,
        }
    }
    Ok(text)
}

fn read(root: &Path) -> Result<Value> {
    let file = root.join("www").join("openapi.json");
    let text = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// Writes `www/openapi.json`.
pub fn write(root: &Path) -> Result<()> {
    say("Writing www/openapi.json from the code");
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "-p", "selgeo-worker", "--lib", "--", "--exact", TEST]);
    process::run(cargo.env("SELGEO_WRITE_OPENAPI", "1").current_dir(root)).context("the description could not be made")
}
