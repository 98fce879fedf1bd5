//! The simulated disk keeps what was synced, and nothing else for sure.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use model::Disk as _;

use crate::{SimDisk, check_matches};

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.expect_err("a fault was armed").kind()
}

/// A disk with the durable file `d/f` of `bytes`.
fn disk_with(bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("d")).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    let mut file = disk.create_new(Path::new("d/f")).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    disk
}

#[test]
fn synced_bytes_and_names_survive_every_crash() {
    let disk = disk_with(b"kept");
    for seed in 0..100 {
        disk.crash(seed);
        assert_eq!(disk.read(Path::new("d/f")).unwrap(), b"kept");
    }
}

#[test]
fn unsynced_bytes_survive_whole_in_part_or_not() {
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let disk = SimDisk::new();
        let mut file = disk.create_new(Path::new("f")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.append(b"ab").unwrap();
        file.sync().unwrap();
        file.append(b"cde").unwrap();
        disk.crash(seed);
        let bytes = disk.read(Path::new("f")).unwrap();
        assert!(bytes.starts_with(b"ab"), "{bytes:?}");
        seen.insert(bytes);
    }
    let expected: BTreeSet<Vec<u8>> = ["ab", "abc", "abcd", "abcde", "ab\0\0\0"]
        .map(|text| text.as_bytes().to_vec())
        .into();
    assert_eq!(seen, expected);
}

#[test]
fn an_unsynced_name_may_vanish_with_its_synced_bytes() {
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let disk = SimDisk::new();
        let mut file = disk.create_new(Path::new("f")).unwrap();
        file.append(b"x").unwrap();
        file.sync().unwrap();
        disk.crash(seed);
        seen.insert(disk.list(Path::new("")).unwrap());
    }
    assert_eq!(seen, [vec![], vec!["f".to_owned()]].into());
}

#[test]
fn a_folder_that_was_not_synced_takes_its_files_along() {
    let mut seen = BTreeSet::new();
    for seed in 0..50 {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("a/b")).unwrap();
        disk.sync_dir(Path::new("a")).unwrap();
        disk.create_new(Path::new("a/b/f")).unwrap();
        disk.sync_dir(Path::new("a/b")).unwrap();
        disk.crash(seed);
        seen.insert(disk.files().len());
    }
    assert_eq!(seen, [0, 1].into());
}

#[test]
fn removal_and_rename_last_after_sync_dir_only() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk_with(b"old");
        let mut new = disk.create_new(Path::new("d/new")).unwrap();
        new.append(b"new").unwrap();
        new.sync().unwrap();
        disk.sync_dir(Path::new("d")).unwrap();
        disk.rename(Path::new("d/new"), Path::new("d/f")).unwrap();
        let synced = seed % 2 == 0;
        if synced {
            disk.sync_dir(Path::new("d")).unwrap();
        }
        disk.crash(seed);
        let now = disk.read(Path::new("d/f")).unwrap();
        assert!(!synced || now == b"new");
        seen.insert((disk.files().len(), now));
    }
    assert_eq!(seen, [(1, b"new".to_vec()), (2, b"old".to_vec())].into());
    let disk = disk_with(b"gone");
    disk.remove(Path::new("d/f")).unwrap();
    disk.sync_dir(Path::new("d")).unwrap();
    disk.crash(1);
    assert_eq!(kind(disk.open(Path::new("d/f"))), io::ErrorKind::NotFound);
}

