//! People at their machines: signing in, browsing, writing documents.

use model::Ticks;

use crate::catalogue::{MATTERS, Os, Program, TOPICS};
use crate::dice::Dice;
use crate::people::{Device, Person};
use crate::rows::endpoint::{File, Logon, Parent, Process, Remote};
use crate::stage::Stage;

/// Somebody at their machine, signed in.
#[derive(Clone, Debug)]
pub(crate) struct Seat<'w> {
    pub(crate) person: &'w Person,
    pub(crate) device: &'w Device,
    /// Position of the device.
    pub(crate) at: usize,
    /// What their programs are children of.
    pub(crate) shell: Process<'w>,
    /// When they are ready.
    pub(crate) ready: Ticks,
}

/// Someone sits down, signing in first if it is the first time that day.
pub(crate) fn sit_down<'w>(stage: &mut Stage<'w>, at: Ticks) -> Seat<'w> {
    let number = stage.dice.index(stage.tenant.people.len());
    sit_down_as(stage, number, at)
}

/// The same for one person.
pub(crate) fn sit_down_as<'w>(stage: &mut Stage<'w>, number: usize, at: Ticks) -> Seat<'w> {
    let person = stage.person(number);
    let device = stage.device(person.device);
    let today = Some(at.day());
    let mut ready = at;
    if stage.desk(person.device).day != today {
        ready = sign_in(stage, person, device, at);
        stage.desk(person.device).day = today;
    }
    Seat {
        person,
        device,
        at: person.device,
        shell: shell(stage, person, device),
        ready,
    }
}

/// The process that a person's programs are children of.
fn shell<'w>(stage: &mut Stage<'w>, person: &'w Person, device: &'w Device) -> Process<'w> {
    let world = stage.world;
    let desk = stage.desk(person.device);
    let (file, parent, command) = if device.os == Os::MacOs {
        (
            "Finder",
            "launchd",
            "/System/Library/CoreServices/Finder.app/Contents/MacOS/Finder",
        )
    } else {
        ("explorer.exe", "userinit.exe", r"C:\Windows\Explorer.EXE")
    };
    Process {
        program: world.programs.named(file),
        account: &person.account,
        command: command.to_owned(),
        pid: desk.shell_pid,
        created: desk.shell_created,
        logon_id: desk.logon_id,
        session: 1,
        elevated: false,
        parent: Parent {
            file: parent,
            pid: desk.shell_pid.saturating_sub(8),
            created: desk.shell_created,
        },
    }
}

/// Rows of signing in; returns when the desk is ready.
fn sign_in<'w>(stage: &mut Stage<'w>, person: &'w Person, device: &'w Device, at: Ticks) -> Ticks {
    let logon_id = stage.dice.between(200_000, 90_000_000);
    let shell_created = stage.dice.after(at, 2_000, 9_000);
    let pid = {
        let desk = stage.desk(person.device);
        desk.logon_id = logon_id;
        desk.shell_created = shell_created;
        desk.pid();
        desk.pid();
        desk.shell_pid = desk.pid();
        desk.shell_pid.saturating_sub(8)
    };
    let windows = device.os.is_windows();
    let host = stage.system_process(
        person.device,
        if windows { "winlogon.exe" } else { "launchd" },
        if windows { "wininit.exe" } else { "launchd" },
    );
    let logon = Logon {
        kind: "Interactive",
        protocol: "Negotiate",
        id: logon_id,
        from: None,
        failure: None,
        admin: false,
    };
    stage.logged_on(at, person.device, &host, &person.account, &logon);
    let controller = stage.controller();
    let seen = stage.dice.after(at, 50, 900);
    stage.identity_logon(seen, person, device, controller, None);
    if windows {
        let userinit = Process {
            program: stage.world.programs.named("userinit.exe"),
            account: &person.account,
            command: "userinit.exe".to_owned(),
            pid,
            created: stage.dice.after(at, 900, 1_900),
            logon_id,
            session: 1,
            elevated: false,
            parent: host.as_parent(),
        };
        stage.process_created(person.device, &userinit, &host);
        let shell = shell(stage, person, device);
        stage.process_created(person.device, &shell, &userinit);
    }
    stage.dice.after(shell_created, 8_000, 40_000)
}

/// `parent` starts `program`.
pub(crate) fn start<'w>(
    stage: &mut Stage<'w>,
    seat: &Seat<'w>,
    parent: &Process<'w>,
    program: &'w Program,
    command: String,
    at: Ticks,
) -> Process<'w> {
    let child = Process {
        program,
        account: &seat.person.account,
        command,
        pid: stage.desk(seat.at).pid(),
        created: at,
        logon_id: parent.logon_id,
        session: 1,
        elevated: false,
        parent: parent.as_parent(),
    };
    stage.process_created(seat.at, &child, parent);
    child
}

