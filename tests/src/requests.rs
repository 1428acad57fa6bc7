//! What pages ask of the servers of this machine, written down by those servers: the same in every browser.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tiny_http::{Method, Request};

/// A request for a click.
#[derive(Debug)]
pub struct Click {
    /// Where it went, as the page addressed it.
    pub url: String,
    /// What it sent.
    pub body: Value,
}

/// The requests since they were last taken, of all servers that share this.
#[derive(Clone, Default)]
pub(crate) struct Requests(Arc<Mutex<List>>);

#[derive(Default)]
struct List {
    noted: u64,
    clicks: Vec<Click>,
    /// Those that have no answer yet.
    open: Vec<u64>,
}

/// A request that was noted. It is over, whatever came of it, when this value ends.
pub(crate) struct Noted {
    requests: Requests,
    number: u64,
    /// Its body.
    pub body: Vec<u8>,
}

impl Requests {
    /// Reads a request's body and notes the request if it is one for a click.
    pub fn note(&self, request: &mut Request) -> Noted {
        let mut body = Vec::new();
        // A body that breaks off is noted as far as it came.
        let _ = request.as_reader().read_to_end(&mut body);
        let path = request.url().split(['?', '#']).next().unwrap_or("");
        let mut list = self.list();
        list.noted += 1;
        let number = list.noted;
        if *request.method() == Method::Post && path.ends_with("/v1/clicks") {
            let url = format!("http://{}{}", header(request, "host"), request.url());
            list.clicks.push(Click { url, body: serde_json::from_slice(&body).unwrap_or_default() });
            list.open.push(number);
        }
        drop(list);
        Noted { requests: self.clone(), number, body }
    }

    /// Whether every request for a click has its answer.
    pub fn are_over(&self) -> bool {
        self.list().open.is_empty()
    }

    /// The requests for clicks since this was last asked, in the order of their coming.
    pub fn take_clicks(&self) -> Vec<Click> {
        std::mem::take(&mut self.list().clicks)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.requests.list().open.retain(|number| *number != self.number);
    }
}

/// A header's text; empty if it is not there.
fn header<'a>(request: &'a Request, name: &'static str) -> &'a str {
    let found = request.headers().iter().find(|header| header.field.equiv(name));
    found.map_or("", |header| header.value.as_str())
}
