//! Machines by themselves: services, updates, scheduled jobs, and sign-ins from machine to machine.

use model::Ticks;

use crate::catalogue::Os;
use crate::rows::endpoint::{Logon, Parent, Process, Remote};
use crate::stage::Stage;
use crate::world::World;

/// What services of Windows start: the program and its command line.
const WINDOWS_JOBS: &[(&str, &str)] = &[
    (
        "taskhostw.exe",
        "taskhostw.exe -RegisterDevice -ProtectionStateChanged -FreeNetworkOnly",
    ),
    (
        "backgroundTaskHost.exe",
        r"C:\Windows\System32\backgroundTaskHost.exe -ServerName:App.AppXmtcan0h2tfbfy7k9kn8hbxb6dmzz1zh0.mca",
    ),
    (
        "RuntimeBroker.exe",
        r"C:\Windows\System32\RuntimeBroker.exe -Embedding",
    ),
    (
        "dllhost.exe",
        r"C:\Windows\System32\DllHost.exe /Processid:{AB8902B4-09CA-4BB6-B78D-A8F59079A8D5}",
    ),
    (
        "usoclient.exe",
        r"C:\Windows\System32\usoclient.exe StartScan",
    ),
    ("gpupdate.exe", "gpupdate.exe /target:computer"),
    (
        "GoogleUpdate.exe",
        r#""C:\Program Files (x86)\Google\Update\GoogleUpdate.exe" /ua /installsource scheduler"#,
    ),
    (
        "MicrosoftEdgeUpdate.exe",
        r#""C:\Program Files (x86)\Microsoft\EdgeUpdate\MicrosoftEdgeUpdate.exe" /ua /installsource scheduler"#,
    ),
];

/// What the scheduler of Linux starts.
const LINUX_JOBS: &[(&str, &str)] = &[
    (
        "dash",
        "/bin/sh -c test -x /usr/sbin/anacron || run-parts /etc/cron.hourly",
    ),
    ("run-parts", "run-parts --report /etc/cron.hourly"),
    ("logrotate", "/usr/sbin/logrotate /etc/logrotate.conf"),
    ("apt-get", "apt-get -qq -y update"),
    (
        "python3.11",
        "python3 /opt/metrics/collect.py --interval 60",
    ),
];

impl<'w> Stage<'w> {
    /// A process that runs since the machine was started.
    pub(crate) fn system_process(
        &mut self,
        device: usize,
        file: &str,
        parent: &'static str,
    ) -> Process<'w> {
        let world = self.world;
        let booted = self.desk(device).booted;
        let os = self.device(device).os;
        let program = world.programs.named(file);
        let command = match file {
            "svchost.exe" => {
                r"C:\Windows\system32\svchost.exe -k netsvcs -p -s Schedule".to_owned()
            }
            _ => program.path.clone(),
        };
        Process {
            program,
            account: if os.is_windows() {
                &world.system
            } else {
                &world.root
            },
            command,
            pid: system_pid(world, file),
            created: booted,
            logon_id: 999,
            session: 0,
            elevated: false,
            parent: Parent {
                file: parent,
                pid: if file == "services.exe" {
                    404
                } else {
                    SERVICES_PID
                },
                created: booted,
            },
        }
    }
}

/// Number of the process that starts services.
const SERVICES_PID: u32 = 500;

/// The same program has the same number on a machine as long as it runs, and no other has it.
fn system_pid(world: &World, file: &str) -> u32 {
    match file {
        "ntoskrnl.exe" => 4,
        "services.exe" => SERVICES_PID,
        "svchost.exe" | "winlogon.exe" | "lsass.exe" | "launchd" | "trustd" | "cron" => {
            600 + u32::try_from(file.len() * 4).unwrap_or(0)
        }
        _ => 1_000 + u32::try_from(world.programs.position(file) * 4).unwrap_or(0),
    }
}

