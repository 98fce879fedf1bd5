//! Files that somebody knows of and that are gone.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ::model::Disk as _;
use testkit::{SeededRandom, SimDisk, check_matches};

use super::{DIR, append, complaints, damage, frames, open, small, stream, write};
use crate::{
    Damage, Error, FrameRef, Log, Recovered, Recovery, Standing, Unconfirmed, Vouch, Witness,
};

/// A log of three segments, what would be vouched for, and its frames.
fn sample() -> (SimDisk, SeededRandom, Vouch, Vec<FrameRef>) {
    let (disk, random) = (SimDisk::new(), SeededRandom::new(7));
    let mut log = open(&disk, &random, small());
    let mut written = Vec::new();
    for n in 0..9 {
        written.push(write(&mut log, 1 + n % 3, &[n; 200]));
    }
    assert!(log.segments().len() >= 3);
    let vouch = vouch(&log);
    (disk, random, vouch, written)
}

fn vouch(log: &Log) -> Vouch {
    let (number, segment) = log.newest().unwrap();
    Vouch::Standing(Standing {
        number,
        segment,
        oldest: log.segments()[0].number,
        lost: 0,
    })
}

fn files(disk: &SimDisk) -> Vec<PathBuf> {
    disk.list(Path::new(DIR))
        .unwrap()
        .iter()
        .map(|name| Path::new(DIR).join(name))
        .collect()
}

fn recovery(disk: &SimDisk, random: &SeededRandom, vouch: Vouch) -> Recovery {
    let random = Arc::new(random.clone());
    let disk = Arc::new(disk.clone());
    Recovery::open_vouched(disk, Path::new(DIR), random, small(), vouch).unwrap()
}

fn read(disk: &SimDisk, vouch: Vouch) -> Vec<Recovered> {
    let all: Result<Vec<_>, _> = recovery(disk, &SeededRandom::new(3), vouch).collect();
    all.unwrap()
}

fn unnamed(found: &[Recovered]) -> bool {
    let is = |d: &Damage| matches!(d, Damage::Unnamed { .. });
    damage(found).iter().any(is)
}

#[test]
fn a_whole_log_is_not_complained_of() {
    let (disk, _, vouch, written) = sample();
    let found = read(&disk, vouch);
    assert_eq!(complaints(&found), []);
    assert_eq!(frames(&found).len(), written.len());
}

#[test]
fn a_newest_file_that_is_gone_or_empty_is_damage_until_its_number_is_forgotten() {
    for empty in [false, true] {
        let (disk, random, newest, _) = sample();
        let last = files(&disk).pop().unwrap();
        disk.remove(&last).unwrap();
        if empty {
            disk.create_new(&last).unwrap().sync().unwrap();
        }
        assert!(!unnamed(&read(&disk, Vouch::Nothing)), "the test's reason");
        let found = read(&disk, newest);
        assert!(unnamed(&found), "{empty}: {found:?}");
        // Another loss than one that was known before.
        let Vouch::Standing(standing) = newest else {
            panic!("{newest:?}")
        };
        let again = Vouch::Standing(Standing {
            lost: 4,
            ..standing
        });
        let more = |d: &Damage| matches!(d, Damage::Unnamed { frames: 5.. });
        assert!(damage(&read(&disk, again)).iter().any(more));
        // A later segment vouches for itself, and keeps what is known of the loss.
        let mut log = recovery(&disk, &random, newest).finish().unwrap();
        write(&mut log, 1, b"goes on");
        assert!(unnamed(&read(&disk, vouch(&log))), "{empty}");
    }
}

#[test]
fn a_log_without_any_file_is_damage_if_it_had_frames() {
    let (disk, _, newest, _) = sample();
    for file in files(&disk) {
        disk.remove(&file).unwrap();
    }
    assert_eq!(read(&disk, Vouch::Nothing), []);
    assert!(unnamed(&read(&disk, newest)));
    assert!(unnamed(&read(&disk, Vouch::Frames)));
}

#[test]
fn an_oldest_file_that_is_still_needed_is_missed() {
    let (disk, _, vouch, _) = sample();
    let first = files(&disk).remove(0);
    disk.remove(&first).unwrap();
    assert_eq!(complaints(&read(&disk, Vouch::Nothing)), []);
    let found = read(&disk, vouch);
    check_matches!(damage(&found).as_slice(), [Damage::Missing { .. }, ..]);
    assert!(unnamed(&found), "{found:?}");
}

