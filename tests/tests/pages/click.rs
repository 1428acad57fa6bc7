//! The click: when it is registered, replaced, handed over and kept.

use anyhow::{Context, Result};
use e2e::Stage;
use serde_json::{Value, json};

/// A click that another page might hand over.
pub const HANDED: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

pub fn without_a_ref_nothing_is_sent_or_touched(stage: &mut Stage) -> Result<()> {
    for page in ["02-watched", "02-watched?ref=", "02-watched?preference=bench1"] {
        stage.arrive(page)?;
        assert_eq!(stage.clicks()?.len(), 0, "{page}");
        assert_eq!(stage.run("return __selgeo.getClickId()")?, Value::Null, "{page}");
        assert_eq!(stage.run("return Object.keys(sessionStorage)")?, json!([]), "{page}");
        stage.expect_untouched().context(page)?;
    }
    Ok(())
}

pub fn another_ref_replaces_the_click(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let (first, token) = (stage.click_id()?, stage.kept()?[1].clone());
    stage.browser.go(&stage.site.page("02-watched?ref=bench2"))?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["visitor_token"], token);
    let second = stage.click_id()?;
    assert_ne!(first, second);
    assert_ne!(stage.kept()?[1], token);
    stage.expect_marked(&second)?;
    stage.expect_quiet()
}

pub fn a_refused_ref_leaves_the_click_that_is_there(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=nobody")?;
    assert_eq!(stage.clicks()?.len(), 1);
    assert_eq!(stage.kept()?, json!([null, null]));
    stage.expect_untouched()?;

    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let (click, kept) = (stage.click_id()?, stage.kept()?);
    stage.browser.go(&stage.site.page("02-watched?ref=nobody"))?;
    assert_eq!(stage.clicks()?.len(), 1);
    assert_eq!(stage.kept()?, kept);
    stage.expect_marked(&click)?;
    stage.expect_quiet()
}

pub fn an_odd_ref_leaves_the_page_alone(stage: &mut Stage) -> Result<()> {
    let long = "a".repeat(300);
    for reference in ["%E0%A4%A", "%", "%00", "%F0%9F%A6%8A", "🦊", "%22%3E%3Cscript%3E", long.as_str()] {
        stage.arrive(&format!("02-watched?ref={reference}"))?;
        // Which refs there are is the server's business.
        assert_eq!(stage.clicks()?.len(), 1, "{reference}");
        assert_eq!(stage.run("return __selgeo.getClickId()")?, Value::Null, "{reference}");
        assert_eq!(stage.kept()?, json!([null, null]), "{reference}");
        stage.expect_untouched().context(reference.to_owned())?;
    }
    Ok(())
}

pub fn odd_answers_leave_the_page_alone(stage: &mut Stage) -> Result<()> {
    for kind in [
        "error",
        "unknown-key",
        "unknown-ref",
        "limited",
        "page",
        "garbage",
        "half",
        "null",
        "number",
        "word",
        "line",
        "object",
        "nothing-there",
        "never",
    ] {
        let api_url = stage.site.page(&format!("answers/{kind}"));
        stage.arrive(&format!("08-api-url?ref=bench1&_api_url={api_url}"))?;
        let clicks = stage.clicks()?;
        assert_eq!(clicks.len(), 1, "{kind}");
        assert_eq!(clicks[0].url, format!("{api_url}/v1/clicks"));
        assert_eq!(stage.kept()?, json!([null, null]), "{kind}");
        stage.expect_untouched().context(kind)?;
    }
    Ok(())
}

pub fn the_fragment_of_the_address_is_not_sent(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1#access_token=secret")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["url"], stage.site.page("02-watched?ref=bench1"));
    // It is only read, never taken away.
    assert_eq!(stage.run("return location.search + location.hash")?, "?ref=bench1#access_token=secret");
    Ok(())
}

