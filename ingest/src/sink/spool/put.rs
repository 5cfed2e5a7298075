//! Puts batches away: one after another, so that they lie in the spool in the order in which they came.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use weir_service::telemetry::chain;

use super::item::{Part, parts};
use super::level::Health;
use super::{Doubt, SpoolError, stream};
use crate::sink::Encoded;
use crate::sink::submit::{Answer, Put, units};

/// How long NATS may take for one answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// After NATS took longer than that, nothing is tried for so long: who waits is refused at once.
const AWAY_PAUSE: Duration = Duration::from_secs(1);
/// Bytes of rows that came while nothing could be written, and wait to be put away. What the writer had before counts
/// where it counted there.
const WAITING_BYTES_MAX: usize = 32 << 20;
/// The largest message, whatever the server takes: JetStream is not made for larger ones.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// What NATS's silence may mean: it does not answer to a message that it could not write, nor to any after it.
const SILENT: &str = "the spool does not take a batch: nats is slow, or could not write to its disk; then it takes nothing until it is restarted";
/// What of a message is not its payload: NATS counts subject and headers too.
const ENVELOPE_BYTES: usize = 1 << 10;

/// Where batches are put away. Clones are the same spool; the spooler ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Spool {
    items: mpsc::UnboundedSender<Item>,
    room: Arc<Semaphore>,
    client: Client,
}

/// A batch that is to be put away.
#[derive(Debug)]
pub(in super::super) struct Item {
    pub(in super::super) batch: Arc<Encoded>,
    pub(in super::super) answer: Answer,
    pub(in super::super) doubt: Option<Doubt>,
}

/// The one that puts batches away.
#[derive(Debug)]
pub struct Spooler {
    client: Client,
    context: Context,
    /// Bounded in bytes: by the writer's budget, or by the spool's own.
    items: mpsc::UnboundedReceiver<Item>,
    bytes_max: i64,
    stream_is_there: bool,
    away_since: Option<Instant>,
    health: Health,
}

impl Spool {
    /// A spool of at most `bytes_max` bytes, and the one that puts batches there.
    pub(super) fn new(client: Client, bytes_max: i64, health: Health) -> (Self, Spooler) {
        // What may wait is bounded in bytes, where it is taken in.
        let (sender, items) = mpsc::unbounded_channel();
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER_TIMEOUT);
        let room = Arc::new(Semaphore::new(units(WAITING_BYTES_MAX) as usize));
        let spool = Self { items: sender, room, client: client.clone() };
        let spooler =
            Spooler { client, context, items, bytes_max, stream_is_there: false, away_since: None, health };
        (spool, spooler)
    }

    /// Room for a batch of so many bytes, when it is there.
    pub(in super::super) async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = units(bytes).min(units(WAITING_BYTES_MAX));
        Arc::clone(&self.room).acquire_many_owned(units).await.ok()
    }

    /// Hands a batch in.
    pub(in super::super) fn put(&self, item: Item) {
        if let Err(mpsc::error::SendError(item)) = self.items.send(item) {
            item.end(Put { trouble: Some(SpoolError::Stopped), ..Put::default() });
        }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }
}

impl Item {
    fn end(self, put: Put) {
        self.answer.put(&self.batch, put);
    }
}

impl Spooler {
    /// Puts batches away until every way to the spool is gone, or until `hard_stop`.
    pub async fn run(mut self, hard_stop: &CancellationToken) {
        hard_stop.run_until_cancelled(self.put_all()).await;
    }

    async fn put_all(&mut self) {
        while let Some(item) = self.items.recv().await {
            let mut put = Put::default();
            if let Err(error) = self.put(&item, &mut put).await {
                self.health.refused(&error);
                put.trouble = Some(error);
            } else {
                self.health.took();
            }
            item.end(put);
        }
    }

    /// Puts a batch away, and keeps account of it part by part: those that are there stay there.
    async fn put(&mut self, item: &Item, put: &mut Put) -> Result<(), SpoolError> {
        let away = self.away_since.is_some_and(|since| since.elapsed() < AWAY_PAUSE);
        if away || self.client.connection_state() != State::Connected {
            self.stream_is_there = false;
            return Err(SpoolError::Away);
        }
        if !self.stream_is_there {
            // Looked for anew after every trouble: NATS may have lost it with its disk.
            let found = stream::stream(&self.context, self.bytes_max).await;
            found.inspect_err(|_| self.away_since = Some(Instant::now()))?;
            self.stream_is_there = true;
        }
        let bytes_max =
            self.client.server_info().max_payload.min(MESSAGE_BYTES_MAX).saturating_sub(ENVELOPE_BYTES);
        let (batch, doubt) = (Arc::clone(&item.batch), item.doubt.clone());
        let encode = move || parts(&batch, doubt.as_ref(), bytes_max);
        let parts = tokio::task::spawn_blocking(encode).await.map_err(|_| SpoolError::Stopped)??;
        for part in parts {
            let (records, ignored) = (part.records, part.ignored);
            if self.publish(part).await? {
                put.duplicates += records;
                put.ignored += ignored;
            } else {
                put.spooled += records;
            }
        }
        self.away_since = None;
        Ok(())
    }

    /// Publishes a message, and gives whether it was there before.
    async fn publish(&mut self, part: Part) -> Result<bool, SpoolError> {
        let message = PublishMessage::build().payload(part.payload).message_id(part.id);
        let published = async { self.context.send_publish(part.subject, message).await?.await };
        let error = match published.await {
            Ok(taken) => return Ok(taken.duplicate),
            Err(error) => error,
        };
        // Full is not away.
        if error.kind() != PublishErrorKind::Other {
            self.away_since = Some(Instant::now());
        }
        self.stream_is_there = false;
        if error.kind() == PublishErrorKind::TimedOut {
            tracing::warn!(error = chain(&error), "{SILENT}");
        } else {
            tracing::warn!(error = chain(&error), "the spool does not take a batch");
        }
        Err(SpoolError::Publish(error))
    }
}
