//! `trac.js`: what lasts longer than the tab, the names that it has for things, and leads.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Client, wait_for};
use serde_json::{Value, json};

use e2e::Stage;

/// What is kept: in the cookie, in the browser's storage, in the tab's.
const KEPT: &str = "return [document.cookie.match(/trac_click_id=([^;]*)/)?.[1] ?? null, localStorage.trac_click_id ?? null, \
     sessionStorage.__selgeo_cid ?? null]";
const HANDED: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const DAY_S: f64 = 86_400.0;

fn arrive(stage: &mut Stage, page: &str) -> Result<()> {
    stage.arrive("10-no-tag")?;
    stage.run("localStorage.clear(); document.cookie = 'trac_click_id=; Path=/; Max-Age=0'")?;
    stage.arrive(page)
}

pub fn what_trac_keeps_outlives_the_tab(stage: &mut Stage) -> Result<()> {
    arrive(stage, "20-trac?via=bench1")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench1");
    let click = stage.click_id()?;
    assert_eq!(stage.run("return Trac.getClickId()")?, click);
    assert_eq!(stage.run(KEPT)?, json!([click, click, click]));
    let cookie = stage.browser.cookie("trac_click_id")?;
    assert_eq!([&cookie["sameSite"], &cookie["path"], &cookie["secure"]], [&json!("Lax"), &json!("/"), &json!(false)]);
    let days = (cookie["expiry"].as_f64().context("no expiry")?
        - stage.run("return Date.now() / 1000")?.as_f64().unwrap_or(0.0))
        / DAY_S;
    assert!((89.9..90.1).contains(&days), "{days} days");
    stage.expect_marked(&click)?;

    // Another tab, and each of the two that last without the other.
    for without in ["", "localStorage.clear()", "document.cookie = 'trac_click_id=; Path=/; Max-Age=0'"] {
        stage.run(&format!("{without}; sessionStorage.clear()"))?;
        stage.browser.go(&stage.site.page("20-trac"))?;
        assert_eq!(stage.clicks()?.len(), 0, "{without}");
        assert_eq!(stage.run(KEPT)?, json!([click, click, click]), "{without}");
        stage.expect_marked(&click)?;
    }
    stage.expect_quiet()
}

pub fn the_first_click_wins_unless_the_tag_says_otherwise(stage: &mut Stage) -> Result<()> {
    arrive(stage, "20-trac?ref=bench1")?;
    stage.clicks()?;
    let first = stage.click_id()?;
    for later in ["?ref=bench2".to_owned(), format!("?trac_click_id={HANDED}"), format!("?clk_id={HANDED}")] {
        stage.run("sessionStorage.clear()")?;
        stage.browser.go(&stage.site.page(&format!("20-trac{later}")))?;
        assert_eq!(stage.clicks()?.len(), 0, "{later}");
        assert_eq!(stage.run(KEPT)?, json!([first, first, first]), "{later}");
    }
    let last = "&_attributes=data-attribution-model=last-click";
    // Of the ref that is there already there is a click, also in another tab.
    stage.run("sessionStorage.clear()")?;
    stage.browser.go(&stage.site.page(&format!("20-trac?ref=bench1{last}")))?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.browser.go(&stage.site.page(&format!("20-trac?ref=bench2{last}")))?;
    assert_eq!(stage.clicks()?.len(), 1);
    let second = stage.click_id()?;
    assert_ne!(first, second);
    assert_eq!(stage.run(KEPT)?, json!([second, second, second]));
    stage.expect_quiet()
}

pub fn what_lasts_ends_after_ninety_days(stage: &mut Stage) -> Result<()> {
    for (until, lasts) in
        [("Thu, 01 Jan 2026 00:00:00 GMT", false), ("nonsense", false), ("Thu, 01 Jan 2099 00:00:00 GMT", true)]
    {
        arrive(stage, "10-no-tag")?;
        stage.run(&format!("localStorage.trac_click_id = '{HANDED}'; localStorage.trac_expires = '{until}'"))?;
        stage.browser.go(&stage.site.page("20-trac?ref=bench1"))?;
        assert_eq!(stage.clicks()?.len(), usize::from(!lasts), "{until}");
        assert_eq!(stage.click_id()? == HANDED, lasts, "{until}");
    }
    // What is restored lasts no longer for it.
    assert_eq!(stage.run("return localStorage.trac_expires")?, "Thu, 01 Jan 2099 00:00:00 GMT");
    Ok(())
}

