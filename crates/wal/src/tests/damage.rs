//! Bytes that are not what was written: each is named, none is handed out.

use std::path::PathBuf;

use ::model::Disk as _;
use testkit::{SeededRandom, SimDisk, check_matches};

use super::{append, complaints, damage, frames, open, read, recovery, small, stream, write};
use crate::format::{FIXED_LEN, FRAME_HEADER_LEN};
use crate::{Damage, Error, FrameRef, Log, Recovered};

type Written = Vec<(FrameRef, Vec<u8>)>;

/// Three segments of three streams; the first was given up on a full disk and has a void tail.
fn sample() -> (SimDisk, SeededRandom, Written) {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(1));
    let mut log = open(&disk, &random, small());
    let mut written = Vec::new();
    put(&mut log, &mut written, 1, b"one");
    put(&mut log, &mut written, 2, &[7; 40]);
    put(&mut log, &mut written, 1, b"");
    disk.set_free(Some(100));
    append(&mut log, stream(3), b"refused").unwrap();
    append(&mut log, stream(1), b"refused too").unwrap();
    check_matches!(log.commit(), Err(Error::DiskFull { .. }));
    disk.set_free(None);
    put(&mut log, &mut written, 3, b"three");
    put(&mut log, &mut written, 2, &[9; 200]);
    put(&mut log, &mut written, 1, b"fills the file");
    put(&mut log, &mut written, 2, b"begins the last");
    put(&mut log, &mut written, 1, b"last but one");
    put(&mut log, &mut written, 2, b"last");
    let places: std::collections::BTreeSet<_> = written.iter().map(|(p, _)| p.segment).collect();
    assert_eq!(places.len(), 3);
    (disk, random, written)
}

fn put(log: &mut Log, written: &mut Written, to: u8, payload: &[u8]) {
    written.push((write(log, to, payload), payload.to_vec()));
}

/// The file of a frame.
fn path(disk: &SimDisk, place: &FrameRef) -> PathBuf {
    let segment = place.segment.to_string();
    let files = disk.files();
    let found = files
        .iter()
        .find(|p| p.to_string_lossy().contains(&segment));
    found.expect("the segment is there").clone()
}

/// Whether something that was reported explains that this frame is not there.
fn explains(report: &Recovered, lost: &FrameRef) -> bool {
    match report {
        Recovered::Damage(
            Damage::Payload {
                stream, sequence, ..
            }
            | Damage::Repeat {
                stream, sequence, ..
            },
        ) => (*stream, *sequence) == (lost.stream, lost.sequence),
        Recovered::Damage(Damage::Gap { stream, from, to }) => {
            *stream == lost.stream && (*from..=*to).contains(&lost.sequence)
        }
        Recovered::Damage(Damage::Unnamed { .. }) => true,
        Recovered::TornTail {
            segment, offset, ..
        } => *segment == lost.segment && *offset <= lost.offset,
        Recovered::Damage(_) | Recovered::Frame(..) => false,
    }
}

#[test]
fn every_changed_byte_is_harmless_or_named() {
    let (disk, random, written) = sample();
    let (mut harmless, mut named, mut torn) = (0, 0, 0);
    for file in disk.files() {
        let len = u64::try_from(disk.read(&file).unwrap().len()).unwrap();
        for offset in 0..len {
            for mask in [0x01, 0x80, 0xff] {
                let disk = disk.copy();
                disk.flip(&file, offset, mask).unwrap();
                let found = read(&disk, small());
                let what = format!("{}, byte {offset}: {found:?}", file.display());
                check_flip(&found, &written, &what);
                let reports = complaints(&found);
                let tears = |r: &Recovered| matches!(r, Recovered::TornTail { .. });
                match reports.iter().any(tears) {
                    true => torn += 1,
                    false if reports.is_empty() => harmless += 1,
                    false => named += 1,
                }
                check_goes_on(&disk, &random, &found, &what);
            }
        }
    }
    eprintln!("{harmless} harmless, {named} named, {torn} torn");
    assert!(harmless > 500 && named > 1_000 && torn > 100);
}

/// One changed byte costs one frame at most, or the tail of the newest segment.
fn check_flip(found: &[Recovered], written: &Written, what: &str) {
    let kept = frames(found);
    assert!(kept.iter().all(|frame| written.contains(frame)), "{what}");
    let lost = written.iter().filter(|frame| !kept.contains(frame));
    let lost: Vec<&FrameRef> = lost.map(|(place, _)| place).collect();
    assert_eq!(kept.len() + lost.len(), written.len(), "{what}");
    assert!(lost.len() <= 1, "{what}");
    for place in lost {
        let reports = complaints(found);
        assert!(reports.iter().any(|r| explains(r, place)), "{what}");
        // What follows a frame names its stream.
        let unnamed = |d: &Damage| matches!(d, Damage::Unnamed { .. });
        assert!(!damage(found).iter().any(unnamed), "{what}");
    }
}

