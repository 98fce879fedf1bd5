//! The mapping: which events of which logs go to which tables and columns.
//!
//! Rewritten from the facts in `docs/formats/ingest.md`. `ActionType` values marked there as *ours*
//! are not written by Microsoft's product.

use super::event::Log;
use super::map::To::{Account, Add, AddNum, Address, Base, Col, Domain, Hashes, Num};
use super::map::{Field, Group};
use super::special;

/// The process that Sysmon says did it.
const ACTOR: &[Field] = &[
    (
        &["Image"],
        &[
            Col("InitiatingProcessFolderPath"),
            Base("InitiatingProcessFileName"),
        ],
    ),
    (&["ProcessId"], &[Num("InitiatingProcessId")]),
    (
        &["ProcessGuid"],
        &[Col("InitiatingProcessUniqueId"), Add("ProcessGuid")],
    ),
    (
        &["User"],
        &[
            Domain("InitiatingProcessAccountDomain"),
            Account("InitiatingProcessAccountName"),
        ],
    ),
];

/// Two processes: the one that did it and the one it was done to.
const SOURCE_TARGET: &[Field] = &[
    (
        &["SourceImage"],
        &[
            Col("InitiatingProcessFolderPath"),
            Base("InitiatingProcessFileName"),
        ],
    ),
    (&["SourceProcessId"], &[Num("InitiatingProcessId")]),
    (
        &["SourceProcessGuid", "SourceProcessGUID"],
        &[Col("InitiatingProcessUniqueId"), Add("SourceProcessGuid")],
    ),
    (
        &["SourceUser"],
        &[
            Domain("InitiatingProcessAccountDomain"),
            Account("InitiatingProcessAccountName"),
        ],
    ),
    (&["TargetImage"], &[Col("FolderPath"), Base("FileName")]),
    (&["TargetProcessId"], &[Num("ProcessId")]),
    (
        &["TargetProcessGuid", "TargetProcessGUID"],
        &[Add("TargetProcessGuid")],
    ),
    (
        &["TargetUser"],
        &[Domain("AccountDomain"), Account("AccountName")],
    ),
];

const TARGET_FILE: &[Field] = &[(&["TargetFilename"], &[Col("FolderPath"), Base("FileName")])];
const HASHES: &[Field] = &[(&["Hashes", "Hash"], &[Hashes])];
const LOADED: &[Field] = &[(&["ImageLoaded"], &[Col("FolderPath"), Base("FileName")])];

/// The account that the security log calls the subject.
const SUBJECT: &[Field] = &[
    (&["SubjectUserName"], &[Col("AccountName")]),
    (&["SubjectDomainName"], &[Col("AccountDomain")]),
    (&["SubjectUserSid"], &[Col("AccountSid")]),
    (&["SubjectLogonId"], &[Num("LogonId"), Num("LogonID")]),
];

/// The same where another account is the row's.
const SUBJECT_ACTS: &[Field] = &[
    (&["SubjectUserName"], &[Col("InitiatingProcessAccountName")]),
    (
        &["SubjectDomainName"],
        &[Col("InitiatingProcessAccountDomain")],
    ),
    (&["SubjectUserSid"], &[Col("InitiatingProcessAccountSid")]),
    (&["SubjectLogonId"], &[Num("InitiatingProcessLogonId")]),
];

/// The process that the security log names.
const SECURITY_PROCESS: &[Field] = &[
    (
        &["ProcessName", "CallerProcessName"],
        &[
            Col("InitiatingProcessFolderPath"),
            Base("InitiatingProcessFileName"),
        ],
    ),
    (
        &["ProcessId", "CallerProcessId"],
        &[Num("InitiatingProcessId")],
    ),
];

const TARGET_ACCOUNT: &[Field] = &[
    (&["TargetUserName"], &[Col("AccountName")]),
    (&["TargetDomainName"], &[Col("AccountDomain")]),
    (&["TargetUserSid", "TargetSid"], &[Col("AccountSid")]),
    (&["TargetLogonId"], &[Num("LogonId")]),
];

