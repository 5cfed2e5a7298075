//! What an event costs: an effective-dated price book, and a pure function that applies it.
//!
//! The same event and the same book give the same cost, to the last digit, for ever: no clock, no network, no float.
//! Every computed cost names the price of the book that made it. An unknown price is [`Cost::Unpriced`] with a reason,
//! never 0: a bill that looks healthy because a price is missing is the worst bug this crate could have.

mod bill;
mod billable;
mod book;
mod charge;
mod cost;
mod error;
pub mod import;
mod listing;
mod quota;
mod rate;
mod receipt;

pub use billable::Billable;
pub use book::{ContextBound, Edition, PriceBook};
pub use charge::Charge;
pub use cost::{Cost, PricedEvent, price};
pub use error::{BookError, EntryError};
pub use listing::{ListedRate, Listing};
pub use quota::{QUOTA_PER_USD, Quota, QuotaUsage, quota_of, quota_of_cost, quota_of_ratios};
pub use rate::Rate;
pub use receipt::{Receipt, ReceiptLine, ReceiptPrice, ReceiptRate, receipt};
pub use weir_event::UnpricedReason;
