//! Bodies of requests.

use std::pin::pin;

use bytes::Buf;
use futures_util::{Stream, StreamExt};

/// Why a body is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// The connection ended before it did.
    #[error("was not received in full")]
    Partial,
    /// It is too long.
    #[error("must contain at most {0} bytes")]
    Long(usize),
}

/// A body that is no longer than `bytes_max`, whatever its sender said of its length.
pub(super) async fn whole<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    bytes_max: usize,
) -> Result<Vec<u8>, BodyError> {
    let mut body = pin!(body);
    let mut read = Vec::new();
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| BodyError::Partial)?;
        if read.len() + part.remaining() > bytes_max {
            return Err(BodyError::Long(bytes_max));
        }
        while part.has_remaining() {
            let chunk = part.chunk();
            let length = chunk.len();
            read.extend_from_slice(chunk);
            part.advance(length);
        }
    }
    Ok(read)
}
