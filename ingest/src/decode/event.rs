//! Records that a producer wrote as events: which form it is in, where the source may write in several.

use memchr::memchr2;
use weir_event::wire::WireEvent;

use super::error::DecodeError;
use super::record::read;
use crate::accept::{Form, RawRecord};

/// The deepest nesting that a record of an event may have: as deep as JSON readers commonly go.
pub(super) const DEPTH_MAX: usize = 128;

/// An event as its producer wrote it.
#[derive(Clone, Debug, PartialEq)]
pub enum EventRecord {
    /// Weir's own. It may still lack what its place says.
    Canonical(Box<WireEvent>),
}

/// Decodes a record of a source that writes events in `form`.
pub(super) fn decode_event(record: &RawRecord<'_>, form: Form) -> Result<EventRecord, DecodeError> {
    if is_too_deep(record.bytes) {
        return Err(DecodeError::TooDeep);
    }
    match form {
        Form::Canonical => decode_canonical(record.bytes),
        Form::Logpush | Form::Events | Form::CloudEvents | Form::CloudflareLog | Form::NewApiLog => {
            Err(DecodeError::UnknownForm { found: "no known form".to_owned() })
        }
    }
}

fn decode_canonical(bytes: &[u8]) -> Result<EventRecord, DecodeError> {
    Ok(EventRecord::Canonical(Box::new(read(bytes)?)))
}

/// Counts the brackets outside of texts. What is no JSON is told by whoever reads it.
fn is_too_deep(mut json: &[u8]) -> bool {
    let mut depth = 0_usize;
    while let [byte, rest @ ..] = json {
        json = rest;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => json = after_text(rest),
            _ => {} // Names of values, numbers, what stands between.
        }
        if depth > DEPTH_MAX {
            return true;
        }
    }
    false
}

/// What follows the text whose opening quote stood before `json`.
fn after_text(mut json: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', json) {
        if json[at] == b'"' {
            return &json[at + 1..];
        }
        json = json.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests;
