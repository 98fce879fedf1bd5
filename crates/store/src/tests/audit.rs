//! The record of what happened: a row beside every leaf.

use std::sync::Arc;

use access::{Hunt, ReadAudit};
use ledger::Happening;
use model::{Code, DetectionRuleId, RuleKind, Span100ns};

use super::kit::{World, on_both_catalogues};
use crate::{AuditDraft, AuditEntry, AuditRange, Store};

on_both_catalogues! { World::new(340);
    every_leaf_has_its_row
    a_range_is_by_number_and_time
    a_crowd_shares_transactions_and_everyone_has_a_row
    a_row_is_refused_if_it_is_too_long_or_of_nobody
}

async fn record(world: &World, store: &Store, n: u8) -> Vec<AuditEntry> {
    store
        .audit(&world.grant(n), AuditRange::default(), 1_000)
        .await
        .unwrap()
}

async fn every_leaf_has_its_row(world: World) {
    let store = world.start().await;
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    world.flush(&store, 1).await.unwrap();
    let id = DetectionRuleId::new("a-word-that-says-something").unwrap();
    store
        .put_rule(&world.grant(1), &id, RuleKind::Sigma, true, "text")
        .await
        .unwrap();
    store
        .note_local_access(&world.operate(), "flush")
        .await
        .unwrap();
    let draft = AuditDraft::of(&world.grant::<Hunt>(1), Happening::RowsHunted)
        .with("rows", 12)
        .with_private("reason", "because");
    store.append_audit(vec![draft]).await.unwrap();
    for n in 1..=3 {
        let leaves = store.leaves(&world.grant(n), 0, 1_000).await.unwrap();
        let rows = record(&world, &store, n).await;
        let of_rows: Vec<_> = rows.iter().map(|row| row.leaf.clone()).collect();
        assert_eq!(of_rows, leaves);
    }
    let rows = record(&world, &store, 1).await;
    let happened: Vec<_> = rows.iter().map(|row| row.leaf.happening).collect();
    assert_eq!(
        happened,
        [
            Happening::TenantProvisioned,
            Happening::SegmentsFlushed,
            Happening::RuleChanged,
            Happening::RowsHunted
        ]
    );
    // The leaf, which is to be published, names nothing.
    assert_eq!(rows[2].private["id"], id.as_str());
    assert!(!format!("{:?}", rows[2].leaf).contains(id.as_str()));
    assert_eq!(rows[3].private["reason"], "because");
    assert_eq!(rows[3].leaf.actor, "local_operator");
    let cx = world.cx();
    let local = access::Credential::local_operator();
    let grant = cx.decide_cell::<ReadAudit>(&local).unwrap();
    let cell = store
        .cell_audit(&grant, AuditRange::default(), 10)
        .await
        .unwrap();
    assert_eq!(cell.len(), 1);
    assert_eq!(cell[0].leaf.happening, Happening::LocalAccess);
}

async fn a_range_is_by_number_and_time(world: World) {
    let store = world.start().await;
    let first = world.clock_now();
    for _ in 0..4 {
        world.clock.advance(Span100ns::seconds(60));
        let draft = AuditDraft::of(&world.grant::<Hunt>(1), Happening::RowsHunted);
        store
            .append_audit(vec![draft.clone(), draft])
            .await
            .unwrap();
    }
    let found = |range: AuditRange, limit| {
        let (store, grant) = (store.clone(), world.grant(1));
        async move {
            let rows = store.audit(&grant, range, limit).await.unwrap();
            rows.iter().map(|row| row.leaf.sequence).collect::<Vec<_>>()
        }
    };
    let all = AuditRange::default();
    assert_eq!(found(all, 100).await, (0..=8).collect::<Vec<_>>());
    assert_eq!(found(AuditRange { from: 7, ..all }, 100).await, [7, 8]);
    assert_eq!(found(AuditRange { from: 2, ..all }, 3).await, [2, 3, 4]);
    let minutes = |n: i64| Some(first.saturating_add(Span100ns::seconds(60 * n)));
    let middle = AuditRange {
        since: minutes(2),
        until: minutes(4),
        ..all
    };
    assert_eq!(found(middle, 100).await, [3, 4, 5, 6]);
}

