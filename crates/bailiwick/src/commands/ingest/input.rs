//! What a path on the command line holds: one stream of bytes, or a zip archive's members.
//!
//! Gzip and zstd are decompressed while they are read, so a file may be larger than memory.
//! Members of an archive are inputs of their own, named `archive.zip/member`.
//!
//! Skips what macOS adds to archives (`__MACOSX/`, `._*`) and says so.
//! Does not open archives inside archives, nor other methods than stored and deflate.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _, SeekFrom};
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
        let mut reader = decoded("-", BufReader::new(std::io::stdin().lock()))?;
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
        return members(&name, file, each);
    }
    loop {
        file.seek(SeekFrom::Start(0))?;
        let mut reader = decoded(&name, BufReader::new(&file))?;
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

fn members(
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
    if skipped > 0 {
        print::note(&format!(
            "`{archive}`: skipped {skipped} resource forks of macOS"
        ));
    }
    Ok(())
}

/// What macOS puts beside each file of an archive: never telemetry.
fn is_resource_fork(member: &str) -> bool {
    let file = member.rsplit('/').next().unwrap_or(member);
    member.starts_with("__MACOSX/") || file.starts_with("._")
}
