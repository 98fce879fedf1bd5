//! Rows of the `Device*` tables.
//!
//! Dynamic values are JSON text in a string here. `FolderPath` includes the file's name.

use model::Ticks;

use crate::catalogue::Program;
use crate::people::{Account, Device};
use crate::stage::{Digits, Stage};
use crate::text::Row;

/// A running process and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Process<'w> {
    pub(crate) program: &'w Program,
    pub(crate) account: &'w Account,
    pub(crate) command: String,
    pub(crate) pid: u32,
    pub(crate) created: Ticks,
    pub(crate) logon_id: u64,
    pub(crate) session: u64,
    /// Whether it has its user's full rights.
    pub(crate) elevated: bool,
    pub(crate) parent: Parent,
}

/// As much of a parent as rows tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parent {
    pub(crate) file: &'static str,
    pub(crate) pid: u32,
    pub(crate) created: Ticks,
}

impl Process<'_> {
    /// This process as the parent of another.
    pub(crate) fn as_parent(&self) -> Parent {
        Parent {
            file: self.program.file,
            pid: self.pid,
            created: self.created,
        }
    }

    fn integrity(&self) -> &'static str {
        if self.elevated {
            "High"
        } else {
            self.account.integrity
        }
    }

    fn elevation(&self) -> &'static str {
        if self.elevated {
            "TokenElevationTypeFull"
        } else {
            self.account.elevation
        }
    }
}

/// A file that a row is about.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) sha1: String,
    pub(crate) sha256: String,
    pub(crate) md5: String,
    pub(crate) size: u64,
}

impl File {
    /// What the sensor says of its content.
    fn kind(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("exe" | "dll" | "ocx") => "PortableExecutable",
            Some("7z" | "js" | "hta" | "dmp" | "tmp" | "bin" | "ps1") => "Unknown",
            _ => "OfficeOpenXml",
        }
    }
}

/// How another machine reached a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share<'a> {
    pub(crate) name: &'a str,
    pub(crate) from: &'a Device,
    pub(crate) account: &'a Account,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Remote<'a> {
    pub(crate) ip: &'a str,
    pub(crate) port: u64,
    pub(crate) url: &'a str,
    pub(crate) public: bool,
}

