//! The demo as a visitor goes through it, by requests.

use serde_json::json;

use super::{POLICY, other_origin};
use crate::testing::{Answer, Keys, World};

const SHOP: &str = "http://127.0.0.1:8787";
const CHECKOUT: &str = "http://localhost:8787";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A world with the demo workspace, as `cargo xtask dev` makes it.
fn demo() -> (World, Keys) {
    let world = World::dev();
    let keys = world.workspace("Demo shop");
    world.program(&keys.sk_test, "demo");
    world.stripe_connection(&keys.sk_test);
    (world, keys)
}

fn get(world: &World, url: &str) -> Answer {
    world.send_bytes(&format!("GET {url}"), &[], Vec::new())
}

#[track_caller]
fn page(world: &World, url: &str) -> String {
    let answer = get(world, url);
    assert_eq!(answer.status, 200, "{url}: {}", answer.raw);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("content-security-policy"), POLICY);
    answer.raw
}

fn pay(world: &World, product: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[FORM], headers].concat();
    world.send_bytes(&format!("POST {CHECKOUT}/demo/checkout/{product}"), &headers, form.as_bytes().to_vec())
}

#[track_caller]
fn check(html: &str, expected: &[&str]) {
    for text in expected {
        assert!(html.contains(text), "{text} is not in {html}");
    }
}

