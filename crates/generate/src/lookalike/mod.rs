//! Harmless scenes that resemble stages of an attack: what rules must tell apart.
//!
//! Administrators, software and people do, for good reasons, what intruders do for bad ones. How many
//! scenes there are follows from [`AttackOptions::true_alerts_permille`](crate::AttackOptions); their
//! kinds are drawn evenly, their times follow the tenant's working hours. Two scenes play once in
//! every tenant, whatever the share: a support tool is rolled out and run, and a private document is
//! saved, mailed and saved again, never run.
//!
//! | kind | could be taken for | told apart by | its close form |
//! |---|---|---|---|
//! | `managed-script` | T1059.001 | the parent is the management agent, the account the system | `pasted-script`: an administrator, in a console |
//! | `tool-install` | T1105 | an installer of a known vendor, by the service desk | `scripted-install`: a script of the service desk writes a program |
//! | `traveller` | T1078.004 | the person's own managed machine, second factor asked | `new-device`: unknown machine; a phone with low risk, or a room's screen with a device code |
//! | `newsletter` | T1566 | bulk, authenticated, many recipients | `small-sender`: first contact, not authenticated, a link |
//! | `app-consent` | T1528 | an app the tenant has, low permissions, from the office | `mail-app-consent`: a new app that may read mail for good |
//! | `tidy-rule` | T1564.008 | moves newsletters to a folder | `holiday-forward`: forwards everything, to a colleague |
//! | `bulk-sync` | T1530 | from the office, in the synchroniser | `project-download`: 20 to 35 files in the browser |
//! | `remote-admin` | T1021.006 | from a machine of the service desk, own account | `software-push`: a program over `ADMIN$` |
//! | `autostart` | T1547.001 | a signed program under `Program Files` | `own-app-autostart`: a program under `AppData` |
//! | `memory-scanner` | T1003.001 | the reader is the sensor itself | `installer-memory`: `msiexec.exe` |
//! | `print-helper` | T1059 | the child of the office program prints | `add-in-copy`: `cmd.exe` copies a template |
//! | `directory-audit` | T1069.002 | the service desk asks for its own group | `admin-audit`: five questions, on domain administrators |
//! | `software-task` | T1053.005 | the task runs an updater under `Program Files` | `data-folder-task`: one under `ProgramData` |
//! | `backup-archive` | T1560.001, T1567.002 | the backup's own service and store | `sealed-archive`: a person's archive with a password |
//!
//! The close form plays [`AttackOptions::close_permille`](crate::AttackOptions) times in a thousand.

mod close;
mod cloud;
mod machines;

use std::collections::BTreeMap;

use model::Ticks;

use crate::attack::hands::{Session, take_seat};
use crate::background::desk::Seat;
use crate::dice::Dice;
use crate::notes::{Name, name};
use crate::record::Woven;
use crate::stage::Stage;
use crate::stream::Script;
use crate::world::{Tenant, World};

/// A kind of look-alike, or one of the two scenes that every tenant has once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    ManagedScript,
    ToolInstall,
    Traveller,
    Newsletter,
    AppConsent,
    TidyRule,
    BulkSync,
    RemoteAdmin,
    Autostart,
    MemoryScanner,
    PrintHelper,
    DirectoryAudit,
    SoftwareTask,
    BackupArchive,
    Tool,
    Document,
}

const KINDS: [Kind; 14] = [
    Kind::ManagedScript,
    Kind::ToolInstall,
    Kind::Traveller,
    Kind::Newsletter,
    Kind::AppConsent,
    Kind::TidyRule,
    Kind::BulkSync,
    Kind::RemoteAdmin,
    Kind::Autostart,
    Kind::MemoryScanner,
    Kind::PrintHelper,
    Kind::DirectoryAudit,
    Kind::SoftwareTask,
    Kind::BackupArchive,
];

