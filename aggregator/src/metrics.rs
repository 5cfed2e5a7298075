//! What the aggregator counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use weir_service::metrics::{MetricName, Metrics};

use crate::fold::Applied;

/// Upper bounds of the flush durations, in seconds.
const FLUSH_BOUNDS_S: [f64; 9] = [0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];
/// Upper bounds of the delays from publishing to the windows, in seconds.
const DELAY_BOUNDS_S: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0, 60.0];

/// The names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AggregatorMetric {
    Messages,
    MessagesUndecodable,
    Losses,
    EntriesFolded,
    EntriesRedelivered,
    EntriesDuplicate,
    EntriesRepeated,
    EntriesLate,
    EntriesSkewed,
    EntriesRest,
    EntriesHomeless,
    MessagesPending,
    FoldDelay,
    Keys,
    Ids,
    Warm,
    WarmUps,
    Rereads,
    WarmUpDuration,
    DirtyMinutes,
    MinutesWritten,
    FlushDuration,
    FlushFailures,
    SlotsStale,
    SlotsWritten,
    SlotsDuration,
    SlotsFailures,
    LiveRequests,
    LiveRowsCut,
    LiveCostsHeld,
    ShardsHeld,
    LeasesLost,
    LeasesTakenOver,
}

/// Handles to the metrics. Clones count in the same place.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is described by the help text of its name")]
pub struct AggregatorMetrics {
    pub messages: Counter,
    pub messages_undecodable: Counter,
    pub losses: Counter,
    pub entries_folded: Counter,
    pub entries_redelivered: Counter,
    pub entries_duplicate: Counter,
    pub entries_repeated: Counter,
    pub entries_late: Counter,
    pub entries_skewed: Counter,
    pub entries_rest: Counter,
    pub entries_homeless: Counter,
    pub messages_pending: Gauge,
    pub fold_delay_s: Histogram,
    pub keys: Gauge,
    pub ids: Gauge,
    pub warm: Gauge,
    pub warm_ups: Counter,
    pub rereads: Counter,
    pub warm_up_duration_s: Histogram,
    pub dirty_minutes: Gauge,
    pub minutes_written: Counter,
    pub flush_duration_s: Histogram,
    pub flush_failures: Counter,
    pub slots_stale: Gauge,
    pub slots_written: Counter,
    pub slots_duration_s: Histogram,
    pub slots_failures: Counter,
    pub live_requests: Counter,
    pub live_rows_cut: Counter,
    pub live_costs_held: Counter,
    pub shards_held: Gauge,
    pub leases_lost: Counter,
    pub leases_taken_over: Counter,
}

impl AggregatorMetrics {
    /// Registers all of them.
    #[must_use]
    pub fn register(metrics: &mut Metrics) -> Self {
        use AggregatorMetric as Name;
        let durations = || Histogram::new(FLUSH_BOUNDS_S);
        Self {
            messages: metrics.register(Name::Messages, Counter::default()),
            messages_undecodable: metrics.register(Name::MessagesUndecodable, Counter::default()),
            losses: metrics.register(Name::Losses, Counter::default()),
            entries_folded: metrics.register(Name::EntriesFolded, Counter::default()),
            entries_redelivered: metrics.register(Name::EntriesRedelivered, Counter::default()),
            entries_duplicate: metrics.register(Name::EntriesDuplicate, Counter::default()),
            entries_repeated: metrics.register(Name::EntriesRepeated, Counter::default()),
            entries_late: metrics.register(Name::EntriesLate, Counter::default()),
            entries_skewed: metrics.register(Name::EntriesSkewed, Counter::default()),
            entries_rest: metrics.register(Name::EntriesRest, Counter::default()),
            entries_homeless: metrics.register(Name::EntriesHomeless, Counter::default()),
            messages_pending: metrics.register(Name::MessagesPending, Gauge::default()),
            fold_delay_s: metrics.register(Name::FoldDelay, Histogram::new(DELAY_BOUNDS_S)),
            keys: metrics.register(Name::Keys, Gauge::default()),
            ids: metrics.register(Name::Ids, Gauge::default()),
            warm: metrics.register(Name::Warm, Gauge::default()),
            warm_ups: metrics.register(Name::WarmUps, Counter::default()),
            rereads: metrics.register(Name::Rereads, Counter::default()),
            warm_up_duration_s: metrics.register(Name::WarmUpDuration, durations()),
            dirty_minutes: metrics.register(Name::DirtyMinutes, Gauge::default()),
            minutes_written: metrics.register(Name::MinutesWritten, Counter::default()),
            flush_duration_s: metrics.register(Name::FlushDuration, durations()),
            flush_failures: metrics.register(Name::FlushFailures, Counter::default()),
            slots_stale: metrics.register(Name::SlotsStale, Gauge::default()),
            slots_written: metrics.register(Name::SlotsWritten, Counter::default()),
            slots_duration_s: metrics.register(Name::SlotsDuration, durations()),
            slots_failures: metrics.register(Name::SlotsFailures, Counter::default()),
            live_requests: metrics.register(Name::LiveRequests, Counter::default()),
            live_rows_cut: metrics.register(Name::LiveRowsCut, Counter::default()),
            live_costs_held: metrics.register(Name::LiveCostsHeld, Counter::default()),
            shards_held: metrics.register(Name::ShardsHeld, Gauge::default()),
            leases_lost: metrics.register(Name::LeasesLost, Counter::default()),
            leases_taken_over: metrics.register(Name::LeasesTakenOver, Counter::default()),
        }
    }

