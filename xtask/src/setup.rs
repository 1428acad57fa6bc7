//! Brings the tools: the wasm target, a Node that wrangler accepts, wrangler and its companions, worker-build, wasm-bindgen.
//! Whatever is already there in the right version is used as it is; what a person has to install is said in a sentence.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use crate::process::{Timer, ask, run, say};

/// The Rust target of Worker and snippet.
pub const WASM: &str = "wasm32-unknown-unknown";
/// wrangler 4 refuses an older one.
const NODE_MIN: (u32, u32) = (22, 12);
/// Drives Firefox in the tests. Debian has no package of it.
const GECKODRIVER: &str = "0.37.1";

/// Where the tools are.
pub struct Tools {
    /// A Node new enough for wrangler.
    pub node: PathBuf,
    /// The folder of npm's programs: wrangler, esbuild, wasm-opt.
    pub npm_bin: PathBuf,
    /// wasm-bindgen of the crate's version.
    pub wasm_bindgen: PathBuf,
    /// worker-build of the `worker` crate's version.
    pub worker_build: PathBuf,
}

/// Finds or installs every tool.
pub fn prepare(root: &Path) -> Result<Tools> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
    wasm_target(root)?;
    let modules = npm_packages(
        &root.join("xtask"),
        "Installing wrangler, esbuild, wasm-opt and Node from npm (once, about 20 seconds)",
    )?;
    let npm_bin = modules.join(".bin");
    let node = node(&npm_bin)?;
    let bindgen = Tool {
        package: "wasm-bindgen-cli",
        program: "wasm-bindgen",
        version: locked_version(&lock, "wasm-bindgen")?,
        options: &["--no-default-features"],
    };
    let build = Tool {
        package: "worker-build",
        program: "worker-build",
        version: locked_version(&lock, "worker")?,
        options: &[],
    };
    let cache = cache()?;
    install(&cache, &[&bindgen, &build])?;
    Ok(Tools { node, npm_bin, wasm_bindgen: bindgen.path(&cache), worker_build: build.path(&cache) })
}

/// What only the end-to-end tests need, beside what lies in `node_modules`.
#[derive(Default)]
pub struct TestTools {
    /// The driver of Firefox; with `CI=true` only.
    pub geckodriver: Option<PathBuf>,
    /// A Python that has the official library for webhooks, and Traaaction's client; with `CI=true` only.
    pub python: Option<PathBuf>,
}

/// Finds or installs what only the end-to-end tests need: the official client libraries, and with `CI=true` what the other
/// browsers and languages take.
pub fn prepare_tests(root: &Path) -> Result<TestTools> {
    let folder = root.join("tests").join("clients");
    npm_packages(&folder, "Installing the official libraries for the tests from npm (once, about 10 seconds)")?;
    if env::var_os("CI").is_none_or(|value| value != "true") {
        return Ok(TestTools::default());
    }
    let geckodriver = Tool {
        package: "geckodriver",
        program: "geckodriver",
        version: GECKODRIVER.to_owned(),
        options: &["--locked"],
    };
    let cache = cache()?;
    install(&cache, &[&geckodriver])?;
    let python = python(&cache, &folder.join("requirements.txt"))?;
    Ok(TestTools { geckodriver: Some(geckodriver.path(&cache)), python: Some(python) })
}

/// A Python with the packages of that list.
fn python(cache: &Path, requirements: &Path) -> Result<PathBuf> {
    let text = fs::read(requirements).with_context(|| format!("{} cannot be read", requirements.display()))?;
    let folder = cache.join(format!("python-{}", &hex::encode(Sha256::digest(&text))[..16]));
    let (python, done) = (folder.join("bin").join("python"), folder.join(".selgeo-installed"));
    if done.exists() {
        return Ok(python);
    }
    say("Installing the official libraries for the tests from PyPI (once, about 10 seconds)");
    let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    made.context("Python cannot make an environment. Install it (on Debian: `apt-get install python3 python3-venv`)")?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--requirement"]);
    run(pip.arg(requirements)).context("pip could not install the packages. See its message above")?;
    fs::write(&done, "")?;
    Ok(python)
}

impl Tools {
    /// A command that finds our Node and our npm programs first, and in which no tool reports home or asks anything.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let node_dir = self.node.parent().unwrap_or(&self.npm_bin).to_path_buf();
        let inherited = env::var_os("PATH").unwrap_or_default();
        let folders = [self.npm_bin.clone(), node_dir].into_iter().chain(env::split_paths(&inherited));
        let mut command = Command::new(program);
        command
            .env("PATH", env::join_paths(folders).unwrap_or(inherited))
            .env("WASM_BINDGEN_BIN", &self.wasm_bindgen)
            .env("WASM_OPT_BIN", self.npm_bin.join("wasm-opt"))
            .env("ESBUILD_BIN", self.npm_bin.join("esbuild"))
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_SEND_ERROR_REPORTS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("DO_NOT_TRACK", "1");
        command
    }
}

fn wasm_target(root: &Path) -> Result<()> {
    let libraries = ask(Command::new("rustc").args(["--print", "target-libdir", "--target", WASM]).current_dir(root));
    if libraries.is_some_and(|folder| Path::new(&folder).exists()) {
        return Ok(());
    }
    say("Adding the Rust target for WebAssembly");
    let add = format!("rustup target add {WASM}");
    let added = run(Command::new("rustup").args(["target", "add", WASM]).current_dir(root));
    added.with_context(|| {
        format!("Rust cannot compile to WebAssembly yet. Run `{add}` in the project's folder, then this again")
    })
}

