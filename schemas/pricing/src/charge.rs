//! What a price can be asked for: tokens of a bucket, a unit, or the request as such.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_event::{TokenBucket, Unit, UnknownName};

/// One kind of thing that is billed. Its word is the same in price files and on receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Charge {
    /// Tokens of a bucket.
    Tokens(TokenBucket),
    /// What is counted apart from tokens.
    Unit(Unit),
    /// The request, once per event.
    Requests,
}

impl Charge {
    const REQUESTS: &'static str = "requests";

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens(bucket) => bucket.as_str(),
            Self::Unit(unit) => unit.as_str(),
            Self::Requests => Self::REQUESTS,
        }
    }

    /// Whether it is counted in milliseconds, so that a price per hour makes sense.
    #[must_use]
    pub const fn is_time(self) -> bool {
        match self {
            Self::Unit(Unit::AudioInputMs | Unit::AudioOutputMs | Unit::VideoOutputMs) => true,
            Self::Unit(
                Unit::WebSearches
                | Unit::FileSearches
                | Unit::CodeExecutions
                | Unit::RerankSearches
                | Unit::ImagesOutput
                | Unit::InputCharacters
                | Unit::InputPages
                | Unit::AnnotatedPages,
            )
            | Self::Tokens(_)
            | Self::Requests => false,
        }
    }

    /// Whose price stands in where it has none of its own, the nearest first. Units have no stand-ins: a provider
    /// lists them only where it bills them.
    #[must_use]
    pub const fn stand_ins(self) -> &'static [Self] {
        use TokenBucket as Bucket;
        const INPUT: Charge = Charge::Tokens(Bucket::UncachedInput);
        const CACHED: Charge = Charge::Tokens(Bucket::CacheRead);
        const OUTPUT: Charge = Charge::Tokens(Bucket::TextOutput);
        match self {
            Self::Tokens(bucket) => match bucket {
                Bucket::CacheWrite1h => &[Self::Tokens(Bucket::CacheWrite5m), INPUT],
                Bucket::CacheReadAudio | Bucket::CacheReadImage => &[CACHED, INPUT],
                Bucket::CacheRead
                | Bucket::CacheWrite5m
                | Bucket::AudioInput
                | Bucket::ImageInput
                | Bucket::VideoInput => &[INPUT],
                Bucket::Reasoning
                | Bucket::Citation
                | Bucket::AudioOutput
                | Bucket::ImageOutput
                | Bucket::VideoOutput => &[OUTPUT],
                Bucket::UncachedInput | Bucket::TextOutput => &[],
            },
            Self::Unit(_) | Self::Requests => &[],
        }
    }
}

impl FromStr for Charge {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        if word == Self::REQUESTS {
            return Ok(Self::Requests);
        }
        let bucket = TokenBucket::ALL.into_iter().find(|bucket| bucket.as_str() == word).map(Self::Tokens);
        let unit = || word.parse().map(Self::Unit);
        bucket.map_or_else(unit, Ok).map_err(|_| UnknownName { vocabulary: "charge", word: word.to_owned() })
    }
}

impl fmt::Display for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Charge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Charge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}
