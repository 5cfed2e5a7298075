//! The windows, shared between what fills them and what serves them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_event::Timestamp;
use weir_service::clock::SharedClock;

use crate::fold::Fold;

/// Held for the time of one message or one snapshot, never across a wait. Clones share the windows.
#[derive(Clone, Debug)]
pub struct SharedFold(Arc<Mutex<Fold>>);

impl SharedFold {
    /// Shares `fold`.
    #[must_use]
    pub fn new(fold: Fold) -> Self {
        Self(Arc::new(Mutex::new(fold)))
    }

    /// The windows.
    pub fn lock(&self) -> MutexGuard<'_, Fold> {
        // A task that panicked with the lock stops the process; until then, answering is better than panicking too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time of day, held within what a [`Timestamp`] can be.
#[must_use]
pub fn now(clock: &SharedClock) -> Timestamp {
    let millis = clock.now_ms().clamp(Timestamp::MIN.millis(), Timestamp::MAX.millis());
    Timestamp::from_millis(millis).expect("it is held within the range")
}
