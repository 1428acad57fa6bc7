//! Bytes to JSON, with a defined answer for each oddity.
//!
//! - Of keys that stand twice in one object the last counts, as in Stripe's own libraries.
//! - A lone surrogate (`"\ud83d"`), which JavaScript lets pass and Rust's text cannot hold, becomes U+FFFD: it can only
//!   stand in free text such as a name, and a sale is not to be lost for it.
//! - Nesting deeper than 128 levels, a byte order mark, bytes that are not UTF-8, numbers beyond a double, text after the
//!   end, an empty body: not JSON.

use serde_json::Value;

/// The value that `body` says, or `None` where it is not JSON.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        Err(_) => serde_json::from_slice(&without_lone_surrogates(body)?).ok(),
    }
}

/// The same text with each lone surrogate replaced; `None` where there is none. A backslash only ever stands inside a
/// string, so the strings need not be found.
fn without_lone_surrogates(body: &[u8]) -> Option<Vec<u8>> {
    let mut mended = Vec::with_capacity(body.len());
    let mut found = false;
    let mut rest = body;
    while let Some(backslash) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(backslash);
        mended.extend_from_slice(before);
        let (escape_bytes, lone) = match unit(escape) {
            Some(0xd800..=0xdbff) => match unit(escape.get(6..).unwrap_or_default()) {
                Some(0xdc00..=0xdfff) => (12, false),
                _ => (6, true),
            },
            Some(0xdc00..=0xdfff) => (6, true),
            Some(_) => (6, false),
            None => (2, false),
        };
        let (escape, after) = escape.split_at_checked(escape_bytes).unwrap_or((escape, &[]));
        mended.extend_from_slice(if lone { br"\ufffd" } else { escape });
        found |= lone;
        rest = after;
    }
    mended.extend_from_slice(rest);
    found.then_some(mended)
}

/// The UTF-16 unit of the escape `\uXXXX` at the start of `text`.
fn unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_oddity_has_a_defined_answer() {
        let check = |body: &[u8], expected: Option<Value>| {
            assert_eq!(parse(body), expected, "{:?}", String::from_utf8_lossy(body));
        };
        check(b"", None);
        check(b" \r\n", None);
        check(b"{}", Some(serde_json::json!({})));
        check(b"{\r\n}\r\n", Some(serde_json::json!({})));
        check(b"\xef\xbb\xbf{}", None);
        check(b"{} {}", None);
        check(b"{\"a\":1,\"a\":2}", Some(serde_json::json!({"a": 2})));
        check(b"1e999", None);
        check(b"\"\xff\"", None);
        check(b"\x1f\x8b\x08\x00", None);
        check("[".repeat(100_000).as_bytes(), None);
        check(format!("{}{}", "[".repeat(200), "]".repeat(200)).as_bytes(), None);
    }

    #[test]
    fn a_lone_surrogate_becomes_a_replacement_character_and_a_pair_stays() {
        let check = |body: &str, expected: Option<&str>| {
            assert_eq!(parse(body.as_bytes()), expected.map(Value::from), "{body}");
        };
        check(r#""\ud83d""#, Some("\u{fffd}"));
        check(r#""\udE00 a""#, Some("\u{fffd} a"));
        check(r#""\ud83d\ud83d\ude00""#, Some("\u{fffd}😀"));
        check(r#""\ud83d\n\\ud83d""#, Some("\u{fffd}\n\\ud83d"));
        check(r#""\ud83d\u""#, None);
        check(r#""\ud83d\"#, None);
        check(r#""\ud83"#, None);
        check(r#""\u+83d""#, None);
    }
}
