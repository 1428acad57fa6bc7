//! Outgoing webhooks on the real Durable Object and over real connections: receivers on this machine, good and bad, and a server
//! that is killed.
//!
//! `SELGEO_WEBHOOK_EVENTS` says how many events at least (300), `SELGEO_CRASH_SEED` repeats a run's random numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use e2e::{Client, Random, Received, Receiver, Reply, Server, Timer, now, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// From a cause to its deliveries, at most, while nothing else goes on.
const SOON: Duration = Duration::from_secs(10);
/// A receiver has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// From a kill until the server answers again, at most.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const EVENTS: u64 = 300;
const CLIENTS: u64 = 4;
/// A kill for so many events.
const EVENTS_PER_KILL: u64 = 50;
const KILL_WITHIN_MS: u64 = 60;

e2e::suite! {
    Server::start;
    a_conversion_is_told_with_signatures_that_verify,
    what_failed_is_sent_again_after_five_seconds_and_signed_anew,
    a_redirect_is_not_followed,
    an_answer_is_one_as_soon_as_its_head_is_there,
    one_that_hangs_delays_no_other,
    what_was_caused_is_told_at_least_once_through_kills,
    without_the_binding_nothing_goes_to_this_machine,
}

/// An endpoint of the bench workspace, until this value ends.
struct Endpoint {
    client: Client,
    id: String,
    secret: String,
}

impl Endpoint {
    fn add(client: &Client, url: &str, events: &[&str]) -> Result<Self> {
        let made = client.post("/api/v1/webhook-endpoints", &json!({"url": url, "events": events}))?.expect(201)?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).with_context(|| format!("no {name} in {made}"));
        Ok(Self { client: client.clone(), id: text("id")?, secret: text("secret")? })
    }

    /// What it is owed or was told, newest first.
    fn deliveries(&self) -> Result<Vec<Value>> {
        self.client.list(&format!("webhook-deliveries?endpoint_id={}", self.id))
    }

    /// Its one delivery, once it has come so far.
    fn delivery(&self, status: &str, within: Duration) -> Result<Value> {
        wait_for(&format!("a delivery that is {status}"), within, || {
            Ok(self.deliveries()?.into_iter().find(|delivery| delivery["status"] == status))
        })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // The test has failed already, or a later one says that there are too many.
        let _ = self.client.send("DELETE", &format!("/api/v1/webhook-endpoints/{}", self.id), &[], "");
    }
}

fn bench(server: &Server) -> Result<Client> {
    Ok(Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?))
}

/// Reports a conversion that somebody is credited for; returns its id.
fn convert(server: &Server, transaction: &str) -> Result<String> {
    let client = bench(server)?;
    let click = client.click(server.text("/bench/keys/pk_test")?, "bench1")?;
    let body = report(&click, transaction);
    let made = client.post("/api/v1/conversions", &body)?.expect(201)?;
    Ok(made["id"].as_str().context("no id")?.to_owned())
}

fn report(click: &str, transaction: &str) -> Value {
    json!({
        "click_id": click, "external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 5_000,
        "currency": "eur",
    })
}

