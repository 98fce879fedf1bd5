//! What rows say: every documented column, values of the column's type, ids that recur.

use std::collections::{BTreeMap, BTreeSet};

use model::{ColumnType, Schema, Ticks};
use serde_json::{Map, Value};

use super::{options, world};
use crate::tables::{dynamic_is_text, has_machine_group};
use crate::{Record, World};

/// The row of a record; the whole record parsed, so the envelope is checked with it.
pub(super) fn properties(record: &Record) -> Map<String, Value> {
    let mut envelope: Map<String, Value> = serde_json::from_str(&record.json).unwrap();
    let Some(Value::Object(row)) = envelope.remove("properties") else {
        panic!("no row in {}", record.json)
    };
    row
}

#[test]
fn envelopes_are_those_of_the_export() {
    let world = world(6_000);
    let mut orders = BTreeSet::new();
    let (mut received, mut without_zone) = (0, 0);
    for record in world.records(1) {
        let envelope: Map<String, Value> = serde_json::from_str(&record.json).unwrap();
        assert_eq!(envelope["tenantId"], "1e9b1f52-6a5e-4c1e-8f9a-0b6c1d2e3f41");
        assert_eq!(envelope["operationName"], "Publish");
        assert_eq!(envelope["Tenant"], "DefaultTenant");
        assert_eq!(
            envelope["category"],
            format!("AdvancedHunting-{}", record.table)
        );
        let time = Ticks::parse(envelope["time"].as_str().unwrap()).unwrap();
        assert_eq!(time, record.delivered);
        if let Some(text) = envelope.get("_TimeReceivedBySvc").and_then(Value::as_str) {
            received += 1;
            without_zone += u32::from(!text.ends_with('Z'));
            assert!(Ticks::parse(text).unwrap() > record.time);
        }
        orders.insert(record.json.starts_with("{\"Tenant\""));
        let row: Value = serde_json::from_str(record.row()).unwrap();
        assert_eq!(Some(&row), envelope.get("properties"));
    }
    assert_eq!(orders.len(), 2);
    assert!(received > 1_000 && without_zone > 10);
}

#[test]
fn rows_have_the_documented_columns_and_no_others() {
    let mut options = options(16_000);
    options.vendor_alerts_per_100k = 1_000;
    let world = World::new(&options).unwrap();
    let mut seen = BTreeSet::new();
    for record in world.records(2) {
        let table = Schema::hunting().table(record.table).unwrap();
        let row = properties(&record);
        let mut columns: BTreeSet<&str> = table.columns.iter().map(|c| &*c.name).collect();
        if has_machine_group(record.table) {
            columns.insert("MachineGroup");
        }
        let keys: BTreeSet<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(keys, columns, "{}", record.table);
        // A key written twice would be lost by the parser; each key's text occurs once at the top.
        let colons = top_level_keys(record.row());
        assert_eq!(colons, keys.len(), "{}", record.table);
        seen.insert(record.table);
    }
    assert_eq!(seen, TABLES.into_iter().collect());
}

/// The tables of the background.
const TABLES: [&str; 23] = [
    "AlertEvidence",
    "AlertInfo",
    "CloudAppEvents",
    "DeviceEvents",
    "DeviceFileEvents",
    "DeviceImageLoadEvents",
    "DeviceInfo",
    "DeviceLogonEvents",
    "DeviceNetworkEvents",
    "DeviceNetworkInfo",
    "DeviceProcessEvents",
    "DeviceRegistryEvents",
    "EmailAttachmentInfo",
    "EmailEvents",
    "EmailUrlInfo",
    "EntraIdSignInEvents",
    "IdentityDirectoryEvents",
    "IdentityInfo",
    "IdentityLogonEvents",
    "IdentityQueryEvents",
    "MessageEvents",
    "OAuthAppInfo",
    "UrlClickEvents",
];

#[test]
fn a_short_stream_has_all_services() {
    let world = world(1_200);
    let services: BTreeSet<&str> = world.records(0).map(|r| r.service.as_str()).collect();
    let all = [
        "cloud_apps",
        "email",
        "endpoint",
        "identity",
        "identity_protection",
    ];
    assert_eq!(services, all.into());
    let tables: BTreeSet<&str> = world.records(0).map(|r| r.table).collect();
    assert!(tables.len() >= 18, "{tables:?}");
}

pub(super) fn top_level_keys(row: &str) -> usize {
    let (mut depth, mut in_text, mut escaped, mut keys) = (0, false, false, 0);
    for c in row.chars() {
        match (in_text, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_text = !in_text,
            (false, '{' | '[') => depth += 1,
            (false, '}' | ']') => depth -= 1,
            (false, ':') if depth == 1 => keys += 1,
            _ => {}
        }
    }
    keys
}

