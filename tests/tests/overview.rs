//! The overview in a real browser: its part that asks again, the wipe that goes on by itself, and the operator's page on the real
//! database.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{Browser, Client, Engine, Server, wait_for};
use serde_json::json;

const WITHIN: Duration = Duration::from_secs(20);

struct Place {
    browser: Browser,
    server: Server,
}

e2e::suite! {
    start;
    the_newest_part_changes_when_something_happens_and_only_then,
    a_session_that_is_over_leads_to_the_sign_in_page,
    a_wipe_goes_on_by_itself_until_nothing_is_left,
    the_operators_page_knows_the_sweep_and_the_size_of_the_database,
}

fn start() -> Result<Place> {
    Ok(Place { browser: Browser::start(Engine::Chromium)?, server: Server::start()? })
}

impl Place {
    fn open(&self, page: &str) -> Result<()> {
        self.browser.go(self.server.text("/sign_in_url")?)?;
        self.browser.go(&format!("{}{page}", self.server.url()))
    }

    fn test_mode(&self) -> Result<String> {
        Ok(format!("/app/{}/test", self.server.text("/workspace_id")?))
    }

    /// Gives the click that it came by.
    fn sale(&self, transaction: &str) -> Result<String> {
        let api = Client::new(self.server.url()).with_key(self.server.text("/keys/sk_test")?);
        let click = api.click(self.server.text("/keys/pk_test")?, "anna")?;
        let sale = json!({"external_transaction_id": transaction, "event_type": transaction, "amount_cents": 12_000,
            "currency": "EUR", "click_id": click});
        api.post("/api/v1/conversions", &sale)?.expect(201)?;
        Ok(click)
    }

    /// The click's own record leaves by queue and takes the place of the one that the conversion wrote.
    fn must_have_own_record(&self, click: &str) -> Result<()> {
        let api = Client::new(self.server.url()).with_key(self.server.text("/keys/sk_test")?);
        wait_for("the click's record", WITHIN, || {
            let click = api.get(&format!("/api/v1/clicks/{click}"), &[])?.expect(200)?;
            Ok((click["flags"] != json!(["recovered"])).then_some(()))
        })
    }

    fn must_say(&self, selector: &str, text: &str) -> Result<()> {
        let seen = || self.browser.text(selector).ok();
        wait_for(&format!("'{text}' in {}", seen().unwrap_or_default()), WITHIN, || {
            Ok(seen().filter(|body| body.contains(text)).map(drop))
        })
    }
}

/// Counts how often the part was asked for, what was answered, and how often it was swapped.
const WATCH: &str = "window.asked = []; window.swapped = 0;
    document.body.addEventListener('htmx:afterRequest', event => window.asked.push(event.detail.xhr.status));
    document.body.addEventListener('htmx:afterSwap', () => window.swapped += 1);";

fn the_newest_part_changes_when_something_happens_and_only_then(place: &mut Place) -> Result<()> {
    place.sale("first-sale")?;
    let overview = place.test_mode()?;
    // The click's own record leaves by queue and takes the place of the one that the conversion wrote: then nothing is on its way.
    wait_for("the click's record", WITHIN, || {
        place.open(&overview)?;
        let rows = "return [...document.querySelectorAll('#live section:last-child tbody tr')].map(row => row.textContent).join()";
        let rows = place.browser.run(rows, &json!([]))?;
        Ok(rows.as_str().filter(|rows| !rows.is_empty() && !rows.contains("Recovered")).map(drop))
    })?;
    place.must_say("#live", "first-sale")?;
    place.browser.run(WATCH, &json!([]))?;
    place.browser.until("return window.asked.length >= 2", &json!([]))?;
    let seen = place.browser.run("return [window.asked, window.swapped]", &json!([]))?;
    ensure!(seen[0].as_array().is_some_and(|all| all.iter().all(|status| status == 304)) && seen[1] == 0, "{seen}");
    place.sale("second-sale")?;
    place.must_say("#live", "second-sale")?;
    let seen = place.browser.run("return [window.asked, window.swapped]", &json!([]))?;
    ensure!(seen[1].as_u64().is_some_and(|swaps| swaps >= 1), "{seen}");
    ensure!(place.browser.run("return document.querySelectorAll('#live').length", &json!([]))? == 1);
    Ok(())
}

fn a_session_that_is_over_leads_to_the_sign_in_page(place: &mut Place) -> Result<()> {
    place.open(&place.test_mode()?)?;
    place.browser.devtools("Network.clearBrowserCookies", &json!({}))?;
    place.must_say("h1", "Sign in")?;
    ensure!(place.browser.address()?.contains("/sign-in?next="), "{}", place.browser.address()?);
    Ok(())
}

fn a_wipe_goes_on_by_itself_until_nothing_is_left(place: &mut Place) -> Result<()> {
    let click = place.sale("to-be-wiped")?;
    // Else it would come after the wipe.
    place.must_have_own_record(&click)?;
    place.open(&format!("{}/settings/wipe", place.test_mode()?))?;
    place.browser.click("main form button")?;
    place.must_say("h1", "Test data is wiped")?;
    place.open(&place.test_mode()?)?;
    place.must_say("main", "Nothing happened in these days")
}

fn the_operators_page_knows_the_sweep_and_the_size_of_the_database(place: &mut Place) -> Result<()> {
    wait_for("a sweep", WITHIN, || {
        place.open("/app/operator")?;
        Ok(place.browser.text("main")?.contains("on time").then_some(()))
    })?;
    let text = place.browser.text("main")?;
    ensure!(text.contains(" MB") || text.contains(" kB"), "{text}");
    ensure!(text.contains("Demo shop"), "{text}");
    Ok(())
}
