//! What a log does when nothing goes wrong, and what it refuses.

use std::collections::BTreeSet;
use std::path::Path;

use ::model::Disk as _;
use testkit::{SeededRandom, SimDisk, check_matches};

use super::{DIR, append, complaints, frames, open, read, recovery, small, stream, write};
use crate::{Damage, Error, Log, LogSegmentId, Options, Recovered};

fn new_log() -> (SimDisk, SeededRandom, Log) {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(1));
    let log = open(&disk, &random, small());
    (disk, random, log)
}

#[test]
fn committed_frames_come_back_in_order() {
    let (disk, random, mut log) = new_log();
    let mut written = Vec::new();
    for n in 0..20_u8 {
        let payload = vec![n; usize::from(n) * 7];
        written.push((write(&mut log, n % 3, &payload), payload));
    }
    assert!(log.segments().len() > 3, "{:?}", log.segments());
    disk.crash(5);
    let found = read(&disk, small());
    assert_eq!(frames(&found), written);
    assert_eq!(complaints(&found), vec![]);

    // The next run goes on in a file of its own, with the numbers of the last.
    let mut log = open(&disk, &random, small());
    assert_eq!(log.last_sequence(stream(0)), 7);
    let next = write(&mut log, 0, b"after");
    assert_eq!((next.sequence, next.frame), (8, 0));
    written.push((next, b"after".to_vec()));
    assert_eq!(frames(&read(&disk, small())), written);
}

#[test]
fn a_commit_is_one_append_and_one_sync() {
    let (disk, _, mut log) = new_log();
    write(&mut log, 1, b"begins the file");
    for n in 2..10 {
        append(&mut log, stream(n), b"waits").unwrap();
    }
    let (writes, syncs) = disk.operations();
    log.commit().unwrap();
    assert_eq!(disk.operations(), (writes + 1, syncs + 1));
    log.commit().unwrap();
    assert_eq!(disk.operations(), (writes + 1, syncs + 1));
}

#[test]
fn what_is_not_committed_may_be_lost_and_is_no_damage() {
    let (disk, _, mut log) = new_log();
    write(&mut log, 1, b"kept");
    append(&mut log, stream(1), b"waits").unwrap();
    drop(log);
    let found = read(&disk, small());
    assert_eq!(frames(&found).len(), 1);
    assert_eq!(complaints(&found), vec![]);
}

#[test]
fn numbers_are_given_once() {
    let (disk, random, mut log) = new_log();
    let mut nonces = BTreeSet::new();
    let mut sequences = BTreeSet::new();
    for round in 0..30 {
        if round % 7 == 0 {
            log = open(&disk, &random, small());
        }
        let reservation = log.reserve(stream(round % 2)).unwrap();
        assert!(nonces.insert((reservation.segment(), reservation.frame())));
        assert!(sequences.insert((reservation.stream(), reservation.sequence())));
        if round % 5 == 0 {
            log.cancel(reservation).unwrap();
        } else {
            log.append(reservation, b"x").unwrap();
        }
        log.commit().unwrap();
    }
    let found = read(&disk, small());
    assert_eq!(complaints(&found), vec![]);
    assert_eq!(frames(&found).len(), 24);
}

#[test]
fn one_reservation_at_a_time() {
    let (disk, random, mut log) = new_log();
    let first = log.reserve(stream(1)).unwrap();
    check_matches!(log.reserve(stream(2)), Err(Error::Outstanding));
    check_matches!(log.commit(), Err(Error::Outstanding));
    log.append(first, b"x").unwrap();

    let foreign = open(&disk.copy(), &random, small())
        .reserve(stream(1))
        .unwrap();
    check_matches!(log.append(foreign, b"x"), Err(Error::ForeignReservation));
    drop(log.reserve(stream(1)).unwrap());
    check_matches!(log.reserve(stream(1)), Err(Error::Outstanding));
}

