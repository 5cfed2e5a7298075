//! The opened engine: the library, its control connection, the pool, the sessions and the facts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fs, io};

use super::pool::MARKER_PREFIX;
use super::{Control, Facts, Library, LoadError, Pool, PoolLimits, ResultPipe, Sessions};
use crate::exception::Exception;

/// How many sessions may be open. Each holds a connection.
const SESSIONS_MAX: usize = 1_000;

/// What the engine is opened with.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The library file.
    pub library: PathBuf,
    /// The data folder; the engine's own files go into a folder below it.
    pub data: PathBuf,
    /// ClickHouse's own configuration.
    pub config: Option<PathBuf>,
    /// How many requests run and wait.
    pub limits: PoolLimits,
}

/// Why the engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A folder could not be made.
    #[error("cannot prepare {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The library did not load or open.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The engine opened and then answered nothing sensible.
    #[error("the engine does not answer")]
    Engine(#[from] Exception),
}

/// The opened engine.
pub struct Host {
    library: &'static Library,
    control: Control,
    pool: Pool,
    sessions: Sessions,
    facts: Facts,
    spool: PathBuf,
    pipes: AtomicU64,
}

impl Host {
    /// Loads the library and opens the data folder, which the caller has locked.
    pub fn open(options: &HostOptions) -> Result<Self, HostError> {
        let spool = options.data.join("spool");
        empty_folder(&spool)?;
        let engine = options.data.join("engine");
        fs::create_dir_all(&engine).map_err(|source| HostError::Folder { path: engine.clone(), source })?;

        let library = Library::load(&options.library)?;
        let mut arguments = vec![
            format!("--path={}", engine.display()),
            "--implicit_select=0".to_owned(),
            "--progress=off".to_owned(),
        ];
        arguments.extend(options.config.as_ref().map(|file| format!("--config-file={}", file.display())));
        let control = Control::new(library.connect(&arguments)?);
        let facts = Facts::read(&control)?;
        tracing::debug!(library = library.version(), version = facts.version, "engine opened");
        Ok(Self {
            library,
            control,
            pool: Pool::new(library, arguments, options.limits),
            sessions: Sessions::new(SESSIONS_MAX),
            facts,
            spool,
            pipes: AtomicU64::new(0),
        })
    }

    /// The pool.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The engine's facts.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The control connection.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Where request bodies and large results are kept while they are needed.
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// Makes a pipe for a result of the seat with this marker.
    pub fn result_pipe(&self, marker: &str) -> io::Result<ResultPipe> {
        let number = self.pipes.fetch_add(1, Ordering::Relaxed);
        ResultPipe::create(self.spool.join(format!("{marker}{number}.pipe")))
    }

    /// Lets what runs finish for `deadline`, then stops it, closes every connection and the engine.
    /// False if something would not stop: then the process should end at once.
    pub async fn close(&self, deadline: Duration) -> bool {
        let mut quiet = self.pool.close(deadline).await;
        if !quiet {
            tracing::warn!("statements still run after the deadline: stopping them");
            if let Err(exception) = self.control.kill(MARKER_PREFIX) {
                tracing::warn!(%exception, "cannot stop the running statements");
            }
            quiet = self.pool.wait_idle(Duration::from_secs(5)).await;
        }
        drop(self.sessions.take_all());
        self.pool.clear();
        if !quiet {
            return false;
        }
        self.control.close();
        if !self.library.shut_down() {
            tracing::debug!("the engine left threads behind");
        }
        true
    }
}

/// Makes the folder, or empties it: what a killed server left there is worth nothing.
fn empty_folder(path: &Path) -> Result<(), HostError> {
    let failed = |source| HostError::Folder { path: path.to_owned(), source };
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    fs::create_dir_all(path).map_err(failed)
}
