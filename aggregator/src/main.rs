//! The `aggregator` binary.

use std::process::ExitCode;

use weir_aggregator::Settings;
use weir_service::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    match weir_aggregator::run(settings).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = telemetry::chain(&*error), "cannot start");
            ExitCode::FAILURE
        }
    }
}