#[test]
fn a_frame_over_the_limit_is_refused_before_it_is_buffered() {
    let (disk, random, mut log) = new_log();
    let max = small().frame_bytes_max;
    let refused = append(&mut log, stream(1), &vec![1; max + 1]);
    check_matches!(refused, Err(Error::FrameTooLarge { bytes, .. }) if bytes == max + 1);
    assert!(log.waiting_bytes() < 100);
    let place = write(&mut log, 1, &vec![2; max]);
    assert_eq!((place.sequence, place.frame), (2, 1));
    let found = read(&disk, small());
    assert_eq!(frames(&found), vec![(place, vec![2; max])]);
    assert_eq!(complaints(&found), vec![]);
    assert_eq!(open(&disk, &random, small()).last_sequence(stream(1)), 2);
}

#[test]
fn a_large_frame_is_read_past_the_window() {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(3));
    let mut log = open(&disk, &random, Options::default());
    let payloads = [random.bytes(1 << 20), vec![7; 10], random.bytes(300 << 10)];
    for payload in &payloads {
        append(&mut log, stream(1), payload).unwrap();
    }
    log.commit().unwrap();
    let found = frames(&read(&disk, Options::default()));
    assert_eq!(found.len(), 3);
    for ((_, found), written) in found.iter().zip(&payloads) {
        assert!(found == written);
    }
}

#[test]
fn streams_are_counted_up_to_the_limit() {
    let (_, _, mut log) = new_log();
    let options = small();
    for n in 0..u8::try_from(options.streams_max).unwrap() {
        append(&mut log, stream(n), b"x").unwrap();
        if n % 9 == 0 {
            log.commit().unwrap();
        }
    }
    let refused = log.reserve(stream(200));
    check_matches!(refused, Err(Error::TooManyStreams { max: 100 }));
    log.commit().unwrap();
    append(&mut log, stream(3), b"known").unwrap();
    log.commit().unwrap();
    // A stream whose tenant is gone makes room once the next segment has begun.
    log.forget(stream(5));
    let newest = log.segments().last().unwrap().segment;
    log.remove_through(newest).unwrap();
    assert_eq!(append(&mut log, stream(200), b"x").unwrap().sequence, 1);
    assert_eq!(log.last_sequence(stream(3)), 2);
}

#[test]
fn removing_old_segments_leaves_no_gap_and_no_number_behind() {
    let (disk, random, mut log) = new_log();
    write(&mut log, 9, b"a quiet stream");
    for n in 0..40_u8 {
        write(&mut log, n % 2, &[n; 100]);
    }
    let segments: Vec<_> = log.segments().iter().map(|s| s.segment).collect();
    assert!(segments.len() > 5);
    for segment in segments {
        log.remove_through(segment).unwrap();
        disk.crash(7);
        let found = read(&disk, small());
        assert_eq!(complaints(&found), vec![]);
        let left: u64 = 41 - u64::try_from(frames(&found).len()).unwrap();
        assert!(left > 0);
        log = open(&disk, &random, small());
        assert_eq!(log.last_sequence(stream(9)), 1);
        assert_eq!(log.last_sequence(stream(1)), 20);
    }
    assert_eq!(frames(&read(&disk, small())).len(), 0);
    assert_eq!(write(&mut log, 9, b"again").sequence, 2);
    let gone = LogSegmentId::from_bytes([0; 16]);
    check_matches!(log.remove_through(gone), Err(Error::UnknownSegment { .. }));
}

#[test]
fn the_segment_being_written_is_not_removed_under_waiting_frames() {
    let (disk, _, mut log) = new_log();
    write(&mut log, 1, b"old");
    append(&mut log, stream(1), b"waits").unwrap();
    let segment = log.segments().last().unwrap().segment;
    check_matches!(log.remove_through(segment), Err(Error::SegmentInUse { .. }));
    log.commit().unwrap();
    log.remove_through(segment).unwrap();
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 1);
    assert_eq!(write(&mut log, 1, b"new").sequence, 3);
}

