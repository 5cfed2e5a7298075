//! How records look as JSON.
//!
//! In: records of `store`. Out: values that serialize to what a dialect's clients read. Nothing is asked for here,
//! and no amount passes through a float: its digits are printed as they are.

mod body;
mod budget;
mod entry;
mod ledger;
mod live;
pub mod newapi;
mod number;
mod result_info;
mod row;

pub use body::to_json;
pub use budget::{BudgetView, BudgetsView};
pub use entry::{EntryDetailView, EntryView, MetadataForm};
pub use ledger::LedgerView;
pub use live::LiveView;
pub use result_info::ResultInfo;
pub use row::RowView;
