//! Damage and mix-ups: a clear refusal for whom it concerns, never wrong rows, never a panic.

use std::path::{Path, PathBuf};

use access::{Hunt, Maintain};
use model::{Code, Disk, GeographyCode, RegionCode};
use parquet::arrow::ArrowWriter;
use rows::Predicate;
use vault::Vault;

use super::kit::{World, batch, once, read_all, table, tenant};
use super::merge::put;
use crate::manifest::Manifest;
use crate::objects::{key_table_path, segment_path};
use crate::open::manifest_context;
use crate::segment::opens_without_key;
use crate::{Error, Store, TenantHealth};

fn file(world: &World, folder: &str) -> PathBuf {
    let files = world.disk.files();
    files.into_iter().find(|f| f.starts_with(folder)).unwrap()
}

fn code_of_read(world: &World, store: &Store, n: u8) -> Code {
    let view = store.view(&world.grant(n)).unwrap();
    read_all(&view).unwrap_err().code()
}

/// Puts other bytes in a file's place.
fn replace(world: &World, path: &Path, bytes: &[u8]) {
    world.disk.remove(path).unwrap();
    put(world, path, bytes);
}

#[tokio::test]
async fn a_damaged_frame_stops_its_tenant_and_no_other() {
    let world = World::new(40);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.append(&store, 2, "Raw_CL", &[2]).await.unwrap();
    let end = world.disk.read(&file(&world, "log")).unwrap().len();
    world.append(&store, 1, "Raw_CL", &[3]).await.unwrap();
    drop(store);
    let log = file(&world, "log");
    let len = world.disk.read(&log).unwrap().len();
    let middle = u64::try_from(usize::midpoint(end, len)).unwrap();
    world.disk.flip(&log, middle, 0xff).unwrap();
    // Not the torn tail: something good comes after it.
    let store = world.open().await.unwrap();
    world.append(&store, 2, "Raw_CL", &[4]).await.unwrap();
    drop(store);
    let store = world.open().await.unwrap();
    let refused = store.view(&world.grant::<Hunt>(1)).unwrap_err();
    let health = store.health(tenant(1)).unwrap();
    if matches!(health, TenantHealth::Good) {
        panic!("the damage was not noticed");
    }
    assert_eq!(refused.code(), Code::LogDamaged, "{refused}");
    let refused = world.append(&store, 1, "Raw_CL", &[5]).await.unwrap_err();
    assert_eq!(refused.code(), Code::LogDamaged, "{refused}");
    let refused = store.flush_all(&world.grant::<Maintain>(1)).await;
    assert_eq!(refused.unwrap_err().code(), Code::LogDamaged);
    assert_eq!(world.rows(&store, 2), once([2, 4]));
    world.append(&store, 2, "Raw_CL", &[6]).await.unwrap();
    world.flush(&store, 2).await.unwrap();
    assert_eq!(world.rows(&store, 2), once([2, 4, 6]));
    let files = world.disk.files();
    assert!(
        files.contains(&log),
        "the damaged file is kept to be looked at"
    );
}

/// Makes a frame of tenant 1 unreadable: rows 3 of it are lost; 1 and 5 of tenant 1 are there, and those
/// of tenant 2.
async fn with_a_damaged_frame(world: &World) {
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.append(&store, 2, "Raw_CL", &[2]).await.unwrap();
    let end = world.disk.read(&file(world, "log")).unwrap().len();
    world.append(&store, 1, "Raw_CL", &[3]).await.unwrap();
    let len = world.disk.read(&file(world, "log")).unwrap().len();
    world.append(&store, 2, "Raw_CL", &[4]).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[5]).await.unwrap();
    drop(store);
    let middle = u64::try_from(usize::midpoint(end, len)).unwrap();
    world.disk.flip(&file(world, "log"), middle, 0xff).unwrap();
}

async fn accept(world: &World, store: &Store) -> Vec<crate::DamagedTenant> {
    store.accept_log_damage(&world.operate()).await.unwrap()
}

