//! The engine: libchdb behind types that cannot be misused.
//!
//! In: statements, parameters and settings. Out: results, or ClickHouse exceptions. A statement runs on a
//! [`Seat`] (an open connection with a name of its own), which comes from the [`Pool`] or belongs to a session;
//! a seat whose settings, database or temporary tables were touched is closed instead of going back to the pool,
//! so nothing can leak to the next user. Every function that calls the engine blocks its thread.

mod control;
mod facts;
mod ffi;
mod host;
mod lease;
mod outcome;
mod pipe;
mod pool;
mod session;
mod settings;

pub use control::Control;
pub use facts::{Facts, Format};
pub use ffi::{Connection, InsertStream, Library, LoadError};
pub use host::{Host, HostError, HostOptions};
pub use lease::{Lease, Order};
pub use outcome::{Class, Outcome, Parameter, Statistics};
pub use pipe::ResultPipe;
pub use pool::{Permit, Pool, PoolLimits, Seat};
pub use session::{SessionRequest, Sessions};
pub use settings::{Change, Environment, Restore};
