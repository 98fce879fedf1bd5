//! What the mapping's lists cannot say: values that decide a table, an action or a direction.
//!
//! Codes of Windows (`%%1842`, logon types, NTSTATUS) become the words that the export uses. A code
//! without a known word stays as it is.

use std::borrow::Cow;

use super::event::Event;
use super::map::{Row, account as split_account, base_name, number};

/// Sysmon 3: who is local depends on who began.
pub(super) fn connection(event: &Event<'_>, row: &mut Row<'_>) {
    let inbound = event
        .text("Initiated")
        .is_some_and(|t| t.eq_ignore_ascii_case("false"));
    let (local, remote) = if inbound {
        row.action = Cow::Borrowed("InboundConnectionAccepted");
        ("Destination", "Source")
    } else {
        ("Source", "Destination")
    };
    let get = |side: &str, what: &str| event.text(&format!("{side}{what}"));
    for (side, address, port) in [
        (local, "LocalIP", "LocalPort"),
        (remote, "RemoteIP", "RemotePort"),
    ] {
        if let Some(ip) = get(side, "Ip") {
            row.owned(address, &ip);
        }
        if let Some(n) = get(side, "Port").and_then(|t| number(&t)) {
            row.number(port, n);
        }
    }
    if let Some(host) = get(remote, "Hostname") {
        row.owned("RemoteUrl", &host);
    }
    if let Some(protocol) = event.text("Protocol") {
        row.owned("Protocol", &capitalised(&protocol));
    }
}

/// Security 5156 to 5158: the filtering platform's names and numbers.
pub(super) fn filtered(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(protocol) = event.text("Protocol") {
        row.owned(
            "Protocol",
            match &*protocol {
                "1" => "Icmp",
                "6" => "Tcp",
                "17" => "Udp",
                "58" => "IcmpV6",
                other => other,
            },
        );
    }
    if let Some(direction) = event.text("Direction") {
        row.add_text(
            "Direction",
            match &*direction {
                "%%14592" => "Inbound",
                "%%14593" => "Outbound",
                other => other,
            },
        );
    }
}

/// Sysmon 12: a key or a value came or went.
pub(super) fn registry_object(event: &Event<'_>, row: &mut Row<'_>) {
    let kind = event_type(event);
    row.action = match kind.as_deref() {
        Some("DeleteKey") => Cow::Borrowed("RegistryKeyDeleted"),
        Some("DeleteValue") => Cow::Borrowed("RegistryValueDeleted"),
        _ => Cow::Borrowed("RegistryKeyCreated"),
    };
    let Some(object) = event.text("TargetObject") else {
        return;
    };
    if kind.as_deref() == Some("DeleteValue") {
        key_and_value(&object, row);
    } else {
        row.text("RegistryKey", hive(&object));
    }
}

/// Sysmon 13: a value was set.
pub(super) fn registry_value(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(object) = event.text("TargetObject") {
        key_and_value(&object, row);
    }
    if let Some(details) = event.text("Details") {
        row.owned(
            "RegistryValueType",
            if details.starts_with("DWORD") {
                "Dword"
            } else if details.starts_with("QWORD") {
                "Qword"
            } else if details == "Binary Data" {
                "Binary"
            } else {
                "String"
            },
        );
        row.owned("RegistryValueData", &details);
    }
}

/// Sysmon 14: the old name and the new one.
pub(super) fn registry_rename(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(object) = event.text("TargetObject") {
        row.text("PreviousRegistryKey", hive(&object));
    }
    if let Some(name) = event.text("NewName") {
        row.text("RegistryKey", hive(&name));
    }
}

/// Security 4657: an audited value changed.
pub(super) fn audited_key(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(object) = event.text("ObjectName") {
        row.text("RegistryKey", hive(&object));
    }
    if event.text("OperationType").as_deref() == Some("%%1906") {
        row.action = Cow::Borrowed("RegistryValueDeleted");
    }
}

/// Sysmon 15: a stream that says where a file came from.
pub(super) fn stream(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(file) = event.text("TargetFilename") {
        let name = base_name(file.clone());
        if let Some((_, stream)) = name.split_once(':') {
            row.add_text("StreamName", stream);
        }
    }
    let Some(contents) = event.text("Contents") else {
        return;
    };
    for line in contents.split_ascii_whitespace() {
        match line.split_once('=') {
            Some(("HostUrl", url)) => row.owned("FileOriginUrl", url),
            Some(("ReferrerUrl", url)) => row.owned("FileOriginReferrerUrl", url),
            _ => {}
        }
    }
}

/// Sysmon 17 and 18.
pub(super) fn pipe(event: &Event<'_>, row: &mut Row<'_>) {
    let action = if event.id == 17 { "create" } else { "connect" };
    row.add_text("PipeAction", action);
}

