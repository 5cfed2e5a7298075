//! Tells of API tokens that spend, or fail, much more than they used to.
//!
//! In: the rollup of minutes. Out: alerts in the stream of alerts. Every token is held against itself: what it came to in the
//! last minutes against what it used to come to in as long a time over the past week, by a factor and beyond a floor. One that
//! is not known for a day has no past, and nothing is said of it. One process looks, under a lease; that a token is told of
//! once within the cool-down is decided as for budgets, by one append behind what was last said of it.

mod figures;
mod rules;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream::Context;
use clickhouse::Client;
use tokio::time::{Instant, sleep};
use weir_budget::{Amount, Anomaly, Measure};
use weir_event::{Scope, Timestamp};
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use self::figures::{Figures, Token, read};
pub use self::rules::AnomalyRules;
use crate::budgets::{Alerts, BudgetMetrics, BudgetsError};
use crate::lease::{Holding, Leases};

const LEASE: &str = "anomalies";
/// How often the last minutes are looked at, and how often the week before them.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
const PAST_INTERVAL: Duration = Duration::from_hours(1);
/// How far the past reaches, and how much of it there has to be.
const PAST_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

/// Looks for anomalies.
pub struct Anomalies {
    /// JetStream.
    pub context: Context,
    /// Who may.
    pub leases: Leases,
    /// Where rollups are.
    pub clickhouse: Client,
    /// The time of day.
    pub clock: SharedClock,
    /// What is too much; `None` where nobody wants to know.
    pub rules: Option<AnomalyRules>,
    /// Counts.
    pub metrics: BudgetMetrics,
}

/// The looks of one holder of the lease.
struct Looks<'a> {
    anomalies: &'a Anomalies,
    rules: &'a AnomalyRules,
    alerts: Alerts,
    past: HashMap<Token, Figures>,
    past_read: Option<Instant>,
}

impl Anomalies {
    /// Looks until the soft stop, whenever it has the lease.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Infallible> {
        let stop = shutdown.soft_stop().clone();
        let Some(rules) = &self.rules else {
            stop.cancelled().await;
            return Ok(());
        };
        loop {
            let lease = tokio::select! {
                lease = self.leases.wait_for(LEASE) => lease,
                () = stop.cancelled() => return Ok(()),
            };
            let holding = lease.holding();
            tokio::select! {
                Err(error) = self.look(rules, &holding) => {
                    self.metrics.failures.inc();
                    tracing::warn!(error = chain(&error), "anomalies are not looked for");
                }
                () = holding.lost() => {}
                () = stop.cancelled() => {}
            }
            lease.give_back().await;
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn look(&self, rules: &AnomalyRules, holding: &Holding) -> Result<Infallible, BudgetsError> {
        let alerts = Alerts::open(self.context.clone()).await?;
        let mut looks = Looks { anomalies: self, rules, alerts, past: HashMap::new(), past_read: None };
        loop {
            looks.look(holding).await?;
            sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Looks<'_> {
    async fn look(&mut self, holding: &Holding) -> Result<(), BudgetsError> {
        let now_ms = self.anomalies.clock.now_ms();
        let from_ms = now_ms - self.rules.window_ms();
        if self.past_read.is_none_or(|at| at.elapsed() >= PAST_INTERVAL) {
            self.past = read(&self.anomalies.clickhouse, from_ms - PAST_MS..from_ms).await?;
            self.past_read = Some(Instant::now());
        }
        for (token, now) in read(&self.anomalies.clickhouse, from_ms..now_ms).await? {
            let Some(past) = self.past.get(&token).filter(|past| past.first_ms <= from_ms - DAY_MS) else {
                continue;
            };
            let Ok(scope) = Scope::parse(&token.account_id, &token.gateway_id) else { continue };
            for (measure, value, usual) in self.rules.judge(&now, past, from_ms - past.first_ms) {
                if holding.is_held() {
                    self.tell((&scope, &token.name), measure, (value, usual), now_ms).await?;
                }
            }
        }
        Ok(())
    }

    async fn tell(
        &self,
        (scope, token): (&Scope, &str),
        measure: Measure,
        amounts: (Amount, Amount),
        now_ms: i64,
    ) -> Result<(), BudgetsError> {
        let moment = |ms| Timestamp::from_millis(ms).unwrap_or(Timestamp::MAX);
        let (from, to) = (moment(now_ms - self.rules.window_ms()), moment(now_ms));
        let subject = Anomaly::subject(scope, token, measure);
        let (sequence, last) = self.alerts.last_under(&subject).await?;
        let last: Option<Anomaly> = last.and_then(|payload| serde_json::from_slice(&payload).ok());
        if last.is_some_and(|last| to.millis_since(last.timestamp) < self.rules.cool_down_ms()) {
            return Ok(());
        }
        let webhooks = self.rules.webhooks().to_vec();
        let anomaly = Anomaly::new((scope, token), measure, amounts, (from, to), webhooks);
        let payload =
            serde_json::to_vec(&anomaly).expect("it has names for keys and no value that JSON lacks");
        match self.alerts.append(subject, sequence, payload).await? {
            Some(_) => self.anomalies.metrics.alerts.inc(),
            None => self.anomalies.metrics.alerts_refused.inc(),
        };
        Ok(())
    }
}

impl fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows a password.
        f.write_str("Anomalies")
    }
}