fn mac(key: &[u8], signed: &str) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| anyhow!("{error}"))?;
    mac.update(signed.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

fn key(secret: &str) -> Result<Vec<u8>> {
    hex::decode(secret.trim_start_matches("whsec_")).map_err(|error| anyhow!("{error}"))
}

/// Both families, computed here from the secret as it was shown.
fn verify(received: &Received, secret: &str) -> Result<()> {
    let digits = secret.strip_prefix("whsec_").context("no whsec_")?;
    let (id, at) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    let bytes = key(secret)?;
    let own = format!("t={at},v1={}", hex::encode(mac(&bytes, &format!("{at}.{}", received.body))?));
    assert_eq!(received.header("x-selgeo-signature"), own);
    let signed = format!("{id}.{at}.{}", received.body);
    for key in [bytes, STANDARD.decode(digits)?] {
        let expected = format!("v1,{}", STANDARD.encode(mac(&key, &signed)?));
        let all = received.header("webhook-signature");
        ensure!(all.split(' ').any(|one| one == expected), "{expected} is not among {all}");
    }
    let age = now()?.as_secs().abs_diff(at.parse()?);
    ensure!(age < 60, "signed {age} s ago");
    assert_eq!(received.event()?["id"], id);
    Ok(())
}

fn a_conversion_is_told_with_signatures_that_verify(server: &mut Server) -> Result<()> {
    let receiver = Receiver::good()?;
    let client = bench(server)?;
    let all = Endpoint::add(&client, &receiver.url("/all"), &["*"])?;
    let few = Endpoint::add(&client, &receiver.url("/few"), &["commission.created"])?;
    let conversion = convert(server, "txn_told")?;
    let of = |path: &str| -> Vec<Received> {
        receiver.received().into_iter().filter(|received| received.path == path).collect()
    };
    let told = wait_for("all that the conversion caused", SOON, || {
        let told = of("/all");
        let kinds: HashSet<String> =
            told.iter().map(|one| Ok(one.event()?["type"].as_str().unwrap_or("").to_owned())).collect::<Result<_>>()?;
        let wanted = ["conversion.created", "commission.created", "commission.approved"];
        Ok((wanted.iter().all(|kind| kinds.contains(*kind)) && !of("/few").is_empty()).then_some(told))
    })?;
    for received in &told {
        verify(received, &all.secret)?;
        assert_eq!(received.header("content-type"), "application/json");
        assert_eq!(received.header("user-agent"), "Selgeo-Webhooks/1");
        let event = received.event()?;
        assert_eq!((&event["api_version"], &event["mode"]), (&json!("v1"), &json!("test")));
    }
    let of_conversion = told.iter().map(Received::event).collect::<Result<Vec<_>>>()?;
    let sequences: Vec<u64> = of_conversion
        .iter()
        .filter(|event| event["subject"] == *conversion)
        .filter_map(|event| event["sequence"].as_u64())
        .collect();
    assert_eq!(sequences.iter().copied().collect::<HashSet<_>>(), (1..=sequences.len() as u64).collect());
    // The same bytes at every endpoint, under its own secret.
    let few_told = of("/few");
    assert_eq!(few_told.len(), 1);
    verify(&few_told[0], &few.secret)?;
    assert!(told.iter().any(|one| one.body == few_told[0].body));
    let delivery = few.delivery("delivered", SOON)?;
    assert_eq!(delivery["attempts"][0]["status"], 200);
    assert_eq!(delivery["attempts"][0]["answer"], "answered 200");
    Ok(())
}

fn what_failed_is_sent_again_after_five_seconds_and_signed_anew(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|_, before| match before {
        0 => Reply::Status(500),
        1 => Reply::Close,
        _ => Reply::Status(204),
    })?;
    let endpoint = Endpoint::add(&bench(server)?, &receiver.url("/"), &["conversion.created"])?;
    convert(server, "txn_again")?;
    wait_for("a second attempt", Duration::from_secs(20), || Ok((receiver.count() > 1).then_some(())))?;
    let [first, second] = &receiver.received()[..] else { bail!("more than two attempts") };
    let wait = second.at.saturating_sub(first.at).as_secs_f64();
    println!("the second attempt came {wait:.2} s after the first");
    // Five seconds, give or take a fifth, and what a busy machine adds.
    ensure!((3.9..9.0).contains(&wait), "the second attempt came after {wait} s");
    verify(first, &endpoint.secret)?;
    verify(second, &endpoint.secret)?;
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_ne!(first.header("webhook-timestamp"), second.header("webhook-timestamp"));
    assert_ne!(first.header("x-selgeo-signature"), second.header("x-selgeo-signature"));
    // The next step is minutes away: until then it is owed.
    let delivery = wait_for("the second attempt's outcome", SOON, || {
        Ok(endpoint.deliveries()?.into_iter().find(|one| one["attempts"].as_array().is_some_and(|all| all.len() == 2)))
    })?;
    assert_eq!(delivery["status"], "pending", "{delivery}");
    assert_eq!(delivery["attempts"][0]["status"], 500);
    assert_eq!(delivery["attempts"][1]["status"], Value::Null);
    ensure!(delivery["attempts"][1]["error"].as_str().is_some_and(|why| why.starts_with("not reached")), "{delivery}");
    // By hand it is sent at once, and from the schedule's beginning.
    let resend = format!("/api/v1/webhook-deliveries/{}/resend", delivery["id"].as_str().unwrap_or(""));
    endpoint.client.post(&resend, &json!({}))?.expect(202)?;
    endpoint.delivery("delivered", SOON)?;
    Ok(())
}