/// What a generic row of `DeviceEvents` takes beside its `AdditionalFields`.
pub(super) const GENERIC: &[Field] = &[
    (&["SubjectUserName"], &[Col("AccountName")]),
    (&["SubjectDomainName"], &[Col("AccountDomain")]),
    (&["SubjectUserSid"], &[Col("AccountSid")]),
    (&["SubjectLogonId"], &[Num("LogonId")]),
];

const fn group(
    log: Log,
    ids: &'static [u32],
    table: &'static str,
    action: &'static str,
    fields: &'static [&'static [Field]],
) -> Group {
    Group {
        log,
        ids,
        table,
        action,
        fields,
        special: None,
    }
}

impl Group {
    const fn with(
        mut self,
        special: fn(&super::event::Event<'_>, &mut super::map::Row<'_>),
    ) -> Self {
        self.special = Some(special);
        self
    }
}

/// The identity row that a logon on a domain controller makes beside its endpoint row.
pub(super) const CONTROLLER_LOGON: Group = group(
    Log::Security,
    &[4624, 4625],
    "IdentityLogonEvents",
    "LogonSuccess",
    &[
        TARGET_ACCOUNT,
        &[
            (&["IpAddress"], &[Address("IPAddress")]),
            (&["IpPort"], &[Num("Port")]),
            (&["WorkstationName"], &[Col("DeviceName")]),
            (&["AuthenticationPackageName"], &[Col("Protocol")]),
            (&["LogonProcessName"], &[Add("LogonProcessName")]),
        ],
    ],
)
.with(special::logon);

