//! The task that keeps the windows of one shard for as long as its lease is held: has the past read, then folds messages as they
//! come.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::Stream as Messages;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use weir_event::bus::{DIRTY_SUBJECT, DirtyMessage, UsageMessage};
use weir_event::{Scope, Timestamp};
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;

use super::error::{ConsumeError, Verdict};
use super::progress::{Look, Progress};
use super::reread::Rereads;
use super::stream::{
    PULL_MESSAGES, Position, Predecessors, delete, messages, predecessors, shard_consumer, usage_stream,
};
use super::warm_up::{Stale, Warm, WarmUps};
use crate::backoff::Backoff;
use crate::fold::{Fold, Limits};
use crate::lease::Lease;
use crate::metrics::AggregatorMetrics;
use crate::publish::{Delivered, ScopeWindow, Touched};
use crate::shared_fold::{HeldShard, SharedFold, now};

/// How often old buckets are dropped, the clock is watched and the consumer's state is looked at.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(2);
/// Every shard hears of minutes that were changed; the holder of this one has them computed anew.
const DIRTY_SHARD: u16 = 0;

/// What the intakes of all shards have in common.
#[derive(Clone, Debug)]
pub struct IntakeParts {
    /// JetStream.
    pub context: Context,
    /// Changes with every reconnect.
    pub connects: watch::Receiver<u64>,
    /// The past.
    pub warm_ups: WarmUps,
    /// How much the windows of one shard may keep.
    pub limits: Limits,
    /// After which an unacknowledged message is delivered again.
    pub ack_wait: Duration,
    /// Where the rollups take what was touched.
    pub touched: mpsc::Sender<Touched>,
    /// The time of day.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: AggregatorMetrics,
}

/// Owns the windows of a shard.
#[derive(Debug)]
pub(super) struct Intake {
    parts: IntakeParts,
    shard: u16,
    lease: Lease,
    held: HeldShard,
    windows: Windows,
    /// `None` before there was a session with this consumer.
    progress: Option<Progress>,
    /// Messages may be lost that the windows or the rollups lack.
    lacks: bool,
}

/// The windows of a shard, and what they were filled from: what goes on where it was, should nobody else hold the shard
/// meanwhile.
#[derive(Debug)]
pub(super) struct Windows {
    pub(super) fold: SharedFold,
    position: Option<Position>,
}

/// What is left of an intake that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) lease: Lease,
    pub(super) windows: Windows,
}

impl Windows {
    /// Without anything.
    pub(super) fn cold(parts: &IntakeParts) -> Self {
        let fold = SharedFold::new(Fold::cold(parts.limits, now(&parts.clock)));
        Self { fold, position: None }
    }
}

impl Intake {
    /// The intake of a shard whose windows are in `held`.
    pub(super) fn new(
        parts: IntakeParts,
        (shard, lease): (u16, Lease),
        held: HeldShard,
        windows: Windows,
    ) -> Self {
        Self { parts, shard, lease, held, windows, progress: None, lacks: false }
    }

