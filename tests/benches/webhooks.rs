//! How fast webhooks are: from a cause to its first delivery while conversions come in, 100 a second unless told otherwise, beside
//! the same without an endpoint; and how many a second one endpoint gets while much is owed. `cargo xtask bench webhooks` builds the Worker and starts this. It prints a table; nothing
//! here is asserted, because a time on a shared machine proves nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::{Client, Receiver, Reply, Server, Timer, now, wait_for};
use serde_json::json;

const CONVERSIONS_PER_S_DEFAULT: u64 = 100;
const SECONDS_DEFAULT: u64 = 20;
/// Each sends one conversion at a time; together they keep the rate while an answer takes less than a third of a second.
const CLIENTS: u64 = 32;
const CLICKS: usize = 20;
/// Deliveries that are owed to one endpoint at once.
const BACKLOG: u64 = 1_000;
/// Whatever is still owed then is late, not lost.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

/// What the clients share.
struct Run {
    origin: String,
    key: String,
    clicks: Vec<String>,
    /// Of its transactions.
    name: &'static str,
    timer: Timer,
    next: AtomicU64,
    conversions: u64,
    per_s: u64,
    /// By conversion: when its report was sent and when it was answered, since 1970.
    reported: Mutex<HashMap<String, (Duration, Duration)>>,
}

fn main() -> Result<()> {
    let server = Server::start()?;
    let key = server.text("/bench/keys/sk_test")?.to_owned();
    let client = Client::new(server.url()).with_key(&key);
    let is_taking = Arc::new(AtomicBool::new(true));
    let takes = is_taking.clone();
    let receiver = Receiver::start(move |_, _| match takes.load(Ordering::Relaxed) {
        true => Reply::Status(200),
        false => Reply::Status(410),
    })?;
    let (seconds, per_s) = (number("--seconds", SECONDS_DEFAULT), number("--per-second", CONVERSIONS_PER_S_DEFAULT));
    let click = |_| client.click(server.text("/bench/keys/pk_test")?, "bench1");
    let clicks: Vec<String> = (0..CLICKS).map(click).collect::<Result<_>>()?;
    let run = |name, conversions| Run {
        origin: server.url(),
        key: key.clone(),
        clicks: clicks.clone(),
        name,
        timer: Timer::start(),
        next: AtomicU64::new(0),
        conversions,
        per_s,
        reported: Mutex::default(),
    };

    println!("| webhooks, {per_s} conversions a second asked for | |\n|---|---:|");
    print_load();
    let reference = run("reference", per_s * seconds);
    report_all(&reference)?;
    reference.print_answers("no endpoint")?;

    let body = json!({"url": receiver.url("/"), "events": ["conversion.created"]});
    let endpoint = client.post("/api/v1/webhook-endpoints", &body)?.expect(201)?;
    let path = format!("/api/v1/webhook-endpoints/{}", endpoint["id"].as_str().context("no id")?);
    from_cause_to_delivery(&run("first", per_s * seconds), &receiver)?;
    // The endpoint is gone while more events come, and is then sent all of them again.
    is_taking.store(false, Ordering::Relaxed);
    report_all(&run("more", BACKLOG))?;
    is_taking.store(true, Ordering::Relaxed);
    backlog(&client, &path, &receiver)
}

/// What else goes on. The local server is one thread: where it gets half a processor, everything waits twice as long, and the
/// lane, which waits its turn for each step, many times.
fn print_load() {
    let Ok(text) = std::fs::read_to_string("/proc/loadavg") else { return };
    let processors = thread::available_parallelism().map_or(0, usize::from);
    println!("| load of this machine, and its processors | {} / {processors} |", text.split(' ').next().unwrap_or(""));
}

fn number(option: &str, default: u64) -> u64 {
    let mut words = std::env::args().skip_while(|word| word != option).skip(1);
    words.next().and_then(|word| word.parse().ok()).unwrap_or(default)
}

