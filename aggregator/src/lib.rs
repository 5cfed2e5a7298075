//! Keeps rolling statistics and rollups of usage.
//!
//! Usage messages come from JetStream ([`consume`]), are folded into sliding windows per API token and model
//! ([`fold`]), and leave as rollup rows in ClickHouse and as answers to requests for live windows ([`publish`]).
//! [`pipeline`] wires the three together. Beside them [`budgets`] watches what is used, [`anomalies`] what is unusual, and
//! [`webhooks`] delivers what it tells. Two subcommands hold the rollups against `logs`, and write them anew.
//!
//! ClickHouse is the source of truth, and messages are only a signal. Everything that is kept here is read back from
//! `logs` after a restart, to the last digit; how that is exact is told in [`fold`] and [`publish`].

pub mod anomalies;
mod audit;
pub mod backoff;
pub mod budgets;
mod command;
pub mod config;
pub mod consume;
#[cfg(test)]
mod fake_clickhouse;
pub mod fold;
pub mod lease;
pub mod metrics;
pub mod pipeline;
pub mod publish;
pub mod shared_fold;
pub mod webhooks;

pub use command::{Settings, run};