impl Kind {
    const fn name(self) -> Name {
        match self {
            Self::ManagedScript => name("managed-script", "Execution", "T1059.001"),
            Self::ToolInstall => name("tool-install", "CommandAndControl", "T1105"),
            Self::Traveller => name("traveller", "InitialAccess", "T1078.004"),
            Self::Newsletter => name("newsletter", "InitialAccess", "T1566"),
            Self::AppConsent => name("app-consent", "CredentialAccess", "T1528"),
            Self::TidyRule => name("tidy-rule", "DefenseEvasion", "T1564.008"),
            Self::BulkSync => name("bulk-sync", "Collection", "T1530"),
            Self::RemoteAdmin => name("remote-admin", "LateralMovement", "T1021.006"),
            Self::Autostart => name("autostart", "Persistence", "T1547.001"),
            Self::MemoryScanner => name("memory-scanner", "CredentialAccess", "T1003.001"),
            Self::PrintHelper => name("print-helper", "Execution", "T1059"),
            Self::DirectoryAudit => name("directory-audit", "Discovery", "T1069.002"),
            Self::SoftwareTask => name("software-task", "Persistence", "T1053.005"),
            Self::BackupArchive => name("backup-archive", "Exfiltration", "T1567.002"),
            Self::Tool => name("support-tool", "", ""),
            Self::Document => name("private-document", "", ""),
        }
    }

    /// The name of its close form; the two scenes that every tenant has have none of their own.
    const fn close_name(self) -> Name {
        match self {
            Self::ManagedScript => name("pasted-script", "Execution", "T1059.001"),
            Self::ToolInstall => name("scripted-install", "CommandAndControl", "T1105"),
            Self::Traveller => name("new-device", "InitialAccess", "T1078.004"),
            Self::Newsletter => name("small-sender", "InitialAccess", "T1566"),
            Self::AppConsent => name("mail-app-consent", "CredentialAccess", "T1528"),
            Self::TidyRule => name("holiday-forward", "DefenseEvasion", "T1564.008"),
            Self::BulkSync => name("project-download", "Collection", "T1530"),
            Self::RemoteAdmin => name("software-push", "LateralMovement", "T1021.002"),
            Self::Autostart => name("own-app-autostart", "Persistence", "T1547.001"),
            Self::MemoryScanner => name("installer-memory", "CredentialAccess", "T1003.001"),
            Self::PrintHelper => name("add-in-copy", "Execution", "T1059.003"),
            Self::DirectoryAudit => name("admin-audit", "Discovery", "T1069.002"),
            Self::SoftwareTask => name("data-folder-task", "Persistence", "T1053.005"),
            Self::BackupArchive => name("sealed-archive", "Collection", "T1560.001"),
            Self::Tool | Self::Document => self.name(),
        }
    }
}

/// The script of one tenant's look-alikes.
#[derive(Debug)]
pub(crate) struct LookAlikes {
    /// What plays when, the last first.
    scenes: Vec<(Ticks, Kind)>,
    /// Sessions of people who used their machine for a scene, by person, with their day.
    sessions: BTreeMap<usize, (i32, Session)>,
}

impl LookAlikes {
    pub(crate) fn new(world: &World, tenant: &Tenant) -> Self {
        let mut dice = Dice::new(
            world.plan.seed,
            &["look-alikes", &tenant.spec.envelope_tenant_id],
        );
        let count = world.plan.look_alikes.get(tenant.index).copied();
        let kinds = (0..count.unwrap_or(0)).map(|_| *dice.pick(&KINDS));
        let mut kinds: Vec<Kind> = kinds.collect();
        kinds.extend([Kind::Tool, Kind::Document]);
        let mut scenes: Vec<(Ticks, Kind)> = kinds
            .into_iter()
            .map(|kind| {
                // To the millionth of the window; nothing begins in its last twentieth.
                let at = tenant.calendar.at(dice.below(950_000), 1_000_000);
                (at, kind)
            })
            .collect();
        scenes.sort_unstable();
        scenes.reverse();
        Self {
            scenes,
            sessions: BTreeMap::new(),
        }
    }

