//! How the process starts its tasks and how it stops.
//!
//! SIGTERM or SIGINT begins the **soft stop**: intake ends, what was taken in is finished. When every task is
//! done, or the drain deadline passes, or a second signal comes, the **hard stop** tells what is left to let go.
//! A task that dies stops the process the same way, and then the exit code is not zero: a part that is silently
//! gone is worse than a process that is restarted.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::chain;

/// How long tasks get to let go after the hard stop before the process exits without them.
const HARD_STOP_GRACE: Duration = Duration::from_secs(2);

/// What a task may fail with.
pub type TaskError = Box<dyn Error + Send + Sync>;

/// Owns the process's tasks and its stop.
#[derive(Debug)]
pub struct Lifecycle {
    shutdown: Shutdown,
    tasks: TaskTracker,
    background: TaskTracker,
    signals: Signals,
    drain_timeout: Duration,
}

/// The two stops, for the parts to watch and to trigger. Clones are the same stop.
#[derive(Clone, Debug)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
    failed: Arc<AtomicBool>,
}

/// When a task may end of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    UntilSoftStop,
    UntilHardStop,
    AnyTime,
}

#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Lifecycle {
    /// Takes over SIGTERM and SIGINT. `drain_timeout` is the time between the soft and the hard stop.
    pub fn new(drain_timeout: Duration) -> io::Result<Self> {
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        };
        Ok(Self {
            shutdown: Shutdown::new(),
            tasks: TaskTracker::new(),
            background: TaskTracker::new(),
            signals,
            drain_timeout,
        })
    }

    /// The stops, to be handed to parts.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Starts a task that lives until the soft stop and then drains: an intake, a worker, a server. Ending
    /// earlier, even without an error, counts as dying.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError> + Send + 'static,
    {
        self.shutdown.watch(&self.tasks, name, Span::UntilSoftStop, task);
    }

    /// Starts a task that may be done at any time. Its error or panic still stops the process.
    pub fn spawn_finite<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError> + Send + 'static,
    {
        self.shutdown.watch(&self.tasks, name, Span::AnyTime, task);
    }

    /// Starts a task that works on through the drain and lives until the hard stop: the ops listener, a
    /// connection that draining tasks need. The drain does not wait for it.
    pub fn spawn_background<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError> + Send + 'static,
    {
        self.shutdown.watch(&self.background, name, Span::UntilHardStop, task);
    }

    /// Waits for the end of the process and carries it out. Success means: asked to stop, nothing died, and
    /// everything was drained in time.
    pub async fn run(mut self) -> ExitCode {
        tokio::select! {
            () = self.shutdown.soft.cancelled() => {}
            name = self.signals.recv() => tracing::info!(signal = name, "stopping: draining"),
        }
        self.shutdown.soft.cancel();
        self.tasks.close();
        self.background.close();
        let drained = self.drain().await;
        self.shutdown.hard.cancel();
        let let_go = async {
            self.tasks.wait().await;
            self.background.wait().await;
        };
        if tokio::time::timeout(HARD_STOP_GRACE, let_go).await.is_err() {
            tracing::warn!(
                tasks = self.tasks.len() + self.background.len(),
                "exiting with tasks still running"
            );
        }
        if drained && !self.shutdown.has_failed() {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    async fn drain(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.tasks.wait() => true,
            () = sleep(self.drain_timeout) => {
                tracing::warn!(tasks = self.tasks.len(), "drain deadline passed, stopping hard");
                false
            }
            name = self.signals.recv() => {
                tracing::warn!(signal = name, tasks = self.tasks.len(), "second signal, stopping hard");
                false
            }
            () = self.shutdown.hard.cancelled() => false,
        }
    }
}

impl Shutdown {
    /// Stops that no [`Lifecycle`] watches: for tests of a part on its own.
    #[must_use]
    pub fn new() -> Self {
        Self { soft: CancellationToken::new(), hard: CancellationToken::new(), failed: Arc::default() }
    }

    /// Cancelled when intake has to end.
    #[must_use]
    pub fn soft_stop(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when everything has to be let go. The soft stop always comes first.
    #[must_use]
    pub fn hard_stop(&self) -> &CancellationToken {
        &self.hard
    }

    /// Whether something died, so that the exit code will not be zero.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Begins the soft stop, as a signal would.
    pub fn stop(&self) {
        self.soft.cancel();
    }

    /// Begins the soft stop because something is broken: the exit code will not be zero. The caller has logged
    /// what it is.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        self.soft.cancel();
    }

