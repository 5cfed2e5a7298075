//! Takes one push in: reads it chunk by chunk, and is done when the last chunk is committed.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use weir_event::{AccountId, GatewayId, Source};
use weir_service::clock::SharedClock;

use super::body::{Body, BodyError, Incoming, Part};
use super::encoding::Encoding;
use super::pace::Pace;
use super::senders::{Forbidden, Terms};
use super::{CHUNKS_PENDING_MAX, ChunkLimits, Form, Framing, Origin, RecordReader};
use crate::metrics::{IngestMetrics, PushResult};
use crate::pipeline::Pipeline;
use crate::sink::{Encoded, Pending, Receipt, Sink, SinkError};

/// How many parts of a body may wait between the connection and the reader.
const PARTS_WAITING_MAX: usize = 8;

/// What a push may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushLimits {
    /// Bytes of a body when decompressed.
    pub body_bytes_max: u64,
    /// Pushes read at the same time; more of them wait.
    pub concurrent_max: usize,
    /// How long a push waits for its turn.
    pub turn_timeout: Duration,
    /// How long a connection may be silent in the middle of a body.
    pub idle_timeout: Duration,
    /// How much of a body, as it is sent, has to come in on average once `idle_timeout` is spent on waiting for it.
    pub bytes_per_second_min: NonZeroU64,
    /// The chunks that a body is read in.
    pub chunk: ChunkLimits,
}

/// What became of the records of a push. `received` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Records in the push.
    pub received: u64,
    /// Stored now.
    pub stored: u64,
    /// Stored before, or twice in the push.
    pub duplicates: u64,
    /// Kept as dead letters.
    pub dead_lettered: u64,
    /// Nothing to store: probes, and events that are no requests.
    pub ignored: u64,
    /// Put away until ClickHouse is back: they are durable, and stored then.
    #[serde(skip_serializing_if = "is_zero")]
    pub spooled: u64,
    /// Of those that were stored or are duplicates: with fields that could not be decrypted, and are kept as dead
    /// letters too. Not a part of the sum.
    #[serde(skip_serializing_if = "is_zero")]
    pub sealed: u64,
}

/// Why a push was not taken in. Records that were committed before the trouble are no harm: they have their ids.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The body cannot be read to its end.
    #[error(transparent)]
    Body(BodyError),
    /// A record is of a gateway that its sender may not push for.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The connection was silent for too long, or sent too little for the time it took.
    #[error("the body came in too slowly")]
    Slow,
    /// Too many others are being read.
    #[error("too many pushes at once")]
    Busy,
    /// It could not be stored.
    #[error("the records cannot be stored")]
    Sink(#[from] SinkError),
    /// A defect: the reader died.
    #[error("the reader of the body stopped")]
    Reader,
}

/// A push whose sender is let in, with its body still to be read.
pub(super) struct Push {
    pub(super) origin: Origin,
    pub(super) terms: Terms,
    /// As the sender says; `None` if that is to be found out.
    pub(super) encoding: Option<Encoding>,
    pub(super) framing: Framing,
    pub(super) body: Incoming,
}

/// Takes pushes in.
#[derive(Clone)]
pub struct Pushes {
    limits: PushLimits,
    turns: Arc<Semaphore>,
    numbers: Arc<AtomicU64>,
    clock: SharedClock,
    pipeline: Arc<Pipeline>,
    sink: Sink,
    metrics: IngestMetrics,
}

/// The sender was waited for long enough.
struct TooSlow;

/// Counts a push as abandoned unless it comes to its end: when the sender leaves, its request is dropped.
struct Unanswered<'p>(Option<&'p IngestMetrics>);

impl Pushes {
    /// Pushes go through `pipeline` into `sink`.
    #[must_use]
    pub fn new(
        limits: PushLimits,
        clock: SharedClock,
        pipeline: Arc<Pipeline>,
        sink: Sink,
        metrics: IngestMetrics,
    ) -> Self {
        let turns = Arc::new(Semaphore::new(limits.concurrent_max));
        Self { limits, turns, numbers: Arc::default(), clock, pipeline, sink, metrics }
    }

    /// Where the next push comes from, with a name of its own.
    #[must_use]
    pub fn origin(
        &self,
        account_id: AccountId,
        gateway_id: Option<GatewayId>,
        source: Source,
        form: Form,
    ) -> Origin {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let received_at_ms = self.clock.now_ms();
        let batch = format!("{received_at_ms}-{}-{number}", std::process::id());
        Origin { account_id, gateway_id, source, form, batch, received_at_ms }
    }

