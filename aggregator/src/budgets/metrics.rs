//! What is counted of budgets.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use weir_service::metrics::{MetricName, Metrics};

use crate::webhooks::NoWay;

const DURATION_BOUNDS_S: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
const DELAY_BOUNDS_S: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Handles to the metrics. Clones count in the same place.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is described by the help text of its name")]
pub struct BudgetMetrics {
    pub watching: Gauge,
    pub budgets: Gauge,
    pub alerts: Counter,
    pub alerts_refused: Counter,
    pub failures: Counter,
    pub read_duration_s: Histogram,
    pub word_delay_s: Histogram,
    webhooks_without_way: Family<NoWayLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NoWayLabels {
    reason: Reason,
}

/// As [`NoWay`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Reason {
    Unknown,
    Foreign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BudgetMetric {
    Watching,
    Budgets,
    Alerts,
    AlertsRefused,
    Failures,
    ReadDuration,
    WordDelay,
    WebhooksWithoutWay,
}

impl BudgetMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        Self {
            watching: metrics.register(BudgetMetric::Watching, Gauge::default()),
            budgets: metrics.register(BudgetMetric::Budgets, Gauge::default()),
            alerts: metrics.register(BudgetMetric::Alerts, Counter::default()),
            alerts_refused: metrics.register(BudgetMetric::AlertsRefused, Counter::default()),
            failures: metrics.register(BudgetMetric::Failures, Counter::default()),
            read_duration_s: metrics.register(BudgetMetric::ReadDuration, Histogram::new(DURATION_BOUNDS_S)),
            word_delay_s: metrics.register(BudgetMetric::WordDelay, Histogram::new(DELAY_BOUNDS_S)),
            webhooks_without_way: metrics.register(BudgetMetric::WebhooksWithoutWay, Family::default()),
        }
    }

    /// So many times a budget names a webhook that it does not lead to, of all that are watched here.
    pub fn set_without_way(&self, reason: NoWay, times: usize) {
        let reason = match reason {
            NoWay::Unknown => Reason::Unknown,
            NoWay::Foreign => Reason::Foreign,
        };
        let gauge = self.webhooks_without_way.get_or_create(&NoWayLabels { reason });
        gauge.set(i64::try_from(times).unwrap_or(i64::MAX));
    }
}

impl MetricName for BudgetMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Watching => "aggregator_budgets_watching",
            Self::Budgets => "aggregator_budgets",
            Self::Alerts => "aggregator_budget_alerts",
            Self::AlertsRefused => "aggregator_budget_alerts_refused",
            Self::Failures => "aggregator_budget_failures",
            Self::ReadDuration => "aggregator_budget_read_seconds",
            Self::WordDelay => "aggregator_budget_delay_seconds",
            Self::WebhooksWithoutWay => "aggregator_budget_webhooks_without_way",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Watching => "whether this process is the one that watches budgets",
            Self::Budgets => "budgets that are watched here",
            Self::Alerts => "thresholds of budgets that were told of",
            Self::AlertsRefused => "alerts that somebody else had written already",
            Self::Failures => "times that budgets could not be watched, or those of one gateway",
            Self::ReadDuration => "time to sum up what was touched, of the budgets of one gateway",
            Self::WordDelay => "time from the word of rows to the decision on their budgets",
            Self::WebhooksWithoutWay => {
                "times that budgets name a webhook that is not configured, or not for their account"
            }
        }
    }
}
