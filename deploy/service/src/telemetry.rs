//! The process's log: text for a person, JSON for a machine, always on stderr.
//!
//! Standard output stays free for what a command prints. A panic is logged like any other error, so that it is
//! not lost between the lines of a JSON log.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{LogConfig, LogFormat};

/// The log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one; the configuration reader checks it before.
    #[error("log filter cannot be parsed")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// There is a log already.
    #[error("log is started already")]
    Started(#[from] TryInitError),
}

/// Starts the log of this process. To be called once, before anything is spawned.
pub fn init(config: &LogConfig) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.level)?;
    tracing_subscriber::registry().with(layer(config.format)).with(filter).try_init()?;
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let location = info.location().map(ToString::to_string);
        tracing::error!(panic.message = message, panic.location = location, "panicked");
    }));
    Ok(())
}

/// An error with its causes on one line: `cannot listen on 0.0.0.0:80: permission denied`.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(error.source(), |cause| cause.source())
        .fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

fn layer(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let to_terminal = io::stderr().is_terminal();
    let pretty = match format {
        LogFormat::Auto => to_terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    if pretty {
        fmt::layer().with_writer(io::stderr).with_ansi(to_terminal).boxed()
    } else {
        fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot store the batch")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_chain_names_every_cause_once() {
        let error = Outer(io::Error::other("disk is full"));
        assert_eq!(chain(&error), "cannot store the batch: disk is full");
    }
}
