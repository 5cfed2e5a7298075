//! Stage 5: from priced events to committed rows, and word of them on the bus.
//!
//! In: [`Batch`](crate::pipeline::Batch)es from any number of pushes. Out: a [`Receipt`] for each, once its rows are
//! committed in ClickHouse. One writer works per process: it takes what is waiting, finds what is new, and writes it
//! in one insert per table. That one is at work at a time is what makes the check for known ids sound within a
//! process; two processes can race between the check and the commit, and nothing repairs that yet.
//!
//! Order, and why: payloads, then logs, so that a row that can be seen has its bodies; then the bus, then the receipt,
//! so that a process that dies in between is asked again by the sender, and announces then what it stored before.

mod announcer;
mod error;
mod group;
mod insert;
mod message;
mod publisher;
mod store;
mod submit;
mod writer;

pub use announcer::{Announcer, connect_bus};
pub use error::SinkError;
pub use insert::Rows;
pub use publisher::Publisher;
pub(crate) use publisher::stream_config;

pub use store::Store;
#[cfg(test)]
pub(crate) use submit::Inbox;
pub use submit::{GroupLimits, Pending, Receipt, Sink};
pub use writer::Writer;
