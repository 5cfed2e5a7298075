//! Consecutive messages of one partition, on their way to being committed together.

use std::collections::BTreeMap;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use tokio::sync::OwnedSemaphorePermit;
use weir_event::Source;

use super::address::{Owner, Surroundings};
use super::config::Topic;
use super::partition::TopicPartition;
use crate::accept::{Chunk, ChunkLimits, Origin};
use crate::decode::DecodeError;

/// The budget of pending bytes is counted in these.
pub(super) const BUDGET_UNIT_BYTES: usize = 1 << 10;

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
        self.bytes += value.len();
        if self.keeps_originals {
            self.bytes += value.len();
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
