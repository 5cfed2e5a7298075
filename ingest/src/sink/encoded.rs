//! A batch as it goes to the store: its rows as bytes, made by the thread that made the batch.
//!
//! What the writer does one write at a time is only to pick rows and send them. Bytes are also what can be put away
//! while ClickHouse is not there, and stored later without being worked out anew.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_event::bus::shard_of;
use weir_event::{AccountId, EventId, GatewayId, Scope, Source, Timestamp};
use weir_store::{BodyRow, DeadLetterRow, LogRow, ROW_HEADER_BYTES, append_row, fill_in_header};

use super::columns::Columns;
use super::message::{OTHERS, entry_json, other_json};
use crate::accept::Attributes;
use crate::pipeline::{Batch, DeadLetter};
use crate::price::PricedEvent;

/// A batch, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded {
    source: Source,
    account_id: AccountId,
    scopes: Vec<Scope>,
    events: Vec<EncodedEvent>,
    logs: Parts,
    /// Empty for an event without bodies.
    bodies: Parts,
    /// What the bus is told of each event.
    entries: Parts,
    letters: Parts,
    /// The first of the letters; those after them are sealed.
    dead_lettered: u64,
    sealed: u64,
    ignored: u64,
    /// What its rows are made of. Kept beside it where it is put away, since they are the same for most.
    #[serde(skip, default = "Columns::current")]
    columns: Arc<Columns>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EncodedEvent {
    id: EventId,
    /// Which of the scopes.
    scope: usize,
    /// [`OTHERS`] for one that is no call.
    shard: u16,
}

/// Pieces of bytes, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// An event of a batch.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'e> {
    /// Which event.
    pub id: EventId,
    /// Whose.
    pub scope: &'e Scope,
    /// The shard of its usage, [`OTHERS`] for one that is no call.
    pub shard: u16,
    /// Its row of `logs`, without what the write fills in.
    pub log: &'e [u8],
    /// Its row of `bodies`, empty where there were no bodies.
    pub body: &'e [u8],
    /// What the bus is told of it, see [`entry_json`] and [`other_json`]; empty where that is nothing.
    pub entry: &'e [u8],
}

impl EventRef<'_> {
    /// Its row of `logs` as this program encodes it, stored at `at` by the write `write_id`.
    #[must_use]
    pub(super) fn row(&self, at: Timestamp, write_id: u64, cost_revision: u32) -> Vec<u8> {
        let (header, revision) = (fill_in_header(at, write_id), cost_revision.to_le_bytes());
        [&header, &revision[..], &self.log[header.len() + revision.len()..]].concat()
    }
}

