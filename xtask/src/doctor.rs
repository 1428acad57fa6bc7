//! `cargo xtask doctor`: whether a deployment does its work, line by line: ok, wrong or unknown, and what to mend. The Worker tells the
//! operator what only it sees (`GET /operator/v1/health`); the rest is tried from outside, with a workspace's test keys: a click, and a
//! signed event as Stripe would send it. Both leave what any test does in that workspace's test mode.

use std::env;
use std::fmt;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::Client;
use crate::operator::{self, Operator, TOKEN, Whose};
use crate::process::Timer;
use crate::stripe_event;

/// From here on another database is due (www/docs/databases.md).
const DATABASE_FULL_BYTES: u64 = 5_000_000_000;
/// A click's record waits 20 seconds in its queue at most, and an event two in its own.
const DONE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Hosts of the workspace that are looked up.
const HOSTS_MAX: usize = 20;
/// What the synthetic sale comes to, in cents.
const SALE_CENTS: u64 = 100;

/// Where the test keys and the Stripe connection of a deployment's workspace are.
const PUBLIC_KEY: &str = "DOCTOR_PK_TEST";
const SECRET_KEY: &str = "DOCTOR_SK_TEST";
const STRIPE_URL: &str = "DOCTOR_STRIPE_URL";
const STRIPE_SECRET: &str = "DOCTOR_STRIPE_SECRET";

/// What `cargo xtask doctor` can be told.
#[derive(clap::Args)]
#[command(after_help = "\
With --url, the environment says what is tried: OPERATOR_TOKEN (what the Worker tells of itself), DOCTOR_PK_TEST and DOCTOR_SK_TEST \
(a click in that workspace's test mode, which needs a link), DOCTOR_STRIPE_URL and DOCTOR_STRIPE_SECRET (a signed event to a Stripe \
connection of its test mode). What is not given is unknown, and no fault.")]
pub struct Options {
    #[command(flatten)]
    whose: Whose,
}

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Wrong,
    Unknown,
}

/// One line.
#[derive(Debug)]
struct Line {
    what: String,
    verdict: Verdict,
    /// What was seen, or what to mend.
    words: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Wrong => "WRONG",
            Verdict::Unknown => "unknown",
        };
        write!(f, "{verdict:<8} {:<24} {}", self.what, self.words)
    }
}

/// All lines so far.
#[derive(Default)]
struct Report(Vec<Line>);

impl Report {
    fn line(&mut self, what: &str, verdict: Verdict, words: impl Into<String>) {
        let line = Line { what: what.to_owned(), verdict, words: words.into() };
        println!("{line}");
        self.0.push(line);
    }

    fn ok(&mut self, what: &str, words: impl Into<String>) {
        self.line(what, Verdict::Ok, words);
    }

    fn wrong(&mut self, what: &str, words: impl Into<String>) {
        self.line(what, Verdict::Wrong, words);
    }

    fn unknown(&mut self, what: &str, words: impl Into<String>) {
        self.line(what, Verdict::Unknown, words);
    }

    /// Ok with the first words, or wrong with the second.
    fn judge(&mut self, what: &str, is_good: bool, good: impl Into<String>, mend: impl Into<String>) {
        if is_good { self.ok(what, good) } else { self.wrong(what, mend) }
    }
}

/// What is tried with.
struct Patient {
    pk: Option<String>,
    sk: Option<String>,
    /// Address and signing secret of a connection in test mode.
    stripe: Option<(String, String)>,
}

/// Looks at everything, and fails if something is wrong.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let (operator, client) = operator::of(root, &options.whose)?;
    let patient = patient(&operator);
    let mut report = Report::default();
    if reaches(&client, &operator.url, &mut report) {
        asked(&client, &operator, &mut report);
        names(&client, &operator, &patient, &mut report);
        let click = synthetic_click(&client, &operator.url, &patient, &mut report);
        synthetic_event(&client, &operator.url, &patient, click.as_deref(), &mut report);
    }
    let count = |verdict| report.0.iter().filter(|line| line.verdict == verdict).count();
    println!("\n{} ok, {} wrong, {} unknown", count(Verdict::Ok), count(Verdict::Wrong), count(Verdict::Unknown));
    match count(Verdict::Wrong) {
        0 => Ok(()),
        wrong => bail!("{wrong} of the lines above say what to mend"),
    }
}

fn patient(operator: &Operator) -> Patient {
    if let Some(dev) = &operator.dev {
        let text = |pointer: &str| dev.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let stripe = text("/stripe/test/url").zip(text("/stripe/test/secret"));
        return Patient { pk: text("/keys/pk_test"), sk: text("/keys/sk_test"), stripe };
    }
    let given = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
    Patient { pk: given(PUBLIC_KEY), sk: given(SECRET_KEY), stripe: given(STRIPE_URL).zip(given(STRIPE_SECRET)) }
}

