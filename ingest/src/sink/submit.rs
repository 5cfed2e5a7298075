//! How batches get to the writer: within a budget of bytes, and not while nothing can be written.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::SinkError;
use crate::metrics::IngestMetrics;
use crate::pipeline::Batch;

/// The budget is counted in these: a semaphore's permits are counted in 32 bits on its way to us.
const BUDGET_UNIT_BYTES: usize = 1 << 10;

/// How much one write takes, and how much waits for it. More of it makes fewer, larger parts in ClickHouse; less of it
/// less memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupLimits {
    /// Batches that may wait for the writer; senders of more are held.
    pub waiting_max: usize,
    /// Events in one write. It may be exceeded by one batch.
    pub events_max: usize,
    /// Bytes of records in one write. It may be exceeded by one batch.
    pub bytes_max: usize,
    /// Bytes of records that wait or are being written, over all pushes. A batch that is larger goes alone.
    pub pending_bytes_max: usize,
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
    /// Of those stored and those there already: with fields that stay closed, and kept as dead letters too.
    pub sealed: u64,
}

/// Where batches are handed in. Clones lead to the same writer, which ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Sink {
    submissions: mpsc::Sender<Submission>,
    budget: Arc<Semaphore>,
    budget_units: u32,
    /// Whether the writer turns batches away.
    closed: watch::Receiver<bool>,
    metrics: IngestMetrics,
}

/// A batch that is on its way.
#[derive(Debug)]
pub struct Pending {
    outcome: oneshot::Receiver<Result<Receipt, SinkError>>,
}

/// A batch as the writer gets it.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) load: Load,
    pub(super) answer: Answer,
}

/// What is to be stored.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) batch: Batch,
    /// Bytes of the records that it was made of.
    pub(super) bytes: usize,
    /// Its part of the budget; given back when its memory is free.
    _part: OwnedSemaphorePermit,
}

/// Where a push waits.
#[derive(Debug)]
pub(super) struct Answer {
    outcome: oneshot::Sender<Result<Receipt, SinkError>>,
    metrics: IngestMetrics,
}

/// The writer's side: the submissions, and whether more are taken.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) closed: watch::Sender<bool>,
}

impl Sink {
    pub(crate) fn new(limits: &GroupLimits, metrics: IngestMetrics) -> (Self, Inbox) {
        let (sender, submissions) = mpsc::channel(limits.waiting_max);
        let (close, closed) = watch::channel(false);
        let budget_units = units(limits.pending_bytes_max);
        let budget = Arc::new(Semaphore::new(budget_units as usize));
        let sink = Self { submissions: sender, budget, budget_units, closed, metrics };
        (sink, Inbox { submissions, closed: close })
    }

    /// The same for threads of a runtime that may block.
    pub fn submit_blocking(&self, batch: Batch, bytes: usize) -> Result<Pending, SinkError> {
        Handle::current().block_on(self.submit(batch, bytes))
    }

    /// Hands a batch in that was made of `bytes` bytes of records, and waits for room.
    pub async fn submit(&self, batch: Batch, bytes: usize) -> Result<Pending, SinkError> {
        let mut closed = self.closed.clone();
        let source = batch.origin.source.as_str();
        let records = batch.records_to_store();
        let result = tokio::select! {
            biased;
            // An error means that the writer is gone, which the other branch tells as well.
            Ok(_) = closed.wait_for(|closed| *closed) => Err(SinkError::Unsettled),
            result = self.send(batch, bytes) => result,
        };
        if result.is_err() {
            self.metrics.failed(source, records);
        }
        result
    }

    async fn send(&self, batch: Batch, bytes: usize) -> Result<Pending, SinkError> {
        let part = Arc::clone(&self.budget).acquire_many_owned(units(bytes).min(self.budget_units)).await;
        let part = part.map_err(|_| SinkError::Stopped)?;
        let (outcome, receiver) = oneshot::channel();
        let load = Load { batch, bytes, _part: part };
        let submission = Submission { load, answer: Answer { outcome, metrics: self.metrics.clone() } };
        self.submissions.send(submission).await.map_err(|_| SinkError::Stopped)?;
        Ok(Pending { outcome: receiver })
    }
}

