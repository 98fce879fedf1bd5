//! A database and its write-ahead log as one image in memory.
//!
//! SQLite itself would make a file beside the database to read a log, and could not read one in a
//! directory that is written by another process without taking part in its locks. The log's format is
//! small (sqlite.org/fileformat2.html §4): a header of 32 bytes, then frames of 24 bytes and a page.
//! A frame counts if its salts are the header's and the running checksum fits; a transaction counts
//! from the frame on that names the size of the database after it.
//!
//! Promises: changes nothing, takes no lock, and gives a state that a transaction left, or `Busy`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::Error;

pub(crate) const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Checksums over little-endian words, and over big-endian ones.
pub(crate) const WAL_MAGICS: [u32; 2] = [0x377f_0682, 0x377f_0683];
pub(super) const WAL_HEADER_BYTES: usize = 32;
pub(super) const FRAME_HEADER_BYTES: usize = 24;
/// The two bytes that say how the file is read and written: 1 is without a log.
const FORMAT_OFFSET: usize = 18;
const ATTEMPTS: usize = 8;

pub(crate) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The database as its last whole transaction left it.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let wal_path = wal_path(path);
    for _ in 0..ATTEMPTS {
        let before = bytes(&wal_path, true)?;
        let mut image = bytes(path, false)?;
        let after = bytes(&wal_path, true)?;
        // While the log grows or begins anew, pages may move from it into the file.
        if before != after {
            continue;
        }
        apply(&mut image, &before);
        if let Some(format) = image.get_mut(FORMAT_OFFSET..FORMAT_OFFSET + 2) {
            format.fill(1);
        }
        return Ok(image);
    }
    Err(Error::Busy {
        path: path.to_owned(),
    })
}

fn bytes(path: &Path, may_lack: bool) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Err(e) if may_lack && e.kind() == io::ErrorKind::NotFound => Ok(bytes),
        other => other.map(|_| bytes).map_err(Error::io(path)),
    }
}

/// Puts the pages of all whole transactions of the log into the image.
fn apply(image: &mut Vec<u8>, wal: &[u8]) -> Option<()> {
    let header = wal.get(..WAL_HEADER_BYTES)?;
    let little_endian = match word(header, 0)? {
        magic if magic == WAL_MAGICS[0] => true,
        magic if magic == WAL_MAGICS[1] => false,
        _ => return None,
    };
    let page_bytes = usize::try_from(word(header, 8)?).ok()?;
    if !page_bytes.is_power_of_two() || !(512..=65_536).contains(&page_bytes) {
        return None;
    }
    let salts = header.get(16..24)?;
    let mut sum = checksum((0, 0), header.get(..24)?, little_endian);
    if sum != (word(header, 24)?, word(header, 28)?) {
        return None;
    }
    let mut pending: Vec<(usize, &[u8])> = Vec::new();
    for frame in wal
        .get(WAL_HEADER_BYTES..)?
        .chunks_exact(FRAME_HEADER_BYTES + page_bytes)
    {
        let (head, page) = frame.split_at_checked(FRAME_HEADER_BYTES)?;
        sum = checksum(sum, head.get(..8)?, little_endian);
        sum = checksum(sum, page, little_endian);
        if head.get(8..16)? != salts || sum != (word(head, 16)?, word(head, 20)?) {
            break;
        }
        pending.push((usize::try_from(word(head, 0)?).ok()?.checked_sub(1)?, page));
        let pages = usize::try_from(word(head, 4)?).ok()?;
        if pages > 0 {
            image.resize(pages.checked_mul(page_bytes)?, 0);
            for (number, page) in pending.drain(..) {
                let at = number.checked_mul(page_bytes)?;
                // A page beyond the size is one that the transaction cut off again.
                if let Some(place) = image.get_mut(at..at + page_bytes) {
                    place.copy_from_slice(page);
                }
            }
        }
    }
    Some(())
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(word))
}

/// SQLite's checksum of an even number of words, continued from `sum`.
pub(super) fn checksum(sum: (u32, u32), bytes: &[u8], little_endian: bool) -> (u32, u32) {
    let read = |word: [u8; 4]| {
        if little_endian {
            u32::from_le_bytes(word)
        } else {
            u32::from_be_bytes(word)
        }
    };
    let (mut a, mut b) = sum;
    for pair in bytes.chunks_exact(8) {
        if let [p, q, r, s, t, u, v, w] = *pair {
            a = a.wrapping_add(read([p, q, r, s])).wrapping_add(b);
            b = b.wrapping_add(read([t, u, v, w])).wrapping_add(a);
        }
    }
    (a, b)
}
