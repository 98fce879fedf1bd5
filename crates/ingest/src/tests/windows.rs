//! Windows events of every form and every mapped kind.

use serde_json::{Value, json};

use super::{cell, codes, run, run_with, table, text};
use crate::{Decoded, Format, RawSchema};

const SYSMON: &str = "Microsoft-Windows-Sysmon";
const SECURITY: &str = "Microsoft-Windows-Security-Auditing";

/// An event as event log readers write it.
fn log_event(provider: &str, channel: &str, id: u32, data: Value) -> Value {
    json!({"Event": {
        "#attributes": {"xmlns": "x"},
        "System": {
            "Provider": {"#attributes": {"Name": provider, "Guid": "{g}"}},
            "EventID": {"#attributes": {"Qualifiers": 1}, "#text": id},
            "Version": 2,
            "TimeCreated": {"#attributes": {"SystemTime": "2026-02-03T04:05:06.789012Z"}},
            "EventRecordID": 77,
            "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 8}},
            "Channel": channel,
            "Computer": "WS1.corp.example",
            "Security": {"#attributes": {"UserID": "S-1-5-18"}},
        },
        "EventData": data,
    }})
}

fn sysmon(id: u32, data: Value) -> Decoded {
    one(&log_event(
        SYSMON,
        "Microsoft-Windows-Sysmon/Operational",
        id,
        data,
    ))
}

fn security(id: u32, data: Value) -> Decoded {
    one(&log_event(SECURITY, "Security", id, data))
}

fn one(event: &Value) -> Decoded {
    on(event, &[])
}

fn on(event: &Value, controllers: &[&str]) -> Decoded {
    let decoded = run_with(
        Format::WindowsJson,
        event.to_string().as_bytes(),
        &RawSchema::new(),
        controllers,
    );
    assert_eq!(decoded.rejected, [], "{event}");
    decoded
}

/// Checks the cells of the only row of the only table.
fn check(decoded: &Decoded, table_name: &str, action: &str, cells: &[(&str, &str)]) {
    assert_eq!(decoded.batches.len(), 1);
    let rows = table(decoded, table_name);
    assert_eq!(text(rows, "ActionType", 0), action);
    for (column, expected) in cells {
        let found = cell(rows, column, 0);
        let found = if found.starts_with('"') {
            text(rows, column, 0)
        } else {
            found
        };
        assert_eq!(found, *expected, "{column}");
    }
}

fn additional(decoded: &Decoded, table_name: &str) -> Value {
    serde_json::from_str(&text(table(decoded, table_name), "AdditionalFields", 0)).unwrap()
}

fn source(decoded: &Decoded) -> Value {
    serde_json::from_str(&text(&decoded.batches[0], "_source_fields", 0)).unwrap()
}

fn process_data() -> Value {
    json!({
        "RuleName": "-", "UtcTime": "2026-02-03 04:05:06.700", "ProcessGuid": "{a-1}", "ProcessId": 4321,
        "Image": "C:\\Windows\\System32\\cmd.exe", "CommandLine": "cmd /c \"whoami\"", "User": "CORP\\ann",
        "LogonId": "0x3e7", "IntegrityLevel": "High", "Hashes": "MD5=AB,SHA256=CD,IMPHASH=EF", "OriginalFileName": "Cmd.Exe",
        "ParentImage": "C:\\Windows\\explorer.exe", "ParentCommandLine": "explorer", "ParentProcessId": 12,
        "CurrentDirectory": "C:\\", "ParentUser": "SYSTEM", "TerminalSessionId": 1, "Company": "-",
    })
}

