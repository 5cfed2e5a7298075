//! `aggregator verify` and `aggregator rebuild`: hold the rollups against `logs`, and write them anew where they differ.
//!
//! In: what is asked for on the command line, and the tables. Out: standard output; only `rebuild` changes anything. Both
//! go through the time in slices, so that no statement has much of it at once, and both may be run beside aggregators.

mod print;
mod rebuild;
mod request;
mod slices;
mod tables;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::ArgMatches;
use weir_service::config::{ClickHouseConfig, ConfigErrors, Reader};
use weir_service::telemetry;

use request::Request;
pub(crate) use request::{rebuild_command, verify_command};
use tables::Tables;

/// What the process ends with where it could not do what was asked.
const FAILED: u8 = 2;

/// What was asked for, with its settings.
#[derive(Debug)]
pub(crate) struct Task {
    request: Request,
    clickhouse: ClickHouseConfig,
}

/// Why it was not done, or not to the end.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    #[error("--to is not after --from")]
    NoTime,
    #[error("clickhouse: {what}")]
    ClickHouse {
        what: &'static str,
        #[source]
        source: clickhouse::error::Error,
    },
    #[error("clickhouse does not answer: {what}")]
    TimedOut { what: &'static str },
    #[error("cannot write")]
    Write(#[from] io::Error),
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Rollups are what their rows come to.
    Equal,
    /// They are not.
    Different,
}

impl Task {
    /// Reads the arguments, and where ClickHouse is.
    pub(crate) fn new(name: &str, matches: &ArgMatches, mut reader: Reader) -> Result<Self, ConfigErrors> {
        let request = Request::from_matches(name, matches);
        let clickhouse = reader.clickhouse();
        reader.finish(|_| Ok(Self { request, clickhouse: clickhouse? }))
    }

    /// Does it, and writes what there is to read to `out`. Gives the exit code: 0 where rollups are equal, 1 where they
    /// are not, 2 where that cannot be said.
    pub(crate) async fn run(self, out: &mut impl Write) -> ExitCode {
        match self.outcome(out).await {
            Ok(Outcome::Equal) => ExitCode::SUCCESS,
            Ok(Outcome::Different) => ExitCode::FAILURE,
            Err(error) => {
                // Nobody is left to tell if the terminal is gone.
                let _ = writeln!(io::stderr(), "error: {}", telemetry::chain(&error));
                ExitCode::from(FAILED)
            }
        }
    }

    async fn outcome(self, out: &mut impl Write) -> Result<Outcome, AuditError> {
        let selection = self.request.selection();
        if selection.range.is_empty() {
            return Err(AuditError::NoTime);
        }
        let tables = Tables::new(&self.clickhouse, selection.clone());
        let outcome = match &self.request {
            Request::Verify { settle, form, .. } => verify::verify(&tables, *settle, *form, out).await?,
            Request::Rebuild { .. } => rebuild::rebuild(&tables, out).await?,
        };
        out.flush()?;
        Ok(outcome)
    }
}