fn a_redirect_is_not_followed(server: &mut Server) -> Result<()> {
    let elsewhere = Receiver::good()?;
    let location = elsewhere.url("/elsewhere");
    let receiver = Receiver::start(move |received, _| {
        let status = if received.path == "/moved" { 301 } else { 308 };
        Reply::With(status, "location", location.clone())
    })?;
    let client = bench(server)?;
    for (path, status) in [("/moved", 301), ("/permanently", 308)] {
        let endpoint = Endpoint::add(&client, &receiver.url(path), &["conversion.created"])?;
        client.post(&format!("/api/v1/webhook-endpoints/{}/ping", endpoint.id), &json!({}))?.expect(202)?;
        let attempt = wait_for("an attempt", SOON, || {
            Ok(endpoint.deliveries()?.first().map(|one| one["attempts"][0].clone()).filter(|one| !one.is_null()))
        })?;
        assert_eq!(attempt["status"], status, "{attempt}");
    }
    assert_eq!(elsewhere.count(), 0);
    Ok(())
}

fn an_answer_is_one_as_soon_as_its_head_is_there(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|received, _| match received.path.as_str() {
        "/endless" => Reply::EndlessBody,
        _ => Reply::HangInBody,
    })?;
    let client = bench(server)?;
    let endless = Endpoint::add(&client, &receiver.url("/endless"), &["conversion.created"])?;
    let hanging = Endpoint::add(&client, &receiver.url("/hanging"), &["conversion.created"])?;
    convert(server, "txn_bodies")?;
    let delivery = endless.delivery("delivered", SOON)?;
    // Lists shorten answers.
    let path = format!("/api/v1/webhook-deliveries/{}", delivery["id"].as_str().unwrap_or(""));
    let delivery = client.get(&path, &[])?.expect(200)?;
    let answer = delivery["attempts"][0]["answer"].as_str().context("no answer")?;
    ensure!(answer.len() == 20_000 && answer.bytes().all(|byte| byte == b'a'), "{} bytes are kept", answer.len());
    let delivery = hanging.delivery("delivered", TIMEOUT + SOON)?;
    assert_eq!(delivery["attempts"][0]["answer"], "This is the beginning.");
    assert_eq!(receiver.count(), 2);
    Ok(())
}

fn one_that_hangs_delays_no_other(server: &mut Server) -> Result<()> {
    let receiver = Receiver::start(|received, _| match received.path.as_str() {
        "/0" => Reply::Hang,
        _ => Reply::Status(200),
    })?;
    let client = bench(server)?;
    let add = |number: usize| Endpoint::add(&client, &receiver.url(&format!("/{number}")), &["conversion.created"]);
    let endpoints = (0..10).map(add).collect::<Result<Vec<_>>>()?;
    const CONVERSIONS: usize = 20;
    for number in 0..CONVERSIONS {
        convert(server, &format!("txn_hang_{number}"))?;
    }
    let timer = Timer::start();
    wait_for("every event at the nine that answer", TIMEOUT, || {
        let mut told: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for received in receiver.received().into_iter().filter(|received| received.path != "/0") {
            told.entry(received.path.clone()).or_default().insert(received.header("webhook-id").to_owned());
        }
        Ok((told.len() == 9 && told.values().all(|events| events.len() == CONVERSIONS)).then_some(()))
    })?;
    println!("nine have everything {:.1} s after the last cause", timer.elapsed().as_secs_f64());
    // The tenth's first attempts are all still under way.
    let hanging = endpoints[0].deliveries()?;
    assert_eq!(hanging.len(), CONVERSIONS);
    let has_ended = |delivery: &&Value| delivery["attempts"].as_array().is_none_or(|attempts| !attempts.is_empty());
    assert_eq!(hanging.iter().filter(has_ended).count(), 0, "an attempt at the one that hangs has ended");
    ensure!(receiver.received().iter().any(|received| received.path == "/0"), "nothing was sent to the one that hangs");
    let ended = wait_for("its first attempt to end", TIMEOUT + SOON, || {
        Ok(endpoints[0].deliveries()?.iter().map(|one| one["attempts"][0].clone()).find(|one| !one.is_null()))
    })?;
    assert_eq!((&ended["status"], &ended["error"]), (&Value::Null, &json!("timed out")));
    let took = ended["duration_ms"].as_u64().context("no duration")?;
    ensure!((14_900..20_000).contains(&took), "the time-out came after {took} ms");
    Ok(())
}

