//! Stage 1: from a push over HTTP to records.
//!
//! In: HTTP requests. Out: [`RawRecord`]s, in chunks of bounded size, so that a body of any length takes the same
//! memory. A push is answered only when everything in it is committed: 2xx means stored. What is wrong with a single
//! record is never the push's fault; what is wrong with the push (token, encoding, size) is told with a 4xx, and
//! trouble of our own with a 503 and `Retry-After`, so that the sender comes back.

mod allowance;
mod array;
mod body;
mod chunk;
mod encoding;
mod events;
mod framing;
mod lines;
mod nesting;
mod pace;
mod push;
mod record;
mod routes;
mod senders;
mod senders_file;

pub use body::BodyError;
pub(crate) use chunk::CHUNKS_PENDING_MAX;
pub use chunk::{Chunk, ChunkLimits};
pub(crate) use encoding::decompressed;
pub use framing::{Framing, RecordReader};
pub use lines::LineReader;
pub use push::{PushError, PushLimits, Pushes, Tally};
pub use record::{Attributes, Form, Origin, RawRecord, UnknownForm};
pub use routes::routes;
pub use senders::{Forbidden, Senders};
pub use senders_file::{SendersFile, SendersFileError};
