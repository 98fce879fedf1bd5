//! Names that files and folders may have, from `docs/formats/directory.md`.
//!
//! A name is at rest like any byte, so only forms that tell no more than an opaque id are let through.

use std::path::{Component, Path};

use crate::formats::log::{self, is_hex};

/// Names of the catalogue's file: the program's, and the one that tests and examples use.
const CATALOGUES: [&str; 2] = ["catalogue.db", "catalogue.sqlite"];
const CENTRE: &str = "centre.db";
const FOLDERS: [&str; 4] = ["keytables", "log", "segments", "tmp"];

/// Whether a folder of a cell's directory may have this path below it.
pub(crate) fn is_folder(below: &Path) -> bool {
    match parts(below).as_deref() {
        Some([folder]) => FOLDERS.contains(folder),
        Some(["segments", tenant]) => is_hex(tenant, 32),
        _ => false,
    }
}

/// Whether a file of a cell's directory may have this path below it.
pub(crate) fn is_file(below: &Path) -> bool {
    let finished = |name: &'_ str| name.strip_suffix(".new").unwrap_or(name).to_owned();
    match parts(below).as_deref() {
        Some([name]) => {
            ["lock", "log-mark", "log-mark.new"].contains(name) || is_database(name, &CATALOGUES)
        }
        Some(["log", name]) => log::id_at_rest(name).is_some(),
        Some(["segments", tenant, name]) => {
            let name = finished(name);
            let segment = name.strip_suffix(".parquet");
            is_hex(tenant, 32) && segment.is_some_and(|segment| is_hex(segment, 32))
        }
        Some(["keytables", name]) => {
            let name = finished(name);
            let table = name.split_once('.');
            table.is_some_and(|(tenant, number)| is_hex(tenant, 32) && is_hex(number, 16))
        }
        Some(["tmp", name]) => {
            let number = name.strip_suffix(".tmp");
            number.is_some_and(|number| is_hex(number, 16))
        }
        _ => false,
    }
}

/// Whether a file of the centre's directory may have this path below it; it has no folders.
pub(crate) fn is_file_of_centre(below: &Path) -> bool {
    let parts = parts(below);
    matches!(parts.as_deref(), Some([name]) if *name == "lock" || is_database(name, &[CENTRE]))
}

/// A database, or what SQLite keeps beside one.
fn is_database(name: &str, names: &[&str]) -> bool {
    let ends = ["", "-wal", "-shm"];
    let main = ends.iter().filter_map(|end| name.strip_suffix(end));
    main.into_iter().any(|main| names.contains(&main))
}

fn parts(path: &Path) -> Option<Vec<&str>> {
    path.components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect()
}
