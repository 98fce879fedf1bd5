//! Segments that wait for the export to the centre.

use ledger::Happening;
use model::{Code, Span100ns, limits};

use super::kit::{World, count, on_both_catalogues, once};
use crate::{EgressOutcome, ExportCommit, Store};

on_both_catalogues! { World::new(360);
    what_waits_is_not_merged_and_what_left_is_on_record
    what_waited_too_long_is_dropped_and_counted
}

async fn flushed(world: &World, store: &Store, ids: &[u64]) {
    for id in ids {
        world.append(store, 1, "Raw_CL", &[*id]).await.unwrap();
        world.flush(store, 1).await.unwrap();
        world.clock.advance(Span100ns::seconds(1));
    }
}

fn pending(world: &World, store: &Store) -> usize {
    store.pending_export(&world.grant(1)).unwrap().len()
}

fn levels(store: &Store) -> Vec<u8> {
    let rows = store.inner.memory.of(super::kit::tenant(1));
    let files = rows.partitions.values().flat_map(|p| &p.segments);
    let mut levels: Vec<u8> = files.map(|f| f.row.level).collect();
    levels.sort_unstable();
    levels
}

fn sent(segment: model::SegmentId) -> ExportCommit {
    ExportCommit {
        segment,
        facts: 3,
        bytes: 120,
        receipt: b"a receipt".to_vec(),
    }
}

async fn what_waits_is_not_merged_and_what_left_is_on_record(world: World) {
    let mut store = world.start().await;
    flushed(&world, &store, &[1, 2, 3]).await;
    assert_eq!(pending(&world, &store), 0, "off");
    store.set_export(&world.grant(1), true).await.unwrap();
    store.set_export(&world.grant(1), true).await.unwrap();
    assert_eq!(pending(&world, &store), 0, "from now on");
    flushed(&world, &store, &[4, 5]).await;
    for _ in 0..2 {
        assert_eq!(pending(&world, &store), 2);
        store.compact_step(&world.grant(1)).await.unwrap();
        assert_eq!(
            levels(&store),
            [0; 5],
            "three may be merged, four are too few"
        );
        drop(store);
        store = world.open().await.unwrap();
    }
    let first = store.pending_export(&world.grant(1)).unwrap().remove(0);
    assert_eq!((first.rows, first.table.as_str()), (1, "Raw_CL"));
    let rows = store
        .read_export(&world.grant(1), first.segment)
        .await
        .unwrap();
    let mut found = std::collections::BTreeMap::new();
    for batch in &rows {
        count(batch, &mut found);
    }
    assert_eq!(found, once([4]));
    store
        .commit_export(&world.grant(1), sent(first.segment))
        .await
        .unwrap();
    let again = store
        .commit_export(&world.grant(1), sent(first.segment))
        .await;
    assert_eq!(again.unwrap_err().code(), Code::NotFound);
    let read = store.read_export(&world.grant(1), first.segment).await;
    assert_eq!(read.unwrap_err().code(), Code::NotFound);
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(pending(&world, &store), 1);
    // Now four are free to go.
    store.compact_step(&world.grant(1)).await.unwrap();
    assert_eq!(levels(&store), [0, 1]);
    assert_eq!(world.rows(&store, 1), once(1..=5));
    let entry = store
        .egress_of(&world.grant(1), first.segment)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((entry.facts, entry.bytes, entry.rows), (3, 120, 1));
    assert_eq!(
        (entry.outcome, &*entry.receipt),
        (EgressOutcome::Sent, &b"a receipt"[..])
    );
    let leaves = store
        .leaves(&world.grant(1), entry.sequence, 1)
        .await
        .unwrap();
    assert_eq!(leaves[0].happening, Happening::FactsSent);
    assert_eq!(leaves[0].details["batch"], first.segment.to_string());
    // Another tenant sees nothing of it.
    assert_eq!(store.egress(&world.grant(2), None, 10).await.unwrap(), []);
    // Switched off, nothing waits.
    store.set_export(&world.grant(1), false).await.unwrap();
    assert_eq!(pending(&world, &store), 0);
}

async fn what_waited_too_long_is_dropped_and_counted(world: World) {
    let store = world.start().await;
    store.set_export(&world.grant(1), true).await.unwrap();
    flushed(&world, &store, &[1, 2, 3, 4]).await;
    let newest = store
        .pending_export(&world.grant(1))
        .unwrap()
        .pop()
        .unwrap();
    let patience = Span100ns::days(limits::EXPORT_WAIT_DAYS_MAX);
    // To the tick at which the newest has waited just as long as it may.
    let until = newest.created_at.saturating_add(patience);
    world.clock.advance(until.since(world.clock_now()));
    store.compact_step(&world.grant(1)).await.unwrap();
    assert_eq!(pending(&world, &store), 1);
    world.clock.advance(Span100ns::seconds(1));
    store.compact_step(&world.grant(1)).await.unwrap();
    assert_eq!(pending(&world, &store), 0);
    assert_eq!(levels(&store), [1], "nothing keeps them any more");
    let first = store.egress(&world.grant(1), None, 3).await.unwrap();
    assert_eq!(first.len(), 3);
    assert!(
        first
            .iter()
            .all(|e| e.outcome == EgressOutcome::Dropped && e.bytes == 0)
    );
    assert!(first.iter().all(|e| e.receipt.is_empty()));
    let rest = store
        .egress(&world.grant(1), Some(first[2].sequence), 10)
        .await;
    assert_eq!(rest.unwrap().len(), 1);
    assert_eq!(world.rows(&store, 1), once(1..=4), "the rows stay");
}
