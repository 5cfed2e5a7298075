//! Quota units, as new-api counts them: 500,000 to the US dollar.
//!
//! Pure and exact: every figure is a decimal of as many digits as it needs, and what is rounded is rounded once, at the
//! end. Versions of new-api that computed in floats differ from this by their float's error, which is not imitated.

mod factors;
mod usage;

use bigdecimal::{BigDecimal, RoundingMode, Signed, ToPrimitive, Zero};
use weir_event::{QuotaMode, QuotaRatios, QuotaSemantics, QuotaSource, UsageEvent, Usd};

pub use usage::QuotaUsage;

use crate::cost::Cost;
use factors::{Factors, decimal, semantics};

/// How many quota units a US dollar is (new-api's `QuotaPerUnit`).
pub const QUOTA_PER_USD: u32 = 500_000;

/// The quota units of an event, and where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The units. Negative where a source gave a negative cost.
    pub units: i64,
    /// Where they come from.
    pub source: QuotaSource,
}

/// The quota units of an event. Those that the event carries win; then what its ratios make of its tokens; then its
/// cost at [`QUOTA_PER_USD`]. `None` where it failed, or where nothing of this is known.
///
/// Ratios say nothing about an answer from the gateway's cache, which cost nothing, nor about tokens that were not
/// counted, unless they are for a task, which has none.
#[must_use]
pub fn quota_of(event: &UsageEvent, cost: &Cost) -> Option<Quota> {
    if let Some(units) = event.quota {
        return Some(Quota { units, source: QuotaSource::Provided });
    }
    if !event.success {
        return None;
    }
    let applies = |ratios: &&QuotaRatios| {
        !event.cached && (!event.tokens.is_empty() || ratios.mode == Some(QuotaMode::Task))
    };
    if let Some(ratios) = event.quota_ratios.as_deref().filter(applies) {
        let usage = QuotaUsage::of_tokens(&event.tokens, semantics(ratios));
        return Some(Quota { units: quota_of_ratios(&usage, ratios), source: QuotaSource::Ratios });
    }
    let units = quota_of_cost(cost.amount()?);
    Some(Quota { units, source: QuotaSource::Cost })
}

/// A cost at [`QUOTA_PER_USD`], rounded half away from zero.
#[must_use]
pub fn quota_of_cost(cost: Usd) -> i64 {
    const ONE_USD: i128 = 10_i128.pow(Usd::SCALE);
    let amount = cost.amount();
    // Below 10^28 units of 1e-18 dollars, so below 10^34 here.
    let product = amount.mantissa() * 10_i128.pow(Usd::SCALE - amount.scale()) * i128::from(QUOTA_PER_USD);
    let rounded = (product.abs() + ONE_USD / 2) / ONE_USD * product.signum();
    i64::try_from(rounded).expect("10 billion dollars are 5 x 10^15 units")
}

/// What a new-api gateway charges for a request at its ratios, in quota units. What does not fit is held at the ends of
/// the range: 32 bits in the current arithmetic, 64 in the legacy one.
#[must_use]
pub fn quota_of_ratios(usage: &QuotaUsage, ratios: &QuotaRatios) -> i64 {
    let factors = Factors::of(ratios);
    let units = match ratios.mode.unwrap_or(QuotaMode::Text) {
        QuotaMode::Text => text(usage, &factors),
        QuotaMode::Audio => audio(usage, &factors),
        QuotaMode::Task => truncated(&factors.fixed_price.clone().unwrap_or_default()),
    };
    if factors.legacy { units } else { units.clamp(i32::MIN.into(), i32::MAX.into()) }
}

/// A price expression, a fixed price, or tokens; and tools on top.
///
/// What has a ratio costs at least 1 unit. Without any token and without a tool nothing happened, and nothing is
/// charged.
fn text(usage: &QuotaUsage, factors: &Factors) -> i64 {
    if let Some(expression) = &factors.expression {
        return rounded(&(expression + &factors.tools));
    }
    if usage.is_empty() && factors.tools.is_zero() {
        return 0;
    }
    let amount = factors.fixed_price.clone().unwrap_or_else(|| by_tokens(usage, factors));
    let amount = amount * &factors.others + &factors.tools;
    let at_least_one = |units: i64| if units <= 0 && !factors.ratio.is_zero() { 1 } else { units };
    if !factors.legacy || factors.semantics == QuotaSemantics::Openai {
        return at_least_one(rounded(&amount));
    }
    // Truncation leaves nothing of a part of a unit; only what was nothing before is made 1.
    if amount.is_positive() { truncated(&amount) } else { at_least_one(0) }
}

/// The tokens of a text request, each at its ratio to an uncached input token.
fn by_tokens(usage: &QuotaUsage, factors: &Factors) -> BigDecimal {
    let written = match factors.semantics {
        QuotaSemantics::Openai => count(usage.cache_creation) * &factors.creation,
        QuotaSemantics::Anthropic => {
            let of_known_time = usage.cache_creation_5m.saturating_add(usage.cache_creation_1h);
            count(usage.cache_creation.saturating_sub(of_known_time)) * &factors.creation
                + count(usage.cache_creation_5m) * &factors.creation_5m
                + count(usage.cache_creation_1h) * &factors.creation_1h
        }
    };
    let audio = factors.audio_input.as_ref().map(|units| units * count(usage.audio_input));
    let tokens = base(usage, factors)
        + count(usage.cached) * &factors.cache
        + written
        + count(usage.image_input) * &factors.image
        + count(usage.completion) * &factors.completion;
    tokens * &factors.ratio + audio.unwrap_or_default()
}

/// The prompt without what is charged apart. Counts that overlap can make it negative: the legacy arithmetic gives that
/// back, the current one does not.
fn base(usage: &QuotaUsage, factors: &Factors) -> BigDecimal {
    let of_cache = match factors.semantics {
        QuotaSemantics::Openai => count(usage.cached) + count(usage.cache_creation),
        QuotaSemantics::Anthropic => BigDecimal::zero(),
    };
    let audio = factors.audio_input.as_ref().map(|_| count(usage.audio_input)).unwrap_or_default();
    let base = count(usage.prompt) - of_cache - count(usage.image_input) - audio;
    if base.is_negative() && !factors.legacy { BigDecimal::zero() } else { base }
}

/// Text and audio, each at ratios of their own.
fn audio(usage: &QuotaUsage, factors: &Factors) -> i64 {
    if usage.is_empty() {
        return 0;
    }
    if let Some(price) = &factors.fixed_price {
        return truncated(price);
    }
    let text_input = count(usage.prompt.saturating_sub(usage.audio_input));
    let text_output = count(usage.completion.saturating_sub(usage.audio_output));
    let tokens = text_input
        + text_output * &factors.completion
        + count(usage.audio_input) * &factors.audio
        + count(usage.audio_output) * &factors.audio * &factors.audio_completion;
    let units = rounded(&(tokens * &factors.ratio));
    if units <= 0 && !factors.ratio.is_zero() { 1 } else { units }
}

fn count(tokens: u64) -> BigDecimal {
    decimal(tokens.into(), 0)
}

/// Rounded half away from zero.
fn rounded(amount: &BigDecimal) -> i64 {
    whole(&amount.with_scale_round(0, RoundingMode::HalfUp))
}

fn truncated(amount: &BigDecimal) -> i64 {
    whole(&amount.with_scale_round(0, RoundingMode::Down))
}

fn whole(amount: &BigDecimal) -> i64 {
    let end = if amount.is_negative() { i64::MIN } else { i64::MAX };
    amount.to_i64().unwrap_or(end)
}

#[cfg(test)]
mod tests;
