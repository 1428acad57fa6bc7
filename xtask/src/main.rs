//! The project's commands, `cargo xtask <command>`: a table, and a file for each.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod admin;
mod bench;
mod build;
mod deploy;
mod dev;
mod disposable;
mod docs;
mod doctor;
mod export;
mod fuzz;
mod http;
mod import;
mod listen;
mod openapi;
mod operator;
mod process;
mod reference;
mod replay;
mod seed;
mod server;
mod setup;
mod simulate_world;
mod sites;
mod size;
mod snippet;
mod stripe_event;
mod test;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Selgeo's commands. Each one brings the tools that it needs.")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything, start it locally with a demo workspace, and print where it is
    Dev(dev::Options),
    /// Formatting, lints, native tests, wasm builds, and the end-to-end tests
    Test,
    /// Build the snippet, the assets and the Worker into build/
    Build,
    /// Create what is missing on Cloudflare, migrate, deploy, and wait until it answers; can be run again at any time
    Deploy(deploy::Options),
    /// List, make, limit, suspend and resume workspaces, and add owners
    Admin(admin::Options),
    /// Look whether a deployment does its work, and say what to mend; something wrong is exit code 1
    Doctor(doctor::Options),
    /// Write the API's description, www/openapi.json, anew from the code
    Openapi,
    /// Build the sites of tests/sites, each with its own framework, into build/sites/
    Sites,
    /// Send a correctly signed Stripe event to the running `cargo xtask dev`
    Stripe(stripe_event::Options),
    /// Forward the events of the running `cargo xtask dev` to a receiver on this machine, and print what became of each
    Listen(listen::Options),
    /// Make every stored decision and commission again, and name what differs; nothing is written
    Replay(replay::Options),
    /// Write everything that a workspace holds into a file, and check that it is whole
    Export(export::Options),
    /// Make partners, links or promo codes of a CSV file, and say what came of each row
    Import(import::Options),
    /// Print what a draft of a program's rules would change, participant by participant; nothing is written
    Simulate(replay::Draft),
    /// Print how many bytes the built files have, raw, gzip and brotli, beside their budgets; over budget fails
    Size(size::Options),
    /// Measure what something costs, beside a reference
    #[command(subcommand)]
    Bench(bench::What),
    /// Simulate merchants, buyers and a faulty world over many seeds, against a reference model
    SimulateWorld(simulate_world::Options),
    /// Fuzz one target of fuzz/ for a while
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let root = project_root();
    let done = match Line::parse().command {
        Command::Dev(options) => dev::run(&root, &options),
        Command::Test => return test::run(&root),
        Command::Build => setup::prepare(&root).and_then(|tools| build::run(&root, &tools)),
        Command::Admin(options) => admin::run(&root, &options),
        Command::Doctor(options) => doctor::run(&root, &options),
        Command::Deploy(options) => deploy::run(&root, &options),
        Command::Openapi => openapi::write(&root),
        Command::Sites => setup::prepare(&root).and_then(|tools| sites::build(&root, &tools)),
        Command::Stripe(options) => stripe_event::run(&root, &options),
        Command::Listen(options) => listen::run(&root, &options),
        Command::Replay(options) => replay::run(&root, &options),
        Command::Export(options) => export::run(&root, &options),
        Command::Import(options) => import::run(&root, &options),
        Command::Simulate(draft) => replay::simulate(&root, &draft),
        Command::Size(options) => setup::prepare(&root).and_then(|tools| size::run(&root, &tools, &options)),
        Command::Bench(what) => setup::prepare(&root).and_then(|tools| bench::run_one(&root, &tools, &what)),
        Command::SimulateWorld(options) => simulate_world::run(&root, &options),
        Command::Fuzz(options) => fuzz::run(&root, &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's Cargo.toml. Known from compilation, so that the program may be started from anywhere.
fn project_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_commands_options_fit_together() {
        super::Line::command().debug_assert();
    }
}
