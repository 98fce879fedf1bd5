//! The mark that says a region has a catalogue.

use std::path::Path;
use std::sync::Arc;

use model::Code;
use testkit::SimDisk;

use crate::Landmark;

#[test]
#[expect(clippy::disallowed_methods, reason = "what an outsider does to a file")]
fn a_catalogue_that_should_be_there_is_missed() {
    let disk = SimDisk::new();
    let mark = || Landmark::beside(Arc::new(disk.clone()), Path::new("eu.ring"));
    let data = tempfile::tempdir().unwrap();
    let catalogue = data.path().join("catalogue.db");
    // A new region.
    mark().check(&catalogue).unwrap();
    std::fs::write(&catalogue, b"a catalogue").unwrap();
    mark().set().unwrap();
    mark().set().unwrap();
    disk.crash(1);
    mark().check(&catalogue).unwrap();
    // Emptied, deleted, and its volume not mounted.
    std::fs::write(&catalogue, b"").unwrap();
    let gone = mark().check(&catalogue).unwrap_err();
    assert_eq!(gone.code(), Code::CatalogueFailed, "{gone}");
    std::fs::remove_file(&catalogue).unwrap();
    mark().check(&catalogue).unwrap_err();
    drop(data);
    mark().check(&catalogue).unwrap_err();
    // Another region's ring says nothing of it.
    let other = Landmark::beside(Arc::new(disk.clone()), Path::new("uk.ring"));
    other.check(&catalogue).unwrap();
}
