//! The tag itself: what it loads, where it sends, and pages that make it hard.

use anyhow::{Context, Result, ensure};
use e2e::Stage;
use serde_json::{Value, json};

/// What a page loads of us: the first, and where it cannot run, the other as well.
const SCRIPTS: [&str; 2] = ["/v1/selgeo.js", "/v1/selgeo-fallback.js"];

/// Script and API on two hosts, as the documentation has them.
pub fn a_policy_without_webassembly_captures_and_decorates(stage: &mut Stage) -> Result<()> {
    stage.arrive("09-documented-policy?ref=bench1")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].url, format!("{}/v1/clicks", stage.api_origin()));
    let click = stage.click_id()?;
    assert_eq!(stage.scripts()?, json!(SCRIPTS));
    // The attempt with WebAssembly is all that the browser may tell of. WebKitGTK 2.50 refuses it without a word.
    let refused = stage.run("return refused")?;
    let is_told = stage.has_webassembly() && refused == json!(["script-src wasm-eval"]);
    ensure!(is_told || refused == json!([]), "the policy was broken: {refused}");
    assert_eq!(stage.kept()?[0], click);
    stage.expect_marked(&click)?;
    stage.browser.reload()?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_marked(&click)?;
    stage.expect_quiet()
}

/// One file where WebAssembly is there, which the modes of these tests differ in; the same Rust in a second one where not.
pub fn a_page_loads_no_more_than_it_needs(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    let count = if stage.has_webassembly() { 1 } else { 2 };
    assert_eq!(stage.scripts()?, json!(&SCRIPTS[..count]));
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_tag_with_a_bad_key_leaves_the_page_alone(stage: &mut Stage) -> Result<()> {
    let secret = format!("sk_live_{}", "a".repeat(32));
    for key in ["", "garbage", "pk_test_a%20b", secret.as_str()] {
        stage.arrive(&format!("03-any-key?ref=bench1&_merchant={key}"))?;
        assert_eq!(stage.clicks()?.len(), 0, "{key}");
        assert_eq!(stage.run("return __selgeo.getClickId()")?, Value::Null, "{key}");
        stage.expect_untouched().context(key.to_owned())?;
    }
    stage.arrive("04-no-key?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_untouched()?;
    // In the form of a key, but nobody's: it costs a request, and nothing else.
    for kind in ["test", "prod"] {
        let nobody = format!("pk_{kind}_{}", "a".repeat(32));
        stage.arrive(&format!("03-any-key?ref=bench1&_merchant={nobody}"))?;
        assert_eq!(stage.clicks()?.len(), 1, "{nobody}");
        assert_eq!(stage.kept()?, json!([null, null]), "{nobody}");
        stage.expect_untouched()?;
    }
    Ok(())
}

pub fn two_tags_make_one_click(stage: &mut Stage) -> Result<()> {
    stage.arrive("06-loaded-twice?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_tag_that_is_inserted_later_works(stage: &mut Stage) -> Result<()> {
    stage.arrive("11-inserted-later?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_tag_that_is_a_module_works(stage: &mut Stage) -> Result<()> {
    stage.arrive("24-module?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_mount_and_an_api_url_say_where_clicks_go(stage: &mut Stage) -> Result<()> {
    let worker = stage.api_origin().to_owned();
    let elsewhere = worker.replace("127.0.0.1", "localhost");
    for (page, expected) in [
        ("07-mounted?ref=bench1".to_owned(), format!("{worker}/_s/v1/clicks")),
        (format!("08-api-url?ref=bench1&_api_url={elsewhere}"), format!("{elsewhere}/v1/clicks")),
        (format!("08-api-url?ref=bench1&_api_url={elsewhere}/_s/"), format!("{elsewhere}/_s/v1/clicks")),
        ("08-api-url?ref=bench1&_api_url=".to_owned(), format!("{worker}/v1/clicks")),
    ] {
        stage.arrive(&page)?;
        let clicks = stage.clicks()?;
        assert_eq!(clicks.len(), 1, "{page}");
        assert_eq!(clicks[0].url, expected, "{page}");
        stage.expect_marked(&stage.click_id()?)?;
        stage.expect_quiet()?;
    }
    Ok(())
}

pub fn blocked_storage_degrades_to_memory(stage: &mut Stage) -> Result<()> {
    stage.arrive("05-storage-blocked?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_page_that_broke_the_browser_notices_nothing(stage: &mut Stage) -> Result<()> {
    for (patch, can_register) in [
        ("window.fetch = () => { throw 1 }", false),
        ("window.fetch = () => 5", false),
        ("window.fetch = () => Promise.reject(Error('x'))", false),
        ("window.fetch = () => new Promise(() => {})", false),
        ("const real = JSON.stringify; JSON.stringify = (v) => { if (v?.ref) throw 1; return real(v) }", false),
        ("window.URL = undefined", false),
        ("window.URLSearchParams = undefined", true),
        ("window.self = {}", true),
        ("String.prototype.format = () => 0", true),
        ("performance.getEntriesByType = () => []", true),
    ] {
        stage.arrive(&format!("13-hostile?ref=bench1&_patch={}", patch.replace('+', "%2B")))?;
        assert_eq!(stage.clicks()?.len(), usize::from(can_register), "{patch}");
        let click = stage.run("return __selgeo.getClickId()")?;
        assert_eq!(click.is_string(), can_register, "{patch}");
        stage.expect_quiet().context(patch)?;
    }
    Ok(())
}
