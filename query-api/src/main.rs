//! query-api: the binary.

use std::process::ExitCode;

use weir_query_api::config::Config;
use weir_service::telemetry;

fn main() -> ExitCode {
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(error) => return error.report(),
    };
    match run(config) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = telemetry::chain(&*error), "cannot start");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> Result<ExitCode, weir_service::lifecycle::TaskError> {
    telemetry::init(&config.log)?;
    Ok(weir_query_api::run(config).await?)
}
