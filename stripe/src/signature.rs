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
            Self::TooMany => write!(f, "the Stripe-Signature header has more than {SIGNATURES_MAX} signatures"),
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
        let line = std::str::from_utf8(line).ok().filter(|_| visible).ok_or(SignatureError::Malformed)?;
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
        Self { bytes, is_hex: Choice::from(u8::from(is_hex)) }
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
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    const SIGNED_AT_S: i64 = 1_700_000_000;
    /// `printf '1700000000.{"id":"evt_1"}' | openssl sha256 -hmac whsec_test_secret`
    const V1: &str = "248a374f50f943a28b0f6ab50faf9a7e7e29b710fa26df9fb1618b9bf8ea9c9a";

    fn at(offset_s: i64) -> Instant {
        Instant::from_seconds(SIGNED_AT_S + offset_s)
    }

    fn good() -> String {
        format!("t={SIGNED_AT_S},v1={V1}")
    }

    #[test]
    fn a_signature_made_elsewhere_is_made_here() {
        assert_eq!(sign(SECRET, SIGNED_AT_S, BODY), good());
    }

    #[test]
    fn every_form_of_the_header_has_its_answer() {
        let check = |header: &str, expected: Result<(), SignatureError>| {
            let answer = verify(&[SECRET], &[header.as_bytes()], BODY, at(0));
            assert_eq!(answer, expected, "{header}");
        };
        let garbage = "0".repeat(64);
        check(&good(), Ok(()));
        check(&format!("v1={V1},t={SIGNED_AT_S}"), Ok(()));
        check(&format!("t={SIGNED_AT_S},v1={}", V1.to_uppercase()), Ok(()));
        check(&format!("t={SIGNED_AT_S},v1={garbage},v1=zz,v1=,v1={V1}"), Ok(()));
        check(&format!("t={SIGNED_AT_S},v1={V1},v1={garbage}"), Ok(()));
        check(&format!("t={SIGNED_AT_S},v0={garbage},v1={V1},v2=new"), Ok(()));
        check(&format!("t={SIGNED_AT_S}{},v1={V1}", ",v1=00".repeat(19)), Ok(()));
        check(&format!("t={SIGNED_AT_S}{},v1={V1}", ",v1=00".repeat(20)), Err(SignatureError::TooMany));
        check(&format!("t={SIGNED_AT_S}{},v1={V1}", ",v0=00".repeat(20)), Err(SignatureError::TooMany));
        check("", Err(SignatureError::Missing));
        check(&format!("t={SIGNED_AT_S},v0={V1}"), Err(SignatureError::NoV1));
        check(&format!("t={SIGNED_AT_S}"), Err(SignatureError::NoV1));
        check(&format!("t={SIGNED_AT_S},V1={V1}"), Err(SignatureError::NoV1));
        check(&format!("v1={V1}"), Err(SignatureError::NoTimestamp));
        check(&format!("T={SIGNED_AT_S},v1={V1}"), Err(SignatureError::NoTimestamp));
        check(&format!("t={SIGNED_AT_S},v1={garbage}"), Err(SignatureError::Mismatch));
        check(&format!("t={SIGNED_AT_S},v1={V1}00"), Err(SignatureError::Mismatch));
        check(&format!("t={SIGNED_AT_S},v1={}", &V1[..62]), Err(SignatureError::Mismatch));
        check(&format!("t={},v1={V1}", SIGNED_AT_S + 1), Err(SignatureError::Mismatch));
        check(&format!("t=0{SIGNED_AT_S},v1={V1}"), Err(SignatureError::Malformed));
        for malformed in [
            format!("t={SIGNED_AT_S},v1={V1},"),
            format!(",t={SIGNED_AT_S},v1={V1}"),
            format!("t={SIGNED_AT_S},,v1={V1}"),
            format!("t={SIGNED_AT_S}, v1={V1}"),
            format!("t={SIGNED_AT_S},v1={V1} "),
            format!(" t={SIGNED_AT_S},v1={V1}"),
            format!("t={SIGNED_AT_S},v1={V1},v0"),
            format!("t={SIGNED_AT_S},={V1},v1={V1}"),
            format!("t={SIGNED_AT_S},t={SIGNED_AT_S},v1={V1}"),
            format!("t={SIGNED_AT_S}abc,v1={V1}"),
            format!("t=123abc,v1={V1}"),
            format!("t=-{SIGNED_AT_S},v1={V1}"),
            format!("t=+{SIGNED_AT_S},v1={V1}"),
            format!("t={SIGNED_AT_S}.0,v1={V1}"),
            format!("t=,v1={V1}"),
            format!("t=99999999999999999999999,v1={V1}"),
            format!("t={SIGNED_AT_S},v1={V1},v0={}", "0".repeat(HEADER_BYTES_MAX)),
            format!("t={SIGNED_AT_S},v1={V1}\u{e9}"),
            format!("t={SIGNED_AT_S},v1={V1}\t"),
            "nonsense".to_owned(),
            " ".to_owned(),
        ] {
            check(&malformed, Err(SignatureError::Malformed));
        }
    }

    #[test]
    fn the_header_stands_in_one_line() {
        let check = |lines: &[&[u8]], expected| assert_eq!(verify(&[SECRET], lines, BODY, at(0)), expected);
        let good = good();
        check(&[], Err(SignatureError::Missing));
        check(&[good.as_bytes()], Ok(()));
        check(&[good.as_bytes(), good.as_bytes()], Err(SignatureError::Several));
        check(&[b"", good.as_bytes()], Err(SignatureError::Several));
        check(&[b"t=\xff,v1=\xff"], Err(SignatureError::Malformed));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_on_both_sides() {
        let check = |offset_s: i64, expected| {
            assert_eq!(verify(&[SECRET], &[good().as_bytes()], BODY, at(offset_s)), expected, "{offset_s}");
        };
        check(0, Ok(()));
        check(300, Ok(()));
        check(301, Err(SignatureError::Stale));
        check(-300, Ok(()));
        check(-301, Err(SignatureError::Future));
        check(i64::from(i32::MAX), Err(SignatureError::Stale));
    }

    #[test]
    fn a_forged_signature_is_a_mismatch_however_old() {
        let forged = format!("t=1,v1={}", "0".repeat(64));
        assert_eq!(verify(&[SECRET], &[forged.as_bytes()], BODY, at(0)), Err(SignatureError::Mismatch));
    }

    #[test]
    fn any_of_the_secrets_is_enough_and_an_empty_one_never() {
        let check = |secrets: &[&str], expected| {
            assert_eq!(verify(secrets, &[good().as_bytes()], BODY, at(0)), expected, "{secrets:?}");
        };
        check(&[SECRET], Ok(()));
        check(&["whsec_old", SECRET], Ok(()));
        check(&[SECRET, "whsec_new"], Ok(()));
        check(&["whsec_old", "whsec_new"], Err(SignatureError::Mismatch));
        // The prefix is part of the key.
        check(&["test_secret"], Err(SignatureError::Mismatch));
        check(&[], Err(SignatureError::Mismatch));
        let signed_with_nothing = sign("", SIGNED_AT_S, BODY);
        let answer = verify(&[""], &[signed_with_nothing.as_bytes()], BODY, at(0));
        assert_eq!(answer, Err(SignatureError::Mismatch));
    }

    #[test]
    fn bodies_of_any_bytes_are_signed() {
        for body in [&b""[..], b"\xef\xbb\xbf{}", b"{\r\n}", b"\x1f\x8b\x08\x00", b"\"\\ud83d\""] {
            let header = sign(SECRET, SIGNED_AT_S, body);
            assert_eq!(verify(&[SECRET], &[header.as_bytes()], body, at(0)), Ok(()), "{body:?}");
            let longer = [body, b"\n"].concat();
            let answer = verify(&[SECRET], &[header.as_bytes()], &longer, at(0));
            assert_eq!(answer, Err(SignatureError::Mismatch), "{body:?}");
        }
    }

    #[test]
    fn the_known_answer_of_stripes_own_library_is_ours() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures/stripe/event_test_signature.json");
        let Ok(body) = std::fs::read(path) else {
            println!("skipped: the folder of Stripe fixtures is absent");
            return;
        };
        let header = "t=1533204620,v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7";
        assert_eq!(sign("webhook_secret", 1_533_204_620, &body), header);
        let now = Instant::from_seconds(1_533_204_720);
        assert_eq!(verify(&["webhook_secret"], &[header.as_bytes()], &body, now), Ok(()));
    }

    #[test]
    fn errors_are_sentences() {
        assert_eq!(SignatureError::Stale.to_string(), "the signature is older than 300 seconds");
        assert_eq!(SignatureError::TooMany.to_string(), "the Stripe-Signature header has more than 20 signatures");
    }

    proptest! {
        #[test]
        fn what_is_signed_here_is_verified_here(body: Vec<u8>, secret in "[ -~]{1,80}", signed_at_s in 0..9_999_999_999_i64) {
            let header = sign(&secret, signed_at_s, &body);
            let answer = verify(&["whsec_old", &secret], &[header.as_bytes()], &body, Instant::from_seconds(signed_at_s));
            prop_assert_eq!(answer, Ok(()));
        }

        #[test]
        fn a_flipped_bit_of_the_body_is_refused(mut body in prop::collection::vec(any::<u8>(), 1..200), at_bit: usize) {
            let header = sign(SECRET, SIGNED_AT_S, &body);
            let bit = at_bit % (body.len() * 8);
            body[bit / 8] ^= 1 << (bit % 8);
            let answer = verify(&[SECRET], &[header.as_bytes()], &body, at(0));
            prop_assert_eq!(answer, Err(SignatureError::Mismatch));
        }

        #[test]
        fn any_header_has_an_answer(header: Vec<u8>, body: Vec<u8>) {
            prop_assert!(verify(&[SECRET], &[&header], &body, at(0)).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_of_the_header_is_refused() {
        let good = good().into_bytes();
        for bit in 0..good.len() * 8 {
            let mut header = good.clone();
            header[bit / 8] ^= 1 << (bit % 8);
            // Upper-case hex is the same signature.
            if header.eq_ignore_ascii_case(&good) && header.starts_with(b"t=") && header[13..15] == *b"v1" {
                continue;
            }
            let answer = verify(&[SECRET], &[&header], BODY, at(0));
            assert!(answer.is_err(), "{}", String::from_utf8_lossy(&header));
        }
    }
}
