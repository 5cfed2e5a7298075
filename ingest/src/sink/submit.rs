//! How batches get to the writer: within a budget of bytes, and not while nothing can be written.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use weir_event::Source;

use super::gate::{Closed, Gate};
use super::group::Account;
use super::spool::{Doubt, Item, Spool, SpoolError};
use super::unentered::Unentered;
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
    /// The least time from one write to the next that is not full: what comes meanwhile is written together. One that has
    /// much already may wait some times as long for batches that are being made.
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
    /// Put away until ClickHouse is back.
    pub spooled: u64,
}

/// What became of a batch in the spool.
#[derive(Debug, Default)]
pub(super) struct Put {
    /// Records that are in it now.
    pub(super) spooled: u64,
    /// Records that were in it before.
    pub(super) duplicates: u64,
    /// In which there is nothing to store, beside those.
    pub(super) ignored: u64,
    /// Why it did not take the rest.
    pub(super) trouble: Option<SpoolError>,
}

/// Which way batches came, which says what becomes of them when they cannot be written.
#[derive(Clone, Debug)]
enum Way {
    /// Their source keeps them: it is asked to come back.
    Kept,
    /// They are put away.
    Spooled(Spool),
    /// They were, and stay there.
    Drained,
}

/// Where batches are handed in. Clones lead to the same writer, which ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Sink {
    submissions: mpsc::Sender<Submission>,
    budget: Arc<Semaphore>,
    budget_units: u32,
    gate: Gate,
    making: Gate,
    unentered: Unentered,
    way: Way,
    metrics: IngestMetrics,
}

/// A batch that is being made, from before its records are read: a write that has much already waits for it, a little.
#[derive(Debug)]
pub struct Making<'s> {
    sink: &'s Sink,
    under_way: Closed,
}

/// Counts the records of a batch as failed unless the batch is handed in or turned away: whoever hands it in may be ended while
/// it waits for room.
struct Undecided<'s> {
    sink: Option<&'s Sink>,
    source: Source,
    records: u64,
}

/// A batch that is on its way.
#[derive(Debug)]
pub struct Pending {
    outcome: oneshot::Receiver<Result<Receipt, SinkError>>,
}

/// A batch as the writer gets it.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) batch: Arc<Encoded>,
    pub(super) answer: Answer,
}

/// Where the sender of a batch waits.
#[derive(Debug)]
pub(super) struct Answer {
    outcome: oneshot::Sender<Result<Receipt, SinkError>>,
    source: Source,
    records: u64,
    way: Way,
    unentered: Unentered,
    metrics: IngestMetrics,
    /// Its part of the budget; given back when its memory is free.
    _part: OwnedSemaphorePermit,
}

/// The writer's side.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) gate: Gate,
    /// Closed while batches are being made.
    pub(super) making: Gate,
    /// What is known of batches in which there was nothing to store, for the next write to enter in the ledger.
    pub(super) unentered: Unentered,
}

impl Sink {
    pub(crate) fn new(limits: &GroupLimits, metrics: IngestMetrics) -> (Self, Inbox) {
        let (sender, submissions) = mpsc::channel(limits.waiting_max);
        let (gate, making) = (Gate::default(), Gate::default());
        let unentered = Unentered::default();
        let budget_units = units(limits.pending_bytes_max);
        let budget = Arc::new(Semaphore::new(budget_units as usize));
        let inbox =
            Inbox { submissions, gate: gate.clone(), making: making.clone(), unentered: unentered.clone() };
        let way = Way::Kept;
        (Self { submissions: sender, budget, budget_units, gate, making, unentered, way, metrics }, inbox)
    }

    /// The same way to the writer for batches that are put away in a spool while they cannot be written. Others stay with
    /// who hands them in.
    #[must_use]
    pub fn with_spool(self, spool: Spool) -> Self {
        Self { way: Way::Spooled(spool), ..self }
    }

