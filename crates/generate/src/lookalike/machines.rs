//! Look-alikes of machines: agents, installers, administrators, backups; the support tool and the
//! private document.

use model::{EntityKind, Ticks};

use super::LookAlikes;
use crate::attack::hands::{
    call_host, encoded, file_of, involve_seat, open_process, remote_shell, spawn, spawn_named,
};
use crate::attack::variant::task_created;
use crate::background::desk::{document_of, open_with, start, start_browser};
use crate::background::mail::{draft, mailbox};
use crate::notes::name;
use crate::record::Woven;
use crate::rows::email::Mail;
use crate::rows::endpoint::{File, Remote};
use crate::rows::identity::Search;
use crate::stage::Stage;

/// What the management agent has to say.
pub(super) const SCRIPTS: &[&str] = &[
    "Get-CimInstance Win32_OperatingSystem | Select-Object Version, LastBootUpTime | ConvertTo-Json",
    "Get-HotFix | Sort-Object InstalledOn -Descending | Select-Object -First 5 | ConvertTo-Json",
    "$v = Get-BitLockerVolume -MountPoint C:; $v.ProtectionStatus",
    "Invoke-WebRequest -UseBasicParsing https://updates.vendorsoft.example/policy.json -OutFile $env:ProgramData\\policy.json",
    "Get-LocalGroupMember Administrators | Select-Object Name, PrincipalSource | ConvertTo-Json",
];

/// A machine with Windows, a person's or a server.
pub(super) fn windows_machine(stage: &mut Stage<'_>) -> Option<usize> {
    let devices = &stage.tenant.devices;
    let all: Vec<usize> = (0..devices.len())
        .filter(|at| devices.get(*at).is_some_and(|d| d.os.is_windows()))
        .collect();
    (!all.is_empty()).then(|| *stage.dice.pick(&all))
}

/// The management agent runs a script.
pub(super) fn managed_script(stage: &mut Stage<'_>, at: Ticks) {
    let Some(device) = windows_machine(stage) else {
        return;
    };
    let agent = stage.system_process(device, "FleetAgent.exe", "services.exe");
    let script = *stage.dice.pick(SCRIPTS);
    let flag = *stage.dice.pick(&["-EncodedCommand", "-enc", "-ec"]);
    let command = format!(
        "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass {flag} {}",
        encoded(script)
    );
    let host = spawn_named(stage, device, &agent, "powershell.exe", command, at);
    if script.contains("https") {
        let now = stage.dice.after(at, 600, 4_000);
        let to = ("updates.vendorsoft.example", "203.0.113.120");
        let url = "https://updates.vendorsoft.example/policy.json";
        call_host(stage, device, &host, to, url, now);
    }
    stage.involve(EntityKind::Device, &stage.device(device).id);
}

/// The sensor looks into the memory of the process that keeps credentials.
pub(super) fn memory_scanner(stage: &mut Stage<'_>, at: Ticks) {
    let Some(device) = windows_machine(stage) else {
        return;
    };
    let reader = *stage.dice.pick(&["MsMpEng.exe", "MsSense.exe"]);
    let by = stage.system_process(device, reader, "services.exe");
    let lsass = stage.system_process(device, "lsass.exe", "wininit.exe");
    open_process(stage, device, &by, &lsass, 0x1410, at);
    stage.involve(EntityKind::Device, &stage.device(device).id);
}

/// An updater puts itself into the scheduler.
pub(super) fn software_task(stage: &mut Stage<'_>, at: Ticks) {
    let Some(device) = windows_machine(stage) else {
        return;
    };
    let (updater, name) = *stage.dice.pick(&[
        ("GoogleUpdate.exe", r"\GoogleUpdateTaskMachineUA"),
        (
            "MicrosoftEdgeUpdate.exe",
            r"\MicrosoftEdgeUpdateTaskMachineUA",
        ),
        ("FleetAgent.exe", r"\Fleetline\Inventory"),
    ]);
    let by = stage.system_process(device, updater, "services.exe");
    let command = format!(
        "schtasks.exe /create /f /ru SYSTEM /sc hourly /tn \"{name}\" /tr \"\\\"{}\\\" /ua\"",
        by.program.path
    );
    let maker = spawn_named(stage, device, &by, "schtasks.exe", command, at);
    let now = stage.dice.after(at, 40, 600);
    task_created(stage, device, &maker, name, now);
    stage.involve(EntityKind::Device, &stage.device(device).id);
}

