//! What waits for one reader. It is bounded in number and in bytes: who does not read in time is told how much was left out, and
//! gets nothing after that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::Notify;
use weir_event::EventId;

/// The most that waits. It is far more than what one look brings, for that comes all at once.
const WAITING_MAX: usize = 10_000;
/// The most bytes of rows that wait. They are shared with the other readers of a tenant.
const BYTES_MAX: usize = 8 << 20;

/// A row as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// Which event.
    pub id: EventId,
    /// The row as JSON, without line ends.
    pub json: String,
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A row.
    Row(Arc<Shown>),
    /// Rows are missing here: how many, before filters, where that is known.
    Gap(Option<u64>),
    /// The reader was too slow for so many rows, that its filter let through. Nothing comes after it.
    Dropped(u64),
}

/// The queue of a reader.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Said>,
    bytes: usize,
    overflow: Overflow,
}

/// Whether something did not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Overflow {
    #[default]
    No,
    /// So many rows did not.
    Of(u64),
    /// The reader was told so.
    Told,
}

impl Outbox {
    /// Adds a row; false if there is no room for it.
    pub(super) fn show(&self, row: &Arc<Shown>) -> bool {
        let mut state = self.state();
        let is_taken = state.put(Said::Row(row.clone()), row.json.len());
        if let (false, Overflow::Of(rows)) = (is_taken, &mut state.overflow) {
            *rows += 1;
        }
        drop(state);
        self.wake.notify_one();
        is_taken
    }

    /// Says that rows are missing.
    pub(super) fn gap(&self, rows: Option<u64>) {
        let mut state = self.state();
        // One after the other are one.
        if let Some(Said::Gap(before)) = state.waiting.back_mut() {
            *before = before.zip(rows).map(|(before, rows)| before + rows);
        } else {
            state.put(Said::Gap(rows), 0);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// What comes next; nothing after [`Said::Dropped`].
    pub(super) async fn next(&self) -> Option<Said> {
        loop {
            if let Poll::Ready(said) = self.state().take() {
                return said;
            }
            self.wake.notified().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole at every unlock, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there was room. Once there was none there is no more.
    fn put(&mut self, said: Said, bytes: usize) -> bool {
        let has_room = self.waiting.len() < WAITING_MAX && self.bytes + bytes <= BYTES_MAX;
        match self.overflow {
            // A row that is larger than all that may wait is let in alone.
            Overflow::No if has_room || self.waiting.is_empty() => {
                self.waiting.push_back(said);
                self.bytes += bytes;
                true
            }
            Overflow::No => {
                self.overflow = Overflow::Of(0);
                false
            }
            Overflow::Of(_) | Overflow::Told => false,
        }
    }

    /// What comes next, or the end; nothing yet otherwise.
    fn take(&mut self) -> Poll<Option<Said>> {
        if let Some(said) = self.waiting.pop_front() {
            if let Said::Row(row) = &said {
                self.bytes -= row.json.len();
            }
            return Poll::Ready(Some(said));
        }
        match self.overflow {
            Overflow::No => Poll::Pending,
            Overflow::Of(rows) => {
                self.overflow = Overflow::Told;
                Poll::Ready(Some(Said::Dropped(rows)))
            }
            Overflow::Told => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use weir_event::Timestamp;

    use super::*;

    fn row(bytes: usize) -> Arc<Shown> {
        Arc::new(Shown { id: EventId::derive(Timestamp::MIN, &[]), json: "x".repeat(bytes) })
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_how_much_it_missed_and_no_more() {
        let outbox = Outbox::default();
        let shown: Vec<_> = (0..WAITING_MAX + 7).map(|_| outbox.show(&row(1))).collect();
        assert_eq!(shown.iter().filter(|shown| **shown).count(), WAITING_MAX);
        for _ in 0..WAITING_MAX {
            assert!(matches!(outbox.next().await, Some(Said::Row(_))));
        }
        // It has caught up too late.
        assert!(!outbox.show(&row(1)));
        assert_eq!(outbox.next().await, Some(Said::Dropped(8)));
        assert_eq!(outbox.next().await, None);
    }

    #[tokio::test]
    async fn rows_are_bounded_in_bytes_and_one_of_any_size_passes() {
        let outbox = Outbox::default();
        assert!(outbox.show(&row(3 * BYTES_MAX)));
        assert!(matches!(outbox.next().await, Some(Said::Row(_))));
        assert!(outbox.show(&row(BYTES_MAX / 2)) && outbox.show(&row(BYTES_MAX / 2)));
        assert!(!outbox.show(&row(1)));
    }

    #[tokio::test]
    async fn what_is_missing_is_said_in_its_place() {
        let outbox = Outbox::default();
        outbox.gap(Some(2));
        outbox.gap(Some(3));
        outbox.show(&row(1));
        outbox.gap(None);
        outbox.gap(Some(1));
        assert_eq!(outbox.next().await, Some(Said::Gap(Some(5))));
        assert!(matches!(outbox.next().await, Some(Said::Row(_))));
        assert_eq!(outbox.next().await, Some(Said::Gap(None)));
    }

    #[tokio::test]
    async fn a_reader_is_woken() {
        let outbox = Arc::new(Outbox::default());
        let reader = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.next().await }
        });
        tokio::task::yield_now().await;
        outbox.gap(None);
        assert_eq!(reader.await.unwrap(), Some(Said::Gap(None)));
    }
}
