//! What crosses the tenant link of a tenant's own words, and who may read across it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use access::{
    AdministerTenant, Credential, Granted, Ingest, ManageRules, ManageSources, ManageTokens, Only,
    Operate, Permission, Permissions, ReadIncidents, Scope,
};
use crypto::Secret;
use crypto::kdf::MacKey;
use ingest::Format;
use model::{
    Alert, AlertId, AlertSeverity, Code, DetectionRuleId, Entity, EntityKey, EntityKind,
    EntityRole, IncidentId, KeyKind, RecordRef, RequestId, RowId, RuleKind, RuleRef, ServiceName,
    SourceId, Span100ns, TableName, TenantId, Ticks,
};
use serde_json::json;
use store::AlertFilter;

use super::kit::{World, record, region};
use crate::link::LinkRead;
use crate::naming::{self, Naming, Shipped};
use crate::{AlertView, IngestRequest, SourceRequest, Subject, TokenRequest};

const PERSON: &str = "ada.example@alder.example";
const DEVICE: &str = "laptop-ada.alder.example";
const RAW: &str = "AliceSmithSecrets_CL";

fn rule(id: &str, title: &str, source: &str, selection: &str) -> String {
    format!(
        "title: {title}\nid: {id}\nstatus: test\nlogsource:\n  {source}\ndetection:\n  s:\n    {selection}\n  condition: s\nlevel: high\n"
    )
}

fn of_table(id: &str, title: &str, table: &str, selection: &str) -> String {
    let source = format!("product: bailiwick\n  service: {table}");
    rule(id, title, &source, selection)
}

const EVERY_HOUR: &str = "
id: sched-alice-smith
title: Alice Smith did something
description: For a test.
severity: Low
category: Discovery
techniques: [T1087]
service: identity
frequency: 1h
look_back: 6h
query: |
  IdentityLogonEvents
entities:
  - type: User
    columns: {AccountUpn: AccountUpn}
";

fn logon() -> String {
    record(
        "IdentityLogonEvents",
        "2026-01-01T10:00:00Z",
        json!({
            "ReportId": "l1", "ActionType": "LogonSuccess", "Application": "Active Directory",
            "AccountUpn": PERSON, "Location": "XX", "IPAddress": "203.0.113.77",
        }),
    )
}

fn process() -> String {
    record(
        "DeviceProcessEvents",
        "2026-01-01T10:10:00Z",
        json!({
            "ReportId": 7, "DeviceId": "d1", "DeviceName": DEVICE,
            "ActionType": "ProcessCreated", "FileName": "odd.exe",
            "FolderPath": "C:\\Windows\\odd.exe", "ProcessCommandLine": "odd.exe --very",
            "ProcessId": 4321, "AccountUpn": PERSON, "AccountName": "ada", "AccountDomain": "alder",
        }),
    )
}

impl World {
    fn reads(&self, code: &str, tenant: TenantId) -> Granted<ReadIncidents> {
        let cx = self.cell(code).cx();
        cx.decide(&Credential::local_operator(), tenant).unwrap()
    }

    /// A viewer with a hunting token of the home cell, limited to tables.
    async fn limited(&self, tenant: TenantId, tables: &[&str]) -> Granted<ReadIncidents> {
        let cell = self.cell("uk");
        let me = Credential::local_operator();
        let mints = cell.cx().decide::<ManageTokens>(&me, tenant).unwrap();
        let tables: BTreeSet<_> = tables.iter().map(|t| TableName::new(t).unwrap()).collect();
        let request = TokenRequest {
            name: "limited".to_owned(),
            scope: Scope {
                tables: Only::These(tables),
                ..Scope::of(Permissions::only(Permission::Hunt))
            },
            days: 1,
        };
        let minted = cell.mint_token(&mints, request).await.unwrap();
        let credential = cell.authenticate(&minted.text).await.unwrap();
        cell.cx().decide(&credential, tenant).unwrap()
    }

    async fn own_rule(&self, code: &str, tenant: TenantId, text: String) {
        let cell = self.cell(code);
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<ManageRules>(&me, tenant).unwrap();
        cell.put_rule(&grant, text, true).await.unwrap();
    }

