//! What every tenant has in common: programs, sites, words.
//!
//! Hashes of programs depend on nothing but the program, so that they are equal in all tenants and
//! all worlds, as those of real software are. They are invented: no file has them.

use crate::dice::Dice;
use crate::text::Row;

/// Which kind of machine something belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Os {
    /// A person's Windows machine.
    Windows11,
    /// The same, one version older.
    Windows10,
    /// A Windows server.
    WindowsServer,
    /// A Linux server.
    Linux,
    /// A person's Mac.
    MacOs,
}

impl Os {
    /// The value of `OSPlatform`.
    pub const fn platform(self) -> &'static str {
        match self {
            Self::Windows11 => "Windows11",
            Self::Windows10 => "Windows10",
            Self::WindowsServer => "WindowsServer2022",
            Self::Linux => "Linux",
            Self::MacOs => "macOS",
        }
    }

    /// Whether its paths have drive letters.
    pub const fn is_windows(self) -> bool {
        matches!(
            self,
            Self::Windows11 | Self::Windows10 | Self::WindowsServer
        )
    }
}

/// A program as installed everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) file: &'static str,
    /// Full path including the file's name, as the export writes `FolderPath`.
    pub(crate) path: String,
    pub(crate) sha1: String,
    pub(crate) sha256: String,
    pub(crate) md5: String,
    pub(crate) size: u64,
    pub(crate) signer: &'static str,
    pub(crate) signature: &'static str,
    /// As the process that began: `FileName` … `ProcessVersionInfoFileDescription`.
    pub(crate) as_process: String,
    /// As the process that did something: `InitiatingProcessFileName` ….
    pub(crate) as_initiating: String,
    /// As an image or a file: `FileName` … `FileSize`.
    pub(crate) as_file: String,
}

/// Programs by the name scenes use.
#[derive(Debug)]
pub(crate) struct Programs {
    list: Vec<Program>,
}

impl Programs {
    pub(crate) fn new() -> Self {
        Self {
            list: SOFTWARE.iter().map(Program::new).collect(),
        }
    }

    /// The program with that file name. A name that is not in the list gives the first program:
    /// scenes name programs by constants, and a test looks each of them up.
    #[expect(clippy::indexing_slicing, reason = "the list is a non-empty constant")]
    pub(crate) fn named(&self, file: &str) -> &Program {
        self.find(file).unwrap_or(&self.list[0])
    }

    /// Its place in the list, the same in every world; 0 if it is not there.
    pub(crate) fn position(&self, file: &str) -> usize {
        self.list.iter().position(|p| p.file == file).unwrap_or(0)
    }

    pub(crate) fn find(&self, file: &str) -> Option<&Program> {
        self.list.iter().find(|p| p.file == file)
    }
}

impl Program {
    fn new(of: &Software) -> Self {
        Self::made(0, of, of.folder)
    }

    /// A program as one world knows it: its hashes depend on `seed`, too.
    pub(crate) fn made(seed: u64, of: &Software, folder: &str) -> Self {
        let mut dice = Dice::new(seed, &["program", of.folder, of.file, of.version]);
        let slash = if of.folder.starts_with('/') {
            "/"
        } else {
            "\\"
        };
        let path = format!("{folder}{slash}{}", of.file);
        let (sha1, sha256, md5) = (dice.hex(40), dice.hex(64), dice.hex(32));
        let size = dice.between(40_000, 4_000_000);
        let mut program = Self {
            file: of.file,
            as_process: String::new(),
            as_initiating: String::new(),
            as_file: String::new(),
            path,
            sha1,
            sha256,
            md5,
            size,
            signer: if of.signed { "OsVendor" } else { "Unknown" },
            signature: if of.signed { "Valid" } else { "Unsigned" },
        };
        program.as_file = program.file_fragment("", &program.md5);
        program.as_process = join(&program.as_file, &of.version_fragment("Process"));
        program.as_initiating = join(
            &program.file_fragment("InitiatingProcess", &program.md5),
            &of.version_fragment("InitiatingProcess"),
        );
        program
    }

    fn file_fragment(&self, prefix: &str, md5: &str) -> String {
        let key = |name: &str| format!("{prefix}{name}");
        let mut row = Row::default();
        row.text(&key("FileName"), self.file)
            .text(&key("FolderPath"), &self.path)
            .text(&key("SHA1"), &self.sha1)
            .text(&key("SHA256"), &self.sha256)
            .text(&key("MD5"), md5)
            .number(&key("FileSize"), self.size);
        row.into_string()
    }
}

fn join(a: &str, b: &str) -> String {
    format!("{a},{b}")
}

