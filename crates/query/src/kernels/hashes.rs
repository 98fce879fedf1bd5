//! Hashes of values, as data: nothing here protects anything.
//!
//! A string is hashed as its bytes, a whole number, instant or duration by `hash` as its eight bytes;
//! the others as their text.

use datafusion::arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use kql::functions::ScalarFn as F;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use twox_hash::XxHash64;

use super::args::{Arg, Call, Cell};
use super::convert;

pub(crate) fn run(function: F, call: &Call<'_>) -> Result<ArrayRef> {
    let a = call.arg(0)?;
    match function {
        F::Hash => call.longs(|row| {
            let hash = xx_hash(a, row)?;
            match call.optional(1) {
                None => Some(hash),
                Some(modulus) => {
                    let modulus = modulus.long(row).filter(|m| *m > 0)?;
                    let rest = hash.cast_unsigned() % modulus.cast_unsigned();
                    i64::try_from(rest).ok()
                }
            }
        }),
        F::HashCombine => call.longs(|row| {
            let hashes = call.args.iter().map(|arg| arg.long(row));
            combined(hashes.collect::<Option<Vec<_>>>()?)
        }),
        F::HashMany => call.longs(|row| {
            let hashes = call.args.iter().map(|arg| xx_hash(arg, row));
            combined(hashes.collect::<Option<Vec<_>>>()?)
        }),
        F::HashSha256 => digests(call, |bytes| crypto::sha256(bytes).to_vec()),
        F::HashSha1 => digests(call, |bytes| Sha1::digest(bytes).to_vec()),
        F::HashMd5 => digests(call, |bytes| Md5::digest(bytes).to_vec()),
        F::RandomReal => call.reals(|row| {
            let bits = row_hash(call, row) >> 11;
            let bits = i64::try_from(bits).unwrap_or(0);
            Some(convert::real_of_long(bits) / 9_007_199_254_740_992.0)
        }),
        F::RandomGuid => call.texts_or_null(|row, out| {
            let first = row_hash(call, row);
            let second = XxHash64::oneshot(1, &first.to_le_bytes());
            let digits = format!("{first:016x}{second:016x}");
            out.push_str(&convert::parse_guid(&digits)?);
            Some(())
        }),
        other => exec_err!("`{}` is no hash", other.as_str()),
    }
}

fn text_of(arg: &Arg, row: usize) -> String {
    let mut out = String::new();
    convert::display(arg.cell(row), &mut out);
    out
}

fn xx_hash(arg: &Arg, row: usize) -> Option<i64> {
    let hash = match arg.cell(row) {
        Cell::Null => return None,
        Cell::Text(text) => XxHash64::oneshot(0, text.as_bytes()),
        Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => {
            XxHash64::oneshot(0, &n.to_le_bytes())
        }
        Cell::Real(x) => XxHash64::oneshot(0, &x.to_le_bytes()),
        _ => XxHash64::oneshot(0, text_of(arg, row).as_bytes()),
    };
    Some(hash.cast_signed())
}

/// A seed, the row's number and its values.
fn row_hash(call: &Call<'_>, row: usize) -> u64 {
    let mut text = row.to_string();
    for arg in call.args {
        text.push('\n');
        convert::display(arg.cell(row), &mut text);
    }
    XxHash64::oneshot(0, text.as_bytes())
}

fn combined(hashes: Vec<i64>) -> Option<i64> {
    hashes.into_iter().reduce(|a, b| {
        let (a, b) = (a.cast_unsigned(), b.cast_unsigned());
        let mixed = b
            .wrapping_add(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(a << 6)
            .wrapping_add(a >> 2);
        (a ^ mixed).cast_signed()
    })
}

fn digests(call: &Call<'_>, digest: fn(&[u8]) -> Vec<u8>) -> Result<ArrayRef> {
    use std::fmt::Write as _;
    let value = call.arg(0)?;
    call.texts(|row, out| {
        if value.cell(row) == Cell::Null {
            return;
        }
        for byte in digest(text_of(value, row).as_bytes()) {
            let _ = write!(out, "{byte:02x}");
        }
    })
}
