//! Sites that frameworks built (`sites/`), as they are in production: a tag that a framework puts in, links that React writes
//! again, routes that change without a new document. And a tag that a tag manager puts in.

use anyhow::{Context, Result};
use serde_json::json;

use e2e::Stage;

/// Where each kind of routing starts.
const VITE_PAGES: [&str; 2] = ["vite-react", "vite-react/hash"];

pub fn a_next_page_is_marked_after_hydration_and_after_each_render(stage: &mut Stage) -> Result<()> {
    let click = arrived(stage, "next?ref=bench1")?;
    wait(stage, "document.getElementById('offer').dataset.hydrated == 'true'")?;
    expect_link(stage, "static", "static", &click)?;
    expect_offer(stage, &click)?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_quiet()
}

pub fn a_next_page_keeps_its_click_from_route_to_route(stage: &mut Stage) -> Result<()> {
    let click = arrived(stage, "next?ref=bench1")?;
    stage.run("window.isSameDocument = true")?;
    stage.browser.click("#pricing")?;
    expect_link(stage, "pro", "pro", &click)?;
    expect_offer(stage, &click)?;
    stage.browser.click("#landing")?;
    expect_link(stage, "static", "static", &click)?;
    assert_eq!(stage.run("return isSameDocument")?, true);
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_quiet()
}

pub fn a_next_route_with_another_ref_is_another_click(stage: &mut Stage) -> Result<()> {
    let first = arrived(stage, "next?ref=bench1")?;
    stage.run("window.isSameDocument = true")?;
    stage.browser.click("#partner")?;
    wait(stage, "document.getElementById('pro')")?;
    let second = expect_another_click(stage, &first)?;
    assert_eq!(stage.run("return location.pathname + location.search")?, "/next/pricing?ref=bench2");
    expect_link(stage, "pro", "pro", &second)?;
    expect_offer(stage, &second)?;
    stage.browser.click("#landing")?;
    expect_link(stage, "static", "static", &second)?;
    assert_eq!(stage.run("return isSameDocument")?, true);
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_quiet()
}

pub fn a_next_site_of_the_pages_router_keeps_its_click_and_takes_another(stage: &mut Stage) -> Result<()> {
    let first = arrived(stage, "next/classic?ref=bench1")?;
    stage.run("window.isSameDocument = true")?;
    expect_link(stage, "static", "static", &first)?;
    expect_offer(stage, &first)?;
    stage.browser.click("#partner")?;
    wait(stage, "document.getElementById('pro')")?;
    let second = expect_another_click(stage, &first)?;
    expect_link(stage, "pro", "pro", &second)?;
    expect_offer(stage, &second)?;
    stage.browser.click("#landing")?;
    expect_link(stage, "static", "static", &second)?;
    assert_eq!(stage.run("return isSameDocument")?, true);
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_quiet()
}

pub fn a_vite_page_is_marked_late_and_after_each_render(stage: &mut Stage) -> Result<()> {
    for page in VITE_PAGES {
        let click = arrived(stage, &format!("{page}?ref=bench1"))?;
        expect_link(stage, "late", "basic", &click).context(page)?;
        expect_offer(stage, &click).context(page)?;
        stage.browser.click("#pricing")?;
        expect_link(stage, "late", "pro", &click).context(page)?;
        expect_offer(stage, &click).context(page)?;
        assert_eq!(stage.clicks()?.len(), 0, "{page}");
        stage.run("history.back()")?;
        expect_link(stage, "late", "basic", &click).context(page)?;
        assert_eq!(stage.clicks()?.len(), 0, "{page}");
        stage.expect_quiet().context(page)?;
    }
    Ok(())
}

pub fn a_vite_route_with_another_ref_is_another_click_though_the_router_takes_it_away(stage: &mut Stage) -> Result<()> {
    let first = arrived(stage, "vite-react?ref=bench1")?;
    wait(stage, "location.search == ''")?;
    stage.browser.click("#partner")?;
    let second = expect_another_click(stage, &first)?;
    assert_eq!(stage.run("return location.pathname + location.search")?, "/vite-react/pricing");
    expect_link(stage, "late", "pro", &second)?;
    expect_offer(stage, &second)?;
    stage.run("history.back()")?;
    expect_link(stage, "late", "basic", &second)?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_quiet()
}

pub fn a_tag_manager_may_put_the_tag_in_late(stage: &mut Stage) -> Result<()> {
    let click = arrived(stage, "30-tag-manager?ref=bench1")?;
    assert_eq!(stage.run("return document.scripts[0].src.endsWith('/v1/selgeo.js')")?, true);
    stage.expect_marked(&click)?;
    stage.expect_quiet()
}

/// Arrives on a page whose tag may come at any time: one click of `bench1`.
fn arrived(stage: &mut Stage, page: &str) -> Result<String> {
    stage.arrive(page).with_context(|| format!("{page}: `cargo xtask sites` builds it"))?;
    wait(stage, "window.__selgeo && __selgeo.getClickId()").with_context(|| page.to_owned())?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1, "{page}");
    assert_eq!(clicks[0].body["ref"], "bench1", "{page}");
    stage.click_id()
}

/// The route's ref has become the tab's click.
fn expect_another_click(stage: &mut Stage, first: &str) -> Result<String> {
    stage.browser.until("return __selgeo.getClickId() != arguments[0]", &json!([first]))?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench2");
    stage.click_id()
}

/// The links of `offer.jsx` are marked, however React writes them again, and at the latest when they are used.
fn expect_offer(stage: &Stage, click: &str) -> Result<()> {
    expect_link(stage, "plan", "month", click)?;
    expect_link(stage, "made-anew", "anew", click)?;
    stage.run("window.former = document.getElementById('made-anew')")?;
    stage.browser.click("#more")?;
    wait(stage, "document.getElementById('plan').dataset.count == '1' && !former.isConnected")?;
    expect_link(stage, "plan", "month", click)?;
    expect_link(stage, "made-anew", "anew", click)?;
    stage.browser.click("#switch")?;
    expect_link(stage, "plan", "year", click)?;
    // React writes in a microtask; the click comes in the next one, before any observer can have seen what was written.
    let hrefs = stage.run(
        "const link = document.getElementById('plan'); \
         addEventListener('click', (event) => link.contains(event.target) && event.preventDefault()); \
         document.getElementById('switch').click(); \
         return Promise.resolve().then(() => { const written = link.href; link.click(); return [written, link.href] })",
    )?;
    assert_eq!(hrefs, json!(["https://buy.stripe.com/test_month", marked("month", click)]));
    Ok(())
}

fn expect_link(stage: &Stage, id: &str, path: &str, click: &str) -> Result<()> {
    let script = "return document.getElementById(arguments[0])?.getAttribute('href') == arguments[1]";
    stage.browser.until(script, &json!([id, marked(path, click)])).map(drop)
}

fn marked(path: &str, click: &str) -> String {
    format!("https://buy.stripe.com/test_{path}?client_reference_id={click}")
}

fn wait(stage: &Stage, condition: &str) -> Result<()> {
    stage.browser.until(&format!("return {condition}"), &json!([])).map(drop)
}
