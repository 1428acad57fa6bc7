//! The demo shop in a real browser: from a partner's link to the ledger, and which links the snippet marks on the way.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::shop::Shop;

const CLICK_ID: &str = "return window.__selgeo ? __selgeo.getClickId() : null";
const HREF: &str = "return document.querySelector(arguments[0]).getAttribute('href')";

/// Arrives by the demo link in a tab that has never been here; gives the click's id.
fn arrive(stage: &Shop) -> Result<String> {
    let browser = &stage.browser;
    browser.go(&format!("{}/healthz", stage.server.url()))?;
    browser.run("sessionStorage.clear()", &json!([]))?;
    browser.go(&format!("{}/demo?ref=demo", stage.server.url()))?;
    let click = browser.until(CLICK_ID, &json!([]))?;
    Ok(click.as_str().context("the click id is a text")?.to_owned())
}

pub fn a_visitor_of_the_demo_shop_becomes_a_commission(stage: &mut Shop) -> Result<()> {
    let click = arrive(stage)?;
    let (browser, server) = (&stage.browser, &stage.server);

    browser.click(".hero .button")?;
    let carries = "return (document.querySelector('#buy')?.href ?? '').includes(arguments[0])";
    browser.until(carries, &json!([click]))?;
    let stripe = browser.run(HREF, &json!(["#stripe"]))?;
    assert_eq!(stripe, json!(format!("https://buy.stripe.com/test_demo?client_reference_id={click}")));

    for (link, commission) in [("#buy", "4.80 EUR"), ("#subscribe", "3.60 EUR")] {
        browser.go(&format!("{}/demo/product", server.url()))?;
        browser.click(link)?;
        let reference = "return document.querySelector('#client-reference-id')?.textContent";
        assert_eq!(browser.until(reference, &json!([]))?, json!(click));
        browser.click("form button")?;
        browser.until("return location.pathname == '/demo/thanks'", &json!([]))?;
        // Back at the shop's own origin, whose storage still holds the click.
        assert_eq!(browser.until(CLICK_ID, &json!([]))?, json!(click));
        browser.click(".narrow .button")?;
        // The ledger loads itself anew.
        browser.until("return document.body.innerText.includes(arguments[0])", &json!([commission]))?;
    }
    let explained = format!("Click {click}: valid.");
    browser.until("return document.body.innerText.includes(arguments[0])", &json!([explained]))?;
    Ok(())
}

pub fn links_to_listed_payment_hosts_carry_the_click(stage: &mut Shop) -> Result<()> {
    let click = arrive(stage)?;
    let browser = &stage.browser;
    // The tag is read at the moment of use, and so is the link.
    let mark = "const [hosts, href] = arguments, { dataset } = document.querySelector('script[data-merchant]');
        if (hosts == null) delete dataset.paymentHosts; else dataset.paymentHosts = hosts;
        const link = document.createElement('a');
        link.href = href;
        document.body.append(link);
        dispatchEvent(new Event('pageshow'));
        const marked = link.getAttribute('href');
        link.remove();
        return marked";
    let check = |hosts: Value, href: &str, carries: bool| -> Result<()> {
        let expected = if carries { format!("{href}?client_reference_id={click}") } else { href.to_owned() };
        let marked = browser.run(mark, &json!([hosts, href]))?;
        assert_eq!(marked, json!(expected), "data-payment-hosts={hosts}");
        Ok(())
    };
    check(json!("pay.example"), "https://pay.example/x", true)?;
    check(json!("a.example, pay.example"), "https://pay.example/x", true)?;
    check(json!("a.example pay.example"), "https://pay.example/x", true)?;
    check(json!("\n  a.example,\n  pay.example\n"), "https://pay.example/x", true)?;
    check(json!("pay.example:8443"), "https://pay.example:8443/x", true)?;
    check(json!("pay.example"), "https://buy.stripe.com/x", true)?;
    check(Value::Null, "https://buy.stripe.com/x", true)?;
    // The exact host, port included.
    check(json!("pay.example"), "https://pay.example:8443/x", false)?;
    check(json!("pay.example"), "https://www.pay.example/x", false)?;
    check(json!("pay.example"), "https://pay.example.evil.example/x", false)?;
    check(json!("pay.example"), "https://evil.example/?pay.example", false)?;
    check(json!(""), "https://pay.example/x", false)?;
    check(Value::Null, "https://pay.example/x", false)?;
    check(json!(","), "mailto:a@pay.example", false)?;
    // Plain HTTP on this machine only.
    check(json!("localhost:8080"), "http://localhost:8080/x", true)?;
    check(json!("127.0.0.1:8080"), "http://127.0.0.1:8080/x", true)?;
    check(json!("[::1]:8080"), "http://[::1]:8080/x", true)?;
    check(json!("localhost"), "http://localhost/x", true)?;
    check(json!("pay.example"), "http://pay.example/x", false)?;
    check(json!("localhost.example"), "http://localhost.example/x", false)?;
    check(json!("127.0.0.1.example"), "http://127.0.0.1.example/x", false)?;
    check(json!("buy.stripe.com"), "http://buy.stripe.com/x", false)?;
    Ok(())
}
