//! Builds `selgeo.js`, the file that merchants' pages load, and its fallback for pages that refuse WebAssembly; and both
//! once more as `trac.js`, from the same crate with the feature `trac`.
//!
//! Rust is compiled to a module of about a kilobyte, whose imports are plain functions of `snippet/js/page.js`.
//! `selgeo.js` is the loader with that module written into it as text; `selgeo-fallback.js` is the same loader with
//! the same module translated to JavaScript.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// What the oldest engine that is served understands.
const LANGUAGE: &str = "es2020";

/// What rustc assumes of every engine; to be named, because with all features wasm-opt writes modules that some refuse.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-multivalue",
    "--enable-reference-types",
];

/// Node has the compressors and the hash; a crate for each would be compiled before every command. What is compressed is
/// written beside each of the script's names.
const DESCRIBE: &str = r"
const fs = require('node:fs');
const { gzipSync, brotliCompressSync, constants } = require('node:zlib');
const [hashed, ...names] = process.argv.slice(1);
const script = fs.readFileSync(names[0]);
const hash = require('node:crypto').createHash('sha384').update(script).digest('base64');
const gzip = gzipSync(script, { level: 9 });
const brotli = brotliCompressSync(script, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
for (const name of names) {
  fs.writeFileSync(name + '.gz', gzip);
  fs.writeFileSync(name + '.br', brotli);
}
console.log(JSON.stringify({
  hashed,
  integrity: 'sha384-' + hash,
  raw: script.length,
  gzip: gzip.length,
  brotli: brotli.length,
}));";

/// Writes `build/assets/v1/`: `selgeo.js`, `selgeo-fallback.js`, `trac.js`, `trac-fallback.js`, a copy of each under a name
/// with its hash, each of these in brotli and gzip too, and `manifest.json` with their sizes in bytes and the `integrity`
/// values for tags.
///
/// `wasm_bindgen` is the command of the crate's version, `npm_bin` holds `wasm-opt`, `wasm2js` and `esbuild`, and
/// `node` runs them. The variable `SELGEO_API_ORIGIN` bakes an API origin in; without it the script asks where it
/// came from.
pub fn build(root: &Path, wasm_bindgen: &Path, npm_bin: &Path, node: &Path) -> Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    let assets = root.join("build/assets/v1");
    fs::create_dir_all(&assets)?;
    remove_hashed(&assets)?;
    let mut manifest = Map::new();
    for name in ["selgeo", "trac"] {
        let work = target.join("snippet").join(name);
        let bench = Bench { root, work, npm_bin, node, with_trac: name == "trac" };
        bench.prepare(wasm_bindgen, &target)?;
        for (suffix, engine, level) in [("", "wasm", 1), ("-fallback", "translated", 2)] {
            let script = bench.bundle(engine, level)?;
            let stem = format!("{name}{suffix}");
            manifest.insert(format!("{stem}.js"), bench.publish(&assets, &stem, &script)?);
        }
    }
    fs::write(assets.join("manifest.json"), serde_json::to_string_pretty(&manifest)? + "\n")?;
    Ok(())
}

/// The place where one build is put together.
struct Bench<'a> {
    root: &'a Path,
    work: PathBuf,
    npm_bin: &'a Path,
    node: &'a Path,
    /// Whether it is `trac.js` that is built.
    with_trac: bool,
}

