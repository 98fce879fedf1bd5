//! What rows are about, and by which keys it is recognised again.

use model::{Entity, EntityKind, KeyKind, limits};
use serde_json::{Value, json};

use super::help;
use crate::entities::{canon, extract};

fn of(table: &str, properties: Value) -> Vec<Entity> {
    let (table, batch) = help::rows_of(table, &[properties]);
    extract(&table, &batch, 0)
}

fn keys(entity: &Entity) -> Vec<(KeyKind, &str)> {
    entity
        .keys
        .iter()
        .map(|k| (k.kind, k.value.as_str()))
        .collect()
}

fn find<'e>(entities: &'e [Entity], kind: EntityKind, name: &str) -> &'e Entity {
    entities
        .iter()
        .find(|e| e.kind == kind && e.name == name)
        .unwrap_or_else(|| panic!("no {kind} `{name}` in {entities:#?}"))
}

const SID: &str = "S-1-5-21-1004336348-1177238915-682003330-1017";

#[test]
fn an_account_is_one_entity_with_all_its_keys() {
    let found = of(
        "DeviceLogonEvents",
        json!({
            "Timestamp": "2026-07-18T09:00:00Z",
            "DeviceId": "AB12", "DeviceName": "WS-17.Tenant.example",
            "AccountDomain": "TENANT.example", "AccountName": "Ida.Holm", "AccountSid": SID,
            "InitiatingProcessAccountSid": SID,
            "InitiatingProcessAccountUpn": "Ida.Holm@tenant.example",
            "InitiatingProcessAccountObjectId": "0C9E1F7A-5B1F-4A0E-9D0F-1F2E3D4C5B6A",
            "ReportId": 1
        }),
    );
    let accounts: Vec<_> = found
        .iter()
        .filter(|e| e.kind == EntityKind::Account)
        .collect();
    assert_eq!(accounts.len(), 1);
    assert_eq!(
        keys(accounts[0]),
        [
            (KeyKind::Address, "ida.holm@tenant.example"),
            (KeyKind::AccountSid, SID),
            (
                KeyKind::AccountObjectId,
                "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a"
            ),
            (KeyKind::AccountName, "tenant\\ida.holm"),
        ]
    );
    let device = find(&found, EntityKind::Device, "WS-17.Tenant.example");
    assert_eq!(
        keys(device),
        [
            (KeyKind::DeviceId, "ab12"),
            (KeyKind::DeviceName, "ws-17.tenant.example")
        ]
    );
}

#[test]
fn accounts_of_the_machine_join_nothing() {
    for (domain, name, sid) in [
        ("nt authority", "system", "S-1-5-18"),
        ("NT AUTHORITY", "LOCAL SERVICE", "S-1-5-19"),
        ("tenant", "ws-17$", "S-1-5-21-1-2-3-1104"),
        ("window manager", "dwm-1", "S-1-5-90-0-1"),
        ("font driver host", "umfd-0", "S-1-5-96-0-0"),
    ] {
        let found = of(
            "DeviceLogonEvents",
            json!({"Timestamp": "2026-07-18T09:00:00Z", "DeviceId": "ab12", "DeviceName": "ws",
                "AccountDomain": domain, "AccountName": name, "AccountSid": sid, "ReportId": 1}),
        );
        let account = find(&found, EntityKind::Account, &format!("{domain}\\{name}"));
        assert_eq!(account.keys, [], "{name}");
    }
}

#[test]
fn addresses_of_no_machine_have_no_key_and_private_ones_are_marked() {
    for (text, key, scope) in [
        ("198.51.100.7", Some("198.51.100.7"), "Public"),
        ("::ffff:198.51.100.7", Some("198.51.100.7"), "Public"),
        ("2001:DB8::0001", Some("2001:db8::1"), "Public"),
        ("10.1.2.3", Some("10.1.2.3"), "Private"),
        ("fd00::7", Some("fd00::7"), "Private"),
        ("127.0.0.1", None, "NoMachine"),
        ("::1", None, "NoMachine"),
        ("0.0.0.0", None, "NoMachine"),
        ("255.255.255.255", None, "NoMachine"),
        ("224.0.0.251", None, "NoMachine"),
        ("fe80::1%12", None, "NoMachine"),
        ("169.254.3.4", None, "NoMachine"),
    ] {
        let found = of(
            "DeviceNetworkEvents",
            json!({"Timestamp": "2026-07-18T09:00:00Z", "DeviceId": "ab12", "RemoteIP": text, "ReportId": 1}),
        );
        let ip = found.iter().find(|e| e.kind == EntityKind::Ip).unwrap();
        assert_eq!(keys(ip).first().map(|k| k.1), key, "{text}");
        assert!(
            ip.details
                .contains(&("IpScope".to_owned(), scope.to_owned())),
            "{text}"
        );
    }
}

