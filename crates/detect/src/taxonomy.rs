//! Hunting columns by the names that Sigma has for them, table by table.
//!
//! Rows of the Defender export have no fields of their own source, so rules see these. What the
//! schema has no column for is absent, as documented loss: a file's signature, the full path of a
//! grandparent, a process's working directory unless the export put it into `AdditionalFields`.
//!
//! Windows events keep their own names and never come here.

use crate::logsource::{NONE, Source};

/// Where a value comes from. Empty values are absent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// A column.
    Col(&'static str),
    /// A column, lower case.
    Lower(&'static str),
    /// A folder (which in most rows already ends with the file's name) and a file's name.
    Path(&'static str, &'static str),
    /// A domain and a name.
    Account(&'static str, &'static str),
    /// `MD5`, `SHA1` and `SHA256` in one text.
    Hashes(&'static str, &'static str, &'static str),
    /// A registry key and a value's name, the hive in short.
    Registry(&'static str, &'static str),
    /// Registry data in the form in which Sysmon shows it, by the type's column.
    RegistryData(&'static str, &'static str),
    /// What a text column's value stands for; other values are absent.
    Means(&'static str, &'static [(&'static str, &'static str)]),
    /// A member of a JSON column, dots between the steps.
    Json(&'static str, &'static str),
    /// A number in a JSON column, as `0x` hexadecimal.
    JsonHex(&'static str, &'static str),
    /// A member of a JSON column whose value stands for something.
    JsonMeans(
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
    ),
}

/// The names of one kind of row; of several of one name, the first that has a value.
pub(crate) type Names = &'static [(&'static str, Origin)];

/// What rows of a table and action are in Sigma's words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) source: Source<'static>,
    pub(crate) second: Option<&'static str>,
    pub(crate) names: Names,
}

const fn windows(category: &'static str, names: Names) -> Kind {
    Kind {
        source: Source::new("windows", NONE, category),
        second: None,
        names,
    }
}

const fn service(product: &'static str, service: &'static str, names: Names) -> Kind {
    Kind {
        source: Source::new(product, service, NONE),
        second: None,
        names,
    }
}

const fn registry(category: &'static str) -> Kind {
    Kind {
        source: Source::new("windows", NONE, category),
        second: Some("registry_event"),
        names: REGISTRY,
    }
}

/// What a row is, by its table, its `ActionType` and its `Application` or data source.
pub(crate) fn kind(table: &str, action: &str, application: &str) -> Option<Kind> {
    Some(match table {
        "DeviceProcessEvents" => windows("process_creation", PROCESS),
        "DeviceNetworkEvents" if action.starts_with("DnsConnection") => return None,
        "DeviceNetworkEvents" => windows("network_connection", NETWORK),
        "DeviceImageLoadEvents" => windows("image_load", IMAGE_LOAD),
        "DeviceFileEvents" => match action {
            "FileCreated" | "FileModified" => windows("file_event", FILE),
            "FileRenamed" => windows("file_rename", FILE),
            "FileDeleted" => windows("file_delete", FILE),
            _ => return None,
        },
        "DeviceRegistryEvents" => match action {
            "RegistryValueSet" => registry("registry_set"),
            "RegistryKeyCreated" => registry("registry_add"),
            "RegistryKeyDeleted" | "RegistryValueDeleted" => registry("registry_delete"),
            "RegistryKeyRenamed" => registry("registry_rename"),
            _ => return None,
        },
        "DeviceLogonEvents" => service("windows", "security", LOGON),
        "DeviceEvents" => return device_event(action),
        "EntraIdSignInEvents" | "AADSignInEventsBeta" => service("azure", "signinlogs", SIGN_IN),
        "CloudAppEvents" => return Some(cloud_app(application)),
        "CloudAuditEvents" => match application.to_ascii_lowercase().as_str() {
            a if a.contains("aws") => service("aws", "cloudtrail", CLOUDTRAIL),
            a if a.contains("gcp") => service("gcp", "gcp.audit", GCP_AUDIT),
            _ => service("azure", "activitylogs", AZURE_ACTIVITY),
        },
        _ => return None,
    })
}