/// A machine does its chores.
pub(crate) fn services(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    // A server has more chores than a person's machine.
    let device = if stage.dice.chance(350) {
        tenant.people.len() + stage.dice.index(tenant.servers().len())
    } else {
        stage.dice.index(tenant.devices.len())
    };
    let os = stage.device(device).os;
    let (by, jobs) = match os {
        Os::Linux => (stage.system_process(device, "cron", "systemd"), LINUX_JOBS),
        Os::MacOs => return trust_check(stage, device, at),
        _ => (
            stage.system_process(device, "svchost.exe", "services.exe"),
            WINDOWS_JOBS,
        ),
    };
    let mut now = at;
    for _ in 0..stage.dice.between(1, 3) {
        let (file, command) = *stage.dice.pick(jobs);
        let child = Process {
            program: stage.world.programs.named(file),
            account: by.account,
            command: command.to_owned(),
            pid: stage.desk(device).pid(),
            created: now,
            logon_id: 999,
            session: 0,
            elevated: false,
            parent: by.as_parent(),
        };
        stage.process_created(device, &child, &by);
        if os.is_windows() && stage.dice.chance(500) {
            let image =
                *stage
                    .dice
                    .pick(&["ntdll.dll", "kernel32.dll", "ws2_32.dll", "wininet.dll"]);
            now = stage.dice.after(now, 1, 40);
            stage.image_loaded(now, device, &child, stage.world.programs.named(image));
        }
        now = stage.dice.after(now, 500, 30_000);
    }
    if os.is_windows() && stage.dice.chance(350) {
        let data = stage.dice.hex(16);
        stage.registry_set(
            now,
            device,
            &by,
            r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache",
            "LastRun",
            &data,
        );
    }
    if stage.dice.chance(400) {
        let update = Remote {
            ip: "203.0.113.120",
            port: 443,
            url: "https://updates.vendorsoft.example",
            public: true,
        };
        now = stage.dice.after(now, 5, 900);
        stage.connected(now, device, &network_service(stage, &by), &update);
    }
}

fn trust_check(stage: &mut Stage<'_>, device: usize, at: Ticks) {
    let by = stage.system_process(device, "trustd", "launchd");
    let to = Remote {
        ip: "203.0.113.130",
        port: 80,
        url: "http://ocsp.certhouse.example",
        public: true,
    };
    stage.connected(at, device, &by, &to);
}

/// The same process under the account that talks to the network.
fn network_service<'w>(stage: &Stage<'w>, of: &Process<'w>) -> Process<'w> {
    let mut process = of.clone();
    if of.program.file == "svchost.exe" {
        process.account = &stage.world.network_service;
        r"C:\Windows\system32\svchost.exe -k NetworkService -p".clone_into(&mut process.command);
    }
    process
}

/// Somebody's machine signs in to the file server; now and then the password is stale.
pub(crate) fn logon(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let from = stage.device(person.device);
    // The domain controller is the first server, the file server the second.
    let server = tenant.people.len() + 1;
    let target = stage.device(server);
    let by = stage.system_process(server, "lsass.exe", "wininit.exe");
    let stale = stage.dice.chance(50);
    stage.identity_logon(at, person, from, target, stale.then_some("WrongPassword"));
    let seen = stage.dice.after(at, 5, 400);
    let logon = Logon {
        kind: "Network",
        protocol: if stage.dice.chance(850) {
            "Kerberos"
        } else {
            "NTLM"
        },
        id: stage.dice.between(200_000, 90_000_000),
        from: Some(from),
        failure: stale.then_some("InvalidUserNameOrPassword"),
        admin: false,
    };
    stage.logged_on(seen, server, &by, &person.account, &logon);
    if !stale {
        let to = Remote {
            ip: &target.ip,
            port: 445,
            url: "",
            public: false,
        };
        let client = stage.system_process(
            person.device,
            if from.os.is_windows() {
                "svchost.exe"
            } else {
                "launchd"
            },
            "services.exe",
        );
        let connected = stage.dice.after(at, 1, 4);
        stage.connected(connected, person.device, &client, &to);
    }
}
