//! What the snippet costs a page, beside plain JavaScript that does the same (`plain.js`), in the same run: Chromium, its
//! processor slowed down to a quarter. `cargo xtask bench snippet` puts the scripts into `build/bench` and starts this. It prints
//! a table; nothing here is asserted, because a time on a shared machine proves nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::Browser;
use serde_json::{Value, json};
use tiny_http::{Header, Response, Server};

/// How much slower than this machine's the visitor's processor is.
const THROTTLE: u32 = 4;
const ROUNDS_DEFAULT: usize = 9;
const LINKS: [u32; 2] = [1_000, 10_000];
/// Long enough for whatever a page still has to do after it was loaded.
const SETTLED_AFTER: Duration = Duration::from_millis(400);
/// Long enough to mark a thousand links. The page is left alone meanwhile: to look at it would be work of the same thread.
const MARKED_AFTER: Duration = Duration::from_millis(400);
const LOOKS_MAX: u32 = 50;

/// What a page loads: its name in the table, the file, and whether the page has WebAssembly.
const SCRIPTS: [(&str, &str, bool); 4] = [
    ("selgeo.js", "selgeo.js", true),
    ("fallback", "selgeo.js", false),
    ("plain JS", "plain.js", true),
    ("no script", "", true),
];

/// Notes when `getClickId` is there and when the click is asked for, and every task of more than 50 ms.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Bench</title>
<link rel="icon" href="data:,">
<script>
sessionStorage.clear();
window.times = {};
window.longTasks = [];
window.__selgeo = {
  set getClickId(value) {
    times.answers = performance.now();
    Object.defineProperty(this, "getClickId", { value, writable: true });
  },
};
const realFetch = fetch;
window.fetch = (...given) => {
  times.asked = performance.now();
  return realFetch(...given);
};
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longTasks.push(duration);
}).observe({ type: "longtask" });
</script>
<body>
<div id="box" hidden></div>
</body>
</html>"#;

const LOAD: &str = r#"
const [file, hasWebAssembly] = arguments;
if (!hasWebAssembly) delete window.WebAssembly;
longTasks.length = 0;
if (!file) return;
const tag = document.createElement("script");
tag.src = `/v1/${file}`;
tag.dataset.merchant = "pk_test_" + "a".repeat(32);
document.head.append(tag);"#;

/// From the moment at which the browser has the whole file.
const TIMES: &str = r#"
const [file] = arguments;
const entry = performance.getEntriesByType("resource").find((entry) => entry.name.endsWith(`/v1/${file}`));
return [times.answers - entry.responseEnd, times.asked - entry.responseEnd, longTasks.length];"#;

/// Made beforehand, so that what is measured is not the parser.
const MAKE: &str = r#"
const made = document.createElement("template");
made.innerHTML = Array.from({ length: arguments[0] }, (_, n) => `<a href="https://buy.stripe.com/test_${n}">Buy</a>`).join("");
window.links = document.importNode(made.content, true);"#;

const INSERT: &str = "longTasks.length = 0; box.append(links)";

const ARE_MARKED: &str = "return [...box.children].every((link) => link.href.includes('?client_reference_id='))";

/// What was measured, by script and by quantity.
type Samples = BTreeMap<(&'static str, String), Vec<f64>>;

fn main() -> Result<()> {
    let rounds = rounds();
    let port = serve()?;
    let browser = Browser::start(e2e::Engine::Chromium)?;
    browser.devtools("Emulation.setCPUThrottlingRate", &json!({"rate": THROTTLE}))?;
    browser.devtools("Performance.enable", &json!({"timeDomain": "threadTicks"}))?;
    let mut samples = Samples::new();
    // The first round only warms the browser up.
    for round in 0..=rounds {
        eprintln!("round {round} of {rounds}");
        for links in LINKS {
            for script in SCRIPTS {
                let visited = visit(&browser, port, script, links).with_context(|| script.0.to_owned())?;
                for (quantity, value) in visited.into_iter().filter(|_| round > 0) {
                    samples.entry((script.0, quantity)).or_default().push(value);
                }
            }
        }
    }
    print(&samples, rounds);
    Ok(())
}

/// One page, from its start to the last of its links.
fn visit(
    browser: &Browser,
    port: u16,
    (_, file, has_wasm): (&str, &str, bool),
    links: u32,
) -> Result<Vec<(String, f64)>> {
    browser.go(&format!("http://127.0.0.1:{port}/?ref=bench"))?;
    thread::sleep(SETTLED_AFTER);
    let before = task_ms(browser)?;
    browser.run(LOAD, &json!([file, has_wasm]))?;
    thread::sleep(SETTLED_AFTER);
    // Without a script too, since to be looked at is work.
    browser.until("return !arguments[0] || (__selgeo.getClickId && __selgeo.getClickId())", &json!([file]))?;
    let mut visited = vec![("start".to_owned(), task_ms(browser)? - before)];
    if !file.is_empty() {
        let times = browser.run(TIMES, &json!([file]))?;
        for (place, quantity) in ["answers", "asked", "long tasks at start"].into_iter().enumerate() {
            visited.push((quantity.to_owned(), number(&times[place])?));
        }
    }
    browser.run(MAKE, &json!([links]))?;
    thread::sleep(SETTLED_AFTER);
    let before = task_ms(browser)?;
    browser.run(INSERT, &json!([]))?;
    let mut looks = 0;
    let after = loop {
        thread::sleep(MARKED_AFTER * links.div_ceil(LINKS[0]).min(6));
        let after = task_ms(browser)?;
        if file.is_empty() || browser.run(ARE_MARKED, &json!([]))? == true {
            break after;
        }
        looks += 1;
        ensure!(looks < LOOKS_MAX, "{links} links are not marked");
    };
    let long_tasks = browser.run("return longTasks", &json!([]))?;
    let long_tasks: Vec<f64> = long_tasks.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    visited.push((format!("task ms {links}"), after - before));
    visited.push((format!("long tasks {links}"), long_tasks.len() as f64));
    visited.push((format!("longest {links}"), long_tasks.into_iter().fold(0.0, f64::max)));
    Ok(visited)
}

/// What the page's main thread has worked so far, in milliseconds of its own processor time, which waiting for a busy machine
/// does not add to. The slowing down counts as work.
fn task_ms(browser: &Browser) -> Result<f64> {
    let told = browser.devtools("Performance.getMetrics", &json!({}))?;
    let metrics = told["metrics"].as_array().context("no metrics")?;
    let metric = metrics.iter().find(|metric| metric["name"] == "TaskDuration").context("no TaskDuration")?;
    Ok(number(&metric["value"])? * 1_000.0)
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("{value} is no number"))
}

