//! Detections to alerts, alerts to rows, and another product's rows to alerts.

use std::collections::BTreeSet;

use model::{Alert, AlertSeverity, EntityKind, KeyKind, RuleKind, TableName};
use rows::RecordBatch;
use rows::arrow::array::AsArray;
use serde_json::{Value, json};

use super::help;
use crate::alert_rows::alert_rows;
use crate::{Engine, VendorAlerts, alert};

const RULE: &str = "
title: A tool
id: 5d5ddc4f-5d4a-4a1c-9a35-0c2c1b3d7e55
description: It is a tool.
tags: [attack.credential-access, attack.t1003.001, attack.t1070.001]
logsource: {product: windows, category: process_creation}
detection: {tool: {CommandLine|contains: sekurlsa}, condition: tool}
level: critical
";

fn process(command: &str) -> Value {
    json!({"Timestamp": "2026-07-18T09:00:00Z", "DeviceId": "ab12", "DeviceName": "ws.tenant.example",
        "FileName": "m.exe", "FolderPath": "C:\\Users\\i\\m.exe", "ProcessCommandLine": command,
        "ProcessId": 7000, "ProcessCreationTime": "2026-07-18T09:00:00Z", "AccountName": "ida", "AccountDomain": "tenant",
        "SHA256": "6c1f0f3a9a0de4b8c6a2b4df4f1d2b30a1c7e3b6d0f94c4b7a3c1d5e6f708192", "ReportId": 1})
}

fn alerts(text: &str) -> Vec<Alert> {
    let engine = help::engine(text);
    let (table, batch) = help::rows_of(
        "DeviceProcessEvents",
        &[process("x"), process("sekurlsa::x"), process("y")],
    );
    let found = engine.evaluate(&table, &batch);
    help::making(|m| alert::of_detections(engine.rules(), &table, &batch, &found.detections, m))
}

#[test]
fn an_alert_says_what_was_found_where_and_about_whom() {
    let alerts = alerts(RULE);
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0];
    assert_eq!(alert.title, "A tool");
    assert_eq!(alert.severity, AlertSeverity::High);
    assert_eq!(alert.category, "CredentialAccess");
    assert_eq!(alert.techniques, ["T1003.001", "T1070.001"]);
    assert_eq!(alert.rule.kind, RuleKind::Sigma);
    assert_eq!(
        alert.description,
        "It is a tool.\n\nCommandLine: sekurlsa::x"
    );
    assert_eq!(alert.records.len(), 1);
    assert_eq!(alert.records[0].row.as_bytes()[15], 2);
    let kinds: BTreeSet<EntityKind> = alert.entities.iter().map(|e| e.kind).collect();
    let wanted = [
        EntityKind::Device,
        EntityKind::Account,
        EntityKind::Process,
        EntityKind::File,
    ];
    assert!(wanted.iter().all(|k| kinds.contains(k)), "{kinds:?}");
    let rule = help::engine(RULE);
    assert_eq!(
        rule.rules().rules()[0].techniques_now,
        ["T1003.001", "T1685.005"]
    );
}

#[test]
fn the_same_detection_is_the_same_alert_and_another_text_is_another() {
    let id = |text: &str| alerts(text)[0].id;
    assert_eq!(id(RULE), id(RULE));
    assert_ne!(id(RULE), id(&RULE.replace("It is a tool", "It is one")));
    assert_ne!(id(RULE), id(&RULE.replace("5d5ddc4f", "6d5ddc4f")));
}

fn text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let array = batch.column_by_name(column).unwrap().as_string::<i32>();
    array.value(row).to_owned()
}

