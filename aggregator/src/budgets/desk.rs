//! The watch of one gateway: a task that waits for no other.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use weir_budget::Alert;
use weir_event::{Scope, Timestamp};
use weir_service::clock::SharedClock;
use weir_service::telemetry::chain;

use super::alerts::Alerts;
use super::error::BudgetsError;
use super::metrics::BudgetMetrics;
use super::signals::Words;
use super::store::{Agreed, Store};
use super::watched::{Gateway, Watched};
use crate::lease::Holding;

/// How often what was touched is summed up.
const WORK_INTERVAL: Duration = Duration::from_millis(200);
/// How often all budgets are looked at, since time goes on without calls.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the watches of all gateways have in common.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) alerts: Alerts,
    pub(super) holding: Holding,
    pub(super) words: Arc<Words>,
    pub(super) clock: SharedClock,
    pub(super) metrics: BudgetMetrics,
}

/// The watch of a gateway.
#[derive(Debug)]
pub(super) struct GatewayWatch {
    desk: Arc<Desk>,
    scope: Scope,
    budgets: watch::Receiver<Vec<Agreed>>,
    gateway: Gateway,
    looked_at: Option<Instant>,
}

impl GatewayWatch {
    /// Of what is in `budgets`, now and whenever it changes.
    pub(super) fn new(desk: Arc<Desk>, scope: Scope, mut budgets: watch::Receiver<Vec<Agreed>>) -> Self {
        budgets.mark_changed();
        Self { desk, scope, budgets, gateway: Gateway::default(), looked_at: None }
    }

    /// Watches until nobody has budgets to give any more. What ClickHouse does not answer is waited for; only what keeps alerts
    /// from being told ends it, which is the same for all gateways.
    pub(super) async fn run(mut self) -> Result<(), BudgetsError> {
        let mut ticks = interval(WORK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.budgets.has_changed() {
                Ok(true) => {
                    let budgets = self.budgets.borrow_and_update().clone();
                    self.gateway.update(budgets, self.desk.clock.now_ms());
                }
                Ok(false) => {}
                Err(_) => return Ok(()),
            }
            self.work().await?;
        }
    }

    /// Sums up what was touched, and tells of what is crossed; then the same of budgets that are new, which takes longer.
    async fn work(&mut self) -> Result<(), BudgetsError> {
        let heard = self.desk.words.take(&self.scope);
        self.gateway.touch(heard.minutes);
        let started = Instant::now();
        if self.gateway.is_touched() && !self.gateway.rest.is_on() {
            let read = self.gateway.read(&self.scope, &self.desk.store).await;
            self.note(read, started);
        }
        self.look().await?;
        if let Some(since_ms) = heard.since_ms {
            let delay = u64::try_from(self.desk.clock.now_ms() - since_ms).unwrap_or(0);
            self.desk.metrics.word_delay_s.observe(Duration::from_millis(delay).as_secs_f64());
        }
        let started = Instant::now();
        if self.gateway.has_new() && !self.gateway.rest.is_on() {
            let now_ms = self.desk.clock.now_ms();
            let loaded = self.gateway.load(&self.scope, &self.desk.store, now_ms).await;
            self.note(loaded, started);
            self.look().await?;
        }
        Ok(())
    }

    /// Leaves it alone for a while if ClickHouse does not answer.
    fn note(&mut self, read: Result<u64, BudgetsError>, started: Instant) {
        let (scope, metrics) = (&self.scope, &self.desk.metrics);
        match read {
            Ok(refused) => {
                self.gateway.rest.end();
                metrics.failures.inc_by(refused);
                metrics.read_duration_s.observe(started.elapsed().as_secs_f64());
            }
            Err(error) => {
                metrics.failures.inc();
                let wait = self.gateway.rest.begin();
                tracing::warn!(%scope.account_id, %scope.gateway_id, error = chain(&error),
                    retry_in_ms = wait.as_millis(), "budgets of a gateway cannot be summed up");
            }
        }
    }

    /// Looks at the budgets that changed, or at all of them, since time goes on.
    async fn look(&mut self) -> Result<(), BudgetsError> {
        let is_due = self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL);
        if is_due {
            self.looked_at = Some(Instant::now());
        }
        let now_ms = self.desk.clock.now_ms();
        let now = Timestamp::from_millis(now_ms).unwrap_or(Timestamp::MAX);
        for watched in self.gateway.budgets.values_mut().filter(|watched| watched.is_loaded) {
            if is_due {
                watched.move_on(now_ms);
            }
            if watched.is_loaded && std::mem::take(&mut watched.is_changed) {
                self.desk.tell_of(watched, now).await?;
            }
        }
        Ok(())
    }
}

impl Desk {
    /// Tells of every threshold that is reached and was not told of.
    async fn tell_of(&self, watched: &mut Watched, now: Timestamp) -> Result<(), BudgetsError> {
        let Watched { budget, sums, told, since_ms, .. } = watched;
        for time in sums.times(now.millis()) {
            if !budget.terms.window.is_sliding() && time.end <= *since_ms {
                // It was over when these terms were agreed.
                continue;
            }
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
                let is_told = last.alert.as_ref().is_some_and(|alert| alert.covers(budget, &time, now));
                if is_told || !self.holding.is_held() {
                    continue;
                }
                let sequence = last.sequence;
                let alert = Alert::new(budget, *threshold, value, &time, now);
                // Whatever comes of it, the next look begins with what is there, unless we know.
                told.remove(threshold);
                match self.alerts.tell(&budget.id, sequence, alert).await? {
                    Some(last) => {
                        self.metrics.alerts.inc();
                        told.insert(*threshold, last);
                    }
                    None => drop(self.metrics.alerts_refused.inc()),
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows a password.
        f.write_str("Desk")
    }
}