/// Serves the page, the scripts, and an answer to every click; for good. It ends with the program.
fn serve() -> Result<u16> {
    let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port for the page: {error}"))?;
    let port = server.server_addr().to_ip().map_or(0, |address| address.port());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/bench");
    ensure!(folder.is_dir(), "build/bench is not there: `cargo xtask bench snippet` makes it");
    let server = Arc::new(server);
    thread::spawn(move || {
        for request in server.incoming_requests() {
            let path = request.url().split('?').next().unwrap_or("").to_owned();
            let response = match path.as_str() {
                "/" => answer("text/html; charset=utf-8", PAGE.to_owned()),
                "/v1/clicks" => answer("application/json", click()),
                script => {
                    let name = script.rsplit('/').next().unwrap_or("");
                    answer("text/javascript", fs::read_to_string(folder.join(name)).unwrap_or_default())
                }
            };
            // A browser that has gone away is no matter.
            let _ = request.respond(response);
        }
    });
    Ok(port)
}

fn click() -> String {
    json!({"click_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "visitor_token": "bench"}).to_string()
}

fn answer(media_type: &str, body: String) -> Response<Cursor<Vec<u8>>> {
    let mut response = Response::from_string(body);
    for (name, value) in [("content-type", media_type), ("cache-control", "no-store")] {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}

/// `--rounds N`; whatever else cargo passes says nothing.
fn rounds() -> usize {
    let words: Vec<String> = std::env::args().collect();
    let given = words.windows(2).find(|pair| pair[0] == "--rounds").and_then(|pair| pair[1].parse().ok());
    given.unwrap_or(ROUNDS_DEFAULT)
}

fn print(samples: &Samples, rounds: usize) {
    let names: Vec<&str> = SCRIPTS.iter().map(|(name, ..)| *name).collect();
    println!("\nChromium, processor slowed down {THROTTLE}×, {rounds} rounds: median (lowest–highest).");
    println!(
        "\"Main thread\" is that thread's processor time, slowing down included. Only a machine at rest gives good figures.\n"
    );
    println!("| | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    let row = |title: &str, cell: &dyn Fn(&'static str) -> Option<String>| {
        let cells = SCRIPTS.map(|(name, ..)| cell(name).unwrap_or_else(|| "–".to_owned()));
        println!("| {title} | {} |", cells.join(" | "));
    };
    let of = |name, quantity: String| samples.get(&(name, quantity));
    row("file received → `getClickId()` answers, ms", &|name| Some(spread(of(name, "answers".into())?, 1.0)));
    row("file received → the click is asked for, ms", &|name| Some(spread(of(name, "asked".into())?, 1.0)));
    row("long tasks (over 50 ms) while it starts", &|name| {
        Some(format!("{:.0}", median(of(name, "long tasks at start".into())?)))
    });
    // What the page would have worked anyway is not the script's.
    let added = |name, quantity: &str, factor| {
        let page = median(of("no script", quantity.into())?);
        let values: Vec<f64> = of(name, quantity.into())?.iter().map(|value| value - page).collect();
        (name != "no script").then(|| spread(&values, factor))
    };
    row("start, until the click is kept: main thread, ms", &|name| added(name, "start", 1.0));
    for links in LINKS {
        let per_thousand = 1_000.0 / f64::from(links);
        let many = format!("{},000 links", links / 1_000);
        row(&format!("{many} inserted: main thread, ms per 1,000 links"), &|name| {
            added(name, &format!("task ms {links}"), per_thousand)
        });
        row(&format!("{many}: main thread with all that the page does, ms"), &|name| {
            Some(spread(of(name, format!("task ms {links}"))?, 1.0))
        });
        row(&format!("{many}: long tasks (over 50 ms)"), &|name| {
            Some(format!("{:.0}", median(of(name, format!("long tasks {links}"))?)))
        });
        row(&format!("{many}: the longest task of all rounds, ms"), &|name| {
            Some(format!("{:.0}", of(name, format!("longest {links}"))?.iter().copied().fold(0.0, f64::max)))
        });
    }
}

fn spread(values: &[f64], factor: f64) -> String {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.1} ({:.1}–{:.1})", median(values) * factor, lowest * factor, highest * factor)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