#[test]
fn rows_of_an_alert_have_its_columns() {
    let alerts = alerts(RULE);
    let rows = alert_rows(&alerts).unwrap();
    let info = &rows.info.batch;
    assert_eq!(
        (info.num_rows(), rows.evidence.batch.num_rows()),
        (1, alerts[0].entities.len())
    );
    assert_eq!(text(info, "AlertId", 0), alerts[0].id.to_string());
    assert_eq!(text(info, "Severity", 0), "High");
    assert_eq!(
        text(info, "AttackTechniques", 0),
        r#"["T1003.001","T1070.001"]"#
    );
    assert_eq!(text(info, "DetectionSource", 0), "Sigma rule");
    let evidence = &rows.evidence.batch;
    let types: Vec<String> = (0..evidence.num_rows())
        .map(|r| text(evidence, "EntityType", r))
        .collect();
    let machine = types.iter().position(|t| t == "Machine").unwrap();
    assert_eq!(text(evidence, "DeviceId", machine), "ab12");
    assert_eq!(text(evidence, "DeviceName", machine), "ws.tenant.example");
    let user = types.iter().position(|t| t == "User").unwrap();
    assert_eq!(text(evidence, "AccountName", user), "ida");
    assert_eq!(text(evidence, "DeviceId", user), "");
    let file = types.iter().position(|t| t == "File").unwrap();
    assert_eq!(text(evidence, "SHA256", file).len(), 64);
    let process = types.iter().position(|t| t == "Process").unwrap();
    assert_eq!(text(evidence, "ProcessCommandLine", process), "sekurlsa::x");
    for row in 0..evidence.num_rows() {
        let extra: Value = serde_json::from_str(&text(evidence, "AdditionalFields", row)).unwrap();
        assert!(extra["Name"].is_string());
    }
    let ids: Vec<&[u8]> = rows.evidence.identity.iter().collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

fn info(id: &str, title: &str) -> Value {
    json!({"Timestamp": "2026-07-18T09:30:00Z", "AlertId": id, "Title": title, "Category": "InitialAccess",
        "Severity": "Medium", "ServiceSource": "AAD Identity Protection", "DetectionSource": "AAD Identity Protection",
        "AttackTechniques": "[\"Valid Accounts (T1078)\",\"Cloud Accounts (T1078.004)\"]"})
}

fn evidence(id: &str, upn: &str) -> Value {
    json!({"Timestamp": "2026-07-18T09:31:00Z", "AlertId": id, "EntityType": "User", "EvidenceRole": "Impacted",
        "AccountUpn": upn, "AccountSid": "S-1-5-21-1-2-3-1017", "AccountObjectId": "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a"})
}

fn advance(state: &mut VendorAlerts, (table, batch): &(TableName, RecordBatch)) -> Vec<Alert> {
    help::making(|m| state.advance(table, batch, m))
}

#[test]
fn halves_of_a_vendors_alert_meet_in_any_order() {
    let info = help::rows_of("AlertInfo", &[info("ad1_2", "Unfamiliar sign-in")]);
    let user = help::rows_from(
        "AlertEvidence",
        &[evidence("ad1_2", "ida@tenant.example")],
        10,
    );
    let ip = help::rows_from(
        "AlertEvidence",
        &[
            json!({"Timestamp": "2026-07-18T09:31:00Z", "AlertId": "ad1_2", "EntityType": "Ip",
            "EvidenceRole": "Related", "RemoteIP": "198.51.100.7"}),
        ],
        20,
    );
    let mut seen = Vec::new();
    for order in [
        [&info, &user, &ip],
        [&user, &info, &ip],
        [&ip, &user, &info],
    ] {
        let mut state = VendorAlerts::default();
        let mut last = None;
        for batch in order {
            last = advance(&mut state, batch).pop().or(last);
            // At rest in between.
            state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        }
        let mut alert = last.unwrap();
        alert.entities.sort_by_key(|e| e.kind);
        seen.push(alert);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    let alert = &seen[0];
    assert_eq!(alert.vendor_id.as_deref(), Some("ad1_2"));
    assert_eq!(alert.title, "Unfamiliar sign-in");
    assert_eq!(alert.severity, AlertSeverity::Medium);
    assert_eq!(alert.techniques, ["T1078", "T1078.004"]);
    assert_eq!(alert.service.as_str(), "identity_protection");
    assert_eq!(alert.rule.kind, RuleKind::Vendor);
    assert_eq!(alert.records.len(), 3);
    let account = &alert.entities[0];
    let kinds: Vec<KeyKind> = account.keys.iter().map(|k| k.kind).collect();
    assert_eq!(
        kinds,
        [
            KeyKind::Address,
            KeyKind::AccountSid,
            KeyKind::AccountObjectId
        ]
    );
}

#[test]
fn repeated_rows_say_nothing_new_and_growth_keeps_the_id() {
    let mut state = VendorAlerts::default();
    let info = help::rows_of("AlertInfo", &[info("ad1_2", "t")]);
    let first = advance(&mut state, &info);
    assert_eq!(first.len(), 1);
    assert_eq!(advance(&mut state, &info), []);
    let user = help::rows_from(
        "AlertEvidence",
        &[evidence("ad1_2", "ida@tenant.example")],
        10,
    );
    let second = advance(&mut state, &user);
    assert_eq!(second[0].id, first[0].id);
    assert_eq!((first[0].entities.len(), second[0].entities.len()), (0, 1));
    assert_eq!(advance(&mut state, &user), []);
}

#[test]
fn evidence_without_its_alert_waits_within_a_bound() {
    let most = model::limits::VENDOR_ALERTS_PENDING_MAX;
    let rows: Vec<Value> = (0..most + 3)
        .map(|n| evidence(&format!("x{n}"), "a@b.example"))
        .collect();
    let mut state = VendorAlerts::default();
    assert_eq!(
        advance(&mut state, &help::rows_of("AlertEvidence", &rows)),
        []
    );
    assert_eq!((state.pending(), state.forgotten()), (most, 3));
}

#[test]
fn rows_of_our_own_alerts_are_not_taken_for_a_vendors() {
    let rows = alert_rows(&alerts(RULE)).unwrap();
    let mut state = VendorAlerts::default();
    for rows in [rows.info, rows.evidence] {
        assert_eq!(advance(&mut state, &(rows.table.clone(), rows.batch)), []);
    }
    assert_eq!(state.pending(), 0);
}
