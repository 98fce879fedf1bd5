//! A request's bytes, decompressed within a limit.
//!
//! The encoding is what the header says, else what the magic says. Decompression is streamed and
//! stops at [`limits::REQUEST_BYTES_DECODED_MAX`], so a bomb costs no more than an honest request.
//!
//! Does not know archives: a zip's members are the caller's to open.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use model::limits;

use crate::Error;

/// How a body is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952; several members in a row are read as one body.
    Gzip,
    /// RFC 8878; several frames in a row are read as one body.
    Zstd,
}

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

impl Encoding {
    /// The encoding that a `Content-Encoding` header names; no header or an empty one: by magic.
    pub fn of(header: Option<&str>, bytes: &[u8]) -> Result<Self, Error> {
        let named = header.unwrap_or_default().trim();
        if named.is_empty() {
            return Ok(Self::sniff(bytes));
        }
        let is = |name: &str| named.eq_ignore_ascii_case(name);
        if is("identity") {
            Ok(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Ok(Self::Gzip)
        } else if is("zstd") {
            Ok(Self::Zstd)
        } else {
            Err(Error::UnknownEncoding)
        }
    }

    /// The encoding that the first bytes show.
    pub fn sniff(bytes: &[u8]) -> Self {
        if bytes.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if bytes.starts_with(&ZSTD_MAGIC) {
            Self::Zstd
        } else {
            Self::Identity
        }
    }
}

/// The body that `bytes` are an encoding of.
pub fn decompress(encoding: Encoding, bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    decompress_within(encoding, bytes, limits::REQUEST_BYTES_DECODED_MAX)
}

/// As [`decompress`], with a limit of the caller's: tests try the edge without gigabytes.
pub(crate) fn decompress_within(
    encoding: Encoding,
    bytes: &[u8],
    limit: usize,
) -> Result<Cow<'_, [u8]>, Error> {
    match encoding {
        Encoding::Identity if bytes.len() > limit => Err(Error::TooLarge { limit }),
        Encoding::Identity => Ok(Cow::Borrowed(bytes)),
        Encoding::Gzip => read_within(flate2::read::MultiGzDecoder::new(bytes), bytes, limit),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                .map_err(Error::DamagedCompression)?;
            // A frame may ask for a window of gigabytes; ours is held to what a body may be.
            decoder
                .window_log_max(WINDOW_LOG_MAX)
                .map_err(Error::DamagedCompression)?;
            read_within(decoder, bytes, limit)
        }
    }
}

/// What `reader` is an encoding of, without limit: for those who cut it into requests themselves.
pub fn decoder<'a>(
    encoding: Encoding,
    reader: impl BufRead + 'a,
) -> Result<Box<dyn Read + 'a>, Error> {
    Ok(match encoding {
        Encoding::Identity => Box::new(reader),
        Encoding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)
                .map_err(Error::DamagedCompression)?;
            decoder
                .window_log_max(WINDOW_LOG_MAX)
                .map_err(Error::DamagedCompression)?;
            Box::new(decoder)
        }
    })
}

/// 2^27 bytes: zstd's own default, and the size of the largest body.
const WINDOW_LOG_MAX: u32 = 27;

fn read_within<'a>(decoder: impl Read, bytes: &[u8], limit: usize) -> Result<Cow<'a, [u8]>, Error> {
    // Telemetry shrinks about tenfold; a guess too low costs one copy.
    let mut out = Vec::with_capacity(bytes.len().saturating_mul(8).min(limit));
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(one_more)
        .read_to_end(&mut out)
        .map_err(damaged)?;
    if out.len() > limit {
        return Err(Error::DecompressionBomb { limit });
    }
    Ok(Cow::Owned(out))
}

fn damaged(source: io::Error) -> Error {
    Error::DamagedCompression(source)
}