#[test]
fn segments_tell_what_they_hold() {
    let (_, _, mut log) = new_log();
    assert_eq!(log.segments(), []);
    write(&mut log, 1, b"a");
    write(&mut log, 2, b"b");
    write(&mut log, 1, &[0; 600]);
    write(&mut log, 1, b"next file");
    let [one, two] = log.segments() else {
        panic!("{:?}", log.segments());
    };
    assert_eq!((one.frames, two.frames), (3, 1));
    assert_eq!(one.streams, [(stream(1), 2), (stream(2), 1)].into());
    assert_eq!(two.streams, [(stream(1), 3)].into());
    assert!(one.bytes > 600 && two.number == one.number + 1);
}

#[test]
fn restarts_without_frames_make_no_files() {
    let (disk, random, mut log) = new_log();
    write(&mut log, 1, b"x");
    for _ in 0..5 {
        open(&disk, &random, small());
    }
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 1);
}

#[test]
fn numbers_seen_elsewhere_are_not_given_again() {
    let (disk, random, mut log) = new_log();
    log.raise(stream(1), 57).unwrap();
    log.raise(stream(1), 5).unwrap();
    let place = write(&mut log, 1, b"x");
    assert_eq!(place.sequence, 58);
    assert_eq!(complaints(&read(&disk, small())), vec![]);

    let mut log = open(&disk, &random, small());
    log.raise(stream(1), 60).unwrap();
    assert_eq!(write(&mut log, 1, b"y").sequence, 61);
    let gap = Damage::Gap {
        stream: stream(1),
        from: 59,
        to: 60,
    };
    assert_eq!(complaints(&read(&disk, small())), [Recovered::Damage(gap)]);
    log.remove_through(place.segment).unwrap();
    assert_eq!(complaints(&read(&disk, small())), vec![]);
}

#[test]
fn a_number_raised_while_frames_wait_stays_raised() {
    let (_, _, mut log) = new_log();
    append(&mut log, stream(1), b"waits").unwrap();
    log.raise(stream(1), 10).unwrap();
    assert_eq!(append(&mut log, stream(1), b"x").unwrap().sequence, 11);
    append(&mut log, stream(2), b"waits").unwrap();
    log.raise(stream(2), 10).unwrap();
    log.commit().unwrap();
    assert_eq!(log.last_sequence(stream(2)), 10);
    assert_eq!(write(&mut log, 2, b"x").sequence, 11);
}

#[test]
fn the_log_moves_to_the_commit_thread() {
    let (_, _, mut log) = new_log();
    let commit = std::thread::spawn(move || write(&mut log, 1, b"x").sequence);
    assert_eq!(commit.join().unwrap(), 1);
}

#[test]
fn a_newer_format_is_refused_and_is_no_damage() {
    let (disk, random, mut log) = new_log();
    let place = write(&mut log, 1, b"x");
    let path = disk.files().pop().unwrap();
    // Version 2 in a header that verifies: the last four bytes are the checksum.
    let mut header = disk.read(&path).unwrap()[..48].to_vec();
    header[8] = 2;
    let crc = crate::format::checksum(place.segment, &header[..44]);
    header[44..].copy_from_slice(&crc.to_le_bytes());
    let old = disk.read(&path).unwrap();
    for (at, (new, old)) in header.iter().zip(&old).enumerate() {
        disk.flip(&path, u64::try_from(at).unwrap(), new ^ old)
            .unwrap();
    }
    let refused = recovery(&disk, &random, small());
    check_matches!(
        refused,
        Err(Error::Format {
            found: 2,
            supported: 1,
            ..
        })
    );
}

#[test]
fn foreign_files_are_left_alone() {
    let (disk, random, mut log) = new_log();
    write(&mut log, 1, b"x");
    for name in ["LOCK", "0000000000000009-00.log", "x.log"] {
        disk.create_new(&Path::new(DIR).join(name)).unwrap();
    }
    let found = read(&disk, small());
    assert_eq!((frames(&found).len(), complaints(&found)), (1, vec![]));
    open(&disk, &random, small());
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 4);
}
