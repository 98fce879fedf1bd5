//! Flush and compaction: the same rows before and after, for everyone who reads meanwhile.

use std::collections::BTreeSet;
use std::path::PathBuf;

use model::{Code, SegmentId, Span100ns, limits};
use rows::Predicate;

use super::kit::{World, once, read_all, table, tenant};
use crate::objects::{key_table_path, segment_path};

fn segments(world: &World) -> BTreeSet<PathBuf> {
    let files = world.disk.files().into_iter();
    files.filter(|f| f.starts_with("segments")).collect()
}

fn key_tables(world: &World) -> Vec<PathBuf> {
    let files = world.disk.files().into_iter();
    files.filter(|f| f.starts_with("keytables")).collect()
}

#[tokio::test]
async fn a_flush_and_a_compaction_keep_every_row() {
    let world = World::new(20);
    let store = world.start().await;
    for round in 0..4_u64 {
        let ids: Vec<u64> = (round * 10..round * 10 + 5).collect();
        world.append(&store, 1, "Raw_CL", &ids).await.unwrap();
        world.append(&store, 2, "Raw_CL", &ids).await.unwrap();
        let before = world.rows(&store, 1);
        world.flush(&store, 1).await.unwrap();
        assert_eq!(world.rows(&store, 1), before, "round {round}");
        let generation = world.database.tenant_row(tenant(1)).key_table_generation;
        assert_eq!(generation, round + 1);
        assert_eq!(key_tables(&world), [key_table_path(tenant(1), generation)]);
    }
    let before = world.rows(&store, 1);
    let old_view = store.view(&world.grant(1)).unwrap();
    let old_files = segments(&world);
    assert_eq!(old_files.len(), 4);
    let report = store.compact_step(&world.grant(1)).await.unwrap();
    assert_eq!((report.removed, report.added, report.rows), (4, 1, 20));
    assert_eq!(world.rows(&store, 1), before);
    assert_eq!(
        read_all(&old_view).unwrap(),
        before,
        "the old view reads on"
    );
    assert!(segments(&world).is_superset(&old_files));
    drop(old_view);
    assert_eq!(segments(&world).len(), 1, "gone with the last reader");
    assert_eq!(key_tables(&world), [key_table_path(tenant(1), 5)]);
    let nothing = store.compact_step(&world.grant(1)).await.unwrap();
    assert_eq!(nothing.removed, 0);
    world.disk.crash(3);
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), before);
    assert_eq!(world.rows(&store, 2).len(), 20);
}

/// The rows of chunks that a flush has drawn must not be merged with what comes while it writes.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_during_a_flush_are_neither_lost_nor_doubled() {
    let world = World::new(21);
    let store = world.start().await;
    let writer = {
        let (world, store) = (world.clone(), store.clone());
        tokio::spawn(async move {
            for id in 0..400 {
                world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
            }
        })
    };
    let mut flushes = 0;
    while !writer.is_finished() {
        world.flush(&store, 1).await.unwrap();
        let rows = world.rows(&store, 1);
        assert!(rows.values().all(|n| *n == 1), "{rows:?}");
        store.compact_step(&world.grant(1)).await.unwrap();
        let rows = world.rows(&store, 1);
        assert!(rows.values().all(|n| *n == 1), "{rows:?}");
        flushes += 1;
    }
    writer.await.unwrap();
    assert!(flushes > 3, "{flushes}");
    assert_eq!(world.rows(&store, 1), once(0..400));
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once(0..400));
}

/// The same without luck: a chunk is drawn, then a row comes, then the flush ends.
#[tokio::test]
async fn a_drawn_chunk_is_not_merged() {
    let world = World::new(22);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let key = {
        let rows = store.inner.memory.of(tenant(1));
        rows.partitions.keys().next().unwrap().clone()
    };
    let drawn = store
        .inner
        .memory
        .update(tenant(1), |rows| rows.freeze(std::slice::from_ref(&key)));
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[3]).await.unwrap();
    let rows = store.inner.memory.of(tenant(1));
    let chunks = &rows.partitions[&key].chunks;
    assert!(std::sync::Arc::ptr_eq(&chunks[0], &drawn[0].1.chunks[0]));
    assert_eq!(chunks.len(), 2, "the two that came later are one");
    world.flush(&store, 1).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[4]).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[5]).await.unwrap();
    let rows = store.inner.memory.of(tenant(1));
    assert_eq!(rows.partitions[&key].chunks.len(), 1);
}

