//! What came over Traaaction's surface: how much its word weighs, and when two of what came are one.

use sha2::{Digest, Sha256};

use crate::status::words;
use crate::time::{Instant, MINUTE_MS};

/// A sale that names no transaction is the same as one with the same body within this time.
pub const SAME_SALE_MS: i64 = 10 * MINUTE_MS;

words! {
    /// By what a lead or a sale came over Traaaction's surface.
    Tracked {
        /// By a secret key.
        Authenticated = "authenticated",
        /// By what anybody can know: a public key, a page's host, a workspace's id.
        Public = "public",
    }
}

/// The transaction id of a lead: of each customer and event there is one.
pub fn lead_id(customer_external_id: &str, event_name: &str) -> String {
    format!("lead/{}", digest(&[customer_external_id, event_name]))
}

/// The ids of a sale that names no transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaleIds {
    /// Its own.
    pub transaction: String,
    /// What it shares with every sale of the same body that comes within the time in which that is the same sale. A sale claims its
    /// own ten minutes and the next, so that of two that come at once on both sides of their border one finds the other.
    pub shared: [String; 2],
}

/// The ids of a sale of that body, which comes now.
pub fn sale_ids(body: &[&str], now: Instant) -> SaleIds {
    let digest = digest(body);
    let span = now.ms().div_euclid(SAME_SALE_MS);
    let shared = [span, span + 1].map(|span| format!("sale-of/{digest}/{span}"));
    SaleIds { transaction: format!("sale/{digest}/{}", now.ms()), shared }
}

/// Whether two transaction ids are of one sale that names none: the same body within ten minutes.
pub fn is_same_sale(one: &str, other: &str) -> bool {
    let read = |id: &str| {
        let (digest, ms) = id.strip_prefix("sale/")?.split_once('/')?;
        Some((digest.to_owned(), ms.parse::<i64>().ok()?))
    };
    match (read(one), read(other)) {
        (Some((one, at)), Some((other, then))) => one == other && at.abs_diff(then) <= SAME_SALE_MS.unsigned_abs(),
        _ => false,
    }
}

/// Each text with its length before it, so that no two lists read alike.
fn digest(texts: &[&str]) -> String {
    let mut sha = Sha256::new();
    for text in texts {
        sha.update((text.len() as u64).to_be_bytes());
        sha.update(text);
    }
    hex::encode(&sha.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_seconds(1_800_000_000);

    #[test]
    fn lead_ids_of_other_customers_or_events_differ_and_their_format_is_unchanged() {
        assert_eq!(lead_id("c_1", "sign_up"), "lead/57e23dd4ae2781ba72dfe6110e56acf3");
        assert_eq!(lead_id("c_1", "sign_up"), lead_id("c_1", "sign_up"));
        for (customer, event) in [("c_1", "Sign_up"), ("c_1s", "ign_up"), ("", "c_1sign_up"), ("c_2", "sign_up")] {
            assert_ne!(lead_id(customer, event), lead_id("c_1", "sign_up"), "{customer} {event}");
        }
    }

    #[test]
    fn the_same_body_within_ten_minutes_is_the_same_sale_and_finds_the_first_by_a_shared_id() {
        let first = sale_ids(&["c_1", "5900"], NOW);
        let check = |after_ms: i64, body: &[&str], expected: bool| {
            let later = sale_ids(body, NOW.plus_ms(after_ms));
            assert_eq!(is_same_sale(&first.transaction, &later.transaction), expected, "{after_ms} {body:?}");
            let meets = first.shared.iter().any(|id| later.shared.contains(id));
            assert!(meets || !expected, "{after_ms} {body:?}");
        };
        for after_ms in [0, 1, 300_000, 600_000, -1, -600_000] {
            check(after_ms, &["c_1", "5900"], true);
            check(after_ms, &["c_1", "5901"], false);
        }
        for after_ms in [600_001, -600_001, 86_400_000] {
            check(after_ms, &["c_1", "5900"], false);
        }
        // Wherever in its ten minutes the first came.
        for offset_ms in (0..SAME_SALE_MS).step_by(59_999) {
            let one = sale_ids(&["c_1"], NOW.plus_ms(offset_ms));
            let other = sale_ids(&["c_1"], NOW.plus_ms(offset_ms + SAME_SALE_MS));
            assert!(one.shared.iter().any(|id| other.shared.contains(id)), "{offset_ms}");
        }
        assert!(
            !is_same_sale("t_1", "t_1") && !is_same_sale("sale/x", "sale/x") && !is_same_sale("sale/x/y", "sale/x/y")
        );
    }
}