fn device_event(action: &str) -> Option<Kind> {
    Some(match action {
        "DnsQueryResponse" => windows("dns_query", DNS),
        "NamedPipeEvent" => windows("pipe_created", PIPE),
        "CreateRemoteThreadApiCall" => windows("create_remote_thread", REMOTE_THREAD),
        "OpenProcessApiCall" => windows("process_access", PROCESS_ACCESS),
        "DriverLoad" => windows("driver_load", DRIVER),
        "PowerShellCommand" => windows("ps_script", SCRIPT),
        "AntivirusDetection" => windows("antivirus", ANTIVIRUS),
        "ScheduledTaskCreated" | "SecurityLogCleared" | "UserAccountCreated" => {
            service("windows", "security", SECURITY)
        }
        "ServiceInstalled" => service("windows", "system", SERVICE_INSTALLED),
        _ => return None,
    })
}

fn cloud_app(application: &str) -> Kind {
    let lower = application.to_ascii_lowercase();
    if lower.contains("entra") || lower.contains("azure active directory") {
        service("azure", "auditlogs", AZURE_AUDIT)
    } else if lower.contains("exchange") {
        service("m365", "exchange", M365)
    } else {
        service("m365", "audit", M365)
    }
}

/// The names of a log source that only hunting tables make.
pub(crate) fn names_of(product: &str, service: &str) -> Option<Names> {
    Some(match (product, service) {
        ("azure", "signinlogs") => SIGN_IN,
        ("azure", "auditlogs") => AZURE_AUDIT,
        ("azure", "activitylogs") => AZURE_ACTIVITY,
        ("m365", "exchange") => M365,
        _ => return None,
    })
}

use Origin::{
    Account, Col, Hashes, Json, JsonHex, JsonMeans, Lower, Means, Path, Registry, RegistryData,
};

const IMAGE: Origin = Path("InitiatingProcessFolderPath", "InitiatingProcessFileName");
const USER: Origin = Account(
    "InitiatingProcessAccountDomain",
    "InitiatingProcessAccountName",
);
const COMMAND_LINE: Origin = Col("InitiatingProcessCommandLine");
const COMPUTER: (&str, Origin) = ("Computer", Col("DeviceName"));
const PROCESS_ID: (&str, Origin) = ("ProcessId", Col("InitiatingProcessId"));
const PARENT: (&str, Origin) = ("ParentImage", Col("InitiatingProcessParentFileName"));
const HASHES: (&str, Origin) = ("Hashes", Hashes("MD5", "SHA1", "SHA256"));

