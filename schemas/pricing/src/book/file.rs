//! Price files as people review them: TOML of one provider, read into plain fields. What they mean is checked elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A file of `book/<layer>/`, or an operator's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) provider: String,
    pub(crate) also: Option<Vec<String>>,
    pub(crate) fallback: Option<Vec<String>>,
    pub(crate) model: Option<Vec<Model>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    pub(crate) id: String,
    #[serde(rename = "match")]
    pub(crate) matches: Vec<Match>,
    pub(crate) except: Option<Vec<Match>>,
    pub(crate) minimum: Option<BTreeMap<String, u64>>,
    pub(crate) price: Vec<Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    pub(crate) from: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) hours_utc: Option<Vec<String>>,
    pub(crate) weekdays: Option<Vec<String>>,
    pub(crate) service_tier: Option<String>,
    pub(crate) per_million: Option<Amounts>,
    pub(crate) per_thousand: Option<Amounts>,
    pub(crate) per_hour: Option<Amounts>,
    pub(crate) tier: Option<Vec<Tier>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tier {
    pub(crate) over: Option<u64>,
    pub(crate) at_least: Option<u64>,
    pub(crate) per_million: Option<Amounts>,
    pub(crate) per_thousand: Option<Amounts>,
    pub(crate) per_hour: Option<Amounts>,
}

/// Amounts in US dollars, by charge.
pub(crate) type Amounts = BTreeMap<String, String>;

/// A rule about a model's name: a text is the exact name.
pub(crate) enum Match {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(String),
}

impl<'de> Deserialize<'de> for Match {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MatchVisitor;

        impl<'de> Visitor<'de> for MatchVisitor {
            type Value = Match;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model's name, or a table with one of prefix, suffix, contains and regex")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Match, E> {
                Ok(Match::Exact(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Match, A::Error> {
                let Some((kind, text)) = map.next_entry::<String, String>()? else {
                    return Err(A::Error::custom("a model pattern is empty"));
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom("a model pattern has more than one rule"));
                }
                match kind.as_str() {
                    "prefix" => Ok(Match::Prefix(text)),
                    "suffix" => Ok(Match::Suffix(text)),
                    "contains" => Ok(Match::Contains(text)),
                    "regex" => Ok(Match::Regex(text)),
                    // Any other word is the file's, not ours.
                    _ => Err(A::Error::unknown_field(&kind, &["prefix", "suffix", "contains", "regex"])),
                }
            }
        }

        deserializer.deserialize_any(MatchVisitor)
    }
}
