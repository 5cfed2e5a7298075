//! What the process can be asked to do, and the settings of each: to serve, or one of the subcommands, which do their
//! work and end.

use std::io::{self, Write};
use std::process::ExitCode;

use weir_service::clock::SystemClock;
use weir_service::config::{CommandLine, Invocation, LoadError, Subcommand};
use weir_service::lifecycle::TaskError;
use weir_service::telemetry;

use crate::config::{Config, command_line};
use crate::identity;
use crate::serve;

/// What the process was asked to do, with its settings.
#[derive(Debug)]
pub struct Settings(Task);

#[derive(Debug)]
enum Task {
    Serve(Box<Config>),
    Identity(Box<identity::Task>),
}

impl Settings {
    /// Reads the arguments and the environment of this process, and the file that they name.
    pub fn from_process() -> Result<Self, LoadError> {
        let command_line = identity::commands().into_iter().fold(command_line(), CommandLine::subcommand);
        let Invocation { subcommand, reader } = command_line.read_process()?;
        Ok(Self(match subcommand {
            None => Task::Serve(Box::new(Config::from_reader(reader)?)),
            Some(Subcommand { name, matches }) => {
                Task::Identity(Box::new(identity::Task::new(&name, &matches, reader)?))
            }
        }))
    }
}

/// Does what was asked for, and gives the exit code. Fails only when it cannot start.
pub async fn run(settings: Settings) -> Result<ExitCode, TaskError> {
    match settings.0 {
        Task::Serve(config) => {
            telemetry::init(&config.log)?;
            Ok(serve(*config, SystemClock::shared()).await?)
        }
        Task::Identity(task) => Ok(match task.run(&SystemClock, &mut io::stdout()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Nobody is left to tell if the terminal is gone.
                let _ = writeln!(io::stderr(), "error: {}", telemetry::chain(&error));
                ExitCode::FAILURE
            }
        }),
    }
}
