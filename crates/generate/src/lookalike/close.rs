//! Close look-alikes: harmless, and yet what a reasonable rule raises an alert for.
//!
//! An administrator does paste an encoded command, a small sender cannot show who they are, a holiday
//! rule does forward. What tells these from an attack is what they come with: nothing before, nothing
//! after.

use model::{EntityKind, Ticks};

use super::LookAlikes;
use super::cloud::at_work;
use super::machines::SCRIPTS;
use crate::attack::hands::{call_host, encoded, involve_seat, new_file, open_process, spawn_named};
use crate::attack::kit::STRANGERS;
use crate::attack::variant::task_created;
use crate::background::desk::{Seat, document_name, document_of, open_with, start};
use crate::background::mail::{draft, mailbox};
use crate::people::invent_name;
use crate::rows::cloud::Activity;
use crate::rows::email::{Known, Mail, Mailbox};
use crate::rows::endpoint::{Logon, Process, Remote, Share};
use crate::rows::identity::{DirectoryLogon, Elsewhere, Manner, Search, SignIn};
use crate::stage::Stage;

/// Somebody signs in for the first time on a new phone, which the directory finds a little odd; three
/// times in ten they sign a meeting room's screen in with a code.
pub(super) fn new_device(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let is_screen = stage.dice.chance(300);
    let machine = if is_screen {
        STRANGERS.first()
    } else {
        STRANGERS.last()
    };
    let Some((agent, browser, os)) = machine.copied() else {
        return;
    };
    let from = Elsewhere {
        ip: if is_screen {
            tenant.public_ip.clone()
        } else {
            stage.world.plan.addresses.any(&mut stage.dice)
        },
        place: tenant.place,
        isp: "Skylark Mobile",
        agent,
        browser,
        os,
        own_machine: false,
    };
    let session = stage.dice.guid();
    let (application, application_id) = if is_screen {
        (
            "Microsoft Authentication Broker",
            "29d9ed98-a469-4536-ade2-f981bc1d605e",
        )
    } else {
        (
            "Office 365 Exchange Online",
            "00000002-0000-0ff1-ce00-000000000000",
        )
    };
    let sign_in = SignIn {
        person,
        device: stage.device(person.device),
        ip: &from.ip,
        application,
        application_id,
        session: &session,
        error: 0,
        manner: Some(first_sign_in(&from, is_screen)),
    };
    stage.signed_in(at, &sign_in);
    let mut now = stage.dice.after(at, 900, 9_000);
    stage.cloud_logon(now, person, &from);
    for _ in 0..stage.dice.between(2, 6) {
        now = stage.dice.after(now, 2_000, 60_000);
        let activity = Activity {
            action: "MailItemsAccessed",
            application: "Microsoft Exchange Online",
            application_id: 20_893,
            object: person.upn.clone(),
            object_type: "Mailbox",
            from: Some(&from),
            ip: &from.ip,
            ..at_work(stage, person, &session)
        };
        stage.cloud_activity(now, &activity);
    }
    stage.involve(EntityKind::Account, &person.upn);
    stage.involve(EntityKind::Ip, &from.ip);
    stage.involve(EntityKind::Session, &session);
}

/// How a sign-in on a new machine looks.
fn first_sign_in(from: &Elsewhere, is_screen: bool) -> Manner<'_> {
    Manner {
        from,
        risk: if is_screen { 0 } else { 10 },
        risk_types: if is_screen {
            ""
        } else {
            "[\"unfamiliarFeatures\"]"
        },
        endpoint_call: if is_screen {
            "OAuth2:DeviceCode"
        } else {
            "OAuth2:Authorize"
        },
        asked_twice: !is_screen,
    }
}