impl<'w> Stage<'w> {
    /// Begins a row about machine `device`: its columns, `Timestamp`, `ActionType`, `ReportId`.
    pub(crate) fn begin_device(&mut self, at: Ticks, device: usize, action: &str) -> &'w Device {
        let printed = self.begin(at, Digits::Ticks);
        let report = self.desk(device).report();
        let of = self.device(device);
        self.row
            .raw(&of.fragment)
            .time("Timestamp", printed)
            .text("ActionType", action)
            .number("ReportId", report)
            .missing_text(&["AppGuardContainerId"]);
        of
    }

    /// `DeviceProcessEvents`: `child` began.
    pub(crate) fn process_created(&mut self, device: usize, child: &Process<'_>, by: &Process<'_>) {
        self.begin_device(child.created, device, "ProcessCreated");
        self.row
            .raw(&child.program.as_process)
            .number("ProcessId", child.pid.into())
            .text("ProcessCommandLine", &child.command)
            .text("ProcessIntegrityLevel", child.integrity())
            .text("ProcessTokenElevation", child.elevation())
            .time("ProcessCreationTime", child.created)
            .raw(&child.account.as_five)
            .number("LogonId", child.logon_id)
            .number("InitiatingProcessLogonId", by.logon_id)
            .text("InitiatingProcessSignerType", by.program.signer)
            .text("InitiatingProcessSignatureStatus", by.program.signature)
            .number("CreatedProcessSessionId", child.session)
            .flag("IsProcessRemoteSession", false)
            .missing_text(&["ProcessRemoteSessionDeviceName", "ProcessRemoteSessionIP"])
            .text("ProcessUniqueId", "0")
            .text(
                "AdditionalFields",
                "{\"InitiatingProcessPosixEffectiveUser\":{}}",
            );
        initiating(&mut self.row, by, true);
        self.emit("DeviceProcessEvents");
    }

    /// `DeviceNetworkEvents`: `by` opened a connection.
    pub(crate) fn connected(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        to: &Remote<'_>,
    ) {
        let of = self.begin_device(at, device, "ConnectionSuccess");
        let local_port = self.dice.between(49_152, 65_535);
        self.row
            .text("RemoteIP", to.ip)
            .number("RemotePort", to.port)
            .text("RemoteUrl", to.url)
            .text("LocalIP", &of.ip)
            .number("LocalPort", local_port)
            .text("Protocol", "Tcp")
            .text("LocalIPType", "Private")
            .text("RemoteIPType", if to.public { "Public" } else { "Private" })
            .missing_text(&["AdditionalFields"])
            .number("LogonID", by.logon_id);
        initiating(&mut self.row, by, true);
        self.emit("DeviceNetworkEvents");
    }

    /// `DeviceEvents`: a name was looked up.
    pub(crate) fn dns_answered(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        name: &str,
        ip: &str,
    ) {
        self.begin_device(at, device, "DnsQueryResponse");
        let answer = format!(
            "{{\"DnsQueryString\":\"{name}\",\"DnsQueryResult\":\
             [{{\"Result\":\"{ip}\",\"DnsQueryType\":\"A\"}}]}}"
        );
        self.row
            .text("AdditionalFields", &answer)
            .text("RemoteUrl", name)
            .missing_text(&[
                "FileName",
                "FolderPath",
                "SHA1",
                "SHA256",
                "MD5",
                "AccountDomain",
                "AccountName",
                "AccountSid",
                "RemoteDeviceName",
                "ProcessCommandLine",
                "ProcessTokenElevation",
                "RegistryKey",
                "RegistryValueName",
                "RegistryValueData",
                "RemoteIP",
                "LocalIP",
                "FileOriginUrl",
                "FileOriginIP",
                "ProcessRemoteSessionDeviceName",
                "ProcessRemoteSessionIP",
            ])
            .missing(&[
                "FileSize",
                "ProcessId",
                "ProcessCreationTime",
                "LogonId",
                "RemotePort",
                "LocalPort",
                "CreatedProcessSessionId",
                "IsProcessRemoteSession",
            ])
            .number("InitiatingProcessLogonId", by.logon_id);
        initiating(&mut self.row, by, false);
        self.emit("DeviceEvents");
    }

    /// `DeviceFileEvents`: `by` did `action` to `file`, which came from `origin_url`, if any.
    pub(crate) fn file_touched(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        action: &str,
        file: &File,
        origin_url: Option<&str>,
    ) {
        self.file_touched_over(at, device, by, action, file, origin_url, None);
    }

    /// The same, asked for by another machine if `over` says so.
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument per group of columns"
    )]
    pub(crate) fn file_touched_over(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        action: &str,
        file: &File,
        origin_url: Option<&str>,
        over: Option<&Share<'_>>,
    ) {
        self.begin_device(at, device, action);
        let row = &mut self.row;
        row.text("FileName", &file.name)
            .text("FolderPath", &file.path)
            .text("SHA1", &file.sha1)
            .text("SHA256", &file.sha256)
            .text("MD5", &file.md5)
            .number("FileSize", file.size)
            .text(
                "AdditionalFields",
                &format!("{{\"FileType\":\"{}\"}}", file.kind()),
            );
        match origin_url {
            Some(url) => row.text("FileOriginUrl", url),
            None => row.missing_text(&["FileOriginUrl"]),
        };
        row.missing_text(&[
            "FileOriginReferrerUrl",
            "FileOriginIP",
            "PreviousFolderPath",
            "PreviousFileName",
        ]);
        file_request(row, by, over);
        // This flag is a number in the tables of devices.
        row.number("IsAzureInfoProtectionApplied", 0)
            .number("LogonID", by.logon_id);
        initiating(row, by, true);
        self.emit("DeviceFileEvents");
    }

    /// `DeviceRegistryEvents`: `by` set a value.
    pub(crate) fn registry_set(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        key: &str,
        name: &str,
        data: &str,
    ) {
        self.begin_device(at, device, "RegistryValueSet");
        self.row
            .text("RegistryKey", key)
            .text("RegistryValueType", "String")
            .text("RegistryValueName", name)
            .text("RegistryValueData", data)
            .text("PreviousRegistryKey", key)
            .text("PreviousRegistryValueName", name)
            .missing_text(&["PreviousRegistryValueData"]);
        initiating(&mut self.row, by, true);
        self.emit("DeviceRegistryEvents");
    }

    /// `DeviceImageLoadEvents`: `by` loaded `image`.
    pub(crate) fn image_loaded(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        image: &Program,
    ) {
        self.begin_device(at, device, "ImageLoaded");
        self.row.raw(&image.as_file).text("ProcessUniqueId", "0");
        initiating(&mut self.row, by, true);
        self.emit("DeviceImageLoadEvents");
    }

    /// `DeviceLogonEvents`: `who` signed in at machine `device`, or tried to.
    pub(crate) fn logged_on(
        &mut self,
        at: Ticks,
        device: usize,
        by: &Process<'_>,
        who: &Account,
        logon: &Logon<'_>,
    ) {
        let action = if logon.failure.is_some() {
            "LogonFailed"
        } else {
            "LogonSuccess"
        };
        self.begin_device(at, device, action);
        let row = &mut self.row;
        row.raw(&who.as_short)
            .text("LogonType", logon.kind)
            .text("Protocol", logon.protocol)
            .number("LogonId", logon.id);
        match logon.failure {
            Some(reason) => row.text("FailureReason", reason),
            None => row.missing_text(&["FailureReason"]),
        };
        match logon.from {
            Some(from) => row
                .text("RemoteDeviceName", &from.short_name)
                .text("RemoteIP", &from.ip)
                .text("RemoteIPType", "Private")
                .number("RemotePort", 49_200 + logon.id % 16_000),
            None => row
                .missing_text(&["RemoteDeviceName", "RemoteIP", "RemoteIPType"])
                .missing(&["RemotePort"]),
        };
        row.flag("IsLocalAdmin", logon.admin)
            .text("AdditionalFields", "{\"IsLocalLogon\":true}")
            .text("ProcessUniqueId", "0");
        initiating(row, by, true);
        self.emit("DeviceLogonEvents");
    }

    /// `DeviceInfo`: what machine `device` is.
    pub(crate) fn device_info(&mut self, at: Ticks, device: usize, users: &str) {
        let printed = self.begin(at, Digits::Ticks);
        let of = self.device(device);
        // Beyond 2^53: a reader of doubles gets it wrong.
        let report = self.due_report();
        let windows = of.os.is_windows();
        let person = of.owner.is_some();
        let row = &mut self.row;
        row.raw(&of.fragment)
            .time("Timestamp", printed)
            .number("ReportId", report)
            .text("ClientVersion", "10.8735.22621.1000")
            .text("PublicIP", &self.tenant.public_ip)
            .text("OSArchitecture", "64-bit")
            .text("OSPlatform", of.os.platform());
        if windows {
            row.number("OSBuild", 22_621);
        } else {
            row.missing(&["OSBuild"]);
        }
        row.number("IsAzureADJoined", u64::from(person))
            .text(
                "JoinType",
                if windows { "Hybrid Azure AD Join" } else { "" },
            )
            .text("AadDeviceId", &of.directory_id)
            .text("LoggedOnUsers", users)
            .text("OSVersion", if windows { "10.0" } else { "12.5" })
            .text("OnboardingStatus", "Onboarded")
            .text("DeviceCategory", "Endpoint")
            .text("DeviceType", if person { "Workstation" } else { "Server" })
            .text("Model", of.model)
            .text("Vendor", of.vendor)
            .text("OSDistribution", of.os.platform())
            .text("OSVersionInfo", if windows { "23H2" } else { "" })
            .flag("IsInternetFacing", false)
            .text("SensorHealthState", "Active")
            .flag("IsExcluded", false)
            .text("ExposureLevel", if person { "Low" } else { "Medium" })
            .text("AssetValue", "Normal")
            .text("ConnectivityType", "Streamlined")
            .text("HardwareUuid", &of.hardware)
            .flag("IsTransient", false)
            .text("OsBuildRevision", "3672")
            .text("DiscoverySources", "[\"Mde\"]")
            .missing_text(&[
                "RegistryDeviceTag",
                "AdditionalFields",
                "DeviceSubtype",
                "MergedDeviceIds",
                "MergedToDeviceId",
                "ExclusionReason",
                "DeviceManualTags",
                "DeviceDynamicTags",
                "HostDeviceId",
                "AzureResourceId",
                "AwsResourceName",
                "GcpFullResourceName",
                "CloudPlatforms",
                "AzureVmId",
                "AzureVmSubscriptionId",
                "MitigationStatus",
                "Site",
                "DeviceRoles",
                "DlpInfo",
            ]);
        self.emit("DeviceInfo");
    }

    /// `DeviceNetworkInfo`: how machine `device` is connected.
    pub(crate) fn device_network(&mut self, at: Ticks, device: usize) {
        let printed = self.begin(at, Digits::Ticks);
        let of = self.device(device);
        let report = self.due_report();
        let gateway = of.ip.rsplit_once('.').map_or("10.20.0", |(net, _)| net);
        let addresses = format!(
            "[{{\"IPAddress\":\"{}\",\"SubnetPrefix\":24,\"AddressType\":\"Private\"}},\
             {{\"IPAddress\":\"2001:db8:{:x}::{:x}\",\"SubnetPrefix\":64,\"AddressType\":\"Public\"}}]",
            of.ip,
            self.tenant.people.len(),
            device + 16
        );
        let networks = format!(
            "[{{\"Name\":\"{}\",\"Category\":\"DomainAuthenticated\",\"IsConnectedToInternet\":true}}]",
            self.tenant.company_domain
        );
        self.row
            .raw(&of.fragment)
            .time("Timestamp", printed)
            .number("ReportId", report)
            .text(
                "NetworkAdapterName",
                "{5C2B0D1A-0000-4E6D-9B5F-0A1B2C3D4E5F}",
            )
            .text("MacAddress", &of.mac)
            .text("NetworkAdapterType", "Ethernet")
            .text("NetworkAdapterStatus", "Up")
            .text("TunnelType", "None")
            .text("ConnectedNetworks", &networks)
            .text("DnsAddresses", "[\"10.20.0.4\"]")
            .text("IPv4Dhcp", &format!("{gateway}.2"))
            .missing_text(&["IPv6Dhcp"])
            .text("DefaultGateways", &format!("[\"{gateway}.1\"]"))
            .text("IPAddresses", &addresses)
            .text("NetworkAdapterVendor", of.vendor)
            .text("OnboardingStatus", "Onboarded")
            .text("NetworkAdapterDnsSuffix", &self.tenant.company_domain);
        self.emit("DeviceNetworkInfo");
    }
}

