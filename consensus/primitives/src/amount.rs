//! Money: base units, checked arithmetic, products in 256 bits, decimals parsed from strings.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Sub, SubAssign};
use core::str::FromStr;

use ruint::aliases::U256;
use wincode::{SchemaRead, SchemaWrite};

use crate::limits::{AMOUNT_DECIMALS, BPS_ONE, SUPPLY_MAX};

/// An amount of money in base units; one CPC is `10^18` of them (AMT-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, SchemaRead, SchemaWrite)]
pub struct Amount(u128);

/// A share in basis points, at most one whole (AMT-4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, SchemaWrite)]
pub struct Bps(u16);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing was written.
    #[error("an amount is missing: write for example 10.5")]
    Empty,
    /// A sign, a letter, a second point.
    #[error("{found:?} is not a digit in {text:?}: write for example 10.5")]
    NotADigit {
        /// The first character that does not belong.
        found: char,
        /// The whole text.
        text: String,
    },
    /// A point without digits on both sides.
    #[error("{text:?} needs digits on both sides of its point")]
    BarePoint {
        /// The whole text.
        text: String,
    },
    /// More digits after the point than the smallest unit has.
    #[error("{text:?} has {found} digits after the point, the smallest unit has {AMOUNT_DECIMALS}")]
    TooPrecise {
        /// How many digits there are.
        found: usize,
        /// The whole text.
        text: String,
    },
    /// More than can ever exist.
    #[error("{text:?} is more than can ever exist")]
    TooLarge {
        /// The whole text.
        text: String,
    },
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One CPC.
    pub const ONE: Self = Self(10u128.pow(AMOUNT_DECIMALS));
    /// The largest amount any rule may produce (AMT-1).
    pub const MAX: Self = Self(SUPPLY_MAX);

    /// An amount of base units; the caller vouches that it is within the supply.
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// The base units.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it exceeds what can ever exist. For amounts that somebody sent us.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|sum| *sum <= SUPPLY_MAX).map(Self)
    }

    /// The difference, unless it is negative.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product with a count, unless it exceeds what can ever exist.
    pub fn checked_mul(self, count: u64) -> Option<Self> {
        self.0.checked_mul(u128::from(count)).filter(|product| *product <= SUPPLY_MAX).map(Self)
    }

    /// `floor(self * numerator / denominator)`, the product in 256 bits (AMT-3).
    ///
    /// `None` where the denominator is zero or the quotient does not fit.
    pub fn mul_div_floor(self, numerator: u128, denominator: u128) -> Option<Self> {
        let product = U256::from(self.0).checked_mul(U256::from(numerator))?;
        let quotient = product.checked_div(U256::from(denominator))?;
        u128::try_from(quotient).ok().map(Self)
    }

    /// The share of this amount, rounded down; the caller names the owner of the remainder (AMT-4).
    pub fn bps_floor(self, share: Bps) -> Self {
        self.mul_div_floor(u128::from(share.0), u128::from(BPS_ONE))
            .expect("a share of at most one whole is at most the amount")
    }

    /// `self`, or `other` where that is less.
    pub fn min(self, other: Self) -> Self {
        Ord::min(self, other)
    }
}

impl Bps {
    /// One whole.
    pub const ONE: Self = Self(BPS_ONE);

    /// A share of at most one whole.
    pub const fn new(points: u16) -> Option<Self> {
        if points <= BPS_ONE { Some(Self(points)) } else { None }
    }

    /// The basis points.
    pub const fn points(self) -> u16 {
        self.0
    }
}

impl Add for Amount {
    type Output = Self;

    /// Panics beyond what can ever exist: for amounts that the ledger has checked, never for an input.
    fn add(self, other: Self) -> Self {
        self.checked_add(other).expect("amounts of the ledger stay within the supply")
    }
}

impl Sub for Amount {
    type Output = Self;

