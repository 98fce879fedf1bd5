//! A database's bytes beside its rows: free pages, the log and the index of the log.
//!
//! SQLite keeps what it no longer needs: pages that belong to nothing, frames of a log that has begun
//! anew. `secure_delete` empties the former; the latter are former pages. Whatever is neither is a fault.
//!
//! A page holds random bytes, small numbers and a few short words; the only long text is the schema, of
//! which every word is known ([`super::words`]). Layouts: sqlite.org/fileformat2.html, and for the index
//! of the log sqlite.org/walformat.html.
//!
//! Does not understand rows: bytes between the cells of a page are judged as part of the page.

use super::image::{FRAME_HEADER_BYTES, WAL_HEADER_BYTES, WAL_MAGICS, checksum, word};
use super::words;
use crate::formats::Fault;
use crate::places::What;
use crate::shape;

const WAL_VERSION: u32 = 3_007_000;
/// Page numbers, frame numbers: text of four letters as a number is larger.
const NUMBER_MAX: u32 = 1 << 24;
/// Times that a log has begun anew since an old frame was written.
const RESTARTS_MAX: u32 = 1 << 20;
const INDEX_BLOCK_BYTES: usize = 32 << 10;
/// Slots of a block's hash table; each holds the number of an entry of the block.
const INDEX_ENTRIES: u16 = 4096;
const INDEX_HEADER_BYTES: usize = 136;

/// Faults of the database file, its log applied.
pub(crate) fn image(image: &[u8]) -> Vec<Fault> {
    let Some(size) = page_bytes(image) else {
        return Vec::new();
    };
    let mut faults = free_pages(image, size);
    for (at, page) in image.chunks(size).enumerate() {
        if !is_known_text(page) {
            faults.push(Fault::clear(offset(at, size), "text that is no schema"));
        }
    }
    faults
}

fn page_bytes(image: &[u8]) -> Option<usize> {
    let [high, low] = *image.get(16..18)?.first_chunk::<2>()?;
    let size = match u16::from_be_bytes([high, low]) {
        1 => 65_536,
        size => usize::from(size),
    };
    (size.is_power_of_two() && size >= 512).then_some(size)
}

fn offset(page: usize, size: usize) -> u64 {
    u64::try_from(page.saturating_mul(size)).unwrap_or(u64::MAX)
}

/// Walks the list of free pages: `trunk = next:u32 count:u32 leaf:u32*`, all else zeros.
fn free_pages(image: &[u8], size: usize) -> Vec<Fault> {
    let pages = image.len() / size;
    let page = |number: u32| {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        let page = image.get(at.checked_mul(size)?..)?.get(..size)?;
        Some((at, page))
    };
    let mut faults = Vec::new();
    let free = |at: usize, detail| Fault {
        offset: offset(at, size),
        what: What::FreeSpace,
        detail,
    };
    let (mut next, mut left) = (word(image, 32).unwrap_or(0), pages);
    while next != 0 && left > 0 {
        left -= 1;
        let Some((at, trunk)) = page(next) else {
            faults.push(free(0, "the list of free pages leaves the file"));
            break;
        };
        next = word(trunk, 0).unwrap_or(0);
        let count = usize::try_from(word(trunk, 4).unwrap_or(0)).unwrap_or(usize::MAX);
        let mut numbers = trunk.chunks_exact(4).skip(2);
        for leaf in numbers.by_ref().take(count) {
            match word(leaf, 0).and_then(page) {
                Some((_, leaf)) if leaf.iter().all(|b| *b == 0) => {}
                Some((at, _)) => faults.push(free(at, "a free page is not empty")),
                None => faults.push(free(at, "the list of free pages leaves the file")),
            }
        }
        // Numbers of pages that were taken off the list stay behind its end.
        if numbers.any(|n| word(n, 0).is_none_or(|n| n > NUMBER_MAX)) {
            faults.push(free(at, "a page of the list of free pages is not empty"));
        }
    }
    faults
}

/// Faults of a log: `header frame*`, each frame of this log or of one before it, each a page.
pub(crate) fn log(wal: &[u8]) -> Vec<Fault> {
    if wal.is_empty() {
        return Vec::new();
    }
    let Some((size, little_endian)) = log_header(wal) else {
        return vec![Fault::malformed(0, "no header of a database's log")];
    };
    let mut faults = Vec::new();
    let salts = |bytes: &[u8], at| (word(bytes, at), word(bytes, at + 4));
    let ours = salts(wal, 16);
    let mut sum = (word(wal, 24), word(wal, 28));
    let mut is_whole = true;
    let frames = wal.get(WAL_HEADER_BYTES..).unwrap_or_default();
    let frame_bytes = FRAME_HEADER_BYTES + size;
    for (number, frame) in frames.chunks(frame_bytes).enumerate() {
        let at = offset(number, frame_bytes).saturating_add(32);
        let Some((head, page)) = frame.split_at_checked(FRAME_HEADER_BYTES) else {
            faults.push(Fault::malformed(at, "a frame's header is cut short"));
            break;
        };
        let numbers = [word(head, 0), word(head, 4)];
        let small = |n: &Option<u32>| n.is_some_and(|n| n <= NUMBER_MAX);
        let frame_salts = salts(head, 8);
        // A log that begins anew counts its first salt up, and overwrites the old one from the front.
        let age = ours.0.unwrap_or(0).wrapping_sub(frame_salts.0.unwrap_or(0));
        let is_old = (1..=RESTARTS_MAX).contains(&age);
        let chained = chain(sum, head, page, little_endian);
        let stored = (word(head, 16), word(head, 20));
        // What a crash or a transaction that was taken back leaves has the salts and not the sum.
        is_whole &= frame_salts == ours && chained == stored;
        sum = stored;
        if !numbers.iter().all(small) || !(frame_salts == ours || is_old) {
            faults.push(Fault::malformed(at, "no frame of this log"));
        } else if page.len() == size && !is_page(page, numbers[0] == Some(1)) {
            faults.push(Fault::malformed(at, "a frame holds no page of a database"));
        } else if !is_whole && page.len() < size && shape::is_text(page) {
            faults.push(Fault::clear(at, "a frame that was cut short is text"));
        }
        if !is_known_text(page) {
            faults.push(Fault::clear(at, "text that is no schema"));
        }
    }
    faults
}