/// The seat's browser, started.
pub(crate) fn start_browser<'w>(stage: &mut Stage<'w>, seat: &Seat<'w>, at: Ticks) -> Process<'w> {
    let file = if seat.device.os == Os::MacOs {
        "Safari"
    } else {
        // A machine keeps its browser.
        match seat.at % 5 {
            0 => "firefox.exe",
            1 | 2 => "chrome.exe",
            _ => "msedge.exe",
        }
    };
    let program = stage.world.programs.named(file);
    let command = format!("\"{}\" --profile-directory=Default", program.path);
    start(stage, seat, &seat.shell.clone(), program, command, at)
}

/// Somebody visits a few sites.
pub(crate) fn browse(stage: &mut Stage<'_>, at: Ticks) {
    let seat = sit_down(stage, at);
    let mut now = seat.ready;
    let browser = start_browser(stage, &seat, now);
    if stage.dice.chance(400) {
        now = stage.dice.after(now, 100, 900);
        let command = helper_command(stage, browser.program);
        start(stage, &seat, &browser, browser.program, command, now);
    }
    for _ in 0..stage.dice.between(1, 4) {
        now = stage.dice.after(now, 300, 20_000);
        visit(stage, &seat, &browser, now);
    }
    if stage.dice.chance(120) {
        let origin = "https://docs.openledger.example/download";
        let mut file = document_of(stage, &seat, "pdf");
        file.path = file.path.replace("Documents", "Downloads");
        now = stage.dice.after(now, 1_000, 9_000);
        stage.file_touched(now, seat.at, &browser, "FileCreated", &file, Some(origin));
    }
}

/// A look-up and a connection to one of the sites everybody uses.
fn visit<'w>(stage: &mut Stage<'w>, seat: &Seat<'w>, browser: &Process<'w>, at: Ticks) {
    let world = stage.world;
    let site = stage.dice.pick(&world.sites);
    if stage.dice.chance(650) {
        stage.dns_answered(at, seat.at, browser, site.host, &site.ip);
    }
    let url = format!("https://{}", site.host);
    let connected = stage.dice.after(at, 5, 120);
    let to = Remote {
        ip: &site.ip,
        port: 443,
        url: &url,
        public: true,
    };
    stage.connected(connected, seat.at, browser, &to);
}

/// Somebody works on a document.
pub(crate) fn document(stage: &mut Stage<'_>, at: Ticks) {
    let seat = sit_down(stage, at);
    if seat.device.os == Os::MacOs {
        return document_on_mac(stage, &seat);
    }
    let (program, extension) = *stage.dice.pick(&[
        ("WINWORD.EXE", "docx"),
        ("WINWORD.EXE", "docx"),
        ("EXCEL.EXE", "xlsx"),
        ("POWERPNT.EXE", "pptx"),
    ]);
    let file = document_of(stage, &seat, extension);
    let office = open_with(
        stage,
        &seat,
        &seat.shell.clone(),
        program,
        &file,
        seat.ready,
    );
    let mut now = office.created;
    let programs = &stage.world.programs;
    for _ in 0..stage.dice.between(1, 3) {
        now = stage.dice.after(now, 10, 400);
        let image = *stage
            .dice
            .pick(&["mso.dll", "msxml6.dll", "crypt32.dll", "user32.dll"]);
        stage.image_loaded(now, seat.at, &office, programs.named(image));
    }
    now = stage.dice.after(now, 20_000, 200_000);
    let action = if stage.dice.chance(500) {
        "FileCreated"
    } else {
        "FileModified"
    };
    stage.file_touched(now, seat.at, &office, action, &file, None);
    if stage.dice.chance(500) {
        let key = format!(
            r"HKEY_CURRENT_USER\{}\SOFTWARE\Microsoft\Office\16.0\Common\Open Find",
            seat.person.account.sid
        );
        now = stage.dice.after(now, 10, 90);
        stage.registry_set(now, seat.at, &office, &key, "Item 1", &file.path);
    }
    if stage.dice.chance(600) {
        save_to_cloud(stage, &seat, &file, now);
    }
}

fn document_on_mac(stage: &mut Stage<'_>, seat: &Seat<'_>) {
    // The seat is sat down in anew: its lifetime is the stage's.
    let seat = sit_down_as(stage, seat.at, seat.ready);
    let file = document_of(stage, &seat, "docx");
    let program = stage.world.programs.named("Microsoft Word");
    let command = program.path.clone();
    let word = start(
        stage,
        &seat,
        &seat.shell.clone(),
        program,
        command,
        seat.ready,
    );
    let saved = stage.dice.after(word.created, 20_000, 200_000);
    stage.file_touched(saved, seat.at, &word, "FileModified", &file, None);
}

