//! Counting requests per aligned minute, in one place for all, and lending some of them out, so that not every request has to go
//! there.

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

/// Of a minute's limit, a twentieth at most is lent out and not known to be spent (contract, section 4).
const LENT_PART: u32 = 20;

/// The count of one aligned minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Minutes since 1970.
    pub minute: i64,
    /// Requests admitted in it, and those that are lent out.
    pub count: u32,
    /// Of them, what is lent out and not known to be spent.
    pub lent: u32,
}

/// What became of a loan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The minute that it was of.
    pub minute: i64,
    /// How many requests it was for.
    pub size: u32,
    /// How many of them were admitted.
    pub spent: u32,
}

impl Window {
    /// Takes one of `limit` at `now`. A clock that steps back into an earlier minute goes on counting in the later one, so
    /// that no minute is handed out twice.
    pub fn take(&mut self, limit: u32, now: Instant) -> Admission {
        self.turn(now);
        let admitted = self.count < limit;
        if admitted {
            self.count += 1;
        }
        self.tell(admitted, limit, now)
    }

    /// Takes one, and some more to be admitted elsewhere: half of what may still be lent, so that others find some too. What is
    /// given back of an earlier loan counts again; what is never given back counts as spent.
    pub fn lend(&mut self, limit: u32, returned: Option<Returned>, now: Instant) -> (Admission, u32) {
        self.turn(now);
        if let Some(returned) = returned.filter(|returned| returned.minute == self.minute) {
            let size = returned.size.min(self.lent);
            self.lent -= size;
            self.count = self.count.saturating_sub(size - returned.spent.min(size));
        }
        if !self.take(limit, now).admitted {
            return (self.tell(false, limit, now), 0);
        }
        let size = (limit / LENT_PART).saturating_sub(self.lent).div_ceil(2).min(limit.saturating_sub(self.count));
        self.lent += size;
        self.count += size;
        (self.tell(true, limit, now), size)
    }

    fn turn(&mut self, now: Instant) {
        let minute = minute_of(now);
        if minute > self.minute {
            *self = Self { minute, count: 0, lent: 0 };
        }
    }

    fn tell(&self, admitted: bool, limit: u32, now: Instant) -> Admission {
        Admission { admitted, limit, remaining: limit.saturating_sub(self.count), reset_s: reset_s(self.minute, now) }
    }
}

/// Minutes since 1970.
pub fn minute_of(now: Instant) -> i64 {
    now.ms().div_euclid(MINUTE_MS)
}

/// Whole seconds until a minute ends, at least 1.
fn reset_s(minute: i64, now: Instant) -> u32 {
    let left_ms = (minute + 1) * MINUTE_MS - now.ms();
    let whole = left_ms.div_euclid(SECOND_MS) + i64::from(left_ms % SECOND_MS != 0);
    u32::try_from(whole).unwrap_or(60).max(1)
}

/// A loan, with whoever admits its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The minute that it is of.
    pub minute: i64,
    /// How many requests it is for.
    pub size: u32,
    /// How many of them were admitted.
    pub spent: u32,
    /// Until when; never beyond its minute.
    pub until: Instant,
    /// Requests per minute.
    pub limit: u32,
    /// What was left in the minute when it was lent.
    pub remaining: u32,
}

impl Lease {
    /// Admits one, if there is one left and it is time.
    pub fn spend(&mut self, now: Instant) -> Option<Admission> {
        if now >= self.until || minute_of(now) != self.minute || self.spent >= self.size {
            return None;
        }
        self.spent += 1;
        let remaining = self.remaining.saturating_add(self.size - self.spent);
        Some(Admission { admitted: true, limit: self.limit, remaining, reset_s: reset_s(self.minute, now) })
    }

    /// What is to be told of it.
    pub fn returned(&self) -> Returned {
        Returned { minute: self.minute, size: self.size, spent: self.spent }
    }

