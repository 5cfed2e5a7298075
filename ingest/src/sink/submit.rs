//! How batches get to the writer: within a budget of bytes, and not while nothing can be written.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use weir_event::Source;

use super::gate::Gate;
use super::group::Accounts;
use super::{Encoded, SinkError};
use crate::metrics::IngestMetrics;

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
    /// Bytes of rows in one write. It may be exceeded by one batch.
    pub bytes_max: usize,
    /// The least time from one write to the next that is not full: what comes meanwhile is written together.
    pub interval: Duration,
    /// Bytes of rows that wait or are being written, over all pushes. A batch that is larger goes alone.
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
    gate: Gate,
    ignored: Arc<Mutex<Accounts>>,
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
    pub(super) batch: Encoded,
    pub(super) answer: Answer,
}

/// Where the sender of a batch waits.
#[derive(Debug)]
pub(super) struct Answer {
    outcome: oneshot::Sender<Result<Receipt, SinkError>>,
    source: Source,
    records: u64,
    metrics: IngestMetrics,
    /// Its part of the budget; given back when its memory is free.
    _part: OwnedSemaphorePermit,
}

/// The writer's side.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) gate: Gate,
    /// What is known of batches in which there was nothing to store, for the next write to enter in the ledger.
    pub(super) ignored: Arc<Mutex<Accounts>>,
}

impl Sink {
    pub(crate) fn new(limits: &GroupLimits, metrics: IngestMetrics) -> (Self, Inbox) {
        let (sender, submissions) = mpsc::channel(limits.waiting_max);
        let gate = Gate::default();
        let ignored = Arc::<Mutex<Accounts>>::default();
        let budget_units = units(limits.pending_bytes_max);
        let budget = Arc::new(Semaphore::new(budget_units as usize));
        let inbox = Inbox { submissions, gate: gate.clone(), ignored: Arc::clone(&ignored) };
        (Self { submissions: sender, budget, budget_units, gate, ignored, metrics }, inbox)
    }

    /// Hands a batch in, and waits for room. The same for threads of a runtime that may block.
    pub fn submit_blocking(&self, batch: Encoded) -> Result<Pending, SinkError> {
        Handle::current().block_on(self.submit(batch))
    }

    /// Hands a batch in, and waits for room. A batch in which there is nothing to store is settled at once.
    pub async fn submit(&self, batch: Encoded) -> Result<Pending, SinkError> {
        if batch.records_to_store() == 0 {
            return Ok(self.settle_ignored(&batch));
        }
        let (source, records) = (batch.source(), batch.records_to_store());
        let result = tokio::select! {
            biased;
            () = self.gate.closed() => Err(SinkError::Unsettled),
            result = self.send(batch) => result,
        };
        if result.is_err() {
            self.metrics.failed(source.as_str(), records);
        }
        result
    }

    fn settle_ignored(&self, batch: &Encoded) -> Pending {
        let mut ignored = self.ignored.lock().expect("nobody panics while holding it");
        let account = ignored.entry((batch.source(), batch.account_id().clone())).or_default();
        account.add(&Receipt::default(), batch.ignored());
        let (outcome, receiver) = oneshot::channel();
        // Its receiver is here.
        let _ = outcome.send(Ok(Receipt::default()));
        Pending { outcome: receiver }
    }

    async fn send(&self, batch: Encoded) -> Result<Pending, SinkError> {
        let units = units(batch.len_bytes()).min(self.budget_units);
        let part = Arc::clone(&self.budget).acquire_many_owned(units).await;
        let part = part.map_err(|_| SinkError::Stopped)?;
        let (outcome, receiver) = oneshot::channel();
        let answer = Answer {
            outcome,
            source: batch.source(),
            records: batch.records_to_store(),
            metrics: self.metrics.clone(),
            _part: part,
        };
        let submission = Submission { batch, answer };
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
    /// Tells the sender what became of its batch, and counts it.
    pub(super) fn give(self, outcome: Result<Receipt, SinkError>) {
        let source = self.source.as_str();
        match &outcome {
            Ok(receipt) => self.metrics.settled(source, receipt),
            Err(_) => self.metrics.failed(source, self.records),
        }
        // A push that no longer waits lost its connection: what it brought is stored all the same.
        let _ = self.outcome.send(outcome);
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(u32::MAX >> 3).clamp(1, u32::MAX >> 3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;
    use weir_service::metrics::Metrics;

    use super::*;
    use crate::accept::{Form, Origin};
    use crate::pipeline::{Batch, DeadLetter};

    const LIMITS: GroupLimits = GroupLimits {
        waiting_max: 16,
        events_max: 100,
        bytes_max: 100 << 10,
        interval: Duration::ZERO,
        pending_bytes_max: 100 << 10,
    };
    const SOON: Duration = Duration::from_millis(50);

    fn sink() -> (Sink, Inbox) {
        Sink::new(&LIMITS, IngestMetrics::register(&mut Metrics::new("ingest", "0")))
    }

    /// A batch with one dead letter, of as many bytes.
    fn batch(bytes: usize) -> Encoded {
        let origin = Origin {
            account_id: "acc".parse().unwrap(),
            gateway_id: None,
            source: Source::Logpush,
            form: Form::Logpush,
            batch: "test".to_owned(),
            received_at_ms: 0,
        };
        let letter = DeadLetter {
            digest: String::new(),
            gateway_id: None,
            position: 1,
            attributes: None,
            reason: "defect",
            detail: String::new(),
            raw: vec![b'x'; bytes],
        };
        Encoded::of(&Batch { dead_letters: vec![letter], ..Batch::new(origin) })
    }

    #[tokio::test]
    async fn what_is_pending_is_bounded_in_bytes_and_a_larger_batch_goes_alone() {
        let (sink, mut inbox) = sink();
        sink.submit(batch(60 << 10)).await.unwrap();
        let second = sink.submit(batch(1 << 20));
        let mut second = std::pin::pin!(second);
        assert!(timeout(SOON, &mut second).await.is_err());
        let first = inbox.submissions.recv().await.unwrap();
        assert!(timeout(SOON, &mut second).await.is_err(), "what is being written counts as well");
        drop(first);
        second.await.unwrap();
        assert!(timeout(SOON, sink.submit(batch(1))).await.is_err());
        drop(inbox.submissions.recv().await.unwrap());
        sink.submit(batch(1)).await.unwrap();
    }

    #[tokio::test]
    async fn while_nothing_can_be_written_batches_are_turned_away_and_not_held() {
        let (sink, inbox) = sink();
        sink.submit(batch(100 << 10)).await.unwrap();
        let waiting = sink.submit(batch(1));
        let mut waiting = std::pin::pin!(waiting);
        assert!(timeout(SOON, &mut waiting).await.is_err());
        let closed = inbox.gate.close();
        assert!(matches!(waiting.await, Err(SinkError::Unsettled)));
        assert!(matches!(sink.submit(batch(1)).await, Err(SinkError::Unsettled)));
        drop(closed);
        assert!(timeout(SOON, sink.submit(batch(1))).await.is_err(), "the budget is still taken");
    }
}
