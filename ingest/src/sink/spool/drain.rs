//! Drains the spool: hands its batches to the writer while that takes any, and takes out of the stream what is committed.
//!
//! Every process drains; the stream gives each message to one of them at a time, and to another one if nothing is heard
//! of the first. What is handed out in order is handed on in order.

use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{self, AckKind, Context, Message};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use weir_service::telemetry::chain;

use super::item::Spooled;
use super::put::ANSWER_TIMEOUT;
use super::settling::{Known, outcome};
use super::{Delays, SpoolError, stream};
use crate::metrics::{DrainTrouble, IngestMetrics};
use crate::sink::{Pending, Sink, Store};

/// Messages that are pulled together: what they hold waits in memory beside what the writer has.
const PULL_MESSAGES: usize = 4;
/// How long the stream waits for the first of them. It holds up a stop for so long.
const PULL_TIMEOUT: Duration = Duration::from_millis(500);
/// Between two looks at an empty spool.
const IDLE_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks for a stream that is not there.
const ABSENT_PAUSE: Duration = Duration::from_secs(5);
/// After trouble with ClickHouse or NATS: doubles from the first to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(10);
/// Until a message is tried again that could not be committed for no fault of its own.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// The same for one that cannot be read or is rejected: doubles from the first to the longest.
const TROUBLE_DELAY_FIRST: Duration = Duration::from_secs(5);
const TROUBLE_DELAY_LONGEST: Duration = Duration::from_mins(10);
/// How often the stream is told that a message is being worked on.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

/// The one that drains.
#[derive(Debug)]
pub struct Drainer {
    client: Client,
    context: Context,
    sink: Sink,
    store: Store,
    delays: Delays,
    metrics: IngestMetrics,
}

/// A message that was pulled, and how far it got.
struct Pulled {
    message: Message,
    state: State,
    /// Says that it is worked on, until it is dropped.
    progress: AbortOnDropHandle<()>,
}

enum State {
    /// The writer has it.
    Pending(Pending),
    /// It was committed by the write that was in doubt.
    Committed,
    /// It is to be tried again soon.
    Later,
    /// It cannot be committed as it is.
    Trouble(DrainTrouble),
}

/// How a round went.
enum Round {
    /// There is no spool.
    Absent,
    /// Nothing is in it that may be tried now.
    Empty,
    /// Some messages were committed, or are in trouble of their own.
    Progress,
    /// Some could not be committed for no fault of their own.
    Outage,
}