    /// One that came beside another one: of the same minute both are one; else the later one counts, and the earlier one is lost.
    pub fn joined(self, other: Self) -> Self {
        if other.minute != self.minute {
            return if other.minute > self.minute { other } else { self };
        }
        Self {
            size: self.size.saturating_add(other.size),
            spent: self.spent.saturating_add(other.spent),
            until: self.until.min(other.until),
            limit: other.limit,
            remaining: self.remaining.min(other.remaining),
            minute: self.minute,
        }
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

    #[test]
    fn what_is_lent_and_not_known_to_be_spent_stays_within_a_twentieth() {
        let mut window = Window::default();
        let now = Instant::from_ms(1_767_225_600_000);
        let sizes: Vec<u32> = (0..8).map(|_| window.lend(1_000, None, now).1).collect();
        assert_eq!(sizes, [25, 13, 6, 3, 2, 1, 0, 0]);
        assert_eq!((window.lent, window.count), (50, 58));
        let back = |size, spent| Some(Returned { minute: minute_of(now), size, spent });
        let (admission, size) = window.lend(1_000, back(25, 25), now);
        assert_eq!((admission.remaining, size, window.lent), (1_000 - 59 - 13, 13, 38));
        // Of what was not spent the rest is there again.
        assert_eq!(window.lend(1_000, back(13, 3), now).1, 13);
        assert_eq!((window.lent, window.count), (38, 76));
        // Of another minute, or more than was lent, nothing can be given back.
        let old = Some(Returned { minute: minute_of(now) - 1, size: 10, spent: 0 });
        window.lend(1_000, old, now);
        assert_eq!(window.count, 76 + 1 + 6);
        window.lend(1_000, back(u32::MAX, 0), now);
        assert_eq!((window.lent, window.count), (25, 83 - 44 + 1 + 25));
    }

    #[test]
    fn with_leases_never_more_than_the_limit_is_admitted_and_hardly_less() {
        for (limit, isolates, every_ms) in
            [(1_000, 7, 5), (1_000, 1, 1), (120, 3, 40), (20, 2, 10), (10, 5, 1), (1, 2, 1), (0, 1, 1)]
        {
            let start = Instant::from_ms(1_767_225_600_000);
            let mut window = Window::default();
            let mut leases: Vec<Option<Lease>> = vec![None; isolates];
            let mut admitted = 0;
            for step in 0..60_000 / every_ms {
                let now = start.plus_ms(step * every_ms);
                // Some isolates come more often than others.
                let at = usize::try_from(step * step % 31).unwrap() % isolates;
                if leases[at].as_mut().is_some_and(|lease| lease.spend(now).is_some()) {
                    admitted += 1;
                    continue;
                }
                let (admission, size) = window.lend(limit, leases[at].map(|lease| lease.returned()), now);
                admitted += u32::from(admission.admitted);
                let until = now.plus_ms(20_000).min(start.plus_ms(MINUTE_MS));
                leases[at] =
                    Some(Lease { minute: window.minute, size, spent: 0, until, limit, remaining: admission.remaining });
                assert!(window.lent <= limit / 20, "{window:?}");
            }
            assert!(admitted <= limit && admitted >= limit - limit / 20, "{admitted} of {limit}");
        }
    }

    #[test]
    fn a_lease_ends_with_its_time_its_minute_and_its_size() {
        let now = Instant::from_ms(1_767_225_600_000);
        let lease = |size, until_ms| Lease {
            minute: minute_of(now),
            size,
            spent: 0,
            until: now.plus_ms(until_ms),
            limit: 100,
            remaining: 90,
        };
        let mut two = lease(2, 20_000);
        assert_eq!(two.spend(now).map(|one| one.remaining), Some(91));
        assert_eq!(two.spend(now.plus_ms(1)).map(|one| (one.remaining, one.reset_s)), Some((90, 60)));
        assert_eq!(two.spend(now.plus_ms(2)), None);
        assert_eq!(lease(2, 20_000).spend(now.plus_ms(20_000)), None);
        // A clock that jumps.
        assert_eq!(lease(2, 90_000).spend(now.plus_ms(60_000)), None);
        assert_eq!(lease(2, 90_000).spend(now.plus_ms(-1)), None);
        let both = two.joined(lease(3, 10_000));
        assert_eq!((both.size, both.spent, both.until), (5, 2, now.plus_ms(10_000)));
    }
}
