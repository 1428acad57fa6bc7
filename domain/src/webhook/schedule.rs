//! When a delivery that failed is tried again.

use crate::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS, SECOND_MS};

/// From each attempt that failed to the next, in ms, give or take a fifth. After the last of them there is none.
pub const STEPS_MS: [i64; 7] =
    [5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 10 * HOUR_MS];

/// A receiver has so long to answer with a status, in ms.
pub const TIMEOUT_MS: i64 = 15 * SECOND_MS;

/// An endpoint that has only failed for so long is disabled.
pub const FAILING_MS_MAX: i64 = 5 * DAY_MS;

/// Deliveries and their attempts are kept for so long.
pub const LOG_KEPT_MS: i64 = 30 * DAY_MS;

/// When to try again after the `attempts`-th attempt has failed, counted from 1; none after the last. `random` spreads
/// deliveries that failed together over a fifth of the step to either side. `retry_after_ms` is what the receiver asked for:
/// it makes the wait longer, up to twice the step.
pub fn next(attempts: i64, now: Instant, random: u32, retry_after_ms: Option<i64>) -> Option<Instant> {
    let step = *STEPS_MS.get(usize::try_from(attempts.checked_sub(1)?).ok()?)?;
    let share = i64::from(random) - i64::from(u32::MAX / 2);
    let spread = step + step / 5 * share / i64::from(u32::MAX / 2 + 1);
    let asked = retry_after_ms.unwrap_or(0).min(2 * step);
    Some(now.plus_ms(spread.max(asked)))
}

/// What a `Retry-After` asks for, in ms from now: seconds, or a date as HTTP writes it (RFC 9110, section 10.2.3). Anything else
/// asks for nothing.
pub fn retry_after_ms(value: &str, now: Instant) -> Option<i64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit ask for very long.
        return Some(value.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(SECOND_MS));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(at.as_millisecond().saturating_sub(now.ms()).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Instant {
        Instant::from_seconds(1_800_000_000)
    }

    fn wait(attempts: i64, random: u32, retry_after_ms: Option<i64>) -> Option<i64> {
        next(attempts, now(), random, retry_after_ms).map(|at| at.ms() - now().ms())
    }

    #[test]
    fn each_step_is_taken_give_or_take_a_fifth_and_then_no_more() {
        for (place, step) in STEPS_MS.iter().enumerate() {
            let attempts = i64::try_from(place).unwrap() + 1;
            assert_eq!(wait(attempts, u32::MAX / 2, None), Some(*step));
            let (least, most) = (wait(attempts, 0, None).unwrap(), wait(attempts, u32::MAX, None).unwrap());
            assert!(least >= step - step / 5 && least < step - step / 6, "{least}");
            assert!(most <= step + step / 5 && most > step + step / 6, "{most}");
        }
        for attempts in [i64::MIN, -1, 0, 8, 9, i64::MAX] {
            assert_eq!(wait(attempts, 0, None), None, "{attempts}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_up_to_twice_the_step() {
        let middle = u32::MAX / 2;
        assert_eq!(wait(1, middle, Some(8_000)), Some(8_000));
        assert_eq!(wait(1, middle, Some(10_000)), Some(10_000));
        assert_eq!(wait(1, middle, Some(i64::MAX)), Some(10_000));
        // Less than the step is no reason to come sooner.
        assert_eq!(wait(2, middle, Some(1_000)), Some(5 * MINUTE_MS));
        assert_eq!(wait(2, middle, Some(-5)), Some(5 * MINUTE_MS));
    }

    #[test]
    fn a_wish_is_seconds_or_a_date() {
        let check = |value: &str, expected: Option<i64>| assert_eq!(retry_after_ms(value, now()), expected, "{value}");
        check("120", Some(120_000));
        check(" 7 ", Some(7_000));
        check("0", Some(0));
        check("99999999999999999999999", Some(i64::MAX));
        check("Fri, 15 Jan 2027 08:01:00 GMT", Some(60_000));
        check("Fri, 15 Jan 2016 08:01:00 GMT", Some(0));
        for garbage in ["", "soon", "-5", "1.5", "1e3", "2027-01-15T08:01:00Z"] {
            check(garbage, None);
        }
    }
}