    async fn listed(&self, tenant: TenantId) -> Vec<AlertView> {
        let grant = self.reads("uk", tenant);
        let cell = self.cell("uk");
        cell.alerts(&grant, &AlertFilter::default(), 100)
            .await
            .unwrap()
    }

    /// A source of identity rows alone, so that a raw table is of that service.
    async fn identity_source(&self, tenant: TenantId) -> SourceId {
        let uk = self.cell("uk");
        let me = Credential::local_operator();
        let grant = uk.cx().decide::<ManageSources>(&me, tenant).unwrap();
        let request = SourceRequest {
            name: "raw".to_owned(),
            services: vec![ServiceName::new("identity").unwrap()],
            envelope_tenant: None,
            domain_controllers: Vec::new(),
            source: None,
        };
        let source = uk.add_source(&grant, request).await.unwrap().entry.source;
        uk.step().await;
        source
    }

    async fn raw(&self, tenant: TenantId, source: SourceId) {
        let eu = self.cell("eu");
        let me = Credential::local_operator();
        let grant = eu.cx().decide::<Ingest>(&me, tenant).unwrap();
        let request = IngestRequest {
            format: Some(Format::Json),
            encoding: None,
            content_type: None,
            raw_table: Some(TableName::new(RAW).unwrap()),
            time_column: None,
            body: br#"{"Timestamp":"2026-01-01T10:00:00Z","x":1}"#.to_vec(),
            request: RequestId::from_bytes([1; 16]),
            dry_run: false,
        };
        assert_eq!(eu.ingest(&grant, source, request).await.unwrap().stored, 1);
    }

    /// One alert in each cell, of rules for all tenants.
    async fn two_alerts(&self) -> TenantId {
        self.two_alerts_from().await.0
    }

    /// The same, and the source that they came from.
    async fn two_alerts_from(&self) -> (TenantId, SourceId) {
        let me = Credential::local_operator();
        let started = "product: windows\n  category: process_creation";
        let texts = [
            of_table(
                "0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b",
                "Odd logon",
                "identitylogonevents",
                "Location: XX",
            ),
            rule(
                "7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f",
                "Odd program",
                started,
                "Image|endswith: 'odd.exe'",
            ),
        ];
        for code in ["eu", "uk"] {
            let cell = self.cell(code);
            let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
            for text in &texts {
                let rule = cell.put_cell_rule(&operate, text.clone(), true);
                rule.await.unwrap();
            }
        }
        let (tenant, source) = self.tenant("uk", "GB").await;
        assert_eq!(
            self.send("uk", tenant, source, &[process()]).await.stored,
            1
        );
        assert_eq!(self.send("eu", tenant, source, &[logon()]).await.stored, 1);
        for code in ["uk", "eu", "eu", "uk"] {
            self.cell(code).detect_step().await;
        }
        (tenant, source)
    }

    /// What the origin says to a read that the home cell signed.
    async fn asked(
        &self,
        tenant: TenantId,
        alert: AlertId,
        tables: Option<Vec<TableName>>,
    ) -> Result<Vec<u8>, Code> {
        let uk = self.cell("uk");
        let until = uk.cx().now().saturating_add(Span100ns::seconds(60));
        let (home, origin) = (region("uk"), region("eu"));
        let read = LinkRead::new(
            tenant,
            home.clone(),
            origin,
            alert,
            "a viewer".to_owned(),
            until,
            tables,
        );
        let signed = read.sign(&**uk.store().vault()).unwrap();
        let answer = self.cell("eu").answer_read(&home, &signed).await;
        answer.map_err(|e| e.code())
    }
}

fn find<'a>(alerts: &'a [AlertView], origin: &str) -> &'a AlertView {
    let of = |a: &&AlertView| a.origin.as_str() == origin;
    alerts.iter().find(of).unwrap()
}

