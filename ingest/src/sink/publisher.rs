//! Publishes usage messages: keeps what NATS has not acknowledged, and tries until it has.
//!
//! Rounds of some messages from the front of the backlog; each leaves it when its acknowledgement is there. A message
//! that is refused while others of its round are taken is refused for good, and dropped: it must not stop the rest.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_event::bus;
use weir_service::telemetry::chain;

use super::message::{Message, Refused};
use crate::metrics::{DropReason, IngestMetrics};

/// How long NATS may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What waits for NATS: at some 300 bytes an entry, the last hundred thousand rows. The oldest messages give way.
const BACKLOG_BYTES_MAX: usize = 32 << 20;
/// One round.
const ROUND_MESSAGES_MAX: usize = 64;
const ROUND_BYTES_MAX: usize = 4 << 20;
/// Between rounds that got nothing through: doubles from the first to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(2);
/// How long the last messages may take after the writer has ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often dropped messages are told of at most.
const DROP_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The one that publishes.
#[derive(Debug)]
pub struct Publisher {
    client: Client,
    context: jetstream::Context,
    writes: mpsc::Receiver<Vec<Message>>,
    /// Whether NATS takes messages, as far as is known.
    healthy: watch::Sender<bool>,
    stream_is_there: bool,
    backlog: VecDeque<Message>,
    backlog_bytes: usize,
    dropped: Dropped,
    metrics: IngestMetrics,
}

/// Messages that were dropped since the log told of it.
#[derive(Debug, Default)]
struct Dropped {
    count: u64,
    told_at: Option<Instant>,
}

/// How a round ended.
#[derive(Debug, PartialEq, Eq)]
enum Round {
    /// Some messages were taken.
    Progress,
    /// None was, or NATS is away.
    Nothing,
}

