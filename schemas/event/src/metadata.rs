//! What callers attach to a request: a flat map of names to scalars, as Cloudflare's `cf-aig-metadata` defines it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Names to scalars. It prints, and is stored, as a JSON object with sorted names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, MetadataValue>);

/// A scalar: text, number or boolean. Null and nested values are refused, as the gateway refuses them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum MetadataValue {
    /// Text.
    Text(String),
    /// A number, printed back as it came in up to 64 bits.
    Number(serde_json::Number),
    /// True or false.
    Bool(bool),
}

impl Metadata {
    /// The entries, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of the entry of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&MetadataValue> {
        self.0.get(name)
    }

    /// The metadata as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).expect("names and scalars always print as JSON")
    }
}

impl MetadataValue {
    /// The value as text: as it is, or as JSON prints it.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Number(number) => number.to_string().into(),
            Self::Bool(value) => value.to_string().into(),
        }
    }
}

impl FromIterator<(String, MetadataValue)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (String, MetadataValue)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = MetadataValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<MetadataValue, E> {
        Ok(MetadataValue::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<MetadataValue, E> {
        let number = serde_json::Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(MetadataValue::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_round_trip_with_sorted_names() {
        let metadata: Metadata =
            serde_json::from_str(r#"{"user":"u-7","beta":true,"n":3,"share":0.25}"#).unwrap();
        assert_eq!(metadata.to_json(), r#"{"beta":true,"n":3,"share":0.25,"user":"u-7"}"#);
    }

    #[test]
    fn null_and_nested_values_are_refused() {
        for text in [r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, "[]"] {
            assert!(serde_json::from_str::<Metadata>(text).is_err(), "{text}");
        }
    }
}