impl Drainer {
    /// Drains into `sink`, whose tables are in `store`.
    #[must_use]
    pub fn new(client: Client, sink: Sink, store: Store, metrics: IngestMetrics) -> Self {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER_TIMEOUT);
        Self { client, context, sink: sink.for_drain(), store, delays: Delays::default(), metrics }
    }

    /// Whether messages wait for no fault of their own.
    #[must_use]
    pub fn delays(&self) -> Delays {
        self.delays.clone()
    }

    /// Drains until `soft_stop`, and brings to an end what is under way then, or until `hard_stop`.
    pub async fn run(self, soft_stop: &CancellationToken, hard_stop: &CancellationToken) {
        hard_stop.run_until_cancelled(Box::pin(self.drain(soft_stop))).await;
    }

    async fn drain(&self, soft_stop: &CancellationToken) {
        let mut consumer = None;
        let mut trouble_pause = PAUSE_FIRST;
        while self.opened(soft_stop).await {
            let round = self.round(&mut consumer).await;
            let wait = match &round {
                Ok(Round::Progress) => Duration::ZERO,
                Ok(Round::Empty) => IDLE_PAUSE,
                Ok(Round::Absent) => ABSENT_PAUSE,
                Ok(Round::Outage) => trouble_pause,
                Err(error) => {
                    consumer = None;
                    tracing::debug!(error = chain(error), "the spool cannot be drained");
                    trouble_pause
                }
            };
            trouble_pause = match round {
                Ok(Round::Outage) | Err(_) => (trouble_pause * 2).min(PAUSE_LONGEST),
                Ok(Round::Progress | Round::Empty | Round::Absent) => PAUSE_FIRST,
            };
            soft_stop.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// Waits until batches are taken; gives false if there is no use in it any more.
    async fn opened(&self, soft_stop: &CancellationToken) -> bool {
        let opened = self.sink.opened();
        if opened.now_or_never().is_none() {
            self.delays.closed(true);
            soft_stop.run_until_cancelled(self.sink.opened()).await;
            self.delays.closed(false);
        }
        !soft_stop.is_cancelled()
    }

    /// Pulls some messages, hands them on in order, and waits for all of them.
    async fn round(&self, consumer: &mut Option<PullConsumer>) -> Result<Round, SpoolError> {
        if consumer.is_none() {
            let Some(stream) = stream::find(&self.context).await? else { return Ok(Round::Absent) };
            let server_id = self.client.server_info().server_id;
            *consumer = Some(stream::consumer(&self.context, &stream, &server_id).await?);
        }
        let Some(consumer) = consumer else { return Ok(Round::Absent) };
        let pull = consumer.fetch().max_messages(PULL_MESSAGES).expires(PULL_TIMEOUT);
        let mut messages = pull.messages().await.map_err(SpoolError::Pull)?;
        let mut waiting = Vec::new();
        let mut interrupted = None;
        while let Some(message) = messages.next().await {
            match message {
                // From now on: it may wait long for those before it, and then for room.
                Ok(message) => waiting.push((progress(&message), message)),
                Err(error) => interrupted = Some(SpoolError::Interrupted(error)),
            }
        }
        let count = waiting.len();
        let mut pulled = Vec::with_capacity(count);
        for (progress, message) in waiting {
            pulled.push(self.begin(progress, message).await);
        }
        let ended = join_all(pulled.into_iter().map(|pulled| self.end(pulled))).await;
        match interrupted {
            Some(error) => Err(error),
            None if count == 0 => Ok(Round::Empty),
            None if ended.into_iter().all(|committed| committed) => Ok(Round::Progress),
            None => Ok(Round::Outage),
        }
    }

    /// Hands a message's batch to the writer.
    async fn begin(&self, progress: AbortOnDropHandle<()>, message: Message) -> Pulled {
        let payload = message.payload.clone();
        let read = tokio::task::spawn_blocking(move || Spooled::read(&payload)).await;
        let state = match read.unwrap_or(Err(SpoolError::Stopped)) {
            Ok(spooled) => self.submit(spooled).await,
            Err(error) => {
                let subject = message.subject.as_str();
                tracing::error!(subject, error = chain(&error), "a message stays in the spool");
                State::Trouble(DrainTrouble::Unreadable)
            }
        };
        Pulled { message, state, progress }
    }

    async fn submit(&self, Spooled { batch, doubt }: Spooled) -> State {
        if let Some(doubt) = doubt {
            let whose = (batch.source(), batch.account_id());
            match outcome(&doubt, whose, &self.client, &self.store).await {
                Ok(Known::GivenUp) => {}
                Ok(Known::Committed) => {
                    self.metrics.drained_before(batch.source().as_str(), batch.records_to_store());
                    return State::Committed;
                }
                Ok(Known::NotYet) => return State::Later,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "a message of the spool has to wait");
                    return State::Later;
                }
            }
        }
        match self.sink.submit(batch).await {
            Ok(pending) => State::Pending(pending),
            // The gate was closed meanwhile.
            Err(_) => State::Later,
        }
    }

    /// Waits for a message's batch, and tells the stream. Gives false if ClickHouse was not there for it.
    async fn end(&self, Pulled { message, state, progress }: Pulled) -> bool {
        let state = match state {
            State::Pending(pending) => match pending.wait().await {
                Ok(_) => State::Committed,
                Err(error) if error.is_outage() => State::Later,
                Err(error) => {
                    let subject = message.subject.as_str();
                    tracing::error!(subject, error = chain(&error), "a message of the spool is rejected");
                    State::Trouble(DrainTrouble::Rejected)
                }
            },
            other => other,
        };
        // Nothing is to come behind the answer.
        drop(progress);
        match state {
            State::Committed => {
                if let Err(error) = message.double_ack().await {
                    // It comes again then, and its ids are found.
                    tracing::warn!(%error, "a message that was committed may still be in the spool");
                }
                true
            }
            State::Trouble(trouble) => {
                self.metrics.drain_trouble(trouble);
                let tried = message.info().map_or(1, |info| info.delivered);
                delay(&message, trouble_delay(tried)).await;
                true
            }
            State::Pending(_) | State::Later => {
                self.delays.gave_back(Instant::now());
                delay(&message, RETRY_DELAY).await;
                false
            }
        }
    }
}

/// Tells the stream that a message is being worked on, again and again.
fn progress(message: &Message) -> AbortOnDropHandle<()> {
    let message = message.clone();
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            sleep(PROGRESS_INTERVAL).await;
            // If it is lost, another process finds the ids.
            let _ = message.ack_with(AckKind::Progress).await;
        }
    }))
}

async fn delay(message: &Message, delay: Duration) {
    if let Err(error) = message.ack_with(AckKind::Nak(Some(delay))).await {
        tracing::debug!(%error, "a message of the spool comes again later than it might");
    }
}

fn trouble_delay(tried: i64) -> Duration {
    let doublings = u32::try_from(tried.max(1) - 1).unwrap_or(u32::MAX).min(16);
    TROUBLE_DELAY_FIRST.saturating_mul(1 << doublings).min(TROUBLE_DELAY_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_committed_is_tried_ever_more_rarely() {
        let seconds: Vec<_> =
            [1, 2, 3, 7, 8, 1_000, i64::MAX].map(|tried| trouble_delay(tried).as_secs()).into();
        assert_eq!(seconds, [5, 10, 20, 320, 600, 600, 600]);
    }
}
