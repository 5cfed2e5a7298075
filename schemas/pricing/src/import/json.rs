//! JSON whose numbers stay text. serde's own value would make floats of them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ImportError;

/// How deep the published files may be nested; they are less than half as deep.
pub(super) const DEPTH_MAX: usize = 32;

/// A value. Objects keep the order of the file, and keys that are there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it is written: `1.5e-07`.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(super) fn parse(text: &str) -> Result<Self, ImportError> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Self::read(raw, 0)
    }

    fn read(raw: &RawValue, depth: usize) -> Result<Self, ImportError> {
        if depth > DEPTH_MAX {
            return Err(ImportError::TooDeep);
        }
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(text)?;
                let read = |(key, value)| Ok((key, Self::read(value, depth + 1)?));
                Self::Object(entries.into_iter().map(read).collect::<Result<_, ImportError>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let read = |item| Self::read(item, depth + 1);
                Self::List(items.into_iter().map(read).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Self::Text(serde_json::from_str(text)?),
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(text)?),
            Some(b'n') => Self::Null,
            // A raw value is valid JSON, so this is a number.
            Some(_) | None => Self::Number(text.to_owned()),
        })
    }

    pub(super) fn object(&self, path: &str) -> Result<&[(String, Self)], ImportError> {
        match self {
            Self::Object(entries) => Ok(entries),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => {
                Err(ImportError::Shape { path: path.to_owned(), expected: "an object" })
            }
        }
    }

    pub(super) fn list(&self, path: &str) -> Result<&[Self], ImportError> {
        match self {
            Self::List(items) => Ok(items),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => {
                Err(ImportError::Shape { path: path.to_owned(), expected: "a list" })
            }
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    pub(super) fn number(&self) -> Option<&str> {
        match self {
            Self::Number(number) => Some(number),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The value of a key, if this is an object that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_as_they_are_written() {
        let json = Json::parse(r#"{"b": [1.5e-07, -0.10, null], "a": {"c": "\u0041", "d": true}}"#).unwrap();
        let expected = Json::Object(vec![
            (
                "b".into(),
                Json::List(vec![Json::Number("1.5e-07".into()), Json::Number("-0.10".into()), Json::Null]),
            ),
            (
                "a".into(),
                Json::Object(vec![("c".into(), Json::Text("A".into())), ("d".into(), Json::Bool(true))]),
            ),
        ]);
        assert_eq!(json, expected);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_refused() {
        for wrong in ["", "{", "[1,]", "nan", "{\"a\":01}"] {
            assert!(matches!(Json::parse(wrong), Err(ImportError::Json(_))), "{wrong}");
        }
        let deep = "[".repeat(DEPTH_MAX + 2) + &"]".repeat(DEPTH_MAX + 2);
        assert!(matches!(Json::parse(&deep), Err(ImportError::TooDeep)));
    }
}
