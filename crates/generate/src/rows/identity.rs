//! Rows of the directory on the premises and of sign-ins to the cloud.
//!
//! Dynamic columns are JSON here, and a port may be a number, `""` or a number in a string.

use model::Ticks;

use crate::countries::Place;
use crate::people::{Device, Person};
use crate::stage::{Digits, Stage};
use crate::text::Row;

/// A sign-in to the cloud.
#[derive(Clone, Debug)]
pub(crate) struct SignIn<'a> {
    pub(crate) person: &'a Person,
    pub(crate) device: &'a Device,
    pub(crate) ip: &'a str,
    pub(crate) application: &'a str,
    pub(crate) application_id: &'a str,
    pub(crate) session: &'a str,
    /// 0 when it succeeded.
    pub(crate) error: u64,
    /// From the person's machine in the tenant's country if not said.
    pub(crate) manner: Option<Manner<'a>>,
}

/// A sign-in that is not from the person's own machine at work, or is remarkable otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) from: &'a Elsewhere,
    /// 0, 10 (low), 50 (medium) or 100 (high).
    pub(crate) risk: u64,
    /// JSON text of a list, empty without a risk.
    pub(crate) risk_types: &'a str,
    pub(crate) endpoint_call: &'a str,
    /// Whether a second factor was asked for in this very sign-in.
    pub(crate) asked_twice: bool,
}

/// A place in the world with a machine that somebody uses there.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    pub(crate) ip: String,
    pub(crate) place: Place,
    pub(crate) isp: &'static str,
    pub(crate) agent: &'static str,
    pub(crate) browser: &'static str,
    pub(crate) os: &'static str,
    /// The person's own machine, taken along.
    pub(crate) own_machine: bool,
}

/// A sign-in that the domain controller saw.
#[derive(Clone, Debug)]
pub(crate) struct DirectoryLogon<'a> {
    pub(crate) person: &'a Person,
    pub(crate) from: &'a Device,
    pub(crate) target: &'a Device,
    pub(crate) protocol: &'a str,
    pub(crate) kind: &'a str,
    /// Inside of a JSON object.
    pub(crate) additional: &'a str,
    pub(crate) failure: Option<&'a str>,
}

/// A question to the directory.
#[derive(Clone, Debug)]
pub(crate) struct Search<'a> {
    pub(crate) action: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) target: &'a str,
    pub(crate) query: &'a str,
    pub(crate) protocol: &'a str,
}

impl<'w> Stage<'w> {
    /// `IdentityLogonEvents`: the domain controller saw `person` sign in from `from` to `target`.
    pub(crate) fn identity_logon(
        &mut self,
        at: Ticks,
        person: &'w Person,
        from: &'w Device,
        target: &'w Device,
        failure: Option<&str>,
    ) {
        let logon = DirectoryLogon {
            person,
            from,
            target,
            protocol: "Kerberos",
            kind: "Credentials validation",
            additional: &format!("\"Spns\":\"host/{}\",\"Count\":1", target.name),
            failure,
        };
        self.directory_logon(at, &logon);
    }

    /// `IdentityLogonEvents` of any protocol.
    pub(crate) fn directory_logon(&mut self, at: Ticks, logon: &DirectoryLogon<'_>) {
        let printed = self.begin(at, Digits::Millis);
        let report = self.dice.guid();
        let action = if logon.failure.is_some() {
            "LogonFailed"
        } else {
            "LogonSuccess"
        };
        let controller = self.controller();
        let location = self.tenant.place.city;
        self.identity_head(printed, action, logon.person, logon.from, controller);
        let row = &mut self.row;
        row.text("LogonType", logon.kind)
            .text("Protocol", logon.protocol);
        match logon.failure {
            Some(reason) => row.text("FailureReason", reason),
            None => row.missing_text(&["FailureReason"]),
        };
        row.text("DeviceType", "Computer")
            .text("OSPlatform", logon.from.os.platform())
            .text("TargetDeviceName", &logon.target.name)
            .missing_text(&["TargetAccountDisplayName", "Isp"])
            .text("Location", location)
            .text("ReportId", &report)
            .native("AdditionalFields", &format!("{{{}}}", logon.additional))
            .native("LastSeenForUser", "{\"DeviceName\":0,\"ActionType\":0}")
            .native("UncommonForUser", "[]");
        self.emit("IdentityLogonEvents");
    }

