//! The part of a write that may be done side by side: gathering batches, asking which of their events are known, and
//! writing the bodies of those that are not.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep_until};
use weir_event::EventId;
use weir_service::telemetry::chain;

use super::columns::Columns;
use super::gate::Gate;
use super::insert::Names;
use super::settle::clickhouse_answers;
use super::submit::{Answer, Inbox, Submission};
use super::{Encoded, EventRef, GroupLimits, SinkError, Store};
use crate::metrics::IngestMetrics;

/// Bytes of rows from which a write waits for batches that are being made: a larger one costs ClickHouse less.
const WAITING_BYTES_MIN: usize = 1 << 20;
/// How long it waits, in intervals between writes, and at most.
const WAITING_INTERVALS: u32 = 4;
const WAITING_MAX: Duration = Duration::from_secs(1);

/// Batches that are to be committed together.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) batches: Vec<Arc<Encoded>>,
    pub(super) answers: Vec<Answer>,
    /// Those of their events that had a row.
    pub(super) known: HashSet<EventId>,
    /// How many commits of this process had come to their end before that was asked.
    pub(super) seen: u64,
    /// The last part that had been committed then, by whomever; see [`super::races`].
    pub(super) block: Option<i64>,
}

/// Prepares groups of batches. Several may work side by side.
#[derive(Clone, Debug)]
pub(super) struct Preparer {
    pub(super) intake: Arc<Mutex<Intake>>,
    pub(super) gate: Gate,
    pub(super) store: Store,
    pub(super) commits: Arc<AtomicU64>,
    pub(super) names: Names,
    pub(super) metrics: IngestMetrics,
}

/// Where groups are gathered, one at a time.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) inbox: Inbox,
    pub(super) limits: GroupLimits,
    /// When a group that is not full may be closed.
    pub(super) not_before: Option<Instant>,
    /// Taken, and not of the group before: its rows are of other columns.
    pub(super) next: Option<Submission>,
}

impl Preparer {
    /// Prepares until every sink is gone.
    pub(super) async fn run(self, prepared: mpsc::Sender<Prepared>) {
        loop {
            let gathered = self.intake.lock().await.gather().await;
            let Some(group) = gathered else { return };
            let (batches, answers) =
                group.into_iter().map(|submission| (submission.batch, submission.answer)).unzip();
            let mut group = Prepared { batches, answers, known: HashSet::new(), seen: 0, block: None };
            if self.gate.is_closed() {
                group.turn_away(&SinkError::Unsettled);
                continue;
            }
            match self.prepare(&mut group).await {
                // The committer ends after us.
                Ok(()) => drop(prepared.send(group).await),
                // Only the one that is at fault is to fail.
                Err(error) if !error.is_outage() && group.batches.len() > 1 => {
                    for mut single in group.into_singles() {
                        match self.prepare(&mut single).await {
                            Ok(()) => drop(prepared.send(single).await),
                            Err(error) => self.failed(single, &error).await,
                        }
                    }
                }
                Err(error) => self.failed(group, &error).await,
            }
        }
    }

    async fn prepare(&self, group: &mut Prepared) -> Result<(), SinkError> {
        group.seen = self.commits.load(Ordering::SeqCst);
        // Asked first: what is committed after it is looked at after our own commit.
        group.block = self.store.last_block().await?;
        group.known = known_ids(&self.store, &group.batches).await?;
        let fresh: Vec<EventRef<'_>> = group
            .batches
            .iter()
            .flat_map(|batch| batch.events())
            .filter(|event| !group.known.contains(&event.id))
            .collect();
        let columns = group.batches.first().map_or(Columns::of_this_program(), |batch| batch.columns());
        self.store.insert_bodies(&fresh, columns, &self.names.next(&fresh)).await
    }

    async fn failed(&self, group: Prepared, error: &SinkError) {
        self.metrics.write_failed();
        tracing::warn!(error = chain(error), batches = group.batches.len(), "write failed");
        if error.is_rejection() {
            group.turn_away(error);
            return;
        }
        let _closed = self.gate.close();
        group.turn_away(error);
        let answers = clickhouse_answers(&self.store);
        let mut answers = std::pin::pin!(answers);
        loop {
            let next = async { self.intake.lock().await.next().await };
            tokio::select! {
                biased;
                () = &mut answers => return,
                next = next => match next {
                    Some(Submission { batch, answer }) => answer.turn_away(batch, &SinkError::Unsettled, None),
                    None => return,
                },
            }
        }
    }
}

impl Intake {
    async fn next(&mut self) -> Option<Submission> {
        match self.next.take() {
            Some(next) => Some(next),
            None => self.inbox.submissions.recv().await,
        }
    }

    /// The next batch for a group that was begun: one that is there, that comes while the group may not be closed yet, or
    /// that is being made and comes before `waiting_until`.
    async fn next_in_time(&mut self, waiting_until: Option<Instant>) -> Option<Submission> {
        let submissions = &mut self.inbox.submissions;
        if let Some(at) = self.not_before {
            let next = tokio::select! {
                biased;
                next = submissions.recv() => next,
                // What was gathered is turned away.
                () = self.inbox.gate.closed() => return None,
                () = sleep_until(at) => None,
            };
            if next.is_some() {
                return next;
            }
        }
        if let Ok(next) = submissions.try_recv() {
            return Some(next);
        }
        let until = waiting_until?;
        tokio::select! {
            biased;
            next = submissions.recv() => next,
            // Whoever made the last one has handed it in before.
            () = self.inbox.making.opened() => submissions.try_recv().ok(),
            () = self.inbox.gate.closed() => None,
            () = sleep_until(until) => None,
        }
    }

