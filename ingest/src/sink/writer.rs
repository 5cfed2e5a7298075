//! The writer: takes the batches that are waiting, keeps what is new, commits it, and tells each batch its part.
//!
//! An insert whose outcome is unknown is settled before anything else is written: an id check made before its rows are
//! there would find them new again. While an attempt is running it is waited for; if the rows are not there then, the same
//! write is repeated until it has succeeded, which no attempt that comes late can undo (see [`super::insert`]). Meanwhile
//! every push is asked to come back. Where repetitions are refused and no attempt is running any more, the write is
//! given up: nothing of it was promised to anyone, and what there is of it is found by its ids.
//!
//! A process that was killed may leave an insert behind that nobody knows the token of. So the first id check waits
//! until every insert of a writer that was running before has come to its end.
//!
//! What is not covered: the list of running statements is one server's, so behind a balancer over several of them the
//! insert of a killed process may be missed; and a write that is given up could still come if something between us and the
//! server held it back for longer than all its repetitions took. Both end in a row that is there twice, not in a lost one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use weir_event::{EventId, Scope, Timestamp};
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;

use super::group::Group;
use super::insert::Rows;
use super::submit::{Answer, Inbox, Load, Submission};
use super::{Announcer, GroupLimits, Receipt, Sink, SinkError, Store};
use crate::metrics::IngestMetrics;
use crate::pipeline::Batch;
use crate::price::PricedEvent;

/// Between two attempts to settle a write: doubles from the first to the longest.
const SETTLE_PAUSE_FIRST: Duration = Duration::from_millis(200);
const SETTLE_PAUSE_LONGEST: Duration = Duration::from_secs(5);
/// After so many attempts without an answer of ClickHouse's own, a write that is not running is given up: something
/// between us and it refuses this very write.
const SETTLE_ATTEMPTS_MAX: u32 = 10;

/// From the first answer of ClickHouse to the look at what runs: a request of our predecessor's that lay in a socket
/// has begun to run by then.
const PREDECESSOR_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at it.
const PREDECESSOR_LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The one that writes.
pub struct Writer {
    inbox: Inbox,
    limits: GroupLimits,
    store: Store,
    announcer: Announcer,
    clock: SharedClock,
    metrics: IngestMetrics,
    writes: u64,
    /// Batches whose group was rejected: each is tried on its own, so that only the one that is at fault fails.
    again: VecDeque<Submission>,
}

/// A group that was not committed.
struct Failure<'g> {
    error: SinkError,
    /// The write, where its outcome is unknown.
    unknown: Option<Group<'g>>,
}

impl Writer {
    /// A writer and the sink that leads to it.
    #[must_use]
    pub fn new(
        limits: GroupLimits,
        store: Store,
        announcer: Announcer,
        clock: SharedClock,
        metrics: IngestMetrics,
    ) -> (Self, Sink) {
        let (sink, inbox) = Sink::new(&limits, metrics.clone());
        (Self { inbox, limits, store, announcer, clock, metrics, writes: 0, again: VecDeque::new() }, sink)
    }

    /// Waits for the inserts that a writer before this one left running. Until then every batch is turned away.
    pub async fn wait_for_predecessors(&mut self) {
        let store = self.store.clone();
        self.refuse_until(predecessors_are_done(&store)).await;
    }

    /// Writes until every [`Sink`] is gone and nothing is waiting, or until `hard_stop`.
    pub async fn run(mut self, hard_stop: &CancellationToken) {
        hard_stop.run_until_cancelled(self.write_all()).await;
    }

    async fn write_all(&mut self) {
        while let Some(first) = self.inbox.submissions.recv().await {
            let group = self.gather(first);
            self.write(group).await;
            while let Some(alone) = self.again.pop_front() {
                self.write(vec![alone]).await;
            }
        }
    }

    fn gather(&mut self, first: Submission) -> Vec<Submission> {
        let (mut events, mut bytes) = (first.load.batch.events.len(), first.load.bytes);
        let mut group = vec![first];
        while events < self.limits.events_max && bytes < self.limits.bytes_max {
            let Ok(next) = self.inbox.submissions.try_recv() else { break };
            events += next.load.batch.events.len();
            bytes += next.load.bytes;
            group.push(next);
        }
        group
    }

    /// Commits a group and tells each of its batches.
    async fn write(&mut self, group: Vec<Submission>) {
        let (loads, answers): (Vec<Load>, Vec<Answer>) =
            group.into_iter().map(|submission| (submission.load, submission.answer)).unzip();
        let batches: Vec<_> = loads.iter().map(|load| &load.batch).collect();
        let Failure { error, unknown } = match self.commit(&batches).await {
            Ok(receipts) => {
                for ((answer, batch), receipt) in answers.into_iter().zip(batches).zip(receipts) {
                    answer.give(batch, Ok(receipt));
                }
                return;
            }
            Err(failure) => failure,
        };
        self.metrics.write_failed();
        tracing::warn!(error = chain(&error), batches = batches.len(), "write failed");
        if error.is_rejection() && loads.len() > 1 {
            let group = loads.into_iter().zip(answers).map(|(load, answer)| Submission { load, answer });
            self.again.extend(group);
            return;
        }
        for (answer, batch) in answers.into_iter().zip(batches) {
            answer.give(batch, Err(error.clone()));
        }
        if let Some(unknown) = unknown {
            self.settle(&unknown).await;
        }
    }

