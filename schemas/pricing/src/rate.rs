//! A price of one charge: an amount for so many of it, and the exact multiplication.

use rust_decimal::Decimal;
use weir_event::Usd;

/// So many US dollars for so many of a thing. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    amount: Usd,
    per: Per,
}

/// How many of a thing an amount is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Million,
    Thousand,
    /// An hour, of things that are counted in milliseconds.
    Hour,
}

impl Rate {
    /// An amount is below this: more is a mistake of the unit.
    const AMOUNT_MAX: u32 = 100_000;
    /// More decimals could not be divided by a million without rounding.
    const AMOUNT_SCALE_MAX: u32 = 12;
    const MS_PER_HOUR: u64 = 3_600_000;

    /// Reads an amount of a price file: a decimal from 0 to below 100,000 with at most 12 decimals.
    pub(crate) fn parse(amount: &str, per: Per) -> Option<Self> {
        let amount: Usd = amount.parse().ok()?;
        let decimal = amount.amount();
        let is_price = !decimal.is_sign_negative()
            && decimal < Decimal::from(Self::AMOUNT_MAX)
            && decimal.scale() <= Self::AMOUNT_SCALE_MAX;
        is_price.then_some(Self { amount, per })
    }

    /// The amount as the price file has it.
    #[must_use]
    pub const fn amount(self) -> Usd {
        self.amount
    }

    /// How many of the thing that amount is for: a million, a thousand, or the milliseconds of an hour.
    #[must_use]
    pub const fn per(self) -> u64 {
        match self.per {
            Per::Million => 1_000_000,
            Per::Thousand => 1_000,
            Per::Hour => Self::MS_PER_HOUR,
        }
    }

    /// What one of the thing costs, where that is a decimal that ends.
    #[must_use]
    pub fn for_one(self) -> Option<Usd> {
        match self.per {
            Per::Million => Some(shifted(self.amount, 6)),
            Per::Thousand => Some(shifted(self.amount, 3)),
            Per::Hour => None,
        }
    }

    /// What `count` of the thing cost, or `None` where that is more than an amount can be. Exact; only a price per hour
    /// can leave digits beyond the 18th decimal, which are rounded half to even.
    #[must_use]
    pub fn times(self, count: u64) -> Option<Usd> {
        match self.per {
            Per::Million => shifted(self.amount, 6).checked_mul(count),
            Per::Thousand => shifted(self.amount, 3).checked_mul(count),
            Per::Hour => self.times_hours(count),
        }
    }

    fn times_hours(self, ms: u64) -> Option<Usd> {
        let amount = self.amount.amount();
        // Below 10^5 dollars, so below 10^23 of 1e-18 dollars.
        let units = amount.mantissa() * 10_i128.pow(Usd::SCALE - amount.scale());
        let product = units.checked_mul(i128::from(ms))?;
        let (whole, rest) =
            (product / i128::from(Self::MS_PER_HOUR), product % i128::from(Self::MS_PER_HOUR));
        let twice = 2 * rest;
        let rounds_up = match twice.cmp(&i128::from(Self::MS_PER_HOUR)) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => whole % 2 == 1,
            std::cmp::Ordering::Greater => true,
        };
        let rounded = whole + i128::from(rounds_up);
        Usd::try_from(Decimal::try_from_i128_with_scale(rounded, Usd::SCALE).ok()?).ok()
    }
}

/// The point moved to the left: nothing is rounded.
fn shifted(amount: Usd, places: u32) -> Usd {
    let mut moved = amount.amount();
    moved
        .set_scale(moved.scale() + places)
        .ok()
        .and_then(|()| Usd::try_from(moved).ok())
        .expect("a price has at most 12 decimals, so at most 18 after the shift")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() {
        for (per_million, expected) in [
            ("5", "0.000005"),
            ("0", "0"),
            ("0.00013", "0.00000000013"),
            ("9999.999999999999", "0.009999999999999999"),
        ] {
            let rate = Rate::parse(per_million, Per::Million).unwrap();
            assert_eq!(rate.for_one().unwrap().to_string(), expected);
            assert_eq!(rate.times(1).unwrap().to_string(), expected);
            assert_eq!(rate.times(1_000_000).unwrap(), rate.amount());
        }
        for wrong in ["-1", "100000", "0.0000000000001", "", "free", "1e3"] {
            assert_eq!(Rate::parse(wrong, Per::Million), None, "{wrong}");
        }
        assert_eq!(Rate::parse("10", Per::Thousand).unwrap().times(3).unwrap().to_string(), "0.03");
    }

    #[test]
    fn time_is_rounded_half_to_even_at_the_18th_decimal() {
        let check = |per_hour: &str, ms: u64, expected: &str| {
            let rate = Rate::parse(per_hour, Per::Hour).unwrap();
            assert_eq!(rate.times(ms).unwrap().to_string(), expected, "{per_hour} x {ms} ms");
        };
        check("0.111", 3_600_000, "0.111");
        check("0.111", 90_000, "0.002775");
        // 0.111 / 3,600,000 = 3.08333... e-8
        check("0.111", 1, "0.000000030833333333");
        check("0.36", 12_345, "0.0012345");
        // 1e-12 / 3.6e6 is 2.7e-19: below half of the last place. Of 6 ms it is 1.67e-18, of 1.8e6 it ends.
        check("0.000000000001", 1, "0");
        check("0.000000000001", 6, "0.000000000000000002");
        // Exactly halves: 9 ms of 2e-13 x 10 ... in 1e-18 dollars 1e6 x 9 / 3.6e6 = 2.5 and 1e6 x 5.4 = 1.5.
        check("0.000000000001", 9, "0.000000000000000002");
        check("0.000000000003", 9, "0.000000000000000008");
        check("0.000000000001", 27, "0.000000000000000008");
        check("0.000000000001", 45, "0.000000000000000012");
        assert_eq!(Rate::parse("99999", Per::Hour).unwrap().times(u64::MAX), None);
    }
}