#[test]
fn values_convert_to_the_type_of_their_column() {
    let world = world(10_000);
    for record in world.records(2) {
        let table = Schema::hunting().table(record.table).unwrap();
        for (key, value) in properties(&record) {
            let Some((_, column)) = table.column(&key) else {
                continue;
            };
            let fits = converts(&value, column.column_type, record.table);
            assert!(fits, "{}.{key} = {value}", record.table);
        }
        let row = properties(&record);
        let time = Ticks::parse(row["Timestamp"].as_str().unwrap());
        assert_eq!(time, Some(record.time), "{}", record.table);
    }
}

pub(super) fn converts(value: &Value, to: ColumnType, table: &str) -> bool {
    let empty = value.is_null() || value == "";
    let text = value.as_str();
    match to {
        ColumnType::String => value.is_string() || value.is_null(),
        ColumnType::Int => {
            let number = value.as_i64().or_else(|| text?.parse().ok());
            empty || number.is_some_and(|n| i32::try_from(n).is_ok())
        }
        ColumnType::Long => empty || value.is_i64(),
        ColumnType::Bool => {
            empty
                || value.is_boolean()
                || [0, 1].iter().any(|n| value == n)
                || ["0", "1"].iter().any(|t| value == t)
        }
        ColumnType::DateTime => empty || text.and_then(Ticks::parse).is_some(),
        ColumnType::Dynamic => empty || dynamic_is_text(table) == value.is_string(),
        ColumnType::Guid => empty || text.is_some_and(|t| t.len() == 36),
        _ => false,
    }
}

#[test]
fn the_traps_of_the_export_are_all_there() {
    let world = world(30_000);
    let mut digits = BTreeSet::new();
    let mut admin = BTreeSet::new();
    let mut container = BTreeSet::new();
    let mut ports = BTreeSet::new();
    let mut beyond_doubles = 0;
    for record in world.records(2) {
        let row = properties(&record);
        let time = row["Timestamp"].as_str().unwrap();
        digits.insert(time.split_once('.').map_or(0, |(_, f)| f.len() - 1));
        if let Some(value) = row.get("IsAdminOperation") {
            admin.insert(value.to_string());
        }
        if let Some(value) = row.get("AppGuardContainerId") {
            container.insert(value.to_string());
        }
        if record.table == "IdentityLogonEvents" {
            ports.insert(row["Port"].is_number());
            ports.insert(row["DestinationPort"].is_number());
        }
        if record.table == "DeviceInfo" {
            let report = row["ReportId"].as_i64().unwrap();
            beyond_doubles += u32::from(report > 1 << 53 && report >= record.time.0);
        }
        let text = |key: &str| row.get(key).and_then(Value::as_str);
        if let (Some(path), Some(file)) = (text("FolderPath"), text("FileName")) {
            assert!(path.ends_with(file), "{path} {file}");
        }
        if record.table.starts_with("Device") && row.contains_key("ProcessUniqueId") {
            assert_eq!(row["ProcessUniqueId"], "0");
        }
        if let Some(report) = row.get("ReportId") {
            assert_eq!(
                report.is_i64(),
                record.table.starts_with("Device"),
                "{}",
                record.table
            );
        }
    }
    assert_eq!(digits, (0..=7).collect());
    assert_eq!(
        admin,
        ["\"\"", "\"0\"", "0", "false"].map(str::to_owned).into()
    );
    assert_eq!(container, ["\"\"", "null"].map(str::to_owned).into());
    assert_eq!(ports.len(), 2);
    assert!(beyond_doubles > 10);
}

#[test]
fn a_mail_is_one_message_in_all_its_tables() {
    let world = world(20_000);
    let mut mails: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut parts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut clicks = 0;
    for record in world.records(2).filter(|r| !r.repeat) {
        let row = properties(&record);
        let Some(id) = row.get("NetworkMessageId").and_then(Value::as_str) else {
            continue;
        };
        match record.table {
            "EmailEvents" => {
                let count = |key: &str| row[key].as_u64().unwrap();
                let counts = (count("UrlCount"), count("AttachmentCount"));
                assert!(mails.insert(id.to_owned(), counts).is_none());
            }
            "EmailUrlInfo" => parts.entry(id.to_owned()).or_default().0 += 1,
            "EmailAttachmentInfo" => parts.entry(id.to_owned()).or_default().1 += 1,
            "UrlClickEvents" => {
                clicks += 1;
                assert!(mails.contains_key(id) || parts.contains_key(id));
            }
            _ => {}
        }
    }
    assert!(mails.len() > 200 && clicks > 10, "{} {clicks}", mails.len());
    mails.retain(|_, counts| *counts != (0, 0));
    assert_eq!(mails, parts);
}

