//! Stage 1, the other door: from the topics of Kafka to records.
//!
//! In: messages of the configured topics, read as a member of a consumer group; one message is one record. Out: offsets
//! that move only when what is before them is committed: stored, a duplicate, a dead letter, or nothing to store. A
//! message that comes again, because the process or the broker died in between, is found by its id.
//!
//! Each assigned partition has a task and a queue of its own. A partition that cannot get on (ClickHouse is away, or turns
//! its rows down) is simply not read meanwhile: its neighbours go on, the group is kept, and no message is passed over.
//! Before a partition is given up, at a rebalance or at the end, what was read of it is committed and its offset with it.

mod address;
mod client;
mod committer;
mod config;
mod dead_letters;
mod delivery;
mod error;
mod group;
mod holds;
mod intake;
mod lists;
mod lost;
mod metrics;
mod partition;
mod pauses;
mod properties;

pub use config::{KEYS, KafkaConfig, read};
pub use error::ConsumeError;
pub(crate) use group::Group;
pub(crate) use intake::Intake;
pub(crate) use metrics::KafkaMetrics;
