//! A named pipe that the engine writes a result into.
//!
//! The engine opens it as the file of an `INTO OUTFILE`. Both ends are also open here as long as the statement
//! runs: the engine's `open` never blocks, and the end of the result is known from the statement, not from the pipe.
//! Whoever gives up on a result must go on reading until the statement has ended, or the engine stays blocked.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::Mode;
use rustix::io::Errno;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

/// How much is read at once, and the size asked for the pipe itself.
const CHUNK_BYTES: usize = 256 << 10;

/// The pipe; its name disappears with it.
#[derive(Debug)]
pub struct ResultPipe {
    path: PathBuf,
    receiver: Receiver,
    scratch: Vec<u8>,
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
                Ok(Self { path, receiver, scratch: vec![0; CHUNK_BYTES], _sender: sender })
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
            match self.receiver.try_read(&mut self.scratch) {
                // Not an end: our own sender is open.
                Ok(0) => {}
                Ok(count) => return Ok(Bytes::copy_from_slice(&self.scratch[..count])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What is in the pipe at this moment; `None` if it is empty.
    ///
    /// This asks the system itself: the runtime would answer from the last event it has seen, and may not have
    /// seen yet that the engine wrote something before it finished.
    pub fn read_rest(&mut self) -> io::Result<Option<Bytes>> {
        match rustix::io::read(&self.receiver, self.scratch.as_mut_slice()) {
            Ok(0) | Err(Errno::AGAIN) => Ok(None),
            Ok(count) => Ok(Some(Bytes::copy_from_slice(&self.scratch[..count]))),
            Err(Errno::INTR) => self.read_rest(),
            Err(error) => Err(error.into()),
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
