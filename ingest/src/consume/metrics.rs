//! What the intake of topics counts. Names are an enum. Topics are the configured ones, and each has as many partitions as
//! it has; those of a partition that was given up are taken away.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use weir_service::metrics::{MetricName, Metrics};

use super::partition::TopicPartition;
use super::pauses::{Pauses, Waiting};

#[derive(Clone, Copy, Debug)]
enum KafkaMetric {
    Lag,
    Paused,
    Rebalances,
    CommitFailures,
    Errors,
    DeadLettersProduced,
    LostOffsets,
}

/// What a rebalance did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Rebalance {
    /// Partitions came.
    Assigned,
    /// Partitions were given back, with their offsets committed.
    Revoked,
    /// Partitions were taken away: the group believed this member dead.
    Lost,
}

/// Why offsets of a partition were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Loss {
    /// The broker deleted them first.
    Deleted,
    /// Their batch is damaged, or of a format that is not known.
    Damaged,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LossLabels {
    topic: String,
    reason: Loss,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RebalanceLabels {
    result: Rebalance,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    topic: String,
    partition: i32,
}

/// The metrics of the intake of topics. Clones count into the same ones.
#[derive(Clone, Debug)]
pub(crate) struct KafkaMetrics {
    lag: Family<PartitionLabels, Gauge>,
    paused: Family<PartitionLabels, Gauge>,
    pauses: Pauses,
    rebalances: Family<RebalanceLabels, Counter>,
    commit_failures: Counter,
    errors: Counter,
    dead_letters_produced: Counter,
    lost_offsets: Family<LossLabels, Counter>,
}

impl KafkaMetrics {
    /// Registers them.
    #[must_use]
    pub(crate) fn register(metrics: &mut Metrics) -> Self {
        let registered = Self {
            lag: metrics.register(KafkaMetric::Lag, Family::default()),
            paused: metrics.register(KafkaMetric::Paused, Family::default()),
            pauses: Pauses::default(),
            rebalances: metrics.register(KafkaMetric::Rebalances, Family::default()),
            commit_failures: metrics.register(KafkaMetric::CommitFailures, Counter::default()),
            errors: metrics.register(KafkaMetric::Errors, Counter::default()),
            dead_letters_produced: metrics.register(KafkaMetric::DeadLettersProduced, Counter::default()),
            lost_offsets: metrics.register(KafkaMetric::LostOffsets, Family::default()),
        };
        // A counter that comes into being with its first event shows no rise.
        for result in [Rebalance::Assigned, Rebalance::Revoked, Rebalance::Lost] {
            drop(registered.rebalances.get_or_create(&RebalanceLabels { result }));
        }
        registered
    }

    pub(super) fn lag(&self, partition: &TopicPartition, messages: i64) {
        self.lag.get_or_create(&PartitionLabels::of(partition)).set(messages);
    }

    /// The partition is ours.
    pub(super) fn taken_over(&self, partition: &TopicPartition) {
        let paused = self.paused.get_or_create(&PartitionLabels::of(partition)).clone();
        self.pauses.begin(partition, paused);
    }

    /// The next batch of a partition cannot be read, or can be again.
    pub(super) fn held_up(&self, partition: &TopicPartition, is_held_up: bool) {
        self.pauses.hold_up(partition, is_held_up);
    }

    /// A delivery of a partition cannot be stored, or a dead letter of it not produced, until what this gives is dropped.
    pub(super) fn waits(&self, partition: &TopicPartition) -> Option<Waiting> {
        self.pauses.wait(partition)
    }

    /// The partition is not ours any more.
    pub(super) fn forget(&self, partition: &TopicPartition) {
        self.pauses.forget(partition);
        let labels = PartitionLabels::of(partition);
        self.lag.remove(&labels);
        self.paused.remove(&labels);
    }

    pub(super) fn rebalance(&self, result: Rebalance) {
        self.rebalances.get_or_create(&RebalanceLabels { result }).inc();
    }

    pub(super) fn commit_failed(&self) {
        self.commit_failures.inc();
    }

    pub(super) fn error(&self) {
        self.errors.inc();
    }

    /// Counts offsets that were not read. With 0 of them the counter is there, so that its growth can be seen.
    pub(super) fn lost(&self, topic: &str, reason: Loss, offsets: u64) {
        self.lost_offsets.get_or_create(&LossLabels { topic: topic.to_owned(), reason }).inc_by(offsets);
    }

    pub(super) fn dead_letter_produced(&self) {
        self.dead_letters_produced.inc();
    }
}

impl PartitionLabels {
    fn of(partition: &TopicPartition) -> Self {
        Self { topic: partition.topic.to_string(), partition: partition.number }
    }
}

impl MetricName for KafkaMetric {
    fn name(self) -> &'static str {
        match self {
            Self::Lag => "ingest_kafka_lag_messages",
            Self::Paused => "ingest_kafka_paused",
            Self::Rebalances => "ingest_kafka_rebalances",
            Self::CommitFailures => "ingest_kafka_commit_failures",
            Self::Errors => "ingest_kafka_errors",
            Self::DeadLettersProduced => "ingest_kafka_dead_letters_produced",
            Self::LostOffsets => "ingest_kafka_lost_offsets",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Lag => "messages of an assigned partition that are not committed yet",
            Self::Paused => {
                "1 while a partition is held up because its messages cannot be stored or produced as dead letters, or the next batch cannot be read"
            }
            Self::Rebalances => "changes of the assignment, by what they did",
            Self::CommitFailures => "offset commits that failed; they are repeated",
            Self::Errors => "errors that the Kafka client told of while reading",
            Self::DeadLettersProduced => "messages that were produced to the dead letter topic",
            Self::LostOffsets => "offsets that were never read, by topic and reason: their messages are lost",
        }
    }
}
