//! Records that a producer wrote as events, and which form they are in where their source may write in several.

use memchr::memchr2;
use serde::Deserialize;
use serde_json::value::RawValue;
use weir_event::wire::WireEvent;

use super::cloud_event::{of_attributes, of_envelope};
use super::cloudflare_log::CloudflareLog;
use super::error::DecodeError;
use super::new_api_log::NewApiLog;
use super::record::read;
use crate::accept::{Form, RawRecord};

/// The deepest nesting that a record of an event may have: as deep as JSON readers commonly go.
pub(super) const DEPTH_MAX: usize = 128;

/// An event as its producer wrote it. What names it may still be missing: its place may have that.
#[derive(Clone, Debug, PartialEq)]
pub enum EventRecord {
    /// Weir's own.
    Canonical(Box<WireEvent>),
    /// A row of Cloudflare's AI Gateway Logs API.
    CloudflareLog(Box<CloudflareLog>),
    /// A row of new-api's log.
    NewApiLog(Box<NewApiLog>),
}

/// Decodes a record of a source that writes events in `form`.
pub(super) fn decode_event(record: &RawRecord<'_>, form: Form) -> Result<EventRecord, DecodeError> {
    is_shallow(record.bytes)?;
    let attributes = record.attributes.filter(|attributes| attributes.get("specversion").is_some());
    let mut event = match (form, attributes) {
        (Form::Events | Form::CloudEvents, Some(attributes)) => of_attributes(attributes, record.bytes),
        _ => of_form(form, record.bytes), // Other forms have nothing beside them.
    }?;
    if let (EventRecord::NewApiLog(log), Some(came_as)) = (&mut event, record.came_as) {
        log.came_as(record.bytes, came_as);
    }
    Ok(event)
}

/// Reads an event that is in a form, or in one of several.
pub(super) fn of_form(form: Form, json: &[u8]) -> Result<EventRecord, DecodeError> {
    match form {
        Form::Canonical => Ok(EventRecord::Canonical(Box::new(read(json)?))),
        Form::CloudEvents => of_envelope(json),
        Form::CloudflareLog => Ok(EventRecord::CloudflareLog(Box::new(CloudflareLog::read(json)?))),
        Form::NewApiLog => Ok(EventRecord::NewApiLog(Box::new(NewApiLog::read(json)?))),
        // Logpush's records are read by other means.
        Form::Events | Form::Logpush => of_form(form_of(json)?, json),
    }
}

/// What the forms are told by. None of them has the fields of another.
#[derive(Deserialize)]
struct Marks<'a> {
    #[serde(borrow)]
    specversion: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    started_at: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind_of_row: Option<&'a RawValue>,
    #[serde(borrow)]
    cached: Option<&'a RawValue>,
    #[serde(borrow)]
    tokens_in: Option<&'a RawValue>,
    #[serde(borrow)]
    duration: Option<&'a RawValue>,
}

/// The one form that has these fields. A canonical event shows by two of the three that it always has, so that the third
/// may be misspelt and is told.
pub(super) fn form_of(json: &[u8]) -> Result<Form, DecodeError> {
    let marks: Marks<'_> = read(json)?;
    let is_number = |raw: Option<&RawValue>| {
        raw.is_some_and(|raw| raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()))
    };
    let is_text = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get().starts_with('"'));
    let canonical = [marks.event_id, marks.kind, marks.started_at];
    let forms = [
        (Form::CloudEvents, "a CloudEvent", marks.specversion.is_some()),
        (Form::Canonical, "a canonical event", canonical.iter().flatten().count() >= 2),
        (
            Form::CloudflareLog,
            "a Cloudflare log",
            is_text(marks.created_at)
                && marks.cached.or(marks.tokens_in).is_some()
                && marks.duration.is_some(),
        ),
        (Form::NewApiLog, "a new-api log", is_number(marks.kind_of_row) && is_number(marks.created_at)),
    ];
    let found: Vec<_> = forms.iter().filter(|(.., has_its_marks)| *has_its_marks).collect();
    match found.as_slice() {
        [(form, ..)] => Ok(*form),
        [] => Err(DecodeError::UnknownForm { found: "no known form".to_owned() }),
        several => {
            let names: Vec<_> = several.iter().map(|(_, name, _)| *name).collect();
            Err(DecodeError::UnknownForm { found: names.join(" and of ") })
        }
    }
}

/// Counts the brackets outside of texts. What is no JSON is told by whoever reads it.
pub(super) fn is_shallow(mut json: &[u8]) -> Result<(), DecodeError> {
    let mut depth = 0_usize;
    while let [byte, rest @ ..] = json {
        json = rest;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => json = after_text(rest),
            _ => {} // Numbers, words, and what stands between.
        }
        if depth > DEPTH_MAX {
            return Err(DecodeError::TooDeep);
        }
    }
    Ok(())
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
