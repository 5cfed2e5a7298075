//! `ingest`: the binary.

use std::process::ExitCode;

use weir_ingest::Settings;
use weir_service::telemetry;

fn main() -> ExitCode {
    weir_ingest::give_back_large_blocks();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    match weir_ingest::run(settings).await {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = telemetry::chain(error.as_ref()), "cannot start");
            ExitCode::FAILURE
        }
    }
}
