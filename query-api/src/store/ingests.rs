//! Asks the ingest processes what is on its way, over NATS.

use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};
pub use weir_event::bus::InFlight;
use weir_event::bus::LEDGER_SUBJECT;

/// After the last answer so far: how many processes there are nobody knows.
const SILENCE: Duration = Duration::from_millis(200);

/// The ingest processes, as far as they listen. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Ingests {
    client: Client,
    timeout: Duration,
}

impl Ingests {
    /// Asks over `client`, and waits for no more than `timeout`.
    #[must_use]
    pub const fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// What each process says that answers. None where NATS is away: what is stored can be told all the same.
    pub async fn in_flight(&self) -> Vec<InFlight> {
        if self.client.connection_state() != State::Connected {
            return Vec::new();
        }
        let end = Instant::now() + self.timeout;
        let inbox = self.client.new_inbox();
        let Ok(Ok(mut answers)) = timeout_at(end, self.client.subscribe(inbox.clone())).await else {
            return Vec::new();
        };
        let asked = self.client.publish_with_reply(LEDGER_SUBJECT, inbox, Bytes::new());
        if !matches!(timeout_at(end, asked).await, Ok(Ok(()))) {
            return Vec::new();
        }
        let mut in_flight = Vec::new();
        let mut until = end;
        while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
            // Nobody listens.
            if answer.status.is_some() {
                break;
            }
            if let Ok(answer) = serde_json::from_slice(&answer.payload) {
                in_flight.push(answer);
            } else {
                tracing::warn!("answer of an ingest process cannot be read");
            }
            until = end.min(Instant::now() + SILENCE);
        }
        in_flight
    }
}
