//! The task that keeps the windows: reads the past, then folds messages as they come.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::Stream as Messages;
use async_nats::jetstream::stream::Stream;
use async_nats::jetstream::{AckKind, Context, Message};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use weir_event::Timestamp;
use weir_event::bus::{DIRTY_SUBJECT, DirtyMessage, UsageMessage};
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::readiness::ReadinessCheck;
use weir_service::telemetry::chain;

use super::error::{ConsumeError, Verdict};
use super::history::{History, Stale};
use super::stream::{messages, usage_consumer, usage_stream};
use crate::backoff::Backoff;
use crate::fold::{Limits, Past, WarmUp};
use crate::metrics::AggregatorMetrics;
use crate::publish::{ScopeWindow, Touched};
use crate::shared_fold::{SharedFold, now};

/// How often old buckets are dropped, the clock is watched and the consumer's state is shown.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(2);

/// What the intake says about itself at `/readyz`.
#[derive(Clone, Debug)]
pub struct IntakeChecks {
    /// Messages can be pulled.
    pub stream: ReadinessCheck,
    /// The windows hold the past.
    pub warm_up: ReadinessCheck,
}

/// Owns the windows.
#[derive(Debug)]
pub struct Intake {
    /// JetStream.
    pub context: Context,
    /// Changes with every reconnect.
    pub connects: watch::Receiver<u64>,
    /// The past.
    pub history: History,
    /// The windows.
    pub fold: SharedFold,
    /// How much they may keep.
    pub limits: Limits,
    /// After which an unacknowledged message is delivered again.
    pub ack_wait: Duration,
    /// Where the rollups take what was touched.
    pub touched: mpsc::Sender<Touched>,
    /// The time of day.
    pub clock: SharedClock,
    /// What is said at `/readyz`.
    pub checks: IntakeChecks,
    /// Counts.
    pub metrics: AggregatorMetrics,
}

/// Which stream the windows were filled from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// When the stream was created, in nanoseconds: tells it from another one of the same name.
    created_ns: i128,
    /// The highest sequence that was taken, or that the past was read up to.
    latest: u64,
}

/// The intake while it runs.
struct Running {
    intake: Intake,
    position: Option<Position>,
}

impl Intake {
    /// Takes messages until the soft stop. What was pulled and not folded by then comes again, to whoever is next.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let mut running = Running { intake: self, position: None };
        tokio::select! {
            () = running.run() => {}
            () = shutdown.soft_stop().cancelled() => {}
        }
        Ok(())
    }
}

