//! A bucket of tokens: so many a second, and so many at once.

use std::time::{Duration, Instant};

/// How much may come: a rate, and how much of it may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u64,
    pub(crate) burst: u64,
}

/// A bucket that is full at first and fills at its rate. It may be overdrawn by what could not be known beforehand.
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// Millionths of a token, so that the filling of a microsecond is a whole number.
    level: i128,
    at: Instant,
}

const MILLION: i128 = 1_000_000;

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, level: i128::from(rate.burst) * MILLION, at: now }
    }

    /// Takes so many, or none where there are fewer.
    pub(crate) fn take(&mut self, count: u64, now: Instant) -> bool {
        self.fill(now);
        let cost = i128::from(count) * MILLION;
        let enough = self.level >= cost;
        if enough {
            self.level -= cost;
        }
        enough
    }

    /// Takes so many, also where there are fewer.
    pub(crate) fn overdraw(&mut self, count: u64, now: Instant) {
        self.fill(now);
        self.level -= i128::from(count) * MILLION;
    }

    /// How long until nothing is owed; nothing where that is so now.
    pub(crate) fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        let owed = u128::try_from(-self.level).ok().filter(|owed| *owed > 0)?;
        let micros = owed.div_ceil(u128::from(self.rate.per_second.max(1)));
        Some(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX)))
    }

    fn fill(&mut self, now: Instant) {
        let micros = i128::try_from(now.saturating_duration_since(self.at).as_micros()).unwrap_or(i128::MAX);
        let full = i128::from(self.rate.burst) * MILLION;
        self.level = micros.saturating_mul(i128::from(self.rate.per_second)).saturating_add(self.level).min(full);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10, burst: 20 };

    #[test]
    fn what_is_over_the_burst_is_refused_until_the_rate_has_filled_it() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        assert!(bucket.take(20, start));
        assert!(!bucket.take(1, start));
        let later = start + Duration::from_millis(100);
        assert!(bucket.take(1, later));
        assert!(!bucket.take(1, later));
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        let year = start + Duration::from_secs(31_536_000);
        assert!(!bucket.take(21, year));
        assert!(bucket.take(20, year));
        // A clock that stands still or goes back fills nothing.
        assert!(!bucket.take(1, start));
    }

    #[test]
    fn a_debt_is_waited_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(RATE, start);
        assert_eq!(bucket.wait(start), None);
        bucket.overdraw(25, start);
        assert_eq!(bucket.wait(start), Some(Duration::from_millis(500)));
        assert_eq!(bucket.wait(start + Duration::from_millis(500)), None);
    }
}