    fn watch<F, E>(&self, tracker: &TaskTracker, name: &'static str, span: Span, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError> + Send + 'static,
    {
        let shutdown = self.clone();
        // A task of its own, so that its panic is an answer here and not the end of the watching.
        let running = tokio::spawn(task);
        tracker.spawn(async move {
            match running.await {
                Ok(Ok(())) if shutdown.may_end(span) => tracing::debug!(task = name, "task is done"),
                Ok(Ok(())) => {
                    tracing::error!(task = name, "task ended before it was asked to");
                    shutdown.fail();
                }
                Ok(Err(error)) => {
                    tracing::error!(task = name, error = chain(&*error.into()), "task failed");
                    shutdown.fail();
                }
                Err(_panicked) => {
                    tracing::error!(task = name, "task panicked");
                    shutdown.fail();
                }
            }
        });
    }

    fn may_end(&self, span: Span) -> bool {
        match span {
            Span::UntilSoftStop => self.soft.is_cancelled(),
            Span::UntilHardStop => self.hard.is_cancelled(),
            Span::AnyTime => true,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Signals {
    async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio::sync::oneshot;

    use super::*;

    fn lifecycle(drain_timeout: Duration) -> Lifecycle {
        Lifecycle::new(drain_timeout).unwrap()
    }

    fn succeeded(code: ExitCode) -> bool {
        // ExitCode has no equality.
        format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS)
    }

    #[tokio::test]
    async fn a_stop_lets_tasks_finish_what_they_began() {
        let lifecycle = lifecycle(Duration::from_secs(5));
        let shutdown = lifecycle.shutdown();
        let (tell, told) = oneshot::channel();
        let soft = shutdown.soft_stop().clone();
        lifecycle.spawn("worker", async move {
            soft.cancelled().await;
            sleep(Duration::from_millis(20)).await;
            tell.send("drained").map_err(|_| "nobody listens")
        });
        shutdown.stop();
        assert!(succeeded(lifecycle.run().await));
        assert_eq!(told.await, Ok("drained"));
    }

    #[tokio::test]
    async fn a_background_task_outlives_the_drain() {
        let lifecycle = lifecycle(Duration::from_secs(5));
        let shutdown = lifecycle.shutdown();
        let ended = CancellationToken::new();
        let (hard, tell) = (shutdown.hard_stop().clone(), ended.clone());
        lifecycle.spawn_background("ops", async move {
            hard.cancelled().await;
            tell.cancel();
            Ok::<_, Infallible>(())
        });
        let (soft, told) = (shutdown.soft_stop().clone(), ended.clone());
        lifecycle.spawn("worker", async move {
            soft.cancelled().await;
            sleep(Duration::from_millis(20)).await;
            if told.is_cancelled() { Err("the ops listener was gone during the drain") } else { Ok(()) }
        });
        shutdown.stop();
        assert!(succeeded(lifecycle.run().await));
        assert!(ended.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_dies_stops_the_process_with_a_failure() {
        let check = async |start: fn(&Lifecycle)| {
            let lifecycle = lifecycle(Duration::from_secs(5));
            start(&lifecycle);
            assert!(!succeeded(lifecycle.run().await));
        };
        check(|lifecycle| lifecycle.spawn("errs", async { Err("no more") })).await;
        check(|lifecycle| lifecycle.spawn("ends", async { Ok::<_, Infallible>(()) })).await;
        check(|lifecycle| lifecycle.spawn_finite("errs", async { Err("no more") })).await;
        check(|lifecycle| lifecycle.spawn_background("ends", async { Ok::<_, Infallible>(()) })).await;
        check(|lifecycle| {
            lifecycle.spawn("panics", async {
                tokio::task::yield_now().await;
                assert!(std::env::args().count() == usize::MAX, "on purpose");
                Ok::<_, Infallible>(())
            });
        })
        .await;
    }

    #[tokio::test]
    async fn a_finite_task_may_end_without_stopping_anything() {
        let lifecycle = lifecycle(Duration::from_secs(5));
        let shutdown = lifecycle.shutdown();
        lifecycle.spawn_finite("migrate", async { Ok::<_, Infallible>(()) });
        sleep(Duration::from_millis(20)).await;
        assert!(!shutdown.soft_stop().is_cancelled());
        shutdown.stop();
        assert!(succeeded(lifecycle.run().await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_misses_its_deadline_is_cut_off_and_is_a_failure() {
        let lifecycle = lifecycle(Duration::from_millis(50));
        let shutdown = lifecycle.shutdown();
        let hard = shutdown.hard_stop().clone();
        lifecycle.spawn("stuck until the hard stop", async move {
            hard.cancelled().await;
            Ok::<_, Infallible>(())
        });
        shutdown.stop();
        assert!(!succeeded(lifecycle.run().await));
        assert!(shutdown.hard_stop().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_the_hard_stop_does_not_keep_the_process() {
        let lifecycle = lifecycle(Duration::from_millis(50));
        lifecycle.spawn("deaf", std::future::pending::<Result<(), Infallible>>());
        lifecycle.shutdown().stop();
        assert!(!succeeded(lifecycle.run().await));
    }
}