fn reaches(client: &Client, url: &str, report: &mut Report) -> bool {
    match client.get(&format!("{url}/healthz"), &[]) {
        Ok(answer) if answer.status == 200 => report.ok("answers", format!("{url}/healthz")),
        Ok(answer) => report.wrong(
            "answers",
            format!(
                "/healthz says {}: with 503 a database is down or not migrated (`cargo xtask deploy`); with 500 a secret is missing or \
                 malformed (`wrangler tail` names it)",
                answer.status
            ),
        ),
        Err(error) => {
            report.wrong("answers", format!("{error:#}. Is it deployed, and is the address right?"));
            return false;
        }
    }
    true
}

/// What the Worker tells of itself.
fn asked(client: &Client, operator: &Operator, report: &mut Report) {
    if operator.token.is_none() {
        report.unknown(
            "the Worker's own word",
            format!("{TOKEN} is not set: bindings, migrations, cron and backlog are not seen"),
        );
        return;
    }
    match operator.ask(client, "GET", "health", &Value::Null) {
        Ok(health) => told(&health, operator.dev.is_some(), report),
        Err(error) => report.wrong(
            "the Worker's own word",
            format!(
                "{error:#}. With 401 the token is another deployment's; `wrangler secret put {TOKEN}` sets a new one"
            ),
        ),
    }
}

fn told(health: &Value, is_local: bool, report: &mut Report) {
    for (name, keys) in health["secrets"].as_object().into_iter().flatten() {
        report.ok(name, format!("{} set", keys.as_str().unwrap_or("-")));
    }
    let unbound: Vec<&str> = health["unbound"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    report.judge(
        "bindings",
        unbound.is_empty(),
        "all there",
        format!("{} not bound: deploy with this version's wrangler.toml (`cargo xtask deploy`)", unbound.join(", ")),
    );
    for database in health["databases"].as_array().into_iter().flatten() {
        one_database(database, report);
    }
    let at = |sweep: &Value| sweep["began_at"].as_str().unwrap_or("-").to_owned();
    match (&health["sweep"], health["sweep"]["is_late"].as_bool()) {
        (Value::Null, _) => report.wrong("cron", "no sweep has run, or none can be read: is crons in wrangler.toml?"),
        (sweep, Some(true)) => {
            report.wrong("cron", format!("the last sweep began {}: look at the Worker's cron events", at(sweep)));
        }
        (sweep, _) => {
            let failed: Vec<&str> =
                sweep["failed"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let mend = format!("{} failed in the last sweep: `wrangler tail` shows why", failed.join(", "));
            report.judge("cron", failed.is_empty(), format!("last sweep {}", at(sweep)), mend);
        }
    }
    match health["due"].as_object() {
        None => report.unknown("work", "what is due cannot be read"),
        Some(due) => {
            let late: Vec<&str> =
                due.iter().filter(|(_, one)| one["is_late"] == true).map(|(name, _)| name.as_str()).collect();
            report.judge(
                "work",
                late.is_empty(),
                "nothing is late",
                format!("late: {}. See /app/operator", late.join(", ")),
            );
        }
    }
    for (name, mend) in [
        ("stripe_events_failed", "replay them under Stripe events once their cause is mended"),
        ("mails_failed", "see MAIL_FROM and the provider's answers in `wrangler tail`"),
    ] {
        match health["amiss"][name].as_u64() {
            None => report.unknown(name, "cannot be read"),
            Some(count) => report.judge(name, count == 0, "none", format!("{count}: {mend}")),
        }
    }
    // These are a merchant's to look at, and no fault of the deployment's.
    for name in ["stripe_events_parked", "dead_letters"] {
        if let Some(count) = health["amiss"][name].as_u64() {
            report.ok(name, count.to_string());
        }
    }
    let sends = health["mail"] == true;
    report.judge(
        "mail",
        sends || is_local,
        "is sent",
        "set MAIL_FROM and a way (README, Mail): nobody else can sign in",
    );
}

fn one_database(database: &Value, report: &mut Report) {
    let what = format!("database {}", database["index"]);
    if database["is_migrated"] != true {
        let why = database["error"].as_str().unwrap_or("it is not migrated");
        report.wrong(&what, format!("{why}: run `cargo xtask deploy`"));
        return;
    }
    match database["size_bytes"].as_u64() {
        None => report.unknown(&what, "migrated; its size cannot be read"),
        Some(bytes) => {
            let size = format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000);
            let mend = format!("{size} of 10 GB: add another database (www/docs/databases.md)");
            report.judge(&what, bytes < DATABASE_FULL_BYTES, format!("migrated, {size}"), mend);
        }
    }
}

/// Whether the hosts' names lead somewhere.
fn names(client: &Client, operator: &Operator, patient: &Patient, report: &mut Report) {
    let mut hosts: Vec<String> = host_of(&operator.url).into_iter().collect();
    if let Some(sk) = &patient.sk {
        match listed(client, &operator.url, sk, &format!("hosts?limit={HOSTS_MAX}")) {
            Ok(all) => hosts.extend(all.iter().filter_map(|one| one["host"].as_str().map(str::to_owned))),
            Err(error) => report.wrong("secret key", format!("{error:#}")),
        }
    }
    // One may be registered in both modes, or be the deployment's own.
    hosts.sort();
    hosts.dedup();
    for host in hosts {
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        match (name, 443).to_socket_addrs().map(|mut all| all.next()) {
            Ok(Some(address)) => report.ok("host", format!("{host} leads to {}", address.ip())),
            _ => report
                .wrong("host", format!("{host} leads nowhere: mend its DNS, or take the host out of the workspace")),
        }
    }
}

/// `https://shop.example:8443/x` → `shop.example:8443`.
fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next().map(str::to_owned)
}

