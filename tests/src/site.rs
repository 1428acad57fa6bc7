//! A merchant's site: the pages of `fixtures/`, and the sites that frameworks built from `sites/`, on another origin than the
//! Worker's.
//!
//! `/07-mounted` is `fixtures/07-mounted.html`, `/next/pricing` is `build/sites/next/pricing.html`. In a page `{{api}}` is the
//! Worker's origin, `{{script}}` another origin of it, `{{key}}` a public key, `{{site}}` this site's origin, and `{{name}}` whatever the
//! query says for `_name`.

use std::fs;
use std::io::{Cursor, Write as _};
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
            built: Path::new(env!("CARGO_MANIFEST_DIR")).join("../build/sites"),
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
    built: PathBuf,
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
            ["next" | "vite-react", ..] => self.built(url.path()),
            [page] => self.page(page, &url),
            _ => None,
        };
        send(request, response.unwrap_or_else(|| answer(404, "text/plain", "")))
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
        html = self.filled(html);
        for (name, value) in url.query_pairs() {
            if let Some(name) = name.strip_prefix('_') {
                html = html.replace(&format!("{{{{{name}}}}}"), &value);
            }
        }
        Some(answer(200, "text/html; charset=utf-8", &self.with_or_without_webassembly(html)))
    }

    /// A file of a built site, as a static host would find it: the file itself, else the page of that name. A route that only
    /// the site's router knows is its first page. What frameworks build is filled like a page: scripts and data repeat it.
    fn built(&self, path: &str) -> Option<Response<Cursor<Vec<u8>>>> {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.contains(&"..") {
            return None;
        }
        let route = parts.join("/");
        let names = [route.clone(), format!("{route}.html"), format!("{route}/index.html")];
        let found =
            names.iter().find_map(|name| Some((name.as_str(), fs::read_to_string(self.built.join(name)).ok()?)));
        let (name, text) = match found {
            Some(found) => found,
            None if !parts.last()?.contains('.') => {
                ("index.html", fs::read_to_string(self.built.join(parts.first()?).join("index.html")).ok()?)
            }
            None => return None,
        };
        let media_type = match name.rsplit_once('.')?.1 {
            "html" => "text/html; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "json" => "application/json",
            "svg" => "image/svg+xml",
            _ => "text/plain; charset=utf-8",
        };
        Some(answer(200, media_type, &self.with_or_without_webassembly(self.filled(text))))
    }

    fn with_or_without_webassembly(&self, text: String) -> String {
        if !self.without_webassembly.load(Ordering::SeqCst) {
            return text;
        }
        // Frameworks write the second one.
        ["<!doctype html>", "<!DOCTYPE html>"]
            .iter()
            .fold(text, |text, doctype| text.replacen(doctype, &format!("{doctype}{WITHOUT_WEBASSEMBLY}"), 1))
    }

    fn filled(&self, mut text: String) -> String {
        for (name, value) in &self.known {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        text
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

/// Sends an answer after which the browser closes the connection. tiny_http may hand one of several connections that come at
/// once to a thread that still waits on another; where the browser keeps that one open, the new one is never served.
/// The scripts of a framework's page come so. tiny_http itself lets nobody set this header.
fn send(request: Request, response: Response<Cursor<Vec<u8>>>) -> Result<()> {
    let status = response.status_code();
    let mut head = format!("HTTP/1.1 {} {}\r\nconnection: close\r\n", status.0, status.default_reason_phrase());
    for header in response.headers() {
        head.push_str(&format!("{}: {}\r\n", header.field, header.value));
    }
    let body = response.into_reader().into_inner();
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let mut writer = request.into_writer();
    writer.write_all(head.as_bytes())?;
    writer.write_all(&body)?;
    Ok(writer.flush()?)
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
