//! The `Stripe-Signature` header: `t=<unix seconds>,v1=<hex>[,v1=<hex>…][,v0=…]`, where `v1` is HMAC-SHA256 over
//! `<t>.<raw body>`, keyed with the whole `whsec_…` text.
//!
//! Stripe's own libraries differ in what they let pass; this is the strict reading. Several `v1` stand there while a
//! secret is rolled, and any one that fits any of our secrets is enough.

use std::fmt;

use domain::time::Instant;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How old, or how far ahead, a signature may be, in seconds. Exactly this much is accepted.
pub const TOLERANCE_S: i64 = 300;
/// The most signatures of any scheme that one header may hold.
pub const SIGNATURES_MAX: usize = 20;
/// The longest header that is looked at.
pub const HEADER_BYTES_MAX: usize = 4096;
/// Digits of the longest timestamp, good until the year 2286.
const TIMESTAMP_DIGITS_MAX: usize = 10;

/// Why a delivery is not taken for Stripe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// There is no header, or it is empty.
    Missing,
    /// There are several header lines.
    Several,
    /// The header is not of the form above.
    Malformed,
    /// The header has no timestamp.
    NoTimestamp,
    /// The header has no signature of scheme `v1`.
    NoV1,
    /// The header has more signatures than [`SIGNATURES_MAX`].
    TooMany,
    /// No signature fits any of the secrets.
    Mismatch,
    /// The signature fits and is older than [`TOLERANCE_S`].
    Stale,
    /// The signature fits and is further ahead than [`TOLERANCE_S`].
    Future,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the Stripe-Signature header is missing or empty"),
            Self::Several => f.write_str("there are several Stripe-Signature headers"),
            Self::Malformed => f.write_str("the Stripe-Signature header is malformed"),
            Self::NoTimestamp => f.write_str("the Stripe-Signature header has no timestamp"),
            Self::NoV1 => f.write_str("the Stripe-Signature header has no v1 signature"),
            Self::TooMany => write!(
                f,
                "the Stripe-Signature header has more than {SIGNATURES_MAX} signatures"
            ),
            Self::Mismatch => f.write_str("no signature fits the body and a signing secret of this connection"),
            Self::Stale => write!(f, "the signature is older than {TOLERANCE_S} seconds"),
            Self::Future => write!(f, "the signature is more than {TOLERANCE_S} seconds ahead of our clock"),
        }
    }
}

impl std::error::Error for SignatureError {}

/// Verifies `body`, byte for byte as it came, against the lines of the `Stripe-Signature` header (none, one, or the
/// mistake of several) under any of `secrets`.
///
/// The order of checks: form, then signature, then time; so [`SignatureError::Stale`] is only said of what Stripe
/// really signed. An empty secret never fits, since anybody could sign with it.
pub fn verify(secrets: &[&str], header_lines: &[&[u8]], body: &[u8], now: Instant) -> Result<(), SignatureError> {
    let header = match header_lines {
        [] | [b""] => return Err(SignatureError::Missing),
        [line] => Header::parse(line)?,
        _ => return Err(SignatureError::Several),
    };
    // No early exit: how long this takes tells nothing about which candidate came close to which secret.
    let mut fits = Choice::from(0);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let expected = mac(secret, header.timestamp, body);
        for candidate in &header.candidates {
            fits |= candidate.bytes.ct_eq(&expected) & candidate.is_hex;
        }
    }
    if !bool::from(fits) {
        return Err(SignatureError::Mismatch);
    }
    // Ten digits always fit; written without a panic all the same.
    let signed_at_s: i64 = header.timestamp.parse().map_err(|_| SignatureError::Malformed)?;
    match now.seconds().saturating_sub(signed_at_s) {
        age_s if age_s > TOLERANCE_S => Err(SignatureError::Stale),
        age_s if age_s < -TOLERANCE_S => Err(SignatureError::Future),
        _ => Ok(()),
    }
}

/// Signs `body` as Stripe would at `timestamp_s` (Unix seconds) and returns the header's value. For sending test events.
pub fn sign(secret: &str, timestamp_s: i64, body: &[u8]) -> String {
    let timestamp = timestamp_s.to_string();
    let signature = hex::encode(mac(secret, &timestamp, body));
    format!("t={timestamp},v1={signature}")
}

/// A well-formed header. The timestamp stays text, because the text is what was signed.
struct Header<'a> {
    timestamp: &'a str,
    candidates: Vec<Candidate>,
}

/// One `v1`. What is no hex of 32 bytes stays in the list, so that it costs the same time, and never fits.
struct Candidate {
    bytes: [u8; 32],
    is_hex: Choice,
}

impl<'a> Header<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, SignatureError> {
        // White space is not in the grammar, so a space after a comma, or two lines joined by ", ", ends here.
        let visible = line.len() <= HEADER_BYTES_MAX && line.iter().all(u8::is_ascii_graphic);
        let line = std::str::from_utf8(line)
            .ok()
            .filter(|_| visible)
            .ok_or(SignatureError::Malformed)?;
        let mut timestamp = None;
        let mut candidates = Vec::new();
        let mut signatures = 0;
        for element in line.split(',') {
            let (key, value) = element.split_once('=').ok_or(SignatureError::Malformed)?;
            match key {
                "" => return Err(SignatureError::Malformed),
                "t" if timestamp.is_some() || !is_timestamp(value) => return Err(SignatureError::Malformed),
                "t" => timestamp = Some(value),
                _ => {
                    signatures += 1;
                    if signatures > SIGNATURES_MAX {
                        return Err(SignatureError::TooMany);
                    }
                    if key == "v1" {
                        candidates.push(Candidate::decode(value));
                    }
                }
            }
        }
        let timestamp = timestamp.ok_or(SignatureError::NoTimestamp)?;
        if candidates.is_empty() {
            return Err(SignatureError::NoV1);
        }
        Ok(Self { timestamp, candidates })
    }
}

impl Candidate {
    fn decode(value: &str) -> Self {
        let mut bytes = [0; 32];
        let is_hex = hex::decode_to_slice(value, &mut bytes).is_ok();
        Self {
            bytes,
            is_hex: Choice::from(u8::from(is_hex)),
        }
    }
}

fn is_timestamp(value: &str) -> bool {
    (1..=TIMESTAMP_DIGITS_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn mac(secret: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}