/// One line of the table below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Software {
    folder: &'static str,
    file: &'static str,
    company: &'static str,
    product: &'static str,
    version: &'static str,
    description: &'static str,
    signed: bool,
}

impl Software {
    /// The same without a signature.
    pub(crate) const fn unsigned(self) -> Self {
        Self {
            signed: false,
            ..self
        }
    }

    fn version_fragment(&self, prefix: &str) -> String {
        let key = |name: &str| format!("{prefix}VersionInfo{name}");
        let internal = self.file.split('.').next().unwrap_or(self.file);
        let mut row = Row::default();
        row.text(&key("CompanyName"), self.company)
            .text(&key("ProductName"), self.product)
            .text(&key("ProductVersion"), self.version)
            .text(&key("InternalFileName"), internal)
            .text(&key("OriginalFileName"), self.file)
            .text(&key("FileDescription"), self.description);
        row.into_string()
    }
}

pub(crate) const fn software(
    folder: &'static str,
    file: &'static str,
    company: &'static str,
    product: &'static str,
    version: &'static str,
    description: &'static str,
) -> Software {
    Software {
        folder,
        file,
        company,
        product,
        version,
        description,
        signed: true,
    }
}

const MS: &str = "Microsoft Corporation";
const WIN: &str = "Microsoft® Windows® Operating System";
const WIN_V: &str = "10.0.22621.3672";
const SYS: &str = r"C:\Windows\System32";
const OFFICE: &str = r"C:\Program Files\Microsoft Office\root\Office16";
const OFFICE_V: &str = "16.0.17628.20144";

