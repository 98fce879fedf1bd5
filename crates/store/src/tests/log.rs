//! The log under pressure: old files go, quiet tenants move on without a segment.

use std::path::{Path, PathBuf};

use model::limits;

use super::kit::{World, once};
use crate::catalogue::Catalogue;

fn log_files(world: &World) -> usize {
    let files = world.disk.files();
    files.iter().filter(|f| f.starts_with("log")).count()
}

async fn step_all(world: &World, store: &crate::Store) {
    for n in 1..=3 {
        let now = world.clock_now();
        store.flush_step(&world.grant(n), now).await.unwrap();
    }
}

#[tokio::test]
async fn old_files_go_and_quiet_tenants_are_copied_forward() {
    let mut world = World::new(30);
    world.log.segment_bytes_max = 2_048;
    let store = world.start().await;
    world.append(&store, 2, "Raw_CL", &[1, 2]).await.unwrap();
    world.append(&store, 3, "DeviceEvents", &[1]).await.unwrap();
    let ids: Vec<u64> = (10..400).collect();
    for part in ids.chunks(10) {
        world.append(&store, 1, "Raw_CL", part).await.unwrap();
    }
    let before = log_files(&world);
    assert!(before > limits::LOG_SEGMENTS_MAX + 4, "{before}");
    world.flush(&store, 1).await.unwrap();
    assert_eq!(
        log_files(&world),
        before,
        "the quiet ones still hold the oldest file"
    );
    for _ in 0..4 {
        step_all(&world, &store).await;
    }
    let after = log_files(&world);
    assert!(after <= limits::LOG_SEGMENTS_MAX + 1, "{before} {after}");
    let catalogue = world.database.copy().open("eu", "EU").unwrap();
    let segments = catalogue.load().await.unwrap().segments;
    assert!(
        segments.iter().all(|s| s.tenant == super::kit::tenant(1)),
        "a quiet tenant was flushed"
    );
    let check = |store: &crate::Store| {
        assert_eq!(world.rows(store, 1), once(10..400));
        assert_eq!(world.rows(store, 2), once([1, 2]));
        assert_eq!(world.rows(store, 3), once([1]));
    };
    check(&store);
    drop(store);
    world.disk.crash(30);
    let store = world.open().await.unwrap();
    check(&store);
    // What was copied is known as stored, and a flush after it is not taken for an older one.
    assert_eq!(
        world.append(&store, 2, "Raw_CL", &[1, 3]).await.unwrap(),
        (1, 1)
    );
    world.flush(&store, 2).await.unwrap();
    assert_eq!(world.rows(&store, 2), once(1..=3));
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 2), once(1..=3));
}

/// A chunk that was copied forward comes back after younger frames: the flush must cover both.
#[tokio::test]
async fn a_copied_chunk_and_a_younger_one_are_flushed_together() {
    let mut world = World::new(31);
    world.log.segment_bytes_max = 1_024;
    let store = world.start().await;
    // Large enough not to be merged with the one row that comes later.
    let first: Vec<u64> = (1..=10).collect();
    world.append(&store, 2, "Raw_CL", &first).await.unwrap();
    for id in 0..40 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    world.append(&store, 2, "Raw_CL", &[11]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    for _ in 0..12 {
        step_all(&world, &store).await;
    }
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 2), once(1..=11));
    let rows = store.inner.memory.of(super::kit::tenant(2));
    let chunks = &rows.partitions.values().next().unwrap().chunks;
    assert_eq!(
        chunks[0].sequences,
        (1, 2),
        "the copy came after the younger one"
    );
    world.flush(&store, 2).await.unwrap();
    // Long after, so that no row id of that day is loaded: positions alone must tell.
    drop(store);
    world.clock.advance(model::Span100ns::days(30));
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 2), once(1..=11));
}

/// The younger files of a log are lost, and the mark that would miss them: new rows must not get numbers
/// that count as flushed, which would hide them at the next start. The hole in the numbers says so instead.
#[tokio::test]
async fn after_the_log_is_lost_new_rows_are_not_taken_for_old_ones() {
    use model::Disk;
    let mut world = World::new(32);
    world.log.segment_bytes_max = 1;
    let store = world.start().await;
    world.append(&store, 2, "Raw_CL", &[100]).await.unwrap();
    for id in 0..5 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    world.flush(&store, 1).await.unwrap();
    drop(store);
    let log = |files: Vec<PathBuf>| files.into_iter().filter(|f| f.starts_with("log"));
    for file in log(world.disk.files()).skip(1) {
        world.disk.remove(&file).unwrap();
    }
    world.disk.remove(Path::new("log-mark")).unwrap();
    let store = world.open().await.unwrap();
    world.append(&store, 1, "Raw_CL", &[10]).await.unwrap();
    assert_eq!(world.rows(&store, 1), once([0, 1, 2, 3, 4, 10]));
    drop(store);
    let store = world.open().await.unwrap();
    let refused = store.view(&world.grant::<access::Hunt>(1)).unwrap_err();
    assert_eq!(refused.code(), model::Code::LogDamaged);
}