impl Publisher {
    pub(super) fn new(
        client: Client,
        writes: mpsc::Receiver<Vec<Message>>,
        metrics: IngestMetrics,
    ) -> (Self, watch::Receiver<bool>) {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER_TIMEOUT);
        let (healthy, health) = watch::channel(true);
        let publisher = Self {
            client,
            context,
            writes,
            healthy,
            stream_is_there: false,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            dropped: Dropped::default(),
            metrics,
        };
        (publisher, health)
    }

    /// Publishes until the announcer is gone and nothing waits, or for as long as the last messages may take.
    pub async fn run(mut self, hard_stop: &CancellationToken) {
        hard_stop.run_until_cancelled(self.publish_all()).await;
        if !self.backlog.is_empty() {
            // The rows are stored; the aggregator finds them when it reads the past.
            tracing::error!(messages = self.backlog.len(), "usage messages are lost: nats did not take them");
            self.metrics.usage_messages_dropped(DropReason::Stopped, self.backlog.len());
        }
    }

    async fn publish_all(&mut self) {
        while let Some(messages) = self.writes.recv().await {
            self.keep(messages);
            let mut pause = PAUSE_FIRST;
            while !self.backlog.is_empty() && !self.writes.is_closed() {
                while let Ok(messages) = self.writes.try_recv() {
                    self.keep(messages);
                }
                pause =
                    if self.round().await == Round::Progress { PAUSE_FIRST } else { self.wait(pause).await };
            }
        }
        let flush = async {
            while !self.backlog.is_empty() {
                if self.round().await == Round::Nothing {
                    sleep(PAUSE_FIRST).await;
                }
            }
        };
        // What is left then is told of by the caller.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, flush).await;
    }

    /// Waits before the next round, and takes on what is written meanwhile. Gives the pause after it.
    async fn wait(&mut self, pause: Duration) -> Duration {
        let over = sleep(pause);
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return (pause * 2).min(PAUSE_LONGEST),
                messages = self.writes.recv() => match messages {
                    Some(messages) => self.keep(messages),
                    None => return pause,
                },
            }
        }
    }

    fn keep(&mut self, messages: Vec<Message>) {
        self.backlog_bytes += messages.iter().map(|message| message.payload.len()).sum::<usize>();
        self.backlog.extend(messages);
        let before = self.backlog.len();
        while self.backlog_bytes > BACKLOG_BYTES_MAX {
            let Some(oldest) = self.backlog.pop_front() else { break };
            self.backlog_bytes -= oldest.payload.len();
        }
        let dropped = before - self.backlog.len();
        self.metrics.usage_messages_dropped(DropReason::Backlog, dropped);
        self.dropped.add(dropped);
    }

    async fn round(&mut self) -> Round {
        let round = self.try_round().await;
        let healthy = round == Round::Progress;
        self.healthy.send_if_modified(|was| {
            let changed = *was != healthy;
            if changed && healthy {
                tracing::info!("nats takes usage messages");
            } else if changed {
                tracing::warn!(waiting = self.backlog.len(), "usage messages wait for nats");
            }
            *was = healthy;
            changed
        });
        round
    }

    async fn try_round(&mut self) -> Round {
        // Nothing is sent into a connection that is not there: it would be kept in memory, and once more every round.
        if self.client.connection_state() != State::Connected {
            self.stream_is_there = false;
            return Round::Nothing;
        }
        if !self.stream_is_there {
            // Asked for anew after every trouble: NATS may have lost the stream with its disk.
            if let Err(error) = self.context.get_or_create_stream(stream_config()).await {
                tracing::debug!(error = chain(&error), "no usage stream");
                return Round::Nothing;
            }
            self.stream_is_there = true;
        }
        let mut messages = self.take_round();
        let mut sent: FuturesUnordered<_> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                let sent = send(self.context.clone(), message.clone());
                async move { (index, sent.await) }
            })
            .collect();
        let mut taken = 0_usize;
        let mut refused = Vec::new();
        while let Some((index, result)) = sent.next().await {
            match result {
                Ok(()) => {
                    messages[index] = None;
                    taken += 1;
                }
                Err(error) => refused.push((index, error)),
            }
        }
        drop(sent);
        for (index, error) in &refused {
            self.refused(&mut messages[*index], error, taken > 0);
        }
        for message in messages.into_iter().rev().flatten() {
            self.backlog_bytes += message.payload.len();
            self.backlog.push_front(message);
        }
        if taken > 0 { Round::Progress } else { Round::Nothing }
    }

    /// The next messages, taken out of the backlog.
    fn take_round(&mut self) -> Vec<Option<Message>> {
        let mut messages = Vec::new();
        let mut bytes = 0;
        while messages.len() < ROUND_MESSAGES_MAX && bytes < ROUND_BYTES_MAX {
            let Some(message) = self.backlog.pop_front() else { break };
            bytes += message.payload.len();
            messages.push(Some(message));
        }
        self.backlog_bytes -= bytes;
        messages
    }

    /// Drops a message that was refused for good. Others stay, for another round.
    fn refused(&mut self, message: &mut Option<Message>, error: &PublishError, others_were_taken: bool) {
        let for_good = match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => true,
            PublishErrorKind::Other => others_were_taken,
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::WrongLastMessageId
            | PublishErrorKind::WrongLastSequence
            | PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::MaxAckPending => {
                self.stream_is_there = false;
                false
            }
        };
        if for_good && let Some(message) = message.take() {
            let (bytes, error) = (message.payload.len(), chain(error));
            tracing::error!(bytes, error, "usage message dropped: nats refuses it");
            self.metrics.usage_messages_dropped(DropReason::Refused, 1);
            // One word of it is enough; where nobody waits any more, it is needed by nobody.
            let _ = message.held.map(|held| held.try_send(Refused));
        }
    }
}

impl Dropped {
    fn add(&mut self, count: usize) {
        self.count += count as u64;
        let due = self.told_at.is_none_or(|told_at| told_at.elapsed() >= DROP_LOG_INTERVAL);
        if self.count > 0 && due {
            tracing::error!(messages = self.count, "usage messages dropped: nats is away for too long");
            *self = Self { count: 0, told_at: Some(Instant::now()) };
        }
    }
}

async fn send(context: jetstream::Context, message: Option<Message>) -> Result<(), PublishError> {
    let Some(message) = message else { return Ok(()) };
    let Message { subject, id, payload, .. } = message.at(Instant::now());
    let publish = PublishMessage::build().payload(payload);
    let publish = match id {
        Some(id) => publish.message_id(id),
        None => publish,
    };
    context.send_publish(subject, publish).await?.await.map(drop)
}

/// The usage stream, for whoever has to create it.
pub(crate) fn stream_config() -> stream::Config {
    stream::Config {
        name: bus::USAGE_STREAM.to_owned(),
        subjects: vec![bus::USAGE_SUBJECTS.to_owned()],
        max_age: bus::USAGE_AGE_MAX,
        max_bytes: bus::USAGE_BYTES_MAX,
        duplicate_window: bus::USAGE_DUPLICATE_WINDOW,
        storage: stream::StorageType::File,
        discard: stream::DiscardPolicy::Old,
        ..stream::Config::default()
    }
}
