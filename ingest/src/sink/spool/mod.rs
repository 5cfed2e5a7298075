//! The spool: what came in while ClickHouse was away waits in a JetStream stream, and is committed when it is back.
//!
//! In: batches that could not be written, if they came in through a door that asks for it: HTTP, where a sender may
//! not come back. (Kafka keeps its records itself.) They are what the tables would have got: priced, and redacted before
//! they were encoded, so nothing is in the spool that would not be in ClickHouse. Out: the same batches, to the same
//! writer, which checks their ids as it checks any.
//!
//! A push is answered with 2xx when every part of it is acknowledged by JetStream, which syncs what it acknowledges. A
//! message leaves the stream when its rows are committed, and in no other way: what cannot be read or is rejected stays,
//! is told of, and is tried again ever more rarely, behind the others. Where the spool takes nothing either (NATS is away, the
//! stream or its disk is full) the push is refused.
//!
//! Never twice: a message is told of by the hash of its content, so a push that comes again while it is still there adds
//! nothing; later its ids are found. A write whose outcome is unknown is settled by the process that made it, see
//! [`super::settle`]; its batches are put away with that write's name, and drained by nobody while it is being settled.
//! If it was stored after all, its entry in the ledger says so: the batch then is done, and is not counted again.

mod delays;
mod drain;
mod error;
mod item;
mod level;
mod put;
mod settling;
mod stranded;
mod stream;

pub use delays::Delays;
pub use drain::Drainer;
pub use error::SpoolError;
pub(super) use item::Doubt;
pub use level::SpoolLevel;
pub(super) use put::Item;
pub use put::{Spool, Spooler};
pub(super) use settling::settling;
