//! What ingest counts. Names are an enum; labels are closed sets.

mod names;

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use weir_event::Source;
use weir_service::metrics::Metrics;

use self::names::IngestMetric;
use crate::redact::{Outcome, Rules, Tally};
use crate::sink::Receipt;

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum PushResult {
    /// Everything in it is committed.
    Stored,
    /// Everything in it is committed, or durable in the spool until it can be.
    Spooled,
    /// It was turned away: wrong token, encoding or size.
    Refused,
    /// Its sender is past its rate, and was asked to come back.
    Limited,
    /// It could not be stored; the sender was asked to come back.
    Failed,
    /// The sender left before it was answered.
    Abandoned,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PushLabels {
    result: PushResult,
}

/// What became of a record. When nothing is under way, `received` is the sum of the others: it is counted when a record
/// is read, and they are counted where each record's way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum RecordResult {
    Received,
    Stored,
    Duplicate,
    DeadLettered,
    Ignored,
    /// Durable in the spool. What becomes of it there is counted apart: when nothing is under way, what was spooled by
    /// all processes is what they have drained and what is still in the spool.
    Spooled,
    /// Not committed, or not known to be: the sender was asked to come back with it.
    Failed,
}

/// What became of a record of the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum DrainResult {
    Stored,
    Duplicate,
    DeadLettered,
    /// Committed before, by the write whose outcome was unknown when it was put away.
    Settled,
}

/// Why a message stays in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum DrainTrouble {
    /// This program does not know its form.
    Unreadable,
    /// ClickHouse refuses these very rows.
    Rejected,
    /// It is committed, and NATS does not let go of it.
    Stranded,
}

/// Why a usage message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum DropReason {
    /// More waited than may.
    Backlog,
    /// NATS takes others and not this one.
    Refused,
    /// The process ended first.
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: DropReason,
}

/// What was done to the texts of records, by the policy of their gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: &'static str,
    result: Outcome,
}