#[test]
fn a_process_start_keeps_everything() {
    let decoded = sysmon(1, process_data());
    check(
        &decoded,
        "DeviceProcessEvents",
        "ProcessCreated",
        &[
            ("Timestamp", "2026-02-03T04:05:06.7000000Z"),
            ("ProcessCreationTime", "2026-02-03T04:05:06.7000000Z"),
            ("DeviceName", "WS1.corp.example"),
            ("DeviceId", "ws1.corp.example"),
            ("ReportId", "77"),
            ("FolderPath", "C:\\Windows\\System32\\cmd.exe"),
            ("FileName", "cmd.exe"),
            ("ProcessId", "4321"),
            ("ProcessCommandLine", "cmd /c \"whoami\""),
            ("AccountDomain", "CORP"),
            ("AccountName", "ann"),
            ("LogonId", "999"),
            ("ProcessIntegrityLevel", "High"),
            ("MD5", "ab"),
            ("SHA256", "cd"),
            ("SHA1", ""),
            ("ProcessVersionInfoCompanyName", ""),
            ("InitiatingProcessFileName", "explorer.exe"),
            ("InitiatingProcessId", "12"),
            ("InitiatingProcessAccountName", "SYSTEM"),
            ("InitiatingProcessAccountDomain", ""),
            ("CreatedProcessSessionId", "1"),
            ("ProcessUniqueId", "{a-1}"),
        ],
    );
    assert_eq!(additional(&decoded, "DeviceProcessEvents")["IMPHASH"], "ef");
    let source = source(&decoded);
    // All names and values of the data, and the system's fields under the names that rules use.
    for (name, value) in process_data().as_object().unwrap() {
        assert_eq!(&source[name], value, "{name}");
    }
    for (name, value) in [
        ("EventID", json!(1)),
        ("Channel", json!("Microsoft-Windows-Sysmon/Operational")),
        ("Provider_Name", json!(SYSMON)),
        ("EventRecordID", json!(77)),
        ("Computer", json!("WS1.corp.example")),
        ("TimeCreated", json!("2026-02-03T04:05:06.789012Z")),
        ("ProcessID", json!(4)),
        ("UserID", json!("S-1-5-18")),
        ("EventID_Qualifiers", json!(1)),
    ] {
        assert_eq!(source[name], value, "{name}");
    }
    assert_eq!((decoded.tally.mapped, decoded.tally.raw), (1, 0));
}

