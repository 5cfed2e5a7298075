//! What new-api prices a request with: ratios to its unit of account. The arithmetic is the pricing crate's.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::money::plain_integer_part;
use crate::{QuotaArithmetic, QuotaMode, QuotaSemantics};

/// A factor or a price of new-api's: a decimal from 0 to below 10 billion, with at most 18 decimals. Exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(Decimal);

/// A text that is not a [`Ratio`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a plain decimal from 0 to below 10,000,000,000 with at most 18 decimals")]
pub struct RatioError;

/// The ratios that a new-api gateway logged with a request. What is absent has new-api's own default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRatios {
    /// How the version of new-api that wrote the log rounds. Default: `current`.
    pub arithmetic: Option<QuotaArithmetic>,
    /// Whether its prompt tokens hold the cached ones. Default: `openai`, where they do.
    pub semantics: Option<QuotaSemantics>,
    /// What is charged. Default: `text`.
    pub mode: Option<QuotaMode>,
    /// The model's ratio: 1 is 2 USD per million input tokens.
    pub model_ratio: Ratio,
    /// The ratio of an output token to an input token. Default: 1.
    pub completion_ratio: Option<Ratio>,
    /// The ratio of the group. Default: 1.
    pub group_ratio: Option<Ratio>,
    /// The ratio of this user in the group, which wins over that of the group.
    pub user_group_ratio: Option<Ratio>,
    /// The ratio of a cached input token. Default: 1.
    pub cache_ratio: Option<Ratio>,
    /// The ratio of an input token that is written to the cache. Default: 1.25.
    pub cache_creation_ratio: Option<Ratio>,
    /// The same for 5 minutes. Default: that of any time.
    pub cache_creation_ratio_5m: Option<Ratio>,
    /// The same for 1 hour. Default: that of any time, times 1.6.
    pub cache_creation_ratio_1h: Option<Ratio>,
    /// The ratio of an input token of an image. Default: 1.
    pub image_ratio: Option<Ratio>,
    /// The ratio of an audio token, in the mode `audio`. Default: 1.
    pub audio_ratio: Option<Ratio>,
    /// The further ratio of an audio token of the output, in the mode `audio`. Default: 1.
    pub audio_completion_ratio: Option<Ratio>,
    /// USD per million audio tokens of the input, where they have a price of their own in the mode `text`.
    pub audio_input_price: Option<Ratio>,
    /// USD per request, where that is the price: no token counts then.
    pub model_price: Option<Ratio>,
    /// What a price expression came to, in USD per million of what it was asked for, where that is the price.
    pub expression_result: Option<Ratio>,
    /// Any further factors of the request, as for the size of an image.
    pub other_ratios: Option<Vec<Ratio>>,
    /// Calls of tools that are charged on top.
    pub tools: Option<Vec<QuotaTool>>,
}

/// Calls of one tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaTool {
    /// USD per thousand calls.
    pub per_thousand: Ratio,
    /// How often it was called.
    pub calls: u32,
}

impl Ratio {
    /// What leaves everything as it is.
    pub const ONE: Self = Self(Decimal::ONE);

    const LIMIT: Decimal = Decimal::from_parts(1_410_065_408, 2, 0, false, 0);
    const SCALE_MAX: u32 = 18;

    /// The ratio as a decimal, without trailing zeros.
    #[must_use]
    pub const fn decimal(self) -> Decimal {
        self.0
    }
}

impl TryFrom<Decimal> for Ratio {
    type Error = RatioError;

    fn try_from(ratio: Decimal) -> Result<Self, Self::Error> {
        let ratio = ratio.normalize();
        let is_ratio = !ratio.is_sign_negative() && ratio < Self::LIMIT && ratio.scale() <= Self::SCALE_MAX;
        if is_ratio { Ok(Self(ratio)) } else { Err(RatioError) }
    }
}

impl FromStr for Ratio {
    type Err = RatioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        plain_integer_part(text).filter(|_| !text.starts_with('-')).ok_or(RatioError)?;
        Decimal::from_str_exact(text).map_err(|_| RatioError)?.try_into()
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A decimal string, as money.
impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ratio {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_plain_decimal_that_is_not_negative() {
        for (text, expected) in [
            ("0", "0"),
            ("1.250", "1.25"),
            ("9999999999.999999999999999999", "9999999999.999999999999999999"),
        ] {
            assert_eq!(text.parse::<Ratio>().unwrap().to_string(), expected);
        }
        for wrong in ["-1", "-0", "1e3", "", ".5", "10000000000", "0.0000000000000000001", "1_0", "NaN"] {
            assert_eq!(wrong.parse::<Ratio>(), Err(RatioError), "{wrong}");
        }
    }
}
