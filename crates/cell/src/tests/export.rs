//! The gate: who sends, what leaves, what stays.

use std::sync::atomic::Ordering;

use access::{AdministerTenant, Credential, Hunt, Maintain, ManageSources, ReadEgress, ReadTenant};
use crypto::Signer as _;
use ledger::{Happening, Leaf};
use model::{
    Code, CountBucket, Day, Epoch, Indicator, IndicatorClass, IndicatorTokens as _, Purpose,
    ServiceName, Span100ns, TenantId,
};
use residency::CentreMode;
use residency::egress::{
    AllowList, Batch, Figure, Prevalence, PrevalenceBucket, Section, Snapshot, parcel,
};
use serde_json::json;
use vault::{LinkageShare, SigningKey};

use super::kit::{World, record};
use crate::{Cell, EgressOutcome, EgressView, Settings, SourceRequest};

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

    /// A UK tenant that tells the centre facts, with a segment of one row that waits.
    async fn waiting(&self) -> TenantId {
        self.linked("uk");
        let (tenant, source) = self.tenant("uk", "GB").await;
        self.told(tenant, CentreMode::Facts).await;
        self.cell("uk").export_step().await;
        self.send("uk", tenant, source, &[ran(1)]).await;
        self.flushed(tenant).await;
        tenant
    }

    /// The leaves of the UK tenant that say this.
    async fn leaves(&self, tenant: TenantId, what: Happening) -> Vec<Leaf> {
        let uk = self.cell("uk");
        let me = Credential::local_operator();
        let grant = uk.cx().decide::<ReadTenant>(&me, tenant).unwrap();
        let mut all = uk.store().leaves(&grant, 0, 1_000).await.unwrap();
        all.retain(|leaf| leaf.happening == what);
        all
    }

    async fn left(&self, tenant: TenantId) -> Vec<EgressView> {
        let uk = self.cell("uk");
        let me = Credential::local_operator();
        let grant = uk.cx().decide::<ReadEgress>(&me, tenant).unwrap();
        let mut all = uk.egress(&grant, None, 100).await.unwrap();
        all.retain(|view| view.receipt.is_some());
        all
    }
}

fn digest(bytes: &[u8]) -> String {
    crypto::hex(&crypto::sha256(bytes))
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

#[tokio::test]
async fn a_parcel_whose_answer_was_lost_is_sent_again_byte_by_byte_and_counted_once() {
    let mut world = World::new().await;
    let tenant = world.waiting().await;
    world.centre.loses_answers.store(true, Ordering::Release);
    let came = world.cell("uk").cx().now();
    let step = world.cell("uk").export_step().await;
    assert_eq!((step.facts, step.failures), (0, 0));
    assert_eq!(world.sent().len(), 1, "it arrived");
    assert!(world.left(tenant).await.is_empty(), "and nobody knows");
    // The cell dies. Made anew, the parcel would be another: an hour has passed.
    world.open("uk").await;
    world.clock.advance(Span100ns::seconds(3_600));
    world.centre.loses_answers.store(false, Ordering::Release);
    assert_eq!(world.cell("uk").export_step().await.facts, 1);
    world.cell("uk").export_step().await;
    let sent = world.sent();
    assert_eq!(sent.len(), 2, "once more, and then no more");
    assert!(sent[0] == sent[1], "the retry is the same");
    // Counted once; what is on record is what was sent, and what the centre says of when it had it.
    let left = world.left(tenant).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].acknowledged_at, Some(came), "the first time");
    let bytes = u64::try_from(sent[0].len()).unwrap();
    assert_eq!((left[0].entry.bytes, left[0].entry.facts), (bytes, 1));
    let packed = world.leaves(tenant, Happening::FactsPacked).await;
    let arrived = world.leaves(tenant, Happening::FactsSent).await;
    assert_eq!((packed.len(), arrived.len()), (1, 1));
    for leaf in [&packed[0], &arrived[0]] {
        assert_eq!(leaf.details["parcel_sha256"], digest(&sent[0]));
        assert_eq!(
            leaf.details["receipt_sha256"],
            digest(&left[0].entry.receipt)
        );
        assert_eq!(leaf.details["bytes"], bytes.to_string());
    }
    assert!(packed[0].sequence < arrived[0].sequence);
    let (receipt, _) = parcel::split(&sent[0]).unwrap();
    assert!(receipt == left[0].entry.receipt, "the receipt that left");
}