    /// Counts what became of a message's entries.
    pub fn count(&self, applied: Applied) {
        let Applied { folded, redelivered, duplicate, repeated, late, skewed, rest, homeless } = applied;
        self.entries_folded.inc_by(folded);
        self.entries_redelivered.inc_by(redelivered);
        self.entries_duplicate.inc_by(duplicate);
        self.entries_repeated.inc_by(repeated);
        self.entries_late.inc_by(late);
        self.entries_skewed.inc_by(skewed);
        self.entries_rest.inc_by(rest);
        self.entries_homeless.inc_by(homeless);
    }
}

impl MetricName for AggregatorMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "aggregator_messages",
            Self::MessagesUndecodable => "aggregator_messages_undecodable",
            Self::Losses => "aggregator_losses",
            Self::EntriesFolded => "aggregator_entries_folded",
            Self::EntriesRedelivered => "aggregator_entries_redelivered",
            Self::EntriesDuplicate => "aggregator_entries_duplicate",
            Self::EntriesRepeated => "aggregator_entries_repeated",
            Self::EntriesLate => "aggregator_entries_late",
            Self::EntriesSkewed => "aggregator_entries_skewed",
            Self::EntriesRest => "aggregator_entries_rest",
            Self::EntriesHomeless => "aggregator_entries_homeless",
            Self::MessagesPending => "aggregator_messages_pending",
            Self::FoldDelay => "aggregator_fold_delay_seconds",
            Self::Keys => "aggregator_keys",
            Self::Ids => "aggregator_ids",
            Self::Warm => "aggregator_warm",
            Self::WarmUps => "aggregator_warm_ups",
            Self::Rereads => "aggregator_rereads",
            Self::WarmUpDuration => "aggregator_warm_up_duration_seconds",
            Self::DirtyMinutes => "aggregator_dirty_minutes",
            Self::MinutesWritten => "aggregator_minutes_written",
            Self::FlushDuration => "aggregator_flush_duration_seconds",
            Self::FlushFailures => "aggregator_flush_failures",
            Self::SlotsStale => "aggregator_slots_stale",
            Self::SlotsWritten => "aggregator_slots_written",
            Self::SlotsDuration => "aggregator_slots_duration_seconds",
            Self::SlotsFailures => "aggregator_slots_failures",
            Self::LiveRequests => "aggregator_live_requests",
            Self::LiveRowsCut => "aggregator_live_rows_cut",
            Self::LiveCostsHeld => "aggregator_live_costs_held",
            Self::ShardsHeld => "aggregator_shards_held",
            Self::LeasesLost => "aggregator_leases_lost",
            Self::LeasesTakenOver => "aggregator_leases_taken_over",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Messages => "usage messages delivered, redeliveries included",
            Self::MessagesUndecodable => "messages that are not usage messages, terminated",
            Self::Losses => "times that the stream may have given up messages before a shard took them",
            Self::EntriesFolded => "entries put into windows",
            Self::EntriesRedelivered => "entries of messages that were in the windows already",
            Self::EntriesDuplicate => "entries that ingest marked as stored before and that were not missing",
            Self::EntriesRepeated => "entries whose event was folded before under the same id",
            Self::EntriesLate => "entries older than every window, only in rollups",
            Self::EntriesSkewed => "entries too far in the future for windows, only in rollups",
            Self::EntriesRest => "entries put into windows without their names, beyond keys_max",
            Self::EntriesHomeless => {
                "entries of tenants that have no windows, beyond keys_max, only in rollups"
            }
            Self::MessagesPending => "messages of the stream that are not delivered yet",
            Self::FoldDelay => "from the publishing of a message to its being in the windows",
            Self::Keys => "series that have windows: token, model, provider, user and channel",
            Self::Ids => "event ids that are remembered against repetition",
            Self::Warm => "1 once the past is read from ClickHouse, else 0",
            Self::WarmUps => "times that all of the past was read from ClickHouse",
            Self::Rereads => {
                "times that the past of tenants was read again, since rows of theirs were changed"
            }
            Self::WarmUpDuration => "time that reading the past took, all of it or some tenants'",
            Self::DirtyMinutes => "tenants' minutes whose rollups are to be computed anew",
            Self::MinutesWritten => "tenants' minutes whose rollups were computed anew",
            Self::FlushDuration => "time that writing all dirty minutes took, also in vain",
            Self::FlushFailures => "flushes that did not write everything",
            Self::SlotsStale => {
                "tenants' quarters of an hour that are to be computed anew, of the day that is looked at"
            }
            Self::SlotsWritten => "tenants' quarters of an hour that were computed anew",
            Self::SlotsDuration => {
                "time that looking for changed quarters of an hour and writing them took, also in vain"
            }
            Self::SlotsFailures => "looks for changed quarters of an hour that did not write everything",
            Self::LiveRequests => "requests for live windows",
            Self::LiveRowsCut => "rows left out of live answers that did not fit into a message",
            Self::LiveCostsHeld => "costs in live answers beyond the range of amounts, held at its end",
            Self::ShardsHeld => "shards of usage that this process works for",
            Self::LeasesLost => "leases that ended without being given back",
            Self::LeasesTakenOver => "leases that were taken from a holder that did not renew them",
        }
    }
}
