//! Weir's own API: what no other API has a place for.
//!
//! In: paths under `/v1`. Out: plain JSON, or server-sent events; a failure is `{"error": {"code": .., "message": ..}}`, with a code that
//! does not change and a message for people.

mod budgets;
mod error;
mod ledger;
mod live;
mod live_question;
mod live_stream;
mod parameters;
mod routes;
mod streams;
mod tail;

pub(super) use error::refuse;
pub use live_stream::LiveStreams;
pub(super) use routes::routes;
pub use streams::{StreamLimits, Streams};