/// Registers a click, and waits until its record is stored: the limiter, the queue and its consumer do their work.
fn synthetic_click(client: &Client, url: &str, patient: &Patient, report: &mut Report) -> Option<String> {
    let (Some(pk), Some(sk)) = (&patient.pk, &patient.sk) else {
        report.unknown("a click", format!("{PUBLIC_KEY} and {SECRET_KEY} are not set"));
        return None;
    };
    match click(client, url, pk, sk) {
        Ok((id, took)) => {
            report.ok("a click", format!("{id}, stored after {took}"));
            Some(id)
        }
        Err(error) => {
            report.wrong("a click", format!("{error:#}"));
            None
        }
    }
}

fn click(client: &Client, url: &str, pk: &str, sk: &str) -> Result<(String, String)> {
    if !pk.starts_with("pk_test_") || !sk.starts_with("sk_test_") {
        bail!("{PUBLIC_KEY} and {SECRET_KEY} must be keys of test mode (pk_test_…, sk_test_…)");
    }
    let links = listed(client, url, sk, "links?limit=1&status=active")?;
    let link_ref = links.first().and_then(|link| link["ref"].as_str());
    let link_ref = link_ref.context("the workspace has no active link in test mode: make one")?;
    let body = json!({"merchant": pk, "ref": link_ref}).to_string();
    let answer = client.post(&format!("{url}/v1/clicks"), &[], &body)?;
    if answer.status != 201 {
        bail!("POST /v1/clicks answered {}: {}", answer.status, answer.body);
    }
    let said: Value = serde_json::from_str(&answer.body)?;
    let id = said["click_id"].as_str().context("no click_id in the answer")?.to_owned();
    let timer = Timer::start();
    let bearer = format!("Bearer {sk}");
    loop {
        let answer = client.get(&format!("{url}/api/v1/clicks/{id}"), &[("authorization", &bearer)])?;
        match answer.status {
            200 => return Ok((id, timer.words())),
            404 if timer.elapsed() < DONE_WITHIN => thread::sleep(LOOK_EVERY),
            404 => {
                bail!("the click is not stored after {DONE_WITHIN:?}: look at the queue selgeo-clicks and its consumer")
            }
            status => bail!("GET /api/v1/clicks/{id} answered {status}: {}", answer.body),
        }
    }
}

/// Sends a signed event, and waits until it is processed.
fn synthetic_event(client: &Client, url: &str, patient: &Patient, click: Option<&str>, report: &mut Report) {
    let Some((to, secret)) = &patient.stripe else {
        report.unknown("a Stripe event", format!("{STRIPE_URL} and {STRIPE_SECRET} are not set"));
        return;
    };
    let event = match stripe_event::paid_session(click, SALE_CENTS) {
        Ok(event) => event,
        Err(error) => return report.unknown("a Stripe event", format!("{error:#}")),
    };
    match deliver(client, url, patient.sk.as_deref(), to, secret, &event) {
        Ok(words) => report.ok("a Stripe event", words),
        Err(error) => report.wrong("a Stripe event", format!("{error:#}")),
    }
}