/// All groups. Ids of one log stand in one group only.
pub(super) const GROUPS: &[Group] = &[
    // Sysmon.
    group(
        Log::Sysmon,
        &[1],
        "DeviceProcessEvents",
        "ProcessCreated",
        &[
            &[
                (&["Image"], &[Col("FolderPath"), Base("FileName")]),
                (&["CommandLine"], &[Col("ProcessCommandLine")]),
                (&["ProcessId"], &[Num("ProcessId")]),
                (
                    &["ProcessGuid"],
                    &[Col("ProcessUniqueId"), Add("ProcessGuid")],
                ),
                (
                    &["User"],
                    &[Domain("AccountDomain"), Account("AccountName")],
                ),
                (&["LogonId"], &[Num("LogonId")]),
                (&["IntegrityLevel"], &[Col("ProcessIntegrityLevel")]),
                (&["FileVersion"], &[Col("ProcessVersionInfoProductVersion")]),
                (
                    &["Description"],
                    &[Col("ProcessVersionInfoFileDescription")],
                ),
                (&["Product"], &[Col("ProcessVersionInfoProductName")]),
                (&["Company"], &[Col("ProcessVersionInfoCompanyName")]),
                (
                    &["OriginalFileName"],
                    &[Col("ProcessVersionInfoOriginalFileName")],
                ),
                (
                    &["ParentImage"],
                    &[
                        Col("InitiatingProcessFolderPath"),
                        Base("InitiatingProcessFileName"),
                    ],
                ),
                (
                    &["ParentCommandLine"],
                    &[Col("InitiatingProcessCommandLine")],
                ),
                (&["ParentProcessId"], &[Num("InitiatingProcessId")]),
                (
                    &["ParentProcessGuid"],
                    &[Col("InitiatingProcessUniqueId"), Add("ParentProcessGuid")],
                ),
                (
                    &["ParentUser"],
                    &[
                        Domain("InitiatingProcessAccountDomain"),
                        Account("InitiatingProcessAccountName"),
                    ],
                ),
                (&["UtcTime"], &[Col("ProcessCreationTime")]),
                (
                    &["TerminalSessionId"],
                    &[Num("CreatedProcessSessionId"), AddNum("TerminalSessionId")],
                ),
                (&["CurrentDirectory"], &[Add("CurrentDirectory")]),
                (&["LogonGuid"], &[Add("LogonGuid")]),
            ],
            HASHES,
        ],
    ),
    group(
        Log::Sysmon,
        &[2],
        "DeviceFileEvents",
        "FileModified",
        &[
            ACTOR,
            TARGET_FILE,
            &[
                (&["CreationUtcTime"], &[Add("FileCreationTime")]),
                (
                    &["PreviousCreationUtcTime"],
                    &[Add("PreviousCreationUtcTime")],
                ),
            ],
        ],
    ),
    group(
        Log::Sysmon,
        &[3],
        "DeviceNetworkEvents",
        "ConnectionSuccess",
        &[
            ACTOR,
            &[
                (&["SourceHostname"], &[Add("SourceHostname")]),
                (&["SourcePortName"], &[Add("SourcePortName")]),
                (&["DestinationPortName"], &[Add("DestinationPortName")]),
            ],
        ],
    )
    .with(special::connection),
    group(
        Log::Sysmon,
        &[5],
        "DeviceProcessEvents",
        "ProcessTerminated",
        &[ACTOR],
    ),
    group(
        Log::Sysmon,
        &[6],
        "DeviceEvents",
        "DriverLoad",
        &[
            LOADED,
            HASHES,
            &[
                (&["Signed"], &[Add("Signed")]),
                (&["Signature"], &[Add("Signer")]),
                (&["SignatureStatus"], &[Add("SignatureStatus")]),
            ],
        ],
    ),
    // The library's own version fields describe the library: the table's columns of that name
    // describe the process, so they stay in the source's fields.
    group(
        Log::Sysmon,
        &[7],
        "DeviceImageLoadEvents",
        "ImageLoaded",
        &[ACTOR, LOADED, HASHES],
    ),
    group(
        Log::Sysmon,
        &[8],
        "DeviceEvents",
        "CreateRemoteThreadApiCall",
        &[
            SOURCE_TARGET,
            &[
                (&["StartModule"], &[Add("StartModule")]),
                (&["StartFunction"], &[Add("StartFunction")]),
                (&["StartAddress"], &[Add("StartAddress")]),
                (&["NewThreadId"], &[AddNum("NewThreadId")]),
            ],
        ],
    ),
    group(
        Log::Sysmon,
        &[9],
        "DeviceEvents",
        "RawDiskAccess",
        &[ACTOR, &[(&["Device"], &[Add("Device")])]],
    ),
    group(
        Log::Sysmon,
        &[10],
        "DeviceEvents",
        "OpenProcessApiCall",
        &[
            SOURCE_TARGET,
            &[
                (&["GrantedAccess"], &[AddNum("DesiredAccess")]),
                (&["CallTrace"], &[Add("CallTrace")]),
            ],
        ],
    ),
    group(
        Log::Sysmon,
        &[11],
        "DeviceFileEvents",
        "FileCreated",
        &[
            ACTOR,
            TARGET_FILE,
            &[(&["CreationUtcTime"], &[Add("FileCreationTime")])],
        ],
    ),
    group(
        Log::Sysmon,
        &[12],
        "DeviceRegistryEvents",
        "RegistryKeyCreated",
        &[ACTOR],
    )
    .with(special::registry_object),
    group(
        Log::Sysmon,
        &[13],
        "DeviceRegistryEvents",
        "RegistryValueSet",
        &[ACTOR],
    )
    .with(special::registry_value),
    group(
        Log::Sysmon,
        &[14],
        "DeviceRegistryEvents",
        "RegistryKeyRenamed",
        &[ACTOR],
    )
    .with(special::registry_rename),
    group(
        Log::Sysmon,
        &[15],
        "DeviceFileEvents",
        "FileCreated",
        &[
            ACTOR,
            TARGET_FILE,
            HASHES,
            &[(&["CreationUtcTime"], &[Add("FileCreationTime")])],
        ],
    )
    .with(special::stream),
    group(
        Log::Sysmon,
        &[17, 18],
        "DeviceEvents",
        "NamedPipeEvent",
        &[ACTOR, &[(&["PipeName"], &[Add("PipeName")])]],
    )
    .with(special::pipe),
    group(
        Log::Sysmon,
        &[19, 20, 21],
        "DeviceEvents",
        "WmiBindEventFilterToConsumer",
        &[&[
            (
                &["User"],
                &[
                    Domain("InitiatingProcessAccountDomain"),
                    Account("InitiatingProcessAccountName"),
                ],
            ),
            (&["Operation"], &[Add("Operation")]),
            (&["EventNamespace"], &[Add("EventNamespace")]),
            (&["Name"], &[Add("Name")]),
            (&["Query"], &[Add("Query")]),
            (&["Type"], &[Add("ConsumerType")]),
            (&["Destination"], &[Add("Destination")]),
            (&["Consumer"], &[Add("Consumer")]),
            (&["Filter"], &[Add("Filter")]),
        ]],
    ),
    group(
        Log::Sysmon,
        &[22],
        "DeviceEvents",
        "DnsQueryResponse",
        &[
            ACTOR,
            &[
                (&["QueryName"], &[Col("RemoteUrl"), Add("DnsQueryString")]),
                (&["QueryStatus"], &[AddNum("DnsQueryStatus")]),
                (&["QueryResults"], &[Add("DnsQueryResult")]),
            ],
        ],
    ),
    group(
        Log::Sysmon,
        &[23, 26],
        "DeviceFileEvents",
        "FileDeleted",
        &[
            ACTOR,
            TARGET_FILE,
            HASHES,
            &[
                (&["IsExecutable"], &[Add("IsExecutable")]),
                (&["Archived"], &[Add("Archived")]),
            ],
        ],
    ),
    group(
        Log::Sysmon,
        &[24],
        "DeviceEvents",
        "GetClipboardData",
        &[
            ACTOR,
            HASHES,
            &[
                (&["Session"], &[AddNum("Session")]),
                (&["ClientInfo"], &[Add("ClientInfo")]),
            ],
        ],
    ),
    group(
        Log::Sysmon,
        &[25],
        "DeviceEvents",
        "ProcessTampering",
        &[ACTOR, &[(&["Type"], &[Add("Type")])]],
    ),
    group(
        Log::Sysmon,
        &[27, 28],
        "DeviceFileEvents",
        "FileBlocked",
        &[ACTOR, TARGET_FILE, HASHES],
    ),
    group(
        Log::Sysmon,
        &[29],
        "DeviceFileEvents",
        "FileCreated",
        &[ACTOR, TARGET_FILE, HASHES],
    ),
    // PowerShell.
    group(
        Log::PowerShell,
        &[4103],
        "DeviceEvents",
        "PowerShellCommand",
        &[&[
            (&["ContextInfo"], &[Add("ContextInfo")]),
            (&["Payload"], &[Add("Command")]),
        ]],
    )
    .with(special::powershell_host),
    group(
        Log::PowerShell,
        &[4104],
        "DeviceEvents",
        "ScriptContent",
        &[&[
            (&["ScriptBlockText"], &[Add("ScriptContent")]),
            (&["Path"], &[Col("FolderPath"), Base("FileName")]),
            (&["ScriptBlockId"], &[Add("ScriptBlockId")]),
            (&["MessageNumber"], &[AddNum("MessageNumber")]),
            (&["MessageTotal"], &[AddNum("MessageTotal")]),
        ]],
    ),
    group(
        Log::PowerShellClassic,
        &[400, 600, 800],
        "DeviceEvents",
        "PowerShellCommand",
        &[&[(&["Data"], &[Add("Data")])]],
    )
    .with(special::powershell_host),
    // Security: processes.
    group(
        Log::Security,
        &[4688],
        "DeviceProcessEvents",
        "ProcessCreated",
        &[
            &[
                (&["NewProcessName"], &[Col("FolderPath"), Base("FileName")]),
                (&["CommandLine"], &[Col("ProcessCommandLine")]),
                (&["NewProcessId"], &[Num("ProcessId")]),
                // The account it runs as, where that is another than the one that started it.
                (&["TargetUserName"], &[Col("AccountName")]),
                (&["TargetDomainName"], &[Col("AccountDomain")]),
                (
                    &["ParentProcessName"],
                    &[
                        Col("InitiatingProcessFolderPath"),
                        Base("InitiatingProcessFileName"),
                    ],
                ),
                (&["ProcessId"], &[Num("InitiatingProcessId")]),
            ],
            SUBJECT,
        ],
    )
    .with(special::process_created),
    // Security: logons.
    group(
        Log::Security,
        &[4624, 4625],
        "DeviceLogonEvents",
        "LogonSuccess",
        &[
            TARGET_ACCOUNT,
            SUBJECT_ACTS,
            SECURITY_PROCESS,
            &[
                (&["IpAddress"], &[Address("RemoteIP")]),
                (&["IpPort"], &[Num("RemotePort")]),
                (&["WorkstationName"], &[Col("RemoteDeviceName")]),
                (&["AuthenticationPackageName"], &[Col("Protocol")]),
                (&["LogonProcessName"], &[Add("LogonProcessName")]),
                (&["LogonGuid"], &[Add("LogonGuid")]),
            ],
        ],
    )
    .with(special::logon),
    group(
        Log::Security,
        &[4634, 4647],
        "DeviceLogonEvents",
        "Logoff",
        &[TARGET_ACCOUNT],
    )
    .with(special::logoff),
    group(
        Log::Security,
        &[4648],
        "DeviceLogonEvents",
        "LogonAttempted",
        &[
            TARGET_ACCOUNT,
            SUBJECT_ACTS,
            SECURITY_PROCESS,
            &[
                (&["TargetServerName"], &[Col("RemoteDeviceName")]),
                (&["IpAddress"], &[Address("RemoteIP")]),
                (&["IpPort"], &[Num("RemotePort")]),
                (&["TargetInfo"], &[Add("TargetInfo")]),
            ],
        ],
    ),
    group(
        Log::Security,
        &[4768, 4769, 4771, 4776],
        "IdentityLogonEvents",
        "LogonSuccess",
        &[
            TARGET_ACCOUNT,
            &[
                (&["IpAddress"], &[Address("IPAddress")]),
                (&["IpPort"], &[Num("Port")]),
                (&["ServiceName"], &[Add("Spns")]),
                (&["TicketEncryptionType"], &[Add("EncryptionType")]),
                (&["TicketOptions"], &[Add("TicketOptions")]),
                (&["PreAuthType"], &[Add("PreAuthType")]),
                (&["Workstation"], &[Col("DeviceName")]),
            ],
        ],
    )
    .with(special::ticket),
    // Security: the directory.
    group(
        Log::Security,
        &[4662, 5136, 4741, 4742],
        "IdentityDirectoryEvents",
        "Directory Services object change",
        &[
            SUBJECT,
            &[
                (
                    &["ObjectDN", "ObjectName", "TargetUserName"],
                    &[Col("TargetAccountDisplayName")],
                ),
                (&["ObjectName"], &[Add("ObjectName")]),
                (&["ObjectType", "ObjectClass"], &[Add("ObjectType")]),
                (&["Properties"], &[Add("Properties")]),
                (&["AccessMask"], &[Add("AccessMask")]),
                (
                    &["AttributeLDAPDisplayName"],
                    &[Add("AttributeLDAPDisplayName")],
                ),
                (&["AttributeValue"], &[Add("AttributeValue")]),
                (&["OperationType"], &[Add("OperationType")]),
                (&["ServicePrincipalNames"], &[Add("Spns")]),
            ],
        ],
    )
    .with(special::directory_object),
    group(
        Log::Security,
        &[4720, 4722, 4725, 4726, 4738, 4740, 4767],
        "DeviceEvents",
        "UserAccountModified",
        &[&[
            (&["OldUacValue"], &[Add("OldUacValue")]),
            (&["NewUacValue"], &[Add("NewUacValue")]),
        ]],
    )
    .with(special::account),
    group(
        Log::Security,
        &[4728, 4732, 4756],
        "DeviceEvents",
        "UserAccountAddedToLocalGroup",
        &[&[
            (&["TargetUserName"], &[Add("GroupName")]),
            (&["TargetDomainName"], &[Add("GroupDomainName")]),
            (&["TargetSid"], &[Add("GroupSid")]),
            (&["MemberName"], &[Add("MemberName")]),
        ]],
    )
    .with(special::membership),
    // Security and system: services, tasks, cleared logs.
    group(
        Log::Security,
        &[4697],
        "DeviceEvents",
        "ServiceInstalled",
        &[SUBJECT, SERVICE],
    ),
    group(
        Log::System,
        &[7045],
        "DeviceEvents",
        "ServiceInstalled",
        &[SERVICE],
    ),
    group(
        Log::Security,
        &[4698, 4699, 4700, 4701, 4702],
        "DeviceEvents",
        "ScheduledTaskUpdated",
        &[SUBJECT, TASK],
    )
    .with(special::task),
    group(
        Log::TaskScheduler,
        &[106, 140, 141, 142],
        "DeviceEvents",
        "ScheduledTaskUpdated",
        &[
            TASK,
            &[(
                &["UserContext", "UserName"],
                &[Domain("AccountDomain"), Account("AccountName")],
            )],
        ],
    )
    .with(special::task),
    group(
        Log::Security,
        &[1102],
        "DeviceEvents",
        "SecurityLogCleared",
        &[SUBJECT],
    ),
    group(
        Log::System,
        &[104],
        "DeviceEvents",
        "OtherAlertRelatedActivity",
        &[SUBJECT, &[(&["Channel"], &[Add("ClearedLog")])]],
    ),
    // Security: shares, connections, objects.
    group(
        Log::Security,
        &[5140, 5145],
        "DeviceEvents",
        "RemoteFileShareAccess",
        &[
            SUBJECT,
            &[
                (&["IpAddress"], &[Address("RemoteIP")]),
                (&["IpPort"], &[Num("RemotePort")]),
                (&["ShareName"], &[Col("FolderPath"), Add("ShareName")]),
                (
                    &["RelativeTargetName"],
                    &[Base("FileName"), Add("RelativeTargetName")],
                ),
                (&["AccessMask"], &[Add("AccessMask")]),
            ],
        ],
    ),
    group(
        Log::Security,
        &[5156],
        "DeviceNetworkEvents",
        "ConnectionSuccess",
        &[FILTERED],
    )
    .with(special::filtered),
    group(
        Log::Security,
        &[5157],
        "DeviceNetworkEvents",
        "ConnectionFailed",
        &[FILTERED],
    )
    .with(special::filtered),
    group(
        Log::Security,
        &[5158],
        "DeviceNetworkEvents",
        "ListeningConnectionCreated",
        &[FILTERED],
    )
    .with(special::filtered),
    group(
        Log::Security,
        &[4657],
        "DeviceRegistryEvents",
        "RegistryValueSet",
        &[
            SUBJECT_ACTS,
            SECURITY_PROCESS,
            &[
                (&["ObjectValueName"], &[Col("RegistryValueName")]),
                (&["NewValue"], &[Col("RegistryValueData")]),
                (&["OldValue"], &[Col("PreviousRegistryValueData")]),
            ],
        ],
    )
    .with(special::audited_key),
    group(
        Log::Security,
        &[4656, 4663],
        "DeviceEvents",
        "ObjectAccess",
        &[
            SUBJECT_ACTS,
            SECURITY_PROCESS,
            &[
                (&["ObjectName"], &[Col("FolderPath"), Base("FileName")]),
                (&["ObjectType"], &[Add("ObjectType")]),
                (&["AccessMask"], &[Add("AccessMask")]),
                (&["AccessList"], &[Add("AccessList")]),
            ],
        ],
    )
    .with(special::object_access),
    // Defender, WMI, BITS.
    group(
        Log::Defender,
        &[1006, 1007, 1008, 1009, 1116, 1117, 1119],
        "DeviceEvents",
        "AntivirusDetection",
        &[&[
            (&["Threat Name", "ThreatName"], &[Add("ThreatName")]),
            (&["Severity Name", "SeverityName"], &[Add("SeverityName")]),
            (&["Category Name", "CategoryName"], &[Add("CategoryName")]),
            (&["Path"], &[Col("FolderPath"), Base("FileName")]),
            (
                &["Process Name", "ProcessName"],
                &[
                    Col("InitiatingProcessFolderPath"),
                    Base("InitiatingProcessFileName"),
                ],
            ),
            (
                &["Detection User", "DetectionUser"],
                &[Domain("AccountDomain"), Account("AccountName")],
            ),
            (&["Action Name", "ActionName"], &[Add("Action")]),
        ]],
    )
    .with(special::antivirus),
    group(
        Log::Defender,
        &[5001, 5007, 5010, 5012],
        "DeviceEvents",
        "TamperingAttempt",
        &[&[
            (&["New Value", "NewValue"], &[Add("NewValue")]),
            (&["Old Value", "OldValue"], &[Add("OldValue")]),
        ]],
    )
    .with(special::antivirus_configuration),
    group(
        Log::Wmi,
        &[5857, 5858, 5859, 5860, 5861],
        "DeviceEvents",
        "WmiActivity",
        &[&[
            (&["Operation"], &[Add("Operation")]),
            (&["Query"], &[Add("Query")]),
            (&["ESS"], &[Add("Filter")]),
            (&["CONSUMER", "Consumer"], &[Add("Consumer")]),
            (&["PossibleCause"], &[Add("PossibleCause")]),
            (&["ProviderName"], &[Add("ProviderName")]),
            (&["ProviderPath"], &[Col("FolderPath"), Base("FileName")]),
            (&["NamespaceName", "Namespace"], &[Add("Namespace")]),
            (&["ClientMachine"], &[Col("RemoteDeviceName")]),
            (
                &["ClientProcessId", "ProcessID"],
                &[Num("InitiatingProcessId")],
            ),
            (
                &["User"],
                &[
                    Domain("InitiatingProcessAccountDomain"),
                    Account("InitiatingProcessAccountName"),
                ],
            ),
        ]],
    )
    .with(special::wmi),
    group(
        Log::Bits,
        &[3, 59, 60, 16403],
        "DeviceEvents",
        "BitsJob",
        &[&[
            (&["RemoteName", "url"], &[Col("RemoteUrl")]),
            (&["LocalName"], &[Col("FolderPath"), Base("FileName")]),
            (
                &["processPath", "ProcessPath"],
                &[
                    Col("InitiatingProcessFolderPath"),
                    Base("InitiatingProcessFileName"),
                ],
            ),
            (&["processId", "ProcessId"], &[Num("InitiatingProcessId")]),
            (&["jobTitle", "name", "string"], &[Add("JobTitle")]),
            (
                &["jobOwner", "User"],
                &[Domain("AccountDomain"), Account("AccountName")],
            ),
        ]],
    ),
];

const SERVICE: &[Field] = &[
    (&["ServiceName"], &[Add("ServiceName")]),
    (
        &["ServiceFileName", "ImagePath"],
        &[Col("FolderPath"), Add("ServiceImagePath")],
    ),
    (&["ServiceType"], &[Add("ServiceType")]),
    (
        &["ServiceStartType", "StartType"],
        &[Add("ServiceStartType")],
    ),
    (&["ServiceAccount", "AccountName"], &[Add("ServiceAccount")]),
];

const TASK: &[Field] = &[
    (&["TaskName"], &[Add("TaskName")]),
    (&["TaskContent", "TaskContentNew"], &[Add("TaskContent")]),
];

const FILTERED: &[Field] = &[
    (
        &["Application"],
        &[
            Col("InitiatingProcessFolderPath"),
            Base("InitiatingProcessFileName"),
        ],
    ),
    (&["ProcessId", "ProcessID"], &[Num("InitiatingProcessId")]),
    (&["SourceAddress"], &[Address("LocalIP")]),
    (&["SourcePort"], &[Num("LocalPort")]),
    (&["DestAddress"], &[Address("RemoteIP")]),
    (&["DestPort"], &[Num("RemotePort")]),
];