/// A damaged log takes new frames, and says the same of its damage next time.
fn check_goes_on(disk: &SimDisk, random: &SeededRandom, before: &[Recovered], what: &str) {
    let mut log = open(disk, random, small());
    let new = write(&mut log, 2, b"new");
    let after = read(disk, small());
    assert_eq!(damage(&after), damage(before), "{what}");
    let expected = [frames(before), vec![(new, b"new".to_vec())]].concat();
    assert_eq!(frames(&after), expected, "{what}");
}

#[test]
fn every_pair_of_damaged_bytes_hands_out_nothing_wrong() {
    let (disk, _, written) = sample();
    let random = SeededRandom::new(testkit::seed(77));
    for _ in 0..4_000 {
        let disk = disk.copy();
        for _ in 0..2 + random.below(6) {
            let files = disk.files();
            let file = &files[random.index(files.len())];
            let len = disk.read(file).unwrap().len();
            let offset = u64::try_from(random.index(len)).unwrap();
            disk.flip(file, offset, 1 << random.below(8)).unwrap();
        }
        let found = read(&disk, small());
        let kept = frames(&found);
        for frame in &kept {
            // A frame that was withdrawn may come back only where the record of that is damaged too.
            let header = |d: &Damage| matches!(d, Damage::Header { .. });
            assert!(
                written.contains(frame) || damage(&found).iter().any(header),
                "{found:?}"
            );
        }
        for (place, _) in written.iter().filter(|frame| !kept.contains(frame)) {
            let reports = complaints(&found);
            let named = reports.iter().any(|r| explains(r, place));
            assert!(named, "{place:?}: {reports:?}");
        }
        let mut log = open(&disk, &random, small());
        write(&mut log, 2, b"new");
        assert_eq!(damage(&read(&disk, small())), damage(&found));
    }
}

#[test]
fn every_cut_of_the_newest_file_is_a_torn_tail() {
    let (disk, _, written) = sample();
    let newest = disk.files().pop().unwrap();
    let len = u64::try_from(disk.read(&newest).unwrap().len()).unwrap();
    for cut in 0..len {
        let disk = disk.copy();
        disk.truncate(&newest, cut).unwrap();
        let found = read(&disk, small());
        assert!(written.starts_with(&frames(&found)), "{cut}: {found:?}");
        assert_eq!(damage(&found), vec![], "{cut}");
        assert!(complaints(&found).len() <= 1);
    }
}

#[test]
fn every_cut_of_an_older_file_is_damage() {
    let (disk, _, written) = sample();
    let middle = disk.files().swap_remove(1);
    let len = u64::try_from(disk.read(&middle).unwrap().len()).unwrap();
    for cut in 0..len {
        let disk = disk.copy();
        disk.truncate(&middle, cut).unwrap();
        let found = read(&disk, small());
        let kept = frames(&found);
        assert!(kept.iter().all(|frame| written.contains(frame)));
        assert_ne!(damage(&found), vec![], "{cut}");
        for (place, _) in written.iter().filter(|frame| !kept.contains(frame)) {
            let reports = complaints(&found);
            let named = reports.iter().any(|r| explains(r, place));
            assert!(named, "{cut}: {place:?}: {found:?}");
        }
    }
}

#[test]
fn a_lost_file_is_named_with_its_streams() {
    let (disk, _, written) = sample();
    let (place, _) = &written[3];
    disk.remove(&path(&disk, place)).unwrap();
    let found = read(&disk, small());
    let gap = |n, from, to| Damage::Gap {
        stream: stream(n),
        from,
        to,
    };
    // The two frames of stream 1 and the one of stream 3; stream 2 lost its second.
    let expected = vec![
        Damage::Missing {
            segment: place.segment,
        },
        gap(1, 3, 3),
        gap(2, 2, 2),
        gap(3, 1, 1),
    ];
    assert_eq!(damage(&found), expected);
}

#[test]
fn a_damaged_payload_is_named_and_the_next_frame_is_read() {
    let (disk, _, written) = sample();
    let (place, _) = &written[1];
    let at = place.offset + u64::try_from(FRAME_HEADER_LEN).unwrap();
    disk.flip(&path(&disk, place), at, 4).unwrap();
    let found = read(&disk, small());
    let expected = Damage::Payload {
        stream: stream(2),
        sequence: 1,
        segment: place.segment,
        offset: place.offset,
    };
    assert_eq!(damage(&found), vec![expected]);
    assert_eq!(frames(&found).len(), written.len() - 1);
}

