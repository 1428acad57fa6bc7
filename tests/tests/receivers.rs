//! What a merchant's server does with webhooks: the receivers of `www/docs/webhooks.md`, run as they stand there, and the official
//! libraries, each on real deliveries.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Received, Receiver, Server, now, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use ureq::http::HeaderMap;

e2e::suite! {
    Shop::start;
    the_official_libraries_verify_before_during_and_after_a_rotation,
    the_receivers_of_the_docs_take_what_is_ours_and_nothing_else,
}

const WITHIN: Duration = Duration::from_secs(30);
/// Go and cargo compile first.
const STARTED_WITHIN: Duration = Duration::from_secs(240);

struct Shop {
    api: Client,
    _server: Server,
}

impl Shop {
    fn start() -> Result<Self> {
        let server = Server::start()?;
        let api = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
        Ok(Self { api, _server: server })
    }

    /// An endpoint for that URL: its id and its secret.
    fn endpoint(&self, url: &str) -> Result<(String, String)> {
        let body = json!({"url": url, "events": ["*"]});
        let made = self.api.post("/api/v1/webhook-endpoints", &body)?.expect(201)?;
        let text = |field: &str| made[field].as_str().map(str::to_owned).context("no text");
        Ok((text("id")?, text("secret")?))
    }

    /// Has an endpoint pinged; gives the delivery's id.
    fn ping(&self, endpoint: &str) -> Result<String> {
        let path = format!("/api/v1/webhook-endpoints/{endpoint}/ping");
        let owed = self.api.post(&path, &json!({}))?.expect(202)?;
        owed["id"].as_str().map(str::to_owned).context("no id")
    }

    fn wait_until_delivered(&self, delivery: &str) -> Result<()> {
        wait_for("the delivery", WITHIN, || {
            let shown = self.api.get(&format!("/api/v1/webhook-deliveries/{delivery}"), &[])?.expect(200)?;
            Ok((shown["status"] == "delivered").then_some(()))
        })
    }

    fn remove(&self, endpoint: &str) -> Result<()> {
        let path = format!("/api/v1/webhook-endpoints/{endpoint}");
        let status = self.api.send("DELETE", &path, &[], "")?.status;
        ensure!(status == 204, "{status}");
        Ok(())
    }
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// What each official library says to a webhook under a secret: `verified` or `refused`.
fn verdicts(secret: &str, caught: &Received) -> Result<Vec<String>> {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let mut rust = HeaderMap::new();
    for name in names {
        rust.insert(name, caught.header(name).parse()?);
    }
    let headers: HashMap<&str, &str> = names.iter().map(|name| (*name, caught.header(name))).collect();
    let verified = standardwebhooks::Webhook::new(secret)?.verify(caught.body.as_bytes(), &rust).is_ok();
    let mut all = vec![format!("Rust: {}", if verified { "verified" } else { "refused" })];
    let given = |library: &str| json!({"library": library, "secret": secret, "body": caught.body, "headers": headers});
    let mut node = Command::new("node");
    node.arg(clients().join("verify.mjs"));
    let told = filter(&mut node, &[given("standardwebhooks"), given("svix")])?;
    all.extend(told.iter().zip(["Node", "Svix"]).map(|(word, name)| format!("{name}: {word}")));
    match std::env::var_os("SELGEO_TEST_PYTHON") {
        Some(python) => {
            let mut python = Command::new(python);
            python.arg(clients().join("verify.py"));
            all.extend(filter(&mut python, &[given("")])?.iter().map(|word| format!("Python: {word}")));
        }
        None => println!("    Python's library is not installed: `cargo xtask test` brings it where there is Python"),
    }
    Ok(all)
}

/// Runs a program that answers each line with a line.
fn filter(command: &mut Command, lines: &[Value]) -> Result<Vec<String>> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("no pipe")?;
    for line in lines {
        writeln!(stdin, "{line}")?;
    }
    drop(stdin);
    let stdout = child.stdout.take().context("no pipe")?;
    let told = BufReader::new(stdout).lines().collect::<std::io::Result<Vec<_>>>()?;
    ensure!(child.wait()?.success() && told.len() == lines.len(), "{command:?} said {told:?}");
    Ok(told)
}

