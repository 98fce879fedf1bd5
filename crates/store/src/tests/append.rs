//! What is acknowledged is there once; what repeats is told; what is not granted is refused.

use access::{Credential, Hunt, Ingest, Permission, Permissions, Scope, Target};
use model::{Code, RegionCode, ServiceName, limits};
use residency::place;
use vault::SigningKey;

use super::kit::{World, once, provision, source, table, tenant};
use crate::Error;
use crate::commit::{Message, Queue};

#[tokio::test]
async fn rows_are_returned_exactly_once() {
    let world = World::new(1);
    let store = world.start().await;
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[1, 2, 3]).await.unwrap(),
        (3, 0)
    );
    assert_eq!(
        world.append(&store, 1, "DeviceEvents", &[4]).await.unwrap(),
        (1, 0)
    );
    assert_eq!(world.rows(&store, 1), once(1..=4));
    assert_eq!(world.rows(&store, 2), once([]), "another tenant sees none");
}

#[tokio::test]
async fn a_repeat_is_dropped_at_every_stage() {
    let world = World::new(2);
    let store = world.start().await;
    let again = |n| (0, n);
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[7, 7, 8]).await.unwrap(),
        (2, 1),
        "within one request"
    );
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[7, 8]).await.unwrap(),
        again(2)
    );
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[8, 9]).await.unwrap(),
        (1, 1)
    );
    world.flush(&store, 1).await.unwrap();
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[7, 9]).await.unwrap(),
        again(2)
    );
    for id in 10..14 {
        world.append(&store, 1, "Raw_CL", &[id]).await.unwrap();
        world.flush(&store, 1).await.unwrap();
    }
    assert!(store.compact_step(&world.grant(1)).await.unwrap().removed > 0);
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[7, 10]).await.unwrap(),
        again(2)
    );
    world.append(&store, 1, "Raw_CL", &[20]).await.unwrap();
    drop(store);
    let store = world.open().await.unwrap();
    let all = [7, 8, 9, 10, 11, 12, 13, 20];
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &all).await.unwrap(),
        again(8),
        "after reopening, from segments and from the log"
    );
    assert_eq!(world.rows(&store, 1), once(all));
    // The same identity is another tenant's own row.
    assert_eq!(
        world.append(&store, 2, "Raw_CL", &[7]).await.unwrap(),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_equal_rows_one_is_stored() {
    let world = World::new(3);
    let store = world.start().await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (world, store) = (world.clone(), store.clone());
            tokio::spawn(async move { world.append(&store, 1, "Raw_CL", &[1, 2, 3]).await })
        })
        .collect();
    let (mut new, mut repeats) = (0, 0);
    for task in tasks {
        let done = task.await.unwrap().unwrap();
        (new, repeats) = (new + done.0, repeats + done.1);
    }
    assert_eq!((new, repeats), (3, 45));
    assert_eq!(world.rows(&store, 1), once(1..=3));
}

#[tokio::test]
async fn rows_and_repeats_are_acknowledged_only_when_durable() {
    let world = World::new(4);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.disk.fail_sync(1);
    let refused = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::LogPoisoned, "{refused}");
    // Not a repeat of what failed: that was never stored.
    let refused = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::LogPoisoned, "{refused}");
    assert_eq!(world.rows(&store, 1), once([1]));
    drop(store);
    world.disk.crash(1);
    let store = world.open().await.unwrap();
    let (new, repeats) = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    assert_eq!(new + repeats, 1);
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let world = World::new(5);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.disk.set_free(Some(10));
    let refused = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(refused.code(), Code::DiskFull, "{refused}");
    let refused = world.flush(&store, 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::DiskFull, "{refused}");
    assert_eq!(world.rows(&store, 1), once([1]));
    world.disk.set_free(None);
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[2]).await.unwrap(),
        (1, 0)
    );
    world.flush(&store, 1).await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]));
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}

