//! Segments that wait for the export to the centre.

use ledger::Happening;
use model::{Code, Span100ns, limits};

use super::kit::{World, count, on_both_catalogues, once};
use crate::{EgressOutcome, ExportCommit, Packed, Store};

on_both_catalogues! { World::new(360);
    what_waits_is_not_merged_and_what_left_is_on_record
    what_waited_too_long_is_dropped_and_counted
    a_parcel_is_on_record_and_durable_before_it_is_sent_and_the_same_afterwards
    a_parcel_that_is_given_up_stays_on_record
    what_is_kept_survives_a_restart
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

const PARCEL: &[u8] = b"a parcel with a receipt in it";

fn packed(segment: model::SegmentId) -> Packed {
    Packed {
        segment,
        facts: 3,
        receipt: b"a receipt".to_vec(),
        parcel: PARCEL.to_vec(),
    }
}

fn sent(segment: model::SegmentId) -> ExportCommit {
    ExportCommit {
        segment,
        acknowledgement: b"signed by the centre".to_vec(),
        own: None,
    }
}

fn digest(bytes: &[u8]) -> String {
    crypto::hex(&crypto::sha256(bytes))
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
    let grant = world.grant(1);
    store
        .pack_export(&grant, packed(first.segment), None)
        .await
        .unwrap();
    store
        .commit_export(&grant, sent(first.segment))
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
    let bytes = u64::try_from(PARCEL.len()).unwrap();
    assert_eq!((entry.facts, entry.bytes, entry.rows), (3, bytes, 1));
    assert_eq!(entry.acknowledgement, b"signed by the centre");
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

async fn a_parcel_is_on_record_and_durable_before_it_is_sent_and_the_same_afterwards(world: World) {
    let store = world.start().await;
    let grant = world.grant(1);
    store.set_export(&grant, true).await.unwrap();
    flushed(&world, &store, &[1, 2]).await;
    let waiting = store.pending_export(&grant).unwrap();
    let (first, second) = (waiting[0].segment, waiting[1].segment);
    // What there is a parcel of is not noted without an acknowledgement, nor the other way about.
    let early = store.commit_export(&grant, sent(first)).await;
    assert!(matches!(early, Err(crate::Error::Form { .. })), "{early:?}");
    let own = Some(b"what belongs to them".to_vec());
    store.pack_export(&grant, packed(first), own).await.unwrap();
    let twice = store.pack_export(&grant, packed(first), None).await;
    assert_eq!(twice.unwrap_err().code(), Code::Conflict);
    let nothing = ExportCommit {
        acknowledgement: Vec::new(),
        ..sent(first)
    };
    assert!(store.commit_export(&grant, nothing).await.is_err());
    let counts = store.parcel_counts(&world.grant(1)).await.unwrap();
    assert_eq!((counts.waiting, counts.facts), (1, 3));

    // The process dies: the same bytes are there, and the leaf that they may have left.
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(pending(&world, &store), 2);
    let found = store.packed_export(&grant, first).await.unwrap();
    assert_eq!(found, Some(packed(first)));
    assert_eq!(store.packed_export(&grant, second).await.unwrap(), None);
    let own = store.own_values(&grant).await.unwrap();
    assert_eq!(own.as_deref(), Some(&b"what belongs to them"[..]));
    store.commit_export(&grant, sent(first)).await.unwrap();
    assert_eq!(store.packed_export(&grant, first).await.unwrap(), None);
    let counts = store.parcel_counts(&world.grant(1)).await.unwrap();
    assert_eq!(counts, crate::ParcelCounts::default());

    let leaves = store.leaves(&world.grant(1), 0, 100).await.unwrap();
    let of = |what: Happening| {
        let mut found = leaves.iter().filter(|leaf| leaf.happening == what);
        let leaf = found.next().unwrap().details.clone();
        assert!(found.next().is_none(), "counted once");
        leaf
    };
    let (packed_leaf, sent_leaf) = (of(Happening::FactsPacked), of(Happening::FactsSent));
    assert_eq!(packed_leaf["parcel_sha256"], digest(PARCEL));
    assert_eq!(packed_leaf["receipt_sha256"], digest(b"a receipt"));
    for (name, value) in &packed_leaf {
        assert_eq!(sent_leaf.get(name), Some(value), "{name}");
    }
    let signed = digest(b"signed by the centre");
    assert_eq!(sent_leaf["acknowledgement_sha256"], signed);
}

async fn a_parcel_that_is_given_up_stays_on_record(world: World) {
    let store = world.start().await;
    let grant = world.grant(1);
    store.set_export(&grant, true).await.unwrap();
    flushed(&world, &store, &[1]).await;
    let late = store.pending_export(&grant).unwrap()[0].segment;
    store.pack_export(&grant, packed(late), None).await.unwrap();
    world
        .clock
        .advance(Span100ns::days(limits::EXPORT_WAIT_DAYS_MAX + 1));
    let grant = world.grant(1);
    store.compact_step(&grant).await.unwrap();
    flushed(&world, &store, &[2]).await;
    let off = store.pending_export(&grant).unwrap()[0].segment;
    store.pack_export(&grant, packed(off), None).await.unwrap();
    store.set_export(&grant, false).await.unwrap();
    for segment in [late, off] {
        let entry = store.egress_of(&world.grant(1), segment).await.unwrap();
        let entry = entry.unwrap();
        // It may have arrived; nobody said so.
        assert_eq!((entry.outcome, entry.facts), (EgressOutcome::Dropped, 3));
        assert_eq!(entry.receipt, b"a receipt");
        assert_eq!(entry.acknowledgement, b"");
        assert_eq!(store.packed_export(&grant, segment).await.unwrap(), None);
    }
}

async fn what_is_kept_survives_a_restart(world: World) {
    let mut store = world.start().await;
    assert_eq!(store.kept_snapshot().await.unwrap(), None);
    for snapshot in [&b"first"[..], b"second"] {
        store.put_snapshot(snapshot.to_vec()).await.unwrap();
        drop(store);
        store = world.open().await.unwrap();
        let found = store.kept_snapshot().await.unwrap();
        assert_eq!(found.as_deref(), Some(snapshot));
    }
    // A segment of which nothing may leave teaches, too.
    let grant = world.grant(1);
    store.set_export(&grant, true).await.unwrap();
    flushed(&world, &store, &[1]).await;
    let segment = store.pending_export(&grant).unwrap()[0].segment;
    let commit = ExportCommit {
        segment,
        acknowledgement: Vec::new(),
        own: Some(b"own".to_vec()),
    };
    store.commit_export(&grant, commit).await.unwrap();
    drop(store);
    let store = world.open().await.unwrap();
    let own = store.own_values(&grant).await.unwrap();
    assert_eq!(own.as_deref(), Some(&b"own"[..]));
    assert_eq!(store.own_values(&world.grant(2)).await.unwrap(), None);
}
