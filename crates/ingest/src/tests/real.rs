//! Recordings of real computers: every record is accounted for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::run;
use crate::{Decoded, Format, decompress};

fn telemetry(folder: &str) -> Option<Vec<PathBuf>> {
    let Some(root) = testkit::shared_data() else {
        testkit::skip("ingest: no shared data, real telemetry not read");
        return None;
    };
    let mut out = Vec::new();
    walk(&root.join("telemetry").join(folder), &mut out);
    out.sort();
    assert!(!out.is_empty(), "{folder}");
    Some(out)
}

fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// Records that made a row, and refusals, are all that was read, and no record is both.
fn account(decoded: &Decoded) {
    let rows: BTreeSet<u64> = decoded
        .batches
        .iter()
        .flat_map(|b| b.record.iter().copied())
        .collect();
    let rejected: BTreeSet<u64> = decoded.rejected.iter().map(|r| r.record).collect();
    assert_eq!(rejected.len(), decoded.rejected.len());
    assert!(rows.is_disjoint(&rejected));
    assert_eq!((rows.len() + rejected.len()) as u64, decoded.read);
    assert_eq!(decoded.tally.mapped + decoded.tally.raw, rows.len() as u64);
    for batch in &decoded.batches {
        assert_eq!(batch.batch.num_rows(), batch.record.len());
        assert_eq!(batch.batch.num_rows(), batch.identity.len());
    }
}

#[derive(Default, Debug)]
struct Sum {
    read: u64,
    mapped: u64,
    raw: u64,
    rejected: BTreeMap<&'static str, u64>,
    distinct: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

impl Sum {
    fn add(&mut self, decoded: &Decoded) {
        account(decoded);
        self.read += decoded.read;
        self.mapped += decoded.tally.mapped;
        self.raw += decoded.tally.raw;
        for r in &decoded.rejected {
            *self.rejected.entry(r.code.as_str()).or_default() += 1;
        }
        for batch in &decoded.batches {
            let seen = self.distinct.entry(batch.table.to_string()).or_default();
            seen.extend(batch.identity.iter().map(<[u8]>::to_vec));
        }
    }

    fn distinct(&self) -> usize {
        self.distinct.values().map(BTreeSet::len).sum()
    }
}

#[test]
fn event_logs_lose_no_record() {
    let Some(files) = telemetry("evtx") else {
        return;
    };
    let mut sum = Sum::default();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "evtx")) {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(Format::sniff(&bytes, None, None), Some(Format::WindowsEvtx));
        let decoded = run(Format::WindowsEvtx, &bytes);
        if !decoded.rejected.is_empty() { println!("{path:?} {:?}", decoded.rejected); }
        sum.add(&decoded);
    }
    println!("{} {} {} {:?} distinct {}", sum.read, sum.mapped, sum.raw, sum.rejected, sum.distinct());
}

/// The members of a zip whose entries are stored or deflated.
fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let u32_at = |at: usize| {
        u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
    };
    let end = bytes.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let mut entry = u32_at(end + 16);
    let mut out = Vec::new();
    for _ in 0..u16_at(end + 10) {
        assert_eq!(&bytes[entry..entry + 4], b"PK\x01\x02");
        let (method, packed) = (u16_at(entry + 10), u32_at(entry + 20));
        let name_len = u16_at(entry + 28);
        let name = String::from_utf8_lossy(&bytes[entry + 46..entry + 46 + name_len]).into_owned();
        let local = u32_at(entry + 42);
        let data = local + 30 + u16_at(local + 26) + u16_at(local + 28);
        let packed = &bytes[data..data + packed];
        let mut text = Vec::new();
        match method {
            0 => text.extend_from_slice(packed),
            _ => {
                flate2::read::DeflateDecoder::new(packed).read_to_end(&mut text).unwrap();
            }
        }
        if !name.ends_with('/') {
            out.push((name, text));
        }
        entry += 46 + name_len + u16_at(entry + 30) + u16_at(entry + 32);
    }
    out
}

#[test]
fn recordings_as_json_lose_no_record() {
    let Some(files) = telemetry("otrf") else {
        return;
    };
    let mut sum = Sum::default();
    let mut other = BTreeMap::<String, u32>::new();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "zip")) {
        for (name, text) in unzip(&std::fs::read(path).unwrap()) {
            match Format::sniff(&text, Some(&name), None) {
                Some(Format::WindowsJson) => {
                    let mut lines = text.split_inclusive(|b| *b == b'\n');
                    loop {
                        let part: Vec<u8> = lines.by_ref().take(50_000).flatten().copied().collect();
                        if part.is_empty() { break; }
                        let decoded = run(Format::WindowsJson, &part);
                        if !decoded.rejected.is_empty() { println!("{name} {:?}", &decoded.rejected[..1]); }
                        sum.add(&decoded);
                    }
                }
                found => *other.entry(format!("{found:?} {}", name.rsplit('.').next().unwrap())).or_default() += 1,
            }
        }
    }
    println!("{} {} {} {:?} distinct {} other {other:?}", sum.read, sum.mapped, sum.raw, sum.rejected, sum.distinct());
}

#[test]
fn other_telemetry_is_kept_raw_where_a_table_is_named() {
    let Some(files) = telemetry("cloud") else {
        return;
    };
    let name = model::TableName::new("CloudRaw").unwrap();
    let known = crate::RawSchema::new();
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let body = decompress(crate::Encoding::sniff(&bytes), &bytes).unwrap();
        let context = crate::SourceContext { envelope_tenant: None, known_raw: &known, domain_controllers: &BTreeSet::new(), raw_table: Some(&name) };
        let decoded = crate::decode(Format::Json, &body, &context).unwrap();
        account(&decoded);
        println!("{path:?} {} {:?} {}", decoded.read, decoded.rejected.first(), decoded.new_raw.columns_counted());
    }
}
