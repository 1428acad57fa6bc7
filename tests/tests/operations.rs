//! What an operator does with a running server: `cargo xtask doctor` and `admin`, and a copy of the database, taken and restored as the
//! runbook says (`www/docs/operations.md`), from which `cargo xtask replay` makes the same decisions again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server, Stripe, invoice, subscription_session, wait_for};
use serde_json::{Value, json};
use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(60);

e2e::suite! {
    Server::start;
    the_doctor_finds_nothing_wrong_with_a_server_that_runs,
    the_operator_makes_limits_suspends_and_resumes_a_workspace,
    a_restored_copy_of_the_database_replays_to_the_same_digest_and_serves,
    the_doctor_says_that_a_server_is_gone,
}

fn the_doctor_finds_nothing_wrong_with_a_server_that_runs(server: &mut Server) -> Result<()> {
    wait_for("the first sweep", WITHIN, || {
        let health = operator(server).get("/operator/v1/health", &[])?.expect(200)?;
        Ok((!health["sweep"].is_null()).then_some(()))
    })?;
    let told = server.xtask("doctor", &[])?;
    println!("{told}");
    for line in ["answers", "bindings", "database 0", "cron", "a click", "a Stripe event"] {
        ensure!(told.lines().any(|one| one.starts_with("ok") && one.contains(line)), "{line}: {told}");
    }
    ensure!(told.contains(" 0 wrong, 0 unknown"), "{told}");
    // Of a deployment without any of its keys, that it answers is all that is known.
    let told = server.xtask("doctor", &["--url", &server.url()])?;
    ensure!(told.contains(" 0 wrong, 3 unknown") && told.contains("OPERATOR_TOKEN is not set"), "{told}");
    Ok(())
}

fn the_operator_makes_limits_suspends_and_resumes_a_workspace(server: &mut Server) -> Result<()> {
    let admin = |args: &[&str]| server.xtask("admin", args);
    let made: Value =
        serde_json::from_str(&admin(&["create", "Made by hand", "--owner", "o@shop.example", "--clicks", "7"])?)?;
    let id = made["id"].as_str().context("no id")?;
    ensure!(made["set_up_url"].as_str().is_some_and(|url| url.contains("/sign-in/")), "{made}");
    let limited: Value = serde_json::from_str(&admin(&["limits", id, "--conversions", "9"])?)?;
    let limits = json!({"clicks_per_minute": 7, "conversions_per_minute": 9, "other_per_minute": 300});
    ensure!(limited["limits"] == limits, "{limited}");
    let another: Value = serde_json::from_str(&admin(&["add-owner", id, "second@shop.example"])?)?;
    ensure!(another["set_up_url"].is_string(), "{another}");
    // Keys that nobody has used yet: how long others are believed is told by tests with a clock of their own.
    let answer = |key: &str| {
        let key = made["keys"][key].as_str().context("no key")?;
        Ok::<_, anyhow::Error>(Client::new(server.url()).with_key(key).get("/api/v1/programs", &[])?.status)
    };
    admin(&["suspend", id])?;
    ensure!(answer("sk_test")? == 403, "suspended");
    let listed = admin(&["list"])?;
    let line = listed.lines().find(|line| line.contains(id)).context("it is not listed")?;
    ensure!(line.contains("Made by hand") && line.contains('Z'), "{listed}");
    admin(&["resume", id])?;
    ensure!(answer("sk_live")? == 200, "resumed");
    Ok(())
}

fn a_restored_copy_of_the_database_replays_to_the_same_digest_and_serves(server: &mut Server) -> Result<()> {
    let api = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let click = api.click(server.text("/keys/pk_test")?, server.text("/links/0/ref")?)?;
    let mut stripe = Stripe::start(&server.url(), &server.dev()["stripe"]["test"])?;
    for event in [subscription_session("backed-up", &click, 4_900, false)?, invoice("backed-up", 4_900, false)?] {
        let answer = stripe.send(&event)?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    }
    let commissions = wait_for("the commissions", WITHIN, || {
        let all = api.list("commissions?limit=100")?;
        Ok(all.iter().any(|one| one["amount_cents"] == 980).then_some(all))
    })?;
    server.kill9()?;
    let before = digest(&server.xtask("replay", &[])?)?;

    let copy = Wrangler::over(&server.state())?;
    let dump = copy.0.path().join("selgeo.sql");
    copy.run(&["d1", "export", "selgeo", "--local", "--output", path(&dump)?])?;
    // A new account: the same secrets, and nothing else.
    let mut restored = Server::start_bare()?;
    restored.kill9()?;
    fs::remove_dir_all(restored.state())?;
    fs::create_dir_all(restored.state())?;
    for file in ["secrets.json", "dev.json"] {
        fs::copy(server.state().join(file), restored.state().join(file))?;
    }
    Wrangler::over(&restored.state())?.run(&["d1", "execute", "selgeo", "--local", "--file", path(&dump)?])?;
    let after = digest(&restored.xtask("replay", &[])?)?;
    ensure!(before == after, "{before} before, {after} after");

    // Nothing is migrated again, keys hold, sealed secrets open, and the click still earns.
    restored.restart()?;
    ensure!(!restored.log().lines().rev().take(5).any(|line| line.contains("migrated: 0001")), "{}", restored.log());
    let api = Client::new(restored.url()).with_key(server.text("/keys/sk_test")?);
    ensure!(api.list("commissions?limit=100")? == commissions, "other commissions");
    let sale = json!({"click_id": click, "external_transaction_id": "after", "event_type": "purchase", "amount_cents": 100,
        "currency": "EUR"});
    let sold = api.post("/api/v1/conversions", &sale)?.expect(201)?;
    ensure!(sold["attribution"]["status"] == "attributed", "{sold}");
    server.restart()
}

fn the_doctor_says_that_a_server_is_gone(server: &mut Server) -> Result<()> {
    server.kill9()?;
    let gone = server.xtask("doctor", &[]).err().context("nothing is wrong with a server that is gone")?.to_string();
    ensure!(gone.contains("WRONG") && gone.contains("Is it deployed"), "{gone}");
    server.restart()
}

fn operator(server: &Server) -> Client {
    Client::new(server.url()).with_key(server.operator_token())
}

fn digest(told: &str) -> Result<String> {
    ensure!(told.lines().any(|line| line.split_whitespace().eq(["differences", "0"])), "{told}");
    let line = told.lines().find_map(|line| line.strip_prefix("digest")).context("no digest")?;
    Ok(line.trim().to_owned())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// wrangler in a folder of its own, whose local databases are those of a server's state.
struct Wrangler(TempDir);

impl Wrangler {
    fn over(state: &Path) -> Result<Self> {
        let folder = TempDir::new()?;
        fs::copy(root().join("wrangler.toml"), folder.path().join("wrangler.toml"))?;
        fs::create_dir(folder.path().join(".wrangler"))?;
        symlink(state, folder.path().join(".wrangler").join("state"))?;
        Ok(Self(folder))
    }

    fn run(&self, args: &[&str]) -> Result<()> {
        let programs = root().join("xtask").join("node_modules").join(".bin");
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(programs.clone()).chain(std::env::split_paths(&inherited));
        let mut wrangler = Command::new(programs.join("wrangler"));
        wrangler.args(args).current_dir(self.0.path()).env("PATH", std::env::join_paths(folders)?);
        wrangler.env("CI", "1").env("WRANGLER_SEND_METRICS", "false");
        let output = wrangler.output()?;
        let told = [output.stdout, output.stderr].concat();
        ensure!(output.status.success(), "wrangler {args:?}: {}", String::from_utf8_lossy(&told));
        Ok(())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
