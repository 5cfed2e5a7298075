//! Takes alerts from the stream and delivers them, until their endpoint has them.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use async_nats::Client as NatsClient;
use async_nats::jetstream::consumer::pull::BatchError;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::CreateStreamError;
use async_nats::jetstream::stream::ConsumerError;
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tokio::time::sleep;
use weir_budget::ALERTS_SUBJECTS;
use weir_event::{AccountId, Timestamp};
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use super::endpoints::{Endpoint, Endpoints};
use super::http::{ANSWER_LIMIT, Sender, TlsError};
use super::metrics::{Outcome, WebhookMetrics};
use crate::backoff::Backoff;
use crate::budgets::alert_stream;

/// Deliveries to one endpoint at once, of one process.
const AT_ONCE: usize = 4;
/// How long one question for an alert waits.
const PULL_EXPIRES: Duration = Duration::from_secs(30);
/// After which an alert is delivered by somebody else: its deliverer is gone.
const ACK_WAIT: Duration = Duration::from_secs(2 * ANSWER_LIMIT.as_secs());
/// Between two tries: doubles from the first to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_mins(10);
/// After which an alert is given up that its endpoint does not take.
const TRIED_FOR_MS: u64 = 24 * 3_600_000;
/// After which the server forgets the place of an endpoint that nobody delivers to: it is not configured any more. What such a
/// place would still have to deliver would be given up by then.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(3 * 24);
/// What a message is that comes of the configuration, and not of a tenant's budget.
const ANOMALIES: &str = "anomaly.";

/// Delivers alerts.
pub struct Webhooks {
    /// NATS.
    pub client: NatsClient,
    /// JetStream.
    pub context: Context,
    /// Where to.
    pub endpoints: Endpoints,
    /// The time of day.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: WebhookMetrics,
}

