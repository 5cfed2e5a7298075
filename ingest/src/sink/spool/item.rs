//! A batch as it lies in the spool.
//!
//! A message is a byte that says which form it has, then, compressed, the columns of the rows, the write that may have
//! stored them already, and the batch. A row is larger than nothing and smaller than a message; a batch may take many.
//!
//! The form is read by every later program: a change to what is serialized here is a new form beside this one. What is
//! in a message was written by this program or an older one, yet it is checked as if it was not.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use weir_event::bus;

use super::super::Encoded;
use super::super::columns::Columns;
use super::super::insert::Rows;
use super::SpoolError;

/// The form that is written. Its rows of bodies are of the table `bodies`: who does not know that table leaves it to others.
const FORM: u8 = 2;
/// The same, with rows of `payloads`.
const FORM_OF_PAYLOADS: u8 = 1;
/// The fastest that is worth it: bodies repeat themselves.
const COMPRESSION_LEVEL: i32 = 1;
/// What a message may become when it is decompressed: far more than a batch is cut to.
const DECOMPRESSED_BYTES_MAX: u64 = 1 << 30;

/// A write that may have stored a batch: its outcome was unknown when the batch was put away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Doubt {
    /// As `insert_deduplication_token` has it.
    pub(super) token: String,
    /// As the ledger has it.
    pub(super) write_id: u64,
    /// When it was made, in epoch milliseconds.
    pub(super) at_ms: i64,
}

/// A message that is to be published.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) subject: String,
    /// The same for the same content.
    pub(super) id: String,
    pub(super) payload: Bytes,
    /// Records of which something is to be stored.
    pub(super) records: u64,
    /// Records in which there is nothing to store.
    pub(super) ignored: u64,
}

/// A message that was read.
#[derive(Debug)]
pub(super) struct Spooled {
    pub(super) batch: Encoded,
    pub(super) doubt: Option<Doubt>,
}

#[derive(Serialize)]
struct Written<'w> {
    columns: &'w Columns,
    doubt: Option<&'w Doubt>,
    batch: &'w Encoded,
}

#[derive(Deserialize)]
struct ReadForms {
    columns: Columns,
    doubt: Option<Doubt>,
    batch: Encoded,
}

impl Doubt {
    /// About a write that was sent.
    pub(in super::super) fn of(rows: &Rows<'_>) -> Self {
        Self { token: rows.token.to_hex(), write_id: rows.token.write_id(), at_ms: rows.at.millis() }
    }
}

/// The messages of a batch, each of at most `bytes_max` bytes.
pub(super) fn parts(
    batch: &Encoded,
    doubt: Option<&Doubt>,
    bytes_max: usize,
) -> Result<Vec<Part>, SpoolError> {
    let mut parts = Vec::new();
    append_parts(batch, doubt, bytes_max, &mut parts)?;
    Ok(parts)
}

fn append_parts(
    batch: &Encoded,
    doubt: Option<&Doubt>,
    bytes_max: usize,
    parts: &mut Vec<Part>,
) -> Result<(), SpoolError> {
    let payload = payload(batch, doubt);
    if payload.len() <= bytes_max {
        parts.push(Part::new(batch, payload));
        return Ok(());
    }
    let bytes = payload.len();
    drop(payload);
    let (first, second) = batch.split().ok_or(SpoolError::RowTooLarge { bytes, bytes_max })?;
    append_parts(&first, doubt, bytes_max, parts)?;
    append_parts(&second, doubt, bytes_max, parts)
}

fn payload(batch: &Encoded, doubt: Option<&Doubt>) -> Vec<u8> {
    let written = Written { columns: batch.columns(), doubt, batch };
    let plain = postcard::to_allocvec(&written).expect("plain data is always written to memory");
    let mut payload = vec![FORM];
    let compressed =
        zstd::bulk::compress(&plain, COMPRESSION_LEVEL).expect("a buffer in memory is always compressed");
    payload.extend_from_slice(&compressed);
    payload
}

impl Part {
    fn new(batch: &Encoded, payload: Vec<u8>) -> Self {
        Self {
            subject: bus::spool_subject(batch.source(), batch.received()),
            id: hex::encode(Sha256::digest(&payload)),
            payload: payload.into(),
            records: batch.records_to_store(),
            ignored: batch.ignored(),
        }
    }
}

impl Spooled {
    /// Reads a message.
    pub(super) fn read(payload: &[u8]) -> Result<Self, SpoolError> {
        match payload.split_first() {
            Some((&(FORM | FORM_OF_PAYLOADS), compressed)) => Self::read_forms(compressed),
            // A later program's.
            Some(_) => Err(SpoolError::Unreadable("its form is not known")),
            None => Err(SpoolError::Unreadable("it is empty")),
        }
    }

    fn read_forms(compressed: &[u8]) -> Result<Self, SpoolError> {
        let mut plain = Vec::new();
        zstd::stream::read::Decoder::new(compressed)
            .and_then(|decoder| decoder.take(DECOMPRESSED_BYTES_MAX).read_to_end(&mut plain))
            .map_err(|_| SpoolError::Unreadable("it cannot be decompressed"))?;
        let ReadForms { columns, doubt, batch } =
            postcard::from_bytes(&plain).map_err(|_| SpoolError::Unreadable("it is not a batch"))?;
        if !columns.are_sound() {
            return Err(SpoolError::Unreadable("its columns are none"));
        }
        if !batch.is_sound() {
            return Err(SpoolError::Unreadable("its parts do not fit each other"));
        }
        if doubt.as_ref().is_some_and(|doubt| !doubt.token.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err(SpoolError::Unreadable("its write has no name"));
        }
        let batch = if columns == **batch.columns() { batch } else { batch.with_columns(Arc::new(columns)) };
        Ok(Self { batch, doubt })
    }
}

#[cfg(test)]
mod tests;