/// The backup packs a folder and sends it to its store.
pub(super) fn backup_archive(stage: &mut Stage<'_>, at: Ticks) {
    let servers = stage.tenant.people.len()..stage.tenant.devices.len();
    let windows: Vec<usize> = servers
        .filter(|at| stage.device(*at).os.is_windows())
        .collect();
    let Some(device) = (!windows.is_empty()).then(|| *stage.dice.pick(&windows)) else {
        return;
    };
    let by = stage.system_process(device, "KeepsafeBackup.exe", "services.exe");
    let stem = stage.dice.hex(8);
    let command =
        format!("\"C:\\Program Files\\7-Zip\\7z.exe\" a -mx1 E:\\Backup\\{stem}.7z D:\\Shares");
    let packer = spawn_named(stage, device, &by, "7z.exe", command, at);
    let mut now = stage.dice.after(at, 40_000, 400_000);
    let file = crate::attack::hands::new_file(
        &mut stage.dice,
        format!("{stem}.7z"),
        r"E:\Backup",
        (80_000_000, 900_000_000),
    );
    stage.file_touched(now, device, &packer, "FileCreated", &file, None);
    for _ in 0..stage.dice.between(4, 12) {
        now = stage.dice.after(now, 2_000, 30_000);
        let to = Remote {
            ip: "203.0.113.31",
            port: 443,
            url: "https://files.cloudsuite.example",
            public: true,
        };
        stage.connected(now, device, &by, &to);
    }
    stage.involve(EntityKind::Device, &stage.device(device).id);
}

