//! Rules see the rows of their log source, by the names that the source has, and no others.

use ingest::Format;
use model::TableName;
use serde_json::{Value, json};

use super::help;
use crate::{Engine, RuleText, SigmaEngine, Weight, check, compile, explain};

fn rule(source: &str, selection: &str) -> String {
    format!(
        "title: t\nid: r\nlogsource: {source}\ndetection:\n  s: {selection}\n  condition: s\nlevel: low\n"
    )
}

fn matches(engine: &SigmaEngine, table: &str, properties: Value) -> usize {
    let (table, batch) = help::rows_of(table, &[properties]);
    engine.evaluate(&table, &batch).detections.len()
}

fn finds(source: &str, selection: &str, table: &str, properties: Value) -> bool {
    let mut properties = properties;
    properties["Timestamp"] = json!("2026-07-18T09:00:00Z");
    properties["ReportId"] = json!("1");
    matches(&help::engine(&rule(source, selection)), table, properties) == 1
}

fn windows(event: &Value) -> Vec<(TableName, rows::RecordBatch)> {
    help::decode(Format::WindowsJson, event.to_string().as_bytes())
}

fn finds_event(source: &str, selection: &str, event: &Value) -> usize {
    let engine = help::engine(&rule(source, selection));
    windows(event)
        .iter()
        .map(|(t, b)| engine.evaluate(t, b).detections.len())
        .sum()
}

#[test]
fn hunting_columns_have_sigmas_names() {
    let process = "{product: windows, category: process_creation}";
    let row = json!({"FileName": "cmd.exe", "FolderPath": "C:\\Windows\\System32\\cmd.exe", "ProcessCommandLine": "cmd /c x",
        "AccountDomain": "tenant", "AccountName": "ida", "SHA1": "aa", "InitiatingProcessFolderPath": "C:\\Windows",
        "InitiatingProcessFileName": "explorer.exe", "ProcessIntegrityLevel": "High"});
    for selection in [
        "{Image|endswith: '\\cmd.exe'}",
        "{CommandLine: 'cmd /c x'}",
        "{User: 'TENANT\\ida'}",
        "{Hashes|contains: 'SHA1=AA'}",
        "{ParentImage: 'C:\\Windows\\explorer.exe'}",
        "{IntegrityLevel: High}",
        "{OriginalFileName: null}",
    ] {
        assert!(
            finds(process, selection, "DeviceProcessEvents", row.clone()),
            "{selection}"
        );
    }
    let network = "{product: windows, category: network_connection}";
    let row = json!({"ActionType": "ConnectionSuccess", "RemoteIP": "198.51.100.7", "RemotePort": 443, "Protocol": "Tcp"});
    for selection in [
        "{DestinationIp|cidr: 198.51.100.0/24}",
        "{DestinationPort: 443}",
        "{Initiated: 'true'}",
        "{Protocol: tcp}",
    ] {
        assert!(
            finds(network, selection, "DeviceNetworkEvents", row.clone()),
            "{selection}"
        );
    }
    let registry = "{product: windows, category: registry_set}";
    let row = json!({"ActionType": "RegistryValueSet", "RegistryKey": "HKEY_LOCAL_MACHINE\\SOFTWARE\\X", "RegistryValueName": "Y",
        "RegistryValueType": "Dword", "RegistryValueData": "1"});
    for selection in [
        "{TargetObject: 'HKLM\\SOFTWARE\\X\\Y'}",
        "{Details: 'DWORD (0x00000001)'}",
        "{EventType: SetValue}",
    ] {
        assert!(
            finds(registry, selection, "DeviceRegistryEvents", row.clone()),
            "{selection}"
        );
    }
    let any = "{product: windows, category: registry_event}";
    assert!(finds(
        any,
        "{TargetObject|endswith: '\\Y'}",
        "DeviceRegistryEvents",
        row
    ));
    let logon = json!({"ActionType": "LogonFailed", "LogonType": "Network", "AccountName": "ida", "RemoteIP": "10.0.0.1"});
    let security = "{product: windows, service: security}";
    assert!(finds(
        security,
        "{EventID: 4625, LogonType: 3, IpAddress: 10.0.0.1}",
        "DeviceLogonEvents",
        logon
    ));
    let signed = json!({"ErrorCode": 0, "AccountUpn": "a@b.example"});
    assert!(finds(
        "{product: azure, service: signinlogs}",
        "{ResultType: 0}",
        "EntraIdSignInEvents",
        signed
    ));
    let cloud = json!({"ActionType": "New-InboxRule", "Application": "Microsoft Exchange Online",
        "RawEventData": {"Workload": "Exchange", "ResultStatus": "True"}});
    assert!(finds(
        "{product: m365, service: exchange}",
        "{eventSource: Exchange, eventName: New-InboxRule, status: success}",
        "CloudAppEvents",
        cloud
    ));
}

