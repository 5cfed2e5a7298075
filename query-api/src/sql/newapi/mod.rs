//! What new-api's API asks of `logs`: rows of a tenant, of a user in it or of an API token of it, and sums over them.
//!
//! What a row is shown with and what is summed up over rows are the same expressions, so that a sum over a list is the
//! same as what is said of it.

mod owner;
mod rows;
mod sums;
#[cfg(test)]
mod tests;

pub use owner::Owner;
pub use rows::{Place, ROW_COLUMNS, Slice, rows};
pub use sums::{Amount, HoursBy, amount, amount_by_part, hours, minute};