    /// The next batches that go together; `None` when every sink is gone.
    async fn gather(&mut self) -> Option<Vec<Submission>> {
        let first = self.next().await?;
        let (mut events, mut bytes) = (first.batch.events().len(), first.batch.len_bytes());
        let mut group = vec![first];
        let waiting_until = Instant::now() + (self.limits.interval * WAITING_INTERVALS).min(WAITING_MAX);
        while events < self.limits.events_max && bytes < self.limits.bytes_max {
            let waiting_until = (bytes >= WAITING_BYTES_MIN).then_some(waiting_until);
            let Some(next) = self.next_in_time(waiting_until).await else { break };
            if next.batch.columns() != group[0].batch.columns() {
                self.next = Some(next);
                break;
            }
            events += next.batch.events().len();
            bytes += next.batch.len_bytes();
            group.push(next);
        }
        self.not_before = Some(Instant::now() + self.limits.interval);
        Some(group)
    }
}

impl Prepared {
    /// Puts every batch away that may be, and asks the others' senders to come back.
    pub(super) fn turn_away(self, error: &SinkError) {
        for (batch, answer) in self.batches.into_iter().zip(self.answers) {
            answer.turn_away(batch, error, None);
        }
    }

    /// Each of its batches on its own.
    pub(super) fn into_singles(self) -> impl Iterator<Item = Self> {
        let Self { batches, answers, known, seen, block } = self;
        batches.into_iter().zip(answers).map(move |(batch, answer)| Self {
            batches: vec![batch],
            answers: vec![answer],
            known: known.clone(),
            seen,
            block,
        })
    }
}

/// Those events of `batches` that have a row.
pub(super) async fn known_ids(
    store: &Store,
    batches: &[Arc<Encoded>],
) -> Result<HashSet<EventId>, SinkError> {
    let events: Vec<_> = batches.iter().flat_map(|batch| batch.events()).collect();
    store.known_of(&events).await
}

#[cfg(test)]
mod tests {
    use super::super::submit::Sink;
    use super::super::submit::tests::{batch, sink_of};
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);
    const LIMITS: GroupLimits = GroupLimits {
        waiting_max: 16,
        events_max: 100,
        bytes_max: 8 << 20,
        interval: INTERVAL,
        pending_bytes_max: 64 << 20,
    };
    const MUCH: usize = WAITING_BYTES_MIN;
    const LITTLE: usize = WAITING_BYTES_MIN / 2;

    fn intake() -> (Sink, Intake) {
        let (sink, inbox) = sink_of(&LIMITS);
        (sink, Intake { inbox, limits: LIMITS, not_before: None, next: None })
    }

    /// The batches of the next group, and how long it took to gather them.
    async fn gathered(intake: &mut Intake) -> (usize, Duration) {
        let begun = Instant::now();
        let group = intake.gather().await.unwrap();
        (group.len(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_with_much_waits_for_what_is_being_made_and_goes_with_the_last_of_it() {
        let (sink, mut intake) = intake();
        let (second, third) = (sink.making(), sink.making());
        sink.submit(batch(MUCH)).await.unwrap();
        let make = async {
            tokio::time::sleep(INTERVAL).await;
            second.submit(batch(LITTLE)).await.unwrap();
            tokio::time::sleep(INTERVAL).await;
            third.submit(batch(LITTLE)).await.unwrap();
        };
        let ((count, time), ()) = tokio::join!(gathered(&mut intake), make);
        assert_eq!((count, time.as_millis()), (3, 200));
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_for_nothing_that_is_abandoned_nor_for_long() {
        let (sink, mut intake) = intake();
        sink.submit(batch(MUCH)).await.unwrap();
        let abandoned = sink.making();
        let leave = async {
            tokio::time::sleep(INTERVAL).await;
            drop(abandoned);
        };
        let ((count, time), ()) = tokio::join!(gathered(&mut intake), leave);
        assert_eq!((count, time.as_millis()), (1, 100));

        sink.submit(batch(MUCH)).await.unwrap();
        let _slow = sink.making();
        let (count, time) = gathered(&mut intake).await;
        assert_eq!((count, time), (1, INTERVAL * WAITING_INTERVALS));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_with_little_goes_at_once_whatever_is_being_made() {
        let (sink, mut intake) = intake();
        let _slow = sink.making();
        sink.submit(batch(LITTLE)).await.unwrap();
        let (count, time) = gathered(&mut intake).await;
        assert_eq!((count, time), (1, Duration::ZERO));
        sink.submit(batch(LITTLE)).await.unwrap();
        let (count, time) = gathered(&mut intake).await;
        assert_eq!((count, time), (1, INTERVAL), "at most one in so long");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_whose_time_has_not_come_waits_no_more_once_nothing_can_be_written() {
        let (sink, mut intake) = intake();
        let gate = intake.inbox.gate.clone();
        intake.not_before = Some(Instant::now() + Duration::from_mins(1));
        for _ in 0..2 {
            sink.submit(batch(LITTLE)).await.unwrap();
        }
        let close = async {
            tokio::time::sleep(INTERVAL).await;
            gate.close()
        };
        let ((count, time), _closed) = tokio::join!(gathered(&mut intake), close);
        assert_eq!((count, time), (2, INTERVAL));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_waits_for_room_holds_no_write_up() {
        let (sink, mut intake) = intake();
        sink.submit(batch(MUCH)).await.unwrap();
        let all_room = sink.submit(batch(LIMITS.pending_bytes_max));
        let (submitted, (count, time)) = tokio::join!(all_room, gathered(&mut intake));
        assert_eq!((count, time), (1, Duration::ZERO));
        assert!(submitted.is_ok());
    }
}