async fn a_crowd_shares_transactions_and_everyone_has_a_row(world: World) {
    let store = world.start().await;
    let held = store.inner.writer.lock().await;
    let mut crowd = Vec::new();
    for n in 0..50_u8 {
        let draft = AuditDraft::of(&world.grant::<Hunt>(1 + n % 3), Happening::RowsHunted);
        let store = store.clone();
        let draft = draft.with("n", n);
        crowd.push(tokio::spawn(async move {
            store.append_audit(vec![draft]).await
        }));
    }
    tokio::task::yield_now().await;
    // The whole crowd waits: one transaction that works, and one that fails, are enough for all.
    world.database.fail_after(1, 1_000, false);
    drop(held);
    for one in crowd {
        one.await.unwrap().unwrap();
    }
    world.database.crash(false);
    let mut n_rows = 0;
    for n in 1..=3 {
        let rows = record(&world, &store, n).await;
        n_rows += rows
            .iter()
            .filter(|r| r.leaf.happening == Happening::RowsHunted)
            .count();
    }
    assert_eq!(n_rows, 50);
}

async fn a_row_is_refused_if_it_is_too_long_or_of_nobody(world: World) {
    let store = world.start().await;
    let long = "x".repeat(model::limits::AUDIT_DETAILS_BYTES_MAX);
    let draft = AuditDraft::of(&world.grant::<Hunt>(1), Happening::RowsHunted);
    assert_eq!(
        store
            .append_audit(vec![draft.clone().with_private("reason", long)])
            .await
            .unwrap_err()
            .code(),
        Code::TooLarge
    );
    let nobody = AuditDraft::of(&world.grant::<Hunt>(9), Happening::RowsHunted);
    let refused: Result<(), Arc<_>> = store.append_audit(vec![draft, nobody]).await;
    assert_eq!(refused.unwrap_err().code(), Code::NotFound);
    assert_eq!(record(&world, &store, 1).await.len(), 1, "all or none");
}

/// A change of a tenant's document and what it says go together: neither is there without the other.
#[tokio::test]
async fn a_change_and_what_is_said_of_it_are_one_transaction() {
    let world = World::new(341);
    let store = world.start().await;
    let said = || {
        let grant = world.grant::<access::AdministerTenant>(1);
        let centre = AuditDraft::of(&grant, Happening::CentreChanged);
        let consent = AuditDraft::of(&grant, Happening::ConsentChanged);
        vec![
            centre.with("to", "facts"),
            consent.with_private("to", "endpoint+identity"),
        ]
    };
    let before = record(&world, &store, 1).await;
    for in_doubt in [false, true] {
        world.database.fail(1, in_doubt);
        let grant = world.grant(1);
        let failed = store.update_tenant(&grant, b"next", said()).await;
        assert!(failed.is_err());
        assert_eq!(record(&world, &store, 1).await, before);
        assert_ne!(store.tenants()[0].document, b"next");
    }
    // The process died in doubt, and it had happened: all of it.
    world.database.crash(true);
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(store.tenants()[0].document, b"next");
    let rows = record(&world, &store, 1).await;
    let happened: Vec<_> = rows.iter().skip(before.len()).collect();
    let what: Vec<_> = happened.iter().map(|row| row.leaf.happening).collect();
    assert_eq!(
        what,
        [
            Happening::TenantChanged,
            Happening::CentreChanged,
            Happening::ConsentChanged
        ]
    );
    assert_eq!(happened[2].private["to"], "endpoint+identity");
    // Nobody says something of another tenant by this way.
    let other = AuditDraft::of(
        &world.grant::<access::AdministerTenant>(2),
        Happening::CentreChanged,
    );
    let grant = world.grant(1);
    let refused = store.update_tenant(&grant, b"third", vec![other]).await;
    assert_eq!(refused.unwrap_err().code(), Code::Denied);
}
