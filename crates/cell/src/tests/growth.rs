//! A vendor's alert and its evidence in every order, and what rules leave behind when they change.

use access::{Credential, ManageSources, Operate, ReadIncidents};
use model::{
    Alert, AlertDigest, AlertId, AlertSeverity, DetectionRuleId, Entity, EntityKey, EntityKind,
    EntityRole, IncidentId, KeyKind, RuleKind, RuleRef, ServiceName, SourceId, Span100ns, TenantId,
    Ticks,
};
use serde_json::{Value, json};
use store::{AlertFilter, IncidentFilter};

use super::kit::{World, record, region};
use crate::link::LinkAlerts;
use crate::{AlertDetail, SourceRequest};

const ENCODED: &str = "
title: PowerShell with an encoded command
id: 7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f
logsource: {product: windows, category: process_creation}
detection:
  selection:
    Image|endswith: '\\powershell.exe'
  condition: selection
level: high
tags: [attack.execution, attack.t1059.001]
";

const PERSON: &str = "ada.example@alder.example";

fn process(at: &str) -> String {
    record(
        "DeviceProcessEvents",
        at,
        json!({
            "ReportId": 7, "DeviceId": "d1", "DeviceName": "laptop-ada.alder.example",
            "ActionType": "ProcessCreated", "FileName": "powershell.exe",
            "FolderPath": "C:\\Windows\\System32\\powershell.exe",
            "ProcessCommandLine": "powershell.exe", "ProcessId": 4321, "AccountUpn": PERSON,
        }),
    )
}

fn info() -> String {
    record(
        "AlertInfo",
        "2026-01-01T10:12:00Z",
        json!({
            "AlertId": "da63-1", "Title": "Suspicious access to LSASS service",
            "Category": "CredentialAccess", "Severity": "High",
            "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR",
            "AttackTechniques": "[\"OS Credential Dumping (T1003)\"]",
        }),
    )
}

fn evidence(kind: &str, columns: Value) -> String {
    let mut row = json!({
        "AlertId": "da63-1", "EntityType": kind, "EvidenceRole": "Impacted",
        "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR",
    });
    for (name, value) in columns.as_object().unwrap() {
        row[name] = value.clone();
    }
    record("AlertEvidence", "2026-01-01T10:12:30Z", row)
}

fn machine() -> String {
    evidence(
        "Machine",
        json!({"DeviceId": "d1", "DeviceName": "laptop-ada.alder.example"}),
    )
}

fn user() -> String {
    evidence("User", json!({"AccountUpn": PERSON}))
}

/// A tenant with the one rule, whose source brings the vendor's alerts too.
async fn tenant(world: &World) -> (TenantId, SourceId) {
    let (cell, me) = (world.cell("uk"), Credential::local_operator());
    let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
    let rule = cell.put_cell_rule(&operate, ENCODED.to_owned(), true);
    rule.await.unwrap();
    let (tenant, _) = world.tenant("uk", "GB").await;
    let grant = cell.cx().decide::<ManageSources>(&me, tenant).unwrap();
    let services = ["endpoint", "xdr"].map(|s| ServiceName::new(s).unwrap());
    let request = SourceRequest {
        name: "alerts".to_owned(),
        services: services.to_vec(),
        envelope_tenant: None,
        domain_controllers: Vec::new(),
        source: None,
    };
    let source = cell.add_source(&grant, request).await.unwrap();
    (tenant, source.entry.source)
}

/// The vendor's alert as it is shown, and the alerts of the incident that it is in.
async fn vendors(world: &World, tenant: TenantId) -> (AlertDetail, usize) {
    let (cell, me) = (world.cell("uk"), Credential::local_operator());
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let all = cell.alerts(&grant, &AlertFilter::default(), 100).await;
    let all = all.unwrap();
    let vendors = all.iter().find(|a| a.vendor_id.is_some()).unwrap();
    let detail = cell.alert(&grant, vendors.id).await.unwrap();
    let together = all.iter().filter(|a| a.incident == vendors.incident);
    (detail, together.count())
}