    /// Panics below zero: the ledger subtracts only what it has checked to be there.
    fn sub(self, other: Self) -> Self {
        Self(self.0.checked_sub(other.0).expect("the ledger subtracts only what is there"))
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = Add::add(*self, other);
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        *self = Sub::sub(*self, other);
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Amount {
    /// The decimal form, without trailing zeros and without a unit: `10.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = Self::ONE.0;
        let (whole, part) = (self.0.checked_div(one), self.0.checked_rem(one));
        let (whole, part) = whole.zip(part).expect("one CPC is not zero units");
        let digits = format!("{part:018}");
        let digits = digits.trim_end_matches('0');
        let text = if digits.is_empty() { whole.to_string() } else { format!("{whole}.{digits}") };
        f.pad(&text)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} CPC")
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads `10`, `10.5` or `10.5cpc`; exact, never through a float (AMT-2).
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let number = text.strip_suffix("cpc").or_else(|| text.strip_suffix("CPC")).unwrap_or(text);
        let number = number.trim_end_matches(' ');
        if number.is_empty() {
            return Err(AmountError::Empty);
        }
        let (whole, part) = match number.split_once('.') {
            None => (number, ""),
            Some((whole, part)) if whole.is_empty() || part.is_empty() => {
                return Err(AmountError::BarePoint { text: text.to_owned() });
            }
            Some(sides) => sides,
        };
        if let Some(found) = whole.chars().chain(part.chars()).find(|c| !c.is_ascii_digit()) {
            return Err(AmountError::NotADigit { found, text: text.to_owned() });
        }
        let decimals = usize::try_from(AMOUNT_DECIMALS).expect("eighteen fits");
        if part.len() > decimals {
            return Err(AmountError::TooPrecise { found: part.len(), text: text.to_owned() });
        }
        // Both parts are digits only, so that a failure to parse can only mean too many of them.
        let too_large = || AmountError::TooLarge { text: text.to_owned() };
        let whole: u128 = whole.parse().map_err(|_| too_large())?;
        let part: u128 = format!("{part:0<decimals$}").parse().map_err(|_| too_large())?;
        whole
            .checked_mul(Self::ONE.0)
            .and_then(|units| units.checked_add(part))
            .filter(|units| *units <= SUPPLY_MAX)
            .map(Self)
            .ok_or_else(too_large)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn reads(text: &str, units: u128) {
        assert_eq!(text.parse::<Amount>(), Ok(Amount::new(units)), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, message: &str) {
        assert_eq!(text.parse::<Amount>().expect_err(text).to_string(), message);
    }

    #[test]
    fn decimals_are_read_exactly() {
        reads("0", 0);
        reads("1", 10u128.pow(18));
        reads("10.0", 10 * 10u128.pow(18));
        reads("10.5cpc", 105 * 10u128.pow(17));
        reads("10.5 cpc", 105 * 10u128.pow(17));
        reads("0.000000000000000001", 1);
        reads("1267650600228.229401496703205376", SUPPLY_MAX);
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        refuses("", "an amount is missing: write for example 10.5");
        refuses("cpc", "an amount is missing: write for example 10.5");
        refuses("-1", "'-' is not a digit in \"-1\": write for example 10.5");
        refuses("1e9", "'e' is not a digit in \"1e9\": write for example 10.5");
        refuses("1.2.3", "'.' is not a digit in \"1.2.3\": write for example 10.5");
        refuses("٣", "'٣' is not a digit in \"٣\": write for example 10.5");
        refuses(".5", "\".5\" needs digits on both sides of its point");
        refuses("5.", "\"5.\" needs digits on both sides of its point");
        refuses(
            "0.0000000000000000001",
            "\"0.0000000000000000001\" has 19 digits after the point, the smallest unit has 18",
        );
        refuses("1267650600228.229401496703205377", "\"1267650600228.229401496703205377\" is more than can ever exist");
        let long = "9".repeat(60);
        refuses(&long, &format!("{long:?} is more than can ever exist"));
    }

    #[test]
    fn products_do_not_wrap() {
        let all = Amount::MAX;
        assert_eq!(all.mul_div_floor(SUPPLY_MAX, SUPPLY_MAX), Some(all));
        assert_eq!(Amount::new(7).mul_div_floor(3, 2), Some(Amount::new(10)));
        assert_eq!(all.mul_div_floor(u128::MAX, 1), None);
        assert_eq!(all.mul_div_floor(1, 0), None);
        assert_eq!(all.checked_add(Amount::new(1)), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::new(1)), None);
        assert_eq!(all.checked_mul(2), None);
    }

    #[test]
    fn a_share_of_more_than_one_whole_cannot_be_written() {
        assert_eq!(Bps::new(10_000), Some(Bps::ONE));
        assert_eq!(Bps::new(10_001), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(units in 0..=SUPPLY_MAX) {
            let amount = Amount::new(units);
            prop_assert_eq!(amount.to_string().parse::<Amount>(), Ok(amount));
        }

        #[test]
        fn shares_never_exceed_the_whole(units in 0..=SUPPLY_MAX, a in 0..=10_000u16) {
            let b = 10_000 - a;
            let whole = Amount::new(units);
            let parts = whole.bps_floor(Bps::new(a).expect("in range")) + whole.bps_floor(Bps::new(b).expect("in range"));
            prop_assert!(parts <= whole);
            prop_assert!(whole - parts <= Amount::new(1));
        }
    }
}
