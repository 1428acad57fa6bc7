//! Counting requests per aligned minute.

use crate::time::{Instant, MINUTE_MS, SECOND_MS};

/// What the limiter said to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether the request may go on. A refused one costs nothing.
    pub admitted: bool,
    /// Requests per minute.
    pub limit: u32,
    /// Requests left in this minute.
    pub remaining: u32,
    /// Whole seconds until the minute ends, at least 1.
    pub reset_s: u32,
}

/// The count of one aligned minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Minutes since 1970.
    pub minute: i64,
    /// Requests admitted in it.
    pub count: u32,
}

impl Window {
    /// Takes one of `limit` at `now`. A clock that steps back into an earlier minute goes on counting in the later one, so
    /// that no minute is handed out twice.
    pub fn take(&mut self, limit: u32, now: Instant) -> Admission {
        let minute = now.ms().div_euclid(MINUTE_MS);
        if minute > self.minute {
            *self = Self { minute, count: 0 };
        }
        let admitted = self.count < limit;
        if admitted {
            self.count += 1;
        }
        let left_ms = (self.minute + 1) * MINUTE_MS - now.ms();
        let reset_s = u32::try_from(left_ms.div_euclid(SECOND_MS) + i64::from(left_ms % SECOND_MS != 0)).unwrap_or(60);
        Admission { admitted, limit, remaining: limit.saturating_sub(self.count), reset_s: reset_s.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_limit_is_admitted_in_a_minute_and_refusals_cost_nothing() {
        let mut window = Window::default();
        let at = |ms: i64| Instant::from_ms(1_767_225_600_000 + ms);
        let admitted = (0..1_200).filter(|i| window.take(1_000, at(*i)).admitted).count();
        assert_eq!(admitted, 1_000);
        assert_eq!(
            window.take(1_000, at(59_999)),
            Admission { admitted: false, limit: 1_000, remaining: 0, reset_s: 1 }
        );
        assert_eq!(
            window.take(1_000, at(60_000)),
            Admission { admitted: true, limit: 1_000, remaining: 999, reset_s: 60 }
        );
    }

    #[test]
    fn a_clock_that_steps_back_does_not_open_a_minute_again() {
        let mut window = Window::default();
        let at = |ms: i64| Instant::from_ms(1_767_225_600_000 + ms);
        assert!(window.take(1, at(60_000)).admitted);
        assert!(!window.take(1, at(59_000)).admitted);
        assert!(!window.take(1, at(60_001)).admitted);
    }
}
