//! The ClickHouse HTTP interface.
//!
//! In: HTTP requests as the official clients send them. Out: what a server of the engine's version answers. The
//! way of a request: [`request`] (what is asked) and [`auth`] (by whom), [`spool`] (its body, whole, before anything
//! runs: a client that goes away in mid-insert stores nothing), [`plan`] (what kind of statement), [`answer`] (run
//! it) and [`stream`] (its result as it comes), and [`respond`] (headers and errors).

mod answer;
mod auth;
mod flushed;
mod multipart;
mod plan;
mod query_string;
mod request;
mod respond;
mod server;
mod service;
mod spool;
mod stream;

pub use auth::Gate;
pub use server::{serve, sweep_sessions};
pub use service::Service;
