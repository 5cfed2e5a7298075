//! The stream of alerts: what was told, and the one step in which something is.

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DiscardPolicy, LastRawMessageErrorKind, StorageType, Stream};
use weir_budget::{ALERTS_AGE_MAX, ALERTS_STREAM, ALERTS_SUBJECTS, Alert, BudgetId};

use super::error::BudgetsError;

/// The stream.
#[derive(Debug)]
pub(super) struct Alerts {
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
        ..Config::default()
    };
    context.get_or_create_stream(config).await
}

impl Alerts {
    pub(super) async fn open(context: Context) -> Result<Self, BudgetsError> {
        let stream = alert_stream(&context).await.map_err(BudgetsError::Alerts)?;
        Ok(Self { context, stream })
    }

    /// What was told last of a threshold of a budget.
    pub(super) async fn last(&self, budget: &BudgetId, threshold: u16) -> Result<Told, BudgetsError> {
        match self.stream.get_last_raw_message_by_subject(&Alert::subject(budget, threshold)).await {
            Ok(found) => {
                Ok(Told { sequence: found.sequence, alert: serde_json::from_slice(&found.payload).ok() })
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Told::default()),
            Err(error) => Err(BudgetsError::LastAlert(error)),
        }
    }

    /// Tells, unless something else was told since `last`: then it is `None`.
    pub(super) async fn tell(
        &self,
        budget: &BudgetId,
        last: u64,
        alert: Alert,
    ) -> Result<Option<Told>, BudgetsError> {
        let payload = serde_json::to_vec(&alert).expect("it has names for keys and no value that JSON lacks");
        let message = PublishMessage::build()
            .payload(payload.into())
            .expected_stream(ALERTS_STREAM)
            .expected_last_subject_sequence(last);
        let subject = Alert::subject(budget, alert.data.threshold);
        let sent = self.context.send_publish(subject, message).await.map_err(BudgetsError::Publish)?;
        match sent.await {
            Ok(stored) => Ok(Some(Told { sequence: stored.sequence, alert: Some(alert) })),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(BudgetsError::Publish(error)),
        }
    }
}
