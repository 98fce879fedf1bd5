//! What vouches for the log: files that vanish, and a second process.

use std::path::{Path, PathBuf};

use access::{Hunt, Maintain};
use model::{Code, Disk};

use super::kit::{World, once, tenant};
use crate::witness::MARK;
use crate::{Store, TenantHealth};

fn log_files(world: &World) -> Vec<PathBuf> {
    let names = world.disk.list(Path::new("log")).unwrap();
    names.iter().map(|n| Path::new("log").join(n)).collect()
}

fn is_refused(world: &World, store: &Store, n: u8) -> bool {
    match store.view(&world.grant::<Hunt>(n)) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code(), Code::LogDamaged, "{error}");
            true
        }
    }
}

#[tokio::test]
async fn a_newest_log_file_that_is_gone_or_empty_is_damage() {
    for emptied in [false, true] {
        let world = World::new(71);
        let store = world.start().await;
        world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
        drop(store);
        let newest = log_files(&world).pop().unwrap();
        world.disk.remove(&newest).unwrap();
        if emptied {
            world.disk.create_new(&newest).unwrap().sync().unwrap();
        }
        // Also after a run that went on without it, whose own file vouches for itself.
        for start in 0..2 {
            let store = world.open().await.unwrap();
            assert!(is_refused(&world, &store, 1), "{emptied} {start}");
            let refused = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
            assert_eq!(refused.code(), Code::LogDamaged);
            if start == 0 {
                // This tenant never had a record, so it lost none.
                assert!(!is_refused(&world, &store, 2), "{emptied}");
                world.append(&store, 2, "Raw_CL", &[3]).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_lost_log_is_damage_with_its_mark_or_without() {
    for with_mark in [true, false] {
        let world = World::new(72);
        let store = world.start().await;
        world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
        drop(store);
        for file in log_files(&world) {
            world.disk.remove(&file).unwrap();
        }
        if !with_mark {
            world.disk.remove(Path::new(MARK)).unwrap();
        }
        let store = world.open().await.unwrap();
        assert!(is_refused(&world, &store, 1), "{with_mark}");
    }
}

#[tokio::test]
async fn an_oldest_log_file_that_is_needed_is_missed() {
    let mut world = World::new(73);
    world.log.segment_bytes_max = 1;
    let store = world.start().await;
    for id in 0..3 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    drop(store);
    world.disk.remove(&log_files(&world)[0]).unwrap();
    let store = world.open().await.unwrap();
    assert!(is_refused(&world, &store, 1));
}

#[tokio::test]
async fn files_that_no_row_needs_go_without_damage() {
    let mut world = World::new(74);
    world.log.segment_bytes_max = 1;
    let store = world.start().await;
    for id in 0..3 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
    }
    world.flush(&store, 1).await.unwrap();
    assert_eq!(log_files(&world).len(), 1, "the test needs files that go");
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once(0..3));
}

#[tokio::test]
async fn a_directory_without_a_mark_is_taken_as_it_is() {
    let world = World::new(75);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    drop(store);
    // As an older program left it, and with a mark that does not verify.
    for damaged in [false, true] {
        world.disk.remove(Path::new(MARK)).unwrap();
        if damaged {
            let mut file = world.disk.create_new(Path::new(MARK)).unwrap();
            file.append(b"BWLOGMRK and something").unwrap();
            file.sync().unwrap();
        }
        let store = world.open().await.unwrap();
        assert_eq!(world.rows(&store, 1), once([1]));
        world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
        world.append(&store, 2, "Raw_CL", &[2]).await.unwrap();
        drop(store);
        assert!(world.disk.read(Path::new(MARK)).is_ok(), "{damaged}");
        let store = world.open().await.unwrap();
        world.append(&store, 3, "Raw_CL", &[3]).await.ok();
    }
}

#[tokio::test]
async fn a_process_that_was_replaced_acknowledges_nothing() {
    let world = World::new(76);
    let first = world.start().await;
    world.append(&first, 1, "Raw_CL", &[1]).await.unwrap();
    // Somebody removed the lock file, so the lock kept nobody out.
    let second = world.open().await.unwrap();
    assert_eq!(world.rows(&second, 1), once([1]));
    let refused = world.append(&first, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::DirectoryLocked, "{refused}");
    let before = log_files(&world);
    world.append(&first, 1, "Raw_CL", &[3]).await.unwrap_err();
    assert_eq!(log_files(&world), before);
    world.append(&second, 1, "Raw_CL", &[4]).await.unwrap();
    drop((first, second));
    let third = world.open().await.unwrap();
    let rows = world.rows(&third, 1);
    assert_eq!((rows.get(&1), rows.get(&4)), (Some(&1), Some(&1)));
}

#[tokio::test]
async fn log_files_unlinked_under_a_running_store_are_noticed() {
    // At the next commit.
    let world = World::new(77);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.disk.remove(&log_files(&world)[0]).unwrap();
    let refused = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::LogPoisoned, "{refused}");
    // What it had acknowledged is missed after the restart.
    drop(store);
    let store = world.open().await.unwrap();
    assert!(is_refused(&world, &store, 1));

    // And without one, at the next round of upkeep; what is in memory is saved.
    let world = World::new(78);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.disk.remove(&log_files(&world)[0]).unwrap();
    let maintain = world.grant::<Maintain>(2);
    let step = store.flush_step(&maintain, world.clock_now()).await;
    step.unwrap();
    assert_eq!(store.health(tenant(1)).unwrap(), TenantHealth::Good);
    let before = world.disk.files().len();
    let refused = world.append(&store, 2, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::LogPoisoned, "{refused}");
    assert_eq!(world.disk.files().len(), before, "nothing was written");
    world.flush(&store, 1).await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1]));
}

#[tokio::test]
async fn a_loss_that_was_accepted_does_not_hide_the_next_one() {
    let world = World::new(79);
    let mut store = world.start().await;
    for loss in 0..3 {
        world.append(&store, 1, "Raw_CL", &[loss]).await.unwrap();
        drop(store);
        for file in log_files(&world) {
            world.disk.remove(&file).unwrap();
        }
        store = world.open().await.unwrap();
        assert!(is_refused(&world, &store, 1), "{loss}");
        store.accept_log_damage(&world.operate()).await.unwrap();
        assert!(!is_refused(&world, &store, 1), "{loss}");
        world
            .append(&store, 1, "Raw_CL", &[100 + loss])
            .await
            .unwrap();
        drop(store);
        store = world.open().await.unwrap();
        assert_eq!(world.rows(&store, 1), once([100 + loss]), "{loss}");
    }
}
