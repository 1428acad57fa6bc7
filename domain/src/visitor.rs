//! The visitor token: the visitor's last click, sealed by us, kept by the browser. It tells the same click again within
//! half an hour without any look-up.
//!
//! The text is base64url of the click id's 16 bytes and 16 bytes of HMAC-SHA256 over workspace, mode and id. The id itself
//! seals link and time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::click_id::ClickId;
use crate::mode::Mode;
use crate::time::{Instant, MINUTE_MS};

/// The same link again within this span is the same click.
pub const SAME_CLICK_MS: i64 = 30 * MINUTE_MS;

/// Seals a click for one workspace and mode.
pub fn seal(secret: &[u8; 32], workspace: &str, mode: Mode, click: ClickId) -> String {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&click.bytes());
    bytes[16..].copy_from_slice(&tag(secret, workspace, mode, click));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The click of a token that is ours, of this workspace and mode, under any of the secrets; `None` otherwise.
pub fn open(secrets: &[[u8; 32]], workspace: &str, mode: Mode, token: &str) -> Option<ClickId> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    let (id, given) = bytes.split_at(16);
    let click = ClickId::from_bytes(id.try_into().ok()?);
    secrets
        .iter()
        .any(|secret| bool::from(tag(secret, workspace, mode, click).as_slice().ct_eq(given)))
        .then_some(click)
}

/// Whether a click on the same link at `now` is the click that happened at `last`.
pub fn is_same_click(last: Instant, now: Instant) -> bool {
    (0..=SAME_CLICK_MS).contains(&now.since_ms(last))
}

fn tag(secret: &[u8; 32], workspace: &str, mode: Mode, click: ClickId) -> [u8; 16] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        // HMAC takes keys of any length.
        return [0; 16];
    };
    mac.update(b"selgeo visitor 1\0");
    mac.update(workspace.as_bytes());
    mac.update(b"\0");
    mac.update(mode.as_str().as_bytes());
    mac.update(b"\0");
    mac.update(&click.bytes());
    let mut tag = [0; 16];
    tag.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    tag
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    proptest! {
        #[test]
        fn a_token_opens_in_its_workspace_and_mode_only(bytes: [u8; 16]) {
            let click = ClickId::from_bytes(bytes);
            let token = seal(&SECRET, "ws_a", Mode::Test, click);
            prop_assert!(token.len() <= 64);
            prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(open(&[SECRET], "ws_a", Mode::Test, &token), Some(click));
            prop_assert_eq!(open(&[[8; 32], SECRET], "ws_a", Mode::Test, &token), Some(click));
            prop_assert_eq!(open(&[SECRET], "ws_a", Mode::Live, &token), None);
            prop_assert_eq!(open(&[SECRET], "ws_b", Mode::Test, &token), None);
            prop_assert_eq!(open(&[[8; 32]], "ws_a", Mode::Test, &token), None);
        }

        #[test]
        fn a_changed_token_is_not_ours(bytes: [u8; 16], bit in 0usize..256) {
            let token = seal(&SECRET, "ws_a", Mode::Test, ClickId::from_bytes(bytes));
            let mut raw = URL_SAFE_NO_PAD.decode(token).unwrap();
            raw[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&[SECRET], "ws_a", Mode::Test, &URL_SAFE_NO_PAD.encode(raw)), None);
        }

        #[test]
        fn any_text_is_read_without_panic(text: String) {
            prop_assert_eq!(open(&[SECRET], "ws_a", Mode::Test, &text), None);
        }
    }

    #[test]
    fn visitor_token_format_unchanged() {
        let token = seal(&SECRET, "ws_a", Mode::Test, ClickId::from_bytes([1; 16]));
        assert_eq!(token, "AQEBAQEBAQEBAQEBAQEBAVU4k_g5GxH4jpJBYNie71U");
    }

    #[test]
    fn the_same_click_lasts_thirty_minutes() {
        let at = Instant::from_ms;
        assert!(is_same_click(at(0), at(SAME_CLICK_MS)));
        assert!(!is_same_click(at(0), at(SAME_CLICK_MS + 1)));
        assert!(!is_same_click(at(1), at(0)));
    }
}