const PROCESS: Names = &[
    ("Image", Path("FolderPath", "FileName")),
    ("CommandLine", Col("ProcessCommandLine")),
    (
        "OriginalFileName",
        Col("ProcessVersionInfoOriginalFileName"),
    ),
    ("Product", Col("ProcessVersionInfoProductName")),
    ("Company", Col("ProcessVersionInfoCompanyName")),
    ("Description", Col("ProcessVersionInfoFileDescription")),
    ("FileVersion", Col("ProcessVersionInfoProductVersion")),
    ("ProcessId", Col("ProcessId")),
    ("User", Account("AccountDomain", "AccountName")),
    ("LogonId", Col("LogonId")),
    ("IntegrityLevel", Col("ProcessIntegrityLevel")),
    HASHES,
    ("md5", Col("MD5")),
    ("sha1", Col("SHA1")),
    ("sha256", Col("SHA256")),
    ("ParentImage", IMAGE),
    ("ParentCommandLine", COMMAND_LINE),
    ("ParentProcessId", Col("InitiatingProcessId")),
    ("ParentUser", USER),
    ("GrandParentImage", Col("InitiatingProcessParentFileName")),
    (
        "CurrentDirectory",
        Json("AdditionalFields", "CurrentDirectory"),
    ),
    COMPUTER,
];
const NETWORK: Names = &[
    ("Image", IMAGE),
    ("CommandLine", COMMAND_LINE),
    ("User", USER),
    PROCESS_ID,
    PARENT,
    ("DestinationIp", Col("RemoteIP")),
    ("DestinationPort", Col("RemotePort")),
    ("DestinationHostname", Col("RemoteUrl")),
    ("SourceIp", Col("LocalIP")),
    ("SourcePort", Col("LocalPort")),
    ("Protocol", Lower("Protocol")),
    (
        "Initiated",
        Means(
            "ActionType",
            &[
                ("ConnectionSuccess", "true"),
                ("ConnectionFailed", "true"),
                ("ConnectionAttempt", "true"),
                ("ConnectionRequest", "true"),
                ("HttpConnectionInspected", "true"),
                ("InboundConnectionAccepted", "false"),
                ("InboundConnectionAttempt", "false"),
            ],
        ),
    ),
    COMPUTER,
];
const IMAGE_LOAD: Names = &[
    ("ImageLoaded", Path("FolderPath", "FileName")),
    ("Image", IMAGE),
    ("CommandLine", COMMAND_LINE),
    ("User", USER),
    PROCESS_ID,
    PARENT,
    HASHES,
    COMPUTER,
];
const FILE: Names = &[
    ("TargetFilename", Path("FolderPath", "FileName")),
    (
        "SourceFilename",
        Path("PreviousFolderPath", "PreviousFileName"),
    ),
    ("Image", IMAGE),
    ("CommandLine", COMMAND_LINE),
    ("User", USER),
    PROCESS_ID,
    PARENT,
    HASHES,
    COMPUTER,
];
const REGISTRY: Names = &[
    ("TargetObject", Registry("RegistryKey", "RegistryValueName")),
    (
        "Details",
        RegistryData("RegistryValueType", "RegistryValueData"),
    ),
    (
        "EventType",
        Means(
            "ActionType",
            &[
                ("RegistryValueSet", "SetValue"),
                ("RegistryKeyCreated", "CreateKey"),
                ("RegistryKeyDeleted", "DeleteKey"),
                ("RegistryValueDeleted", "DeleteValue"),
                ("RegistryKeyRenamed", "RenameKey"),
            ],
        ),
    ),
    ("Image", IMAGE),
    ("CommandLine", COMMAND_LINE),
    ("User", USER),
    PROCESS_ID,
    PARENT,
    COMPUTER,
];
const LOGON: Names = &[
    (
        "EventID",
        Means(
            "ActionType",
            &[("LogonSuccess", "4624"), ("LogonFailed", "4625")],
        ),
    ),
    (
        "LogonType",
        Means(
            "LogonType",
            &[
                ("Interactive", "2"),
                ("Network", "3"),
                ("Batch", "4"),
                ("Service", "5"),
                ("Unlock", "7"),
                ("NetworkCleartext", "8"),
                ("NewCredentials", "9"),
                ("RemoteInteractive", "10"),
                ("CachedInteractive", "11"),
            ],
        ),
    ),
    ("TargetUserName", Col("AccountName")),
    ("TargetDomainName", Col("AccountDomain")),
    ("TargetUserSid", Col("AccountSid")),
    ("IpAddress", Col("RemoteIP")),
    ("IpPort", Col("RemotePort")),
    ("WorkstationName", Col("RemoteDeviceName")),
    ("AuthenticationPackageName", Col("Protocol")),
    ("SubjectUserName", Col("InitiatingProcessAccountName")),
    ("SubjectDomainName", Col("InitiatingProcessAccountDomain")),
    ("SubjectUserSid", Col("InitiatingProcessAccountSid")),
    ("ProcessName", IMAGE),
    COMPUTER,
];
const DNS: Names = &[
    ("QueryName", Json("AdditionalFields", "DnsQueryString")),
    ("QueryResults", Json("AdditionalFields", "DnsQueryResult")),
    ("Image", IMAGE),
    ("User", USER),
    PROCESS_ID,
    COMPUTER,
];
const PIPE: Names = &[
    ("PipeName", Json("AdditionalFields", "PipeName")),
    ("Image", IMAGE),
    ("User", USER),
    PROCESS_ID,
    COMPUTER,
];
const REMOTE_THREAD: Names = &[
    ("SourceImage", IMAGE),
    ("TargetImage", Path("FolderPath", "FileName")),
    ("SourceCommandLine", COMMAND_LINE),
    ("SourceUser", USER),
    ("SourceProcessId", Col("InitiatingProcessId")),
    ("TargetProcessId", Col("ProcessId")),
    COMPUTER,
];
const PROCESS_ACCESS: Names = &[
    ("SourceImage", IMAGE),
    ("TargetImage", Path("FolderPath", "FileName")),
    (
        "GrantedAccess",
        JsonHex("AdditionalFields", "DesiredAccess"),
    ),
    ("SourceUser", USER),
    ("SourceProcessId", Col("InitiatingProcessId")),
    ("TargetProcessId", Col("ProcessId")),
    COMPUTER,
];
const DRIVER: Names = &[
    ("ImageLoaded", Path("FolderPath", "FileName")),
    HASHES,
    COMPUTER,
];
const SCRIPT: Names = &[
    ("ScriptBlockText", Json("AdditionalFields", "Command")),
    ("Image", IMAGE),
    ("User", USER),
    COMPUTER,
];
const ANTIVIRUS: Names = &[
    ("Signature", Json("AdditionalFields", "ThreatName")),
    ("Filename", Path("FolderPath", "FileName")),
    COMPUTER,
];
const SECURITY: Names = &[
    (
        "EventID",
        Means(
            "ActionType",
            &[
                ("ScheduledTaskCreated", "4698"),
                ("SecurityLogCleared", "1102"),
                ("UserAccountCreated", "4720"),
            ],
        ),
    ),
    ("TaskName", Json("AdditionalFields", "TaskName")),
    ("TaskContent", Json("AdditionalFields", "TaskContent")),
    ("TargetUserName", Col("AccountName")),
    ("SubjectUserName", Col("InitiatingProcessAccountName")),
    COMPUTER,
];
const SERVICE_INSTALLED: Names = &[
    (
        "EventID",
        Means("ActionType", &[("ServiceInstalled", "7045")]),
    ),
    (
        "Provider_Name",
        Means(
            "ActionType",
            &[("ServiceInstalled", "Service Control Manager")],
        ),
    ),
    ("ServiceName", Json("AdditionalFields", "ServiceName")),
    ("ImagePath", Path("FolderPath", "FileName")),
    ("AccountName", Json("AdditionalFields", "ServiceAccount")),
    ("StartType", Json("AdditionalFields", "ServiceStartType")),
    COMPUTER,
];
const SIGN_IN: Names = &[
    ("ResultType", Col("ErrorCode")),
    ("AppDisplayName", Col("Application")),
    ("AppId", Col("ApplicationId")),
    ("UserPrincipalName", Col("AccountUpn")),
    ("UserId", Col("AccountObjectId")),
    ("Username", Col("AccountUpn")),
    ("IPAddress", Col("IPAddress")),
    ("Location", Col("Country")),
    ("ClientApp", Col("ClientAppUsed")),
    ("ClientAppUsed", Col("ClientAppUsed")),
    (
        "AuthenticationRequirement",
        Means(
            "AuthenticationRequirement",
            &[
                ("singleFactorAuthentication", "singleFactorAuthentication"),
                ("multiFactorAuthentication", "multiFactorAuthentication"),
            ],
        ),
    ),
    ("UserAgent", Col("UserAgent")),
    ("ResourceDisplayName", Col("ResourceDisplayName")),
    ("ResourceId", Col("ResourceId")),
    ("ConditionalAccessStatus", Col("ConditionalAccessStatus")),
    ("RiskState", Col("RiskState")),
    ("riskEventType", Col("RiskEventTypes")),
    ("DeviceDetail.trusttype", Col("DeviceTrustType")),
    ("DeviceDetail.isCompliant", Col("IsCompliant")),
    ("HomeTenantId", Col("TenantId")),
    ("ResourceTenantId", Col("ResourceTenantId")),
    ("Computer", Col("DeviceName")),
];
const AZURE_AUDIT: Names = &[
    ("properties.message", Col("ActionType")),
    ("OperationName", Col("ActionType")),
    ("operationName", Col("ActionType")),
    ("ActivityDisplayName", Col("ActionType")),
    ("Category", Col("ActivityType")),
    ("InitiatedBy", Col("AccountId")),
    (
        "Result",
        JsonMeans("RawEventData", "ResultStatus", SUCCEEDED),
    ),
    ("LoggedByService", Json("RawEventData", "Workload")),
];
const M365: Names = &[
    ("eventName", Json("RawEventData", "Operation")),
    ("eventName", Col("ActionType")),
    ("eventSource", Json("RawEventData", "Workload")),
    ("eventSource", Col("Application")),
    (
        "status",
        JsonMeans("RawEventData", "ResultStatus", SUCCEEDED),
    ),
    ("Operation", Json("RawEventData", "Operation")),
    ("Operation", Col("ActionType")),
    ("Workload", Json("RawEventData", "Workload")),
    ("UserId", Col("AccountId")),
    ("ClientIP", Col("IPAddress")),
    ("UserAgent", Col("UserAgent")),
];
const SUCCEEDED: &[(&str, &str)] = &[
    ("Succeeded", "success"),
    ("Success", "success"),
    ("True", "success"),
    ("PartiallySucceeded", "success"),
    ("Failed", "failure"),
    ("Failure", "failure"),
    ("False", "failure"),
];
const CLOUDTRAIL: Names = &[
    ("eventName", Json("RawEventData", "eventName")),
    ("eventName", Col("OperationName")),
    ("eventSource", Json("RawEventData", "eventSource")),
    ("errorCode", Json("RawEventData", "errorCode")),
    ("errorMessage", Json("RawEventData", "errorMessage")),
    ("sourceIPAddress", Col("IPAddress")),
    ("userAgent", Col("UserAgent")),
    (
        "userIdentity.type",
        Json("RawEventData", "userIdentity.type"),
    ),
    ("userIdentity.arn", Json("RawEventData", "userIdentity.arn")),
    (
        "userIdentity.userName",
        Json("RawEventData", "userIdentity.userName"),
    ),
];
const GCP_AUDIT: Names = &[
    ("gcp.audit.method_name", Col("OperationName")),
    (
        "gcp.audit.service_name",
        Json("RawEventData", "serviceName"),
    ),
];
const AZURE_ACTIVITY: Names = &[
    ("operationName", Col("OperationName")),
    ("OperationName", Col("OperationName")),
    ("properties.message", Col("OperationName")),
    ("ResourceId", Col("ResourceId")),
    ("status", Json("RawEventData", "status")),
];

