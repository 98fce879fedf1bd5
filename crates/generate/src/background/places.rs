//! What happens in the cloud and in the directory, and what the services report by themselves.

use model::Ticks;

use crate::background::desk::{document_of, sit_down_as};
use crate::catalogue::{MATTERS, TOPICS};
use crate::people::Person;
use crate::rows::alerts::VendorAlert;
use crate::rows::cloud::Activity;
use crate::rows::identity::SignIn;
use crate::stage::Stage;
use crate::text::push_text;

/// Applications people sign in to, with the ids their rows carry.
const APPLICATIONS: &[(&str, &str, u64)] = &[
    (
        "Office 365 Exchange Online",
        "00000002-0000-0ff1-ce00-000000000000",
        20_893,
    ),
    (
        "Office 365 SharePoint Online",
        "00000003-0000-0ff1-ce00-000000000000",
        20_892,
    ),
    (
        "Microsoft Teams Services",
        "cc15fd57-2c6c-4117-a88c-83b1d56b4bbe",
        28_375,
    ),
];

/// Somebody signs in to a cloud app and does a few things there.
pub(crate) fn cloud(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let (application, application_id, number) = *stage.dice.pick(APPLICATIONS);
    // From home now and then.
    let ip = if stage.dice.chance(180) {
        &person.home_ip
    } else {
        &tenant.public_ip
    };
    let session = stage.dice.guid();
    let mut sign_in = SignIn {
        person,
        device: stage.device(person.device),
        ip,
        application,
        application_id,
        session: &session,
        error: 0,
        manner: None,
    };
    let mut now = at;
    if stage.dice.chance(60) {
        // A mistyped password, then the right one.
        sign_in.error = 50_126;
        stage.signed_in(now, &sign_in);
        now = stage.dice.after(now, 4_000, 20_000);
        sign_in.error = 0;
    }
    stage.signed_in(now, &sign_in);
    for _ in 0..stage.dice.between(1, 4) {
        now = stage.dice.after(now, 2_000, 40_000);
        let action = *stage.dice.pick(&[
            "FileAccessed",
            "FileAccessed",
            "FileModified",
            "FileDownloaded",
            "FilePreviewed",
            "MailItemsAccessed",
        ]);
        let object = if action == "MailItemsAccessed" {
            person.upn.clone()
        } else {
            format!(
                "{} {}.docx",
                stage.dice.pick(TOPICS),
                stage.dice.pick(MATTERS)
            )
        };
        let activity = Activity {
            person,
            ip,
            action,
            application: if number == 28_375 {
                "Microsoft Teams"
            } else {
                "Microsoft 365"
            },
            application_id: number,
            object,
            object_type: if action == "MailItemsAccessed" {
                "Mailbox"
            } else {
                "File"
            },
            session: session.clone(),
            admin: false,
            from: None,
            detail: String::new(),
            oauth_app: None,
            names_session: false,
        };
        stage.cloud_activity(now, &activity);
    }
}

impl<'w> Stage<'w> {
    /// One row of a file that a person's machine or app touched in the cloud.
    pub(crate) fn file_activity(
        &mut self,
        at: Ticks,
        person: &'w Person,
        action: &'static str,
        name: &str,
    ) {
        let activity = Activity {
            person,
            ip: &self.tenant.public_ip,
            action,
            application: "Microsoft OneDrive for Business",
            application_id: 15_600,
            object: name.to_owned(),
            object_type: "File",
            session: self.dice.guid(),
            admin: false,
            from: None,
            detail: String::new(),
            oauth_app: None,
            names_session: false,
        };
        self.cloud_activity(at, &activity);
    }
}

/// Someone of the service desk looks people up and changes an account.
pub(crate) fn directory(stage: &mut Stage<'_>, at: Ticks) {
    // The first few people are the service desk.
    let number = stage.dice.index(stage.tenant.people.len().min(4));
    let seat = sit_down_as(stage, number, at);
    let tenant = stage.tenant;
    let mut now = seat.ready;
    for _ in 0..stage.dice.between(1, 3) {
        let target = stage.dice.pick(&tenant.people);
        stage.identity_query(now, seat.person, seat.device, target);
        now = stage.dice.after(now, 500, 9_000);
    }
    let target = stage.dice.pick(&tenant.people);
    let action = *stage.dice.pick(&[
        "Account Password changed",
        "Group Membership changed",
        "Account Display Name changed",
    ]);
    stage.identity_change(now, action, seat.person, seat.device, target);
}

/// The services report what a machine, a person and an app are.
pub(crate) fn inventory(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let device = stage.dice.index(tenant.devices.len());
    let mut users = String::from("[");
    let owner = stage
        .device(device)
        .owner
        .map(|number| stage.person(number));
    if let Some(owner) = owner {
        users.push_str("{\"UserName\":");
        push_text(&mut users, &owner.account.name);
        users.push_str(",\"DomainName\":");
        push_text(&mut users, &owner.account.domain);
        users.push_str(",\"Sid\":");
        push_text(&mut users, &owner.account.sid);
        users.push('}');
    }
    users.push(']');
    stage.device_info(at, device, &users);
    let mut now = stage.dice.after(at, 10, 900);
    stage.device_network(now, device);
    now = stage.dice.after(now, 500, 9_000);
    let person = stage.dice.pick(&tenant.people);
    stage.identity_info(now, person);
    if stage.dice.chance(400) || device.is_multiple_of(2) {
        let app = stage.dice.pick(&tenant.apps);
        now = stage.dice.after(now, 500, 9_000);
        stage.app_info(now, app);
    }
}

/// The vendor's own antivirus reports something unimportant.
pub(crate) fn vendor_alert(stage: &mut Stage<'_>, at: Ticks) {
    let number = stage.dice.index(stage.tenant.people.len());
    let seat = sit_down_as(stage, number, at);
    let file = document_of(stage, &seat, "zip");
    let alert = VendorAlert {
        id: format!(
            "da{}_{}",
            stage.dice.between(637_000_000, 639_999_999),
            stage.dice.below(1 << 30)
        ),
        title: "An unwanted application was blocked",
        category: "UnwantedSoftware",
        severity: "Informational",
        techniques: "[]",
        device: seat.device,
        person: seat.person,
        file,
    };
    stage.vendor_alert(seat.ready, &alert);
}
