//! Rows that wait for detection: every one is handed out until the cursor has passed it, whatever
//! happens to memory, segments and the log meanwhile.

use std::collections::BTreeMap;

use model::{Code, limits};
use rows::hidden;

use super::kit::{World, number_of, once, source, tenant};
use crate::catalogue::Catalogue;
use crate::lag::{Lag, LagFrame, LagPart};
use crate::{DetectionCommit, Store, Undetected};

/// All that waits, as row numbers with their count, and the last sequence number.
fn waiting(world: &World, store: &Store, n: u8) -> (BTreeMap<u64, usize>, Option<u64>) {
    let all = store.undetected(&world.grant(n), usize::MAX).unwrap();
    let sequences: Vec<u64> = all.iter().map(|u| u.sequence).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    (numbers(&all), sequences.last().copied())
}

fn numbers(all: &[Undetected]) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for id in all.iter().flat_map(|u| hidden::row_ids(&u.batch).unwrap()) {
        *found.entry(number_of(id)).or_default() += 1;
    }
    found
}

async fn examine(world: &World, store: &Store, n: u8, cursor: Option<u64>) {
    let commit = DetectionCommit {
        cursor,
        rules_version: Some(1),
        ..DetectionCommit::default()
    };
    store
        .commit_detection(&world.grant(n), commit)
        .await
        .unwrap();
}

fn log_files(world: &World) -> usize {
    let files = world.disk.files();
    files.iter().filter(|f| f.starts_with("log")).count()
}

#[tokio::test]
async fn rows_wait_with_their_source_until_the_cursor_passes() {
    let world = World::detecting(300);
    let store = world.start().await;
    assert_eq!(store.tenants_behind(), []);
    world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap();
    world.append(&store, 1, "DeviceEvents", &[3]).await.unwrap();
    world.append(&store, 2, "Raw_CL", &[4]).await.unwrap();
    // A repeat is not a row.
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    assert_eq!(store.tenants_behind(), [tenant(1), tenant(2)]);
    let first = store.undetected(&world.grant(1), 0).unwrap();
    assert_eq!(numbers(&first), once([1, 2]), "one frame at least");
    assert_eq!(first[0].table.as_str(), "Raw_CL");
    assert_eq!(first[0].service.as_str(), "endpoint");
    assert_eq!(first[0].source, source(1), "what the rows say");
    let lag = store.detection_lag(Some(tenant(1)));
    assert_eq!((lag.frames, lag.oldest_at), (2, Some(world.clock_now())));
    assert_eq!(store.detection_lag(None).frames, 3);
    // Asked again, the same; past the first frame, the second.
    assert_eq!(
        numbers(&store.undetected(&world.grant(1), 0).unwrap()),
        once([1, 2])
    );
    examine(&world, &store, 1, Some(first[0].sequence)).await;
    let (rest, last) = waiting(&world, &store, 1);
    assert_eq!(rest, once([3]));
    examine(&world, &store, 1, last).await;
    assert_eq!(store.tenants_behind(), [tenant(2)]);
    assert_eq!(
        store.detection_lag(Some(tenant(1))),
        crate::DetectionLag::default()
    );
}

#[tokio::test]
async fn a_cursor_goes_forward_only_and_never_past_what_is_durable() {
    let world = World::detecting(301);
    let store = world.start().await;
    for id in 1..=3 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    let commit = |cursor| {
        let commit = DetectionCommit {
            cursor: Some(cursor),
            ..DetectionCommit::default()
        };
        let (store, grant) = (store.clone(), world.grant(1));
        async move { store.commit_detection(&grant, commit).await }
    };
    assert_eq!(commit(4).await.unwrap_err().code(), Code::Conflict);
    commit(2).await.unwrap();
    commit(2).await.unwrap();
    assert_eq!(commit(1).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(waiting(&world, &store, 1).0, once([3]));
    // Tenant 2 has no frame that a cursor could name.
    let none = DetectionCommit {
        cursor: Some(1),
        ..DetectionCommit::default()
    };
    let refused = store.commit_detection(&world.grant(2), none).await;
    assert_eq!(refused.unwrap_err().code(), Code::Conflict);
}

#[tokio::test]
async fn flushed_and_merged_rows_still_wait_and_come_back_after_a_restart() {
    let world = World::detecting(302);
    let store = world.start().await;
    for id in 1..=5 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
        if id < 5 {
            world.flush(&store, 1).await.unwrap();
        }
    }
    store.compact_step(&world.grant(1)).await.unwrap();
    assert_eq!(waiting(&world, &store, 1).0, once(1..=5));
    examine(&world, &store, 1, Some(2)).await;
    drop(store);
    for crash in 0..2 {
        world.disk.crash(crash);
        let store = world.open().await.unwrap();
        assert_eq!(waiting(&world, &store, 1).0, once(3..=5));
        assert_eq!(world.rows(&store, 1), once(1..=5));
        assert_eq!(
            world.append(&store, 1, "Raw_CL", &[3]).await.unwrap(),
            (0, 1),
            "a repeat waits once"
        );
        drop(store);
    }
    let store = world.open().await.unwrap();
    let (_, last) = waiting(&world, &store, 1);
    examine(&world, &store, 1, last).await;
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(waiting(&world, &store, 1).0, once([]));
}

