//! Configuration: defaults, then a TOML file, then `WEIR_*` variables, then flags; the later wins.
//!
//! One file serves all three binaries. It has the sections `[clickhouse]`, `[nats]` and `[log]`, which all share,
//! and one section per binary; a binary leaves the sections of the other two alone. What no binary could own is
//! an error: an unknown section, key or variable is a misspelling that would otherwise be a setting without
//! effect. Every problem is reported at once, with its key and where the value came from, before a socket opens.
//! A secret value is never shown.
//!
//! Keys are declared once, as data ([`Key`]); the variable, the flag and the help text derive from it. A
//! setting travels `layers` (text and origin) -> [`Reader`] (typed) -> the binary's own config struct.
//!
//! ```
//! use std::net::SocketAddr;
//! use weir_service::config::{Binary, CommandLine, ConfigErrors, Key, Reader};
//!
//! const KEYS: &[Key] = &[
//!     Key::new("ingest.listen", "where Logpush delivers to").default("127.0.0.1:8787"),
//!     Key::new("ingest.batch_rows_max", "rows in one insert, at most").default("10000"),
//! ];
//!
//! struct IngestConfig {
//!     listen: SocketAddr,
//!     batch_rows_max: usize,
//! }
//!
//! fn extract(mut reader: Reader) -> Result<IngestConfig, ConfigErrors> {
//!     let listen = reader.get("ingest.listen");
//!     let batch_rows_max = reader.get_in("ingest.batch_rows_max", 1..=1_000_000);
//!     reader.finish(|reader| {
//!         let config = IngestConfig { listen: listen?, batch_rows_max: batch_rows_max? };
//!         let apart = config.listen.port() != 8123;
//!         reader.require(apart, "ingest.listen", "is the port of ClickHouse")?;
//!         Ok(config)
//!     })
//! }
//!
//! let args = ["ingest", "--ingest-batch-rows-max", "500"].map(Into::into);
//! let invocation = CommandLine::new(Binary::Ingest, KEYS, "takes logs in").read(args, [])?;
//! let config = extract(invocation.reader)?;
//! assert_eq!((config.listen.port(), config.batch_rows_max), (8787, 500));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command_line;
mod key;
mod layers;
mod problem;
mod reader;
mod shared;
#[cfg(test)]
mod tests;
mod value;

pub use command_line::{CommandLine, Invocation, LoadError, Subcommand};
pub use key::{Binary, Key};
pub use problem::{ConfigErrors, Origin, Problem};
pub use reader::{Reader, Reported};
pub use shared::{ClickHouseConfig, LogConfig, LogFormat, NatsConfig};
pub use value::{ByteSize, InvalidValue, Secret, Value};
