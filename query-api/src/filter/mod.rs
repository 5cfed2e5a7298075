//! What is asked for, as types: conditions on rows that are checked, and that no text of a user shapes.
//!
//! In: what an API's own parameters mean, put there by `api`. Out: a [`Filter`], which `sql` renders. The tenant is
//! not in here: it is an argument of every statement.

mod condition;

pub use condition::{Condition, Filter, FlagField, TextField};