/// PowerShell's events tell the host's command line in a list of `Name=value` lines.
pub(super) fn powershell_host(event: &Event<'_>, row: &mut Row<'_>) {
    let texts = [
        "ContextInfo",
        "Data",
        "param3",
        "param2",
        "Message",
        "message",
    ];
    for text in texts.into_iter().filter_map(|name| event.text(name)) {
        // Unnamed data stay a JSON list, whose line breaks are escapes.
        let lines = text.replace("\\r", "\n").replace("\\n", "\n");
        let found = lines.lines().find_map(|line| {
            let line = line.trim().trim_start_matches("\\t");
            let (name, value) = line.split_once('=')?;
            let name = name.trim();
            (name == "HostApplication" || name == "Host Application").then(|| value.trim())
        });
        if let Some(command) = found.filter(|c| !c.is_empty()) {
            row.owned("InitiatingProcessCommandLine", command);
            return;
        }
    }
}

/// Security 4688: integrity, elevation, and whose process it is.
pub(super) fn process_created(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(label) = event.text("MandatoryLabel") {
        row.owned(
            "ProcessIntegrityLevel",
            match &*label {
                "S-1-16-0" => "Untrusted",
                "S-1-16-4096" => "Low",
                "S-1-16-8192" => "Medium",
                "S-1-16-8448" => "MediumPlus",
                "S-1-16-12288" => "High",
                "S-1-16-16384" => "System",
                "S-1-16-20480" => "Protected",
                other => other,
            },
        );
    }
    if let Some(elevation) = event.text("TokenElevationType") {
        row.owned(
            "ProcessTokenElevation",
            match &*elevation {
                "%%1936" => "TokenElevationTypeDefault",
                "%%1937" => "TokenElevationTypeFull",
                "%%1938" => "TokenElevationTypeLimited",
                other => other,
            },
        );
    }
    if event.get("TargetUserName").is_none() {
        return;
    }
    // The ids of the one who started it do not belong to the account it runs as.
    row.clear(&["AccountSid", "LogonId"]);
    if let Some(sid) = event.text("TargetUserSid").filter(|s| s != "S-1-0-0") {
        row.owned("AccountSid", &sid);
    }
    if let Some(logon) = event.text("TargetLogonId").and_then(|t| number(&t)) {
        row.number("LogonId", logon);
    }
}

/// Security 4624 and 4625.
pub(super) fn logon(event: &Event<'_>, row: &mut Row<'_>) {
    logon_type(event, row);
    if row.table == "IdentityLogonEvents" {
        row.text("Application", "Active Directory");
    }
    if let Some(elevated) = event.text("ElevatedToken") {
        match &*elevated {
            "%%1842" | "Yes" => row.text("IsLocalAdmin", "true"),
            "%%1843" | "No" => row.text("IsLocalAdmin", "false"),
            _ => {}
        }
    }
    if event.id == 4625 {
        row.action = Cow::Borrowed("LogonFailed");
        let code = ["SubStatus", "Status"]
            .into_iter()
            .filter_map(|name| event.text(name))
            .find(|code| number(code) != Some(0));
        if let Some(code) = code {
            row.owned("FailureReason", status_word(&code));
            row.add_text("Status", &code);
        }
    }
}

/// Security 4634 and 4647.
pub(super) fn logoff(event: &Event<'_>, row: &mut Row<'_>) {
    logon_type(event, row);
}

fn logon_type(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(kind) = event.text("LogonType") {
        row.owned(
            "LogonType",
            match &*kind {
                "2" => "Interactive",
                "3" => "Network",
                "4" => "Batch",
                "5" => "Service",
                "7" => "Unlock",
                "8" => "NetworkCleartext",
                "9" => "NewCredentials",
                "10" => "RemoteInteractive",
                "11" => "CachedInteractive",
                other => other,
            },
        );
    }
}

/// Security 4768, 4769, 4771 and 4776: tickets and the older challenge.
pub(super) fn ticket(event: &Event<'_>, row: &mut Row<'_>) {
    row.text("Application", "Active Directory");
    row.text(
        "Protocol",
        if event.id == 4776 { "Ntlm" } else { "Kerberos" },
    );
    let status = event.text("Status");
    let failed = event.id == 4771 || status.as_deref().is_some_and(|s| number(s) != Some(0));
    if failed {
        row.action = Cow::Borrowed("LogonFailed");
        if let Some(status) = status {
            row.owned("FailureReason", status_word(&status));
            row.add_text("Status", &status);
        }
    }
}

