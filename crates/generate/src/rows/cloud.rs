//! Rows of cloud apps: all dynamic columns are JSON, instants have whole seconds.

use model::Ticks;

use crate::people::{Device, Person};
use crate::rows::identity::{Elsewhere, browser_of};
use crate::stage::{Digits, Stage};
use crate::text::push_text;
use crate::world::{App, Tenant};

/// Something a person did in a cloud app.
#[derive(Clone, Debug)]
pub(crate) struct Activity<'w> {
    pub(crate) person: &'w Person,
    pub(crate) ip: &'w str,
    pub(crate) action: &'static str,
    pub(crate) application: &'static str,
    pub(crate) application_id: u64,
    pub(crate) object: String,
    pub(crate) object_type: &'static str,
    pub(crate) session: String,
    pub(crate) admin: bool,
    /// From the tenant's own offices if not said.
    pub(crate) from: Option<&'w Elsewhere>,
    /// Members of the raw event besides the usual ones, each with its comma before it.
    pub(crate) detail: String,
    /// The app that acted, or that was agreed to.
    pub(crate) oauth_app: Option<&'w str>,
    /// Whether the raw event names the session, as newer ones do.
    pub(crate) names_session: bool,
}

impl Stage<'_> {
    /// `CloudAppEvents`.
    pub(crate) fn cloud_activity(&mut self, at: Ticks, activity: &Activity<'_>) {
        let printed = self.begin(at, Digits::Seconds);
        let id = self.dice.guid();
        let style = self.dice.below(4);
        let person = activity.person;
        let view = view(self.tenant, self.device(activity.person.device), activity);
        let objects = objects(activity);
        let raw = raw_event(activity, &id, printed);
        let row = &mut self.row;
        row.time("Timestamp", printed)
            .text("ActionType", activity.action)
            .text("Application", activity.application)
            .number("ApplicationId", activity.application_id)
            .number("AppInstanceId", 0)
            .text("AccountObjectId", &person.object_id)
            .text("AccountId", &person.object_id)
            .text("AccountDisplayName", &person.display)
            .text("DeviceType", "Desktop")
            .text("OSPlatform", view.os)
            .text("IPAddress", activity.ip)
            .flag("IsAnonymousProxy", false)
            .text("CountryCode", view.country)
            .text("City", view.city)
            .text("Isp", view.isp)
            .text("UserAgent", view.agent)
            .text("ActivityType", "Basic")
            .native("ActivityObjects", &objects)
            .text("ObjectName", &activity.object)
            .text("ObjectType", activity.object_type)
            .text("ObjectId", &activity.object)
            .text("ReportId", &format!("{}_{id}", activity.application_id))
            .text("AccountType", "Regular")
            .flag("IsExternalUser", false)
            .flag("IsImpersonated", false)
            .native("IPTags", view.tags)
            .text("IPCategory", view.category)
            .native("UserAgentTags", "[]")
            .native("RawEventData", &raw)
            .native("AdditionalFields", "{}")
            .native(
                "LastSeenForUser",
                "{\"ActionType\":1,\"ISP\":0,\"IPAddress\":0}",
            )
            .native("UncommonForUser", view.uncommon)
            .text("AuditSource", "Defender for Cloud Apps app connector")
            .native(
                "SessionData",
                &format!("{{\"InLineSessionId\":\"{}\"}}", activity.session),
            );
        match activity.oauth_app {
            Some(app) => row.text("OAuthAppId", app),
            None => row.missing_text(&["OAuthAppId"]),
        };
        // This flag has been seen as a boolean, as a number, as a number in a string and empty.
        match (activity.admin, style) {
            (admin, 0) => row.number("IsAdminOperation", u64::from(admin)),
            (true, 1) => row.text("IsAdminOperation", "1"),
            (false, 1) => row.text("IsAdminOperation", "0"),
            (false, 2) => row.text("IsAdminOperation", ""),
            (admin, _) => row.flag("IsAdminOperation", admin),
        };
        self.emit("CloudAppEvents");
    }

    /// `OAuthAppInfo`: what is known of an app.
    pub(crate) fn app_info(&mut self, at: Ticks, app: &App) {
        let printed = self.begin(at, Digits::Seconds);
        let report = self.dice.guid();
        let mut permissions = String::from("[");
        for (number, name) in app.permissions.iter().enumerate() {
            if number > 0 {
                permissions.push(',');
            }
            permissions.push_str("{\"PermissionValue\":");
            push_text(&mut permissions, name);
            permissions.push_str(",\"PermissionType\":\"Delegated\",\"PrivilegeLevel\":\"");
            permissions.push_str(app.level);
            permissions.push_str("\"}");
        }
        permissions.push(']');
        self.row
            .time("Timestamp", printed)
            .text("ReportId", &report)
            .text("OAuthAppId", &app.id)
            .text("ServicePrincipalId", &app.principal_id)
            .text("AppName", &app.name)
            .time("AddedOnTime", app.added)
            .time("LastModifiedTime", app.added)
            .text("AppStatus", "Enabled")
            .native("VerifiedPublisher", "{}")
            .text("PrivilegeLevel", app.level)
            .native("Permissions", &permissions)
            .number("ConsentedUsersCount", app.consents)
            .flag("IsAdminConsented", app.consents > 20)
            .text("AppOrigin", "External")
            .time("LastUsedTime", printed)
            .text("AppOwnerTenantId", &app.owner_tenant_id)
            .number("RiskScore", if app.level == "Low" { 10 } else { 60 })
            .native("AssignedRoles", "[]");
        self.emit("OAuthAppInfo");
    }
}

