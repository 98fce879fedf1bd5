//! Bytes in text: base64 of guids and arrays, compressed texts, Punycode, time zones.

use std::io::{Read as _, Write as _};

use chrono::{Offset as _, TimeZone as _};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::array::timezone::Tz;
use datafusion::common::{Result, exec_err};
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc};
use kql::functions::ScalarFn as F;

use super::args::Call;
use super::encode::{base64_decode, base64_encode};
use super::{convert, time};
use crate::json::Json;

/// What a compressed text may become at most.
const INFLATED_BYTES_MAX: u64 = 16 << 20;

/// Ticks from the year 1 to 1970, and in a second.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;
const SECOND: i64 = 10_000_000;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::Isascii => call.bools(|row| Some(a.text(row).is_ascii())),
        // Every string here is.
        F::Isutf8 => call.bools(|_| Some(true)),
        F::Base64DecodeToguid => call.texts_or_null(|row, out| {
            let bytes: [u8; 16] = base64_decode(a.text(row))?.try_into().ok()?;
            out.push_str(&convert::parse_guid(&hex(&swapped(bytes)))?);
            Some(())
        }),
        F::Base64EncodeFromguid => call.texts(|row, out| {
            if let Some(bytes) = a.text_or_null(row).and_then(guid_bytes) {
                base64_encode(&swapped(bytes), out);
            }
        }),
        F::Base64EncodeFromarray => call.texts(|row, out| {
            let bytes = match a.json(row) {
                Some(Json::Array(items)) => items
                    .iter()
                    .map(|item| u8::try_from(convert::json_to_long(item)?).ok())
                    .collect::<Option<Vec<u8>>>(),
                _ => None,
            };
            if let Some(bytes) = bytes {
                base64_encode(&bytes, out);
            }
        }),
        F::GzipCompressToBase64String => {
            call.texts(|row, out| base64_encode(&gzip(a.text(row).as_bytes()), out))
        }
        F::ZlibCompressToBase64String => {
            call.texts(|row, out| base64_encode(&zlib(a.text(row).as_bytes()), out))
        }
        F::GzipDecompressFromBase64String => call.texts(|row, out| {
            let bytes = base64_decode(a.text(row)).unwrap_or_default();
            inflated(GzDecoder::new(bytes.as_slice()), out);
        }),
        F::ZlibDecompressFromBase64String => call.texts(|row, out| {
            let bytes = base64_decode(a.text(row)).unwrap_or_default();
            inflated(ZlibDecoder::new(bytes.as_slice()), out);
        }),
        F::PunycodeFromString => {
            call.texts(|row, out| out.push_str(&punycode(a.text(row)).unwrap_or_default()))
        }
        F::PunycodeToString => {
            call.texts(|row, out| out.push_str(&from_punycode(a.text(row)).unwrap_or_default()))
        }
        F::PunycodeDomainToString => call.texts(|row, out| {
            out.push_str(&labels(a.text(row), |label| {
                if label.is_ascii() {
                    Some(label.to_owned())
                } else {
                    Some(format!("xn--{}", punycode(label)?))
                }
            }));
        }),
        F::PunycodeDomainFromString => call.texts(|row, out| {
            out.push_str(&labels(a.text(row), |label| {
                match label.strip_prefix("xn--") {
                    Some(encoded) => from_punycode(encoded),
                    None => Some(label.to_owned()),
                }
            }));
        }),
        F::DatetimeUtcToLocal | F::DatetimeLocalToUtc => zoned(function, call),
        other => exec_err!("`{}` is no packing", other.as_str()),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn guid_bytes(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| u8::try_from(c.to_digit(16)?).ok())
        .collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .filter_map(|pair| match pair {
            [high, low] => Some(high << 4 | low),
            _ => None,
        })
        .collect();
    bytes.try_into().ok()
}

/// The first three groups of a guid are numbers, stored with the low byte first.
fn swapped(bytes: [u8; 16]) -> [u8; 16] {
    const FROM: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    FROM.map(|from| bytes.get(from).copied().unwrap_or_default())
}

fn inflated(reader: impl std::io::Read, out: &mut String) {
    let mut bytes = Vec::new();
    let read = reader.take(INFLATED_BYTES_MAX).read_to_end(&mut bytes);
    if read.is_ok()
        && let Ok(text) = String::from_utf8(bytes)
    {
        out.push_str(&text);
    }
}

/// Each label of a domain made anew; labels may be parted by the full stops of other scripts.
fn labels(domain: &str, made: impl Fn(&str) -> Option<String>) -> String {
    let parts: Option<Vec<String>> = domain
        .split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'])
        .map(made)
        .collect();
    parts.map(|p| p.join(".")).unwrap_or_default()
}

// RFC 3492.
const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 128;

fn adapted(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / DAMP } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

fn threshold(k: u32, bias: u32) -> u32 {
    k.saturating_sub(bias).clamp(T_MIN, T_MAX)
}

fn digit(value: u32) -> Option<char> {
    char::from_digit(value, BASE).map(|_| {
        let letter = if value < 26 {
            value + 97
        } else {
            value - 26 + 48
        };
        char::from_u32(letter).unwrap_or('a')
    })
}

