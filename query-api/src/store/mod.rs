//! Where answers come from: ClickHouse for what was logged, the aggregators for what happens now, the ingest processes
//! for what is on its way.
//!
//! In: what is asked for, and a place that the caller may read or change. Out: typed records, checked as they are decoded. A failure says whether the
//! service behind is to blame and a retry may help, or whether we are.

mod aggregators;
mod annotations;
mod budgets;
mod deletion;
mod error;
mod identities;
mod ingests;
mod log_store;
mod newapi;
mod probe;
mod record;
mod stored_row;
mod summaries;

pub use aggregators::{Aggregators, LiveError, LiveQuestion};
pub use annotations::{Annotations, Change};
pub use budgets::{BudgetError, Budgets, BudgetsFull, Spent, Ways};
pub use deletion::{Choice, Deleted, DeletionError, Deletions, Progress, Removal, Removed};
pub use error::StoreError;
pub use identities::{Identity, IdentityTable, KeyNews, KeyRow, News, TokenRow, UserRow};
pub use ingests::{InFlight, Ingests, OnItsWay};
pub use log_store::LogStore;
pub use newapi::{LogsOf, NewApiHour, NewApiRow, NewApiRows, NewApiUsage};
pub use probe::watch;
pub use record::{BodyHeads, LedgerHour, LogEntry, LogSummary};
pub use stored_row::StoredRow;