    /// The same way to the writer for batches that come from the spool.
    #[must_use]
    pub(super) fn for_drain(self) -> Self {
        Self { way: Way::Drained, ..self }
    }

    /// Waits until batches are taken.
    pub(super) async fn opened(&self) {
        self.gate.opened().await;
    }

    /// Says that a batch is being made.
    #[must_use]
    pub fn making(&self) -> Making<'_> {
        Making { sink: self, under_way: self.making.close() }
    }

    /// Hands a batch in that was not told of, and waits for room.
    pub async fn submit(&self, batch: Encoded) -> Result<Pending, SinkError> {
        self.making().submit(batch).await
    }

    /// A batch that the writer did not get.
    async fn turn_away(&self, batch: Arc<Encoded>, error: SinkError) -> Result<Pending, SinkError> {
        match &self.way {
            Way::Spooled(spool) => {
                let part = spool.room(batch.len_bytes()).await.ok_or(SinkError::Stopped)?;
                let (answer, pending) = self.answer(&batch, part);
                answer.turn_away(batch, &error, None);
                Ok(pending)
            }
            Way::Kept => {
                self.metrics.failed(batch.source().as_str(), batch.records_to_store());
                Err(error)
            }
            Way::Drained => Err(error),
        }
    }

    fn settle_ignored(&self, batch: &Encoded) -> Pending {
        self.unentered.add(batch, Account::of(&Receipt::default(), batch.ignored()));
        let (outcome, receiver) = oneshot::channel();
        // Its receiver is here.
        let _ = outcome.send(Ok(Receipt::default()));
        Pending { outcome: receiver }
    }

    async fn send(&self, batch: Arc<Encoded>, under_way: Closed) -> Result<Pending, SinkError> {
        let units = units(batch.len_bytes()).min(self.budget_units);
        let part = if let Ok(part) = Arc::clone(&self.budget).try_acquire_many_owned(units) {
            part
        } else {
            // It waits for a write, which is not to wait for it.
            drop(under_way);
            let part = Arc::clone(&self.budget).acquire_many_owned(units).await;
            part.map_err(|_| SinkError::Stopped)?
        };
        let (answer, pending) = self.answer(&batch, part);
        let submission = Submission { batch, answer };
        self.submissions.send(submission).await.map_err(|_| SinkError::Stopped)?;
        Ok(pending)
    }

    fn answer(&self, batch: &Encoded, part: OwnedSemaphorePermit) -> (Answer, Pending) {
        let (outcome, receiver) = oneshot::channel();
        let answer = Answer {
            outcome,
            source: batch.source(),
            records: batch.records_to_store(),
            way: self.way.clone(),
            unentered: self.unentered.clone(),
            metrics: self.metrics.clone(),
            _part: part,
        };
        (answer, Pending { outcome: receiver })
    }
}

impl Making<'_> {
    /// Hands the batch in, and waits for room. The same for threads of a runtime that may block.
    pub fn submit_blocking(self, batch: Encoded) -> Result<Pending, SinkError> {
        Handle::current().block_on(self.submit(batch))
    }

    /// Hands the batch in, and waits for room. A batch in which there is nothing to store is settled at once.
    pub async fn submit(self, batch: Encoded) -> Result<Pending, SinkError> {
        let Self { sink, under_way } = self;
        if batch.is_empty() {
            return Ok(sink.settle_ignored(&batch));
        }
        let undecided =
            Undecided { sink: Some(sink), source: batch.source(), records: batch.records_to_store() };
        let batch = Arc::new(batch);
        let result = tokio::select! {
            biased;
            () = sink.gate.closed() => Err(SinkError::Unsettled),
            result = sink.send(Arc::clone(&batch), under_way) => result,
        };
        let result = match result {
            Ok(pending) => Ok(pending),
            Err(error) => sink.turn_away(batch, error).await,
        };
        undecided.decided();
        result
    }
}

