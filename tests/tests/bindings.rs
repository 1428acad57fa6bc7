//! Each binding is really used, and outlives a kill where it keeps something.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Answer, Client, Server, wait_for};
use serde_json::{Value, json};

const CLICKS: usize = 150;
const QUEUED_WITHIN: Duration = Duration::from_secs(30);
/// Unknown keys per minute and address that the platform's limiter lets by, in `wrangler.toml`.
const STRANGERS_PER_MINUTE: usize = 1_000;

e2e::suite! {
    Server::start;
    the_worker_is_healthy_on_the_platform,
    clicks_travel_by_the_queue_to_the_database,
    a_warm_click_asks_nobody_and_a_conversion_the_database_twice,
    a_conversion_reads_and_writes_few_rows_however_busy_its_participant_is,
    the_snippet_is_served_to_any_page_and_revalidated,
    the_hashed_snippet_is_immutable,
    scripts_come_byte_for_byte_in_the_form_that_the_caller_likes_best,
    what_was_compressed_when_it_was_built_unpacks_to_the_script,
    a_page_without_a_key_is_its_hosts_workspaces,
    only_browser_paths_are_mounted,
    plain_http_is_answered_on_loopback_only,
    a_burst_of_strangers_is_refused_per_address,
    the_demo_shop_is_there,
    keys_links_and_clicks_outlive_a_kill,
}

fn the_worker_is_healthy_on_the_platform(server: &mut Server) -> Result<()> {
    let answer = Client::new(server.url()).get("/healthz", &[("x-request-id", "from-here")])?;
    assert_eq!(answer.expect(200)?, json!({"status": "ok"}));
    assert_eq!(answer.header("x-request-id"), "from-here");
    Ok(())
}