/// How somebody signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logon<'a> {
    pub(crate) kind: &'a str,
    pub(crate) protocol: &'a str,
    pub(crate) id: u64,
    pub(crate) from: Option<&'a Device>,
    pub(crate) failure: Option<&'a str>,
    /// Whether the account has full rights on the machine.
    pub(crate) admin: bool,
}

/// Who asked for a file: a process of the machine, or somebody over the network.
fn file_request(row: &mut Row, by: &Process<'_>, over: Option<&Share<'_>>) {
    const LABELS: &[&str] = &["SensitivityLabel", "SensitivitySubLabel"];
    let account = over.map_or(by.account, |share| share.account);
    match over {
        None => row
            .missing_text(&["RequestSourceIP", "ShareName"])
            .missing_text(LABELS)
            .text("RequestProtocol", "Local")
            .missing(&["RequestSourcePort"]),
        Some(share) => row
            .text("RequestSourceIP", &share.from.ip)
            .text("ShareName", share.name)
            .missing_text(LABELS)
            .text("RequestProtocol", "SMB")
            .number("RequestSourcePort", 49_152 + u64::from(by.pid % 16_000)),
    };
    row.text("RequestAccountName", &account.name)
        .text("RequestAccountDomain", &account.domain)
        .text("RequestAccountSid", &account.sid);
}

/// The columns that say which process did it: the same in every table, but for the token's.
pub(crate) fn initiating(row: &mut Row, by: &Process<'_>, with_token: bool) {
    row.raw(&by.program.as_initiating)
        .raw(&by.account.as_initiating)
        .number("InitiatingProcessId", by.pid.into())
        .text("InitiatingProcessCommandLine", &by.command)
        .time("InitiatingProcessCreationTime", by.created)
        .number("InitiatingProcessParentId", by.parent.pid.into())
        .text("InitiatingProcessParentFileName", by.parent.file)
        .time("InitiatingProcessParentCreationTime", by.parent.created)
        .number("InitiatingProcessSessionId", by.session)
        .flag("IsInitiatingProcessRemoteSession", false)
        .missing_text(&[
            "InitiatingProcessRemoteSessionDeviceName",
            "InitiatingProcessRemoteSessionIP",
        ])
        .text("InitiatingProcessUniqueId", "0");
    if with_token {
        row.text("InitiatingProcessIntegrityLevel", by.integrity())
            .text("InitiatingProcessTokenElevation", by.elevation());
    }
}
