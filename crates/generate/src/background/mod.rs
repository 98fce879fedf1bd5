//! The background: what happens at a tenant on days without an attack.
//!
//! Working hours decide how many rows fall due when; the hour decides what happens. A scene is a
//! short story (somebody reads a mail, opens its attachment, saves a document) whose rows refer to
//! each other; nobody does anything at a machine before signing in there that day.
//!
//! Promises: exactly the tenant's share of rows; every kind of scene but the vendor's alert plays
//! once, in a fixed order, before chance takes over, so that a short stream has all services.

pub(crate) mod desk;
pub(crate) mod mail;
mod places;
mod servers;

use model::Ticks;

use crate::options::Profile;
use crate::stage::Stage;
use crate::stream::Script;
use crate::world::Tenant;

/// A kind of scene.
#[derive(Clone, Copy, Debug)]
enum Scene {
    Browse,
    Document,
    MailIn,
    MailOut,
    Chat,
    Cloud,
    Services,
    ServerLogon,
    Directory,
    Inventory,
    VendorAlert,
}

/// What plays first, in this order.
const OPENING: [Scene; 10] = [
    Scene::Inventory,
    Scene::Services,
    Scene::Document,
    Scene::MailIn,
    Scene::Cloud,
    Scene::Browse,
    Scene::MailOut,
    Scene::ServerLogon,
    Scene::Directory,
    Scene::Chat,
];

/// Chances of scenes, in a thousand, while people work.
const WORKING: [(Scene, u64); 10] = [
    (Scene::Browse, 250),
    (Scene::Document, 200),
    (Scene::MailIn, 170),
    (Scene::MailOut, 70),
    (Scene::Cloud, 110),
    (Scene::Chat, 60),
    (Scene::Services, 70),
    (Scene::ServerLogon, 40),
    (Scene::Directory, 15),
    (Scene::Inventory, 15),
];

/// Chances of scenes, in a thousand, while they do not.
const RESTING: [(Scene, u64); 10] = [
    (Scene::Services, 560),
    (Scene::MailIn, 170),
    (Scene::ServerLogon, 90),
    (Scene::Inventory, 80),
    (Scene::Cloud, 40),
    (Scene::Browse, 30),
    (Scene::Document, 10),
    (Scene::MailOut, 10),
    (Scene::Chat, 5),
    (Scene::Directory, 5),
];

/// The script of the background.
#[derive(Debug)]
pub(crate) struct Background {
    profile: Profile,
    total: u64,
    made: u64,
    scenes: usize,
    due: Option<Ticks>,
}

impl Background {
    pub(crate) fn new(tenant: &Tenant, profile: Profile) -> Self {
        Self {
            profile,
            total: tenant.events,
            made: 0,
            scenes: 0,
            due: (tenant.events > 0).then(|| tenant.calendar.at(0, tenant.events)),
        }
    }

    fn choose(&self, stage: &mut Stage<'_>, at: Ticks) -> Scene {
        if let Some(scene) = OPENING.get(self.scenes) {
            return *scene;
        }
        // A scene has about six rows, so its chance is six times that of a row.
        if stage.dice.below(100_000) < stage.world.vendor_alerts_per_100k * 6 {
            return Scene::VendorAlert;
        }
        let (hour, works) = stage.tenant.place.local(at);
        let chances = if works && (7..19).contains(&hour) {
            &WORKING
        } else {
            &RESTING
        };
        let mut roll = stage.dice.below(1000);
        for (scene, chance) in chances {
            if roll < *chance {
                return *scene;
            }
            roll -= chance;
        }
        Scene::Services
    }
}

impl Script for Background {
    fn name(&self) -> String {
        "background".to_owned()
    }

    fn due(&self) -> Option<Ticks> {
        self.due
    }

    fn play(&mut self, stage: &mut Stage<'_>) {
        let Some(at) = self.due else { return };
        stage.room = self.total - self.made;
        if self.profile == Profile::ProcessOnly {
            desk::processes(stage, at);
        } else {
            match self.choose(stage, at) {
                Scene::Browse => desk::browse(stage, at),
                Scene::Document => desk::document(stage, at),
                Scene::MailIn => mail::incoming(stage, at),
                Scene::MailOut => mail::outgoing(stage, at),
                Scene::Chat => mail::chat(stage, at),
                Scene::Cloud => places::cloud(stage, at),
                Scene::Services => servers::services(stage, at),
                Scene::ServerLogon => servers::logon(stage, at),
                Scene::Directory => places::directory(stage, at),
                Scene::Inventory => places::inventory(stage, at),
                Scene::VendorAlert => places::vendor_alert(stage, at),
            }
        }
        self.scenes += 1;
        self.made = self.total - stage.room;
        self.due = (self.made < self.total).then(|| {
            // The calendar is a grid; people are not. Never before the scene that just played.
            let next = stage.tenant.calendar.at(self.made, self.total);
            stage.dice.after(next, 0, 1_000).max(at)
        });
    }
}