    /// `IdentityLogonEvents`: the same of the cloud, where there is no controller.
    pub(crate) fn cloud_logon(&mut self, at: Ticks, person: &Person, from: &Elsewhere) {
        let printed = self.begin(at, Digits::Millis);
        let report = self.dice.guid();
        let uncommon = if from.own_machine {
            "[]"
        } else {
            "[\"IPAddress\",\"Location\",\"ISP\"]"
        };
        self.row
            .time("Timestamp", printed)
            .text("ActionType", "LogonSuccess")
            .text("Application", "Microsoft 365")
            .raw(&person.account.as_identity)
            .text("LogonType", "OAuth2:Token")
            .text("Protocol", "OAuth2")
            .text("DeviceType", "Desktop")
            .text("OSPlatform", from.os)
            .text("IPAddress", &from.ip)
            .text("Location", from.place.code)
            .text("Isp", from.isp)
            .text("ReportId", &report)
            .native("AdditionalFields", "{\"Count\":1}")
            .native("LastSeenForUser", "{\"IPAddress\":-1,\"Location\":-1}")
            .native("UncommonForUser", uncommon)
            .missing(&["Port", "DestinationPort"])
            .missing_text(&[
                "FailureReason",
                "DeviceName",
                "DestinationDeviceName",
                "DestinationIPAddress",
                "TargetDeviceName",
                "TargetAccountDisplayName",
            ]);
        self.emit("IdentityLogonEvents");
    }

    /// `IdentityQueryEvents` of any kind.
    pub(crate) fn directory_search(
        &mut self,
        at: Ticks,
        person: &Person,
        from: &Device,
        search: &Search<'_>,
    ) {
        let printed = self.begin(at, Digits::Millis);
        let report = self.dice.guid();
        let controller = self.controller();
        let location = self.tenant.place.city;
        self.identity_head(printed, search.action, person, from, controller);
        self.row
            .text("QueryType", search.kind)
            .text("QueryTarget", search.target)
            .text("Query", search.query)
            .text("Protocol", search.protocol)
            .text("TargetDeviceName", &controller.name)
            .missing_text(&["TargetAccountUpn", "TargetAccountDisplayName"])
            .text("Location", location)
            .text("ReportId", &report)
            .native("AdditionalFields", "{\"Count\":1}");
        self.emit("IdentityQueryEvents");
    }

    /// `IdentityQueryEvents`: `person` asked the directory for `target`.
    pub(crate) fn identity_query(
        &mut self,
        at: Ticks,
        person: &'w Person,
        from: &'w Device,
        target: &'w Person,
    ) {
        let printed = self.begin(at, Digits::Millis);
        let report = self.dice.guid();
        let controller = self.controller();
        let location = self.tenant.place.city;
        self.identity_head(printed, "LDAP query", person, from, controller);
        self.row
            .text("QueryType", "UserQuery")
            .text("QueryTarget", &target.account.name)
            .text(
                "Query",
                &format!(
                    "(&(objectClass=user)(sAMAccountName={}))",
                    target.account.name
                ),
            )
            .text("Protocol", "Ldap")
            .text("TargetDeviceName", &controller.name)
            .text("TargetAccountUpn", &target.upn)
            .text("TargetAccountDisplayName", &target.display)
            .text("Location", location)
            .text("ReportId", &report)
            .native(
                "AdditionalFields",
                "{\"Count\":1,\"BaseObject\":\"default\"}",
            );
        self.emit("IdentityQueryEvents");
    }

    /// `IdentityDirectoryEvents`: `action` happened to the account of `target`.
    pub(crate) fn identity_change(
        &mut self,
        at: Ticks,
        action: &str,
        person: &'w Person,
        from: &'w Device,
        target: &'w Person,
    ) {
        let printed = self.begin(at, Digits::Millis);
        let report = self.dice.guid();
        let controller = self.controller();
        let location = self.tenant.place.city;
        self.identity_head(printed, action, person, from, controller);
        self.row
            .text("Protocol", "Ldap")
            .text("TargetAccountUpn", &target.upn)
            .text("TargetAccountDisplayName", &target.display)
            .missing_text(&["TargetDeviceName", "ISP"])
            .text("Location", location)
            .text("ReportId", &report)
            .native(
                "AdditionalFields",
                &format!("{{\"TARGET_OBJECT.USER\":\"{}\"}}", target.display),
            );
        self.emit("IdentityDirectoryEvents");
    }