impl Encoded {
    /// Encodes a batch.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        let mut encoded = Self {
            source: batch.origin.source,
            account_id: batch.origin.account_id.clone(),
            scopes: Vec::new(),
            events: Vec::with_capacity(batch.events.len()),
            logs: Parts::default(),
            bodies: Parts::default(),
            entries: Parts::default(),
            letters: Parts::default(),
            dead_lettered: batch.dead_letters.len() as u64,
            sealed: batch.sealed_letters.len() as u64,
            ignored: batch.ignored,
            columns: Columns::current(),
        };
        for event in &batch.events {
            encoded.push(event);
        }
        for letter in batch.letters() {
            encoded.push_letter(batch, letter);
        }
        encoded.shrink();
        encoded
    }

    /// The door that its records came in through.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// Whose records they are.
    #[must_use]
    pub const fn account_id(&self) -> &AccountId {
        &self.account_id
    }

    /// Its events, in order.
    #[must_use]
    pub fn events(&self) -> impl ExactSizeIterator<Item = EventRef<'_>> {
        self.events.iter().enumerate().map(|(index, event)| EventRef {
            id: event.id,
            scope: &self.scopes[event.scope],
            shard: event.shard,
            log: self.logs.get(index),
            body: self.bodies.get(index),
            entry: self.entries.get(index),
        })
    }

    /// Its rows of `dead_letters`, without what the write fills in.
    pub fn letters(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.letters.ends.len()).map(|index| self.letters.get(index))
    }

    /// Records that are kept as dead letters instead of an event.
    #[must_use]
    pub const fn dead_lettered(&self) -> u64 {
        self.dead_lettered
    }

    /// Letters that are kept beside an event.
    #[must_use]
    pub const fn sealed(&self) -> u64 {
        self.sealed
    }

    /// Records in which there is nothing to store.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }

    /// How many records it was made of.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.events.len() as u64 + self.dead_lettered + self.ignored
    }

    /// How many of its records something is to be stored of.
    #[must_use]
    pub fn records_to_store(&self) -> u64 {
        self.events.len() as u64 + self.dead_lettered
    }

    /// Whether there is nothing in it to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.letters.ends.is_empty()
    }

    /// The columns of its rows.
    #[must_use]
    pub(super) const fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// The same rows, which are of these columns.
    #[must_use]
    pub(super) fn with_columns(self, columns: Arc<Columns>) -> Self {
        Self { columns, ..self }
    }

    /// Its first half and its second half; `None` if it is of a single row. Records in which there is nothing to store are
    /// with the first.
    #[must_use]
    pub(super) fn split(&self) -> Option<(Self, Self)> {
        let rows = self.events.len() + self.letters.ends.len();
        let middle = rows / 2;
        (rows > 1).then(|| {
            let first = Self { ignored: self.ignored, ..self.part(0..middle) };
            (first, self.part(middle..rows))
        })
    }

    /// Whether its parts fit each other, which those of a batch that was read back may not.
    #[must_use]
    pub(super) fn is_sound(&self) -> bool {
        let events = self.events.len();
        let letters = self.letters.ends.len() as u64;
        [&self.logs, &self.bodies, &self.entries, &self.letters].iter().all(|parts| parts.is_sound())
            && [&self.logs, &self.bodies, &self.entries].iter().all(|parts| parts.ends.len() == events)
            && self.logs.is_each_at_least(ROW_HEADER_BYTES)
            && self.letters.is_each_at_least(ROW_HEADER_BYTES)
            && self.events.iter().all(|event| event.scope < self.scopes.len() && event.shard <= OTHERS)
            && self.dead_lettered.checked_add(self.sealed) == Some(letters)
            && !self.is_empty()
    }

    /// Some of its rows: events come first, then letters.
    fn part(&self, rows: Range<usize>) -> Self {
        let events = self.events.len();
        let of_events = rows.start.min(events)..rows.end.min(events);
        let of_letters = rows.start.saturating_sub(events)..rows.end.saturating_sub(events);
        let dead_lettered = of_letters.clone().filter(|letter| (*letter as u64) < self.dead_lettered).count();
        Self {
            source: self.source,
            account_id: self.account_id.clone(),
            scopes: self.scopes.clone(),
            events: self.events[of_events.clone()].to_vec(),
            logs: self.logs.part(of_events.clone()),
            bodies: self.bodies.part(of_events.clone()),
            entries: self.entries.part(of_events),
            dead_lettered: dead_lettered as u64,
            sealed: (of_letters.len() - dead_lettered) as u64,
            letters: self.letters.part(of_letters),
            ignored: 0,
            columns: Arc::clone(&self.columns),
        }
    }

    /// The memory of its rows, in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        [&self.logs, &self.bodies, &self.entries, &self.letters].iter().map(|parts| parts.bytes.len()).sum()
    }

    /// Gives back what grew too large: it may wait for long, and only what is in use is counted.
    fn shrink(&mut self) {
        for parts in [&mut self.logs, &mut self.bodies, &mut self.entries, &mut self.letters] {
            parts.bytes.shrink_to_fit();
        }
    }

    fn push(&mut self, priced: &PricedEvent) {
        let event = priced.event();
        // Batches have a gateway or two.
        let known = self.scopes.iter().position(|scope| *scope == event.scope);
        let scope = known.unwrap_or_else(|| {
            self.scopes.push(event.scope.clone());
            self.scopes.len() - 1
        });
        let is_call = event.kind.is_call();
        let shard = if is_call { shard_of(&event.scope, event.caller.token()) } else { OTHERS };
        self.events.push(EncodedEvent { id: event.id, scope, shard });
        let row = LogRow::from_event(priced, Timestamp::MIN, 0);
        append_row(&row, self.logs.open()).expect("a log row has the types of columns");
        self.logs.close();
        let bodies = self.bodies.open();
        if let Some(row) = BodyRow::from_event(priced) {
            append_row(&row, bodies).expect("a row of bodies has the types of columns");
        }
        self.bodies.close();
        let entries = self.entries.open();
        if is_call {
            entry_json(priced, entries);
        } else {
            other_json(priced, entries);
        }
        self.entries.close();
    }

    fn push_letter(&mut self, batch: &Batch, letter: &DeadLetter) {
        let origin = &batch.origin;
        let row = DeadLetterRow {
            received_at: 0,
            write_id: 0,
            account_id: origin.account_id.as_str(),
            gateway_id: letter.gateway_id.as_ref().map_or("", GatewayId::as_str),
            digest: &letter.digest,
            source: origin.source.as_str(),
            form: origin.form.as_str(),
            batch: &origin.batch,
            position: letter.position,
            attributes: letter.attributes.iter().flat_map(Attributes::iter).collect(),
            reason: letter.reason,
            detail: &letter.detail,
            raw: &letter.raw,
        };
        append_row(&row, self.letters.open()).expect("a letter row has the types of columns");
        self.letters.close();
    }
}

impl Parts {
    fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn close(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn part(&self, pieces: Range<usize>) -> Self {
        let mut part = Self::default();
        for piece in pieces {
            part.bytes.extend_from_slice(self.get(piece));
            part.close();
        }
        part
    }

    fn is_sound(&self) -> bool {
        self.ends.is_sorted() && self.ends.last().copied().unwrap_or(0) == self.bytes.len()
    }

    fn is_each_at_least(&self, bytes: usize) -> bool {
        (0..self.ends.len()).all(|index| self.get(index).len() >= bytes)
    }

    fn get(&self, index: usize) -> &[u8] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[begin..self.ends[index]]
    }
}