pub fn a_click_that_is_handed_over_is_adopted_and_handed_on(stage: &mut Stage) -> Result<()> {
    let click = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    for (given, left) in [
        (format!("?trac_click_id={click}"), ""),
        (format!("?trac_click_id={click}&a=%20b~&flag#x"), "?a=%20b~&flag#x"),
        (format!("?a=+b&trac_click_id={click}&c"), "?a=+b&c"),
        (format!("?a=b&trac_click_id={click}#trac_click_id=1"), "?a=b#trac_click_id=1"),
        (format!("?ref=bench1&trac_click_id={click}"), "?ref=bench1"),
    ] {
        stage.arrive(&format!("18-handed-over{given}"))?;
        assert_eq!(stage.clicks()?.len(), 0, "{given}");
        assert_eq!(stage.run("return location.search + location.hash")?, left, "{given}");
        assert_eq!(stage.kept()?, json!([click, ""]), "{given}");
        stage.expect_marked(click)?;
        assert_eq!(stage.link("tab")?, format!("{}?a=%20b&trac_click_id={click}#c", stage.site.page("18-handed-over")));
        assert_eq!(stage.link("listed")?, format!("https://app.example/x?trac_click_id={click}"));
        for (id, href) in
            [("self", "/18-handed-over"), ("same", "/18-handed-over"), ("foreign", "https://other.example/x")]
        {
            assert_eq!(stage.link(id)?, href, "{id}");
        }
        stage.run("document.getElementById('same').dispatchEvent(new MouseEvent('pointerdown', { bubbles: true, button: 1 }))")?;
        assert_eq!(stage.link("same")?, format!("{}?trac_click_id={click}", stage.site.page("18-handed-over")));
        stage.expect_quiet()?;
    }
    stage.arrive("18-handed-over?trac_click_id=nope")?;
    assert_eq!(stage.run("return location.search")?, "?trac_click_id=nope");
    assert_eq!(stage.kept()?, json!([null, null]));
    stage.expect_untouched()
}

pub fn whoever_waits_for_the_click_is_told_in_turn(stage: &mut Stage) -> Result<()> {
    let wait = "window.told = []; for (const n of [1, 2, 3]) __selgeo.onClickId((id) => told.push([n, id]))";
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    let all = json!([[1, click], [2, click], [3, click]]);
    // With a click that is stored already; before the visitor agrees, and as soon as they do.
    stage.browser.go(&stage.site.page("16-consent"))?;
    stage.run(wait)?;
    assert_eq!(stage.run("return told")?, json!([]));
    stage.run("__selgeo.consent(true)")?;
    stage.browser.until("return told.length == 3", &json!([]))?;
    assert_eq!(stage.run("return told")?, all);
    assert_eq!(stage.clicks()?.len(), 0);
    // And where the page asks before Rust runs.
    stage.browser.go(&stage.site.page("29-asked-at-once"))?;
    stage.browser.until("return told.length == 3", &json!([]))?;
    assert_eq!(stage.run("return told")?, all);
    stage.expect_quiet()
}

pub fn of_clicks_that_overtake_each_other_the_last_counts(stage: &mut Stage) -> Result<()> {
    // Answers come when the test says so, the later request's first.
    let patch = "window.answers = {}; window.fetch = (url, { body }) => new Promise((answer) => { \
        const { ref } = JSON.parse(body); answers[ref] = (id) => answer(new Response(JSON.stringify( \
        { click_id: '3f2504e0-4f89-41d3-9a0c-0305e82c330' + id, visitor_token: ref }))) })";
    let settled = "const [id, done] = arguments; setTimeout(() => done(__selgeo.getClickId()?.at(-1) ?? null), 20)";
    for (order, expected) in [(["a", "b"], "2"), (["b", "a"], "2"), (["a", ""], "1"), (["b", ""], "2")] {
        stage.arrive(&format!("13-hostile?_patch={}", patch.replace('+', "%2B").replace('&', "%26")))?;
        stage.run("history.pushState(1, '', '?ref=a'); history.pushState(2, '', '?ref=b')")?;
        for name in order.iter().filter(|name| !name.is_empty()) {
            stage.run(&format!("answers.{name}({})", if *name == "a" { 1 } else { 2 }))?;
            stage.browser.run_async(settled, &json!([0]))?;
        }
        assert_eq!(stage.browser.run_async(settled, &json!([0]))?, expected, "{order:?}");
        stage.expect_quiet()?;
    }
    Ok(())
}

pub fn a_click_that_was_asked_for_offline_is_sent_once_when_online(stage: &mut Stage) -> Result<()> {
    let patch = "const real = window.fetch; window.offline = true; \
        window.fetch = (...given) => offline ? Promise.reject(new TypeError('offline')) : real(...given)";
    stage.arrive(&format!("13-hostile?ref=bench1&_patch={patch}"))?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.run("dispatchEvent(new Event('online'))")?;
    assert_eq!(stage.clicks()?.len(), 0);
    assert_eq!(stage.run("return __selgeo.getClickId()")?, Value::Null);
    stage.run("window.offline = false; for (let n = 3; n--;) dispatchEvent(new Event('online'))")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.run("dispatchEvent(new Event('online'))")?;
    assert_eq!(stage.clicks()?.len(), 0);
    // One that could not be asked for is not asked for over a newer one.
    stage.run("window.offline = true; history.pushState(1, '', '?ref=bench2')")?;
    stage.run("window.offline = false; history.pushState(2, '', '?ref=bench3')")?;
    stage.run("dispatchEvent(new Event('online'))")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.iter().map(|click| &click.body["ref"]).collect::<Vec<_>>(), ["bench3"]);
    stage.expect_quiet()
}
