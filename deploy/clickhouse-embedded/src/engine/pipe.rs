//! A named pipe that the engine writes a result into.
//!
//! The engine opens it as the file of an `INTO OUTFILE`. Both ends are also open here as long as the statement
//! runs: the engine's `open` never blocks, and the end of the result is known from the statement, not from the pipe.
//! Whoever gives up on a result must go on reading until the statement has ended, or the engine stays blocked.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use rustix::fs::Mode;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

/// How much is read at once, and the size asked for the pipe itself.
const CHUNK_BYTES: usize = 256 << 10;

/// The pipe; its name disappears with it.
#[derive(Debug)]
pub struct ResultPipe {
    path: PathBuf,
    receiver: Receiver,
    /// Keeps the reading end from seeing an end before the engine has opened its own.
    _sender: Sender,
}

impl ResultPipe {
    /// Makes the pipe, readable by this user alone. Must be called on the runtime.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR)?;
        let ends = OpenOptions::new()
            .open_receiver(&path)
            .and_then(|receiver| OpenOptions::new().open_sender(&path).map(|sender| (receiver, sender)));
        match ends {
            Ok((receiver, sender)) => {
                // More room means fewer switches between the engine and us; without it all works the same.
                if let Err(error) = rustix::pipe::fcntl_setpipe_size(&receiver, CHUNK_BYTES) {
                    tracing::debug!(%error, "result pipe keeps its default size");
                }
                Ok(Self { path, receiver, _sender: sender })
            }
            Err(error) => {
                remove(&path);
                Err(error)
            }
        }
    }

    /// Its name in the file system.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next bytes; waits for them.
    pub async fn read(&mut self) -> io::Result<Bytes> {
        loop {
            self.receiver.readable().await?;
            if let Some(data) = self.try_read()? {
                return Ok(data);
            }
        }
    }

    /// What is in the pipe now; `None` if it is empty.
    pub fn try_read(&mut self) -> io::Result<Option<Bytes>> {
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES);
        match self.receiver.try_read_buf(&mut buffer) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(buffer.freeze())),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Drop for ResultPipe {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a result pipe");
    }
}
