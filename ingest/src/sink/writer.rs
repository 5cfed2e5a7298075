//! The writer: commits prepared groups one after another, and tells each batch its part.
//!
//! Groups are prepared side by side, see [`super::prepare`]; that one at a time is committed is what makes the check for
//! known ids sound within a process. What was committed after a group's check is known here, and what other processes
//! committed is looked for after it, see [`super::races`]. An insert whose outcome is
//! unknown is settled before anything else is written, see [`super::settle`]; meanwhile every batch is turned away.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use weir_event::Timestamp;
use weir_service::clock::SharedClock;
use weir_service::readiness::ReadinessCheck;
use weir_service::telemetry::chain;

use super::gate::Gate;
use super::group::Group;
use super::insert::Names;
use super::prepare::{Intake, Prepared, Preparer, known_ids};
use super::races::Races;
use super::recent::Recent;
use super::settle::{predecessors_are_done, settle};
use super::spool::{Doubt, settling};
use super::submit::{Answer, Inbox};
use super::unentered::Unentered;
use super::{Announcer, Encoded, GroupLimits, Sink, SinkError, Store};
use crate::metrics::IngestMetrics;

/// Groups that are prepared at the same time: while bodies are written, ids of the next group are looked up.
const PREPARERS: usize = 2;
/// How long records in which there was nothing to store may wait for a write to be entered in the ledger with.
const LEDGER_INTERVAL: std::time::Duration = std::time::Duration::from_secs(30);

/// The one that writes.
pub struct Writer {
    inbox: Inbox,
    limits: GroupLimits,
    store: Store,
    announcer: Announcer,
    clock: SharedClock,
    metrics: IngestMetrics,
}

struct Committer {
    store: Store,
    announcer: Announcer,
    races: Races,
    clock: SharedClock,
    metrics: IngestMetrics,
    gate: Gate,
    unentered: Unentered,
    recent: Recent,
    commits: Arc<AtomicU64>,
    names: Names,
    prepared: mpsc::Receiver<Prepared>,
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
        (Self { inbox, limits, store, announcer, clock, metrics }, sink)
    }

    /// Writes until every [`Sink`] is gone and nothing is waiting, or until `hard_stop`. Turns batches away until the
    /// inserts that a writer before this one left running have come to their end, which `predecessors` tells of.
    pub async fn run(self, predecessors: &ReadinessCheck, hard_stop: &CancellationToken) {
        hard_stop.run_until_cancelled(self.write_all(predecessors)).await;
    }

    async fn write_all(self, predecessors: &ReadinessCheck) {
        let (gate, unentered) = (self.inbox.gate.clone(), self.inbox.unentered.clone());
        let commits = Arc::<AtomicU64>::default();
        let names = Names::new(self.clock.clone());
        let closed = gate.close();
        let (sender, receiver) = mpsc::channel(1);
        let intake = Intake { inbox: self.inbox, limits: self.limits, not_before: None, next: None };
        let one = Preparer {
            intake: Arc::new(Mutex::new(intake)),
            gate: gate.clone(),
            store: self.store.clone(),
            commits: Arc::clone(&commits),
            names: names.clone(),
            metrics: self.metrics.clone(),
        };
        let mut preparers = JoinSet::new();
        for _ in 0..PREPARERS {
            preparers.spawn(one.clone().run(sender.clone()));
        }
        drop((sender, one));
        predecessors.fail("inserts of an earlier process may be running");
        predecessors_are_done(&self.store).await;
        predecessors.pass();
        drop(closed);
        let committer = Committer {
            races: Races::new(self.store.clone(), self.announcer.clone(), self.metrics.clone()),
            store: self.store,
            announcer: self.announcer,
            clock: self.clock,
            metrics: self.metrics,
            gate,
            unentered,
            recent: Recent::default(),
            commits,
            names,
            prepared: receiver,
        };
        // On the heap: it holds the whole course of a write.
        Box::pin(committer.run()).await;
    }
}

impl Committer {
    async fn run(mut self) {
        let mut enter_at = Instant::now() + LEDGER_INTERVAL;
        loop {
            let next = tokio::select! {
                next = self.prepared.recv() => next,
                () = sleep_until(enter_at) => Some(Prepared::empty()),
            };
            let stopping = next.is_none();
            let group = next.unwrap_or_else(Prepared::empty);
            if !group.batches.is_empty() || !self.unentered.is_empty() {
                self.write(group).await;
            }
            if stopping {
                return;
            }
            enter_at = Instant::now() + LEDGER_INTERVAL;
        }
    }

    /// Commits a group and tells each of its batches. Where it is rejected each batch is tried on its own, so that only
    /// the one that is at fault fails.
    async fn write(&mut self, group: Prepared) {
        let Some((group, error)) = self.commit(group).await else { return };
        if error.is_outage() || group.batches.len() < 2 {
            group.turn_away(&error);
            return;
        }
        for single in group.into_singles() {
            if let Some((single, error)) = self.commit(single).await {
                single.turn_away(&error);
            }
        }
    }

