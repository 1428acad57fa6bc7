//! Every page that people look at, in a real browser: found by following links as they do, then looked at by axe-core, on a
//! narrow and a wide screen, in light and in dark, and without scripts.
//!
//! `SELGEO_SCREENSHOTS=DIR` keeps a picture of each.

mod look;

use anyhow::{Result, ensure};
use e2e::{Browser, Engine, Server, crawl, furnish, live_participant};
use look::Looker;

struct House {
    looker: Looker,
    server: Server,
}

e2e::suite! {
    start;
    every_page_of_the_dashboard_holds_up,
    every_page_of_the_portal_holds_up,
    every_page_of_a_stranger_holds_up,
    every_guide_holds_up_and_is_read_by_the_keyboard_alone,
    every_page_says_what_it_says_without_scripts,
    payouts_and_statements_hold_up,
    everything_on_every_page_is_reached_by_the_keyboard_alone,
    a_form_is_filled_in_with_the_keyboard_alone,
}

fn start() -> Result<House> {
    let server = Server::start()?;
    furnish(&server)?;
    Ok(House { looker: Looker::new(Browser::start(Engine::Chromium)?)?, server })
}

impl House {
    fn sign_in(&self, pointer: &str) -> Result<()> {
        self.looker.browser.go(self.server.text(pointer)?)
    }

    fn dashboard(&self) -> Result<String> {
        Ok(format!("/app/{}/test", self.server.text("/workspace_id")?))
    }
}

/// Looks at all of these, and tells all that is wrong at once.
fn look_at_all(house: &House, name: &str, paths: &[String]) -> Result<()> {
    println!("{} pages: {}", paths.len(), paths.join(" "));
    let mut wrong = Vec::new();
    for path in paths {
        wrong.extend(house.looker.look(&house.server.url(), path, name)?);
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

fn every_page_of_the_dashboard_holds_up(house: &mut House) -> Result<()> {
    house.sign_in("/sign_in_url")?;
    let paths = crawl(&house.looker.browser, &house.server.url(), &["/app".to_owned(), house.dashboard()?], "/app")?;
    ensure!(paths.len() > 50, "only {} pages were found: {paths:?}", paths.len());
    look_at_all(house, "app", &paths)
}

fn every_page_of_the_portal_holds_up(house: &mut House) -> Result<()> {
    house.sign_in("/partner_sign_in_url")?;
    // In test mode, where there is something to see.
    let first = format!("/partner?in={}", house.server.text("/participant_id")?);
    let paths = crawl(&house.looker.browser, &house.server.url(), &[first], "/partner")?;
    ensure!(paths.iter().any(|path| path.starts_with("/partner/commissions/")), "no commission's story: {paths:?}");
    look_at_all(house, "partner", &paths)
}

fn payouts_and_statements_hold_up(house: &mut House) -> Result<()> {
    house.sign_in("/sign_in_url")?;
    let payouts = format!("/app/{}/live/payouts", house.server.text("/workspace_id")?);
    let paths = crawl(&house.looker.browser, &house.server.url(), std::slice::from_ref(&payouts), &payouts)?;
    ensure!(paths.len() > 5, "no payout has a page: {paths:?}");
    look_at_all(house, "live", &paths)?;
    house.sign_in("/partner_sign_in_url")?;
    let first = format!("/partner/statements?in={}", live_participant(&house.server)?);
    let paths = crawl(&house.looker.browser, &house.server.url(), &[first], "/partner/statements")?;
    ensure!(paths.len() > 1, "no payout has a statement: {paths:?}");
    look_at_all(house, "live-partner", &paths)
}

fn everything_on_every_page_is_reached_by_the_keyboard_alone(house: &mut House) -> Result<()> {
    let (browser, url) = (&house.looker.browser, house.server.url());
    let mut wrong = Vec::new();
    let partner = format!("/partner?in={}", house.server.text("/participant_id")?);
    for (sign_in, first, below) in
        [("/sign_in_url", house.dashboard()?, "/app"), ("/partner_sign_in_url", partner, "/partner")]
    {
        house.sign_in(sign_in)?;
        for path in crawl(browser, &url, &[first], below)? {
            browser.go(&format!("{url}{path}"))?;
            wrong.extend(house.looker.tab_through()?.into_iter().map(|line| format!("{path}: {line}")));
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

fn every_page_of_a_stranger_holds_up(house: &mut House) -> Result<()> {
    house.looker.browser.devtools("Network.clearBrowserCookies", &serde_json::json!({}))?;
    let paths =
        ["/sign-in", "/sign-in/unknown", "/join/demo", "/join/unknown", "/docs/unknown", "/dev/mailbox", "/demo"];
    look_at_all(house, "stranger", &paths.map(str::to_owned))
}

fn every_guide_holds_up_and_is_read_by_the_keyboard_alone(house: &mut House) -> Result<()> {
    let (browser, url) = (&house.looker.browser, house.server.url());
    let paths = crawl(browser, &url, &["/docs".to_owned()], "/docs")?;
    ensure!(paths.len() > 10, "only {} guides were found: {paths:?}", paths.len());
    look_at_all(house, "guides", &paths)?;
    let mut wrong = Vec::new();
    for path in &paths {
        browser.go(&format!("{url}{path}"))?;
        wrong.extend(house.looker.tab_through()?.into_iter().map(|line| format!("{path}: {line}")));
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

fn every_page_says_what_it_says_without_scripts(house: &mut House) -> Result<()> {
    let browser = &house.looker.browser;
    house.sign_in("/sign_in_url")?;
    let paths = crawl(browser, &house.server.url(), &[house.dashboard()?], "/app")?;
    let mut wrong = Vec::new();
    for path in &paths {
        let url = format!("{}{path}", house.server.url());
        browser.go(&url)?;
        let with = browser.text("main")?;
        browser.devtools("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": true}))?;
        browser.go(&url)?;
        let without = browser.text("main");
        browser.devtools("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": false}))?;
        let without = without?;
        // What a page shows of the present may differ; that it shows as much may not.
        if without.lines().next() != with.lines().next() || without.len() * 10 < with.len() * 9 {
            wrong.push(format!("{path}: {with:?} with scripts, {without:?} without"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn a_form_is_filled_in_with_the_keyboard_alone(house: &mut House) -> Result<()> {
    house.sign_in("/sign_in_url")?;
    let looker = &house.looker;
    looker.browser.go(&format!("{}{}/programs/new", house.server.url(), house.dashboard()?))?;
    looker.tab_to("#field-name")?;
    looker.browser.type_into("#field-name", "By keyboard")?;
    looker.tab_to("main button[type=submit]")?;
    looker.press("Enter")?;
    looker
        .browser
        .until("return document.querySelector('h1')?.textContent === 'By keyboard'", &serde_json::json!([]))?;
    Ok(())
}
