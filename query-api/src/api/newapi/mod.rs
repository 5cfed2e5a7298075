//! The log API of new-api as its clients speak it: its users with their access tokens, its relay keys, its envelopes.
//!
//! In: paths under `/api`, and those where holders of its keys ask what they spent. Out: new-api's envelopes, in which a failure
//! is a 200 as often as not. Its versions differ, and so does what is documented of it: what differs is a method of
//! [`Dialect`], and nothing else in here asks which one is spoken.

mod billing;
mod caller;
mod context;
#[cfg(test)]
mod described;
mod dialect;
mod envelope;
mod error;
mod filters;
mod go_int;
mod gzip;
mod headers;
mod hours;
mod limit;
mod listing;
mod logs;
mod parameters;
mod pattern;
mod removal;
mod routes;
mod rules;
mod status;

pub use context::NewApi;
#[cfg(test)]
pub(super) use described::{matters, operations};
pub use dialect::{Dialect, Limit};
pub use limit::Limits;
pub(super) use routes::{owns, routes, stray};
