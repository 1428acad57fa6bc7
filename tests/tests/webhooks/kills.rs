//! A server that is killed at random moments, while events are caused and delivered.

use std::collections::{HashMap, HashSet};
use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use e2e::{Client, Random, Received, Receiver, Server, Timer, now, wait_for};
use serde_json::Value;

use crate::SOON;
use crate::endpoint::{Endpoint, bench, report, verify_body};

/// From a kill until the server answers again, at most.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const EVENTS: u64 = 300;
const CLIENTS: u64 = 4;
/// A kill for so many events.
const EVENTS_PER_KILL: u64 = 50;
const KILL_WITHIN_MS: u64 = 60;

/// What the threads share.
struct Run {
    origin: String,
    public_key: String,
    secret_key: String,
    conversions: u64,
    next: AtomicU64,
    reported: AtomicU64,
}

fn number(name: &str) -> Result<Option<u64>> {
    match env::var(name) {
        Ok(text) => text.parse().map(Some).with_context(|| format!("{name} is no number")),
        Err(_) => Ok(None),
    }
}

pub fn what_was_caused_is_told_at_least_once_through_kills(server: &mut Server) -> Result<()> {
    let events = number("SELGEO_WEBHOOK_EVENTS")?.unwrap_or(EVENTS);
    let seed =
        number("SELGEO_CRASH_SEED")?.map_or_else(|| Ok(u64::from(now()?.subsec_nanos())), Ok::<_, anyhow::Error>)?;
    println!("{events} events, SELGEO_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let receiver = Receiver::good()?;
    let client = bench(server)?;
    let endpoint = Endpoint::add(&client, &receiver.url("/"), &["*"])?;
    let before: HashSet<String> = ids(&client.list("events")?);
    let run = Run {
        origin: server.url(),
        public_key: server.text("/bench/keys/pk_test")?.to_owned(),
        secret_key: server.text("/bench/keys/sk_test")?.to_owned(),
        // A conversion causes at least three: itself, its commission, and the approval.
        conversions: events.div_ceil(3),
        next: AtomicU64::new(0),
        reported: AtomicU64::new(0),
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| report_all(&run))).collect();
        let killed = kill_at_random(&run, &receiver, server, events, &mut random);
        for thread in clients {
            thread.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        killed
    })?;
    // Once more, while what was caused last is on its way.
    server.kill9()?;
    server.restart()?;

    let client = bench(server)?;
    let caused: HashMap<String, Value> = client
        .list("events")?
        .into_iter()
        .map(|event| (event["id"].as_str().unwrap_or("").to_owned(), event))
        .filter(|(id, _)| !before.contains(id))
        .collect();
    ensure!(caused.len() as u64 >= events, "only {} events were caused", caused.len());
    let timer = Timer::start();
    let seen = |all: &[Received]| -> HashSet<String> {
        all.iter().map(|received| received.header("webhook-id").to_owned()).collect()
    };
    let waited = wait_for("every event", Duration::from_secs(60), || {
        let seen = seen(&receiver.received());
        Ok(caused.keys().all(|id| seen.contains(id)).then_some(()))
    });
    let received = receiver.received();
    if let Err(error) = waited {
        let seen = seen(&received);
        let missing: Vec<&Value> =
            caused.values().filter(|event| !seen.contains(event["id"].as_str().unwrap_or(""))).collect();
        bail!("{error:#}: {} are missing, such as {:?}", missing.len(), missing.first());
    }
    println!(
        "{} events, {} posts; the last event came {:.1} s after the last restart",
        caused.len(),
        received.len(),
        timer.elapsed().as_secs_f64()
    );
    ensure!(seen(&received).len() == caused.len(), "something was told that nobody caused");
    let mut sequences: HashMap<String, HashSet<u64>> = HashMap::new();
    for one in &received {
        verify_body(one, &endpoint.secret)?;
        let event = one.event()?;
        let subject = event["subject"].as_str().unwrap_or("").to_owned();
        sequences.entry(subject).or_default().insert(event["sequence"].as_u64().context("no sequence")?);
    }
    for (subject, numbers) in sequences {
        ensure!(numbers == (1..=numbers.len() as u64).collect(), "{subject} was told with {numbers:?}");
    }
    // Everything is known to have arrived: nothing is sent for ever.
    wait_for("every delivery to be noted", SOON, || {
        Ok(endpoint.deliveries()?.iter().all(|delivery| delivery["status"] == "delivered").then_some(()))
    })
}

fn ids(rows: &[Value]) -> HashSet<String> {
    rows.iter().filter_map(|row| row["id"].as_str()).map(str::to_owned).collect()
}

fn kill_at_random(run: &Run, receiver: &Receiver, server: &mut Server, events: u64, random: &mut Random) -> Result<()> {
    let kills = (events / EVENTS_PER_KILL).max(1);
    // One in each stretch, drawn by what has arrived: so that it hits deliveries, not only their causes.
    for kill in 0..kills {
        let stretch = events / kills;
        let due = kill * stretch + random.below(stretch * 9 / 10);
        wait_for(&format!("{due} posts"), BACK_WITHIN, || Ok((receiver.count() as u64 >= due).then_some(())))?;
        thread::sleep(Duration::from_millis(random.below(KILL_WITHIN_MS)));
        server.kill9()?;
        server.restart()?;
    }
    wait_for("the last conversions", BACK_WITHIN, || {
        Ok((run.reported.load(Ordering::Relaxed) >= run.conversions).then_some(()))
    })
}

/// One client of a merchant: clicks and conversions, each until it is settled.
fn report_all(run: &Run) -> Result<()> {
    let client = Client::new(&run.origin).with_key(&run.secret_key);
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.conversions {
            return Ok(());
        }
        let click = settled(|| client.click(&run.public_key, "bench1").ok())?;
        let body = report(&click, &format!("txn_kill_{number}"));
        settled(|| {
            let answer = client.post("/api/v1/conversions", &body).ok()?;
            // Recorded before, though its answer was lost, is as good.
            matches!(answer.status, 201 | 409).then_some(())
        })?;
        run.reported.fetch_add(1, Ordering::Relaxed);
    }
}

fn settled<T>(mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    wait_for("a good answer", BACK_WITHIN, || Ok(ask()))
}
