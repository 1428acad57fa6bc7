//! `cargo xtask size`: what the built files weigh.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::process;
use crate::setup::Tools;

/// Node has both compressors; a crate for each would be compiled before every command.
const MEASURE: &str = r"
const { gzipSync, brotliCompressSync } = require('node:zlib');
const pad = (value) => String(value).padStart(9);
console.log(['raw', 'gzip', 'brotli'].map(pad).join(' '));
for (const file of process.argv.slice(1)) {
  const bytes = require('node:fs').readFileSync(file);
  console.log([bytes, gzipSync(bytes, { level: 9 }), brotliCompressSync(bytes)].map((b) => pad(b.length)).join(' '), ' ' + file);
}";

/// Prints a table of the snippet's files and the Worker's.
pub fn run(root: &Path, tools: &Tools) -> Result<()> {
    let mut files = Vec::new();
    for (folder, ending) in [("build/assets/v1", "js"), ("build/worker", "wasm"), ("build/worker", "js")] {
        files.extend(with_ending(root, Path::new(folder), ending)?);
    }
    if files.is_empty() {
        bail!("nothing is built yet. Run `cargo xtask build` first");
    }
    process::run(tools.command(&tools.node).args(["-e", MEASURE]).args(files).current_dir(root))
}

/// The folder's files, as paths from the root, by name.
fn with_ending(root: &Path, folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = folder.join(entry?.file_name());
        if path.extension().is_some_and(|extension| extension == ending) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
