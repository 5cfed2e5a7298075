//! Conditions on numbers, compared exactly: a bound is brought to the unit that its column counts in.

use std::borrow::Cow;

use rust_decimal::Decimal;
use weir_event::Usd;
use weir_filter::{Comparison, NumberField, NumberTest};

use super::condition::{ALWAYS, NEVER, Side, attribute};
use super::statement::{Bind, Select};

/// Input and output together; unknown only where both are. Embeddings have no output, and it is not reported.
pub const TOTAL_TOKENS: &str =
    "if(tokens_in IS NULL AND tokens_out IS NULL, NULL, ifNull(tokens_in, 0) + ifNull(tokens_out, 0))";

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    expression: Cow<'static, str>,
    /// The type that a bound has.
    kind: &'static str,
    /// The decimals that are kept.
    scale: u32,
    /// The least and the greatest value, in units of the last decimal.
    range: (i128, i128),
}

/// A comparison with a number of units, or none.
enum Bound {
    Never,
    /// Whatever is known.
    Known,
    Compare(&'static str, i128),
}

/// A test of a number.
pub(super) fn number(select: &mut Select, side: Side, field: NumberField, test: &NumberTest) -> String {
    let column = Column::of(side, field);
    let expression = &column.expression;
    match test {
        NumberTest::Exists => format!("({expression} IS NOT NULL)"),
        NumberTest::Compare(Comparison::Neq, number) => match column.bound(Comparison::Eq, *number) {
            Bound::Compare(_, units) => {
                let number = column.bind(select, units);
                format!("ifNull({expression} != {number}, true)")
            }
            Bound::Never | Bound::Known => ALWAYS.to_owned(),
        },
        NumberTest::Compare(comparison, number) => match column.bound(*comparison, *number) {
            Bound::Never => NEVER.to_owned(),
            Bound::Known => format!("({expression} IS NOT NULL)"),
            Bound::Compare(operator, units) => {
                let number = column.bind(select, units);
                format!("ifNull({expression} {operator} {number}, false)")
            }
        },
        NumberTest::In(numbers) => {
            let bounds = numbers.iter().map(|number| column.bound(Comparison::Eq, *number));
            let units = bounds.filter_map(|bound| match bound {
                Bound::Compare(_, units) => Some(column.print(units)),
                Bound::Never | Bound::Known => None,
            });
            let units: Vec<_> = units.collect();
            if units.is_empty() {
                return NEVER.to_owned();
            }
            let list = select.bind(Bind::Text(format!("[{}]", units.join(","))));
            format!("ifNull(has(CAST({list}, 'Array({})'), {expression}), false)", column.kind)
        }
    }
}

/// What a field is in a statement: `NULL` where it is not known.
#[must_use]
pub fn expression(side: Side, field: NumberField) -> Cow<'static, str> {
    Column::of(side, field).expression
}

impl Column {
    fn of(side: Side, field: NumberField) -> Self {
        const UNSIGNED: (i128, i128) = (0, u64::MAX as i128);
        const SIGNED: (i128, i128) = (i64::MIN as i128, i64::MAX as i128);
        // Every amount that there is, see `Usd`, and what is held by a `Decimal`. Ratings are of the same scale.
        const AMOUNT: (i128, i128) = (-AMOUNT_MAX, AMOUNT_MAX);
        let (kind, scale, range) = match field {
            NumberField::Cost | NumberField::Feedback | NumberField::Score => {
                ("Decimal(38, 18)", Usd::SCALE, AMOUNT)
            }
            NumberField::Quota => ("Int64", 0, SIGNED),
            _ => ("UInt64", 0, UNSIGNED),
        };
        let expression = match field {
            NumberField::Tokens => TOTAL_TOKENS.into(),
            NumberField::Feedback | NumberField::Score => {
                let text = match side {
                    Side::Row => attribute(field.name()),
                    Side::Annotation => "value".to_owned(),
                };
                format!("toDecimal128OrNull({text}, {})", Usd::SCALE).into()
            }
            _ => field.name().into(),
        };
        Self { expression, kind, scale, range }
    }

    fn bound(&self, comparison: Comparison, number: Decimal) -> Bound {
        let (floor, is_whole) = self.units(number);
        let ceil = floor + i128::from(!is_whole);
        let (min, max) = self.range;
        match comparison {
            Comparison::Eq | Comparison::Neq if !is_whole || floor < min || floor > max => Bound::Never,
            Comparison::Eq | Comparison::Neq => Bound::Compare("=", floor),
            Comparison::Gt if floor >= max => Bound::Never,
            Comparison::Gt if floor < min => Bound::Known,
            Comparison::Gt => Bound::Compare(">", floor),
            Comparison::Gte if ceil > max => Bound::Never,
            Comparison::Gte if ceil <= min => Bound::Known,
            Comparison::Gte => Bound::Compare(">=", ceil),
            Comparison::Lt if ceil <= min => Bound::Never,
            Comparison::Lt if ceil > max => Bound::Known,
            Comparison::Lt => Bound::Compare("<", ceil),
            Comparison::Lte if floor < min => Bound::Never,
            Comparison::Lte if floor >= max => Bound::Known,
            Comparison::Lte => Bound::Compare("<=", floor),
        }
    }

    /// The number in units of the last decimal, rounded down, and whether nothing was lost. What is too large for that
    /// is held beyond every range.
    fn units(&self, number: Decimal) -> (i128, bool) {
        let (digits, scale) = (number.mantissa(), number.scale());
        if let Some(zeros) = self.scale.checked_sub(scale) {
            let beyond = if digits < 0 { i128::MIN / 2 } else { i128::MAX / 2 };
            return (digits.checked_mul(10_i128.pow(zeros)).unwrap_or(beyond), true);
        }
        let unit = 10_i128.pow(scale - self.scale);
        (digits.div_euclid(unit), digits.rem_euclid(unit) == 0)
    }

    fn bind(&self, select: &mut Select, units: i128) -> String {
        select.bind(Bind::Number(self.kind, self.print(units)))
    }

    fn print(&self, units: i128) -> String {
        if self.scale == 0 {
            return units.to_string();
        }
        Decimal::try_from_i128_with_scale(units, self.scale).unwrap_or_default().to_string()
    }
}

const AMOUNT_MAX: i128 = 10_i128.pow(28);
