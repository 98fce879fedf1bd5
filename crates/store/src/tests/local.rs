//! Tests of the real directory and of its lock, in temporary directories.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::process::Command;

use model::{Code, Disk, DiskFile};
use tempfile::TempDir;

use crate::local::LocalDir;
use crate::lock::{DirectoryLock, LOCK_FILE, LockError};

fn directory() -> (TempDir, LocalDir) {
    let root = TempDir::new().unwrap();
    let disk = LocalDir::open(root.path()).unwrap();
    (root, disk)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_file_is_written_synced_and_read_at_offsets() {
    let (_root, disk) = directory();
    disk.create_dir_all(Path::new("eu/log")).unwrap();
    let mut file = disk.create_new(Path::new("eu/log/1.log")).unwrap();
    assert!(file.is_empty().unwrap());
    file.append(b"one").unwrap();
    file.append(b"two").unwrap();
    file.sync().unwrap();
    disk.sync_dir(Path::new("eu/log")).unwrap();
    assert_eq!(file.len().unwrap(), 6);

    let mut found = [0; 4];
    file.read_exact_at(2, &mut found).unwrap();
    assert_eq!(&found, b"etwo");
    let mut opened = disk.open(Path::new("eu/log/1.log")).unwrap();
    opened.read_exact_at(0, &mut found).unwrap();
    assert_eq!(&found, b"onet");
    // Recovery makes durable what it found, through a handle that only reads.
    opened.sync().unwrap();
    assert_eq!(disk.read(Path::new("./eu/log/1.log")).unwrap(), b"onetwo");
}

#[test]
fn reading_past_the_end_is_an_unexpected_end() {
    let (_root, disk) = directory();
    let mut file = disk.create_new(Path::new("f")).unwrap();
    file.append(b"abc").unwrap();
    let error = file.read_exact_at(1, &mut [0; 3]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn an_opened_file_cannot_be_appended_to() {
    let (_root, disk) = directory();
    disk.create_new(Path::new("f")).unwrap();
    let error = disk.open(Path::new("f")).unwrap().append(b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn files_and_folders_are_private() {
    let (root, disk) = directory();
    disk.create_dir_all(Path::new("a/b")).unwrap();
    disk.create_new(Path::new("a/b/f")).unwrap();
    assert_eq!(mode(&root.path().join("a")), 0o700);
    assert_eq!(mode(&root.path().join("a/b")), 0o700);
    assert_eq!(mode(&root.path().join("a/b/f")), 0o600);
    let _lock = DirectoryLock::take(root.path()).unwrap();
    assert_eq!(mode(&root.path().join(LOCK_FILE)), 0o600);
}

#[test]
fn an_existing_file_is_not_made_again() {
    let (_root, disk) = directory();
    disk.create_new(Path::new("f"))
        .unwrap()
        .append(b"kept")
        .unwrap();
    let error = disk.create_new(Path::new("f")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(disk.read(Path::new("f")).unwrap(), b"kept");
}

#[test]
fn names_are_listed_in_order_with_folders_and_change_by_rename_and_remove() {
    let (_root, disk) = directory();
    for name in ["b", "c", "a"] {
        disk.create_new(Path::new(name))
            .unwrap()
            .append(name.as_bytes())
            .unwrap();
    }
    disk.create_dir_all(Path::new("aa")).unwrap();
    assert_eq!(disk.list(Path::new("")).unwrap(), ["a", "aa", "b", "c"]);
    disk.rename(Path::new("a"), Path::new("c")).unwrap();
    disk.remove(Path::new("b")).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(disk.list(Path::new(".")).unwrap(), ["aa", "c"]);
    assert_eq!(disk.read(Path::new("c")).unwrap(), b"a");
}

#[test]
fn a_path_out_of_the_directory_is_refused_by_every_call() {
    let (root, disk) = directory();
    let outside = root.path().parent().unwrap().join("outside-of-the-root");
    for path in [
        Path::new("../outside-of-the-root"),
        Path::new("a/../../outside-of-the-root"),
        &outside,
    ] {
        let refusals = [
            disk.create_dir_all(path).unwrap_err(),
            disk.create_new(path).unwrap_err(),
            disk.open(path).unwrap_err(),
            disk.list(path).unwrap_err(),
            disk.remove(path).unwrap_err(),
            disk.rename(path, Path::new("x")).unwrap_err(),
            disk.rename(Path::new("x"), path).unwrap_err(),
            disk.sync_dir(path).unwrap_err(),
            disk.read(path).unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}", path.display());
        }
    }
    assert!(!outside.exists());
}

#[test]
fn what_is_not_there_or_of_the_wrong_kind_is_said_so() {
    let (root, disk) = directory();
    disk.create_dir_all(Path::new("d")).unwrap();
    disk.create_new(Path::new("f")).unwrap();
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    assert_eq!(
        kind(disk.open(Path::new("none")).map(drop)),
        ErrorKind::NotFound
    );
    assert_eq!(
        kind(disk.create_new(Path::new("none/f")).map(drop)),
        ErrorKind::NotFound
    );
    assert_eq!(kind(disk.remove(Path::new("none"))), ErrorKind::NotFound);
    assert_eq!(kind(disk.sync_dir(Path::new("none"))), ErrorKind::NotFound);
    assert_eq!(
        kind(disk.open(Path::new("d")).map(drop)),
        ErrorKind::IsADirectory
    );
    assert_eq!(
        kind(disk.sync_dir(Path::new("f"))),
        ErrorKind::NotADirectory
    );
    assert_eq!(
        kind(LocalDir::open(&root.path().join("f")).map(drop)),
        ErrorKind::NotADirectory
    );
    assert_eq!(
        kind(LocalDir::open(&root.path().join("none")).map(drop)),
        ErrorKind::NotFound
    );
}

/// `/dev/full` fails every write as a full disk does.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_as_such() {
    let file = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let error = crate::local::LocalFile {
        file,
        writable: true,
    }
    .append(b"x")
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
}

#[test]
fn the_second_taker_is_refused_until_the_first_is_gone() {
    let root = TempDir::new().unwrap();
    let first = DirectoryLock::take(root.path()).unwrap();
    let refused = DirectoryLock::take(root.path()).unwrap_err();
    assert!(matches!(refused, LockError::Held));
    assert_eq!(refused.code(), Code::DirectoryLocked);
    assert_eq!(refused.to_string(), "another process owns this directory");
    drop(first);
    assert!(root.path().join(LOCK_FILE).exists(), "the file stays");
    DirectoryLock::take(root.path()).unwrap();
}

#[test]
fn the_lock_file_says_what_it_is_and_whose() {
    let root = TempDir::new().unwrap();
    // A longer text of a former owner leaves nothing behind.
    fs::File::create(root.path().join(LOCK_FILE))
        .unwrap()
        .set_len(500)
        .unwrap();
    let _lock = DirectoryLock::take(root.path()).unwrap();
    let mut found = Vec::new();
    fs::File::open(root.path().join(LOCK_FILE))
        .unwrap()
        .read_to_end(&mut found)
        .unwrap();
    let expected = format!(
        "BWDLOCK\n\u{1}\0\nowned by process {}\n",
        std::process::id()
    );
    assert_eq!(found, expected.as_bytes());
}

#[test]
fn a_directory_that_is_not_there_cannot_be_locked() {
    let root = TempDir::new().unwrap();
    let refused = DirectoryLock::take(&root.path().join("none")).unwrap_err();
    assert!(matches!(&refused, LockError::Io(source) if source.kind() == ErrorKind::NotFound));
    assert_eq!(refused.code(), Code::FileFailed);
}

/// Runs itself a second time as another process, whose working directory holds the marker.
#[test]
#[cfg(target_os = "linux")]
fn another_process_is_refused() {
    const MARKER: &str = "second-process";
    if Path::new(MARKER).exists() {
        let refused = DirectoryLock::take(Path::new(".")).unwrap_err();
        assert!(matches!(refused, LockError::Held));
        fs::remove_file(MARKER).unwrap();
        return;
    }
    let root = TempDir::new().unwrap();
    let _lock = DirectoryLock::take(root.path()).unwrap();
    fs::File::create(root.path().join(MARKER)).unwrap();
    let status = Command::new("/proc/self/exe")
        .args(["--exact", "tests::local::another_process_is_refused"])
        .current_dir(root.path())
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
    assert!(!root.path().join(MARKER).exists(), "the second process ran");
}
