//! `ingest`: the binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match weir_ingest::command_line().read_process() {
        Ok(invocation) => weir_ingest::run(invocation).await,
        Err(error) => error.report(),
    }
}
