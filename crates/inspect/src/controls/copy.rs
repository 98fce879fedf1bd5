//! Copies of directories, to be damaged.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{DataDir, Error, Places, raw};

/// Copies all places into folders below `into`.
pub(super) fn places(places: &Places, into: &Path) -> Result<Places, Error> {
    let mut copy = Places::default();
    for (number, dir) in places.data.iter().enumerate() {
        let path = into.join(format!("data-{number}"));
        folder(&dir.path, &path)?;
        copy.data.push(DataDir {
            path,
            ..dir.clone()
        });
    }
    for (number, from) in places.temporary.iter().enumerate() {
        let path = into.join(format!("temporary-{number}"));
        folder(from, &path)?;
        copy.temporary.push(path);
    }
    for (number, from) in places.open.iter().enumerate() {
        let path = into.join(format!("open-{number}"));
        fs::copy(from, &path).map_err(Error::io(from))?;
        copy.open.push(path);
    }
    Ok(copy)
}

fn folder(from: &Path, to: &Path) -> Result<(), Error> {
    let mut folders: Vec<(PathBuf, PathBuf)> = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        fs::create_dir_all(&to).map_err(Error::io(&to))?;
        for (path, kind) in raw::list(&from)? {
            let name = path.file_name().unwrap_or_default();
            // SQLite makes its index anew, and one of another process's memory would mislead it.
            let index = path
                .extension()
                .is_some_and(|e| e.to_string_lossy().ends_with("-shm"));
            if kind.is_dir() {
                folders.push((path.clone(), to.join(name)));
            } else if kind.is_file() && !index {
                fs::copy(&path, to.join(name)).map_err(Error::io(&path))?;
            }
        }
    }
    Ok(())
}

/// Appends to a file of the copy, made if there is none.
pub(super) fn append(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(Error::io(path))
}

/// The first file below `dir` that begins with `magic`, and whose name ends in `end`.
pub(super) fn find(dir: &DataDir, magic: &[u8], end: &str) -> Result<Option<PathBuf>, Error> {
    let mut folders = vec![dir.path.clone()];
    while let Some(folder) = folders.pop() {
        for (path, kind) in raw::list(&folder)? {
            if kind.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(end)
                && fs::read(&path)
                    .map_err(Error::io(&path))?
                    .starts_with(magic)
            {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}
