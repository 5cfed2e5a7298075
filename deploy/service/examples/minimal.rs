//! The smallest process built from this crate: how a binary's `main` looks. `tests/process.rs` drives it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use weir_service::config::{Binary, CommandLine, ConfigErrors, Key, LoadError, LogConfig, Reader};
use weir_service::http::Listener;
use weir_service::lifecycle::{Lifecycle, TaskError};
use weir_service::metrics::Metrics;
use weir_service::readiness::Readiness;
use weir_service::{ops, telemetry};

const KEYS: &[Key] = &[
    Key::new("ingest.ops_listen", "where probes and scrapes are answered").default("127.0.0.1:0"),
    Key::new("ingest.drain_timeout", "time between the soft and the hard stop").default("20s"),
    Key::new("ingest.drain_takes", "how long this example pretends to drain").default("0s"),
];

struct Config {
    ops_listen: SocketAddr,
    drain_timeout: Duration,
    drain_takes: Duration,
    log: LogConfig,
}

fn main() -> ExitCode {
    let config = match load() {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    match start(&config) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = telemetry::chain(&*error), "cannot start");
            ExitCode::FAILURE
        }
    }
}

fn load() -> Result<Config, LoadError> {
    let invocation = CommandLine::new(Binary::Ingest, KEYS, "does nothing, properly").read_process()?;
    Ok(extract(invocation.reader)?)
}

fn extract(mut reader: Reader) -> Result<Config, ConfigErrors> {
    let ops_listen = reader.get("ingest.ops_listen");
    let drain_timeout = reader.get("ingest.drain_timeout");
    let drain_takes = reader.get("ingest.drain_takes");
    let log = reader.log();
    reader.finish(|_| {
        Ok(Config {
            ops_listen: ops_listen?,
            drain_timeout: drain_timeout?,
            drain_takes: drain_takes?,
            log: log?,
        })
    })
}

#[tokio::main]
async fn start(config: &Config) -> Result<ExitCode, TaskError> {
    telemetry::init(&config.log)?;
    let lifecycle = Lifecycle::new(config.drain_timeout)?;
    let shutdown = lifecycle.shutdown();
    let readiness = Readiness::new(shutdown.soft_stop().clone());
    let listener = Listener::bind(config.ops_listen).await?;
    let metrics = Metrics::new("ingest", env!("CARGO_PKG_VERSION"));
    ops::spawn(&lifecycle, listener, metrics, readiness.clone());
    let check = readiness.register("worker");
    let drain_takes = config.drain_takes;
    lifecycle.spawn("worker", async move {
        check.pass();
        shutdown.soft_stop().cancelled().await;
        tokio::time::sleep(drain_takes).await;
        Ok::<_, Infallible>(())
    });
    Ok(lifecycle.run().await)
}
