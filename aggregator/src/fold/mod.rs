//! Keeps the sliding windows. Pure: no I/O, and the time of day is an argument.
//!
//! In: usage entries with the sequence of the message they came in, and what ClickHouse had stored before them.
//! Out: [`LiveSnapshot`](weir_event::bus::LiveSnapshot)s.
//!
//! # Granularity
//!
//! Usage is summed in buckets by `created_at`: of one second for the windows of 1 and 5 minutes, of one UTC minute
//! for those of 1 and 24 hours. A window of length `w` at time `now` is the sum of exactly the buckets whose start is
//! in `(now - w, now]`. So it never holds anything that is older than `w`, and what it leaves out is at most the
//! oldest part of `w` that is shorter than one bucket: up to 1 second of the short windows, up to 60 of the long ones.
//! Within its buckets every figure is exact, costs to the last digit.
//!
//! # Time
//!
//! An entry of the future (a gateway's clock is ahead) counts once the start of its bucket has come. More than
//! [`AHEAD_MAX_MS`] ahead it is not kept: it is counted as skewed, and only the rollups have it. An entry that no
//! window reaches any more is late, and only the rollups have it.
//!
//! Buckets are kept for [`SLACK_MS`] longer than a window needs them, so a clock that is set back by less than that
//! changes nothing: windows are a function of the buckets and of `now`. Set back by more, what is needed may be gone;
//! then [`Fold::needs_warm_up`] asks for the past to be read again, and until it was, snapshots are not `complete`.
//!
//! # Exactly once
//!
//! Rows are committed in ClickHouse **before** the message that tells of them is published. From that it follows:
//!
//! - At the start, the stream's last sequence `S` is noted first, then ONE statement (so: one snapshot) reads from
//!   `logs` the sums of the past and the ids of the rows that were stored, or ended, lately ([`WarmUp`]).
//! - A message with a sequence of at most `S` was published before the statement ran, so its rows were committed
//!   before it and are in the sums. It is not folded.
//! - A message after `S` is folded, but for the entries whose id was read with the snapshot: rows that were committed
//!   before the statement, and published after it. This asks that a row is published within [`OVERLAP_MS`] of
//!   being committed, or else as a duplicate, which is safe at any time.
//! - A message that JetStream delivers again is known by its sequence, for as long as it can come again: the server
//!   never sends again what is below the consumer's acknowledged floor.
//! - An event that is published again in another message is known by its id while the id is among the recent ones.
//! - An entry that is marked `duplicate` was stored at an earlier delivery. Most often it was counted then, and is
//!   not folded. But whoever stored it may have died before it was published; then nobody will ever publish it but as
//!   a duplicate. Those are told apart where that can be proven: the recent ids are complete from some time on, so an
//!   event that ended after it and is not among them was never folded. It is folded now; any other is not.
//!
//! # Rows that change
//!
//! A row that is priced anew does not come in a usage message: its minute is named by a
//! [`DirtyMessage`](weir_event::bus::DirtyMessage), published after the change is committed. What is folded cannot be
//! taken out again, so if a window reaches back to the minute the past is read again, and until it was, snapshots are
//! not `complete`. The stream's order keeps this exact: a warm-up that began after the message came read the changed
//! rows, and is not repeated for it. A row's own message that comes after such a warm-up, with the cost of before, is
//! known by its id.
//!
//! # Bounds
//!
//! At most [`Limits::keys_max`] API token and model pairs have windows. An entry of a pair beyond that is counted
//! (`no_room`), and snapshots say that they are not complete until it would have left the longest window. A pair
//! leaves when its last bucket does. One pair takes about 1 KB, and 80 to 160 bytes for each bucket with something in
//! it: 0.2 MB if it was not idle for a minute of the day and a second of the last quarter of an hour. At most
//! [`Limits::ids_max`] recent ids are kept, some 100 bytes each.

mod buckets;
mod ids;
mod sequences;
mod state;
mod sums;
mod warm_up;
mod windows;

#[cfg(test)]
mod tests;

pub use state::{Applied, Fold, Limits, Snapshot};
pub use sums::Sums;
pub use warm_up::{Past, PastBucket, WarmUp};
pub use windows::{AHEAD_MAX_MS, OVERLAP_MS, SLACK_MS};
