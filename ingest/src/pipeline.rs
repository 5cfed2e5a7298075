//! The pure middle of ingest: decode, normalize, price, redact. No I/O, so a chunk can be worked on by any thread.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weir_event::{GatewayId, Timestamp, UsageEvent};

use crate::accept::{Attributes, Chunk, Origin, RawRecord};
use crate::decode::{AiGatewayLog, Closed, Content, DecodeError, Decoded, PrivateKeys, decode};
use crate::normalize::{Arrival, NewApiTypes, normalize, normalize_ai_gateway, normalize_event};
use crate::price::{PriceBook, PricedEvent};
use crate::redact::{Kept, Letter, Redactor, Tally};

/// How far an event's start may be ahead of this server's clock: a day is no skew, it is a wrong clock or unit, and
/// such a row would be the newest one for as long.
const AHEAD_MAX_MS: i64 = 86_400_000;

/// Bytes of records from which making a batch of them takes a turn: what is smaller is no matter of memory.
const TURN_BYTES_MIN: usize = 256 << 10;

/// The reason code of a sealed letter.
pub(crate) const UNDECRYPTABLE: &str = "undecryptable";

/// What the records of a chunk became: the unit that is committed.
#[derive(Debug)]
pub struct Batch {
    /// Where it comes from.
    pub origin: Origin,
    /// To be stored.
    pub events: Vec<PricedEvent>,
    /// To be kept as they are.
    pub dead_letters: Vec<DeadLetter>,
    /// Letters beside an event: its record has fields that could not be decrypted. The record is counted with its event;
    /// the letter is what it can be opened from when the key is there.
    pub sealed_letters: Vec<DeadLetter>,
    /// Neither.
    pub ignored: u64,
    /// What was done to their texts.
    pub redaction: Tally,
}

/// A record that could not be taken in, or not in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// SHA-256 of the record as it came, hex: the same bytes are one letter.
    pub digest: String,
    /// The gateway whose it is, where that is known.
    pub gateway_id: Option<GatewayId>,
    /// Its line in the push.
    pub position: u64,
    /// What came beside it, its secrets blanked, as far as the gateway's policy keeps it.
    pub attributes: Option<Attributes>,
    /// The reason code.
    pub reason: &'static str,
    /// The reason in words.
    pub detail: String,
    /// The record with its secrets blanked, as far as the gateway's policy keeps it; only its beginning where it was too
    /// long.
    pub raw: Vec<u8>,
}

/// Turns records into priced events.
#[derive(Debug)]
pub struct Pipeline {
    book: PriceBook,
    keys: PrivateKeys,
    redactor: Redactor,
    new_api_types: NewApiTypes,
    turns: Arc<Semaphore>,
}

/// What a record became.
enum Taken {
    Event(Box<PricedEvent>, Option<SealedLetter>),
    Nothing,
}

/// Why a record is not taken in, and the places in it that its letter keeps as they are: what is encrypted.
struct Refusal {
    error: DecodeError,
    sealed: Vec<Range<usize>>,
}

/// A letter whose record is still to be put into it, with the places that stay as they are: what is encrypted.
struct SealedLetter(DeadLetter, Vec<Range<usize>>);

