//! Full disks, failed writes and syncs, and a power cut at every single step.

use std::path::Path;

use ::model::Disk;
use testkit::{SeededRandom, SimDisk, check_matches};

use super::{append, complaints, frames, open, read, small, stream, write};
use crate::{Error, FrameRef, Log, Recovered};

/// Appends two frames and commits them.
fn write_two(log: &mut Log, tag: u8) -> Result<Vec<(FrameRef, Vec<u8>)>, Error> {
    let payloads = [vec![tag; 150], vec![tag; 90]];
    let one = append(log, stream(1), &payloads[0])?;
    let two = append(log, stream(2), &payloads[1])?;
    log.commit()?;
    let [first, second] = payloads;
    Ok(vec![(one, first), (two, second)])
}

#[test]
fn a_full_disk_at_every_byte_loses_only_what_was_refused() {
    let mut refusals = 0;
    for room in 0..1_600 {
        let (disk, random) = (SimDisk::new(), SeededRandom::new(room));
        let mut log = open(&disk, &random, small());
        let mut written = write_two(&mut log, 0).unwrap();
        disk.set_free(Some(room));
        let mut refused = false;
        for tag in 1..4 {
            match write_two(&mut log, tag) {
                Ok(frames) => written.extend(frames),
                Err(Error::DiskFull { .. }) => refused = true,
                Err(error) => panic!("{error:?}"),
            }
        }
        refusals += u32::from(refused);
        assert!(!log.is_poisoned());
        // The sequence goes on without a hole, in a new segment.
        disk.set_free(None);
        written.extend(write_two(&mut log, 4).unwrap());
        written.extend(write_two(&mut log, 5).unwrap());
        disk.crash(room);
        let found = read(&disk, small());
        assert_eq!(complaints(&found), vec![], "room {room}");
        assert!(frames(&found) == written, "room {room}");
        let sequences = written
            .iter()
            .filter(|(place, _)| place.stream == stream(1));
        for (expected, (place, _)) in (1..).zip(sequences) {
            assert_eq!(place.sequence, expected);
        }
    }
    assert!(refusals > 700, "{refusals}");
}

#[test]
fn a_crash_right_after_a_full_disk_is_no_damage() {
    for room in 0..400 {
        let (disk, random) = (SimDisk::new(), SeededRandom::new(room));
        let mut log = open(&disk, &random, small());
        let written = write_two(&mut log, 0).unwrap();
        disk.set_free(Some(room));
        if write_two(&mut log, 1).is_ok() {
            continue;
        }
        disk.crash(room);
        disk.set_free(None);
        for next in [6, 7] {
            let found = read(&disk, small());
            assert!(frames(&found).starts_with(&written), "room {room}");
            let damage = complaints(&found)
                .iter()
                .any(|c| !matches!(c, Recovered::TornTail { .. }));
            assert!(!damage, "room {room}: {found:?}");
            write_two(&mut open(&disk, &random, small()), next).unwrap();
        }
        assert_eq!(complaints(&read(&disk, small())), vec![], "room {room}");
    }
}

#[test]
fn a_failed_sync_closes_the_log_for_good() {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(1));
    let mut log = open(&disk, &random, small());
    let written = write_two(&mut log, 0).unwrap();
    disk.fail_sync(1);
    check_matches!(write_two(&mut log, 1), Err(Error::Io { doing: "sync", .. }));
    assert!(log.is_poisoned());
    check_matches!(log.reserve(stream(1)), Err(Error::Poisoned));
    check_matches!(log.commit(), Err(Error::Poisoned));
    let segment = log.segments()[0].segment;
    check_matches!(log.remove_through(segment), Err(Error::Poisoned));

    // Without a crash the cache still shows the frames; they are void all the same, because the disk
    // may not have them.
    let found = read(&disk, small());
    assert_eq!(frames(&found), written);
    assert_eq!(complaints(&found), vec![]);
    let mut log = open(&disk, &random, small());
    let more = write_two(&mut log, 2).unwrap();
    assert_eq!(more[0].0.sequence, 2);
    for seed in 0..20 {
        let disk = disk.copy();
        disk.crash(seed);
        let found = read(&disk, small());
        assert_eq!(frames(&found), [written.clone(), more.clone()].concat());
        assert_eq!(complaints(&found), vec![]);
    }
}

