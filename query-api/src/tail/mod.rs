//! Rows as they are committed, for whoever looks on.
//!
//! In: words of committed rows from NATS, the same that the aggregator hears, and the rows themselves from ClickHouse; a filter for
//! each reader. Out: each row that the filter lets through, once. A word is only a signal: what is shown was read from ClickHouse.
//!
//! Rows are read once for all readers of a tenant and asked in memory. Nothing waits without bound: neither words that could not be
//! followed, nor rows that are not taken. A reader is told where something is missing.

mod feed;
mod hearing;
mod looking;
mod outbox;
mod seen;
mod tails;

pub use hearing::connect;
pub use outbox::{Said, Shown};
pub use tails::{NotHeard, Tail, Tails};
