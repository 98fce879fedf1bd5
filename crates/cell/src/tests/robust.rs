//! What one tenant's rows, rules and rows of the catalogue must not do to its detection.

use std::sync::Arc;

use access::{Credential, ManageRules, ManageSources, ReadAudit, ReadIncidents, ReadTenant};
use model::{Code, RuleKind, ServiceName, SourceId, TenantId};
use serde_json::{Value, json};
use store::{AuditRange, DetectionCommit, IncidentFilter, StateRecord};

use super::kit::{World, record};
use crate::{RuleOrigin, SourceRequest};

const SEEN: &str = "
title: A rule of our own
id: 7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f
status: test
logsource:
  product: bailiwick
  service: DeviceProcessEvents
detection:
  selection:
    FileName: canary.exe
  condition: selection
level: high
";

fn canary(n: u32) -> String {
    record(
        "DeviceProcessEvents",
        &format!("2026-01-01T10:10:{n:02}Z"),
        json!({
            "ReportId": n, "DeviceId": format!("d{n}"), "DeviceName": format!("laptop-{n}.alder.example"),
            "ActionType": "ProcessCreated", "FileName": "canary.exe", "ProcessId": n,
        }),
    )
}

impl World {
    /// A tenant with a source of alerts too, and a rule of its own.
    async fn watched(&self) -> (TenantId, SourceId) {
        let (tenant, _) = self.tenant("uk", "GB").await;
        let (cell, me) = (self.cell("uk"), Credential::local_operator());
        let grant = cell.cx().decide::<ManageSources>(&me, tenant).unwrap();
        let services = ["endpoint", "xdr"].map(|s| ServiceName::new(s).unwrap());
        let request = SourceRequest {
            name: "alerts".to_owned(),
            services: services.to_vec(),
            envelope_tenant: None,
            domain_controllers: Vec::new(),
            source: None,
        };
        let source = cell.add_source(&grant, request).await.unwrap().entry.source;
        let rules = cell.cx().decide::<ManageRules>(&me, tenant).unwrap();
        cell.put_rule(&rules, SEEN.to_owned(), true).await.unwrap();
        (tenant, source)
    }

    async fn made(&self, tenant: TenantId) -> Vec<crate::AlertView> {
        let cell = self.cell("uk");
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
        let all = store::AlertFilter::default();
        cell.alerts(&grant, &all, 100).await.unwrap()
    }
}

fn large(n: usize) -> String {
    format!("{}{n}", "x".repeat(8_000))
}

fn evidence(alert: &str, n: usize) -> String {
    let mut row = json!({"AlertId": alert, "EntityType": "File", "EvidenceRole": "Related",
        "SHA256": format!("{n:064x}")});
    for name in [
        "FileName",
        "FolderPath",
        "AccountName",
        "AccountUpn",
        "EmailSubject",
        "RegistryKey",
        "RegistryValueName",
        "RegistryValueData",
        "RemoteUrl",
        "ProcessCommandLine",
    ] {
        row[name] = Value::from(large(n));
    }
    record("AlertEvidence", "2026-01-01T10:00:00Z", row)
}

#[tokio::test]
async fn an_alert_larger_than_may_be_stored_is_cut_and_the_next_rows_are_examined() {
    let world = World::new().await;
    let (tenant, source) = world.watched().await;
    let info = json!({"AlertId": "bomb", "Title": "T", "Category": "Execution", "Severity": "High",
        "ServiceSource": "Microsoft Defender for Endpoint", "DetectionSource": "EDR"});
    let mut lines = vec![record("AlertInfo", "2026-01-01T10:00:00Z", info)];
    lines.extend((0..100).map(|n| evidence("bomb", n)));
    let sent = world.send("uk", tenant, source, &lines).await;
    assert_eq!(sent.stored, 101);
    let cell = world.cell("uk");
    assert_eq!(cell.detect_step().await.failures, 0);
    world.send("uk", tenant, source, &[canary(1)]).await;
    assert_eq!(cell.detect_step().await.failures, 0);
    let alerts = world.made(tenant).await;
    assert_eq!(alerts.len(), 2, "{alerts:#?}");
    let vendor = alerts.iter().find(|a| a.vendor_id.is_some()).unwrap();
    assert_eq!(
        (vendor.vendor_id.as_deref(), &*vendor.title),
        (Some("bomb"), "T")
    );
}

