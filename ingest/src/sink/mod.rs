//! Stage 5: from priced events to committed rows, and word of them on the bus.
//!
//! In: [`Batch`](crate::pipeline::Batch)es from any number of sources, [`Encoded`] by whoever made them. Out: a
//! [`Receipt`] for each, once its rows are committed in ClickHouse. Groups of what is waiting are prepared side by side:
//! their known ids are looked up and their bodies written. They are committed one at a time, in one insert per table, which
//! is what makes the check for known ids sound within a process; what two processes stored both is repaired by `races`.
//!
//! What cannot be written because ClickHouse is away is put away in the spool, if it came in through a door that asks for
//! that, see [`spool`]; the receipt then says so, and the rows are committed when ClickHouse is back.
//!
//! Order, and why: bodies, then logs, so that a row that can be seen has its bodies; then letters, then the ledger, which
//! tells of both; then the bus, then the receipt,
//! so that a process that dies in between is asked again by the sender, and announces then what it stored before.

mod announcer;
mod columns;
mod encoded;
mod error;
mod gate;
mod group;
mod insert;
mod message;
mod prepare;
mod publisher;
mod races;
mod recent;
mod replay;
mod settle;
mod spool;
mod store;
mod submit;
mod unentered;
mod writer;

pub(crate) use announcer::reach_bus;
pub use announcer::{Announcer, BusError, connect_bus};
pub use encoded::{Encoded, EventRef};
pub use error::SinkError;
pub(crate) use insert::REPLAYED;
pub use publisher::Publisher;
pub(crate) use publisher::stream_config;
pub(crate) use races::{Races, TOLD};
pub(crate) use replay::{LetterEntry, Mark, Outcome, ReplayError, Replayer, Reread, StatedCost};

pub use spool::{Delays, Drainer, Spool, SpoolError, SpoolLevel, Spooler};
pub use store::Store;
pub(crate) use store::by_scope;
#[cfg(test)]
pub(crate) use submit::Inbox;
pub use submit::{GroupLimits, Making, Pending, Receipt, Sink};
pub use writer::Writer;
