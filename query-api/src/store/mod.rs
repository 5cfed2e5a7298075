//! Where answers come from: ClickHouse for what was logged, the aggregators for what happens now.
//!
//! In: a statement of `sql`, or a scope. Out: typed records, checked as they are decoded. A failure says whether the
//! service behind is to blame and a retry may help, or whether we are.

mod aggregators;
mod error;
mod log_store;
mod probe;
mod record;

pub use aggregators::{Aggregators, LiveError};
pub use error::StoreError;
pub use log_store::LogStore;
pub use probe::watch;
pub use record::{BodyHeads, LogEntry, LogSummary};