impl Run {
    /// What the callers saw.
    fn print_answers(&self, what: &str) -> Result<()> {
        let rate = self.conversions as f64 / self.timer.elapsed().as_secs_f64();
        let reported = self.reported.lock().map_err(|_| anyhow!("a client panicked"))?;
        let mut answers: Vec<f64> =
            reported.values().map(|(sent, answered)| ms(answered.saturating_sub(*sent))).collect();
        println!("| {what}: conversions answered per second | {rate:.0} |");
        print(&format!("{what}: report sent → answered"), &mut answers);
        Ok(())
    }
}

fn from_cause_to_delivery(run: &Run, receiver: &Receiver) -> Result<()> {
    report_all(run)?;
    run.print_answers("one endpoint")?;
    wait_for(
        "every first delivery",
        SETTLED_WITHIN,
        || Ok((receiver.count() as u64 >= run.conversions).then_some(())),
    )?;
    let mut told: HashMap<String, Duration> = HashMap::new();
    for received in receiver.received() {
        let subject = received.event()?["subject"].as_str().unwrap_or("").to_owned();
        told.entry(subject).or_insert(received.at);
    }
    let reported = run.reported.lock().map_err(|_| anyhow!("a client panicked"))?;
    let mut from_sent = Vec::new();
    let mut from_answer = Vec::new();
    for (conversion, (sent, answered)) in reported.iter() {
        let at = told.get(conversion).with_context(|| format!("{conversion} was not told"))?;
        from_sent.push(ms(at.saturating_sub(*sent)));
        from_answer.push(ms(at.saturating_sub(*answered)));
    }
    print("report sent → first delivery", &mut from_sent);
    print("report answered → first delivery", &mut from_answer);
    println!("| deliveries that came twice | {} |", receiver.count() as u64 - run.conversions);
    Ok(())
}

fn report_all(run: &Run) -> Result<()> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| report_in_time(run))).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })
}

/// Conversions, each when its time has come.
fn report_in_time(run: &Run) -> Result<()> {
    let client = Client::new(&run.origin).with_key(&run.key);
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.conversions {
            return Ok(());
        }
        let due = Duration::from_millis(1_000 * number / run.per_s);
        thread::sleep(due.saturating_sub(run.timer.elapsed()));
        let body = json!({
            "click_id": run.clicks[number as usize % run.clicks.len()], "event_type": "purchase", "amount_cents": 5_000,
            "external_transaction_id": format!("{}_{number}", run.name), "currency": "eur",
        });
        let sent = now()?;
        let made = client.post("/api/v1/conversions", &body)?.expect(201)?;
        let id = made["id"].as_str().context("no id")?.to_owned();
        run.reported.lock().map_err(|_| anyhow!("a client panicked"))?.insert(id, (sent, now()?));
    }
}

/// What is owed to it, and nothing else going on.
fn backlog(client: &Client, path: &str, receiver: &Receiver) -> Result<()> {
    wait_for("everything to be given up", SETTLED_WITHIN, || {
        let pending = client.get("/api/v1/webhook-deliveries?status=pending&limit=1", &[])?.expect(200)?;
        Ok(pending["data"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })?;
    client.post(&format!("{path}/enable"), &json!({}))?.expect(200)?;
    let (before, timer) = (receiver.count(), Timer::start());
    let since = json!({"since": "2020-01-01T00:00:00Z"});
    let resent = client.post(&format!("{path}/resend"), &since)?.expect(202)?;
    let resent = usize::try_from(resent["resent"].as_u64().context("no count")?)?;
    ensure!(resent > 0, "nothing was given up");
    let all_came = || Ok((receiver.count() >= before + resent).then_some(()));
    wait_for("everything that was sent again", SETTLED_WITHIN, all_came)?;
    let took = timer.elapsed().as_secs_f64();
    println!("| deliveries per second to one endpoint that is owed {resent} | {:.0} |", resent as f64 / took);
    Ok(())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn print(what: &str, samples: &mut [f64]) {
    samples.sort_by(f64::total_cmp);
    let at = |share: f64| samples.get((samples.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    println!("| {what}, p50 / p99 / most, ms | {:.0} / {:.0} / {:.0} |", at(0.5), at(0.99), at(1.0 - f64::EPSILON));
}
