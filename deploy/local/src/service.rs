//! A supervised child process.
//!
//! It is not bound to an async runtime: tests that each have a runtime of their own can share one. Waiting is
//! polling, at [`POLL`], which is the price of that.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::time::sleep;

use crate::error::LocalError;
use crate::program::Program;
use crate::spawner::spawn;

/// How often a waiting task looks.
const POLL: Duration = Duration::from_millis(20);

/// How long [`Service::restart`] gives a running process to stop.
const RESTART_STOP: Duration = Duration::from_secs(30);

/// How much of the end of a log goes into an error.
const LOG_TAIL_BYTES: u64 = 4_000;

/// A child process with what is needed to start it again. Dropping it kills the process.
#[derive(Debug)]
pub struct Service {
    program: Program,
    child: Mutex<Option<Child>>,
}

impl Service {
    /// Starts `program`, and does not wait for it to be ready.
    pub fn spawn(program: Program) -> Result<Self, LocalError> {
        let service = Self { program, child: Mutex::new(None) };
        service.spawn_again()?;
        Ok(service)
    }

    /// Starts `program` and waits until it is ready, for at most `limit`.
    pub async fn start(program: Program, limit: Duration) -> Result<Self, LocalError> {
        let service = Self::spawn(program)?;
        service.wait_until_ready(limit).await?;
        Ok(service)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// The file with its standard output and standard error.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.program.log
    }

    /// The process id, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut child = self.lock();
        running(&mut child).map(Child::id)
    }

    /// Whether the process runs (a suspended one does).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.pid().is_some()
    }

    /// Waits until the probe succeeds. Ends early if the process does.
    pub async fn wait_until_ready(&self, limit: Duration) -> Result<(), LocalError> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                let (name, log) = self.place();
                return Err(LocalError::Ended { name, status, log, log_tail: self.log_tail() });
            }
            if self.program.probe.succeeds().await {
                return Ok(());
            }
            if begun.elapsed() >= limit {
                let (name, log) = self.place();
                return Err(LocalError::NotReady { name, waited: limit, log, log_tail: self.log_tail() });
            }
            sleep(POLL).await;
        }
    }

    /// Kills the process (SIGKILL) and waits until it is gone. Whether it ran does not matter.
    pub fn kill_hard(&self) -> Result<(), LocalError> {
        let Some(mut child) = self.lock().take() else { return Ok(()) };
        let ended = child.kill().and_then(|()| child.wait());
        ended.map(|_| ()).map_err(|source| LocalError::System { what: "kill a service", source })
    }

    /// Asks the process to stop (SIGTERM) and waits for its end; kills it when `limit` is over.
    pub async fn stop(&self, limit: Duration) -> Result<ExitStatus, LocalError> {
        self.signal(Signal::TERM)?;
        self.wait_until_ended(limit).await
    }

    /// Waits for the process to end by itself; kills it when `limit` is over.
    pub async fn wait_until_ended(&self, limit: Duration) -> Result<ExitStatus, LocalError> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                self.lock().take();
                return Ok(status);
            }
            if begun.elapsed() >= limit {
                self.kill_hard()?;
                let (name, log) = self.place();
                return Err(LocalError::NotStopped { name, waited: limit, log, log_tail: self.log_tail() });
            }
            sleep(POLL).await;
        }
    }

    /// Freezes the process (SIGSTOP): its sockets stay open and nothing answers. It is frozen when this returns, which
    /// takes a moment on a busy machine.
    pub fn suspend(&self) -> Result<(), LocalError> {
        self.signal(Signal::STOP)?;
        let mut child = self.lock();
        let Some(running) = running(&mut child) else { return Ok(()) };
        let until = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let stopped = retry_on_intr(|| waitid(WaitId::Pid(Pid::from_child(running)), until));
        stopped
            .map(drop)
            .map_err(|errno| LocalError::System { what: "wait for a service", source: errno.into() })
    }

    /// Lets a frozen process go on.
    pub fn resume(&self) -> Result<(), LocalError> {
        self.signal(Signal::CONT)
    }

    /// Starts the process once more, with the same arguments, ports and data, and waits until it is ready. One that
    /// still runs is stopped first.
    pub async fn restart(&self, limit: Duration) -> Result<(), LocalError> {
        if self.is_running() {
            self.stop(RESTART_STOP).await?;
        }
        self.spawn_again()?;
        self.wait_until_ready(limit).await
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        read_tail(self.log()).unwrap_or_else(|error| format!("(the log cannot be read: {error})"))
    }

    /// Sends a signal. The process cannot be another one with the same id: it is not reaped as long as it is ours.
    fn signal(&self, signal: Signal) -> Result<(), LocalError> {
        let mut child = self.lock();
        let Some(running) = running(&mut child) else {
            return Err(LocalError::NotRunning { name: self.program.name.clone() });
        };
        let sent = kill_process(Pid::from_child(running), signal);
        sent.map_err(|errno| LocalError::System { what: "signal a service", source: errno.into() })
    }

    fn spawn_again(&self) -> Result<(), LocalError> {
        let name = self.program.name.clone();
        let child = spawn(self.program.command()?).map_err(|source| LocalError::Spawn { name, source })?;
        *self.lock() = Some(child);
        Ok(())
    }

    /// How the process ended; none while it runs.
    fn ended(&self) -> Result<Option<ExitStatus>, LocalError> {
        let mut child = self.lock();
        let Some(child) = child.as_mut() else {
            return Err(LocalError::NotRunning { name: self.program.name.clone() });
        };
        child.try_wait().map_err(|source| LocalError::System { what: "look at a service", source })
    }

    fn place(&self) -> (String, std::path::PathBuf) {
        (self.program.name.clone(), self.program.log.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        // The child is there or not; a panic between leaves nothing half done.
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing can be done about a kill that fails, and the process dies with this one in any case.
        let _ = self.kill_hard();
    }
}

/// The child, if it has not ended.
fn running(child: &mut Option<Child>) -> Option<&Child> {
    let child = child.as_mut()?;
    matches!(child.try_wait(), Ok(None)).then_some(child)
}

fn read_tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let cut = length > LOG_TAIL_BYTES;
    // The first line is only a part of one.
    Ok(text.split_once('\n').filter(|_| cut).map_or(text.clone(), |(_, rest)| rest.to_owned()))
}
