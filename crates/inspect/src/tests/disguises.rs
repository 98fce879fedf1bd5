//! Clear text in every disguise that a data directory offers: each must be found without a marker.

#![expect(
    clippy::disallowed_methods,
    reason = "plants clear files, which is what nothing else may do"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::Signer as _;
use futures::executor::block_on;
use model::{GeographyCode, Ticks};
use residency::egress::AllowList;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use testkit::SeededRandom;
use vault::Vault;

use super::kit::{World, region, token};
use crate::{DataDir, Marker, Needles, Places, RawReport, What, open, open_centre, raw};

/// Lines of 36 characters and less, as somebody's list of customers.
fn lines() -> Vec<String> {
    let line = |n: u32| format!("bob jones {n}, 12 High Street, Leeds");
    (0..200).map(line).collect()
}

fn text() -> Vec<u8> {
    lines().join("\n").into_bytes()
}

fn block(bytes: &[u8]) -> Vec<u8> {
    let mut block = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    block.extend_from_slice(bytes);
    block
}

fn noise(len: usize) -> Vec<u8> {
    let seeds = 0_u64..;
    let bytes = seeds.flat_map(|n| crypto::sha256(&n.to_le_bytes()));
    bytes.take(len).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let into = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &into);
        } else {
            std::fs::copy(&path, &into).unwrap();
        }
    }
}

fn sql(path: &Path, statements: &'static str) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(statements)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    });
}

/// A closed directory, to be copied for each case.
struct Originals {
    world: World,
}

impl Originals {
    fn new() -> Self {
        let mut world = World::new();
        world.close();
        Self { world }
    }

    /// What the raw search says of a copy of the EU's directory after `change`.
    fn after(&self, change: impl FnOnce(&Path)) -> RawReport {
        let into = tempfile::TempDir::new().unwrap();
        let dir = &self.world.places.data[0];
        let path = into.path().join("eu");
        copy(&dir.path, &path);
        change(&path);
        let places = Places {
            data: vec![DataDir {
                path,
                ..dir.clone()
            }],
            idle: true,
            ..Places::default()
        };
        raw(&places, &self.world.needles).unwrap()
    }

    fn finds(&self, file: &str, what: What, change: impl FnOnce(&Path)) {
        let report = self.after(change);
        let found = report.findings.iter();
        let mut found = found.map(|f| (f.path.file_name().unwrap().to_str().unwrap(), f.what));
        assert!(
            found.any(|found| found == (file, what)),
            "{file} {what:?}: {:#?}",
            report.findings
        );
    }
}

fn catalogue(dir: &Path) -> PathBuf {
    dir.join("catalogue.sqlite")
}

fn beside(dir: &Path, end: &str) -> PathBuf {
    dir.join(format!("catalogue.sqlite{end}"))
}

const WAL_MAGIC: [u8; 4] = [0x37, 0x7f, 6, 0x82];

#[test]
fn an_untouched_copy_is_clean() {
    let originals = Originals::new();
    assert_eq!(originals.after(|_| {}).findings, vec![]);
}

#[test]
fn text_in_place_of_a_databases_log_or_index() {
    let originals = Originals::new();
    let wal = || [WAL_MAGIC.to_vec(), text()].concat();
    // Beside anything else than the database there is none.
    for name in ["lock-wal", "log-mark-wal"] {
        originals.finds(name, What::UnknownFile, |dir| {
            std::fs::write(dir.join(name), wal()).unwrap();
        });
    }
    let log = "catalogue.sqlite-wal";
    originals.finds(log, What::Malformed, |dir| {
        std::fs::write(beside(dir, "-wal"), wal()).unwrap();
    });
    originals.finds(log, What::Malformed, |dir| {
        let head = [&WAL_MAGIC[..], &[0, 0x2d, 0xe2, 0x18]].concat();
        std::fs::write(beside(dir, "-wal"), [head, text()].concat()).unwrap();
    });
    for version in [[0; 4], 3_007_000_u32.to_ne_bytes()] {
        originals.finds("catalogue.sqlite-shm", What::Malformed, |dir| {
            let mut bytes = version.to_vec();
            bytes.extend(text().repeat(5));
            bytes.resize(32 << 10, b'x');
            std::fs::write(beside(dir, "-shm"), bytes).unwrap();
        });
    }
    originals.finds("lock-shm", What::UnknownFile, |dir| {
        std::fs::write(dir.join("lock-shm"), vec![0; 32 << 10]).unwrap();
    });
}

