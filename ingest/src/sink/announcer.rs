//! Tells the aggregator of committed rows, over JetStream.
//!
//! The rows are safe already: what cannot be told makes live figures late, never wrong for good. So trouble with NATS
//! does not fail a push. Messages that could not be sent are kept, within bounds, and sent when NATS is back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::time::timeout;
use weir_event::bus::{self, UsageEntry, UsageMessage};
use weir_service::config::NatsConfig;

use crate::metrics::IngestMetrics;
use crate::price::PricedEvent;

/// How long a push may be held up by NATS.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages that wait for NATS: at 1,000 entries each, the last few million rows.
const BACKLOG_MAX: usize = 4_096;

/// Publishes usage messages.
pub struct Announcer {
    context: jetstream::Context,
    metrics: IngestMetrics,
    stream_is_there: bool,
    backlog: VecDeque<Message>,
}

#[derive(Clone, Debug)]
struct Message {
    shard: u16,
    payload: Bytes,
}

/// Connects to NATS; returns before it is reached, and never gives up.
pub async fn connect_bus(config: &NatsConfig) -> Result<Client, async_nats::ConnectError> {
    let options = ConnectOptions::new().name("weir-ingest").retry_on_initial_connect();
    let options = match &config.token {
        Some(token) => options.token(token.expose().to_owned()),
        None => options,
    };
    options.connect(config.url.as_str()).await
}

impl Announcer {
    /// Publishes over `client`.
    #[must_use]
    pub fn new(client: Client, metrics: IngestMetrics) -> Self {
        let mut context = jetstream::new(client);
        context.set_timeout(ANNOUNCE_TIMEOUT);
        Self { context, metrics, stream_is_there: false, backlog: VecDeque::new() }
    }

    /// Tells of rows that were committed just now, and of rows that were there before: the process that stored those
    /// may have died before it told.
    pub async fn announce(&mut self, fresh: &[&PricedEvent], duplicates: &[&PricedEvent]) {
        self.backlog.extend(messages(fresh, duplicates));
        while self.backlog.len() > BACKLOG_MAX {
            self.backlog.pop_front();
            self.metrics.usage_messages_dropped();
        }
        if let Ok(Ok(())) = timeout(ANNOUNCE_TIMEOUT, self.publish_backlog()).await {
            return;
        }
        // Asked for anew when NATS is back: it may have lost the stream with its disk.
        self.stream_is_there = false;
        tracing::warn!(waiting = self.backlog.len(), "usage messages wait for NATS");
    }

    async fn publish_backlog(&mut self) -> Result<(), async_nats::Error> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        if !self.stream_is_there {
            self.context.get_or_create_stream(stream_config()).await?;
            self.stream_is_there = true;
        }
        let mut acks = Vec::with_capacity(self.backlog.len());
        for message in &self.backlog {
            let publish = PublishMessage::build().payload(message.payload.clone());
            acks.push(self.context.send_publish(bus::usage_subject(message.shard), publish).await?);
        }
        try_join_all(acks.into_iter().map(IntoFuture::into_future)).await?;
        self.backlog.clear();
        Ok(())
    }
}

fn stream_config() -> stream::Config {
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

/// The messages for a write: entries of one shard together, no message longer than it may be.
fn messages(fresh: &[&PricedEvent], duplicates: &[&PricedEvent]) -> Vec<Message> {
    let mut shards: BTreeMap<u16, Vec<UsageEntry>> = BTreeMap::new();
    let marked = [(fresh, false), (duplicates, true)].into_iter();
    for (event, duplicate) in
        marked.flat_map(|(events, duplicate)| events.iter().map(move |event| (event, duplicate)))
    {
        let entry = entry(event, duplicate);
        shards.entry(bus::shard_of(&entry.scope, &entry.token)).or_default().push(entry);
    }
    let mut messages = Vec::new();
    for (shard, entries) in shards {
        for entries in entries.chunks(bus::ENTRIES_PER_MESSAGE_MAX) {
            let message = UsageMessage { entries: entries.to_vec() };
            let payload = serde_json::to_vec(&message).expect("plain data always prints as JSON");
            messages.push(Message { shard, payload: payload.into() });
        }
    }
    messages
}

fn entry(priced: &PricedEvent, duplicate: bool) -> UsageEntry {
    let (event, cost) = (priced.event(), priced.cost());
    UsageEntry {
        id: event.id,
        scope: event.scope.clone(),
        created_at: event.created_at,
        provider: event.provider.clone().unwrap_or_default(),
        model: event.model.clone().unwrap_or_default(),
        token: event.caller.token().to_owned(),
        success: event.success,
        cached: event.cached,
        tokens_in: event.tokens.total_in(),
        tokens_out: event.tokens.total_out(),
        cost: cost.amount(),
        cost_source: cost.source(),
        duplicate,
    }
}