impl Pipeline {
    /// Prices come from `book`; texts are redacted as where nothing is configured.
    #[must_use]
    pub fn new(book: PriceBook) -> Self {
        Self {
            book,
            keys: PrivateKeys::default(),
            redactor: Redactor::default(),
            new_api_types: NewApiTypes::default(),
            turns: Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from))),
        }
    }

    /// The same, and encrypted logs are opened with `keys`.
    #[must_use]
    pub fn with_private_keys(self, keys: PrivateKeys) -> Self {
        Self { keys, ..self }
    }

    /// The same, and `redactor` says what is kept of texts.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// The same, and rows of new-api's log number their types so.
    #[must_use]
    pub fn with_new_api_types(self, new_api_types: NewApiTypes) -> Self {
        Self { new_api_types, ..self }
    }

    /// What is kept of texts.
    #[must_use]
    pub const fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Waits for a turn to make a batch of so many bytes of records, for those who may be many. There are as many turns as
    /// cores: more would be no faster, and each batch in the making takes several times the memory of its records.
    pub(crate) async fn turn(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        if bytes < TURN_BYTES_MIN {
            return None;
        }
        // It is never closed.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// The same for threads of a runtime that may block.
    pub(crate) fn turn_blocking(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Handle::current().block_on(self.turn(bytes))
    }

    /// Works a chunk through. A record that cannot be taken in becomes a dead letter; its neighbours do not notice.
    #[must_use]
    pub fn prepare(&self, chunk: &Chunk, origin: &Origin) -> Batch {
        let mut batch = Batch::new(origin.clone());
        for record in chunk.records() {
            self.add(&record, &mut batch);
        }
        batch
    }

    /// The same for a single record.
    #[must_use]
    pub fn prepare_one(&self, record: &RawRecord<'_>, origin: &Origin) -> Batch {
        let mut batch = Batch::new(origin.clone());
        self.add(record, &mut batch);
        batch
    }

    fn add(&self, record: &RawRecord<'_>, batch: &mut Batch) {
        match self.record(record, &batch.origin) {
            Ok(Taken::Event(mut event, sealed_letter)) => {
                self.redactor.apply(&mut event, &mut batch.redaction);
                batch.events.push(*event);
                if let Some(SealedLetter(mut letter, places)) = sealed_letter {
                    self.fill_in(&mut letter, record, &places, batch);
                    batch.sealed_letters.push(letter);
                }
            }
            Ok(Taken::Nothing) => batch.ignored += 1,
            Err(Refusal { error, sealed }) => {
                let mut letter = DeadLetter::of(record, &batch.origin, &error);
                self.fill_in(&mut letter, record, &sealed, batch);
                batch.dead_letters.push(letter);
            }
        }
    }

    /// Makes every record of a chunk a dead letter, for the same reason: what came beside them was not right.
    #[must_use]
    pub fn refuse(&self, chunk: &Chunk, origin: &Origin, error: &DecodeError) -> Batch {
        let mut batch = Batch::new(origin.clone());
        for record in chunk.records() {
            let mut letter = DeadLetter::of(&record, origin, error);
            self.fill_in(&mut letter, &record, &[], &mut batch);
            batch.dead_letters.push(letter);
        }
        batch
    }

    /// Puts into a letter what it keeps of its record, but for what is encrypted in it, and of what came beside that.
    fn fill_in(
        &self,
        letter: &mut DeadLetter,
        record: &RawRecord<'_>,
        sealed: &[Range<usize>],
        batch: &mut Batch,
    ) {
        let came = Letter {
            account_id: &batch.origin.account_id,
            gateway_id: letter.gateway_id.as_ref(),
            record: record.bytes,
            sealed,
            attributes: record.attributes,
        };
        let Kept { record, attributes } = self.redactor.letter(came, &mut batch.redaction);
        (letter.raw, letter.attributes) = (record, attributes);
    }

    /// A defect on the way is this record's, not its neighbours': it is caught, and the record kept as its witness.
    fn record(&self, record: &RawRecord<'_>, origin: &Origin) -> Result<Taken, Refusal> {
        let attempt = AssertUnwindSafe(|| self.take(record, origin));
        catch_unwind(attempt).unwrap_or_else(|_| Err(DecodeError::Defect.into()))
    }

    fn take(&self, record: &RawRecord<'_>, origin: &Origin) -> Result<Taken, Refusal> {
        if record.cut_from.is_some() {
            return Err(DecodeError::TooLong.into());
        }
        match decode(record, origin.form)? {
            Decoded::Trace(trace) => {
                is_not_ahead(trace.started_at, origin)?;
                let scope = origin.scope(None).ok_or(DecodeError::NoGateway)?;
                Ok(self.price(normalize(*trace, &scope, origin.source), None))
            }
            Decoded::AiGateway(log) => {
                let refused = |error| Refusal { error, sealed: log.sealed() };
                is_not_ahead(log.logged_at, origin).map_err(refused)?;
                let scope = origin.scope(log.gateway.clone());
                let scope = scope.ok_or_else(|| refused(DecodeError::NoGateway))?;
                let log = log.open(&self.keys);
                let letter = SealedLetter::of(record, &scope.gateway_id, &log);
                Ok(self.price(normalize_ai_gateway(log, &scope, origin.source), letter))
            }
            Decoded::Event(wire) => {
                let scope = origin.scope(None).ok_or(DecodeError::NoGateway)?;
                let arrival = Arrival::of(record, origin, &scope).with_new_api_types(self.new_api_types);
                let event = normalize_event(wire, &arrival)?;
                is_not_ahead(event.created_at, origin)?;
                Ok(self.price(event, None))
            }
            Decoded::Ignored(_) => Ok(Taken::Nothing),
        }
    }

    fn price(&self, event: UsageEvent, sealed_letter: Option<SealedLetter>) -> Taken {
        Taken::Event(Box::new(PricedEvent::new(event, &self.book)), sealed_letter)
    }
}

fn is_not_ahead(time: Timestamp, origin: &Origin) -> Result<(), DecodeError> {
    let ahead_ms = time.millis() - origin.received_at_ms;
    if ahead_ms > AHEAD_MAX_MS {
        return Err(DecodeError::Future { ahead_ms: ahead_ms.unsigned_abs() });
    }
    Ok(())
}

impl Batch {
    /// Of no record yet.
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            events: Vec::new(),
            dead_letters: Vec::new(),
            sealed_letters: Vec::new(),
            ignored: 0,
            redaction: Tally::default(),
        }
    }

    /// How many records it was made of. A sealed letter is no record of its own.
    #[must_use]
    pub fn received(&self) -> u64 {
        (self.events.len() + self.dead_letters.len()) as u64 + self.ignored
    }

    /// Every letter that is to be kept.
    pub fn letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead_letters.iter().chain(&self.sealed_letters)
    }
}

impl DeadLetter {
    /// Without its record, and what came beside that.
    fn of(record: &RawRecord<'_>, origin: &Origin, error: &DecodeError) -> Self {
        Self {
            digest: hex::encode(record.digest()),
            gateway_id: origin.gateway_id.clone(),
            position: record.position,
            attributes: None,
            reason: error.reason(),
            detail: error.to_string(),
            raw: Vec::new(),
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self { error, sealed: Vec::new() }
    }
}

impl SealedLetter {
    /// The letter of a record with fields that stay closed. Their envelopes are kept as they came: the key in them is
    /// wrapped, and nothing could be opened without it.
    fn of(record: &RawRecord<'_>, gateway_id: &GatewayId, log: &AiGatewayLog<Content>) -> Option<Self> {
        let mut closed: Vec<&Closed> = log.closed().collect();
        if closed.is_empty() {
            return None;
        }
        closed.sort_by_key(|field| field.place.start);
        let places = closed.iter().map(|field| field.place.clone()).collect();
        let detail: Vec<_> = closed.iter().map(|field| format!("{}: {}", field.name, field.error)).collect();
        let letter = DeadLetter {
            digest: hex::encode(log.digest),
            gateway_id: Some(gateway_id.clone()),
            position: record.position,
            attributes: None,
            reason: UNDECRYPTABLE,
            detail: detail.join("; "),
            raw: Vec::new(),
        };
        Some(Self(letter, places))
    }
}

#[cfg(test)]
mod tests;
