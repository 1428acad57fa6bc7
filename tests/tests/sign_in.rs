//! People who sign in, in a real browser: by the addresses that a local server gives, and by hand with no script at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Browser, Client, Engine, Received, Receiver, Reply, Server, wait_for};
use serde_json::{Value, json};

const MAIL_WITHIN: Duration = Duration::from_secs(20);
const PAGE_WITHIN: Duration = Duration::from_secs(10);

struct Place {
    browser: Browser,
    server: Server,
}

e2e::suite! {
    start;
    the_owners_address_leads_to_app_as_often_as_it_is_used,
    the_partners_address_leads_to_the_portal_and_app_is_refused,
    one_signs_in_by_hand_without_javascript,
    an_address_that_nobody_has_gets_the_same_page_and_no_mail,
    a_form_of_another_origin_signs_nobody_out,
    a_mail_provider_is_asked_as_it_is_documented_and_again_if_it_fails,
}

fn start() -> Result<Place> {
    Ok(Place { browser: Browser::start(Engine::Chromium)?, server: Server::start()? })
}

impl Place {
    fn path(&self) -> Result<String> {
        let address = self.browser.address()?;
        Ok(address.strip_prefix(&self.server.url()).unwrap_or(&address).to_owned())
    }

    /// Waits: a click is answered before the page that it leads to is there, sometimes.
    fn must_be_at(&self, path: &str) -> Result<()> {
        wait_for(&format!("{path}, from {}", self.path()?), PAGE_WITHIN, || Ok((self.path()? == path).then_some(())))
    }

    fn must_say(&self, text: &str) -> Result<()> {
        let seen = || self.browser.text("body").ok();
        wait_for(&format!("'{text}' in {}", seen().unwrap_or_default()), PAGE_WITHIN, || {
            Ok(seen().filter(|body| body.contains(text)).map(drop))
        })
    }
}

fn the_owners_address_leads_to_app_as_often_as_it_is_used(place: &mut Place) -> Result<()> {
    for _ in 0..2 {
        place.browser.go(place.server.text("/sign_in_url")?)?;
        place.must_be_at("/app")?;
        place.must_say("Demo shop")?;
        place.must_say("owner@demo.example")?;
        place.browser.click("form.sign-out button")?;
        place.must_be_at("/sign-in")?;
        place.browser.go(&format!("{}/app", place.server.url()))?;
        place.must_be_at("/sign-in?next=%2Fapp")?;
    }
    Ok(())
}

fn the_partners_address_leads_to_the_portal_and_app_is_refused(place: &mut Place) -> Result<()> {
    place.browser.go(place.server.text("/partner_sign_in_url")?)?;
    place.must_be_at("/partner")?;
    place.must_say("Anna Partner")?;
    place.browser.go(&format!("{}/app", place.server.url()))?;
    place.must_say("This is the merchants\u{2019} side")?;
    place.browser.click("form.sign-out button")?;
    place.must_be_at("/sign-in")
}

fn one_signs_in_by_hand_without_javascript(place: &mut Place) -> Result<()> {
    let browser = &place.browser;
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}))?;
    browser.go(&format!("{}/app", place.server.url()))?;
    place.must_be_at("/sign-in?next=%2Fapp")?;
    browser.type_into("#email", "owner@demo.example")?;
    browser.click("form button")?;
    place.must_say("Look into your mail")?;
    browser.click("a[href='/dev/mailbox']")?;
    let link = wait_for("the mail", MAIL_WITHIN, || {
        browser.reload()?;
        Ok(browser.text(".letter a").ok())
    })?;
    place.must_say("To owner@demo.example")?;
    browser.click(".letter a")?;
    place.must_say("You are about to sign in as owner@demo.example")?;
    browser.click("form button")?;
    place.must_be_at("/app")?;
    let cookie = browser.cookie("selgeo_session")?;
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"], &cookie["path"]), (&json!(true), &json!("Lax"), &json!("/")));

    browser.go(&link)?;
    place.must_say("This link does not work any more")?;
    browser.go(&place.server.url())?;
    place.must_be_at("/app")?;
    browser.click("form.sign-out button")?;
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": false}))?;
    assert_eq!(browser.run("return document.cookie", &json!([]))?, Value::String(String::new()));
    Ok(())
}

