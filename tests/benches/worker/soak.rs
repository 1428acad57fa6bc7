//! A steady load for a long time: does memory grow, is everything stored that was answered, is the queue empty in the end?

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use e2e::{Client, Server, Timer, wait_for};
use serde_json::json;

use crate::host::Workerd;

/// Each sends one request at a time.
const CLIENTS: u64 = 16;
const LINKS: u64 = 5;
const CLICKS_PER_CONVERSION: u64 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// Whatever is not stored then is lost.
const STORED_WITHIN: Duration = Duration::from_secs(180);
const MIB: f64 = 1_048_576.0;

/// What the clients share.
struct Run {
    origin: String,
    public_key: String,
    secret_key: String,
    timer: Timer,
    per_s: u64,
    clicks: u64,
    next: AtomicU64,
    answered: AtomicU64,
    converted: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// Sends `per_s` clicks a second for `minutes`, and a conversion after every hundredth.
pub fn run(minutes: u64, per_s: u64) -> Result<()> {
    let server = Server::start()?;
    let workerd = Workerd(server.workerd_pid().context("the server does not run")?);
    let run = Run {
        origin: server.url(),
        public_key: server.text("/bench/keys/pk_test")?.to_owned(),
        secret_key: server.text("/bench/keys/sk_test")?.to_owned(),
        timer: Timer::start(),
        per_s,
        clicks: minutes * 60 * per_s,
        next: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        converted: AtomicU64::new(0),
        failures: Mutex::default(),
    };
    println!(
        "| minute | clicks answered | conversions answered | failed | memory of workerd, MiB | CPU a second, ms |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| run.send());
        }
        (0..=minutes).try_for_each(|minute| run.print(minute, workerd))
    })?;
    let timer = Timer::start();
    let client = Client::new(&run.origin).with_key(&run.secret_key);
    let (answered, converted) = (run.answered.load(Ordering::Relaxed), run.converted.load(Ordering::Relaxed));
    let drained = wait_for("the clicks", STORED_WITHIN, || Ok((clicks_stored(&client)? >= answered).then_some(())));
    let took = timer.elapsed();
    println!("\n| in the end | answered | stored |\n|---|---:|---:|");
    println!("| clicks, of {} | {answered} | {} |", run.clicks, clicks_stored(&client)?);
    println!("| conversions, attributed | {converted} | {} |", attributed(&client)?);
    match drained {
        Ok(()) => println!(
            "\nEvery click was stored, and so gone from the queue, {:.1} s after the last answer.",
            took.as_secs_f64()
        ),
        Err(error) => println!("\nNot everything was stored: {error}."),
    }
    println!("Then workerd held {:.0} MiB.", workerd.resident_bytes()? as f64 / MIB);
    let failures = run.failures.lock().map_err(|_| anyhow!("a client panicked"))?;
    failures.iter().take(5).for_each(|failure| println!("Failed: {failure}"));
    Ok(())
}

/// As the links tell. A click is counted where its record is written.
fn clicks_stored(client: &Client) -> Result<u64> {
    Ok(client.list("links")?.iter().filter_map(|link| link["clicks"].as_u64()).sum())
}

fn attributed(client: &Client) -> Result<usize> {
    let conversions = client.list("conversions")?;
    Ok(conversions.iter().filter(|conversion| conversion["attribution"]["status"] == "attributed").count())
}

impl Run {
    /// Requests, each when its time has come.
    fn send(&self) {
        let client = Client::new(&self.origin);
        let seller = Client::new(&self.origin).with_key(&self.secret_key);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.clicks {
                return;
            }
            let due = Duration::from_micros(1_000_000 * number / self.per_s);
            thread::sleep(due.saturating_sub(self.timer.elapsed()));
            if let Err(error) = self.visit(number, &client, &seller)
                && let Ok(mut failures) = self.failures.lock()
            {
                failures.push(format!("{error:#}"));
            }
        }
    }

    fn visit(&self, number: u64, client: &Client, seller: &Client) -> Result<()> {
        let click = client.click(&self.public_key, &format!("bench{}", number % LINKS + 1))?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(CLICKS_PER_CONVERSION) {
            let body = json!({
                "click_id": click, "external_transaction_id": format!("soak_{number}"), "event_type": "purchase",
                "amount_cents": 5_000, "currency": "EUR",
            });
            seller.post("/api/v1/conversions", &body)?.expect(201)?;
            self.converted.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The row of a minute, at its end; the first is of the beginning.
    fn print(&self, minute: u64, workerd: Workerd) -> Result<()> {
        let before = workerd.cpu_ms()?;
        let since = self.timer.elapsed();
        thread::sleep((MINUTE * u32::try_from(minute)?).saturating_sub(since));
        let seconds = (self.timer.elapsed() - since).as_secs_f64();
        let failed = self.failures.lock().map_err(|_| anyhow!("a client panicked"))?.len();
        let (answered, converted) = (self.answered.load(Ordering::Relaxed), self.converted.load(Ordering::Relaxed));
        let memory = workerd.resident_bytes()? as f64 / MIB;
        let cpu = (workerd.cpu_ms()? - before) as f64 / seconds.max(1.0);
        println!("| {minute} | {answered} | {converted} | {failed} | {memory:.0} | {cpu:.0} |");
        Ok(())
    }
}
