//! Who settles a write says so over NATS, so that nobody drains its batches meanwhile: an id check cannot see rows that
//! are still to land.

use std::time::Duration;

use async_nats::Client;
use async_nats::client::RequestErrorKind;
use clickhouse::Row;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::task::JoinHandle;
use weir_event::{AccountId, Source, bus};
use weir_service::telemetry::chain;

use super::super::submit::Answer;
use super::super::{SinkError, Store};
use super::{Doubt, Spool, SpoolError};

/// How long the one who settles may take to answer. Silence is no answer: someone listens.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const HOUR_MS: i64 = 3_600_000;

/// Answers whoever asks whether a write is being settled, until it is dropped.
#[derive(Debug)]
pub(in super::super) struct Settling(JoinHandle<()>);

/// What is known of a batch whose write was in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is being settled, or runs.
    NotYet,
    /// It was committed whole, and is in the ledger.
    Committed,
    /// It was not, and will not be. Some of its rows may be there.
    GivenUp,
}

#[derive(Row, Deserialize)]
struct CountRow {
    count: u64,
}

/// Says that the write is being settled, if batches of it may be put away. It has to be said before they are.
pub(in super::super) async fn settling(answers: &[Answer], doubt: &Doubt) -> Option<Settling> {
    let client = answers.iter().find_map(Answer::spool).map(Spool::client)?;
    match client.subscribe(bus::settling_subject(&doubt.token)).await {
        Ok(mut questions) => Some(Settling(tokio::spawn(async move {
            while let Some(question) = questions.next().await {
                if let Some(reply) = question.reply {
                    // Who asked asks again.
                    let _ = client.publish(reply, bytes::Bytes::new()).await;
                }
            }
        }))),
        Err(error) => {
            // The client has stopped: nothing can be put away then.
            tracing::warn!(error = chain(&error), "nobody can be told that a write is being settled");
            None
        }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What became of the write that a batch of `source` and `account_id` was in.
pub(super) async fn outcome(
    doubt: &Doubt,
    (source, account_id): (Source, &AccountId),
    client: &Client,
    store: &Store,
) -> Result<Known, SpoolError> {
    if is_being_settled(doubt, client).await? {
        return Ok(Known::NotYet);
    }
    let of_store = |error| SpoolError::Doubt(Box::new(error));
    if !store.running_inserts(&doubt.token).await.map_err(of_store)?.is_empty() {
        return Ok(Known::NotYet);
    }
    // Its entry in the ledger is the last thing that a write stores.
    let entered = store.has_entry(doubt, source, account_id).await.map_err(of_store)?;
    Ok(if entered { Known::Committed } else { Known::GivenUp })
}

async fn is_being_settled(doubt: &Doubt, client: &Client) -> Result<bool, SpoolError> {
    let question = client.request(bus::settling_subject(&doubt.token), bytes::Bytes::new());
    match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        Ok(Ok(_)) | Err(_) => Ok(true),
        Ok(Err(error)) => match error.kind() {
            RequestErrorKind::NoResponders => Ok(false),
            RequestErrorKind::TimedOut => Ok(true),
            RequestErrorKind::InvalidSubject
            | RequestErrorKind::MaxPayloadExceeded
            | RequestErrorKind::Other => Err(SpoolError::Away),
        },
    }
}

impl Store {
    /// Whether the writer has entered its write in the ledger. What others enter for it, who find it only in part, is of
    /// version 0 and does not count.
    async fn has_entry(
        &self,
        doubt: &Doubt,
        source: Source,
        account_id: &AccountId,
    ) -> Result<bool, SinkError> {
        const ENTRY: &str = "SELECT count() AS count FROM ledger WHERE hour = toDateTime(?, 'UTC') AND source = ? \
             AND account_id = ? AND write_id = ? AND subject = '' AND version > 0";
        let query = self
            .client
            .query(ENTRY)
            .bind(doubt.at_ms.div_euclid(HOUR_MS) * HOUR_MS / 1_000)
            .bind(source.as_str())
            .bind(account_id.as_str())
            .bind(doubt.write_id);
        let row: CountRow = self.within("look at the ledger", query.fetch_one()).await?;
        Ok(row.count > 0)
    }
}
