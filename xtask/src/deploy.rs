//! `cargo xtask deploy`: creates what is missing in the account, migrates, deploys, and waits until the Worker answers. Each step looks
//! first what is there, so that it can be run again at any time, and after whatever it stopped at.
//!
//! Everything is asked of `wrangler`, which knows who is logged in. What is relied on is what wrangler 4.164 prints and how it exits.

mod config;
mod wrangler;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value, json};

use self::config::Config;
pub use self::wrangler::Wrangler;
use crate::http::Client;
use crate::process::{Timer, say};
use crate::{build, setup};

/// What the Worker does not start without. The first three are keys of what is stored.
pub const SECRETS: [&str; 4] = ["CLICK_SECRETS", "ENCRYPTION_SECRETS", "HASH_SECRETS", OPERATOR_TOKEN];
const OPERATOR_TOKEN: &str = "OPERATOR_TOKEN";
/// A new deployment is everywhere within seconds; a new host's certificate takes longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What `cargo xtask deploy` can be told.
#[derive(clap::Args)]
pub struct Options {
    /// Print the commands in their order, and touch nothing
    #[arg(long)]
    dry_run: bool,
    /// Where the Worker will answer, if not at PUBLIC_URL or at the first address that wrangler tells
    #[arg(long)]
    url: Option<String>,
    /// Make random keys although a database is there already: what older keys sealed in it stays closed
    #[arg(long)]
    new_secrets: bool,
}

/// Deploys.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let config = Config::read(root)?;
    if options.dry_run {
        println!("{}", plan(&config).join("\n"));
        return Ok(());
    }
    let tools = setup::prepare(root)?;
    let wrangler = Wrangler::of(root, &tools);
    let client = Client::reaching_out(root, &tools);
    deploy(&wrangler, &client, &config, options, || build::run(root, &tools))
}

/// All steps. `build` comes before anything is changed, so that what does not compile changes nothing.
fn deploy(
    wrangler: &Wrangler,
    client: &Client,
    config: &Config,
    options: &Options,
    build: impl FnOnce() -> Result<()>,
) -> Result<()> {
    logged_in(wrangler)?;
    build()?;
    queues(wrangler, config)?;
    let there = databases(wrangler)?;
    secrets(wrangler, config, &there, options.new_secrets)?;
    for database in config.databases.iter().filter(|database| !there.contains(&database.name)) {
        say(&format!("Creating the database {}", database.name));
        wrangler.run(&["d1", "create", &database.name])?;
    }
    // While the old code serves: migrations are made so that it goes on.
    for database in &config.databases {
        say(&format!("Migrating the database {} ({})", database.name, database.binding));
        let migrated = wrangler.run(&["d1", "migrations", "apply", &database.binding, "--remote"]);
        migrated.context(
            "the migration that failed was rolled back, those before it stay, and the old code still serves",
        )?;
    }
    say("Deploying the Worker");
    let targets = wrangler.deploy()?;
    let url = options.url.clone().or_else(|| config.public_url.clone()).or_else(|| targets.into_iter().next());
    let url = url.context("wrangler deployed, and told no address: say with --url where the Worker answers")?;
    let url = url.trim_end_matches('/');
    answers(client, url)?;
    println!("{}", next(url, config));
    Ok(())
}

/// The commands on an account that has nothing yet, in their order.
fn plan(config: &Config) -> Vec<String> {
    let mut lines = vec!["wrangler whoami --json".to_owned(), "cargo xtask build".to_owned()];
    for queue in &config.queues {
        lines.push(format!("wrangler queues info {queue}"));
        lines.push(format!("wrangler queues create {queue}   # where it is missing"));
    }
    lines.push("wrangler d1 list --json".to_owned());
    lines.push("wrangler secret list --format json".to_owned());
    lines.push(format!("wrangler secret bulk   # those missing of {}, on its stdin", SECRETS.join(", ")));
    lines.extend(config.databases.iter().map(|one| format!("wrangler d1 create {}   # where it is missing", one.name)));
    lines.extend(config.databases.iter().map(|one| format!("wrangler d1 migrations apply {} --remote", one.binding)));
    lines.push("wrangler deploy".to_owned());
    lines.push("GET /healthz   # until it answers 200".to_owned());
    lines
}

fn logged_in(wrangler: &Wrangler) -> Result<()> {
    say("Looking who is logged in");
    let said = wrangler.ask(&["whoami", "--json"])?;
    let is_in = said.json().is_some_and(|who| who["loggedIn"] == true);
    if !is_in {
        bail!(
            "nobody is logged in at Cloudflare. Run `export PATH=\"$PWD/xtask/node_modules/.bin:$PATH\"` and `wrangler login` in the \
             project's folder, or set CLOUDFLARE_API_TOKEN, then this again"
        );
    }
    Ok(())
}

