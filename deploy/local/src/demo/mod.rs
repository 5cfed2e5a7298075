//! The demonstration: Weir as a whole, with real input, and what came out of it, read back through the query API.
//!
//! In: an [`Options`]. Out: text for a person, and whether every figure in it is right. It has no way into the store
//! of its own: it pushes as Cloudflare does and reads as a client does.

mod api;
mod batch;
mod check;
mod report;
mod run;
mod secrets;

pub use run::{Options, run};
