//! The whole story in a real browser, by hand: a merchant sets a program up, a partner joins it, a visitor buys, and everybody
//! sees what came of it. Nothing is made by the API but what a merchant's server and Stripe do.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Browser, Client, Engine, Receiver, Reply, Server, Stripe, wait_for};
use serde_json::{Value, json};

const OWNER: &str = "owner@shop.example";
const PARTNER: &str = "anna@partner.example";
const WITHIN: Duration = Duration::from_secs(30);
const SECRET: &str = "whsec_of_a_story_with_thirty_two_letters";

struct Story {
    browser: Browser,
    server: Server,
    receiver: Receiver,
    /// The operator's answer to the making of the workspace: its id, its keys, its owner's first link.
    workspace: Value,
}

e2e::suite! {
    start;
    a_program_is_set_up_a_partner_joins_a_visitor_buys_and_everybody_sees_what_came_of_it,
    a_live_sale_is_paid_out,
}

fn start() -> Result<Story> {
    let server = Server::start_bare()?;
    let operator = Client::new(server.url()).with_key(server.operator_token());
    let made = operator.post("/operator/v1/workspaces", &json!({"name": "Demo shop", "owner_email": OWNER}))?;
    let workspace = made.expect(201)?;
    let receiver = Receiver::start(|_, _| Reply::Status(200))?;
    Ok(Story { browser: Browser::start(Engine::Chromium)?, server, receiver, workspace })
}

impl Story {
    fn page(&self, mode: &str, page: &str) -> Result<String> {
        Ok(format!("{}/app/{}/{mode}/{page}", self.server.url(), text(&self.workspace, "/id")?))
    }

    fn go(&self, mode: &str, page: &str) -> Result<()> {
        self.browser.go(self.page(mode, page)?.trim_end_matches('/'))
    }

    /// Waits until the page says something.
    fn sees(&self, what: &str) -> Result<()> {
        let script = "return document.readyState === 'complete' && document.body.innerText.includes(arguments[0])";
        self.browser.until(script, &json!([what])).map(drop)
    }

    /// Fills the page's form in and sends it.
    fn fill(&self, fields: &[(&str, &str)]) -> Result<()> {
        for (name, value) in fields {
            let script = "const field = document.querySelector(`main form.form [name='${arguments[0]}']`);
                if (field.type === 'checkbox') { field.checked = true } else { field.value = arguments[1] }";
            self.browser.run(script, &json!([name, value]))?;
        }
        self.browser.run("window.here = true", &json!([]))?;
        self.browser.click("main form.form button[type=submit]")?;
        self.browser.until("return !window.here && document.readyState === 'complete'", &json!([])).map(drop)
    }

    /// Presses a button or a link that says this.
    fn press(&self, words: &str) -> Result<()> {
        let script = "window.here = true;
            const all = [...document.querySelectorAll('main a, main button')];
            const found = all.find(e => e.innerText.trim().startsWith(arguments[0]));
            if (found) found.click();
            return !!found";
        ensure!(self.browser.run(script, &json!([words]))? == true, "nothing says {words}");
        self.browser.until("return !window.here && document.readyState === 'complete'", &json!([])).map(drop)
    }

    fn sign_in(&self, email: &str) -> Result<()> {
        self.browser.go(&format!("{}/dev/sign-in?email={email}", self.server.url()))
    }

    /// What a path answers to whoever is signed in.
    fn fetched(&self, address: &str) -> Result<String> {
        let script = "const done = arguments[arguments.length - 1];
            fetch(arguments[0]).then(async r => done(`${r.status} ${await r.text()}`), e => done(String(e)))";
        Ok(self.browser.run_async(script, &json!([address]))?.as_str().unwrap_or_default().to_owned())
    }

    fn api(&self, key: &str) -> Result<Client> {
        Ok(Client::new(self.server.url()).with_key(text(&self.workspace, &format!("/keys/{key}"))?))
    }