/// Page size and byte order, if the header is whole.
fn log_header(wal: &[u8]) -> Option<(usize, bool)> {
    let header = wal.get(..WAL_HEADER_BYTES)?;
    let magic = word(header, 0)?;
    let little_endian = magic == WAL_MAGICS[0];
    let size = usize::try_from(word(header, 8)?).ok()?;
    let sum = checksum((0, 0), header.get(..24)?, little_endian);
    let is_whole = WAL_MAGICS.contains(&magic)
        && word(header, 4)? == WAL_VERSION
        && word(header, 12)? <= NUMBER_MAX
        && size.is_power_of_two()
        && (512..=65_536).contains(&size)
        && sum == (word(header, 24)?, word(header, 28)?);
    is_whole.then_some((size, little_endian))
}

fn chain(
    sum: (Option<u32>, Option<u32>),
    head: &[u8],
    page: &[u8],
    little_endian: bool,
) -> (Option<u32>, Option<u32>) {
    let sum = (sum.0.unwrap_or(0), sum.1.unwrap_or(0));
    let sum = checksum(sum, head.get(..8).unwrap_or_default(), little_endian);
    let (a, b) = checksum(sum, page, little_endian);
    (Some(a), Some(b))
}

/// Whether bytes begin as a page of a b-tree does, or with the number of another page (overflow, free).
fn is_page(page: &[u8], is_first: bool) -> bool {
    let start = if is_first { 100 } else { 0 };
    let tree = page.get(start..).unwrap_or_default();
    let size = page.len();
    let short = |at: usize| -> Option<usize> {
        let [high, low] = *tree.get(at..at + 2)?.first_chunk::<2>()?;
        Some(usize::from(u16::from_be_bytes([high, low])))
    };
    let header = match tree.first() {
        Some(2 | 5) => 12,
        Some(10 | 13) => 8,
        _ => return !is_first && word(page, 0).is_some_and(|next| next <= NUMBER_MAX),
    };
    let (cells, content) = (short(3).unwrap_or(size), short(5).unwrap_or(size));
    let content = if content == 0 { 65_536 } else { content };
    start + header + 2 * cells <= size && content <= size
}

/// Whether all long text of a page is schema.
fn is_known_text(page: &[u8]) -> bool {
    if shape::long_runs(page).any(|run| !words::is_schema(run)) {
        return false;
    }
    // Of many short lines.
    let is_schema = page.windows(7).any(|w| w == b"CREATE ");
    is_schema || !shape::is_text(page)
}

/// Faults of the index of a log: numbers of pages and of their frames.
pub(crate) fn index(bytes: &[u8]) -> Vec<Fault> {
    let native = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
    };
    let mut faults = Vec::new();
    let small = |n: u32| n <= NUMBER_MAX;
    // Twice: version, 0, changes, flags and page size, last frame, pages, two sums, salts, sum.
    for copy in [0, 48] {
        let is_header = matches!(native(copy), Some(0 | WAL_VERSION))
            && native(copy + 4) == Some(0)
            && native(copy + 16).is_some_and(small)
            && native(copy + 20).is_some_and(small);
        if !is_header {
            let at = u64::try_from(copy).unwrap_or(0);
            faults.push(Fault::malformed(at, "no header of a log's index"));
        }
    }
    // Frames in the file, marks of readers, locks, frames tried, 0.
    let marks = (96..INDEX_HEADER_BYTES).step_by(4).filter_map(native);
    let mut marks = marks.filter(|n| *n != u32::MAX);
    if !marks.all(small) {
        faults.push(Fault::malformed(96, "no marks of a log's readers"));
    }
    for (number, block) in bytes.chunks(INDEX_BLOCK_BYTES).enumerate() {
        let skip = if number == 0 { INDEX_HEADER_BYTES } else { 0 };
        let half = INDEX_BLOCK_BYTES / 2;
        let pages = block.get(skip..half).unwrap_or_default();
        let mut pages = pages.chunks_exact(4).filter_map(<[u8]>::first_chunk::<4>);
        let slots = block.get(half..).unwrap_or_default();
        let mut slots = slots.chunks_exact(2).filter_map(<[u8]>::first_chunk::<2>);
        if !pages.all(|n| small(u32::from_ne_bytes(*n)))
            || !slots.all(|n| u16::from_ne_bytes(*n) <= INDEX_ENTRIES)
        {
            let at = offset(number, INDEX_BLOCK_BYTES);
            faults.push(Fault::malformed(at, "no block of a log's index"));
        }
    }
    faults
}