/// A log whose last commit failed at its sync, and which could not even begin the segment that would
/// have voided it. The process is gone; the cache still shows the frames. Gives what was acknowledged.
fn unsynced(disk: &SimDisk) -> Vec<(FrameRef, Vec<u8>)> {
    let random = SeededRandom::new(1);
    let mut log = open(disk, &random, small());
    let written = write_two(&mut log, 0).unwrap();
    disk.fail_sync(1);
    // The frames are appended first, then the header of the segment after them.
    disk.fail_write(2, 0);
    check_matches!(write_two(&mut log, 1), Err(Error::Io { doing: "sync", .. }));
    written
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_anew_before_it_is_handed_out() {
    let disk = SimDisk::new();
    let written = unsynced(&disk);
    let found = read(&disk, small());
    assert_eq!(complaints(&found), []);
    assert_eq!(
        frames(&found).len(),
        written.len() + 2,
        "the cache shows them"
    );
    for seed in 0..40 {
        let disk = disk.copy();
        disk.crash(seed);
        assert_eq!(read(&disk, small()), found, "seed {seed}");
    }
}

#[test]
fn on_a_full_disk_nothing_is_committed_before_what_was_handed_out_is_sure() {
    let disk = SimDisk::new();
    let random = SeededRandom::new(2);
    let written = unsynced(&disk);
    disk.set_free(Some(200));
    let mut log = open(&disk, &random, small());
    assert!(!log.is_secure());
    check_matches!(log.secure(), Err(Error::DiskFull { .. }));
    check_matches!(log.commit(), Err(Error::DiskFull { .. }));
    check_matches!(write_two(&mut log, 2), Err(Error::DiskFull { .. }));
    let segment = log.segments()[0].segment;
    check_matches!(log.remove_through(segment), Err(Error::DiskFull { .. }));
    assert_eq!(
        disk.files().len(),
        1,
        "no half copy takes what room there is"
    );
    assert!(!log.is_poisoned());
    // Power may go now: what was acknowledged is there.
    let crashed = disk.copy();
    crashed.crash(7);
    assert!(frames(&read(&crashed, small())).starts_with(&written));
    // With room the same log goes on, and a commit without frames is enough to be sure.
    disk.set_free(None);
    log.commit().unwrap();
    assert!(log.is_secure());
    drop(log);
    for seed in 0..20 {
        let disk = disk.copy();
        disk.crash(seed);
        assert_eq!(frames(&read(&disk, small())).len(), written.len() + 2);
    }
}

#[test]
fn half_a_copy_is_removed_and_is_no_segment() {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(3));
    let written = write_two(&mut open(&disk, &random, small()), 0).unwrap();
    let segment = disk.files().remove(0);
    let bytes = disk.read(&segment).unwrap();
    let name = segment.to_str().unwrap();
    let strange = format!("{name}.new");
    for copy in [format!("{name}.00ff00ff00ff00ff.new"), strange.clone()] {
        let mut file = disk.create_new(Path::new(&copy)).unwrap();
        file.append(&bytes[..bytes.len() / 2]).unwrap();
        file.sync().unwrap();
    }
    let found = read(&disk, small());
    assert_eq!((frames(&found), complaints(&found)), (written, vec![]));
    // A name that this program does not give is left alone.
    assert_eq!(disk.files(), [segment, strange.into()]);
}

