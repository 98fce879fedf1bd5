//! Sealed temporary files: what is read is what was written, or nothing.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Disk;
use testkit::{SeededRandom, SimDisk};

use crate::TemporaryFiles;

const BLOCK: usize = 64 << 10;

fn open(disk: &SimDisk) -> TemporaryFiles {
    let random = Arc::new(SeededRandom::new(50));
    TemporaryFiles::open(Arc::new(disk.clone()), random).unwrap()
}

fn quota(bytes: u64) -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(bytes))
}

fn content(len: usize) -> Vec<u8> {
    b"secret-of-a-query "
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

#[test]
fn what_is_written_is_read_again_and_sealed_on_disk() {
    let disk = SimDisk::new();
    let files = open(&disk);
    for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 77] {
        let mut writer = files.create(&quota(1 << 30)).unwrap();
        writer.write_all(&content(len)).unwrap();
        let mut reader = writer.finish().unwrap();
        let mut again = reader.again().unwrap();
        for reader in [&mut reader, &mut again] {
            let mut found = Vec::new();
            reader.read_to_end(&mut found).unwrap();
            assert!(found == content(len), "{len}");
        }
        let [path] = &disk.files()[..] else {
            panic!("one file")
        };
        let bytes = disk.read(path).unwrap();
        assert!(bytes.starts_with(b"BWTF"));
        assert!(!bytes.windows(12).any(|w| w == b"secret-of-a-"), "{len}");
        drop((reader, again));
        assert_eq!(disk.files().len(), 0, "gone with its last reader");
    }
}

#[test]
fn blocks_that_are_cut_swapped_or_damaged_do_not_read() {
    let disk = SimDisk::new();
    let files = open(&disk);
    let mut writer = files.create(&quota(1 << 30)).unwrap();
    writer.write_all(&content(3 * BLOCK)).unwrap();
    let reader = writer.finish().unwrap();
    let path = disk.files()[0].clone();
    let good = disk.read(&path).unwrap();
    let block = BLOCK + 16 + 4;
    let read = |bytes: &[u8]| {
        disk.remove(&path).unwrap();
        let mut file = disk.create_new(&path).unwrap();
        file.append(bytes).unwrap();
        drop(file);
        let mut found = Vec::new();
        reader.again().unwrap().read_to_end(&mut found)
    };
    assert_eq!(read(&good).unwrap(), 3 * BLOCK);
    for blocks in 0..3 {
        assert!(read(&good[..6 + blocks * block]).is_err(), "{blocks} left");
    }
    assert!(read(&good[..good.len() - 1]).is_err());
    let mut swapped = good[..6].to_vec();
    swapped.extend(&good[6 + block..6 + 2 * block]);
    swapped.extend(&good[6..6 + block]);
    swapped.extend(&good[6 + 2 * block..]);
    assert!(read(&swapped).is_err());
    for at in (6..good.len()).step_by(good.len() / 97) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x80;
        assert!(read(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn the_quota_ends_where_it_says() {
    let disk = SimDisk::new();
    let files = open(&disk);
    // One full block and the empty last one.
    let needed = u64::try_from(BLOCK + 16 + 4 + 16 + 4).unwrap();
    for (room, fits) in [(needed, true), (needed - 1, false)] {
        let shared = quota(room);
        let mut writer = files.create(&shared).unwrap();
        writer.write_all(&content(BLOCK)).unwrap();
        match writer.finish() {
            Ok(_) => assert!(fits, "{room}"),
            Err(error) => {
                assert!(!fits, "{room}: {error}");
                assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
            }
        }
    }
    // Files of one query share it.
    let shared = quota(needed);
    let mut first = files.create(&shared).unwrap();
    first.write_all(&content(BLOCK)).unwrap();
    let mut second = files.create(&shared).unwrap();
    let refused = second.write_all(&content(BLOCK)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    first.finish().unwrap();
    assert_eq!(shared.load(Ordering::Acquire), 0);
}

#[test]
fn what_a_process_left_is_removed_at_the_next_start() {
    let disk = SimDisk::new();
    let files = open(&disk);
    let writer = files.create(&quota(1 << 20)).unwrap();
    std::mem::forget(writer);
    assert_eq!(disk.files().len(), 1);
    open(&disk);
    assert_eq!(disk.files().len(), 0);
    assert_eq!(disk.list(Path::new("tmp")).unwrap().len(), 0);
}

/// A file that cannot even be begun is not left behind.
#[test]
fn a_full_disk_leaves_no_file() {
    let disk = SimDisk::new();
    let files = open(&disk);
    disk.set_free(Some(3));
    let refused = files.create(&quota(1 << 20)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StorageFull);
    assert_eq!(disk.files().len(), 0);
}
