//! The pure middle of ingest: decode, normalize, price. No I/O, so a chunk can be worked on by any thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sha2::{Digest, Sha256};

use crate::accept::{Chunk, Origin, RawRecord};
use crate::decode::{DecodeError, Decoded, decode, redact};
use crate::normalize::normalize;
use crate::price::{PriceBook, PricedEvent};

/// How far an event's start may be ahead of this server's clock: a day is no skew, it is a wrong clock or unit, and
/// such a row would be the newest one for as long.
const AHEAD_MAX_MS: i64 = 86_400_000;

/// What the records of a chunk became: the unit that is committed.
#[derive(Debug)]
pub struct Batch {
    /// Where it comes from.
    pub origin: Origin,
    /// To be stored.
    pub events: Vec<PricedEvent>,
    /// To be kept as they are.
    pub dead_letters: Vec<DeadLetter>,
    /// Neither.
    pub ignored: u64,
}

/// A record that could not be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// SHA-256 of the record as it came, hex: the same bytes are one letter.
    pub digest: String,
    /// Its line in the push.
    pub position: u64,
    /// The reason code.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: String,
    /// The record with its secrets blanked; only its beginning where it was too long.
    pub raw: Vec<u8>,
}

/// Turns records into priced events.
#[derive(Debug)]
pub struct Pipeline {
    book: PriceBook,
}

impl Pipeline {
    /// Prices come from `book`.
    #[must_use]
    pub const fn new(book: PriceBook) -> Self {
        Self { book }
    }

    /// Works a chunk through. A record that cannot be taken in becomes a dead letter; its neighbours do not notice.
    #[must_use]
    pub fn prepare(&self, chunk: &Chunk, origin: &Origin) -> Batch {
        let mut batch =
            Batch { origin: origin.clone(), events: Vec::new(), dead_letters: Vec::new(), ignored: 0 };
        for record in chunk.records() {
            match self.record(&record, origin) {
                Ok(Some(event)) => batch.events.push(event),
                Ok(None) => batch.ignored += 1,
                Err(error) => batch.dead_letters.push(DeadLetter::of(&record, &error)),
            }
        }
        batch
    }

    /// A defect on the way is this record's, not its neighbours': it is caught, and the record kept as its witness.
    fn record(&self, record: &RawRecord<'_>, origin: &Origin) -> Result<Option<PricedEvent>, DecodeError> {
        let attempt = AssertUnwindSafe(|| self.take(record, origin));
        catch_unwind(attempt).unwrap_or(Err(DecodeError::Defect))
    }

    fn take(&self, record: &RawRecord<'_>, origin: &Origin) -> Result<Option<PricedEvent>, DecodeError> {
        if record.cut_from.is_some() {
            return Err(DecodeError::TooLong);
        }
        match decode(record)? {
            Decoded::Trace(trace) => {
                let ahead_ms = trace.started_at.millis() - origin.received_at_ms;
                if ahead_ms > AHEAD_MAX_MS {
                    return Err(DecodeError::Future { ahead_ms: ahead_ms.unsigned_abs() });
                }
                let event = normalize(*trace, &origin.scope, origin.source);
                Ok(Some(PricedEvent::new(event, &self.book)))
            }
            Decoded::Ignored(_) => Ok(None),
        }
    }
}

impl Batch {
    /// How many records it was made of.
    #[must_use]
    pub fn received(&self) -> u64 {
        (self.events.len() + self.dead_letters.len()) as u64 + self.ignored
    }
}

impl DeadLetter {
    fn of(record: &RawRecord<'_>, error: &DecodeError) -> Self {
        let digest = record.cut_from.unwrap_or_else(|| Sha256::digest(record.bytes).into());
        Self {
            digest: hex::encode(digest),
            position: record.position,
            reason: error.reason(),
            detail: error.to_string(),
            raw: redact(record.bytes),
        }
    }
}

#[cfg(test)]
mod tests;
