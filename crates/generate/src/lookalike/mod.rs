//! Harmless scenes that resemble stages of an attack: what rules must tell apart.
//!
//! Administrators, software and people do, for good reasons, what intruders do for bad ones. How many
//! scenes there are follows from [`AttackOptions::true_alerts_permille`](crate::AttackOptions); their
//! kinds are drawn evenly, their times follow the tenant's working hours. Two scenes play once in
//! every tenant, whatever the share: a support tool is rolled out and run, and a private document is
//! saved, mailed and saved again, never run.
//!
//! | kind | could be taken for | told apart by |
//! |---|---|---|
//! | `managed-script` | T1059.001 | the parent is the management agent, the account the system |
//! | `tool-install` | T1105 | signed, installed under `Program Files`, by the service desk |
//! | `traveller` | T1078.004 | the person's own managed machine, second factor asked |
//! | `newsletter` | T1566 | bulk, authenticated, many recipients |
//! | `app-consent` | T1528 | an app the tenant has, low permissions, from the office |
//! | `tidy-rule` | T1564.008 | moves newsletters to a folder, nothing deleted or forwarded |
//! | `bulk-sync` | T1530 | from the office, in the synchroniser |
//! | `remote-admin` | T1021.006 | from a machine of the service desk, own account |
//! | `autostart` | T1547.001 | a signed program under `Program Files` |
//! | `memory-scanner` | T1003.001 | the reader is the sensor itself |
//! | `print-helper` | T1059 | the child of the office program prints |
//! | `directory-audit` | T1069.002 | the service desk asks |
//! | `software-task` | T1053.005 | the task runs an updater under `Program Files` |
//! | `backup-archive` | T1560.001, T1567.002 | the backup's own service and store |

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
        if !matches!(kind, Kind::Tool | Kind::Document) {
            stage.note(Woven::LookAlike, kind.name(), at);
        }
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
        stage.close_note();
    }
}