impl Undecided<'_> {
    fn decided(mut self) {
        self.sink = None;
    }
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        let Some(sink) = self.sink else { return };
        match sink.way {
            Way::Kept | Way::Spooled(_) => sink.metrics.failed(self.source.as_str(), self.records),
            // It is where it was.
            Way::Drained => {}
        }
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
        match (&outcome, &self.way) {
            (Ok(receipt), Way::Drained) => self.metrics.drained(source, receipt),
            (Ok(receipt), Way::Kept | Way::Spooled(_)) => self.metrics.settled(source, receipt),
            // It is where it was.
            (Err(_), Way::Drained) => {}
            (Err(_), Way::Kept | Way::Spooled(_)) => self.metrics.failed(source, self.records),
        }
        // A push that no longer waits lost its connection: what it brought is stored all the same.
        let _ = self.outcome.send(outcome);
    }

    /// Puts the batch away that could not be written, or asks its sender to come back with it. In `doubt` is whether it
    /// was written.
    pub(super) fn turn_away(self, batch: Arc<Encoded>, error: &SinkError, doubt: Option<&Doubt>) {
        match &self.way {
            Way::Spooled(spool) if error.is_outage() => {
                let spool = spool.clone();
                spool.put(Item { batch, answer: self, doubt: doubt.cloned() });
            }
            Way::Kept | Way::Drained | Way::Spooled(_) => self.give(Err(error.clone())),
        }
    }

    /// Tells the sender what the spool did with its batch, and counts it.
    pub(super) fn put(self, batch: &Encoded, put: Put) {
        let Put { spooled, duplicates, ignored, trouble } = put;
        let receipt = Receipt { duplicates, spooled, ..Receipt::default() };
        let source = self.source.as_str();
        self.metrics.settled(source, &receipt);
        self.metrics.failed(source, self.records.saturating_sub(spooled + duplicates));
        if duplicates + ignored > 0 {
            // Those in the spool are entered by the write that commits them. These are not there.
            self.unentered.add(batch, Account { duplicates, ignored, ..Account::default() });
        }
        let outcome = trouble.map_or(Ok(receipt), |trouble| Err(SinkError::Spool(Arc::new(trouble))));
        let _ = self.outcome.send(outcome);
    }

    /// Whether its batch came from the spool.
    pub(super) const fn is_for_drained(&self) -> bool {
        matches!(self.way, Way::Drained)
    }

    /// Where it would be put away.
    pub(super) const fn spool(&self) -> Option<&Spool> {
        match &self.way {
            Way::Spooled(spool) => Some(spool),
            Way::Kept | Way::Drained => None,
        }
    }
}

pub(super) fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(BUDGET_UNIT_BYTES)).unwrap_or(u32::MAX >> 3).clamp(1, u32::MAX >> 3)
}

#[cfg(test)]
pub(super) mod tests {
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
        sink_of(&LIMITS)
    }

    pub(in crate::sink) fn sink_of(limits: &GroupLimits) -> (Sink, Inbox) {
        Sink::new(limits, IngestMetrics::register(&mut Metrics::new("ingest", "0")))
    }

    /// A batch with one dead letter, of as many bytes.
    pub(in crate::sink) fn batch(bytes: usize) -> Encoded {
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
    async fn what_is_given_up_while_it_waits_for_room_is_in_flight_no_more() {
        let (sink, inbox) = sink();
        sink.metrics.received("logpush", 3);
        sink.submit(batch(100 << 10)).await.unwrap();
        assert!(timeout(SOON, sink.submit(batch(1))).await.is_err(), "the budget is taken");
        assert_eq!(sink.metrics.in_flight("logpush"), 2);
        assert!(timeout(SOON, sink.clone().for_drain().submit(batch(1))).await.is_err());
        assert_eq!(sink.metrics.in_flight("logpush"), 2, "what is in the spool is counted there");
        let _closed = inbox.gate.close();
        assert!(sink.submit(batch(1)).await.is_err());
        assert_eq!(sink.metrics.in_flight("logpush"), 1, "what is turned away is counted once");
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
