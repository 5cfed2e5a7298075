//! Watches budgets, and tells when a threshold is crossed.
//!
//! In: what budgets there are, and word of the minutes in which rows were stored or changed. Out: alerts, each once, in a
//! stream of their own ([`weir_budget::ALERTS_STREAM`]), which subscribers and webhooks read.
//!
//! What is used of a budget is never added to: the minutes that were touched are summed up anew from `logs`, of all budgets of
//! a gateway in one statement, and replace what was known of them ([`sums`]). So late events, deletions and new prices are right,
//! and word that comes twice changes nothing. One process does it at a time, under a lease; what it knows can be read again by
//! the next one. Every gateway has a task of its own, so that one whose statements are slow or refused keeps no other waiting. That an alert is told once does not rest on the lease: it is written only behind the one that was last seen
//! under its subject, which the server checks, so of two that decide at once one is refused.

mod alerts;
mod desk;
mod error;
mod evaluator;
mod metrics;
mod reading;
mod rest;
mod signals;
mod store;
mod sums;
mod watched;
mod ways;

pub(crate) use alerts::Alerts;
pub use alerts::alert_stream;
pub use error::BudgetsError;
pub use evaluator::Evaluator;
pub use metrics::BudgetMetrics;
