//! The partner's side in a real browser: from an invitation in the mail to a link with its QR code, with no script at all; and
//! with the keyboard alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Browser, Client, Engine, Server, wait_for};
use serde_json::json;

const MAIL_WITHIN: Duration = Duration::from_secs(20);
const CLEO: &str = "cleo@partner.example";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Steps that a page can have for the keyboard.
const STEPS_MAX: usize = 120;

struct Place {
    browser: Browser,
    server: Server,
}

e2e::suite! {
    start;
    an_invited_partner_joins_signs_in_and_makes_a_link_with_its_code,
    every_control_of_the_portal_is_reached_with_the_keyboard_alone,
    no_page_is_wider_than_a_small_screen,
}

fn start() -> Result<Place> {
    Ok(Place { browser: Browser::start(Engine::Chromium)?, server: Server::start()? })
}

impl Place {
    fn must_say(&self, text: &str) -> Result<()> {
        // A click may still be on its way.
        let mut last = String::new();
        let said = wait_for(text, MAIL_WITHIN, || {
            last = self.browser.text("body").unwrap_or_default();
            Ok(last.contains(text).then_some(()))
        });
        said.with_context(|| format!("{text} is not in {last}"))
    }

    /// Types, once the field is there: a page is read while it comes.
    fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let there = wait_for(selector, MAIL_WITHIN, || Ok(self.browser.text(selector).ok()));
        there.with_context(|| self.browser.text("body").unwrap_or_default())?;
        self.browser.type_into(selector, text)
    }

    fn click(&self, selector: &str) -> Result<()> {
        wait_for(selector, MAIL_WITHIN, || Ok(self.browser.text(selector).ok()))?;
        self.browser.click(selector)
    }

    /// Presses a key wherever the keyboard is: WebDriver's own typing goes back to an element's beginning first.
    fn press(&self, key: &str, code: u32, text: &str) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.browser.devtools("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    fn press_tab(&self) -> Result<()> {
        self.press("Tab", 9, "")
    }

    /// The link of the newest letter that has one which begins so.
    fn follow_mail(&self, prefix: &str) -> Result<()> {
        let start = format!("{}{prefix}", self.server.url());
        let selector = format!(".letter a[href^='{start}']");
        wait_for("the mail", MAIL_WITHIN, || {
            self.browser.go(self.server.text("/mailbox_url")?)?;
            Ok(self.browser.text(&selector).ok())
        })?;
        self.browser.click(&selector)
    }

    /// Every page of the portal.
    fn pages(&self) -> Vec<String> {
        [
            "",
            "links",
            "codes",
            "clicks",
            "conversions",
            "commissions",
            "statements",
            "questions",
            "notices",
            "settings",
            "settings/erase",
        ]
        .map(|page| format!("{}/partner/{page}", self.server.url()))
        .to_vec()
    }
}

fn an_invited_partner_joins_signs_in_and_makes_a_link_with_its_code(place: &mut Place) -> Result<()> {
    let (browser, server) = (&place.browser, &place.server);
    let api = Client::new(server.url()).with_key(server.text("/keys/sk_live")?);
    let program = api.list("programs")?.first().and_then(|one| one["id"].as_str().map(str::to_owned));
    let invite = json!({"program_id": program.context("no program")?, "email": CLEO, "name": "Cleo"});
    api.post("/api/v1/invites", &invite)?.expect(201)?;

    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}))?;
    place.follow_mail("/join/")?;
    place.must_say("The invitation is for cleo@partner.example")?;
    place.must_say("20 % of every sale")?;
    place.type_into("#promotion", "A blog on notebooks")?;
    place.click("form button")?;
    place.must_say("You are in")?;
    place.click("form button")?;
    place.must_say("Look into your mail")?;
    place.follow_mail("/sign-in/")?;
    place.must_say("You are about to sign in as cleo@partner.example")?;
    place.click("form button")?;
    place.must_say("Your programs")?;
    place.must_say("Demo shop partners")?;
    place.click(".memberships a[href^='/partner/links']")?;
    place.must_say("No links yet. Make one below.")?;
    place.type_into("#name", "Newsletter")?;
    place.type_into("#landing_url", "https://evil.example/")?;
    place.click(".narrow-form button")?;
    place.must_say("Links cannot lead to evil.example")?;
    browser.go(&format!("{}/partner/links", server.url()))?;
    place.type_into("#name", "Newsletter")?;
    place.type_into("#landing_url", &format!("{}/demo/product", server.url()))?;
    place.click(".narrow-form button")?;
    place.must_say("The link is made.")?;
    let short = browser.text("td .copyable")?;

    let cookie = browser.cookie("selgeo_session")?;
    let cookie = format!("selgeo_session={}", cookie["value"].as_str().context("no session")?);
    let plain = Client::new(server.url());
    let page = plain.get("/partner/links", &[("cookie", &cookie)])?.body;
    for (kind, starts) in [("svg", b"<svg".as_slice()), ("png", PNG)] {
        let path = page.split('"').find(|part| part.ends_with(&format!("/qr.{kind}"))).context("no QR code")?;
        let picture = plain.get(path, &[("cookie", &cookie)])?;
        ensure!(picture.status == 200 && picture.bytes.starts_with(starts), "{kind}: {}", picture.status);
        // Nobody else's: they are sent to sign in.
        ensure!(plain.get(path, &[])?.body.contains("Send me a link"), "{kind} is for everybody");
    }
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": false}))?;
    let shown = "const image = new Image(); const done = arguments[arguments.length - 1]; image.onload = () => \
        done(image.naturalWidth === image.naturalHeight && image.naturalWidth > 300); image.onerror = () => done(false); \
        image.src = document.querySelector(\"a[href$='qr.png']\").href";
    ensure!(browser.run_async(shown, &json!([]))? == json!(true), "the browser does not show the PNG");
    // The link works: a click on it is Cleo's.
    browser.go(&short)?;
    ensure!(browser.address()?.contains("/demo/product"), "{}", browser.address()?);
    let joined = api.list("participants")?;
    ensure!(joined.iter().any(|one| one["application"]["promotion"] == "A blog on notebooks"), "{joined:?}");
    Ok(())
}

