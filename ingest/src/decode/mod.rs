//! Stage 2: from the bytes of a record to what its source says, in the source's own terms.
//!
//! In: one [`RawRecord`](crate::accept::RawRecord). Out: a [`Decoded`], or a [`DecodeError`] that says why the record
//! goes to the dead letters. Nothing is interpreted here (which provider, how many tokens): that is the next stage.
//! A record never takes its neighbours down, and never panics, whatever its bytes are.

mod console;
mod error;
mod headers;
pub(crate) mod lenient;
mod message;
mod redact;
mod salvage;
mod trace;

pub use console::{Console, LoggedBody, MetricsLine};
pub use error::DecodeError;
pub use headers::TracedHeaders;
pub use redact::redact;
pub use trace::{Decoded, Identity, IgnoreReason, TraceRecord, decode};
