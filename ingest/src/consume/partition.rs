//! One assigned partition: a task that reads it in order, and commits what it reads in order.
//!
//! A partition is [`Reading`] until it is to be given up; then it is [`Draining`], which reads nothing and can be waited
//! for. Only what has drained, or has no time left to, can be given back to the group.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::{FutureExt, StreamExt};
use rdkafka::Message;
use rdkafka::consumer::stream_consumer::StreamPartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use weir_service::clock::SharedClock;

use super::client::GroupContext;
use super::config::Topic;
use super::delivery::{BUDGET_UNIT_BYTES, Begin, Delivery, bytes_of};
use super::intake::Intake;
use super::lost::{Losses, Lost, Seen};
use super::metrics::{KafkaMetrics, Loss};

/// How many deliveries of a partition may wait behind the one that is being committed.
const WAITING_MAX: usize = 6;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicPartition {
    pub(super) topic: Arc<str>,
    pub(super) number: i32,
}

/// The messages of one partition.
pub(super) type Queue = StreamPartitionQueue<GroupContext>;

/// What every partition reads with.
#[derive(Clone)]
pub(super) struct Means {
    pub(super) intake: Intake,
    pub(super) budget: Budget,
    pub(super) clock: SharedClock,
    pub(super) metrics: KafkaMetrics,
    /// Where a partition is told of whose next batch cannot be read.
    pub(super) damaged: mpsc::UnboundedSender<TopicPartition>,
}

/// How many bytes may be read and not committed, over all partitions.
#[derive(Clone)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    units: usize,
}

/// A partition that is read.
#[derive(Debug)]
pub(super) struct Reading {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<(), JoinError>>,
    progress: Progress,
    losses: Losses,
}

/// A partition that is read no more, and owes what was read.
#[derive(Debug)]
pub(super) struct Draining {
    task: AbortOnDropHandle<Result<(), JoinError>>,
    progress: Progress,
}

/// The offset behind the last message that is committed, with everything that was read before it.
#[derive(Clone, Debug)]
struct Progress(Arc<AtomicI64>);

/// The task's side of a partition.
struct Reader {
    partition: TopicPartition,
    topic: Topic,
    queue: Queue,
    means: Means,
    losses: Losses,
}

/// A delivery that is being committed.
struct UnderWay {
    next_offset: i64,
    task: AbortOnDropHandle<()>,
}

impl Reading {
    /// Begins to read the partition, whose offset `committed` is known to be committed.
    pub(super) fn begin(
        (partition, topic): (TopicPartition, Topic),
        queue: Queue,
        means: Means,
        committed: Option<i64>,
    ) -> Self {
        let (stop, progress) = (CancellationToken::new(), Progress::from(committed));
        let losses = Losses::of(committed);
        let reader = Reader { partition, topic, queue, means, losses: losses.clone() };
        let task = AbortOnDropHandle::new(tokio::spawn(reader.run(stop.clone(), progress.clone())));
        Self { stop, task, progress, losses }
    }

    /// Stops to read.
    pub(super) fn drain(self) -> Draining {
        self.stop.cancel();
        Draining { task: self.task, progress: self.progress }
    }

    /// The offset that may be committed, if any.
    pub(super) fn committable(&self) -> Option<i64> {
        self.progress.get()
    }

    /// What was lost of it since the last time.
    pub(super) fn lost(&self, seen: Seen) -> Lost {
        let lost = self.losses.look(seen);
        if let Some((from, to)) = lost.passed {
            self.progress.pass(from, to);
        }
        lost
    }

    /// Whether its task is gone, which only a defect does.
    pub(super) fn has_died(&self) -> bool {
        self.task.is_finished()
    }
}

impl Draining {
    /// Waits until everything that was read is committed. May be given up and called again.
    pub(super) async fn drained(&mut self) {
        // A task that died has said so, and its progress stands where it stood.
        let _ = (&mut self.task).await;
    }