    /// Takes messages until the lease is lost or `stop`. What was pulled and not folded by then comes again, to whoever is next.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Ended {
        let holding = self.lease.holding();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = holding.lost() => {}
            () = self.run_sessions() => {}
        }
        Ended { lease: self.lease, windows: self.windows }
    }

    async fn run_sessions(&mut self) {
        let mut backoff = Backoff::new();
        loop {
            let started = Instant::now();
            match self.session().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    if started.elapsed() > Duration::from_mins(1) {
                        backoff.reset();
                    }
                    let wait = backoff.next_wait();
                    let reason = chain(&error);
                    let (shard, retry_in_ms) = (self.shard, wait.as_millis());
                    tracing::warn!(shard, error = reason, retry_in_ms, "usage is not consumed");
                    self.held.fail(error.to_string());
                    sleep(wait).await;
                }
            }
        }
    }

    /// Folds messages until another session is called for: after a reconnect, or because the past has to be read.
    async fn session(&mut self) -> Result<(), ConsumeError> {
        self.parts.connects.mark_unchanged();
        let mut stream = usage_stream(&self.parts.context).await?;
        let info = stream.info().await.map_err(ConsumeError::StreamInfo)?;
        let (found, first) = (Position::of(info), info.state.first_sequence);
        let mut consumer = self.consumer(&stream, &found).await?;
        self.know_the_past(found, first).await?;
        let mut messages = messages(&consumer, PULL_MESSAGES).await.map_err(ConsumeError::Pull)?;
        self.held.pass();
        let ended = self.follow(&mut messages, &mut stream, &mut consumer).await;
        // What was fetched and not taken would come again only after the wait for its acknowledgement.
        while let Some(Some(Ok(message))) = messages.next().now_or_never() {
            self.take(message).await?;
        }
        ended
    }

    /// The consumer of this lease, made where the last holder's was acknowledged to.
    async fn consumer(&mut self, stream: &Stream, found: &Position) -> Result<PullConsumer, ConsumeError> {
        let key = (self.shard, self.lease.holding().epoch());
        if self.windows.position.is_some_and(|known| known.created_ns != found.created_ns) {
            self.progress = None;
        }
        let (earlier, mut progress) = if let Some(progress) = self.progress {
            (Predecessors::default(), progress)
        } else {
            let earlier = predecessors(stream, key.0, key.1).await?;
            let told = settled_of(self.lease.left_word(), found.created_ns);
            let floor = earlier.acknowledged.max(told.unwrap_or(0)).min(found.latest);
            let taken = told.unwrap_or(earlier.acknowledged).min(floor);
            (earlier, Progress::after(floor, taken))
        };
        self.ask_lease()?;
        let consumer = shard_consumer(stream, key, progress.settled(), self.parts.ack_wait).await?;
        let delivered = &consumer.cached_info().delivered;
        progress.resume(delivered.consumer_sequence, delivered.stream_sequence);
        self.progress = Some(progress);
        self.ask_lease()?;
        delete(stream, earlier).await?;
        Ok(consumer)
    }

    /// An error where the lease is not held any more: nothing is to be done in its name.
    fn ask_lease(&self) -> Result<(), ConsumeError> {
        if self.lease.holding().is_held() { Ok(()) } else { Err(ConsumeError::NotHeld) }
    }

    async fn follow(
        &mut self,
        messages: &mut Messages,
        stream: &mut Stream,
        consumer: &mut PullConsumer,
    ) -> Result<(), ConsumeError> {
        let mut connects = self.parts.connects.clone();
        let mut upkeep = interval(UPKEEP_INTERVAL);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rereads = Rereads::of(&self.parts, self.shard, &self.windows.fold);
        let created_ns = self.windows.position.map(|position| position.created_ns);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.follow_up(message.map_err(ConsumeError::Interrupted)?, &mut upkeep).await?,
                    None => return Err(ConsumeError::Ended),
                },
                // A question that was on its way when the connection broke is not answered: the reconnect ends it.
                _ = upkeep.tick() => tokio::select! {
                    read_again = self.keep_up(stream, consumer) => if read_again? {
                        return Ok(());
                    } else {
                        rereads.begin_if_due();
                    },
                    changed = connects.changed() => return changed.map_err(|_| ConsumeError::Closed),
                },
                () = rereads.finish(created_ns) => {}
                changed = connects.changed() => return changed.map_err(|_| ConsumeError::Closed),
            }
        }
    }

    /// Takes a message. One that outdates windows has the past read soon, and not at any time within the interval: all
    /// shards hear of it at once, and are to ask for the past together.
    async fn follow_up(&mut self, message: Message, upkeep: &mut Interval) -> Result<(), ConsumeError> {
        let was_outdated = self.is_outdated();
        self.take(message).await?;
        if !was_outdated && self.is_outdated() {
            upkeep.reset();
        }
        Ok(())
    }

    /// Reads the past, unless the windows hold it and go on from this stream.
    async fn know_the_past(&mut self, found: Position, first: u64) -> Result<(), ConsumeError> {
        let goes_on = self.windows.position.is_some_and(|known| known.leads_to(&found));
        let lacks = self.lacks || self.progress.is_some_and(|progress| progress.may_lack_before(first));
        if goes_on && !lacks && !self.needs_warm_up() {
            return Ok(());
        }
        let stale = if lacks { Stale::All } else { Stale::Recent };
        let Warm { fold, minutes, position } = self.parts.warm_ups.read(self.shard, stale).await?;
        *self.windows.fold.lock() = fold;
        self.windows.position = Some(position);
        self.send(Touched { minutes, message: None }).await?;
        if lacks {
            // The stream gives up its oldest messages when it is full. What they told of was read from ClickHouse instead,
            // but not further back than the windows reach: rollups of older minutes may lack rows until they are rebuilt.
            let shard = self.shard;
            tracing::error!(
                shard,
                "the stream may have given up messages, rollups may lack rows older than a day"
            );
            self.parts.metrics.losses.inc();
            if let Some(progress) = &mut self.progress {
                progress.read_up_to(position.latest);
            }
            self.lacks = false;
        }
        Ok(())
    }

    async fn send(&self, touched: Touched) -> Result<(), ConsumeError> {
        self.parts.touched.send(touched).await.map_err(|_| ConsumeError::Closed)
    }

    async fn take(&mut self, message: Message) -> Result<(), ConsumeError> {
        let info = message.info().map_err(ConsumeError::Foreign)?;
        let (sequence, published_ns) = (info.stream_sequence, info.published.unix_timestamp_nanos());
        let delivery = info.consumer_sequence;
        self.parts.metrics.messages.inc();
        let taken = if message.subject.as_str() == DIRTY_SUBJECT {
            self.take_dirty(sequence, &message.payload)
        } else {
            self.take_usage(sequence, &message.payload, published_ns)
        };
        match taken {
            Ok(minutes) => {
                let (_, acker) = message.split();
                let (shard, holding) = (self.shard, self.lease.holding());
                let message = Some(Delivered { shard, sequence, acker, holding });
                self.send(Touched { minutes, message }).await?;
            }
            Err(error) => match error.verdict() {
                Verdict::Retry => return Err(error),
                Verdict::Terminate => {
                    self.parts.metrics.messages_undecodable.inc();
                    self.fold(sequence, &UsageMessage { entries: Vec::new() }, published_ns);
                    tracing::error!(sequence, error = chain(&error), "terminating a message");
                    self.ask_lease()?;
                    message.ack_with(AckKind::Term).await.map_err(ConsumeError::Terminate)?;
                }
            },
        }
        if let Some(position) = &mut self.windows.position {
            position.latest = position.latest.max(sequence);
        }
        if let Some(progress) = &mut self.progress {
            progress.take(sequence, delivery);
            if progress.is_sure() {
                self.folded_through(published_ns);
            }
        }
        Ok(())
    }

    /// New rows. Gives the minutes that they touch.
    fn take_usage(
        &self,
        sequence: u64,
        payload: &[u8],
        published_ns: i128,
    ) -> Result<BTreeSet<ScopeWindow>, ConsumeError> {
        let usage: UsageMessage = serde_json::from_slice(payload).map_err(ConsumeError::Undecodable)?;
        self.fold(sequence, &usage, published_ns);
        Ok(ScopeWindow::minutes_of(&usage.entries))
    }

    /// Rows that were changed. Gives their minutes, if it is for this shard to have them computed. If they are in the windows,
    /// the next upkeep has their tenant's past read again.
    fn take_dirty(&self, sequence: u64, payload: &[u8]) -> Result<BTreeSet<ScopeWindow>, ConsumeError> {
        let dirty: DirtyMessage = serde_json::from_slice(payload).map_err(ConsumeError::Undecodable)?;
        let now = now(&self.parts.clock);
        let outdated = self.windows.fold.lock().outdate(sequence, &dirty.scope, &dirty.minutes, now);
        if outdated {
            let Scope { account_id, gateway_id } = &dirty.scope;
            tracing::debug!(shard = self.shard, sequence, %account_id, %gateway_id, "rows in the windows were changed");
        }
        let is_ours = self.shard == DIRTY_SHARD;
        Ok(if is_ours { ScopeWindow::minutes_of_dirty(&dirty) } else { BTreeSet::new() })
    }

    fn fold(&self, sequence: u64, usage: &UsageMessage, published_ns: i128) {
        let now = now(&self.parts.clock);
        let applied = self.windows.fold.lock().apply(sequence, &usage.entries, now);
        self.parts.metrics.count(applied);
        if applied.redelivered == 0 {
            let delay_ms = i128::from(now.millis()) - published_ns / 1_000_000;
            let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
            self.parts.metrics.fold_delay_s.observe(delay.as_secs_f64());
        }
    }

    /// Notes that all messages of the shard that were published before are folded.
    fn folded_through(&self, published_ns: i128) {
        let millis = i64::try_from(published_ns / 1_000_000).ok();
        if let Some(at) = millis.and_then(|millis| Timestamp::from_millis(millis).ok()) {
            self.windows.fold.lock().folded_through(at);
        }
    }

    /// Lets go of what is old, and looks where stream and consumer stand. Gives whether the past has to be read again.
    async fn keep_up(
        &mut self,
        stream: &mut Stream,
        consumer: &mut PullConsumer,
    ) -> Result<bool, ConsumeError> {
        self.windows.fold.lock().sweep(now(&self.parts.clock));
        let asked_at = now(&self.parts.clock);
        let look = Look::at(stream, consumer).await?;
        let created_ns = Position::of(stream.cached_info()).created_ns;
        self.held.show_pending(look.pending);
        if let Some(progress) = &mut self.progress {
            self.lacks |= progress.look(&look);
            self.lease.leave_word(format!("{created_ns} {}", progress.settled()));
        }
        {
            let mut fold = self.windows.fold.lock();
            if self.progress.is_some_and(|progress| progress.is_idle()) {
                fold.folded_through(asked_at);
            }
            fold.settle(look.acknowledged);
        }
        Ok(self.lacks || self.needs_warm_up())
    }

    /// Whether anything of the past has to be read again.
    fn is_outdated(&self) -> bool {
        let fold = self.windows.fold.lock();
        fold.is_outdated() || fold.needs_warm_up(now(&self.parts.clock))
    }

    fn needs_warm_up(&self) -> bool {
        self.windows.fold.lock().needs_warm_up(now(&self.parts.clock))
    }
}

/// Up to where the holder before us had settled everything, by the word that it left, of the stream that was created then; `None`
/// where it left none.
fn settled_of(word: &str, created_ns: i128) -> Option<u64> {
    let (created, settled) = word.split_once(' ')?;
    if created.parse::<i128>().ok()? == created_ns { settled.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_holder_is_about_one_stream() {
        assert_eq!(settled_of("17 250", 17), Some(250));
        for other in ["18 250", "", "17", "17 x", "17 250 3"] {
            assert_eq!(settled_of(other, 17), None, "{other}");
        }
    }
}
