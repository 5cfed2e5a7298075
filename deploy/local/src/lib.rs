//! Starts and supervises the services of one machine: what `make run` and the test harness have in common.
//!
//! A [`Service`] is a child process with a name, a log file and a way to tell that it is ready. It can be stopped,
//! killed, suspended and started again on the same ports and the same data, and it never outlives the process that
//! started it. [`ClickHouse`], [`Nats`] and [`Kafka`] are the services that Weir needs, with their configuration;
//! Weir's own binaries are a [`Program`] that the caller describes.
//!
//! [`Weir`] is all of it together: those services and the three binaries; [`demo`] shows it at work.
//!
//! Everything listens on loopback.

mod clickhouse;
pub mod demo;
mod error;
mod installation;
mod kafka;
mod nats;
mod ports;
mod probe;
mod program;
mod secret;
mod service;
mod spawner;
mod weir;

pub use clickhouse::ClickHouse;
pub use error::LocalError;
pub use installation::Installation;
pub use kafka::{Kafka, KafkaUser, SecuredListener};
pub use nats::Nats;
pub use ports::free_address;
pub use probe::Probe;
pub use program::{Program, service_variables, without_ours};
pub use secret::random_secret;
pub use service::Service;
pub use weir::{Addresses, Secrets, Weir};
