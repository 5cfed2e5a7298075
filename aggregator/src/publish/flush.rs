//! The task that writes dirty minutes and acknowledges messages.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use async_nats::jetstream::message::Acker;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use weir_service::lifecycle::Shutdown;
use weir_service::readiness::ReadinessCheck;
use weir_service::telemetry::chain;
use weir_store::rollup::USAGE_1M;

use super::apart::Apart;
use super::backlog::Backlog;
use super::error::{PublishError, Verdict};
use super::rollups::{MINUTES_PER_STATEMENT_MAX, Rollups};
use super::window::ScopeWindow;
use crate::backoff::Backoff;
use crate::lease::Holding;
use crate::metrics::AggregatorMetrics;

/// So many dirty minutes are written at once, without waiting for the interval.
const DIRTY_EARLY: usize = 1_000;
/// With so many dirty minutes nothing more is taken in: the stream keeps what comes until they are written.
const DIRTY_MAX: usize = 100_000;
/// After so many statements that failed a flush ends: it is hardly for what each of them asks.
const FAILURES_MAX: u32 = 8;
/// After so long with such statements the minutes that are apart wait for the next flush, in which the others come first.
const FAILING_MAX: Duration = Duration::from_secs(1);
/// How often ClickHouse is asked for a sign of life while there is nothing to write.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// What a message, or a warm-up, touched.
pub struct Touched {
    /// The minutes that have to be computed anew.
    pub minutes: BTreeSet<ScopeWindow>,
    /// The message to acknowledge after that.
    pub message: Option<Delivered>,
}

/// A message that was delivered for a shard.
pub struct Delivered {
    /// The shard.
    pub shard: u16,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Acknowledges it.
    pub acker: Acker,
    /// The lease of the shard: without it the message is somebody else's.
    pub holding: Holding,
}

/// Owns the rollups.
#[derive(Debug)]
pub struct FlushTask {
    /// Where they are written.
    pub rollups: Rollups,
    /// What to write.
    pub touched: Receiver<Touched>,
    /// How often.
    pub interval: Duration,
    /// Cancelled when everything that was touched is written.
    pub flushed: CancellationToken,
    /// Says whether ClickHouse does what it is asked to.
    pub check: ReadinessCheck,
    /// Counts.
    pub metrics: AggregatorMetrics,
}

/// The task while it runs.
struct Flushing {
    task: FlushTask,
    backlog: Backlog<Delivered>,
    /// Of the backlog, what is not asked for together with the others.
    apart: Apart,
    has_seen_tables: bool,
    backoff: Backoff,
    next: Instant,
    last_sign_of_life: Instant,
}

/// What failed in a flush.
#[derive(Default)]
struct Failures {
    statements: u32,
    took: Duration,
    last: Option<PublishError>,
}

impl std::fmt::Debug for Touched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Touched").field("minutes", &self.minutes).field("message", &self.message).finish()
    }
}

impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shard, sequence, .. } = self;
        f.debug_struct("Delivered").field("shard", shard).field("sequence", sequence).finish_non_exhaustive()
    }
}

impl FlushTask {
    /// Writes until every sender of [`FlushTask::touched`] is gone and everything is written, or until the hard stop.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let now = Instant::now();
        let _done = self.flushed.clone().drop_guard();
        let flushing = Flushing {
            // At once: whether ClickHouse is there is to be known before the first message.
            next: now,
            task: self,
            backlog: Backlog::new(),
            apart: Apart::default(),
            has_seen_tables: false,
            backoff: Backoff::new(),
            last_sign_of_life: now,
        };
        tokio::select! {
            () = flushing.run() => {}
            () = shutdown.hard_stop().cancelled() => {}
        }
        Ok(())
    }
}

impl Flushing {
    async fn run(mut self) {
        let mut open = true;
        let mut failing = false;
        while open || !self.backlog.is_empty() {
            let has_room = self.backlog.dirty() < DIRTY_MAX;
            tokio::select! {
                touched = self.task.touched.recv(), if open && has_room => match touched {
                    Some(touched) => self.take(touched),
                    None => open = false,
                },
                () = sleep_until(self.next) => failing = !self.flush_now().await,
            }
            let soon = !open || self.backlog.dirty() >= DIRTY_EARLY;
            if soon && !failing {
                self.next = Instant::now();
            }
        }
    }