fn deliver(client: &Client, url: &str, sk: Option<&str>, to: &str, secret: &str, event: &Value) -> Result<String> {
    let body = event.to_string();
    let signature = stripe_event::signed(secret, &body)?;
    let answer = client.post(to, &[("stripe-signature", signature.as_str())], &body)?;
    match answer.status {
        200 => {}
        400 => bail!("the ingress answered {}. Is {STRIPE_SECRET} this connection's signing secret?", answer.body),
        404 => bail!("there is no such connection. Is {STRIPE_URL} its whole address?"),
        status => bail!("the ingress answered {status}: {}", answer.body),
    }
    let id = event["id"].as_str().unwrap_or_default();
    let Some(sk) = sk else {
        return Ok(format!("{id} was taken in; {SECRET_KEY} is not set to see what became of it"));
    };
    let timer = Timer::start();
    loop {
        let events = listed(client, url, sk, "stripe-events?limit=20")?;
        let outcome = events.iter().find(|one| one["stripe_id"] == id).and_then(|one| one["outcome"].as_str());
        match outcome {
            Some("processed") => return Ok(format!("{id}, processed after {}", timer.words())),
            None | Some("pending") if timer.elapsed() < DONE_WITHIN => thread::sleep(LOOK_EVERY),
            None => {
                bail!("{id} is not among the workspace's events: is {STRIPE_URL} of the same workspace, in test mode?")
            }
            Some(outcome) => {
                bail!("{id} is {outcome} after {}: look at the queue selgeo and its consumer", timer.words())
            }
        }
    }
}

fn listed(client: &Client, url: &str, sk: &str, path: &str) -> Result<Vec<Value>> {
    let bearer = format!("Bearer {sk}");
    let answer = client.get(&format!("{url}/api/v1/{path}"), &[("authorization", &bearer)])?;
    if answer.status != 200 {
        bail!("GET /api/v1/{path} answered {}: {}", answer.status, answer.body);
    }
    let said: Value = serde_json::from_str(&answer.body)?;
    Ok(said["data"].as_array().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Value {
        json!({
            "secrets": {"CLICK_SECRETS": "1 key", "OPERATOR_TOKEN": "1 key"},
            "unbound": [],
            "databases": [{"index": 0, "is_migrated": true, "size_bytes": 1_234_567, "error": null}],
            "sweep": {"began_at": "2026-01-01T00:00:00Z", "failed": [], "is_late": false},
            "due": {"mail": {"due_at": "2026-01-01T00:00:00Z", "is_late": false}, "sale": null},
            "amiss": {"stripe_events_failed": 0, "mails_failed": 0, "stripe_events_parked": 2, "dead_letters": 3},
            "mail": true,
        })
    }

    /// The lines that are not ok, of a health in which something stands otherwise.
    fn not_ok(pointer: &str, value: Value) -> Vec<String> {
        let (mut health, mut report) = (healthy(), Report::default());
        if let Some(place) = health.pointer_mut(pointer) {
            *place = value;
        }
        told(&health, false, &mut report);
        let lines = report.0.iter().filter(|line| line.verdict != Verdict::Ok);
        lines.map(|line| format!("{:?} {} {}", line.verdict, line.what, line.words)).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_has_one_line_that_says_what_to_mend() {
        let check = |pointer: &str, value: Value, expected: &str| {
            let lines = not_ok(pointer, value);
            assert!(lines.len() == 1 && lines[0].contains(expected), "{pointer}: {lines:?}");
        };
        assert_eq!(not_ok("/nowhere", json!(null)), Vec::<String>::new());
        check("/unbound", json!(["CLICKS"]), "Wrong bindings CLICKS not bound");
        check(
            "/databases/0/is_migrated",
            json!(false),
            "Wrong database 0 it is not migrated: run `cargo xtask deploy`",
        );
        check("/databases/0/size_bytes", json!(5_000_000_000u64), "Wrong database 0 5000.0 MB of 10 GB");
        check("/databases/0/size_bytes", json!(null), "Unknown database 0");
        check("/sweep", json!(null), "Wrong cron no sweep has run");
        check("/sweep/is_late", json!(true), "Wrong cron the last sweep began");
        check("/sweep/failed", json!(["mail"]), "Wrong cron mail failed");
        check("/due/mail/is_late", json!(true), "Wrong work late: mail");
        check("/due", json!(null), "Unknown work");
        check("/amiss/stripe_events_failed", json!(7), "Wrong stripe_events_failed 7: replay");
        check("/amiss/mails_failed", json!(null), "Unknown mails_failed");
        check("/mail", json!(false), "Wrong mail set MAIL_FROM");
    }

    #[test]
    fn a_host_is_what_stands_between_the_scheme_and_the_path() {
        assert_eq!(host_of("https://selgeo.example").as_deref(), Some("selgeo.example"));
        assert_eq!(host_of("http://127.0.0.1:8787/x").as_deref(), Some("127.0.0.1:8787"));
        assert_eq!(host_of("selgeo.example"), None);
    }
}
