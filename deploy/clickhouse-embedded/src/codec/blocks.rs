//! ClickHouse's compressed blocks, as `compress=1` sends and `decompress=1` takes them.
//!
//! A block is a 16-byte `CityHash128` (the version ClickHouse froze) of what follows, one method byte, the size of
//! the rest (itself and the method included) and the size of the data, both little-endian, and the data.

use std::io::{self, Read};

use crate::exception::{Code, Exception};

/// The largest block that is taken, compressed or not. Clients send at most a few megabytes.
const BLOCK_SIZE_MAX: usize = 64 << 20;

const CHECKSUM_SIZE: usize = 16;
const HEADER_SIZE: usize = 9;
const METHOD_NONE: u8 = 0x02;
const METHOD_LZ4: u8 = 0x82;
const METHOD_ZSTD: u8 = 0x90;
/// No LZ4 data grows by more than this factor, so a larger claim is a lie.
const LZ4_RATIO_MAX: usize = 255;

/// Reads blocks and gives the data in them.
pub struct BlockReader<R> {
    inner: R,
    data: Vec<u8>,
    at: usize,
}

impl<R: Read> BlockReader<R> {
    /// Reads blocks from `inner` until it ends.
    pub fn new(inner: R) -> Self {
        Self { inner, data: Vec::new(), at: 0 }
    }

    /// Reads the next block; false at the end of the input, which is only allowed between blocks.
    fn next_block(&mut self) -> Result<bool, Exception> {
        let mut head = [0_u8; CHECKSUM_SIZE + HEADER_SIZE];
        let read = read_up_to(&mut self.inner, &mut head)?;
        if read == 0 {
            return Ok(false);
        }
        if read < head.len() {
            return Err(cut());
        }
        let (checksum, header) = head.split_at(CHECKSUM_SIZE);
        let size = |at: usize| {
            let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX)
        };
        let (method, compressed_size, data_size) = (header[0], size(1), size(5));
        if !(HEADER_SIZE..=BLOCK_SIZE_MAX).contains(&compressed_size) || data_size > BLOCK_SIZE_MAX {
            return Err(Exception::new(
                Code::TooLargeSizeCompressed,
                format!(
                    "Compressed block claims {compressed_size} and {data_size} bytes; at most {BLOCK_SIZE_MAX} are taken"
                ),
            ));
        }
        // `take` and `read_to_end`: memory grows with what arrives, not with what is claimed.
        let mut block = header.to_vec();
        let payload = compressed_size - HEADER_SIZE;
        let wanted = u64::try_from(payload).unwrap_or(u64::MAX);
        let got = (&mut self.inner)
            .take(wanted)
            .read_to_end(&mut block)
            .map_err(|error| super::exception_of(&error))?;
        if got < payload {
            return Err(cut());
        }
        if checksum_of(&block) != checksum {
            return Err(Exception::new(Code::ChecksumDoesntMatch, "Checksum doesn't match: corrupted data"));
        }
        self.data = decompress(method, &block[HEADER_SIZE..], data_size)?;
        self.at = 0;
        Ok(true)
    }
}