#[tokio::test]
async fn a_cell_that_dies_before_it_sends_sends_what_it_has_on_record() {
    let mut world = World::new().await;
    let tenant = world.waiting().await;
    world.centre.is_cut.store(true, Ordering::Release);
    world.cell("uk").export_step().await;
    let packed = world.leaves(tenant, Happening::FactsPacked).await;
    assert_eq!(packed.len(), 1, "on record before anything is sent");
    assert!(world.sent().is_empty());
    world.open("uk").await;
    world.clock.advance(Span100ns::seconds(3_600));
    world.centre.is_cut.store(false, Ordering::Release);
    world.cell("uk").export_step().await;
    let sent = world.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(packed[0].details["parcel_sha256"], digest(&sent[0]));
    assert_eq!(world.leaves(tenant, Happening::FactsPacked).await.len(), 1);
}

#[tokio::test]
async fn a_parcel_that_is_refused_holds_up_no_other_and_only_the_centre_can_sign_for_one() {
    let world = World::new().await;
    world.linked("uk");
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    world.told(tenant, CentreMode::Facts).await;
    uk.export_step().await;
    for report in [1, 2] {
        world.send("uk", tenant, source, &[ran(report)]).await;
        world.flushed(tenant).await;
        world.clock.advance(Span100ns::seconds(1));
    }
    world.centre.refuses_one.store(true, Ordering::Release);
    assert_eq!(uk.export_step().await.facts, 1);
    assert_eq!(world.left(tenant).await.len(), 1, "the one behind it");
    world.centre.forges.store(true, Ordering::Release);
    uk.export_step().await;
    assert_eq!(world.left(tenant).await.len(), 1, "not the centre's word");
    world.centre.forges.store(false, Ordering::Release);
    uk.export_step().await;
    assert_eq!(world.left(tenant).await.len(), 2);
}

#[tokio::test]
async fn a_parcel_that_may_have_arrived_stays_on_record_when_the_tenant_says_off() {
    let world = World::new().await;
    let tenant = world.waiting().await;
    world.centre.loses_answers.store(true, Ordering::Release);
    world.cell("uk").export_step().await;
    world.told(tenant, CentreMode::Off).await;
    world.centre.loses_answers.store(false, Ordering::Release);
    world.cell("uk").export_step().await;
    assert_eq!(world.sent().len(), 1, "off is off");
    let left = world.left(tenant).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].entry.outcome, EgressOutcome::Dropped);
    assert_eq!((left[0].entry.facts, left[0].acknowledged_at), (1, None));
}

async fn told_of(cell: &Cell, tenant: TenantId) -> (Option<u32>, Option<u64>) {
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<Hunt>(&me, tenant).unwrap();
    let profile = cell.file_profile(&grant, HASH).await.unwrap();
    let groups = profile.prevalence.map(|p| p.groups.at_least());
    (groups, profile.snapshot.map(|(number, _)| number))
}

#[tokio::test]
async fn what_the_centre_said_last_is_known_after_a_restart() {
    let mut world = World::new().await;
    world.linked("uk");
    let (tenant, _) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    let epoch = Epoch::at(uk.cx().now());
    let wanted = [Indicator {
        class: IndicatorClass::FileSha256,
        canonical: HASH.into(),
    }];
    let vault = uk.store().vault().clone();
    let tokens = vault.tokens(Purpose::Prevalence, epoch, &wanted);
    let figure = Figure {
        token: tokens.await.unwrap()[0],
        prevalence: Prevalence {
            groups: PrevalenceBucket::Ten,
            first_day: Day::of(uk.cx().now()),
            typical_count: CountBucket::of(1),
            techniques: Vec::new(),
        },
    };
    let section = Section {
        epoch,
        figures: vec![figure],
    };
    let now = uk.cx().now();
    let signed = |number, key: &SigningKey| {
        Snapshot::sign(number, now, std::slice::from_ref(&section), key).unwrap()
    };
    *world.centre.snapshot.lock().unwrap() = Some(signed(7, &world.centre.key));
    uk.pull_snapshot().await.unwrap();
    assert_eq!(told_of(uk, tenant).await, (Some(10), Some(7)));
    world.centre.is_cut.store(true, Ordering::Release);
    world.open("uk").await;
    let uk = world.cell("uk");
    assert_eq!(
        told_of(uk, tenant).await,
        (Some(10), Some(7)),
        "nobody was asked"
    );
    // An older one is still older than what was kept.
    world.centre.is_cut.store(false, Ordering::Release);
    *world.centre.snapshot.lock().unwrap() = Some(signed(6, &world.centre.key));
    assert!(uk.pull_snapshot().await.is_err());
    *world.centre.snapshot.lock().unwrap() = Some(signed(8, &world.centre.key));
    uk.pull_snapshot().await.unwrap();
    // What another key signed does not come back either.
    let other = SigningKey::generate(&testkit::SeededRandom::new(5));
    assert_ne!(other.public_key(), world.centre.key.public_key());
    uk.store().put_snapshot(signed(9, &other)).await.unwrap();
    world.centre.is_cut.store(true, Ordering::Release);
    world.open("uk").await;
    assert_eq!(told_of(world.cell("uk"), tenant).await, (None, None));
}

