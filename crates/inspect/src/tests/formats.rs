//! Files that are not as their format says.

use std::path::{Path, PathBuf};

use super::kit::World;
use crate::{What, raw};

/// A change of a file's bytes, and what is found then.
type Case = (fn(&mut Vec<u8>), &'static [(What, &'static str)]);

/// Replaces a file of the EU's directory by what `change` makes of its bytes, and says what the raw
/// search makes of that.
fn after(part: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<(What, String)> {
    let mut world = World::new();
    world.close();
    let path = world.file(0, part);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    replace(&path, &bytes);
    let report = raw(&world.places, &world.needles).unwrap();
    report
        .findings
        .into_iter()
        .map(|f| (f.what, f.detail))
        .collect()
}

fn replace(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn told(found: &[(What, String)]) -> Vec<(What, &str)> {
    found
        .iter()
        .map(|(what, detail)| (*what, detail.as_str()))
        .collect()
}

#[test]
fn the_log() {
    let cases: [Case; 7] = [
        (
            |b| b.extend(b"clear"),
            &[(What::Malformed, "what follows is no frame")],
        ),
        (|b| b.extend([0; 4_096]), &[]),
        (|b| b.extend(b"BWLF"), &[]),
        (
            |b| {
                b.extend(b"BWLF");
                b.extend([7; 72]);
                b.extend(b"this was to be a payload and is as clear as can be, all of it");
            },
            &[(What::Clear, "the rest of an unfinished frame is not sealed")],
        ),
        (
            |b| {
                let last = b.len() - 1;
                b[last] ^= 1;
            },
            &[(What::Malformed, "a frame's payload does not verify")],
        ),
        (
            // Both copies of the fixed part.
            |b| {
                b[12] ^= 1;
                b[60] ^= 1;
            },
            &[(What::Malformed, "no copy of the header verifies")],
        ),
        (|b| b[12] ^= 1, &[]),
    ];
    for (number, (change, wanted)) in cases.into_iter().enumerate() {
        assert_eq!(told(&after(".log", change)), wanted, "case {number}");
    }
}

/// A frame that is whole, with checksums that fit, and whose payload nobody sealed.
#[test]
fn a_frame_in_clear_is_found_though_its_checksums_fit() {
    let mut world = World::new();
    world.close();
    let path = world.file(0, ".log");
    let id = crate::formats::log::id_of(path.file_name().unwrap().to_str().unwrap()).unwrap();
    let payload = b"{\"AccountUpn\":\"a.person@contoso.example\",\"DeviceName\":\"laptop-17\"}";
    let crc = |bytes: &[u8]| crate::formats::log::checksum(id, bytes).to_le_bytes();
    let mut frame = b"BWLF\x01\x00\x00\x00".to_vec();
    frame.extend([1; 16]);
    frame.extend(9_u64.to_le_bytes());
    frame.extend(9_u64.to_le_bytes());
    frame.extend([0; 24]);
    frame.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    frame.extend(crc(payload));
    frame.extend(crc(&frame));
    frame.extend(payload);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(frame);
    replace(&path, &bytes);
    let report = raw(&world.places, &world.needles).unwrap();
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|f| (f.what, f.detail.as_str()))
        .collect();
    assert_eq!(found, [(What::Clear, "a frame's payload is not sealed")]);
}

#[test]
fn segments() {
    let cases: [Case; 5] = [
        (
            |b| b.truncate(b.len() - 100),
            &[(What::Malformed, "it does not end as a sealed file does")],
        ),
        (
            // The first module's length.
            |b| b[4] ^= 1,
            &[(What::Clear, "no sealed module stands here")],
        ),
        (
            |b| {
                let clear =
                    b"Contoso's laptop of somebody in Dublin, a bloom filter maybe".to_vec();
                b.splice(4..4, clear);
            },
            &[(What::Clear, "no sealed module stands here")],
        ),
        (
            |b| {
                let clear = b"Contoso's laptop of somebody in Dublin, a page in clear".to_vec();
                b.splice(8..8 + clear.len(), clear);
            },
            &[(What::Clear, "a module is not sealed")],
        ),
        (
            |b| b[..4].copy_from_slice(b"PAR1"),
            &[(What::UnknownFile, "a Parquet file in clear")],
        ),
    ];
    for (number, (change, wanted)) in cases.into_iter().enumerate() {
        let found = after(".parquet", change);
        // A changed length makes the walk end at some place; which, the bytes decide.
        if number == 1 {
            assert_eq!(found.len(), 1, "case {number}");
            assert_eq!(found[0].0, What::Clear);
        } else {
            assert_eq!(told(&found), wanted, "case {number}");
        }
    }
}

#[test]
fn key_tables() {
    let found = after("keytables", |b| b.push(0));
    assert_eq!(
        told(&found),
        [(What::Malformed, "not a whole number of keys")]
    );
    let found = after("keytables", |b| b[30..].fill(b'k'));
    assert_eq!(told(&found), [(What::Clear, "the keys are not sealed")]);
    let found = after("keytables", |b| b[4] = 9);
    assert_eq!(told(&found), [(What::Malformed, "of another version")]);
    let found = after("keytables", |b| b.truncate(20));
    assert_eq!(told(&found), [(What::Malformed, "too short")]);
}

#[test]
fn a_log_mark_says_nothing_but_numbers() {
    let mut world = World::new();
    world.close();
    let path: PathBuf = world.places.data[0].path.join("log-mark");
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(raw(&world.places, &world.needles).unwrap().findings, vec![]);
    for more in [&b" of Anna Lindqvist"[..], b""] {
        let mut changed = whole.clone();
        changed.extend(more);
        changed[20] ^= 1;
        replace(&path, &changed);
        let report = raw(&world.places, &world.needles).unwrap();
        assert_eq!(report.findings[0].what, What::Malformed);
    }
}

#[test]
fn a_lock_file_says_nothing_but_its_owner() {
    let mut world = World::new();
    world.close();
    let path: PathBuf = world.places.data[0].path.join("lock");
    let lock = store::DirectoryLock::take(&world.places.data[0].path).unwrap();
    assert_eq!(raw(&world.places, &world.needles).unwrap().findings, vec![]);
    drop(lock);
    replace(
        &path,
        b"BWDLOCK\n\x01\x00\nowned by process of Anna Lindqvist\n",
    );
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(report.findings[0].what, What::Malformed);
}
