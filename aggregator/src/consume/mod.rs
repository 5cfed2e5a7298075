//! Takes usage messages from JetStream, and the past from ClickHouse.
//!
//! In: the usage stream, through a durable consumer for each shard that this process holds; `logs`, when shards are taken. Out:
//! entries folded into the windows at once, and the minutes that they touched, with the message to acknowledge, for the rollups.
//!
//! NATS or ClickHouse being away never ends the process: it is retried for ever, and `/readyz` says so. A session
//! with the stream begins by looking at who the stream is. One that was created anew, or that has lost messages that
//! are in the windows already, gives out sequences a second time, and one that is full may have given up messages before
//! they came; in all of these cases the past is read again. Every reconnect begins a new session.
//!
//! Of several processes each works for the shards that it holds the leases of ([`ShardsTask`]): a message is pulled,
//! acknowledged and answered for by one of them.

mod connection;
mod error;
mod history;
mod intake;
mod progress;
mod reread;
mod shards;
mod stream;
mod warm_up;

pub use connection::{Connection, connect};
pub use error::{ConsumeError, Verdict};
pub use history::{History, Tenants};
pub use intake::IntakeParts;
pub use shards::{ShardChecks, ShardsTask};
pub(crate) use stream::messages;
pub use warm_up::{Stale, Warm, WarmUpTask, WarmUps};