    /// Lets go of what is still under way: it may come to be stored, and is found by its ids when it is read again.
    pub(super) async fn abandon(mut self) -> Option<i64> {
        if !self.task.is_finished() {
            self.task.abort();
            let _ = (&mut self.task).await;
        }
        self.progress.get()
    }
}

impl Reader {
    async fn run(self, stop: CancellationToken, progress: Progress) -> Result<(), JoinError> {
        let (sender, under_way) = mpsc::channel(WAITING_MAX);
        settle_while(self.read_until(&stop, sender), under_way, &progress).await
    }

    async fn read_until(mut self, stop: &CancellationToken, under_way: mpsc::Sender<UnderWay>) {
        loop {
            // What is given up by the stop was not committed, so whoever has the partition next reads it again. Nothing else
            // may interrupt the reading: a message that was taken from the queue does not come back.
            let next = async {
                let place = under_way.reserve().await.ok()?;
                Some((place, self.read().await))
            };
            let Some(Some((place, delivery))) = stop.run_until_cancelled(next).await else { return };
            let next_offset = delivery.next_offset();
            let task = tokio::spawn(self.means.intake.clone().commit(delivery));
            place.send(UnderWay { next_offset, task: AbortOnDropHandle::new(task) });
        }
    }

    /// The next messages: those that are there, and at least one. Their offsets go back where a topic was made anew or a
    /// broker lost its end. What comes again is found by its ids, so nothing is left out for its offset.
    async fn read(&mut self) -> Delivery {
        let limits = self.means.intake.limits();
        let mut messages = self.queue.stream();
        loop {
            let first = match messages.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.tell(&error);
                    continue;
                }
                // The stream has no end.
                None => std::future::pending().await,
            };
            self.losses.read(first.offset());
            let keeps_originals = self.means.intake.keeps_originals();
            let bytes = limits.bytes_max.max(bytes_of(&first, keeps_originals));
            let mut delivery = Delivery::begin(Begin {
                partition: self.partition.clone(),
                keeps_originals,
                permit: self.means.budget.take(bytes).await,
            });
            let now_ms = self.means.clock.now_ms();
            delivery.add(&first, &self.topic, limits, now_ms);
            drop(first);
            while !delivery.is_full(&limits) {
                match messages.next().now_or_never() {
                    Some(Some(Ok(message))) => {
                        self.losses.read(message.offset());
                        delivery.add(&message, &self.topic, limits, now_ms);
                    }
                    Some(Some(Err(error))) => self.tell(&error),
                    Some(None) | None => break,
                }
            }
            return delivery.seal();
        }
    }

    /// The client tries again by itself; what it says is for those who have to help it.
    fn tell(&self, error: &KafkaError) {
        self.means.metrics.error();
        let (partition, told) = (&self.partition, error.to_string());
        if is_damage(error) {
            self.losses.pass_over();
            // Nobody listens once the group is left.
            let _ = self.means.damaged.send(partition.clone());
            tracing::error!(partition = %partition, error = told, "a partition is held up: its next batch is damaged or of a newer format, and has to be passed over by hand");
        } else {
            tracing::warn!(partition = %partition, error = told, "a partition cannot be read");
        }
    }
}

