//! Rate limits on the real Durable Object, at full concurrency; and one sale that is reported a hundred times at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Answer, Client, Server, now, wait_for};
use serde_json::{Value, json};

const MINUTE_S: u64 = 60;
/// What must be left of a minute for a test that has to end in it. Most of it is for slow machines.
const ROOM_S: u64 = 25;
/// Connections at once; more would need more open files than many systems allow a program.
const CALLERS: usize = 300;

e2e::suite! {
    Server::start;
    of_1200_clicks_at_once_exactly_1000_are_admitted,
    a_killed_server_does_not_hand_out_a_minute_twice,
    of_130_calls_of_the_conversion_api_120_are_admitted,
    other_paths_are_counted_per_address,
    of_100_equal_reports_at_once_one_is_recorded,
}

/// Waits until this minute has room, and returns it.
fn roomy_minute() -> Result<u64> {
    wait_for("a minute with room", Duration::from_secs(MINUTE_S), || {
        let now_s = now()?.as_secs();
        Ok((now_s % MINUTE_S < MINUTE_S - ROOM_S).then_some(now_s / MINUTE_S))
    })
}

fn expect_still(minute: u64) -> Result<()> {
    let passed = now()?.as_secs() / MINUTE_S - minute;
    ensure!(passed == 0, "this machine is too slow: the test ran into the next minute");
    Ok(())
}

/// Makes so many calls, from so many callers who start together; gives what each call got.
fn at_once<T: Send>(callers: usize, calls: usize, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (start, results) = (Barrier::new(callers), Mutex::new(Vec::with_capacity(calls)));
    let next = &std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                start.wait();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        break;
                    }
                    let result = call(number);
                    if let Ok(mut results) = results.lock() {
                        results.push(result);
                    }
                }
            });
        }
    });
    results.into_inner().unwrap_or_default()
}

fn click(client: &Client, key: &str) -> Result<Answer> {
    client.post("/v1/clicks", &json!({"merchant": key, "ref": "demo", "url": "https://shop.example/"}))
}

fn number(answer: &Answer, header: &str) -> Result<u64> {
    let text = answer.header(header);
    text.parse().with_context(|| format!("{header}: {text:?} is no number"))
}

/// A refusal says when to come again, in the header and in the code.
fn expect_refusal(answer: &Answer, limit: u64) -> Result<()> {
    assert_eq!(answer.json()?["error"]["code"], "RATE_LIMIT_EXCEEDED");
    let (retry_after_s, reset_s) = (number(answer, "retry-after")?, number(answer, "x-ratelimit-reset")?);
    ensure!((1..=MINUTE_S).contains(&retry_after_s), "retry-after: {retry_after_s}");
    assert_eq!(reset_s, retry_after_s);
    assert_eq!(number(answer, "x-ratelimit-limit")?, limit);
    assert_eq!(number(answer, "x-ratelimit-remaining")?, 0);
    Ok(())
}

