//! The values of one quantity, one a round, and what is said of them.

use std::fmt;

/// One quantity over the rounds.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds the value of a round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// A quantity that does not vary, or of which one value was taken.
    pub fn one(value: f64) -> Self {
        Self(vec![value])
    }

    /// The same quantity in another unit.
    pub fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|value| change(*value)).collect())
    }

    /// Round by round, this over another: what slows both down in a round does not count.
    pub fn over(&self, other: &Self) -> Self {
        self.with(other, |a, b| a / b)
    }

    /// Round by round, the sum.
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    /// Half of the values are at most this.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    /// A share `q` of the values is at most this.
    pub fn quantile(&self, q: f64) -> f64 {
        let sorted = self.sorted();
        let place = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The smallest.
    pub fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// Round by round, what both give together.
    pub fn with(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!(self.0.len(), other.0.len(), "both sides took their turn in every round");
        Self(self.0.iter().zip(&other.0).map(|(a, b)| join(*a, *b)).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// One quantity on two clocks: seconds that passed, and seconds that the processor worked for it.
///
/// On a machine that does other things, too, the second says more of the code, and the first of the machine.
#[derive(Clone, Debug, Default)]
pub struct Timed {
    /// Seconds that passed.
    pub wall: Samples,
    /// Seconds of work, on all cores together.
    pub work: Samples,
}

impl Timed {
    /// Adds the values of a round.
    pub fn push(&mut self, (wall, work): (f64, f64)) {
        self.wall.push(wall);
        self.work.push(work);
    }

    /// The medians.
    pub fn median(&self) -> (f64, f64) {
        (self.wall.median(), self.work.median())
    }

    /// Round by round, the sum.
    pub fn plus(&self, other: &Self) -> Self {
        Self { wall: self.wall.plus(&other.wall), work: self.work.plus(&other.work) }
    }
}

/// A number with three digits that count, and thousands apart.
pub struct Short(pub f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        let decimals = match value.abs() {
            size if size >= 100.0 || size == 0.0 => 0,
            size if size >= 10.0 => 1,
            size if size >= 1.0 => 2,
            _ => 3,
        };
        let text = format!("{value:.decimals$}");
        let whole = text.find('.').unwrap_or(text.len());
        for (place, digit) in text.char_indices() {
            if place > 0 && place < whole && (whole - place) % 3 == 0 && !text[..place].ends_with('-') {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, expected: &str) {
        assert_eq!(Short(value).to_string(), expected);
    }

    #[test]
    fn numbers_have_three_digits_that_count() {
        check(0.0, "0");
        check(0.12345, "0.123");
        check(1.2345, "1.23");
        check(12.345, "12.3");
        check(123.45, "123");
        check(1_234.5, "1,234");
        check(1_234_567.0, "1,234,567");
        check(-123_456.0, "-123,456");
    }

    #[test]
    fn a_median_stands_in_the_middle_and_ratios_are_taken_round_by_round() {
        let [a, b] = [[4.0, 1.0, 9.0], [2.0, 1.0, 3.0]].map(Samples::from_iter);
        assert_eq!((a.median(), a.min(), a.max()), (4.0, 1.0, 9.0));
        assert_eq!(Samples::from_iter([1.0, 4.0, 2.0, 3.0]).median(), 2.5);
        let hundred: Samples = (1..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| hundred.quantile(q)), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(a.over(&b).median(), 2.0);
        assert_eq!(a.plus(&b).max(), 12.0);
    }
}
