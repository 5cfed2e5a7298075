//! The body of a push as a blocking reader: off the network, decompressed, and never longer than it may be.

use std::io::{self, BufReader, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use tokio::sync::mpsc;

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 65_536;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What goes from the connection to the reader. Only [`Part::End`] ends a body: a channel that just closes is a
/// connection that broke, and the lines of a broken body must not look like a whole one.
#[derive(Debug)]
pub(super) enum Part {
    Data(Bytes),
    End,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As the header says, or as the first two bytes of a body without one show.
    Gzip,
    /// Not stated: gzip if it looks like it.
    Detect,
}

/// The body turned out to be longer than it may be. Travels inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("the body has more than {limit} bytes when decompressed")]
pub(super) struct BodyTooLong {
    pub(super) limit: u64,
}

struct PartReader {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    ended: bool,
}

struct Limited<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl Encoding {
    /// Reads a `Content-Encoding` header; `None` for an encoding that is not taken.
    pub(super) fn of(header: Option<&str>) -> Option<Self> {
        match header.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Detect),
            Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                Some(Self::Gzip)
            }
            Some(_) => None,
        }
    }
}

/// A reader of the decompressed body. Blocks while it waits for the connection.
pub(super) fn reader(
    parts: mpsc::Receiver<Part>,
    encoding: Encoding,
    limit: u64,
) -> io::Result<BufReader<impl Read>> {
    let mut parts = PartReader { parts, current: Bytes::new(), ended: false };
    let gzip = encoding == Encoding::Gzip || parts.begins_with(&GZIP_MAGIC)?;
    let raw = BufReader::with_capacity(BUFFER_BYTES, parts);
    let body: Box<dyn Read> = if gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
    Ok(BufReader::with_capacity(BUFFER_BYTES, Limited { inner: body, left: limit, limit }))
}

impl PartReader {
    /// Looks at the first bytes, however small the parts are that they come in.
    fn begins_with(&mut self, start: &[u8]) -> io::Result<bool> {
        while self.current.len() < start.len() && self.receive()? {}
        Ok(self.current.starts_with(start))
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
            None => return Err(io::ErrorKind::ConnectionAborted.into()),
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

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(length as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, BodyTooLong { limit: self.limit }))?;
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

    fn read(data: &[u8], encoding: Encoding, limit: u64, end: bool) -> io::Result<String> {
        read_in_parts_of(1, data, encoding, limit, end).and_then(|text| {
            let other = read_in_parts_of(7, data, encoding, limit, end)?;
            assert_eq!(text, other, "the parts that a body comes in do not matter");
            Ok(text)
        })
    }

    fn read_in_parts_of(
        size: usize,
        data: &[u8],
        encoding: Encoding,
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
        reader(parts, encoding, limit)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn plain_and_gzip_bodies_read_the_same_with_or_without_the_header() {
        assert_eq!(read(b"hello", Encoding::Detect, 5, true).unwrap(), "hello");
        assert_eq!(read(&gzip("hello"), Encoding::Detect, 5, true).unwrap(), "hello");
        assert_eq!(read(&gzip("hello"), Encoding::Gzip, 5, true).unwrap(), "hello");
        assert_eq!(read(b"", Encoding::Detect, 5, true).unwrap(), "");
    }

    #[test]
    fn every_member_of_a_gzip_body_is_read() {
        let two = [gzip("one\n"), gzip("two\n")].concat();
        assert_eq!(read(&two, Encoding::Gzip, 100, true).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn the_limit_is_on_the_decompressed_size() {
        let bomb = gzip(&"0".repeat(1_000_000));
        assert!(bomb.len() < 10_000);
        let error = read(&bomb, Encoding::Gzip, 10_000, true).unwrap_err();
        assert_eq!(error.to_string(), "the body has more than 10000 bytes when decompressed");
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error() {
        let gzipped = gzip("hello");
        assert!(read(b"hello", Encoding::Detect, 5, false).is_err());
        assert!(read(&gzipped, Encoding::Gzip, 5, false).is_err());
        assert!(read(&gzipped[..gzipped.len() - 3], Encoding::Gzip, 5, true).is_err());
        assert!(read(b"not gzip", Encoding::Gzip, 5, true).is_err());
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(Encoding::of(Some("GZIP")), Some(Encoding::Gzip));
        assert_eq!(Encoding::of(None), Some(Encoding::Detect));
        assert_eq!(Encoding::of(Some("br")), None);
        assert_eq!(Encoding::of(Some("gzip, gzip")), None);
    }
}
