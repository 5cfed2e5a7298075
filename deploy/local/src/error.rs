//! What can go wrong with a service, said so that the log need not be opened to understand it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a service is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Something that has to be there first is not.
    #[error("{what} is missing at {}: {remedy}", path.display())]
    Missing {
        /// What it is.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The command that brings it.
        remedy: &'static str,
    },
    /// The process cannot be started.
    #[error("{name} cannot be started")]
    Spawn {
        /// Name of the service.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The process ended when it should be running.
    #[error("{name} ended with {status}; the end of {}:\n{log_tail}", log.display())]
    Ended {
        /// Name of the service.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// The process runs and is not ready.
    #[error("{name} is not ready after {waited:?}; the end of {}:\n{log_tail}", log.display())]
    NotReady {
        /// Name of the service.
        name: String,
        /// How long it had.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// The process did not end when asked, and was killed.
    #[error("{name} did not stop within {waited:?} and was killed; the end of {}:\n{log_tail}", log.display())]
    NotStopped {
        /// Name of the service.
        name: String,
        /// How long it had.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        log_tail: String,
    },
    /// What was asked makes no sense for a process that does not run.
    #[error("{name} is not running")]
    NotRunning {
        /// Name of the service.
        name: String,
    },
    /// A file or folder of the service cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operating system refused.
    #[error("cannot {what}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl LocalError {
    /// For `map_err` on what is done with `path`.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { path: path.into(), source }
    }
}
