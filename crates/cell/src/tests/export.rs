//! The gate: who sends, what leaves, what stays.

use std::sync::atomic::Ordering;

use access::{AdministerTenant, Credential, Maintain, ReadEgress};
use model::{Code, Epoch, Span100ns, TenantId};
use residency::CentreMode;
use serde_json::json;
use vault::LinkageShare;

use super::kit::{World, record};
use crate::Settings;

const HASH: &str = "5e9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
const PRIVATE: &str = "aa9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
const NAME: &str = "laptop-ada.alder.example";

fn ran(report: u32) -> String {
    record(
        "DeviceProcessEvents",
        "2026-01-01T10:10:00Z",
        json!({ "ReportId": report, "DeviceName": NAME, "SHA256": HASH, "FileName": "tool.exe" }),
    )
}

fn document() -> String {
    record(
        "DeviceFileEvents",
        "2026-01-01T10:10:00Z",
        json!({ "ReportId": 9, "DeviceName": NAME, "SHA256": PRIVATE, "FileName": "salaries.xlsx" }),
    )
}

impl World {
    /// Two people bring their shares of the running epoch's linkage secret.
    fn linked(&self, code: &str) {
        let cell = self.cell(code);
        let epoch = Epoch::at(cell.cx().now());
        for person in ["ada", "grace"] {
            let share = LinkageShare::random(epoch, &*cell.cx().random);
            cell.store().vault().import_share(&share, person).unwrap();
        }
    }

    async fn told(&self, tenant: TenantId, mode: CentreMode) {
        let cell = self.cell("uk");
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<AdministerTenant>(&me, tenant).unwrap();
        let change = |settings: Settings| Settings {
            centre: mode,
            ..settings
        };
        cell.change_settings(&grant, change).await.unwrap();
    }

    async fn flushed(&self, tenant: TenantId) {
        let cell = self.cell("uk");
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<Maintain>(&me, tenant).unwrap();
        cell.flush(&grant).await.unwrap();
    }

    fn sent(&self) -> Vec<Vec<u8>> {
        self.centre.batches.lock().unwrap().clone()
    }
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes
        .windows(needle.len())
        .any(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
}

#[tokio::test]
async fn facts_leave_only_while_the_tenant_says_so_and_hold_no_name() {
    let world = World::new().await;
    world.linked("uk");
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");

    // Off, the default: nothing on the wire, also not later what came before.
    world.send("uk", tenant, source, &[ran(1)]).await;
    world.flushed(tenant).await;
    assert_eq!(uk.export_step().await.facts, 0);
    world.clock.advance(Span100ns::seconds(1));
    world.told(tenant, CentreMode::Facts).await;
    uk.export_step().await;
    assert_eq!(world.sent().len(), 0);

    world
        .send("uk", tenant, source, &[ran(2), document()])
        .await;
    world.flushed(tenant).await;
    assert!(uk.export_step().await.facts > 0);
    let sent = world.sent();
    assert_eq!(
        sent.len(),
        1,
        "the table that is not on the list made no batch"
    );
    for name in [
        HASH,
        PRIVATE,
        NAME,
        "tool.exe",
        "salaries",
        &tenant.to_string(),
    ] {
        assert!(!holds(&sent[0], name), "{name} left");
    }
    let raw = crypto::unhex(HASH).unwrap();
    assert!(
        !sent[0].windows(8).any(|w| raw.windows(8).any(|r| r == w)),
        "the hash itself left"
    );

    let me = Credential::local_operator();
    let grant = uk.cx().decide::<ReadEgress>(&me, tenant).unwrap();
    let entries = uk.egress(&grant, None, 100).await.unwrap();
    let left: Vec<_> = entries.iter().filter(|e| e.receipt.is_some()).collect();
    assert_eq!(left.len(), 1);
    let receipt = left[0].receipt.as_ref().unwrap();
    assert_eq!(receipt.left[0].column, "SHA256");

    world.told(tenant, CentreMode::Off).await;
    world.send("uk", tenant, source, &[ran(3)]).await;
    world.flushed(tenant).await;
    uk.export_step().await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn a_centre_that_is_away_gets_the_same_batch_later() {
    let world = World::new().await;
    world.linked("uk");
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    world.told(tenant, CentreMode::Facts).await;
    uk.export_step().await;
    world.send("uk", tenant, source, &[ran(1)]).await;
    world.flushed(tenant).await;
    world.centre.is_cut.store(true, Ordering::Release);
    assert_eq!(uk.export_step().await.failures, 0);
    assert!(world.sent().is_empty());
    world.centre.is_cut.store(false, Ordering::Release);
    uk.export_step().await;
    uk.export_step().await;
    assert_eq!(world.sent().len(), 1);
}

#[tokio::test]
async fn without_a_linkage_secret_nothing_leaves_and_it_is_said() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    world.told(tenant, CentreMode::Facts).await;
    uk.export_step().await;
    world.send("uk", tenant, source, &[ran(1)]).await;
    world.flushed(tenant).await;
    assert_eq!(uk.export_step().await.failures, 1);
    assert!(world.sent().is_empty());
    assert_eq!(Code::LinkageMissing.as_str(), "linkage_missing");
}
