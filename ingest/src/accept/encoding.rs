//! How a body is compressed, and its readers.
//!
//! None of them holds more than a window of what it reads. There is no limit on how far a body may expand: it is read in
//! bounded memory, its decompressed size is limited, and logs that repeat themselves compress a thousandfold.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

/// The most that a zstd frame may refer back, as a power of two: 8 MiB is all that a sender may ask for over HTTP
/// (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How many bytes [`Encoding::of_start`] looks at.
pub(super) const START_BYTES: usize = 4;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952: any number of members.
    Gzip,
    /// RFC 8878: any number of frames.
    Zstd,
    /// What RFC 9110 calls deflate, which is zlib's format; or the bare stream, which some senders mean by it.
    Deflate,
}

/// The reader of a deflate stream. It is an error if that has no end, or something after it.
struct Inflate<R> {
    inner: R,
    stream: Decompress,
    ended: bool,
}

impl Encoding {
    /// What is taken, as `Accept-Encoding` says it.
    pub(super) const ACCEPTED: &'static str = "gzip, zstd, deflate, identity";

    /// Reads the values of `Content-Encoding`. `Ok(None)` where nothing is said, `Err` for what is not taken: one that is
    /// not known, or more than one.
    pub(super) fn of_header<'h>(values: impl IntoIterator<Item = &'h [u8]>) -> Result<Option<Self>, ()> {
        let mut values = values.into_iter();
        let value = values.next().unwrap_or_default();
        if values.next().is_some() {
            return Err(());
        }
        match value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(None),
            b"gzip" | b"x-gzip" => Ok(Some(Self::Gzip)),
            b"zstd" => Ok(Some(Self::Zstd)),
            b"deflate" => Ok(Some(Self::Deflate)),
            // Any name may stand here.
            _ => Err(()),
        }
    }

    /// The encoding of a body of which nothing is said, by its first bytes. JSON begins like none of them.
    pub(super) fn of_start(start: &[u8]) -> Self {
        if start.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if start.starts_with(&ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::Identity
        }
    }

    /// Its name in errors.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// A reader of what is compressed in `raw`, which begins with `start`.
    pub(super) fn reader<R: Read + Send + 'static>(
        self,
        start: &[u8],
        raw: BufReader<R>,
    ) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Identity => Box::new(raw),
            _ if start.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Gzip => Box::new(MultiGzDecoder::new(raw)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
            Self::Deflate => {
                let stream = Decompress::new(is_zlib(start));
                Box::new(Inflate { inner: raw, stream, ended: false })
            }
        })
    }
}

/// A reader of `raw`, which begins with `start` and may be compressed.
pub(crate) fn decompressed(
    start: &[u8],
    raw: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    Encoding::of_start(start).reader(start, BufReader::new(raw))
}

/// Whether a deflate stream begins as zlib's do (RFC 1950 section 2.2). A bare one never does: it would begin with a
/// stored block whose padding is not zero.
fn is_zlib(start: &[u8]) -> bool {
    let [method, flags, ..] = *start else {
        return false;
    };
    method & 0x0f == 8 && method >> 4 <= 7 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

impl<R: BufRead> Read for Inflate<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while !self.ended {
            let input = self.inner.fill_buf()?;
            let is_last = input.is_empty();
            let before = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(input, buffer, FlushDecompress::None)?;
            // Neither number is more than the length of a buffer.
            let used = usize::try_from(self.stream.total_in() - before.0).unwrap_or(usize::MAX);
            let length = usize::try_from(self.stream.total_out() - before.1).unwrap_or(usize::MAX);
            self.inner.consume(used);
            self.ended = status == Status::StreamEnd;
            if length > 0 {
                return Ok(length);
            }
            if is_last && !self.ended {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let is_all = self.inner.fill_buf()?.is_empty();
        if is_all { Ok(0) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after its end")) }
    }
}

#[cfg(test)]
mod tests;
