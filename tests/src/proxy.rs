//! A host of its own for the Worker: whatever is asked of it the Worker is asked, and what matters of it is written down.

use std::io::Cursor;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use tiny_http::{Header, Request, Response, Server, StatusCode};
use ureq::http;

use crate::requests::{Noted, Requests};

/// What is said of one connection, not of the request or its answer.
const OF_A_CONNECTION: [&str; 5] = ["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"];

/// A host, there until this value ends.
pub struct Proxy {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
    origin: String,
}

impl Proxy {
    /// A host on a port of its own, for the Worker at this origin.
    pub(crate) fn start(worker: &str, requests: Requests) -> Result<Self> {
        let server = Server::http("127.0.0.1:0").map_err(|error| anyhow!("no port for the proxy: {error}"))?;
        let port = server.server_addr().to_ip().map_or(0, |address| address.port());
        let server = Arc::new(server);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None);
        let to_worker = Forward { agent: config.build().new_agent(), worker: worker.to_owned(), requests };
        let served = server.clone();
        let thread = thread::spawn(move || {
            for mut request in served.incoming_requests() {
                let noted = to_worker.requests.note(&mut request);
                let to_worker = to_worker.clone();
                // Each by a thread of its own: none waits for another's answer. A browser that has gone away is no matter.
                thread::spawn(move || to_worker.answer(request, &noted));
            }
        });
        Ok(Self { server, thread: Some(thread), origin: format!("http://127.0.0.1:{port}") })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct Forward {
    agent: ureq::Agent,
    worker: String,
    requests: Requests,
}

impl Forward {
    fn answer(&self, request: Request, noted: &Noted) -> Result<()> {
        // See `Stage::clicks`.
        let answer = if request.url() == "/barrier" { barrier() } else { self.ask(&request, &noted.body) };
        let answer = answer.unwrap_or_else(|error| Response::from_string(format!("{error:#}")).with_status_code(502));
        Ok(request.respond(answer)?)
    }

    fn ask(&self, request: &Request, body: &[u8]) -> Result<Response<Cursor<Vec<u8>>>> {
        let url = format!("{}{}", self.worker, request.url());
        let mut asked = http::Request::builder().method(request.method().as_str()).uri(url);
        // The host too: the Worker is addressed as the page addressed us.
        for header in request.headers() {
            let name = header.field.as_str().as_str();
            if !OF_A_CONNECTION.iter().any(|of_a_connection| name.eq_ignore_ascii_case(of_a_connection)) {
                asked = asked.header(name, header.value.as_str());
            }
        }
        let mut answer = match body {
            [] => self.agent.run(asked.body(())?)?,
            body => self.agent.run(asked.body(body)?)?,
        };
        let body = answer.body_mut().read_to_vec()?;
        let length = body.len();
        let headers = answer.headers().iter().filter(|(name, _)| !OF_A_CONNECTION.contains(&name.as_str()));
        let headers = headers.filter_map(|(name, value)| Header::from_bytes(name.as_str(), value.as_bytes()).ok());
        let status = StatusCode(answer.status().as_u16());
        Ok(Response::new(status, headers.collect(), Cursor::new(body), Some(length), None))
    }
}

fn barrier() -> Result<Response<Cursor<Vec<u8>>>> {
    let any_origin = Header::from_bytes("access-control-allow-origin", "*").map_err(|()| anyhow!("no header"))?;
    Ok(Response::from_string("").with_header(any_origin))
}
