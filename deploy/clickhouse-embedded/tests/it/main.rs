//! The server as its clients see it: the real binary over the real engine, driven over HTTP.
//!
//! Without the engine's library these tests fail and say how to get it; they are never skipped.
#![expect(clippy::unwrap_used, clippy::format_collect, reason = "in a test a panic is the report")]

mod clients;
mod compression;
mod durability;
mod errors;
mod harness;
mod inserts;
mod limits;
mod results;
mod sessions;
mod types;
