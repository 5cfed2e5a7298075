//! Watches the two services behind, for the readiness probe.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use weir_service::lifecycle::Shutdown;
use weir_service::readiness::{Readiness, ReadinessCheck};
use weir_service::telemetry::chain;

use super::{Aggregators, LogStore};

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How soon to look again while something is missing.
const PAUSE_FAILING: Duration = Duration::from_millis(250);
const PAUSE_PASSING: Duration = Duration::from_secs(2);

/// Looks after ClickHouse and NATS until the hard stop.
pub async fn watch(
    store: LogStore,
    aggregators: Aggregators,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let clickhouse = readiness.register("clickhouse");
    let nats = readiness.register("nats");
    let look = async {
        loop {
            let stored = look_at(&store).await;
            let connected = if aggregators.is_connected() { Ok(()) } else { Err("not connected".to_owned()) };
            let pause = if stored.is_ok() && connected.is_ok() { PAUSE_PASSING } else { PAUSE_FAILING };
            report(&clickhouse, stored);
            report(&nats, connected);
            sleep(pause).await;
        }
    };
    tokio::select! {
        never = look => never,
        () = shutdown.hard_stop().cancelled() => Ok(()),
    }
}

/// The reason is read on the ops listener, so it is the cause without its details; those are in the log.
async fn look_at(store: &LogStore) -> Result<(), String> {
    match timeout(PROBE_TIMEOUT, store.probe()).await {
        Ok(probed) => probed.map_err(|error| {
            tracing::debug!(error = chain(&error), "clickhouse probe failed");
            error.to_string()
        }),
        Err(_elapsed) => Err("clickhouse does not answer".to_owned()),
    }
}

fn report(check: &ReadinessCheck, state: Result<(), String>) {
    match state {
        Ok(()) => check.pass(),
        Err(reason) => check.fail(reason),
    }
}