#[test]
fn one_process_seen_as_child_and_as_parent_has_one_key() {
    let child = of(
        "DeviceProcessEvents",
        json!({"Timestamp": "2026-07-18T09:00:00Z", "DeviceId": "AB12", "FileName": "a.exe",
            "FolderPath": "C:\\Users\\i\\a.exe", "ProcessId": 4120, "ProcessCommandLine": "a.exe -x",
            "ProcessCreationTime": "2026-07-18T08:59:59.1234567Z", "ReportId": 1}),
    );
    let parent = of(
        "DeviceNetworkEvents",
        json!({"Timestamp": "2026-07-18T09:10:00Z", "DeviceId": "ab12", "RemoteIP": "198.51.100.7",
            "InitiatingProcessFileName": "a.exe", "InitiatingProcessId": 4120,
            "InitiatingProcessCreationTime": "2026-07-18T08:59:59.1234567Z", "ReportId": 2}),
    );
    let of = |e: &[Entity]| find(e, EntityKind::Process, "a.exe").keys.clone();
    assert_eq!(of(&child), of(&parent));
    assert_eq!(
        of(&child)[0].value,
        "ab12|4120|2026-07-18T08:59:59.1234567Z"
    );
}

#[test]
fn a_program_that_runs_all_day_for_everybody_names_no_run() {
    let keys_of = |name: &str, folder: &str| {
        let found = of(
            "DeviceEvents",
            json!({"Timestamp": "2026-07-18T09:00:00Z", "DeviceId": "ab12", "FileName": name,
                "FolderPath": folder, "ProcessId": 636, "ProcessCommandLine": "",
                "ProcessCreationTime": "2026-07-14T06:00:00Z", "ReportId": 1}),
        );
        find(&found, EntityKind::Process, name).keys.len()
    };
    assert_eq!(keys_of("lsass.exe", r"C:\Windows\System32"), 0);
    assert_eq!(
        keys_of("WmiPrvSE.exe", r"C:\Windows\System32\wbem\WmiPrvSE.exe"),
        0
    );
    assert_eq!(keys_of("Explorer.EXE", r"C:\Windows\explorer.exe"), 0);
    assert_eq!(keys_of("services.exe", ""), 0);
    // One that only calls itself so, and one that is started for a purpose.
    assert_eq!(keys_of("svchost.exe", r"C:\Users\Public"), 1);
    assert_eq!(keys_of("cmd.exe", r"C:\Windows\System32"), 1);
}

#[test]
fn programs_of_the_system_join_nothing_and_others_by_their_hash() {
    let hash = "6c1f0f3a9a0de4b8c6a2b4df4f1d2b30a1c7e3b6d0f94c4b7a3c1d5e6f708192";
    for (path, joins) in [
        (r"C:\Windows\System32\cmd.exe", false),
        (r"C:\Program Files\7-Zip\7z.exe", false),
        (r"C:\Users\i\AppData\Local\Temp\7z.exe", true),
        (r"C:\Windows\hostsvc.exe", true),
        (r"C:\Windows\System32\spool\drivers\color\x.exe", true),
    ] {
        let name = path.rsplit('\\').next().unwrap();
        let found = of(
            "DeviceFileEvents",
            json!({"Timestamp": "2026-07-18T09:00:00Z", "DeviceId": "ab12", "FileName": name,
                "FolderPath": path, "SHA256": hash.to_uppercase(), "ReportId": 1}),
        );
        let file = find(&found, EntityKind::File, name);
        assert_eq!(
            keys(file).contains(&(KeyKind::Sha256, hash)),
            joins,
            "{path}"
        );
    }
}

#[test]
fn mail_names_its_recipient_its_sender_and_itself() {
    let found = of(
        "EmailEvents",
        json!({"Timestamp": "2026-07-18T09:00:00Z",
            "NetworkMessageId": "5B1D4A2E-91F3-4F5E-8A51-0C7BE1F5AA01", "Subject": "Open balance",
            "SenderFromAddress": "Mara@Copper.example", "RecipientEmailAddress": "Ida.Holm@tenant.example",
            "RecipientObjectId": "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a", "SenderIPv4": "198.51.100.9", "ReportId": "r"}),
    );
    let mailbox = find(&found, EntityKind::Mailbox, "Ida.Holm@tenant.example");
    assert_eq!(
        keys(mailbox)[0],
        (KeyKind::Address, "ida.holm@tenant.example")
    );
    let message = find(&found, EntityKind::MailMessage, "Open balance");
    assert_eq!(
        keys(message),
        [(KeyKind::MessageId, "5b1d4a2e-91f3-4f5e-8a51-0c7be1f5aa01")]
    );
    let sender = find(&found, EntityKind::Account, "Mara@Copper.example");
    assert_eq!(keys(sender), [(KeyKind::Address, "mara@copper.example")]);
    assert_eq!(keys(find(&found, EntityKind::Ip, "198.51.100.9")).len(), 1);
}