/// Words for NTSTATUS codes and for Kerberos error codes.
fn status_word(code: &str) -> &str {
    match number(code) {
        Some(0xC000_0064 | 0x6) => "UnknownUser",
        Some(0xC000_006A | 0x18) => "WrongPassword",
        Some(0xC000_006D) => "InvalidUserNameOrPassword",
        Some(0xC000_006F) => "OutsideLogonHours",
        Some(0xC000_0070) => "WorkstationNotAllowed",
        Some(0xC000_0071 | 0x17) => "PasswordExpired",
        Some(0xC000_0072 | 0x12) => "AccountDisabled",
        Some(0xC000_0133 | 0x25) => "ClockSkew",
        Some(0xC000_015B) => "LogonTypeNotGranted",
        Some(0xC000_0193) => "AccountExpired",
        Some(0xC000_0224) => "PasswordMustChange",
        Some(0xC000_0234) => "AccountLocked",
        _ => code,
    }
}

/// The extended rights that reading all secrets of a domain needs.
const REPLICATION: [&str; 3] = [
    "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2",
    "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2",
    "89e95b76-444d-4c62-991a-0facbeda640c",
];

/// Security 4662, 5136, 4741 and 4742.
pub(super) fn directory_object(event: &Event<'_>, row: &mut Row<'_>) {
    row.text("Application", "Active Directory");
    row.action = Cow::Borrowed(match event.id {
        4741 => "Computer account created",
        4742 => "Computer account changed",
        4662 if event.text("Properties").is_some_and(|p| {
            let p = p.to_ascii_lowercase();
            REPLICATION.iter().any(|right| p.contains(right))
        }) =>
        {
            "Directory Services replication"
        }
        4662 => "Directory Services object access",
        _ => "Directory Services object change",
    });
}

/// Security 4720 and its like: of the domain, or of the computer itself.
pub(super) fn account(event: &Event<'_>, row: &mut Row<'_>) {
    let deleted_or_made = match event.id {
        4720 => "UserAccountCreated",
        4726 => "UserAccountDeleted",
        _ => "UserAccountModified",
    };
    row.action = Cow::Borrowed(deleted_or_made);
    let target = event.text("TargetUserName").unwrap_or_default();
    let domain = event.text("TargetDomainName").unwrap_or_default();
    row.add_text("TargetUserName", &target);
    row.add_text("TargetDomainName", &domain);
    row.add_text("Change", account_change(event.id));
    if is_local(event, &domain) {
        row.owned("AccountName", &target);
        row.owned("AccountDomain", &domain);
        if let Some(sid) = event.text("TargetSid") {
            row.owned("AccountSid", &sid);
        }
        subject_acts(event, row);
        return;
    }
    row.table = "IdentityDirectoryEvents";
    row.text("Application", "Active Directory");
    row.owned("TargetAccountDisplayName", &target);
    subject_is_account(event, row);
}

fn account_change(id: u32) -> &'static str {
    match id {
        4720 => "created",
        4722 => "enabled",
        4725 => "disabled",
        4726 => "deleted",
        4740 => "locked",
        4767 => "unlocked",
        _ => "changed",
    }
}

/// Security 4728, 4732 and 4756: 4732 is a local group's, unless a domain controller keeps it.
pub(super) fn membership(event: &Event<'_>, row: &mut Row<'_>) {
    if let Some(member) = event.text("MemberSid") {
        row.owned("AccountSid", &member);
    }
    if event.id == 4732 {
        subject_acts(event, row);
        return;
    }
    domain_membership(event, row);
}

fn domain_membership(event: &Event<'_>, row: &mut Row<'_>) {
    row.table = "IdentityDirectoryEvents";
    row.action = Cow::Borrowed("Group Membership changed");
    row.text("Application", "Active Directory");
    if let Some(member) = event.text("MemberSid") {
        row.add_text("MemberSid", &member);
    }
    row.clear(&["AccountSid"]);
    subject_is_account(event, row);
}

/// What changes once the computer is known to be a domain controller: its local groups are the
/// domain's.
pub(super) fn on_controller(event: &Event<'_>, row: &mut Row<'_>) {
    if event.id == 4732 && row.action == "UserAccountAddedToLocalGroup" {
        domain_membership(event, row);
    }
}

/// An account belongs to the computer when its domain is the computer's own short name.
fn is_local(event: &Event<'_>, domain: &str) -> bool {
    let short = event.computer.split('.').next().unwrap_or_default();
    !domain.is_empty() && domain.eq_ignore_ascii_case(short)
}

