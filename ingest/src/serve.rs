//! The process: builds the parts from the settings, runs them, and stops them in order.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::time::sleep;
use weir_service::clock::SystemClock;
use weir_service::config::Binary;
use weir_service::http::{self, Listener};
use weir_service::lifecycle::{Lifecycle, Shutdown};
use weir_service::metrics::Metrics;
use weir_service::readiness::{Readiness, ReadinessCheck};
use weir_service::{ops, telemetry};
use weir_store::migrations::Topology;

use crate::accept::{self, Pushes};
use crate::config::IngestConfig;
use crate::consume::{Group, Intake, KafkaMetrics};
use crate::in_flight;
use crate::metrics::IngestMetrics;
use crate::migrate::migrate;
use crate::pipeline::Pipeline;
use crate::reconcile::Reconciler;
use crate::removal::Remover;
use crate::sink::{Announcer, Drainer, Publisher, Races, Sink, SpoolLevel, Store, Writer, connect_bus};

/// How often the stores are looked at for `/readyz`.
const READINESS_INTERVAL: Duration = Duration::from_secs(2);
/// The checks that fail while ClickHouse is away; the spool stands in for them.
const CLICKHOUSE: &str = "clickhouse";
const PREDECESSORS: &str = "predecessors";

/// Serves until it is told to stop, and gives the exit code. Fails only when it cannot start.
pub(crate) async fn serve(config: IngestConfig) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    let lifecycle = Lifecycle::new(config.drain_timeout).context("signals")?;
    if config.migrate_at_start {
        migrate(&config.clickhouse, &Topology::SingleServer, &SystemClock).await?;
    }
    let mut metrics = Metrics::new(Binary::Ingest.name(), env!("CARGO_PKG_VERSION"));
    let ingest_metrics = IngestMetrics::register(&mut metrics);
    let ops_listener = Listener::bind(config.ops_listen).await?;
    let listener = Listener::bind(config.listen).await?;
    let readiness = Readiness::new(lifecycle.shutdown().soft_stop().clone());
    let (bus, store) = connect(&config, &lifecycle, &readiness, &ingest_metrics).await?;
    let sink = start_sink(&config, &lifecycle, &readiness, (&bus, &store), &ingest_metrics);
    let spooling = start_spool(&config, &lifecycle, &readiness, (bus, store, sink.clone()), &ingest_metrics);
    // Before the registry is handed on; only where there is a topic, as what is not there has no metrics either.
    let kafka_metrics = config.kafka.as_ref().map(|_| KafkaMetrics::register(&mut metrics));
    let kafka_ready = config.kafka.as_ref().map(|_| readiness.register("kafka"));

    ops::spawn(&lifecycle, ops_listener, metrics, readiness);
    tracing::info!(
        price_book = config.price_book.edition().as_str(),
        private_keys = config.private_keys.len(),
        "prices and private keys are read"
    );
    let pipeline = Arc::new(
        Pipeline::new(config.price_book)
            .with_private_keys(config.private_keys)
            .with_new_api_types(config.new_api_types)
            .with_redactor(config.redactor),
    );
    if let (Some(kafka), Some(metrics), Some(ready)) = (&config.kafka, kafka_metrics, kafka_ready) {
        let counted = (ingest_metrics.clone(), metrics.clone());
        let intake = Intake::new(kafka, config.push.chunk, Arc::clone(&pipeline), sink.clone(), counted)?;
        let group = Group::new(kafka, intake, metrics, SystemClock::shared(), ready)?;
        let shutdown = lifecycle.shutdown();
        lifecycle.spawn("kafka", async move { group.run(&shutdown).await });
    }
    // A way in that is kept here would keep the writer from its end.
    drop(sink);
    let pushes = Pushes::new(config.push, SystemClock::shared(), pipeline, spooling, ingest_metrics.clone());
    let (senders, known_senders) = watch::channel(Arc::new(config.senders));
    if let Some(file) = config.senders_file {
        let watched = file.watch(senders, ingest_metrics.clone(), lifecycle.shutdown());
        lifecycle.spawn_background("senders file", watched);
    }
    http::spawn(&lifecycle, "intake", listener, accept::routes(known_senders, pushes, ingest_metrics));
    Ok(lifecycle.run().await)
}

/// Runs the sink. It stops in order: the writer ends when intake has dropped the last way to it, so that everything that
/// was taken in is committed, and the publisher when the writer has ended, so that everything is told.
fn spawn_sink(lifecycle: &Lifecycle, parts: Parts, predecessors: ReadinessCheck) {
    let Parts { writer, publisher, reconciler } = parts;
    let soft_stop = lifecycle.shutdown().soft_stop().clone();
    lifecycle.spawn("reconciler", async move {
        reconciler.run(soft_stop).await;
        Ok::<_, Infallible>(())
    });
    let hard_stop = lifecycle.shutdown().hard_stop().clone();
    lifecycle.spawn("writer", async move {
        writer.run(&predecessors, &hard_stop).await;
        Ok::<_, Infallible>(())
    });
    let hard_stop = lifecycle.shutdown().hard_stop().clone();
    lifecycle.spawn("publisher", async move {
        publisher.run(&hard_stop).await;
        Ok::<_, Infallible>(())
    });
}