async fn activity(world: &World, tenant: TenantId, incident: IncidentId) -> Vec<(String, String)> {
    let (cell, me) = (world.cell("uk"), Credential::local_operator());
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let log = cell.incident_activity(&grant, incident, 0, 100).await;
    let entry = |e: crate::ActivityView| (e.activity.what, e.activity.why.unwrap_or_default());
    log.unwrap().into_iter().map(entry).collect()
}

/// Every order of the four deliveries.
fn orders() -> Vec<[usize; 4]> {
    let mut all = Vec::new();
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                let d = (0..4).find(|d| ![a, b, c].contains(d)).unwrap();
                all.push([a, b, c, d]);
            }
        }
    }
    assert_eq!(all.len(), 24);
    all
}

#[tokio::test]
async fn a_vendors_alert_joins_its_incident_in_whatever_order_its_parts_come() {
    let mut world = World::new().await;
    for (n, order) in orders().into_iter().enumerate() {
        let (tenant, source) = tenant(&world).await;
        let parts = [process("2026-01-01T10:10:00Z"), info(), machine(), user()];
        for (step, at) in order.into_iter().enumerate() {
            let part = std::slice::from_ref(&parts[at]);
            let sent = world.send("uk", tenant, source, part).await;
            assert_eq!(sent.stored, 1, "{order:?}");
            world.cell("uk").detect_step().await;
            if n.is_multiple_of(2) && step == 1 {
                world.open("uk").await;
            }
            world.clock.advance(Span100ns::seconds(1_800));
        }
        world.cell("uk").detect_step().await;
        let (detail, together) = vendors(&world, tenant).await;
        assert_eq!(together, 2, "{order:?}: the two alerts are one incident's");
        let alert = detail.alert.unwrap();
        assert_eq!(alert.vendor_id.as_deref(), Some("da63-1"));
        assert_eq!(alert.title, "Suspicious access to LSASS service");
        assert_eq!(alert.severity, AlertSeverity::High);
        let mut names: Vec<_> = alert.entities.iter().map(|e| e.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, [PERSON, "laptop-ada.alder.example"], "{order:?}");
        assert_eq!(alert.records.len(), 3, "{order:?}");
    }
}

/// The vendor's alert on an identity, as the cell where that service rests may tell it; with what
/// evidence it has.
fn told(world: &World, tenant: TenantId, evidence: &[(EntityKind, KeyKind, &str)]) -> AlertDigest {
    let eu = world.cell("eu");
    let at = Ticks::parse("2026-01-01T10:12:00Z").unwrap();
    let entity = |(kind, key, value): &(EntityKind, KeyKind, &str)| Entity {
        kind: *kind,
        role: EntityRole::Impacted,
        name: (*value).to_owned(),
        keys: vec![EntityKey {
            kind: *key,
            value: (*value).to_owned(),
        }],
        details: Vec::new(),
    };
    let alert = Alert {
        id: AlertId::from_bytes([9; 16]),
        vendor_id: Some("ri-1".to_owned()),
        rule: RuleRef {
            id: DetectionRuleId::new("vendor-0011223344556677").unwrap(),
            version: 1,
            kind: RuleKind::Vendor,
        },
        title: "Suspicious service creation".to_owned(),
        description: String::new(),
        severity: AlertSeverity::High,
        category: "LateralMovement".to_owned(),
        techniques: Vec::new(),
        service: ServiceName::new("identity").unwrap(),
        origin: region("eu"),
        detection_source: "Vendor".to_owned(),
        created_at: at,
        first_at: at,
        last_at: at,
        entities: evidence.iter().map(entity).collect(),
        records: Vec::new(),
    };
    let tenant = eu.tenant_of(tenant).unwrap();
    eu.naming(&tenant).unwrap().digest(&alert).unwrap()
}