fn punycode(text: &str) -> Option<String> {
    let points: Vec<u32> = text.chars().map(u32::from).collect();
    let mut out: String = text.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let total = u32::try_from(points.len()).ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (INITIAL_N, 0_u32, INITIAL_BIAS, basic);
    while handled < total {
        let next = points.iter().copied().filter(|p| *p >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for point in &points {
            if *point < n {
                delta = delta.checked_add(1)?;
            }
            if *point == n {
                let (mut q, mut k) = (delta, BASE);
                loop {
                    let t = threshold(k, bias);
                    if q < t {
                        break;
                    }
                    out.push(digit(t + (q - t) % (BASE - t))?);
                    q = (q - t) / (BASE - t);
                    k += BASE;
                }
                out.push(digit(q)?);
                bias = adapted(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(out)
}

fn from_punycode(text: &str) -> Option<String> {
    let (basic, rest) = text.rsplit_once('-').unwrap_or(("", text));
    let mut out: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (INITIAL_N, 0_u32, INITIAL_BIAS);
    let mut letters = rest.chars().peekable();
    while letters.peek().is_some() {
        let (old, mut weight, mut k) = (i, 1_u32, BASE);
        loop {
            let letter = letters.next()?;
            let value = match letter {
                'a'..='z' => u32::from(letter) - 97,
                'A'..='Z' => u32::from(letter) - 65,
                '0'..='9' => u32::from(letter) - 48 + 26,
                _ => return None,
            };
            i = i.checked_add(value.checked_mul(weight)?)?;
            let t = threshold(k, bias);
            if value < t {
                break;
            }
            weight = weight.checked_mul(BASE - t)?;
            k += BASE;
        }
        let count = u32::try_from(out.len()).ok()? + 1;
        bias = adapted(i - old, count, old == 0);
        n = n.checked_add(i / count)?;
        i %= count;
        out.insert(usize::try_from(i).ok()?, char::from_u32(n)?);
        i += 1;
    }
    Some(out.into_iter().collect())
}

/// Between UTC and the time of a zone by its name; see there for local times that do not exist.
fn zoned(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let (instant, zone) = (call.arg(0)?, call.arg(1)?);
    call.longs(|row| {
        let ticks = instant.long(row)?;
        let zone: Tz = zone.text(row).parse().ok()?;
        let seconds = (ticks - UNIX_EPOCH).div_euclid(SECOND);
        let naive = chrono::DateTime::from_timestamp(seconds, 0)?.naive_utc();
        let away = if function == F::DatetimeUtcToLocal {
            zone.offset_from_utc_datetime(&naive)
                .fix()
                .local_minus_utc()
        } else {
            // A time that a change of the clock leaves out is read as after it.
            let local = zone.offset_from_local_datetime(&naive).earliest();
            let offset = match local {
                Some(offset) => offset,
                None => zone.offset_from_utc_datetime(&naive),
            };
            -offset.fix().local_minus_utc()
        };
        time::in_range(ticks.checked_add(i64::from(away) * SECOND)?)
    })
}

/// Bytes around the compressed ones.
const GZIP_FRAME_BYTES: usize = 18;
const ZLIB_FRAME_BYTES: usize = 6;
/// Bytes of one stored block.
const STORED_BYTES_MAX: usize = 65_535;

/// A text in gzip (RFC 1952): stored as it is where compression would make it longer.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(text).and_then(|()| encoder.finish());
    match (compressed, stored(text)) {
        (Ok(bytes), Some(_)) if bytes.len() < text.len() + GZIP_FRAME_BYTES => bytes,
        (_, Some(block)) => {
            let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
            out.extend(block);
            let mut crc = Crc::new();
            crc.update(text);
            out.extend(crc.sum().to_le_bytes());
            out.extend(crc.amount().to_le_bytes());
            out
        }
        (compressed, None) => compressed.unwrap_or_default(),
    }
}

/// A text in zlib (RFC 1950), the same way.
fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(text).and_then(|()| encoder.finish());
    match (compressed, stored(text)) {
        (Ok(bytes), Some(_)) if bytes.len() < text.len() + ZLIB_FRAME_BYTES => bytes,
        (_, Some(block)) => {
            let mut out = vec![0x78, 0x9c];
            out.extend(block);
            let (mut a, mut b) = (1_u32, 0_u32);
            for byte in text {
                a = (a + u32::from(*byte)) % 65_521;
                b = (b + a) % 65_521;
            }
            out.extend(((b << 16) | a).to_be_bytes());
            out
        }
        (compressed, None) => compressed.unwrap_or_default(),
    }
}

/// One stored block (RFC 1951), if the text fits into one.
fn stored(text: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(text.len())
        .ok()
        .filter(|_| text.len() <= STORED_BYTES_MAX)?;
    let mut block = vec![1];
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.extend(text);
    Some(block)
}

/// The names of all time zones, as a dynamic.
pub(crate) fn time_zones() -> String {
    let mut names: Vec<&str> = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .collect();
    names.sort_unstable();
    let names = names.into_iter().map(|name| Json::Text(name.to_owned()));
    Json::Array(names.collect()).to_text()
}
