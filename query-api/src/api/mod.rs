//! The APIs, one folder for each dialect.
//!
//! In: HTTP requests. Out: HTTP responses. A dialect reads its own parameters into a filter and an order, and writes
//! its own envelopes; everything between is shared. Handlers are async functions that return a `Result`, and one
//! function of the dialect turns its error into a response. A warp rejection only ever means that no route matched.

mod app;
mod cloudflare;
mod newapi;
mod observer;
mod openapi;
mod query_string;
mod reply;
mod request_body;
mod routes;
#[cfg(test)]
mod tests;
mod throttle;
mod weir;

pub use app::App;
#[cfg(fuzzing)]
pub use cloudflare::fuzzing;
pub use newapi::{Dialect, Limit, Limits, NewApi};
pub use observer::Observer;
pub use routes::routes;
pub use weir::{LiveStreams, StreamLimits, Streams};