#[rustfmt::skip]
const SOFTWARE: &[Software] = &[
    software(r"C:\Windows", "explorer.exe", MS, WIN, WIN_V, "Windows Explorer"),
    software(SYS, "svchost.exe", MS, WIN, WIN_V, "Host Process for Windows Services"),
    software(SYS, "services.exe", MS, WIN, WIN_V, "Services and Controller app"),
    software(SYS, "wininit.exe", MS, WIN, WIN_V, "Windows Start-Up Application"),
    software(SYS, "winlogon.exe", MS, WIN, WIN_V, "Windows Logon Application"),
    software(SYS, "userinit.exe", MS, WIN, WIN_V, "Userinit Logon Application"),
    software(SYS, "lsass.exe", MS, WIN, WIN_V, "Local Security Authority Process"),
    software(SYS, "taskhostw.exe", MS, WIN, WIN_V, "Host Process for Windows Tasks"),
    software(SYS, "backgroundTaskHost.exe", MS, WIN, WIN_V, "Background Task Host"),
    software(SYS, "RuntimeBroker.exe", MS, WIN, WIN_V, "Runtime Broker"),
    software(SYS, "conhost.exe", MS, WIN, WIN_V, "Console Window Host"),
    software(SYS, "cmd.exe", MS, WIN, WIN_V, "Windows Command Processor"),
    software(SYS, "gpupdate.exe", MS, WIN, WIN_V, "Group Policy Update Utility"),
    software(SYS, "notepad.exe", MS, WIN, WIN_V, "Notepad"),
    software(SYS, "spoolsv.exe", MS, WIN, WIN_V, "Spooler SubSystem App"),
    software(SYS, "SearchProtocolHost.exe", MS, "Windows Search", "7.0.22621.3672", "Windows Search Protocol Host"),
    software(SYS, "usoclient.exe", MS, WIN, WIN_V, "UsoClient"),
    software(SYS, "dllhost.exe", MS, WIN, WIN_V, "COM Surrogate"),
    software(OFFICE, "OUTLOOK.EXE", MS, "Microsoft Outlook", OFFICE_V, "Microsoft Outlook"),
    software(OFFICE, "WINWORD.EXE", MS, "Microsoft Office", OFFICE_V, "Microsoft Word"),
    software(OFFICE, "EXCEL.EXE", MS, "Microsoft Office", OFFICE_V, "Microsoft Excel"),
    software(OFFICE, "POWERPNT.EXE", MS, "Microsoft Office", OFFICE_V, "Microsoft PowerPoint"),
    software(r"C:\Program Files (x86)\Microsoft\Edge\Application", "msedge.exe", MS, "Microsoft Edge", "125.0.2535.67", "Microsoft Edge"),
    software(r"C:\Program Files\Google\Chrome\Application", "chrome.exe", "Google LLC", "Google Chrome", "125.0.6422.113", "Google Chrome"),
    software(r"C:\Program Files\Mozilla Firefox", "firefox.exe", "Mozilla Corporation", "Firefox", "126.0.1", "Firefox"),
    software(r"C:\Program Files\WindowsApps\MSTeams_24124.2315.2911.3357_x64", "ms-teams.exe", MS, "Microsoft Teams", "24124.2315.2911.3357", "Microsoft Teams"),
    software(r"C:\Program Files\Microsoft OneDrive", "OneDrive.exe", MS, "Microsoft OneDrive", "24.091.0505.0003", "Microsoft OneDrive"),
    software(r"C:\Program Files\Microsoft OneDrive", "FileCoAuth.exe", MS, "Microsoft OneDrive", "24.091.0505.0003", "Microsoft OneDriveFile Co-Authoring Executable"),
    software(r"C:\Program Files (x86)\Google\Update", "GoogleUpdate.exe", "Google LLC", "Google Update", "1.3.36.372", "Google Installer"),
    software(r"C:\Program Files (x86)\Microsoft\EdgeUpdate", "MicrosoftEdgeUpdate.exe", MS, "Microsoft Edge Update", "1.3.187.41", "Microsoft Edge Update"),
    software(r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.24040.4-0", "MsMpEng.exe", MS, "Microsoft® Windows® Operating System", "4.18.24040.4", "Antimalware Service Executable"),
    software(r"C:\Program Files\Windows Defender Advanced Threat Protection", "MsSense.exe", MS, "Microsoft® Windows® Operating System", "10.8735.22621.1000", "Windows Defender Advanced Threat Protection Service Executable"),
    software(r"C:\Program Files\7-Zip", "7zFM.exe", "Igor Pavlov", "7-Zip", "24.05", "7-Zip File Manager"),
    software(SYS, "ntdll.dll", MS, WIN, WIN_V, "NT Layer DLL"),
    software(SYS, "kernel32.dll", MS, WIN, WIN_V, "Windows NT BASE API Client DLL"),
    software(SYS, "user32.dll", MS, WIN, WIN_V, "Multi-User Windows USER API Client DLL"),
    software(SYS, "ws2_32.dll", MS, WIN, WIN_V, "Windows Socket 2.0 32-Bit DLL"),
    software(SYS, "wininet.dll", MS, "Internet Explorer", "11.00.22621.3527", "Internet Extensions for Win32"),
    software(SYS, "crypt32.dll", MS, WIN, WIN_V, "Crypto API32"),
    software(SYS, "msxml6.dll", MS, "Microsoft XML Core Services", "6.30.22621.3672", "MSXML 6.0"),
    software(OFFICE, "mso.dll", MS, "Microsoft Office", OFFICE_V, "Microsoft Office component"),
    software(OFFICE, "wwlib.dll", MS, "Microsoft Office", OFFICE_V, "Microsoft Word"),
    software("/usr/lib/systemd", "systemd", "", "", "", ""),
    software("/usr/sbin", "cron", "", "", "", ""),
    software("/usr/sbin", "sshd", "", "", "", ""),
    software("/usr/sbin", "logrotate", "", "", "", ""),
    software("/usr/bin", "dash", "", "", "", ""),
    software("/usr/bin", "apt-get", "", "", "", ""),
    software("/usr/bin", "python3.11", "", "", "", ""),
    software("/usr/bin", "run-parts", "", "", "", ""),
    software("/usr/sbin", "nginx", "", "", "", ""),
    software("/sbin", "launchd", "", "", "", ""),
    software("/System/Library/CoreServices/Finder.app/Contents/MacOS", "Finder", "", "", "", ""),
    software("/Applications/Safari.app/Contents/MacOS", "Safari", "", "", "", ""),
    software("/Applications/Microsoft Word.app/Contents/MacOS", "Microsoft Word", "", "", "", ""),
    software("/Applications/Microsoft Outlook.app/Contents/MacOS", "Microsoft Outlook", "", "", "", ""),
    software("/usr/libexec", "trustd", "", "", "", ""),
    // What administrators use, and what is abused.
    software(r"C:\Windows\System32\WindowsPowerShell\v1.0", "powershell.exe", MS, WIN, WIN_V, "Windows PowerShell"),
    software(SYS, "rundll32.exe", MS, WIN, WIN_V, "Windows host process (Rundll32)"),
    software(SYS, "regsvr32.exe", MS, WIN, WIN_V, "Microsoft(C) Register Server"),
    software(SYS, "mshta.exe", MS, "Internet Explorer", "11.00.22621.1", "Microsoft (R) HTML Application host"),
    software(SYS, "wscript.exe", MS, "Microsoft ® Windows Script Host", "5.812.10240.16384", "Microsoft ® Windows Based Script Host"),
    software(SYS, "cscript.exe", MS, "Microsoft ® Windows Script Host", "5.812.10240.16384", "Microsoft ® Console Based Script Host"),
    software(SYS, "certutil.exe", MS, WIN, WIN_V, "CertUtil.exe"),
    software(SYS, "bitsadmin.exe", MS, WIN, WIN_V, "BITS administration utility"),
    software(SYS, "curl.exe", "curl, https://curl.se/", "The curl executable", "8.4.0", "The curl executable"),
    software(SYS, "schtasks.exe", MS, WIN, WIN_V, "Task Scheduler Configuration Tool"),
    software(SYS, "reg.exe", MS, WIN, WIN_V, "Registry Console Tool"),
    software(SYS, "whoami.exe", MS, WIN, WIN_V, "whoami - displays logged on user information"),
    software(SYS, "net.exe", MS, WIN, WIN_V, "Net Command"),
    software(SYS, "nltest.exe", MS, WIN, WIN_V, "Microsoft® Logon Server Test Utility"),
    software(SYS, "wevtutil.exe", MS, WIN, WIN_V, "Eventing Command Line Utility"),
    software(SYS, "msiexec.exe", MS, "Windows Installer - Unicode", "5.0.22621.3672", "Windows® installer"),
    software(SYS, "wsmprovhost.exe", MS, WIN, WIN_V, "Host process for WinRM plug-ins"),
    software(SYS, "splwow64.exe", MS, WIN, WIN_V, "Print driver host for applications"),
    software(SYS, "ntoskrnl.exe", MS, WIN, WIN_V, "NT Kernel & System"),
    software(SYS, "ipconfig.exe", MS, WIN, WIN_V, "IP Configuration Utility"),
    software(r"C:\Windows\System32\wbem", "WmiPrvSE.exe", MS, WIN, WIN_V, "WMI Provider Host"),
    software(r"C:\Program Files\7-Zip", "7z.exe", "Igor Pavlov", "7-Zip", "24.05", "7-Zip Console"),
    software(r"C:\Program Files\Fleetline\Agent", "FleetAgent.exe", "Fleetline Ltd", "Fleetline Agent", "7.4.1102", "Fleetline Management Agent"),
    software(r"C:\Program Files\Keepsafe", "KeepsafeBackup.exe", "Keepsafe GmbH", "Keepsafe Backup", "12.0.3", "Keepsafe Backup Service"),
];

/// Sites that people of all tenants visit: host and the last number of its address in 203.0.113.0/24.
pub(crate) const SITES: &[(&str, u8)] = &[
    ("www.harbour-news.example", 11),
    ("static.harbour-news.example", 12),
    ("search.lanternfish.example", 20),
    ("maps.lanternfish.example", 21),
    ("login.cloudsuite.example", 30),
    ("files.cloudsuite.example", 31),
    ("mail.cloudsuite.example", 32),
    ("telemetry.cloudsuite.example", 33),
    ("cdn.quickasset.example", 40),
    ("fonts.quickasset.example", 41),
    ("api.tidepay.example", 50),
    ("www.railtickets.example", 61),
    ("weather.northsky.example", 70),
    ("forum.brassgear.example", 80),
    ("docs.openledger.example", 90),
    ("video.streampond.example", 100),
    ("shop.papercart.example", 110),
    ("updates.vendorsoft.example", 120),
    ("ocsp.certhouse.example", 130),
    ("jobs.craftguild.example", 140),
];

/// First words of documents and subjects.
pub(crate) const TOPICS: &[&str] = &[
    "Quarterly report",
    "Budget",
    "Offer",
    "Invoice",
    "Minutes",
    "Project plan",
    "Contract",
    "Travel request",
    "Price list",
    "Order",
    "Delivery note",
    "Roadmap",
    "Review",
    "Inventory",
    "Shift plan",
    "Training",
    "Newsletter",
    "Risk register",
    "Audit answers",
    "Tender",
];

/// What a document or message is about.
pub(crate) const MATTERS: &[&str] = &[
    "north branch",
    "spring line",
    "supplier change",
    "office move",
    "new hires",
    "pump station",
    "warehouse two",
    "customer survey",
    "data migration",
    "works council",
    "annual meeting",
    "service desk",
    "spare parts",
    "site visit",
    "tax filing",
    "insurance",
    "night shift",
    "board meeting",
];

/// Departments.
pub(crate) const DEPARTMENTS: &[&str] = &[
    "Finance",
    "Sales",
    "Operations",
    "Legal",
    "Human Resources",
    "Engineering",
    "Marketing",
    "IT",
];

/// Titles within a department.
pub(crate) const TITLES: &[&str] = &["Assistant", "Specialist", "Manager", "Analyst", "Lead"];
