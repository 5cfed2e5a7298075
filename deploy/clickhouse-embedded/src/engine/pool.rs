//! The bounded pool of connections.
//!
//! A permit says that a request may run; a seat is the connection it runs on. Opening a connection to a running
//! engine takes a fraction of a millisecond, so the pool opens them when they are needed, keeps those that were
//! left as they were, and closes every other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Connection, Library, LoadError};
use crate::exception::{Code, Exception};

/// How many requests run and wait.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Requests that run at once.
    pub running_max: usize,
    /// Requests that wait for their turn; more are refused at once.
    pub waiting_max: usize,
    /// How long a request waits for its turn.
    pub wait: Duration,
}

/// The right to run one request.
#[derive(Debug)]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// An open connection with a name of its own.
pub struct Seat {
    /// The connection.
    pub connection: Connection,
    /// Set once a request touched settings, database or temporary tables: the seat will not be used again.
    pub changed: bool,
    marker: String,
}

impl Seat {
    /// The name that the engine knows this connection's statements by. No marker is the start of another.
    #[must_use]
    pub fn marker(&self) -> &str {
        &self.marker
    }

    /// Takes the seat apart, for an insert that needs to own the connection.
    #[must_use]
    pub fn into_parts(self) -> (Connection, SeatShell) {
        (self.connection, SeatShell { changed: self.changed, marker: self.marker })
    }
}

/// A seat without its connection.
pub struct SeatShell {
    changed: bool,
    marker: String,
}

impl SeatShell {
    /// Puts the connection back.
    #[must_use]
    pub fn with(self, connection: Connection) -> Seat {
        Seat { connection, changed: self.changed, marker: self.marker }
    }
}

/// The pool.
pub struct Pool {
    library: &'static Library,
    arguments: Vec<String>,
    limits: PoolLimits,
    permits: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    idle: Mutex<Vec<Seat>>,
    opened: AtomicU64,
    closed: AtomicBool,
}

/// Every marker starts like this, so that all statements of the server can be stopped at once.
pub(crate) const MARKER_PREFIX: &str = "weir-seat-";

impl Pool {
    /// A pool of connections that are opened with `arguments`.
    #[must_use]
    pub fn new(library: &'static Library, arguments: Vec<String>, limits: PoolLimits) -> Self {
        Self {
            library,
            arguments,
            limits,
            permits: Arc::new(Semaphore::new(limits.running_max)),
            waiting: Arc::new(Semaphore::new(limits.waiting_max)),
            idle: Mutex::new(Vec::new()),
            opened: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Waits for the right to run, no longer than the limit.
    pub async fn admit(&self) -> Result<Permit, Exception> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(self.full("the server is shutting down"));
        }
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(Permit(permit));
        }
        let _place = self.waiting.try_acquire().map_err(|_| self.full("the queue is full"))?;
        let turn = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(self.limits.wait, turn).await {
            Ok(Ok(permit)) => Ok(Permit(permit)),
            Ok(Err(_closed)) => Err(self.full("the server is shutting down")),
            Err(_elapsed) => Err(self.full("none finished in time")),
        }
    }

    /// A seat to run on. Blocks while a connection opens.
    pub fn seat(&self) -> Result<Seat, LoadError> {
        let idle = self.lock_idle().pop();
        match idle {
            Some(seat) => Ok(seat),
            None => self.open(),
        }
    }

    /// A seat with a connection that nobody used before.
    pub fn open(&self) -> Result<Seat, LoadError> {
        let marker = format!("{MARKER_PREFIX}{}-", self.opened.fetch_add(1, Ordering::Relaxed));
        let mut arguments = self.arguments.clone();
        arguments.push(format!("--log_comment={marker}"));
        let connection = self.library.connect(&arguments)?;
        Ok(Seat { connection, changed: false, marker })
    }

    /// Takes a seat back. One that is no longer as it was opened is closed, and another opened in its place, so that
    /// the next request need not wait for that. Blocks meanwhile.
    pub fn give_back(&self, seat: Seat) {
        let seat = if seat.changed {
            drop(seat);
            if self.closed.load(Ordering::SeqCst) || !self.lock_idle().is_empty() {
                return;
            }
            match self.open() {
                Ok(seat) => seat,
                Err(error) => {
                    tracing::warn!(%error, "cannot open a connection ahead of its use");
                    return;
                }
            }
        } else {
            seat
        };
        let mut idle = self.lock_idle();
        if idle.len() < self.limits.running_max && !self.closed.load(Ordering::SeqCst) {
            idle.push(seat);
        }
    }

    /// Admits nothing from now on and waits until nothing runs, no longer than `deadline`.
    /// False if something still ran.
    pub async fn close(&self, deadline: Duration) -> bool {
        self.closed.store(true, Ordering::SeqCst);
        self.wait_idle(deadline).await
    }

    /// Waits until nothing runs, no longer than `deadline`.
    pub async fn wait_idle(&self, deadline: Duration) -> bool {
        let all = u32::try_from(self.limits.running_max).unwrap_or(u32::MAX);
        tokio::time::timeout(deadline, self.permits.acquire_many(all)).await.is_ok()
    }

    /// Closes the idle connections. Blocks while they close.
    pub fn clear(&self) {
        self.lock_idle().clear();
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, why: &str) -> Exception {
        let limit = self.limits.running_max;
        Exception::new(
            Code::TooManySimultaneousQueries,
            format!("Too many simultaneous queries: {limit} are running and {why}. Try again later"),
        )
    }
}