#[tokio::test]
async fn an_operator_accepts_what_is_lost_and_the_tenant_goes_on() {
    let world = World::detecting(400);
    with_a_damaged_frame(&world).await;
    let damaged = file(&world, "log");
    let store = world.open().await.unwrap();
    assert!(store.view(&world.grant::<Hunt>(1)).is_err());
    assert!(store.undetected(&world.grant::<Maintain>(1), 1).is_err());
    assert_eq!(store.tenants_behind(), [tenant(2)]);
    let told = store.log_damage();
    assert_eq!(
        (told.len(), told[0].tenant, told[0].frames),
        (1, tenant(1), 1)
    );
    // What cannot be recorded is not accepted.
    world.database.fail(1, false);
    let refused = store.accept_log_damage(&world.operate()).await;
    assert_eq!(refused.unwrap_err().code(), Code::CatalogueFailed);
    assert!(store.view(&world.grant::<Hunt>(1)).is_err());

    assert_eq!(accept(&world, &store).await, told);
    assert_eq!(store.health(tenant(1)).unwrap(), TenantHealth::Good);
    assert_eq!(world.rows(&store, 1), once([1, 5]));
    let leaves = store.leaves(&world.grant(1), 0, 100).await.unwrap();
    let leaf = leaves.last().unwrap();
    assert_eq!(leaf.happening, ledger::Happening::LogDamageAccepted);
    assert_eq!(leaf.details["frames"], "1");
    let other = store.leaves(&world.grant(2), 0, 100).await.unwrap();
    assert_eq!(other.len(), 1, "it does not concern tenant 2");
    drop(store);
    // Before a file went: known again, by its number.
    let store = world.open().await.unwrap();
    assert_eq!(store.log_damage(), []);
    assert_eq!(world.rows(&store, 1), once([1, 5]));
    // What is left of the log is examined; then the damaged file goes.
    for n in 1..=2 {
        let waiting = store.undetected(&world.grant(n), usize::MAX).unwrap();
        let commit = crate::DetectionCommit {
            cursor: waiting.last().map(|u| u.sequence),
            ..crate::DetectionCommit::default()
        };
        store
            .commit_detection(&world.grant(n), commit)
            .await
            .unwrap();
        world.flush(&store, n).await.unwrap();
    }
    world.append(&store, 1, "Raw_CL", &[3]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let files = world.disk.files();
    assert!(!files.contains(&damaged), "the log is trimmed");
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 3, 5]));
}

#[tokio::test]
async fn other_damage_after_an_accepted_one_stops_the_tenant_again() {
    let world = World::new(401);
    with_a_damaged_frame(&world).await;
    let store = world.open().await.unwrap();
    accept(&world, &store).await;
    drop(store);
    // The first frame of tenant 1, in the same file.
    let log = file(&world, "log");
    let bytes = world.disk.read(&log).unwrap();
    let frames: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, w)| w == b"BWLF")
        .map(|(at, _)| at)
        .collect();
    let middle = u64::try_from(usize::midpoint(frames[0] + 76, frames[1])).unwrap();
    world.disk.flip(&log, middle, 0xff).unwrap();
    let store = world.open().await.unwrap();
    assert_eq!(store.log_damage()[0].frames, 1);
    assert!(store.view(&world.grant::<Hunt>(1)).is_err());
    accept(&world, &store).await;
    assert_eq!(world.rows(&store, 1), once([5]));
    drop(store);
    assert_eq!(world.open().await.unwrap().log_damage(), []);
}

