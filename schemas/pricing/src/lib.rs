//! What an event costs: an effective-dated price book, and a pure function that applies it.
//!
//! The same event and the same book give the same cost, to the last digit, for ever: no clock, no network, no float.
//! Every computed cost names the row of the book that made it. An unknown price is [`Cost::Unpriced`] with a reason,
//! never 0: a bill that looks healthy because a price is missing is the worst bug this crate could have.

mod book;
mod cost;
mod error;
mod file;

pub use book::{ModelPattern, PriceBook, PriceRow};
pub use cost::{Cost, PricedEvent, UnpricedReason, price};
pub use error::BookError;