fn every_control_of_the_portal_is_reached_with_the_keyboard_alone(place: &mut Place) -> Result<()> {
    let browser = &place.browser;
    browser.go(place.server.text("/partner_sign_in_url")?)?;
    // What can be seen and used, in the page's order.
    let wanted = "return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')]\
        .filter(e => e.type !== 'hidden' && e.checkVisibility({visibilityProperty: true}) && !e.closest('details:not([open]) > :not(summary)')).length";
    // On the button of a day's calendar the field is active, and yet not in focus.
    let here = "const e = document.activeElement; if (!e || e === document.body) return null; \
        if (!e.id) e.id = 'step-' + Math.random(); const outline = getComputedStyle(e).outlineStyle; \
        return e.id + '|' + (!e.matches(':focus') || outline !== 'none' && e.matches(':focus-visible'))";
    for page in place.pages() {
        browser.go(&page)?;
        let count = browser.run(wanted, &json!([]))?.as_u64().unwrap_or(0);
        let mut seen: Vec<String> = Vec::new();
        place.press_tab()?;
        for _ in 0..STEPS_MAX {
            let at = browser.run(here, &json!([]))?;
            let Some((id, is_seen)) = at.as_str().and_then(|at| at.split_once('|')) else { break };
            if seen.iter().any(|known| known == id) {
                // A day has several parts, each of them a step.
                if browser.run("return document.activeElement.type === 'date'", &json!([]))? != json!(true) {
                    break;
                }
            } else {
                ensure!(is_seen == "true", "{id} of {page} does not show that it is reached");
                seen.push(id.to_owned());
            }
            place.press_tab()?;
        }
        ensure!(seen.len() as u64 == count, "{page}: {} of {count} are reached: {seen:?}", seen.len());
    }
    // The first step leads past the menu.
    browser.go(&format!("{}/partner/links", place.server.url()))?;
    place.press_tab()?;
    place.press("Enter", 13, "\r")?;
    ensure!(
        browser.run("return document.activeElement.id", &json!([]))? == json!("main"),
        "the skip link leads nowhere"
    );
    Ok(())
}

fn no_page_is_wider_than_a_small_screen(place: &mut Place) -> Result<()> {
    let browser = &place.browser;
    browser.go(place.server.text("/partner_sign_in_url")?)?;
    for width in [360, 1440] {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.devtools("Emulation.setDeviceMetricsOverride", &size)?;
        let mut pages = place.pages();
        pages.extend(["/join/demo", "/join/nothing"].map(|path| format!("{}{path}", place.server.url())));
        for page in pages {
            browser.go(&page)?;
            let over = browser.run("return document.documentElement.scrollWidth - innerWidth", &json!([]))?;
            ensure!(over.as_i64().is_some_and(|over| over <= 0), "{page} is {over} too wide at {width}");
        }
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", &json!({})).map(drop)
}
