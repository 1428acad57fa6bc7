//! Consent: nothing before it, and nothing after a refusal.

use anyhow::Result;
use e2e::Stage;
use serde_json::{Value, json};

use crate::click::HANDED;

pub fn nothing_happens_before_consent_and_nothing_stays_after_refusal(stage: &mut Stage) -> Result<()> {
    stage.arrive("16-consent?ref=bench1")?;
    stage.run("window.told = []; __selgeo.onClickId(() => { throw 1 }); __selgeo.onClickId((id) => told.push(id))")?;
    assert_eq!(stage.clicks()?.len(), 0);
    assert_eq!(stage.run("return Object.keys(sessionStorage)")?, json!([]));
    stage.expect_untouched()?;
    stage.run("__selgeo.consent(true)")?;
    assert_eq!(stage.clicks()?.len(), 1);
    let click = stage.click_id()?;
    stage.expect_marked(&click)?;
    stage.browser.until("return told.length > 0", &json!([]))?;
    assert_eq!(stage.run("__selgeo.onClickId((id) => told.push(id)); return told")?, json!([click, click]));
    stage.run("__selgeo.consent(false)")?;
    assert_eq!(stage.run("return Object.keys(sessionStorage)")?, json!([]));
    assert_eq!(stage.run("return __selgeo.getClickId()")?, Value::Null);
    // What is ours is gone from the page.
    assert_eq!(stage.link("plain")?, "https://buy.stripe.com/test_a");
    assert_eq!(
        stage.link("query")?,
        "https://buy.stripe.com/test_b?prefilled_email=a%2Bb%40x.example&note=a%20b~&flag#frag"
    );
    assert_eq!(stage.link("own")?, "https://buy.stripe.com/test_c?client_reference_id=order_7");
    let ours = "const id = arguments[0]; return document.documentElement.outerHTML.includes(id)";
    assert_eq!(stage.browser.run(ours, &json!([click]))?, false);
    // Whoever agrees after all is a new visitor, who came by the same link, whatever the address says by now.
    stage.run("history.replaceState(1, '', '/a'); __selgeo.consent(true)")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench1");
    let again = stage.click_id()?;
    assert_ne!(again, click);
    assert_eq!(stage.link("plain")?, format!("https://buy.stripe.com/test_a?client_reference_id={again}"));
    stage.expect_quiet()
}

pub fn a_refusal_that_comes_before_rust_runs_counts(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    stage.click_id()?;
    stage.browser.go(&stage.site.page("27-refused-at-once?ref=bench2"))?;
    stage.browser.until("return !sessionStorage.__selgeo_cid", &json!([]))?;
    // WebAssembly has asked before the page could say a word; what is answered is not kept.
    assert_eq!(stage.clicks()?.len(), usize::from(stage.has_webassembly()));
    assert_eq!(stage.run("return __selgeo.getClickId()")?, Value::Null);
    stage.expect_untouched()
}

pub fn an_older_address_does_not_come_back_by_consent(stage: &mut Stage) -> Result<()> {
    let handed = HANDED;
    stage.arrive(&format!("19-single-page?trac_click_id={handed}"))?;
    assert_eq!(stage.click_id()?, handed);
    stage.run("history.pushState(1, '', '/a?ref=bench1'); history.pushState(2, '', '/b')")?;
    assert_eq!(stage.clicks()?.len(), 1);
    let click = stage.click_id()?;
    stage.run("__selgeo.consent(true)")?;
    assert_eq!(stage.clicks()?.len(), 0);
    assert_eq!(stage.click_id()?, click);
    // While the visitor has not agreed the last address that said anything is remembered, and no more than that.
    stage.arrive("16-consent?ref=bench1")?;
    stage.run("history.pushState(1, '', '/a?ref=bench2'); history.pushState(2, '', '/b')")?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.run("__selgeo.consent(true)")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench2");
    stage.expect_quiet()
}
