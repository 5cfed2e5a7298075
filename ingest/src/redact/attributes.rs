//! What a policy leaves of the attributes that came beside a record, where that is kept as a letter.
//!
//! Some say what the record is and what it is known by, and a replay goes by them: like names, they are blanked only of what
//! opens a door. The others may be anything, as metadata may. Under a name that speaks of a secret nothing is kept, whatever
//! the policy is.

use super::headers::{REDACTED, speaks_of_a_secret};
use super::redactor::Pass;
use super::{Policy, RedactError};
use crate::accept::Attributes;

/// The attributes that a CloudEvent is read by: all that is kept where no body is.
const OF_THE_EVENT: [&str; 6] = ["specversion", "id", "source", "type", "time", "datacontenttype"];

/// What is left of attributes. Where two names become the same, one of them is left.
pub(super) fn left_of(attributes: &Attributes, pass: &mut Pass<'_>) -> Result<Attributes, RedactError> {
    let mut left = Vec::new();
    for (name, value) in attributes.iter() {
        let (is_of_the_event, policy) = (OF_THE_EVENT.contains(&name), pass.policy());
        if policy == Policy::None && !is_of_the_event {
            continue;
        }
        let value = if speaks_of_a_secret(name.as_bytes()) { REDACTED } else { value }.to_owned();
        let name = name.to_owned();
        left.push(match policy {
            Policy::Store => (name, value),
            Policy::Redact | Policy::Heads | Policy::None if is_of_the_event => (name, pass.name(value)?),
            Policy::Redact | Policy::Heads | Policy::None => (pass.text(name)?, pass.text(value)?),
        });
    }
    Ok(left.into_iter().collect())
}