#[test]
fn a_click_becomes_a_commission_that_the_ledger_explains() {
    let (world, keys) = demo();
    let tag = format!(r#"<script src="/v1/selgeo.js" data-merchant="{}" async></script>"#, keys.pk_test);
    check(&page(&world, &format!("{SHOP}/demo?ref=demo")), &[&tag, "a link of <strong>Anna</strong>"]);
    let click = world.click(&keys.pk_test, "demo");

    let product = page(&world, &format!("{SHOP}/demo/product"));
    check(
        &product,
        &[
            r#"data-payment-hosts="localhost:8787""#,
            r#"href="http://localhost:8787/demo/checkout/notebook""#,
            r#"href="https://buy.stripe.com/test_demo""#,
        ],
    );
    let link = format!("{CHECKOUT}/demo/checkout/notebook?client_reference_id={click}");
    check(&page(&world, &link), &["The Lane Notebook", "Pay 24.00 EUR", &format!(r#"value="{click}""#)]);

    let form = format!("email=buyer%40example.com&client_reference_id={click}");
    let paid = pay(&world, "notebook", &form, &[("origin", CHECKOUT)]);
    assert_eq!(paid.status, 303, "{}", paid.raw);
    let thanks = paid.header("location").to_owned();
    assert!(thanks.starts_with(&format!("{SHOP}/demo/thanks?session_id=cs_test_")), "{thanks}");
    check(&page(&world, &thanks), &["Thank you."]);
    check(&page(&world, &format!("{SHOP}/demo/ledger")), &["1 Stripe event is stored"]);
    world.deliver();

    let commissions = world.api_as(&keys.sk_test, "GET /api/v1/commissions", json!(null)).body;
    assert_eq!(commissions.pointer("/data/0/amount_cents"), Some(&json!(480)), "{commissions}");
    let id = |pointer: &str| commissions.pointer(pointer).and_then(|id| id.as_str()).unwrap().to_owned();
    let ledger = page(&world, &format!("{SHOP}/demo/ledger"));
    check(
        &ledger,
        &[
            &format!(r#"id="{click}""#),
            &format!(r#"id="{}""#, id("/data/0/id")),
            &format!(r#"id="{}""#, id("/data/0/conversion_id")),
            "24.00 EUR",
            "4.80 EUR",
            "20 % of gross (sale)",
            &format!("<li>Click {click}: valid.</li>"),
            &format!("<li>Credited to participant {} by click.</li>", id("/data/0/participant_id")),
            paid.header("x-request-id"),
        ],
    );
    assert!(!ledger.contains("waits to be processed"), "{ledger}");
}

#[test]
fn a_visitor_who_comes_from_nowhere_is_counted_too() {
    let (world, keys) = demo();
    // As the snippet sends it: `document.referrer` is empty when somebody types the address.
    let url = format!("{SHOP}/demo?ref=demo");
    let body = json!({"merchant": keys.pk_test, "ref": "demo", "url": url, "referrer": ""});
    assert_eq!(world.send("POST /v1/clicks", &[], body).summary(), "201");
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM packed_clicks WHERE referrer IS NULL"), 1);
}

#[test]
fn a_subscription_is_one_conversion_though_two_events_tell_of_it() {
    let (world, keys) = demo();
    let click = world.click(&keys.pk_test, "demo");
    let form = format!("email=buyer%40example.com&client_reference_id={click}");
    assert_eq!(pay(&world, "notebook-club", &form, &[]).status, 303);
    world.deliver();
    assert_eq!(world.db.count("SELECT count(*) FROM stripe_events WHERE outcome = 'processed'"), 2);
    assert_eq!(world.db.count("SELECT count(*) FROM conversions WHERE amount_cents = 1800"), 1);
    assert_eq!(world.db.count("SELECT sum(amount_cents) FROM entries"), 360);
}

#[test]
fn a_purchase_without_a_click_credits_nobody() {
    let (world, _) = demo();
    let checkout = page(&world, &format!("{CHECKOUT}/demo/checkout/notebook"));
    assert!(!checkout.contains(r#"name="client_reference_id""#), "{checkout}");
    assert_eq!(pay(&world, "notebook", "email=buyer%40example.com", &[]).status, 303);
    world.deliver();
    check(
        &page(&world, &format!("{SHOP}/demo/ledger")),
        &["Credited to nobody", "Not credited: nothing said who is to be credited."],
    );
}

#[test]
fn outside_dev_there_is_no_demo() {
    let world = World::new();
    world.workspace("Demo shop");
    for line in [
        "GET /demo",
        "GET /demo/",
        "GET /demo/product",
        "GET /demo/checkout/notebook",
        "POST /demo/checkout/notebook",
        "GET /demo/thanks",
        "GET /demo/ledger",
    ] {
        assert_eq!(world.send_bytes(line, &[], Vec::new()).summary(), "404 NOT_FOUND", "{line}");
    }
}

#[test]
fn without_a_demo_workspace_the_demo_says_so() {
    let answer = get(&World::dev(), "/demo");
    assert_eq!(answer.summary(), "404 NOT_FOUND");
    assert!(answer.raw.contains("Demo shop"), "{}", answer.raw);
}

#[test]
fn what_a_checkout_refuses() {
    let (world, _) = demo();
    let good = "email=buyer%40example.com";
    let check = |product: &str, form: &str, headers: &[(&str, &str)], expected: &str| {
        assert_eq!(pay(&world, product, form, headers).summary(), expected, "{product} {form}");
    };
    check("pencil", good, &[], "404 NOT_FOUND");
    check("notebook", good, &[("origin", SHOP)], "403 FORBIDDEN");
    check("notebook", good, &[("origin", "null")], "403 FORBIDDEN");
    check("notebook", &"x".repeat(70_000), &[], "413 PAYLOAD_TOO_LARGE");
    check("notebook", "", &[], "422");
    check("notebook", "email=buyer", &[], "422");
    let json = world.send_bytes(
        &format!("POST {CHECKOUT}/demo/checkout/notebook"),
        &[("content-type", "application/json")],
        b"{}".to_vec(),
    );
    assert_eq!(json.summary(), "415 UNSUPPORTED_MEDIA_TYPE");
    assert_eq!(world.db.count("SELECT count(*) FROM stripe_events"), 0);
}

#[test]
fn what_came_from_outside_is_shown_as_text() {
    let (world, keys) = demo();
    let evil = "<script>alert(1)</script>";
    let body = json!({"merchant": keys.pk_test, "ref": "demo", "url": "https://shop.test/", "referrer": evil});
    let headers = [("x-request-id", evil)];
    assert_eq!(world.send("POST /v1/clicks", &headers, body).status, 201);
    world.deliver();
    let encoded = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let form = format!("email=%22%3E{encoded}&client_reference_id={encoded}");
    let refused = pay(&world, "notebook", &form, &[]);
    assert_eq!(refused.status, 422);
    let pages = [
        refused.raw,
        page(&world, &format!("{SHOP}/demo/ledger")),
        page(&world, &format!("{SHOP}/demo?ref={encoded}")),
        page(&world, &format!("{SHOP}/demo/thanks?session_id={encoded}")),
        page(&world, &format!("{CHECKOUT}/demo/checkout/notebook?client_reference_id={encoded}")),
    ];
    for html in pages {
        assert!(!html.contains(evil), "{html}");
        assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
    }
}

#[test]
fn a_visitor_without_a_ref_is_shown_the_partners_links() {
    let (world, _) = demo();
    check(&page(&world, "/demo/"), &[r#"href="/demo?ref=demo""#, "by a link of Anna"]);
    check(&page(&world, "/demo?ref=nobody"), &["no active link has this ref"]);
}

#[test]
fn the_ledger_stops_loading_itself_when_it_is_asked_to() {
    let (world, _) = demo();
    let refreshes = |path: &str| page(&world, path).contains(r#"http-equiv="refresh""#);
    assert!(refreshes("/demo/ledger"));
    assert!(!refreshes("/demo/ledger?refresh=off"));
}

#[test]
fn the_other_origin_is_loopback_by_its_other_name() {
    let check = |origin: &str, expected: &str| assert_eq!(other_origin(origin), expected);
    check("http://127.0.0.1:8787", "http://localhost:8787");
    check("http://localhost:8787", "http://127.0.0.1:8787");
    check("http://localhost", "http://127.0.0.1");
    check("http://localhost.example", "http://localhost.example");
    check("http://[::1]:8787", "http://[::1]:8787");
    check("https://api.selgeo.test", "https://api.selgeo.test");
}