impl Running {
    async fn run(&mut self) {
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
                    tracing::warn!(error = reason, retry_in_ms = wait.as_millis(), "usage is not consumed");
                    self.intake.checks.stream.fail(error.to_string());
                    sleep(wait).await;
                }
            }
        }
    }

    /// Folds messages until another session is called for: after a reconnect, or because the past has to be read.
    async fn session(&mut self) -> Result<(), ConsumeError> {
        self.intake.connects.mark_unchanged();
        let mut stream = usage_stream(&self.intake.context).await?;
        let mut consumer = usage_consumer(&stream, self.intake.ack_wait).await?;
        self.know_the_past(&mut stream, &consumer).await?;
        let mut messages = messages(&consumer).await?;
        self.intake.checks.stream.pass();
        let ended = self.follow(&mut messages, &mut stream, &mut consumer).await;
        // What was fetched and not taken would come again only after the wait for its acknowledgement.
        while let Some(Some(Ok(message))) = messages.next().now_or_never() {
            self.take(message).await?;
        }
        ended
    }

    async fn follow(
        &mut self,
        messages: &mut Messages,
        stream: &mut Stream,
        consumer: &mut PullConsumer,
    ) -> Result<(), ConsumeError> {
        let mut connects = self.intake.connects.clone();
        let mut upkeep = interval(UPKEEP_INTERVAL);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.take(message.map_err(ConsumeError::Interrupted)?).await?,
                    None => return Err(ConsumeError::Ended),
                },
                // A question that was on its way when the connection broke is not answered: the reconnect ends it.
                _ = upkeep.tick() => tokio::select! {
                    read_again = self.keep_up(stream, consumer) => if read_again? {
                        return Ok(());
                    },
                    changed = connects.changed() => return changed.map_err(|_| ConsumeError::Closed),
                },
                changed = connects.changed() => return changed.map_err(|_| ConsumeError::Closed),
            }
        }
    }

    /// Reads the past, unless the windows hold it and go on from this stream.
    async fn know_the_past(
        &mut self,
        stream: &mut Stream,
        consumer: &PullConsumer,
    ) -> Result<(), ConsumeError> {
        // Asked for anew: this is the sequence that the exactness of the warm-up rests on.
        let info = stream.info().await.map_err(ConsumeError::StreamInfo)?;
        let found =
            Position { created_ns: info.created.unix_timestamp_nanos(), latest: info.state.last_sequence };
        let first = info.state.first_sequence;
        let goes_on = self
            .position
            .is_some_and(|known| known.created_ns == found.created_ns && known.latest <= found.latest);
        let lost = if goes_on {
            self.missing_below(first)
        } else {
            let acknowledged = consumer.cached_info().ack_floor.stream_sequence;
            first.saturating_sub(1).saturating_sub(acknowledged)
        };
        if goes_on && lost == 0 && !self.needs_warm_up() {
            return Ok(());
        }
        let result = self.warm_up(found, if lost > 0 { Stale::All } else { Stale::Recent }).await;
        match &result {
            Ok(()) => self.tell_of_losses(lost),
            Err(error) => self.intake.checks.warm_up.fail(error.to_string()),
        }
        result
    }

    fn missing_below(&self, first_sequence: u64) -> u64 {
        self.intake.fold.lock().missing_below(first_sequence)
    }

    /// The stream gives up its oldest messages when it is full. What they told of was read from ClickHouse instead,
    /// but not further back than the windows reach: rollups of older minutes may lack rows until they are rebuilt.
    fn tell_of_losses(&self, messages: u64) {
        if messages > 0 {
            tracing::error!(messages, "the stream gave up messages, rollups may lack rows older than a day");
            self.intake.metrics.messages_lost.inc_by(messages);
        }
    }

    async fn warm_up(&mut self, found: Position, stale: Stale) -> Result<(), ConsumeError> {
        let started = Instant::now();
        let intake = &self.intake;
        let now = now(&intake.clock);
        let mut warm_up = WarmUp::begin(intake.limits, found.latest, now);
        let minutes =
            intake.history.load(Past::needed_at(now, &intake.limits.windows), stale, &mut warm_up).await?;
        let fold = warm_up.finish();
        let (keys, ids, stale_minutes) = (fold.keys(), fold.ids(), minutes.len());
        *intake.fold.lock() = fold;
        self.position = Some(found);
        intake.touched.send(Touched { minutes, message: None }).await.map_err(|_| ConsumeError::Closed)?;
        intake.metrics.warm_ups.inc();
        intake.metrics.warm.set(1);
        intake.metrics.warm_up_duration_s.observe(started.elapsed().as_secs_f64());
        intake.checks.warm_up.pass();
        let took_ms = started.elapsed().as_millis();
        tracing::info!(took_ms, keys, ids, stale_minutes, last_sequence = found.latest, "the past is read");
        Ok(())
    }

    async fn take(&mut self, message: Message) -> Result<(), ConsumeError> {
        let info = message.info().map_err(ConsumeError::Foreign)?;
        let (sequence, published_ns) = (info.stream_sequence, info.published.unix_timestamp_nanos());
        self.intake.metrics.messages.inc();
        if let Some(position) = &mut self.position {
            position.latest = position.latest.max(sequence);
        }
        let taken = if message.subject.as_str() == DIRTY_SUBJECT {
            self.take_dirty(sequence, &message.payload)
        } else {
            self.take_usage(sequence, &message.payload, published_ns)
        };
        match taken {
            Ok(minutes) => {
                self.folded_through(published_ns);
                let (_, acker) = message.split();
                let touched = Touched { minutes, message: Some((sequence, acker)) };
                self.intake.touched.send(touched).await.map_err(|_| ConsumeError::Closed)
            }
            Err(error) => match error.verdict() {
                Verdict::Retry => Err(error),
                Verdict::Terminate => {
                    self.intake.metrics.messages_undecodable.inc();
                    self.fold(sequence, &UsageMessage { entries: Vec::new() }, published_ns);
                    tracing::error!(sequence, error = chain(&error), "terminating a message");
                    message.ack_with(AckKind::Term).await.map_err(ConsumeError::Terminate)
                }
            },
        }
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

    /// Rows that were changed. Gives their minutes. If they are in the windows, the next upkeep reads the past again.
    fn take_dirty(&self, sequence: u64, payload: &[u8]) -> Result<BTreeSet<ScopeWindow>, ConsumeError> {
        let dirty: DirtyMessage = serde_json::from_slice(payload).map_err(ConsumeError::Undecodable)?;
        let intake = &self.intake;
        if intake.fold.lock().outdate(sequence, &dirty.minutes, now(&intake.clock)) {
            tracing::info!(sequence, "rows in the windows were changed, the past is to be read again");
        }
        Ok(ScopeWindow::minutes_of_dirty(&dirty))
    }

    fn fold(&self, sequence: u64, usage: &UsageMessage, published_ns: i128) {
        let intake = &self.intake;
        let now = now(&intake.clock);
        let applied = intake.fold.lock().apply(sequence, &usage.entries, now);
        intake.metrics.count(applied);
        if applied.redelivered == 0 {
            let delay_ms = i128::from(now.millis()) - published_ns / 1_000_000;
            let delay = Duration::from_millis(u64::try_from(delay_ms).unwrap_or(0));
            intake.metrics.fold_delay_s.observe(delay.as_secs_f64());
        }
    }

    /// Notes that all messages that were published before are folded.
    fn folded_through(&self, published_ns: i128) {
        let millis = i64::try_from(published_ns / 1_000_000).ok();
        if let Some(at) = millis.and_then(|millis| Timestamp::from_millis(millis).ok()) {
            self.intake.fold.lock().folded_through(at);
        }
    }

    /// Lets go of what is old and shows where the consumer stands. Gives whether the past has to be read again.
    async fn keep_up(
        &mut self,
        stream: &mut Stream,
        consumer: &mut PullConsumer,
    ) -> Result<bool, ConsumeError> {
        let intake = &self.intake;
        {
            let mut fold = intake.fold.lock();
            fold.sweep(now(&intake.clock));
            intake.metrics.show(&fold);
        }
        // In this order: what is settled below was in the stream, or is known as gone, when the stream was asked.
        let asked_at = now(&intake.clock);
        let delivery = consumer.info().await.map_err(ConsumeError::ConsumerInfo)?;
        let first = stream.info().await.map_err(ConsumeError::StreamInfo)?.state.first_sequence;
        intake.metrics.messages_pending.set(i64::try_from(delivery.num_pending).unwrap_or(i64::MAX));
        if self.missing_below(first) > 0 {
            return Ok(true);
        }
        let taken = self.position.map_or(0, |position| position.latest);
        if delivery.num_pending == 0 && delivery.delivered.stream_sequence <= taken {
            intake.fold.lock().folded_through(asked_at);
        }
        intake.fold.lock().settle(delivery.ack_floor.stream_sequence);
        Ok(self.needs_warm_up())
    }

    fn needs_warm_up(&self) -> bool {
        let needs = self.intake.fold.lock().needs_warm_up(now(&self.intake.clock));
        if needs {
            self.intake.metrics.warm.set(0);
            self.intake.checks.warm_up.fail("the past is not read yet");
        }
        needs
    }
}
