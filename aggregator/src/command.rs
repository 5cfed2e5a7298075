//! What the process can be asked to do, and the settings of each: to serve, or one of the subcommands, which do their
//! work and end.

use std::io;
use std::process::ExitCode;

use weir_service::clock::SystemClock;
use weir_service::config::{Invocation, LoadError, Subcommand};
use weir_service::lifecycle::TaskError;

use crate::audit;
use crate::config::{AggregatorConfig, command_line};
use crate::pipeline;

/// What the process was asked to do, with its settings.
#[derive(Debug)]
pub struct Settings(Task);

#[derive(Debug)]
enum Task {
    Serve(Box<AggregatorConfig>),
    Audit(Box<audit::Task>),
}

impl Settings {
    /// Reads the arguments and the environment of this process, and the file that they name.
    pub fn from_process() -> Result<Self, LoadError> {
        let command_line =
            command_line().subcommand(audit::verify_command()).subcommand(audit::rebuild_command());
        let Invocation { subcommand, reader } = command_line.read_process()?;
        Ok(Self(match subcommand {
            None => Task::Serve(Box::new(AggregatorConfig::from_reader(reader)?)),
            Some(Subcommand { name, matches }) => {
                Task::Audit(Box::new(audit::Task::new(&name, &matches, reader)?))
            }
        }))
    }
}

/// Does what was asked for, and gives the exit code. Fails only when it cannot start.
pub async fn run(settings: Settings) -> Result<ExitCode, TaskError> {
    match settings.0 {
        Task::Serve(config) => pipeline::serve(&config, SystemClock::shared()).await,
        Task::Audit(task) => Ok(task.run(&mut io::stdout()).await),
    }
}