#[test]
fn several_lost_headers_name_every_stream_they_can() {
    let (disk, random, written) = sample();
    // The first two frames of the newest segment: the third names only the second.
    let newest: Vec<&FrameRef> = written.iter().map(|(place, _)| place).collect();
    let newest = &newest[6..];
    let file = path(&disk, newest[0]);
    disk.flip(&file, newest[0].offset + 30, 1).unwrap();
    disk.flip(&file, newest[1].offset + 30, 1).unwrap();
    let region = Damage::Region {
        segment: newest[0].segment,
        offset: newest[0].offset,
        bytes: newest[2].offset - newest[0].offset,
    };
    let gap = |n, sequence| Damage::Gap {
        stream: stream(n),
        from: sequence,
        to: sequence,
    };
    let expected = vec![region, gap(1, 4), gap(2, 3)];
    assert_eq!(damage(&read(&disk, small())), expected);
    // A stream that nothing later names is not known, and that is said.
    let disk = SimDisk::new();
    let mut log = open(&disk, &random, small());
    let places = [1, 2, 3].map(|n| write(&mut log, n, b"x"));
    let file = path(&disk, &places[0]);
    disk.flip(&file, places[0].offset, 1).unwrap();
    disk.flip(&file, places[1].offset, 1).unwrap();
    let seen = damage(&read(&disk, small()));
    assert_eq!(seen[1..], [gap(2, 1), Damage::Unnamed { frames: 1 }]);
}

#[test]
fn a_header_that_is_gone_costs_no_frame() {
    let (disk, random, written) = sample();
    let (place, _) = &written[3];
    let file = path(&disk, place);
    for copy in 0..2 {
        let at = u64::try_from(copy * FIXED_LEN).unwrap() + 9;
        disk.flip(&file, at, 1).unwrap();
    }
    let found = read(&disk, small());
    let header = Damage::Header {
        segment: place.segment,
    };
    assert!(damage(&found).contains(&header), "{found:?}");
    for frame in &written {
        assert!(frames(&found).contains(frame), "{frame:?}");
    }
    open(&disk, &random, small());
}

#[test]
fn a_payload_that_quotes_a_frame_is_not_taken_for_one() {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(4));
    let mut log = open(&disk, &random, small());
    let first = write(&mut log, 1, b"quoted");
    let bytes = disk.read(&path(&disk, &first)).unwrap();
    let quote = bytes[usize::try_from(first.offset).unwrap()..].to_vec();
    let second = write(&mut log, 2, &quote);
    let third = write(&mut log, 3, b"after");
    disk.flip(&path(&disk, &first), second.offset, 1).unwrap();
    let found = read(&disk, small());
    let places: Vec<FrameRef> = frames(&found).iter().map(|(place, _)| *place).collect();
    assert_eq!(places, vec![first, third]);
    let gap = Damage::Gap {
        stream: stream(2),
        from: 1,
        to: 1,
    };
    let region = Damage::Region {
        segment: second.segment,
        offset: second.offset,
        bytes: third.offset - second.offset,
    };
    assert_eq!(damage(&found), vec![region, gap]);
}

#[test]
fn a_frame_moved_to_another_file_does_not_verify() {
    let (disk, _, written) = sample();
    let (from, to) = (path(&disk, &written[0].0), path(&disk, &written[3].0));
    let (source, target) = (disk.read(&from).unwrap(), disk.read(&to).unwrap());
    // The headers of the two files are of different length: the tables of streams differ.
    let (start, at) = (written[0].0.offset, written[3].0.offset);
    let frame = &source[usize::try_from(start).unwrap()..][..FRAME_HEADER_LEN + 3];
    for (n, byte) in frame.iter().enumerate() {
        let n = usize::try_from(at).unwrap() + n;
        let mask = byte ^ target[n];
        disk.flip(&to, u64::try_from(n).unwrap(), mask).unwrap();
    }
    let found = read(&disk, small());
    assert_eq!(frames(&found).len(), written.len() - 1);
    let region = |d: &Damage| matches!(d, Damage::Region { offset, .. } if *offset == at);
    assert!(damage(&found).iter().any(region), "{:?}", damage(&found));
}

#[test]
fn a_failed_read_is_never_damage() {
    let (disk, random, _) = sample();
    let mut failures = 0;
    for nth in 1.. {
        disk.fail_read(nth);
        let recovery = match recovery(&disk, &random, small()) {
            Ok(recovery) => recovery,
            Err(error) => {
                check_matches!(error, Error::Io { doing: "read", .. });
                failures += 1;
                continue;
            }
        };
        let found: Vec<_> = recovery.collect();
        disk.clear_faults();
        let Some(Err(error)) = found.last() else {
            break;
        };
        check_matches!(error, Error::Io { doing: "read", .. });
        failures += 1;
        let good: Vec<Recovered> = found.into_iter().filter_map(Result::ok).collect();
        assert_eq!(complaints(&good), vec![]);
        disk.fail_read(nth);
        let refused = super::recovery(&disk, &random, small()).and_then(crate::Recovery::finish);
        assert!(refused.is_err());
    }
    assert!(failures > 3, "{failures}");
}
