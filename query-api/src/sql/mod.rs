//! The one place where this crate's SQL is written.
//!
//! In: a scope, a filter, an order. Out: a [`Statement`], which is text with placeholders and the values for them; what a filter
//! is in it is `weir_sql`'s. Text of a user is only ever a value; every identifier is a [`Column`] or stands in this module. No
//! statement can be made without a scope, so that none can read another tenant's rows. Rows of `logs` are read
//! without `FINAL`: ids are made unique when they are written.

mod annotations;
mod body;
mod budgets;
mod chosen;
mod column;
mod entry;
mod ledger;
pub mod newapi;
mod page;
mod probe;
mod removal;
mod rows;
mod summary;
#[cfg(test)]
mod tests;

pub use annotations::{annotated, annotations, exists};
pub use body::{BodyPart, BodyTable, HEAD_CHARS_MAX, body, heads};
pub use budgets::{budget, budget_gone, budgets, budgets_held};
pub use chosen::{OrderBy, chosen};
pub use column::Column;
pub use entry::{ENTRY_COLUMNS, entry};
pub use ledger::ledger;
pub use page::{Direction, Order, Page, Run, page, page_of_value, values};
pub use probe::PROBE;
pub use removal::{removal, removals};
pub use rows::rows;
pub use summary::{PARTS, summary, summary_by_part};
pub use weir_sql::{Annotated, AnnotatedField, Bind, Statement, asks_for_annotated};