/// A file is gone from the middle of the log: the next one's table says whose frames are missing.
#[tokio::test]
async fn a_lost_file_is_accepted_too() {
    let mut world = World::new(402);
    world.log.segment_bytes_max = 1_024;
    let store = world.start().await;
    for id in 0..6 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
        world.append(&store, 2, "Raw_CL", &[id]).await.unwrap();
    }
    drop(store);
    let mut files: Vec<_> = world
        .disk
        .files()
        .into_iter()
        .filter(|f| f.starts_with("log"))
        .collect();
    files.sort();
    assert!(files.len() > 3);
    world.disk.remove(&files[1]).unwrap();
    let store = world.open().await.unwrap();
    assert!(!store.log_damage().is_empty());
    let concerned = accept(&world, &store).await;
    let left: Vec<_> = (1..=2).map(|n| world.rows(&store, n).len()).collect();
    assert!(left.iter().sum::<usize>() < 12, "{left:?}");
    assert!(concerned.iter().all(|d| d.frames > 0));
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(store.log_damage(), []);
    for n in 1..=2 {
        world.flush(&store, n).await.unwrap();
    }
    assert_eq!(
        world
            .disk
            .files()
            .iter()
            .filter(|f| f.starts_with("log"))
            .count(),
        1
    );
    drop(store);
    let store = world.open().await.unwrap();
    for n in 1..=2_u8 {
        assert_eq!(world.rows(&store, n).len(), left[usize::from(n) - 1]);
    }
}

/// A log that is held because of files that nobody knows is not let go by accepting damage.
#[tokio::test]
async fn accepting_damage_does_not_release_a_log_that_is_held_otherwise() {
    let world = World::new(403);
    with_a_damaged_frame(&world).await;
    let ring = Vault::ephemeral(
        RegionCode::new("eu").unwrap(),
        GeographyCode::new("EU").unwrap(),
        world.random.clone(),
    );
    let other = World {
        vault: ring.into(),
        ..world.clone()
    };
    let store = other.open().await.unwrap();
    assert_eq!(accept(&other, &store).await, []);
    let log = file(&world, "log");
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(
        store.log_damage().len(),
        1,
        "the damage is the tenant's still"
    );
    assert!(world.disk.files().contains(&log));
}

#[tokio::test]
async fn a_tenant_without_keys_is_refused_and_its_files_are_kept() {
    let world = World::new(41);
    let store = world.start().await;
    for n in 1..=2 {
        world.append(&store, n, "Raw_CL", &[1]).await.unwrap();
        world.flush(&store, n).await.unwrap();
        world.append(&store, n, "Raw_CL", &[2]).await.unwrap();
    }
    drop(store);
    let files = world.disk.files();
    // A ring that has no keys at all, then one with other keys of the same tenants.
    let region = RegionCode::new("eu").unwrap();
    let geography = GeographyCode::new("EU").unwrap();
    for with_keys in [false, true] {
        let ring = Vault::ephemeral(region.clone(), geography.clone(), world.random.clone());
        if with_keys {
            ring.create_tenant(tenant(1)).unwrap();
        }
        let other = World {
            vault: ring.into(),
            ..world.clone()
        };
        let store = other.open().await.unwrap();
        let refused = store.view(&other.grant::<Hunt>(1)).unwrap_err();
        assert_eq!(refused.code(), Code::TenantDamaged, "{refused}");
        assert!(matches!(refused, Error::TenantRefused { .. }), "{refused}");
        let refused = other.append(&store, 1, "Raw_CL", &[3]).await.unwrap_err();
        assert_eq!(refused.code(), Code::TenantDamaged);
        assert_eq!(store.tenants().len(), 0);
        drop(store);
        let left = world.disk.files();
        assert!(files.iter().all(|f| left.contains(f)), "{left:?}");
    }
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}