fn subject_acts(event: &Event<'_>, row: &mut Row<'_>) {
    for (name, column) in [
        ("SubjectUserName", "InitiatingProcessAccountName"),
        ("SubjectDomainName", "InitiatingProcessAccountDomain"),
        ("SubjectUserSid", "InitiatingProcessAccountSid"),
    ] {
        if let Some(text) = event.text(name) {
            row.owned(column, &text);
        }
    }
}

fn subject_is_account(event: &Event<'_>, row: &mut Row<'_>) {
    for (name, column) in [
        ("SubjectUserName", "AccountName"),
        ("SubjectDomainName", "AccountDomain"),
        ("SubjectUserSid", "AccountSid"),
    ] {
        if let Some(text) = event.text(name) {
            row.owned(column, &text);
        }
    }
}

/// Security 4698 to 4702 and the task scheduler's own events.
pub(super) fn task(event: &Event<'_>, row: &mut Row<'_>) {
    row.action = Cow::Borrowed(match event.id {
        4698 | 106 => "ScheduledTaskCreated",
        4699 | 141 => "ScheduledTaskDeleted",
        4700 => "ScheduledTaskEnabled",
        4701 | 142 => "ScheduledTaskDisabled",
        _ => "ScheduledTaskUpdated",
    });
}

/// Security 4656 and 4663: what kind of object was touched decides the table.
pub(super) fn object_access(event: &Event<'_>, row: &mut Row<'_>) {
    let kind = event.text("ObjectType").unwrap_or_default();
    let object = event.text("ObjectName");
    match &*kind {
        "File" => {
            row.table = "DeviceFileEvents";
            row.action = Cow::Borrowed("SensitiveFileRead");
        }
        "Process" => row.action = Cow::Borrowed("OpenProcessApiCall"),
        "Key" => {
            row.table = "DeviceRegistryEvents";
            row.action = Cow::Borrowed("RegistryKeyAccessed");
            if let Some(object) = object {
                row.text("RegistryKey", hive(&object));
            }
        }
        _ => {}
    }
}

/// Defender 1006 to 1119.
pub(super) fn antivirus(event: &Event<'_>, row: &mut Row<'_>) {
    if matches!(event.id, 1007 | 1008 | 1117 | 1119) {
        row.action = Cow::Borrowed("AntivirusDetectionActionType");
    }
}

/// Defender 5001 to 5012: 5007 is any change, the others switch protection off.
pub(super) fn antivirus_configuration(event: &Event<'_>, row: &mut Row<'_>) {
    if event.id == 5007 {
        row.action = Cow::Borrowed("AntivirusConfigurationChanged");
    }
}

/// WMI 5861 binds a filter to a consumer; the others are its running log.
pub(super) fn wmi(event: &Event<'_>, row: &mut Row<'_>) {
    if event.id == 5861 {
        row.action = Cow::Borrowed("WmiBindEventFilterToConsumer");
    }
    if let Some(user) = event.text("User") {
        let (_, name) = split_account(&user);
        row.owned("AccountName", name);
    }
}

/// Sysmon's `EventType`. NXLog overwrites it with its own severity; the message still has it.
fn event_type(event: &Event<'_>) -> Option<String> {
    let own = event.text("EventType").filter(|t| t != "INFO");
    if let Some(own) = own {
        return Some(own.into_owned());
    }
    let message = event.text("Message")?;
    let line = message
        .lines()
        .find_map(|line| line.trim().strip_prefix("EventType:"))?;
    Some(line.trim().to_owned())
}

fn key_and_value(object: &str, row: &mut Row<'_>) {
    let full = hive(object);
    match full.rsplit_once('\\') {
        Some((key, value)) => {
            row.owned("RegistryKey", key);
            row.owned("RegistryValueName", value);
        }
        None => row.text("RegistryKey", full),
    }
}

/// A registry path with the hive's full name.
fn hive(path: &str) -> String {
    const HIVES: [(&str, &str); 6] = [
        ("HKLM", "HKEY_LOCAL_MACHINE"),
        ("HKU", "HKEY_USERS"),
        ("HKCU", "HKEY_CURRENT_USER"),
        ("HKCR", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Classes"),
        ("\\REGISTRY\\MACHINE", "HKEY_LOCAL_MACHINE"),
        ("\\REGISTRY\\USER", "HKEY_USERS"),
    ];
    for (short, full) in HIVES {
        if let Some((head, tail)) = path.split_at_checked(short.len())
            && head.eq_ignore_ascii_case(short)
            && (tail.is_empty() || tail.starts_with('\\'))
        {
            return format!("{full}{tail}");
        }
    }
    path.to_owned()
}

/// `tcp` as the export writes it: `Tcp`.
fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    match chars.next() {
        Some(first) => first
            .to_uppercase()
            .chain(chars.flat_map(char::to_lowercase))
            .collect(),
        None => String::new(),
    }
}
