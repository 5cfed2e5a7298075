//! Takes usage messages from JetStream, and the past from ClickHouse.
//!
//! In: the usage stream, through one durable consumer; `logs`, once at the start. Out: entries folded into the
//! windows at once, and the minutes that they touched, with the message to acknowledge, for the rollups.
//!
//! NATS or ClickHouse being away never ends the process: it is retried for ever, and `/readyz` says so. A session
//! with the stream begins by looking at who the stream is. One that was created anew, or that has lost messages that
//! are in the windows already, gives out sequences a second time, and one that is full has given up messages before
//! they came; in all of these cases the past is read again. Every reconnect begins a new session.
//!
//! One process at a time: two would share the durable consumer's messages between them, and each would have a part
//! of the windows.

mod connection;
mod error;
mod history;
mod intake;
mod stream;

pub use connection::{Connection, connect};
pub use error::{ConsumeError, Verdict};
pub use history::{History, Stale};
pub use intake::{Intake, IntakeChecks};