/// Settles what is under way, in order, while `reading` brings it and until the last of it. A commit that dies ends the
/// reading at once: what is behind it can never be settled.
async fn settle_while(
    reading: impl Future<Output = ()>,
    mut under_way: mpsc::Receiver<UnderWay>,
    progress: &Progress,
) -> Result<(), JoinError> {
    let mut settling = pin!(async {
        while let Some(UnderWay { next_offset, task }) = under_way.recv().await {
            task.await?;
            progress.set(next_offset);
        }
        Ok(())
    });
    tokio::select! {
        settled = &mut settling => settled,
        () = reading => settling.await,
    }
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        let units = bytes.div_ceil(BUDGET_UNIT_BYTES).clamp(1, u32::MAX as usize >> 3);
        Self { free: Arc::new(Semaphore::new(units)), units }
    }

    /// A part of it; all of it for what is larger than that.
    async fn take(&self, bytes: usize) -> OwnedSemaphorePermit {
        let units = bytes.div_ceil(BUDGET_UNIT_BYTES).clamp(1, self.units);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        match Arc::clone(&self.free).acquire_many_owned(units).await {
            Ok(permit) => permit,
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Means {
    pub(super) fn tell_of_losses(&self, partition: &TopicPartition, lost: Lost) {
        let Lost { deleted, damaged, .. } = lost;
        if deleted > 0 {
            tracing::error!(partition = %partition, offsets = deleted, "messages were deleted by the broker before they were read");
            self.metrics.lost(&partition.topic, Loss::Deleted, deleted);
        }
        if damaged > 0 {
            tracing::error!(partition = %partition, offsets = damaged, "messages were passed over with their batch");
            self.metrics.lost(&partition.topic, Loss::Damaged, damaged);
        }
    }
}

/// Whether a batch cannot be read: its checksum is wrong, or it cannot be decompressed, or its format is not known. The client
/// does not get past it, so somebody has to see to it, see [`super::holds`].
fn is_damage(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::NotImplemented
                | RDKafkaErrorCode::BadCompression
        )
    )
}

impl Progress {
    const NONE: i64 = -1;

    /// What was committed before.
    fn from(committed: Option<i64>) -> Self {
        Self(Arc::new(AtomicI64::new(committed.unwrap_or(Self::NONE))))
    }

    /// Passes over what is not there any more, if all that is before it is committed.
    fn pass(&self, from: i64, to: i64) {
        // Else the next message that is settled does it.
        let _ = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    fn set(&self, next_offset: i64) {
        self.0.store(next_offset, Ordering::Release);
    }

    fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Acquire)).filter(|offset| *offset != Self::NONE)
    }
}

impl TopicPartition {
    pub(super) fn of(element: &TopicPartitionListElem<'_>) -> Self {
        Self { topic: element.topic().into(), number: element.partition() }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn under_way(next_offset: i64, commit: impl Future<Output = ()> + Send + 'static) -> UnderWay {
        UnderWay { next_offset, task: AbortOnDropHandle::new(tokio::spawn(commit)) }
    }

    #[tokio::test]
    async fn a_commit_that_dies_ends_its_partition_even_where_nothing_more_comes() {
        let (sender, receiver) = mpsc::channel(4);
        let progress = Progress::from(None);
        sender.try_send(under_way(7, async {})).unwrap();
        sender.try_send(under_way(9, async { panic!("a defect") })).unwrap();
        sender.try_send(under_way(11, async {})).unwrap();
        let reading = async {
            let _sender = sender;
            std::future::pending::<()>().await;
        };
        let ended = timeout(Duration::from_mins(1), settle_while(reading, receiver, &progress)).await;
        assert!(ended.expect("it does not wait for more").is_err());
        assert_eq!(progress.get(), Some(7), "what is behind a gap is not committable");
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_damage_and_a_broker_that_is_away_is_none() {
        let is_damage = |code| is_damage(&KafkaError::MessageConsumption(code));
        let damages = [
            RDKafkaErrorCode::BadMessage,
            RDKafkaErrorCode::NotImplemented,
            RDKafkaErrorCode::BadCompression,
        ];
        assert!(damages.into_iter().all(is_damage));
        assert!(!is_damage(RDKafkaErrorCode::BrokerTransportFailure));
        assert!(!is_damage(RDKafkaErrorCode::NotLeaderForPartition));
    }

    #[tokio::test]
    async fn what_was_read_is_settled_after_the_reading_has_ended() {
        let (sender, receiver) = mpsc::channel(4);
        let progress = Progress::from(None);
        let reading = async move {
            let late = async { tokio::time::sleep(Duration::from_millis(20)).await };
            sender.send(under_way(3, late)).await.unwrap_or_else(|_| panic!("it is received"));
        };
        settle_while(reading, receiver, &progress).await.unwrap();
        assert_eq!(progress.get(), Some(3));
    }
}
