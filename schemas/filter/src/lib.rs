//! What rows are asked for: one typed filter that every API shares.
//!
//! A dialect reads its own parameters and builds [`Node`]s from the [`Field`]s of the catalogue; [`Filter::new`] holds
//! them within bounds. A filter means the same wherever it is evaluated: [`Filter::matches`] asks a [`Row`] in memory, and
//! the query API renders the same conditions as SQL. [`Filter`] also has a text form for people, which it prints and
//! parses:
//!
//! ```
//! use weir_filter::Filter;
//!
//! let text = r#"model contains "gpt" and cost > 0.01 and metadata["team"] = "search""#;
//! let filter: Filter = text.parse().unwrap();
//! assert_eq!(filter.to_string(), text);
//! ```
//!
//! The tenant is never part of a filter: it is an argument of every question.

mod condition;
mod field;
mod filter;
mod fold;
pub mod like;
mod matches;
mod number;
mod parse;
mod print;
mod reference;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;

pub use condition::{
    Comparison, Condition, ConditionError, NEEDLE_BYTES_MAX, NumberTest, Operator, TextTest, Value,
};
pub use field::{EntrySide, Field, FlagField, Kind, NumberField, TextField, Texts, TimeField};
pub use filter::{Filter, FilterError, Node};
pub use fold::{fold, variants};
pub use matches::Row;
pub use number::number;
pub use parse::{ParseError, Problem};
pub use reference::reference;
