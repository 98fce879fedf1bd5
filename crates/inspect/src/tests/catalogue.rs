//! The catalogue against its list.

use futures::executor::block_on;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::kit::World;
use crate::catalogue::{Catalogue, SegmentRow};
use crate::{What, open, raw};

fn execute(world: &World, sql: &'static str) {
    let path = world.file(0, "catalogue.sqlite");
    block_on(async {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn after(sql: &'static str) -> Vec<(What, String)> {
    let mut world = World::new();
    world.close();
    execute(&world, sql);
    let report = raw(&world.places, &world.needles).unwrap();
    // What the pages say of the same text is tested with the disguises.
    let findings = report.findings.into_iter().map(|f| (f.what, f.detail));
    findings
        .filter(|(_, detail)| detail != "text that is no schema")
        .collect()
}

#[test]
fn what_is_on_no_list_is_found() {
    let one = |what, detail: &str| vec![(what, detail.to_owned())];
    assert_eq!(
        after("CREATE TABLE notes (text TEXT)"),
        one(What::UnknownColumn, "a table that is on no list")
    );
    // Statistics quote the values that they are about.
    assert_eq!(
        after("ANALYZE").pop(),
        one(What::UnknownColumn, "a table that is on no list").pop()
    );
    assert_eq!(
        after("ALTER TABLE tenant ADD COLUMN nickname TEXT"),
        [
            "a column of `tenant` that is on no list",
            "a table's statement has more in it than it may"
        ]
        .map(|detail| (What::UnknownColumn, detail.to_owned()))
    );
    assert_eq!(
        after("CREATE VIEW w AS SELECT 1"),
        one(What::UnknownColumn, "a view or trigger")
    );
}

#[test]
fn values_that_do_not_belong_into_their_column_are_found() {
    let one = |what, detail: &str| vec![(what, detail.to_owned())];
    assert_eq!(
        after(
            "UPDATE source SET sealed = CAST('the name of a source, in clear for all to read' AS BLOB)"
        ),
        one(What::Clear, "1 values of `source.sealed`")
    );
    assert_eq!(
        after("UPDATE meta SET region = 'us'"),
        one(What::BadValue, "1 values of `meta.region`")
    );
    assert_eq!(
        after("UPDATE meta SET geography = 'A person''s name'"),
        one(What::BadValue, "1 values of `meta.geography`")
    );
    assert_eq!(
        after("UPDATE _sqlx_migrations SET description = 'A person''s name' WHERE version = 2"),
        one(What::BadValue, "1 values of `_sqlx_migrations.description`")
    );
    assert_eq!(
        after("PRAGMA application_id = 7"),
        one(What::UnknownFile, "a database of another program or format")
    );
}

/// Changes the manifest of the EU's segment, sealed anew with the right keys, and says what opening
/// makes of it.
fn after_resealing(change: impl FnOnce(&mut SegmentRow, &mut serde_json::Value)) -> Vec<String> {
    let mut world = World::new();
    world.close();
    let path = world.file(0, "catalogue.sqlite");
    let rows = Catalogue::read(&path).unwrap().unwrap().rows().unwrap();
    let mut row = rows.segments[0].clone();
    let keys = world.vaults[0].tenant(row.tenant).unwrap();
    let manifest = keys.open_blob(&row.context(), &row.sealed).unwrap();
    let mut manifest = serde_json::from_slice(&manifest).unwrap();
    change(&mut row, &mut manifest);
    let sealed = keys.seal_blob(&row.context(), manifest.to_string().as_bytes());
    block_on(async {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        sqlx::query("UPDATE segment SET sealed = ?1, data_key = ?2")
            .bind(sealed)
            .bind(row.key.as_bytes().to_vec())
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
    let opened = open(&world.places.data[0], &world.vaults[0], &world.needles).unwrap();
    opened.findings.into_iter().map(|f| f.detail).collect()
}

#[test]
fn a_manifest_of_another_place_is_found() {
    let elsewhere = ["its manifest names another place"];
    assert_eq!(
        after_resealing(|_, manifest| manifest["region"] = "us".into()),
        elsewhere
    );
    assert_eq!(
        after_resealing(|_, manifest| manifest["geography"] = "US".into()),
        elsewhere
    );
    assert_eq!(after_resealing(|_, _| ()), [""; 0]);
    let other_key = |row: &mut SegmentRow, _: &mut serde_json::Value| {
        row.key = model::KeyId::from_bytes([9; 16]);
    };
    assert_eq!(
        after_resealing(other_key),
        [
            "a segment",
            "its key is not the one that the catalogue names"
        ]
    );
}

#[test]
fn a_damaged_database_is_a_finding() {
    let mut world = World::new();
    world.close();
    let path = world.file(0, "catalogue.sqlite");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4_096..].fill(0x55);
    std::fs::remove_file(&path).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &bytes).unwrap();
    let report = raw(&world.places, &world.needles).unwrap();
    assert_eq!(report.findings[0].what, What::Malformed);
}

/// What is in the log only is read, too, and reading leaves no trace.
#[test]
fn the_log_of_a_running_catalogue_counts() {
    let world = World::new();
    let path = world.file(0, "catalogue.sqlite");
    let names = || {
        let names = std::fs::read_dir(&world.places.data[0].path).unwrap();
        let mut names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (names(), std::fs::read(&path).unwrap());
    let wal = std::fs::metadata(path.with_file_name("catalogue.sqlite-wal")).unwrap();
    assert!(wal.len() > 0);
    let rows = Catalogue::read(&path).unwrap().unwrap().rows().unwrap();
    assert_eq!(
        (rows.tenants.len(), rows.segments.len(), rows.damaged),
        (1, 1, 0)
    );
    assert_eq!((names(), std::fs::read(&path).unwrap()), before);
    // A frame that was not wholly written ends the log: the state before it.
    let alone = tempfile::TempDir::new().unwrap();
    let copy = alone.path().join("c");
    std::fs::copy(&path, &copy).unwrap();
    let mut log = std::fs::read(path.with_file_name("catalogue.sqlite-wal")).unwrap();
    let last = log.len() - 1;
    log[last] ^= 1;
    std::io::Write::write_all(
        &mut std::fs::File::create(alone.path().join("c-wal")).unwrap(),
        &log,
    )
    .unwrap();
    let torn = Catalogue::read(&copy).unwrap().unwrap().rows().unwrap();
    assert!(torn.blobs.len() + torn.segments.len() < rows.blobs.len() + rows.segments.len());
}