/// A failed sync, then a start with the cache as it was and no room to write the log's end anew.
#[tokio::test]
async fn on_a_full_disk_nothing_rests_on_rows_that_are_not_sure() {
    let world = World::new(6);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.disk.fail_sync(1);
    // Nor can the file be begun that would void what the failed one left behind.
    world.disk.fail_write(2, 0);
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    drop(store);
    world.disk.clear_faults();
    world.disk.set_free(Some(10));
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]), "the cell can be read");
    let repeat = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap_err();
    assert_eq!(repeat.code(), Code::DiskFull, "{repeat}");
    let flush = world.flush(&store, 1).await.unwrap_err();
    assert_eq!(flush.code(), Code::DiskFull, "{flush}");
    let commit = crate::DetectionCommit::default();
    let step = store.commit_detection(&world.grant(1), commit).await;
    assert_eq!(step.unwrap_err().code(), Code::DiskFull);
    world.disk.set_free(None);
    let answer = world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    assert_eq!(answer, (0, 1));
    for seed in 0..20 {
        let world = world.copy();
        world.disk.crash(seed);
        let store = world.open().await.unwrap();
        assert_eq!(world.rows(&store, 1), once([1, 2]), "seed {seed}");
    }
}

/// A flush that fails again and again on a full disk must not fill it up with what it wrote.
#[tokio::test]
async fn a_failed_flush_leaves_no_file() {
    let world = World::new(6);
    let store = world.start().await;
    world.append(&store, 1, "DeviceEvents", &[1]).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    let before = world.disk.files();
    for nth in 1..12 {
        world.disk.fail_sync(nth);
        if world.flush(&store, 1).await.is_ok() {
            break;
        }
        world.disk.clear_faults();
        let left = world.disk.files();
        assert_eq!(left, before, "sync {nth}");
        assert!(nth < 11, "no flush came through");
    }
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}

#[tokio::test]
async fn the_first_record_is_marked_before_the_first_row() {
    let world = World::new(7);
    let store = world.start().await;
    assert_eq!(store.tenants()[0].first_record_at, None);
    world.database.fail(1, false);
    let refused = world.append(&store, 1, "Raw_CL", &[1]).await.unwrap_err();
    assert_eq!(refused.code(), Code::CatalogueFailed);
    assert_eq!(world.rows(&store, 1), once([]), "no mark, no row");
    world.disk.fail_sync(1);
    assert!(world.append(&store, 1, "Raw_CL", &[1]).await.is_err());
    let marked = world.database.tenant_row(tenant(1)).first_record_at;
    assert_eq!(marked, Some(world.clock_now()), "the mark came first");
    assert_eq!(store.tenants()[0].first_record_at, marked);
    assert_eq!(world.database.tenant_row(tenant(2)).first_record_at, None);
}

#[tokio::test]
async fn what_is_not_granted_or_not_placed_here_is_refused() {
    let world = World::new(8);
    let store = world.start().await;
    let append = async |grant: &access::Granted<Ingest>, rows| {
        let refused = store.append(grant, vec![rows]).await.unwrap_err();
        refused.code()
    };
    // The placement of another tenant.
    let other = append(&world.grant(2), world.placed(1, "Raw_CL", &[1])).await;
    assert_eq!(other, Code::Internal);
    // Another source, another table.
    let scoped = |scope: Scope| {
        let until = model::Ticks::MAX;
        let token = Credential::token(model::TokenId::from_bytes([1; 16]), tenant(1), scope, until);
        let target = Target::tenant(tenant(1));
        world.cx().decide::<Ingest>(&token, target).unwrap()
    };
    let ingest = Scope::of(Permissions::only(Permission::Ingest));
    let grant = scoped(ingest.clone().for_source(source(9)));
    let denied = append(&grant, world.placed(1, "Raw_CL", &[1])).await;
    assert_eq!(denied, Code::Denied);
    let grant = scoped(Scope {
        tables: access::Only::one(table("DeviceEvents")),
        ..ingest
    });
    let denied = append(&grant, world.placed(1, "Raw_CL", &[1])).await;
    assert_eq!(denied, Code::Denied);
    // A placement for another region.
    let operator = SigningKey::generate(&*world.random);
    let british = provision(&operator, tenant(1), "GB").1;
    let endpoint = ServiceName::new("endpoint").unwrap();
    let uk = place(&british, &RegionCode::new("uk").unwrap(), &endpoint).unwrap();
    let mut rows = world.placed(1, "Raw_CL", &[1]);
    rows.placement = uk;
    let refused = store.append(&world.grant(1), vec![rows]).await.unwrap_err();
    assert!(matches!(*refused, Error::Misplaced), "{refused}");
    // Rows that were not stamped.
    let mut rows = world.placed(1, "Raw_CL", &[1]);
    rows.batch = rows.batch.project(&[0, 1]).unwrap();
    assert!(store.append(&world.grant(1), vec![rows]).await.is_err());
    // An unknown tenant.
    let nobody = store.view(&world.grant::<Hunt>(9)).unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    assert_eq!(world.rows(&store, 1), once([]));
    assert!(world.append(&store, 1, "Raw_CL", &[1]).await.is_ok());
}

