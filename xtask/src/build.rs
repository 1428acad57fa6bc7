//! Builds everything into `build/`: the snippet, the static files and the guides into `build/assets`, the Worker into
//! `build/worker`. What has not changed is not built again.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

use crate::disposable;
use crate::docs;
use crate::openapi;
use crate::process::{self, Timer, ask, say};
use crate::setup::{Tools, WASM};
use crate::snippet;

/// Folders of `www` that are served as they are.
const SERVED: [&str; 2] = ["static", "demo"];

/// Builds everything.
pub fn run(root: &Path, tools: &Tools) -> Result<()> {
    let timer = Timer::start();
    assets(root)?;
    docs::build(root)?;
    library(root)?;
    disposable::build(root)?;
    openapi::build(root, tools)?;
    script(root, tools)?;
    worker(root, tools)?;
    say(&format!("Built ({})", timer.words()));
    Ok(())
}

/// Copies the served folders anew, so that a file removed there is gone here.
fn assets(root: &Path) -> Result<()> {
    let assets = root.join("build").join("assets");
    fs::create_dir_all(&assets)?;
    for name in SERVED {
        let to = assets.join(name);
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        let from = root.join("www").join(name);
        if from.is_dir() {
            copy(&from, &to).with_context(|| format!("www/{name} could not be copied"))?;
        }
    }
    Ok(())
}

/// The library by which a page of the dashboard is changed in part.
fn library(root: &Path) -> Result<()> {
    let from = root.join("xtask").join("node_modules").join("htmx.org").join("dist").join("htmx.min.js");
    let to = root.join("build").join("assets").join("static").join("htmx.js");
    fs::copy(&from, &to).with_context(|| format!("{} could not be copied", from.display()))?;
    Ok(())
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The snippet, if anything that goes into it has changed.
pub fn script(root: &Path, tools: &Tools) -> Result<()> {
    let mut inputs = Inputs::new(root, tools)?;
    for file in ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "xtask/src/snippet.rs"] {
        inputs.file(&root.join(file))?;
    }
    inputs.folder(&root.join("snippet"))?;
    // Baked into the script where it is set.
    inputs.bytes(env::var("SELGEO_API_ORIGIN").unwrap_or_default().as_bytes());
    let stamp = root.join("build").join(".snippet-built");
    let built = inputs.hash();
    if is_stamped(&stamp, &built) && root.join("build/assets/v1/selgeo.js").exists() {
        return Ok(());
    }
    say("Making selgeo.js");
    snippet::build(root, &tools.wasm_bindgen, &tools.npm_bin, &tools.node).context("selgeo.js could not be built")?;
    fs::write(stamp, built)?;
    Ok(())
}

/// A crate that becomes a Worker.
pub struct Worker {
    /// Its folder, below the root.
    pub folder: &'static str,
    /// Its library's name.
    pub library: &'static str,
    /// Where its module goes, below `build`.
    pub to: &'static str,
}

const WORKER: Worker = Worker { folder: "worker", library: "selgeo_worker", to: "worker" };

fn worker(root: &Path, tools: &Tools) -> Result<()> {
    say("Compiling the Worker to WebAssembly");
    module(root, tools, &WORKER)
}

/// Compiles a Worker and makes its module, with the same tools and profile whichever it is.
pub fn module(root: &Path, tools: &Tools, worker: &Worker) -> Result<()> {
    let folder = root.join(worker.folder);
    compile(&folder, tools)?;
    // worker-build has no memory: wasm-bindgen and wasm-opt would run each time. Same bytes and same tools, same result.
    let mut inputs = Inputs::new(root, tools)?;
    let compiled = format!("{}.wasm", worker.library);
    inputs.file(&target_folder(root)?.join(WASM).join("release").join(compiled))?;
    let to = root.join("build").join(worker.to);
    let stamp = root.join("build").join(format!(".{}-built", worker.library));
    let built = inputs.hash();
    if is_stamped(&stamp, &built) && to.join("index.js").exists() {
        return Ok(());
    }
    say("Making the Worker's module with worker-build");
    fs::create_dir_all(&to)?;
    let mut worker_build = tools.command(&tools.worker_build);
    worker_build.args(["--release", "--out-dir"]).arg(&to).current_dir(&folder);
    process::run(&mut worker_build).context("worker-build failed. See its message above")?;
    // worker-build keeps the names of all functions: an eighth of the module, and nothing that answers a request.
    let module = root.join("build/worker/index_bg.wasm");
    let mut strip = tools.command(tools.npm_bin.join("wasm-opt"));
    strip.arg(&module).args(FEATURES.map(|feature| format!("--enable-{feature}")));
    process::run(strip.arg("--strip-debug").arg("-o").arg(&module)).context("the names could not be taken out")?;
    fs::write(stamp, built)?;
    Ok(())
}

/// What the module may use, as worker-build has it.
const FEATURES: [&str; 7] = [
    "bulk-memory",
    "exception-handling",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// What goes into a build, as a hash: where it is the one that was noted last time, there is nothing to do.
pub struct Inputs(Sha256);

impl Inputs {
    /// Starts with the tools.
    pub fn new(root: &Path, tools: &Tools) -> Result<Self> {
        let mut inputs = Self(Sha256::new());
        for tool in [&tools.worker_build, &tools.wasm_bindgen] {
            inputs.bytes(tool.to_string_lossy().as_bytes());
        }
        inputs.file(&root.join("xtask").join("package-lock.json"))?;
        Ok(inputs)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes.len().to_be_bytes());
        self.0.update(bytes);
    }

    /// Adds a file: its path and its bytes.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        self.bytes(path.to_string_lossy().as_bytes());
        self.bytes(&fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?);
        Ok(())
    }

    /// Adds every file of a folder.
    pub fn folder(&mut self, path: &Path) -> Result<()> {
        let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if entry.file_type()?.is_dir() {
                self.folder(&entry.path())?;
            } else {
                self.file(&entry.path())?;
            }
        }
        Ok(())
    }

    /// What was noted last time is held against this.
    pub fn hash(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// Whether the file holds this hash.
pub fn is_stamped(stamp: &Path, hash: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|stamped| stamped == hash)
}

/// The same call that worker-build makes; that one then finds its work done.
fn compile(folder: &Path, tools: &Tools) -> Result<()> {
    let mut cargo = cargo(tools);
    cargo.args(["build", "--lib", "--release", "--target", WASM]).current_dir(folder);
    process::run(&mut cargo).context("the Worker does not compile. See cargo's message above")
}

/// A cargo that compiles to WebAssembly.
pub fn cargo(tools: &Tools) -> Command {
    let mut cargo = tools.command("cargo");
    // worker-build sets it, wasm-bindgen's macro obeys it, and cargo does not notice when it changes: set it always.
    cargo.env("WASM_BINDGEN_USE_JS_SYS", "1");
    cargo
}

/// cargo's target folder, wherever environment and configuration put it.
pub fn target_folder(root: &Path) -> Result<std::path::PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version=1", "--no-deps", "--offline"]).current_dir(root);
    let metadata = ask(&mut cargo).ok_or_else(|| anyhow!("cargo metadata failed"))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    Ok(folder.ok_or_else(|| anyhow!("cargo metadata names no target folder"))?.into())
}