    /// The time of day, in epoch milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Takes a push in. Returns when every record in it is committed, or durable
    /// in the spool.
    pub(super) async fn take(&self, push: Push) -> Result<Tally, PushError> {
        let unanswered = Unanswered(Some(&self.metrics));
        let result = self.take_in_turn(push).await;
        unanswered.answered();
        result
    }

    async fn take_in_turn(&self, push: Push) -> Result<Tally, PushError> {
        let turn = timeout(self.limits.turn_timeout, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(PushError::Busy);
        };
        let Push { origin, terms, encoding, framing, body } = push;
        let (parts, receiver) = mpsc::channel(PARTS_WAITING_MAX);
        let this = self.clone();
        let reader = tokio::task::spawn_blocking(move || {
            // The reader works on when the sender leaves, and its turn lasts as long as it does.
            let _turn = turn;
            let body = Body::reader(receiver, encoding, this.limits.body_bytes_max)?;
            let records = RecordReader::new(body, framing, this.limits.chunk)?;
            this.read(&origin, &terms, records)
        });
        let forwarded = self.forward(body, parts).await;
        let taken = reader.await.map_err(|_| PushError::Reader)?;
        match (forwarded, taken) {
            // Without an end the reader knows no better than that there is none.
            (Err(TooSlow), Err(PushError::Body(BodyError::Incomplete))) => Err(PushError::Slow),
            (_, taken) => taken,
        }
    }

    /// Hands a body on to its reader: to its end, or as far as it comes.
    async fn forward(&self, mut body: Incoming, parts: mpsc::Sender<Part>) -> Result<(), TooSlow> {
        let mut pace = Pace::new(self.limits.idle_timeout, self.limits.bytes_per_second_min);
        loop {
            let begun = Instant::now();
            let part = match timeout(pace.left(), body.next()).await {
                Ok(Some(Ok(data))) => Part::Data(data),
                Ok(None) => Part::End,
                Ok(Some(Err(_))) => return Ok(()),
                Err(_) => return Err(TooSlow),
            };
            let received_bytes = if let Part::Data(data) = &part { Some(data.len()) } else { None };
            pace.received(received_bytes.unwrap_or_default(), begun.elapsed());
            // A reader that is gone has its own error to tell.
            if parts.send(part).await.is_err() || received_bytes.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes the records of a body in, to its end, on a thread that may block.
    fn read(
        &self,
        origin: &Origin,
        terms: &Terms,
        mut records: RecordReader<impl BufRead>,
    ) -> Result<Tally, PushError> {
        let source = origin.source.as_str();
        let mut tally = Tally::default();
        let mut pending: VecDeque<Pending> = VecDeque::new();
        loop {
            let making = self.sink.making();
            let Some(chunk) = records.next_chunk()? else { break };
            let received = chunk.records().count() as u64;
            self.metrics.received(source, received);
            tally.received += received;
            let turn = self.pipeline.turn_blocking(chunk.len_bytes());
            let batch = self.pipeline.prepare(&chunk, origin);
            if let Err(error) = terms.admit(&chunk, &batch, Instant::now()) {
                self.metrics.failed(source, received);
                return Err(error.into());
            }
            self.metrics.ignored(source, batch.ignored);
            self.metrics.redacted(&batch.redaction, self.pipeline.redactor().rules());
            tally.ignored += batch.ignored;
            drop(chunk);
            let encoded = Encoded::of(&batch);
            drop((batch, turn));
            pending.push_back(making.submit_blocking(encoded)?);
            if pending.len() > CHUNKS_PENDING_MAX {
                tally.settle(pending.pop_front())?;
            }
        }
        while !pending.is_empty() {
            tally.settle(pending.pop_front())?;
        }
        Ok(tally)
    }
}

impl Tally {
    fn settle(&mut self, pending: Option<Pending>) -> Result<(), PushError> {
        if let Some(pending) = pending {
            let Receipt { stored, duplicates, dead_lettered, sealed, spooled } = pending.wait_blocking()?;
            self.stored += stored;
            self.duplicates += duplicates;
            self.dead_lettered += dead_lettered;
            self.sealed += sealed;
            self.spooled += spooled;
        }
        Ok(())
    }
}

impl Unanswered<'_> {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(metrics) = self.0 {
            metrics.push(PushResult::Abandoned);
        }
    }
}