impl Pending {
    /// Waits until the batch is committed.
    pub async fn wait(self) -> Result<Receipt, SinkError> {
        self.outcome.await.unwrap_or(Err(SinkError::Stopped))
    }

    /// The same for threads that may block.
    pub fn wait_blocking(self) -> Result<Receipt, SinkError> {
        self.outcome.blocking_recv().unwrap_or(Err(SinkError::Stopped))
    }
}

impl Answer {
    /// Tells the push what became of its batch, and counts it.
    pub(super) fn give(self, batch: &Batch, outcome: Result<Receipt, SinkError>) {
        let source = batch.origin.source.as_str();
        match &outcome {
            Ok(receipt) => self.metrics.settled(source, receipt),
            Err(_) => self.metrics.failed(source, batch.records_to_store()),
        }
        // A push that no longer waits lost its connection: what it brought is stored all the same.
        let _ = self.outcome.send(outcome);
    }
}

impl Submission {
    /// Asks the push to come back.
    pub(super) fn refuse(self) {
        self.answer.give(&self.load.batch, Err(SinkError::Unsettled));
    }
}

impl Batch {
    /// How many of its records the sink has to do with.
    fn records_to_store(&self) -> u64 {
        (self.events.len() + self.dead_letters.len()) as u64
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(u32::MAX >> 3).clamp(1, u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use weir_event::Source;
    use weir_service::metrics::Metrics;

    use super::*;
    use crate::accept::{Form, Origin};

    const LIMITS: GroupLimits =
        GroupLimits { waiting_max: 16, events_max: 100, bytes_max: 100 << 10, pending_bytes_max: 100 << 10 };
    const SOON: Duration = Duration::from_millis(50);

    fn sink() -> (Sink, Inbox) {
        Sink::new(&LIMITS, IngestMetrics::register(&mut Metrics::new("ingest", "0")))
    }

    fn batch() -> Batch {
        Batch::new(Origin {
            account_id: "acc".parse().unwrap(),
            gateway_id: None,
            source: Source::Logpush,
            form: Form::Logpush,
            batch: "test".to_owned(),
            received_at_ms: 0,
        })
    }

    #[tokio::test]
    async fn what_is_pending_is_bounded_in_bytes_and_a_larger_batch_goes_alone() {
        let (sink, mut inbox) = sink();
        sink.submit(batch(), 60 << 10).await.unwrap();
        let second = sink.submit(batch(), 1 << 30);
        let mut second = std::pin::pin!(second);
        assert!(timeout(SOON, &mut second).await.is_err());
        let first = inbox.submissions.recv().await.unwrap();
        assert!(timeout(SOON, &mut second).await.is_err(), "what is being written counts as well");
        drop(first);
        second.await.unwrap();
        assert!(timeout(SOON, sink.submit(batch(), 1)).await.is_err());
        drop(inbox.submissions.recv().await.unwrap());
        sink.submit(batch(), 1).await.unwrap();
    }

    #[tokio::test]
    async fn while_nothing_can_be_written_batches_are_turned_away_and_not_held() {
        let (sink, inbox) = sink();
        sink.submit(batch(), 100 << 10).await.unwrap();
        let waiting = sink.submit(batch(), 1);
        let mut waiting = std::pin::pin!(waiting);
        assert!(timeout(SOON, &mut waiting).await.is_err());
        inbox.closed.send_replace(true);
        assert!(matches!(waiting.await, Err(SinkError::Unsettled)));
        assert!(matches!(sink.submit(batch(), 1).await, Err(SinkError::Unsettled)));
        inbox.closed.send_replace(false);
        assert!(timeout(SOON, sink.submit(batch(), 1)).await.is_err(), "the budget is still taken");
    }
}