#[test]
fn a_click_a_sign_in_and_a_cloud_activity_meet_in_the_account_and_the_session() {
    let click = of(
        "UrlClickEvents",
        json!({"Timestamp": "2026-07-18T09:00:00Z", "Url": "HTTPS://View.Copper.example:443/a#x",
            "AccountUpn": "ida@tenant.example", "NetworkMessageId": "5b1d4a2e-91f3-4f5e-8a51-0c7be1f5aa01", "ReportId": "r"}),
    );
    let url = click.iter().find(|e| e.kind == EntityKind::Url).unwrap();
    assert_eq!(
        keys(url),
        [
            (KeyKind::Url, "https://view.copper.example/a"),
            (KeyKind::Domain, "view.copper.example")
        ]
    );
    let session = "7d5c1a9e-22b4-4c51-9a61-6f9f0a4d3c21";
    let sign_in = of(
        "EntraIdSignInEvents",
        json!({"Timestamp": "2026-07-18T09:00:00Z", "AccountUpn": "IDA@tenant.example", "SessionId": session,
            "AccountObjectId": "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a", "ReportId": "r"}),
    );
    let cloud = of(
        "CloudAppEvents",
        json!({"Timestamp": "2026-07-18T09:00:00Z", "AccountObjectId": "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a",
            "AccountId": "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a", "AccountDisplayName": "Ida Holm",
            "Application": "Office 365", "OAuthAppId": "9a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "ObjectName": "Quill Sync",
            "RawEventData": {"AppAccessContext": {"AADSessionId": session}}, "ReportId": "r"}),
    );
    let has = |all: &[Entity], kind: KeyKind, value: &str| {
        all.iter()
            .flat_map(|e| &e.keys)
            .any(|k| k.kind == kind && k.value == value)
    };
    assert!(has(&click, KeyKind::Address, "ida@tenant.example"));
    assert!(has(&sign_in, KeyKind::Address, "ida@tenant.example"));
    for all in [&sign_in, &cloud] {
        assert!(has(
            all,
            KeyKind::AccountObjectId,
            "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a"
        ));
        assert!(has(all, KeyKind::Session, session));
    }
    assert!(has(
        &cloud,
        KeyKind::AppId,
        "9a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
    ));
    assert_eq!(find(&cloud, EntityKind::CloudApp, "Office 365").keys, []);
}

#[test]
fn canonical_forms() {
    let value = |key: Option<model::EntityKey>| key.map(|k| k.value);
    let is = |key, text: &str| assert_eq!(value(key).as_deref(), Some(text));
    let none = |key| assert_eq!(value(key), None);
    is(
        canon::address(" <Ida@Tenant.Example> "),
        "ida@tenant.example",
    );
    none(canon::address("ida"));
    none(canon::address("ida@localhost"));
    is(canon::sid("s-1-5-21-1-2-3-500"), "S-1-5-21-1-2-3-500");
    is(canon::sid("S-1-12-1-1-2-3-4"), "S-1-12-1-1-2-3-4");
    none(canon::sid("S-1-5-32-544"));
    none(canon::sid("S-1-5-21-x"));
    is(
        canon::object_id("{0C9E1F7A-5B1F-4A0E-9D0F-1F2E3D4C5B6A}"),
        "0c9e1f7a-5b1f-4a0e-9d0f-1f2e3d4c5b6a",
    );
    none(canon::object_id("00000000-0000-0000-0000-000000000000"));
    none(canon::account_name("", "ida"));
    is(canon::domain("user:pw@Evil.example:8443"), "evil.example");
    none(canon::domain("198.51.100.7"));
    none(canon::domain("intranet"));
    is(canon::url("https://Evil.example"), "https://evil.example/");
    is(
        canon::url("http://a.example:8080/X?Y=Z#f"),
        "http://a.example:8080/X?Y=Z",
    );
    none(canon::url("not a link"));
    none(canon::sha256(
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
    ));
    none(canon::sha256(&"0".repeat(64)));
    none(canon::logon("ws", 0x3e7));
    is(canon::logon("WS", 0x1f4a2), "ws|1f4a2");
    is(canon::registry("WS", r"HKLM\Run", "A"), r"ws|hklm\run|a");
    none(canon::process("ws", 4, Some(model::Ticks(1))));
    none(canon::process("ws", 40, None));
    none(canon::device_name("localhost"));
    none(canon::url(&format!(
        "https://a.example/{}",
        "x".repeat(limits::ALERT_VALUE_BYTES_MAX)
    )));
}

#[test]
fn nothing_in_hostile_text_makes_the_extraction_fail() {
    for text in [
        "",
        "@",
        "\\",
        "a@b@c",
        "ü@ö.example",
        "://",
        "https://",
        "https://[",
        "[::1",
        "%",
        "\u{202e}x.example",
        "S-1-",
        "1:2:3",
    ] {
        let found = of(
            "UrlClickEvents",
            json!({"Timestamp": "2026-07-18T09:00:00Z", "Url": text, "AccountUpn": text, "IPAddress": text,
                "NetworkMessageId": text, "ReportId": "r"}),
        );
        assert!(found.iter().all(|e| e.keys.is_sorted()), "{text}");
    }
    assert!(canon::ip("1:2:3").is_none());
}
