//! Asks over NATS what is on its way: the ingest processes what they have in hand, and JetStream what is in the spool.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout, timeout_at};
use weir_event::Source;
pub use weir_event::bus::InFlight;
use weir_event::bus::{LEDGER_SUBJECT, SPOOL_STREAM, SPOOL_SUBJECTS, spooled_records};
use weir_service::telemetry::chain;

use crate::auth::{AllTenants, Readable};

/// After the last answer so far: how many processes there are nobody knows.
const SILENCE: Duration = Duration::from_millis(200);

/// The ingest processes, as far as they listen. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Ingests {
    client: Client,
    timeout: Duration,
}

/// What is on its way, of all accounts. What nobody could be asked for is `None`, which is not nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnItsWay {
    /// What each ingest process says that answered in time.
    pub in_hand: Option<Vec<InFlight>>,
    /// Records that wait in the spool, by source; a source without any is missing.
    pub spooled: Option<BTreeMap<Source, u64>>,
}

impl Ingests {
    /// Asks over `client`, and waits for no more than `timeout`.
    #[must_use]
    pub const fn new(client: Client, timeout: Duration) -> Self {
        Self { client, timeout }
    }

    /// What is on its way now. What is stored can be told without it, so nothing here is an error.
    pub async fn on_its_way(&self, _everyone: &Readable<AllTenants>) -> OnItsWay {
        if self.client.connection_state() != State::Connected {
            return OnItsWay::default();
        }
        let (in_hand, spooled) = tokio::join!(self.in_hand(), timeout(self.timeout, self.spooled()));
        OnItsWay { in_hand, spooled: spooled.ok().flatten() }
    }

    async fn in_hand(&self) -> Option<Vec<InFlight>> {
        let end = Instant::now() + self.timeout;
        let inbox = self.client.new_inbox();
        let mut answers = timeout_at(end, self.client.subscribe(inbox.clone())).await.ok()?.ok()?;
        let asked = self.client.publish_with_reply(LEDGER_SUBJECT, inbox, Bytes::new());
        timeout_at(end, asked).await.ok()?.ok()?;
        let mut in_hand = Vec::new();
        let mut until = end;
        loop {
            let Ok(Some(answer)) = timeout_at(until, answers.next()).await else { break };
            // Nobody listens.
            if answer.status.is_some() {
                break;
            }
            if let Ok(answer) = serde_json::from_slice(&answer.payload) {
                in_hand.push(answer);
            } else {
                tracing::warn!("answer of an ingest process cannot be read");
            }
            until = end.min(Instant::now() + SILENCE);
        }
        Some(in_hand)
    }

    async fn spooled(&self) -> Option<BTreeMap<Source, u64>> {
        let mut context = jetstream::new(self.client.clone());
        context.set_timeout(self.timeout);
        let stream = match context.get_stream(SPOOL_STREAM).await {
            Ok(stream) => stream,
            Err(error) => {
                let is_none = matches!(error.kind(), GetStreamErrorKind::JetStream(answer)
                    if answer.error_code() == ErrorCode::STREAM_NOT_FOUND);
                if !is_none {
                    tracing::warn!(error = chain(&error), "the spool cannot be looked at");
                }
                return is_none.then(BTreeMap::new);
            }
        };
        let counted = async { stream.info_with_subjects(SPOOL_SUBJECTS).await?.try_collect().await };
        match counted.await {
            Ok::<Vec<(String, usize)>, jetstream::stream::InfoError>(subjects) => {
                let counts = subjects.iter().map(|(subject, messages)| (subject.as_str(), *messages as u64));
                Some(spooled_records(counts))
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the spool cannot be looked at");
                None
            }
        }
    }
}