fn an_address_that_nobody_has_gets_the_same_page_and_no_mail(place: &mut Place) -> Result<()> {
    let api = Client::new(place.server.url());
    let own = place.server.url();
    let headers = [("origin", own.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let [nobody, somebody] = ["nobody@demo.example", "anna@partner.example"].map(|email| {
        let form = format!("email={}", email.replace('@', "%40"));
        api.send("POST", "/sign-in", &headers, &form).map(|answer| (answer.status, answer.body.replace(email, "IT")))
    });
    assert_eq!(nobody?, somebody?);
    // The later one's has come, and the earlier one's has not.
    let mailbox = wait_for("the mail", MAIL_WITHIN, || {
        let mailbox = api.get("/dev/mailbox", &[])?.body;
        Ok(mailbox.contains("To anna@partner.example").then_some(mailbox))
    })?;
    ensure!(!mailbox.contains("nobody@demo.example"), "{mailbox}");
    Ok(())
}

/// The same machine by its other name is another origin to a browser, though to SameSite it may be the same site.
fn a_form_of_another_origin_signs_nobody_out(place: &mut Place) -> Result<()> {
    let browser = &place.browser;
    browser.go(place.server.text("/sign_in_url")?)?;
    browser.go(&format!("{}/demo", place.server.url().replace("127.0.0.1", "localhost")))?;
    let form = "const form = document.createElement('form'); form.method = 'post'; form.action = arguments[0]; \
        document.body.append(form); form.submit()";
    browser.run(form, &json!([format!("{}/sign-out", place.server.url())]))?;
    wait_for("the refusal", MAIL_WITHIN, || {
        Ok(browser.text("body").ok().filter(|text| text.contains("another origin")))
    })?;
    browser.go(&format!("{}/app", place.server.url()))?;
    place.must_be_at("/app")
}

fn a_mail_provider_is_asked_as_it_is_documented_and_again_if_it_fails(_place: &mut Place) -> Result<()> {
    // Letters to the demo's partner go out as well.
    let is_ours = |mail: &Received| mail.body.contains("Sign in to Selgeo");
    let has_failed = AtomicBool::new(false);
    let provider = Receiver::start(move |mail, _| {
        let fails = is_ours(mail) && !has_failed.swap(true, Ordering::SeqCst);
        Reply::Status(if fails { 500 } else { 202 })
    })?;
    let server = Server::start_mailing(&provider.url("/send"), "token-of-the-provider", "selgeo@mail.example")?;
    let own = server.url();
    let headers = [("origin", own.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let api = Client::new(server.url());
    assert_eq!(api.send("POST", "/sign-in", &headers, "email=owner%40demo.example")?.status, 200);
    // The second one after fifteen seconds and a sweep.
    let tries = wait_for("two tries", Duration::from_secs(60), || {
        let received: Vec<Received> = provider.received().into_iter().filter(is_ours).collect();
        Ok((received.len() >= 2).then_some(received))
    })?;
    let mut links = Vec::new();
    for one in &tries {
        assert_eq!((one.path.as_str(), one.header("authorization")), ("/send", "Bearer token-of-the-provider"));
        let mail = one.event()?;
        assert_eq!(mail["from"], "selgeo@mail.example");
        assert_eq!(mail["to"], "owner@demo.example");
        assert_eq!(mail["subject"], "Sign in to Selgeo");
        let text = mail["text"].as_str().unwrap_or_default().to_owned();
        links.extend(text.lines().find(|line| line.starts_with(&format!("{own}/sign-in/"))).map(str::to_owned));
    }
    // Each has a token of its own.
    ensure!(links.len() == 2 && links[0] != links[1], "{}", links.len());
    ensure!(!server.log().contains(&links[0][own.len()..]), "the log holds a token");
    // The mailbox is for mail that stays here.
    ensure!(api.get("/dev/mailbox", &[])?.body.contains("No mail yet"));
    Ok(())
}
