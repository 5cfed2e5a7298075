//! How full the stream of alerts is, and how many alerts wait for their endpoints.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use weir_service::telemetry::chain;

use super::delivery::{Webhooks, WebhooksError, place_of};
use crate::budgets::alert_stream;

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);

impl Webhooks {
    /// Looks for ever. What cannot be looked at is told by those who deliver.
    pub(super) async fn watch(&self) -> Infallible {
        let mut looks = interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = self.look().await {
                tracing::debug!(error = chain(&error), "the stream of alerts cannot be looked at");
            }
        }
    }

    async fn look(&self) -> Result<(), WebhooksError> {
        let stream = alert_stream(&self.context).await.map_err(WebhooksError::Stream)?;
        let info = stream.cached_info();
        // One that is taken as it is may have no bound.
        let bytes_max = if info.config.max_bytes > 0 { info.config.max_bytes } else { i64::MAX };
        self.metrics.show_stream(info.state.bytes, bytes_max);
        let mut most = 0;
        for (name, _) in self.endpoints.iter() {
            // Nobody may have delivered to it yet.
            if let Ok(place) = stream.consumer_info(place_of(name)).await {
                most = most.max(place.num_pending + place.num_ack_pending as u64);
            }
        }
        self.metrics.show_waiting(most);
        Ok(())
    }
}
