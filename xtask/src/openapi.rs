//! The API's description: written from the code by `cargo xtask openapi`, and handed on by the build.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, say};

/// The test that holds the file against what the code gives; told so, it writes it first.
const TEST: &str = "openapi::tests::the_description_is_what_the_code_gives_and_every_operation_has_an_example";

/// Writes `www/openapi.json`.
pub fn write(root: &Path) -> Result<()> {
    say("Writing www/openapi.json from the code");
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--quiet", "-p", "selgeo-worker", "--lib", "--", "--exact", TEST]);
    process::run(cargo.env("SELGEO_WRITE_OPENAPI", "1").current_dir(root)).context("the description could not be made")
}
