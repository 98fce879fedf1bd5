//! Which log sources a row belongs to, so that only the rules written for them see it.
//!
//! A row has up to three: what its source is in Sigma's words (a Windows channel and event id, or
//! what a hunting table corresponds to), a second category where Sigma has two for one event, and
//! `product: bailiwick, service: <table>`, under which rules name our own columns.
//!
//! A dimension that a row does not have is [`NONE`], not absent: a rule that asks for a category is
//! never tried on an event that has none.

use rsigma_parser::LogSource;

/// Stands for a dimension that a row does not have.
pub(crate) const NONE: &str = "-";
/// The product of rules on our own columns.
pub(crate) const OWN: &str = "bailiwick";

/// A log source by words that live as long as the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source<'a> {
    pub(crate) product: &'a str,
    pub(crate) service: &'a str,
    pub(crate) category: &'a str,
}

impl<'a> Source<'a> {
    pub(crate) const fn new(product: &'a str, service: &'a str, category: &'a str) -> Self {
        Self {
            product,
            service,
            category,
        }
    }

    pub(crate) fn to_rsigma(self) -> LogSource {
        LogSource {
            product: Some(self.product.to_owned()),
            service: Some(self.service.to_owned()),
            category: Some(self.category.to_owned()),
            ..LogSource::default()
        }
    }

    /// Whether a rule for `wanted` may look at this source.
    pub(crate) fn serves(self, wanted: &LogSource) -> bool {
        let fits =
            |w: &Option<String>, is: &str| w.as_deref().is_none_or(|w| w.eq_ignore_ascii_case(is));
        fits(&wanted.product, self.product)
            && fits(&wanted.service, self.service)
            && fits(&wanted.category, self.category)
    }
}

/// What is known of a Windows event's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) service: &'static str,
    pub(crate) categories: [&'static str; 2],
    /// Names that rules of the category use, and what the event calls it.
    pub(crate) renames: &'static [(&'static str, &'static str)],
}

/// The kind of a Windows event. `event_type` is Sysmon's `EventType`, which tells registry events
/// of id 12 apart.
pub(crate) fn windows(channel: &str, provider: &str, id: i64, event_type: &str) -> Windows {
    let service = service_of(channel, provider);
    let (categories, renames): ([&str; 2], _) = match (service, id) {
        ("sysmon", _) => (sysmon_categories(id, event_type), NO_RENAMES),
        ("security", 4688) => (["process_creation", NONE], PROCESS_4688),
        ("powershell", 4103) => (["ps_module", NONE], NO_RENAMES),
        ("powershell", 4104) => (["ps_script", NONE], NO_RENAMES),
        ("powershell-classic", 400) => (["ps_classic_start", NONE], NO_RENAMES),
        ("powershell-classic", 600) => (["ps_classic_provider_start", NONE], NO_RENAMES),
        ("powershell-classic", 800) => (["ps_classic_script", NONE], NO_RENAMES),
        ("windefend", 1006..=1012 | 1017..=1019 | 1115 | 1116) => (["antivirus", NONE], ANTIVIRUS),
        _ => ([NONE, NONE], NO_RENAMES),
    };
    Windows {
        service,
        categories,
        renames,
    }
}

/// Categories of other logs than Sysmon's.
const OTHERS: &[&str] = &[
    "ps_module",
    "ps_script",
    "ps_classic_start",
    "ps_classic_provider_start",
    "ps_classic_script",
    "antivirus",
    "file_rename",
];

/// Whether some Windows event, or a row of the export that stands for one, has this category.
pub(crate) fn is_windows_category(category: &str) -> bool {
    let sysmon = (1..=255).flat_map(|id| {
        ["CreateKey", "DeleteKey", ""]
            .into_iter()
            .flat_map(move |event_type| sysmon_categories(id, event_type))
    });
    let mut all = sysmon.chain(OTHERS.iter().copied()).filter(|c| *c != NONE);
    all.any(|c| c.eq_ignore_ascii_case(category))
}

const NO_RENAMES: &[(&str, &str)] = &[];
const PROCESS_4688: &[(&str, &str)] = &[
    ("Image", "NewProcessName"),
    ("ParentImage", "ParentProcessName"),
];
const ANTIVIRUS: &[(&str, &str)] = &[("Signature", "ThreatName"), ("Filename", "Path")];

fn sysmon_categories(id: i64, event_type: &str) -> [&'static str; 2] {
    let one = match id {
        1 => "process_creation",
        2 => "file_change",
        3 => "network_connection",
        4 | 16 => "sysmon_status",
        5 => "process_termination",
        6 => "driver_load",
        7 => "image_load",
        8 => "create_remote_thread",
        9 => "raw_access_thread",
        10 => "process_access",
        11 => "file_event",
        12 => {
            return match event_type {
                "CreateKey" => ["registry_add", "registry_event"],
                "DeleteKey" | "DeleteValue" => ["registry_delete", "registry_event"],
                _ => ["registry_event", NONE],
            };
        }
        13 => return ["registry_set", "registry_event"],
        14 => return ["registry_rename", "registry_event"],
        15 => "create_stream_hash",
        17 | 18 => "pipe_created",
        19..=21 => "wmi_event",
        22 => "dns_query",
        23 => "file_delete",
        24 => "clipboard_change",
        25 => "process_tampering",
        26 => "file_delete_detected",
        27 => "file_block_executable",
        28 => "file_block_shredding",
        29 => "file_executable_detected",
        255 => "sysmon_error",
        _ => NONE,
    };
    [one, NONE]
}