    /// Commits a group; gives it back with the reason where it was not committed.
    async fn commit(&mut self, mut prepared: Prepared) -> Option<(Prepared, SinkError)> {
        if self.gate.is_closed() {
            return Some((prepared, SinkError::Unsettled));
        }
        let started = std::time::Instant::now();
        if !self.recent.complete(&mut prepared.known, prepared.seen) {
            match known_ids(&self.store, &prepared.batches).await {
                Ok(known) => prepared.known = known,
                Err(error) => return Some((prepared, self.failed(error))),
            }
        }
        let now = match Timestamp::from_millis(self.clock.now_ms()) {
            Ok(now) => now,
            Err(error) => return Some((prepared, SinkError::Clock(error))),
        };
        let Prepared { batches, answers, known, seen, block } = prepared;
        let unentered = self.unentered.take();
        let borrowed: Vec<&Encoded> = batches.iter().map(Arc::as_ref).collect();
        let group =
            Group::sort_out(&borrowed, &known, unentered.clone(), now, |fresh| self.names.next(fresh));
        match self.store.insert(&group.rows).await {
            Ok(()) => {
                self.committed(&group);
                self.metrics.written(group.rows.events.len(), started.elapsed());
                self.tell(group, block, answers.into_iter().map(Some).collect()).await;
                None
            }
            Err(error) if error.is_unknown() => {
                let error = self.failed(error);
                if !self.settle(group, &batches, answers, &error).await {
                    self.forget();
                    self.unentered.give_back(unentered);
                }
                None
            }
            Err(error) => {
                drop(group);
                // Its events may be there without the rest of it.
                self.forget();
                self.unentered.give_back(unentered);
                let error = self.failed(error);
                Some((Prepared { batches, answers, known, seen, block }, error))
            }
        }
    }

    /// Brings a write to an end whose outcome is unknown. What came from the spool is told of it, since it has to stay
    /// there until that is known; whoever else waits is told at once that it is not. Gives whether it was stored.
    async fn settle(
        &mut self,
        group: Group<'_>,
        batches: &[Arc<Encoded>],
        answers: Vec<Answer>,
        error: &SinkError,
    ) -> bool {
        let _closed = self.gate.close();
        let doubt = Doubt::of(&group.rows);
        let _settling = settling(&answers, &doubt).await;
        let mut patient = Vec::with_capacity(answers.len());
        for (batch, answer) in batches.iter().zip(answers) {
            if answer.is_for_drained() {
                patient.push(Some(answer));
            } else {
                answer.turn_away(Arc::clone(batch), error, Some(&doubt));
                patient.push(None);
            }
        }
        let stored = {
            let mut settled = pin!(settle(&self.store, &group.rows));
            loop {
                tokio::select! {
                    biased;
                    stored = &mut settled => break stored,
                    // Whoever prepared it goes on, and turns away what is waiting behind it.
                    Some(next) = self.prepared.recv() => next.turn_away(&SinkError::Unsettled),
                }
            }
        };
        if stored {
            self.committed(&group);
            // When it was committed is not known: every id is asked for.
            self.tell(group, None, patient).await;
        } else {
            patient.into_iter().flatten().for_each(|answer| answer.give(Err(error.clone())));
        }
        stored
    }

    /// Has ids asked for again that were asked for before: there may be rows that no commit tells of.
    fn forget(&mut self) {
        self.commits.store(self.recent.forget(), Ordering::SeqCst);
    }

    fn committed(&mut self, group: &Group<'_>) {
        let ids = group.rows.events.iter().map(|event| event.id);
        let commits = self.recent.add(group.rows.token.write_id(), ids);
        self.commits.store(commits, Ordering::SeqCst);
    }

    /// What comes after a commit: what others stored at the same time is sorted out, the bus is told, then the
    /// senders that still wait.
    async fn tell(&mut self, mut group: Group<'_>, block: Option<i64>, answers: Vec<Option<Answer>>) {
        let write_id = group.rows.token.write_id();
        match self.races.after(write_id, &group.rows.events, block, self.recent.writes()).await {
            Ok(raced) => group.share(&raced),
            // The rows are stored, and what is there twice is found later.
            Err(error) => tracing::warn!(error = chain(&error), "cannot see whether others stored the same"),
        }
        self.announcer.announce(&group.rows.events, &group.duplicates).await;
        for (answer, receipt) in answers.into_iter().zip(group.receipts) {
            if let Some(answer) = answer {
                answer.give(Ok(receipt));
            }
        }
    }

    fn failed(&self, error: SinkError) -> SinkError {
        self.metrics.write_failed();
        tracing::warn!(error = chain(&error), "write failed");
        error
    }
}

impl Prepared {
    fn empty() -> Self {
        Self { batches: Vec::new(), answers: Vec::new(), known: HashSet::new(), seen: u64::MAX, block: None }
    }
}