pub fn a_lead_that_nobody_can_report_settles(stage: &mut Stage) -> Result<()> {
    let track =
        "const done = arguments[0]; Trac.trackLead({ eventName: 'signup' }).then((answer) => done(answer ?? null))";
    for page in ["31-trac-bad-key", "32-both-scripts"] {
        arrive(stage, page)?;
        assert_eq!(stage.browser.run_async(track, &json!([]))?, Value::Null, "{page}");
        assert_eq!(stage.run("return Trac.getClickId()")?, Value::Null, "{page}");
        stage.expect_quiet()?;
    }
    Ok(())
}

pub fn trac_knows_five_parameters(stage: &mut Stage) -> Result<()> {
    for name in ["trac_click_id", "trac_id", "clk_id"] {
        arrive(stage, &format!("20-trac?{name}={HANDED}&ref=bench1"))?;
        assert_eq!(stage.clicks()?.len(), 0, "{name}");
        assert_eq!(stage.run(KEPT)?, json!([HANDED, HANDED, HANDED]), "{name}");
        stage.expect_marked(HANDED)?;
    }
    for (query, expected) in
        [("via=bench1&ref=bench2", "bench1"), ("ref=bench2&clk_id=7", "bench2"), ("via=&ref=bench1", "bench1")]
    {
        arrive(stage, &format!("20-trac?{query}"))?;
        let clicks = stage.clicks()?;
        assert_eq!(clicks.len(), 1, "{query}");
        assert_eq!(clicks[0].body["ref"], expected, "{query}");
    }
    stage.expect_quiet()
}

pub fn nothing_lasts_without_consent(stage: &mut Stage) -> Result<()> {
    arrive(stage, "20-trac?ref=bench1&_attributes=data-consent=wait")?;
    assert_eq!(stage.clicks()?.len(), 0);
    assert_eq!(stage.run(KEPT)?, json!([null, null, null]));
    stage.run("__selgeo.consent(true)")?;
    assert_eq!(stage.clicks()?.len(), 1);
    let click = stage.click_id()?;
    assert_eq!(stage.run(KEPT)?, json!([click, click, click]));
    stage.run("__selgeo.consent(false)")?;
    assert_eq!(stage.run(KEPT)?, json!([null, null, null]));
    assert_eq!(stage.run("return Object.keys(localStorage)")?, json!([]));
    stage.expect_quiet()
}

pub fn blocked_storage_costs_trac_no_more_than_what_lasts(stage: &mut Stage) -> Result<()> {
    let block = |of: &str, name: &str| format!("Object.defineProperty({of}, '{name}', {{ get() {{ throw 1 }} }})");
    for patch in
        [block("window", "localStorage"), block("Document.prototype", "cookie"), block("window", "sessionStorage")]
    {
        arrive(stage, &format!("23-trac-hostile?ref=bench1&_patch={patch}"))?;
        assert_eq!(stage.clicks()?.len(), 1, "{patch}");
        stage.expect_marked(&stage.click_id()?)?;
        stage.expect_quiet().context(patch)?;
    }
    Ok(())
}

pub fn a_lead_is_reported_with_the_click(stage: &mut Stage) -> Result<()> {
    // The API of leads is not this page's subject: what is sent is.
    let patch = "window.sent = []; const real = window.fetch; window.fetch = (url, request) => \
        url.endsWith('/v1/clicks') ? real(url, request) : (sent.push([url, request.method, request.headers, JSON.parse(request.body)]), \
        window.refuse ? Promise.reject(new TypeError('x')) : Promise.resolve(new Response('{\"success\":true}')))";
    let patch = patch.replace('&', "%26").replace('+', "%2B");
    arrive(stage, &format!("23-trac-hostile?ref=bench1&_patch={patch}"))?;
    stage.clicks()?;
    let click = stage.click_id()?;
    let track = "const [lead, done] = arguments; Trac.trackLead(lead).then((answer) => done([answer ?? null, sent.pop() ?? null]))";
    let lead = json!({"eventName": "signup", "customerExternalId": "c_1"});
    let told = stage.browser.run_async(track, &json!([lead]))?;
    let headers = json!({"content-type": "application/json", "x-publishable-key": stage.public_key});
    let body = json!({"clickId": click, "eventName": "signup", "customerExternalId": "c_1"});
    let url = format!("{}/api/track/lead", stage.api_origin());
    assert_eq!(told, json!([{"success": true}, [url, "POST", headers, body]]));
    // A click that the page names itself, and a server that is not there.
    stage.run("window.refuse = true")?;
    let told = stage.browser.run_async(track, &json!([{"clickId": HANDED}]))?;
    assert_eq!([&told[0], &told[1][3]["clickId"]], [&Value::Null, &json!(HANDED)]);
    stage.run("__selgeo.consent(false)")?;
    assert_eq!(stage.browser.run_async(track, &json!([lead]))?, json!([null, null]));
    stage.expect_quiet()
}

