//! This process as a member of its consumer group: takes partitions over, commits their offsets, and gives them back.
//!
//! librdkafka waits with every rebalance until it is told that it is done. So a partition that is revoked is drained first:
//! what was read of it is committed, then its offset, and only then is it given back. There is a deadline, as others wait
//! for it: what is not committed by then is left for the next owner, who reads it again and finds what is there by its ids.
//! Of a partition that was lost nothing is committed: it has another owner already.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::readiness::ReadinessCheck;

use super::client::{self, Event, GroupConsumer};
use super::committer::{ASK_LIMIT, Committer, Committing};
use super::config::Topic;
use super::holds::Holds;
use super::lost::Seen;
use super::metrics::{Loss, Rebalance};
use super::partition::{Budget, Draining, Means, Reading, TopicPartition};
use super::{ConsumeError, Intake, KafkaConfig, KafkaMetrics, lists};

/// How often offsets are committed.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a rebalance may wait for what was read; less where `max.poll.interval.ms` asks for it.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);
/// How long the offsets of partitions that are given up may take.
const LAST_COMMIT_LIMIT: Duration = Duration::from_secs(5);
/// How long leaving the group may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// `max.poll.interval.ms` where it is not set.
const POLL_INTERVAL_MAX_MS: u64 = 300_000;
/// What librdkafka calls a group whose coordinator it is connected to.
const GROUP_IS_UP: &str = "up";

/// The member.
pub(crate) struct Group {
    consumer: Arc<GroupConsumer>,
    committer: Committer,
    closed: oneshot::Receiver<()>,
    events: mpsc::UnboundedReceiver<Event>,
    topics: BTreeMap<String, Topic>,
    means: Means,
    held: BTreeMap<TopicPartition, Held>,
    damaged: mpsc::UnboundedReceiver<TopicPartition>,
    holds: Holds,
    committing: Option<UnderWay>,
    drain_limit: Duration,
    readiness: ReadinessCheck,
}

/// An assigned partition.
struct Held {
    reading: Reading,
    /// The offset that the group knows.
    committed: Option<i64>,
}

/// A commit of offsets.
struct UnderWay {
    outcome: Committing,
    offsets: Vec<(TopicPartition, i64)>,
}

impl Group {
    /// Joins nothing yet; fails only on properties that do not go together.
    pub(crate) fn new(
        config: &KafkaConfig,
        intake: Intake,
        metrics: KafkaMetrics,
        clock: SharedClock,
        readiness: ReadinessCheck,
    ) -> Result<Self, ConsumeError> {
        let (consumer, events) = client::consumer(config)?;
        let consumer = Arc::new(consumer);
        let (sender, closed) = oneshot::channel();
        let (damaged_sender, damaged) = mpsc::unbounded_channel();
        let budget = Budget::new(config.pending_bytes_max);
        let committer = Committer::start(Arc::clone(&consumer), sender).map_err(ConsumeError::Thread)?;
        for topic in config.topics.keys() {
            metrics.lost(topic, Loss::Deleted, 0);
            metrics.lost(topic, Loss::Damaged, 0);
        }
        let poll_interval_max = config.properties.get("max.poll.interval.ms").and_then(|ms| ms.parse().ok());
        let poll_interval_max = Duration::from_millis(poll_interval_max.unwrap_or(POLL_INTERVAL_MAX_MS));
        Ok(Self {
            consumer,
            committer,
            closed,
            events,
            topics: config.topics.clone(),
            means: Means { intake, budget, clock, metrics, damaged: damaged_sender },
            held: BTreeMap::new(),
            damaged,
            holds: Holds::default(),
            committing: None,
            drain_limit: DRAIN_LIMIT.min(poll_interval_max / 2),
            readiness,
        })
    }