/// The bus and the store, which are looked at from here on.
async fn connect(
    config: &IngestConfig,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
    metrics: &IngestMetrics,
) -> anyhow::Result<(async_nats::Client, Store)> {
    let clickhouse = &config.clickhouse;
    let client = weir_store::client(
        clickhouse.url.as_str(),
        &clickhouse.database,
        &clickhouse.user,
        clickhouse.password.expose(),
    );
    let store = Store::new(client, config.write_timeout);
    let bus = connect_bus(&config.nats).await.context("nats")?;
    let checks = Checks {
        store: store.clone(),
        clickhouse: readiness.register(CLICKHOUSE),
        bus: bus.clone(),
        nats: readiness.register("nats"),
    };
    lifecycle.spawn_background("readiness", checks.watch(lifecycle.shutdown()));
    let stop = lifecycle.shutdown().hard_stop().clone();
    let answers = in_flight::answer(bus.clone(), metrics.clone(), stop);
    lifecycle.spawn_background("in flight", async move {
        answers.await;
        Ok::<_, Infallible>(())
    });
    Ok((bus, store))
}

/// Builds the sink, runs it, and gives the way in.
fn start_sink(
    config: &IngestConfig,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
    (bus, store): (&async_nats::Client, &Store),
    metrics: &IngestMetrics,
) -> Sink {
    let (announcer, publisher) = Announcer::new(bus.clone(), metrics.clone());
    let races = Races::new(store.clone(), announcer.clone(), metrics.clone());
    let clock = SystemClock::shared();
    let interval = config.reconcile_interval;
    let reconciler = Reconciler::new(store.clone(), races, clock.clone(), metrics.clone(), interval);
    let remover = Remover::new(store, announcer.clone(), clock.clone(), config.retention, interval);
    let removing = remover.run(bus.clone(), lifecycle.shutdown().soft_stop().clone());
    lifecycle.spawn("remover", async move {
        removing.await;
        Ok::<_, Infallible>(())
    });
    let (writer, sink) = Writer::new(config.group, store.clone(), announcer, clock, metrics.clone());
    spawn_sink(lifecycle, Parts { writer, publisher, reconciler }, readiness.register(PREDECESSORS));
    sink
}

/// Runs what puts batches away and what drains them, and gives the way in for those who keep nothing themselves. Where
/// there is to be no spool, what is left of one is drained all the same.
fn start_spool(
    config: &IngestConfig,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
    (bus, store, sink): (async_nats::Client, Store, Sink),
    metrics: &IngestMetrics,
) -> Sink {
    let drainer = Drainer::new(bus.clone(), sink.clone(), store, metrics.clone());
    let delays = drainer.delays();
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("drainer", async move {
        drainer.run(shutdown.soft_stop(), shutdown.hard_stop()).await;
        Ok::<_, Infallible>(())
    });
    let has_spool = config.spool_bytes_max > 0;
    let check = has_spool.then(|| readiness.register_stand_in("spool", &[CLICKHOUSE, PREDECESSORS]));
    let level = SpoolLevel::new(bus, config.spool_bytes_max, check, delays, metrics.clone());
    let spool = level.spool();
    let hard_stop = lifecycle.shutdown().hard_stop().clone();
    lifecycle.spawn_background("spool level", level.watch(hard_stop.clone()));
    let Some((spool, spooler)) = spool else { return sink };
    lifecycle.spawn("spooler", async move {
        spooler.run(&hard_stop).await;
        Ok::<_, Infallible>(())
    });
    sink.with_spool(spool)
}

/// What stores, and what looks after it.
struct Parts {
    writer: Writer,
    publisher: Publisher,
    reconciler: Reconciler,
}

/// What readiness depends on.
struct Checks {
    store: Store,
    clickhouse: ReadinessCheck,
    bus: async_nats::Client,
    nats: ReadinessCheck,
}

impl Checks {
    async fn watch(self, shutdown: Shutdown) -> Result<(), Infallible> {
        while !shutdown.hard_stop().is_cancelled() {
            match self.store.ping().await {
                Ok(()) => self.clickhouse.pass(),
                Err(error) => self.clickhouse.fail(error.to_string()),
            }
            match self.bus.connection_state() {
                async_nats::connection::State::Connected => self.nats.pass(),
                state => self.nats.fail(state.to_string()),
            }
            tokio::select! {
                () = sleep(READINESS_INTERVAL) => {}
                () = shutdown.hard_stop().cancelled() => {}
            }
        }
        Ok(())
    }
}