/// A log that a running store has written, and one frame of it made text.
#[test]
fn text_in_a_frame_of_a_databases_log() {
    let mut world = World::new();
    let path = world.places.data[0].path.clone();
    let log = std::fs::read(beside(&path, "-wal")).unwrap();
    assert!(log.len() > 32 + 24 + 4096, "there is a log to look at");
    assert_eq!(raw(&world.places, &world.needles).unwrap().findings, vec![]);
    world.close();
    let (page, frame) = (4096, 24 + 4096);
    assert_eq!((log.len() - 32) % frame, 0);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut log = log.clone();
        change(&mut log);
        std::fs::write(beside(&path, "-wal"), log).unwrap();
        let found = raw(&world.places, &world.needles).unwrap().findings;
        let name = Some("catalogue.sqlite-wal".as_ref());
        assert!(
            found.iter().any(|f| f.path.file_name() == name),
            "{found:?}"
        );
    };
    let lines = text().repeat(3);
    // In the last frame's page, after it, and as a frame of a log before this one.
    with(&|log| {
        let at = log.len() - page;
        log[at..].copy_from_slice(&lines[..page]);
    });
    with(&|log| log.extend_from_slice(&lines[..page]));
    with(&|log| {
        let mut head = log[32..56].to_vec();
        let salt = u32::from_be_bytes(head[8..12].try_into().unwrap());
        head[8..12].copy_from_slice(&salt.wrapping_sub(1).to_be_bytes());
        log.extend_from_slice(&head);
        log.extend_from_slice(&lines[..page]);
    });
    with(&|log| {
        let mut head = log[32..56].to_vec();
        head[8] ^= 0x40;
        let first = log[56..56 + page].to_vec();
        log.extend_from_slice(&head);
        log.extend_from_slice(&first);
    });
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
}

#[test]
fn text_that_calls_itself_a_temporary_file() {
    let originals = Originals::new();
    let name = "0000000000000009.tmp";
    let file = |blocks: Vec<u8>| [b"BWTF\x01\x00".to_vec(), blocks].concat();
    let put = |blocks: Vec<u8>| {
        move |dir: &Path| std::fs::write(dir.join("tmp").join(name), file(blocks)).unwrap()
    };
    // Blocks are of 64 KiB, but for the last.
    let short = lines().iter().flat_map(|l| block(l.as_bytes())).collect();
    originals.finds(name, What::Clear, put(short));
    let mixed = lines()
        .iter()
        .flat_map(|l| block(&noise(l.len())))
        .collect();
    originals.finds(name, What::Malformed, put(mixed));
    let odd = |line: &String| {
        let mut bytes = line.clone().into_bytes();
        bytes.insert(20, 0xc8);
        bytes
    };
    let high: Vec<u8> = lines().iter().flat_map(odd).collect();
    originals.finds(name, What::Clear, put(block(&high)));
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    packed.extend(noise(400));
    originals.finds(name, What::Clear, put(block(&packed)));
    // Sealed or not, without a process it is nobody's.
    originals.finds(name, What::LeftOver, put(block(&noise(500))));
}