/// A small organisation's first mail, with a link; half of the time it is followed.
pub(super) fn small_sender(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let name = invent_name(&mut stage.dice, 2);
    let domain = format!("{}-joinery.example", name.to_ascii_lowercase());
    let address = format!("office@{domain}");
    let ip = format!("198.51.100.{}", stage.dice.between(1, 254));
    let link = format!("https://www.{domain}/{}", stage.dice.hex(6));
    let recipient = mailbox(person);
    let mail = Mail {
        direction: "Inbound",
        sender: Mailbox {
            address: &address,
            display: &name,
            object_id: "",
        },
        sender_domain: &domain,
        sender_ip: &ip,
        recipient_domain: &tenant.spec.mail_domain,
        urls: vec![(link.clone(), &domain)],
        known: Known {
            first_contact: Some(true),
            unauthenticated: true,
            bulk: None,
        },
        ..draft(stage, recipient)
    };
    stage.mail(at, &mail);
    if stage.dice.chance(500) {
        let now = stage.dice.after(at, 120_000, 2_400_000);
        stage.url_clicked(now, &mail.id, &person.upn, &link);
    }
    stage.involve(EntityKind::MailMessage, &mail.id);
    stage.involve(EntityKind::Mailbox, &person.upn);
}

/// Somebody agrees to a mail program of their own, from the office.
pub(super) fn mail_app_consent(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let (id, session) = (stage.dice.guid(), stage.dice.guid());
    let name = format!("{} Mail", invent_name(&mut stage.dice, 2));
    let activity = Activity {
        action: "Consent to application.",
        application: "Office 365",
        application_id: 11_161,
        object: name,
        object_type: "Application",
        detail:
            ",\"ModifiedProperties\":[{\"Name\":\"ConsentContext.IsAdminConsent\",\"NewValue\":\
                 \"False\"},{\"Name\":\"ConsentAction.Permissions\",\"NewValue\":\
                 \"Scope: offline_access Mail.ReadWrite Calendars.Read\"}]"
                .to_owned(),
        oauth_app: Some(&id),
        ..at_work(stage, person, &session)
    };
    stage.cloud_activity(at, &activity);
    stage.involve(EntityKind::Account, &person.upn);
    stage.involve(EntityKind::OAuthApp, &id);
}

/// Somebody goes on holiday and forwards their mail to a colleague.
pub(super) fn holiday_forward(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let colleague = stage.dice.pick(&tenant.people);
    let session = stage.dice.guid();
    let activity = Activity {
        action: "New-InboxRule",
        application: "Microsoft Exchange Online",
        application_id: 20_893,
        object: format!("{}\\holiday", person.account.name),
        object_type: "Mailbox rule",
        detail: format!(
            ",\"Parameters\":[{{\"Name\":\"Name\",\"Value\":\"holiday\"}},\
             {{\"Name\":\"ForwardTo\",\"Value\":\"{}\"}}]",
            colleague.upn
        ),
        ..at_work(stage, person, &session)
    };
    stage.cloud_activity(at, &activity);
    stage.involve(EntityKind::Account, &person.upn);
}

/// Somebody downloads a project's files one by one, in the browser, from the office.
pub(super) fn project_download(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let session = stage.dice.guid();
    let mut now = at;
    for _ in 0..stage.dice.between(20, 35) {
        let object = document_name(&mut stage.dice, "docx");
        let activity = Activity {
            action: "FileDownloaded",
            application: "Microsoft SharePoint Online",
            application_id: 20_892,
            object,
            object_type: "File",
            ..at_work(stage, person, &session)
        };
        stage.cloud_activity(now, &activity);
        now = stage.dice.after(now, 1_000, 15_000);
    }
    stage.involve(EntityKind::Account, &person.upn);
    stage.involve(EntityKind::Session, &session);
}

/// The agent's updater lies in a folder of data, and so does what its task runs.
pub(super) fn data_folder_task(stage: &mut Stage<'_>, at: Ticks) {
    let Some(device) = super::machines::windows_machine(stage) else {
        return;
    };
    let by = stage.system_process(device, "FleetAgent.exe", "services.exe");
    let name = r"\Fleetline\Updater";
    let command = format!(
        "schtasks.exe /create /f /ru SYSTEM /sc daily /tn \"{name}\" /tr \
         \"C:\\ProgramData\\Fleetline\\FleetUpdate.exe /quiet\""
    );
    let maker = spawn_named(stage, device, &by, "schtasks.exe", command, at);
    let now = stage.dice.after(at, 40, 600);
    task_created(stage, device, &maker, name, now);
    stage.involve(EntityKind::Device, &stage.device(device).id);
}