#[tokio::test]
async fn words_of_a_tenants_own_stay_where_its_rows_rest() {
    let world = World::new().await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    let own = world.identity_source(tenant).await;
    let texts = [
        of_table(
            "rule.of-alice_smith",
            "Alice Smith signed in",
            "identitylogonevents",
            "Location: XX",
        ),
        of_table(
            "secrets-rule",
            "Alice Smith wrote",
            &RAW.to_lowercase(),
            "x: 1",
        ),
        EVERY_HOUR.to_owned(),
    ];
    for text in texts {
        world.own_rule("eu", tenant, text).await;
    }
    assert_eq!(world.send("eu", tenant, source, &[logon()]).await.stored, 1);
    world.raw(tenant, own).await;
    for _ in 0..4 {
        world.cell("eu").detect_step().await;
    }

    let alerts = world.listed(tenant).await;
    assert_eq!(alerts.len(), 3, "{alerts:#?}");
    let all = format!("{alerts:?}");
    let crossed: Vec<String> = {
        let crossed = world.link.crossed.lock().unwrap();
        crossed
            .iter()
            .map(|m| String::from_utf8_lossy(m).into_owned())
            .collect()
    };
    let words = [
        "rule.of-alice_smith",
        "secrets-rule",
        "sched-alice-smith",
        "Alice Smith",
        RAW,
    ];
    for word in words {
        assert!(!all.contains(word), "{word} is at home: {all}");
        assert!(!crossed.iter().any(|m| m.contains(word)), "{word} crossed");
    }
    // Different rules stay different.
    let ids: BTreeSet<_> = alerts.iter().map(|a| a.rule.id.clone()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");

    // Whoever may looks where the content rests.
    let (uk, grant) = (world.cell("uk"), world.reads("uk", tenant));
    let mut seen = BTreeSet::new();
    for alert in &alerts {
        let detail = uk.alert(&grant, alert.id).await.unwrap();
        let whole = detail.alert.unwrap();
        assert_eq!(detail.view.rule.id, whole.rule.id);
        seen.insert(detail.view.rule.id.to_string());
        seen.extend(whole.records.iter().map(|r| r.table.to_string()));
    }
    for word in [
        "rule.of-alice_smith",
        "secrets-rule",
        "sched-alice-smith",
        RAW,
    ] {
        assert!(seen.contains(word), "{seen:?}");
    }

    // The same rule at home gives its title to what came from elsewhere.
    let text = of_table(
        "rule.of-alice_smith",
        "Alice Smith signed in",
        "identitylogonevents",
        "Location: XX",
    );
    world.own_rule("uk", tenant, text).await;
    let alerts = world.listed(tenant).await;
    let titles: Vec<_> = alerts.iter().map(|a| a.title.as_str()).collect();
    assert!(titles.contains(&"Alice Smith signed in"), "{titles:?}");
}

/// An alert with a word of somebody's own in every place that is free text.
fn full_of_words() -> Alert {
    let at = Ticks(0);
    let record = |table: &str| RecordRef {
        table: TableName::new(table).unwrap(),
        row: RowId::from_bytes([3; 16]),
        at,
    };
    Alert {
        id: AlertId::from_bytes([1; 16]),
        vendor_id: Some("word-vendor-id".to_owned()),
        rule: RuleRef {
            id: DetectionRuleId::new("word-rule").unwrap(),
            version: 2,
            kind: RuleKind::Vendor,
        },
        title: "word-title".to_owned(),
        description: "word-description".to_owned(),
        severity: AlertSeverity::High,
        category: "word-category of Alice Smith".to_owned(),
        techniques: vec!["T1059.001".to_owned(), "word-technique".to_owned()],
        service: ServiceName::new("xdr").unwrap(),
        origin: region("eu"),
        detection_source: "word-source".to_owned(),
        created_at: at,
        first_at: at,
        last_at: at,
        entities: vec![Entity {
            kind: EntityKind::Account,
            role: EntityRole::Impacted,
            name: "word-name".to_owned(),
            keys: vec![EntityKey {
                kind: KeyKind::Address,
                value: "word-key".to_owned(),
            }],
            details: vec![("word-column".to_owned(), "word-value".to_owned())],
        }],
        records: vec![record("AlertInfo"), record("word_table_CL")],
    }
}

fn naming() -> Naming {
    let key = MacKey::new(&Secret::take(&mut [7; 32]));
    let shipped = DetectionRuleId::new("7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f").unwrap();
    Naming::new(key, std::sync::Arc::new(Shipped::from([(shipped, 5)])))
}

#[test]
fn a_digest_has_no_free_text() {
    let (naming, mut alert) = (naming(), full_of_words());
    let digest = naming.digest(&alert).unwrap();
    let text = serde_json::to_string_pretty(&digest).unwrap();
    assert!(!text.contains("word") && !text.contains("Alice"), "{text}");
    testkit::golden("src/tests/golden_link_digest.txt", &(text + "\n"));
    naming::check(&digest).unwrap();

    // A shipped rule keeps its id; another text of it keeps no unkeyed hash.
    alert.rule.id = DetectionRuleId::new("7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f").unwrap();
    alert.rule.version = 5;
    let shipped = naming.digest(&alert).unwrap();
    assert_eq!(shipped.rule, alert.rule);
    alert.rule.version = 6;
    let changed = naming.digest(&alert).unwrap();
    assert_eq!(changed.rule.id, alert.rule.id);
    assert_ne!(changed.rule.version, 6);

    // Home keeps nothing that is in another form, whoever signed it.
    let refused = |change: &dyn Fn(&mut model::AlertDigest)| {
        let mut digest = digest.clone();
        change(&mut digest);
        naming::check(&digest).unwrap_err().code()
    };
    let id = |text: &str| DetectionRuleId::new(text).unwrap();
    assert_eq!(refused(&|d| d.rule.id = id("word-rule")), Code::BadRequest);
    assert_eq!(refused(&|d| d.rule.id = id("own-alice")), Code::BadRequest);
    assert_eq!(
        refused(&|d| d.category = "Alice".to_owned()),
        Code::BadRequest
    );
    let techniques = vec!["Alice".to_owned()];
    assert_eq!(
        refused(&|d| d.techniques.clone_from(&techniques)),
        Code::BadRequest
    );
    let table = TableName::new("Alice_CL").unwrap();
    assert_eq!(
        refused(&|d| d.records[0].table = table.clone()),
        Code::BadRequest
    );
}

#[test]
fn every_shipped_rule_has_an_id_that_can_be_told() {
    let pack = detect::starter_pack();
    for text in pack.sigma.iter().chain(pack.scheduled) {
        let ids = text.text.lines().filter_map(|l| l.strip_prefix("id:"));
        for id in ids {
            let id = id.trim().trim_matches(['"', '\'']);
            let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(id.len() == 36 && id.split('-').all(is_hex), "{id}");
            assert_eq!(id, id.to_lowercase());
        }
    }
}

#[tokio::test]
async fn a_credential_limited_to_tables_is_shown_the_content_of_those_alone() {
    let world = World::new().await;
    let tenant = world.two_alerts().await;
    let uk = world.cell("uk");
    let alerts = world.listed(tenant).await;
    let (here, away) = (find(&alerts, "uk").id, find(&alerts, "eu").id);

    // tables, and which of the two alerts they show.
    let cases: [(&[&str], bool, bool); 6] = [
        (&["DeviceInfo"], false, false),
        (&["DeviceProcessEvents"], true, false),
        (&["IdentityLogonEvents"], false, true),
        (
            &["IdentityLogonEvents", "DeviceProcessEvents", RAW],
            true,
            true,
        ),
        (&["AlertInfo", "AlertEvidence"], true, true),
        (&["AlertInfo"], false, false),
    ];
    for (tables, sees_here, sees_away) in cases {
        let grant = world.limited(tenant, tables).await;
        for (alert, sees) in [(here, sees_here), (away, sees_away)] {
            let detail = uk.alert(&grant, alert).await.unwrap();
            let text = format!("{detail:?}");
            assert_eq!(detail.alert.is_some(), sees, "{tables:?}: {text}");
            assert_eq!(text.contains(PERSON), sees, "{tables:?}: {text}");
            assert_eq!(detail.notice.is_none(), sees, "{tables:?}: {text}");
        }
        let shown = uk.incident(&grant, IncidentId(1)).await.unwrap();
        let text = format!("{shown:?}");
        assert_eq!(text.contains(DEVICE), sees_here, "{tables:?}: {text}");
        assert_eq!(text.contains(PERSON), sees_here, "{tables:?}: {text}");
        assert_eq!(shown.notice.is_none(), sees_here && sees_away, "{tables:?}");
        assert_eq!(
            shown.alerts.len(),
            2,
            "that there is an alert is no content"
        );
        let device = uk.entity(&grant, Subject::Device, DEVICE).await.unwrap();
        assert_eq!(device.alerts.len(), usize::from(sees_here), "{tables:?}");
        let user = uk.entity(&grant, Subject::User, PERSON).await.unwrap();
        let count = usize::from(sees_here) + usize::from(sees_away);
        assert_eq!(user.alerts.len(), count, "{tables:?}");
        assert_eq!(user.notice.is_none(), count == 2, "{tables:?}");
    }

    // The origin asks as well, and names of raw tables do not cross with the question.
    let table = |name: &str| Some(vec![TableName::new(name).unwrap()]);
    let refused = world.asked(tenant, away, table("DeviceInfo")).await;
    assert_eq!(refused, Err(Code::Denied));
    assert!(
        world
            .asked(tenant, away, table("IdentityLogonEvents"))
            .await
            .is_ok()
    );
    assert!(world.asked(tenant, away, None).await.is_ok());
    let crossed = world.link.crossed.lock().unwrap();
    let has = |m: &Vec<u8>| String::from_utf8_lossy(m).contains(RAW);
    assert!(!crossed.iter().any(has));
}

#[tokio::test]
async fn without_federated_reads_no_content_is_read_across_regions() {
    let world = World::new().await;
    let tenant = world.two_alerts().await;
    let uk = world.cell("uk");
    let alerts = world.listed(tenant).await;
    let away = find(&alerts, "eu").id;
    let grant = world.reads("uk", tenant);
    assert!(uk.alert(&grant, away).await.unwrap().alert.is_some());

    let me = Credential::local_operator();
    let changes = uk.cx().decide::<AdministerTenant>(&me, tenant).unwrap();
    let off = |mut settings: crate::Settings| {
        settings.federated_reads = false;
        settings
    };
    uk.change_settings(&changes, off).await.unwrap();
    uk.step().await;
    let before = world.link.crossed.lock().unwrap().len();
    let detail = uk.alert(&grant, away).await.unwrap();
    assert_eq!(detail.alert, None);
    let notice = detail.notice.unwrap();
    assert!(notice.contains("switched off"), "{notice}");
    assert_eq!(
        world.link.crossed.lock().unwrap().len(),
        before,
        "nobody asked"
    );
    assert_eq!(world.asked(tenant, away, None).await, Err(Code::Denied));

    // What rests at home is read as before.
    let here = find(&alerts, "uk").id;
    assert!(uk.alert(&grant, here).await.unwrap().alert.is_some());
}

#[tokio::test]
async fn an_incidents_entities_come_in_parts() {
    let world = World::new().await;
    let tenant = world.two_alerts().await;
    let (uk, grant) = (world.cell("uk"), world.reads("uk", tenant));
    let all = uk.incident(&grant, IncidentId(1)).await.unwrap();
    assert!(all.entities_found > 1 && all.entities.len() == all.entities_found);
    let mut parts = Vec::new();
    for skip in 0..all.entities_found {
        let part = uk
            .incident_part(&grant, IncidentId(1), skip, 1)
            .await
            .unwrap();
        assert_eq!(part.entities_found, all.entities_found);
        assert_eq!(part.hunts, all.hunts);
        parts.extend(part.entities);
    }
    assert_eq!(parts, all.entities);

    // Eight entities of 300 KB each: three fit, and there is always one.
    let big = |_: usize| Entity {
        name: "x".repeat(300 << 10),
        ..full_of_words().entities.remove(0)
    };
    let many: Vec<Entity> = (0..8).map(big).collect();
    assert_eq!(crate::incidents::part_of(many.clone(), 0, 8).len(), 3);
    assert_eq!(crate::incidents::part_of(many, 7, 8).len(), 1);
    let huge = Entity {
        name: "x".repeat(2 << 20),
        ..big(0)
    };
    assert_eq!(crate::incidents::part_of(vec![huge], 0, 8).len(), 1);
}

fn odd_logon(n: u32) -> String {
    record(
        "IdentityLogonEvents",
        &format!("2026-01-01T10:{n:02}:00Z"),
        json!({
            "ReportId": format!("l{n}"), "ActionType": "LogonSuccess",
            "Application": "Active Directory", "AccountUpn": PERSON, "Location": "XX",
        }),
    )
}

/// What waits for home, and what stays for good, as the second cell says.
async fn waiting(world: &World, tenant: TenantId) -> (u64, u64) {
    let eu = world.cell("eu");
    let grant = eu.cx().decide(&Credential::local_operator(), tenant);
    let views = eu.link_views(&grant.unwrap()).await.unwrap();
    (views[0].sent.unwrap().waiting, views[0].held_back)
}

#[tokio::test]
async fn a_full_outbox_stops_no_detection_and_what_waits_is_delivered_later() {
    let mut world = World::new().await;
    let tenant = world.two_alerts().await;
    assert_eq!(world.listed(tenant).await.len(), 2);
    // Room for two, and a home that cannot be reached.
    world.link_waiting_max = 2;
    world.open("eu").await;
    let source = world.identity_source(tenant).await;
    world.link.is_cut.store(true, Ordering::SeqCst);
    for n in 20..25 {
        let sent = world.send("eu", tenant, source, &[odd_logon(n)]).await;
        assert_eq!(sent.stored, 1);
        let report = world.cell("eu").detect_step().await;
        assert_eq!((report.failures, report.alerts), (0, 1), "logon {n}");
        assert!(world.cell("eu").store().tenants_behind().is_empty());
    }
    assert_eq!(waiting(&world, tenant).await, (5, 0));
    let grant = world.cell("eu").detect_grant(tenant).unwrap();
    let store = world.cell("eu").store().clone();
    let queued = store.pending_link(&grant, &region("uk"), 100).await;
    assert_eq!(queued.unwrap().len(), 2, "the rest waits outside");
    drop(store);
    assert_eq!(world.listed(tenant).await.len(), 2);
    // What waits outlives the process, and goes in parts once home is there again.
    world.open("eu").await;
    assert_eq!(waiting(&world, tenant).await, (5, 0));
    world.link.is_cut.store(false, Ordering::SeqCst);
    for left in [3, 1, 0, 0] {
        world.cell("eu").detect_step().await;
        assert_eq!(waiting(&world, tenant).await, (left, 0));
    }
    let listed = world.listed(tenant).await;
    assert_eq!(listed.len(), 7, "{listed:?}");
    let ids: BTreeSet<AlertId> = listed.iter().map(|a| a.id).collect();
    assert_eq!(ids.len(), 7, "each once");
    assert!(listed.iter().all(|a| a.incident.is_some()));
}

#[test]
fn what_waits_outside_the_outbox_is_bounded_and_what_does_not_fit_is_counted() {
    let mut linked = crate::detection::LinkedToday::default();
    let most = model::limits::LINK_POSTPONED_MAX;
    let id = |n: usize| AlertId::from_bytes((n as u128).to_be_bytes());
    for n in 0..most {
        linked.postpone(id(n));
    }
    // The same one again takes no room, and one beyond stays for good.
    linked.postpone(id(3));
    assert_eq!((linked.postponed(), linked.held_back), (most as u64, 0));
    linked.postpone(id(most));
    assert_eq!((linked.postponed(), linked.held_back), (most as u64, 1));
    linked.goes(&id(3));
    linked.postpone(id(most));
    assert_eq!((linked.postponed(), linked.held_back), (most as u64, 1));
    // It is read back as it was written, and as it was before there was any of this.
    let bytes = serde_json::to_vec(&linked).unwrap();
    let back: crate::detection::LinkedToday = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(back.postponed(), most as u64);
    let old = br#"{"day":1,"counts":{},"held_back":4}"#;
    let old: crate::detection::LinkedToday = serde_json::from_slice(old).unwrap();
    assert_eq!((old.postponed(), old.held_back), (0, 4));
}

#[tokio::test]
async fn an_activity_log_names_what_rests_at_home_and_numbers_its_own_entries() {
    let world = World::new().await;
    let (tenant, source) = world.two_alerts_from().await;
    let uk = world.cell("uk");
    let all = world.reads("uk", tenant);
    let incident = world.listed(tenant).await[0].incident.unwrap();
    let log = uk.incident_activity(&all, incident, 0, 100).await.unwrap();
    let why = |log: &[crate::ActivityView]| -> Vec<String> {
        let why = log.iter().filter_map(|e| e.activity.why.clone());
        why.filter(|why| why.contains(" within ")).collect()
    };
    assert_eq!(why(&log).len(), 1);
    let named = format!("address {PERSON} within ");
    assert!(why(&log)[0].starts_with(&named), "{:?}", why(&log));
    // Who may not read the alert at home is told no more than what crossed the link.
    let limited = world.limited(tenant, &["IdentityLogonEvents"]).await;
    let told = uk.incident_activity(&limited, incident, 0, 100).await;
    let told = why(&told.unwrap());
    assert!(!told[0].contains("ada"), "{told:?}");
    assert!(told[0].starts_with("address "), "{told:?}");
    // Every incident counts its own entries, and a page goes on where the last one ended.
    let mut incidents = BTreeSet::from([incident]);
    for n in 1..4 {
        let other = process()
            .replace("10:10:00", &format!("1{n}:40:00"))
            .replace("laptop-ada", &format!("pc-{n}"));
        let other = other
            .replace(PERSON, &format!("p{n}@alder.example"))
            .replace("\"d1\"", &format!("\"d{n}x\""));
        let other = other.replace("\"ReportId\":7", &format!("\"ReportId\":{}", 70 + n));
        let other = other.replace("\"ada\"", &format!("\"p{n}\""));
        assert_eq!(world.send("uk", tenant, source, &[other]).await.stored, 1);
        uk.detect_step().await;
    }
    incidents.extend(world.listed(tenant).await.iter().filter_map(|a| a.incident));
    assert!(incidents.len() > 1, "{incidents:?}");
    for id in incidents {
        let log = uk.incident_activity(&all, id, 0, 100).await.unwrap();
        let numbers: Vec<u64> = log.iter().map(|e| e.sequence).collect();
        let wanted: Vec<u64> = (1..).take(log.len()).collect();
        assert_eq!(numbers, wanted, "{id}");
        let rest = uk.incident_activity(&all, id, 1, 100).await.unwrap();
        assert_eq!(rest, log[1..]);
        let first = uk.incident_activity(&all, id, 0, 1).await.unwrap();
        assert_eq!(first, log[..1]);
    }
}

#[tokio::test]
async fn a_ready_hunt_says_in_which_region_its_rows_rest() {
    let world = World::new().await;
    let tenant = world.two_alerts().await;
    let uk = world.cell("uk");
    let incident = world.listed(tenant).await[0].incident.unwrap();
    let detail = uk
        .incident(&world.reads("uk", tenant), incident)
        .await
        .unwrap();
    let told: Vec<(&str, Option<&str>)> = detail
        .hunts
        .iter()
        .map(|h| {
            (
                h.query.lines().next().unwrap(),
                h.region.as_ref().map(model::RegionCode::as_str),
            )
        })
        .collect();
    assert!(
        told.contains(&("DeviceProcessEvents", Some("uk"))),
        "{told:?}"
    );
    assert!(
        told.contains(&("IdentityLogonEvents", Some("eu"))),
        "{told:?}"
    );
}