#[test]
fn text_that_calls_itself_a_key_table() {
    let originals = Originals::new();
    let mut clear = b"BWKT\x01\x00\x01\x00\x00\x00".to_vec();
    clear.extend(1_u64.to_le_bytes());
    clear.extend(noise(12));
    clear.extend(b"alice smith, 12 High Street \xf0\xf1 Leeds, bob jones");
    clear.extend(noise(16));
    clear.resize(30 + 48 + 16, 7);
    let eu = &originals.world.places.data[0];
    let tenants = ["01".repeat(16), "aa".repeat(16)];
    let wants = [What::DoesNotOpen, What::NotInCatalogue];
    for (tenant, want) in tenants.iter().zip(wants) {
        let path = eu.path.join(format!("keytables/{tenant}.00000000000000ff"));
        std::fs::write(&path, &clear).unwrap();
        let world = &originals.world;
        let opened = open(eu, &world.vaults[0], &world.needles).unwrap();
        let found: Vec<_> = opened.findings.iter().map(|f| (&f.path, f.what)).collect();
        assert_eq!(found, [(&path, want)]);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn text_in_a_schema_or_in_free_pages() {
    let originals = Originals::new();
    let name = "catalogue.sqlite";
    let with = |what, statements| {
        originals.finds(name, what, |dir| sql(&catalogue(dir), statements));
    };
    with(
        What::UnknownColumn,
        "CREATE INDEX i ON alert (severity) WHERE 'bob jones' <> ''",
    );
    with(
        What::UnknownColumn,
        "CREATE INDEX bob_jones_12_high_street ON alert (severity)",
    );
    with(
        What::UnknownColumn,
        "PRAGMA writable_schema = 1;
         UPDATE sqlite_schema SET sql = sql || ' -- bob jones 12 High Street' WHERE name = 'alert'",
    );
    with(
        What::UnknownColumn,
        "PRAGMA writable_schema = 1;
         UPDATE sqlite_schema SET sql = replace(sql, 'sealed     BLOB', 'sealed BLOB DEFAULT bob_jones')
         WHERE name = 'alert'",
    );
    with(
        What::FreeSpace,
        "PRAGMA secure_delete = OFF;
         CREATE TABLE x (t TEXT);
         INSERT INTO x SELECT hex(randomblob(6)) || 'bob jones' FROM sqlite_schema, sqlite_schema;
         DROP TABLE x",
    );
    // The same with a database that empties what it frees is no finding.
    let clean = originals.after(|dir| {
        let statements = "PRAGMA secure_delete = ON;
             CREATE TABLE x (t TEXT);
             INSERT INTO x SELECT hex(randomblob(6)) || 'bob jones' FROM sqlite_schema, sqlite_schema;
             DROP TABLE x";
        sql(&catalogue(dir), statements);
    });
    assert_eq!(clean.findings, vec![]);
}

#[test]
fn names_and_attributes_are_at_rest() {
    let originals = Originals::new();
    originals.finds("backup.db", What::UnknownName, |dir| {
        std::fs::copy(catalogue(dir), dir.join("backup.db")).unwrap();
    });
    let folder = "bob jones 12 High Street";
    originals.finds(folder, What::UnknownName, |dir| {
        std::fs::create_dir(dir.join("segments").join(folder)).unwrap();
    });
    let file = "bob jones 12 High Street.tmp";
    originals.finds(file, What::UnknownName, |dir| {
        std::fs::write(dir.join(file), b"").unwrap();
    });
    originals.finds("bob.parquet", What::UnknownName, |dir| {
        let segment = std::fs::read_dir(dir.join("segments")).unwrap().next();
        let tenant = segment.unwrap().unwrap().path();
        let segment = std::fs::read_dir(&tenant).unwrap().next().unwrap().unwrap();
        std::fs::copy(segment.path(), tenant.join("bob.parquet")).unwrap();
    });
    let set = |dir: &Path, value: &str| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(dir.join("lock"), "user.note", value.as_bytes(), flags).unwrap();
    };
    originals.finds("lock", What::Attribute, |dir| {
        std::fs::write(dir.join("lock"), b"").unwrap();
        set(dir, "bob jones 12 High Street");
    });
    let report = originals.after(|dir| {
        std::fs::write(dir.join("lock"), b"").unwrap();
        set(dir, &token(1, 10));
    });
    assert_eq!(report.hit_count, 1, "a marker in an attribute");
}

/// A centre's directory with a snapshot, and its keys.
fn centre(into: &Path) -> (DataDir, Arc<Vault>) {
    let vault = |code: &str, geography: &str, seed| {
        let geography = GeographyCode::new(geography).unwrap();
        let random = Arc::new(SeededRandom::new(seed));
        Arc::new(Vault::ephemeral(region(code), geography, random))
    };
    let (operator, keys) = (vault("operator", "OP", 1), vault("centre", "US", 2));
    let dir = DataDir {
        path: into.join("centre"),
        region: region("centre"),
        geography: GeographyCode::new("US").unwrap(),
    };
    let options = centre::Options {
        cells: std::collections::BTreeMap::new(),
        operator: operator.public_key(),
        allow_list: AllowList::facts(1).unwrap().sign(&*operator).unwrap(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let now = Ticks::parse("2026-06-15").unwrap();
        let opened = centre::Centre::open(&dir.path, keys.clone(), options, now).await;
        let opened = opened.unwrap();
        opened.publish(now).await.unwrap();
        opened.close().await.unwrap();
    });
    (dir, keys)
}

#[test]
fn the_centre_is_searched_like_a_cell() {
    const MARKER: &str = "zqcentremarker0123456789";
    let root = tempfile::TempDir::new().unwrap();
    let (dir, keys) = centre(root.path());
    let needles = Needles::new(&[Marker::Text(MARKER.to_owned())]).unwrap();
    let places = Places {
        centre: Some(dir.clone()),
        idle: true,
        ..Places::default()
    };
    let look = || raw(&places, &needles).unwrap();
    let clean = look();
    assert_eq!(clean.findings, vec![]);
    assert!(clean.total().0 >= 2, "{:?}", clean.files);
    let opened = open_centre(&dir, &keys, &needles).unwrap();
    assert_eq!((opened.findings.clone(), opened.values), (vec![], 1));

    let notes = dir.path.join("notes");
    std::fs::write(&notes, MARKER).unwrap();
    let found = look();
    assert_eq!(found.findings[0].what, What::UnknownFile);
    assert_eq!(found.hit_count, 1);
    std::fs::remove_file(&notes).unwrap();

    let database = dir.path.join("centre.db");
    std::fs::copy(&database, dir.path.join("old.db")).unwrap();
    assert_eq!(look().findings[0].what, What::UnknownName);
    std::fs::remove_file(dir.path.join("old.db")).unwrap();

    sql(
        &database,
        "CREATE TABLE x (t TEXT); INSERT INTO x VALUES ('zqcentremarker0123456789')",
    );
    let found = look();
    assert_eq!(found.findings[0].what, What::UnknownColumn);
    assert_eq!(found.hit_count, 1);
    sql(&database, "DROP TABLE x; VACUUM");
    assert_eq!(look().findings, vec![]);

    // Sealed with the centre's own key, where only the opened search can see it.
    let number = |sealed: Vec<u8>| {
        block_on(async {
            let options = SqliteConnectOptions::new().filename(&database);
            let mut connection = options.connect().await.unwrap();
            let statement = "UPDATE meta SET sealed_snapshot = ?1 RETURNING snapshot_number";
            let number: i64 = sqlx::query_scalar(statement)
                .bind(sealed)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
            u64::try_from(number).unwrap()
        })
    };
    let context = crypto::Fields::new("centre-snapshot").with_u64(number(noise(64)));
    let opened = open_centre(&dir, &keys, &needles).unwrap();
    assert_eq!(opened.findings[0].what, What::DoesNotOpen);
    number(keys.seal_cell_blob(&context, MARKER.as_bytes()));
    assert_eq!(look().findings, vec![]);
    let opened = open_centre(&dir, &keys, &needles).unwrap();
    assert_eq!(opened.findings[0].what, What::AtCentre);
    assert_eq!(opened.found[0].rests, crate::Rests::Centre);
}
