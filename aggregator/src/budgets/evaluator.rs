//! The task that watches budgets, in the one process that has the lease.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use async_nats::Client as NatsClient;
use async_nats::jetstream::Context;
use clickhouse::Client;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use weir_budget::{Alert, BUDGETS_SUBJECT};
use weir_event::Timestamp;
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use super::alerts::Alerts;
use super::error::BudgetsError;
use super::metrics::BudgetMetrics;
use super::signals::{Words, hear, listen};
use super::store::Store;
use super::watched::{Board, Watched};
use crate::backoff::Backoff;
use crate::lease::{Holding, Leases};

/// The name of the lease.
const LEASE: &str = "budgets";
/// How often what was touched is summed up.
const WORK_INTERVAL: Duration = Duration::from_millis(200);
/// How often all budgets are looked at, since time goes on without calls.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is read which budgets there are, for whoever did not hear that they were changed.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// Watches budgets.
pub struct Evaluator {
    /// NATS.
    pub client: NatsClient,
    /// JetStream.
    pub context: Context,
    /// Changes with every reconnect.
    pub connects: watch::Receiver<u64>,
    /// Who may.
    pub leases: Leases,
    /// Where `logs` and budgets are.
    pub clickhouse: Client,
    /// The time of day.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: BudgetMetrics,
}

/// The watch of one holder of the lease.
struct Session<'e> {
    evaluator: &'e Evaluator,
    holding: Holding,
    store: Store,
    alerts: Alerts,
    words: &'e Words,
    board: Board,
    looked_at: Option<Instant>,
}

