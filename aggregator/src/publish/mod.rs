//! Writes the rollups and answers for the live windows.
//!
//! In: the minutes that messages touched, and requests for live windows. Out: rows of the rollups, acknowledgements of messages,
//! and snapshots.
//!
//! A rollup row is a function of the log rows of its minute. It is never patched: every message marks the minutes of
//! its entries dirty, whatever else became of them, and a flush computes dirty minutes anew from `logs`
//! ([`Rollups`]). A message is acknowledged only after a flush that began later than the message came has written
//! all of its minutes ([`Backlog`]); so a message that was acknowledged is in the rollups, and one that was not comes
//! again and has its minutes computed once more, which changes nothing. Minutes whose statement is refused, or takes
//! too long, are computed apart from then on, in smaller and smaller groups: the one that is to blame holds up no
//! message but its own. Quarters of an hour follow the minutes that they are made of, by what the tables themselves say
//! ([`SlotsTask`]).

mod apart;
mod backlog;
mod error;
mod flush;
mod live;
mod rollups;
mod slots;
mod window;

pub use backlog::Backlog;
pub use error::{PublishError, Verdict};
pub use flush::{Delivered, FlushTask, Touched};
pub use live::LiveResponder;
pub use rollups::Rollups;
pub use slots::SlotsTask;
pub use window::ScopeWindow;