    /// What the three tables above share.
    fn identity_head(
        &mut self,
        printed: Ticks,
        action: &str,
        person: &Person,
        from: &Device,
        to: &Device,
    ) {
        let port = self.dice.between(49_152, 65_535);
        self.row
            .time("Timestamp", printed)
            .text("ActionType", action)
            .text("Application", "Active Directory")
            .raw(&person.account.as_identity)
            .text("DeviceName", &from.name)
            .text("IPAddress", &from.ip)
            .text("DestinationDeviceName", &to.name)
            .text("DestinationIPAddress", &to.ip);
        match port % 8 {
            0 => self.row.text("Port", "").text("DestinationPort", "88"),
            1 => self.row.missing(&["Port"]).number("DestinationPort", 88),
            _ => self.row.number("Port", port).number("DestinationPort", 88),
        };
    }

    /// `IdentityInfo`: what is known of `person`.
    pub(crate) fn identity_info(&mut self, at: Ticks, person: &'w Person) {
        let printed = self.begin(at, Digits::Ticks);
        let report = self.dice.guid();
        let place = self.tenant.place;
        let manager = self
            .tenant
            .people
            .get(person.manager)
            .map_or("", |m| m.display.as_str());
        let created = Ticks(self.world.start.0 - (1 + at.0 % 900) * model::ticks::PER_DAY);
        self.row
            .time("Timestamp", printed)
            .text("ReportId", &report)
            .raw(&person.account.as_identity_info)
            .text("CloudSid", &person.cloud_sid)
            .text("GivenName", &person.given)
            .text("Surname", &person.surname)
            .text("Department", person.department)
            .text("JobTitle", &person.title)
            .text("EmailAddress", &person.upn)
            .text("SipProxyAddress", &person.upn)
            .text("City", place.city)
            .text("State", place.state)
            .text("Country", &self.tenant.spec.country)
            .text("Manager", manager)
            .text("Phone", &person.phone)
            .text("EmployeeId", &person.employee_id)
            .text("CompanyName", &self.tenant.spec.name)
            .text("DistinguishedName", &person.distinguished_name)
            .flag("IsAccountEnabled", true)
            .time("CreatedDateTime", created)
            .text("ChangeSource", "System-UserPersona")
            .text("Type", "User")
            .text("BlastRadius", "Low")
            .text("TenantMembershipType", "Member")
            .text("IdentityEnvironment", "Hybrid")
            .text("SourceSystem", "Directory")
            .text("TenantId", &self.tenant.spec.envelope_tenant_id)
            .text("UserAccountControl", "NormalAccount")
            .native("SourceProviders", "[\"ActiveDirectory\",\"EntraID\"]")
            .native("Tags", "[]")
            .native("OtherMailAddresses", "[]")
            .native("AssignedRoles", "[]")
            .native("PrivilegedEntraPimRoles", "[]")
            .native(
                "GroupMembership",
                &format!("[\"{} team\",\"All staff\"]", person.department),
            )
            .missing(&["CriticalityLevel", "DeletedDateTime"])
            .missing_text(&[
                "Address",
                "RiskLevel",
                "RiskLevelDetails",
                "OnPremObjectId",
                "RiskStatus",
            ]);
        self.emit("IdentityInfo");
    }

