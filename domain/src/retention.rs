//! For how long raw records are kept (contract, section 14). Facts, entries and daily totals are kept for good.

use crate::time::{DAY_MS, Instant};

/// Raw clicks are kept for 13 months, unless the workspace says otherwise.
pub const CLICKS_KEPT_DAYS_DEFAULT: i64 = 396;
/// The shortest time that a workspace may set. A click still attributes afterwards: its id proves itself.
pub const CLICKS_KEPT_DAYS_MIN: i64 = 30;
/// The longest.
pub const CLICKS_KEPT_DAYS_MAX: i64 = 1_826;
/// A workspace with nothing left to purge is looked at again after so long.
pub const PURGED_EVERY_MS: i64 = DAY_MS;

/// What is older than this is purged.
pub const fn clicks_kept_since(now: Instant, kept_days: i64) -> Instant {
    now.plus_ms(-kept_days * DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::WINDOW_DAYS_MAX;

    #[test]
    fn by_default_a_click_is_kept_as_long_as_it_can_attribute() {
        const { assert!(CLICKS_KEPT_DAYS_DEFAULT > WINDOW_DAYS_MAX) };
        let now = Instant::parse("2026-06-01T00:00:00Z").unwrap();
        assert_eq!(clicks_kept_since(now, 396).to_string(), "2025-05-01T00:00:00.000Z");
    }
}
