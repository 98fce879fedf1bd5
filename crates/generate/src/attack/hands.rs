//! What scripts of attacks and of look-alikes are made of: sessions at machines, processes that stay,
//! command lines, downloads.
//!
//! Promise: whoever uses a machine here leaves the background's own day there untouched; only process
//! and report numbers move on. So the days go on alike with an attack and without.

use model::{EntityKind, Ticks};

use crate::background::desk::{Seat, sit_down_as};
use crate::catalogue::Program;
use crate::dice::Dice;
use crate::people::{Account, Person};
use crate::rows::device_event::About;
use crate::rows::endpoint::{File, Logon, Parent, Process, Remote};
use crate::rows::identity::DirectoryLogon;
use crate::stage::Stage;

/// A session that somebody has at their own machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    logon_id: u64,
    shell_pid: u32,
    shell_created: Ticks,
}

/// A process that goes on after its scene.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) command: String,
    pub(crate) pid: u32,
    pub(crate) created: Ticks,
    pub(crate) logon_id: u64,
    pub(crate) parent: Parent,
}

impl Running {
    pub(crate) fn of(process: &Process<'_>) -> Self {
        Self {
            command: process.command.clone(),
            pid: process.pid,
            created: process.created,
            logon_id: process.logon_id,
            parent: process.parent,
        }
    }

    /// The process again: its program and account are the script's to remember.
    pub(crate) fn process<'w>(&self, program: &'w Program, account: &'w Account) -> Process<'w> {
        Process {
            program,
            account,
            command: self.command.clone(),
            pid: self.pid,
            created: self.created,
            logon_id: self.logon_id,
            session: 1,
            elevated: true,
            parent: self.parent,
        }
    }
}

/// Person `number` at their machine. They sign in if nobody has today and `session` is new; the rows
/// of that are background, and so is the desk as the background left it.
pub(crate) fn take_seat<'w>(
    stage: &mut Stage<'w>,
    number: usize,
    session: &mut Option<Session>,
    at: Ticks,
) -> Seat<'w> {
    let device = stage.person(number).device;
    let left = stage.desk(device).clone();
    if let Some(session) = session {
        let desk = stage.desk(device);
        desk.day = Some(at.day());
        desk.logon_id = session.logon_id;
        desk.shell_pid = session.shell_pid;
        desk.shell_created = session.shell_created;
    }
    let seat = stage.aside(|stage| sit_down_as(stage, number, at));
    let desk = stage.desk(device);
    *session = Some(Session {
        logon_id: desk.logon_id,
        shell_pid: desk.shell_pid,
        shell_created: desk.shell_created,
    });
    desk.day = left.day;
    desk.logon_id = left.logon_id;
    desk.shell_pid = left.shell_pid;
    desk.shell_created = left.shell_created;
    seat
}

/// `parent` starts `program` at `at`, with the parent's account and rights.
pub(crate) fn spawn<'w>(
    stage: &mut Stage<'w>,
    device: usize,
    parent: &Process<'w>,
    program: &'w Program,
    command: String,
    at: Ticks,
) -> Process<'w> {
    let child = Process {
        program,
        account: parent.account,
        command,
        pid: stage.desk(device).pid(),
        created: at,
        logon_id: parent.logon_id,
        session: parent.session,
        elevated: parent.elevated,
        parent: parent.as_parent(),
    };
    stage.process_created(device, &child, parent);
    child
}

/// The same by the name of a program that everybody has.
pub(crate) fn spawn_named<'w>(
    stage: &mut Stage<'w>,
    device: usize,
    parent: &Process<'w>,
    file: &str,
    command: impl Into<String>,
    at: Ticks,
) -> Process<'w> {
    let program = stage.world.programs.named(file);
    spawn(stage, device, parent, program, command.into(), at)
}

/// `by` looks a host up and connects to it.
pub(crate) fn call_host(
    stage: &mut Stage<'_>,
    device: usize,
    by: &Process<'_>,
    (host, ip): (&str, &str),
    url: &str,
    at: Ticks,
) -> Ticks {
    stage.dns_answered(at, device, by, host, ip);
    let connected = stage.dice.after(at, 8, 300);
    let to = Remote {
        ip,
        port: 443,
        url,
        public: true,
    };
    stage.connected(connected, device, by, &to);
    connected
}