#[tokio::test]
async fn what_belongs_to_the_tenant_is_known_after_a_restart() {
    let mut world = World::new().await;
    world.linked("uk");
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    let me = Credential::local_operator();
    let grant = uk.cx().decide::<ManageSources>(&me, tenant).unwrap();
    let request = SourceRequest {
        name: "mail".to_owned(),
        services: vec![ServiceName::new("email").unwrap()],
        envelope_tenant: None,
        domain_controllers: Vec::new(),
        source: None,
    };
    let mail = uk.add_source(&grant, request).await.unwrap().entry.source;
    world.told(tenant, CentreMode::Facts).await;
    uk.export_step().await;
    let at = "2026-01-01T10:10:00Z";
    let letter = json!({
        "ReportId": "m1", "EmailDirection": "Inbound", "RecipientDomain": "alder.co.uk",
        "SenderFromDomain": "strangers.co.uk",
    });
    let letter = record("EmailEvents", at, letter);
    world.send("uk", tenant, mail, &[letter]).await;
    world.flushed(tenant).await;
    assert_eq!(uk.export_step().await.facts, 1, "the sender's domain");
    world.open("uk").await;
    let uk = world.cell("uk");
    let visit = |report: u32, host: &str| {
        let columns = json!({
            "ReportId": report, "ActionType": "ConnectionSuccess", "RemoteUrl": host,
        });
        record("DeviceNetworkEvents", at, columns)
    };
    let own = [visit(1, "intranet.alder.co.uk")];
    world.send("uk", tenant, source, &own).await;
    world.flushed(tenant).await;
    assert_eq!(uk.export_step().await.facts, 0, "their own domain");
    let other = [visit(2, "www.strangers.co.uk")];
    world.send("uk", tenant, source, &other).await;
    world.flushed(tenant).await;
    assert_eq!(uk.export_step().await.facts, 1);
}

#[tokio::test]
async fn the_facts_have_the_techniques_of_all_alerts_however_many_there_are() {
    // More than one page of a list holds.
    const ROWS: u32 = 1_203;
    let world = World::new().await;
    world.linked("uk");
    super::detection::with_rules(&world).await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    let uk = world.cell("uk");
    world.told(tenant, CentreMode::Facts).await;
    uk.export_step().await;
    let lines: Vec<String> = (0..ROWS).map(encoded).collect();
    world.send("uk", tenant, source, &lines).await;
    assert_eq!(uk.detect_step().await.alerts, u64::from(ROWS));
    world.flushed(tenant).await;
    uk.export_step().await;
    let list = AllowList::facts(1).unwrap();
    let operator = SigningKey::generate(&testkit::SeededRandom::new(1));
    let signed = list.sign(&operator).unwrap();
    let list = AllowList::open(&signed, &operator.public_key(), None).unwrap();
    let mut facts = Vec::new();
    for sent in world.sent() {
        let (_, batch) = parcel::split(&sent).unwrap();
        facts.extend(Batch::decode(batch, &list).unwrap().facts().to_vec());
    }
    assert_eq!(facts.len(), usize::try_from(ROWS).unwrap());
    let told = facts.iter().filter(|f| f.technique.is_some()).count();
    assert_eq!(told, facts.len(), "no alert is left out");
}

/// A row that the rule of the tests matches, with a file of its own.
fn encoded(report: u32) -> String {
    record(
        "DeviceProcessEvents",
        "2026-01-01T10:10:00Z",
        json!({
            "ReportId": report, "DeviceId": "d1", "DeviceName": NAME,
            "ActionType": "ProcessCreated", "SHA256": format!("{report:064x}"),
            "FileName": "powershell.exe", "FolderPath": "C:\\Windows\\System32\\powershell.exe",
            "ProcessCommandLine": "powershell.exe -enc SQBFAFgA",
        }),
    )
}