#[test]
fn a_file_of_another_writer_under_the_vouched_number_is_void() {
    let (disk, random, vouch, written) = sample();
    let Vouch::Standing(Standing { number, .. }) = vouch else {
        panic!("{vouch:?}")
    };
    // A writer that read the log before the newest segment was begun goes on from there.
    let before = disk.copy();
    before.remove(&files(&before).pop().unwrap()).unwrap();
    let other = SeededRandom::new(1234);
    let mut log = recovery(&before, &other, Vouch::Nothing).finish().unwrap();
    write(&mut log, 9, b"of another process");
    assert_eq!(log.newest().unwrap().0, number);
    let theirs = files(&before).pop().unwrap();
    let bytes = before.read(&theirs).unwrap();
    let mut file = disk.create_new(&theirs).unwrap();
    file.append(&bytes).unwrap();
    file.sync().unwrap();
    let found = read(&disk, vouch);
    assert_eq!(complaints(&found), []);
    assert_eq!(frames(&found).len(), written.len());
    assert!(frames(&found).iter().all(|(f, _)| f.stream != stream(9)));
    drop(random);
}

#[test]
fn a_file_that_vanishes_closes_the_log_at_the_next_commit() {
    for which in [0, usize::MAX] {
        let (disk, random, _, _) = sample();
        let mut log = open(&disk, &random, small());
        write(&mut log, 1, b"a file of this run");
        let all = files(&disk);
        disk.remove(&all[which.min(all.len() - 1)]).unwrap();
        append(&mut log, stream(1), b"into a file without a name").unwrap();
        check_matches!(log.commit(), Err(Error::Gone { .. }));
        check_matches!(append(&mut log, stream(1), b"x"), Err(Error::Poisoned));
    }
}

/// Notes what it is asked, and answers as told.
#[derive(Debug, Default)]
struct Notes {
    asked: Mutex<Vec<(u64, u64)>>,
    answer: Mutex<Option<Unconfirmed>>,
}

impl Witness for Notes {
    fn confirm(&self, standing: Standing) -> Result<(), Unconfirmed> {
        let Standing { number, oldest, .. } = standing;
        self.asked.lock().unwrap().push((number, oldest));
        self.answer.lock().unwrap().take().map_or(Ok(()), Err)
    }
}

#[test]
fn a_commit_is_not_acknowledged_before_it_is_confirmed() {
    let (disk, random, _, _) = sample();
    let notes = Arc::new(Notes::default());
    let mut log = open(&disk, &random, small()).with_witness(notes.clone());
    write(&mut log, 1, b"confirmed");
    let newest = log.newest().unwrap().0;
    assert_eq!(*notes.asked.lock().unwrap(), [(newest, 1)]);
    *notes.answer.lock().unwrap() = Some(Unconfirmed::Failed("the disk is full".into()));
    append(&mut log, stream(1), b"not confirmed").unwrap();
    check_matches!(log.commit(), Err(Error::Unconfirmed { .. }));
    // The next one asks again, before files go as well; what was not confirmed is void.
    write(&mut log, 1, b"confirmed");
    let found = frames(&read(&disk, Vouch::Nothing));
    assert!(found.iter().all(|(_, bytes)| bytes != b"not confirmed"));
    let first = log.segments()[0].clone();
    log.remove_through(first.segment).unwrap();
    let newest = log.newest().unwrap().0;
    let last = *notes.asked.lock().unwrap().last().unwrap();
    assert_eq!(last, (newest, first.number + 1));
    *notes.answer.lock().unwrap() = Some(Unconfirmed::Replaced);
    append(&mut log, stream(1), b"of a process that was replaced").unwrap();
    let before = files(&disk);
    check_matches!(log.commit(), Err(Error::Replaced));
    check_matches!(append(&mut log, stream(1), b"x"), Err(Error::Poisoned));
    assert_eq!(
        files(&disk),
        before,
        "no file is begun in a folder of another process"
    );
}

#[test]
fn files_that_a_witness_does_not_let_go_stay() {
    let (disk, random, _, _) = sample();
    let notes = Arc::new(Notes::default());
    let mut log = open(&disk, &random, small()).with_witness(notes.clone());
    let before = files(&disk);
    *notes.answer.lock().unwrap() = Some(Unconfirmed::Replaced);
    let first = log.segments()[0].segment;
    check_matches!(log.remove_through(first), Err(Error::Replaced));
    assert_eq!(files(&disk), before);
}