/// A rule's name is Weir's or the operator's: as many as are configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    rule: String,
    policy: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RecordLabels {
    source: &'static str,
    result: RecordResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DrainLabels {
    source: &'static str,
    result: DrainResult,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TroubleLabels {
    trouble: DrainTrouble,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: &'static str,
}

/// The metrics of ingest. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    pushes: Family<PushLabels, Counter>,
    records: Family<RecordLabels, Counter>,
    sealed_records: Family<SourceLabels, Counter>,
    write_failures: Counter,
    write_seconds: Histogram,
    write_events: Histogram,
    races_repaired: Counter,
    records_in_flight: Family<SourceLabels, Gauge>,
    ledger_imbalance: Family<SourceLabels, Gauge>,
    rollup_minutes_differing: Gauge,
    rollup_minutes_told: Counter,
    usage_messages_dropped: Family<DropLabels, Counter>,
    redacted_records: Family<PolicyLabels, Counter>,
    redactions: Family<RuleLabels, Counter>,
    senders_file_stale: Gauge,
    drained_records: Family<DrainLabels, Counter>,
    drain_troubles: Family<TroubleLabels, Counter>,
    spool_messages: Gauge,
    spool_bytes: Gauge,
    spool_bytes_max: Gauge,
    spool_records: Family<SourceLabels, Gauge>,
}

impl IngestMetrics {
    /// Registers them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let events = Histogram::new(exponential_buckets(1.0, 4.0, 9));
        let registered = Self {
            pushes: metrics.register(IngestMetric::Pushes, Family::default()),
            records: metrics.register(IngestMetric::Records, Family::default()),
            sealed_records: metrics.register(IngestMetric::SealedRecords, Family::default()),
            write_failures: metrics.register(IngestMetric::WriteFailures, Counter::default()),
            write_seconds: metrics.register(IngestMetric::WriteSeconds, seconds),
            write_events: metrics.register(IngestMetric::WriteEvents, events),
            records_in_flight: metrics.register(IngestMetric::RecordsInFlight, Family::default()),
            ledger_imbalance: metrics.register(IngestMetric::LedgerImbalance, Family::default()),
            rollup_minutes_differing: metrics
                .register(IngestMetric::RollupMinutesDiffering, Gauge::default()),
            rollup_minutes_told: metrics.register(IngestMetric::RollupMinutesTold, Counter::default()),
            races_repaired: metrics.register(IngestMetric::RacesRepaired, Counter::default()),
            usage_messages_dropped: metrics.register(IngestMetric::UsageMessagesDropped, Family::default()),
            redacted_records: metrics.register(IngestMetric::RedactedRecords, Family::default()),
            redactions: metrics.register(IngestMetric::Redactions, Family::default()),
            senders_file_stale: metrics.register(IngestMetric::SendersFileStale, Gauge::default()),
            drained_records: metrics.register(IngestMetric::DrainedRecords, Family::default()),
            drain_troubles: metrics.register(IngestMetric::DrainTroubles, Family::default()),
            spool_messages: metrics.register(IngestMetric::SpoolMessages, Gauge::default()),
            spool_bytes: metrics.register(IngestMetric::SpoolBytes, Gauge::default()),
            spool_bytes_max: metrics.register(IngestMetric::SpoolBytesMax, Gauge::default()),
            spool_records: metrics.register(IngestMetric::SpoolRecords, Family::default()),
        };
        registered.begin_at_zero();
        registered
    }

    /// A counter that comes into being with its first event shows no rise: what is alerted on is there from the start.
    fn begin_at_zero(&self) {
        use {DrainTrouble as Trouble, DropReason as Drop, PushResult as Push, RecordResult as Record};
        for result in
            [Push::Stored, Push::Spooled, Push::Refused, Push::Limited, Push::Failed, Push::Abandoned]
        {
            drop(self.pushes.get_or_create(&PushLabels { result }));
        }
        for source in Source::ALL {
            for result in [Record::Received, Record::DeadLettered, Record::Failed] {
                drop(self.records.get_or_create(&RecordLabels { source: source.as_str(), result }));
            }
        }
        for reason in [Drop::Backlog, Drop::Refused, Drop::Stopped] {
            drop(self.usage_messages_dropped.get_or_create(&DropLabels { reason }));
        }
        for trouble in [Trouble::Unreadable, Trouble::Rejected, Trouble::Stranded] {
            drop(self.drain_troubles.get_or_create(&TroubleLabels { trouble }));
        }
    }

    pub(crate) fn push(&self, result: PushResult) {
        self.pushes.get_or_create(&PushLabels { result }).inc();
    }

    /// Counts records that were read, before anything is done with them.
    pub(crate) fn received(&self, source: &'static str, count: u64) {
        self.records(source, RecordResult::Received, count);
    }

    /// Counts records in which there is nothing to store.
    pub(crate) fn ignored(&self, source: &'static str, count: u64) {
        self.records(source, RecordResult::Ignored, count);
    }

    /// Counts records that were to be stored, and are not known to be.
    pub(crate) fn failed(&self, source: &'static str, count: u64) {
        self.records(source, RecordResult::Failed, count);
    }

    /// Counts the records of a batch that is committed, or put away.
    pub(crate) fn settled(&self, source: &'static str, receipt: &Receipt) {
        self.records(source, RecordResult::Stored, receipt.stored);
        self.records(source, RecordResult::Duplicate, receipt.duplicates);
        self.records(source, RecordResult::DeadLettered, receipt.dead_lettered);
        self.records(source, RecordResult::Spooled, receipt.spooled);
        self.sealed(source, receipt.sealed);
    }

    /// Counts the records of a batch that came from the spool and is committed.
    pub(crate) fn drained(&self, source: &'static str, receipt: &Receipt) {
        self.drained_as(source, DrainResult::Stored, receipt.stored);
        self.drained_as(source, DrainResult::Duplicate, receipt.duplicates);
        self.drained_as(source, DrainResult::DeadLettered, receipt.dead_lettered);
        self.sealed(source, receipt.sealed);
    }

    /// Counts the records of a batch in the spool that turned out to be committed.
    pub(crate) fn drained_before(&self, source: &'static str, count: u64) {
        self.drained_as(source, DrainResult::Settled, count);
    }

    /// Counts a message that stays in the spool.
    pub(crate) fn drain_trouble(&self, trouble: DrainTrouble) {
        self.drain_troubles.get_or_create(&TroubleLabels { trouble }).inc();
    }

    /// Says how large the spool may be.
    pub(crate) fn spool_bytes_max(&self, bytes: i64) {
        self.spool_bytes_max.set(bytes);
    }

    /// Sets what is in the spool. A source that is not named has nothing there.
    pub(crate) fn spool_level(
        &self,
        messages: u64,
        bytes: u64,
        records: impl Iterator<Item = (&'static str, u64)>,
    ) {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.spool_messages.set(signed(messages));
        self.spool_bytes.set(signed(bytes));
        let mut by_source: BTreeMap<_, _> = Source::ALL.iter().map(|source| (source.as_str(), 0)).collect();
        by_source.extend(records);
        for (source, records) in by_source {
            self.spool_records.get_or_create(&SourceLabels { source }).set(signed(records));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a histogram counts in floats; no write has 2^53 events")]
    pub(crate) fn written(&self, events: usize, took: Duration) {
        self.write_seconds.observe(took.as_secs_f64());
        self.write_events.observe(events as f64);
    }

    pub(crate) fn senders_file_is_stale(&self, is_stale: bool) {
        self.senders_file_stale.set(i64::from(is_stale));
    }

    pub(crate) fn write_failed(&self) {
        self.write_failures.inc();
    }

    /// Records that were read and whose way has not ended. What is counted by two threads at once may make it one
    /// moment's less than 0.
    pub(crate) fn in_flight(&self, source: &'static str) -> u64 {
        let in_flight = self.records_in_flight.get_or_create(&SourceLabels { source }).get();
        u64::try_from(in_flight).unwrap_or_default()
    }

    /// Says by how many records the ledger is off.
    pub(crate) fn ledger_imbalance(&self, source: &'static str, records: u64) {
        let gauge = self.ledger_imbalance.get_or_create(&SourceLabels { source });
        gauge.set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// Says how many minutes have a rollup that differs from their rows for longer than the aggregator may take.
    pub(crate) fn rollup_minutes_differing(&self, minutes: usize) {
        self.rollup_minutes_differing.set(i64::try_from(minutes).unwrap_or(i64::MAX));
    }

    pub(crate) fn rollup_minutes_told(&self, minutes: usize) {
        self.rollup_minutes_told.inc_by(minutes as u64);
    }

    pub(crate) fn races_repaired(&self, rows: usize) {
        self.races_repaired.inc_by(rows as u64);
    }

    pub(crate) fn usage_messages_dropped(&self, reason: DropReason, count: usize) {
        self.usage_messages_dropped.get_or_create(&DropLabels { reason }).inc_by(count as u64);
    }

    /// Counts what was done to the texts of a batch, as it came in: a record that comes twice is counted twice.
    pub(crate) fn redacted(&self, tally: &Tally, rules: &Rules) {
        for (policy, result, count) in tally.records() {
            let labels = PolicyLabels { policy: policy.name(), result };
            self.redacted_records.get_or_create(&labels).inc_by(count);
        }
        for (rule, policy, count) in tally.places() {
            let labels = RuleLabels { rule: rules.name(rule).to_owned(), policy: policy.name() };
            self.redactions.get_or_create(&labels).inc_by(count);
        }
    }

    fn sealed(&self, source: &'static str, count: u64) {
        if count > 0 {
            self.sealed_records.get_or_create(&SourceLabels { source }).inc_by(count);
        }
    }

    fn drained_as(&self, source: &'static str, result: DrainResult, count: u64) {
        self.drained_records.get_or_create(&DrainLabels { source, result }).inc_by(count);
    }

    fn records(&self, source: &'static str, result: RecordResult, count: u64) {
        self.records.get_or_create(&RecordLabels { source, result }).inc_by(count);
        let in_flight = self.records_in_flight.get_or_create(&SourceLabels { source });
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        if result == RecordResult::Received {
            in_flight.inc_by(count)
        } else {
            in_flight.dec_by(count)
        };
    }
}
