//! What the snippet does to a page, and what it must never do.

use anyhow::{Context, Result, ensure};
use e2e::{Engine, Stage};
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

pub fn only_links_to_stripe_itself_are_marked(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    stage.expect_marked(&stage.click_id()?)?;
    // Used, they are looked at again.
    stage.run(
        "addEventListener('click', (event) => event.preventDefault()); \
         for (const link of document.links) { link.click(); link.dispatchEvent(new Event('pointerdown')); }",
    )?;
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn a_link_that_comes_later_is_marked_when_it_is_used(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    let hrefs = stage.run(
        "addEventListener('click', (event) => event.preventDefault()); \
         const box = document.createElement('div'); document.body.append(box); \
         box.innerHTML = '<a href=\"https://buy.stripe.com/late\"><b>Buy</b></a><div></div>'; \
         const root = box.lastChild.attachShadow({ mode: 'open' }); \
         root.innerHTML = '<a href=\"https://buy.stripe.com/shadow\">Buy</a>'; \
         const links = [box.firstChild, root.firstChild]; \
         box.querySelector('b').click(); root.firstChild.click(); \
         return links.map((link) => link.href);",
    )?;
    let expected = ["late", "shadow"].map(|path| format!("https://buy.stripe.com/{path}?client_reference_id={click}"));
    assert_eq!(hrefs, json!(expected));
    stage.expect_quiet()
}

pub fn what_comes_late_is_marked_before_it_is_used(stage: &mut Stage) -> Result<()> {
    stage.arrive("14-late?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    let marked = |path: &str| json!(format!("https://buy.stripe.com/{path}?client_reference_id={click}"));
    stage.run(
        "app.innerHTML = '<p><a id=late href=\"https://buy.stripe.com/late\">Buy</a></p><div id=host></div>'; \
         window.root = host.attachShadow({ mode: 'open' }); \
         root.innerHTML = '<p><i></i></p>';",
    )?;
    let href = |script: &str, path: &str| -> Result<()> {
        let done = format!("return {script} == arguments[0]");
        stage.browser.until(&done, &json!([marked(path)])).map(drop)
    };
    href("late.href", "late")?;
    // A framework gives the same element another address, or puts another in its place.
    stage.run("late.href = 'https://buy.stripe.com/again'")?;
    href("late.href", "again")?;
    stage.run("app.firstChild.innerHTML = '<a id=late href=\"https://buy.stripe.com/third\">Buy</a>'")?;
    href("late.href", "third")?;
    stage.run("late.href = 'https://buy.stripe.com/own?client_reference_id=order_9'")?;
    // In a shadow root that was there when its host was seen.
    stage.run("root.firstChild.innerHTML = '<a href=\"https://buy.stripe.com/shadow\">Buy</a>'")?;
    href("root.querySelector('a').href", "shadow")?;
    let many = "host.innerHTML = '<a href=\"https://buy.stripe.com/many\">Buy</a>'.repeat(5000)";
    stage.run(many)?;
    href("host.lastChild.href", "many")?;
    href("host.firstChild.href", "many")?;
    assert_eq!(stage.run("return late.href")?, "https://buy.stripe.com/own?client_reference_id=order_9");
    stage.expect_marked(&click)?;
    stage.expect_quiet()
}

pub fn stripes_elements_and_forms_carry_the_click(stage: &mut Stage) -> Result<()> {
    const STATE: &str = "const values = (id) => [...document.getElementById(id).children] \
             .filter((field) => field.name == 'client_reference_id').map((field) => field.value); \
         const reference = (id) => document.getElementById(id).getAttribute('client-reference-id'); \
         return [['button', 'own-button', 'table'].map(reference), \
             ['form', 'listed', 'own-form', 'empty-form', 'elsewhere', 'broken', 'without-action'].map(values)]";
    stage.arrive("15-elements-and-forms")?;
    assert_eq!(stage.clicks()?.len(), 0);
    let untouched = json!([[null, "order_7", null], [[], [], ["order_7"], [""], [], [], []]]);
    assert_eq!(stage.run(STATE)?, untouched);

    for reference in ["bench1", "bench2"] {
        stage.browser.go(&stage.site.page(&format!("15-elements-and-forms?ref={reference}")))?;
        stage.clicks()?;
        let click = stage.click_id()?;
        let marked = json!([[click, "order_7", click], [[click], [click], ["order_7"], [""], [], [], []]]);
        assert_eq!(stage.run(STATE)?, marked);
        // Defined afterwards, and one that a framework makes after that.
        stage.run(
            "customElements.define('stripe-buy-button', class extends HTMLElement {}); \
             const late = document.createElement('stripe-buy-button'); late.id = 'late'; document.body.append(late);",
        )?;
        let late = "return document.getElementById('late').getAttribute('client-reference-id') == arguments[0]";
        stage.browser.until(late, &json!([click]))?;
        // What a framework takes away comes back; what the merchant fills in stays.
        stage.run(
            "button.removeAttribute('client-reference-id'); table.setAttribute('client-reference-id', 'order_8')",
        )?;
        let back = "return document.getElementById('button').getAttribute('client-reference-id') == arguments[0]";
        stage.browser.until(back, &json!([click]))?;
        assert_eq!(stage.run("return table.getAttribute('client-reference-id')")?, "order_8");
        // A form that is made anew, looked at no later than when it is sent.
        let sent = stage.run(
            "addEventListener('submit', (event) => event.preventDefault()); \
             form.innerHTML = '<button>Buy</button>'; form.requestSubmit(); \
             return new FormData(form).getAll('client_reference_id');",
        )?;
        assert_eq!(sent, json!([click]));
        stage.expect_marked(&click)?;
        stage.expect_quiet()?;
    }
    // A newer click in the same document takes the place of the older one.
    let newer = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    let values = stage.run(&format!(
        "sessionStorage.__selgeo_cid = '{newer}'; dispatchEvent(new Event('pageshow')); \
         return [form.lastChild.value, button.getAttribute('client-reference-id'), \
             table.getAttribute('client-reference-id'), document.querySelectorAll('#form input').length];",
    ))?;
    assert_eq!(values, json!([newer, newer, "order_8", 1]));
    Ok(())
}

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

pub fn odd_elements_are_marked_rightly_or_not_at_all(stage: &mut Stage) -> Result<()> {
    stage.arrive("28-odd-elements?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    stage.expect_marked(&click)?;
    assert_eq!(stage.link("drawn")?, format!("https://buy.stripe.com/drawn?client_reference_id={click}"));
    assert_eq!(stage.link("drawn-elsewhere")?, "https://shop.example/");
    let sent = "return new FormData(document.getElementById('outside')).getAll('client_reference_id')";
    assert_eq!(stage.run(sent)?, json!(["order_7"]));
    // A place in this page is no other page, however it is used; with the keyboard a page is not only opened.
    let used = "const [id, type, init, kind] = arguments, element = document.getElementById(id);
        addEventListener('click', (event) => event.preventDefault());
        element.dispatchEvent(new self[kind](type, { bubbles: true, composed: true, cancelable: true, ...init }));
        return element.getAttribute('href')";
    for id in ["place", "place-in-tab"] {
        for (event, init, kind) in [
            ("keydown", json!({"key": "Tab", "shiftKey": true}), "KeyboardEvent"),
            ("keydown", json!({"key": "Enter", "ctrlKey": true}), "KeyboardEvent"),
            ("pointerdown", json!({"button": 2}), "PointerEvent"),
            ("click", json!({"ctrlKey": true}), "MouseEvent"),
        ] {
            assert_eq!(stage.browser.run(used, &json!([id, event, init, kind]))?, "#links", "{id} {event}");
        }
    }
    let other = |key: &str| json!(["other-page", "keydown", {"key": key, "ctrlKey": true}, "KeyboardEvent"]);
    assert_eq!(stage.browser.run(used, &other("c"))?, "/10-no-tag#links");
    let handed = format!("{}?trac_click_id={click}#links", stage.site.page("10-no-tag"));
    assert_eq!(stage.browser.run(used, &other("Enter"))?, json!(handed));
    // What the page calls as the browser calls things stays the page's, and ours stays ours.
    assert_eq!(stage.run("return [target, search, __selgeo.getClickId()]")?, json!(["chart", "", click]));
    stage.expect_quiet()
}

pub fn a_prerendered_page_waits_for_its_visitor(stage: &mut Stage) -> Result<()> {
    stage.arrive("17-prerendered?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_untouched()?;
    stage.run("delete document.prerendering; document.dispatchEvent(new Event('prerenderingchange'))")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn the_page_can_have_an_address_or_a_link_marked(stage: &mut Stage) -> Result<()> {
    let decorate = "const link = document.createElement('a'); link.href = 'https://pay.example/y#z'; \
         return [__selgeo.decorate('https://pay.example/x?a=%20b'), __selgeo.decorate(link) === link, link.href, \
             __selgeo.decorate('https://pay.example/?client_reference_id=order_7'), __selgeo.version.length > 0]";
    stage.arrive("02-watched")?;
    let own = "https://pay.example/?client_reference_id=order_7";
    let same = json!(["https://pay.example/x?a=%20b", true, "https://pay.example/y#z", own, true]);
    assert_eq!(stage.run(decorate)?, same);
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    let marked = json!([
        format!("https://pay.example/x?a=%20b&client_reference_id={click}"),
        true,
        format!("https://pay.example/y?client_reference_id={click}#z"),
        own,
        true
    ]);
    assert_eq!(stage.run(decorate)?, marked);
    stage.expect_quiet()
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

pub fn blocked_storage_degrades_to_memory(stage: &mut Stage) -> Result<()> {
    stage.arrive("05-storage-blocked?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
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

pub fn a_ref_that_a_router_took_away_is_found(stage: &mut Stage) -> Result<()> {
    stage.arrive("12-stripped-ref?ref=bench1")?;
    assert_eq!(stage.run("return location.search")?, "");
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench1");
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

pub fn the_fragment_of_the_address_is_not_sent(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1#access_token=secret")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["url"], stage.site.page("02-watched?ref=bench1"));
    // It is only read, never taken away.
    assert_eq!(stage.run("return location.search + location.hash")?, "?ref=bench1#access_token=secret");
    Ok(())
}

pub fn without_a_navigation_entry_moving_on_still_counts(stage: &mut Stage) -> Result<()> {
    // Browsers that guard against being recognized give none.
    stage.arrive("13-hostile?_patch=performance.getEntriesByType = () => []")?;
    assert_eq!(stage.clicks()?.len(), 0);
    stage.run("history.pushState(1, '', '?ref=bench1')")?;
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

pub fn moving_on_within_a_page_counts_as_arriving(stage: &mut Stage) -> Result<()> {
    stage.arrive("19-single-page")?;
    assert_eq!(stage.clicks()?.len(), 0);
    // Of a full history Chromium first forgets the entries of pages that nobody touched.
    stage.browser.click("#nothing")?;
    // A router that first corrects and then pushes, one request all the same.
    stage.run("history.replaceState(1, '', '/a?ref=bench1'); history.pushState(2, '', '/b?ref=bench1&x=1')")?;
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!([&clicks[0].body["ref"], &clicks[0].body["url"]], ["bench1", &stage.site.page("a?ref=bench1")]);
    let first = stage.click_id()?;
    stage.expect_marked(&first)?;
    // On without a ref, by the hash, and back: nothing that is new.
    stage.run("history.pushState(3, '', '/c'); location.hash = '#/d?ref=bench2'")?;
    let back = "const done = arguments[0];
        addEventListener('popstate', () => done(location.pathname + location.hash), { once: true });
        history.back()";
    assert_eq!(stage.browser.run_async(back, &json!([]))?, "/c");
    assert_eq!(stage.browser.run_async(back, &json!([]))?, "/b");
    assert_eq!(stage.clicks()?.len(), 0);
    assert_eq!(stage.click_id()?, first);
    // What the page's own calls give and keep is as ever.
    assert_eq!(stage.run("return [history.state, history.pushState(4, '', '/e?ref=bench2')]")?, json!([2, null]));
    let clicks = stage.clicks()?;
    assert_eq!(clicks.len(), 1);
    assert_eq!(clicks[0].body["ref"], "bench2");
    let second = stage.click_id()?;
    assert_ne!(first, second);
    stage.expect_marked(&second)?;
    // A ref that is refused is asked for once.
    stage.run("for (const path of ['f', 'g', 'h']) history.pushState(5, '', '/' + path + '?ref=nobody')")?;
    assert_eq!(stage.clicks()?.len(), 1);
    assert_eq!(stage.click_id()?, second);
    // A click that is handed over on the way.
    let handed = HANDED;
    stage.run(&format!("history.pushState(6, '', '/i?trac_click_id={handed}&k')"))?;
    assert_eq!(stage.run("return location.pathname + location.search")?, "/i?k");
    assert_eq!(stage.click_id()?, handed);
    stage.expect_marked(handed)?;
    // An address that the browser refuses throws what it ever threw.
    let thrown = "try { history.pushState(7, '', 'https://other.example/') } catch (error) { return error.name }";
    assert_eq!(stage.run(thrown)?, "SecurityError");
    assert_eq!(stage.clicks()?.len(), 0);
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

pub fn a_root_that_an_element_gets_later_is_looked_into(stage: &mut Stage) -> Result<()> {
    stage.arrive("19-single-page?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    stage.run(
        "window.root = host.attachShadow({ mode: 'open' }); \
         setTimeout(() => { root.innerHTML = '<a href=\"https://buy.stripe.com/shadow\">Buy</a>' }, 20)",
    )?;
    let marked = format!("https://buy.stripe.com/shadow?client_reference_id={click}");
    stage.browser.until("return root.querySelector('a')?.href == arguments[0]", &json!([marked]))?;
    stage.expect_quiet()
}

pub fn an_element_that_throws_keeps_no_other_from_its_mark(stage: &mut Stage) -> Result<()> {
    stage.arrive("19-single-page?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    stage.run(
        "host.innerHTML = '<a href=\"https://buy.stripe.com/before\">Buy</a>' + \
            '<form action=\"https://buy.stripe.com/x\"><input name=getAttribute></form>' + \
            '<a href=\"https://buy.stripe.com/after\">Buy</a>'",
    )?;
    let marked = |path: &str| json!(format!("https://buy.stripe.com/{path}?client_reference_id={click}"));
    stage.browser.until("return host.lastChild.href == arguments[0]", &json!([marked("after")]))?;
    stage.browser.until("return host.firstChild.href == arguments[0]", &json!([marked("before")]))?;
    stage.expect_quiet()
}

pub fn a_tag_that_is_a_module_works(stage: &mut Stage) -> Result<()> {
    stage.arrive("24-module?ref=bench1")?;
    assert_eq!(stage.clicks()?.len(), 1);
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}

pub fn every_way_of_using_a_link_finds_it_marked(stage: &mut Stage) -> Result<()> {
    stage.arrive("19-single-page?ref=bench1")?;
    stage.clicks()?;
    let click = stage.click_id()?;
    // Each on a link that no observer had time to see.
    let used = "const [type, init, kind] = arguments, event = new self[kind](type, { bubbles: true, composed: true, cancelable: true, ...init });
        addEventListener(type, (event) => event.preventDefault());
        host.innerHTML = '<a href=\"https://buy.stripe.com/late\"><b>Buy</b></a>';
        host.querySelector('b').dispatchEvent(event);
        return host.firstChild.href";
    let marked = json!(format!("https://buy.stripe.com/late?client_reference_id={click}"));
    for (event, init, kind) in [
        ("pointerdown", json!({"button": 0}), "PointerEvent"),
        ("pointerdown", json!({"button": 2}), "PointerEvent"),
        ("click", json!({}), "MouseEvent"),
        ("click", json!({"ctrlKey": true}), "MouseEvent"),
        ("auxclick", json!({"button": 1}), "MouseEvent"),
        ("keydown", json!({"key": "Enter"}), "KeyboardEvent"),
    ] {
        assert_eq!(stage.browser.run(used, &json!([event, init, kind]))?, marked, "{event} {init}");
    }
    // A link of this site that opens a tab only because of how it is used.
    let own = "host.innerHTML = '<a href=\"/18-handed-over?a\">Next</a>'; \
        host.firstChild.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, ...arguments[0] })); \
        return host.firstChild.getAttribute('href')";
    let handed = stage.site.page(&format!("18-handed-over?a&trac_click_id={click}"));
    for key in ["ctrlKey", "metaKey", "shiftKey"] {
        assert_eq!(stage.browser.run(own, &json!([{ key: true }]))?, json!(handed), "{key}");
    }
    assert_eq!(stage.browser.run(own, &json!([{}]))?, "/18-handed-over?a");
    stage.expect_quiet()
}

pub fn back_and_forward_ask_for_nothing_and_show_the_newest_click(stage: &mut Stage) -> Result<()> {
    stage.arrive("02-watched?ref=bench1")?;
    stage.clicks()?;
    let first = stage.click_id()?;
    stage.browser.go(&stage.site.page("19-single-page"))?;
    stage.browser.back()?;
    assert_eq!(stage.run("return location.pathname")?, "/02-watched");
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_marked(&first)?;
    stage.browser.forward()?;
    assert_eq!(stage.run("return location.pathname")?, "/19-single-page");
    assert_eq!(stage.clicks()?.len(), 0);
    stage.expect_marked(&first)?;
    // What stood still meanwhile learns of the newer click when it comes back: the event is what the browser sends then.
    stage.run(&format!("sessionStorage.__selgeo_cid = '{HANDED}'; dispatchEvent(new PageTransitionEvent('pageshow', {{ persisted: true }}))"))?;
    stage.expect_marked(HANDED)?;
    stage.expect_quiet()
}

/// A click that another page might hand over.
const HANDED: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

pub fn a_page_that_the_browser_prerenders_registers_when_it_is_visited(stage: &mut Stage) -> Result<()> {
    stage.arrive("25-speculation")?;
    // The page is fetched and run in advance, where the browser does such things; nothing is asked for.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(stage.clicks()?.len(), 0);
    stage.browser.click("#next")?;
    stage.browser.until("return location.pathname == '/02-watched' && window.__selgeo?.getClickId()", &json!([]))?;
    assert_eq!(stage.clicks()?.len(), 1);
    if stage.browser.engine() == Engine::Chromium {
        let prerendered = "return performance.getEntriesByType('navigation')[0].activationStart > 0";
        assert_eq!(stage.run(prerendered)?, true, "this would test nothing");
    }
    stage.expect_marked(&stage.click_id()?)?;
    stage.expect_quiet()
}
