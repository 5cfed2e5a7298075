//! Keeps the sliding windows. Pure: no I/O, and the time of day is an argument.
//!
//! In: usage entries with the sequence of the message they came in, and what ClickHouse had stored before them.
//! Out: [`LiveSnapshot`](weir_event::bus::LiveSnapshot)s, by whatever [`Question`] is asked.
//!
//! # Series
//!
//! Calls are kept apart by tenant, API token, model, provider, user and channel, all five at once: a *series*. What is asked
//! for (per token, per model and user, the gateway as a whole) is summed up from series when it is asked for, so an entry is
//! put into one place.
//!
//! # Granularity
//!
//! Usage is summed in buckets by `created_at`: of one second for windows of up to 15 minutes, of one UTC minute for longer
//! ones. A window of length `w` at time `now` is the sum of exactly the buckets whose start is in `(now - w, now]`. So it
//! never holds anything that is older than `w`, and what it leaves out is at most the oldest part of `w` that is shorter than
//! one bucket: up to 1 second of the short windows, up to 60 of the long ones. Within its buckets every figure is exact, costs
//! to the last digit. Sums of whole hours are kept as well, only to read long windows sooner.
//!
//! How long calls took is kept in [`Histogram`](weir_event::Histogram)s, whose bins are below 0.8 % wide: by the second for
//! windows of up to 15 minutes, by the minute up to 2 hours, and by the UTC hour above. The last have all calls of the hours
//! that begin in the window, so they leave out up to the oldest hour of it; by the minute they would take ten times the memory.
//!
//! # Time
//!
//! An entry of the future (a gateway's clock is ahead) counts once the start of its bucket has come. More than
//! [`AHEAD_MAX_MS`] ahead it is not kept: it is counted as skewed, and only the rollups have it. An entry that no
//! window reaches any more is late, and only the rollups have it. A snapshot says as `late` how many of the calls in its
//! longest window came more than [`LATE_AFTER_MS`] after they had ended: by so many the windows were too low for a while. And
//! it says as `complete_through` up to when everything that was announced is in it ([`Fold::folded_through`]).
//!
//! Buckets are kept for [`SLACK_MS`] longer than a window needs them, so a clock that is set back by less than that
//! changes nothing: windows are a function of the buckets and of `now`. Set back by more, what is needed may be gone;
//! then [`Fold::needs_warm_up`] asks for the past to be read again, and until it was, snapshots are not `complete`.
//!
//! # Exactly once
//!
//! Rows are committed in ClickHouse **before** the message that tells of them is published. From that it follows:
//!
//! - At the start, the stream's last sequence `S` is noted first. Then the past is read from `logs` in slices of time, each by ONE
//!   statement (so: one snapshot) for the sums and for the ids of the rows that were stored, or ended, lately ([`WarmUp`]). When a
//!   call ended says which slice its row is of, so a row is in both, or in neither.
//! - A message with a sequence of at most `S` was published before any of the statements ran, so its rows were committed
//!   before and are in the sums. It is not folded.
//! - A message after `S` is folded, but for the entries whose id was read: rows that were committed before their slice's
//!   statement, and published after `S`. This asks that a row is published within [`OVERLAP_MS`] of
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
//! taken out again, so if a window reaches back to the minute the tenant's past is read again ([`Reread`]), and until it was,
//! snapshots of that tenant are not `complete`. Everybody else's windows go on as if nothing were: messages are folded while
//! ClickHouse answers, and those of the tenant are kept aside as well. Then the windows that were read take the place of those
//! that there were, and what was kept aside is folded into them.
//!
//! It is exact for the reasons for which a start is. The stream's last sequence is noted before the past is read. Messages up to
//! it were in the past, also those that come later: a tenant that was read again has a sequence of its own, below which nothing of
//! it is folded. Those after it are folded but for the ids that were read. Such a tenant has ids of its own: what was known of them
//! before counts no more, for a row that was deleted may be stored again. A reading that began after the message of the change came read the
//! changed rows, and is not repeated for it.
//!
//! # Bounds
//!
//! At most [`Limits::keys_max`] series are kept. What there is no place for goes into its tenant's *rest*, a series without
//! names: so what a tenant had as a whole stays exact, and an answer that is by names has the rest as a row of its own. What
//! comes up most in the rest is counted, and once it is twice as heavy as the lightest series it takes that one's
//! place; that one's buckets are added to the rest. Weight is requests, halved every ten minutes. A series that was in the rest before says
//! since when it is exact, and so do rows of several series while there is a rest: from then on nothing of theirs is in it.
//! A series leaves when its last bucket does, and its names with it. Of a past with more series than places the heaviest get them
//! ([`WarmUp::weigh`]).
//!
//! A tenant has no place among another's rest, so of more than [`Limits::keys_max`] tenants (and a thousand) those that come last are not
//! kept. Their calls are counted, and snapshots of a tenant of which nothing is kept, or that came later, are not `complete` for as long as a window reaches back to such calls.
//!
//! Old buckets are packed to some 25 bytes each. At most [`Limits::ids_max`] recent ids are kept, some
//! 100 bytes each; but those that were read with the past all stay until everything is folded that was published while it was read,
//! for some of that tells of them.

mod answer;
mod buckets;
mod figures;
mod heavy;
mod ids;
mod lengths;
mod names;
mod packed;
mod question;
mod reread;
mod rings;
mod sequences;
mod series;
mod state;
mod sums;
mod warm_up;
mod windows;

#[cfg(test)]
mod tests;

pub use figures::Figures;
pub use lengths::{WindowLengths, WindowLengthsError};
pub use question::{Question, QuestionError};
pub use reread::Reread;
pub use state::{Applied, Fold, Limits, Snapshot};
pub use sums::Sums;
pub use warm_up::{Past, PastBucket, PastWeight, WarmUp};
pub use windows::{AHEAD_MAX_MS, LATE_AFTER_MS, OVERLAP_MS, SLACK_MS};
