//! Extended attributes of files and folders: bytes at rest that no listing shows.
//!
//! The system's own (`security.`, `system.`) may be there and are searched; any other is a finding.

use std::io;
use std::path::Path;

use rustix::io::Errno;

/// What the kernel allows for a list of names and for a value.
const BYTES_MAX: usize = 64 << 10;

/// Names and values of a path's attributes; the path's own, if it is a link.
pub(crate) fn of(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut buffer = vec![0_u8; BYTES_MAX];
    let len = match rustix::fs::llistxattr(path, buffer.as_mut_slice()) {
        Ok(len) => len,
        // A file system without attributes.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let names = buffer.get(..len).unwrap_or_default().to_vec();
    let mut found = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        match rustix::fs::lgetxattr(path, name, buffer.as_mut_slice()) {
            Ok(len) => found.push((
                name.to_vec(),
                buffer.get(..len).unwrap_or_default().to_vec(),
            )),
            // Gone since it was listed.
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// Whether an attribute of this name is the system's.
pub(crate) fn is_of_system(name: &[u8]) -> bool {
    name.starts_with(b"security.") || name.starts_with(b"system.")
}
