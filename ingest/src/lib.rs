//! Takes gateway logs in, prices every request, and stores it; tells the aggregator.
//!
//! The stages are folders in the order of the flow: [`accept`] or [`consume`] → [`decode`] → [`normalize`] → [`price`] → [`redact`] →
//! [`sink`].
//! [`pipeline`] runs the pure middle of it; [`run`] is the process.
//!
//! What always holds: a 2xx means that every record of the push is committed in ClickHouse, once; one bad record
//! never fails its neighbours, and its bytes are kept.

pub mod accept;
mod command;
pub mod config;
pub mod consume;
mod dead_letters;
pub mod decode;
mod ffi;
mod glob;
mod import;
mod in_flight;
mod metrics;
pub mod migrate;
mod nonce;
pub mod normalize;
pub mod pipeline;
pub mod price;
mod prices;
mod reconcile;
pub mod redact;
mod removal;
pub mod reprice;
mod serve;
pub mod sink;
mod text;

pub use command::{Settings, run};
pub use ffi::give_back_large_blocks;