fn clicks_travel_by_the_queue_to_the_database(server: &mut Server) -> Result<()> {
    let key = server.text("/bench/keys/pk_test")?;
    let client = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
    let mut made = HashSet::new();
    for number in 0..CLICKS {
        let headers = [
            ("content-type", "text/plain;charset=UTF-8"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ];
        let body =
            json!({"merchant": key, "ref": format!("bench{}", number % 5 + 1), "url": "https://shop.example/?a=1#b"});
        let click = client.send("POST", "/v1/clicks", &headers, &body.to_string())?.expect(201)?;
        made.insert(click["click_id"].as_str().context("no click_id")?.to_owned());
    }
    assert_eq!(made.len(), CLICKS);
    let rows = wait_for("all clicks in the list", QUEUED_WITHIN, || {
        let rows = client.list("clicks")?;
        Ok((rows.len() >= CLICKS).then_some(rows))
    })?;
    assert_eq!(rows.len(), CLICKS, "a click is there twice");
    let listed: HashSet<String> = rows.iter().filter_map(|row| row["click_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(listed, made);
    for row in &rows {
        assert_eq!(row["url"], "https://shop.example/?a=1");
        assert_eq!(row["human"], true, "{row}");
        assert_eq!(row["browser"], "firefox", "{row}");
        ensure!(row["flags"] == json!([]), "{row}");
    }
    Ok(())
}

/// What a local server says that an answer cost, where nothing else was asked meanwhile: round trips to the database, operations on
/// Workers KV, requests to Durable Objects.
fn costs(answer: &Answer) -> Result<[u64; 3]> {
    let told = answer.header("server-timing");
    let number = |name: &str| {
        let rest = told.split(&format!("{name};desc=\"")).nth(1).with_context(|| format!("no {name}: {told}"))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().with_context(|| told.to_owned())
    };
    Ok([number("d1")?, number("kv")?, number("objects")?])
}

fn a_warm_click_asks_nobody_and_a_conversion_the_database_twice(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let secret = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
    let body = json!({"merchant": server.text("/bench/keys/pk_test")?, "ref": "bench1"});
    // What other requests ask meanwhile is counted with these: the least of several is what one asks.
    let (mut clicks, mut conversions) = (Vec::new(), Vec::new());
    for number in 0..10 {
        let click = client.post("/v1/clicks", &body)?;
        clicks.push(costs(&click)?);
        let id = &click.expect(201)?["click_id"];
        let sale = json!({"click_id": id, "external_transaction_id": format!("costs-{number}"), "event_type": "purchase",
            "amount_cents": 100, "currency": "EUR"});
        let sale = secret.post("/api/v1/conversions", &sale)?;
        conversions.push(costs(&sale)?);
        sale.expect(201)?;
    }
    assert_eq!(clicks.iter().min(), Some(&[0, 0, 0]), "{clicks:?}");
    assert_eq!(conversions.iter().min(), Some(&[2, 0, 1]), "{conversions:?}");
    Ok(())
}

/// Sales that are there already: more than a refund rate is taken of.
const SALES: usize = 60;
/// Fifty of them are read for that rate, and at most a pack of clicks of one address.
const ROWS_READ_MAX: u64 = 320;
/// Ten of them since a sale so soon after its click is flagged: the alert, and what is told of it.
const ROWS_WRITTEN_MAX: u64 = 62;

fn a_conversion_reads_and_writes_few_rows_however_busy_its_participant_is(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let secret = Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?);
    let click = client.click(server.text("/bench/keys/pk_test")?, "bench1")?;
    let mut told = Vec::new();
    for number in 0..SALES + 10 {
        let sale = json!({"click_id": click, "external_transaction_id": format!("busy-{number}"), "event_type": "purchase",
            "amount_cents": 100, "currency": "EUR"});
        let answer = secret.post("/api/v1/conversions", &sale)?;
        told.push(answer.header("server-timing").to_owned());
        answer.expect(201)?;
    }
    // What other requests ask meanwhile is counted with these: the least of several is what one asks.
    let least = |unit: &str| {
        let numbers = told[SALES..].iter().filter_map(|told| {
            told.split(unit).next()?.rsplit(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u64>().ok()
        });
        numbers.min().with_context(|| format!("{told:?}"))
    };
    let (read, written) = (least(" rows read")?, least(" rows written")?);
    ensure!(read <= ROWS_READ_MAX && written <= ROWS_WRITTEN_MAX, "{read} rows read, {written} written: {told:?}");
    Ok(())
}

fn the_snippet_is_served_to_any_page_and_revalidated(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    for path in ["/v1/selgeo.js", "/v1/selgeo-fallback.js", "/_s/v1/selgeo.js", "/_s/v1/selgeo-fallback.js"] {
        let answer = client.get(path, &[("origin", "https://shop.example")])?;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("set-cookie"), "", "{path}");
        ensure!(answer.header("cache-control").contains("must-revalidate"), "{path}");
        let name = path.rsplit('/').next().unwrap_or("");
        assert_eq!(answer.body, fs::read_to_string(built(name))?, "{path} is not the file that was built");

        let etag = answer.header("etag");
        ensure!(etag.len() > 4, "{path} has no ETag");
        let again = client.get(path, &[("if-none-match", etag)])?;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), etag, "{path}");
        assert_eq!(again.header("access-control-allow-origin"), "*", "{path}");
        let other = client.get(path, &[("if-none-match", "\"another\"")])?;
        assert_eq!(other.status, 200, "{path}");
    }
    assert_eq!(client.get("/v1/selgeo.nothing.js", &[])?.expect(404)?["error"]["code"], "NOT_FOUND");
    Ok(())
}

fn built(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/assets/v1").join(name)
}

fn the_hashed_snippet_is_immutable(server: &mut Server) -> Result<()> {
    let manifest: Value = serde_json::from_str(&fs::read_to_string(built("manifest.json"))?)?;
    let client = Client::new(server.url());
    for plain in ["selgeo.js", "selgeo-fallback.js"] {
        let hashed = manifest[plain]["hashed"].as_str().context("the manifest names no hashed file")?;
        let answer = client.get(&format!("/v1/{hashed}"), &[])?;
        assert_eq!(answer.status, 200, "{hashed}");
        ensure!(answer.header("cache-control").contains("immutable"), "{hashed}");
        // Without it a page that names the file's hash could not load it.
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{hashed}");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8", "{hashed}");
        assert_eq!(answer.body, client.get(&format!("/v1/{plain}"), &[])?.body, "{hashed}");
        assert_eq!(answer.body.len() as u64, manifest[plain]["raw"].as_u64().unwrap_or(0), "{hashed}");
    }
    Ok(())
}

/// The manifest's names of what was built, and the paths that lead there.
fn scripts() -> Result<Vec<(String, Vec<String>)>> {
    let manifest: Value = serde_json::from_str(&fs::read_to_string(built("manifest.json"))?)?;
    let entries = manifest.as_object().context("the manifest is no object")?;
    let mut scripts = Vec::new();
    for (plain, entry) in entries {
        let hashed = entry["hashed"].as_str().context("the manifest names no hashed file")?;
        for name in [plain.as_str(), hashed] {
            let mut paths = vec![format!("/v1/{name}"), format!("/_s/v1/{name}")];
            // Traaaction's pages name it so, and it its fallback.
            if matches!(name, "trac.js" | "trac-fallback.js") {
                paths.extend([format!("/{name}"), format!("/_s/{name}")]);
            }
            scripts.push((name.to_owned(), paths));
        }
    }
    Ok(scripts)
}