#[tokio::test]
async fn the_log_keeps_what_waits_and_goes_when_the_cursor_has_passed() {
    let mut world = World::detecting(303);
    world.log.segment_bytes_max = 2_048;
    let store = world.start().await;
    for id in 0..5 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    let files = log_files(&world);
    assert!((3..=limits::LOG_SEGMENTS_MAX).contains(&files), "{files}");
    world.flush(&store, 1).await.unwrap();
    assert_eq!(log_files(&world), files, "all of it waits");
    examine(&world, &store, 1, waiting(&world, &store, 1).1).await;
    world.flush(&store, 1).await.unwrap();
    assert_eq!(log_files(&world), 1);
}

/// A tenant whose detection stands still must not keep everyone's log.
#[tokio::test]
async fn what_waits_long_is_copied_forward_and_handed_out_once() {
    let mut world = World::detecting(304);
    world.log.segment_bytes_max = 2_048;
    let store = world.start().await;
    let (one, other) = (
        world.placed(2, "Raw_CL", &[1, 2]),
        world.placed(2, "DeviceEvents", &[3]),
    );
    store
        .append(&world.grant(2), vec![one, other])
        .await
        .unwrap();
    world.append(&store, 2, "Raw_CL", &[4]).await.unwrap();
    world.flush(&store, 2).await.unwrap();
    let mut copied = 0;
    for round in 0..60 {
        world
            .append(&store, 1, "Raw_CL", &[100 + round])
            .await
            .unwrap();
        world.flush(&store, 1).await.unwrap();
        examine(&world, &store, 1, waiting(&world, &store, 1).1).await;
        let before = log_files(&world);
        for n in 1..=3 {
            let now = world.clock_now();
            store.flush_step(&world.grant(n), now).await.unwrap();
        }
        copied += usize::from(log_files(&world) < before);
        assert_eq!(waiting(&world, &store, 2).0, once(1..=4), "round {round}");
    }
    assert!(copied > 0);
    assert!(
        log_files(&world) <= limits::LOG_SEGMENTS_MAX + 2,
        "{}",
        log_files(&world)
    );
    drop(store);
    world.disk.crash(7);
    let store = world.open().await.unwrap();
    let all = store.undetected(&world.grant(2), usize::MAX).unwrap();
    assert_eq!(numbers(&all), once(1..=4));
    assert_eq!(all.len(), 3, "two parts of one frame, then one");
    assert_eq!(all[0].sequence, all[1].sequence);
    assert_eq!(world.rows(&store, 2), once(1..=4));
    // The cursor goes by the first numbers, whatever numbers the copies have.
    examine(&world, &store, 2, Some(all[1].sequence)).await;
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(waiting(&world, &store, 2).0, once([4]));
    world.append(&store, 2, "Raw_CL", &[5]).await.unwrap();
    let (rest, last) = waiting(&world, &store, 2);
    assert_eq!(rest, once([4, 5]));
    examine(&world, &store, 2, last).await;
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(waiting(&world, &store, 2).0, once([]));
}

