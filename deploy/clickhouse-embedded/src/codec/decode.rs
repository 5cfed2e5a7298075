//! Decoding request bodies: the HTTP content encoding first, ClickHouse blocks inside it.

use std::io::{self, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use lz4_flex::frame::FrameDecoder;

use super::BlockReader;
use crate::exception::{Code, Exception};

/// A reader of the request's data: `encoding` is the `Content-Encoding` header, `blocks` is `decompress=1`.
pub fn request_decoder(
    body: Box<dyn Read + Send>,
    encoding: Option<&str>,
    blocks: bool,
) -> Result<Box<dyn Read + Send>, Exception> {
    let name = encoding.unwrap_or_default().trim().to_ascii_lowercase();
    let plain: Box<dyn Read + Send> = match name.as_str() {
        "" | "identity" => body,
        "gzip" | "x-gzip" => {
            Box::new(Checked { inner: MultiGzDecoder::new(body), code: Code::ZlibInflateFailed })
        }
        "deflate" => Box::new(Checked { inner: ZlibDecoder::new(body), code: Code::ZlibInflateFailed }),
        "lz4" => Box::new(Checked { inner: Frames(FrameDecoder::new(body)), code: Code::Lz4DecoderFailed }),
        _ => {
            return Err(Exception::new(
                Code::UnknownCompressionMethod,
                format!(
                    "Unknown compression method {name:?}: the embedded server takes gzip, deflate and lz4"
                ),
            ));
        }
    };
    Ok(if blocks { Box::new(BlockReader::new(plain)) } else { plain })
}

/// The exception that a decoder put into an I/O error, or one that says what happened.
#[must_use]
pub fn exception_of(error: &io::Error) -> Exception {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Exception>()) {
        Some(exception) => exception.clone(),
        None => Exception::new(Code::CannotReadAllData, format!("Cannot read the request's data: {error}")),
    }
}

/// Turns a decoder's errors into exceptions with the code a server would use.
struct Checked<R> {
    inner: R,
    code: Code,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.inner.read(out).map_err(|error| {
            let known = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Exception>);
            if known || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            io::Error::other(Exception::new(self.code, format!("Cannot decode the request body: {error}")))
        })
    }
}

/// LZ4 frames one after another: the decoder gives 0 after each.
struct Frames<R: Read>(FrameDecoder<R>);

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            // A second call after a frame's end starts the next frame, and gives 0 at the end of the input.
            0 => self.0.read(out),
            count => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: Vec<u8>, encoding: &str) -> Result<Vec<u8>, Exception> {
        let mut out = Vec::new();
        request_decoder(Box::new(io::Cursor::new(bytes)), Some(encoding), false)?
            .read_to_end(&mut out)
            .map_err(|error| exception_of(&error))?;
        Ok(out)
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(data: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_and_frames_are_read_to_the_last() {
        let both = |encode: fn(&[u8]) -> Vec<u8>| [encode(b"one "), encode(b"two")].concat();
        assert_eq!(decode(both(gzip), "gzip").unwrap(), b"one two");
        assert_eq!(decode(both(lz4), "lz4").unwrap(), b"one two");
        assert_eq!(decode(b"plain".to_vec(), "").unwrap(), b"plain");
    }

    #[test]
    fn damage_and_unknown_encodings_are_exceptions() {
        let mut cut = gzip(&[7; 10_000]);
        cut.truncate(cut.len() - 9);
        assert_eq!(decode(cut, "gzip").unwrap_err().code(), 354);
        assert_eq!(decode(b"no gzip at all".to_vec(), "gzip").unwrap_err().code(), 354);
        assert_eq!(decode(b"no frame at all".to_vec(), "lz4").unwrap_err().code(), 618);
        assert_eq!(decode(Vec::new(), "br").unwrap_err().code(), 89);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_not_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            encoding in prop_oneof![Just("gzip"), Just("lz4"), Just("deflate")],
        ) {
            let _ = decode(bytes, encoding);
        }
    }
}