    /// Reads until the soft stop; then drains, commits, and leaves the group.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) -> Result<(), ConsumeError> {
        let topics: Vec<&str> = self.topics.keys().map(String::as_str).collect();
        let joined = self.consumer.subscribe(&topics);
        joined.map_err(|source| ConsumeError::Assignment { what: "subscribed to", source })?;
        let result = self.work(shutdown).await;
        if let Err(error) = &result {
            tracing::error!(error = error.to_string(), "topics are read no more");
        }
        self.leave(shutdown.hard_stop()).await;
        result
    }

    async fn work(&mut self, shutdown: &Shutdown) -> Result<(), ConsumeError> {
        let mut ticks = interval(COMMIT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.soft_stop().cancelled() => return Ok(()),
                Some(event) = self.events.recv() => self.heed(event, shutdown.hard_stop()).await?,
                outcome = finished(&mut self.committing) => self.note(outcome),
                Some(partition) = self.damaged.recv() => self.hold(&partition)?,
                _ = ticks.tick() => {
                    self.try_held()?;
                    self.commit_progress()?;
                }
                error = client::next_error(&self.consumer) => self.weigh(error)?,
            }
        }
    }

    async fn heed(&mut self, event: Event, hard_stop: &CancellationToken) -> Result<(), ConsumeError> {
        match event {
            Event::Assigned(partitions) => self.take_over(&partitions).await,
            Event::Revoked(partitions) => {
                let drain_limit = self.drain_limit;
                let held = self.take(&partitions)?;
                tracing::info!(partitions = held.len(), "partitions are given back");
                self.drain(held, Instant::now() + drain_limit, hard_stop).await;
                self.means.metrics.rebalance(Rebalance::Revoked);
                self.give_back(&partitions)
            }
            Event::Lost(partitions) => {
                let held = self.take(&partitions)?;
                tracing::warn!(
                    partitions = held.len(),
                    "partitions were taken away; nothing more of them is committed"
                );
                for (partition, held) in held {
                    held.reading.drain().abandon().await;
                    self.means.metrics.forget(&partition);
                }
                self.means.metrics.rebalance(Rebalance::Lost);
                self.give_back(&partitions)
            }
            Event::Statistics(statistics) => {
                self.look_at(&statistics);
                Ok(())
            }
        }
    }

    /// Each partition gets its queue before it is fetched from, so that no message comes past it.
    async fn take_over(&mut self, partitions: &TopicPartitionList) -> Result<(), ConsumeError> {
        let failed = |source| ConsumeError::Assignment { what: "taken over", source };
        let committed = self.committed(partitions).await;
        for element in partitions.elements() {
            let partition = TopicPartition::of(&element);
            let topic = self.topics.get(element.topic()).cloned();
            let queue = self.consumer.split_partition_queue(element.topic(), element.partition());
            let (Some(topic), Some(queue)) = (topic, queue) else {
                return Err(failed(KafkaError::Subscription(partition.to_string())));
            };
            let committed = committed.get(&partition).copied();
            self.means.metrics.taken_over(&partition);
            let reading = Reading::begin((partition.clone(), topic), queue, self.means.clone(), committed);
            self.held.insert(partition, Held { reading, committed });
        }
        tracing::info!(partitions = partitions.count(), "partitions are taken over");
        self.means.metrics.rebalance(Rebalance::Assigned);
        self.consumer.incremental_assign(partitions).map_err(failed)
    }

    /// Where the group stands, as far as it says so in time: only what is counted as lost depends on it. Asked before anything
    /// of these partitions is committed here.
    async fn committed(&self, partitions: &TopicPartitionList) -> BTreeMap<TopicPartition, i64> {
        let Ok(Ok(Ok(found))) = timeout(ASK_LIMIT, self.committer.ask(partitions.clone())).await else {
            tracing::warn!("where the group stands is not known; what was deleted meanwhile is not counted");
            return BTreeMap::new();
        };
        let offset = |element: TopicPartitionListElem<'_>| match element.offset() {
            Offset::Offset(offset) => Some((TopicPartition::of(&element), offset)),
            // It has none.
            _ => None,
        };
        found.elements().into_iter().filter_map(offset).collect()
    }

    fn give_back(&self, partitions: &TopicPartitionList) -> Result<(), ConsumeError> {
        let given = self.consumer.incremental_unassign(partitions);
        given.map_err(|source| ConsumeError::Assignment { what: "given back", source })
    }

    /// What is held of these. One that is paused would be so when it comes back, so none stays paused.
    fn take(&mut self, partitions: &TopicPartitionList) -> Result<Vec<(TopicPartition, Held)>, ConsumeError> {
        let names: Vec<_> = partitions.elements().iter().map(TopicPartition::of).collect();
        let held_up: Vec<_> = names.iter().filter(|partition| self.holds.end(partition)).cloned().collect();
        self.resume(&held_up)?;
        Ok(names.iter().filter_map(|partition| self.held.remove_entry(partition)).collect())
    }

    /// Waits until what was read is committed, for as long as may be, and commits how far that went.
    async fn drain(
        &mut self,
        held: Vec<(TopicPartition, Held)>,
        deadline: Instant,
        hard_stop: &CancellationToken,
    ) {
        let mut draining: Vec<(TopicPartition, Draining, Option<i64>)> = held
            .into_iter()
            .map(|(partition, held)| (partition, held.reading.drain(), held.committed))
            .collect();
        let drained = join_all(draining.iter_mut().map(|(_, draining, _)| draining.drained()));
        let in_time = timeout_at(deadline, hard_stop.run_until_cancelled(drained)).await;
        if !matches!(in_time, Ok(Some(_))) {
            tracing::warn!("messages that were read are not committed in time; they will be read again");
        }
        let mut offsets = Vec::new();
        for (partition, draining, committed) in draining {
            let progress = draining.abandon().await;
            self.means.metrics.forget(&partition);
            offsets.extend(progress.filter(|_| progress != committed).map(|offset| (partition, offset)));
        }
        if !offsets.is_empty() {
            let outcome = self.committer.commit(lists::offsets(&offsets));
            match timeout(LAST_COMMIT_LIMIT, outcome).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => self.commit_failed(&error),
                // Not in time, or the thread is gone.
                _ => self.commit_failed(&KafkaError::Canceled),
            }
        }
    }

    fn commit_progress(&mut self) -> Result<(), ConsumeError> {
        if let Some((partition, _)) = self.held.iter().find(|(_, held)| held.reading.has_died()) {
            return Err(ConsumeError::Partition(partition.to_string()));
        }
        if self.committing.is_some() {
            return Ok(());
        }
        let owed = self.held.iter().filter_map(|(partition, held)| {
            let offset = held.reading.committable()?;
            (held.committed != Some(offset)).then(|| (partition.clone(), offset))
        });
        let offsets: Vec<_> = owed.collect();
        if !offsets.is_empty() {
            self.committing =
                Some(UnderWay { outcome: self.committer.commit(lists::offsets(&offsets)), offsets });
        }
        Ok(())
    }

    fn note(&mut self, outcome: KafkaResult<()>) {
        let offsets = self.committing.take().map(|under_way| under_way.offsets).unwrap_or_default();
        if let Err(error) = outcome {
            // They are still owed, and committed with the next tick.
            self.commit_failed(&error);
            return;
        }
        for (partition, offset) in offsets {
            if let Some(held) = self.held.get_mut(&partition) {
                held.committed = Some(offset);
            }
        }
    }

    /// Pauses a partition whose next batch cannot be read. What was read of it is committed meanwhile.
    fn hold(&mut self, partition: &TopicPartition) -> Result<(), ConsumeError> {
        if !self.held.contains_key(partition) || !self.holds.begin(partition, Instant::now()) {
            return Ok(());
        }
        self.means.metrics.held_up(partition, true);
        let paused = self.consumer.pause(&lists::names(std::slice::from_ref(partition)));
        paused.map_err(|source| ConsumeError::Assignment { what: "paused", source })
    }

    /// Looks again at partitions that are held up.
    fn try_held(&mut self) -> Result<(), ConsumeError> {
        let due = self.holds.look(Instant::now());
        for partition in &due.healed {
            self.means.metrics.held_up(partition, false);
        }
        self.resume(&due.resumed)
    }

    fn resume(&self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        let resumed = self.consumer.resume(&lists::names(partitions));
        resumed.map_err(|source| ConsumeError::Assignment { what: "resumed", source })
    }

    fn commit_failed(&self, error: &KafkaError) {
        self.means.metrics.commit_failed();
        tracing::warn!(error = error.to_string(), "offsets cannot be committed yet");
    }

    fn look_at(&self, statistics: &Statistics) {
        match statistics.cgrp.as_ref().map(|group| group.state.as_str()) {
            Some(GROUP_IS_UP) => self.readiness.pass(),
            state => self
                .readiness
                .fail(format!("no broker coordinates the group: {}", state.unwrap_or("it is not known"))),
        }
        for (partition, held) in &self.held {
            let topic = statistics.topics.get(&*partition.topic);
            let Some(seen) = topic.and_then(|topic| topic.partitions.get(&partition.number)) else {
                continue;
            };
            // What is below 0 is not known. Without a committed offset everything that is there is to be read.
            let known = |offset: i64| Some(offset).filter(|offset| *offset >= 0);
            let committed = held.committed.or(known(seen.committed_offset)).or(known(seen.lo_offset));
            if let (Some(end), Some(committed)) = (known(seen.hi_offset), committed) {
                self.means.metrics.lag(partition, (end - committed).max(0));
            }
            if let Some(low) = known(seen.lo_offset) {
                let is_read = seen.fetchq_cnt == 0 && seen.next_offset >= low;
                let read_to = is_read.then_some(seen.next_offset);
                self.means.tell_of_losses(partition, held.reading.lost(Seen { low, read_to }));
            }
        }
    }

    fn weigh(&self, error: ConsumeError) -> Result<(), ConsumeError> {
        match error {
            ConsumeError::Passing(error) => {
                self.means.metrics.error();
                tracing::warn!(error = error.to_string(), "kafka cannot be read from");
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Drains every partition, commits, and leaves the group.
    async fn leave(mut self, hard_stop: &CancellationToken) {
        let held = std::mem::take(&mut self.held).into_iter().collect();
        // The hard stop is the deadline.
        self.drain(held, Instant::now() + self.drain_limit.max(DRAIN_LIMIT), hard_stop).await;
        self.events.close();
        while let Ok(event) = self.events.try_recv() {
            // librdkafka waits for an answer to each, and would for ever.
            let answered = match event {
                Event::Assigned(partitions) => self.consumer.incremental_assign(&partitions),
                Event::Revoked(partitions) | Event::Lost(partitions) => {
                    self.consumer.incremental_unassign(&partitions)
                }
                Event::Statistics(_) => Ok(()),
            };
            if let Err(error) = answered {
                tracing::debug!(error = error.to_string(), "a rebalance came too late");
            }
        }
        let Self { consumer, committer, closed, .. } = self;
        // The committer's is the last one then, and closing blocks its thread only.
        drop(consumer);
        drop(committer);
        if timeout(LEAVE_LIMIT, closed).await.is_err() {
            tracing::warn!("the group does not answer; it will find out that this member is gone");
        }
    }
}

async fn finished(committing: &mut Option<UnderWay>) -> KafkaResult<()> {
    match committing {
        Some(under_way) => (&mut under_way.outcome).await.unwrap_or(Err(KafkaError::Canceled)),
        None => std::future::pending().await,
    }
}