/// Neither the store nor the runtime nor the local server may compress or unpack anything on the way.
fn scripts_come_byte_for_byte_in_the_form_that_the_caller_likes_best(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let check = |name: &str, path: &str, accepted: &str, coding: &str, suffix: &str| -> Result<String> {
        let headers = [("accept-encoding", accepted)];
        let answer = client.get(path, &headers)?;
        let file = fs::read(built(&format!("{name}{suffix}")))?;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{path} {accepted:?}");
        ensure!(answer.bytes == file, "{path} {accepted:?} is not {name}{suffix} but {} bytes", answer.bytes.len());
        assert_eq!(answer.header("vary"), "accept-encoding", "{path}");
        assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8", "{path}");
        let head = client.send("HEAD", path, &headers, "")?;
        assert_eq!((head.status, head.bytes.len()), (200, 0), "{path}");
        for header in ["content-encoding", "etag", "vary", "cache-control"] {
            assert_eq!(head.header(header), answer.header(header), "{path} {header}");
        }
        let held = client.get(path, &[("accept-encoding", accepted), ("if-none-match", answer.header("etag"))])?;
        assert_eq!((held.status, held.bytes.len()), (304, 0), "{path}");
        assert_eq!(held.header("content-encoding"), "", "{path}");
        Ok(answer.header("etag").to_owned())
    };
    for (name, paths) in scripts()? {
        for path in paths {
            let mut etags = HashSet::new();
            // As Chromium, Firefox and WebKit ask on HTTPS, as all do on plain HTTP, and as programs do.
            etags.insert(check(&name, &path, "gzip, deflate, br, zstd", "br", ".br")?);
            etags.insert(check(&name, &path, "gzip, deflate", "gzip", ".gz")?);
            etags.insert(check(&name, &path, "", "", "")?);
            assert_eq!(etags.len(), 3, "{path}: {etags:?}");
            check(&name, &path, "br;q=0.5, gzip", "gzip", ".gz")?;
            check(&name, &path, "br;q=0, gzip;q=0", "", "")?;
            check(&name, &path, "identity;q=0", "gzip", ".gz")?;
            client.get(&format!("{path}.br"), &[])?.expect(404)?;
        }
    }
    Ok(())
}

fn what_was_compressed_when_it_was_built_unpacks_to_the_script(_server: &mut Server) -> Result<()> {
    const UNPACK: &str = "
        const { readFileSync: read } = require('node:fs');
        const { brotliDecompressSync, gunzipSync } = require('node:zlib');
        for (const file of process.argv.slice(1)) {
          const script = read(file);
          const same = [brotliDecompressSync(read(file + '.br')), gunzipSync(read(file + '.gz'))].every((b) => b.equals(script));
          if (!same || script.length < 1000) throw new Error(file);
        }";
    let files: Vec<_> = scripts()?.iter().map(|(name, _)| built(name)).collect();
    ensure!(files.len() >= 4, "{files:?}");
    let unpacked =
        Command::new("node").args(["-e", UNPACK, "--"]).args(files).status().context("Node was not found")?;
    ensure!(unpacked.success());
    Ok(())
}

fn a_page_without_a_key_is_its_hosts_workspaces(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let click = |origin: &str| {
        let headers = [("content-type", "text/plain"), ("origin", origin)];
        client.send("POST", "/v1/clicks", &headers, &json!({"ref": "nobody"}).to_string())
    };
    assert_eq!(click("https://keyless.example")?.expect(401)?["error"]["code"], "INVALID_API_KEY");
    let merchant = Client::new(server.url()).with_key(server.text("/keys/sk_live")?);
    merchant.post("/api/v1/hosts", &json!({"host": "keyless.example"}))?.expect(201)?;
    // Known now: what is missing is the link.
    assert_eq!(click("https://keyless.example")?.expect(404)?["error"]["code"], "REFERRAL_NOT_FOUND");
    click("http://keyless.example")?.expect(401)?;
    click("null")?.expect(401)?;
    Ok(())
}

