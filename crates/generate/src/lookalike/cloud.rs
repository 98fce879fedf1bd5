//! Look-alikes of mail and cloud: travellers, newsletters, apps, rules, synchronisers.

use model::{EntityKind, Ticks};

use crate::attack::kit::ISPS;
use crate::background::desk::document_name;
use crate::background::mail::{draft, mailbox};
use crate::countries::Place;
use crate::rows::cloud::Activity;
use crate::rows::email::{Known, Mail, Mailbox};
use crate::rows::identity::{Elsewhere, Manner, SignIn, browser_of};
use crate::stage::Stage;
use crate::text::push_text;

/// Somebody signs in on their own machine in another country and reads a few files.
pub(super) fn traveller(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let device = stage.device(person.device);
    let (agent, browser) = browser_of(device);
    let from = Elsewhere {
        ip: stage.world.plan.addresses.any(&mut stage.dice),
        place: Place::abroad(&mut stage.dice, &tenant.spec.country),
        isp: stage.dice.pick::<&str>(ISPS),
        agent,
        browser,
        os: device.os.platform(),
        own_machine: true,
    };
    let session = stage.dice.guid();
    // The directory finds one in five of them remarkable, too.
    let risky = stage.dice.chance(200);
    let sign_in = SignIn {
        person,
        device,
        ip: &from.ip,
        application: "OfficeHome",
        application_id: "4765445b-32c6-49b0-83e6-1d93765276ca",
        session: &session,
        error: 0,
        manner: Some(Manner {
            from: &from,
            risk: if risky { 10 } else { 0 },
            risk_types: if risky {
                "[\"unfamiliarFeatures\"]"
            } else {
                ""
            },
            endpoint_call: "OAuth2:Authorize",
            asked_twice: true,
        }),
    };
    stage.signed_in(at, &sign_in);
    let mut now = stage.dice.after(at, 900, 9_000);
    stage.cloud_logon(now, person, &from);
    for _ in 0..stage.dice.between(1, 4) {
        now = stage.dice.after(now, 4_000, 90_000);
        let object = document_name(&mut stage.dice, "docx");
        let activity = Activity {
            action: "FileAccessed",
            application: "Microsoft SharePoint Online",
            application_id: 20_892,
            object,
            object_type: "File",
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

/// An activity of somebody at work, to be filled in.
pub(super) fn at_work<'w>(
    stage: &Stage<'w>,
    person: &'w crate::people::Person,
    session: &str,
) -> Activity<'w> {
    Activity {
        person,
        ip: &stage.tenant.public_ip,
        action: "",
        application: "",
        application_id: 0,
        object: String::new(),
        object_type: "",
        session: session.to_owned(),
        admin: false,
        from: None,
        detail: String::new(),
        oauth_app: None,
        names_session: true,
    }
}

/// One of very many mails, full of links; somebody follows one.
pub(super) fn newsletter(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let partner = stage.dice.pick(&tenant.partners);
    let address = format!("news@{}", partner.domain);
    let links: Vec<String> = (0..stage.dice.between(4, 9))
        .map(|_| format!("https://www.{}/{}", partner.domain, stage.dice.hex(8)))
        .collect();
    let first_contact = stage.dice.chance(300);
    let mut now = at;
    let readers = stage.dice.between(2, 6);
    for number in 0..readers {
        let person = stage.dice.pick(&tenant.people);
        let recipient = mailbox(person);
        let mail = Mail {
            direction: "Inbound",
            sender: Mailbox {
                address: &address,
                display: "News",
                object_id: "",
            },
            sender_domain: &partner.domain,
            sender_ip: &partner.mail_ip,
            recipient_domain: &tenant.spec.mail_domain,
            urls: links
                .iter()
                .map(|link| (link.clone(), partner.domain.as_str()))
                .collect(),
            known: Known {
                first_contact: Some(first_contact),
                unauthenticated: false,
                bulk: Some(6),
            },
            ..draft(stage, recipient)
        };
        stage.mail(now, &mail);
        stage.involve(EntityKind::MailMessage, &mail.id);
        stage.involve(EntityKind::Mailbox, &person.upn);
        if number == 0 {
            let later = stage.dice.after(now, 60_000, 1_200_000);
            if let Some(link) = links.first() {
                stage.url_clicked(later, &mail.id, &person.upn, link);
            }
        }
        now = stage.dice.after(now, 200, 4_000);
    }
}

/// Somebody agrees to an app that the tenant has had for long.
pub(super) fn app_consent(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let app = stage.dice.pick(&tenant.apps);
    let session = stage.dice.guid();
    let mut detail = String::from(
        ",\"ModifiedProperties\":[{\"Name\":\"ConsentContext.IsAdminConsent\",\"NewValue\":\
         \"False\"},{\"Name\":\"ConsentAction.Permissions\",\"NewValue\":",
    );
    push_text(
        &mut detail,
        &format!("Scope: {}", app.permissions.join(" ")),
    );
    detail.push_str("}]");
    let activity = Activity {
        action: "Consent to application.",
        application: "Office 365",
        application_id: 11_161,
        object: app.name.clone(),
        object_type: "Application",
        detail,
        oauth_app: Some(&app.id),
        ..at_work(stage, person, &session)
    };
    stage.cloud_activity(at, &activity);
    stage.involve(EntityKind::Account, &person.upn);
    stage.involve(EntityKind::OAuthApp, &app.id);
}

/// Somebody sorts newsletters into a folder.
pub(super) fn tidy_rule(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let partner = stage.dice.pick(&tenant.partners);
    let session = stage.dice.guid();
    let detail = format!(
        ",\"Parameters\":[{{\"Name\":\"Name\",\"Value\":\"{0} news\"}},{{\"Name\":\"From\",\"Value\":\
         \"news@{0}\"}},{{\"Name\":\"MoveToFolder\",\"Value\":\"Newsletters\"}},\
         {{\"Name\":\"StopProcessingRules\",\"Value\":\"True\"}}]",
        partner.domain
    );
    let activity = Activity {
        action: "New-InboxRule",
        application: "Microsoft Exchange Online",
        application_id: 20_893,
        object: format!("{}\\{} news", person.account.name, partner.domain),
        object_type: "Mailbox rule",
        detail,
        ..at_work(stage, person, &session)
    };
    stage.cloud_activity(at, &activity);
    stage.involve(EntityKind::Account, &person.upn);
    stage.involve(EntityKind::Mailbox, &person.upn);
}

/// A new machine fetches a project's files.
pub(super) fn bulk_sync(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let person = stage.dice.pick(&tenant.people);
    let session = stage.dice.guid();
    let mut now = at;
    for _ in 0..stage.dice.between(15, 40) {
        let object = document_name(&mut stage.dice, "xlsx");
        let activity = Activity {
            action: "FileSyncDownloadedFull",
            application: "Microsoft OneDrive for Business",
            application_id: 15_600,
            object,
            object_type: "File",
            ..at_work(stage, person, &session)
        };
        stage.cloud_activity(now, &activity);
        now = stage.dice.after(now, 200, 3_000);
    }
    stage.involve(EntityKind::Account, &person.upn);
    stage.involve(EntityKind::Session, &session);
}