/// An installer looks at every process, the one that keeps credentials among them.
pub(super) fn installer_memory(stage: &mut Stage<'_>, at: Ticks) {
    let Some(device) = super::machines::windows_machine(stage) else {
        return;
    };
    let services = stage.system_process(device, "services.exe", "wininit.exe");
    let command = r"C:\Windows\system32\msiexec.exe /V";
    let installer = spawn_named(stage, device, &services, "msiexec.exe", command, at);
    let lsass = stage.system_process(device, "lsass.exe", "wininit.exe");
    let now = stage.dice.after(at, 900, 9_000);
    open_process(stage, device, &installer, &lsass, 0x1410, now);
    stage.involve(EntityKind::Device, &stage.device(device).id);
}

impl LookAlikes {
    /// A seat for a close scene, and what runs there by that name.
    fn at_desk<'w>(
        &mut self,
        stage: &mut Stage<'w>,
        of_desk: bool,
        (file, command): (&str, &str),
        at: Ticks,
    ) -> Option<(Seat<'w>, Process<'w>, Ticks)> {
        let person = Self::person(stage, of_desk)?;
        let seat = self.seat(stage, person, at);
        involve_seat(stage, &seat);
        let begun = seat.ready.max(at);
        let program = stage.world.programs.named(file);
        let shell = seat.shell.clone();
        let run = start(stage, &seat, &shell, program, command.to_owned(), begun);
        let now = stage.dice.after(begun, 900, 20_000);
        Some((seat, run, now))
    }

    /// An administrator pastes an encoded command.
    pub(super) fn pasted_script(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let console = ("cmd.exe", r"C:\Windows\System32\cmd.exe");
        let Some((seat, console, now)) = self.at_desk(stage, true, console, at) else {
            return;
        };
        let script = encoded(stage.dice.pick::<&str>(SCRIPTS));
        let command = format!("powershell.exe -NoProfile -enc {script}");
        spawn_named(stage, seat.at, &console, "powershell.exe", command, now);
    }

    /// A script of the service desk brings a program.
    pub(super) fn scripted_install(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let script = r"powershell.exe -NoProfile -File \\fs-01\Rollout\agent.ps1";
        let Some((seat, host, now)) = self.at_desk(stage, true, ("powershell.exe", script), at)
        else {
            return;
        };
        let url = "https://updates.vendorsoft.example/fleet/FleetUpdate.exe";
        let vendor = ("updates.vendorsoft.example", "203.0.113.120");
        let mut now = call_host(stage, seat.at, &host, vendor, url, now);
        now = stage.dice.after(now, 900, 9_000);
        let folder = r"C:\ProgramData\Fleetline";
        let name = "FleetUpdate.exe".to_owned();
        let file = new_file(&mut stage.dice, name, folder, (900_000, 4_000_000));
        stage.file_touched(now, seat.at, &host, "FileCreated", &file, Some(url));
        stage.involve(EntityKind::File, &file.sha256);
    }

    /// The service desk puts an installer on a server, over its administrative share.
    pub(super) fn software_push(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let script = r"powershell.exe -NoProfile Copy-Item .\7z24-x64.exe \\fs-01\ADMIN$\Temp";
        let Some((seat, by, mut now)) = self.at_desk(stage, true, ("powershell.exe", script), at)
        else {
            return;
        };
        // The file server.
        let target = stage.tenant.people.len() + 1;
        let server = stage.device(target);
        let to = Remote {
            ip: &server.ip,
            port: 445,
            url: "",
            public: false,
        };
        stage.connected(now, seat.at, &by, &to);
        now = stage.dice.after(now, 20, 300);
        let logon = DirectoryLogon {
            person: seat.person,
            from: seat.device,
            target: server,
            protocol: "Kerberos",
            kind: "Credentials validation",
            additional: &format!("\"Spns\":\"cifs/{}\",\"Count\":1", server.name),
            failure: None,
        };
        stage.directory_logon(now, &logon);
        now = stage.dice.after(now, 20, 300);
        let logon = Logon {
            kind: "Network",
            protocol: "Kerberos",
            id: stage.dice.between(200_000, 90_000_000),
            from: Some(seat.device),
            failure: None,
            admin: true,
        };
        let lsass = stage.system_process(target, "lsass.exe", "wininit.exe");
        stage.logged_on(now, target, &lsass, &seat.person.account, &logon);
        now = stage.dice.after(now, 200, 2_000);
        let share = Share {
            name: "ADMIN$",
            from: seat.device,
            account: &seat.person.account,
        };
        let kernel = stage.system_process(target, "ntoskrnl.exe", "");
        let name = "7z24-x64.exe".to_owned();
        let file = new_file(
            &mut stage.dice,
            name,
            r"C:\Windows\Temp",
            (1_500_000, 1_600_000),
        );
        let over = Some(&share);
        stage.file_touched_over(now, target, &kernel, "FileCreated", &file, None, over);
        stage.involve(EntityKind::Device, &server.id);
    }

    /// A program that somebody installed for themselves starts with their session.
    pub(super) fn own_app_autostart(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let installer = ("msiexec.exe", "msiexec.exe /i Chatterline.msi ALLUSERS=2");
        let Some((seat, by, now)) = self.at_desk(stage, false, installer, at) else {
            return;
        };
        let account = &seat.person.account;
        let key = format!(
            r"HKEY_CURRENT_USER\{}\SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
            account.sid
        );
        let data = format!(
            r"C:\Users\{}\AppData\Roaming\Chatterline\Chatterline.exe --minimised",
            account.name
        );
        stage.registry_set(now, seat.at, &by, &key, "Chatterline", &data);
        stage.involve(EntityKind::Registry, &key);
    }

    /// An add-in fetches a template through the command processor.
    pub(super) fn add_in_copy(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let Some(person) = Self::person(stage, false) else {
            return;
        };
        let seat = self.seat(stage, person, at);
        let file = document_of(stage, &seat, "xlsx");
        let mut now = seat.ready.max(at);
        let shell = seat.shell.clone();
        let office = open_with(stage, &seat, &shell, "EXCEL.EXE", &file, now);
        now = stage.dice.after(now, 4_000, 60_000);
        let command = r"cmd.exe /c copy /y \\fs-01\Templates\report.xltx %APPDATA%\Templates";
        spawn_named(stage, seat.at, &office, "cmd.exe", command, now);
        involve_seat(stage, &seat);
    }

    /// The yearly look at who is in privileged groups.
    pub(super) fn admin_audit(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        const QUESTIONS: &[(&str, &str)] = &[
            ("whoami.exe", "whoami /groups"),
            ("net.exe", "net  group \"Domain Admins\" /domain"),
            ("net.exe", "net  group \"Enterprise Admins\" /domain"),
            ("nltest.exe", "nltest /dclist:"),
            ("net.exe", "net  accounts /domain"),
        ];
        let console = ("cmd.exe", r"C:\Windows\System32\cmd.exe");
        let Some((seat, console, mut now)) = self.at_desk(stage, true, console, at) else {
            return;
        };
        for (file, command) in QUESTIONS {
            spawn_named(stage, seat.at, &console, file, *command, now);
            now = stage.dice.after(now, 4_000, 90_000);
        }
        let search = Search {
            action: "SAMR query",
            kind: "QueryGroup",
            target: "Domain Admins",
            query: "",
            protocol: "Samr",
        };
        stage.directory_search(now, seat.person, seat.device, &search);
    }

    /// Somebody packs papers for a lawyer, with a password.
    pub(super) fn sealed_archive(&mut self, stage: &mut Stage<'_>, at: Ticks) {
        let packer = ("7zFM.exe", r#""C:\Program Files\7-Zip\7zFM.exe""#);
        let Some((seat, packer, now)) = self.at_desk(stage, false, packer, at) else {
            return;
        };
        let name = document_name(&mut stage.dice, "7z");
        let folder = format!(r"C:\Users\{}\Documents", seat.person.account.name);
        let file = new_file(&mut stage.dice, name, &folder, (900_000, 90_000_000));
        let command = format!(
            "\"C:\\Program Files\\7-Zip\\7z.exe\" a -p{} \"{}\" {folder}\\Papers",
            stage.dice.hex(10),
            file.path
        );
        let run = spawn_named(stage, seat.at, &packer, "7z.exe", command, now);
        let now = stage.dice.after(now, 2_000, 20_000);
        stage.file_touched(now, seat.at, &run, "FileCreated", &file, None);
        stage.involve(EntityKind::File, &file.sha256);
    }
}
