//! The one place where SQL is written.
//!
//! In: a scope, a filter, an order. Out: a [`Statement`], which is text with placeholders and the values for them.
//! Text of a user is only ever a value; every identifier is a [`Column`] or stands in this module. No statement can
//! be made without a scope, so that none can read another tenant's rows. Rows of `logs` are read
//! without `FINAL`: ids are made unique when they are written.

mod annotations;
mod body;
mod chosen;
mod column;
mod condition;
mod entry;
mod ledger;
pub mod newapi;
mod number;
mod page;
mod probe;
mod removal;
mod statement;
mod summary;
#[cfg(test)]
mod tests;

pub use annotations::{Annotated, AnnotatedField, annotated, annotations, asks_for_annotated, exists};
pub use body::{BodyPart, HEAD_CHARS_MAX, body, heads};
pub use chosen::{OrderBy, chosen};
pub use column::Column;
pub use entry::{ENTRY_COLUMNS, entry};
pub use ledger::ledger;
pub use page::{Direction, Order, Page, Run, page, page_of_value, values};
pub use probe::PROBE;
pub use removal::{removal, removals};
pub use statement::{Bind, Statement};
pub use summary::{PARTS, summary, summary_by_part};