impl Evaluator {
    /// Watches until the soft stop, whenever it has the lease.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let stop = shutdown.soft_stop().clone();
        let mut backoff = Backoff::new();
        loop {
            let lease = tokio::select! {
                lease = self.leases.wait_for(LEASE) => lease,
                () = stop.cancelled() => return Ok(()),
            };
            let holding = lease.holding();
            let started = Instant::now();
            let ended = tokio::select! {
                ended = self.session(holding.clone()) => ended,
                () = holding.lost() => Ok(()),
                () = stop.cancelled() => Ok(()),
            };
            self.metrics.watching.set(0);
            self.metrics.budgets.set(0);
            // Somebody else may be able to.
            lease.give_back().await;
            if stop.is_cancelled() {
                return Ok(());
            }
            if let Err(error) = ended {
                if started.elapsed() > Duration::from_mins(1) {
                    backoff.reset();
                }
                let wait = backoff.next_wait();
                self.metrics.failures.inc();
                tracing::warn!(
                    error = chain(&error),
                    retry_in_ms = wait.as_millis(),
                    "budgets are not watched"
                );
                tokio::select! {
                    () = sleep(wait) => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
        }
    }

    async fn session(&self, holding: Holding) -> Result<(), BudgetsError> {
        let mut connects = self.connects.clone();
        connects.mark_unchanged();
        // In this order: what is committed after the past is read is told of to us.
        let mut messages = listen(&self.context).await?;
        let words = Words::default();
        let session = Session {
            evaluator: self,
            holding,
            store: Store::new(self.clickhouse.clone()),
            alerts: Alerts::open(self.context.clone()).await?,
            words: &words,
            board: Board::default(),
            looked_at: None,
        };
        // At the same time: while ClickHouse is asked NATS has to be heard.
        tokio::select! {
            failed = hear(&mut messages, &words) => failed.map(|_| ()),
            failed = session.watch() => failed.map(|_| ()),
            changed = connects.changed() => changed.map_err(|_| BudgetsError::Ended),
        }
    }
}

impl Session<'_> {
    async fn watch(mut self) -> Result<Infallible, BudgetsError> {
        let evaluator = self.evaluator;
        let mut told = evaluator.client.subscribe(BUDGETS_SUBJECT).await.map_err(BudgetsError::Deaf)?;
        self.refresh().await?;
        evaluator.metrics.watching.set(1);
        let [mut work, mut refresh] = [WORK_INTERVAL, REFRESH_INTERVAL].map(|period| {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            tokio::select! {
                _ = work.tick() => self.work().await?,
                _ = refresh.tick() => self.refresh().await?,
                changed = told.next() => match changed {
                    Some(_) => self.refresh().await?,
                    None => return Err(BudgetsError::Ended),
                },
            }
        }
    }

    fn now_ms(&self) -> i64 {
        self.evaluator.clock.now_ms()
    }

    async fn refresh(&mut self) -> Result<(), BudgetsError> {
        let budgets = self.store.budgets().await?;
        self.board.update(budgets, self.now_ms());
        self.words.listen_for(self.board.gateways.keys());
        self.evaluator.metrics.budgets.set(i64::try_from(self.board.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Sums up what was touched, and tells of what is crossed.
    async fn work(&mut self) -> Result<(), BudgetsError> {
        let now_ms = self.now_ms();
        let heard = self.words.take();
        for (scope, minutes) in heard.minutes {
            self.board.touch(&scope, minutes);
        }
        for (scope, gateway) in &mut self.board.gateways {
            if gateway.rests() || !gateway.is_behind() {
                continue;
            }
            let started = Instant::now();
            match gateway.catch_up(scope, &self.store, now_ms).await {
                Ok(()) => {
                    self.evaluator.metrics.read_duration_s.observe(started.elapsed().as_secs_f64());
                }
                Err(error) if error.is_of_one_statement() => {
                    self.evaluator.metrics.failures.inc();
                    tracing::warn!(%scope.account_id, %scope.gateway_id, error = chain(&error),
                        "budgets of a gateway cannot be summed up");
                    gateway.rest();
                }
                Err(error) => return Err(error),
            }
        }
        self.look().await?;
        if let Some(since_ms) = heard.since_ms {
            let delay = Duration::from_millis(u64::try_from(self.now_ms() - since_ms).unwrap_or(0));
            self.evaluator.metrics.word_delay_s.observe(delay.as_secs_f64());
        }
        Ok(())
    }

    /// Looks at the budgets that changed, or at all of them, since time goes on.
    async fn look(&mut self) -> Result<(), BudgetsError> {
        let is_due = self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL);
        if is_due {
            self.looked_at = Some(Instant::now());
        }
        let now_ms = self.now_ms();
        let now = Timestamp::from_millis(now_ms).unwrap_or(Timestamp::MAX);
        let teller = Teller { evaluator: self.evaluator, alerts: &self.alerts, holding: &self.holding, now };
        for gateway in self.board.gateways.values_mut() {
            for watched in gateway.budgets.values_mut() {
                if is_due && watched.is_loaded {
                    watched.sums.move_on(now_ms);
                    watched.is_changed = true;
                }
                if std::mem::take(&mut watched.is_changed) {
                    teller.look_at(watched).await?;
                }
            }
        }
        Ok(())
    }
}

/// Decides what is told.
struct Teller<'s> {
    evaluator: &'s Evaluator,
    alerts: &'s Alerts,
    holding: &'s Holding,
    now: Timestamp,
}

impl Teller<'_> {
    /// Tells of every threshold that is reached and was not told of.
    async fn look_at(&self, watched: &mut Watched) -> Result<(), BudgetsError> {
        let Watched { budget, sums, told, .. } = watched;
        for time in sums.times(self.now.millis()) {
            let value = sums.total(&time);
            for threshold in &budget.terms.thresholds {
                if !value.reaches(*threshold, budget.terms.limit) {
                    break;
                }
                let last = match told.get(threshold) {
                    Some(last) => last,
                    None => {
                        &*told.entry(*threshold).or_insert(self.alerts.last(&budget.id, *threshold).await?)
                    }
                };
                let is_told = last.alert.as_ref().is_some_and(|alert| alert.covers(budget, &time, self.now));
                if is_told || !self.holding.is_held() {
                    continue;
                }
                let sequence = last.sequence;
                let alert = Alert::new(budget, *threshold, value, &time, self.now);
                // Whatever comes of it, the next look begins with what is there, unless we know.
                told.remove(threshold);
                match self.alerts.tell(&budget.id, sequence, alert).await? {
                    Some(last) => {
                        self.evaluator.metrics.alerts.inc();
                        told.insert(*threshold, last);
                    }
                    None => drop(self.evaluator.metrics.alerts_refused.inc()),
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows a password.
        f.write_str("Evaluator")
    }
}