/// Sigma's name of a Windows log. Forwarded events keep their provider, so the few providers that
/// say it all come after the channel.
fn service_of(channel: &str, provider: &str) -> &'static str {
    let by_channel = CHANNELS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(channel));
    let by_provider = || {
        PROVIDERS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(provider))
    };
    by_channel.or_else(by_provider).map_or(NONE, |(_, s)| s)
}

const PROVIDERS: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon", "sysmon"),
    ("Microsoft-Windows-Security-Auditing", "security"),
    ("Microsoft-Windows-PowerShell", "powershell"),
    ("PowerShellCore", "powershell"),
    ("PowerShell", "powershell-classic"),
    ("Microsoft-Windows-Windows Defender", "windefend"),
    ("Microsoft-Windows-WMI-Activity", "wmi"),
    ("Microsoft-Windows-Bits-Client", "bits-client"),
    ("Microsoft-Windows-TaskScheduler", "taskscheduler"),
];

const CHANNELS: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon/Operational", "sysmon"),
    ("Security", "security"),
    ("System", "system"),
    ("Application", "application"),
    ("Microsoft-Windows-PowerShell/Operational", "powershell"),
    ("PowerShellCore/Operational", "powershell"),
    ("Windows PowerShell", "powershell-classic"),
    (
        "Microsoft-Windows-Windows Defender/Operational",
        "windefend",
    ),
    (
        "Microsoft-Windows-TaskScheduler/Operational",
        "taskscheduler",
    ),
    ("Microsoft-Windows-WMI-Activity/Operational", "wmi"),
    ("Microsoft-Windows-Bits-Client/Operational", "bits-client"),
    ("Microsoft-Windows-NTLM/Operational", "ntlm"),
    ("Microsoft-Windows-DHCP-Server/Operational", "dhcp"),
    ("Microsoft-Windows-PrintService/Admin", "printservice-admin"),
    (
        "Microsoft-Windows-PrintService/Operational",
        "printservice-operational",
    ),
    ("Microsoft-Windows-SmbClient/Security", "smbclient-security"),
    (
        "Microsoft-Windows-SmbClient/Connectivity",
        "smbclient-connectivity",
    ),
    (
        "Microsoft-Windows-SMBServer/Connectivity",
        "smbserver-connectivity",
    ),
    (
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
        "terminalservices-localsessionmanager",
    ),
    (
        "Microsoft-Windows-CodeIntegrity/Operational",
        "codeintegrity-operational",
    ),
    ("Microsoft-Windows-AppLocker/MSI and Script", "applocker"),
    ("Microsoft-Windows-AppLocker/EXE and DLL", "applocker"),
    (
        "Microsoft-Windows-AppLocker/Packaged app-Deployment",
        "applocker",
    ),
    (
        "Microsoft-Windows-AppLocker/Packaged app-Execution",
        "applocker",
    ),
    ("MSExchange Management", "msexchange-management"),
    (
        "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
        "firewall-as",
    ),
    (
        "Microsoft-Windows-Security-Mitigations/Kernel Mode",
        "security-mitigations",
    ),
    (
        "Microsoft-Windows-Security-Mitigations/User Mode",
        "security-mitigations",
    ),
    (
        "Microsoft-Windows-Diagnosis-Scripted/Operational",
        "diagnosis-scripted",
    ),
    ("Microsoft-Windows-Shell-Core/Operational", "shell-core"),
    ("OpenSSH/Operational", "openssh"),
    ("Microsoft-Windows-LDAP-Client/Debug", "ldap"),
    (
        "Microsoft-Windows-BitLocker/BitLocker Management",
        "bitlocker",
    ),
    ("Microsoft-Windows-VHDMP/Operational", "vhdmp"),
    (
        "Microsoft-Windows-AppXDeploymentServer/Operational",
        "appxdeployment-server",
    ),
    ("Microsoft-Windows-LSA/Operational", "lsa-server"),
    (
        "Microsoft-Windows-AppxPackaging/Operational",
        "appxpackaging-om",
    ),
    (
        "Microsoft-Windows-DNS Client Events/Operational",
        "dns-client",
    ),
    (
        "Microsoft-Windows-AppModel-Runtime/Admin",
        "appmodel-runtime",
    ),
    ("Microsoft-Windows-CAPI2/Operational", "capi2"),
    (
        "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational",
        "certificateservicesclient-lifecycle-system",
    ),
    (
        "Microsoft-Windows-Kernel-ShimEngine/Operational",
        "kernel-shimengine",
    ),
    (
        "Microsoft-Windows-Kernel-ShimEngine/Diagnostic",
        "kernel-shimengine",
    ),
    (
        "Microsoft-Windows-Application-Experience/Program-Telemetry",
        "application-experience",
    ),
    (
        "Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant",
        "application-experience",
    ),
    ("Microsoft-Windows-Ntfs/Operational", "ntfs"),
    ("Microsoft-Windows-Hyper-V-Worker", "hyper-v-worker"),
    (
        "Microsoft-Windows-Kernel-EventTracing",
        "kernel-event-tracing",
    ),
    ("Microsoft-Windows-SENSE/Operational", "sense"),
    ("Microsoft-ServiceBus-Client/Admin", "servicebus-client"),
    (
        "Microsoft-ServiceBus-Client/Operational",
        "servicebus-client",
    ),
    (
        "Microsoft-IIS-Configuration/Operational",
        "iis-configuration",
    ),
];
