//! Which columns name which entities.

use model::{EntityKind, EntityRole, Ticks};

use super::canon::{self, Reach};
use super::{Draft, Found};
use crate::cells::{Cell, Rows};
use crate::view::{Parsed, path};

use EntityRole::{Impacted, Related};

/// Adds what a row names, what matters most first.
pub(super) fn collect(rows: &Rows<'_>, row: usize, found: &mut Found) {
    let row = Row { rows, row };
    let table = rows.table.as_str();
    row.device(table, found);
    row.accounts(found);
    if table.starts_with("Email") || table == "UrlClickEvents" {
        row.mail(found);
    }
    if table.starts_with("Device") {
        row.processes(found);
        row.files(table, found);
        row.registry(found);
    }
    if table == "EmailAttachmentInfo" {
        row.attachment(found);
    }
    if table == "CloudAppEvents" || table.starts_with("OAuth") {
        row.apps(found);
    }
    row.sessions(table, found);
    row.links(found);
    row.addresses(table, found);
    row.resources(table, found);
    if model::Schema::hunting().table(table).is_none() {
        row.raw(found);
    }
}

struct Row<'r, 'a> {
    rows: &'r Rows<'a>,
    row: usize,
}

impl<'a> Row<'_, 'a> {
    fn text(&self, name: &str) -> &'a str {
        self.rows.text(self.row, name)
    }

    fn time(&self, name: &str) -> Option<Ticks> {
        match self.rows.cell(self.row, name) {
            Some(Cell::Time(t)) => Some(t),
            _ => None,
        }
    }

    /// What tells the device apart in keys that hold on one device only.
    fn device_key(&self) -> &'a str {
        let id = self.text("DeviceId");
        if id.is_empty() {
            self.text("DeviceName")
        } else {
            id
        }
    }

    fn device(&self, table: &str, found: &mut Found) {
        let (id, name) = (self.text("DeviceId"), self.text("DeviceName"));
        let label = if name.is_empty() { id } else { name };
        found.add(
            Draft::new(EntityKind::Device, Impacted, label)
                .key(canon::device_id(id))
                .key(canon::device_name(name))
                .detail("DeviceId", id),
        );
        for (column, role) in [
            ("DestinationDeviceName", Impacted),
            ("TargetDeviceName", Impacted),
            ("RemoteDeviceName", Related),
        ] {
            let name = self.text(column);
            let draft = Draft::new(EntityKind::Device, role, name).key(canon::device_name(name));
            if is_asked(table) {
                found.add(draft.without_keys());
            } else {
                found.add(draft);
            }
        }
    }

    fn accounts(&self, found: &mut Found) {
        self.account("Account", Impacted, found);
        self.account("InitiatingProcessAccount", Impacted, found);
        self.account("RequestAccount", Related, found);
        let target = self.text("TargetAccountUpn");
        found.add(Draft::new(EntityKind::Account, Impacted, target).key(canon::address(target)));
    }

    /// The account whose columns begin with `prefix`.
    fn account(&self, prefix: &str, role: EntityRole, found: &mut Found) {
        let column = |part: &str| self.text(&format!("{prefix}{part}"));
        let (upn, sid, object) = (column("Upn"), column("Sid"), column("ObjectId"));
        let (domain, name, id) = (column("Domain"), column("Name"), column("Id"));
        if canon::is_well_known(domain, name) && !name.is_empty() {
            let label = account_label(domain, name);
            found.add(Draft::new(EntityKind::Account, Related, &label));
            return;
        }
        let label = match (upn, name, column("DisplayName")) {
            ("", "", display) if !display.is_empty() => display.to_owned(),
            ("", "", _) => id.to_owned(),
            ("", name, _) => account_label(domain, name),
            (upn, _, _) => upn.to_owned(),
        };
        found.add(
            Draft::new(EntityKind::Account, role, &label)
                .key(canon::address(upn))
                .key(canon::address(id))
                .key(canon::sid(sid))
                .key(canon::object_id(object))
                .key(canon::account_name(domain, name))
                .detail("AccountName", name)
                .detail("AccountDomain", domain)
                .detail("AccountSid", sid)
                .detail("AccountUpn", upn)
                .detail("AccountObjectId", object),
        );
    }

    fn mail(&self, found: &mut Found) {
        let recipient = self.text("RecipientEmailAddress");
        found.add(
            Draft::new(EntityKind::Mailbox, Impacted, recipient)
                .key(canon::address(recipient))
                .key(canon::object_id(self.text("RecipientObjectId")))
                .detail("AccountUpn", recipient)
                .detail("AccountObjectId", self.text("RecipientObjectId")),
        );
        let (id, subject) = (self.text("NetworkMessageId"), self.text("Subject"));
        let label = if subject.is_empty() { id } else { subject };
        if !id.is_empty() {
            found.add(
                Draft::new(EntityKind::MailMessage, Related, label)
                    .key(canon::message_id(id))
                    .detail("NetworkMessageId", id)
                    .detail("EmailSubject", subject),
            );
        }
        let sender = self.text("SenderFromAddress");
        found.add(
            Draft::new(EntityKind::Account, Related, sender)
                .key(canon::address(sender))
                .key(canon::object_id(self.text("SenderObjectId")))
                .detail("AccountUpn", sender),
        );
    }

    fn processes(&self, found: &mut Found) {
        let device = self.device_key();
        let process =
            |id: Option<i64>, started, (name, folder): (&str, &str), command, found: &mut Found| {
                let key = id.and_then(|id| canon::process(device, id, started));
                // What only calls itself so, from elsewhere, is a run like any other.
                let is_own = folder.is_empty() || is_of_the_system(&path(folder, name));
                let key = key.filter(|_| !(is_own && canon::is_resident(name)));
                let draft = Draft::new(EntityKind::Process, Related, name);
                found.add(
                    draft
                        .key(key)
                        .detail("ProcessCommandLine", command)
                        .detail("ProcessId", &id.map(|n| n.to_string()).unwrap_or_default()),
                );
            };
        if self.rows.has("ProcessCommandLine") {
            process(
                self.rows.long(self.row, "ProcessId"),
                self.time("ProcessCreationTime"),
                (self.text("FileName"), self.text("FolderPath")),
                self.text("ProcessCommandLine"),
                found,
            );
        }
        process(
            self.rows.long(self.row, "InitiatingProcessId"),
            self.time("InitiatingProcessCreationTime"),
            (
                self.text("InitiatingProcessFileName"),
                self.text("InitiatingProcessFolderPath"),
            ),
            self.text("InitiatingProcessCommandLine"),
            found,
        );
    }

    fn files(&self, table: &str, found: &mut Found) {
        if matches!(
            table,
            "DeviceProcessEvents" | "DeviceFileEvents" | "DeviceImageLoadEvents" | "DeviceEvents"
        ) {
            self.file("FileName", "FolderPath", "SHA256", "SHA1", found);
        }
        self.file(
            "InitiatingProcessFileName",
            "InitiatingProcessFolderPath",
            "InitiatingProcessSHA256",
            "InitiatingProcessSHA1",
            found,
        );
    }

    fn file(&self, name: &str, folder: &str, sha256: &str, sha1: &str, found: &mut Found) {
        let (name, folder) = (self.text(name), self.text(folder));
        let (sha256, sha1) = (self.text(sha256), self.text(sha1));
        let draft = Draft::new(EntityKind::File, Related, name)
            .key(canon::sha256(sha256))
            .key(canon::sha1(sha1))
            .detail("FileName", name)
            .detail("FolderPath", folder)
            .detail("SHA256", sha256)
            .detail("SHA1", sha1);
        // Every machine has these: a program of the system used in two attacks joins them no more
        // than the system does.
        if is_of_the_system(&path(folder, name)) {
            found.add(draft.without_keys());
        } else {
            found.add(draft);
        }
    }

    fn attachment(&self, found: &mut Found) {
        let name = self.text("FileName");
        found.add(
            Draft::new(EntityKind::File, Related, name)
                .key(canon::sha256(self.text("SHA256")))
                .detail("FileName", name)
                .detail("SHA256", self.text("SHA256")),
        );
    }

    fn registry(&self, found: &mut Found) {
        let (key, value) = (self.text("RegistryKey"), self.text("RegistryValueName"));
        if !key.is_empty() {
            found.add(
                Draft::new(EntityKind::Registry, Related, &format!("{key}\\{value}"))
                    .key(canon::registry(self.device_key(), key, value))
                    .detail("RegistryKey", key)
                    .detail("RegistryValueName", value)
                    .detail("RegistryValueData", self.text("RegistryValueData")),
            );
        }
    }

    fn apps(&self, found: &mut Found) {
        let id = self.text("OAuthAppId");
        let name = match (self.text("AppName"), self.text("ObjectName")) {
            ("", object) => object,
            (name, _) => name,
        };
        if !id.is_empty() {
            let label = if name.is_empty() { id } else { name };
            found.add(
                Draft::new(EntityKind::OAuthApp, Related, label)
                    .key(canon::app_id(id))
                    .detail("OAuthApplicationId", id),
            );
        }
        let application = self.text("Application");
        found.add(
            Draft::new(EntityKind::CloudApp, Related, application)
                .detail("Application", application),
        );
    }

    fn sessions(&self, table: &str, found: &mut Found) {
        let id = self.text("SessionId");
        if !id.is_empty() {
            found.add(Draft::new(EntityKind::Session, Related, id).key(canon::session(id)));
        }
        if table == "CloudAppEvents" {
            let parsed = Parsed::new(self.rows, self.row);
            for path in ["AppAccessContext.AADSessionId", "SessionId"] {
                let id = parsed.member_text("RawEventData", path);
                if !id.is_empty() {
                    found.add(
                        Draft::new(EntityKind::Session, Related, &id).key(canon::session(&id)),
                    );
                }
            }
        }
        let device = self.device_key();
        for column in ["LogonId", "LogonID"] {
            let key = (self.rows.long(self.row, column)).and_then(|n| canon::logon(device, n));
            if let Some(key) = key {
                let name = key.value.clone();
                found.add(Draft::new(EntityKind::Session, Related, &name).key(Some(key)));
            }
        }
    }

    fn links(&self, found: &mut Found) {
        for column in ["Url", "RemoteUrl", "FileOriginUrl", "UrlDomain"] {
            let url = self.text(column);
            if url.is_empty() || canon::ip(url).is_some() {
                continue;
            }
            found.add(
                Draft::new(EntityKind::Url, Related, url)
                    .key(canon::url(url))
                    .key(canon::domain(url))
                    .detail("RemoteUrl", url),
            );
        }
    }

    fn addresses(&self, table: &str, found: &mut Found) {
        for column in [
            "IPAddress",
            "RemoteIP",
            "SenderIPv4",
            "SenderIPv6",
            "FileOriginIP",
            "RequestSourceIP",
            "DestinationIPAddress",
            "LocalIP",
        ] {
            let joins = column != "DestinationIPAddress" || !is_asked(table);
            add_ip(self.text(column), column, joins, found);
        }
    }

    fn resources(&self, table: &str, found: &mut Found) {
        let id = self.text("ResourceId");
        if table.starts_with("Cloud") && !id.is_empty() {
            found.add(
                Draft::new(EntityKind::CloudResource, Impacted, id)
                    .key(canon::resource(id))
                    .detail("ResourceID", id),
            );
        }
    }

    /// Columns that sources of many kinds call alike.
    fn raw(&self, found: &mut Found) {
        for column in [
            "UserId",
            "user",
            "username",
            "user_name",
            "userPrincipalName",
            "actor",
        ] {
            let value = self.text(column).trim_matches('"');
            if let Some(key) = canon::address(value) {
                found.add(Draft::new(EntityKind::Account, Impacted, value).key(Some(key)));
            }
        }
        for column in [
            "ClientIP",
            "sourceIPAddress",
            "src_ip",
            "id.orig_h",
            "id.resp_h",
            "dest_ip",
        ] {
            add_ip(self.text(column).trim_matches('"'), column, true, found);
        }
        for column in ["host", "hostname", "Computer"] {
            let name = self.text(column).trim_matches('"');
            if !name.is_empty() {
                found.add(
                    Draft::new(EntityKind::Device, Impacted, name).key(canon::device_name(name)),
                );
            }
        }
    }
}