/// Has the page report a lead; gives what the page is told.
fn track(stage: &mut Stage, lead: &Value) -> Result<Value> {
    let call = "const [lead, done] = arguments; Trac.trackLead(lead).then((answer) => done(answer ?? null))";
    stage.browser.run_async(call, &json!([lead]))
}

pub fn a_lead_that_a_page_reports_is_recorded(stage: &mut Stage) -> Result<()> {
    arrive(stage, "20-trac?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    // In each engine another customer.
    let lead =
        json!({"eventName": "signup", "customerExternalId": format!("of-{click}"), "customerEmail": "ann@example.com"});
    let told = track(stage, &lead)?;
    let customer = json!({"externalId": lead["customerExternalId"], "email": "ann@example.com"});
    assert_eq!(
        [&told["success"], &told["customer"], &told["lead"]["clickId"]],
        [&json!(true), &customer, &json!(click)],
        "{told}"
    );
    let again = track(stage, &lead)?;
    assert_eq!([&again["duplicate"], &again["lead"]["id"]], [&json!(true), &told["lead"]["id"]], "{again}");
    let merchant = Client::new(stage.server.url()).with_key(stage.server.text("/bench/keys/sk_test")?);
    let id = told["lead"]["id"].as_str().context("no id")?;
    let recorded = merchant.get(&format!("/api/v1/conversions/{id}"), &[])?.expect(200)?;
    assert_eq!(
        [&recorded["source"], &recorded["attribution"]["click_id"]],
        [&json!("lead_api"), &json!(click)],
        "{recorded}"
    );
    // A refusal is an answer too, that a page can read.
    let refused = track(stage, &json!({"eventName": "signup"}))?;
    assert_eq!([&refused["success"], &refused["code"]], [&json!(false), &json!("VALIDATION_ERROR")], "{refused}");
    Ok(())
}

pub fn selgeo_hands_over_to_trac_for_what_lasts(stage: &mut Stage) -> Result<()> {
    arrive(stage, "21-persistent?ref=bench1")?;
    let click = stage.click_id()?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.browser.until("return document.cookie.includes(arguments[0])", &json!([click]))?;
    assert_eq!(stage.run(KEPT)?, json!([click, click, click]));
    stage.expect_marked(&click)?;
    stage.expect_quiet()
}

pub fn trac_offers_everything_at_once_under_the_documented_policy(stage: &mut Stage) -> Result<()> {
    arrive(stage, "22-trac-policy?ref=bench1")?;
    let click = stage.click_id()?;
    assert_eq!(stage.clicks()?.len(), 1);
    assert_eq!(stage.run("return first")?, Value::Null);
    // What was asked for before Rust ran is done, whatever the server says to it.
    stage.browser.until("return window.answered", &json!([]))?;
    assert_eq!(stage.run(KEPT)?, json!([click, click, click]));
    stage.expect_marked(&click)
}

pub fn a_page_without_a_key_is_known_by_its_host_under_a_prefix_too(stage: &mut Stage) -> Result<()> {
    let merchant = Client::new(stage.server.url()).with_key(stage.server.text("/keys/sk_live")?);
    let page = stage.site.page("26-trac-keyless");
    let host = page.split('/').nth(2).context("no host")?;
    // In another engine the same test has registered it already.
    let registered = merchant.post("/api/v1/hosts", &json!({"host": host}))?;
    ensure!([201, 409].contains(&registered.status), "{}", registered.body);
    // The page refuses WebAssembly: the fallback comes from under the prefix as well.
    arrive(stage, "26-trac-keyless?ref=demo")?;
    let click = stage.click_id()?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].url, format!("{}/_s/v1/clicks", stage.api_origin()));
    assert_eq!(clicks[0].body["merchant"], Value::Null);
    stage.expect_marked(&click)?;
    let told = track(stage, &json!({"eventName": "signup", "customerExternalId": format!("of-{click}")}))?;
    assert_eq!([&told["success"], &told["lead"]["mode"]], [&json!(true), &json!("live")], "{told}");
    wait_for("the click among the live ones", Duration::from_secs(30), || {
        let answer = merchant.get(&format!("/api/v1/clicks/{click}"), &[])?;
        Ok((answer.status == 200).then_some(()))
    })
}
