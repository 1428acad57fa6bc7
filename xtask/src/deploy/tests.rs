//! Deploying to an account that `fake-wrangler.sh` keeps.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::config::Database;
use super::*;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/deploy/fake-wrangler.sh");
static ACCOUNTS: AtomicU32 = AtomicU32::new(0);

/// An account, gone with its folder.
struct Account {
    folder: PathBuf,
    answers_at: String,
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Account {
    fn new() -> Self {
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("selgeo-account-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder, answers_at: healthy() }
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// What was asked since the last look.
    fn log(&self) -> Vec<String> {
        let log = self.read("log").lines().map(str::to_owned).collect();
        self.put("log", "");
        log
    }

    fn deploy(&self, options: &Options) -> Result<()> {
        let wrangler = Wrangler::at(|| {
            let mut command = Command::new("sh");
            command.arg(SCRIPT).env("ACCOUNT", &self.folder).env("ANSWERS_AT", &self.answers_at);
            command
        });
        deploy(&wrangler, &Client::new(), &config(), options, || {
            fs::write(self.folder.join("log"), self.read("log") + "build\n")?;
            Ok(())
        })
    }

    fn refused(&self, expected: &str) {
        let error = format!("{:#}", self.deploy(&plainly()).unwrap_err());
        assert!(error.contains(expected), "{error}");
    }
}

/// Answers `GET /healthz` with 200, and ends with the test.
fn healthy() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1_024];
            let read = stream.read(&mut request).unwrap_or(0);
            assert!(request[..read].starts_with(b"GET /healthz "));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

fn config() -> Config {
    let database = |binding: &str, name: &str| Database { binding: binding.to_owned(), name: name.to_owned() };
    Config {
        queues: ["selgeo", "selgeo-dead", "selgeo-clicks"].map(str::to_owned).to_vec(),
        databases: vec![database("DB", "selgeo"), database("DB_1", "selgeo-1")],
        public_url: None,
    }
}

fn plainly() -> Options {
    Options { dry_run: false, url: None, new_secrets: false }
}

#[test]
fn an_empty_account_gets_everything_in_the_order_that_the_dry_run_prints() {
    let account = Account::new();
    account.deploy(&plainly()).unwrap();
    let planned: Vec<String> = plan(&config())
        .iter()
        .filter(|line| !line.starts_with("GET"))
        .map(|line| line.split("   #").next().unwrap_or_default().trim_start_matches("wrangler "))
        .map(|line| line.replace("cargo xtask build", "build"))
        .collect();
    assert_eq!(account.log(), planned);
    let bulk: Value = serde_json::from_str(&account.read("bulk")).unwrap();
    for name in SECRETS {
        let key = bulk[name].as_str().unwrap();
        assert_eq!(hex::decode(key).unwrap().len(), 32, "{name}");
    }
    assert_ne!(bulk["CLICK_SECRETS"], bulk["HASH_SECRETS"]);
}

#[test]
fn a_second_deployment_creates_nothing_and_migrates_before_the_new_code_serves() {
    let account = Account::new();
    account.deploy(&plainly()).unwrap();
    let secrets = account.read("bulk");
    account.log();
    account.deploy(&plainly()).unwrap();
    assert_eq!(
        account.log(),
        [
            "whoami --json",
            "build",
            "queues info selgeo",
            "queues info selgeo-dead",
            "queues info selgeo-clicks",
            "d1 list --json",
            "secret list --format json",
            "d1 migrations apply DB --remote",
            "d1 migrations apply DB_1 --remote",
            "deploy",
        ]
    );
    assert_eq!(account.read("bulk"), secrets);
}

#[test]
fn whatever_fails_stops_there_and_the_next_run_goes_on() {
    for failing in [
        "queues create selgeo-clicks",
        "d1 list --json",
        "secret list --format json",
        "secret bulk",
        "d1 create selgeo-1",
        "d1 migrations apply DB_1 --remote",
        "deploy",
    ] {
        let account = Account::new();
        account.put("fails", &format!("{failing}\nX [ERROR] A request to the Cloudflare API failed.\n"));
        account.refused(&format!("wrangler {failing}"));
        assert_eq!(account.log().last().unwrap(), failing);
        account.put("fails", "");
        account.deploy(&plainly()).unwrap();
        assert_eq!(account.log().last().unwrap(), "deploy", "{failing}");
        for (what, count) in [("queues", 3), ("databases", 2), ("secrets", 4)] {
            assert_eq!(account.read(what).lines().count(), count, "{what} after {failing}");
        }
    }
}

#[test]
fn who_is_not_logged_in_is_told_how() {
    let account = Account::new();
    account.put("logged-out", "");
    account.refused("wrangler login");
    assert_eq!(account.log(), ["whoami --json"]);
}

#[test]
fn what_does_not_build_changes_nothing() {
    let account = Account::new();
    let wrangler = Wrangler::at(|| {
        let mut command = Command::new("sh");
        command.arg(SCRIPT).env("ACCOUNT", &account.folder);
        command
    });
    let broken = deploy(&wrangler, &Client::new(), &config(), &plainly(), || bail!("it does not compile"));
    assert_eq!(broken.unwrap_err().to_string(), "it does not compile");
    assert_eq!(account.log(), ["whoami --json"]);
}

#[test]
fn keys_of_what_is_stored_are_not_made_anew_beside_a_database_unless_that_is_said() {
    let account = Account::new();
    account.put("databases", "selgeo\n");
    account.refused("CLICK_SECRETS, ENCRYPTION_SECRETS, HASH_SECRETS, OPERATOR_TOKEN is not set");
    assert!(!account.log().contains(&"secret bulk".to_owned()));
    // A token seals nothing.
    account.put("worker", "");
    account.put("secrets", "CLICK_SECRETS\nENCRYPTION_SECRETS\nHASH_SECRETS\nMAIL_HTTP_TOKEN\n");
    account.deploy(&plainly()).unwrap();
    let bulk: Value = serde_json::from_str(&account.read("bulk")).unwrap();
    assert_eq!(bulk.as_object().unwrap().keys().collect::<Vec<_>>(), ["OPERATOR_TOKEN"]);
    account.put("secrets", "");
    account.deploy(&Options { new_secrets: true, ..plainly() }).unwrap();
}

#[test]
fn another_failure_of_a_question_is_not_taken_for_nothing_there() {
    let check = |asked: &str| {
        let account = Account::new();
        account.put("fails", &format!("{asked}\nX [ERROR] Authentication error [code: 10000]\n"));
        account.refused("Authentication error [code: 10000]");
    };
    check("queues info selgeo");
    check("secret list --format json");
    check("d1 list --json");
}