/// A program as the file that it is.
pub(crate) fn file_of(program: &Program) -> File {
    File {
        name: program.file.to_owned(),
        path: program.path.clone(),
        sha1: program.sha1.clone(),
        sha256: program.sha256.clone(),
        md5: program.md5.clone(),
        size: program.size,
    }
}

/// A file that nobody has seen before.
pub(crate) fn new_file(dice: &mut Dice, name: String, folder: &str, size: (u64, u64)) -> File {
    File {
        path: format!(r"{folder}\{name}"),
        name,
        sha1: dice.hex(40),
        sha256: dice.hex(64),
        md5: dice.hex(32),
        size: dice.between(size.0, size.1),
    }
}

/// `by` opens `target`'s memory with that access.
pub(crate) fn open_process(
    stage: &mut Stage<'_>,
    device: usize,
    by: &Process<'_>,
    target: &Process<'_>,
    access: u32,
    at: Ticks,
) {
    let additional = format!("{{\"DesiredAccess\":{access}}}");
    let about = About {
        file: Some(&target.program.as_file),
        account: Some(target.account),
        process: Some(target),
        additional: &additional,
    };
    stage.device_event(at, device, by, "OpenProcessApiCall", &about);
}

/// `client` opens a shell on another machine as `owner`; gives its host and when it is open.
pub(crate) fn remote_shell<'w>(
    stage: &mut Stage<'w>,
    client: &Process<'_>,
    (from, to): (usize, usize),
    owner: &'w Person,
    at: Ticks,
) -> (Process<'w>, Ticks) {
    let (source, target) = (stage.device(from), stage.device(to));
    let remote = Remote {
        ip: &target.ip,
        port: 5_985,
        url: "",
        public: false,
    };
    stage.connected(at, from, client, &remote);
    let mut now = stage.dice.after(at, 30, 400);
    let logon = DirectoryLogon {
        person: owner,
        from: source,
        target,
        protocol: "Kerberos",
        kind: "Resource access",
        additional: &format!("\"Spns\":\"WSMAN/{}\",\"Count\":1", target.name),
        failure: None,
    };
    stage.directory_logon(now, &logon);
    now = stage.dice.after(now, 20, 300);
    let logon = Logon {
        kind: "Network",
        protocol: "Kerberos",
        id: stage.dice.between(200_000, 90_000_000),
        from: Some(source),
        failure: None,
        admin: true,
    };
    let lsass = stage.system_process(to, "lsass.exe", "wininit.exe");
    stage.logged_on(now, to, &lsass, &owner.account, &logon);
    now = stage.dice.after(now, 90, 900);
    let service = stage.system_process(to, "svchost.exe", "services.exe");
    let host = Process {
        program: stage.world.programs.named("wsmprovhost.exe"),
        account: &owner.account,
        command: r"C:\Windows\system32\wsmprovhost.exe -Embedding".to_owned(),
        pid: stage.desk(to).pid(),
        created: now,
        logon_id: logon.id,
        session: 0,
        elevated: true,
        parent: service.as_parent(),
    };
    stage.process_created(to, &host, &service);
    (host, now)
}

/// Writes down that a person and their machine are involved.
pub(crate) fn involve_seat(stage: &mut Stage<'_>, seat: &Seat<'_>) {
    stage.involve(EntityKind::Account, &seat.person.upn);
    stage.involve(EntityKind::Device, &seat.device.id);
}

/// A script as `powershell.exe` takes it on its command line: UTF-16, little end first, in base 64.
pub(crate) fn encoded(script: &str) -> String {
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    base64(&bytes)
}

fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() / 3 * 4 + 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place > chunk.len() {
                out.push('=');
            } else {
                out.push(digit(word >> (18 - 6 * place) & 63));
            }
        }
    }
    out
}

fn digit(n: u32) -> char {
    let n = u8::try_from(n).unwrap_or(0);
    char::from(match n {
        0..=25 => b'A' + n,
        26..=51 => b'a' + (n - 26),
        52..=61 => b'0' + (n - 52),
        62 => b'+',
        _ => b'/',
    })
}

/// An id as the vendor's alerts have: two letters and numbers.
pub(crate) fn alert_id(dice: &mut Dice, prefix: &str) -> String {
    format!(
        "{prefix}{}_{}",
        dice.between(637_000_000, 639_999_999),
        dice.below(1 << 30)
    )
}
