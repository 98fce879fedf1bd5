//! Rows of mail, clicks and chat.
//!
//! `To` and `Cc` are JSON here, `AuthenticationDetails` and `UrlChain` are JSON text in a string,
//! and instants have whole seconds.

use model::Ticks;

use crate::rows::endpoint::File;
use crate::stage::{Digits, Stage};
use crate::text::push_text;

/// Columns of `EmailEvents` that the background has no use for.
const EMAIL_UNUSED: &[&str] = &[
    "SenderIPv6",
    "ThreatNames",
    "DetectionMethods",
    "EmailAction",
    "EmailActionPolicy",
    "EmailActionPolicyGuid",
    "Connectors",
    "OrgLevelAction",
    "OrgLevelPolicy",
    "UserLevelAction",
    "UserLevelPolicy",
    "AdditionalFields",
    "DistributionList",
    "ThreatClassification",
    "ForwardingInformation",
    "ExchangeTransportRule",
    "Context",
    "OriginalThreatTypes",
    "OriginalDetectionMethods",
    "OriginalConfidenceLevel",
    "Topics",
];

/// A message between mailboxes.
#[derive(Clone, Debug)]
pub(crate) struct Mail<'w> {
    /// A guid: the key that links its rows.
    pub(crate) id: String,
    pub(crate) direction: &'static str,
    pub(crate) sender: Mailbox<'w>,
    pub(crate) sender_domain: &'w str,
    pub(crate) sender_ip: &'w str,
    pub(crate) recipient: Mailbox<'w>,
    pub(crate) recipient_domain: &'w str,
    pub(crate) subject: String,
    pub(crate) urls: Vec<(String, &'w str)>,
    pub(crate) attachments: Vec<File>,
    pub(crate) junk: bool,
    /// What is not left to chance.
    pub(crate) known: Known,
}

/// What the filter knows of a sender; nothing as a rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known {
    /// Whether the recipient never had mail from there; by chance if not said.
    pub(crate) first_contact: Option<bool>,
    /// The sender is not who the mail says, or cannot show it.
    pub(crate) unauthenticated: bool,
    /// How much the mail is one of very many.
    pub(crate) bulk: Option<u64>,
}

/// One end of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailbox<'w> {
    pub(crate) address: &'w str,
    pub(crate) display: &'w str,
    /// Empty for somebody outside.
    pub(crate) object_id: &'w str,
}

