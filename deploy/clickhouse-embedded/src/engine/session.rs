//! HTTP sessions: a connection that stays with its name, so that temporary tables and `SET` last.
//!
//! A session runs one request at a time; a second one is refused at once (`SESSION_IS_LOCKED`), as in ClickHouse.
//! It ends when it was idle for its timeout. What a request changes for itself alone (settings in the URL) is put
//! back by [`super::Restore`]; what a statement sets stays.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Seat;
use crate::exception::{Code, Exception};

/// What a request says about its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRequest {
    /// The session's name.
    pub name: String,
    /// How long it may be idle.
    pub timeout: Duration,
    /// Whether it must exist already.
    pub must_exist: bool,
    /// Whether it ends with this request.
    pub close: bool,
}

/// The open sessions.
pub struct Sessions {
    open: Arc<Mutex<HashMap<String, Entry>>>,
    count_max: usize,
}

struct Entry {
    /// `None` while a request runs in the session.
    seat: Option<Seat>,
    timeout: Duration,
    idle_since: Instant,
}

/// The place that a session's seat goes back to. If it is dropped without its seat, the session is gone.
pub struct SessionHome {
    open: Arc<Mutex<HashMap<String, Entry>>>,
    request: SessionRequest,
    settled: bool,
}

impl Sessions {
    /// No sessions yet, and never more than `count_max`.
    #[must_use]
    pub fn new(count_max: usize) -> Self {
        Self { open: Arc::default(), count_max }
    }

    /// Locks the session for one request; `open` makes a seat for a new one.
    pub fn enter(
        &self,
        request: &SessionRequest,
        open: impl FnOnce() -> Result<Seat, Exception>,
    ) -> Result<(Seat, SessionHome), Exception> {
        let found = self.lock_entry(request)?;
        let home = SessionHome { open: Arc::clone(&self.open), request: request.clone(), settled: false };
        // From here on the entry is locked: dropping `home` removes it again.
        let seat = match found {
            Some(seat) => seat,
            None => open()?,
        };
        Ok((seat, home))
    }

    /// Ends the sessions that were idle for too long, and gives their seats to be closed.
    #[must_use]
    pub fn take_expired(&self, now: Instant) -> Vec<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let expired: Vec<String> = open
            .iter()
            .filter(|(_, entry)| {
                entry.seat.is_some() && now.duration_since(entry.idle_since) >= entry.timeout
            })
            .map(|(name, _)| name.clone())
            .collect();
        expired.into_iter().filter_map(|name| open.remove(&name)).filter_map(|entry| entry.seat).collect()
    }

    /// Ends every idle session.
    #[must_use]
    pub fn take_all(&self) -> Vec<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.drain().filter_map(|(_, entry)| entry.seat).collect()
    }

    /// The idle seat of an existing session, `None` for a new one; either way the entry is locked afterwards.
    fn lock_entry(&self, request: &SessionRequest) -> Result<Option<Seat>, Exception> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = open.get_mut(&request.name) {
            entry.timeout = request.timeout;
            let locked = || Exception::new(Code::SessionIsLocked, "Session is locked by a concurrent client");
            return entry.seat.take().ok_or_else(locked).map(Some);
        }
        if request.must_exist {
            return Err(Exception::new(Code::SessionNotFound, "Session not found"));
        }
        if open.len() >= self.count_max {
            let limit = self.count_max;
            return Err(Exception::new(Code::UserSessionLimitExceeded, format!("{limit} sessions are open")));
        }
        let entry = Entry { seat: None, timeout: request.timeout, idle_since: Instant::now() };
        open.insert(request.name.clone(), entry);
        Ok(None)
    }
}

impl SessionHome {
    /// Unlocks the session. Gives the seat back to the caller, to be closed, if the session ends here.
    #[must_use]
    pub fn leave(mut self, seat: Seat) -> Option<Seat> {
        if self.request.close {
            return Some(seat);
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = open.get_mut(&self.request.name) else {
            // The server closed all sessions meanwhile.
            return Some(seat);
        };
        entry.seat = Some(seat);
        entry.idle_since = Instant::now();
        drop(open);
        self.settled = true;
        None
    }
}

impl Drop for SessionHome {
    fn drop(&mut self) {
        if !self.settled {
            self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.request.name);
        }
    }
}