fn only_browser_paths_are_mounted(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let body = json!({"merchant": server.text("/bench/keys/pk_test")?, "ref": "bench1"});
    let answer = client.post("/_s/v1/clicks", &body)?;
    answer.expect(201)?;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let preflight = client.send("OPTIONS", "/_s/v1/clicks", &[("origin", "https://shop.example")], "")?;
    assert_eq!(preflight.status, 204);
    for path in ["/_s/healthz", "/_s/api/v1/links", "/_s", "/_sv1/selgeo.js", "/_t/v1/selgeo.js"] {
        client.get(path, &[])?.expect(404).context(path)?;
    }
    Ok(())
}

/// On Cloudflare a request's scheme is the visitor's; workerd takes it from X-Forwarded-Proto.
fn plain_http_is_answered_on_loopback_only(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let check = |host: &str, scheme: &str, status: u16| -> Result<()> {
        for path in ["/healthz", "/v1/selgeo.js"] {
            let answer = client.get(path, &[("host", host), ("x-forwarded-proto", scheme)])?;
            assert_eq!(answer.status, status, "{scheme}://{host}{path}");
            if status == 403 {
                assert_eq!(answer.json()?["error"]["code"], "HTTPS_REQUIRED", "{scheme}://{host}{path}");
            }
        }
        Ok(())
    };
    check("shop.example", "https", 200)?;
    check("shop.example", "http", 403)?;
    check("localhost.example", "http", 403)?;
    check("127.0.0.1.example", "http", 403)?;
    check("127.0.0.1", "http", 200)?;
    check("localhost:8787", "http", 200)?;
    check("[::1]:8787", "http", 200)
}

fn a_burst_of_strangers_is_refused_per_address(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let body = json!({"merchant": format!("pk_test_{}", "x".repeat(32)), "ref": "demo"}).to_string();
    let ask = |address: &str| {
        let headers = [("content-type", "application/json"), ("cf-connecting-ip", address)];
        client.send("POST", "/v1/clicks", &headers, &body)
    };
    // Twice the limit and one more: the minute may end in between.
    for number in 0..=2 * STRANGERS_PER_MINUTE {
        let answer = ask("198.51.100.1")?;
        if answer.status == 429 {
            ensure!(number >= STRANGERS_PER_MINUTE, "refused after {number}");
            assert_eq!(answer.json()?["error"]["code"], "RATE_LIMIT_EXCEEDED");
            ensure!(answer.header("retry-after").parse::<u32>().is_ok());
            // Another address is not meant, nor a key that is known.
            ask("198.51.100.2")?.expect(401)?;
            let known = json!({"merchant": server.text("/bench/keys/pk_test")?, "ref": "bench1"}).to_string();
            let headers = [("content-type", "application/json"), ("cf-connecting-ip", "198.51.100.1")];
            client.send("POST", "/v1/clicks", &headers, &known)?.expect(201)?;
            return Ok(());
        }
        answer.expect(401)?;
    }
    anyhow::bail!("no stranger was refused")
}

fn the_demo_shop_is_there(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url());
    let page = client.get("/demo/?ref=demo", &[])?;
    assert_eq!(page.status, 200);
    ensure!(page.body.contains(server.text("/keys/pk_test")?), "the page has not the demo workspace's key");
    let style = client.get("/static/selgeo.css", &[])?;
    assert_eq!(style.status, 200);
    ensure!(style.header("content-type").starts_with("text/css"));
    Ok(())
}

fn keys_links_and_clicks_outlive_a_kill(server: &mut Server) -> Result<()> {
    let client = Client::new(server.url()).with_key(server.text("/keys/sk_test")?);
    let (dev, links) = (server.dev().clone(), client.list("links")?);
    assert_eq!(links.len(), 2);
    let click = client.click(server.text("/keys/pk_test")?, "demo")?;
    let (url, before) = (server.url(), server.workerd_pid());
    server.kill9()?;
    ensure!(client.get("/healthz", &[]).is_err(), "the server answers after it was killed");
    server.restart()?;
    assert_eq!(server.url(), url);
    assert_ne!(server.workerd_pid(), before);
    assert_eq!(server.dev(), &dev);
    assert_eq!(client.list("links")?, links);
    // The click's own record may have died in the queue. Its id proves itself, with the secrets of the first start.
    let body = json!({
        "click_id": click, "external_transaction_id": "after_a_kill", "event_type": "purchase", "amount_cents": 1_000,
        "currency": "usd",
    });
    let conversion = client.post("/api/v1/conversions", &body)?.expect(201)?;
    assert_eq!(conversion["attribution"]["method"], "click");
    client.get(&format!("/api/v1/clicks/{click}"), &[])?.expect(200)?;
    Ok(())
}