/// A program of the office suite opens `file`.
pub(crate) fn open_with<'w>(
    stage: &mut Stage<'w>,
    seat: &Seat<'w>,
    parent: &Process<'w>,
    program: &str,
    file: &File,
    at: Ticks,
) -> Process<'w> {
    let program = stage.world.programs.named(program);
    let command = format!("\"{}\" /n \"{}\" /o \"\"", program.path, file.path);
    start(stage, seat, parent, program, command, at)
}

/// The file synchroniser copies a saved file to the cloud.
fn save_to_cloud<'w>(stage: &mut Stage<'w>, seat: &Seat<'w>, file: &File, at: Ticks) {
    let program = stage.world.programs.named("OneDrive.exe");
    let sync = Process {
        program,
        account: &seat.person.account,
        command: format!("\"{}\" /background", program.path),
        // Started with the session, so its number is the shell's neighbour.
        pid: seat.shell.pid + 2,
        created: seat.shell.created,
        logon_id: seat.shell.logon_id,
        session: 1,
        elevated: false,
        parent: seat.shell.as_parent(),
    };
    let now = stage.dice.after(at, 500, 4_000);
    let to = Remote {
        ip: "203.0.113.31",
        port: 443,
        url: "https://files.cloudsuite.example",
        public: true,
    };
    stage.connected(now, seat.at, &sync, &to);
    let now = stage.dice.after(now, 200, 3_000);
    stage.file_activity(now, seat.person, "FileModified", &file.name);
}

/// A private document: its name may recur, its hashes never do.
pub(crate) fn document_of(stage: &mut Stage<'_>, seat: &Seat<'_>, extension: &str) -> File {
    let dice = &mut stage.dice;
    let name = document_name(dice, extension);
    let user = &seat.person.account.name;
    let path = if seat.device.os.is_windows() {
        format!(r"C:\Users\{user}\Documents\{name}")
    } else {
        format!("/Users/{user}/Documents/{name}")
    };
    File {
        name,
        path,
        sha1: dice.hex(40),
        sha256: dice.hex(64),
        md5: dice.hex(32),
        size: dice.between(9_000, 6_000_000),
    }
}

/// What a document may be called.
pub(crate) fn document_name(dice: &mut Dice, extension: &str) -> String {
    format!(
        "{} {} {}.{extension}",
        dice.pick(TOPICS),
        dice.pick(MATTERS),
        dice.between(1, 99)
    )
}

/// A browser's helper process has a command line of its own length and kind.
fn helper_command(stage: &mut Stage<'_>, program: &Program) -> String {
    let dice = &mut stage.dice;
    let (client, launch) = (
        dice.between(4, 90),
        dice.between(100_000_000, 90_000_000_000),
    );
    let (handle, shared) = (dice.between(1_500, 9_900), dice.hex(20));
    format!(
        "\"{}\" --type=renderer --lang=en-GB --num-raster-threads=4 --renderer-client-id={client} \
         --launch-time-ticks={launch} --field-trial-handle={handle},i,{shared},262144 /prefetch:1",
        program.path
    )
}

/// Only rows of `DeviceProcessEvents`, for benchmarks: what people start on Windows, and chores.
pub(crate) fn processes(stage: &mut Stage<'_>, at: Ticks) {
    let number = stage.dice.index(stage.tenant.people.len());
    let person = stage.person(number);
    let device = stage.device(person.device);
    if stage.desk(person.device).day.is_none() {
        let logon_id = stage.dice.between(200_000, 90_000_000);
        let desk = stage.desk(person.device);
        desk.day = Some(at.day());
        desk.logon_id = logon_id;
        desk.shell_pid = desk.pid();
    }
    let seat = Seat {
        person,
        device,
        at: person.device,
        shell: shell(stage, person, device),
        ready: at,
    };
    if !device.os.is_windows() {
        let file = document_of(stage, &seat, "docx");
        let program = stage.world.programs.named("Microsoft Word");
        let command = format!("{} {}", program.path, file.path);
        start(stage, &seat, &seat.shell.clone(), program, command, at);
        return;
    }
    let browser = start_browser(stage, &seat, at);
    let mut now = at;
    for _ in 0..stage.dice.between(2, 6) {
        now = stage.dice.after(now, 40, 2_000);
        if stage.dice.chance(450) {
            let command = helper_command(stage, browser.program);
            start(stage, &seat, &browser, browser.program, command, now);
        } else {
            let file = document_of(stage, &seat, "docx");
            open_with(stage, &seat, &seat.shell.clone(), "WINWORD.EXE", &file, now);
        }
    }
}