/// Tables whose destination is a domain controller that answered: everybody asks the same ones, so two
/// who did have nothing in common.
fn is_asked(table: &str) -> bool {
    matches!(table, "IdentityQueryEvents" | "IdentityDirectoryEvents")
}

fn add_ip(text: &str, column: &str, joins: bool, found: &mut Found) {
    let Some(ip) = canon::ip(text) else { return };
    let name = ip.to_string();
    let (evidence, scope) = match (column, canon::reach(ip)) {
        ("LocalIP", reach) => ("LocalIP", reach),
        (_, reach) => ("RemoteIP", reach),
    };
    let scope = match scope {
        Reach::Nowhere => "NoMachine",
        Reach::Private => "Private",
        Reach::Public => "Public",
    };
    let key = canon::ip_key(ip).filter(|_| joins);
    found.add(
        Draft::new(EntityKind::Ip, Related, &name)
            .key(key)
            .detail(evidence, &name)
            .detail("IpScope", scope),
    );
}

fn account_label(domain: &str, name: &str) -> String {
    if domain.is_empty() {
        name.to_owned()
    } else {
        format!("{domain}\\{name}")
    }
}

/// Folders in which programs of the system and installed ones lie; only administrators write there.
const SYSTEM_FOLDERS: &[&str] = &[
    "\\windows\\system32\\",
    "\\windows\\syswow64\\",
    "\\windows\\winsxs\\",
    "\\windows\\explorer.exe",
    "\\program files\\",
    "\\program files (x86)\\",
    "\\programdata\\microsoft\\windows defender\\",
    "\\usr\\lib\\systemd\\",
    "\\lib\\systemd\\",
    "\\sbin\\",
];
/// Folders below them that anybody can write to.
const WRITABLE_FOLDERS: &[&str] = &[
    "\\windows\\system32\\tasks\\",
    "\\windows\\system32\\spool\\drivers\\color\\",
];

/// Whether a file is where the operating system keeps its programs, or installed ones lie.
fn is_of_the_system(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace('/', "\\");
    let is_in = |folders: &[&str]| folders.iter().any(|f| path.contains(f));
    is_in(SYSTEM_FOLDERS) && !is_in(WRITABLE_FOLDERS)
}
