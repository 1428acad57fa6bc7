//! Asking Stripe's API with a merchant's key: the port, and what its answers mean. Only ever read: every request is a GET.
//! No version is named; what comes is read by shape.

use std::fmt;
use std::time::Duration;

use domain::ids::ConnectionId;
use domain::mode::Mode;
use futures_util::future::BoxFuture;

use crate::secrets::Secrets;
use crate::store::stripe_events::Connection;

#[cfg(target_arch = "wasm32")]
pub mod fetch;

/// Where Stripe's API is, unless `STRIPE_API_BASE` says otherwise.
pub const BASE_DEFAULT: &str = "https://api.stripe.com";
/// From asking to the answer's last byte, at most.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// An answer is at most this long. A page of 100 events is rarely over 1 MB; a longer one is asked for in smaller pages.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest key that is taken.
pub const KEY_CHARS_MAX: usize = 255;

/// Asks. Two run: the platform's `fetch`, and a scripted one in tests.
pub trait StripeApi: Send + Sync {
    /// Sends `GET` for a path with its query, such as `/v1/events?limit=100`, with the key as Bearer token. Takes at most
    /// [`TIMEOUT`] and [`ANSWER_BYTES_MAX`]; follows no redirect, which would carry the key elsewhere.
    fn get<'a>(&'a self, path: &'a str, key: &'a str) -> BoxFuture<'a, Result<Answer, Unreached>>;
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// It took longer than [`TIMEOUT`].
    TimedOut,
    /// It is longer than [`ANSWER_BYTES_MAX`].
    TooLong,
    /// The network failed, in its own words.
    Failed(String),
}

/// Why there is no answer that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 401 or 403: the key is revoked, or may not read this. Only the merchant can mend it.
    KeyRefused,
    /// 404: this account has no such object.
    NotThere,
    /// The answer is too long.
    TooLong,
    /// Any other 3xx or 4xx: asking again would not help.
    Refused,
    /// 429: too many requests.
    RateLimited,
    /// 5xx.
    StripeFailed,
    /// It took too long.
    TimedOut,
    /// Stripe was not reached.
    Unreachable,
    /// The answer is none to what was asked.
    Unreadable,
}

impl Fault {
    /// Whether asking again later may help.
    pub const fn passes(self) -> bool {
        matches!(self, Self::RateLimited | Self::StripeFailed | Self::TimedOut | Self::Unreachable | Self::Unreadable)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyRefused => "key_refused",
            Self::NotThere => "not_found",
            Self::TooLong => "answer_too_long",
            Self::Refused => "request_refused",
            Self::RateLimited => "rate_limited",
            Self::StripeFailed => "stripe_failed",
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Unreadable => "answer_unreadable",
        })
    }
}

/// What a connection's key is sealed for.
pub fn key_purpose(id: &ConnectionId) -> String {
    format!("stripe restricted key {id}")
}

/// A merchant's key to Stripe's API. It is shown nowhere, not even by `{:?}`.
pub struct RestrictedKey(String);

impl RestrictedKey {
    /// The key of a connection, if it has one that opens.
    pub fn of(secrets: &Secrets, connection: &Connection) -> Option<Self> {
        let sealed = connection.restricted_key.as_deref()?;
        String::from_utf8(secrets.open(&key_purpose(&connection.id), sealed)?).ok().map(Self)
    }

    /// Whether a text is a key of this mode: `rk_test_…` or `sk_test_…`, which may also read.
    pub fn is_one(text: &str, mode: Mode) -> bool {
        let rest = text.strip_prefix("rk_").or_else(|| text.strip_prefix("sk_"));
        let rest = rest.and_then(|rest| rest.strip_prefix(mode.as_str())).and_then(|rest| rest.strip_prefix('_'));
        rest.is_some_and(|rest| {
            rest.len() >= 8 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    }
}

/// Asks, and sorts what comes: a body that may be read, or why there is none.
pub async fn ask(api: &dyn StripeApi, path: &str, key: &RestrictedKey) -> Result<Vec<u8>, Fault> {
    match api.get(path, &key.0).await {
        Ok(answer) => sorted(answer.status).map(|()| answer.body),
        Err(Unreached::TimedOut) => Err(Fault::TimedOut),
        Err(Unreached::TooLong) => Err(Fault::TooLong),
        Err(Unreached::Failed(why)) => {
            crate::log(&format!("Stripe's API was not reached: {why}"));
            Err(Fault::Unreachable)
        }
    }
}

fn sorted(status: u16) -> Result<(), Fault> {
    match status {
        200..=299 => Ok(()),
        401 | 403 => Err(Fault::KeyRefused),
        404 => Err(Fault::NotThere),
        408 | 409 | 429 => Err(Fault::RateLimited),
        500.. => Err(Fault::StripeFailed),
        _ => Err(Fault::Refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_its_mode_and_of_stripes_form() {
        for key in ["rk_test_51Abc123", "sk_test_51Abc123"] {
            assert!(RestrictedKey::is_one(key, Mode::Test));
            assert!(!RestrictedKey::is_one(key, Mode::Live));
        }
        assert!(RestrictedKey::is_one("rk_live_51Abc123", Mode::Live));
        for text in ["", "rk_test_", "rk_test_1234567", "pk_test_51Abc123", "whsec_51Abc123", "rk_test_51Abc\n123"] {
            assert!(!RestrictedKey::is_one(text, Mode::Test), "{text}");
        }
    }

    #[test]
    fn statuses_are_sorted_into_whose_fault_it_is() {
        let check = |status: u16, expected: Result<(), Fault>| assert_eq!(sorted(status), expected, "{status}");
        check(200, Ok(()));
        check(302, Err(Fault::Refused));
        check(400, Err(Fault::Refused));
        check(401, Err(Fault::KeyRefused));
        check(403, Err(Fault::KeyRefused));
        check(404, Err(Fault::NotThere));
        check(429, Err(Fault::RateLimited));
        check(500, Err(Fault::StripeFailed));
        check(503, Err(Fault::StripeFailed));
        assert!(!Fault::KeyRefused.passes() && !Fault::NotThere.passes() && !Fault::Refused.passes());
        assert!(Fault::RateLimited.passes() && Fault::StripeFailed.passes() && Fault::TimedOut.passes());
    }
}