#[tokio::test]
async fn a_frame_that_cannot_be_examined_is_passed_over_and_counted() {
    let world = World::new().await;
    let (tenant, source) = world.watched().await;
    let cell = world.cell("uk");
    world.send("uk", tenant, source, &[canary(1)]).await;
    cell.hopeless(tenant, 1);
    world.send("uk", tenant, source, &[canary(2)]).await;
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<ReadTenant>(&me, tenant).unwrap();
    let health = cell.detection_health(&grant);
    assert_eq!(
        (health.lag_rows, health.failing.unwrap().1),
        (2, Code::TooLarge)
    );
    for _ in 0..2 {
        assert_eq!(cell.detect_step().await.failures, 0);
    }
    assert_eq!(world.made(tenant).await.len(), 1, "of the second frame");
    let health = cell.detection_health(&grant);
    assert_eq!((health.lag_rows, health.failing), (0, None));
    let figures = cell.cx().metrics.render();
    assert!(
        figures.contains("detection_rows_not_examined_total 1"),
        "{figures}"
    );
    assert!(figures.contains("detection_tenants_failing 0"), "{figures}");
    assert!(figures.contains("detection_alerts_total 1"), "{figures}");
}

#[tokio::test]
async fn a_state_that_does_not_open_begins_anew_and_that_is_on_record() {
    let world = World::new().await;
    let (tenant, source) = world.watched().await;
    let cell = world.cell("uk");
    world.send("uk", tenant, source, &[canary(1)]).await;
    assert_eq!(cell.detect_step().await.alerts, 1);
    let grant = cell.detect_grant(tenant).unwrap();
    let state = cell.store().detection_state(&grant).await.unwrap();
    let version = state.state.unwrap().version + 1;
    let junk = DetectionCommit {
        state: Some(StateRecord {
            version,
            body: b"no state".to_vec(),
        }),
        ..DetectionCommit::default()
    };
    cell.store().commit_detection(&grant, junk).await.unwrap();
    cell.forget_progress(tenant);

    world.send("uk", tenant, source, &[canary(2)]).await;
    let step = cell.detect_step().await;
    assert_eq!((step.alerts, step.failures), (1, 0));
    let me = Credential::local_operator();
    let reads = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let all = IncidentFilter::default();
    let incidents = cell.incidents(&reads, &all, 10).await.unwrap();
    let numbers: Vec<u64> = incidents.iter().map(|i| i.summary.id.0).collect();
    assert_eq!(numbers, [2, 1], "numbers go on");
    let audit = cell.cx().decide::<ReadAudit>(&me, tenant).unwrap();
    let log = cell
        .store()
        .audit(&audit, AuditRange::default(), 100)
        .await
        .unwrap();
    let lost = |e: &&store::AuditEntry| e.leaf.happening == ledger::Happening::DetectionStateLost;
    let lost: Vec<_> = log.iter().filter(lost).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].leaf.details["state"], "correlation");
}

#[tokio::test]
async fn a_shared_rule_that_is_switched_stays_shared_and_keeps_no_copy() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let rules = cell.cx().decide::<ManageRules>(&me, tenant).unwrap();
    let shipped = cell.rules(&rules);
    let sigma = shipped.iter().find(|r| r.kind == RuleKind::Sigma).unwrap();
    let before = cell.rules_of(tenant).version();
    let off = cell.switch_rule(&rules, &sigma.id, false).await.unwrap();
    assert_eq!((off.enabled, off.origin), (false, RuleOrigin::Starter));
    assert_eq!(off.text, sigma.text);
    assert_ne!(cell.rules_of(tenant).version(), before);
    let runs = |on: bool| {
        let rules = cell.rules_of(tenant);
        let runs = rules.engines().any(|(engine, indices)| {
            let set = engine.rules().rules();
            indices.iter().any(|at| set[*at].reference.id == sigma.id)
        });
        assert_eq!(runs, on);
    };
    runs(false);
    let on = cell.switch_rule(&rules, &sigma.id, true).await.unwrap();
    assert_eq!((on.enabled, on.origin), (true, RuleOrigin::Starter));
    runs(true);
    assert_eq!(cell.rules(&rules), shipped);
    let kept = cell.store().rules(&rules).await.unwrap();
    assert_eq!((kept.len(), kept[0].text.as_str()), (1, ""));
    // Another text is the tenant's own, in its place.
    let own = cell.put_rule(&rules, format!("{}\n# ours\n", sigma.text), false);
    let own = own.await.unwrap();
    assert_eq!((own.enabled, own.origin), (false, RuleOrigin::Tenant));
    runs(false);
}