impl LookAlikes {
    /// The service desk fetches an installer and runs it.
    pub(super) fn tool_install(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, true) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        let mut now = seat.ready.max(at);
        let browser = start_browser(stage, &seat, now);
        now = stage.dice.after(now, 900, 9_000);
        let version = stage.dice.between(10, 99);
        let url = format!("https://updates.vendorsoft.example/7z{version}-x64.msi");
        let host = ("updates.vendorsoft.example", "203.0.113.120");
        now = call_host(stage, seat.at, &browser, host, &url, now);
        let mut file = document_of(stage, &seat, "msi");
        file.name = format!("7z{version}-x64.msi");
        file.path = format!(
            r"C:\Users\{}\Downloads\{}",
            seat.person.account.name, file.name
        );
        now = stage.dice.after(now, 900, 9_000);
        stage.file_touched(now, seat.at, &browser, "FileCreated", &file, Some(&url));
        now = stage.dice.after(now, 4_000, 60_000);
        let command = format!(
            "\"C:\\Windows\\System32\\msiexec.exe\" /i \"{}\"",
            file.path
        );
        let program = stage.world.programs.named("msiexec.exe");
        let mut installer = start(stage, &seat, &seat.shell.clone(), program, command, now);
        installer.elevated = true;
        now = stage.dice.after(now, 4_000, 60_000);
        let placed = file_of(stage.world.programs.named("7z.exe"));
        stage.file_touched(now, seat.at, &installer, "FileCreated", &placed, None);
        involve_seat(stage, &seat);
        stage.involve(EntityKind::File, &file.sha256);
    }

    /// The service desk works on a server from afar.
    pub(super) fn remote_admin(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, true) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        // The file server, or the last one if that runs Windows.
        let last = stage.tenant.devices.len() - 1;
        let target = if stage.device(last).os.is_windows() {
            last
        } else {
            stage.tenant.people.len() + 1
        };
        let mut now = seat.ready.max(at);
        let command = "powershell.exe -NoProfile Enter-PSSession";
        let program = stage.world.programs.named("powershell.exe");
        let shell = start(
            stage,
            &seat,
            &seat.shell.clone(),
            program,
            command.to_owned(),
            now,
        );
        now = stage.dice.after(now, 900, 20_000);
        let server = stage.device(target);
        let (host, opened) = remote_shell(stage, &shell, (seat.at, target), seat.person, now);
        now = stage.dice.after(opened, 4_000, 60_000);
        spawn_named(
            stage,
            target,
            &host,
            "ipconfig.exe",
            "ipconfig.exe /all",
            now,
        );
        involve_seat(stage, &seat);
        stage.involve(EntityKind::Device, &server.id);
    }

    /// A program that somebody uses starts with their session from now on.
    pub(super) fn autostart(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, false) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        let (file, value) = *stage.dice.pick(&[
            ("OneDrive.exe", "OneDrive"),
            ("ms-teams.exe", "com.squirrel.Teams.Teams"),
            ("msedge.exe", "MicrosoftEdgeAutoLaunch"),
        ]);
        let program = stage.world.programs.named(file);
        let command = format!("\"{}\"", program.path);
        let now = seat.ready.max(at);
        let by = start(stage, &seat, &seat.shell.clone(), program, command, now);
        let key = format!(
            r"HKEY_CURRENT_USER\{}\SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
            seat.person.account.sid
        );
        let now = stage.dice.after(now, 900, 9_000);
        let data = format!("\"{}\" /background", program.path);
        stage.registry_set(now, seat.at, &by, &key, value, &data);
        involve_seat(stage, &seat);
        stage.involve(EntityKind::Registry, &key);
    }

    /// An office program starts the helper that prints for it.
    pub(super) fn print_helper(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, false) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        let file = document_of(stage, &seat, "docx");
        let office = *stage.dice.pick(&["WINWORD.EXE", "EXCEL.EXE"]);
        let mut now = seat.ready.max(at);
        let office = open_with(stage, &seat, &seat.shell.clone(), office, &file, now);
        now = stage.dice.after(now, 20_000, 200_000);
        let command = r"C:\Windows\splwow64.exe 12288";
        spawn_named(stage, seat.at, &office, "splwow64.exe", command, now);
        involve_seat(stage, &seat);
    }

    /// The service desk looks up who is in which group.
    pub(super) fn directory_audit(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, true) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        let mut now = seat.ready.max(at);
        let program = stage.world.programs.named("cmd.exe");
        let command = r"C:\Windows\System32\cmd.exe".to_owned();
        let shell = start(stage, &seat, &seat.shell.clone(), program, command, now);
        for command in ["net  group \"IT Operations\" /domain", "net  user /domain"] {
            now = stage.dice.after(now, 2_000, 40_000);
            spawn_named(stage, seat.at, &shell, "net.exe", command, now);
        }
        let search = Search {
            action: "SAMR query",
            kind: "QueryGroup",
            target: "IT Operations",
            query: "",
            protocol: "Samr",
        };
        stage.directory_search(now, seat.person, seat.device, &search);
        involve_seat(stage, &seat);
    }

    /// The support tool arrives and runs: once in every tenant, the same bytes everywhere.
    pub(super) fn support_tool(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, true) else {
            return;
        };
        let tool = &stage.world.plan.tool;
        let seat = self.seat(stage, person, at);
        let agent = stage.system_process(seat.at, "FleetAgent.exe", "services.exe");
        let placed = file_of(tool);
        let mut now = seat.ready.max(at);
        stage.file_touched(now, seat.at, &agent, "FileCreated", &placed, None);
        now = stage.dice.after(now, 60_000, 900_000);
        let labels = [tool.sha256.clone(), tool.file.to_owned(), String::new()];
        let what = name("support-tool", "", "");
        stage.note_labelled(Woven::Fixture, what, now, labels);
        let command = format!("\"{}\" --minimised", tool.path);
        let run = spawn(stage, seat.at, &seat.shell.clone(), tool, command, now);
        stage.close_note();
        now = stage.dice.after(now, 900, 9_000);
        let host = ("api.tidepay.example", "203.0.113.50");
        call_host(
            stage,
            seat.at,
            &run,
            host,
            "https://api.tidepay.example",
            now,
        );
    }

    /// A document is saved, mailed to a colleague and saved there.
    pub(super) fn private_document(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, false) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        let file = document_of(stage, &seat, "docx");
        let labels = [file.sha256.clone(), file.name.clone(), String::new()];
        let what = name("private-document", "", "");
        stage.note_labelled(Woven::Fixture, what, at, labels);
        let mut now = seat.ready.max(at);
        let word = stage.aside(|stage| {
            let shell = seat.shell.clone();
            open_with(stage, &seat, &shell, "WINWORD.EXE", &file, now)
        });
        now = stage.dice.after(now, 60_000, 600_000);
        stage.file_touched(now, seat.at, &word, "FileCreated", &file, None);
        now = stage.dice.after(now, 30_000, 300_000);
        let colleague = stage.dice.pick(&stage.tenant.people);
        let recipient = mailbox(colleague);
        let domain = &stage.tenant.spec.mail_domain;
        let mail = Mail {
            direction: "Intra-org",
            sender: mailbox(seat.person),
            sender_domain: domain,
            sender_ip: &stage.tenant.public_ip,
            recipient_domain: domain,
            attachments: vec![file.clone()],
            ..draft(stage, recipient)
        };
        // Of the mail's rows the attachment's alone has the hash.
        stage.mail(now, &mail);
        now = stage.dice.after(now, 30_000, 300_000);
        let copy = File {
            path: file.path.replace(".docx", " (2).docx"),
            name: file.name.replace(".docx", " (2).docx"),
            ..file
        };
        stage.file_touched(now, seat.at, &word, "FileCreated", &copy, None);
    }
}