#[tokio::test]
async fn a_lost_key_table_stops_its_tenant_and_no_other() {
    let world = World::new(42);
    let store = world.start().await;
    for n in 1..=2 {
        world.append(&store, n, "Raw_CL", &[1]).await.unwrap();
        world.flush(&store, n).await.unwrap();
    }
    drop(store);
    let path = key_table_path(tenant(1), 1);
    let bytes = world.disk.read(&path).unwrap();
    for damage in 0..3 {
        let mut damaged = bytes.clone();
        match damage {
            0 => world.disk.remove(&path).unwrap(),
            1 => *damaged.last_mut().unwrap() ^= 1,
            _ => damaged.truncate(20),
        }
        if damage > 0 {
            put(&world, &path, &damaged);
        }
        let store = world.open().await.unwrap();
        let refused = store.view(&world.grant::<Hunt>(1)).unwrap_err();
        assert!(matches!(refused, Error::TenantRefused { .. }), "{refused}");
        assert_eq!(refused.code(), Code::TenantDamaged, "{refused}");
        assert_eq!(world.rows(&store, 2), once([1]));
        drop(store);
        if damage > 0 {
            world.disk.remove(&path).unwrap();
        }
    }
    put(&world, &path, &bytes);
    let store = world.open().await.unwrap();
    assert_eq!(
        world.rows(&store, 1),
        once([1]),
        "nothing of it was removed"
    );
}

#[tokio::test]
async fn a_segment_that_is_not_the_catalogues_is_refused_at_every_byte() {
    let world = World::new(43);
    let store = world.start().await;
    let ids: Vec<u64> = (0..50).collect();
    world.append(&store, 1, "Raw_CL", &ids).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let path = file(&world, "segments");
    let good = world.disk.read(&path).unwrap();
    assert!(good.starts_with(b"PARE") && good.ends_with(b"PARE"));
    let refused = |what: &str| {
        let (_, segment) = only_segment(&store);
        let fresh = reopened(&world, &store, &segment);
        let result = fresh.read(None);
        assert!(
            matches!(result, Err(Error::SegmentDamaged { .. })),
            "{what}: {result:?}"
        );
        let result = fresh.footer();
        assert!(
            matches!(result, Err(Error::SegmentDamaged { .. })),
            "{what}"
        );
    };
    let step = good.len() / 150 + 1;
    for at in (0..good.len()).step_by(step) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x41;
        replace(&world, &path, &damaged);
        refused(&format!("byte {at}"));
    }
    for len in [0, 3, 4, 12, good.len() / 2, good.len() - 1] {
        replace(&world, &path, &good[..len]);
        refused(&format!("cut to {len}"));
    }
    replace(&world, &path, &plaintext(&ids));
    refused("plaintext");
    world.disk.remove(&path).unwrap();
    refused("gone");
    put(&world, &path, &good);
    assert_eq!(world.rows(&store, 1), once(0..50));
}

/// The same rows as Parquet in clear: what the library reads without complaint.
fn plaintext(ids: &[u64]) -> Vec<u8> {
    let rows = batch("Raw_CL", ids, model::Ticks(0));
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    assert!(opens_without_key(&out), "the control must open");
    out
}

fn only_segment(
    store: &Store,
) -> (
    crate::manifest::PartitionKey,
    std::sync::Arc<crate::segment::SegmentFile>,
) {
    let rows = store.inner.memory.of(tenant(1));
    let (key, partition) = rows.partitions.iter().next().unwrap();
    (key.clone(), partition.segments[0].clone())
}

/// The same segment as a process sees it that has not parsed it yet.
fn reopened(
    world: &World,
    store: &Store,
    file: &crate::segment::SegmentFile,
) -> std::sync::Arc<crate::segment::SegmentFile> {
    let vault = world.vault.tenant(tenant(1)).unwrap();
    let generation = world.database.tenant_row(tenant(1)).key_table_generation;
    let sealed = world
        .disk
        .read(&key_table_path(tenant(1), generation))
        .unwrap();
    let keys = vault.open_key_table(&sealed).unwrap();
    let key = keys.get(file.row.key).unwrap();
    let (row, manifest) = (file.row.clone(), file.manifest.clone());
    let objects = store.inner.objects.clone();
    crate::segment::SegmentFile::new(row, manifest, key, objects)
        .unwrap()
        .into()
}