/// The alert lies in one geography, its evidence comes in parts over the link, and what it belongs to is
/// found at home: before, between or after.
#[tokio::test]
async fn evidence_that_comes_over_the_link_joins_in_whatever_order_it_comes() {
    let mut world = World::new().await;
    let machine = (
        EntityKind::Device,
        KeyKind::DeviceName,
        "laptop-ada.alder.example",
    );
    let user = (EntityKind::Account, KeyKind::Address, PERSON);
    for (n, order) in orders().into_iter().enumerate() {
        let (tenant, source) = tenant(&world).await;
        let told = [
            told(&world, tenant, &[]),
            told(&world, tenant, &[machine]),
            told(&world, tenant, &[user]),
        ];
        for (step, part) in order.into_iter().enumerate() {
            if let Some(digest) = told.get(part) {
                let (eu, uk) = (region("eu"), region("uk"));
                let at = world.cell("eu").cx().now();
                let mut message = LinkAlerts::new(tenant, eu.clone(), uk, at, vec![digest.clone()]);
                message.upto = u64::try_from(step).unwrap() + 1;
                let signed = message.sign(&**world.cell("eu").store().vault()).unwrap();
                let home = world.cell("uk");
                home.accept_alerts(&eu, &signed).await.unwrap();
                // The answer was lost: the same comes again.
                home.accept_alerts(&eu, &signed).await.unwrap();
            } else {
                let row = process("2026-01-01T10:10:00Z");
                world.send("uk", tenant, source, &[row]).await;
                world.cell("uk").detect_step().await;
            }
            if n.is_multiple_of(3) && step == 1 {
                world.open("uk").await;
            }
        }
        let (cell, me) = (world.cell("uk"), Credential::local_operator());
        let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
        let all = cell.alerts(&grant, &AlertFilter::default(), 100).await;
        let all = all.unwrap();
        let places: Vec<_> = all.iter().map(|a| a.incident).collect();
        assert_eq!(places.len(), 2, "{order:?}");
        assert!(
            places[0].is_some() && places[0] == places[1],
            "{order:?} {places:?}"
        );
        let incident = cell.incident(&grant, places[0].unwrap()).await.unwrap();
        assert_eq!(incident.view.summary.alerts.len(), 2, "{order:?}");
    }
}

#[tokio::test]
async fn evidence_that_comes_days_later_moves_the_alert_and_the_log_says_why() {
    let mut world = World::new().await;
    let (tenant, source) = tenant(&world).await;
    for line in [process("2026-01-01T10:10:00Z"), info()] {
        world.send("uk", tenant, source, &[line]).await;
        world.cell("uk").detect_step().await;
    }
    let (before, alone) = vendors(&world, tenant).await;
    assert_eq!(alone, 1, "nothing says yet what it is about");
    assert_eq!(before.alert.unwrap().entities, []);

    world.open("uk").await;
    world.clock.advance(Span100ns::days(5));
    world.send("uk", tenant, source, &[machine()]).await;
    world.cell("uk").detect_step().await;
    let (after, together) = vendors(&world, tenant).await;
    assert_eq!(together, 2);
    assert_eq!(after.view.incident, Some(IncidentId(1)));
    assert_eq!(after.view.created_at, before.view.created_at);
    let merged = activity(&world, tenant, IncidentId(1)).await;
    let merged = merged.iter().find(|(what, _)| what == "merged").unwrap();
    assert!(merged.1.starts_with("device_"), "{merged:?}");
    let of_alone = activity(&world, tenant, before.view.incident.unwrap()).await;
    let whats: Vec<_> = of_alone.iter().map(|(what, _)| what.as_str()).collect();
    assert!(
        whats.contains(&"grown") && whats.contains(&"redirected"),
        "{whats:?}"
    );

    // The same evidence once more, as a redelivery brings it with another clock.
    let again = world.send("uk", tenant, source, &[machine()]).await;
    assert_eq!((again.stored, again.duplicates), (0, 1));
    world.cell("uk").detect_step().await;
    let incidents = {
        let cell = world.cell("uk");
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
        let all = cell.incidents(&grant, &IncidentFilter::default(), 10).await;
        all.unwrap()
    };
    let open = incidents.iter().filter(|i| i.redirected_to.is_none());
    assert_eq!(open.count(), 1);
    assert_eq!(vendors(&world, tenant).await.0, after);
}

