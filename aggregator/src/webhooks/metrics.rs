//! What is counted of deliveries.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use weir_service::metrics::{MetricName, Metrics};

/// Counts deliveries, and tells what waits. Clones count in the same place.
#[derive(Clone, Debug)]
pub struct WebhookMetrics {
    deliveries: Family<DeliveryLabels, Counter>,
    waiting: Gauge,
    stream_bytes: Gauge,
    stream_bytes_max: Gauge,
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
enum WebhookMetric {
    Deliveries,
    Waiting,
    StreamBytes,
    StreamBytesMax,
}

impl WebhookMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        let counted = Self {
            deliveries: metrics.register(WebhookMetric::Deliveries, Family::default()),
            waiting: metrics.register(WebhookMetric::Waiting, Gauge::default()),
            stream_bytes: metrics.register(WebhookMetric::StreamBytes, Gauge::default()),
            stream_bytes_max: metrics.register(WebhookMetric::StreamBytesMax, Gauge::default()),
        };
        // Nothing is known to be full before it was looked at.
        counted.show_stream(0, i64::MAX);
        // Alerts watch how these grow, and nothing grows from nowhere.
        for outcome in [Outcome::Taken, Outcome::Failed, Outcome::GivenUp, Outcome::Refused] {
            drop(counted.deliveries.get_or_create(&DeliveryLabels { outcome }));
        }
        counted
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.deliveries.get_or_create(&DeliveryLabels { outcome }).inc();
    }

    /// So many alerts wait for the endpoint that the most wait for.
    pub(super) fn show_waiting(&self, alerts: u64) {
        self.waiting.set(i64::try_from(alerts).unwrap_or(i64::MAX));
    }

    /// The stream of alerts has so many bytes, and gives up its oldest beyond so many.
    pub(super) fn show_stream(&self, bytes: u64, bytes_max: i64) {
        self.stream_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.stream_bytes_max.set(bytes_max);
    }
}

impl MetricName for WebhookMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Deliveries => "aggregator_webhook_deliveries",
            Self::Waiting => "aggregator_webhook_alerts_waiting",
            Self::StreamBytes => "aggregator_alert_stream_bytes",
            Self::StreamBytesMax => "aggregator_alert_stream_bytes_max",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries of alerts to webhooks, by what came of them",
            Self::Waiting => "alerts that wait for the webhook that the most wait for",
            Self::StreamBytes => "bytes in the stream of alerts",
            Self::StreamBytesMax => "bytes beyond which that gives up its oldest",
        }
    }
}
