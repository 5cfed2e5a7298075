//! Where our costs are not those of genai-prices, why, and how far exactly: a difference is only explained where the
//! reason gives the figure of the other side.

use rust_decimal::Decimal;
use weir_event::{Unit, UnpricedReason, Usd};
use weir_pricing::{Cost, PriceBook, price, receipt};

use super::cases::Case;

/// A cost that is not the same.
pub(super) struct Question<'a> {
    pub(super) case: &'a Case,
    pub(super) cost: &'a Cost,
    /// `None` where they say that they cannot tell.
    pub(super) theirs: Option<Usd>,
    pub(super) book: &'a PriceBook,
}

/// A kind of difference.
pub(super) struct Difference {
    pub(super) reason: &'static str,
    pub(super) holds: fn(&Question<'_>) -> bool,
}

/// Every reason there is.
pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "tokens of a bucket that has no price: they leave them out of the sum, we say that it is not known",
        holds: |q| {
            is_unpriced(q, UnpricedReason::NoBucketPrice) && q.theirs == Some(sum_of_lines(q.case, q.book))
        },
    },
    Difference {
        reason: "nothing but units without a price: they bill the rest, often 0, we say that it is not known",
        holds: |q| {
            is_unpriced(q, UnpricedReason::NoUnitPrice) && q.theirs == Some(sum_of_lines(q.case, q.book))
        },
    },
    Difference {
        reason: "a service tier before its first day: they bill the standard, we say that it is not known",
        holds: is_standard_to_them,
    },
    Difference {
        reason: "a provider that sells another's models: they know no service tiers of it, we take the other's",
        holds: |q| {
            let standard = Case { tier: None, ..q.case.clone() };
            let is_fallback = !q.cost.price_id().is_some_and(|id| id.starts_with(&q.case.provider));
            is_fallback && q.case.tier.is_some() && q.theirs == amount(&standard, q.book)
        },
    },
    Difference {
        reason: "a model without any price: they say 0, we that its price is not known",
        holds: |q| is_unpriced(q, UnpricedReason::NoPrice) && q.theirs == Some(Usd::ZERO),
    },
    Difference {
        reason: "a price per hour of audio in no direction: they bill what is spoken too, we bill what is read",
        holds: |q| {
            let [read, spoken] = [Unit::AudioInputMs, Unit::AudioOutputMs].map(|unit| q.case.units.get(unit));
            spoken > 0 && q.theirs == amount(&with_audio(q.case, read + spoken), q.book)
        },
    },
    Difference {
        reason: "an amount with more than 12 decimals, where a float was printed: we round it",
        holds: |q| {
            let amounts = q.cost.amount().zip(q.theirs).map(|(ours, theirs)| ours.amount() - theirs.amount());
            // Half of the last decimal of a price per million, for each token.
            let most = Decimal::new(5, 19) * Decimal::from(q.case.count());
            WITH_ROUNDED_AMOUNTS.contains(&q.case.provider.as_str())
                && amounts.is_some_and(|difference| difference.abs() <= most)
        },
    },
];

/// Providers with amounts of more than 12 decimals: the import names them.
const WITH_ROUNDED_AMOUNTS: &[&str] = &["huggingface-together", "openrouter"];

/// Whether we know no price of the service tier, and they say what the standard costs: as we do, or with a reason.
fn is_standard_to_them(q: &Question<'_>) -> bool {
    let case = &Case { tier: None, ..q.case.clone() };
    let cost = &price(&case.billable(), q.book);
    let standard = Question { case, cost, ..*q };
    let explained = || DIFFERENCES.iter().any(|difference| (difference.holds)(&standard));
    is_unpriced(q, UnpricedReason::NoTierPrice) && (cost.amount() == q.theirs || explained())
}

fn is_unpriced(q: &Question<'_>, reason: UnpricedReason) -> bool {
    *q.cost == Cost::Unpriced(reason)
}

fn amount(case: &Case, book: &PriceBook) -> Option<Usd> {
    price(&case.billable(), book).amount()
}

/// The lines of a receipt that have a price, also where others have none.
fn sum_of_lines(case: &Case, book: &PriceBook) -> Usd {
    let amounts = receipt(&case.billable(), book).lines.into_iter().filter_map(|line| line.amount);
    amounts.fold(Usd::ZERO, |sum, amount| sum.checked_add(amount).unwrap())
}

/// The same with so much audio read, and none spoken.
fn with_audio(case: &Case, ms: u64) -> Case {
    let mut changed = case.clone();
    changed.units.set(Unit::AudioInputMs, ms).unwrap();
    changed.units.set(Unit::AudioOutputMs, 0).unwrap();
    changed
}
