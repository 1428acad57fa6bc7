//! workerd is killed at random moments while conversions and Stripe's events come in. Nothing that was answered may be lost
//! or be there twice, and nobody has to send again what was taken.
//!
//! `SELGEO_CRASH_CONVERSIONS` says how many conversions (200), `SELGEO_CRASH_SEED` repeats a run's random numbers.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use e2e::{Answer, Client, Random, Server, Stripe, Timer, invoice, now, session, subscription_session, wait_for};
use serde_json::{Value, json};

const CONVERSIONS: u64 = 200;
const CLIENTS: u64 = 8;
/// A kill for so many conversions.
const CONVERSIONS_PER_KILL: u64 = 33;
/// A kill comes at most this long after the answer that it was drawn for.
const KILL_WITHIN_MS: u64 = 40;
/// From a kill until the server answers again, at most.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// An event whose message died with the server is taken up by a sweep.
const PROCESSED_WITHIN: Duration = Duration::from_secs(150);

e2e::suite! {
    Server::start;
    what_was_answered_survives_kills_exactly_once,
}

/// What one conversion's client knows.
struct Reported {
    transaction: String,
    id: String,
    amount: u64,
}

/// What one event's sender knows.
struct Sent {
    stripe_id: String,
    /// The click of the sale, and its amount.
    click: String,
    amount: u64,
}

/// What all threads share.
struct Run {
    origin: String,
    public_key: String,
    secret_key: String,
    conversions: u64,
    next: AtomicU64,
    answered: AtomicU64,
    /// Requests that were on their way when the server died, or got 5xx.
    lost: AtomicU64,
    /// Those of them whose conversion had been recorded all the same.
    recorded_though_lost: AtomicU64,
    reported: Mutex<Vec<Reported>>,
    sent: Mutex<Vec<Sent>>,
    over: AtomicBool,
}

fn number(name: &str) -> Result<Option<u64>> {
    match env::var(name) {
        Ok(text) => text.parse().map(Some).with_context(|| format!("{name} is no number")),
        Err(_) => Ok(None),
    }
}

fn what_was_answered_survives_kills_exactly_once(server: &mut Server) -> Result<()> {
    let conversions = number("SELGEO_CRASH_CONVERSIONS")?.unwrap_or(CONVERSIONS);
    let seed = match number("SELGEO_CRASH_SEED")? {
        Some(seed) => seed,
        None => u64::from(now()?.subsec_nanos()),
    };
    println!("{conversions} conversions, SELGEO_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let run = Run {
        origin: server.url(),
        public_key: server.text("/bench/keys/pk_test")?.to_owned(),
        secret_key: server.text("/bench/keys/sk_test")?.to_owned(),
        conversions,
        next: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        recorded_though_lost: AtomicU64::new(0),
        reported: Mutex::default(),
        sent: Mutex::default(),
        over: AtomicBool::new(false),
    };
    let mut stripe = Stripe::start(&run.origin, &server.dev()["bench"]["stripe"]["test"])?;

    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| report(&run))).collect();
        let events = scope.spawn(|| send_events(&run, &mut stripe));
        let killed = kill_at_random(&run, server, &mut random);
        run.over.store(true, Ordering::Relaxed);
        for thread in clients.into_iter().chain([events]) {
            thread.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        killed
    })?;
    // Once more, right after an event was taken: what its queue message was for is found without it.
    let last = last_event(&run, &mut stripe);
    server.kill9()?;
    server.restart()?;
    last?;
    verify(&run)
}

fn kill_at_random(run: &Run, server: &mut Server, random: &mut Random) -> Result<()> {
    let kills = (run.conversions / CONVERSIONS_PER_KILL).max(1);
    // One in each stretch, so that none waits for what another has already ended.
    for kill in 0..kills {
        let stretch = run.conversions / kills;
        let due = kill * stretch + random.below(stretch * 9 / 10);
        let timer = Timer::start();
        while run.answered.load(Ordering::Relaxed) < due {
            ensure!(timer.elapsed() < BACK_WITHIN, "conversions have come to a halt before kill {kill}");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(random.below(KILL_WITHIN_MS)));
        server.kill9()?;
        server.restart()?;
    }
    wait_for("the last conversions", BACK_WITHIN, || {
        Ok((run.answered.load(Ordering::Relaxed) >= run.conversions).then_some(()))
    })?;
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "{kills} kills; {} answers were lost, {} of them of conversions that had been recorded",
        count(&run.lost),
        count(&run.recorded_though_lost)
    );
    ensure!(count(&run.lost) > 0, "no kill has hit a request");
    Ok(())
}

