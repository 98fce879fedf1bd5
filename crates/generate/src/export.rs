//! The shapes in which the export arrives: lines of storage blobs, bodies of hub messages.
//!
//! Takes a writer and does no I/O of its own beyond it.

use std::io::{self, Write};

use crate::record::Record;

/// The shape of an export.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One record per line.
    Lines(LineEnd),
    /// `{"records":[…]}` per line, each with that many records (at least one), the last maybe fewer.
    Batches(usize),
    /// One JSON array of all records.
    Array,
}

/// What ends a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineEnd {
    /// `\n`.
    Lf,
    /// `\r\n`, as the blobs have it.
    CrLf,
}

/// Writes `records` in `shape` and returns how many there were.
pub fn write_export(
    records: impl IntoIterator<Item = Record>,
    shape: Shape,
    out: &mut impl Write,
) -> io::Result<u64> {
    match shape {
        Shape::Lines(end) => write_lines(records, end, out),
        Shape::Batches(size) => write_batches(records, size.max(1), out),
        Shape::Array => {
            let written = write_list(&mut records.into_iter(), u64::MAX, out)?;
            out.write_all(b"\n")?;
            Ok(written)
        }
    }
}

fn write_lines(
    records: impl IntoIterator<Item = Record>,
    end: LineEnd,
    out: &mut impl Write,
) -> io::Result<u64> {
    let end: &[u8] = match end {
        LineEnd::Lf => b"\n",
        LineEnd::CrLf => b"\r\n",
    };
    let mut written = 0;
    for record in records {
        out.write_all(record.json.as_bytes())?;
        out.write_all(end)?;
        written += 1;
    }
    Ok(written)
}

fn write_batches(
    records: impl IntoIterator<Item = Record>,
    size: usize,
    out: &mut impl Write,
) -> io::Result<u64> {
    let mut records = records.into_iter().peekable();
    let mut written = 0;
    while records.peek().is_some() {
        out.write_all(b"{\"records\":")?;
        written += write_list(&mut records, size as u64, out)?;
        out.write_all(b"}\n")?;
    }
    Ok(written)
}

/// Writes a JSON array of at most `most` records.
fn write_list(
    records: &mut impl Iterator<Item = Record>,
    most: u64,
    out: &mut impl Write,
) -> io::Result<u64> {
    let mut written = 0;
    out.write_all(b"[")?;
    while written < most {
        let Some(record) = records.next() else { break };
        if written > 0 {
            out.write_all(b",")?;
        }
        out.write_all(record.json.as_bytes())?;
        written += 1;
    }
    out.write_all(b"]")?;
    Ok(written)
}