/// From where an activity is seen to come.
struct View<'a> {
    os: &'a str,
    agent: &'a str,
    country: &'a str,
    city: &'a str,
    isp: &'a str,
    tags: &'static str,
    category: &'static str,
    uncommon: &'static str,
}

fn view<'a>(tenant: &'a Tenant, device: &'a Device, activity: &Activity<'a>) -> View<'a> {
    let own_os = tenant.device_os(activity.person);
    match activity.from {
        Some(from) => View {
            os: if from.own_machine { own_os } else { from.os },
            agent: if from.own_machine {
                browser_of(device).0
            } else {
                from.agent
            },
            country: from.place.code,
            city: from.place.city,
            isp: from.isp,
            tags: "[]",
            category: "Other",
            uncommon: "[\"IPAddress\",\"CountryCode\",\"ISP\"]",
        },
        None => View {
            os: own_os,
            agent: browser_of(device).0,
            country: &tenant.spec.country,
            city: tenant.place.city,
            isp: "Documentation Networks",
            tags: "[\"Corporate\"]",
            category: "Corporate",
            uncommon: "[]",
        },
    }
}

fn objects(activity: &Activity<'_>) -> String {
    let mut json = String::from("[{\"Type\":\"");
    json.push_str(activity.object_type);
    json.push_str("\",\"Role\":\"Target object\",\"Name\":");
    push_text(&mut json, &activity.object);
    json.push_str("},{\"Type\":\"Account\",\"Role\":\"Actor\",\"Name\":");
    push_text(&mut json, &activity.person.display);
    json.push_str(",\"Id\":");
    push_text(&mut json, &activity.person.object_id);
    json.push_str("}]");
    json
}

fn raw_event(activity: &Activity<'_>, id: &str, at: Ticks) -> String {
    let mut json = String::from("{\"Id\":\"");
    json.push_str(id);
    json.push_str("\",\"CreationTime\":\"");
    crate::text::push_time(&mut json, at);
    json.push_str("\",\"Operation\":\"");
    json.push_str(activity.action);
    json.push_str("\",\"UserId\":");
    push_text(&mut json, &activity.person.upn);
    json.push_str(",\"ClientIP\":\"");
    json.push_str(activity.ip);
    json.push_str("\",\"ObjectId\":");
    push_text(&mut json, &activity.object);
    json.push_str(&activity.detail);
    if activity.names_session {
        json.push_str(",\"AppAccessContext\":{\"AADSessionId\":");
        push_text(&mut json, &activity.session);
        json.push('}');
    }
    json.push_str(",\"RecordType\":6,\"Version\":1}");
    json
}