/// Asks until there is an answer that settles it: one that is no 5xx. Also says whether an answer was lost before.
fn settled(run: &Run, mut ask: impl FnMut() -> Result<Answer>) -> Result<(Answer, bool)> {
    let (timer, mut was_lost) = (Timer::start(), false);
    loop {
        let answer = ask();
        match answer {
            Ok(answer) if answer.status < 500 => return Ok((answer, was_lost)),
            // Nobody has got the request.
            Err(ref error) if is_refused(error) => {}
            _ => {
                was_lost = true;
                run.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        if timer.elapsed() > BACK_WITHIN {
            bail!("no good answer for {} s, at last {answer:?}", BACK_WITHIN.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The server is down: it took no connection.
fn is_refused(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| match cause.downcast_ref::<ureq::Error>() {
        Some(ureq::Error::ConnectionFailed) => true,
        Some(ureq::Error::Io(error)) => error.kind() == ErrorKind::ConnectionRefused,
        _ => false,
    })
}

fn click(run: &Run, client: &Client) -> Result<String> {
    let body = json!({"merchant": run.public_key, "ref": "bench1", "url": "https://shop.example/"});
    let (answer, _) = settled(run, || client.post("/v1/clicks", &body))?;
    let made = answer.expect(201)?;
    Ok(made["click_id"].as_str().context("no click_id")?.to_owned())
}

/// One client of a merchant: a click, then its conversion, until all are reported.
fn report(run: &Run) -> Result<()> {
    let client = Client::new(&run.origin).with_key(&run.secret_key);
    loop {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.conversions {
            return Ok(());
        }
        let (transaction, amount) = (format!("txn_{number}"), 500 + 5 * number);
        let body = json!({
            "click_id": click(run, &client)?, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": amount, "currency": "eur",
        });
        let (answer, was_lost) = settled(run, || client.post("/api/v1/conversions", &body))?;
        let id = match answer.status {
            201 => answer.json()?["id"].clone(),
            // Recorded, though its answer did not come; else somebody else's report was taken for ours.
            409 if was_lost => {
                run.recorded_though_lost.fetch_add(1, Ordering::Relaxed);
                answer.json()?["error"]["conversion_id"].clone()
            }
            status => bail!("{transaction}: {status} {}", answer.body),
        };
        let id = id.as_str().with_context(|| format!("{transaction}: no id in {}", answer.body))?.to_owned();
        lock(&run.reported)?.push(Reported { transaction, id, amount });
        run.answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stripe: sales one after another, each event until it is answered 200, and then never again.
fn send_events(run: &Run, stripe: &mut Stripe) -> Result<()> {
    let client = Client::new(&run.origin);
    let mut number = 0;
    while !run.over.load(Ordering::Relaxed) {
        let (name, amount) = (format!("crash_{number}"), 1_000 + 5 * number);
        let click = click(run, &client)?;
        let events = if number % 2 == 0 {
            vec![session(&name, &click, amount)?]
        } else {
            vec![invoice(&name, amount, false)?, subscription_session(&name, &click, amount, false)?]
        };
        for event in events {
            send(run, stripe, &event, &click, amount)?;
        }
        number += 1;
    }
    Ok(())
}

fn last_event(run: &Run, stripe: &mut Stripe) -> Result<()> {
    let click = click(run, &Client::new(&run.origin))?;
    send(run, stripe, &session("crash_last", &click, 7_000)?, &click, 7_000)
}

fn send(run: &Run, stripe: &mut Stripe, event: &Value, click: &str, amount: u64) -> Result<()> {
    let (answer, _) = settled(run, || stripe.send(event))?;
    answer.expect(200)?;
    lock(&run.sent)?.push(Sent {
        stripe_id: event["id"].as_str().context("no event id")?.to_owned(),
        click: click.to_owned(),
        amount,
    });
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> Result<std::sync::MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| anyhow!("another thread panicked"))
}

fn verify(run: &Run) -> Result<()> {
    let client = Client::new(&run.origin).with_key(&run.secret_key);
    let (reported, sent) = (lock(&run.reported)?, lock(&run.sent)?);
    ensure!(reported.len() as u64 == run.conversions, "{} were reported", reported.len());

    let timer = Timer::start();
    wait_for("every stored Stripe event to be processed", PROCESSED_WITHIN, || {
        let outcomes: HashMap<String, Vec<String>> = grouped(&client.list("stripe-events")?, "stripe_id", "outcome");
        let of = |sent: &Sent| outcomes.get(&sent.stripe_id).map(Vec::as_slice).unwrap_or_default();
        if let Some(odd) = sent.iter().find(|sent| !matches!(of(sent), [one] if one == "pending" || one == "processed"))
        {
            bail!("{}, which was answered 200, is in the log as {:?}", odd.stripe_id, of(odd));
        }
        Ok(sent.iter().all(|sent| of(sent) == ["processed"]).then_some(()))
    })?;
    println!("{} Stripe events, the last processed after {:.0} s", sent.len(), timer.elapsed().as_secs_f64());

    let conversions = client.list("conversions")?;
    let by_transaction = grouped(&conversions, "external_transaction_id", "id");
    let commissions = client.list("commissions")?;
    let decisions = grouped(&client.list("attribution-audit")?, "conversion_id", "id");
    let created = client.list("events?type=conversion.created")?;
    let announced = grouped(&created, "subject", "id");
    let paid_for = grouped(&client.list("events?type=commission.created")?, "subject", "id");
    let once = |groups: &HashMap<String, Vec<String>>, key: &str, what: &str| match groups.get(key).map(Vec::len) {
        Some(1) => Ok(()),
        count => Err(anyhow!("{key} is {} times in {what}", count.unwrap_or(0))),
    };
    let commission_of = |conversion: &str, amount: u64| -> Result<()> {
        let mut own = commissions.iter().filter(|commission| commission["conversion_id"] == *conversion);
        let commission = own.next().with_context(|| format!("{conversion} has no commission"))?;
        ensure!(own.next().is_none(), "{conversion} has two commissions");
        assert_eq!(commission["amount_cents"], amount / 5, "{commission}");
        once(&paid_for, commission["id"].as_str().unwrap_or(""), "the outbox (commission.created)")
    };
    for Reported { transaction, id, amount } in reported.iter() {
        assert_eq!(by_transaction.get(transaction), Some(&vec![id.clone()]), "{transaction} in the list");
        once(&decisions, id, "the audit")?;
        once(&announced, id, "the outbox (conversion.created)")?;
        commission_of(id, *amount)?;
    }
    let mut sales: HashMap<&str, u64> = HashMap::new();
    for sent in sent.iter() {
        sales.insert(&sent.click, sent.amount);
    }
    for (click, amount) in &sales {
        let mut own = conversions
            .iter()
            .filter(|conversion| conversion["source"] == "stripe" && conversion["attribution"]["click_id"] == **click);
        let conversion = own.next().with_context(|| format!("the sale of click {click} has no conversion"))?;
        ensure!(own.next().is_none(), "the sale of click {click} has two conversions");
        assert_eq!(conversion["amount_cents"], *amount);
        let id = conversion["id"].as_str().context("no id")?;
        once(&announced, id, "the outbox (conversion.created)")?;
        commission_of(id, *amount)?;
    }
    // Nothing beside these: no conversion, no commission and no announcement that nobody asked for.
    let expected = reported.len() + sales.len();
    assert_eq!((conversions.len(), commissions.len(), created.len()), (expected, expected, expected));
    Ok(())
}

/// One field's texts by another's.
fn grouped(rows: &[Value], key: &str, value: &str) -> HashMap<String, Vec<String>> {
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        let text = |field: &str| row[field].as_str().unwrap_or("").to_owned();
        groups.entry(text(key)).or_default().push(text(value));
    }
    groups
}
