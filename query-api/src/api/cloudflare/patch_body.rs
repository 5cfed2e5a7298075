//! The body of `PATCH /logs/{id}`.
//!
//! What is absent stays, null clears, and metadata is replaced as a whole. A member that is not known is an error, since
//! what was meant by it would be lost. Every problem is reported at once.

use std::collections::BTreeSet;

use serde_json::value::RawValue;
use weir_event::{Members, Metadata, MetadataValue, Rating, RatingError};

use super::envelope::Issue;
use super::filters::shortened;
use crate::store::{Annotations, Change};

/// The longest body that is read, in bytes.
pub(super) const BYTES_MAX: usize = 65_536;

/// Bounds of metadata: entries, and characters of their names and texts. The lengths are those that rows have.
const ENTRIES_MAX: usize = 64;
const NAME_MAX: usize = 256;
const TEXT_MAX: usize = 1_024;

/// So many problems are told at once.
const ISSUES_MAX: usize = 20;

/// Reads a body.
pub(super) fn read(body: &[u8]) -> Result<Annotations, Vec<Issue>> {
    let refused = |message: String| vec![Issue::of_body(&[], message)];
    let raw: &RawValue = serde_json::from_slice(body)
        .map_err(|error| refused(format!("Invalid JSON: {}", position(&error))))?;
    let Members(members) = object(raw).map_err(refused)?;
    let (mut annotations, mut issues, mut seen) = (Annotations::default(), Vec::new(), BTreeSet::new());
    for (name, raw) in members {
        let path = [name.as_str()];
        let read = match name.as_str() {
            _ if !seen.insert(name.clone()) => Err(vec![Issue::of_body(&path, "It is given more than once")]),
            "feedback" => rating(raw, &path).map(|change| annotations.feedback = change),
            "score" => rating(raw, &path).map(|change| annotations.score = change),
            "metadata" => metadata(raw).map(|change| annotations.metadata = change),
            // Any other name is the client's, not ours.
            other => {
                let message = format!("Unrecognized key '{}'", shortened(other));
                Err(vec![Issue::of_body(&[&shortened(other)], message)])
            }
        };
        issues.extend(read.err().into_iter().flatten());
    }
    issues.truncate(ISSUES_MAX);
    if issues.is_empty() { Ok(annotations) } else { Err(issues) }
}

fn rating<const MIN: i64, const MAX: i64>(
    raw: &RawValue,
    path: &[&str],
) -> Result<Change<Rating<MIN, MAX>>, Vec<Issue>> {
    let message = match (kind(raw), Rating::from_json_number(raw.get())) {
        ("null", _) => return Ok(Change::Clear),
        (_, Ok(rating)) => return Ok(Change::Set(rating)),
        (_, Err(RatingError::TooSmall(min))) => format!("Number must be greater than or equal to {min}"),
        (_, Err(RatingError::TooGreat(max))) => format!("Number must be less than or equal to {max}"),
        (kind, Err(RatingError::Malformed)) => format!("Expected number, received {kind}"),
    };
    Err(vec![Issue::of_body(path, message)])
}

fn metadata(raw: &RawValue) -> Result<Change<Metadata>, Vec<Issue>> {
    let refused = |message: String| vec![Issue::of_body(&["metadata"], message)];
    if kind(raw) == "null" {
        return Ok(Change::Clear);
    }
    let Members(members) = object(raw).map_err(refused)?;
    if members.len() > ENTRIES_MAX {
        return Err(refused(format!("Object must contain at most {ENTRIES_MAX} element(s)")));
    }
    let (mut entries, mut issues, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, raw) in members {
        let read = match scalar(raw) {
            _ if name.chars().count() > NAME_MAX => {
                Err(format!("Its name must contain at most {NAME_MAX} character(s)"))
            }
            _ if !seen.insert(name.clone()) => Err("It is given more than once".to_owned()),
            read => read,
        };
        match read {
            Ok(value) => entries.push((name, value)),
            Err(message) => issues.push(Issue::of_body(&["metadata", &shortened(&name)], message)),
        }
    }
    if issues.is_empty() { Ok(Change::Set(entries.into_iter().collect())) } else { Err(issues) }
}

fn scalar(raw: &RawValue) -> Result<MetadataValue, String> {
    let kind = kind(raw);
    match (kind, serde_json::from_str(raw.get())) {
        ("null" | "object" | "array", _) => {
            Err(format!("Expected string, number or boolean, received {kind}"))
        }
        (_, Ok(MetadataValue::Text(text))) if text.chars().count() > TEXT_MAX => {
            Err(format!("String must contain at most {TEXT_MAX} character(s)"))
        }
        (_, Ok(value)) => Ok(value),
        // A number that no float reaches, or a half of a character.
        (_, Err(_)) => Err(format!("It is no {kind} that can be kept")),
    }
}

fn object(raw: &RawValue) -> Result<Members<'_>, String> {
    match kind(raw) {
        "object" => {
            serde_json::from_str(raw.get()).map_err(|error| format!("Invalid JSON: {}", position(&error)))
        }
        kind => Err(format!("Expected object, received {kind}")),
    }
}

/// What sort of value it is, by its first character: it is JSON.
fn kind(raw: &RawValue) -> &'static str {
    match raw.get().bytes().next() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Where it is broken, and nothing of what is there.
fn position(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}

#[cfg(any(test, fuzzing))]
impl Annotations {
    /// A body that asks for this.
    pub(super) fn to_body(&self) -> String {
        use serde_json::value::to_raw_value;
        fn member<T: serde::Serialize>(name: &str, change: &Change<T>) -> Option<String> {
            let raw = match change {
                Change::Keep => return None,
                Change::Clear => to_raw_value(&()),
                Change::Set(value) => to_raw_value(value),
            };
            Some(format!("\"{name}\":{}", raw.expect("it prints as JSON")))
        }
        let members = [
            member("feedback", &self.feedback),
            member("score", &self.score),
            member("metadata", &self.metadata),
        ];
        format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests;
