//! A request's body, received whole before anything runs.
//!
//! Small bodies stay in memory; the rest of a large one goes to a file that has no name any more. So a slow client
//! holds no connection to the engine, one that goes away has started nothing, and memory stays bounded.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::io::AsyncWriteExt;

use crate::exception::{Code, Exception};

/// How much of a body is kept in memory.
const MEMORY_BYTES: usize = 1 << 20;

/// Why a body did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpoolError {
    /// The client went away or broke the protocol.
    #[error("the request's body ended early")]
    Client(#[source] hyper::Error),
    /// The disk did not take it.
    #[error("cannot keep the request's body")]
    Disk(#[source] io::Error),
}

impl SpoolError {
    /// As a server would put it. A full disk is the server's trouble, and the same request may well succeed later.
    pub(super) fn exception(&self) -> Exception {
        match self {
            Self::Client(_) => Exception::new(Code::CannotReadAllData, self),
            Self::Disk(source) => {
                Exception::new(Code::CannotWriteToFileDescriptor, format_args!("{self}: {source}"))
            }
        }
    }
}

/// A received body.
pub(super) struct Spool {
    head: Bytes,
    file: Option<File>,
}

impl Spool {
    /// Receives a body.
    pub(super) async fn receive(mut body: Incoming, folder: &Path) -> Result<Self, SpoolError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut memory = BytesMut::with_capacity(announced.min(MEMORY_BYTES));
        let mut overflow: Option<(Bytes, tokio::fs::File)> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(SpoolError::Client)?.into_data() else {
                continue;
            };
            memory.extend_from_slice(&data);
            if memory.len() < MEMORY_BYTES {
                continue;
            }
            // Some clients send every row as a chunk of its own: the file gets them in large pieces.
            match overflow.as_mut() {
                None => {
                    let file = tempfile::tempfile_in(folder).map_err(SpoolError::Disk)?;
                    overflow = Some((memory.split().freeze(), tokio::fs::File::from_std(file)));
                }
                Some((_, file)) => file.write_all(&memory.split()).await.map_err(SpoolError::Disk)?,
            }
        }
        let Some((head, mut file)) = overflow else {
            return Ok(Self { head: memory.freeze(), file: None });
        };
        file.write_all(&memory).await.map_err(SpoolError::Disk)?;
        file.flush().await.map_err(SpoolError::Disk)?;
        let mut file = file.into_std().await;
        file.rewind().map_err(SpoolError::Disk)?;
        Ok(Self { head, file: Some(file) })
    }

    /// No body.
    pub(super) fn empty() -> Self {
        Self { head: Bytes::new(), file: None }
    }

    /// Reads it from the start.
    pub(super) fn into_reader(self) -> Box<dyn Read + Send> {
        let head = Cursor::new(self.head);
        match self.file {
            None => Box::new(head),
            Some(file) => Box::new(head.chain(file)),
        }
    }
}