const EVERY_HOUR: &str = "
id: 5a1f6d52-4a0c-4a3e-9a0a-6a1b2c3d4e5f
title: Somebody did something
severity: Low
category: Discovery
service: endpoint
frequency: 1h
look_back: 6h
query: |
  DeviceEvents
entities:
  - type: User
    columns: {AccountUpn: AccountUpn}
";

#[tokio::test]
async fn a_scheduled_rule_that_cannot_run_is_not_switched_on_and_says_where_it_is_wrong() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let rules = cell.cx().decide::<ManageRules>(&me, tenant).unwrap();
    let before = cell.rules(&rules);
    let refused = |text: String, on: bool| async move {
        cell.put_rule(
            &cell
                .cx()
                .decide::<ManageRules>(&Credential::local_operator(), tenant)
                .unwrap(),
            text,
            on,
        )
        .await
    };
    let wrong = EVERY_HOUR.replace("  DeviceEvents", "  DeviceEvents\n  unknown");
    let error = refused(wrong.clone(), true).await.unwrap_err();
    assert_eq!(error.code(), Code::BadRule);
    let said = error.to_string();
    assert!(
        said.contains("rule:11:3: KQL0207") && said.contains("[line 2, column 1 of the query]"),
        "{said}"
    );
    let column = EVERY_HOUR.replace("AccountUpn: AccountUpn", "AccountUpn: Upn");
    let error = refused(column, true).await.unwrap_err().to_string();
    assert!(error.contains("no column `Upn`"), "{error}");
    assert_eq!(cell.rules(&rules), before);
    // Switched off it may be kept, and is refused when it is switched on.
    let kept = refused(wrong.clone(), false).await.unwrap();
    assert!(!kept.enabled);
    let on = cell.switch_rule(&rules, &kept.id, true).await.unwrap_err();
    assert_eq!(on.code(), Code::BadRule);
    let problems = cell
        .check_rule(&rules, wrong, Arc::default())
        .await
        .unwrap();
    assert_eq!((problems[0].line, problems[0].column), (Some(11), Some(3)));
    assert!(
        cell.check_rule(&rules, EVERY_HOUR.to_owned(), Arc::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_scheduled_rule_that_fails_is_shown_until_it_runs() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let rules = cell.cx().decide::<ManageRules>(&me, tenant).unwrap();
    for rule in cell.rules(&rules) {
        if rule.kind == RuleKind::Scheduled {
            cell.switch_rule(&rules, &rule.id, false).await.unwrap();
        }
    }
    let rule = cell
        .put_rule(&rules, EVERY_HOUR.to_owned(), true)
        .await
        .unwrap();
    let shown = || {
        cell.rules(&rules)
            .into_iter()
            .find(|r| r.id == rule.id)
            .unwrap()
    };
    world
        .hunting
        .fails
        .store(true, std::sync::atomic::Ordering::Release);
    cell.detect_step().await;
    let failing = shown().failing.unwrap();
    assert_eq!(failing.code, Code::HuntTimeout);
    assert!(failing.window.0 < failing.window.1);
    let grant = cell.cx().decide::<ReadTenant>(&me, tenant).unwrap();
    assert_eq!(cell.detection_health(&grant).rules_failing, 1);
    assert!(
        cell.cx()
            .metrics
            .render()
            .contains("detection_scheduled_rules_failing 1")
    );
    let since = failing.since;
    world.clock.advance(model::Span100ns::seconds(2 * 3_600));
    cell.detect_step().await;
    assert_eq!(
        shown().failing.unwrap().since,
        since,
        "still the same failure"
    );
    world
        .hunting
        .fails
        .store(false, std::sync::atomic::Ordering::Release);
    world.clock.advance(model::Span100ns::seconds(2 * 3_600));
    for _ in 0..3 {
        cell.detect_step().await;
    }
    assert_eq!(shown().failing, None);
}