impl Stage<'_> {
    /// `EmailEvents`, `EmailUrlInfo` and `EmailAttachmentInfo` of one message.
    pub(crate) fn mail(&mut self, at: Ticks, mail: &Mail<'_>) {
        self.email_event(at, mail);
        for (number, (url, domain)) in mail.urls.iter().enumerate() {
            self.email_url(at, mail, number, url, domain);
        }
        for (number, file) in mail.attachments.iter().enumerate() {
            self.email_attachment(at, mail, number, file);
        }
    }

    fn email_event(&mut self, at: Ticks, mail: &Mail<'_>) {
        let printed = self.begin(at, Digits::Seconds);
        let cluster = self.dice.below(4_000_000_000);
        let size = self.dice.between(8_000, 400_000);
        let by_chance = self.dice.chance(60);
        let first_contact = mail.known.first_contact.unwrap_or(by_chance);
        let mut to = String::from("[");
        push_text(&mut to, mail.recipient.address);
        to.push(']');
        let (action, location) = if mail.junk {
            ("Junked", "Junk folder")
        } else {
            ("Delivered", "Inbox/folder")
        };
        let row = &mut self.row;
        row.time("Timestamp", printed)
            .text("NetworkMessageId", &mail.id)
            .text(
                "InternetMessageId",
                &format!("<{}@{}>", mail.id, mail.sender_domain),
            )
            .text("SenderMailFromAddress", mail.sender.address)
            .text("SenderFromAddress", mail.sender.address)
            .text("SenderDisplayName", mail.sender.display)
            .text("SenderObjectId", mail.sender.object_id)
            .text("SenderMailFromDomain", mail.sender_domain)
            .text("SenderFromDomain", mail.sender_domain)
            .text("SenderIPv4", mail.sender_ip)
            .text("RecipientEmailAddress", mail.recipient.address)
            .text("RecipientObjectId", mail.recipient.object_id)
            .text("RecipientDomain", mail.recipient_domain)
            .text("Subject", &mail.subject)
            .number("EmailClusterId", cluster)
            .text("EmailDirection", mail.direction)
            .text("DeliveryAction", action)
            .text("DeliveryLocation", location)
            .text("LatestDeliveryAction", action)
            .text("LatestDeliveryLocation", location)
            .text("ThreatTypes", if mail.junk { "Spam" } else { "" })
            .text(
                "ConfidenceLevel",
                if mail.junk {
                    "{\"Spam\":\"Normal\"}"
                } else {
                    ""
                },
            )
            .text(
                "AuthenticationDetails",
                if mail.known.unauthenticated {
                    "{\"SPF\":\"pass\",\"DKIM\":\"none\",\"DMARC\":\"none\",\"CompAuth\":\"none\"}"
                } else {
                    "{\"SPF\":\"pass\",\"DKIM\":\"pass\",\"DMARC\":\"pass\",\"CompAuth\":\"pass\"}"
                },
            )
            .number("AttachmentCount", mail.attachments.len() as u64)
            .number("UrlCount", mail.urls.len() as u64)
            .text("EmailLanguage", "en")
            .text("ReportId", &format!("{}-{cluster}", mail.id))
            .native("To", &to)
            .native("Cc", "[]")
            .number("EmailSize", size)
            .flag("IsFirstContact", first_contact);
        match mail.known.bulk {
            Some(level) => row.number("BulkComplaintLevel", level),
            None => row.missing(&["BulkComplaintLevel"]),
        };
        row.missing_text(EMAIL_UNUSED);
        self.emit("EmailEvents");
    }

    fn email_url(&mut self, at: Ticks, mail: &Mail<'_>, number: usize, url: &str, domain: &str) {
        let printed = self.begin(at, Digits::Seconds);
        self.row
            .time("Timestamp", printed)
            .text("NetworkMessageId", &mail.id)
            .text("Url", url)
            .text("UrlDomain", domain)
            .text("UrlLocation", "Body")
            .text("ReportId", &format!("{}-u{number}", mail.id))
            .missing_text(&["UrlChainId"])
            .missing(&["UrlChainPosition"]);
        self.emit("EmailUrlInfo");
    }

    fn email_attachment(&mut self, at: Ticks, mail: &Mail<'_>, number: usize, file: &File) {
        let printed = self.begin(at, Digits::Seconds);
        let extension = file.name.rsplit('.').next().unwrap_or("");
        self.row
            .time("Timestamp", printed)
            .text("NetworkMessageId", &mail.id)
            .text("SenderFromAddress", mail.sender.address)
            .text("SenderDisplayName", mail.sender.display)
            .text("SenderObjectId", mail.sender.object_id)
            .text("RecipientEmailAddress", mail.recipient.address)
            .text("RecipientObjectId", mail.recipient.object_id)
            .text("FileName", &file.name)
            .text("FileType", extension)
            .text("FileExtension", extension)
            .text("SHA256", &file.sha256)
            .number("FileSize", file.size)
            .text("ReportId", &format!("{}-a{number}", mail.id))
            .missing_text(&["ThreatTypes", "ThreatNames", "DetectionMethods"]);
        self.emit("EmailAttachmentInfo");
    }

    /// `UrlClickEvents`: the recipient followed a link of a message.
    pub(crate) fn url_clicked(&mut self, at: Ticks, message_id: &str, upn: &str, url: &str) {
        let printed = self.begin(at, Digits::Ticks);
        let report = self.dice.guid();
        let mut chain = String::from("[");
        push_text(&mut chain, url);
        chain.push(']');
        self.row
            .time("Timestamp", printed)
            .text("Url", url)
            .text("ActionType", "ClickAllowed")
            .text("AccountUpn", upn)
            .text("Workload", "Email")
            .text("NetworkMessageId", message_id)
            .text("IPAddress", &self.tenant.public_ip)
            .flag("IsClickedThrough", false)
            .text("UrlChain", &chain)
            .text("ReportId", &report)
            .text("AppName", "Outlook")
            .text("AppVersion", "16.0.17628.20144")
            .missing_text(&["ThreatTypes", "DetectionMethods", "SourceId"]);
        self.emit("UrlClickEvents");
    }

    /// `MessageEvents`: a chat message.
    pub(crate) fn chat(&mut self, at: Ticks, from: &Mailbox<'_>, to: &Mailbox<'_>, subject: &str) {
        let printed = self.begin(at, Digits::Millis);
        let number = self.dice.between(1_700_000_000_000, 1_799_999_999_999);
        let thread = self.dice.hex(32);
        let mut recipients = String::from("[{\"RecipientSmtpAddress\":");
        push_text(&mut recipients, to.address);
        recipients.push_str(",\"RecipientDisplayName\":");
        push_text(&mut recipients, to.display);
        recipients.push_str(",\"RecipientObjectId\":");
        push_text(&mut recipients, to.object_id);
        recipients.push_str("}]");
        self.row
            .time("Timestamp", printed)
            .text("TeamsMessageId", &number.to_string())
            .text("SenderEmailAddress", from.address)
            .text("SenderDisplayName", from.display)
            .text("SenderObjectId", from.object_id)
            .text("SenderType", "User")
            .native("RecipientDetails", &recipients)
            .flag("IsOwnedThread", true)
            .text("MessageId", &number.to_string())
            .text("ThreadId", &format!("19:{thread}@unq.gbl.spaces"))
            .text("ThreadSubtype", "None")
            .flag("IsExternalThread", false)
            .text("MessageFormatType", "RichText")
            .text("MessageFormatSubtype", "Html")
            .text("MessageVersion", "1")
            .text("DeliveryAction", "Delivered")
            .text("DeliveryLocation", "Teams")
            .text("ReportId", &format!("{number}-{thread}"))
            .text("ThreadName", subject)
            .text("ThreadType", "Chat")
            .text("MessageType", "Message")
            .text("MessageSubtype", "None")
            .text("Subject", subject)
            .missing(&["DetectionMethods", "ConfidenceLevel"])
            .missing_text(&[
                "LastEditedTime",
                "ParentMessageId",
                "GroupId",
                "GroupName",
                "MessageSubject",
                "ThreatTypes",
                "SafetyTip",
            ]);
        self.emit("MessageEvents");
    }
}
