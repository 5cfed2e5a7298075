//! The lock on the data folder: two engines on one folder would destroy it.
//!
//! It is a lock of the operating system on an open file, so it ends with the process however that ends. The file
//! holds the process id for the error message of the one who comes second, and stays behind: that means nothing.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The name of the lock file in the data folder.
const LOCK_FILE: &str = "clickhouse-embedded.lock";

/// Why the folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another server has it.
    #[error("the data folder {folder} is in use by process {process}")]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The other's process id, as it wrote it.
        process: String,
    },
    /// The folder cannot be used.
    #[error("cannot lock the data folder {folder}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A held lock.
#[derive(Debug)]
pub(crate) struct DataLock(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File);

impl DataLock {
    /// Makes the folder if need be and locks it.
    pub(crate) fn take(folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { folder: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(LOCK_FILE))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                file.read_to_string(&mut process).map_err(failed)?;
                let process = process.trim().to_owned();
                return Err(LockError::Held { folder: folder.to_owned(), process });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataLock::take(folder.path()).unwrap();
        let message = DataLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        assert!(message.contains(&folder.path().display().to_string()), "{message}");
        drop(held);
        assert!(DataLock::take(folder.path()).is_ok());
    }
}
