//! The world outside as a script: a test says what each receiver answers and where each name leads.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;

use futures_util::future::BoxFuture;
use serde_json::Value as Json;

use crate::webhooks::{ANSWER_BYTES_MAX, Answer, Post, Receivers, Unreached};

/// What a receiver does when something is posted to it.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers with this status, an empty body and nothing else.
    Status(u16),
    /// Answers with this status and this `Retry-After`.
    Asks(u16, &'static str),
    /// Answers with this status and this body, of which no more is read than the port allows.
    Tells(u16, Vec<u8>),
    /// Nothing, for too long.
    Nothing,
    /// The network fails so.
    Fails(&'static str),
}

/// What came in at a receiver.
#[derive(Clone, Debug)]
pub struct Received {
    /// Where.
    pub url: String,
    /// The headers that this post has beside those of every post.
    pub headers: HashMap<&'static str, String>,
    /// As it came.
    pub raw: String,
    /// Read as JSON.
    pub body: Json,
}

impl Received {
    /// A header that must be there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        &self.headers[name]
    }

    /// `conversion.created`.
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    /// The event's id.
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }
}

type Meanwhile = Box<dyn FnOnce() + Send>;

/// Every receiver takes everything, and every name leads to one public address, until a test says otherwise.
#[derive(Default)]
pub struct ScriptedReceivers {
    does: Mutex<HashMap<String, Does>>,
    leads: Mutex<HashMap<String, Result<Vec<IpAddr>, Unreached>>>,
    received: Mutex<Vec<Received>>,
    asked: Mutex<Vec<String>>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl ScriptedReceivers {
    /// What the receiver at this URL does from now on.
    pub fn say(&self, url: &str, does: Does) {
        self.does.lock().unwrap().insert(url.to_owned(), does);
    }

    /// Where a name leads from now on.
    pub fn lead(&self, name: &str, to: Result<&[&str], Unreached>) {
        let to = to.map(|addresses| addresses.iter().map(|one| one.parse().unwrap()).collect());
        self.leads.lock().unwrap().insert(name.to_owned(), to);
    }

    /// What happens while the next post is under way.
    pub fn meanwhile(&self, what: impl FnOnce() + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(what));
    }

    /// What came in since this was last asked, in order.
    pub fn received(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }

    /// The names that were asked for since this was last asked.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The types that came in at a URL since this was last asked; what other receivers got is forgotten.
    pub fn kinds_at(&self, url: &str) -> Vec<String> {
        let at = self.received().into_iter().filter(|one| one.url == url);
        at.map(|one| one.kind().to_owned()).collect()
    }

    fn answer(&self, post: &Post) -> Result<Answer, Unreached> {
        let body = serde_json::from_str(&post.body).unwrap();
        let headers = post.headers.iter().cloned().collect();
        self.received.lock().unwrap().push(Received { url: post.url.clone(), headers, raw: post.body.clone(), body });
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        let does = self.does.lock().unwrap().get(&post.url).cloned().unwrap_or(Does::Status(204));
        let answer = |status, retry_after: Option<&str>, body: &[u8]| Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: body.iter().take(ANSWER_BYTES_MAX).copied().collect(),
        };
        match does {
            Does::Status(status) => Ok(answer(status, None, b"")),
            Does::Asks(status, wish) => Ok(answer(status, Some(wish), b"")),
            Does::Tells(status, body) => Ok(answer(status, None, &body)),
            Does::Nothing => Err(Unreached::TimedOut),
            Does::Fails(why) => Err(Unreached::Failed(why.to_owned())),
        }
    }
}

impl Receivers for ScriptedReceivers {
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Result<Answer, Unreached>> {
        Box::pin(async move { self.answer(post) })
    }

    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, Unreached>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let leads = self.leads.lock().unwrap().get(name).cloned();
        let public = || Ok(vec![IpAddr::V4(Ipv4Addr::new(93, 184, 215, 14))]);
        Box::pin(std::future::ready(leads.unwrap_or_else(public)))
    }
}
