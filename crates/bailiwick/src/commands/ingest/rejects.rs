//! The file of records that were not stored: one JSON object a line, the record itself in `text`.
//!
//! `jq -r .text FILE` gives the records back, to be repaired or to be sent to the region in `region`.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use model::{Code, limits};
use serde_json::{Value, json};

use super::parts::{Part, Refused, newlines};
use crate::commands::file_error;

pub(super) struct Rejects {
    out: BufWriter<std::fs::File>,
}

/// Where a part's records are in their input.
pub(super) struct Place<'a> {
    pub(super) input: &'a str,
    pub(super) part: &'a Part,
    /// Records of the input before this part.
    pub(super) before: u64,
    /// Whether the bytes are text, so that a record can be cut out.
    pub(super) is_text: bool,
}

impl Rejects {
    /// Makes the file, or goes on at its end.
    pub(super) fn open(path: &Path, append: bool) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).write(true);
        options.append(append).truncate(!append);
        let file = options
            .open(path)
            .map_err(|e| file_error("write", path, e))?;
        Ok(Self {
            out: BufWriter::new(file),
        })
    }

    /// Writes what an answer says was not stored. `items` are in the order of their records.
    pub(super) fn write(
        &mut self,
        place: &Place<'_>,
        kind: &str,
        items: &[Value],
    ) -> anyhow::Result<()> {
        let (mut seen, mut line) = (0, place.part.line);
        let mut items: Vec<&Value> = items.iter().collect();
        items.sort_by_key(|item| offset_of(item));
        for item in items {
            let mut fields = json!({ "file": place.input, "kind": kind });
            let at = offset_of(item);
            let record = item.get("record").and_then(Value::as_u64);
            let mut put = |name: &str, value: Value| {
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert(name.to_owned(), value);
                }
            };
            if let Some(record) = record {
                put("record", (place.before + record).into());
            }
            if let Some(at) = at {
                let lead = place.part.lead;
                put(
                    "offset",
                    (place.part.offset + at.saturating_sub(lead)).into(),
                );
                if place.is_text {
                    let to = usize::try_from(at).unwrap_or(usize::MAX);
                    line += newlines(place.part.bytes.get(seen..to).unwrap_or_default());
                    seen = to;
                    put("line", line.into());
                    put("text", record_text(&place.part.bytes, to).into());
                }
            }
            for name in ["code", "reason", "table", "service", "region"] {
                if let Some(value) = item.get(name).filter(|v| !v.is_null()) {
                    put(name, value.clone());
                }
            }
            writeln!(self.out, "{fields}")?;
        }
        Ok(())
    }

    /// Writes a line that was too long to be sent; it is not copied.
    pub(super) fn write_refused(
        &mut self,
        input: &str,
        record: u64,
        refused: &Refused,
    ) -> anyhow::Result<()> {
        let line = json!({
            "file": input, "kind": "rejected", "record": record, "offset": refused.offset,
            "line": refused.line, "bytes": refused.bytes,
            "code": Code::RecordTooLarge.as_str(), "reason": too_large(),
        });
        Ok(writeln!(self.out, "{line}")?)
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// Why a long line was not sent.
pub(super) fn too_large() -> String {
    let max = limits::RECORD_BYTES_MAX;
    format!("the line is longer than a record may be ({max} bytes); it was not sent")
}

fn offset_of(item: &Value) -> Option<u64> {
    item.get("offset").and_then(Value::as_u64)
}

/// The record at `at`: the value that begins there, else the line that it is in.
pub(super) fn record_text(bytes: &[u8], at: usize) -> String {
    let rest = bytes.get(at..).unwrap_or_default();
    let mut values =
        serde_json::Deserializer::from_slice(rest).into_iter::<serde::de::IgnoredAny>();
    let is_object = rest.starts_with(b"{");
    let text = if is_object && values.next().is_some_and(|v| v.is_ok()) {
        rest.get(..values.byte_offset()).unwrap_or_default()
    } else {
        let before = bytes.get(..at).unwrap_or_default();
        let from = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |n| n + 1);
        let to = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(bytes.len(), |n| at + n);
        let line = bytes.get(from..to).unwrap_or_default();
        line.get(..limits::RECORD_BYTES_MAX).unwrap_or(line)
    };
    String::from_utf8_lossy(text)
        .trim_end_matches('\r')
        .to_owned()
}
