//! Asks the aggregators for their live windows, over NATS.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Request, RequestErrorKind};
use weir_event::bus::{LIVE_SUBJECT, LiveRequest, LiveSnapshot};
use weir_event::{Dimension, Scope};
use weir_service::config::NatsConfig;

use crate::auth::Readable;

/// The aggregators, as far as they listen. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Aggregators {
    client: Client,
    timeout: Duration,
}

/// The aggregators did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Nobody keeps live windows at the moment.
    #[error("no aggregator is running")]
    NoAggregator,
    /// Nobody answered in time, or NATS cannot be reached.
    #[error("aggregators cannot be reached")]
    Unreachable(#[source] async_nats::RequestError),
    /// An answer is not what we expect: versions that do not fit together.
    #[error("answer of an aggregator cannot be read")]
    Answer(#[source] serde_json::Error),
}

impl Aggregators {
    /// Connects in the background and for ever: a NATS server that comes later, or comes back, is found. An answer
    /// is waited for as long as `timeout`.
    pub async fn connect(config: &NatsConfig, timeout: Duration) -> Result<Self, async_nats::ConnectError> {
        let options = ConnectOptions::new().name("query-api").retry_on_initial_connect();
        let options = match &config.token {
            Some(token) => options.token(token.expose().to_owned()),
            None => options,
        };
        let client = options.connect(config.url.as_str()).await?;
        Ok(Self { client, timeout })
    }

    /// The snapshots of a tenant, one for each aggregator that keeps windows of it. There is one aggregator for now,
    /// so the first answer is the whole of it.
    pub async fn snapshots(&self, scope: &Readable<Scope>) -> Result<Vec<LiveSnapshot>, LiveError> {
        let question = LiveRequest {
            scope: Scope::clone(scope),
            filter: String::new(),
            group_by: vec![Dimension::Token, Dimension::Model],
            top: None,
        };
        let question = serde_json::to_vec(&question).expect("plain data always prints as JSON");
        let request = Request::new().payload(question.into()).timeout(Some(self.timeout));
        let answer = self.client.send_request(LIVE_SUBJECT, request).await.map_err(|error| {
            if error.kind() == RequestErrorKind::NoResponders {
                LiveError::NoAggregator
            } else {
                LiveError::Unreachable(error)
            }
        })?;
        let snapshot = serde_json::from_slice(&answer.payload).map_err(LiveError::Answer)?;
        Ok(vec![snapshot])
    }

    /// The connection, for others to ask over.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Whether NATS is there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }
}
