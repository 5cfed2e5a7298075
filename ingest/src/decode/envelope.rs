//! What a field of a log may be: plain, or encrypted in an envelope `{"type":"encrypted","key":…,"iv":…,"data":…}`.
//!
//! An envelope comes as an object or as JSON text. What only resembles one stays the caller's text: a member `key` alone
//! makes no envelope, metadata may well have one.

use std::fmt;
use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::DecryptError;
use crate::text::Text;

/// The most characters of a member that is short by nature: an RSA key of 8192 bits wraps to 1,368.
const SHORT_MEMBER_MAX: usize = 4_096;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A field as it was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// In the open: JSON, or any text.
    Plain(String),
    /// Encrypted.
    Sealed(Sealed),
}

/// An encrypted field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its parts, or why it has not got them all.
    pub(super) envelope: Result<Envelope, DecryptError>,
    /// Where it is in the record, in bytes.
    pub(super) place: Range<usize>,
}

/// The parts of an encrypted field, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) key: Vec<u8>,
    pub(super) iv: Vec<u8>,
    pub(super) data: Vec<u8>,
}

/// What is wrong with a member of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberError {
    /// There is none.
    Missing,
    /// It is of another type.
    NotText,
    /// It is a text of another form.
    NotBase64,
    /// No key and no nonce is so long.
    TooLong,
}

#[derive(Deserialize)]
struct WireEnvelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    iv: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Field {
    /// Reads a field of `record`. `None` where there is nothing in it.
    pub(super) fn read(raw: &RawValue, record: &[u8]) -> Option<Self> {
        let json = raw.get();
        let place = || place_in(record, json.as_bytes());
        let text = match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).map_or_else(|_| json.into(), |Text(text)| text),
            _ => json.into(),
        };
        match WireEnvelope::read(&text) {
            Some(envelope) => Some(Self::Sealed(Sealed { envelope, place: place() })),
            None => plain(text.into_owned()).map(Self::Plain),
        }
    }
}

/// A body or metadata in the open. A JSON string in it is what was logged; null and `""` are how nothing is logged.
pub(super) fn plain(text: String) -> Option<String> {
    let text = if text.starts_with('"') { serde_json::from_str(&text).unwrap_or(text) } else { text };
    (!text.is_empty() && text != "null").then_some(text)
}

impl<'a> WireEnvelope<'a> {
    fn read(text: &'a str) -> Option<Result<Envelope, DecryptError>> {
        let text = text.trim_ascii();
        if !text.starts_with('{') {
            return None;
        }
        match serde_json::from_str::<Self>(text) {
            Ok(envelope) => envelope.is_one().then(|| envelope.open()),
            // JSON text that was cut to a length.
            Err(_) => looks_like_the_start_of_one(text).then_some(Err(DecryptError::Cut)),
        }
    }

    /// Whether it says that it is one and has something of one, or has all of one.
    fn is_one(&self) -> bool {
        let says_so = self.kind.is_some_and(|kind| kind.get() == r#""encrypted""#);
        let members = [self.key, self.iv, self.data].into_iter().flatten().count();
        (says_so && members > 0) || (self.kind.is_none() && members == 3 && self.open().is_ok())
    }

    fn open(&self) -> Result<Envelope, DecryptError> {
        let member = |member, value, length_max| {
            bytes(value, length_max).map_err(|reason| DecryptError::Member { member, reason })
        };
        Ok(Envelope {
            key: member("key", self.key, SHORT_MEMBER_MAX)?,
            iv: member("iv", self.iv, SHORT_MEMBER_MAX)?,
            data: member("data", self.data, usize::MAX)?,
        })
    }
}

fn bytes(member: Option<&RawValue>, length_max: usize) -> Result<Vec<u8>, MemberError> {
    let json = member.ok_or(MemberError::Missing)?;
    let Text(text) = serde_json::from_str(json.get()).map_err(|_| MemberError::NotText)?;
    if text.len() > length_max {
        return Err(MemberError::TooLong);
    }
    BASE64.decode(text.as_bytes()).map_err(|_| MemberError::NotBase64)
}

fn looks_like_the_start_of_one(text: &str) -> bool {
    let mut text = text.as_bytes();
    [r"{", r#""type""#, r":", r#""encrypted""#, r","].iter().all(|token| {
        let rest = text.trim_ascii_start().strip_prefix(token.as_bytes());
        text = rest.unwrap_or_default();
        rest.is_some()
    })
}

/// Where a part of `record` is in it.
fn place_in(record: &[u8], part: &[u8]) -> Range<usize> {
    let begin = part.as_ptr().addr().saturating_sub(record.as_ptr().addr());
    begin..begin + part.len()
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::NotText => "is not a text",
            Self::NotBase64 => "is not base64",
            Self::TooLong => "is too long",
        })
    }
}

#[cfg(test)]
mod tests;
