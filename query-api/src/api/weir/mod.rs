//! Weir's own API: what no other API has a place for.
//!
//! In: paths under `/v1`. Out: plain JSON, or server-sent events; a failure is `{"error": {"code": .., "message": ..}}`, with a code that
//! does not change and a message for people.

mod budgets;
mod error;
mod ledger;
mod live;
mod routes;
mod streams;
mod tail;

pub(super) use error::refuse;
pub(super) use routes::routes;
pub use streams::{StreamLimits, Streams};
