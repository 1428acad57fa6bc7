//! What is pressed: our paths, and beside them the same jobs of the references.

use anyhow::{Context, Result, ensure};
use e2e::{Client, Server};

use crate::host::{Host, Reference};
use crate::load::{Repeat, Request};
use crate::supply::{self, Keys, Supply, click, conversions, events, one};

/// As in references/plain.sql.
const PLAIN: Keys<'static> = Keys { public: "pk_test_plain", secret: "sk_test_plain" };

/// Which of the hosts answers.
const EMPTY_JS: usize = 0;
const EMPTY_RUST: usize = 1;
const PLAIN_JS: usize = 2;
const WARM: usize = 3;
/// Restarted before each run.
const COLD_START: usize = 4;
/// What the queue brings is not done here. On Cloudflare a consumer does not take the time of whoever answers.
const APART: usize = 5;

/// What comes before a row's name in the table of ratios.
pub const OURS: &str = "Selgeo";
pub const JS: &str = "plain JS";
pub const RUST: &str = "empty Rust";

/// A row of the table.
pub struct Subject {
    pub path: &'static str,
    pub of: &'static str,
    /// Which of the hosts.
    pub host: usize,
    pub repeat: Repeat,
    /// The status of its answers.
    pub status: u16,
    /// What a reference asks of the platform, which it does not tell.
    pub asks: &'static str,
    /// Requests for one run, which has a name of its own.
    pub requests: Supply,
}

/// Starts everything; restarting what is cold is left to whoever presses it.
pub fn all(rounds: usize, seconds: u64) -> Result<(Vec<Host>, Vec<Subject>)> {
    let (warm, cold, apart) = (Server::start()?, Server::start()?, Server::start_without_consumers()?);
    let plain = Host::Reference(Reference::start("plain-js")?);
    let keys = Keys { public: warm.text("/bench/keys/pk_test")?, secret: warm.text("/bench/keys/sk_test")? };
    let clicks = supply::clicks(&warm.url(), keys.public)?;
    let stripe = (supply::path_of(warm.text("/bench/stripe/test/url")?, &warm.url())?, "/webhooks/stripe/plain");
    let audit = Request::get("/api/v1/attribution-audit").with("authorization", format!("Bearer {}", keys.secret));

    let mut subjects = Vec::new();
    let mut add = |path, of, host, repeat, status, asks, requests| {
        subjects.push(Subject { path, of, host, repeat, status, asks, requests });
    };
    let same = Repeat::Same;
    add("nothing", "empty JS", EMPTY_JS, same, 200, "nothing", one(Request::get("/")));
    add("nothing", RUST, EMPTY_RUST, same, 200, "nothing", one(Request::get("/")));

    add("click, warm", OURS, WARM, same, 201, "", one(click(keys.public, "bench1")));
    let requests = one(click(apart.text("/bench/keys/pk_test")?, "bench1"));
    add("click, warm, no consumer here", OURS, APART, same, 201, "", requests);
    add("click, cold", OURS, COLD_START, Repeat::Once, 201, "", supply::cold_clicks(&cold, rounds)?);
    add("click", JS, PLAIN_JS, same, 201, "d1: 3 trips; do: 1", one(click(PLAIN.public, "bench1")));

    add("short link", OURS, WARM, same, 302, "", one(supply::short_link(&warm)?));
    add("short link", JS, PLAIN_JS, same, 302, "d1: 2 trips; do: 1", one(Request::get("/r/bench1")));

    add("conversion", OURS, WARM, Repeat::Fresh, 201, "", conversions(&warm.url(), keys)?);
    let requests = conversions(&plain.url(), PLAIN)?;
    add("conversion", JS, PLAIN_JS, Repeat::Fresh, 201, "d1: 3 trips; do: 1", requests);

    let requests = events(&stripe.0, warm.text("/bench/stripe/test/secret")?, clicks.clone(), seconds);
    add("Stripe event", OURS, WARM, Repeat::Listed, 200, "", requests);
    let (path, secret) = (apart.text("/bench/stripe/test/url")?, apart.text("/bench/stripe/test/secret")?);
    let requests = events(&supply::path_of(path, &apart.url())?, secret, clicks.clone(), seconds);
    add("Stripe event, no consumer here", OURS, APART, Repeat::Listed, 200, "", requests);
    let requests = events(stripe.1, "whsec_plain", clicks, seconds);
    add("Stripe event", JS, PLAIN_JS, Repeat::Listed, 200, "d1: 2 trips", requests);

    add("audit list, 50 rows", OURS, WARM, same, 200, "", one(audit));
    add("dashboard, overview", OURS, WARM, same, 200, "", one(supply::overview(&warm)?));

    let reference = |worker| Reference::start(worker).map(Host::Reference);
    let ours = [warm, cold, apart].map(Host::Ours);
    let hosts = [reference("empty-js")?, reference("empty-rust")?, plain].into_iter().chain(ours).collect();
    Ok((hosts, subjects))
}

/// What an answer says that it asked of the platform: `d1;desc="2 trips", do;desc="1"` → `d1: 2 trips; do: 1`.
pub fn asked(server_timing: &str) -> String {
    let parts: Vec<&str> = server_timing.split('"').collect();
    let entry = |pair: &[&str]| match pair {
        [name, what] => Some(format!("{}: {what}", name.trim_start_matches(", ").trim_end_matches(";desc="))),
        _ => None,
    };
    parts.chunks(2).filter_map(entry).collect::<Vec<_>>().join("; ")
}

/// Sends one of its requests, and returns what it asked of the platform.
pub fn look(subject: &Subject, origin: &str, run: &str) -> Result<String> {
    let requests = (subject.requests)(run)?;
    let request = requests.first().context("no request")?;
    let headers: Vec<(&str, &str)> = request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = request.body.replace("{n}", "0");
    let answer = Client::unled(origin).send(request.method, &request.path, &headers, &body)?;
    let (path, of) = (subject.path, subject.of);
    ensure!(answer.status == subject.status, "{path} of {of} answered {}: {}", answer.status, answer.body);
    let told = asked(answer.header("server-timing"));
    Ok(if told.is_empty() { subject.asks.to_owned() } else { told })
}
