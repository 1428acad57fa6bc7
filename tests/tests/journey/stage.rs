//! What all tests of the journey share.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Browser, Client, Server, Site, Stripe, wait_for};
use serde_json::{Value, json};

const READY_WITHIN: Duration = Duration::from_secs(10);

/// A page's tag with a click leaves these alone.
const NOT_OURS: [(&str, &str); 6] = [
    ("own", "https://buy.stripe.com/test_c?client_reference_id=order_7"),
    ("longer-host", "https://buy.stripe.com.evil.example/x"),
    ("in-query", "https://evil.example/?u=https://buy.stripe.com/x"),
    ("user", "https://buy.stripe.com@evil.example/x"),
    ("plain-http", "http://buy.stripe.com/x"),
    ("other-port", "https://buy.stripe.com:444/x"),
];

/// A server, a browser, a merchant's site, and Stripe; all of the bench workspace, because limits are not the subject.
pub struct Stage {
    pub browser: Browser,
    pub site: Site,
    pub stripe: Stripe,
    pub api: Client,
    pub public_key: String,
    /// Ends last.
    pub server: Server,
}

impl Stage {
    pub fn start() -> Result<Self> {
        let server = Server::start()?;
        let bench = &server.dev()["bench"];
        let public_key = server.text("/bench/keys/pk_test")?.to_owned();
        Ok(Self {
            browser: Browser::start()?,
            site: Site::start(&server.url(), &public_key)?,
            stripe: Stripe::start(&server.url(), &bench["stripe"]["test"])?,
            api: Client::new(server.url()).with_key(server.text("/bench/keys/sk_test")?),
            public_key,
            server,
        })
    }

    /// Runs a function's body in the page; gives what it returns.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.browser.run(script, &json!([]))
    }

    /// The same, with arguments.
    pub fn run_with(&self, script: &str, arguments: &Value) -> Result<Value> {
        self.browser.run(script, arguments)
    }

    /// A tab that has never been here, on a page.
    pub fn arrive(&mut self, page: &str) -> Result<()> {
        self.browser.go(&self.site.page("10-no-tag"))?;
        self.run("sessionStorage.clear()")?;
        self.browser.clicks()?;
        self.browser.go(&self.site.page(page))
    }

    /// The tab's click, as soon as there is one.
    pub fn click_id(&self) -> Result<String> {
        let id = wait_for("a click", READY_WITHIN, || {
            Ok(self.run("return __selgeo.getClickId()")?.as_str().map(str::to_owned))
        })?;
        ensure!(is_uuid(&id), "{id} is no lower-case UUID of version 4");
        Ok(id)
    }

    /// A link's address as it is written.
    pub fn link(&self, id: &str) -> Result<String> {
        let href = self.run(&format!("return document.getElementById('{id}').getAttribute('href')"))?;
        Ok(href.as_str().context("no such link")?.to_owned())
    }

    pub fn kept(&self) -> Result<Value> {
        self.run("return [sessionStorage.__selgeo_cid ?? null, sessionStorage.__selgeo_vtk ?? null]")
    }

    /// The page has noticed no error and nothing printed.
    pub fn expect_quiet(&self) -> Result<()> {
        let wrong = self.run("return wrong")?;
        ensure!(wrong == json!([]), "the page noticed {wrong}");
        Ok(())
    }

    /// The page is as if there were no snippet on it.
    pub fn expect_untouched(&self) -> Result<()> {
        assert_eq!(self.link("plain")?, "https://buy.stripe.com/test_a");
        assert_eq!(self.link("empty")?, "https://buy.stripe.com/test_d?client_reference_id=");
        assert_eq!(self.link("upper")?, "HTTPS://BUY.STRIPE.COM/test_e");
        for (id, href) in NOT_OURS {
            assert_eq!(self.link(id)?, href, "{id}");
        }
        self.expect_quiet()
    }

    /// Each payment link carries the click, and nothing else of the page has changed.
    pub fn expect_marked(&self, click: &str) -> Result<()> {
        let check = |id: &str, expected: String| -> Result<()> {
            assert_eq!(self.link(id)?, expected, "{id}");
            Ok(())
        };
        check("plain", format!("https://buy.stripe.com/test_a?client_reference_id={click}"))?;
        let query = "prefilled_email=a%2Bb%40x.example&note=a%20b~&flag";
        check("query", format!("https://buy.stripe.com/test_b?{query}&client_reference_id={click}#frag"))?;
        check("empty", format!("https://buy.stripe.com/test_d?client_reference_id={click}"))?;
        check("upper", format!("https://buy.stripe.com/test_e?client_reference_id={click}"))?;
        NOT_OURS.iter().try_for_each(|(id, href)| check(id, (*href).to_owned()))
    }
}

fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_hex = id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    is_hex && lengths == [8, 4, 4, 4, 12] && groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b'])
}