#[test]
fn a_failed_write_closes_the_log_for_good() {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(1));
    let mut log = open(&disk, &random, small());
    let written = write_two(&mut log, 0).unwrap();
    disk.fail_write(1, 300);
    let doing = "append to";
    check_matches!(write_two(&mut log, 1), Err(Error::Io { doing: d, .. }) if d == doing);
    check_matches!(log.reserve(stream(1)), Err(Error::Poisoned));
    let found = read(&disk, small());
    assert_eq!(
        (frames(&found), complaints(&found)),
        (written.clone(), vec![])
    );
}

#[test]
fn every_failed_sync_of_a_new_segment_is_survived() {
    // The first three syncs of a commit into a new log: the file, the folder, the frames.
    for nth in 1..=3 {
        for crash in [false, true] {
            let (disk, random) = (SimDisk::new(), SeededRandom::new(nth));
            let mut log = open(&disk, &random, small());
            disk.fail_sync(nth);
            check_matches!(write_two(&mut log, 0), Err(Error::Io { doing: "sync", .. }));
            assert!(log.is_poisoned());
            for seed in 0..20 {
                let disk = disk.copy();
                if crash {
                    disk.crash(seed);
                }
                let mut log = open(&disk, &random, small());
                let written = write_two(&mut log, 1).unwrap();
                disk.crash(seed + 100);
                let found = read(&disk, small());
                assert!(frames(&found).ends_with(&written), "sync {nth}");
                assert_eq!(complaints(&found), vec![], "sync {nth}, seed {seed}");
            }
        }
    }
}

#[test]
fn power_may_go_at_every_step() {
    for steps in 0..60 {
        for seed in 0..12 {
            let (disk, random) = (SimDisk::new(), SeededRandom::new(seed));
            disk.cut_power_after(steps);
            let acknowledged = run_until_dark(&disk, &random);
            disk.crash(seed);
            let found = read(&disk, small());
            let damage = super::damage(&found);
            assert_eq!(damage, vec![], "step {steps}, seed {seed}");
            let kept = frames(&found);
            let kept: Vec<_> = kept.iter().map(|(place, _)| *place).collect();
            for place in &acknowledged {
                assert!(kept.contains(place), "step {steps}, seed {seed}: {place:?}");
            }
            let mut log = open(&disk, &random, small());
            write(&mut log, 1, b"goes on");
        }
    }
}

#[test]
fn what_a_killed_process_left_in_the_cache_is_made_durable_before_it_is_handed_out() {
    let mut unacknowledged = 0;
    for steps in 0..60 {
        let (disk, random) = (SimDisk::new(), SeededRandom::new(steps));
        disk.cut_power_after(steps);
        let acknowledged = run_until_dark(&disk, &random);
        disk.clear_faults();
        let found = read(&disk, small());
        assert_eq!(complaints(&found), vec![], "step {steps}");
        unacknowledged += frames(&found).len().saturating_sub(acknowledged.len());
        for seed in 0..12 {
            let disk = disk.copy();
            disk.crash(seed);
            assert_eq!(read(&disk, small()), found, "step {steps}, seed {seed}");
        }
    }
    assert!(unacknowledged > 10, "{unacknowledged}");
}

/// Writes, removes and rotates until an operation fails; gives what was acknowledged and not removed.
fn run_until_dark(disk: &SimDisk, random: &SeededRandom) -> Vec<FrameRef> {
    let mut acknowledged = Vec::new();
    let Ok(recovery) = super::recovery(disk, random, small()) else {
        return acknowledged;
    };
    let Ok(mut log) = recovery.finish() else {
        return acknowledged;
    };
    for tag in 0..12 {
        match write_two(&mut log, tag) {
            Ok(frames) => acknowledged.extend(frames.into_iter().map(|(place, _)| place)),
            Err(_) => return acknowledged,
        }
        if tag % 5 == 4 {
            let segment = log.segments()[0].segment;
            acknowledged.retain(|place| place.segment != segment);
            if log.remove_through(segment).is_err() {
                return acknowledged;
            }
        }
    }
    acknowledged
}