#[test]
fn our_own_columns_are_named_as_they_are_into_json_too() {
    let source = "{product: bailiwick, service: cloudappevents}";
    let row = json!({"ActionType": "X", "IsAdminOperation": true, "ApplicationId": 7,
        "RawEventData": {"Operation": "X", "Target": [{"ID": "one"}, {"ID": "two"}]}, "IPTags": ["Tor", "Corporate"]});
    for (selection, found) in [
        ("{ActionType: X}", true),
        ("{ApplicationId: 7}", true),
        ("{IsAdminOperation: true}", true),
        ("{RawEventData.Operation: X}", true),
        ("{RawEventData.Target.1.ID: two}", true),
        ("{RawEventData|contains: 'two'}", true),
        ("{IPTags: Tor}", true),
        ("{IPTags: Other}", false),
        ("{CountryCode: null}", true),
        ("{CountryCode: SE}", false),
    ] {
        assert_eq!(
            finds(source, selection, "CloudAppEvents", row.clone()),
            found,
            "{selection}"
        );
    }
}

#[test]
fn a_rule_sees_only_its_log_source() {
    let event = json!({"Channel": "Security", "EventID": 4688, "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "Computer": "ws", "TimeCreated": "2026-07-18T09:00:00Z", "NewProcessName": "C:\\x.exe", "ParentProcessName": "C:\\y.exe"});
    for (source, found) in [
        ("{product: windows, category: process_creation}", 1),
        ("{category: process_creation}", 1),
        ("{product: windows, service: security}", 1),
        ("{product: windows}", 1),
        ("{product: linux, category: process_creation}", 0),
        ("{product: windows, service: sysmon}", 0),
        ("{product: windows, category: image_load}", 0),
        ("{product: azure, service: signinlogs}", 0),
    ] {
        assert_eq!(
            finds_event(source, "{EventID: 4688}", &event),
            found,
            "{source}"
        );
    }
    // Its own names, and those that rules of the category use.
    assert_eq!(
        finds_event(
            "{category: process_creation}",
            "{Image: 'C:\\x.exe', ParentImage: 'C:\\y.exe'}",
            &event
        ),
        1
    );
    assert_eq!(
        finds_event(
            "{service: security}",
            "{NewProcessName: 'C:\\x.exe'}",
            &event
        ),
        1
    );
    // Our columns, too.
    let own = "{product: bailiwick, service: deviceprocessevents}";
    assert_eq!(finds_event(own, "{FileName: x.exe}", &event), 1);
}

#[test]
fn an_event_without_a_category_is_not_shown_to_rules_that_ask_for_one() {
    let event = json!({"Channel": "Security", "EventID": 4624, "Provider_Name": "Microsoft-Windows-Security-Auditing",
        "Computer": "ws", "TimeCreated": "2026-07-18T09:00:00Z", "TargetUserName": "ida", "LogonType": 3});
    assert_eq!(
        finds_event("{category: process_creation}", "{EventID: 4624}", &event),
        0
    );
    assert_eq!(
        finds_event(
            "{product: windows, service: security}",
            "{EventID: 4624}",
            &event
        ),
        1
    );
}

#[test]
fn blanks_in_names_are_stripped_and_a_logon_at_a_controller_is_found_once() {
    let event = json!({"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1116,
        "Provider_Name": "Microsoft-Windows-Windows Defender", "Computer": "ws", "TimeCreated": "2026-07-18T09:00:00Z",
        "Threat Name": "Tool:Win32/X", "Path": "C:\\x"});
    assert_eq!(
        finds_event(
            "{product: windows, service: windefend}",
            "{ThreatName|contains: Tool}",
            &event
        ),
        1
    );
    assert_eq!(
        finds_event(
            "{category: antivirus}",
            "{Signature|contains: Tool, Filename: 'C:\\x'}",
            &event
        ),
        1
    );
}

#[test]
fn raw_tables_have_the_log_source_that_their_name_says() {
    let engine = help::engine(&rule(
        "{product: m365, service: audit}",
        "{eventName: Add-MailboxPermission, status: success}",
    ));
    let table = TableName::new("O365Audit").unwrap();
    let body = json!({"Operation": "Add-MailboxPermission", "ResultStatus": "True", "Timestamp": "2026-07-18T09:00:00Z"}).to_string();
    let batches = help::decode_as(Format::Json, body.as_bytes(), Some(&table), 0);
    let found: usize = batches
        .iter()
        .map(|(t, b)| engine.evaluate(t, b).detections.len())
        .sum();
    assert_eq!(found, 1);
}

#[test]
fn one_wrong_text_costs_the_others_nothing_and_says_where() {
    let good = rule("{product: windows}", "{A: b}");
    let compiled = compile(&[
        RuleText {
            name: "bad.yml",
            text: "title: x\ndetection: [\n",
        },
        RuleText {
            name: "worse.yml",
            text: "title: x\nlogsource: {product: windows}\ndetection:\n  s: {A|wrong: b}\n  condition: s\n",
        },
        RuleText {
            name: "worst.yml",
            text: "title: x\nid: w\nlogsource: {product: windows}\ndetection:\n  s: {A: b}\n  condition: s and nothing\n",
        },
        RuleText {
            name: "again.yml",
            text: &good,
        },
        RuleText {
            name: "good.yml",
            text: &good,
        },
    ]);
    let sources: Vec<&str> = compiled
        .problems
        .iter()
        .map(|p| p.source.as_str())
        .collect();
    assert_eq!(sources, ["bad.yml", "worse.yml", "worst.yml", "good.yml"]);
    assert!(compiled.problems.iter().all(|p| p.weight == Weight::Error));
    assert!(
        compiled.problems[0].line.is_some(),
        "{:?}",
        compiled.problems[0]
    );
    assert!(compiled.problems[1].message.contains("wrong"));
    assert!(compiled.problems[3].message.contains("another rule"));
    assert_eq!(compiled.engine.rules().rules().len(), 1);
}

#[test]
fn filters_take_away_and_change_the_version() {
    let base = rule(
        "{product: windows, category: process_creation}",
        "{CommandLine|contains: x}",
    );
    let filter = "title: f\nlogsource: {product: windows, category: process_creation}\nfilter:\n  rules: [r]\n  s: {User|contains: ida}\n  condition: not s\n";
    let row = json!({"Timestamp": "2026-07-18T09:00:00Z", "ProcessCommandLine": "x", "AccountName": "ida", "ReportId": 1});
    let plain = help::engine(&base);
    let compiled = compile(&[
        RuleText {
            name: "r",
            text: &base,
        },
        RuleText {
            name: "f",
            text: filter,
        },
    ]);
    assert_eq!(compiled.problems, []);
    let filtered = compiled.engine;
    assert_eq!(matches(&plain, "DeviceProcessEvents", row.clone()), 1);
    assert_eq!(matches(&filtered, "DeviceProcessEvents", row.clone()), 0);
    let mut other = row;
    other["AccountName"] = json!("oda");
    assert_eq!(matches(&filtered, "DeviceProcessEvents", other), 1);
    assert_ne!(
        plain.rules().rules()[0].reference.version,
        filtered.rules().rules()[0].reference.version
    );
}

#[test]
fn the_set_has_the_version_of_its_texts() {
    let a = rule("{product: windows}", "{A: b}");
    let version = |texts: &[RuleText<'_>]| compile(texts).engine.rules().version();
    let one = version(&[RuleText {
        name: "a",
        text: &a,
    }]);
    assert_eq!(
        one,
        version(&[RuleText {
            name: "a",
            text: &a
        }])
    );
    assert_ne!(
        one,
        version(&[RuleText {
            name: "b",
            text: &a
        }])
    );
    assert_ne!(one, version(&[]));
}

#[test]
fn rows_that_nobody_stamped_are_counted_not_examined() {
    let engine = help::engine(&rule("{product: windows}", "{Image: x}"));
    let (table, batch) = help::rows_of(
        "DeviceProcessEvents",
        &[json!({"Timestamp": "2026-07-18T09:00:00Z", "FolderPath": "x", "ReportId": 1})],
    );
    let bare = batch
        .project(&(0..batch.num_columns() - 4).collect::<Vec<_>>())
        .unwrap();
    let found = engine.evaluate(&table, &bare);
    assert_eq!((found.detections.len(), found.unstamped), (0, 1));
    assert_eq!(engine.evaluate(&table, &batch).detections.len(), 1);
}

#[test]
fn checking_names_fields_that_no_row_has() {
    let text = "title: t\nlogsource: {product: bailiwick, service: emailevents}\ndetection:\n  s: {Subjekt|contains: x, Subject: y}\n  condition: s\n";
    let problems = check(&[RuleText {
        name: "a.yml",
        text,
    }]);
    let messages: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
    assert!(
        messages.contains(&"no row of `bailiwick/emailevents` has a field `Subjekt`"),
        "{messages:?}"
    );
    assert!(!messages.iter().any(|m| m.contains("`Subject`")));
    assert!(messages.iter().any(|m| m.contains("no id")));
    assert!(messages.iter().any(|m| m.contains("no level")));
    let nobody = "title: t\nlogsource: {product: windows, category: telepathy}\ndetection:\n  s: {A: x}\n  condition: s\n";
    let problems = check(&[RuleText {
        name: "a.yml",
        text: nobody,
    }]);
    assert!(problems.iter().any(|p| {
        p.message
            .contains("no row has the log source `windows/telepathy`")
    }));
}

#[test]
fn the_pack_has_no_problem_worth_a_warning() {
    let problems = check(crate::starter_pack().sigma);
    let heavy: Vec<String> = (problems.iter())
        .filter(|p| p.weight <= Weight::Warning)
        .map(ToString::to_string)
        .collect();
    assert_eq!(heavy, [""; 0]);
}

#[test]
fn explaining_says_what_a_rule_wants() {
    let text = rule(
        "{product: windows, category: process_creation}",
        "{Image|endswith: ['\\a.exe', '\\b.exe']}",
    );
    let said = explain(&RuleText {
        name: "a.yml",
        text: &text,
    })
    .unwrap();
    assert_eq!(
        said,
        "t\n  looks at rows of `windows/process_creation`\n  s:\n    Image endswith `\\a.exe` or `\\b.exe`\n  alerts when s\n"
    );
}