/// The same with crashes: frames are copied, and the files they were in removed, while power fails.
#[tokio::test]
async fn copying_forward_loses_and_repeats_nothing_whenever_power_fails() {
    let first = testkit::seed(3_000);
    for seed in first..first + 6 {
        let random = testkit::SeededRandom::new(seed);
        let mut world = World::detecting(seed);
        world.log.segment_bytes_max = 1_024;
        let mut store = world.start().await;
        let mut acknowledged = BTreeMap::new();
        for round in 0..60 {
            let n = if random.chance(25) { 2 } else { 1 };
            let done = world.append(&store, n, "Raw_CL", &[round]).await;
            if n == 2 && done.is_ok() {
                acknowledged.insert(round, 1);
            }
            if n == 1 {
                drop(world.flush(&store, 1).await);
                let all = store.undetected(&world.grant(1), usize::MAX).unwrap();
                let commit = DetectionCommit {
                    cursor: all.last().map(|u| u.sequence),
                    ..DetectionCommit::default()
                };
                drop(store.commit_detection(&world.grant(1), commit).await);
            }
            if random.chance(15) {
                world.disk.cut_power_after(random.below(10));
            }
            for n in 1..=2 {
                drop(store.flush_step(&world.grant(n), world.clock_now()).await);
            }
            if random.chance(20) {
                world.disk.crash(random.next_u64());
                drop(store);
                world.database.crash(random.chance(50));
                store = world.open().await.unwrap();
                let found = waiting(&world, &store, 2).0;
                let rows = world.rows(&store, 2);
                assert_eq!(found, rows, "seed {seed}, round {round}: each row once");
                assert!(
                    acknowledged.keys().all(|id| found.contains_key(id)),
                    "seed {seed}"
                );
            }
        }
        world.disk.crash(seed);
        drop(store);
        world.database.crash(false);
        let store = world.open().await.unwrap();
        for _ in 0..3 {
            world.append(&store, 3, "Raw_CL", &[1_000]).await.unwrap();
            for n in 1..=3 {
                let now = world.clock_now();
                store.flush_step(&world.grant(n), now).await.unwrap();
            }
        }
        // A file has one frame here; what waits is copied for detection, and for a flush.
        let (files, frames) = (log_files(&world), store.detection_lag(None).frames);
        assert!(
            files <= 2 * frames + limits::LOG_SEGMENTS_MAX + 2,
            "{files} for {frames}: nothing was copied"
        );
    }
}

#[tokio::test]
async fn a_process_that_does_not_detect_keeps_what_waits() {
    let mut world = World::detecting(305);
    world.log.segment_bytes_max = 1_024;
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    drop(store);
    world.detects = false;
    let store = world.open().await.unwrap();
    assert_eq!(store.tenants_behind(), []);
    for id in 2..6 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
        world.flush(&store, 1).await.unwrap();
    }
    drop(store);
    world.detects = true;
    let store = world.open().await.unwrap();
    assert_eq!(waiting(&world, &store, 1).0, once(1..6));
}

#[tokio::test]
async fn detection_begins_after_what_is_stored() {
    let mut world = World::new(306);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    assert_eq!(store.undetected(&world.grant(1), 1).unwrap().len(), 0);
    drop(store);
    world.detects = true;
    let store = world.open().await.unwrap();
    assert_eq!(store.tenants_behind(), []);
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(waiting(&world, &store, 1).0, once([2]));
    let head = world.database.copy().open("eu", "EU").unwrap();
    assert_eq!(
        head.detection_head(tenant(2)).await.unwrap().cursor,
        Some(0)
    );
}

/// The log is lost: new rows must not get numbers that count as examined.
#[tokio::test]
async fn after_the_log_is_lost_new_rows_wait() {
    use model::Disk;
    let world = World::detecting(307);
    let store = world.start().await;
    for id in 0..5 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    examine(&world, &store, 1, waiting(&world, &store, 1).1).await;
    drop(store);
    for file in world.disk.files() {
        if file.starts_with("log") {
            world.disk.remove(&file).unwrap();
        }
    }
    let store = world.open().await.unwrap();
    store.accept_log_damage(&world.operate()).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[10]).await.unwrap();
    assert_eq!(waiting(&world, &store, 1).0, once([10]));
}

#[tokio::test]
async fn callers_are_told_that_rows_came() {
    let world = World::detecting(308);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    store.rows_came().await;
    let wait = tokio::spawn({
        let store = store.clone();
        async move { store.rows_came().await }
    });
    world.append(&store, 2, "Raw_CL", &[2]).await.unwrap();
    wait.await.unwrap();
}

