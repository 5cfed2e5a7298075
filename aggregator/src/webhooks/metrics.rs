//! What is counted of deliveries.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use weir_service::metrics::{MetricName, Metrics};

/// Counts deliveries. Clones count in the same place.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    deliveries: Family<DeliveryLabels, Counter>,
}

/// What came of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Outcome {
    /// The endpoint took it.
    Taken,
    /// It did not, or was not there: to be tried again.
    Failed,
    /// It has not for so long that it is not tried again.
    GivenUp,
    /// It was not sent: the endpoint is not for the account of the budget that names it.
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deliveries;

impl WebhookMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        let counted = Self { deliveries: metrics.register(Deliveries, Family::default()) };
        // Alerts watch how these grow, and nothing grows from nowhere.
        for outcome in [Outcome::Taken, Outcome::Failed, Outcome::GivenUp, Outcome::Refused] {
            drop(counted.deliveries.get_or_create(&DeliveryLabels { outcome }));
        }
        counted
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.deliveries.get_or_create(&DeliveryLabels { outcome }).inc();
    }
}

impl MetricName for Deliveries {
    fn name(self) -> &'static str {
        "aggregator_webhook_deliveries"
    }

    fn help(self) -> &'static str {
        "deliveries of alerts to webhooks, by what came of them"
    }
}