fn the_official_libraries_verify_before_during_and_after_a_rotation(shop: &mut Shop) -> Result<()> {
    let catcher = Receiver::good()?;
    let (endpoint, old) = shop.endpoint(&catcher.url("/selgeo"))?;
    let strange = format!("whsec_{}", "0".repeat(64));
    let check = |caught: &Received, secret: &str, word: &str| -> Result<()> {
        for verdict in verdicts(secret, caught)? {
            ensure!(verdict.ends_with(word), "{verdict} instead of {word}");
        }
        Ok(())
    };
    let pings = Cell::new(0);
    let pinged = || -> Result<Received> {
        shop.ping(&endpoint)?;
        pings.set(pings.get() + 1);
        wait_for("a webhook", WITHIN, || Ok(catcher.received().into_iter().nth(pings.get() - 1)))
    };
    let caught = pinged()?;
    check(&caught, &old, "verified")?;
    check(&caught, &strange, "refused")?;
    let mut changed = caught;
    changed.body = changed.body.replace("webhook.test", "payout.paid");
    check(&changed, &old, "refused")?;

    let path = format!("/api/v1/webhook-endpoints/{endpoint}");
    let rotated = shop.api.post(&format!("{path}/rotate"), &json!({}))?.expect(200)?;
    let new = rotated["secret"].as_str().context("no secret")?.to_owned();
    ensure!(new != old, "the secret is as it was");
    let caught = pinged()?;
    check(&caught, &old, "verified")?;
    check(&caught, &new, "verified")?;

    shop.api.post(&format!("{path}/switch"), &json!({}))?.expect(200)?;
    let caught = pinged()?;
    check(&caught, &old, "refused")?;
    check(&caught, &new, "verified")?;
    shop.remove(&endpoint)
}

/// A program that is killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A code block of the docs, by the name that stands behind its language.
fn block<'a>(docs: &'a str, name: &str) -> Result<&'a str> {
    let (_, rest) = docs.split_once(&format!(" {name}\n")).with_context(|| format!("the docs have no {name}"))?;
    rest.split_once("```").map(|(code, _)| code).with_context(|| format!("{name} has no end"))
}

/// An event as short as can be.
const BODY: &str = r#"{"id":"evt_1","type":"webhook.test","subject":"whe_1","sequence":1}"#;

/// Its signature at a time, made here.
fn signed(secret: &str, at: i64) -> Result<String> {
    let key = hex::decode(secret.trim_start_matches("whsec_"))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(format!("{at}.{BODY}").as_bytes());
    Ok(format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes())))
}

fn the_receivers_of_the_docs_take_what_is_ours_and_nothing_else(shop: &mut Shop) -> Result<()> {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../www/docs/webhooks.md"))?;
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/receiver.rs"))?;
    ensure!(example.ends_with(block(&docs, "receiver.rs")?), "examples/receiver.rs is another than the docs'");
    let folder = TempDir::new()?;
    for (name, program) in [
        ("receiver.mjs", "node"),
        ("receiver.py", "python3"),
        ("receiver.php", "php"),
        ("receiver.go", "go"),
        ("receiver.rs", "cargo"),
    ] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_err() {
            println!("    {name} was not run: there is no {program} here");
            continue;
        }
        let file = folder.path().join(name);
        fs::write(&file, block(&docs, name)?)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(program);
        match program {
            "php" => command.arg("-S").arg(format!("127.0.0.1:{port}")).arg(&file),
            "go" => command.arg("run").arg(&file),
            "cargo" => command.args(["run", "--quiet", "-p", "e2e", "--example", "receiver"]),
            _ => command.arg(&file),
        };
        let (endpoint, secret) = shop.endpoint(&format!("http://127.0.0.1:{port}/selgeo"))?;
        command.env("PORT", port.to_string()).env("SELGEO_WEBHOOK_SECRET", &secret);
        let _running = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        wait_for(name, STARTED_WITHIN, || Ok(TcpStream::connect(("127.0.0.1", port)).ok().map(drop)))?;
        let delivery = shop.ping(&endpoint)?;
        shop.wait_until_delivered(&delivery).with_context(|| format!("to {name}"))?;

        let direct = Client::new(format!("http://127.0.0.1:{port}"));
        let check = |signature: &str, status: u16| -> Result<()> {
            let answer = direct.send("POST", "/selgeo", &[("x-selgeo-signature", signature)], BODY)?;
            ensure!(answer.status == status, "{name} answers {} to {signature:?}", answer.status);
            Ok(())
        };
        // Signed as ours are, now and too far from now: one that somebody kept is refused.
        let now = i64::try_from(now()?.as_secs())?;
        check(&signed(&secret, now)?, 204)?;
        for stale in [now - 330, now + 330, 0] {
            check(&signed(&secret, stale)?, 400)?;
        }
        // And as a stranger would: for another body, and not at all.
        let shown = shop.api.get(&format!("/api/v1/webhook-deliveries/{delivery}"), &[])?.expect(200)?;
        let of_another = shown["attempts"][0]["headers"]["x-selgeo-signature"].as_str().context("no signature")?;
        for strange in [of_another, "", "t=1,v1=00", "t=x,v1=", "v1=", &format!("t={now}")] {
            check(strange, 400)?;
        }
        shop.remove(&endpoint)?;
    }
    Ok(())
}
