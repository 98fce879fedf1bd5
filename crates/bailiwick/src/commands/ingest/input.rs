//! What a path on the command line holds: one stream of bytes, or the members of a zip or tar archive.
//!
//! Gzip and zstd are decompressed while they are read, so a file may be larger than memory; so is a
//! tar inside them (`.tar.gz`, `.tar.zst`).
//! Members of an archive are inputs of their own, named `archive.zip/member`.
//! What comes before the place where an archive is cut off or damaged is read.
//!
//! Skips what macOS adds to archives (`__MACOSX/`, `._*`) and says so.
//! Does not open archives inside archives, nor other methods than stored and deflate.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Cursor, Read, Seek as _, SeekFrom};
use std::path::Path;

use ingest::Encoding;
use model::Code;

use crate::commands::file_error;
use crate::failure::Failure;
use crate::print;

/// What the caller wants after an input was read.
pub(super) enum Next {
    /// The next input.
    On,
    /// The same one from its first byte.
    Again,
}

const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// Of POSIX and GNU tar alike, at this byte of the first header.
const TAR_MAGIC: &[u8] = b"ustar";
const TAR_MAGIC_AT: usize = 257;
const TAR_BLOCK: u64 = 512;

/// Whether a path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Opens what `path` holds and gives each input with its name to `each`.
pub(super) fn open(
    path: &Path,
    each: &mut dyn FnMut(&str, &mut dyn Read) -> anyhow::Result<Next>,
) -> anyhow::Result<()> {
    if is_stdin(path) {
        let reader = decoded("-", BufReader::new(std::io::stdin().lock()))?;
        let (mut reader, is_tar) = told(reader);
        if is_tar {
            let what = "an archive on standard input cannot be gone back in";
            return Err(Failure::new(Code::BadFormat, what)
                .with_help("give it as a file")
                .into());
        }
        each("-", &mut reader)?;
        return Ok(());
    }
    let name = path.display().to_string();
    let mut file = File::open(path).map_err(|e| file_error("read", path, e))?;
    let mut magic = Vec::new();
    let head = file.by_ref().take(4).read_to_end(&mut magic);
    head.map_err(|e| file_error("read", path, e))?;
    file.seek(SeekFrom::Start(0))?;
    if magic == ZIP_MAGIC {
        return zip_members(&name, file, each);
    }
    loop {
        file.seek(SeekFrom::Start(0))?;
        let (mut reader, is_tar) = told(decoded(&name, BufReader::new(&file))?);
        if is_tar {
            drop(reader);
            return tar_members(&name, &file, each);
        }
        match each(&name, &mut reader)? {
            Next::On => return Ok(()),
            Next::Again => {}
        }
    }
}

fn decoded<'a>(
    name: &str,
    mut reader: BufReader<impl Read + 'a>,
) -> anyhow::Result<Box<dyn Read + 'a>> {
    let encoding = Encoding::sniff(reader.fill_buf()?);
    let decoder = ingest::decoder(encoding, reader);
    Ok(decoder.map_err(|e| Failure::new(e.code(), format!("`{name}`: {e}")))?)
}

/// The same bytes, and whether they are a tar archive.
fn told<'a>(mut reader: Box<dyn Read + 'a>) -> (Box<dyn Read + 'a>, bool) {
    let mut head = Vec::new();
    let read = reader.by_ref().take(TAR_BLOCK).read_to_end(&mut head);
    let is_tar = head.get(TAR_MAGIC_AT..).unwrap_or_default();
    let is_tar = is_tar.starts_with(TAR_MAGIC);
    // An input that breaks off this early is still read as far as it goes.
    let broken = read.err().map(Broken);
    let rest = Cursor::new(head).chain(broken.map_or(reader, |b| Box::new(b)));
    (Box::new(rest), is_tar)
}

/// Gives the error that was met while looking ahead.
struct Broken(std::io::Error);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::new(self.0.kind(), self.0.to_string()))
    }
}

fn tar_members(
    archive: &str,
    mut file: &File,
    each: &mut dyn FnMut(&str, &mut dyn Read) -> anyhow::Result<Next>,
) -> anyhow::Result<()> {
    let bad = |e: std::io::Error| Failure::new(Code::BadFormat, format!("`{archive}`: {e}"));
    let (mut from, mut skipped) = (0, 0);
    // A tar can only be read forwards: for a member that is wanted again it is opened again.
    'opened: loop {
        file.seek(SeekFrom::Start(0))?;
        let mut tar = tar::Archive::new(decoded(archive, BufReader::new(file))?);
        for (index, entry) in tar.entries().map_err(bad)?.enumerate() {
            let entry = entry.map_err(bad)?;
            if index < from || !entry.header().entry_type().is_file() {
                continue;
            }
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if is_resource_fork(&member) {
                skipped += 1;
                continue;
            }
            let name = format!("{archive}/{member}");
            let mut reader = decoded(&name, BufReader::new(entry))?;
            match each(&name, &mut reader)? {
                Next::On => {}
                Next::Again => {
                    from = index;
                    continue 'opened;
                }
            }
        }
        break;
    }
    say_skipped(archive, skipped);
    Ok(())
}

fn zip_members(
    archive: &str,
    file: File,
    each: &mut dyn FnMut(&str, &mut dyn Read) -> anyhow::Result<Next>,
) -> anyhow::Result<()> {
    let bad = |member: &str, e: zip::result::ZipError| {
        let at = if member.is_empty() {
            String::new()
        } else {
            format!("/{member}")
        };
        Failure::new(Code::BadFormat, format!("`{archive}{at}`: {e}"))
    };
    let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(|e| bad("", e))?;
    let mut skipped = 0_usize;
    for index in 0..zip.len() {
        let member = match zip.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            Some(Err(e)) => return Err(bad("", e).into()),
            None => continue,
        };
        if member.ends_with('/') {
            continue;
        }
        if is_resource_fork(&member) {
            skipped += 1;
            continue;
        }
        let name = format!("{archive}/{member}");
        loop {
            let reader = zip.by_index(index).map_err(|e| bad(&member, e))?;
            let mut reader = decoded(&name, BufReader::new(reader))?;
            match each(&name, &mut reader)? {
                Next::On => break,
                Next::Again => {}
            }
        }
    }
    say_skipped(archive, skipped);
    Ok(())
}

fn say_skipped(archive: &str, skipped: usize) {
    if skipped > 0 {
        print::note(&format!(
            "`{archive}`: skipped {skipped} resource forks of macOS"
        ));
    }
}

/// What macOS puts beside each file of an archive: never telemetry.
fn is_resource_fork(member: &str) -> bool {
    let file = member.rsplit('/').next().unwrap_or(member);
    member.starts_with("__MACOSX/") || file.starts_with("._")
}
