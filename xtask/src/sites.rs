//! `cargo xtask sites`: builds the sites of `tests/sites` into `build/sites`, each with its own framework's tools, as a merchant
//! would. The end-to-end tests visit them. What has not changed is not built again.

use std::path::Path;
use std::{fs, io};

use anyhow::{Context, Result};

use crate::build::{Inputs, copy, is_stamped, target_folder};
use crate::process::{Timer, run, say};
use crate::setup::{self, Tools};

/// Where npm puts packages. They stay from one build to the next.
const PACKAGES: &str = "node_modules";

/// A site that a framework builds.
struct Site {
    /// Its folder in `tests/sites` and in `build/sites`.
    name: &'static str,
    /// The framework's program, in the folder of its packages; `build` is its command.
    program: &'static str,
    /// Where that command puts what is to be served.
    output: &'static str,
}

const SITES: [Site; 2] = [
    Site { name: "next", program: "next/dist/bin/next", output: "out" },
    Site { name: "vite-react", program: "vite/bin/vite.js", output: "dist" },
];

/// Builds those that have changed: about 30 seconds for all, packages included.
pub fn build(root: &Path, tools: &Tools) -> Result<()> {
    let work = target_folder(root)?.join("sites");
    for site in SITES {
        site.build(root, tools, &work.join(site.name))
            .with_context(|| format!("tests/sites/{} could not be built", site.name))?;
    }
    Ok(())
}

impl Site {
    /// Builds it in the folder `work`, so that nothing is written among the sources.
    fn build(&self, root: &Path, tools: &Tools, work: &Path) -> Result<()> {
        let source = root.join("tests").join("sites").join(self.name);
        let built = root.join("build").join("sites").join(self.name);
        let mut inputs = Inputs::new(root, tools)?;
        inputs.file(&root.join("xtask").join("src").join("sites.rs"))?;
        inputs.folder(&source)?;
        let hash = inputs.hash();
        let stamp = built.join(".site-built");
        if is_stamped(&stamp, &hash) {
            return Ok(());
        }
        let timer = Timer::start();
        empty(work)?;
        copy(&source, work)?;
        let packages = setup::npm_packages(work, &format!("Installing what tests/sites/{} is made with", self.name))?;
        say(&format!("Building tests/sites/{}", self.name));
        let mut build = tools.command(&tools.node);
        build
            .arg(packages.join(self.program))
            .arg("build")
            .current_dir(work)
            .env("NEXT_TELEMETRY_DISABLED", "1")
            // Whatever it says here, what a visitor gets is built for production.
            .env_remove("NODE_ENV")
            .stdout(io::stderr());
        run(&mut build)?;
        remove(&built)?;
        copy(&work.join(self.output), &built)?;
        fs::write(stamp, hash)?;
        say(&format!("tests/sites/{} is built ({})", self.name, timer.words()));
        Ok(())
    }
}

/// Leaves nothing in the folder but the packages: a source that is gone must not be built.
fn empty(work: &Path) -> Result<()> {
    fs::create_dir_all(work)?;
    for entry in fs::read_dir(work)? {
        let entry = entry?;
        if entry.file_name() != PACKAGES {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}
