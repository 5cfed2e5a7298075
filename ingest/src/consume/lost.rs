//! What a partition lost before it was read: messages that the broker deleted first, and batches that cannot be read.
//!
//! A partition that is read again from its oldest message, for its retention has overtaken the group, says so nowhere but in
//! librdkafka's log. So who reads it notes each jump in its offsets, and the statistics, which say where it begins by then,
//! tell what was lost: offsets below that. Other jumps are none: transactions and compaction leave gaps too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many looks a jump is remembered for: statistics that are being handed on may be older than it is.
const LOOKS: u8 = 3;
/// Jumps that are remembered. A partition has so many in a second or two only where every other offset is a gap.
const JUMPS_MAX: usize = 1 << 16;

/// What is known of a partition's losses. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Losses(Arc<Mutex<State>>);

/// What the statistics say of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The oldest offset that the broker has.
    pub(super) low: i64,
    /// Where the client goes on, once all that it fetched has been read.
    pub(super) read_to: Option<i64>,
}

#[derive(Debug)]
struct State {
    /// The offset behind the last message that was read, or the committed one; none where there is neither.
    next: Option<i64>,
    jumps: Vec<Jump>,
    /// Where the reading stood still at the look before.
    stood_at: Option<i64>,
    /// A batch could not be read: what is jumped over next is lost.
    is_damaged: bool,
    /// Offsets of such batches that no look has told of.
    damaged: u64,
}

#[derive(Debug)]
struct Jump {
    from: i64,
    to: i64,
    looks: u8,
}

/// Offsets that were lost since the look before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Deleted by the broker before they were read.
    pub(super) deleted: u64,
    /// Passed over, since they cannot be read.
    pub(super) damaged: u64,
    /// Where the reading goes on, from where it stood, if nothing came behind what was deleted.
    pub(super) passed: Option<(i64, i64)>,
}

impl Losses {
    /// Of a partition that is to be read from `next`, where that is known.
    pub(super) fn of(next: Option<i64>) -> Self {
        let (jumps, stood_at) = (Vec::new(), None);
        Self(Arc::new(Mutex::new(State { next, jumps, stood_at, is_damaged: false, damaged: 0 })))
    }

    /// A message was read. Offsets go back where a topic was made anew.
    pub(super) fn read(&self, offset: i64) {
        let mut state = self.lock();
        let jumped_from = state.next.replace(offset + 1).filter(|next| *next < offset);
        let is_damaged = std::mem::take(&mut state.is_damaged);
        let Some(from) = jumped_from else { return };
        if is_damaged {
            state.damaged += offset.abs_diff(from);
        } else if state.jumps.len() < JUMPS_MAX {
            state.jumps.push(Jump { from, to: offset, looks: 0 });
        }
    }

    /// A batch is passed over.
    pub(super) fn pass_over(&self) {
        self.lock().is_damaged = true;
    }

    /// Tells what was lost since the look before.
    pub(super) fn look(&self, seen: Seen) -> Lost {
        let mut state = self.lock();
        let State { next, jumps, stood_at, is_damaged, damaged } = &mut *state;
        let (mut deleted, mut passed) = (0, None);
        jumps.retain_mut(|jump| {
            jump.looks += 1;
            let is_lost = jump.from < seen.low;
            if is_lost {
                deleted += jump.to.min(seen.low).abs_diff(jump.from);
            }
            !is_lost && jump.looks < LOOKS
        });
        // The client has passed over what is no message, the end of a transaction say, and it is all there still.
        if let (Some(read_to), Some(stands), false) = (seen.read_to, *next, *is_damaged)
            && seen.low <= stands
            && stands < read_to
        {
            *next = Some(read_to);
        }
        // Where there is nothing behind what was deleted, nothing is read that would show it.
        let stands_at = next.filter(|next| seen.read_to.is_some() && *next < seen.low);
        if let Some(stands) = stands_at
            && *stood_at == stands_at
        {
            deleted += seen.low.abs_diff(stands);
            *next = Some(seen.low);
            passed = Some((stands, seen.low));
        }
        *stood_at = stands_at.filter(|_| *next == stands_at);
        Lost { deleted, damaged: std::mem::take(damaged), passed }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // It is whole at every unlock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(losses: &Losses, low: i64) -> u64 {
        losses.look(Seen { low, read_to: None }).deleted
    }

    #[test]
    fn what_was_deleted_before_it_was_read_is_told_once() {
        let losses = Losses::of(Some(10));
        losses.read(25);
        assert_eq!(deleted(&losses, 4), 0, "these are older statistics");
        assert_eq!(deleted(&losses, 25), 15);
        assert_eq!(deleted(&losses, 30), 0);
        losses.read(26);
        assert_eq!(deleted(&losses, 400), 0, "what was deleted after it was read is no loss");
    }

    #[test]
    fn gaps_of_transactions_and_of_compaction_are_no_loss() {
        let losses = Losses::of(Some(0));
        for offset in [0, 2, 3, 9, 10] {
            losses.read(offset);
        }
        for _ in 0..LOOKS {
            assert_eq!(deleted(&losses, 0), 0);
        }
        assert_eq!(deleted(&losses, 1_000), 0, "nor later, when all of it is gone");
    }

    #[test]
    fn of_a_jump_only_what_is_below_the_oldest_offset_was_deleted() {
        let losses = Losses::of(Some(10));
        losses.read(31);
        assert_eq!(deleted(&losses, 25), 15);
    }

    #[test]
    fn without_a_committed_offset_nothing_can_be_missing() {
        let losses = Losses::of(None);
        losses.read(500);
        assert_eq!(deleted(&losses, 500), 0);
        losses.read(0);
        losses.read(1);
        assert_eq!(deleted(&losses, 0), 0, "a topic that was made anew");
    }

    #[test]
    fn what_was_deleted_to_the_end_is_told_where_nothing_comes_after_it() {
        let losses = Losses::of(Some(10));
        let look = |is_read: bool| losses.look(Seen { low: 100, read_to: is_read.then_some(100) }).deleted;
        assert_eq!(look(false), 0);
        assert_eq!(look(true), 0, "it may be on its way");
        assert_eq!(look(true), 90);
        assert_eq!(look(true), 0);
        losses.read(100);
        assert_eq!(look(true), 0);
    }

    #[test]
    fn the_end_of_a_transaction_that_is_deleted_in_time_is_no_loss() {
        let losses = Losses::of(Some(100));
        let look = |low, read_to| losses.look(Seen { low, read_to: Some(read_to) }).deleted;
        assert_eq!(look(50, 101), 0);
        assert_eq!((look(101, 101), look(101, 101), look(101, 101)), (0, 0, 0));
        assert_eq!((look(150, 150), look(150, 150)), (0, 49), "what came after it and was not read is");
    }

    #[test]
    fn batches_that_cannot_be_read_are_lost_whole() {
        let losses = Losses::of(Some(0));
        losses.read(0);
        losses.pass_over();
        losses.read(40);
        losses.read(45);
        assert_eq!(losses.look(Seen { low: 0, read_to: Some(46) }), Lost { damaged: 39, ..Lost::default() });
        assert_eq!(losses.look(Seen { low: 0, read_to: Some(46) }), Lost::default());
    }
}