    fn take(&mut self, touched: Touched) {
        match touched.message {
            Some(message) => {
                self.backlog.wait((message.shard, message.sequence), touched.minutes, message);
            }
            None => self.backlog.mark(touched.minutes),
        }
        self.show_backlog();
    }

    /// Writes what is dirty, and sets when to do so next. Gives whether all went well and nothing is
    /// apart.
    async fn flush_now(&mut self) -> bool {
        let result = self.flush().await;
        self.show_backlog();
        match &result {
            Ok(()) => {
                if self.apart.is_empty() {
                    self.task.check.pass();
                }
                self.backoff.reset();
                self.next = Instant::now() + self.task.interval;
            }
            Err(error) => {
                let wait = self.backoff.next_wait();
                tracing::warn!(
                    error = chain(error),
                    dirty_minutes = self.backlog.dirty(),
                    retry_in_ms = wait.as_millis(),
                    "rollups are not written"
                );
                self.task.metrics.flush_failures.inc();
                self.task.check.fail(error.to_string());
                self.next = Instant::now() + wait;
            }
        }
        result.is_ok() && self.apart.is_empty()
    }

    async fn flush(&mut self) -> Result<(), PublishError> {
        if self.backlog.is_empty() {
            return self.look_for_life().await;
        }
        let started = Instant::now();
        let result = self.write_groups().await;
        self.last_sign_of_life = Instant::now();
        self.task.metrics.flush_duration_s.observe(started.elapsed().as_secs_f64());
        result
    }

    async fn write_groups(&mut self) -> Result<(), PublishError> {
        // A process that was frozen writes nothing for shards that it has lost.
        self.backlog.forget(|message| message.holding.is_held());
        self.apart.keep(|minute| self.backlog.is_dirty(minute));
        self.acknowledge(&[]).await?;
        let (started, mut failures) = (Instant::now(), Failures::default());
        let groups = self.backlog.groups(MINUTES_PER_STATEMENT_MAX, &self.apart.minutes());
        for group in groups {
            self.write(group, &mut failures).await?;
        }
        while failures.took < FAILING_MAX
            && let Some(group) = self.apart.next(started)
        {
            self.write(group, &mut failures).await?;
        }
        failures.last.map_or(Ok(()), Err)
    }

    /// Writes a group, or sets it apart if what it asks for may be to blame. Fails where there is no use in going on.
    async fn write(&mut self, group: Vec<ScopeWindow>, failures: &mut Failures) -> Result<(), PublishError> {
        let started = Instant::now();
        let Err(error) = self.task.rollups.compute(&USAGE_1M, &group).await else {
            self.task.metrics.minutes_written.inc_by(group.len() as u64);
            self.apart.remove(&group);
            return self.acknowledge(&group).await;
        };
        let (now, took) = (Instant::now(), started.elapsed());
        if error.is_of_one_statement() {
            self.apart.put(group, took, now);
        }
        failures.statements += 1;
        failures.took += took;
        match error.verdict() {
            Verdict::RetryThis if failures.statements < FAILURES_MAX => {
                failures.last = Some(error);
                Ok(())
            }
            Verdict::RetryThis | Verdict::RetryAll => Err(error),
        }
    }

    async fn acknowledge(&mut self, written: &[ScopeWindow]) -> Result<(), PublishError> {
        for message in self.backlog.settle(written) {
            if message.holding.is_held() {
                message.acker.ack().await.map_err(PublishError::Acknowledge)?;
            }
        }
        Ok(())
    }

    async fn look_for_life(&mut self) -> Result<(), PublishError> {
        if self.has_seen_tables && self.last_sign_of_life.elapsed() < PING_INTERVAL {
            return Ok(());
        }
        self.task.rollups.look_for_life().await?;
        self.has_seen_tables = true;
        self.last_sign_of_life = Instant::now();
        Ok(())
    }

    fn show_backlog(&self) {
        let dirty = i64::try_from(self.backlog.dirty()).unwrap_or(i64::MAX);
        self.task.metrics.dirty_minutes.set(dirty);
    }
}

#[cfg(test)]
mod tests;
