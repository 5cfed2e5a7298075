//! Completes an event that its producer wrote as one.

use weir_event::{Scope, Source, UsageEvent, wire::WireError};

use crate::accept::{Origin, RawRecord};
use crate::decode::EventRecord;

/// How a record arrived: what an event cannot say itself.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    scope: &'a Scope,
    source: Source,
    /// Where in a topic it is: the same in every delivery. A push has no such place.
    place: Option<String>,
}

impl<'a> Arrival<'a> {
    /// How `record` arrived, for the tenant that it is of.
    #[must_use]
    pub fn of(record: &RawRecord<'_>, origin: &Origin, scope: &'a Scope) -> Self {
        let place = match origin.source {
            Source::Kafka => Some(format!("{}-{}", origin.batch, record.position)),
            Source::Logpush | Source::Http | Source::Import => None,
        };
        Self { scope, source: origin.source, place }
    }

    /// Of an event that came from nowhere but a file.
    #[must_use]
    pub const fn of_import(scope: &'a Scope) -> Self {
        Self { scope, source: Source::Import, place: None }
    }
}

/// The event that a record is. One without an id of its own has that of its place; without a place it is refused.
pub fn normalize_event(record: EventRecord, arrival: &Arrival<'_>) -> Result<UsageEvent, WireError> {
    match record {
        EventRecord::Canonical(mut wire) => {
            wire.event_id = wire.event_id.take().or_else(|| arrival.place.clone());
            wire.into_event(arrival.scope.clone(), arrival.source)
        }
    }
}