#[tokio::test]
async fn orphans_go_at_the_start_and_nothing_else() {
    let world = World::new(23);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    drop(store);
    let kept = world.disk.files();
    let orphan = |n| segment_path(tenant(1), SegmentId::from_bytes([n; 16]));
    let mut half = orphan(2).into_os_string();
    half.push(".new");
    put(&world, &orphan(1), b"left by a crash");
    put(&world, &PathBuf::from(half), b"half");
    put(&world, &key_table_path(tenant(1), 2), b"next");
    let strange = [
        PathBuf::from("segments")
            .join(tenant(1).to_string())
            .join("notes"),
        PathBuf::from("keytables/readme"),
    ];
    for path in &strange {
        put(&world, path, b"mine");
    }
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]));
    let left: BTreeSet<_> = world.disk.files().into_iter().collect();
    let expected: BTreeSet<_> = kept.into_iter().chain(strange).collect();
    assert_eq!(
        left.iter()
            .filter(|f| !f.starts_with("log"))
            .collect::<Vec<_>>(),
        expected
            .iter()
            .filter(|f| !f.starts_with("log"))
            .collect::<Vec<_>>()
    );
}

pub(super) fn put(world: &World, path: &std::path::Path, bytes: &[u8]) {
    use model::Disk;
    world.disk.create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = world.disk.create_new(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    world.disk.sync_dir(path.parent().unwrap()).unwrap();
}

/// Opening with a catalogue that is empty or old (a lost one, a backup) must not take the files for
/// orphans: they may be all that is left.
#[tokio::test]
async fn a_catalogue_that_lacks_the_tenant_removes_none_of_its_files() {
    let world = World::new(24);
    let store = world.start().await;
    let old = world.database.copy();
    for id in 0..3 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
        world.flush(&store, 1).await.unwrap();
    }
    drop(store);
    let files = segments(&world);
    assert_eq!(files.len(), 3);
    let empty = World {
        database: super::memory_catalogue::MemoryDatabase::default(),
        ..world.clone()
    };
    drop(empty.open().await.unwrap());
    assert_eq!(
        (segments(&world), key_tables(&world).len()),
        (files.clone(), 1)
    );
    let old = World {
        database: old,
        ..world.clone()
    };
    let store = old.open().await.unwrap();
    let refused = store.view(&old.grant(1)).unwrap_err();
    assert_eq!(refused.code(), Code::TenantDamaged, "{refused}");
    assert!(old.append(&store, 2, "Raw_CL", &[1]).await.is_ok());
    drop(store);
    assert_eq!((segments(&world), key_tables(&world).len()), (files, 1));
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once(0..3));
}

/// A transaction that failed may come back at a crash: what it names has to be there then.
#[tokio::test]
async fn files_of_a_transaction_in_doubt_are_kept_until_it_is_settled() {
    for happened in [false, true] {
        let world = World::new(25);
        let store = world.start().await;
        world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap();
        world.flush(&store, 1).await.unwrap();
        world.append(&store, 1, "Raw_CL", &[3]).await.unwrap();
        // Good is the empty transaction that begins a flush; the flush itself is in doubt.
        world.database.fail_after(1, 2, true);
        assert!(world.flush(&store, 1).await.is_err());
        assert_eq!(segments(&world).len(), 2, "kept while in doubt");
        // A second attempt finds the catalogue still failing and writes nothing more.
        assert!(world.flush(&store, 1).await.is_err());
        assert_eq!((segments(&world).len(), key_tables(&world).len()), (2, 2));
        drop(store);
        world.database.crash(happened);
        let store = world.open().await.unwrap();
        assert_eq!(world.rows(&store, 1), once(1..=3), "happened: {happened}");
        assert_eq!(key_tables(&world).len(), 1);
    }
}

#[tokio::test]
async fn a_failed_transaction_is_cleaned_up_by_the_next_flush() {
    let world = World::new(26);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.database.fail_after(1, 1, true);
    assert!(world.flush(&store, 1).await.is_err());
    assert_eq!(segments(&world).len(), 1);
    world.flush(&store, 1).await.unwrap();
    assert_eq!((segments(&world).len(), key_tables(&world).len()), (1, 1));
    assert_eq!(world.rows(&store, 1), once([1]));
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1]));
}

#[tokio::test]
async fn what_is_old_is_due_and_what_is_young_is_not() {
    let world = World::new(27);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let step = async |seconds: i64| {
        let now = world
            .clock_now()
            .saturating_add(Span100ns::seconds(seconds));
        let report = store.flush_step(&world.grant(1), now).await.unwrap();
        report.segments
    };
    assert_eq!(step(limits::MEMTABLE_AGE_SECONDS_MAX - 1).await, 0);
    assert_eq!(step(limits::MEMTABLE_AGE_SECONDS_MAX).await, 1);
    assert_eq!(step(2 * limits::MEMTABLE_AGE_SECONDS_MAX).await, 0);
}

#[tokio::test]
async fn a_time_range_leaves_out_segments_that_cannot_match() {
    let world = World::new(28);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[900]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let noon = world.clock_now();
    let found = |from, to| {
        let keep = Predicate {
            time_from: Some(model::Ticks(noon.0 - from)),
            time_to: Some(model::Ticks(noon.0 - to)),
        };
        let view = store.view(&world.grant(1)).unwrap();
        view.table(&table("Raw_CL"), &keep).unwrap().segments.len()
    };
    assert_eq!((found(901, 899), found(950, 0), found(500, 400)), (1, 2, 0));
}
