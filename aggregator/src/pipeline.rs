//! Wires the stages together and runs them until the process stops.
//!
//! The intakes of the shards own the sending ends of what was touched, and the rollups the receiving end: when the soft stop ends
//! the intakes, the rollups write what is left, acknowledge it, and end too; then the shards are given back.

use std::process::ExitCode;
use std::time::Duration;

use clickhouse::Client as ClickHouse;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use weir_event::bus::SHARDS;
use weir_service::clock::SharedClock;
use weir_service::config::ClickHouseConfig;
use weir_service::http::Listener;
use weir_service::lifecycle::{Lifecycle, TaskError};
use weir_service::metrics::Metrics;
use weir_service::readiness::Readiness;
use weir_service::{ops, telemetry};

use crate::anomalies::Anomalies;
use crate::budgets::{BudgetMetrics, Evaluator};
use crate::config::AggregatorConfig;
use crate::consume::{
    Connection, History, IntakeParts, ShardChecks, ShardsTask, WarmUpTask, WarmUps, connect,
};
use crate::fold::Limits;
use crate::lease::Leases;
use crate::metrics::AggregatorMetrics;
use crate::publish::{FlushTask, LiveResponder, Rollups, SlotsTask, Touched};
use crate::shared_fold::HeldShards;
use crate::webhooks::{WebhookMetrics, Webhooks};

/// Messages between the intake and the rollups, at most. While the rollups cannot be written they take messages on,
/// so this only has to bridge the time of one flush.
const TOUCHED_MESSAGES_MAX: usize = 4_096;

/// How long the last acknowledgements may take to be sent.
const LAST_FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What the stages share.
struct Stages<'a> {
    config: &'a AggregatorConfig,
    clock: SharedClock,
    shards: HeldShards,
    leases: Leases,
    /// Cancelled when everything that was touched is written.
    flushed: CancellationToken,
    metrics: AggregatorMetrics,
    readiness: Readiness,
    connection: Connection,
    budget_metrics: BudgetMetrics,
    webhook_metrics: WebhookMetrics,
}

/// Runs until the process is told to stop, and drains. Fails only when it cannot start.
pub async fn serve(config: &AggregatorConfig, clock: SharedClock) -> Result<ExitCode, TaskError> {
    telemetry::init(&config.log)?;
    for webhook in config.webhooks_without_use() {
        tracing::warn!(
            webhook,
            "webhook has no accounts, so no budget leads to it: accounts = [\"*\"] is for all"
        );
    }
    let lifecycle = Lifecycle::new(config.drain_timeout)?;
    let readiness = Readiness::new(lifecycle.shutdown().soft_stop().clone());
    let listener = Listener::bind(config.ops_listen).await?;
    let mut metrics = Metrics::new("aggregator", env!("CARGO_PKG_VERSION"));
    let counters = AggregatorMetrics::register(&mut metrics);
    let connection = connect(&config.nats, readiness.register("nats")).await?;
    let context = jetstream(connection.client.clone());
    let stages = Stages {
        config,
        shards: HeldShards::default(),
        leases: Leases::new(context, holder()?, config.lease_timeout, counters.clone()),
        flushed: CancellationToken::new(),
        clock,
        budget_metrics: BudgetMetrics::register(&mut metrics),
        webhook_metrics: WebhookMetrics::register(&mut metrics),
        metrics: counters,
        connection,
        readiness: readiness.clone(),
    };
    stages.spawn(&lifecycle);
    ops::spawn(&lifecycle, listener, metrics, readiness);
    let client = stages.connection.client.clone();
    let code = lifecycle.run().await;
    // The last acknowledgements are still on their way. Any that does not get there is a message that comes again.
    if !matches!(timeout(LAST_FLUSH_TIMEOUT, client.flush()).await, Ok(Ok(()))) {
        tracing::warn!("nats does not take the last acknowledgements");
    }
    Ok(code)
}