#[tokio::test]
async fn an_old_grant_is_refused() {
    let world = World::new(9);
    let store = world.start().await;
    let (ingest, hunt) = (world.grant::<Ingest>(1), world.grant::<Hunt>(1));
    let hour = model::Span100ns::seconds(limits::GRANT_SECONDS_MAX);
    world.clock.advance(hour);
    let rows = vec![world.placed(1, "Raw_CL", &[1])];
    let refused = store.append(&ingest, rows).await.unwrap_err();
    assert_eq!(refused.code(), Code::Denied);
    assert_eq!(store.view(&hunt).unwrap_err().code(), Code::Denied);
}

#[tokio::test]
async fn the_identity_horizon_ends() {
    let world = World::new(10);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let day = |n| model::Span100ns::days(n);
    let last = i64::from(limits::IDENTITY_HORIZON_DAYS) - 1;
    world.clock.advance(day(last));
    // The last day on which the repeat is told; a row of another tenant moves the horizon on.
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap(),
        (1, 1)
    );
    world.clock.advance(day(1));
    world.append(&store, 2, "Raw_CL", &[1]).await.unwrap();
    assert_eq!(
        world.append(&store, 1, "Raw_CL", &[1, 2]).await.unwrap(),
        (1, 1)
    );
}

/// A store that is busy says so at the limit, in messages and in bytes.
#[tokio::test(flavor = "multi_thread")]
async fn the_commit_queue_refuses_at_its_edge() {
    let world = World::new(11);
    let part = |bytes: usize| {
        let placed = world.placed(1, "Raw_CL", &[1]);
        let mut parts = crate::commit::job_parts(vec![placed]).unwrap();
        parts[0].encoded = vec![0; bytes];
        let (reply, answer) = tokio::sync::oneshot::channel();
        let vault = match world.vault.create_tenant(tenant(1)) {
            Err(_) => world.vault.tenant(tenant(1)).unwrap(),
            Ok(vault) => vault,
        };
        let stream = model::StreamId::from_bytes([1; 16]);
        let at = world.clock_now();
        let job = crate::commit::Job {
            vault,
            stream,
            parts,
            at,
            reply,
        };
        (Message::Append(job), answer)
    };
    let (queue, _receiver) = Queue::without_thread();
    let max = limits::COMMIT_QUEUE_BYTES_MAX;
    queue.send(part(max - 10).0).unwrap();
    queue.send(part(10).0).unwrap();
    let refused = queue.send(part(1).0).unwrap_err();
    assert!(matches!(refused, Error::Busy), "{refused}");
    let (queue, receiver) = Queue::without_thread();
    for _ in 0..limits::COMMIT_QUEUE_MAX {
        queue.send(part(1).0).unwrap();
    }
    let refused = queue.send(part(1).0).unwrap_err();
    assert!(matches!(refused, Error::Busy), "{refused}");
    drop(receiver);
    let refused = queue.send(part(1).0).unwrap_err();
    assert!(matches!(refused, Error::Closed), "{refused}");
}

#[tokio::test]
async fn memory_that_is_not_flushed_refuses_at_its_edge() {
    let world = World::new(12);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let held = store.inner.memory.measure();
    let room = limits::MEMTABLE_BYTES_REFUSED - held;
    store.inner.memory.grew(0, room - 1);
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    let room = limits::MEMTABLE_BYTES_REFUSED - store.inner.memory.bytes();
    store.inner.memory.grew(0, room);
    let refused = world.append(&store, 1, "Raw_CL", &[3]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Busy);
    world.flush(&store, 1).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[3]).await.unwrap();
    assert_eq!(world.rows(&store, 1), once(1..=3));
}

/// A row that comes alone must not hold the room of a thousand, nor count as if it did.
#[tokio::test]
async fn a_lone_row_takes_little_memory() {
    let world = World::new(16);
    let store = world.start().await;
    for id in 0..40 {
        world
            .append(&store, 1, "DeviceEvents", &[id])
            .await
            .unwrap();
        let noted = store.inner.memory.bytes();
        assert_eq!(noted, store.inner.memory.measure(), "after row {id}");
    }
    let bytes = store.inner.memory.bytes();
    assert!(bytes < 40 * 16_384, "{bytes}");
}

