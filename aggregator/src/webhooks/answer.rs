//! Says which webhooks an account's budgets may name, to whoever shows budgets.

use std::convert::Infallible;
use std::time::Duration;

use async_nats::Message;
use futures_util::StreamExt;
use tokio::time::sleep;
use weir_budget::{WEBHOOKS_SUBJECT, WebhooksAnswer, WebhooksRequest};
use weir_service::telemetry::chain;

use super::delivery::Webhooks;

/// Of all aggregators one answers: they have the same file.
const GROUP: &str = "aggregators";
/// Before it is subscribed anew.
const PAUSE: Duration = Duration::from_secs(1);

impl Webhooks {
    /// Answers for ever.
    pub(super) async fn answer(&self) -> Infallible {
        loop {
            match self.client.queue_subscribe(WEBHOOKS_SUBJECT, GROUP.to_owned()).await {
                Ok(mut questions) => {
                    while let Some(question) = questions.next().await {
                        self.answer_one(question).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = chain(&error), "nobody is told which webhooks there are");
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// What is no question gets no answer.
    async fn answer_one(&self, question: Message) {
        let Some(reply) = question.reply else { return };
        let Ok(asked) = serde_json::from_slice::<WebhooksRequest>(&question.payload) else { return };
        let is_for = |(name, endpoint): (&String, &super::Endpoint)| {
            endpoint.is_for(&asked.account_id).then(|| name.clone())
        };
        let answer = WebhooksAnswer { webhooks: self.endpoints.iter().filter_map(is_for).collect() };
        let answer = serde_json::to_vec(&answer).expect("it has names for keys");
        if let Err(error) = self.client.publish(reply, answer.into()).await {
            tracing::debug!(error = chain(&error), "a question about webhooks is not answered");
        }
    }
}
