//! Completes an event that its producer wrote as one with what its arrival says.

use weir_event::{Caller, Dialect, Scope, Source, UsageEvent};

use super::cloudflare_log::of_cloudflare_log;
use super::new_api_log::{NewApiTypes, of_new_api_log};
use crate::accept::{Origin, RawRecord};
use crate::decode::{DecodeError, EventRecord};
use crate::text::{LINE_MAX, NAME_MAX, shorten};

/// How a record arrived: what an event cannot say itself.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    pub(super) scope: &'a Scope,
    pub(super) source: Source,
    /// Where in a topic it is: the same in every delivery. A push has no such place.
    place: Option<String>,
    pub(super) new_api_types: NewApiTypes,
    /// Whether it is a row of a table, in which two rows that say the same are two rows.
    is_of_table: bool,
}

impl<'a> Arrival<'a> {
    /// How `record` arrived, for the tenant that it is of.
    #[must_use]
    pub fn of(record: &RawRecord<'_>, origin: &Origin, scope: &'a Scope) -> Self {
        let place = match origin.source {
            Source::Kafka => Some(format!("{}-{}", origin.batch, record.position)),
            Source::Logpush | Source::Http | Source::Import => None,
        };
        let is_of_table = origin.source == Source::Import;
        Self { scope, source: origin.source, place, new_api_types: NewApiTypes::Documented, is_of_table }
    }

    /// Of an event that came from nowhere but a file.
    #[must_use]
    pub const fn of_import(scope: &'a Scope) -> Self {
        let new_api_types = NewApiTypes::Documented;
        Self { scope, source: Source::Import, place: None, new_api_types, is_of_table: false }
    }

    /// The same, where rows of new-api number their types so.
    #[must_use]
    pub fn with_new_api_types(self, new_api_types: NewApiTypes) -> Self {
        Self { new_api_types, ..self }
    }
}

/// The event that a record is. One that nothing in it identifies has the id of its place; without a place it is refused.
pub fn normalize_event(record: EventRecord, arrival: &Arrival<'_>) -> Result<UsageEvent, DecodeError> {
    let place = arrival.place.clone();
    let mut event = match record {
        EventRecord::Canonical(mut wire) => {
            wire.event_id = wire.event_id.take().or(place);
            wire.into_event(arrival.scope.clone(), arrival.source)?
        }
        EventRecord::CloudflareLog(mut log) => {
            let missing = || DecodeError::MissingField { field: "id".to_owned() };
            let id = log.id.take().or(place).ok_or_else(missing)?;
            of_cloudflare_log(*log, id, arrival)
        }
        EventRecord::NewApiLog(log) if arrival.is_of_table && !log.is_named() => {
            return Err(DecodeError::MissingField { field: "id".to_owned() });
        }
        // It always knows itself: a name by its place would be another than over HTTP.
        EventRecord::NewApiLog(log) => of_new_api_log(*log, arrival),
    };
    hold_to_length(&mut event);
    Ok(event)
}

/// Cuts names and lines that no column should hold. What the event is known by is settled before.
fn hold_to_length(event: &mut UsageEvent) {
    let cut = |text: &mut Option<String>, characters_max| {
        *text = text.take().map(|text| shorten(text, characters_max));
    };
    cut(&mut event.ray_id, NAME_MAX);
    // An error of new-api's is its row's content, of which its readers are shown all.
    let is_whole = event.dialect == Dialect::NewApiLog;
    let mut texts = event.texts_mut();
    texts.names().for_each(|name| cut(name, NAME_MAX));
    let Caller { ip, country, token_display, user_agent, .. } = texts.caller;
    for name in [ip, country, token_display] {
        cut(name, NAME_MAX);
    }
    for line in [user_agent, texts.path] {
        cut(line, LINE_MAX);
    }
    if !is_whole {
        cut(texts.error, LINE_MAX);
    }
}
