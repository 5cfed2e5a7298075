//! Listens on NATS for words of committed rows, while somebody looks on.

use std::convert::Infallible;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectOptions, Event, RequestErrorKind, Subscriber};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use weir_event::bus::{DIRTY_SUBJECT, USAGE_SUBJECTS};
use weir_event::{EventId, Scope, Timestamp};
use weir_service::config::NatsConfig;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use super::feed::Word;
use super::tails::Tails;
use crate::metrics::QueryMetrics;
use crate::store::LogStore;

/// The most messages that wait to be read; each is half a megabyte at most, and mostly far less.
const MESSAGES_MAX: usize = 1_024;
/// The longest to wait for NATS to say that it has taken a subscription.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// How often to see whether anybody is left.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// A [`weir_event::bus::UsageMessage`] or a [`weir_event::bus::OthersMessage`], as far as it matters here.
#[derive(Deserialize)]
struct Message {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: EventId,
    scope: Scope,
    created_at: Timestamp,
    duplicate: bool,
}

/// A connection of its own, which is told of all that is committed: connected in the background and for ever. Whoever looks on
/// is told when it breaks.
pub async fn connect(config: &NatsConfig, tails: &Tails) -> Result<Client, ConnectError> {
    let tails = tails.clone();
    let options = ConnectOptions::new()
        .name("query-api-tail")
        .retry_on_initial_connect()
        .subscription_capacity(MESSAGES_MAX)
        .event_callback(move |event| {
            match event {
                Event::Disconnected | Event::Closed => tails.broke(),
                Event::SlowConsumer(_) => tails.gap(),
                Event::Connected
                | Event::LameDuckMode
                | Event::Draining
                | Event::ServerError(_)
                | Event::ClientError(_) => {}
            }
            async {}
        });
    let options = match &config.token {
        Some(token) => options.token(token.expose().to_owned()),
        None => options,
    };
    options.connect(config.url.as_str()).await
}

impl Tails {
    /// Hears and looks until the soft stop.
    pub async fn run(
        self,
        client: Client,
        store: LogStore,
        metrics: QueryMetrics,
        shutdown: Shutdown,
    ) -> Result<(), Infallible> {
        let work = async {
            tokio::join!(self.listen(&client), self.look(&store, &metrics));
        };
        shutdown.soft_stop().run_until_cancelled(work).await;
        Ok(())
    }

    async fn listen(&self, client: &Client) {
        loop {
            self.somebody().await;
            let breaks = self.breaks();
            match subscribe(client).await {
                Ok(subscription) => {
                    self.begin_to_hear();
                    self.follow(subscription, breaks).await;
                }
                Err(reason) => {
                    tracing::debug!(reason, "words of rows are not heard");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Until nobody is left, or the connection breaks.
    async fn follow(&self, mut subscription: Subscriber, mut breaks: watch::Receiver<u64>) {
        while !self.cease_if_alone() {
            let message = tokio::select! {
                message = subscription.next() => message,
                _ = breaks.changed() => None,
                // It is quiet: maybe nobody is left.
                () = sleep(LOOK_AROUND) => continue,
            };
            let Some(message) = message else { return self.cease_to_hear() };
            if message.subject.as_str() == DIRTY_SUBJECT {
                continue;
            }
            match serde_json::from_slice::<Message>(&message.payload) {
                Ok(Message { entries }) => self.hear(entries.into_iter().map(Entry::into_word)),
                Err(error) => {
                    tracing::warn!(error = chain(&error), "a usage message cannot be read");
                    self.gap();
                }
            }
        }
    }
}

impl Entry {
    fn into_word(self) -> (Scope, Word) {
        (self.scope, Word::new(self.id, self.created_at, self.duplicate))
    }
}

/// Subscribes, and waits until the server knows of it: it takes orders in their order, and answers at once that nobody listens under
/// a name of our own.
async fn subscribe(client: &Client) -> Result<Subscriber, &'static str> {
    let subscription = client.subscribe(USAGE_SUBJECTS).await.map_err(|_| "cannot subscribe")?;
    let question = client.request(client.new_inbox(), "".into());
    match timeout(ANSWER_LIMIT, question).await {
        Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(subscription),
        _ => Err("nats does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_event::bus::{UsageEntry, UsageMessage};

    use super::*;

    #[test]
    fn of_a_usage_message_only_what_leads_to_its_rows_is_read() {
        let created_at = Timestamp::from_millis(1_790_000_000_000).unwrap();
        let scope = Scope::parse("acc", "gw").unwrap();
        let entry = json!({
            "id": EventId::derive(created_at, &[b"1"]), "scope": scope, "created_at": created_at,
            "provider": "openai", "model": "m", "token": "t", "success": true, "cached": false,
            "tokens_in": 1, "tokens_out": null, "cost": null, "cost_source": "unpriced", "duplicate": true,
        });
        let entry: UsageEntry = serde_json::from_value(entry).unwrap();
        let id = entry.id;
        let sent = serde_json::to_string(&UsageMessage { entries: vec![entry] }).unwrap();
        // What a later ingest says beside it is no trouble.
        let sent = sent.replace("\"provider\":", "\"more\":{\"x\":[1]},\"provider\":");
        let read: Message = serde_json::from_str(&sent).unwrap();
        let (whose, word) = read.entries.into_iter().next().unwrap().into_word();
        assert_eq!((whose, word.id, word.end, word.duplicate), (scope, id, created_at, true));
    }
}