fn queues(wrangler: &Wrangler, config: &Config) -> Result<()> {
    for queue in &config.queues {
        let said = wrangler.ask(&["queues", "info", queue])?;
        if said.succeeded {
            continue;
        }
        if !said.text.contains("does not exist") {
            return Err(said.failure());
        }
        say(&format!("Creating the queue {queue}"));
        let made = wrangler.run(&["queues", "create", queue]);
        made.context("queues need the Workers Paid plan, and a token the right to edit queues")?;
    }
    Ok(())
}

/// The names of the account's databases.
fn databases(wrangler: &Wrangler) -> Result<Vec<String>> {
    let said = wrangler.ask(&["d1", "list", "--json"])?;
    let listed = said.json().filter(|_| said.succeeded);
    let listed = listed.as_ref().and_then(Value::as_array).ok_or_else(|| said.failure())?;
    Ok(listed.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect())
}

/// Makes the secrets that are not set. What is set stays, and is read by nobody here.
fn secrets(wrangler: &Wrangler, config: &Config, databases: &[String], new_secrets: bool) -> Result<()> {
    let missing = missing_secrets(wrangler)?;
    if missing.is_empty() {
        return Ok(());
    }
    let has_data = config.databases.iter().any(|one| databases.contains(&one.name));
    if has_data && !new_secrets && missing.iter().any(|name| *name != OPERATOR_TOKEN) {
        bail!(
            "a database of this deployment is there, and {} is not set: what older keys sealed in it would stay closed under new ones. \
             Set them to what they were with `wrangler secret put NAME`; or, if nothing in the database matters, say --new-secrets",
            missing.join(", ")
        );
    }
    say(&format!("Setting {}, made at random", missing.join(", ")));
    let made: Map<String, Value> =
        missing.iter().map(|name| Ok(((*name).to_owned(), json!(random_key()?)))).collect::<Result<_>>()?;
    wrangler.run_with(&["secret", "bulk"], &Value::Object(made.clone()).to_string())?;
    if let Some(token) = made.get(OPERATOR_TOKEN).and_then(Value::as_str) {
        println!("The operator's token. Keep it: it is shown nowhere again.\n\n  {token}\n");
    }
    Ok(())
}

/// Which secrets are not set.
pub fn missing_secrets(wrangler: &Wrangler) -> Result<Vec<&'static str>> {
    let said = wrangler.ask(&["secret", "list", "--format", "json"])?;
    if !said.succeeded {
        // Before the first deployment there is no Worker, and thus no secret.
        let is_new = said.text.contains("Worker \"") && said.text.contains("not found");
        return if is_new { Ok(SECRETS.to_vec()) } else { Err(said.failure()) };
    }
    let listed = said.json();
    let listed = listed.as_ref().and_then(Value::as_array).ok_or_else(|| said.failure())?;
    let is_set = |name: &&str| listed.iter().any(|one| one["name"] == **name);
    Ok(SECRETS.into_iter().filter(|name| !is_set(name)).collect())
}

/// 64 hex digits.
fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    let source = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.map_err(|error| anyhow!("/dev/urandom gives no random bytes ({error}): set the secrets by hand"))?;
    Ok(hex::encode(bytes))
}

/// Waits until `/healthz` is answered with 200: the new code serves, and finds its databases migrated.
fn answers(client: &Client, url: &str) -> Result<()> {
    say(&format!("Waiting for {url}/healthz"));
    let timer = Timer::start();
    loop {
        let last = match client.get(&format!("{url}/healthz"), &[]) {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => format!("{} {}", answer.status, answer.body.trim()),
            Err(error) => format!("{error:#}"),
        };
        if timer.elapsed() > ANSWERS_WITHIN {
            bail!(
                "the Worker is deployed, and {url}/healthz does not answer 200: {last}. `wrangler tail` shows what it logs; \
                 `wrangler rollback` gives the code before it back"
            );
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn next(url: &str, config: &Config) -> String {
    let public = match config.public_url {
        Some(_) => "",
        None => "\n  PUBLIC_URL in wrangler.toml is empty: letters to partners name no address until it is set.",
    };
    format!(
        "
  Selgeo runs on {url}

    what is amiss, if anything           OPERATOR_TOKEN=… cargo xtask doctor --url {url}
    a first workspace                    OPERATOR_TOKEN=… cargo xtask admin --url {url} create \"My shop\" --owner you@example.com
    the guides                           {url}/docs
    the next version                     cargo xtask deploy
{public}"
    )
}

#[cfg(test)]
mod tests;
