//! Whether messages of the spool wait for no fault of their own, as far as this process knows: ClickHouse is away, or it is not
//! known yet what became of their write. NATS counts them with those that can never be committed, as given out more than once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_event::bus;

/// For so long one that was given back may not have come again, also when NATS was restarted meanwhile.
const COUNTS: Duration = bus::SPOOL_ACK_WAIT.saturating_add(Duration::from_secs(30));

/// What the one who drains knows. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Delays(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// No batches are taken.
    is_closed: bool,
    /// When a message was given back last that is to be tried again soon.
    given_back: Option<Instant>,
}

impl Delays {
    /// Batches are taken, or are not.
    pub(super) fn closed(&self, is_closed: bool) {
        self.lock().is_closed = is_closed;
    }

    /// A message is to be tried again soon.
    pub(super) fn gave_back(&self, now: Instant) {
        self.lock().given_back = Some(now);
    }

    /// Whether messages may be waiting that will be committed.
    pub(super) fn are_there(&self, now: Instant) -> bool {
        let state = self.lock();
        state.is_closed || state.given_back.is_some_and(|at| now < at + COUNTS)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is whole between two changes.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_counts_until_it_must_have_come_again() {
        let (delays, now) = (Delays::default(), Instant::now());
        assert!(!delays.are_there(now));
        delays.gave_back(now);
        assert!(delays.are_there(now + bus::SPOOL_ACK_WAIT));
        assert!(!delays.are_there(now + COUNTS));
        delays.closed(true);
        assert!(delays.are_there(now + 10 * COUNTS), "nothing is tried at all");
        delays.closed(false);
        assert!(!delays.are_there(now + COUNTS));
    }
}
