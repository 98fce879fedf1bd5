//! Mail and chat: what comes in, is read and clicked, and what goes out.

use model::Ticks;

use crate::background::desk::{document_of, open_with, sit_down_as, start, start_browser};
use crate::catalogue::{MATTERS, Os, TOPICS};
use crate::people::Person;
use crate::rows::email::{Known, Mail, Mailbox};
use crate::rows::endpoint::{File, Remote};
use crate::stage::Stage;
use crate::world::Partner;

/// A mail from outside arrives; sometimes its recipient reads it at once.
pub(crate) fn incoming(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let number = stage.dice.index(tenant.people.len());
    let person = stage.person(number);
    let partner = stage.dice.pick(&tenant.partners);
    let (display, address) = stage.dice.pick(&partner.contacts);
    let shared = stage.dice.chance(60);
    let recipient = if shared {
        Mailbox {
            address: stage.dice.pick(&tenant.shared_mailboxes).as_str(),
            display: "",
            object_id: "",
        }
    } else {
        mailbox(person)
    };
    let sender = Mailbox {
        address,
        display,
        object_id: "",
    };
    let mut mail = Mail {
        direction: "Inbound",
        sender,
        sender_domain: &partner.domain,
        sender_ip: &partner.mail_ip,
        recipient,
        recipient_domain: &tenant.spec.mail_domain,
        junk: stage.dice.chance(50),
        ..draft(stage, recipient)
    };
    for _ in 0..*stage.dice.pick(&[0, 0, 1, 1, 2, 3]) {
        let page = stage.dice.hex(8);
        mail.urls.push((
            format!("https://www.{}/{page}", partner.domain),
            &partner.domain,
        ));
    }
    for _ in 0..*stage.dice.pick(&[0, 0, 0, 1, 2]) {
        let file = attachment(stage);
        mail.attachments.push(file);
    }
    stage.mail(at, &mail);
    let works = matches!(tenant.place.local(at), (7..19, true));
    if works && !shared && !mail.junk && stage.dice.chance(350) {
        let at = stage.dice.after(at, 5_000, 90_000);
        read(stage, number, &mail, partner, at);
    }
}

/// The recipient opens the mail program, an attachment and a link.
fn read<'w>(stage: &mut Stage<'w>, number: usize, mail: &Mail<'w>, from: &'w Partner, at: Ticks) {
    let seat = sit_down_as(stage, number, at);
    let mac = seat.device.os == Os::MacOs;
    let file = if mac {
        "Microsoft Outlook"
    } else {
        "OUTLOOK.EXE"
    };
    let program = stage.world.programs.named(file);
    let command = format!("\"{}\"", program.path);
    let outlook = start(
        stage,
        &seat,
        &seat.shell.clone(),
        program,
        command,
        seat.ready,
    );
    let mut now = stage.dice.after(outlook.created, 300, 2_000);
    let server = Remote {
        ip: "203.0.113.32",
        port: 443,
        url: "https://mail.cloudsuite.example",
        public: true,
    };
    stage.connected(now, seat.at, &outlook, &server);
    if let (Some(attached), false) = (mail.attachments.first(), mac) {
        now = stage.dice.after(now, 4_000, 60_000);
        let saved = File {
            path: format!(
                r"C:\Users\{}\AppData\Local\Microsoft\Windows\INetCache\Content.Outlook\{}",
                seat.person.account.name, attached.name
            ),
            ..attached.clone()
        };
        stage.file_touched(now, seat.at, &outlook, "FileCreated", &saved, None);
        now = stage.dice.after(now, 200, 2_000);
        let program = match attached.name.rsplit('.').next() {
            Some("xlsx") => "EXCEL.EXE",
            Some("docx") => "WINWORD.EXE",
            _ => "msedge.exe",
        };
        open_with(stage, &seat, &outlook, program, &saved, now);
    }
    if let Some((url, domain)) = mail.urls.first() {
        now = stage.dice.after(now, 3_000, 60_000);
        stage.url_clicked(now, &mail.id, &seat.person.upn, url);
        now = stage.dice.after(now, 200, 1_500);
        let browser = start_browser(stage, &seat, now);
        now = stage.dice.after(now, 200, 1_500);
        let host = format!("www.{domain}");
        stage.dns_answered(now, seat.at, &browser, &host, &from.mail_ip);
        now = stage.dice.after(now, 5, 90);
        let to = Remote {
            ip: &from.mail_ip,
            port: 443,
            url,
            public: true,
        };
        stage.connected(now, seat.at, &browser, &to);
    }
}

