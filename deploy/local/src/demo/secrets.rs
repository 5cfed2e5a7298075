//! The secrets of a data folder: made on the first run, found again on the next.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::weir::Secrets;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    clickhouse_password: String,
    nats_token: String,
    ingest_token: String,
    query_token: String,
}

/// Reads the secrets of `data_dir`, or makes some and writes them where only their owner can read them.
pub(super) fn of(data_dir: &Path) -> anyhow::Result<Secrets> {
    let path = data_dir.join("secrets.json");
    let stored = match fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => create(&path)?,
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let Stored { clickhouse_password, nats_token, ingest_token, query_token } = stored;
    Ok(Secrets { clickhouse_password, nats_token, ingest_token, query_token })
}

fn create(path: &Path) -> anyhow::Result<Stored> {
    let Secrets { clickhouse_password, nats_token, ingest_token, query_token } = Secrets::generate()?;
    let stored = Stored { clickhouse_password, nats_token, ingest_token, query_token };
    write_whole(path, &serde_json::to_vec_pretty(&stored)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(stored)
}

/// The file has its name only once it is complete: a run that is cut off here leaves nothing half made.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_found_again_and_nobody_else_can_read_them() {
        let folder = tempfile::TempDir::new().unwrap();
        let first = of(folder.path()).unwrap();
        assert_eq!(of(folder.path()).unwrap(), first);
        let mode = fs::metadata(folder.path().join("secrets.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