/// A client that hangs up in the middle of a change must not leave the store out of step with its
/// catalogue.
#[tokio::test]
async fn a_caller_that_stops_waiting_changes_nothing_for_the_next() {
    use futures::FutureExt;
    let world = World::new(13);
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let (operate, maintain) = (world.operate(), world.grant(1));
    for _ in 0..3 {
        // Polled once and dropped.
        let put = store.put_registry(&operate, 1, b"registry");
        assert!(put.now_or_never().is_none());
        let flush = store.flush_all(&maintain);
        assert!(flush.now_or_never().is_none());
        let note = store.note_local_access(&operate, "test");
        assert!(note.now_or_never().is_none());
    }
    store.note_local_access(&operate, "test").await.unwrap();
    world.append(&store, 1, "Raw_CL", &[2]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]));
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(world.rows(&store, 1), once([1, 2]));
}

#[tokio::test]
async fn all_accepted_registries_can_be_read_again() {
    let world = World::new(14);
    let store = world.start().await;
    let operate = world.operate();
    assert_eq!(store.registry().await.unwrap(), None);
    store.put_registry(&operate, 3, b"three").await.unwrap();
    store.put_registry(&operate, 5, b"five").await.unwrap();
    assert!(store.put_registry(&operate, 4, b"four").await.is_err());
    drop(store);
    let store = world.open().await.unwrap();
    let newest = store.registry().await.unwrap();
    assert_eq!(newest, Some((5, b"five".to_vec())));
    let old = store.registry_at(3).await.unwrap();
    assert_eq!(old, Some(b"three".to_vec()));
    assert_eq!(store.registry_at(4).await.unwrap(), None);
}

#[tokio::test]
async fn nobody_switches_another_tenants_source_or_token() {
    let world = World::new(15);
    let store = world.start().await;
    let entry = crate::SourceEntry {
        source: source(1),
        tenant: tenant(1),
        name: "name".to_owned(),
        services: Vec::new(),
        envelope_tenant: None,
        domain_controllers: Vec::new(),
        created_at: world.clock_now(),
        disabled: false,
    };
    let refused = store.put_source(&world.grant(2), &entry).await;
    assert_eq!(refused.unwrap_err().code(), Code::Denied);
    store.put_source(&world.grant(1), &entry).await.unwrap();
    let refused = store
        .set_source_disabled(&world.grant(2), source(1), true)
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    let token = crate::TokenEntry {
        token: model::TokenId::from_bytes([4; 16]),
        tenant: None,
        name: "token".to_owned(),
        scope: Scope::of(Permissions::only(Permission::Hunt)),
        created_at: world.clock_now(),
        expires_at: model::Ticks::MAX,
        revoked_at: None,
    };
    store
        .put_token(&world.grant(1), &token, [1; 32])
        .await
        .unwrap();
    let refused = store.revoke_token(&world.grant(2), token.token).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    store
        .revoke_token(&world.grant(1), token.token)
        .await
        .unwrap();
    assert_eq!(
        store.leaves(&world.grant(2), 0, 10).await.unwrap().len(),
        1,
        "what was refused left no leaf"
    );
}

/// A document that may move the placement and the first record: of the two at once exactly one happens.
#[tokio::test]
async fn a_placement_is_not_moved_under_the_first_record() {
    use model::Code;
    let world = World::new(410);
    let store = world.start().await;
    let append = |placed_by| {
        let rows = vec![world.placed(1, "Raw_CL", &[1])];
        let (store, grant) = (store.clone(), world.grant(1));
        async move { store.append_placed_by(&grant, rows, placed_by).await }
    };
    assert_eq!(
        store
            .update_tenant_before_first_record(&world.grant(1), b"second", Vec::new())
            .await
            .unwrap(),
        2
    );
    // Placed by the first document: refused, and nothing is stored or marked.
    assert_eq!(append(Some(1)).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(world.rows(&store, 1).len(), 0);
    assert_eq!(store.tenants()[0].first_record_at, None);
    append(Some(2)).await.unwrap();
    assert_eq!(
        store
            .update_tenant_before_first_record(&world.grant(1), b"third", Vec::new())
            .await
            .unwrap_err()
            .code(),
        Code::Conflict
    );
    assert_eq!(store.tenants()[0].document, b"second");
    // What does not move the placement may still change, and older rows may still come.
    assert_eq!(
        store
            .update_tenant(&world.grant(1), b"third", Vec::new())
            .await
            .unwrap(),
        3
    );
    append(Some(2)).await.unwrap();
}