/// Somebody writes a mail, to a colleague or to somebody outside.
pub(crate) fn outgoing(stage: &mut Stage<'_>, at: Ticks) {
    let tenant = stage.tenant;
    let number = stage.dice.index(tenant.people.len());
    let seat = sit_down_as(stage, number, at);
    let inside = stage.dice.chance(550);
    let partner = stage.dice.pick(&tenant.partners);
    let (recipient, domain) = if inside {
        let colleague = stage.dice.pick(&tenant.people);
        (mailbox(colleague), tenant.spec.mail_domain.as_str())
    } else {
        let (display, address) = stage.dice.pick(&partner.contacts);
        let outside = Mailbox {
            address,
            display,
            object_id: "",
        };
        (outside, partner.domain.as_str())
    };
    let mut mail = Mail {
        direction: if inside { "Intra-org" } else { "Outbound" },
        sender: mailbox(seat.person),
        sender_domain: &tenant.spec.mail_domain,
        sender_ip: &tenant.public_ip,
        recipient_domain: domain,
        ..draft(stage, recipient)
    };
    if stage.dice.chance(300) {
        let file = document_of(stage, &seat, "docx");
        mail.attachments.push(file);
    }
    let sent = stage.dice.after(seat.ready, 5_000, 60_000);
    stage.mail(sent, &mail);
}

/// Somebody writes to a colleague.
pub(crate) fn chat(stage: &mut Stage<'_>, at: Ticks) {
    let people = &stage.tenant.people;
    let (a, b) = (stage.dice.pick(people), stage.dice.pick(people));
    let subject = *stage.dice.pick(MATTERS);
    let mut now = at;
    for turn in 0..stage.dice.between(1, 5) {
        let (from, to) = if turn % 2 == 0 { (a, b) } else { (b, a) };
        stage.chat(now, &mailbox(from), &mailbox(to), subject);
        now = stage.dice.after(now, 4_000, 60_000);
    }
}

/// A message with a subject and no content yet, from and to `recipient`.
pub(crate) fn draft<'w>(stage: &mut Stage<'w>, recipient: Mailbox<'w>) -> Mail<'w> {
    let dice = &mut stage.dice;
    Mail {
        id: dice.guid(),
        direction: "",
        sender: recipient,
        sender_domain: "",
        sender_ip: "",
        recipient,
        recipient_domain: "",
        subject: format!("{}: {}", dice.pick(TOPICS), dice.pick(MATTERS)),
        urls: Vec::new(),
        attachments: Vec::new(),
        junk: false,
        known: Known::default(),
    }
}

pub(crate) fn mailbox(person: &Person) -> Mailbox<'_> {
    Mailbox {
        address: &person.upn,
        display: &person.display,
        object_id: &person.object_id,
    }
}

fn attachment(stage: &mut Stage<'_>) -> File {
    let dice = &mut stage.dice;
    let extension = *dice.pick(&["pdf", "docx", "xlsx"]);
    let name = format!(
        "{} {}.{extension}",
        dice.pick(TOPICS),
        dice.between(100, 999)
    );
    File {
        path: name.clone(),
        name,
        sha1: dice.hex(40),
        sha256: dice.hex(64),
        md5: dice.hex(32),
        size: dice.between(20_000, 3_000_000),
    }
}
