//! What all tests of pages share.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::engine::Engine;
use crate::proxy::Proxy;
use crate::requests::{Click, Requests};
use crate::server::Server;
use crate::site::Site;
use crate::time::{Timer, wait_for};

const READY_WITHIN: Duration = Duration::from_secs(10);
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// A page's tag with a click leaves these alone.
const NOT_OURS: [(&str, &str); 6] = [
    ("own", "https://buy.stripe.com/test_c?client_reference_id=order_7"),
    ("longer-host", "https://buy.stripe.com.evil.example/x"),
    ("in-query", "https://evil.example/?u=https://buy.stripe.com/x"),
    ("user", "https://buy.stripe.com@evil.example/x"),
    ("plain-http", "http://buy.stripe.com/x"),
    ("other-port", "https://buy.stripe.com:444/x"),
];

/// A server, a browser, and a merchant's site, of the bench workspace: limits are not the subject.
pub struct Stage {
    /// The browser, with one tab.
    pub browser: Browser,
    /// The merchant's site.
    pub site: Site,
    /// The merchant's public key.
    pub public_key: String,
    /// Which engines could not be started, and why: that costs its seconds once.
    missing: Vec<(Engine, String)>,
    requests: Requests,
    api: Proxy,
    _script: Proxy,
    /// Ends last.
    pub server: Server,
}

impl Stage {
    /// Starts everything, with Chromium.
    pub fn start() -> Result<Self> {
        let server = Server::start()?;
        let public_key = server.text("/bench/keys/pk_test")?.to_owned();
        let requests = Requests::default();
        let api = Proxy::start(&server.url(), requests.clone())?;
        let script = Proxy::start(&server.url(), requests.clone())?;
        Ok(Self {
            browser: Browser::start(Engine::Chromium)?,
            site: Site::start(api.origin(), script.origin(), &public_key, requests.clone())?,
            public_key,
            missing: Vec::new(),
            requests,
            api,
            _script: script,
            server,
        })
    }

    /// Goes on in another engine, if it is another, and with WebAssembly or without.
    pub fn play_in(&mut self, engine: Engine, with_webassembly: bool) -> Result<()> {
        self.site.take_webassembly_away(!with_webassembly);
        if self.browser.engine() == engine {
            return Ok(());
        }
        if let Some((_, why)) = self.missing.iter().find(|(missing, _)| *missing == engine) {
            bail!("{why}");
        }
        let timer = Timer::start();
        match Browser::start(engine) {
            Ok(browser) => self.browser = browser,
            Err(error) => {
                self.missing.push((engine, format!("{error:#}")));
                return Err(error);
            }
        }
        println!("started {} ({:.1} s)", engine.name(), timer.elapsed().as_secs_f64());
        Ok(())
    }

    /// Whether the pages' browser has WebAssembly now.
    pub fn has_webassembly(&self) -> bool {
        self.site.has_webassembly()
    }

    /// The paths of the scripts that the page has loaded from another origin, in the order of their loading.
    pub fn scripts(&self) -> Result<Value> {
        self.run(
            "return performance.getEntriesByType('resource').map((entry) => new URL(entry.name)) \
             .filter((url) => url.origin !== location.origin && url.pathname.endsWith('.js')).map((url) => url.pathname)",
        )
    }

    /// The Worker's origin, as the pages know it.
    pub fn api_origin(&self) -> &str {
        self.api.origin()
    }

    /// The requests for clicks since this was last asked, answered and dealt with by the page.
    ///
    /// There is no moment at which a request that never comes has not come. So the page is made to ask for something else, as
    /// a click is asked for: what it asked for before has come before it, and what was answered before has reached the page.
    pub fn clicks(&mut self) -> Result<Vec<Click>> {
        wait_for("the answers to clicks", ANSWERED_WITHIN, || {
            self.barrier()?;
            Ok(self.requests.are_over().then_some(()))
        })?;
        self.barrier()?;
        Ok(self.requests.take_clicks())
    }

    /// Waits for what the page itself knows to be under way (`watch.js`), then goes there and back to each host that clicks may
    /// be asked of. Three times: connections are no queue, once might be overtaken on a busy machine. Not by `fetch`, which
    /// some pages break.
    fn barrier(&self) -> Result<()> {
        let script = "const [hosts, done] = arguments;
            const ask = (host) => new Promise((over) => {
                const request = new XMLHttpRequest();
                request.onloadend = over;
                request.open('POST', host + '/barrier');
                request.send('over?');
            });
            const turn = () => new Promise((over) => setTimeout(over));
            const all = () => Promise.all(hosts.map(ask)).then(turn);
            const quiet = () => turn().then(() => window.underWay > 0 ? quiet() : null);
            quiet().then(all).then(all).then(all).then(() => done());";
        let hosts = json!([[self.api_origin(), ""]]);
        self.browser.run_async(script, &hosts).map(drop)
    }

    /// Runs a function's body in the page; gives what it returns.
    pub fn run(&self, script: &str) -> Result<Value> {
        self.browser.run(script, &json!([]))
    }

    /// A tab that has never been here, on a page.
    pub fn arrive(&mut self, page: &str) -> Result<()> {
        self.browser.go(&self.site.page("10-no-tag"))?;
        self.run("sessionStorage.clear()")?;
        self.clicks()?;
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

    /// What the tab keeps: the click's id and the visitor's token.
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
