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
    }
}

#[test]
fn event_logs_lose_no_record() {
    let Some(files) = telemetry("evtx") else {
        return;
    };
    let is_log = |p: &&PathBuf| p.extension().is_some_and(|e| e == "evtx");
    let mut sum = Sum::default();
    for path in files.iter().filter(is_log) {
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(Format::sniff(&bytes, None, None), Some(Format::WindowsEvtx));
        let decoded = run(Format::WindowsEvtx, &bytes);
        sum.add(&decoded);
        // The numbers of one file's records differ, and so do their identities.
        for rows in &decoded.batches {
            let distinct: BTreeSet<&[u8]> = rows.identity.iter().collect();
            assert_eq!(distinct.len(), rows.identity.len(), "{}", path.display());
        }
    }
    assert!(sum.read > 4_000, "{sum:?}");
    assert_eq!(sum.rejected, BTreeMap::new());
    assert!(sum.mapped > sum.raw, "{sum:?}");
}

/// A copy of a log with bytes of its chunks overwritten must neither panic nor lose count, and
/// damage in one chunk must not reach another.
#[test]
fn damaged_event_logs_lose_only_what_is_damaged() {
    let Some(files) = telemetry("evtx") else {
        return;
    };
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    println!("seed {random:#x}");
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let small = |p: &&PathBuf| std::fs::metadata(p).is_ok_and(|m| m.len() <= 70_000);
    let mut refused = 0;
    for path in files.iter().filter(small).take(40) {
        let whole = std::fs::read(path).unwrap();
        for round in 0..8 {
            let mut bytes = whole.clone();
            for _ in 0..=next(1 << round) {
                let at = 4096 + next(bytes.len() - 4096);
                bytes[at] = u8::try_from(next(256)).unwrap();
            }
            if round == 7 {
                bytes.truncate(4096 + next(bytes.len() - 4096).max(1));
            }
            let decoded = run(Format::WindowsEvtx, &bytes);
            account(&decoded);
            refused += decoded.rejected.len();
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_log_cut_inside_a_chunk_says_so() {
    let Some(files) = telemetry("evtx") else {
        return;
    };
    let large = |p: &&PathBuf| std::fs::metadata(p).is_ok_and(|m| m.len() > 300_000);
    let bytes = std::fs::read(files.iter().find(large).unwrap()).unwrap();
    let whole = run(Format::WindowsEvtx, &bytes);
    let cut = run(Format::WindowsEvtx, &bytes[..4096 + 65536 + 20_000]);
    account(&cut);
    assert_eq!(cut.rejected.len(), 1, "{:?}", cut.rejected);
    assert_eq!(cut.rejected[0].code.as_str(), "damaged_record");
    assert!(cut.read > 2 && cut.read < whole.read);
    // A chunk overwritten: the one after it is read.
    let mut damaged = bytes.clone();
    damaged[4096..4096 + 65536].fill(0xAA);
    let rest = run(Format::WindowsEvtx, &damaged);
    account(&rest);
    assert_eq!(rest.rejected.len(), 1);
    assert!(rest.read > 2 && rest.read < whole.read);
}

#[test]
fn a_log_in_parts_is_the_whole_log() {
    let Some(files) = telemetry("evtx") else {
        return;
    };
    let large = |p: &&PathBuf| std::fs::metadata(p).is_ok_and(|m| m.len() > 300_000);
    let bytes = std::fs::read(files.iter().find(large).unwrap()).unwrap();
    let whole = run(Format::WindowsEvtx, &bytes);
    let mut read = 0;
    let mut places = Vec::new();
    for (at, part) in crate::evtx_parts(&bytes, 4096 + 2 * 65536 + 5).unwrap() {
        assert!(part.len() <= 4096 + 2 * 65536);
        read += run(Format::WindowsEvtx, &part).read;
        places.push(at);
    }
    assert_eq!(read, whole.read);
    assert_eq!(places.get(..2), Some([4096, 4096 + 2 * 65536].as_slice()));
    assert!(crate::evtx_parts(b"other", 1).is_err());
}

#[test]
fn records_of_a_log_may_be_as_long_as_the_limit_together() {
    let Some(files) = telemetry("evtx") else {
        return;
    };
    let is_log = |p: &&PathBuf| p.extension().is_some_and(|e| e == "evtx");
    let bytes = std::fs::read(files.iter().find(is_log).unwrap()).unwrap();
    let known = crate::RawSchema::new();
    let none = BTreeSet::new();
    let context = crate::SourceContext {
        envelope_tenant: None,
        known_raw: &known,
        domain_controllers: &none,
        raw_table: None,
        time_column: None,
    };
    let outcome = |limit: usize| {
        let mut sink = crate::sink::Sink::new(&context);
        let mut rejected = Vec::new();
        let mut events = crate::windows::Events {
            context: &context,
            sink: &mut sink,
            rejected: &mut rejected,
            tally: &mut crate::Tally::default(),
            controllers: &mut BTreeSet::new(),
            members: Vec::new(),
        };
        let read = crate::windows::read_evtx_within(&bytes, &mut events, limit)
            .unwrap()
            .len() as u64;
        (read, rejected.first().map(|r| r.code.as_str()))
    };
    let (all, none_refused) = outcome(usize::MAX);
    assert_eq!(none_refused, None);
    assert_eq!(outcome(10), (1, Some("decompression_bomb")));
    // The edge, found by halving: one byte less loses the last record.
    let (mut low, mut high) = (0, 64 << 20);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if outcome(middle).1.is_some() {
            low = middle;
        } else {
            high = middle;
        }
    }
    assert_eq!(outcome(high), (all, None));
    assert_eq!(outcome(low), (all, Some("decompression_bomb")));
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
                flate2::read::DeflateDecoder::new(packed)
                    .read_to_end(&mut text)
                    .unwrap();
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
    let is_zip = |p: &&PathBuf| p.extension().is_some_and(|e| e == "zip");
    let mut sum = Sum::default();
    for path in files.iter().filter(is_zip) {
        for (name, text) in unzip(&std::fs::read(path).unwrap()) {
            if Format::sniff(&text, Some(&name), None) != Some(Format::WindowsJson) {
                continue;
            }
            // The beginning of each: a debug build takes minutes for all of it.
            let lines = text.split_inclusive(|b| *b == b'\n').take(400);
            let part: Vec<u8> = lines.flatten().copied().collect();
            let decoded = run(Format::WindowsJson, &part);
            sum.add(&decoded);
            distinct_lines_are_distinct_rows(&name, &part, &decoded);
        }
    }
    assert!(sum.read > 20_000, "{sum:?}");
    assert_eq!(sum.rejected, BTreeMap::new());
    assert!(sum.mapped > 3 * sum.raw, "{sum:?}");
}

/// Two events that differ in nothing but their number stay two, and the same numbered line twice is
/// one. Without numbers nothing tells a repeat from an equal event: every line is a row.
fn distinct_lines_are_distinct_rows(name: &str, text: &[u8], decoded: &Decoded) {
    let lines: Vec<&[u8]> = text
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .collect();
    let identities = || decoded.batches.iter().flat_map(|b| b.identity.iter());
    let numbered: BTreeSet<&[u8]> = identities().filter(|i| !i.is_empty()).collect();
    let unnumbered: BTreeSet<u64> = decoded
        .batches
        .iter()
        .flat_map(|b| b.identity.iter().zip(&b.record))
        .filter(|(identity, _)| identity.is_empty())
        .map(|(_, record)| *record)
        .collect();
    let expected = if unnumbered.is_empty() {
        lines.iter().collect::<BTreeSet<_>>().len()
    } else {
        lines.len()
    };
    assert_eq!(numbered.len() + unnumbered.len(), expected, "{name}");
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
        let context = crate::SourceContext {
            envelope_tenant: None,
            known_raw: &known,
            domain_controllers: &BTreeSet::new(),
            raw_table: Some(&name),
            time_column: None,
        };
        let decoded = crate::decode(Format::Json, &body, &context).unwrap();
        account(&decoded);
        assert_eq!(decoded.rejected, []);
        assert!(decoded.read > 1_000);
    }
}
