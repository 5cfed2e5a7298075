//! What the process can be asked to do, and the settings of each: to serve, or one of the subcommands, which do their
//! work and end.

use std::io::Write;
use std::process::ExitCode;

use clap::Command;
use weir_service::clock::SystemClock;
use weir_service::config::{
    Binary, ClickHouseConfig, CommandLine, ConfigErrors, Invocation, LoadError, LogConfig, Reader, Subcommand,
};
use weir_service::telemetry;
use weir_store::migrations::Topology;

use crate::config::{IngestConfig, KEYS};
use crate::dead_letters;
use crate::import;
use crate::migrate::migrate;
use crate::prices::{self, PricesTask};
use crate::reprice;
use crate::serve::serve;

/// The subcommand that brings the tables up to date.
const MIGRATE: &str = "migrate";

/// What the process was asked to do, with its settings.
#[derive(Debug)]
pub struct Settings(Task);

#[derive(Debug)]
enum Task {
    Serve(Box<IngestConfig>),
    Migrate { clickhouse: ClickHouseConfig, log: LogConfig },
    Prices(PricesTask),
    Reprice(Box<reprice::Task>),
    DeadLetters(Box<dead_letters::Task>),
    Import(Box<import::Task>),
}

impl Settings {
    /// Reads the arguments and the environment of this process, and the file that they name.
    pub fn from_process() -> Result<Self, LoadError> {
        let Invocation { subcommand, reader } = command_line().read_process()?;
        Ok(Self(Task::new(subcommand, reader)?))
    }
}

/// Does what was asked for, and gives the exit code. Fails only when it cannot start.
pub async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    match settings.0 {
        Task::Serve(config) => serve(*config).await,
        Task::Migrate { clickhouse, log } => {
            telemetry::init(&log)?;
            let applied = migrate(&clickhouse, &Topology::SingleServer, &SystemClock).await?;
            tracing::info!(applied, database = clickhouse.database, "tables are up to date");
            Ok(ExitCode::SUCCESS)
        }
        Task::Prices(task) => {
            let done = prices::run(&task, &SystemClock, &mut std::io::stdout().lock());
            Ok(done.unwrap_or_else(|error| tell(&error)))
        }
        Task::Reprice(task) => task.run().await,
        Task::DeadLetters(task) => {
            let done = task.run(&mut std::io::stdout()).await;
            Ok(done.unwrap_or_else(|error| tell(&error)))
        }
        Task::Import(task) => {
            let done = task.run(&mut std::io::stdout()).await;
            Ok(done.unwrap_or_else(|error| tell(&error)))
        }
    }
}

/// A command without a log says on standard error what went wrong.
fn tell(error: &anyhow::Error) -> ExitCode {
    // Nobody is left to tell if the terminal is gone.
    let _ = writeln!(std::io::stderr(), "error: {}", telemetry::chain(error.as_ref()));
    ExitCode::FAILURE
}

fn command_line() -> CommandLine {
    CommandLine::new(Binary::Ingest, KEYS, "Takes gateway logs in, prices every request and stores it")
        .subcommand(Command::new(MIGRATE).about("creates or updates the tables in ClickHouse, and ends"))
        .subcommand(prices::command())
        .subcommand(reprice::Request::command())
        .subcommand(dead_letters::command())
        .subcommand(import::command())
}

impl Task {
    fn new(subcommand: Option<Subcommand>, reader: Reader) -> Result<Self, LoadError> {
        let Some(Subcommand { name, matches }) = subcommand else {
            return Ok(Self::Serve(Box::new(IngestConfig::from_reader(reader)?)));
        };
        match name.as_str() {
            MIGRATE => Ok(Self::migrate(reader)?),
            reprice::COMMAND => Ok(Self::Reprice(Box::new(reprice::Task::new(&matches, reader)?))),
            dead_letters::COMMAND => {
                Ok(Self::DeadLetters(Box::new(dead_letters::Task::new(&matches, reader)?)))
            }
            import::COMMAND => Ok(Self::Import(Box::new(import::Task::new(&matches, reader)?))),
            // Clap knows no other subcommand.
            _ => Ok(Self::Prices(PricesTask::new(&matches, reader)?)),
        }
    }

    /// Migrating needs no token and no bus.
    fn migrate(mut reader: Reader) -> Result<Self, ConfigErrors> {
        let (clickhouse, log) = (reader.clickhouse(), reader.log());
        reader.finish(|_| Ok(Self::Migrate { clickhouse: clickhouse?, log: log? }))
    }
}