impl<R: Read> Read for BlockReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.at == self.data.len() {
            if !self.next_block().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
        let count = out.len().min(self.data.len() - self.at);
        out[..count].copy_from_slice(&self.data[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Appends one LZ4 block with `data` in it to `out`. `data` is at most [`BLOCK_SIZE_MAX`] bytes.
pub fn write_block(data: &[u8], out: &mut Vec<u8>) {
    let payload = lz4_flex::block::compress(data);
    let size_of = |size: usize| u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes();
    let mut block = Vec::with_capacity(HEADER_SIZE + payload.len());
    block.push(METHOD_LZ4);
    block.extend_from_slice(&size_of(payload.len() + HEADER_SIZE));
    block.extend_from_slice(&size_of(data.len()));
    block.extend_from_slice(&payload);
    out.extend_from_slice(&checksum_of(&block));
    out.extend_from_slice(&block);
}

fn decompress(method: u8, payload: &[u8], data_size: usize) -> Result<Vec<u8>, Exception> {
    match method {
        METHOD_NONE if payload.len() == data_size => Ok(payload.to_vec()),
        METHOD_LZ4 if data_size <= payload.len().saturating_mul(LZ4_RATIO_MAX) => {
            let data = lz4_flex::block::decompress(payload, data_size).map_err(|error| {
                Exception::new(Code::CannotDecompress, format!("Cannot decompress LZ4 block: {error}"))
            })?;
            if data.len() == data_size { Ok(data) } else { Err(wrong_size()) }
        }
        METHOD_NONE | METHOD_LZ4 => Err(wrong_size()),
        METHOD_ZSTD => Err(Exception::new(
            Code::UnknownCompressionMethod,
            "ZSTD blocks are not supported by the embedded server: send LZ4 blocks",
        )),
        other => Err(Exception::new(
            Code::UnknownCompressionMethod,
            format!("Unknown compression method: {other:#04x}"),
        )),
    }
}

fn checksum_of(block: &[u8]) -> [u8; CHECKSUM_SIZE] {
    cityhash_rs::cityhash_102_128(block).rotate_right(64).to_le_bytes()
}

fn read_up_to(inner: &mut impl Read, out: &mut [u8]) -> Result<usize, Exception> {
    let mut filled = 0;
    while filled < out.len() {
        match inner.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(super::exception_of(&error)),
        }
    }
    Ok(filled)
}

fn cut() -> Exception {
    Exception::new(Code::CannotReadAllData, "Cannot read all data: the last compressed block is cut")
}

fn wrong_size() -> Exception {
    Exception::new(Code::CannotDecompress, "Cannot decompress: the block does not hold what its header says")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<u8>, Exception> {
        let mut out = Vec::new();
        BlockReader::new(bytes).read_to_end(&mut out).map_err(|error| crate::codec::exception_of(&error))?;
        Ok(out)
    }

    fn code(bytes: &[u8]) -> u16 {
        read(bytes).unwrap_err().code()
    }

    fn raw_block(method: u8, payload: &[u8], data_size: u32) -> Vec<u8> {
        let mut block = vec![method];
        block.extend_from_slice(&u32::try_from(payload.len() + HEADER_SIZE).unwrap().to_le_bytes());
        block.extend_from_slice(&data_size.to_le_bytes());
        block.extend_from_slice(payload);
        let mut out = checksum_of(&block).to_vec();
        out.extend_from_slice(&block);
        out
    }

    #[test]
    fn a_block_is_written_as_the_official_client_writes_it() {
        let source =
            [1, 0, 2, 255, 255, 255, 255, 0, 1, 1, 1, 115, 6, 83, 116, 114, 105, 110, 103, 3, 97, 98, 99];
        let mut out = Vec::new();
        write_block(&source, &mut out);
        assert_eq!(
            &out[..25],
            &[
                245, 5, 222, 235, 225, 158, 59, 108, 225, 31, 65, 215, 66, 66, 36, 92, 130, 34, 0, 0, 0, 23,
                0, 0, 0
            ]
        );
    }

    #[test]
    fn damage_is_an_exception_of_its_kind() {
        let mut good = Vec::new();
        write_block(b"hello hello hello", &mut good);
        assert_eq!(read(&good).unwrap(), b"hello hello hello");
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(code(&good[..good.len() - 1]), 33);
        assert_eq!(code(&good[..10]), 33);
        let mut flipped = good.clone();
        flipped[30] ^= 1;
        assert_eq!(code(&flipped), 40);
        assert_eq!(read(&raw_block(METHOD_NONE, b"abc", 3)).unwrap(), b"abc");
        assert_eq!(code(&raw_block(METHOD_NONE, b"abc", 4)), 271);
        assert_eq!(code(&raw_block(METHOD_ZSTD, b"abc", 3)), 89);
        assert_eq!(code(&raw_block(0x42, b"abc", 3)), 89);
        assert_eq!(code(&raw_block(METHOD_LZ4, b"abc", 60_000_000)), 271);
        assert_eq!(code(&raw_block(METHOD_LZ4, b"abc", u32::MAX)), 39);
        let mut huge = good;
        huge[17..21].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(code(&huge), 39);
    }

    proptest! {
        #[test]
        fn blocks_give_back_what_was_written(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5_000), 0..4)) {
            let mut wire = Vec::new();
            for part in &parts {
                write_block(part, &mut wire);
            }
            prop_assert_eq!(read(&wire).unwrap(), parts.concat());
        }

        #[test]
        fn any_bytes_are_an_answer_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_lying_block_with_a_right_checksum_is_an_answer_not_a_panic(
            method in prop_oneof![Just(METHOD_LZ4), Just(METHOD_NONE), any::<u8>()],
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            claimed in prop_oneof![0_u32..2_000, any::<u32>()],
        ) {
            if let Ok(data) = read(&raw_block(method, &payload, claimed)) {
                prop_assert_eq!(data.len(), usize::try_from(claimed).unwrap());
            }
        }
    }
}