/// The library reads a file in clear although it is given keys: the magic alone stops that one if
/// somebody made the digest fit.
#[tokio::test]
async fn a_plaintext_file_is_refused_even_if_its_digest_is_right() {
    let world = World::new(50);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let (_, segment) = only_segment(&store);
    let clear = plaintext(&[1, 2]);
    replace(&world, &file(&world, "segments"), &clear);
    let vault = world.vault.tenant(tenant(1)).unwrap();
    let sealed = world.disk.read(&key_table_path(tenant(1), 1)).unwrap();
    let keys = vault.open_key_table(&sealed).unwrap();
    let row = crate::catalogue::SegmentRow {
        digest: crypto::sha256(&clear),
        ..segment.row.clone()
    };
    let (key, manifest) = (keys.get(row.key).unwrap(), segment.manifest.clone());
    let objects = store.inner.objects.clone();
    let swapped = crate::segment::SegmentFile::new(row, manifest, key, objects).unwrap();
    let refused = swapped.read(None).unwrap_err();
    assert!(matches!(refused, Error::SegmentDamaged { .. }), "{refused}");
}

/// Even if the catalogue's digest is made to fit: the bytes are bound to geography, tenant, table and
/// segment.
#[tokio::test]
async fn a_segment_in_anothers_place_does_not_open() {
    let world = World::new(44);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let (_, segment) = only_segment(&store);
    let with = |change: &dyn Fn(&mut crate::catalogue::SegmentRow, &mut Manifest)| {
        let (mut row, mut manifest) = (segment.row.clone(), segment.manifest.clone());
        change(&mut row, &mut manifest);
        let vault = world.vault.tenant(tenant(1)).unwrap();
        let sealed = world.disk.read(&key_table_path(tenant(1), 1)).unwrap();
        let keys = vault.open_key_table(&sealed).unwrap();
        let bytes = world
            .disk
            .read(&segment_path(tenant(1), segment.row.segment));
        let to = segment_path(row.tenant, row.segment);
        if world.disk.read(&to).is_err() {
            put(&world, &to, &bytes.unwrap());
        }
        let key = keys.get(segment.row.key).unwrap();
        let objects = store.inner.objects.clone();
        let file = crate::segment::SegmentFile::new(row, manifest, key, objects).unwrap();
        file.read(None)
    };
    assert!(with(&|_, _| {}).is_ok(), "the control must open");
    let other_segment = model::SegmentId::from_bytes([9; 16]);
    for (what, result) in [
        ("tenant", with(&|row, _| row.tenant = tenant(2))),
        ("segment", with(&|row, _| row.segment = other_segment)),
        ("table", with(&|_, m| m.partition.table = table("Other_CL"))),
        (
            "geography",
            with(&|_, m| m.geography = GeographyCode::new("US").unwrap()),
        ),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Segment { .. }), "{what}: {error:?}");
        assert_eq!(error.code(), Code::SegmentDamaged, "{what}");
    }
}

