//! The platform's side of the port: `fetch`, with a time and a length that it may take.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, select};
use js_sys::futures::JsFuture;
use wasm_bindgen::{JsCast, JsValue};
use worker::send::SendFuture;
use worker::{AbortController, ByteStream, Delay, Fetcher, Headers, Method, RequestInit, RequestRedirect};
use worker::{web_sys, worker_sys};

use super::resolver::{self, KINDS, Kind};
use super::{ANSWER_BYTES_MAX, Answer, Post, Receivers, TIMEOUT, Unreached};

/// The resolver that is asked where the deployment names none.
pub const RESOLVER_DEFAULT: &str = "https://cloudflare-dns.com/dns-query";
/// A resolver has so long to answer.
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(5);
const USER_AGENT: &str = "Selgeo-Webhooks/1";

/// The Internet; and this machine, where a binding leads there.
pub struct PlatformReceivers {
    resolver: String,
    loopback: Option<Fetcher>,
}

impl PlatformReceivers {
    /// Asks a resolver at an URL, such as [`RESOLVER_DEFAULT`]. Plain HTTP is for a local one only: whoever can change its answers
    /// can send webhooks where none may go.
    pub fn new(resolver: &str, may_be_plain: bool, loopback: Option<Fetcher>) -> Self {
        let resolver = match resolver.trim() {
            "" => RESOLVER_DEFAULT,
            given if given.starts_with("https://") || may_be_plain => given,
            _ => "",
        };
        Self { resolver: resolver.to_owned(), loopback }
    }

    async fn addresses(&self, name: &str, kind: Kind) -> Result<Vec<IpAddr>, Unreached> {
        let Some(url) = resolver::question(&self.resolver, name, kind) else {
            return Err(Unreached::Failed("DNS_OVER_HTTPS_URL must be an https:// URL".to_owned()));
        };
        let asked = Asked {
            url: &url,
            method: Method::Get,
            headers: &[("accept", resolver::MEDIA_TYPE)],
            body: None,
            via: None,
            timeout: RESOLVER_TIMEOUT,
            bytes_max: resolver::ANSWER_BYTES_MAX,
        };
        let answer = asked.send().await?;
        match answer.status {
            200 => resolver::addresses(&answer.body, kind).map_err(Unreached::Failed),
            status => Err(Unreached::Failed(format!("the resolver answered {status}"))),
        }
    }
}

impl Receivers for PlatformReceivers {
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Result<Answer, Unreached>> {
        Box::pin(SendFuture::new(async move {
            let via = match (post.to_loopback, &self.loopback) {
                (false, _) => None,
                (true, Some(loopback)) => Some(loopback),
                (true, None) => return Err(Unreached::Failed("nothing leads to this machine itself".to_owned())),
            };
            let mut headers = vec![("content-type", "application/json"), ("user-agent", USER_AGENT)];
            headers.extend(post.headers.iter().map(|(name, value)| (*name, value.as_str())));
            let asked = Asked {
                url: &post.url,
                method: Method::Post,
                headers: &headers,
                body: Some(&post.body),
                via,
                timeout: TIMEOUT,
                bytes_max: ANSWER_BYTES_MAX,
            };
            asked.send().await
        }))
    }

    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, Unreached>> {
        Box::pin(SendFuture::new(async move {
            let mut all = Vec::new();
            // One after the other: the platform allows six connections, and a lane has five deliveries under way.
            for kind in KINDS {
                all.extend(self.addresses(name, kind).await?);
            }
            Ok(all)
        }))
    }
}

/// One request.
struct Asked<'a> {
    url: &'a str,
    method: Method,
    headers: &'a [(&'a str, &'a str)],
    body: Option<&'a str>,
    /// A binding that leads there; else it is the Internet.
    via: Option<&'a Fetcher>,
    /// For the answer's head and what is read of its body.
    timeout: Duration,
    bytes_max: usize,
}

impl Asked<'_> {
    /// An answer is one as soon as its head is there: a body that is endless, hangs or breaks off is as long as what has come.
    async fn send(self) -> Result<Answer, Unreached> {
        let controller = AbortController::default();
        let mut deadline = pin!(Delay::from(self.timeout));
        let head = {
            let signal = controller.signal();
            match select(pin!(self.head(&signal)), deadline.as_mut()).await {
                Either::Left((head, _)) => {
                    head.map_err(|error| Unreached::Failed(worker::Error::from(error).to_string()))
                }
                Either::Right(_) => Err(Unreached::TimedOut),
            }
        };
        let answer = match head {
            Ok(head) => Ok(Answer {
                status: head.status(),
                retry_after: head.headers().get("retry-after").ok().flatten(),
                body: beginning(head.body(), self.bytes_max, deadline).await,
            }),
            Err(unreached) => Err(unreached),
        };
        // Whatever is still on its way is not waited for.
        controller.abort();
        answer
    }

    /// Follows no redirect. The answer is left as the platform has it: one with an odd header is an answer too.
    async fn head(&self, signal: &web_sys::AbortSignal) -> Result<web_sys::Response, JsValue> {
        let headers = Headers::new();
        for (name, value) in self.headers {
            headers.set(name, value)?;
        }
        let mut init = RequestInit::new();
        init.with_method(self.method.clone()).with_headers(headers).with_redirect(RequestRedirect::Manual);
        init.with_body(self.body.map(JsValue::from_str));
        let init = web_sys::RequestInit::from(&init);
        init.set_signal(Some(signal));
        let promise = match self.via {
            Some(via) => {
                let via: &worker_sys::Fetcher = via.as_ref().unchecked_ref();
                via.fetch_with_str_and_init(self.url, &init)?
            }
            None => {
                let global: web_sys::WorkerGlobalScope = js_sys::global().unchecked_into();
                global.fetch_with_str_and_init(self.url, &init)
            }
        };
        JsFuture::from(promise).await?.dyn_into()
    }
}

/// What has come of a body by the deadline, cut at a length. What is not read is refused.
async fn beginning(body: Option<web_sys::ReadableStream>, bytes_max: usize, mut deadline: Pin<&mut Delay>) -> Vec<u8> {
    let mut read = Vec::new();
    let Some(body) = body else { return read };
    let mut chunks = pin!(ByteStream::from(body));
    while read.len() < bytes_max {
        match select(chunks.next(), deadline.as_mut()).await {
            Either::Left((Some(Ok(chunk)), _)) => read.extend_from_slice(&chunk),
            // It has ended, has broken off, or there is no time left.
            _ => break,
        }
    }
    read.truncate(bytes_max);
    read
}
