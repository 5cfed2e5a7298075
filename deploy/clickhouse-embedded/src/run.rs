//! The process: from the command line to the exit code.
//!
//! Exit codes: 0 after an orderly stop (and after `--help`), 2 for a wrong command line, 3 if the data folder is in
//! use or cannot be used, 4 if the library does not load or open, 5 if the address cannot be listened on, 6 if
//! something would not stop, 1 for anything else.

use std::error::Error;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::{fs, io};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, ConfigError, Password};
use crate::engine::{Host, HostError, HostOptions};
use crate::http::{Gate, Service, serve, sweep_sessions};
use crate::lock::{DataLock, LockError};

/// Why the server ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("the log filter {filter:?} is wrong")]
    Log { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("cannot open the engine; deploy/local/provision.sh fetches its library")]
    Host(#[from] HostError),
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot write the port file")]
    PortFile(#[source] io::Error),
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("some statements would not stop")]
    Stuck,
}

impl RunError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Log { .. } => 2,
            Self::Lock(_) => 3,
            Self::Host(_) => 4,
            Self::Listen { .. } => 5,
            Self::Stuck => 6,
            Self::PortFile(_) | Self::Runtime(_) => 1,
        }
    }
}

/// Runs the server until it is asked to stop.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let config = match Config::from_arguments(arguments) {
        Ok(config) => config,
        Err(ConfigError::Flags(error)) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // The message is all there is to say, and there is nobody to tell if it cannot be written.
            drop(error.print());
            return ExitCode::from(code);
        }
        Err(error) => {
            start_log(EnvFilter::new("info"));
            report(&error);
            return ExitCode::from(2);
        }
    };
    match EnvFilter::try_new(&config.log) {
        Ok(filter) => start_log(filter),
        Err(source) => {
            start_log(EnvFilter::new("info"));
            let error = RunError::Log { filter: config.log, source };
            report(&error);
            return ExitCode::from(error.exit_code());
        }
    }
    match serve_until_told(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn serve_until_told(config: &Config) -> Result<(), RunError> {
    let _lock = DataLock::take(&config.data)?;
    let data = fs::canonicalize(&config.data)
        .map_err(|source| LockError::Io { folder: config.data.clone(), source })?;
    let options = HostOptions {
        library: config.library.clone(),
        data,
        config: config.engine_config.clone(),
        limits: config.limits,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(RunError::Runtime)?;
    let served = runtime.block_on(async {
        let host = Arc::new(Host::open(&options)?);
        let served = listen_and_serve(config, &host).await;
        let closed = host.close(config.drain).await;
        served.and(if closed { Ok(()) } else { Err(RunError::Stuck) })
    });
    // Whatever still blocks a thread has had its time.
    runtime.shutdown_background();
    served
}

async fn listen_and_serve(config: &Config, host: &Arc<Host>) -> Result<(), RunError> {
    let stop = stop_signal().map_err(RunError::Runtime)?;
    let failed = |source| RunError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if let Some(file) = &config.port_file {
        write_port(file, address.port()).map_err(RunError::PortFile)?;
    }
    let version = &host.facts().version;
    tracing::info!(%address, version, data = %config.data.display(), "listening");

    let sweeper = tokio::spawn(sweep_sessions(Arc::clone(host)));
    let gate = Gate::new(config.user.clone(), config.password.as_ref().map(Password::expose));
    let service = Arc::new(Service::new(Arc::clone(host), gate));
    let finished = serve(listener, service, stop, config.drain).await;
    sweeper.abort();
    if !finished {
        tracing::warn!("some requests did not finish in time");
    }
    Ok(())
}

/// Cancelled by SIGTERM or SIGINT.
fn stop_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
        }
        told.cancel();
    });
    Ok(stop)
}

/// Writes the port so that a reader finds all of it or nothing.
fn write_port(file: &Path, port: u16) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::NamedTempFile::new_in(folder)?;
    fs::write(draft.path(), format!("{port}\n"))?;
    draft.persist(file)?;
    Ok(())
}

fn start_log(filter: EnvFilter) {
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
}

/// Logs an error with all of its causes.
fn report(error: &(dyn Error + 'static)) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    tracing::error!("{text}");
}
