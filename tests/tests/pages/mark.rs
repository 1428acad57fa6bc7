//! The mark on links, elements and forms that lead to Stripe.

use anyhow::Result;
use e2e::Stage;
use serde_json::json;

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