#[test]
fn every_form_makes_the_same_row() {
    let data = process_data();
    let mut flat = data.as_object().unwrap().clone();
    for (k, v) in [
        ("EventID", json!(1)),
        ("Channel", json!("Microsoft-Windows-Sysmon/Operational")),
        ("SourceName", json!(SYSMON)),
        ("Hostname", json!("WS1.corp.example")),
        ("RecordNumber", json!(77)),
        ("EventTime", json!("2026-02-03 09:05:06")),
        ("@timestamp", json!("2026-02-03T04:05:09Z")),
        ("EventType", json!("INFO")),
        ("Message", json!("m")),
    ] {
        flat.insert(k.to_owned(), v);
    }
    let channel = "Microsoft-Windows-Sysmon/Operational";
    let forms = [
        log_event(SYSMON, channel, 1, data.clone()),
        log_event(SYSMON, channel, 1, data.clone())["Event"].clone(),
        Value::Object(flat),
        json!({"@timestamp": "2026-02-03T04:05:06.789Z", "message": "m", "host": {"name": "collector"}, "winlog": {
            "channel": channel, "event_id": "1", "record_id": 77, "computer_name": "WS1.corp.example",
            "provider_name": SYSMON, "event_data": data}}),
        json!({"@timestamp": "2026-02-03T04:05:06.789Z", "event_id": 1, "log_name": channel, "source_name": SYSMON,
            "record_number": "77", "computer_name": "WS1.corp.example", "event_data": data}),
        json!({"TimeGenerated": "2026-02-03T04:05:06.789Z", "Provider": SYSMON, "Channel": channel, "EventID": 1,
            "Computer": "WS1.corp.example", "EventRecordId": 77, "EventData": data.to_string()}),
    ];
    for form in &forms {
        let decoded = one(form);
        check(
            &decoded,
            "DeviceProcessEvents",
            "ProcessCreated",
            &[
                ("Timestamp", "2026-02-03T04:05:06.7000000Z"),
                ("FileName", "cmd.exe"),
                ("AccountName", "ann"),
                ("LogonId", "999"),
                ("DeviceId", "ws1.corp.example"),
                ("ReportId", "77"),
                ("SHA256", "cd"),
            ],
        );
        let source = source(&decoded);
        for (name, value) in [
            ("EventID", "1"),
            ("Channel", channel),
            ("Provider_Name", SYSMON),
            ("Computer", "WS1.corp.example"),
            ("EventRecordID", "77"),
            ("CommandLine", "cmd /c \"whoami\""),
        ] {
            let found = match &source[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(found, value, "{name} {form}");
        }
    }
    let dotted = json!({"@timestamp": "2026-02-03T04:05:06.789Z", "winlog.channel": "Security", "winlog.event_id": 4634,
        "winlog.record_id": 5, "winlog.computer_name": "ws1", "winlog.provider_name": SECURITY, "winlog.event_data.TargetUserName": "bob"});
    check(
        &one(&dotted),
        "DeviceLogonEvents",
        "Logoff",
        &[("AccountName", "bob"), ("ReportId", "5")],
    );
}

#[test]
fn an_event_s_identity_is_its_number_not_its_shipper() {
    let identity = |event: &Value| {
        one(event).batches[0]
            .identity
            .iter()
            .next()
            .unwrap()
            .to_vec()
    };
    let event = log_event(SYSMON, "Sysmon", 1, process_data());
    let mut other = event.clone();
    other["Event"]["System"]["Computer"] = json!("ws1.CORP.example");
    assert_eq!(identity(&event), identity(&other));
    // Two equal events are two: 6 % of the recordings differ in nothing else.
    other["Event"]["System"]["EventRecordID"] = json!(78);
    assert_ne!(identity(&event), identity(&other));
    // A machine set back to a snapshot numbers anew, at another time.
    let mut later = event.clone();
    later["Event"]["System"]["TimeCreated"]["#attributes"]["SystemTime"] =
        json!("2026-02-04T00:00:00Z");
    assert_ne!(identity(&event), identity(&later));
    // Without a number the whole record counts.
    let flat = |message: &str| json!({"EventID": 1, "Channel": "Application", "Hostname": "h", "TimeCreated": "2026-02-03 04:05:06", "Message": message});
    assert!(
        identity(&flat("a")).is_empty(),
        "without a number the source says nothing: two equal events stay two"
    );
}

#[test]
fn connections_have_a_local_and_a_remote_side() {
    let data = |initiated: &str| {
        json!({"Image": "C:\\a.exe", "User": "CORP\\ann", "Protocol": "tcp", "Initiated": initiated,
        "SourceIp": "10.0.0.1", "SourcePort": "50000", "SourceHostname": "-", "DestinationIp": "192.0.2.9", "DestinationPort": 443, "DestinationHostname": "far.example"})
    };
    check(
        &sysmon(3, data("true")),
        "DeviceNetworkEvents",
        "ConnectionSuccess",
        &[
            ("LocalIP", "10.0.0.1"),
            ("LocalPort", "50000"),
            ("RemoteIP", "192.0.2.9"),
            ("RemotePort", "443"),
            ("RemoteUrl", "far.example"),
            ("Protocol", "Tcp"),
            ("InitiatingProcessFileName", "a.exe"),
        ],
    );
    check(
        &sysmon(3, data("false")),
        "DeviceNetworkEvents",
        "InboundConnectionAccepted",
        &[
            ("LocalIP", "192.0.2.9"),
            ("LocalPort", "443"),
            ("RemoteIP", "10.0.0.1"),
            ("RemotePort", "50000"),
            ("RemoteUrl", ""),
        ],
    );
    let filtered = json!({"Application": "\\device\\hd\\svc.exe", "ProcessID": "4", "Direction": "%%14593", "SourceAddress": "::ffff:10.0.0.1",
        "SourcePort": "1", "DestAddress": "10.0.0.2", "DestPort": "53", "Protocol": "17"});
    for (id, action) in [
        (5156, "ConnectionSuccess"),
        (5157, "ConnectionFailed"),
        (5158, "ListeningConnectionCreated"),
    ] {
        check(
            &security(id, filtered.clone()),
            "DeviceNetworkEvents",
            action,
            &[
                ("LocalIP", "10.0.0.1"),
                ("RemotePort", "53"),
                ("Protocol", "Udp"),
                ("InitiatingProcessFileName", "svc.exe"),
            ],
        );
    }
}

#[test]
fn registry_events_name_hive_key_and_value() {
    let object = |kind: &str, path: &str| json!({"EventType": kind, "TargetObject": path, "Details": "DWORD (0x00000001)", "Image": "C:\\r.exe"});
    let run_key = "HKLM\\SOFTWARE\\Run\\Evil";
    check(
        &sysmon(12, object("CreateKey", run_key)),
        "DeviceRegistryEvents",
        "RegistryKeyCreated",
        &[
            ("RegistryKey", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Run\\Evil"),
            ("RegistryValueName", ""),
        ],
    );
    check(
        &sysmon(12, object("DeleteKey", "HKU\\S-1\\x")),
        "DeviceRegistryEvents",
        "RegistryKeyDeleted",
        &[("RegistryKey", "HKEY_USERS\\S-1\\x")],
    );
    check(
        &sysmon(12, object("DeleteValue", run_key)),
        "DeviceRegistryEvents",
        "RegistryValueDeleted",
        &[
            ("RegistryKey", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Run"),
            ("RegistryValueName", "Evil"),
        ],
    );
    check(
        &sysmon(13, object("SetValue", "HKCR\\x\\y")),
        "DeviceRegistryEvents",
        "RegistryValueSet",
        &[
            ("RegistryKey", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Classes\\x"),
            ("RegistryValueName", "y"),
            ("RegistryValueType", "Dword"),
            ("RegistryValueData", "DWORD (0x00000001)"),
        ],
    );
    check(
        &sysmon(14, json!({"TargetObject": "HKLM\\a", "NewName": "HKLM\\b"})),
        "DeviceRegistryEvents",
        "RegistryKeyRenamed",
        &[
            ("PreviousRegistryKey", "HKEY_LOCAL_MACHINE\\a"),
            ("RegistryKey", "HKEY_LOCAL_MACHINE\\b"),
        ],
    );
    // A shipper's own `EventType` hides Sysmon's; the message still tells.
    let hidden = json!({"EventType": "INFO", "Message": "Registry object\r\nEventType: DeleteValue\r\nUtcTime: x", "TargetObject": run_key});
    check(
        &sysmon(12, hidden),
        "DeviceRegistryEvents",
        "RegistryValueDeleted",
        &[("RegistryValueName", "Evil")],
    );
    check(
        &security(
            4657,
            json!({"ObjectName": "\\REGISTRY\\MACHINE\\S\\k", "ObjectValueName": "v", "NewValue": "n", "OldValue": "o", "OperationType": "%%1905", "SubjectUserName": "ann"}),
        ),
        "DeviceRegistryEvents",
        "RegistryValueSet",
        &[
            ("RegistryKey", "HKEY_LOCAL_MACHINE\\S\\k"),
            ("RegistryValueName", "v"),
            ("PreviousRegistryValueData", "o"),
            ("InitiatingProcessAccountName", "ann"),
        ],
    );
}

#[test]
fn every_sysmon_id_has_its_table() {
    let data = json!({"Image": "C:\\p\\a.exe", "ProcessId": "7", "User": "D\\u", "TargetFilename": "C:\\t\\f.txt:Zone.Identifier", "Hash": "SHA1=AA", "Hashes": "SHA1=AA",
        "ImageLoaded": "C:\\l\\x.dll", "SourceImage": "C:\\s.exe", "TargetImage": "C:\\v.exe", "SourceProcessId": "1", "TargetProcessId": "0x2", "GrantedAccess": "0x1010",
        "PipeName": "\\pipe", "QueryName": "q.example", "QueryStatus": "0", "Contents": "[ZoneTransfer] ZoneId=3 ReferrerUrl=https://r/ HostUrl=https://h/"});
    let file = ("FileName", "f.txt:Zone.Identifier");
    let actor = ("InitiatingProcessFileName", "a.exe");
    let sha = ("SHA1", "aa");
    for (id, table, action, cells) in [
        (2, "DeviceFileEvents", "FileModified", vec![file, actor]),
        (
            5,
            "DeviceProcessEvents",
            "ProcessTerminated",
            vec![actor, ("InitiatingProcessId", "7")],
        ),
        (
            6,
            "DeviceEvents",
            "DriverLoad",
            vec![("FileName", "x.dll"), sha],
        ),
        (
            7,
            "DeviceImageLoadEvents",
            "ImageLoaded",
            vec![("FileName", "x.dll"), actor, sha],
        ),
        (
            8,
            "DeviceEvents",
            "CreateRemoteThreadApiCall",
            vec![
                ("FileName", "v.exe"),
                ("ProcessId", "2"),
                ("InitiatingProcessFileName", "s.exe"),
            ],
        ),
        (9, "DeviceEvents", "RawDiskAccess", vec![actor]),
        (
            10,
            "DeviceEvents",
            "OpenProcessApiCall",
            vec![("ProcessId", "2"), ("InitiatingProcessId", "1")],
        ),
        (11, "DeviceFileEvents", "FileCreated", vec![file]),
        (
            15,
            "DeviceFileEvents",
            "FileCreated",
            vec![
                sha,
                ("FileOriginUrl", "https://h/"),
                ("FileOriginReferrerUrl", "https://r/"),
            ],
        ),
        (17, "DeviceEvents", "NamedPipeEvent", vec![actor]),
        (18, "DeviceEvents", "NamedPipeEvent", vec![]),
        (
            19,
            "DeviceEvents",
            "WmiBindEventFilterToConsumer",
            vec![("InitiatingProcessAccountName", "u")],
        ),
        (21, "DeviceEvents", "WmiBindEventFilterToConsumer", vec![]),
        (
            22,
            "DeviceEvents",
            "DnsQueryResponse",
            vec![("RemoteUrl", "q.example")],
        ),
        (23, "DeviceFileEvents", "FileDeleted", vec![file, sha]),
        (24, "DeviceEvents", "GetClipboardData", vec![actor]),
        (25, "DeviceEvents", "ProcessTampering", vec![actor]),
        (26, "DeviceFileEvents", "FileDeleted", vec![file]),
        (27, "DeviceFileEvents", "FileBlocked", vec![file]),
        (28, "DeviceFileEvents", "FileBlocked", vec![file]),
        (29, "DeviceFileEvents", "FileCreated", vec![file]),
        (
            16,
            "DeviceEvents",
            "WindowsEvent:Microsoft-Windows-Sysmon/Operational/16",
            vec![],
        ),
    ] {
        check(&sysmon(id, data.clone()), table, action, &cells);
    }
    assert_eq!(
        additional(&sysmon(10, data.clone()), "DeviceEvents")["DesiredAccess"],
        0x1010
    );
    assert_eq!(
        additional(&sysmon(17, data.clone()), "DeviceEvents")["PipeAction"],
        "create"
    );
    assert_eq!(
        additional(&sysmon(15, data), "DeviceFileEvents")["StreamName"],
        "Zone.Identifier"
    );
}

#[test]
fn logons_say_how_and_why_not() {
    let data = json!({"TargetUserName": "ann", "TargetDomainName": "CORP", "TargetUserSid": "S-1-5-21", "TargetLogonId": "0xabc", "LogonType": "10",
        "IpAddress": "::ffff:10.1.1.1", "IpPort": "55555", "WorkstationName": "WS9", "AuthenticationPackageName": "NTLM", "ProcessName": "C:\\w\\winlogon.exe",
        "ProcessId": "0x10", "ElevatedToken": "%%1842", "SubjectUserName": "WS1$", "Status": "0xc000006d", "SubStatus": "0xc000006a"});
    let cells = [
        ("AccountName", "ann"),
        ("LogonType", "RemoteInteractive"),
        ("RemoteIP", "10.1.1.1"),
        ("RemotePort", "55555"),
        ("RemoteDeviceName", "WS9"),
        ("Protocol", "NTLM"),
        ("LogonId", "2748"),
        ("IsLocalAdmin", "true"),
        ("InitiatingProcessId", "16"),
        ("InitiatingProcessAccountName", "WS1$"),
    ];
    check(
        &security(4624, data.clone()),
        "DeviceLogonEvents",
        "LogonSuccess",
        &cells,
    );
    check(
        &security(4625, data.clone()),
        "DeviceLogonEvents",
        "LogonFailed",
        &[("FailureReason", "WrongPassword")],
    );
    check(
        &security(4634, data.clone()),
        "DeviceLogonEvents",
        "Logoff",
        &[("AccountName", "ann"), ("LogonType", "RemoteInteractive")],
    );
    check(
        &security(4647, data.clone()),
        "DeviceLogonEvents",
        "Logoff",
        &[],
    );
    check(
        &security(4648, data.clone()),
        "DeviceLogonEvents",
        "LogonAttempted",
        &[
            ("AccountName", "ann"),
            ("InitiatingProcessAccountName", "WS1$"),
        ],
    );
    check(
        &security(4672, data),
        "DeviceEvents",
        "WindowsEvent:Security/4672",
        &[("AccountName", "WS1$")],
    );
}

#[test]
fn a_controller_s_logon_is_two_rows_of_one_record() {
    let event = log_event(
        SECURITY,
        "Security",
        4624,
        json!({"TargetUserName": "ann", "LogonType": "3", "IpAddress": "10.0.0.3"}),
    );
    for known in ["ws1.corp.example", "ws1"] {
        let decoded = on(&event, &[known]);
        assert_eq!(decoded.batches.len(), 2);
        let identity = table(&decoded, "IdentityLogonEvents");
        assert_eq!(identity.record, table(&decoded, "DeviceLogonEvents").record);
        assert_eq!(
            text(identity, "DestinationDeviceName", 0),
            "WS1.corp.example"
        );
        assert_eq!(
            (
                text(identity, "IPAddress", 0),
                text(identity, "ReportId", 0)
            ),
            ("10.0.0.3".into(), "77".into())
        );
        assert_eq!((decoded.read, decoded.tally.mapped), (1, 1));
    }
    assert_eq!(on(&event, &["other"]).batches.len(), 1);
    // Tickets are only written by a domain's own controllers: the caller may learn.
    let ticket = |id: u32, status: &str| {
        log_event(
            SECURITY,
            "Security",
            id,
            json!({"TargetUserName": "ann", "Status": status, "ServiceName": "krbtgt"}),
        )
    };
    let decoded = one(&ticket(4769, "0x0"));
    check(
        &decoded,
        "IdentityLogonEvents",
        "LogonSuccess",
        &[("Protocol", "Kerberos"), ("FailureReason", "")],
    );
    assert_eq!(
        decoded.domain_controllers.into_iter().collect::<Vec<_>>(),
        ["ws1.corp.example"]
    );
    check(
        &one(&ticket(4771, "0x18")),
        "IdentityLogonEvents",
        "LogonFailed",
        &[("FailureReason", "WrongPassword")],
    );
    check(
        &one(&ticket(4776, "0xC0000064")),
        "IdentityLogonEvents",
        "LogonFailed",
        &[("Protocol", "Ntlm"), ("FailureReason", "UnknownUser")],
    );
    assert!(one(&ticket(4776, "0x0")).domain_controllers.is_empty());
}

#[test]
fn accounts_and_groups_are_the_domain_s_or_the_computer_s() {
    let account = |domain: &str| json!({"TargetUserName": "new", "TargetDomainName": domain, "TargetSid": "S-9", "SubjectUserName": "admin"});
    check(
        &security(4720, account("WS1")),
        "DeviceEvents",
        "UserAccountCreated",
        &[
            ("AccountName", "new"),
            ("AccountSid", "S-9"),
            ("InitiatingProcessAccountName", "admin"),
        ],
    );
    check(
        &security(4726, account("CORP")),
        "IdentityDirectoryEvents",
        "UserAccountDeleted",
        &[
            ("TargetAccountDisplayName", "new"),
            ("AccountName", "admin"),
        ],
    );
    check(
        &security(4738, account("CORP")),
        "IdentityDirectoryEvents",
        "UserAccountModified",
        &[],
    );
    let member =
        json!({"TargetUserName": "Administrators", "MemberSid": "S-5", "SubjectUserName": "admin"});
    check(
        &security(4732, member.clone()),
        "DeviceEvents",
        "UserAccountAddedToLocalGroup",
        &[("AccountSid", "S-5")],
    );
    check(
        &security(4728, member.clone()),
        "IdentityDirectoryEvents",
        "Group Membership changed",
        &[("AccountName", "admin")],
    );
    let event = log_event(SECURITY, "Security", 4732, member);
    check(
        &on(&event, &["ws1"]),
        "IdentityDirectoryEvents",
        "Group Membership changed",
        &[],
    );
    check(
        &security(
            4662,
            json!({"Properties": "%%7688 {1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}", "SubjectUserName": "x"}),
        ),
        "IdentityDirectoryEvents",
        "Directory Services replication",
        &[("AccountName", "x")],
    );
    check(
        &security(5136, json!({"ObjectDN": "CN=x"})),
        "IdentityDirectoryEvents",
        "Directory Services object change",
        &[("TargetAccountDisplayName", "CN=x")],
    );
}

/// An event of a log without a helper of its own, decoded.
fn other(provider: &str, channel: &str, id: u32, data: Value) -> Decoded {
    one(&log_event(provider, channel, id, data))
}

#[test]
fn processes_and_services_have_their_mapping() {
    check(
        &security(
            4688,
            json!({"NewProcessName": "C:\\n.exe", "NewProcessId": "0x1f", "ProcessId": "0x2", "SubjectUserName": "s", "SubjectUserSid": "S-1", "SubjectLogonId": "0x5",
        "TargetUserName": "t", "TargetUserSid": "S-1-0-0", "TargetLogonId": "0x9", "MandatoryLabel": "S-1-16-12288", "TokenElevationType": "%%1937"}),
        ),
        "DeviceProcessEvents",
        "ProcessCreated",
        &[
            ("ProcessId", "31"),
            ("InitiatingProcessId", "2"),
            ("AccountName", "t"),
            ("AccountSid", ""),
            ("LogonId", "9"),
            ("ProcessIntegrityLevel", "High"),
            ("ProcessTokenElevation", "TokenElevationTypeFull"),
        ],
    );
    check(
        &other(
            "Service Control Manager",
            "System",
            7045,
            json!({"ServiceName": "svc", "ImagePath": "C:\\s.exe", "AccountName": "LocalSystem"}),
        ),
        "DeviceEvents",
        "ServiceInstalled",
        &[("FolderPath", "C:\\s.exe")],
    );
    check(
        &security(
            4697,
            json!({"ServiceFileName": "C:\\s.exe", "SubjectUserName": "a"}),
        ),
        "DeviceEvents",
        "ServiceInstalled",
        &[("AccountName", "a")],
    );
    for (id, action) in [
        (4698, "ScheduledTaskCreated"),
        (4699, "ScheduledTaskDeleted"),
        (4700, "ScheduledTaskEnabled"),
        (4701, "ScheduledTaskDisabled"),
        (4702, "ScheduledTaskUpdated"),
    ] {
        check(
            &security(id, json!({"TaskName": "\\t"})),
            "DeviceEvents",
            action,
            &[],
        );
    }
    check(
        &other(
            "Microsoft-Windows-TaskScheduler",
            "Microsoft-Windows-TaskScheduler/Operational",
            141,
            json!({"TaskName": "t", "UserName": "D\\u"}),
        ),
        "DeviceEvents",
        "ScheduledTaskDeleted",
        &[("AccountName", "u")],
    );
    check(
        &security(
            5145,
            json!({"IpAddress": "10.0.0.1", "ShareName": "\\\\*\\C$", "RelativeTargetName": "a\\b.txt"}),
        ),
        "DeviceEvents",
        "RemoteFileShareAccess",
        &[("FolderPath", "\\\\*\\C$"), ("FileName", "b.txt")],
    );
}

#[test]
fn tasks_and_scripts_have_their_mapping() {
    check(
        &security(4663, json!({"ObjectType": "File", "ObjectName": "C:\\x"})),
        "DeviceFileEvents",
        "SensitiveFileRead",
        &[("FolderPath", "C:\\x")],
    );
    check(
        &security(
            4663,
            json!({"ObjectType": "Key", "ObjectName": "\\REGISTRY\\USER\\x"}),
        ),
        "DeviceRegistryEvents",
        "RegistryKeyAccessed",
        &[("RegistryKey", "HKEY_USERS\\x")],
    );
    check(
        &security(4656, json!({"ObjectType": "Process"})),
        "DeviceEvents",
        "OpenProcessApiCall",
        &[],
    );
    let powershell = "Microsoft-Windows-PowerShell";
    check(
        &other(
            powershell,
            "Microsoft-Windows-PowerShell/Operational",
            4104,
            json!({"ScriptBlockText": "iex", "Path": "C:\\s.ps1"}),
        ),
        "DeviceEvents",
        "ScriptContent",
        &[("FileName", "s.ps1")],
    );
    check(
        &other(
            powershell,
            "Microsoft-Windows-PowerShell/Operational",
            4103,
            json!({"ContextInfo": "   Severity = Info\r\n   Host Application = ps.exe -enc AA==\r\n   Engine = x"}),
        ),
        "DeviceEvents",
        "PowerShellCommand",
        &[("InitiatingProcessCommandLine", "ps.exe -enc AA==")],
    );
}

#[test]
fn other_logs_have_their_mapping() {
    check(
        &other(
            "PowerShell",
            "Windows PowerShell",
            400,
            json!({"Data": {"#text": ["Available", "None", "\tHostName=x\r\n\tHostApplication=ps.exe -c y\r\n"]}}),
        ),
        "DeviceEvents",
        "PowerShellCommand",
        &[("InitiatingProcessCommandLine", "ps.exe -c y")],
    );
    check(
        &other(
            "Microsoft-Windows-Windows Defender",
            "Microsoft-Windows-Windows Defender/Operational",
            1116,
            json!({"Threat Name": "EICAR", "Path": "file:_C:\\e.com", "Process Name": "C:\\p.exe"}),
        ),
        "DeviceEvents",
        "AntivirusDetection",
        &[
            ("FileName", "e.com"),
            ("InitiatingProcessFileName", "p.exe"),
        ],
    );
    check(
        &other(
            "Microsoft-Windows-Windows Defender",
            "x",
            5007,
            json!({"New Value": "n"}),
        ),
        "DeviceEvents",
        "AntivirusConfigurationChanged",
        &[],
    );
    check(
        &other(
            "Microsoft-Windows-Bits-Client",
            "x",
            59,
            json!({"url": "http://b/", "LocalName": "C:\\d\\f"}),
        ),
        "DeviceEvents",
        "BitsJob",
        &[("RemoteUrl", "http://b/"), ("FileName", "f")],
    );
}

#[test]
fn user_data_and_lists_are_data() {
    let mut event = log_event("Microsoft-Windows-Eventlog", "Security", 1102, Value::Null);
    event["Event"]["UserData"] = json!({"LogFileCleared": {"#attributes": {"xmlns": "y"}, "SubjectUserName": "ann", "SubjectLogonId": "0x1", "Channel": "Security-old"}});
    let decoded = one(&event);
    check(
        &decoded,
        "DeviceEvents",
        "SecurityLogCleared",
        &[("AccountName", "ann"), ("LogonId", "1")],
    );
    let fields = source(&decoded);
    assert_eq!(
        (&fields["Channel"], &fields["System.Channel"]),
        (&json!("Security-old"), &json!("Security"))
    );
    assert_eq!(fields["UserData"], "LogFileCleared");
    // Elements as other converters write them.
    let decoded = sysmon(
        1,
        json!({"Data": [{"@Name": "Image", "#text": "C:\\x.exe"}, {"@Name": "User"}]}),
    );
    check(
        &decoded,
        "DeviceProcessEvents",
        "ProcessCreated",
        &[("FileName", "x.exe")],
    );
    // Names with spaces stay as they are.
    let decoded = one(&log_event(
        "Any",
        "Application",
        9,
        json!({"Two Words": "v", "Nested": {"a": 1}}),
    ));
    check(&decoded, "DeviceEvents", "WindowsEvent:Application/9", &[]);
    assert_eq!(source(&decoded)["Two Words"], "v");
    assert_eq!(
        additional(&decoded, "DeviceEvents"),
        json!({"Two Words": "v", "Nested": {"a": 1}})
    );
    assert_eq!((decoded.tally.mapped, decoded.tally.raw), (0, 1));
}

#[test]
fn a_flat_event_s_time_is_utc_if_anything_says_utc() {
    let time = |extra: Value| {
        let mut event = json!({"EventID": 1, "Channel": "Application", "Hostname": "h", "Message": "m", "tags": ["t"]});
        event
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let decoded = one(&event);
        assert_eq!(
            cell(&decoded.batches[0], "AdditionalFields", 0),
            "\"\"",
            "only the event's own data"
        );
        cell(&decoded.batches[0], "Timestamp", 0)
    };
    let arrived = "2026-01-01T12:00:05Z";
    assert_eq!(
        time(json!({"EventTime": "2026-01-01 08:00:00", "@timestamp": arrived})),
        "2026-01-01T12:00:05.0000000Z"
    );
    assert_eq!(
        time(json!({"EventTime": "2026-01-01T08:00:00-04:00", "@timestamp": arrived})),
        "2026-01-01T12:00:00.0000000Z"
    );
    assert_eq!(
        time(json!({"EventTime": "2026-01-01 08:00:00"})),
        "2026-01-01T08:00:00.0000000Z"
    );
    assert_eq!(
        time(json!({"TimeCreated": "2026-01-01T11:59:59.5Z", "@timestamp": arrived})),
        "2026-01-01T11:59:59.5000000Z"
    );
    assert_eq!(
        time(json!({"TimeGenerated": arrived})),
        "2026-01-01T12:00:05.0000000Z"
    );
}

#[test]
fn what_is_no_event_is_refused() {
    let decoded = run(Format::WindowsJson, b"{\"a\":1}\n{\"EventID\":\"x\"}\n{\"EventID\":1}\n{\"EventID\":1,\"TimeCreated\":\"2026-01-01\"}\n[]\n5\n");
    assert_eq!(
        codes(&decoded),
        [
            "malformed_record",
            "malformed_record",
            "bad_time",
            "malformed_record"
        ]
    );
    assert_eq!((decoded.read, decoded.tally.raw), (5, 1));
    let body = run(
        Format::WindowsEvtx,
        &[b"ElfFile\0".as_slice(), &[0; 4088], &vec![7; 70_000]].concat(),
    );
    assert_eq!(codes(&body), ["damaged_record", "damaged_record"]);
    let known = RawSchema::new();
    let none = std::collections::BTreeSet::new();
    let context = crate::SourceContext {
        envelope_tenant: None,
        known_raw: &known,
        domain_controllers: &none,
        raw_table: None,
        time_column: None,
    };
    for bytes in [b"".as_slice(), b"ElfFile\0", b"not a log"] {
        assert_eq!(
            crate::decode(Format::WindowsEvtx, bytes, &context)
                .unwrap_err()
                .code()
                .as_str(),
            "bad_format"
        );
    }
}

#[test]
fn the_mapping_names_columns_that_exist() {
    // A list shared by several tables names what one of them lacks.
    const SHARED: [&str; 4] = [
        "InitiatingProcessUniqueId",
        "InitiatingProcessLogonId",
        "LogonId",
        "LogonID",
    ];
    let mut seen = std::collections::BTreeSet::new();
    for (event, table, columns) in crate::windows::targets() {
        let known = model::Schema::hunting().table(table).unwrap();
        for column in columns {
            let there = known.column(column).is_some();
            assert!(
                there || SHARED.contains(&column),
                "{event} {table}.{column}"
            );
        }
        let second_row = table == "IdentityLogonEvents" && event.ends_with(['4', '5']);
        assert!(second_row || seen.insert(event.clone()), "{event} twice");
    }
    assert!(seen.len() > 80);
}