fn of_1200_clicks_at_once_exactly_1000_are_admitted(server: &mut Server) -> Result<()> {
    let key = server.text("/keys/pk_test")?;
    let client = Client::new(server.url());
    // Isolate and database have seen the key before, with a call that a limiter does not count.
    client.get("/healthz", &[])?.expect(200)?;
    let minute = roomy_minute()?;
    let answers = at_once(CALLERS, 1_200, |_| click(&client, key));
    expect_still(minute)?;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let (admitted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((admitted.len(), refused.len()), (1_000, 200));
    let mut remaining = HashSet::new();
    let mut ids = HashSet::new();
    for answer in admitted {
        assert_eq!(number(answer, "x-ratelimit-limit")?, 1_000);
        ensure!((1..=MINUTE_S).contains(&number(answer, "x-ratelimit-reset")?));
        remaining.insert(number(answer, "x-ratelimit-remaining")?);
        ids.insert(answer.json()?["click_id"].to_string());
    }
    assert_eq!(ids.len(), 1_000, "click ids are not unique");
    ensure!(remaining.contains(&0) && remaining.iter().all(|left| *left < 1_000));
    for answer in refused {
        assert_eq!(answer.status, 429);
        expect_refusal(answer, 1_000)?;
    }
    Ok(())
}

fn a_killed_server_does_not_hand_out_a_minute_twice(server: &mut Server) -> Result<()> {
    let key = server.text("/keys/pk_live")?.to_owned();
    let origin = server.url();
    let minute = roomy_minute()?;
    // The kill comes in the middle of 800 clicks: those that get no answer may or may not have been counted.
    let answered = AtomicU64::new(0);
    let client = Client::new(&origin);
    let before = thread::scope(|scope| {
        let clicks = scope.spawn(|| {
            at_once(50, 800, |_| {
                let status = click(&client, &key).map(|answer| answer.status);
                answered.fetch_add(1, Ordering::Relaxed);
                status.ok()
            })
        });
        wait_for("400 answers", Duration::from_secs(20), || {
            Ok((answered.load(Ordering::Relaxed) >= 400).then_some(()))
        })?;
        server.kill9()?;
        clicks.join().map_err(|_| anyhow::anyhow!("a caller panicked"))
    })?;
    server.restart()?;
    let client = Client::new(&origin);
    let after = at_once(50, 1_000, |_| click(&client, &key).map(|answer| answer.status));
    expect_still(minute)?;
    let after = after.into_iter().collect::<Result<Vec<_>>>()?;
    let count = |statuses: &[u16], wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    let known: Vec<u16> = before.iter().copied().flatten().collect();
    let lost = before.len() - known.len();
    let admitted = count(&known, 201) + count(&after, 201);
    println!("{} admitted before the kill, {lost} without an answer, {admitted} in all", count(&known, 201));
    ensure!(lost > 0, "the kill came too late to test anything");
    ensure!(admitted <= 1_000, "{admitted} were admitted in one minute");
    // What was answered was counted, and what was refused cost nothing: only the lost ones may be missing.
    ensure!(admitted + lost >= 1_000, "only {admitted} were admitted, and {lost} lost");
    assert_eq!(count(&after, 201) + count(&after, 429), after.len());
    Ok(())
}

fn of_130_calls_of_the_conversion_api_120_are_admitted(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let minute = roomy_minute()?;
    // What passed the limiter is counted, whatever comes after: here, 400.
    let answers = at_once(26, 130, |_| client.post("/api/v1/conversions", &json!({})));
    expect_still(minute)?;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let (admitted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 400);
    assert_eq!((admitted.len(), refused.len()), (120, 10));
    refused.into_iter().try_for_each(|answer| expect_refusal(answer, 120))
}

fn other_paths_are_counted_per_address(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let links = |address: &str| client.get("/api/v1/links", &[("cf-connecting-ip", address)]);
    let minute = roomy_minute()?;
    let answers = at_once(31, 310, |number| {
        // One network of IPv6 is one address.
        links(&format!("2001:db8:1:2::{:x}", number % 7))
    });
    let elsewhere = links("2001:db8:1:3::1")?;
    expect_still(minute)?;
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let (admitted, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!((admitted.len(), refused.len()), (300, 10));
    assert_eq!(elsewhere.status, 200);
    refused.into_iter().try_for_each(|answer| expect_refusal(answer, 300))
}

fn of_100_equal_reports_at_once_one_is_recorded(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
    let click_id = client.click(server.text("/bench/keys/pk_test")?, "bench1")?;
    let report = json!({
        "click_id": click_id, "external_transaction_id": "txn_hundred", "event_type": "purchase", "amount_cents": 5_000,
        "currency": "usd",
    });
    let answers = at_once(100, 100, |_| client.post("/api/v1/conversions", &report));
    let answers = answers.into_iter().collect::<Result<Vec<_>>>()?;
    let (recorded, repeated): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!((recorded.len(), repeated.len()), (1, 99));
    let id = recorded[0].json()?["id"].clone();
    for answer in repeated {
        assert_eq!(answer.status, 409, "{}", answer.body);
        let error = answer.json()?["error"].take();
        assert_eq!(error["code"], "CONVERSION_DUPLICATE");
        assert_eq!(error["conversion_id"], id);
    }
    let commissions: Vec<Value> = client.list("commissions")?;
    assert_eq!(commissions.len(), 1);
    assert_eq!(commissions[0]["amount_cents"], 1_000);
    Ok(())
}
