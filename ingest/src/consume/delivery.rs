//! Consecutive messages of one partition, on their way to being committed together.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers, OwnedMessage};
use tokio::sync::OwnedSemaphorePermit;
use weir_event::Source;

use super::address::{Owner, Surroundings};
use super::config::Topic;
use super::partition::TopicPartition;
use crate::accept::{Chunk, ChunkLimits, Origin};
use crate::decode::DecodeError;

/// The budget of pending bytes is counted in these.
pub(super) const BUDGET_UNIT_BYTES: usize = 1 << 10;
/// What a record takes beside its bytes: its place in a list or a map, and the allocations for them.
const RECORD_BYTES: usize = 128;
/// The same of a header.
const HEADER_BYTES: usize = 64;

/// Messages that were read, by whose they are.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) partition: TopicPartition,
    pub(super) parts: Vec<Part>,
    /// The messages as they came, by their offsets, where dead letters are produced.
    pub(super) originals: BTreeMap<i64, OwnedMessage>,
    /// The offset behind the last of them.
    next_offset: i64,
    messages: usize,
    bytes: usize,
    keeps_originals: bool,
    /// Its part of the budget; given back when its memory is free.
    permit: OwnedSemaphorePermit,
}

/// Messages of the same owner.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) origin: Origin,
    pub(super) chunk: Chunk,
    /// Messages without a value: they delete a key in a compacted topic, and are nothing to store.
    pub(super) tombstones: u64,
    /// Why all of them are dead letters.
    pub(super) refused: Option<DecodeError>,
}

/// How a delivery is begun.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) partition: TopicPartition,
    pub(super) keeps_originals: bool,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Delivery {
    /// Of no message yet.
    pub(super) fn begin(Begin { partition, keeps_originals, permit }: Begin) -> Self {
        Self {
            partition,
            parts: Vec::new(),
            originals: BTreeMap::new(),
            next_offset: 0,
            messages: 0,
            bytes: 0,
            keeps_originals,
            permit,
        }
    }

    /// Adds the next message, read at `now_ms`.
    pub(super) fn add(
        &mut self,
        message: &BorrowedMessage<'_>,
        topic: &Topic,
        limits: ChunkLimits,
        now_ms: i64,
    ) {
        self.next_offset = message.offset() + 1;
        self.messages += 1;
        let Surroundings { owner, attributes } = Surroundings::of(message, &topic.owner);
        let (owner, refused) = match owner {
            Ok(owner) => (owner, None),
            Err(error) => (Owner { gateway_id: None, ..topic.owner.clone() }, Some(error)),
        };
        let part = self.part(owner, refused, topic, now_ms);
        let Some(value) = message.payload() else {
            part.tombstones += 1;
            return;
        };
        // Offsets begin at 0.
        let position = message.offset().unsigned_abs();
        part.chunk.push_within(limits.line_bytes_max, position, value, attributes);
        self.bytes += bytes_of(message, self.keeps_originals);
        if self.keeps_originals {
            self.originals.insert(message.offset(), message.detach());
        }
    }

    pub(super) const fn is_full(&self, limits: &ChunkLimits) -> bool {
        self.messages >= limits.lines_max || self.bytes >= limits.bytes_max
    }

    /// Gives back what it does not need of its part of the budget.
    pub(super) fn seal(mut self) -> Self {
        let needed = self.bytes.div_ceil(BUDGET_UNIT_BYTES).max(1);
        if let Some(rest) = self.permit.num_permits().checked_sub(needed) {
            drop(self.permit.split(rest));
        }
        self
    }

    pub(super) const fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub(super) const fn keeps_originals(&self) -> bool {
        self.keeps_originals
    }

    /// The message as it came, where those are kept.
    pub(super) fn original(&self, position: u64) -> Option<&OwnedMessage> {
        self.originals.get(&i64::try_from(position).ok()?)
    }

    fn part(&mut self, owner: Owner, refused: Option<DecodeError>, topic: &Topic, now_ms: i64) -> &mut Part {
        let is_same = |part: &Part| {
            part.origin.account_id == owner.account_id
                && part.origin.gateway_id == owner.gateway_id
                && part.refused == refused
        };
        // Most often it is that of the message before.
        if let Some(index) = self.parts.iter().rposition(is_same) {
            return &mut self.parts[index];
        }
        let origin = Origin {
            account_id: owner.account_id,
            gateway_id: owner.gateway_id,
            source: Source::Kafka,
            form: topic.form,
            // The same in every delivery: an event without an identity of its own is known by it and its offset.
            batch: format!("kafka:{}", self.partition),
            received_at_ms: now_ms,
        };
        self.parts.push(Part { origin, chunk: Chunk::default(), tombstones: 0, refused });
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }
}

/// The memory that a message takes in a delivery, in bytes: its value with what stands beside it, and all of it again with its
/// key where the original is kept. Headers count as if all were attributes.
pub(super) fn bytes_of<M: Message>(message: &M, keeps_original: bool) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    let record = RECORD_BYTES + length(message.payload()) + header_bytes(message);
    let original = if keeps_original { record + length(message.key()) } else { 0 };
    record + original
}

/// Of headers that the client cannot read only the number counts.
fn header_bytes<M: Message>(message: &M) -> usize {
    let Some(headers) = message.headers() else { return 0 };
    let sum = || headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
    let read: usize = catch_unwind(AssertUnwindSafe(sum)).unwrap_or_default();
    headers.count() * HEADER_BYTES + read
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn all_that_is_kept_of_a_message_counts() {
        let message = |headers: &[(&str, &str)]| {
            let header = |headers: OwnedHeaders, (key, value): &(&str, &str)| {
                headers.insert(Header { key, value: Some(*value) })
            };
            let headers = headers.iter().fold(OwnedHeaders::new(), header);
            let (value, key) = (vec![b'v'; 10_000], vec![b'k'; 3_000]);
            let (topic, time) = ("usage".to_owned(), Timestamp::NotAvailable);
            OwnedMessage::new(Some(value), Some(key), topic, time, 0, 7, Some(headers))
        };
        let bare = 10_000 + RECORD_BYTES;
        assert_eq!(bytes_of(&message(&[]), false), bare);
        assert_eq!(bytes_of(&message(&[]), true), 2 * bare + 3_000);
        let long = "s".repeat(5_000);
        let beside = "ce_id".len() + 1 + "ce_subject".len() + 5_000 + 2 * HEADER_BYTES;
        let message = message(&[("ce_id", "1"), ("ce_subject", &long)]);
        assert_eq!(bytes_of(&message, false), bare + beside);
        assert_eq!(bytes_of(&message, true), 2 * (bare + beside) + 3_000);
    }
}
