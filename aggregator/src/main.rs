//! The `aggregator` binary: reads its configuration and serves until it is told to stop.

use std::process::ExitCode;

use weir_aggregator::config::AggregatorConfig;
use weir_aggregator::pipeline;
use weir_service::clock::SystemClock;
use weir_service::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match AggregatorConfig::load() {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    match pipeline::serve(&config, SystemClock::shared()).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = telemetry::chain(&*error), "cannot start");
            ExitCode::FAILURE
        }
    }
}