    async fn commit<'g>(&mut self, batches: &[&'g Batch]) -> Result<Vec<Receipt>, Failure<'g>> {
        let started = std::time::Instant::now();
        let fail = |error| Failure { error, unknown: None };
        let known = self.known_ids(batches).await.map_err(fail)?;
        let now = self.now().map_err(fail)?;
        let group = Group::sort_out(batches, &known, now, |fresh| self.token(fresh));
        if let Err(error) = self.store.insert(&group.rows).await {
            let unknown = error.is_unknown().then_some(group);
            return Err(Failure { error, unknown });
        }
        self.metrics.written(group.rows.events.len(), started.elapsed());
        self.announcer.announce(&group.rows.events, &group.duplicates).await;
        Ok(group.receipts)
    }

    async fn settle(&mut self, group: &Group<'_>) {
        self.again.drain(..).for_each(Submission::refuse);
        let store = self.store.clone();
        if self.refuse_until(settle(&store, &group.rows)).await {
            self.announcer.announce(&group.rows.events, &group.duplicates).await;
        }
    }

    /// Turns every batch away until `work` is done.
    async fn refuse_until<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.inbox.closed.send_replace(true);
        let mut work = pin!(work);
        let done = loop {
            tokio::select! {
                biased;
                done = &mut work => break done,
                next = self.inbox.submissions.recv() => match next {
                    Some(submission) => submission.refuse(),
                    None => break work.await,
                },
            }
        };
        self.inbox.closed.send_replace(false);
        done
    }

    async fn known_ids(&self, batches: &[&Batch]) -> Result<HashSet<EventId>, SinkError> {
        let mut ids: HashMap<&Scope, Vec<EventId>> = HashMap::new();
        for batch in batches {
            for event in batch.events.iter().map(PricedEvent::event) {
                ids.entry(&event.scope).or_default().push(event.id);
            }
        }
        let mut known = HashSet::new();
        for (scope, mut ids) in ids {
            known.extend(self.store.known(scope, &mut ids).await?);
        }
        Ok(known)
    }

    /// Names this write by its content and its number. The content alone would not do: rows that were deleted may
    /// come again, and the server would take their second insert for a repetition of the first.
    fn token(&mut self, fresh: &[&PricedEvent]) -> String {
        self.writes += 1;
        let mut hasher = Sha256::new();
        hasher.update(self.writes.to_le_bytes());
        hasher.update(self.clock.now_ms().to_le_bytes());
        hasher.update(std::process::id().to_le_bytes());
        for event in fresh {
            hasher.update(event.event().id.bytes());
        }
        hex::encode(hasher.finalize())
    }

    fn now(&self) -> Result<Timestamp, SinkError> {
        Timestamp::from_millis(self.clock.now_ms()).map_err(SinkError::Clock)
    }
}

/// Brings a write to an end, and gives whether it was stored. An attempt that can be seen running is waited for, so that
/// a server that is slow does not get the same work twice.
async fn settle(store: &Store, rows: &Rows<'_>) -> bool {
    let mut pause = SETTLE_PAUSE_FIRST;
    let mut attempts = 0_u32;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(SETTLE_PAUSE_LONGEST);
        match store.running_inserts(&rows.token).await {
            Ok(running) if running.is_empty() => {}
            Err(error) if error.is_rejection() => {}
            // It runs, or nobody answers.
            Ok(_) | Err(_) => continue,
        }
        if store.has_events(rows).await.is_ok_and(|has_all| has_all) {
            tracing::info!(attempts, "write settled: it was stored");
            return true;
        }
        attempts += 1;
        let Err(error) = store.insert(rows).await else {
            tracing::info!(attempts, "write settled: it is stored");
            return true;
        };
        tracing::warn!(attempts, error = chain(&error), "write is not settled");
        if (error.is_rejection() || attempts >= SETTLE_ATTEMPTS_MAX) && is_quiet(store, &rows.token).await {
            tracing::warn!(attempts, "write given up: it is refused, and no attempt of it is running");
            return false;
        }
    }
}

/// Whether no attempt of a write is running. Looks after a pause: the first attempt may just have reached the server.
async fn is_quiet(store: &Store, token: &str) -> bool {
    sleep(PREDECESSOR_PAUSE).await;
    store.running_inserts(token).await.is_ok_and(|running| running.is_empty())
}

/// Waits until ClickHouse answers, and until the inserts that run then have come to their end.
async fn predecessors_are_done(store: &Store) {
    let mut answered = false;
    let mut left: Option<HashSet<String>> = None;
    loop {
        match store.running_inserts("").await {
            Ok(_) if !answered => {
                answered = true;
                sleep(PREDECESSOR_PAUSE).await;
                continue;
            }
            Ok(running) => {
                let waited_for = left.get_or_insert_with(|| {
                    if !running.is_empty() {
                        tracing::warn!(inserts = running.len(), "waiting for inserts of an earlier process");
                    }
                    running.clone()
                });
                waited_for.retain(|query_id| running.contains(query_id));
                if waited_for.is_empty() {
                    return;
                }
            }
            Err(error) if error.is_rejection() => {
                tracing::warn!(error = chain(&error), "cannot see whether inserts are running");
                return;
            }
            Err(_) => {}
        }
        sleep(PREDECESSOR_LOOK_PAUSE).await;
    }
}
