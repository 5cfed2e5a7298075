//! Starts the real services for the system tests, and makes traffic for them.
//!
//! [`System`] is all of Weir in a folder of its own; [`traffic`] makes records whose figures are known beforehand.
//! Tests push as Cloudflare does, read as a client does, and look into ClickHouse only to prove what is stored.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "a harness tells of trouble by panicking")]

mod client;
mod disk;
mod new_api_volume;
mod spool;
mod system;
mod tables;
pub mod traffic;
mod volume;

pub use client::{Client, run_client};
pub use disk::SmallDisk;
pub use new_api_volume::NewApiVolume;
pub use spool::{create_usage_stream, jetstream, spooled};
pub use system::{Answer, Folder, SecondIngest, System, eventually};
pub use tables::{create_tables, run_audit};
pub use volume::Volume;
