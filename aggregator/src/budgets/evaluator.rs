//! The task that watches budgets, in the one process that has the lease.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client as NatsClient;
use async_nats::jetstream::Context;
use clickhouse::Client;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use weir_budget::BUDGETS_SUBJECT;
use weir_event::Scope;
use weir_service::clock::SharedClock;
use weir_service::lifecycle::Shutdown;
use weir_service::telemetry::chain;

use super::alerts::Alerts;
use super::desk::{Desk, GatewayWatch};
use super::error::BudgetsError;
use super::metrics::BudgetMetrics;
use super::signals::{Words, hear, listen};
use super::store::{Agreed, Store};
use super::ways::Ways;
use crate::backoff::Backoff;
use crate::lease::{Holding, Leases};
use crate::webhooks::Endpoints;

/// The name of the lease.
const LEASE: &str = "budgets";
/// How often it is asked whether budgets were changed, for whoever did not hear of it.
const REFRESH_INTERVAL: Duration = Duration::from_secs(2);
/// How often they are read whatever the answer is: it may come from another replica than they do, which is ahead.
const READ_INTERVAL: Duration = Duration::from_mins(1);
/// The least time from word that they were changed to the next look: however many changes there are, looks are few.
const REFRESH_DISTANCE: Duration = Duration::from_millis(100);

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
    /// Where alerts may go.
    pub endpoints: Endpoints,
    /// The time of day.
    pub clock: SharedClock,
    /// Counts.
    pub metrics: BudgetMetrics,
}

/// The watch of one holder of the lease: a task for each gateway that has budgets.
struct Session<'e> {
    evaluator: &'e Evaluator,
    desk: Arc<Desk>,
    gateways: BTreeMap<Scope, Watch>,
    /// Which edition of the budgets was read last, and when.
    read: Option<(u64, Instant)>,
    ways: Ways,
    tasks: JoinSet<Result<(), BudgetsError>>,
}

/// The watch of a gateway, from here.
struct Watch {
    budgets: watch::Sender<Vec<Agreed>>,
    task: AbortHandle,
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
            Ways::new(Endpoints::default(), self.metrics.clone()).look(std::iter::empty());
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
        let words = Arc::<Words>::default();
        let desk = Desk {
            store: Store::new(self.clickhouse.clone()),
            alerts: Alerts::open(self.context.clone()).await?,
            holding,
            words: Arc::clone(&words),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
        };
        let session = Session {
            evaluator: self,
            desk: Arc::new(desk),
            gateways: BTreeMap::new(),
            read: None,
            ways: Ways::new(self.endpoints.clone(), self.metrics.clone()),
            tasks: JoinSet::new(),
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
        let mut refresh = interval(REFRESH_INTERVAL);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = refresh.tick() => self.refresh().await?,
                changed = told.next() => match changed {
                    Some(_) => {
                        // One look is about all that was changed before it, and they keep a distance.
                        sleep(REFRESH_DISTANCE).await;
                        while let Some(Some(_)) = told.next().now_or_never() {}
                        self.refresh().await?;
                    }
                    None => return Err(BudgetsError::Ended),
                },
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(ended) => ended?,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => return Err(BudgetsError::Broken(error)),
                },
            }
        }
    }

    /// Has every gateway watched that has budgets, and no other.
    async fn refresh(&mut self) -> Result<(), BudgetsError> {
        // Before they are read: what is changed in between is read twice, and not missed.
        let edition = self.desk.store.edition().await?;
        if self.read.is_some_and(|(known, at)| known == edition && at.elapsed() < READ_INTERVAL) {
            return Ok(());
        }
        let budgets = self.desk.store.budgets().await?;
        self.read = Some((edition, Instant::now()));
        self.watch_those(budgets);
        Ok(())
    }

    fn watch_those(&mut self, budgets: Vec<Agreed>) {
        self.evaluator.metrics.budgets.set(i64::try_from(budgets.len()).unwrap_or(i64::MAX));
        self.ways.look(budgets.iter().map(|agreed| &agreed.budget));
        let mut by_gateway: BTreeMap<Scope, Vec<Agreed>> = BTreeMap::new();
        for agreed in budgets {
            by_gateway.entry(agreed.budget.scope.clone()).or_default().push(agreed);
        }
        // Before any of them is read.
        self.desk.words.listen_for(by_gateway.keys());
        self.gateways.retain(|scope, watch| {
            let is_there = by_gateway.contains_key(scope);
            if !is_there {
                watch.task.abort();
            }
            is_there
        });
        for (scope, budgets) in by_gateway {
            if let Some(known) = self.gateways.get(&scope) {
                known.budgets.send_if_modified(|before| {
                    let is_changed = *before != budgets;
                    *before = budgets;
                    is_changed
                });
                continue;
            }
            let (budgets, receiver) = watch::channel(budgets);
            let watch = GatewayWatch::new(Arc::clone(&self.desk), scope.clone(), receiver);
            let task = self.tasks.spawn(watch.run());
            self.gateways.insert(scope, Watch { budgets, task });
        }
    }
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows a password.
        f.write_str("Evaluator")
    }
}
