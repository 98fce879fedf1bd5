//! The bytes on disk are pinned: a change of them is a change of the version.

use std::fmt::Write as _;

use ::model::Disk as _;
use testkit::{SeededRandom, SimDisk, golden};

use super::{append, open, small, stream};
use crate::LogSegmentId;
use crate::format::{file_name, parse_file_name};

#[test]
fn a_segment_has_these_bytes() {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(1));
    let mut log = open(&disk, &random, small());
    append(&mut log, stream(0x11), b"first").unwrap();
    append(&mut log, stream(0x22), b"").unwrap();
    log.commit().unwrap();
    // A second run: its segment lists the first and the two streams.
    let mut log = open(&disk, &random, small());
    let withdrawn = log.reserve(stream(0x11)).unwrap();
    log.cancel(withdrawn).unwrap();
    append(&mut log, stream(0x22), b"second").unwrap();
    log.commit().unwrap();

    let mut text = String::new();
    for path in disk.files() {
        writeln!(text, "{}", path.display()).unwrap();
        for (at, line) in (0..).step_by(16).zip(disk.read(&path).unwrap().chunks(16)) {
            let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let shown = line.iter().map(|byte| match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            });
            let shown: String = shown.collect();
            writeln!(text, "{at:04x}  {:47}  {shown}", hex.join(" ")).unwrap();
        }
    }
    golden("src/tests/segments.txt", &text);
}

#[test]
fn only_one_spelling_is_a_segments_name() {
    let id = LogSegmentId::from_bytes([0xab; 16]);
    let name = file_name(10, id);
    assert_eq!(name, format!("000000000000000a-{}.log", "ab".repeat(16)));
    assert_eq!(parse_file_name(&name), Some((10, id)));
    for bad in [
        name.to_uppercase(),
        name.replace("000a", "a"),
        name.replace(".log", ""),
        name.replace('-', ""),
        name.replacen('0', "+", 1),
        name.replace("abab.log", "ab.log"),
        String::new(),
    ] {
        assert_eq!(parse_file_name(&bad), None, "{bad}");
    }
}
