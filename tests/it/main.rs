//! System tests: one binary, a module per behaviour.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aggregator;
mod ai_gateway;
mod alerts;
mod budgets;
mod dead_letters;
mod deletion;
mod filter;
mod forms;
mod grants;
mod import;
mod intake;
mod kafka;
mod kill;
mod lease;
mod ledger;
mod logpush;
mod new_api;
mod outage;
mod parts;
mod prices;
mod query_api;
mod races;
mod redact;
mod removal;
mod reprice;
mod rollups;
mod soak;
mod spool;