impl Bench<'_> {
    /// Puts everything in place that scripts are bundled from.
    fn prepare(&self, wasm_bindgen: &Path, target: &Path) -> Result<()> {
        if self.work.exists() {
            fs::remove_dir_all(&self.work)?;
        }
        fs::create_dir_all(&self.work)?;
        self.compile(wasm_bindgen, target)?;
        self.shrink()?;
        self.translate()?;
        let list = fs::read_to_string(self.root.join("snippet/src/words.rs"))?;
        self.write("words.js", &words(&list, self.with_trac)?)?;
        for entry in fs::read_dir(self.root.join("snippet/js"))? {
            let entry = entry?;
            fs::copy(entry.path(), self.work.join(entry.file_name()))?;
        }
        Ok(())
    }

    fn compile(&self, wasm_bindgen: &Path, target: &Path) -> Result<()> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        run(Command::new(cargo)
            .args(["build", "--quiet", "--package", "snippet", "--release", "--target", "wasm32-unknown-unknown"])
            .args(self.with_trac.then_some("--features=trac"))
            .current_dir(self.root))?;
        run(Command::new(wasm_bindgen)
            .args(["--target", "bundler", "--no-typescript", "--out-name", "snippet", "--out-dir"])
            .arg(&self.work)
            .arg(target.join("wasm32-unknown-unknown/release/snippet.wasm")))?;
        Ok(())
    }

    /// Leaves the module without memory and with names of one letter, and writes `wasm.js` and `imports.js`.
    fn shrink(&self) -> Result<()> {
        run(self
            .tool("wasm-opt")
            .args(WASM_FEATURES)
            .args(["--strip-debug", "--strip-producers", "--strip-target-features"])
            // wasm-bindgen's own, and the memory: nothing calls or reads them.
            .args(["--remove-exports=__*", "--remove-exports=memory", "-Oz", "--converge"])
            .args(["snippet_bg.wasm", "-o", "small.wasm"]))?;
        let names = run(self
            .tool("wasm-opt")
            .args(WASM_FEATURES)
            .args(["-Oz", "--remove-memory-init", "--remove-unused-module-elements"])
            .arg("--minify-imports-and-exports-and-modules")
            .args(["small.wasm", "-o", "smallest.wasm"]))?;
        let names = Names::read(&names)?;
        let module = fs::read(self.work.join("smallest.wasm"))?;
        ensure!(
            !sections(&module)?.contains(&SECTION_MEMORY),
            "the snippet uses memory: some Rust value is kept on the stack or the heap, where a handle would do"
        );
        self.write("imports.js", &names.imports())?;
        self.write("wasm.js", &format!("export const text = {};\n", json!(as_text(&module))))?;
        names.rename_exports(&self.work.join("snippet_bg.js"))
    }

    /// Writes `translated.js`: the module as a JavaScript function of its imports.
    fn translate(&self) -> Result<()> {
        run(self.tool("wasm2js").args(WASM_FEATURES).args(["-Oz", "smallest.wasm", "-o", "module.js"]))?;
        let module = fs::read_to_string(self.work.join("module.js"))?;
        // wasm2js imports and starts the module where it is defined; the loader does that here.
        let function = module.find("function asmFunc").zip(module.find("var retasmFunc"));
        let (from, to) = function.context("wasm2js writes another frame than it did")?;
        let function = module.get(from..to).context("wasm2js writes another frame than it did")?;
        self.write("translated.js", &format!("{function}\nexport const engine = asmFunc;\n"))
    }

    fn bundle(&self, engine: &str, level: u32) -> Result<Vec<u8>> {
        let api_url = env::var("SELGEO_API_ORIGIN").unwrap_or_default();
        run(self
            .tool("esbuild")
            .args(["selgeo.js", "--bundle", "--minify", "--format=iife", "--log-level=warning"])
            .arg(format!("--target={LANGUAGE}"))
            .arg(format!("--alias:engine=./engine-{engine}.js"))
            .arg(format!("--define:LEVEL={level}"))
            .arg(format!("--define:TRAC={}", self.with_trac))
            .arg(format!("--define:VERSION={}", json!(env!("CARGO_PKG_VERSION"))))
            .arg(format!("--define:API_URL={}", json!(api_url))))
    }

    /// Writes the script under both its names and returns its entry in the manifest.
    fn publish(&self, assets: &Path, stem: &str, script: &[u8]) -> Result<Value> {
        let hash: String = hex::encode(Sha256::digest(script)).chars().take(16).collect();
        let hashed = format!("{stem}.{hash}.js");
        let names = [assets.join(format!("{stem}.js")), assets.join(&hashed)];
        for name in &names {
            fs::write(name, script)?;
        }
        let entry = run(Command::new(self.node).args(["-e", DESCRIBE, "--", &hashed]).args(&names))?;
        serde_json::from_slice(&entry).context("the description of a script")
    }

    /// One of the npm tools, some of which are scripts that look for `node` in the path.
    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.npm_bin.join(name));
        let own = self.node.parent().map(Path::to_path_buf);
        let path = env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = env::join_paths(own.into_iter().chain(env::split_paths(&path))) {
            command.env("PATH", path);
        }
        command.current_dir(&self.work);
        command
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        fs::write(self.work.join(name), content).with_context(|| format!("writing {name}"))
    }
}

/// The names that wasm-opt gave.
struct Names {
    /// Of each import its module, its name and its new name.
    imports: Vec<[String; 3]>,
    /// Of each export its name and its new name.
    exports: Vec<[String; 2]>,
}

impl Names {
    fn read(json: &[u8]) -> Result<Self> {
        let json: Value = serde_json::from_slice(json).context("wasm-opt's list of new names is not JSON")?;
        Ok(Self { imports: rows(&json, "imports")?, exports: rows(&json, "exports")? })
    }

    /// A module that gathers what the WebAssembly module imports. wasm-opt calls the module of all imports `a`.
    fn imports(&self) -> String {
        let mut script = String::new();
        let mut object = String::new();
        for [module, name, short] in &self.imports {
            let _ = writeln!(script, "import {{ {name} as {short} }} from {};", json!(module));
            let _ = write!(object, "{short}, ");
        }
        script + &format!("export const imports = {{ a: {{ {object} }} }};\n")
    }