const TWICE: &str = "
title: Two of a kind
id: 2b6c1c8e-5a52-4d0b-b5d5-0a1f3b9f0001
correlation:
  type: event_count
  rules: [one]
  group-by: [AccountUpn]
  timespan: 1h
  condition: {gte: 2}
level: high
tags: [attack.execution]
---
title: One
id: 2b6c1c8e-5a52-4d0b-b5d5-0a1f3b9f0002
name: one
logsource: {product: bailiwick, service: deviceevents}
detection:
  selection: {ActionType: Odd}
  condition: selection
level: informational
tags: [attack.execution]
";

fn odd(report: u64, at: &str) -> String {
    let row =
        json!({"ReportId": report, "DeviceId": "d1", "ActionType": "Odd", "AccountUpn": PERSON});
    record("DeviceEvents", at, row)
}

#[tokio::test]
async fn what_a_rule_has_seen_outlives_other_rules_changes_and_not_its_own() {
    for (changes, expected) in [(false, 1), (true, 0)] {
        let mut world = World::new().await;
        let (tenant, source) = tenant(&world).await;
        let cell = world.cell("uk").clone();
        let operate = cell
            .cx()
            .decide_cell::<Operate>(&Credential::local_operator());
        let operate = operate.unwrap();
        cell.put_cell_rule(&operate, TWICE.to_owned(), true)
            .await
            .unwrap();
        let first = [odd(1, "2026-01-01T10:00:00Z")];
        world.send("uk", tenant, source, &first).await;
        cell.detect_step().await;
        assert_eq!(groups(&world, tenant).await, 1);

        let text = if changes {
            TWICE.replace("timespan: 1h", "timespan: 2h")
        } else {
            ENCODED.replace("7f3c0a4e", "7f3c0a4f")
        };
        cell.put_cell_rule(&operate, text, true).await.unwrap();
        if changes {
            world.open("uk").await;
        }
        let second = [odd(2, "2026-01-01T10:05:00Z")];
        world.send("uk", tenant, source, &second).await;
        let made = world.cell("uk").detect_step().await.alerts;
        assert_eq!(made, expected, "changed: {changes}");
        assert_eq!(
            groups(&world, tenant).await,
            1,
            "no group of a rule that is gone"
        );
    }
}

#[tokio::test]
async fn a_tenants_own_rule_keeps_its_state_when_the_shared_ones_change() {
    let world = World::new().await;
    let (tenant, source) = tenant(&world).await;
    let (cell, me) = (world.cell("uk"), Credential::local_operator());
    let rules = cell
        .cx()
        .decide::<access::ManageRules>(&me, tenant)
        .unwrap();
    cell.put_rule(&rules, TWICE.to_owned(), true).await.unwrap();
    world
        .send("uk", tenant, source, &[odd(1, "2026-01-01T10:00:00Z")])
        .await;
    cell.detect_step().await;
    let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
    let other = ENCODED.replace("7f3c0a4e", "7f3c0a4f");
    cell.put_cell_rule(&operate, other, true).await.unwrap();
    world
        .send("uk", tenant, source, &[odd(2, "2026-01-01T10:05:00Z")])
        .await;
    assert_eq!(cell.detect_step().await.alerts, 1);
}

/// Groups of correlations that the tenant's detection holds.
async fn groups(world: &World, tenant: TenantId) -> usize {
    let progress = world.cell("uk").progress(tenant).await.unwrap();
    let progress = progress.as_ref().unwrap();
    assert_eq!(*world.cell("uk").region(), region("uk"));
    progress.detectors.correlations.groups()
}