impl Stages<'_> {
    fn spawn(&self, lifecycle: &Lifecycle) {
        let (touch, touched) = mpsc::channel(TOUCHED_MESSAGES_MAX);
        let (warm_ups, warm_up_task) = self.warm_up_task();
        lifecycle.spawn("shards", self.shards_task(warm_ups, touch).run(lifecycle.shutdown()));
        lifecycle.spawn("warm-ups", warm_up_task.run(lifecycle.shutdown()));
        lifecycle.spawn("rollups", self.flush_task(touched).run(lifecycle.shutdown()));
        lifecycle.spawn("slots", self.slots_task().run(lifecycle.shutdown()));
        lifecycle.spawn("live", self.live_responder().run(lifecycle.shutdown()));
        lifecycle.spawn("budgets", self.evaluator().run(lifecycle.shutdown()));
        lifecycle.spawn("anomalies", self.anomalies().run(lifecycle.shutdown()));
        lifecycle.spawn("webhooks", self.webhooks().run(lifecycle.shutdown()));
    }

    fn evaluator(&self) -> Evaluator {
        Evaluator {
            client: self.connection.client.clone(),
            context: self.context(),
            connects: self.connection.connects.clone(),
            leases: self.leases.clone(),
            clickhouse: clickhouse_client(&self.config.clickhouse),
            endpoints: self.config.webhooks.clone(),
            clock: self.clock.clone(),
            metrics: self.budget_metrics.clone(),
        }
    }

    fn anomalies(&self) -> Anomalies {
        Anomalies {
            context: jetstream(self.connection.client.clone()),
            leases: self.leases.clone(),
            clickhouse: clickhouse_client(&self.config.clickhouse),
            clock: self.clock.clone(),
            rules: self.config.anomalies.clone(),
            metrics: self.budget_metrics.clone(),
        }
    }

    fn webhooks(&self) -> Webhooks {
        Webhooks {
            client: self.connection.client.clone(),
            context: self.context(),
            endpoints: self.config.webhooks.clone(),
            clock: self.clock.clone(),
            metrics: self.webhook_metrics.clone(),
        }
    }

    fn warm_up_task(&self) -> (WarmUps, WarmUpTask) {
        let history = History::new(clickhouse_client(&self.config.clickhouse));
        let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
        WarmUpTask::new(self.context(), history, self.limits(), (clock, metrics))
    }

    fn shards_task(&self, warm_ups: WarmUps, touched: mpsc::Sender<Touched>) -> ShardsTask {
        let parts = IntakeParts {
            context: self.context(),
            connects: self.connection.connects.clone(),
            warm_ups,
            limits: self.limits(),
            ack_wait: self.config.ack_wait,
            touched,
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        };
        ShardsTask {
            leases: self.leases.clone(),
            parts,
            held: self.shards.clone(),
            flushed: self.flushed.clone(),
            checks: ShardChecks {
                shards: self.readiness.register("shards"),
                stream: self.readiness.register("usage_stream"),
                warm_up: self.readiness.register("warm_up"),
            },
        }
    }

    fn context(&self) -> async_nats::jetstream::Context {
        jetstream(self.connection.client.clone())
    }

    /// What the windows of one shard may keep. Of ids one may have all, for most may come for one API token: what is too much in
    /// all is let go of later.
    fn limits(&self) -> Limits {
        let limits = self.config.limits;
        Limits { keys_max: limits.keys_max.div_ceil(usize::from(SHARDS)), ..limits }
    }

    fn flush_task(&self, touched: mpsc::Receiver<Touched>) -> FlushTask {
        FlushTask {
            rollups: Rollups::new(clickhouse_client(&self.config.clickhouse)),
            touched,
            interval: self.config.flush_interval,
            flushed: self.flushed.clone(),
            check: self.readiness.register("clickhouse"),
            metrics: self.metrics.clone(),
        }
    }

    fn slots_task(&self) -> SlotsTask {
        SlotsTask {
            rollups: Rollups::new(clickhouse_client(&self.config.clickhouse)),
            interval: self.config.usage_15m_interval,
            leases: self.leases.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn live_responder(&self) -> LiveResponder {
        LiveResponder {
            client: self.connection.client.clone(),
            shards: self.shards.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

fn clickhouse_client(config: &ClickHouseConfig) -> ClickHouse {
    weir_store::client(config.url.as_str(), &config.database, &config.user, config.password.expose())
}

/// JetStream, with questions that are given up well before a session is worth less than a new one.
fn jetstream(client: async_nats::Client) -> async_nats::jetstream::Context {
    /// A server on its way out does not answer, and what it was asked is asked again of the next one.
    const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
    let mut context = async_nats::jetstream::new(client);
    context.set_timeout(ANSWER_TIMEOUT);
    context
}

/// The name that leases are held under: another one at every start, and told apart by people as well.
fn holder() -> Result<String, getrandom::Error> {
    let mut bits = [0; 8];
    getrandom::fill(&mut bits)?;
    Ok(format!("{}-{:016x}", std::process::id(), u64::from_be_bytes(bits)))
}
