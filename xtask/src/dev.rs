//! `cargo xtask dev`: everything built and running on this machine, with a demo workspace to look at.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::{env, fs, process, thread};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::process::say;
use crate::server::{self, Server};
use crate::{build, seed, setup};

/// Where the data is kept, unless `--state` says otherwise: in the project.
pub const STATE_DEFAULT: &str = ".selgeo/state";

/// What `cargo xtask dev` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Where to listen on 127.0.0.1; 0 takes a free port
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Where the data is kept
    #[arg(long, default_value = STATE_DEFAULT)]
    state: PathBuf,
    /// For the end-to-end tests: take build/ as it is, leave .selgeo/dev.json alone, and print one line of JSON when ready
    #[arg(long, hide = true)]
    harness: bool,
    /// For the end-to-end tests: make no workspaces
    #[arg(long, hide = true)]
    bare: bool,
}

/// Runs until it is stopped.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    // Asked before minutes of building. The server asks again.
    if options.port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).is_err() {
        bail!(server::port_in_use(options.port));
    }
    let state = absolute(root, &options.state)?;
    let tools = setup::prepare(root)?;
    if options.harness {
        setup::prepare_tests(root)?;
        end_with_owner();
    } else {
        build::run(root, &tools)?;
        say("Starting the Worker on workerd");
    }
    let server = Server::start(root, &tools, &state, options.port)?;
    let dev = if options.bare { Value::Null } else { workspaces(&state, &server)? };
    if options.harness {
        let ready = json!({"ready": {
            "port": server.port, "workerd_pid": server.workerd_pid, "operator_token": server.operator_token, "dev": dev,
        }});
        println!("{ready}");
        io::stdout().flush()?;
    } else {
        write(&root.join(".selgeo").join("dev.json"), &dev)?;
        println!("{}", welcome(&dev, &state));
    }
    server.wait()
}

/// Ends this process when its standard input does: whoever started it is gone then, killed perhaps.
fn end_with_owner() {
    thread::spawn(|| {
        // An error says the same as an end.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(0);
    });
}

/// The demo and bench workspaces: those that the state holds, or new ones.
fn workspaces(state: &Path, server: &Server) -> Result<Value> {
    let kept = state.join("dev.json");
    let dev = match read(&kept)? {
        Some(mut dev) => {
            seed::move_to_port(&mut dev, server.port, &server.operator_token)?;
            seed::complete(&mut dev, server.port, &server.operator_token)?;
            dev
        }
        // Also after a start that was killed half-way: the file is written last.
        None => {
            say("Making the demo workspace and the bench workspace");
            seed::make(server.port, &server.operator_token)?
        }
    };
    write(&kept, &dev)?;
    Ok(dev)
}

/// A path given on the command line is relative to where the person is; the default is the project's own.
pub fn absolute(root: &Path, state: &Path) -> Result<PathBuf> {
    let base = if state == Path::new(STATE_DEFAULT) { root.to_path_buf() } else { env::current_dir()? };
    Ok(base.join(state))
}

fn read(path: &Path) -> Result<Option<Value>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path)?;
    let dev = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON: remove the folder to start anew", path.display()))?;
    Ok(Some(dev))
}

/// Writes beside and renames: whoever reads sees a whole file.
fn write(path: &Path, dev: &Value) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let half = path.with_extension(format!("json.{}", std::process::id()));
    fs::write(&half, format!("{dev:#}\n"))?;
    fs::rename(&half, path)?;
    Ok(())
}

fn welcome(dev: &Value, state: &Path) -> String {
    let text = |pointer: &str| dev.pointer(pointer).and_then(Value::as_str).unwrap_or("-");
    let url = text("/url");
    format!(
        "
  Selgeo runs on {url}

    demo shop, by a partner's link       {url}/demo/?ref=demo
    sign in as the demo's owner          {}
    sign in as its partner               {}
    mail that was sent                   {}
    snippet                              {url}/v1/selgeo.js
    Stripe events (test) go to           {}
    public key, secret key (test)        {}
                                         {}

    a paid checkout for a click          cargo xtask stripe checkout.session.completed --click CLICK_ID --amount 5000
    keys and ids for scripts             .selgeo/dev.json
    data                                 {}

  Ctrl-C stops it; the data stays.
",
        text("/sign_in_url"),
        text("/partner_sign_in_url"),
        text("/mailbox_url"),
        text("/stripe/test/url"),
        text("/keys/pk_test"),
        text("/keys/sk_test"),
        state.display(),
    )
}
