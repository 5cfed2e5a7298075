//! A local ClickHouse: the HTTP interface over libchdb.
//!
//! libchdb is the ClickHouse engine as a shared library. This crate loads it at run time, gives it a data folder
//! and serves the ClickHouse HTTP interface from it, so that the official clients and all of Weir talk to it as to
//! any server. It is for one machine and for tests: one user, no replication, no `system.query_log`.
//!
//! The stages of a request: [`http`] takes it in, [`sql`] finds the places in its statement, [`engine`] runs it,
//! and [`codec`] packs and unpacks what goes in and out.

pub mod codec;
pub mod config;
pub mod engine;
pub mod exception;
pub mod http;
mod ids;
mod lock;
mod run;
pub mod sql;

pub use run::run;