/// Alerts cannot be delivered as things stand.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// Nothing can be sent.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The stream of alerts can be neither found nor created.
    #[error("alert stream is not available")]
    Stream(#[source] CreateStreamError),
    /// Alerts cannot be listened to.
    #[error("consumer of the alert stream is not available")]
    Consumer(#[source] ConsumerError),
    /// Alerts cannot be asked for.
    #[error("alerts cannot be pulled")]
    Pull(#[source] BatchError),
    /// What came is no message, or cannot be acknowledged.
    #[error("alerts stopped coming")]
    Interrupted(#[source] async_nats::Error),
}

/// What every message of the stream has, of a budget or of an anomaly.
#[derive(Deserialize)]
struct Letter {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    data: LetterData,
}

#[derive(Deserialize)]
struct LetterData {
    id: String,
    account_id: AccountId,
    webhooks: Vec<String>,
}

/// The way to one endpoint.
struct Way<'w> {
    webhooks: &'w Webhooks,
    name: &'w str,
    endpoint: &'w Endpoint,
    sender: Sender,
}

impl Webhooks {
    /// Delivers until the soft stop. What is on its way then comes again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let ways = self.endpoints.iter().map(|(name, endpoint)| self.keep_up(name, endpoint));
        let work = async { tokio::join!(join_all(ways), self.watch(), self.answer()) };
        shutdown.soft_stop().run_until_cancelled(work).await;
        Ok(())
    }

    async fn keep_up(&self, name: &str, endpoint: &Endpoint) -> Infallible {
        let mut backoff = Backoff::new();
        loop {
            let Err(error) = self.session(name, endpoint).await;
            let wait = backoff.next_wait();
            tracing::warn!(
                webhook = name,
                error = chain(&error),
                retry_in_ms = wait.as_millis(),
                "alerts are not delivered"
            );
            sleep(wait).await;
        }
    }

    async fn session(&self, name: &str, endpoint: &Endpoint) -> Result<Infallible, WebhooksError> {
        let way = Way { webhooks: self, name, endpoint, sender: Sender::new()? };
        let stream = alert_stream(&self.context).await.map_err(WebhooksError::Stream)?;
        let consumer = stream.create_consumer(consumer_config(name)).await;
        let consumer: PullConsumer = consumer.map_err(WebhooksError::Consumer)?;
        let workers = (0..AT_ONCE).map(|_| way.work(&consumer));
        let mut ended = try_join_all(workers).await?;
        // No worker ends but with an error.
        Ok(ended.remove(0))
    }
}

impl Way<'_> {
    async fn work(&self, consumer: &PullConsumer) -> Result<Infallible, WebhooksError> {
        loop {
            let batch = consumer.fetch().max_messages(1).expires(PULL_EXPIRES).messages().await;
            let mut batch = batch.map_err(WebhooksError::Pull)?;
            while let Some(message) = batch.next().await {
                let message = message.map_err(WebhooksError::Interrupted)?;
                let end = self.take(&message).await?;
                message.ack_with(end).await.map_err(WebhooksError::Interrupted)?;
            }
        }
    }

    /// Delivers an alert if it is for this endpoint. Gives what the stream is told of it.
    async fn take(&self, message: &Message) -> Result<AckKind, WebhooksError> {
        let Ok(alert) = serde_json::from_slice::<Letter>(&message.payload) else { return Ok(AckKind::Term) };
        if !alert.data.webhooks.iter().any(|name| name == self.name) {
            return Ok(AckKind::Ack);
        }
        if !alert.kind.starts_with(ANOMALIES) && !self.endpoint.is_for(&alert.data.account_id) {
            self.webhooks.metrics.count(Outcome::Refused);
            tracing::info!(
                webhook = self.name,
                account_id = %alert.data.account_id,
                alert_id = alert.data.id,
                "alert is not delivered: the webhook is not for this account"
            );
            return Ok(AckKind::Ack);
        }
        let tries = message.info().map_err(WebhooksError::Interrupted)?.delivered;
        let (metrics, alert_id) = (&self.webhooks.metrics, &alert.data.id);
        let Err(error) = self
            .sender
            .send(self.endpoint.url.as_str(), self.headers(&alert, message), message.payload.clone())
            .await
        else {
            metrics.count(Outcome::Taken);
            tracing::info!(webhook = self.name, alert_id, tries, "alert is delivered");
            return Ok(AckKind::Ack);
        };
        let age_ms = self.webhooks.clock.now_ms() - alert.timestamp.millis();
        if tries > 1 && age_ms.unsigned_abs() > TRIED_FOR_MS {
            metrics.count(Outcome::GivenUp);
            tracing::error!(webhook = self.name, alert_id, tries, error = chain(&error), "alert is given up");
            return Ok(AckKind::Term);
        }
        metrics.count(Outcome::Failed);
        let wait = retry_wait(tries);
        let retry_in_ms = wait.as_millis();
        tracing::warn!(
            webhook = self.name,
            alert_id,
            tries,
            retry_in_ms,
            error = chain(&error),
            "alert is not delivered"
        );
        Ok(AckKind::Nak(Some(wait)))
    }

    fn headers(&self, alert: &Letter, message: &Message) -> HeaderMap {
        let at_s = self.webhooks.clock.now_ms().div_euclid(1_000);
        let signature = self.endpoint.key.sign(&alert.data.id, at_s, &message.payload);
        let texts = [
            (HeaderName::from_static("webhook-id"), alert.data.id.clone()),
            (HeaderName::from_static("webhook-timestamp"), at_s.to_string()),
            (HeaderName::from_static("webhook-signature"), signature),
            (CONTENT_TYPE, "application/json".to_owned()),
            (USER_AGENT, concat!("weir/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        // None of them has a character that a header must not have; an id that had one would be no id of ours.
        texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
    }
}

/// The consumer of an endpoint, which all aggregators share.
#[must_use]
pub fn consumer_config(name: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(place_of(name)),
        description: Some("delivers alerts to a webhook".to_owned()),
        // What was told before there was this endpoint is no news.
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        filter_subject: ALERTS_SUBJECTS.to_owned(),
        inactive_threshold: FORGOTTEN_AFTER,
        ..pull::Config::default()
    }
}

/// The name of the consumer of an endpoint.
pub(super) fn place_of(name: &str) -> String {
    format!("webhook-{name}")
}

/// How long to wait after so many tries.
fn retry_wait(tries: i64) -> Duration {
    let doublings = tries.saturating_sub(1).clamp(0, 16);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_LONGEST)
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_made_further_and_further_apart() {
        let waits = [1, 2, 3, 10, 11, 60, i64::MAX].map(|tries| retry_wait(tries).as_secs());
        assert_eq!(waits, [1, 2, 4, 512, 600, 600, 600]);
    }
}