    /// `EntraIdSignInEvents`.
    pub(crate) fn signed_in(&mut self, at: Ticks, sign_in: &SignIn<'_>) {
        let printed = self.begin(at, Digits::Ticks);
        let (correlation, request) = (self.dice.guid(), self.dice.guid());
        let person = sign_in.person;
        let tenant_id = &self.tenant.spec.envelope_tenant_id;
        self.row
            .time("Timestamp", printed)
            .time("TimeGenerated", printed)
            .text("Application", sign_in.application)
            .text("ApplicationId", sign_in.application_id)
            .text("LogonType", "[\"interactiveUser\"]")
            .number("ErrorCode", sign_in.error)
            .text("CorrelationId", &correlation)
            .text("SessionId", sign_in.session)
            .text("AccountDisplayName", &person.display)
            .text("AccountObjectId", &person.object_id)
            .text("AccountUpn", &person.upn)
            .number("IsExternalUser", 0)
            .flag("IsGuestUser", false)
            .missing_text(&["AlternateSignInName"])
            .missing(&["LastPasswordChangeTimestamp"])
            .text("ResourceDisplayName", "Cloud mail and files")
            .text("ResourceId", "00000002-0000-4ff1-ae00-000000000000")
            .text("ResourceTenantId", tenant_id);
        sign_in_machine(&mut self.row, sign_in);
        sign_in_risk(&mut self.row, sign_in.manner.as_ref());
        let browser = sign_in.browser();
        self.row
            .text("UserAgent", browser.0)
            .text("ClientAppUsed", "Browser")
            .text("Browser", browser.1)
            .text(
                "ConditionalAccessPolicies",
                "[{\"displayName\":\"Second factor for all\",\"result\":\"success\"}]",
            )
            .number("ConditionalAccessStatus", 0)
            .text("RequestId", &request)
            .text("ReportId", &request)
            .text("GatewayJA4", "t13d1516h2_8daaf6152771_02713d6af862")
            .text("TenantId", tenant_id)
            .text("Type", "EntraIdSignInEvents")
            .text("SourceSystem", "Directory")
            .text("UniqueTokenId", &request)
            .flag("IsSignInThroughGlobalSecureAccess", false);
        let place = sign_in.manner.map_or(self.tenant.place, |m| m.from.place);
        let country = match sign_in.manner {
            Some(manner) => manner.from.place.code,
            None => &self.tenant.spec.country,
        };
        self.row
            .text("IPAddress", sign_in.ip)
            .text("Country", country)
            .text("State", place.state)
            .text("City", place.city)
            .text("Latitude", place.latitude)
            .text("Longitude", place.longitude);
        self.emit("EntraIdSignInEvents");
    }
}

impl SignIn<'_> {
    /// User agent and browser.
    fn browser(&self) -> (&'static str, &'static str) {
        match self.manner {
            Some(manner) if !manner.from.own_machine => (manner.from.agent, manner.from.browser),
            _ => browser_of(self.device),
        }
    }
}

/// The machine of a sign-in, as the directory knows it: a stranger's is not known.
fn sign_in_machine(row: &mut Row, sign_in: &SignIn<'_>) {
    let stranger = sign_in.manner.filter(|m| !m.from.own_machine);
    if let Some(manner) = stranger {
        row.missing_text(&["DeviceName", "EntraIdDeviceId"])
            .text("OSPlatform", manner.from.os)
            .missing_text(&["DeviceTrustType"])
            .number("IsManaged", 0)
            .number("IsCompliant", 0);
    } else {
        let managed = u64::from(sign_in.device.os.is_windows());
        row.text("DeviceName", &sign_in.device.short_name)
            .text("EntraIdDeviceId", &sign_in.device.directory_id)
            .text("OSPlatform", sign_in.device.os.platform())
            .text(
                "DeviceTrustType",
                if managed == 1 {
                    "Hybrid Azure AD joined"
                } else {
                    ""
                },
            )
            .number("IsManaged", managed)
            .number("IsCompliant", managed);
    }
    row.text(
        "AuthenticationProcessingDetails",
        "[{\"key\":\"Login Hint Present\",\"value\":\"True\"}]",
    );
}

/// How the directory judges a sign-in.
fn sign_in_risk(row: &mut Row, manner: Option<&Manner<'_>>) {
    let asked_twice = manner.is_none_or(|m| m.asked_twice);
    let risk = manner.map_or(0, |m| m.risk);
    row.text(
        "AuthenticationRequirement",
        if asked_twice {
            "multiFactorAuthentication"
        } else {
            "singleFactorAuthentication"
        },
    )
    .text("TokenIssuerType", "AzureAD")
    .number("RiskLevelAggregated", risk)
    // 4 is `at risk`.
    .number("RiskState", if risk > 0 { 4 } else { 0 })
    .number("RiskLevelDuringSignIn", risk);
    match manner {
        None => row.missing_text(&["RiskEventTypes", "EndpointCall"]),
        Some(manner) => row
            .text("RiskEventTypes", manner.risk_types)
            .text("EndpointCall", manner.endpoint_call),
    };
    row.missing_text(&["NetworkLocationDetails"]);
}

/// User agent and browser of a machine.
pub(crate) fn browser_of(device: &Device) -> (&'static str, &'static str) {
    if device.os.is_windows() {
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/125.0.0.0 Safari/537.36 Edg/125.0.0.0",
            "Edge 125.0.0",
        )
    } else {
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/17.5 Safari/605.1.15",
            "Safari 17.5",
        )
    }
}