#[test]
fn a_sync_after_a_failed_sync_saves_nothing_of_it() {
    let lost = (0..50).any(|seed| {
        let disk = SimDisk::new();
        let mut file = disk.create_new(Path::new("f")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file.append(b"doomed").unwrap();
        disk.fail_sync(1);
        file.sync().unwrap_err();
        file.append(b"saved").unwrap();
        file.sync().unwrap();
        disk.crash(seed);
        let bytes = disk.read(Path::new("f")).unwrap();
        assert!(bytes.ends_with(b"saved"), "{bytes:?}");
        bytes.starts_with(&[0; 6])
    });
    assert!(lost);
}

#[test]
fn armed_faults_strike_once_and_on_time() {
    let disk = disk_with(b"");
    let mut file = disk.create_new(Path::new("d/g")).unwrap();
    disk.fail_write(2, 3);
    file.append(b"one").unwrap();
    assert_eq!(kind(file.append(b"second")), io::ErrorKind::Other);
    file.append(b"!").unwrap();
    assert_eq!(disk.read(Path::new("d/g")).unwrap(), b"onesec!");
    disk.fail_read(1);
    assert_eq!(kind(disk.read(Path::new("d/g"))), io::ErrorKind::Other);
    assert_eq!(disk.read(Path::new("d/g")).unwrap(), b"onesec!");
    disk.fail_sync(2);
    file.sync().unwrap();
    assert_eq!(kind(disk.sync_dir(Path::new("d"))), io::ErrorKind::Other);
    disk.sync_dir(Path::new("d")).unwrap();
}

#[test]
fn a_full_disk_writes_what_fits() {
    let disk = disk_with(b"12345");
    let mut file = disk.create_new(Path::new("d/g")).unwrap();
    disk.set_free(Some(4));
    file.append(b"ab").unwrap();
    assert_eq!(kind(file.append(b"cdef")), io::ErrorKind::StorageFull);
    assert_eq!(disk.read(Path::new("d/g")).unwrap(), b"abcd");
    assert_eq!(
        kind(disk.create_new(Path::new("d/h"))),
        io::ErrorKind::StorageFull
    );
    disk.remove(Path::new("d/f")).unwrap();
    file.append(b"efghi").unwrap();
    assert_eq!(kind(file.append(b"j")), io::ErrorKind::StorageFull);
    disk.set_free(None);
    file.append(b"j").unwrap();
}

#[test]
fn a_power_cut_stops_everything_until_the_crash() {
    let disk = disk_with(b"kept");
    let mut file = disk.create_new(Path::new("d/g")).unwrap();
    disk.cut_power_after(1);
    file.append(b"a").unwrap();
    file.append(b"b").unwrap_err();
    file.sync().unwrap_err();
    disk.create_new(Path::new("d/h")).unwrap_err();
    disk.crash(3);
    file.append(b"a dead handle").unwrap_err();
    assert_eq!(disk.read(Path::new("d/f")).unwrap(), b"kept");
    disk.create_new(Path::new("d/h")).unwrap();
}

#[test]
fn a_flipped_byte_stays_flipped_and_a_copy_is_its_own() {
    let disk = disk_with(b"abc");
    let copy = disk.copy();
    disk.flip(Path::new("d/f"), 1, 0x20).unwrap();
    disk.crash(0);
    assert_eq!(disk.read(Path::new("d/f")).unwrap(), b"aBc");
    disk.truncate(Path::new("d/f"), 1).unwrap();
    assert_eq!(disk.read(Path::new("d/f")).unwrap(), b"a");
    assert_eq!(copy.read(Path::new("d/f")).unwrap(), b"abc");
    disk.flip(Path::new("d/f"), 9, 1).unwrap_err();
}

#[test]
fn wrong_uses_are_refused() {
    let disk = disk_with(b"abc");
    assert_eq!(
        kind(disk.create_new(Path::new("d/f"))),
        io::ErrorKind::AlreadyExists
    );
    assert_eq!(
        kind(disk.create_new(Path::new("none/f"))),
        io::ErrorKind::NotFound
    );
    assert_eq!(kind(disk.open(Path::new("d"))), io::ErrorKind::IsADirectory);
    assert_eq!(
        kind(disk.open(Path::new("../f"))),
        io::ErrorKind::InvalidInput
    );
    let mut file = disk.open(Path::new("./d/f")).unwrap();
    assert_eq!(kind(file.append(b"x")), io::ErrorKind::PermissionDenied);
    let mut four = [0; 4];
    assert_eq!(
        kind(file.read_exact_at(0, &mut four)),
        io::ErrorKind::UnexpectedEof
    );
    check_matches!(file.len(), Ok(3));
}
