//! The process: builds the parts from the settings, runs them, and stops them in order.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Command;
use tokio::time::sleep;
use weir_service::clock::SystemClock;
use weir_service::config::{Binary, CommandLine, Invocation, Reader};
use weir_service::http::Listener;
use weir_service::lifecycle::{Lifecycle, Shutdown};
use weir_service::metrics::Metrics;
use weir_service::readiness::{Readiness, ReadinessCheck};
use weir_service::{ops, telemetry};
use weir_store::migrations::Topology;

use crate::accept::{self, Pushes};
use crate::config::{IngestConfig, KEYS};
use crate::metrics::IngestMetrics;
use crate::migrate::migrate;
use crate::pipeline::Pipeline;
use crate::price::PriceBook;
use crate::sink::{Announcer, Sink, Store, Writer, connect_bus};

/// The subcommand that brings the tables up to date and ends.
pub const COMMAND_MIGRATE: &str = "migrate";

/// How often the stores are looked at for `/readyz`.
const READINESS_INTERVAL: Duration = Duration::from_secs(2);

/// The command line of `ingest`.
#[must_use]
pub fn command_line() -> CommandLine {
    CommandLine::new(Binary::Ingest, KEYS, "Takes gateway logs in, prices every request and stores it")
        .subcommand(
            Command::new(COMMAND_MIGRATE).about("creates or updates the tables in ClickHouse, and ends"),
        )
}

/// Does what was asked for, and says how it went. Logs what went wrong.
pub async fn run(invocation: Invocation) -> ExitCode {
    let result = match invocation.subcommand {
        Some(subcommand) if subcommand.name == COMMAND_MIGRATE => run_migrate(invocation.reader).await,
        // Clap knows no other subcommand.
        Some(_) | None => run_serve(invocation.reader).await,
    };
    result.unwrap_or_else(|error| {
        // The log may not be up yet when a setting is wrong.
        if tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!(error = telemetry::chain(error.as_ref()), "ingest cannot run");
        } else {
            report(&error);
        }
        ExitCode::FAILURE
    })
}

async fn run_migrate(mut reader: Reader) -> anyhow::Result<ExitCode> {
    let (clickhouse, log) = (reader.clickhouse(), reader.log());
    let (clickhouse, log) = reader.finish(|_| Ok((clickhouse?, log?)))?;
    telemetry::init(&log)?;
    let applied = migrate(&clickhouse, &Topology::SingleServer, &SystemClock).await?;
    tracing::info!(applied, database = clickhouse.database, "tables are up to date");
    Ok(ExitCode::SUCCESS)
}

async fn run_serve(mut reader: Reader) -> anyhow::Result<ExitCode> {
    let config = IngestConfig::read(&mut reader);
    let config = reader.finish(|_| config)?;
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
    let (writer, sink) = build_writer(&config, &lifecycle, &readiness, &ingest_metrics).await?;

    ops::spawn(&lifecycle, ops_listener, metrics, readiness);
    let pushes =
        Pushes::new(config.push, SystemClock::shared(), Arc::new(Pipeline::new(PriceBook::builtin())), sink);
    let routes = accept::routes(config.tokens, pushes, ingest_metrics);
    tracing::info!(listen = %listener.local_addr(), "taking pushes");
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("intake", async move {
        listener.serve(routes, shutdown).await;
        Ok::<_, std::convert::Infallible>(())
    });
    // The writer ends when intake has dropped the last sink: everything that was taken in is committed by then.
    lifecycle.spawn("writer", async move {
        writer.run().await;
        Ok::<_, std::convert::Infallible>(())
    });
    Ok(lifecycle.run().await)
}

async fn build_writer(
    config: &IngestConfig,
    lifecycle: &Lifecycle,
    readiness: &Readiness,
    metrics: &IngestMetrics,
) -> anyhow::Result<(Writer, Sink)> {
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
        clickhouse: readiness.register("clickhouse"),
        bus: bus.clone(),
        nats: readiness.register("nats"),
    };
    lifecycle.spawn_background("readiness", checks.watch(lifecycle.shutdown()));
    let announcer = Announcer::new(bus, metrics.clone());
    Ok(Writer::new(config.group, store, announcer, SystemClock::shared(), metrics.clone()))
}

/// What readiness depends on.
struct Checks {
    store: Store,
    clickhouse: ReadinessCheck,
    bus: async_nats::Client,
    nats: ReadinessCheck,
}

impl Checks {
    async fn watch(self, shutdown: Shutdown) -> Result<(), std::convert::Infallible> {
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

#[expect(
    clippy::print_stderr,
    reason = "there is no log yet, and the operator has to see why nothing starts"
)]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
