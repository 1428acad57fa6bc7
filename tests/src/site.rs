//! A merchant's site: the pages of `fixtures/`, on another origin than the Worker's.
//!
//! `/07-mounted` is `fixtures/07-mounted.html`. In a page `{{api}}` is the Worker's origin, `{{script}}` another origin of it,
//! `{{key}}` a public key, `{{site}}` this site's origin, and `{{name}}` whatever the query says for `_name`.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use tiny_http::{Header, Method, Request, Response, Server};
use url::Url;

use crate::requests::Requests;

/// Comes before everything else of a page, whose policy does not reach it, and leaves nothing behind but what it does.
const WITHOUT_WEBASSEMBLY: &str = "<script>self.WebAssembly = undefined; document.currentScript.remove()</script>";

/// A site, served until this value ends.
pub struct Site {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    origin: String,
    without_webassembly: Arc<AtomicBool>,
}

impl Site {
    /// Serves the pages, filled with two origins of the Worker and a public key.
    pub(crate) fn start(api: &str, script: &str, key: &str, requests: Requests) -> Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port for the site: {error}"))?;
        let port = server.server_addr().to_ip().map_or(0, |address| address.port());
        // The Worker's is 127.0.0.1: for the browser this is another site, not only another port.
        let origin = format!("http://localhost:{port}");
        let server = Arc::new(server);
        let without_webassembly = Arc::new(AtomicBool::new(false));
        let mut pages = Pages {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"),
            known: [("api", api), ("script", script), ("key", key), ("site", &origin)]
                .map(|(name, value)| (name, value.to_owned())),
            without_webassembly: without_webassembly.clone(),
            requests,
            unanswered: Vec::new(),
        };
        let served = server.clone();
        let thread = thread::spawn(move || {
            for request in served.incoming_requests() {
                // A browser that has gone away is no matter.
                let _ = pages.answer(request);
            }
        });
        Ok(Self { server, thread: Some(thread), origin, without_webassembly })
    }

    /// Whether the pages' browser is to have no WebAssembly, from the next page on.
    pub fn take_webassembly_away(&self, away: bool) {
        self.without_webassembly.store(away, Ordering::SeqCst);
    }

    /// Whether it has.
    pub fn has_webassembly(&self) -> bool {
        !self.without_webassembly.load(Ordering::SeqCst)
    }

    /// The address of a page.
    pub fn page(&self, page: &str) -> String {
        format!("{}/{page}", self.origin)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Pages {
    folder: PathBuf,
    known: [(&'static str, String); 4],
    without_webassembly: Arc<AtomicBool>,
    requests: Requests,
    /// Kept: a request that is dropped is answered.
    unanswered: Vec<Request>,
}

impl Pages {
    fn answer(&mut self, mut request: Request) -> Result<()> {
        let _noted = self.requests.note(&mut request);
        let url = Url::parse(&format!("http://site{}", request.url()))?;
        let response = match url.path().trim_matches('/').split('/').collect::<Vec<_>>()[..] {
            // Over for the count of requests, but not for the page.
            ["answers", "never", ..] => {
                self.unanswered.push(request);
                return Ok(());
            }
            ["answers", kind, "v1", "clicks"] if *request.method() == Method::Post => odd_answer(kind),
            [page] => self.page(page, &url),
            _ => None,
        };
        Ok(request.respond(response.unwrap_or_else(|| answer(404, "text/plain", "")))?)
    }

    fn page(&self, page: &str, url: &Url) -> Option<Response<Cursor<Vec<u8>>>> {
        let is_plain = page.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        if !is_plain {
            return None;
        }
        if page.ends_with(".js") {
            let script = self.read(page)?;
            return Some(answer(200, "text/javascript", &script));
        }
        let mut html = self.read(&format!("{page}.html"))?;
        html = html.replace("{{links}}", &self.read("links.html")?);
        for (name, value) in &self.known {
            html = html.replace(&format!("{{{{{name}}}}}"), value);
        }
        for (name, value) in url.query_pairs() {
            if let Some(name) = name.strip_prefix('_') {
                html = html.replace(&format!("{{{{{name}}}}}"), &value);
            }
        }
        if self.without_webassembly.load(Ordering::SeqCst) {
            html = html.replacen("<!doctype html>", &format!("<!doctype html>{WITHOUT_WEBASSEMBLY}"), 1);
        }
        Some(answer(200, "text/html; charset=utf-8", &html))
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }
}

/// What a server other than ours might answer to a click.
fn odd_answer(kind: &str) -> Option<Response<Cursor<Vec<u8>>>> {
    let (status, body) = match kind {
        "error" => (500, "<h1>"),
        "unknown-key" => (401, r#"{"error":{"code":"UNAUTHORIZED"}}"#),
        "unknown-ref" => (404, r#"{"error":{"code":"REFERRAL_NOT_FOUND"}}"#),
        "limited" => (429, r#"{"error":{"code":"RATE_LIMITED"}}"#),
        "page" => (200, "<!doctype html><title>Log in to this network</title>"),
        "garbage" => (200, "\u{0}\u{fffd}}{]["),
        "half" => (200, r#"{"click_i"#),
        "null" => (200, "null"),
        "number" => (200, "5"),
        "word" => (201, r#"{"click_id":"nope","visitor_token":"x"}"#),
        "line" => (201, "{\"click_id\":\"3f2504e0-4f89-41d3-9a0c-0305e82c3301\\n\"}"),
        "object" => (201, r#"{"click_id":{"a":1}}"#),
        _ => return None,
    };
    Some(answer(status, "application/json", body))
}

fn answer(status: u16, media_type: &str, body: &str) -> Response<Cursor<Vec<u8>>> {
    let headers = [("content-type", media_type), ("access-control-allow-origin", "*"), ("cache-control", "no-store")];
    let mut response = Response::from_string(body).with_status_code(status);
    for (name, value) in headers {
        if let Ok(header) = Header::from_bytes(name, value) {
            response.add_header(header);
        }
    }
    response
}