impl PushError {
    /// Whether the sender should come back with the same push.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Busy | Self::Sink(_) | Self::Reader => true,
            Self::Body(_) | Self::Slow | Self::Forbidden(_) => false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference on")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<io::Error> for PushError {
    /// What the reader of a body tells.
    fn from(error: io::Error) -> Self {
        Self::Body(error.downcast().unwrap_or(BodyError::Incomplete))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use weir_service::clock::SystemClock;
    use weir_service::metrics::Metrics;

    use super::*;
    use crate::price::PriceBook;
    use crate::sink::{GroupLimits, Inbox};

    const BROKEN: &str = "{\"broken\n";
    const PROBE: &str = "{\"content\":\"tests\"}\n";

    /// One push at a time, into a sink that nobody empties.
    fn pushes() -> (Pushes, Inbox, Metrics) {
        let limits = PushLimits {
            body_bytes_max: 1 << 20,
            concurrent_max: 1,
            turn_timeout: Duration::from_millis(50),
            idle_timeout: Duration::from_secs(5),
            bytes_per_second_min: NonZeroU64::MIN,
            chunk: ChunkLimits { lines_max: 10, bytes_max: 1 << 20, line_bytes_max: 1 << 20 },
        };
        let group = GroupLimits {
            waiting_max: 1,
            events_max: 1,
            bytes_max: 1 << 20,
            interval: Duration::ZERO,
            pending_bytes_max: 1 << 20,
        };
        let mut metrics = Metrics::new("ingest", "0");
        let ingest_metrics = IngestMetrics::register(&mut metrics);
        let (sink, inbox) = Sink::new(&group, ingest_metrics.clone());
        let pipeline = Arc::new(Pipeline::new(PriceBook::builtin()));
        (Pushes::new(limits, SystemClock::shared(), pipeline, sink, ingest_metrics), inbox, metrics)
    }

    async fn take(pushes: &Pushes, body: &'static str) -> Result<Tally, PushError> {
        let (account, gateway) = ("acc".parse().unwrap(), Some("gw".parse().unwrap()));
        let origin = pushes.origin(account, gateway, Source::Logpush, Form::Logpush);
        let body = stream::iter([Ok(Bytes::from_static(body.as_bytes()))]).boxed();
        let (terms, framing) = (Terms::default(), Framing::Lines);
        pushes.take(Push { origin, terms, encoding: None, framing, body }).await
    }

    #[tokio::test]
    async fn a_push_keeps_its_turn_when_its_sender_leaves() {
        let (pushes, inbox, metrics) = pushes();
        assert!(timeout(Duration::from_millis(200), take(&pushes, BROKEN)).await.is_err());
        assert!(matches!(take(&pushes, BROKEN).await, Err(PushError::Busy)));
        assert!(metrics.encode().contains(r#"ingest_pushes_total{result="Abandoned"} 1"#));
        // The reader ends with what it waits for, and its turn with it.
        drop(inbox);
        while matches!(take(&pushes, PROBE).await, Err(PushError::Busy)) {}
    }

    #[tokio::test]
    async fn a_sender_that_dribbles_loses_its_turn() {
        let (mut pushes, _inbox, _metrics) = pushes();
        pushes.limits.idle_timeout = Duration::from_millis(300);
        pushes.limits.bytes_per_second_min = NonZeroU64::new(1_000).unwrap();
        // Never silent for long, and never done.
        let dribble = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok(Bytes::from_static(b" ")), ()))
        });
        let origin = pushes.origin("acc".parse().unwrap(), None, Source::Logpush, Form::Logpush);
        let (terms, framing) = (Terms::default(), Framing::Lines);
        let push = Push { origin, terms, encoding: None, framing, body: dribble.boxed() };
        assert!(matches!(pushes.take(push).await, Err(PushError::Slow)));
        while matches!(take(&pushes, PROBE).await, Err(PushError::Busy)) {}
    }

    #[tokio::test]
    async fn a_push_whose_broken_place_takes_too_much_along_is_not_acked() {
        let (mut pushes, _inbox, _metrics) = pushes();
        pushes.limits.chunk.line_bytes_max = 10;
        let error = take(&pushes, "[{} {},{},{},{},{},{}]").await.unwrap_err();
        assert!(matches!(error, PushError::Body(BodyError::Broken { position: 2 })), "{error:?}");
        assert!(!error.is_ours());
    }

    #[tokio::test]
    async fn a_push_with_nothing_to_store_needs_no_writer() {
        let (pushes, _inbox, _metrics) = pushes();
        let tally = timeout(Duration::from_secs(5), take(&pushes, PROBE)).await.unwrap().unwrap();
        assert_eq!(tally, Tally { received: 1, ignored: 1, ..Tally::default() });
    }
}
