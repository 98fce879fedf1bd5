//! Compressed bodies, whole, damaged and hostile.

use std::io::Write as _;

use model::limits;

use crate::body::decompress_within;
use crate::{Encoding, Error, decompress};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

fn code(result: Result<impl Sized, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(e) => e.code().as_str(),
    }
}

#[test]
fn the_header_names_the_encoding_and_else_the_magic_does() {
    let of = |header, bytes: &[u8]| Encoding::of(header, bytes);
    assert_eq!(of(None, &gzip(b"x")).unwrap(), Encoding::Gzip);
    assert_eq!(of(Some(" "), &zstd(b"x")).unwrap(), Encoding::Zstd);
    assert_eq!(of(None, b"{}").unwrap(), Encoding::Identity);
    assert_eq!(of(Some("GZIP"), b"").unwrap(), Encoding::Gzip);
    assert_eq!(
        of(Some("identity"), &gzip(b"x")).unwrap(),
        Encoding::Identity
    );
    assert_eq!(code(of(Some("br"), b"")), "unsupported_media");
    assert_eq!(code(of(Some("gzip, gzip"), b"")), "unsupported_media");
}

#[test]
fn several_members_are_one_body() {
    let two = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(*decompress(Encoding::Gzip, &two).unwrap(), *b"one two");
    let two = [zstd(b"one "), zstd(b"two")].concat();
    assert_eq!(*decompress(Encoding::Zstd, &two).unwrap(), *b"one two");
}

#[test]
fn a_cut_or_damaged_body_is_refused() {
    let text = b"some text that is long enough to be worth compressing".repeat(20);
    for (encoding, whole) in [(Encoding::Gzip, gzip(&text)), (Encoding::Zstd, zstd(&text))] {
        for cut in [0, 1, 5, whole.len() / 2, whole.len() - 1] {
            let found = code(decompress(encoding, &whole[..cut]));
            assert_eq!(found, "damaged_compression", "{encoding:?} {cut}");
        }
        assert_eq!(
            code(decompress(encoding, b"plain text")),
            "damaged_compression"
        );
    }
}

#[test]
fn a_flipped_bit_is_found_by_the_checksum() {
    let mut body = gzip(&b"text ".repeat(20));
    let crc = body.len() - 8;
    body[crc] ^= 1;
    assert_eq!(
        code(decompress(Encoding::Gzip, &body)),
        "damaged_compression"
    );
}

#[test]
fn a_bomb_stops_at_the_limit() {
    for (encoding, bytes) in [
        (Encoding::Gzip, gzip(&[0; 1000])),
        (Encoding::Zstd, zstd(&[0; 1000])),
    ] {
        assert_eq!(
            decompress_within(encoding, &bytes, 1000).unwrap().len(),
            1000
        );
        assert_eq!(
            code(decompress_within(encoding, &bytes, 999)),
            "decompression_bomb"
        );
    }
    assert_eq!(
        code(decompress_within(Encoding::Identity, &[0; 10], 10)),
        "ok"
    );
    assert_eq!(
        code(decompress_within(Encoding::Identity, &[0; 11], 10)),
        "too_large"
    );
    // The real limit: a little more than it in zeros is a small body.
    let bomb = zstd(&vec![0; limits::REQUEST_BYTES_DECODED_MAX + 1]);
    assert!(bomb.len() < 100_000);
    assert_eq!(
        code(decompress(Encoding::Zstd, &bomb)),
        "decompression_bomb"
    );
}
