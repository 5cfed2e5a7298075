//! Bodies in every encoding: whole, in pieces, cut at every byte, and with something behind them.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn bare_deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::encode_all(data, 1).unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

const ALL: [(Encoding, Compress); 4] = [
    (Encoding::Gzip, gzip),
    (Encoding::Zstd, zstd),
    (Encoding::Deflate, zlib),
    (Encoding::Deflate, bare_deflate),
];

fn read(encoding: Encoding, data: &[u8], buffer: usize) -> io::Result<Vec<u8>> {
    let start = data[..data.len().min(START_BYTES)].to_vec();
    let raw = BufReader::with_capacity(buffer, io::Cursor::new(data.to_vec()));
    let mut text = Vec::new();
    encoding.reader(&start, raw)?.read_to_end(&mut text)?;
    Ok(text)
}

#[test]
fn every_member_and_every_frame_is_read() {
    for (encoding, compress) in &ALL[..2] {
        let two = [compress(b"one\n"), compress(b""), compress(b"two\n")].concat();
        assert_eq!(read(*encoding, &two, 5).unwrap(), b"one\ntwo\n", "{encoding:?}");
    }
}

#[test]
fn a_body_that_is_cut_anywhere_is_an_error() {
    let text = (0..200_u32).flat_map(|number| number.to_string().into_bytes()).collect::<Vec<_>>();
    for (encoding, compress) in ALL {
        let whole = compress(&text);
        for length in 0..whole.len() {
            assert!(read(encoding, &whole[..length], 16).is_err(), "{encoding:?} {length}");
        }
    }
}

#[test]
fn what_comes_behind_the_end_is_not_lost_in_silence() {
    for (encoding, compress) in ALL {
        let data = [compress(b"hello"), b"more".to_vec()].concat();
        assert!(read(encoding, &data, 16).is_err(), "{encoding:?}");
    }
}

#[test]
fn a_zstd_frame_that_wants_more_memory_than_is_for_http_is_refused() {
    let frame = |window_log| {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        encoder.write_all(b"hello").unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(read(Encoding::Zstd, &frame(ZSTD_WINDOW_LOG_MAX), 16).unwrap(), b"hello");
    assert!(read(Encoding::Zstd, &frame(ZSTD_WINDOW_LOG_MAX + 1), 16).is_err());
}

#[test]
fn a_header_names_one_encoding_that_is_known() {
    let check = |values: &[&str], expected| {
        let values = values.iter().map(|value| value.as_bytes());
        assert_eq!(Encoding::of_header(values), expected);
    };
    check(&[], Ok(None));
    check(&[""], Ok(None));
    check(&["identity"], Ok(None));
    check(&[" GZIP "], Ok(Some(Encoding::Gzip)));
    check(&["x-gzip"], Ok(Some(Encoding::Gzip)));
    check(&["zstd"], Ok(Some(Encoding::Zstd)));
    check(&["deflate"], Ok(Some(Encoding::Deflate)));
    check(&["br"], Err(()));
    check(&["gzip, gzip"], Err(()));
    check(&["gzip", "gzip"], Err(()));
    check(&["identity", "gzip"], Err(()));
}

#[test]
fn json_begins_like_no_encoding() {
    for start in ["", "{", "[{\"a", "\u{feff}{", "\n\n\n{"] {
        assert_eq!(Encoding::of_start(start.as_bytes()), Encoding::Identity, "{start}");
    }
}

proptest! {
    #[test]
    fn whatever_is_compressed_comes_out_again(text in proptest::collection::vec(any::<u8>(), 0..2_000), repeats in 1_usize..50, buffer in 1_usize..300) {
        let text = text.repeat(repeats);
        for (encoding, compress) in ALL {
            let data = compress(&text);
            prop_assert_eq!(&read(encoding, &data, buffer).unwrap(), &text);
            if encoding != Encoding::Deflate {
                prop_assert_eq!(Encoding::of_start(&data[..START_BYTES]), encoding);
            }
        }
    }

    #[test]
    fn no_body_makes_a_reader_panic(mut data in proptest::collection::vec(any::<u8>(), 0..200), as_zlib: bool) {
        if as_zlib {
            data.splice(0..0, [0x78, 0x9c]);
        }
        for (encoding, _) in ALL {
            // Noise is hardly ever a body; what matters is that it ends.
            let _ = read(encoding, &data, 7);
        }
    }
}
