//! The arguments of a `console.log` call, as the two shapes of a trace event carry them.
//!
//! Logpush delivers texts, a tail delivers JSON as it was logged. Texts are most of a record, so they are unescaped while
//! the record is read; a record that turns out to have anything else is read once more, with its messages taken as they
//! are written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::lenient::Bounded;
use crate::text::Text;

/// How many arguments of a call are read: the dialects have at most seven.
const ARGUMENTS_MAX: usize = 16;

/// An argument of a call. Objects arrive as themselves from a tail, and as text from Logpush.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    Text(Cow<'a, str>),
    Object(Cow<'a, str>),
    Other(Cow<'a, str>),
}

/// A message as a record carries it.
pub(super) trait Message<'a>: Deserialize<'a> {
    fn arguments(self) -> Vec<Argument<'a>>;
}

/// A message in any form, as it is written.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct RawMessage<'a>(#[serde(borrow)] &'a RawValue);

/// A list of texts and simple values, read. Anything else is an error.
pub(super) struct TextMessage<'a>(Vec<Argument<'a>>);

impl<'a> Argument<'a> {
    pub(super) fn read(raw: &'a RawValue) -> Self {
        let json = raw.get();
        match json.as_bytes().first() {
            Some(b'{') => Self::Object(Cow::Borrowed(json)),
            Some(b'"') => match serde_json::from_str::<Text<'_>>(json) {
                Ok(Text(text)) => Self::of_text(text),
                // A lone surrogate is valid JSON and no text: kept as it is written.
                Err(_) => Self::Other(Cow::Borrowed(json)),
            },
            // Numbers, booleans, null, arrays.
            _ => Self::Other(Cow::Borrowed(json)),
        }
    }

    fn of_text(text: Cow<'a, str>) -> Self {
        if text.trim_start().starts_with('{') { Self::Object(text) } else { Self::Text(text) }
    }
}

impl<'a> Message<'a> for RawMessage<'a> {
    /// A list, or, from some writers, a plain value.
    fn arguments(self) -> Vec<Argument<'a>> {
        let list = serde_json::from_str::<Bounded<&'a RawValue, ARGUMENTS_MAX>>(self.0.get());
        let raw = list.map_or_else(|_| vec![self.0], |Bounded(arguments)| arguments);
        raw.into_iter().map(Argument::read).collect()
    }
}

impl<'a> Message<'a> for TextMessage<'a> {
    fn arguments(self) -> Vec<Argument<'a>> {
        self.0
    }
}

impl<'de> Deserialize<'de> for TextMessage<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bounded(arguments) = Bounded::<Argument<'de>, ARGUMENTS_MAX>::deserialize(deserializer)?;
        Ok(Self(arguments))
    }
}

impl<'de> Deserialize<'de> for Argument<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Takes texts and whole numbers, which is all that Logpush delivers.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Argument<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Argument::of_text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Argument::of_text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Argument::Other(Cow::Owned(number.to_string())))
    }
}
