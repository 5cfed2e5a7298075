//! Ratios with their defaults, as exact numbers of any length.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use weir_event::{QuotaArithmetic, QuotaRatios, QuotaSemantics, Ratio};

use crate::quota::QUOTA_PER_USD;

/// The factors of a request, none of them missing. The defaults are new-api's.
pub(super) struct Factors {
    /// As versions until 2025 do it.
    pub(super) legacy: bool,
    pub(super) semantics: QuotaSemantics,
    /// The model's ratio times the group's.
    pub(super) ratio: BigDecimal,
    pub(super) completion: BigDecimal,
    pub(super) cache: BigDecimal,
    pub(super) creation: BigDecimal,
    pub(super) creation_5m: BigDecimal,
    pub(super) creation_1h: BigDecimal,
    pub(super) image: BigDecimal,
    pub(super) audio: BigDecimal,
    pub(super) audio_completion: BigDecimal,
    /// All further factors, multiplied.
    pub(super) others: BigDecimal,
    /// Quota units for an audio token of the input, where it has a price of its own.
    pub(super) audio_input: Option<BigDecimal>,
    /// Quota units for the request, where it has a fixed price.
    pub(super) fixed_price: Option<BigDecimal>,
    /// Quota units that the price expression came to, where there is one.
    pub(super) expression: Option<BigDecimal>,
    /// Quota units for the calls of tools.
    pub(super) tools: BigDecimal,
}

impl Factors {
    pub(super) fn of(ratios: &QuotaRatios) -> Self {
        let one_unless = |ratio: Option<Ratio>| ratio.map_or_else(one, big);
        let group = one_unless(ratios.user_group_ratio.or(ratios.group_ratio));
        let creation = ratios.cache_creation_ratio.map_or_else(|| decimal(125, 2), big);
        // US dollars as quota units of this group.
        let units = |usd: BigDecimal| usd * decimal(QUOTA_PER_USD.into(), 0) * &group;
        let tools = ratios.tools.iter().flatten();
        let tools = tools.map(|tool| big(tool.per_thousand) * decimal(tool.calls.into(), 3));
        Self {
            legacy: match ratios.arithmetic.unwrap_or(QuotaArithmetic::Current) {
                QuotaArithmetic::Current => false,
                QuotaArithmetic::Legacy => true,
            },
            semantics: semantics(ratios),
            ratio: big(ratios.model_ratio) * &group,
            completion: one_unless(ratios.completion_ratio),
            cache: one_unless(ratios.cache_ratio),
            creation_5m: ratios.cache_creation_ratio_5m.map_or_else(|| creation.clone(), big),
            creation_1h: ratios.cache_creation_ratio_1h.map_or_else(|| &creation * decimal(16, 1), big),
            creation,
            image: one_unless(ratios.image_ratio),
            audio: one_unless(ratios.audio_ratio),
            audio_completion: one_unless(ratios.audio_completion_ratio),
            others: ratios.other_ratios.iter().flatten().fold(one(), |product, ratio| product * big(*ratio)),
            audio_input: ratios
                .audio_input_price
                .filter(|price| !price.decimal().is_zero())
                .map(|price| units(big(price) * decimal(1, 6))),
            fixed_price: ratios.model_price.map(|price| units(big(price))),
            expression: ratios.expression_result.map(|result| units(big(result) * decimal(1, 6))),
            tools: units(tools.sum()),
        }
    }
}

/// What the prompt tokens hold.
pub(super) fn semantics(ratios: &QuotaRatios) -> QuotaSemantics {
    ratios.semantics.unwrap_or(QuotaSemantics::Openai)
}

/// A whole number with the point moved to the left by so many places.
pub(super) fn decimal(digits: i128, places: i64) -> BigDecimal {
    BigDecimal::new(BigInt::from(digits), places)
}

fn one() -> BigDecimal {
    decimal(1, 0)
}

fn big(ratio: Ratio) -> BigDecimal {
    let ratio = ratio.decimal();
    decimal(ratio.mantissa(), ratio.scale().into())
}