    /// Lets wasm-bindgen's glue call the exports by their new names.
    fn rename_exports(&self, glue: &Path) -> Result<()> {
        let mut script = fs::read_to_string(glue)?;
        for [name, short] in &self.exports {
            let call = format!("wasm.{name}(");
            ensure!(script.contains(&call), "the glue does not call the export {name}");
            script = script.replace(&call, &format!("wasm.{short}("));
        }
        Ok(fs::write(glue, script)?)
    }
}

fn rows<const N: usize>(json: &Value, list: &str) -> Result<Vec<[String; N]>> {
    let rows = json.get(list).and_then(Value::as_array).with_context(|| format!("no list {list} in {json}"))?;
    let row = |row: &Value| {
        let texts = row.as_array()?.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()?.try_into().ok()
    };
    rows.iter().map(|given| row(given).with_context(|| format!("{given} among the {list}"))).collect()
}

/// Stands before a word that only `trac.js` knows.
const ONLY_IN_TRAC: &str = "#[cfg(feature = \"trac\")] ";

/// The list that Rust's constants are places of, from the lines `NAME = "JavaScript expression",` of `words.rs`.
fn words(source: &str, with_trac: bool) -> Result<String> {
    let (_, list) = source.split_once("\nwords! {\n").context("words.rs has no list")?;
    let (list, _) = list.split_once("\n}").context("the list in words.rs has no end")?;
    let mut script = String::from("import { selgeo, tag } from \"./tab.js\";\nexport const values = [\n");
    for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
        let word = match line.strip_prefix(ONLY_IN_TRAC) {
            Some(_) if !with_trac => continue,
            Some(word) => word,
            None => line,
        };
        let expression = word.split_once(" = \"").and_then(|(_, rest)| rest.strip_suffix("\","));
        match expression {
            Some(expression) if !expression.contains(['"', '\\']) => script.push_str(expression),
            _ => bail!("a line of words.rs is not of the form NAME = \"JavaScript expression\",: {line}"),
        }
        script.push_str(",\n");
    }
    Ok(script + "];\n")
}

/// The bytes as printable ASCII; `snippet/js/engine-wasm.js` says how, and reads it.
fn as_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        match byte / 91 {
            0 => {}
            1 => text.push('#'),
            _ => text.push('"'),
        }
        text.push(char::from(byte % 91 + 36));
    }
    text
}

const SECTION_MEMORY: u8 = 5;

/// The numbers of a WebAssembly module's sections.
fn sections(module: &[u8]) -> Result<Vec<u8>> {
    let mut rest = module.get(8..).context("not a WebAssembly module")?;
    let mut found = Vec::new();
    while let [number, after @ ..] = rest {
        found.push(*number);
        let bytes = after.iter().position(|byte| byte & 0x80 == 0).context("a section without a size")? + 1;
        let (size, content) = after.split_at(bytes);
        let size = size.iter().rev().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
        rest = content.get(size..).context("a section that is cut")?;
    }
    Ok(found)
}

/// Removes what earlier builds wrote under names with a hash, and what they compressed.
fn remove_hashed(assets: &Path) -> Result<()> {
    for entry in fs::read_dir(assets)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        if stem.contains('.') {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Runs a command and returns what it printed; its complaints go to the terminal.
fn run(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{} failed: {}", command.get_program().display(), output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_printable_text_of_their_own() {
        assert_eq!(as_text(&[0, 3, 90]), "$'~");
        assert_eq!(as_text(&[91, 181, 182, 255]), "#$#~\"$\"m");
        let every: Vec<String> = (0..=255).map(|byte| as_text(&[byte])).collect();
        assert!(every.iter().all(|text| text.bytes().all(|byte| (b'"'..=b'~').contains(&byte))));
        assert_eq!(every.iter().collect::<std::collections::BTreeSet<_>>().len(), 256);
    }

    #[test]
    fn words_are_listed_in_order() {
        let source =
            "x\nwords! {\n    // Classes.\n    A = \"undefined\",\n    #[cfg(feature = \"trac\")] B = \"'b'\",\n}\n";
        for (with_trac, expected) in [(true, "[\nundefined,\n'b',\n];\n"), (false, "[\nundefined,\n];\n")] {
            let script = words(source, with_trac).unwrap();
            assert!(script.ends_with(expected), "{script}");
        }
    }

    #[test]
    fn a_word_that_is_not_understood_is_an_error() {
        assert!(words("\nwords! {\n    A = 'b',\n}\n", true).is_err());
    }

    #[test]
    fn sections_are_found() {
        assert_eq!(sections(b"\0asm\x01\0\0\0\x01\x02ab\x05\x81\x00c").unwrap(), [1, 5]);
        assert!(sections(b"\0asm\x01\0\0\0\x01\x05ab").is_err());
    }
}
