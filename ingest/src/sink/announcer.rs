//! Tells the aggregator of committed rows: hands messages to the publisher, and waits for them a little.
//!
//! The rows are safe already: what cannot be told is missing from statistics, never from the logs. So trouble with NATS
//! fails no push, and holds up at most one: while NATS is known to be away, nobody waits for it.

use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use weir_event::{Scope, Timestamp};
use weir_service::config::NatsConfig;

use super::message::{Message, Refused, dirty_messages, messages};
use super::{EventRef, Publisher, stream_config};
use crate::metrics::{DropReason, IngestMetrics};

/// How long a push may be held up by NATS.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Writes whose messages may wait for the publisher. It takes them on within seconds, whatever NATS does.
const WRITES_WAITING_MAX: usize = 1_024;
/// How long NATS may take for one answer to a command.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);
const RECONNECT_PAUSE_FIRST: Duration = Duration::from_millis(50);
const RECONNECT_PAUSE_LONGEST: Duration = Duration::from_secs(2);

/// Why the bus cannot be told of anything.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No connection.
    #[error("nats cannot be reached")]
    Connect(#[from] async_nats::ConnectError),
    /// No stream.
    #[error("usage stream is not available")]
    Stream(#[from] jetstream::context::CreateStreamError),
}

/// An end of the way to the bus. The publisher ends when the last of its clones is dropped.
#[derive(Clone, Debug)]
pub struct Announcer {
    writes: mpsc::Sender<Vec<Message>>,
    healthy: watch::Receiver<bool>,
    metrics: IngestMetrics,
}

/// Connects to NATS; returns before it is reached, and never gives up.
pub async fn connect_bus(config: &NatsConfig) -> Result<Client, async_nats::ConnectError> {
    let options = ConnectOptions::new()
        .name("weir-ingest")
        .retry_on_initial_connect()
        .max_reconnects(None)
        .reconnect_delay_callback(reconnect_pause);
    let options = match &config.token {
        Some(token) => options.token(token.expose().to_owned()),
        None => options,
    };
    options.connect(config.url.as_str()).await
}

/// Connects to NATS and sees to the usage stream. Gives up at once where NATS is away, for whoever runs a command is there
/// to see it.
pub(crate) async fn reach_bus(config: &NatsConfig, name: &str) -> Result<(Client, Context), BusError> {
    let options = ConnectOptions::new().name(name).connection_timeout(REACH_TIMEOUT);
    let options = match &config.token {
        Some(token) => options.token(token.expose().to_owned()),
        None => options,
    };
    let client = options.connect(config.url.as_str()).await?;
    let mut context = jetstream::new(client.clone());
    context.set_timeout(REACH_TIMEOUT);
    context.get_or_create_stream(stream_config()).await?;
    Ok((client, context))
}

impl Announcer {
    /// An announcer, and the publisher that it leads to.
    #[must_use]
    pub fn new(client: Client, metrics: IngestMetrics) -> (Self, Publisher) {
        let (writes, receiver) = mpsc::channel(WRITES_WAITING_MAX);
        let (publisher, healthy) = Publisher::new(client, receiver, metrics.clone());
        (Self { writes, healthy, metrics }, publisher)
    }

    /// Tells of rows that were committed just now, and of rows that were there before: the process that stored those
    /// may have died before it told. Returns when NATS has it all, or is away, or takes too long.
    pub async fn announce(&self, fresh: &[EventRef<'_>], duplicates: &[EventRef<'_>]) {
        let Some(mut all_gone) = self.hand_on_held(messages(fresh, duplicates)) else { return };
        let mut healthy = self.healthy.clone();
        tokio::select! {
            _ = all_gone.recv() => {}
            _ = healthy.wait_for(|healthy| !*healthy) => {}
            () = sleep(ANNOUNCE_TIMEOUT) => {}
        }
    }
}

impl Announcer {
    /// Tells of minutes whose rows were changed. Waits for nothing.
    pub(crate) fn tell_changed(&self, minutes: impl Iterator<Item = (Scope, Timestamp)>) {
        let messages = dirty_messages(minutes);
        if !messages.is_empty() {
            self.hand_on(messages);
        }
    }

    /// Tells of minutes whose rows were changed, and gives whether NATS has it all before `limit`. Where NATS is known to be
    /// away nothing waits for it: the caller comes again.
    pub(crate) async fn tell_changed_for_certain(
        &self,
        minutes: impl Iterator<Item = (Scope, Timestamp)>,
        limit: Duration,
    ) -> bool {
        if !*self.healthy.borrow() {
            return false;
        }
        let Some(mut all_gone) = self.hand_on_held(dirty_messages(minutes)) else { return false };
        matches!(timeout(limit, all_gone.recv()).await, Ok(None))
    }

    /// Tells of rows as [`Self::announce`] does, and of minutes whose rows were changed. Gives whether NATS has it all before
    /// `limit`.
    pub(crate) async fn deliver(
        &self,
        fresh: &[EventRef<'_>],
        duplicates: &[EventRef<'_>],
        changed: impl Iterator<Item = (Scope, Timestamp)>,
        limit: Duration,
    ) -> bool {
        let mut messages = messages(fresh, duplicates);
        messages.extend(dirty_messages(changed));
        let Some(mut all_gone) = self.hand_on_held(messages) else { return false };
        // Nothing comes but the end, unless a message was refused.
        matches!(timeout(limit, all_gone.recv()).await, Ok(None))
    }

    /// Hands messages on, and gives what tells when the last of them is gone; `None` if the publisher does not take them.
    fn hand_on_held(&self, mut messages: Vec<Message>) -> Option<mpsc::Receiver<Refused>> {
        let (held, all_gone) = mpsc::channel(1);
        for message in &mut messages {
            message.held = Some(held.clone());
        }
        drop(held);
        self.hand_on(messages).then_some(all_gone)
    }

    fn hand_on(&self, messages: Vec<Message>) -> bool {
        let Err(TrySendError::Full(messages) | TrySendError::Closed(messages)) =
            self.writes.try_send(messages)
        else {
            return true;
        };
        tracing::error!(messages = messages.len(), "usage messages dropped: the publisher is stuck");
        self.metrics.usage_messages_dropped(DropReason::Backlog, messages.len());
        false
    }
}

fn reconnect_pause(attempt: usize) -> Duration {
    let doublings = u32::try_from(attempt).unwrap_or(u32::MAX).min(10);
    RECONNECT_PAUSE_FIRST.saturating_mul(1 << doublings).min(RECONNECT_PAUSE_LONGEST)
}
