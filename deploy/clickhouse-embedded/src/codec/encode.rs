//! Encoding responses, chunk by chunk.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};

use super::{NativeUpgrade, write_block};

/// How a response body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// ClickHouse's LZ4 blocks: `compress=1`. No header tells.
    Blocks,
    /// `Content-Encoding: gzip`.
    Gzip,
    /// `Content-Encoding: deflate`.
    Deflate,
    /// `Content-Encoding: lz4`, the frame format.
    Lz4,
}

impl Encoding {
    /// The `Content-Encoding` header, if there is one to send.
    #[must_use]
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::Plain | Self::Blocks => None,
            Self::Gzip => Some("gzip"),
            Self::Deflate => Some("deflate"),
            Self::Lz4 => Some("lz4"),
        }
    }
}

/// The first of our encodings that an `Accept-Encoding` header allows, in our order: lz4, gzip, deflate.
#[must_use]
pub fn choose_encoding(accepted: &str) -> Encoding {
    let allows = |wanted: &str| {
        accepted.split(',').any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let refused = parts
                .filter_map(|part| part.strip_prefix("q="))
                .any(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
            named && !refused
        })
    };
    [("lz4", Encoding::Lz4), ("gzip", Encoding::Gzip), ("deflate", Encoding::Deflate)]
        .into_iter()
        .find(|(name, _)| allows(name))
        .map_or(Encoding::Plain, |(_, encoding)| encoding)
}

/// A response body in the making.
pub struct Encoder {
    native: Option<NativeUpgrade>,
    inner: Inner,
}

enum Inner {
    Plain,
    Blocks,
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
}

impl Encoder {
    /// Starts a body. `level` is `http_zlib_compression_level`.
    #[must_use]
    pub fn new(encoding: Encoding, level: u32) -> Self {
        let level = Compression::new(level.min(9));
        let inner = match encoding {
            Encoding::Plain => Inner::Plain,
            Encoding::Blocks => Inner::Blocks,
            Encoding::Gzip => Inner::Gzip(GzEncoder::new(Vec::new(), level)),
            Encoding::Deflate => Inner::Deflate(ZlibEncoder::new(Vec::new(), level)),
            Encoding::Lz4 => {
                let frame = FrameInfo::new().block_size(BlockSize::Max64KB);
                Inner::Lz4(Box::new(FrameEncoder::with_frame_info(frame, Vec::new())))
            }
        };
        Self { native: None, inner }
    }

    /// Says that the body is in Native format, for a client of this revision.
    #[must_use]
    pub fn with_native_revision(mut self, revision: u32) -> Self {
        self.native = Some(NativeUpgrade::new(revision));
        self
    }

    /// Encodes the next chunk of the result; what comes out may be empty.
    pub fn push(&mut self, data: Bytes) -> io::Result<Bytes> {
        let data = match self.native.as_mut() {
            Some(native) => native.push(&data).map_err(io::Error::other)?.into(),
            None => data,
        };
        self.push_words(data)
    }

    /// Encodes text that is no part of the result: an exception.
    pub fn push_words(&mut self, data: Bytes) -> io::Result<Bytes> {
        match &mut self.inner {
            Inner::Plain => return Ok(data),
            Inner::Blocks => {
                let mut out = Vec::new();
                if !data.is_empty() {
                    write_block(&data, &mut out);
                }
                return Ok(out.into());
            }
            Inner::Gzip(encoder) => encoder.write_all(&data)?,
            Inner::Deflate(encoder) => encoder.write_all(&data)?,
            Inner::Lz4(encoder) => encoder.write_all(&data)?,
        }
        Ok(self.take())
    }

    /// Brings out everything that was pushed, so that a reader sees it now and what follows apart from it.
    pub fn flush(&mut self) -> io::Result<Bytes> {
        match &mut self.inner {
            Inner::Plain | Inner::Blocks => {}
            Inner::Gzip(encoder) => encoder.flush()?,
            Inner::Deflate(encoder) => encoder.flush()?,
            Inner::Lz4(encoder) => encoder.flush()?,
        }
        Ok(self.take())
    }

    /// Ends the body.
    pub fn finish(mut self) -> io::Result<Bytes> {
        let rest = match self.native.take() {
            Some(native) => native.finish().map_err(io::Error::other)?,
            None => Vec::new(),
        };
        let rest = self.push_words(rest.into())?;
        let last: Bytes = match self.inner {
            Inner::Plain | Inner::Blocks => return Ok(rest),
            Inner::Gzip(encoder) => encoder.finish()?.into(),
            Inner::Deflate(encoder) => encoder.finish()?.into(),
            Inner::Lz4(encoder) => encoder.finish().map_err(io::Error::other)?.into(),
        };
        Ok([rest, last].concat().into())
    }

    fn take(&mut self) -> Bytes {
        let out = match &mut self.inner {
            Inner::Plain | Inner::Blocks => return Bytes::new(),
            Inner::Gzip(encoder) => encoder.get_mut(),
            Inner::Deflate(encoder) => encoder.get_mut(),
            Inner::Lz4(encoder) => encoder.get_mut(),
        };
        std::mem::take(out).into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_the_client_refuses_is_not_sent() {
        assert_eq!(choose_encoding("lz4"), Encoding::Lz4);
        assert_eq!(choose_encoding("zstd, gzip, br"), Encoding::Gzip);
        assert_eq!(choose_encoding("gzip;q=0.0, deflate;q=0.5"), Encoding::Deflate);
        assert_eq!(choose_encoding("X-gzip-custom, br"), Encoding::Plain);
        assert_eq!(choose_encoding(""), Encoding::Plain);
    }

    #[test]
    fn bodies_can_be_read_back() {
        let parts = [Bytes::from(vec![b'a'; 100_000]), Bytes::from_static(b"b;\0c"), Bytes::new()];
        for encoding in [Encoding::Plain, Encoding::Blocks, Encoding::Gzip, Encoding::Deflate, Encoding::Lz4]
        {
            let mut encoder = Encoder::new(encoding, 3);
            let mut wire = Vec::new();
            for part in &parts {
                wire.extend_from_slice(&encoder.push(part.clone()).unwrap());
            }
            wire.extend_from_slice(&encoder.flush().unwrap());
            wire.extend_from_slice(&encoder.finish().unwrap());
            let mut back = Vec::new();
            let blocks = encoding == Encoding::Blocks;
            super::super::request_decoder(Box::new(io::Cursor::new(wire)), encoding.header(), blocks)
                .unwrap()
                .read_to_end(&mut back)
                .unwrap();
            assert_eq!(back, parts.concat(), "{encoding:?}");
        }
    }
}