/// Installs what the folder's package-lock.json says, and gives the folder of the packages.
pub fn npm_packages(folder: &Path, step: &str) -> Result<PathBuf> {
    let lock = folder.join("package-lock.json");
    let text = fs::read(&lock).with_context(|| format!("{} cannot be read", lock.display()))?;
    let wanted = hex::encode(Sha256::digest(&text));
    let modules = folder.join("node_modules");
    let installed = modules.join(".selgeo-installed");
    if fs::read_to_string(&installed).is_ok_and(|hash| hash == wanted) {
        return Ok(modules);
    }
    if ask(Command::new("npm").arg("--version")).is_none() {
        bail!(
            "npm was not found. Install Node.js 20 or newer with npm (on Debian: `apt-get install nodejs npm`), then run \
             this again"
        );
    }
    say(step);
    let mut npm = Command::new("npm");
    // No package's script runs: all of these bring their programs ready-made.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(folder)
        // Steps go to stderr; what reads our stdout waits for a result.
        .stdout(io::stderr());
    let done = run(&mut npm);
    done.with_context(|| format!("npm could not install {}. See its message above", lock.display()))?;
    fs::write(&installed, wanted)?;
    Ok(modules)
}

/// The Node that npm brought, or the machine's own where there is none for it.
fn node(npm_bin: &Path) -> Result<PathBuf> {
    let brought = npm_bin.join("node");
    let own = || ask(Command::new("node").args(["-p", "process.execPath"])).map(PathBuf::from);
    let candidates = [Some(brought), own()].into_iter().flatten();
    let new_enough = |node: &PathBuf| {
        let version = ask(Command::new(node).arg("--version"));
        version.and_then(|version| major_minor(&version)).is_some_and(|version| version >= NODE_MIN)
    };
    candidates.into_iter().find(new_enough).ok_or_else(|| {
        let (major, minor) = NODE_MIN;
        anyhow!("wrangler needs Node.js {major}.{minor} or newer, and npm has none for this machine. Install one, then run this again")
    })
}

/// `v22.12.0` → (22, 12).
fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('v')?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// A program that `cargo install` builds.
struct Tool {
    package: &'static str,
    program: &'static str,
    version: String,
    options: &'static [&'static str],
}

impl Tool {
    fn folder(&self, cache: &Path) -> PathBuf {
        cache.join("tools").join(format!("{}-{}", self.package, self.version))
    }

    fn path(&self, cache: &Path) -> PathBuf {
        self.folder(cache).join("bin").join(self.program)
    }
}

fn install(cache: &Path, tools: &[&Tool]) -> Result<()> {
    let missing = || tools.iter().filter(|tool| !tool.path(cache).exists());
    if missing().next().is_none() {
        return Ok(());
    }
    openssl_headers()?;
    // One target folder: the tools share many crates.
    let target = cache.join(format!("building-{}", std::process::id()));
    for tool in missing() {
        say(&format!("Installing {} {} (once, a few minutes)", tool.package, tool.version));
        let timer = Timer::start();
        let mut cargo = Command::new("cargo");
        cargo
            .args(["install", tool.package, "--version", &format!("={}", tool.version), "--bin", tool.program])
            .args(tool.options)
            .arg("--root")
            .arg(tool.folder(cache))
            .env("CARGO_TARGET_DIR", &target);
        let installed = run(&mut cargo);
        installed.with_context(|| format!("{} could not be installed. See cargo's message above", tool.package))?;
        say(&format!("{} is installed ({})", tool.package, timer.words()));
    }
    // Left behind it would only cost space.
    let _ = fs::remove_dir_all(&target);
    Ok(())
}

/// worker-build links the system's OpenSSL on Linux; without its headers it fails after minutes.
fn openssl_headers() -> Result<()> {
    if cfg!(target_os = "linux") && ask(Command::new("pkg-config").args(["--exists", "openssl"])).is_none() {
        bail!(
            "pkg-config or the headers of OpenSSL were not found. Install them (on Debian: \
             `apt-get install pkg-config libssl-dev`), then run this again"
        );
    }
    Ok(())
}

/// `$SELGEO_CACHE`, else `selgeo` in the user's cache folder.
fn cache() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    set("SELGEO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("selgeo")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("selgeo")))
        .ok_or_else(|| anyhow!("neither SELGEO_CACHE nor HOME is set: say with SELGEO_CACHE where tools may be kept"))
}

/// The version of a package in Cargo.lock.
fn locked_version(lock: &str, package: &str) -> Result<String> {
    let header = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&header).ok_or_else(|| anyhow!("Cargo.lock has no package {package}"))?;
    let (version, _) = rest.split_once('"').ok_or_else(|| anyhow!("Cargo.lock breaks off after {package}"))?;
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_lock_file_by_the_packages_whole_name() {
        let lock = "[[package]]\nname = \"worker-macros\"\nversion = \"0.8.1\"\n\n[[package]]\nname = \"worker\"\nversion = \"0.8.7\"\n";
        assert_eq!(locked_version(lock, "worker").unwrap(), "0.8.7");
        assert!(locked_version(lock, "work").is_err());
    }

    #[test]
    fn a_node_is_judged_by_major_and_minor() {
        let check = |version, expected| assert_eq!(major_minor(version), expected);
        check("v22.12.0", Some((22, 12)));
        check("v20.20.2", Some((20, 20)));
        check("22.12.0", None);
        check("v22", None);
        assert!(major_minor("v20.20.2") < Some(NODE_MIN));
    }
}
