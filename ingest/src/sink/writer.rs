//! The writer: takes the batches that are waiting, keeps what is new, commits it, and tells each batch its part.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use weir_event::{EventId, Scope, Timestamp};
use weir_service::clock::SharedClock;

use super::{Announcer, SinkError, Store};
use crate::metrics::IngestMetrics;
use crate::pipeline::Batch;
use crate::price::PricedEvent;

/// How much one write takes. More of it makes fewer, larger parts in ClickHouse; less of it less memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Batches that may wait for the writer; senders of more are held.
    pub waiting_max: usize,
    /// Events in one write. It may be exceeded by one batch.
    pub events_max: usize,
}

/// What became of a batch: everything in it that was not ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Stored now.
    pub stored: u64,
    /// There already, or twice among what was waiting.
    pub duplicates: u64,
    /// Kept as dead letters.
    pub dead_lettered: u64,
}

/// Where batches are handed in. Clones lead to the same writer, which ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Sink {
    submissions: mpsc::Sender<Submission>,
}

/// A batch that is on its way.
#[derive(Debug)]
pub struct Pending {
    outcome: oneshot::Receiver<Result<Receipt, SinkError>>,
}

/// The one that writes.
pub struct Writer {
    submissions: mpsc::Receiver<Submission>,
    limits: GroupLimits,
    store: Store,
    announcer: Announcer,
    clock: SharedClock,
    metrics: IngestMetrics,
    writes: u64,
}

#[derive(Debug)]
struct Submission {
    batch: Batch,
    outcome: oneshot::Sender<Result<Receipt, SinkError>>,
}

/// The batches of one write, and which of their events are new.
struct Group<'g> {
    batches: Vec<&'g Batch>,
    fresh: Vec<&'g PricedEvent>,
    duplicates: Vec<&'g PricedEvent>,
    receipts: Vec<Receipt>,
}

impl Sink {
    /// Hands a batch in, and waits for room. For threads that may block.
    pub fn submit_blocking(&self, batch: Batch) -> Result<Pending, SinkError> {
        let (outcome, receiver) = oneshot::channel();
        self.submissions.blocking_send(Submission { batch, outcome }).map_err(|_| SinkError::Stopped)?;
        Ok(Pending { outcome: receiver })
    }
}

impl Pending {
    /// Waits until the batch is committed. For threads that may block.
    pub fn wait_blocking(self) -> Result<Receipt, SinkError> {
        self.outcome.blocking_recv().unwrap_or(Err(SinkError::Stopped))
    }
}

impl Writer {
    /// A writer and the sink that leads to it.
    #[must_use]
    pub fn new(
        limits: GroupLimits,
        store: Store,
        announcer: Announcer,
        clock: SharedClock,
        metrics: IngestMetrics,
    ) -> (Self, Sink) {
        let (sender, submissions) = mpsc::channel(limits.waiting_max);
        let writer = Self { submissions, limits, store, announcer, clock, metrics, writes: 0 };
        (writer, Sink { submissions: sender })
    }

    /// Writes until every [`Sink`] is gone and nothing is waiting.
    pub async fn run(mut self) {
        while let Some(first) = self.submissions.recv().await {
            let mut group = vec![first];
            let mut events = group[0].batch.events.len();
            while events < self.limits.events_max {
                let Ok(next) = self.submissions.try_recv() else { break };
                events += next.batch.events.len();
                group.push(next);
            }
            self.write(group).await;
        }
    }

    /// Commits a group and tells each of its batches. A group that fails, fails whole: its senders come back.
    async fn write(&mut self, submissions: Vec<Submission>) {
        let batches: Vec<_> = submissions.iter().map(|submission| &submission.batch).collect();
        let result = self.commit(&batches).await;
        if let Err(error) = &result {
            tracing::warn!(
                error = weir_service::telemetry::chain(error),
                batches = batches.len(),
                "write failed"
            );
            self.metrics.write_failed();
        }
        let outcomes: Vec<_> = match result {
            Ok(receipts) => receipts.into_iter().map(Ok).collect(),
            Err(error) => batches.iter().map(|_| Err(error.clone())).collect(),
        };
        for (submission, outcome) in submissions.into_iter().zip(outcomes) {
            if let Ok(receipt) = &outcome {
                self.metrics.settled(&submission.batch, receipt);
            }
            // A push that no longer waits lost its connection: what it brought is stored all the same.
            let _ = submission.outcome.send(outcome);
        }
    }

    async fn commit(&mut self, batches: &[&Batch]) -> Result<Vec<Receipt>, SinkError> {
        let started = std::time::Instant::now();
        let known = self.known_ids(batches).await?;
        let group = Group::sort_out(batches, &known);
        let now = self.now()?;
        let token = self.token(&group.fresh);
        self.store.insert_events(&group.fresh, now, &token).await?;
        let letters: Vec<_> = group
            .batches
            .iter()
            .flat_map(|batch| batch.dead_letters.iter().map(|letter| (&batch.origin, letter)))
            .collect();
        self.store.insert_dead_letters(&letters, now, &token).await?;
        self.metrics.written(group.fresh.len(), started.elapsed());
        self.announcer.announce(&group.fresh, &group.duplicates).await;
        Ok(group.receipts)
    }

    async fn known_ids(&self, batches: &[&Batch]) -> Result<HashSet<EventId>, SinkError> {
        let mut ids: HashMap<&Scope, Vec<EventId>> = HashMap::new();
        for batch in batches {
            let batch_ids = batch.events.iter().map(|event| event.event().id);
            ids.entry(&batch.origin.scope).or_default().extend(batch_ids);
        }
        let mut known = HashSet::new();
        for (scope, mut ids) in ids {
            known.extend(self.store.known(scope, &mut ids).await?);
        }
        Ok(known)
    }

    /// Names this write by its content and its number. The content alone would not do: rows that were deleted may
    /// come again, and the server would take their second insert for a repetition of the first.
    fn token(&mut self, fresh: &[&PricedEvent]) -> String {
        self.writes += 1;
        let mut hasher = Sha256::new();
        hasher.update(self.writes.to_le_bytes());
        hasher.update(self.clock.now_ms().to_le_bytes());
        hasher.update(std::process::id().to_le_bytes());
        for event in fresh {
            hasher.update(event.event().id.bytes());
        }
        hex::encode(hasher.finalize())
    }

    fn now(&self) -> Result<Timestamp, SinkError> {
        Timestamp::from_millis(self.clock.now_ms()).map_err(SinkError::Clock)
    }
}

impl<'g> Group<'g> {
    /// Parts what is new from what is known or was met before in the group.
    fn sort_out(batches: &[&'g Batch], known: &HashSet<EventId>) -> Self {
        let mut group = Self {
            batches: batches.to_vec(),
            fresh: Vec::new(),
            duplicates: Vec::new(),
            receipts: Vec::with_capacity(batches.len()),
        };
        let mut met = HashSet::new();
        for batch in batches {
            let mut receipt =
                Receipt { dead_lettered: batch.dead_letters.len() as u64, ..Receipt::default() };
            for event in &batch.events {
                let id = event.event().id;
                if known.contains(&id) || !met.insert(id) {
                    receipt.duplicates += 1;
                    group.duplicates.push(event);
                } else {
                    receipt.stored += 1;
                    group.fresh.push(event);
                }
            }
            group.receipts.push(receipt);
        }
        group
    }
}