#[tokio::test]
async fn a_segment_sealed_for_another_geography_is_refused_at_the_start() {
    let world = World::new(45);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.append(&store, 2, "Raw_CL", &[1]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let (_, segment) = only_segment(&store);
    drop(store);
    // Whoever has the tenant's keys says that the file is of the US.
    let vault = world.vault.tenant(tenant(1)).unwrap();
    let manifest = Manifest {
        geography: GeographyCode::new("US").unwrap(),
        ..segment.manifest.clone()
    };
    let mut row = segment.row.clone();
    row.sealed = vault.seal_blob(&manifest_context(&row), &manifest.to_bytes());
    world.database.tamper(|rows| rows[0] = row.clone());
    let store = world.open().await.unwrap();
    let refused = store.view(&world.grant::<Hunt>(1)).unwrap_err();
    assert!(matches!(refused, Error::TenantRefused { .. }), "{refused}");
    assert_eq!(world.rows(&store, 2), once([1]));
}

/// A catalogue row whose clear columns were changed does not fit its sealed manifest.
#[tokio::test]
async fn a_changed_catalogue_row_is_refused() {
    let world = World::new(46);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.append(&store, 2, "Raw_CL", &[1]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    drop(store);
    let changes: [fn(&mut crate::catalogue::SegmentRow); 5] = [
        |row| row.digest[0] ^= 1,
        |row| row.rows += 1,
        |row| row.level = 1,
        |row| row.partition[0] ^= 1,
        |row| row.sealed[9] ^= 1,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let world = world.copy();
        world.database.tamper(|rows| change(&mut rows[0]));
        let store = world.open().await.unwrap();
        let refused = store.view(&world.grant::<Hunt>(1)).unwrap_err();
        assert_eq!(refused.code(), Code::TenantDamaged, "{n}: {refused}");
        assert_eq!(world.rows(&store, 2), once([1]), "{n}");
    }
}

/// Repeats of a damaged segment's rows cannot be told: nothing is added, the rest is read.
#[tokio::test]
async fn a_damaged_recent_segment_stops_appends_and_other_tables_are_read() {
    let world = World::new(47);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    world.append(&store, 1, "DeviceEvents", &[2]).await.unwrap();
    drop(store);
    let path = file(&world, "segments");
    world.disk.flip(&path, 100, 1).unwrap();
    let store = world.open().await.unwrap();
    let refused = world.append(&store, 1, "Raw_CL", &[1]).await.unwrap_err();
    assert_eq!(refused.code(), Code::SegmentDamaged, "{refused}");
    assert_eq!(code_of_read(&world, &store, 1), Code::SegmentDamaged);
    let view = store.view(&world.grant(1)).unwrap();
    let found = view.table(&table("DeviceEvents"), &Predicate::all());
    assert_eq!(found.unwrap().memory.len(), 1);
    world.append(&store, 2, "Raw_CL", &[1]).await.unwrap();
    drop(store);
    world.disk.flip(&path, 100, 1).unwrap();
    let store = world.open().await.unwrap();
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[1]).await.unwrap(),
        (0, 1)
    );
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}

#[tokio::test]
async fn what_a_newer_program_wrote_stops_the_start_and_is_kept() {
    let world = World::new(48);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let (_, segment) = only_segment(&store);
    drop(store);
    let newer = world.copy();
    let vault = world.vault.tenant(tenant(1)).unwrap();
    let manifest = Manifest {
        version: Manifest::VERSION + 1,
        ..segment.manifest.clone()
    };
    let mut row = segment.row.clone();
    row.sealed = vault.seal_blob(&manifest_context(&row), &manifest.to_bytes());
    newer.database.tamper(|rows| rows[0] = row.clone());
    let refused = newer.open().await.unwrap_err();
    assert_eq!(refused.code(), Code::NewerFormat, "{refused}");

    let newer = world.copy();
    let path = key_table_path(tenant(1), 1);
    let mut bytes = world.disk.read(&path).unwrap();
    bytes[4] = 2;
    replace(&newer, &path, &bytes);
    let refused = newer.open().await.unwrap_err();
    assert_eq!(refused.code(), Code::NewerFormat, "{refused}");
    assert_eq!(newer.disk.read(&path).unwrap(), bytes);

    let mut payload = vec![1, 2, 0];
    payload.extend([0; 18]);
    let refused = crate::payload::Payload::from_bytes(&payload).unwrap_err();
    assert_eq!(refused.code(), Code::NewerFormat, "{refused}");
}

/// What a reader of a frame makes of any bytes: an answer, never a panic or a huge allocation.
#[test]
fn a_frame_of_any_bytes_is_read_or_refused() {
    let random = testkit::SeededRandom::new(testkit::seed(49));
    for _ in 0..5_000 {
        let mut bytes = random.bytes(random.index(80) + 1);
        bytes[0] = 1;
        if let Some(version) = bytes.get_mut(1..3) {
            version.copy_from_slice(&[1, 0]);
        }
        assert!(crate::payload::Payload::from_bytes(&bytes).is_err() || bytes.len() >= 21);
    }
}
