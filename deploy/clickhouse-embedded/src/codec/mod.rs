//! Compression, in both directions: HTTP content encodings and ClickHouse's own compressed blocks.
//!
//! In: bytes of a request, or of a result. Out: the same, decoded or encoded. Decoders are plain [`std::io::Read`]
//! adapters for blocking threads; whatever size a client claims, memory is bounded, and damage is an exception.

mod blocks;
mod decode;
mod encode;
mod native;

pub use blocks::{BlockReader, write_block};
pub use decode::{exception_of, request_decoder};
pub use encode::{Encoder, Encoding, choose_encoding};
pub use native::NativeUpgrade;
