//! The stream of alerts: what was told, and the one step in which something is.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream};
use bytes::Bytes;
use weir_budget::{
    ALERTS_AGE_MAX, ALERTS_BYTES_MAX, ALERTS_PER_THRESHOLD_MAX, ALERTS_STREAM, ALERTS_SUBJECTS, Alert,
    BudgetId,
};

use super::error::BudgetsError;

/// The stream.
#[derive(Debug)]
pub(crate) struct Alerts {
    context: Context,
    stream: Stream,
}

/// What was told last of a threshold.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Its place in the stream; 0 where nothing was ever told.
    pub(super) sequence: u64,
    /// What it was, as far as it can be read.
    pub(super) alert: Option<Alert>,
}

/// The stream, created if nobody has yet. One that is there is taken as it is.
pub async fn alert_stream(
    context: &Context,
) -> Result<Stream, async_nats::jetstream::context::CreateStreamError> {
    let config = Config {
        name: ALERTS_STREAM.to_owned(),
        subjects: vec![ALERTS_SUBJECTS.to_owned()],
        storage: StorageType::File,
        discard: DiscardPolicy::Old,
        max_age: ALERTS_AGE_MAX,
        max_messages_per_subject: ALERTS_PER_THRESHOLD_MAX,
        max_bytes: ALERTS_BYTES_MAX,
        ..Config::default()
    };
    context.get_or_create_stream(config).await
}

impl Alerts {
    pub(crate) async fn open(context: Context) -> Result<Self, BudgetsError> {
        let stream = alert_stream(&context).await.map_err(BudgetsError::Alerts)?;
        Ok(Self { context, stream })
    }

    /// What was told last of a threshold of a budget.
    pub(super) async fn last(&self, budget: &BudgetId, threshold: u16) -> Result<Told, BudgetsError> {
        let (sequence, payload) = self.last_under(&Alert::subject(budget, threshold)).await?;
        Ok(Told { sequence, alert: payload.and_then(|payload| serde_json::from_slice(&payload).ok()) })
    }

    /// Tells, unless something else was told since `last`: then it is `None`.
    pub(super) async fn tell(
        &self,
        budget: &BudgetId,
        last: u64,
        alert: Alert,
    ) -> Result<Option<Told>, BudgetsError> {
        let payload = serde_json::to_vec(&alert).expect("it has names for keys and no value that JSON lacks");
        let stored = self.append(Alert::subject(budget, alert.data.threshold), last, payload).await?;
        Ok(stored.map(|sequence| Told { sequence, alert: Some(alert) }))
    }

    /// The last message under a subject, and its place in the stream; 0 where there was never one.
    pub(crate) async fn last_under(&self, subject: &str) -> Result<(u64, Option<Bytes>), BudgetsError> {
        match self.stream.get_last_raw_message_by_subject(subject).await {
            Ok(found) => Ok((found.sequence, Some(found.payload))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok((0, None)),
            Err(error) => Err(BudgetsError::LastAlert(error)),
        }
    }

    /// Writes a message behind the one that is `last` under its subject, and gives its place; `None` if another one is.
    pub(crate) async fn append(
        &self,
        subject: String,
        last: u64,
        payload: Vec<u8>,
    ) -> Result<Option<u64>, BudgetsError> {
        let message = PublishMessage::build()
            .payload(payload.into())
            .expected_stream(ALERTS_STREAM)
            .expected_last_subject_sequence(last);
        let sent = self.context.send_publish(subject, message).await.map_err(BudgetsError::Publish)?;
        match sent.await {
            Ok(stored) => Ok(Some(stored.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(BudgetsError::Publish(error)),
        }
    }
}
