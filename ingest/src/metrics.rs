//! What ingest counts. Names are an enum; labels are closed sets.

use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use weir_service::metrics::{MetricName, Metrics};

use crate::pipeline::Batch;
use crate::sink::Receipt;

#[derive(Clone, Copy, Debug)]
enum IngestMetric {
    Pushes,
    Records,
    WriteFailures,
    WriteSeconds,
    WriteEvents,
    UsageMessagesDropped,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum PushResult {
    /// Everything in it is committed.
    Stored,
    /// It was turned away: wrong token, encoding or size.
    Refused,
    /// It could not be stored; the sender was asked to come back.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PushLabels {
    result: PushResult,
}

/// What became of a record. `received` is the sum of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum RecordResult {
    Received,
    Stored,
    Duplicate,
    DeadLettered,
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    source: &'static str,
    result: RecordResult,
}

/// The metrics of ingest. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    pushes: Family<PushLabels, Counter>,
    records: Family<RecordLabels, Counter>,
    write_failures: Counter,
    write_seconds: Histogram,
    write_events: Histogram,
    usage_messages_dropped: Counter,
}

impl IngestMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let events = Histogram::new(exponential_buckets(1.0, 4.0, 9));
        Self {
            pushes: metrics.register(IngestMetric::Pushes, Family::default()),
            records: metrics.register(IngestMetric::Records, Family::default()),
            write_failures: metrics.register(IngestMetric::WriteFailures, Counter::default()),
            write_seconds: metrics.register(IngestMetric::WriteSeconds, seconds),
            write_events: metrics.register(IngestMetric::WriteEvents, events),
            usage_messages_dropped: metrics.register(IngestMetric::UsageMessagesDropped, Counter::default()),
        }
    }

    pub(crate) fn push(&self, result: PushResult) {
        self.pushes.get_or_create(&PushLabels { result }).inc();
    }

    /// Counts the records of a batch that is committed.
    pub(crate) fn settled(&self, batch: &Batch, receipt: &Receipt) {
        let source = batch.origin.source.as_str();
        for (result, count) in [
            (RecordResult::Received, batch.received()),
            (RecordResult::Stored, receipt.stored),
            (RecordResult::Duplicate, receipt.duplicates),
            (RecordResult::DeadLettered, receipt.dead_lettered),
            (RecordResult::Ignored, batch.ignored),
        ] {
            self.records.get_or_create(&RecordLabels { source, result }).inc_by(count);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a histogram counts in floats; no write has 2^53 events")]
    pub(crate) fn written(&self, events: usize, took: Duration) {
        self.write_seconds.observe(took.as_secs_f64());
        self.write_events.observe(events as f64);
    }

    pub(crate) fn write_failed(&self) {
        self.write_failures.inc();
    }

    pub(crate) fn usage_messages_dropped(&self) {
        self.usage_messages_dropped.inc();
    }
}

impl MetricName for IngestMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Pushes => "ingest_pushes",
            Self::Records => "ingest_records",
            Self::WriteFailures => "ingest_write_failures",
            Self::WriteSeconds => "ingest_write_seconds",
            Self::WriteEvents => "ingest_write_events",
            Self::UsageMessagesDropped => "ingest_usage_messages_dropped",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Pushes => "pushes, by what became of them",
            Self::Records => "records of committed batches, by source and what became of them",
            Self::WriteFailures => "writes to ClickHouse that failed; their senders were asked to come back",
            Self::WriteSeconds => "time from taking a group of batches to having it committed",
            Self::WriteEvents => "events in one write",
            Self::UsageMessagesDropped => "usage messages given up because NATS was away for too long",
        }
    }
}
