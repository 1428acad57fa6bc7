//! Instants: milliseconds since the Unix epoch, UTC. Read and written as ISO 8601.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds in a second.
pub const SECOND_MS: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds in a day of 24 hours.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The greatest instant we accept or write, 9999-12-30T22:00:00Z: as far as jiff goes, so that every offset has four-digit years.
const MAX_MS: i64 = 253_402_207_200_000;

/// An instant, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(i64);

impl Instant {
    /// The instant that many milliseconds after 1970-01-01T00:00:00Z; held within the years 0 to 9999.
    pub const fn from_ms(ms: i64) -> Self {
        const MIN_MS: i64 = -62_167_219_200_000;
        Self(if ms > MAX_MS {
            MAX_MS
        } else if ms < MIN_MS {
            MIN_MS
        } else {
            ms
        })
    }

    /// The instant that many seconds after 1970-01-01T00:00:00Z, as Stripe writes its times.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_ms(seconds.saturating_mul(SECOND_MS))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MS)
    }

    /// This instant moved by a span of milliseconds.
    pub const fn plus_ms(self, span_ms: i64) -> Self {
        Self::from_ms(self.0.saturating_add(span_ms))
    }

    /// Milliseconds from `earlier` to this instant; negative when this one is the earlier.
    pub const fn since_ms(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The day this instant falls on, counted from 1970-01-01 in UTC.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// Reads ISO 8601 with an offset (`2026-01-31T12:00:00Z`, `…+02:00`, fractions allowed, cut to milliseconds).
    pub fn parse(text: &str) -> Result<Self, NotAnInstant> {
        // jiff also reads a time zone annotation in brackets, which is not ISO 8601.
        if text.len() > 64 || text.contains('[') {
            return Err(NotAnInstant);
        }
        let stamp: jiff::Timestamp = text.parse().map_err(|_| NotAnInstant)?;
        let ms = stamp.as_millisecond();
        if !(-62_167_219_200_000..=MAX_MS).contains(&ms) {
            return Err(NotAnInstant);
        }
        Ok(Self(ms))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(stamp) => write!(f, "{stamp:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// The text is not an ISO 8601 instant with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnInstant;

impl fmt::Display for NotAnInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an ISO 8601 time with an offset, such as 2026-01-31T12:00:00Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_8601_is_read_to_the_millisecond() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(Instant::parse(text).ok().map(Instant::ms), expected, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01T00:00:00.1239Z", Some(123));
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("2026-01-01T00:00:00.000Z", Some(1_767_225_600_000));
        check("2026-01-01 00:00:00Z", Some(1_767_225_600_000));
        check("2026-01-01T00:00:00", None);
        check("2026-01-01", None);
        check("2026-01-01T00:00:00Z[UTC]", None);
        check("2026-02-30T00:00:00Z", None);
        check("yesterday", None);
        check("", None);
        check("-009999-01-02T01:59:59Z", None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for ms in [0, 1, 999, 1_767_225_600_123, MAX_MS] {
            let written = Instant::from_ms(ms).to_string();
            assert_eq!(Instant::parse(&written), Ok(Instant::from_ms(ms)), "{written}");
        }
        assert_eq!(Instant::from_ms(1_767_225_600_120).to_string(), "2026-01-01T00:00:00.120Z");
        assert_eq!(Instant::from_ms(i64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
    }
}
