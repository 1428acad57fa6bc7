//! Outgoing webhooks: what is sent where, and what came of it. The port to receivers, and the lane of one endpoint.

pub mod lane;
pub mod resolver;
pub mod target;

#[cfg(target_arch = "wasm32")]
pub mod fetch;

use std::net::IpAddr;
use std::time::Duration;

use domain::webhook::schedule::TIMEOUT_MS;
use futures_util::future::BoxFuture;

/// From sending to the answer's head, at most; what of its body has come by then is kept.
pub const TIMEOUT: Duration = Duration::from_millis(TIMEOUT_MS.unsigned_abs());
/// So much of an answer is read and kept.
pub const ANSWER_BYTES_MAX: usize = 20_000;
/// The longest URL of an endpoint.
pub const URL_CHARS_MAX: usize = 2_048;

/// The world outside. Two run: the platform's `fetch` with DNS over HTTPS, and a scripted one in tests.
pub trait Receivers: Send + Sync {
    /// Posts; follows no redirect. Takes at most [`TIMEOUT`] and reads at most [`ANSWER_BYTES_MAX`] of the answer.
    fn post<'a>(&'a self, post: &'a Post) -> BoxFuture<'a, Result<Answer, Unreached>>;

    /// Every address of a name, of either family; empty where the name has none.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, Unreached>>;
}

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Where.
    pub url: String,
    /// Whether that is this machine itself, which only a local server may ask.
    pub to_loopback: bool,
    /// Headers beside those that every post has.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// It took longer than [`TIMEOUT`].
    TimedOut,
    /// The network failed, in its own words.
    Failed(String),
}