    /// Somebody at their machine for one scene.
    fn seat<'w>(&mut self, stage: &mut Stage<'w>, person: usize, at: Ticks) -> Seat<'w> {
        let today = at.day();
        let known = self.sessions.get(&person).filter(|(day, _)| *day == today);
        let mut session = known.map(|(_, session)| *session);
        let seat = take_seat(stage, person, &mut session, at);
        if let Some(session) = session {
            self.sessions.insert(person, (today, session));
        }
        seat
    }

    /// Somebody with a Windows machine; one of the service desk if asked for and there is one.
    fn person(stage: &mut Stage<'_>, of_desk: bool) -> Option<usize> {
        let tenant = stage.tenant;
        let windows: Vec<usize> = (0..tenant.people.len())
            .filter(|at| tenant.devices.get(*at).is_some_and(|d| d.os.is_windows()))
            .collect();
        let desk: Vec<usize> = windows
            .iter()
            .copied()
            .filter(|at| *at < crate::attack::plan::DESK_PEOPLE)
            .collect();
        let list = if of_desk && !desk.is_empty() {
            &desk
        } else {
            &windows
        };
        (!list.is_empty()).then(|| *stage.dice.pick(list))
    }
}

impl LookAlikes {
    /// What rules should be able to tell apart.
    fn play_far(&mut self, stage: &mut Stage<'_>, kind: Kind, at: Ticks) {
        match kind {
            Kind::ManagedScript => machines::managed_script(stage, at),
            Kind::ToolInstall => self.tool_install(stage, at),
            Kind::Traveller => cloud::traveller(stage, at),
            Kind::Newsletter => cloud::newsletter(stage, at),
            Kind::AppConsent => cloud::app_consent(stage, at),
            Kind::TidyRule => cloud::tidy_rule(stage, at),
            Kind::BulkSync => cloud::bulk_sync(stage, at),
            Kind::RemoteAdmin => self.remote_admin(stage, at),
            Kind::Autostart => self.autostart(stage, at),
            Kind::MemoryScanner => machines::memory_scanner(stage, at),
            Kind::PrintHelper => self.print_helper(stage, at),
            Kind::DirectoryAudit => self.directory_audit(stage, at),
            Kind::SoftwareTask => machines::software_task(stage, at),
            Kind::BackupArchive => machines::backup_archive(stage, at),
            Kind::Tool => self.support_tool(stage, at),
            Kind::Document => self.private_document(stage, at),
        }
    }

    /// What only its surroundings tell apart.
    fn play_close(&mut self, stage: &mut Stage<'_>, kind: Kind, at: Ticks) {
        match kind {
            Kind::ManagedScript => self.pasted_script(stage, at),
            Kind::ToolInstall => self.scripted_install(stage, at),
            Kind::Traveller => close::new_device(stage, at),
            Kind::Newsletter => close::small_sender(stage, at),
            Kind::AppConsent => close::mail_app_consent(stage, at),
            Kind::TidyRule => close::holiday_forward(stage, at),
            Kind::BulkSync => close::project_download(stage, at),
            Kind::RemoteAdmin => self.software_push(stage, at),
            Kind::Autostart => self.own_app_autostart(stage, at),
            Kind::MemoryScanner => close::installer_memory(stage, at),
            Kind::PrintHelper => self.add_in_copy(stage, at),
            Kind::DirectoryAudit => self.admin_audit(stage, at),
            Kind::SoftwareTask => close::data_folder_task(stage, at),
            Kind::BackupArchive => self.sealed_archive(stage, at),
            Kind::Tool | Kind::Document => {}
        }
    }
}

impl Script for LookAlikes {
    fn name(&self) -> String {
        "look-alikes".to_owned()
    }

    fn due(&self) -> Option<Ticks> {
        self.scenes.last().map(|(at, _)| *at)
    }

    fn play(&mut self, stage: &mut Stage<'_>) {
        let Some((at, kind)) = self.scenes.pop() else {
            return;
        };
        stage.room = u64::MAX;
        let of_its_own = matches!(kind, Kind::Tool | Kind::Document);
        let is_close = !of_its_own && stage.dice.chance(stage.world.plan.close_permille);
        if is_close {
            stage.note(Woven::LookAlike, kind.close_name(), at);
            self.play_close(stage, kind, at);
        } else {
            if !of_its_own {
                stage.note(Woven::LookAlike, kind.name(), at);
            }
            self.play_far(stage, kind, at);
        }
        stage.close_note();
    }
}