/// A frame of about so many bytes.
fn frame(sequence: u64, bytes: usize) -> LagFrame {
    let world = World::new(1);
    let part = LagPart {
        key: crate::manifest::PartitionKey::new(
            &super::kit::table("Raw_CL"),
            &world.placement(1),
            world.clock_now(),
        ),
        batch: super::kit::batch("Raw_CL", &[1], world.clock_now()),
    };
    LagFrame {
        bytes,
        ..LagFrame::new(sequence, vec![part], sequence, world.clock_now())
    }
}

#[test]
fn too_much_waiting_is_refused_for_the_tenant_then_for_all() {
    let lag = Lag::new(true);
    for n in 1..=6 {
        lag.add_tenant(tenant(n), 0);
    }
    let max = limits::DETECTION_LAG_TENANT_BYTES_MAX;
    lag.push(tenant(1), frame(1, max - 1));
    lag.check(tenant(1)).unwrap();
    lag.push(tenant(1), frame(2, 1));
    let refused = lag.check(tenant(1)).unwrap_err();
    assert_eq!(refused.code(), Code::DetectionBehind);
    assert_eq!(refused.code().status(), 429);
    lag.check(tenant(2)).unwrap();
    for n in 2..=5 {
        lag.push(tenant(n), frame(1, max));
    }
    assert!(limits::DETECTION_LAG_BYTES_MAX <= 5 * max);
    assert!(lag.check(tenant(6)).is_err(), "the cell's limit");
    assert_eq!(lag.oldest_file(), Some(1));
    for n in 1..=5 {
        lag.advance(tenant(n), 1);
    }
    lag.check(tenant(1)).unwrap();
    assert_eq!(lag.figures(None).bytes, 1);
    assert_eq!(lag.oldest_file(), Some(2));
    lag.moved(tenant(1), 2, 9);
    assert_eq!(lag.oldest_file(), Some(9));
    lag.advance(tenant(1), 2);
    assert_eq!(lag.oldest_file(), None);
    assert_eq!(lag.newest(tenant(1)), Some(2));
}

#[tokio::test]
async fn appends_are_refused_while_detection_is_behind() {
    let world = World::detecting(309);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let stuck = frame(1_000, limits::DETECTION_LAG_TENANT_BYTES_MAX);
    store.inner.lag.push(tenant(1), stuck);
    let refused = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::DetectionBehind);
    world.append(&store, 2, "Raw_CL", &[2]).await.unwrap();
    examine(&world, &store, 1, Some(1_000)).await;
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
}

#[tokio::test]
async fn rows_that_the_cell_makes_itself_neither_wait_nor_are_kept_back() {
    use access::{Credential, Ingest};

    let world = World::detecting(311);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let stuck = frame(1_000, limits::DETECTION_LAG_TENANT_BYTES_MAX);
    store.inner.lag.push(tenant(1), stuck);
    let before = store.detection_lag(Some(tenant(1)));
    let own = |ids: &[u64]| {
        let at = world.clock_now();
        vec![crate::PlacedRows {
            source: crate::SYSTEM_SOURCE,
            batch: super::kit::batch_of(crate::SYSTEM_SOURCE, "Raw_CL", ids, at),
            ..world.placed(1, "Raw_CL", ids)
        }]
    };
    let system = Credential::system("detect");
    let grant = world.cx().decide::<Ingest>(&system, tenant(1)).unwrap();
    let stored = store.append_system(&grant, own(&[2])).await.unwrap();
    assert_eq!(stored.durable.len(), 1);
    assert_eq!(store.detection_lag(Some(tenant(1))), before);
    let refused = store.append(&grant, own(&[3])).await.unwrap_err();
    assert_eq!(refused.code(), Code::DetectionBehind, "the other door");
    let outside = store.append_system(&world.grant(1), own(&[3])).await;
    assert_eq!(outside.unwrap_err().code(), Code::Denied);
    let foreign = vec![world.placed(1, "Raw_CL", &[3])];
    let foreign = store.append_system(&grant, foreign).await;
    assert_eq!(foreign.unwrap_err().code(), Code::Denied);
    // Nor do they wait after a restart.
    drop(store);
    world.disk.crash(0);
    let store = world.open().await.unwrap();
    assert_eq!(waiting(&world, &store, 1).0, once([1]));
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}