/// What rows of a raw table are, by its name: product and service as rules write them, and names
/// that the source has others for.
pub(crate) fn raw(table: &str) -> Option<(Source<'static>, Renames)> {
    let name = table.to_ascii_lowercase();
    let has = |word: &str| name.contains(word);
    Some(if has("cloudtrail") {
        (Source::new("aws", "cloudtrail", NONE), NO_RENAMES)
    } else if let Some(log) = name.strip_prefix("zeek_") {
        let known = [
            "conn",
            "dns",
            "http",
            "kerberos",
            "rdp",
            "smb_files",
            "dce_rpc",
            "x509",
        ];
        let service = known.into_iter().find(|k| *k == log).unwrap_or(NONE);
        (Source::new("zeek", service, NONE), NO_RENAMES)
    } else if has("okta") {
        (Source::new("okta", "okta", NONE), NO_RENAMES)
    } else if has("gcp") {
        (Source::new("gcp", "gcp.audit", NONE), NO_RENAMES)
    } else if has("github") {
        (Source::new("github", "audit", NONE), NO_RENAMES)
    } else if has("gworkspace") || has("google_workspace") {
        (
            Source::new("gcp", "google_workspace.admin", NONE),
            NO_RENAMES,
        )
    } else if has("auditd") {
        (Source::new("linux", "auditd", NONE), NO_RENAMES)
    } else if has("o365") || has("m365") || has("unified_audit") {
        (Source::new("m365", "audit", NONE), UAL)
    } else if has("proxy") {
        (Source::new(NONE, NONE, "proxy"), NO_RENAMES)
    } else if has("webserver") || has("nginx") || has("apache") || has("iis") {
        (Source::new(NONE, NONE, "webserver"), NO_RENAMES)
    } else {
        return None;
    })
}

/// Names that rules use, and the column of the raw table that has the value.
pub(crate) type Renames = &'static [(&'static str, &'static str)];

const NO_RENAMES: Renames = &[];
const UAL: Renames = &[
    ("eventName", "Operation"),
    ("eventSource", "Workload"),
    ("status", "ResultStatus"),
];
