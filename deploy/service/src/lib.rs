//! What Weir's binaries share: configuration, telemetry, lifecycle, health.
//!
//! A binary's `main` is one screen because of this crate: [`config`] turns defaults, a file, the environment
//! and flags into a checked struct; [`telemetry`] starts the log; [`lifecycle`] owns the tasks and the way
//! they stop; [`ops`] answers the probes and the scraper. [`auth`], [`clock`], [`http`] and [`metrics`] are the
//! small parts that every binary needs in the same shape.
//!
//! This crate knows nothing of events, prices or ClickHouse tables, and must never do so.

pub mod auth;
pub mod clock;
pub mod config;
pub mod http;
pub mod lifecycle;
pub mod metrics;
pub mod ops;
mod process_metrics;
pub mod readiness;
mod readiness_metrics;
pub mod telemetry;
