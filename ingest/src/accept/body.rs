//! The body of a push as a blocking reader: off the network, decompressed, and never longer than it may be.

use std::io::{self, BufRead, BufReader, Read};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use super::encoding::{Encoding, START_BYTES};

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 65_536;

/// A body as it comes off the network.
pub(super) type Incoming = BoxStream<'static, io::Result<Bytes>>;

/// What goes from the connection to the reader. Only [`Part::End`] ends a body: a channel that just closes is a
/// connection that broke, and the records of a broken body must not look like all of them.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    End,
}

/// Why a body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not what its encoding says.
    #[error("the body cannot be read as {encoding}")]
    Encoding {
        /// What it was read as.
        encoding: &'static str,
        /// What is wrong.
        #[source]
        source: io::Error,
    },
    /// It is longer than it may be.
    #[error("the body has more than {limit} bytes when decompressed")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// An array or a document in it has no proper end, and took records along that are too many to be kept as one.
    #[error(
        "the body cannot be taken apart from record {position} on, and what is left is too long for one record"
    )]
    Broken {
        /// Which record, counted from 1.
        position: u64,
    },
    /// There is no end to it.
    #[error("the body was not received in full")]
    Incomplete,
}

/// A reader of the decompressed body. Blocks while it waits for the connection. Its errors are [`BodyError`]s.
pub(super) struct Body {
    inner: Box<dyn Read>,
    encoding: Encoding,
    left: u64,
    limit: u64,
}

struct PartReader {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    ended: bool,
}

impl Body {
    /// Reads at most `limit` decompressed bytes. What is encoded in no stated way may be compressed all the same.
    pub(super) fn reader(
        parts: mpsc::Receiver<Part>,
        encoding: Option<Encoding>,
        limit: u64,
    ) -> io::Result<impl BufRead> {
        let mut parts = PartReader { parts, current: Bytes::new(), ended: false };
        let start = parts.start()?;
        let encoding = encoding.unwrap_or_else(|| Encoding::of_start(&start));
        let raw = BufReader::with_capacity(BUFFER_BYTES, parts);
        let inner = encoding.reader(&start, raw).map_err(|source| BodyError::of(encoding, source))?;
        Ok(BufReader::with_capacity(BUFFER_BYTES, Self { inner, encoding, left: limit, limit }))
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer).map_err(|source| BodyError::of(self.encoding, source))?;
        self.left = self.left.checked_sub(length as u64).ok_or(BodyError::TooLong { limit: self.limit })?;
        Ok(length)
    }
}

impl BodyError {
    /// What went wrong below: the parts end without an end, and all else comes from the decompressor.
    fn of(encoding: Encoding, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionAborted => Self::Incomplete,
            _ => Self::Encoding { encoding: encoding.name(), source },
        }
    }
}

impl From<BodyError> for io::Error {
    fn from(error: BodyError) -> Self {
        Self::other(error)
    }
}

impl PartReader {
    /// The first bytes, however small the parts are that they come in.
    fn start(&mut self) -> io::Result<Bytes> {
        while self.current.len() < START_BYTES && self.receive()? {}
        Ok(self.current.slice(..self.current.len().min(START_BYTES)))
    }

    /// Waits for the next part; false at the end.
    fn receive(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        match self.parts.blocking_recv() {
            Some(Part::Data(data)) if self.current.is_empty() => self.current = data,
            Some(Part::Data(data)) => self.current = [self.current.as_ref(), &data].concat().into(),
            Some(Part::End) => self.ended = true,
            None => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, BodyError::Incomplete)),
        }
        Ok(!self.ended)
    }
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && self.receive()? {}
        let length = self.current.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(data: &[u8], encoding: Option<Encoding>, limit: u64, end: bool) -> io::Result<String> {
        read_in_parts_of(1, data, encoding, limit, end).and_then(|text| {
            let other = read_in_parts_of(7, data, encoding, limit, end)?;
            assert_eq!(text, other, "the parts that a body comes in do not matter");
            Ok(text)
        })
    }

    fn read_in_parts_of(
        size: usize,
        data: &[u8],
        encoding: Option<Encoding>,
        limit: u64,
        end: bool,
    ) -> io::Result<String> {
        let (sender, parts) = mpsc::channel(10_000);
        for part in data.chunks(size) {
            sender.try_send(Part::Data(Bytes::copy_from_slice(part))).unwrap();
        }
        if end {
            sender.try_send(Part::End).unwrap();
        }
        drop(sender);
        let mut text = String::new();
        Body::reader(parts, encoding, limit)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn plain_and_compressed_bodies_read_the_same_with_or_without_the_header() {
        let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
        assert_eq!(read(b"hello", None, 5, true).unwrap(), "hello");
        assert_eq!(read(&gzip("hello"), None, 5, true).unwrap(), "hello");
        assert_eq!(read(&gzip("hello"), Some(Encoding::Gzip), 5, true).unwrap(), "hello");
        assert_eq!(read(&zstd, None, 5, true).unwrap(), "hello");
        assert_eq!(read(&zstd, Some(Encoding::Zstd), 5, true).unwrap(), "hello");
        assert_eq!(read(b"", None, 5, true).unwrap(), "");
    }

    #[test]
    fn the_limit_is_on_the_decompressed_size() {
        let bomb = gzip(&"0".repeat(1_000_000));
        assert!(bomb.len() < 10_000);
        let error = read(&bomb, Some(Encoding::Gzip), 10_000, true).unwrap_err();
        assert_eq!(error.to_string(), "the body has more than 10000 bytes when decompressed");
    }

    #[test]
    fn a_body_that_breaks_off_is_told_from_one_that_is_not_what_it_says() {
        let told = |data: &[u8], encoding, end| read(data, encoding, 5, end).unwrap_err().to_string();
        let incomplete = "the body was not received in full";
        assert_eq!(told(b"hello", None, false), incomplete);
        assert_eq!(told(&gzip("hello"), Some(Encoding::Gzip), false), incomplete);
        assert_eq!(told(b"", Some(Encoding::Zstd), false), incomplete);
        assert_eq!(told(b"not gzip", Some(Encoding::Gzip), true), "the body cannot be read as gzip");
        assert_eq!(told(b"", Some(Encoding::Zstd), true), "the body cannot be read as zstd");
    }
}