#[test]
fn nobody_acts_at_a_machine_before_signing_in() {
    let world = world(12_000);
    let mut rows: Vec<(Ticks, Map<String, Value>, &str)> = world
        .records(1)
        .filter(|r| r.table.starts_with("Device") && !r.repeat)
        .map(|r| (r.time, properties(&r), r.table))
        .collect();
    rows.sort_by_key(|(time, ..)| *time);
    let mut signed_in = BTreeSet::new();
    let mut acted = 0;
    for (_, row, table) in rows {
        let text = |key: &str| {
            row.get(key)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        let device = text("DeviceId");
        if table == "DeviceLogonEvents" && text("LogonType") == "Interactive" {
            signed_in.insert((device, text("AccountName")));
        } else if text("InitiatingProcessAccountUpn").contains('@') {
            acted += 1;
            let who = (device, text("InitiatingProcessAccountName"));
            assert!(signed_in.contains(&who), "{who:?} in {table}");
        }
    }
    assert!(acted > 500);
}

#[test]
fn ids_recur_and_documents_do_not() {
    let world = world(20_000);
    let mut devices: BTreeMap<String, u32> = BTreeMap::new();
    let mut programs: [BTreeSet<String>; 2] = Default::default();
    let mut documents = BTreeMap::new();
    for (slot, tenant) in [(0, 1), (1, 2)] {
        for record in world.records(tenant).filter(|r| !r.repeat) {
            let row = properties(&record);
            let text = |key: &str| {
                row.get(key)
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned()
            };
            if tenant == 2 && record.table.starts_with("Device") {
                *devices.entry(text("DeviceId")).or_default() += 1;
            }
            if record.table == "DeviceProcessEvents" {
                programs[slot].insert(format!("{} {}", text("FileName"), text("SHA256")));
            }
            // A document may be saved twice, but at one place only.
            if record.table == "DeviceFileEvents" && text("FolderPath").contains("Documents") {
                let place = (text("DeviceId"), text("FolderPath"));
                let before = documents.insert(text("SHA256"), place.clone());
                assert!(before.is_none_or(|b| b == place));
            }
        }
    }
    let all = world.tenants()[2].devices.len();
    assert!(devices.len() <= all && devices.len() * 100 >= all * 95);
    assert!(devices.values().filter(|n| **n > 3).count() * 10 > all * 9);
    let common = programs[0].intersection(&programs[1]).count();
    assert!(common >= 20 && common + 5 >= programs[0].len(), "{common}");
    assert!(documents.len() > 200);
}

#[test]
fn addresses_and_domains_are_reserved_ones() {
    let world = world(20_000);
    for record in world.records(0) {
        let row = properties(&record);
        for (key, value) in &row {
            let Some(text) = value.as_str() else { continue };
            if text.is_empty() {
                continue;
            }
            if key.ends_with("IP") || key.ends_with("IPAddress") || key == "SenderIPv4" {
                let reserved = ["10.", "192.0.2.", "198.51.100.", "203.0.113."];
                assert!(
                    reserved.iter().any(|net| text.starts_with(net)),
                    "{key} {text}"
                );
            }
            if key.ends_with("EmailAddress") || key.ends_with("FromAddress") || key.ends_with("Upn")
            {
                assert!(is_reserved(text), "{key} {text}");
            }
            if key.ends_with("Url") {
                let host = text.split('/').nth(2).unwrap_or(text);
                assert!(is_reserved(host), "{key} {text}");
            }
        }
    }
}

pub(super) fn is_reserved(host: &str) -> bool {
    matches!(host.rsplit_once('.'), Some((_, "example" | "test")))
}

#[test]
fn scenes_name_programs_that_exist() {
    let sources = [
        include_str!("../background/desk.rs"),
        include_str!("../background/mail.rs"),
        include_str!("../background/servers.rs"),
        include_str!("../attack/story.rs"),
        include_str!("../attack/variant.rs"),
        include_str!("../lookalike/close.rs"),
        include_str!("../lookalike/machines.rs"),
    ];
    let world = world(10);
    let mut named = 0;
    for word in sources.iter().flat_map(|s| s.split('"')) {
        let file = word.to_ascii_lowercase();
        let is_file = matches!(file.rsplit_once('.'), Some((_, "exe" | "dll")));
        // What a scene makes rather than runs.
        let is_new = ["FleetUpdate.exe", "7z24-x64.exe"].contains(&word);
        if is_file && !is_new && !word.starts_with('.') && !word.contains(['\\', '/', ' ', '{']) {
            assert!(world.programs.find(word).is_some(), "{word}");
            named += 1;
        }
    }
    for word in [
        "Finder",
        "Safari",
        "launchd",
        "trustd",
        "cron",
        "Microsoft Word",
        "Microsoft Outlook",
    ] {
        assert!(world.programs.find(word).is_some(), "{word}");
    }
    assert!(named > 25, "{named}");
}