/// What the threads of the last test share.
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

fn what_was_caused_is_told_at_least_once_through_kills(server: &mut Server) -> Result<()> {
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

/// The signature alone: some of these are minutes old.
fn verify_body(received: &Received, secret: &str) -> Result<()> {
    let bytes = key(secret)?;
    let at = received.header("webhook-timestamp");
    let own = format!("t={at},v1={}", hex::encode(mac(&bytes, &format!("{at}.{}", received.body))?));
    assert_eq!(received.header("x-selgeo-signature"), own);
    Ok(())
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

/// A resolver on this machine. It knows a public address, one of a private network, and nothing else.
struct Resolver {
    server: Arc<tiny_http::Server>,
    thread: Option<thread::JoinHandle<()>>,
    url: String,
}

impl Resolver {
    fn start() -> Result<Self> {
        let server =
            tiny_http::Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port for the resolver: {error}"))?;
        let url =
            format!("http://127.0.0.1:{}/dns-query", server.server_addr().to_ip().map_or(0, |address| address.port()));
        let server = Arc::new(server);
        let served = server.clone();
        let thread = thread::spawn(move || {
            for request in served.incoming_requests() {
                let response = tiny_http::Response::new(
                    tiny_http::StatusCode(200),
                    Vec::new(),
                    Cursor::new(Self::answer(request.url()).to_string().into_bytes()),
                    None,
                    None,
                );
                // A Worker that has gone away is no matter.
                let _ = request.respond(response);
            }
        });
        Ok(Self { server, thread: Some(thread), url })
    }

    fn answer(url: &str) -> Value {
        let of = |kind: u32, data: &str| json!({"Status": 0, "TC": false, "Answer": [{"name": "a", "type": kind, "TTL": 1, "data": data}]});
        match url.split_once('?').map_or("", |(_, query)| query) {
            "name=public.example&type=A" => of(1, "93.184.215.14"),
            "name=home.example&type=A" => of(1, "93.184.215.14"),
            "name=home.example&type=AAAA" => of(28, "::ffff:127.0.0.1"),
            query if query.starts_with("name=public.example") => json!({"Status": 0}),
            _ => json!({"Status": 3}),
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn without_the_binding_nothing_goes_to_this_machine(_shared: &mut Server) -> Result<()> {
    let resolver = Resolver::start()?;
    let server = Server::start_without_loopback(&resolver.url)?;
    let client = bench(&server)?;
    let receiver = Receiver::good()?;
    let loopback = receiver.url("/");
    let port = loopback.trim_end_matches('/').rsplit(':').next().unwrap_or("");
    let refused = [
        loopback.clone(),
        format!("http://localhost:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "http://home.example/".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ];
    for url in refused {
        let answer = client.post("/api/v1/webhook-endpoints", &json!({"url": url, "events": ["*"]}))?;
        assert_eq!(answer.status, 400, "{url}: {}", answer.body);
        ensure!(answer.body.contains("must lead to the public Internet"), "{url}: {}", answer.body);
    }
    Endpoint::add(&client, "http://public.example/hooks", &["payout.paid"])?;
    // A name that is not there yet may be there when something is sent. Now it is not.
    let gone = Endpoint::add(&client, "http://gone.example/hooks", &["payout.paid"])?;
    client.post(&format!("/api/v1/webhook-endpoints/{}/ping", gone.id), &json!({}))?.expect(202)?;
    let attempt = wait_for("an attempt", SOON, || {
        Ok(gone.deliveries()?.first().map(|one| one["attempts"][0].clone()).filter(|one| !one.is_null()))
    })?;
    assert_eq!(
        (&attempt["status"], &attempt["error"]),
        (&Value::Null, &json!("name not resolved: the name has no address"))
    );
    assert_eq!(receiver.count(), 0);
    Ok(())
}