    /// A program with a reward of 20 % that is active, and this server's hosts.
    fn set_up(&self, mode: &str, name: &str) -> Result<()> {
        self.go(mode, "programs/new")?;
        self.fill(&[("name", name), ("slug", &format!("friends-{mode}"))])?;
        self.sees("Program added.")?;
        self.browser.click("a[href*='rewards/new']")?;
        self.browser.until("return location.pathname.endsWith('rewards/new')", &json!([]))?;
        self.fill(&[("percent_bps", "20"), ("auto_approve", "true")])?;
        self.sees("Reward added.")?;
        self.go(mode, "programs")?;
        self.press(name)?;
        self.press("Activate")?;
        self.sees("The program is active.")?;
        for host in ["127.0.0.1", "localhost"] {
            self.go(mode, "hosts/new")?;
            self.fill(&[("host", &self.server.url().replace("http://127.0.0.1", host))])?;
            self.sees("Host added.")?;
        }
        Ok(())
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}

fn a_program_is_set_up_a_partner_joins_a_visitor_buys_and_everybody_sees_what_came_of_it(
    story: &mut Story,
) -> Result<()> {
    // The owner, by the one-time link.
    story.browser.go(text(&story.workspace, "/set_up_url")?)?;
    story.browser.click("form button")?;
    story.sees("Demo shop")?;
    story.go("test", "")?;
    story.sees("Overview")?;
    story.set_up("test", "Friends of the shop")?;
    story.go("test", "stripe-connections/new")?;
    story.fill(&[("signing_secret", SECRET)])?;
    let connection = story.browser.text("main .facts .id")?;
    story.go("test", "webhook-endpoints/new")?;
    story.browser.run("document.querySelector(\"[name=events][value='*']\").checked = true", &json!([]))?;
    story.fill(&[("url", &story.receiver.url("/hook"))])?;
    story.sees("signing secret")?;

    // The partner, by an invite.
    story.go("test", "invites/new")?;
    story.fill(&[("email", PARTNER), ("name", "Anna")])?;
    let invite = story.browser.text("code.once")?;
    story.browser.go(&invite)?;
    story.sees("20 %")?;
    story.browser.type_into("#name", "Anna Partner")?;
    story.browser.click("form button[type=submit]")?;
    story.sees("You are in")?;
    story.sign_in(PARTNER)?;
    story.browser.go(&format!("{}/partner/links", story.server.url()))?;
    story.fill(&[("name", "Newsletter"), ("landing_url", &format!("{}/demo/", story.server.url()))])?;
    let short = story.browser.text(".copyable")?;
    let qr = story.browser.run("return document.querySelector('a[href$=\"qr.svg\"]').href", &json!([]))?;
    ensure!(story.fetched(qr.as_str().unwrap_or_default())?.starts_with("200 <"), "no QR code");

    // The visitor.
    story.browser.go(&short)?;
    let click = story.browser.until("return window.__selgeo ? __selgeo.getClickId() : null", &json!([]))?;
    let lead = json!({"external_transaction_id": "lead-1", "event_type": "lead", "amount_cents": 0, "click_id": click});
    story.api("sk_test")?.post("/api/v1/conversions", &lead)?.expect(201)?;
    story.browser.click(".hero .button")?;
    let carries = "return (document.querySelector('#buy')?.href ?? '').includes(arguments[0])";
    story.browser.until(carries, &json!([click]))?;
    story.browser.click("#buy")?;
    story.browser.until("return !!document.querySelector('#client-reference-id')", &json!([]))?;
    story.browser.click("form button")?;
    story.browser.until("return location.pathname == '/demo/thanks'", &json!([]))?;

    // The owner sees why, and what it came to.
    story.sign_in(OWNER)?;
    let api = story.api("sk_test")?;
    let sale = wait_for("the sale", WITHIN, || {
        Ok(api
            .list("conversions")?
            .into_iter()
            .find(|one| one["source"] == "stripe" && one["attribution"]["status"] == "attributed"))
    })?;
    let page = format!("conversions/{}", text(&sale, "/id")?);
    story.go("test", &page)?;
    story.sees(click.as_str().unwrap_or_default())?;
    story.sees("Anna Partner")?;
    story.sees("4.80 EUR")?;
    refund(story, &connection, &sale)?;
    wait_for("the refund", WITHIN, || {
        story.go("test", &page)?;
        Ok(story.browser.text("main")?.contains("Refunded").then_some(()))
    })?;

    // What was told, what can be taken along, and what is left to do.
    wait_for("deliveries", WITHIN, || Ok((!story.receiver.received().is_empty()).then_some(())))?;
    story.go("test", "webhook-deliveries?status=delivered")?;
    story.sees("conversion.created")?;
    story.browser.click("main tbody a")?;
    story.sees("Attempt 1")?;
    let file = story.fetched(&story.page("test", "conversions/csv")?)?;
    ensure!(file.starts_with("200 id,") && file.contains(text(&sale, "/id")?), "{file}");
    story.go("test", "checklist")?;
    story.sees("test")?;

    // And the partner sees their own side of it.
    story.sign_in(PARTNER)?;
    story.browser.go(&format!("{}/partner/commissions", story.server.url()))?;
    story.sees("Money went back to the buyer.")?;
    Ok(())
}

/// Stripe tells of a refund of the whole sale.
fn refund(story: &Story, connection: &str, sale: &Value) -> Result<()> {
    let mut stripe = Stripe::start(&story.server.url(), &json!({"url": connection, "secret": SECRET}))?;
    let intent = sale["stripe"]
        .as_object()
        .and_then(|ids| ids.values().find_map(|id| id.as_str().filter(|id| id.starts_with("pi_"))));
    let event = json!({
        "id": "evt_story", "object": "event", "api_version": "2026-08-26.dahlia", "created": 1_790_000_000, "livemode": false,
        "type": "refund.created", "data": {"object": {
            "id": "re_story", "object": "refund", "amount": 2_400, "currency": "eur", "status": "succeeded", "charge": null,
            "payment_intent": intent.with_context(|| format!("no payment intent in {sale}"))?, "created": 1_790_000_000,
        }},
    });
    ensure!(stripe.send(&event)?.status == 200, "the refund was not taken");
    Ok(())
}

fn a_live_sale_is_paid_out(story: &mut Story) -> Result<()> {
    story.sign_in(OWNER)?;
    story.set_up("live", "Friends, live")?;
    story.go("live", "partners/new")?;
    story.fill(&[("name", "Ben"), ("email", "ben@partner.example")])?;
    story.browser.click("a[href*='participants/new']")?;
    story.browser.until("return location.pathname.endsWith('participants/new')", &json!([]))?;
    story.fill(&[])?;
    story.browser.click("a[href*='links/new']")?;
    story.browser.until("return location.pathname.endsWith('links/new')", &json!([]))?;
    story.fill(&[("landing_url", &format!("{}/demo/", story.server.url())), ("ref", "ben")])?;

    let click = story.api("pk_live")?.click(text(&story.workspace, "/keys/pk_live")?, "ben")?;
    let sale = json!({"external_transaction_id": "live-1", "event_type": "purchase", "amount_cents": 5_000, "currency": "EUR", "click_id": click});
    let api = story.api("sk_live")?;
    api.post("/api/v1/conversions", &sale)?.expect(201)?;
    wait_for("the commission's approval", WITHIN, || {
        Ok(api.list("commissions")?.into_iter().find(|one| one["state"] == "approved"))
    })?;
    story.go("live", "payouts/new")?;
    story.fill(&[])?;
    let payout = wait_for("the draft", WITHIN, || Ok(api.list("payouts")?.into_iter().next()))?;
    story.go("live", &format!("payouts/{}", text(&payout, "/id")?))?;
    story.sees("10.00 EUR")?;
    let file = story.fetched(&story.page("live", &format!("payouts/{}/csv", text(&payout, "/id")?))?)?;
    ensure!(file.starts_with("200 ") && file.contains("10.00"), "{file}");
    story.press("Mark as paid")?;
    story.fill(&[("reason", "SEPA 4711")])?;
    story.sees("marked as paid")?;
    story.go("live", "commissions")?;
    story.sees("Paid")?;
    Ok(())
}
