//! Rows to alerts to incidents, at home and over the tenant link.

use std::sync::atomic::Ordering;

use access::{Credential, ManageIncidents, Operate, ReadIncidents};
use model::{AlertSeverity, Code, IncidentId, IncidentStatus, SourceId, TenantId};
use serde_json::json;
use store::{AlertFilter, IncidentFilter};

use super::kit::{World, record, region};
use crate::{AlertView, Change, IncidentView, Update};

const ENCODED: &str = "
title: PowerShell with an encoded command
id: 7f3c0a4e-5b1d-4c79-9d0e-2a1b3c4d5e6f
status: test
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    Image|endswith: '\\powershell.exe'
    CommandLine|contains: ' -enc '
  condition: selection
level: high
tags:
  - attack.execution
  - attack.t1059.001
";

const ODD_LOGON: &str = "
title: Logon from an odd place
id: 0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b
status: test
logsource:
  product: bailiwick
  service: IdentityLogonEvents
detection:
  selection:
    Location: 'XX'
  condition: selection
level: medium
tags:
  - attack.initial-access
  - attack.t1078
";

const ODD_PORT: &str = "
title: Connection to an odd port
id: 5b4a3928-1706-4f5e-8d4c-3b2a19081726
status: test
logsource:
  product: bailiwick
  service: DeviceNetworkEvents
detection:
  selection:
    RemotePort: 4444
  condition: selection
level: medium
tags:
  - attack.command-and-control
  - attack.t1571
";

/// The same person on a device at home and in the directory that rests elsewhere.
const PERSON: &str = "ada.example@alder.example";

pub(super) async fn with_rules(world: &World) {
    for code in ["eu", "uk"] {
        let cell = world.cell(code);
        let me = Credential::local_operator();
        let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
        for text in [ENCODED, ODD_LOGON, ODD_PORT] {
            let rule = cell.put_cell_rule(&operate, text.to_owned(), true);
            rule.await.unwrap();
        }
    }
}

fn process(at: &str) -> String {
    record(
        "DeviceProcessEvents",
        at,
        json!({
            "ReportId": 7, "DeviceId": "d1", "DeviceName": "laptop-ada.alder.example",
            "ActionType": "ProcessCreated",
            "FileName": "powershell.exe", "FolderPath": "C:\\Windows\\System32\\powershell.exe",
            "ProcessCommandLine": "powershell.exe -enc SQBFAFgA", "ProcessId": 4321,
            "AccountUpn": PERSON, "AccountName": "ada", "AccountDomain": "alder",
        }),
    )
}

/// Of another person on another device.
fn connection(at: &str) -> String {
    record(
        "DeviceNetworkEvents",
        at,
        json!({
            "ReportId": 8, "DeviceId": "d2", "DeviceName": "laptop-ben.alder.example",
            "ActionType": "ConnectionSuccess", "RemoteIP": "203.0.113.77", "RemotePort": 4444,
            "InitiatingProcessAccountUpn": "ben.example@alder.example",
        }),
    )
}

fn logon(at: &str) -> String {
    logon_of(at, "")
}

fn logon_of(at: &str, target: &str) -> String {
    record(
        "IdentityLogonEvents",
        at,
        json!({
            "ReportId": "l1", "ActionType": "LogonSuccess", "Application": "Active Directory",
            "AccountUpn": PERSON, "TargetAccountUpn": target, "Location": "XX", "IPAddress": "203.0.113.77",
        }),
    )
}

impl World {
    async fn alerts(&self, code: &str, tenant: TenantId) -> Vec<AlertView> {
        let cell = self.cell(code);
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
        cell.alerts(&grant, &AlertFilter::default(), 100)
            .await
            .unwrap()
    }

    async fn incidents(&self, tenant: TenantId) -> Vec<IncidentView> {
        let cell = self.cell("uk");
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
        cell.incidents(&grant, &IncidentFilter::default(), 100)
            .await
            .unwrap()
    }

    async fn attacked(&self) -> (TenantId, SourceId) {
        with_rules(self).await;
        let (tenant, source) = self.tenant("uk", "GB").await;
        let lines = [process("2026-01-01T10:10:00Z")];
        assert_eq!(self.send("uk", tenant, source, &lines).await.stored, 1);
        let lines = [logon("2026-01-01T10:00:00Z")];
        assert_eq!(self.send("eu", tenant, source, &lines).await.stored, 1);
        (tenant, source)
    }

    fn crossed(&self, needle: &str) -> bool {
        let crossed = self.link.crossed.lock().unwrap();
        let found = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(needle);
        crossed.iter().any(found)
    }
}

#[tokio::test]
async fn one_person_in_two_geographies_is_one_incident_and_no_name_crosses() {
    let world = World::new().await;
    let (tenant, _) = world.attacked().await;
    assert_eq!(world.cell("uk").detect_step().await.alerts, 1);
    world.cell("eu").detect_step().await;
    world.cell("eu").detect_step().await;

    let incidents = world.incidents(tenant).await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let summary = &incidents[0].summary;
    assert_eq!((summary.id, summary.alerts.len()), (IncidentId(1), 2));
    assert_eq!(summary.severity, AlertSeverity::High);
    let origins: Vec<_> = summary
        .origins
        .iter()
        .map(model::RegionCode::as_str)
        .collect();
    assert_eq!(origins, ["eu", "uk"]);

    assert!(world.crossed("bailiwick-link-alerts"));
    for name in [PERSON, "203.0.113.77", "laptop-ada", "SQBFAFgA"] {
        assert!(!world.crossed(name), "{name} crossed");
    }

    // Who looks reads the content where it rests.
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let alerts = world.alerts("uk", tenant).await;
    let away = alerts.iter().find(|a| !a.is_here).unwrap();
    assert_eq!(away.title, "Logon from an odd place");
    let detail = cell.alert(&grant, away.id).await.unwrap();
    let names: Vec<_> = detail
        .alert
        .unwrap()
        .entities
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert!(names.iter().any(|n| n == PERSON), "{names:?}");
    assert!(!world.crossed(PERSON), "the answer is sealed");

    // The content rests in its origin alone, and an incident's view says where.
    let shown = cell.incident(&grant, IncidentId(1)).await.unwrap();
    assert_eq!(shown.elsewhere, [(region("eu"), 1)]);
    assert_eq!(shown.path.to_string(), "sign-in → process");
    assert!(
        shown
            .hunts
            .iter()
            .any(|h| h.query.contains("DeviceProcessEvents"))
    );
}

#[tokio::test]
async fn an_incident_that_comes_and_goes_within_one_step_keeps_its_number() {
    let world = World::new().await;
    with_rules(&world).await;
    let (tenant, source) = world.tenant("eu", "IE").await;
    let lines = [
        process("2026-01-01T10:10:00Z"),
        connection("2026-01-01T10:11:00Z"),
        // The table after it in the step: this alert is what the other two have in common.
        logon_of("2026-01-01T10:12:00Z", "ben.example@alder.example"),
    ];
    assert_eq!(world.send("eu", tenant, source, &lines).await.stored, 3);
    let cell = world.cell("eu");
    assert_eq!(cell.detect_step().await.alerts, 3);
    // The rows about these alerts.
    cell.detect_step().await;
    assert!(cell.store().tenants_behind().is_empty());

    let me = Credential::local_operator();
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let kept = cell.incident(&grant, IncidentId(1)).await.unwrap();
    assert_eq!(kept.view.summary.alerts.len(), 3);
    let gone = cell.incident(&grant, IncidentId(2)).await.unwrap();
    assert_eq!(gone.view.summary.status, IncidentStatus::Redirected);
    assert_eq!(gone.view.redirected_to, Some(IncidentId(1)));
    assert!(gone.view.summary.alerts.is_empty());
    let log = cell
        .incident_activity(&grant, IncidentId(2), 0, 100)
        .await
        .unwrap();
    assert!(
        log.iter().any(|a| a.activity.what == "redirected"),
        "{log:?}"
    );
    for alert in world.alerts("eu", tenant).await {
        assert_eq!(alert.incident, Some(IncidentId(1)), "{}", alert.title);
    }
}

#[tokio::test]
async fn any_set_of_rules_can_be_in_force() {
    // A set's version is a hash of its rules; sixteen of them have every upper bit in some.
    let world = World::new().await;
    let (tenant, source) = world.tenant("eu", "IE").await;
    let cell = world.cell("eu");
    let me = Credential::local_operator();
    let operate = cell.cx().decide_cell::<Operate>(&me).unwrap();
    for n in 0..16 {
        let text = ODD_PORT.replace("4444", &format!("{}", 5000 + n));
        cell.put_cell_rule(&operate, text, true).await.unwrap();
        let at = format!("2026-01-01T10:{n:02}:00Z");
        let sent = world.send("eu", tenant, source, &[logon(&at)]).await;
        assert_eq!(sent.stored, 1);
        assert_eq!(cell.detect_step().await.failures, 0, "port {}", 5000 + n);
    }
}

#[tokio::test]
async fn an_origin_that_is_cut_off_keeps_its_alerts_until_it_is_back() {
    let world = World::new().await;
    let (tenant, _) = world.attacked().await;
    world.link.is_cut.store(true, Ordering::Release);
    for _ in 0..3 {
        world.cell("eu").detect_step().await;
        world.cell("uk").detect_step().await;
    }
    assert_eq!(world.incidents(tenant).await[0].summary.alerts.len(), 1);
    world.link.is_cut.store(false, Ordering::Release);
    for _ in 0..3 {
        world.cell("eu").detect_step().await;
    }
    assert_eq!(world.incidents(tenant).await[0].summary.alerts.len(), 2);

    // While it is cut off again, its alert is listed and says that its content is not to be had.
    world.link.is_cut.store(true, Ordering::Release);
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let alerts = world.alerts("uk", tenant).await;
    let away = alerts.iter().find(|a| !a.is_here).unwrap();
    let detail = cell.alert(&grant, away.id).await.unwrap();
    assert_eq!(detail.alert, None);
    assert!(detail.notice.unwrap().contains("region `eu`"));
}

#[tokio::test]
async fn a_forged_link_message_is_refused() {
    let world = World::new().await;
    let (tenant, _) = world.attacked().await;
    world.cell("eu").detect_step().await;
    world.cell("eu").detect_step().await;
    let messages: Vec<Vec<u8>> = world.link.crossed.lock().unwrap().clone();
    let is_alerts = |m: &&Vec<u8>| m.starts_with(b"bailiwick-signed v1 link-alerts");
    let message = messages.iter().find(is_alerts).unwrap();
    let (uk, us) = (world.cell("uk"), world.cell("us"));

    assert!(
        uk.accept_alerts(&region("eu"), message).await.is_ok(),
        "the same again is fine"
    );
    assert_eq!(world.alerts("uk", tenant).await.len(), 1);
    let other = uk.accept_alerts(&region("us"), message).await.unwrap_err();
    assert_eq!(
        other.code(),
        Code::BadRequest,
        "a cell speaks for itself alone"
    );
    let elsewhere = us.accept_alerts(&region("eu"), message).await.unwrap_err();
    assert_eq!(elsewhere.code(), Code::NotFound);
    let mut changed = message.clone();
    let at = changed.len() - 20;
    changed[at] ^= 1;
    let changed = uk.accept_alerts(&region("eu"), &changed).await.unwrap_err();
    assert!(matches!(
        changed.code(),
        Code::BadSignature | Code::BadRequest
    ));
}

#[tokio::test]
async fn people_work_on_an_incident_and_every_change_is_written_down() {
    let world = World::new().await;
    let (tenant, _) = world.attacked().await;
    world.cell("uk").detect_step().await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<ManageIncidents>(&me, tenant).unwrap();
    let update = Update {
        status: Some(IncidentStatus::InProgress),
        assigned: Some(Some("grace@alder.example".to_owned())),
        comment: Some("looking".to_owned()),
        add_tags: vec!["vip".to_owned()],
        ..Update::default()
    };
    let change = Change::Update(Box::new(update));
    let changed = cell
        .change_incident(&grant, IncidentId(1), change)
        .await
        .unwrap();
    assert_eq!(changed.summary.status, IncidentStatus::InProgress);
    assert_eq!(changed.version, 2);

    let reads = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let log = cell
        .incident_activity(&reads, IncidentId(1), 0, 100)
        .await
        .unwrap();
    let what: Vec<_> = log.iter().map(|e| e.activity.what.as_str()).collect();
    assert_eq!(what[0], "created");
    for expected in ["status", "assigned", "comment", "tagged"] {
        assert!(what.contains(&expected), "{what:?}");
    }
    let filter = IncidentFilter {
        assigned: Some("grace@alder.example".to_owned()),
        ..IncidentFilter::default()
    };
    assert_eq!(cell.incidents(&reads, &filter, 10).await.unwrap().len(), 1);
    let missing = cell
        .change_incident(
            &grant,
            IncidentId(9),
            Change::Unlink(changed.summary.alerts[0]),
        )
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

const EVERY_HOUR: &str = "
id: 5a1f6d52-4a0c-4a3e-9a0a-6a1b2c3d4e5f
title: Somebody did something
description: For a test.
severity: Low
category: Discovery
techniques: [T1087]
service: endpoint
frequency: 1h
look_back: 6h
query: |
  DeviceEvents
entities:
  - type: User
    columns: {AccountUpn: AccountUpn}
";

#[tokio::test]
async fn a_scheduled_rule_runs_each_window_once_and_catches_up_after_a_pause() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let rules = cell
        .cx()
        .decide::<access::ManageRules>(&me, tenant)
        .unwrap();
    // The shipped ones ask of tables that this engine knows nothing of.
    let shipped = cell.rules(&rules);
    for rule in shipped
        .iter()
        .filter(|r| r.kind == model::RuleKind::Scheduled)
    {
        let switched = cell.switch_rule(&rules, &rule.id, false).await.unwrap();
        assert!(!switched.enabled);
    }
    cell.put_rule(&rules, EVERY_HOUR.to_owned(), true)
        .await
        .unwrap();
    let windows = || world.hunting.windows.lock().unwrap().len();
    cell.detect_step().await;
    cell.detect_step().await;
    let seen = world.hunting.windows.lock().unwrap().clone();
    assert_eq!(windows(), 1, "the first window, once: {seen:?}");
    assert_eq!(world.alerts("uk", tenant).await.len(), 1);

    // Three hours later: three windows; the same person with the same row is no news.
    world.clock.advance(model::Span100ns::seconds(3 * 3_600));
    for _ in 0..3 {
        cell.detect_step().await;
    }
    assert_eq!(windows(), 4);
    let seen = world.hunting.windows.lock().unwrap().clone();
    assert!(seen.windows(2).all(|w| w[0].1 < w[1].1), "{seen:?}");
    assert_eq!(world.alerts("uk", tenant).await.len(), 1);
    assert_eq!(world.incidents(tenant).await.len(), 1);
}

#[tokio::test]
async fn a_rule_with_errors_changes_nothing_and_says_where() {
    let world = World::new().await;
    let (tenant, _) = world.tenant("uk", "GB").await;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let rules = cell
        .cx()
        .decide::<access::ManageRules>(&me, tenant)
        .unwrap();
    let before = cell.rules(&rules);
    for text in ["title: x", "nonsense: [", "query: T\nfrequency: 1s"] {
        let refused = cell
            .put_rule(&rules, text.to_owned(), true)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::BadRule, "{text}");
    }
    assert_eq!(cell.rules(&rules), before);
}

/// Rows that a rule matches one by one.
fn many(rule_of: &str, rows: u32) -> Vec<String> {
    let at = "2026-01-01T10:00:00Z";
    let line = |n: u32| match rule_of {
        "uk" => record(
            "DeviceProcessEvents",
            at,
            json!({
                "ReportId": n, "DeviceId": format!("d{n}"), "ActionType": "ProcessCreated",
                "FileName": "powershell.exe",
                "FolderPath": "C:\\Windows\\System32\\powershell.exe",
                "ProcessCommandLine": "powershell.exe -enc SQBFAFgA",
            }),
        ),
        _ => record(
            "IdentityLogonEvents",
            at,
            json!({
                "ReportId": format!("l{n}"), "ActionType": "LogonSuccess",
                "Application": "Active Directory", "Location": "XX",
                "AccountUpn": format!("person-{n}@alder.example"),
            }),
        ),
    };
    (0..rows).map(line).collect()
}

impl World {
    async fn counted(&self, code: &str, tenant: TenantId) -> u64 {
        let cell = self.cell(code);
        let me = Credential::local_operator();
        let grant = cell
            .cx()
            .decide::<access::ResidencyRead>(&me, tenant)
            .unwrap();
        let counts = cell.store().alert_counts(&grant).await.unwrap();
        counts.local
    }

    /// Examines what waits, and dies as soon as a part of what was found is kept.
    async fn killed_between_parts(&mut self, code: &str, tenant: TenantId, all: u64) {
        let cell = self.cell(code).clone();
        let step = tokio::spawn(async move { cell.detect_step().await });
        while self.counted(code, tenant).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        step.abort();
        let _ = step.await;
        self.open(code).await;
        let kept = self.counted(code, tenant).await;
        assert!(0 < kept && kept < all, "{kept} of {all}: killed too late");
    }
}

#[tokio::test]
async fn more_alerts_than_one_commit_keeps_are_all_there_once_after_a_kill_between_the_parts() {
    // Three parts, the last one with less.
    const ROWS: u32 = 2_400;
    let mut world = World::new().await;
    with_rules(&world).await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    world.send("uk", tenant, source, &many("uk", ROWS)).await;
    world
        .killed_between_parts("uk", tenant, u64::from(ROWS))
        .await;
    let report = world.cell("uk").detect_step().await;
    assert_eq!(report.failures, 0);
    assert_eq!(world.counted("uk", tenant).await, u64::from(ROWS));
    assert_eq!(world.cell("uk").detect_step().await.alerts, 0, "examined");
    // Each is in one incident, and an incident does not count one twice.
    let mut members = std::collections::BTreeSet::new();
    let mut counted = 0;
    let me = Credential::local_operator();
    let cell = world.cell("uk");
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    let mut filter = IncidentFilter::default();
    loop {
        let page = cell.incidents(&grant, &filter, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.summary.id);
        for view in &page {
            counted += view.summary.alerts.len();
            members.extend(view.summary.alerts.iter().copied());
        }
    }
    assert_eq!(counted, members.len(), "no alert is in two incidents");
    assert_eq!(members.len(), usize::try_from(ROWS).unwrap());
}

#[tokio::test]
async fn the_cap_of_the_link_counts_an_alert_once_over_a_kill_and_says_what_stays() {
    const ROWS: u32 = 2_400;
    let mut world = World::new().await;
    with_rules(&world).await;
    let (tenant, source) = world.tenant("uk", "GB").await;
    world.send("eu", tenant, source, &many("eu", ROWS)).await;
    world
        .killed_between_parts("eu", tenant, u64::from(ROWS))
        .await;
    for _ in 0..4 {
        assert_eq!(world.cell("eu").detect_step().await.failures, 0);
    }
    assert_eq!(world.counted("eu", tenant).await, u64::from(ROWS));
    let me = Credential::local_operator();
    let eu = world.cell("eu");
    let grant = eu.cx().decide::<access::ReadEgress>(&me, tenant).unwrap();
    let [view] = &*eu.link_views(&grant).await.unwrap() else {
        panic!("one link");
    };
    let sent = view.sent.unwrap();
    let cap = u64::from(model::limits::LINK_ALERTS_PER_RULE_DAY_MAX);
    assert_eq!((sent.entries, sent.waiting), (cap, 0));
    assert_eq!(view.held_back, u64::from(ROWS) - cap);
    let uk = world.cell("uk");
    let grant = uk.cx().decide::<access::ReadEgress>(&me, tenant).unwrap();
    let [view] = &*uk.link_views(&grant).await.unwrap() else {
        panic!("one link");
    };
    assert_eq!((&view.region, view.sent), (&region("eu"), None));
    assert!(view.held_back > 0);
}

#[tokio::test]
async fn each_use_of_the_link_is_on_record_in_both_cells_and_counted_once() {
    let mut world = World::new().await;
    let (tenant, _) = world.attacked().await;
    world.cell("uk").detect_step().await;
    // The first answer is lost on the way, and both cells die.
    world.link.loses_answers.store(true, Ordering::Release);
    world.cell("eu").detect_step().await;
    world.open("eu").await;
    world.open("uk").await;
    world.link.loses_answers.store(false, Ordering::Release);
    for _ in 0..3 {
        world.cell("eu").detect_step().await;
    }
    let record = async |code: &str, what: ledger::Happening| {
        let cell = world.cell(code);
        let me = Credential::local_operator();
        let grant = cell.cx().decide::<access::ReadTenant>(&me, tenant).unwrap();
        let mut all = cell.store().leaves(&grant, 0, 1_000).await.unwrap();
        all.retain(|leaf| leaf.happening == what);
        all
    };
    let delivered = record("eu", ledger::Happening::LinkDelivered).await;
    let received = record("uk", ledger::Happening::LinkReceived).await;
    assert_eq!((delivered.len(), received.len()), (1, 1), "counted once");
    for name in ["entries", "upto"] {
        assert_eq!(delivered[0].details[name], "1");
        assert_eq!(received[0].details[name], "1");
    }
    assert_eq!(received[0].details["region"], "eu");
    assert_eq!(delivered[0].details["region"], "uk");
    assert_eq!(world.alerts("uk", tenant).await.len(), 2);

    // A look at what rests there: at home, too, also if there is no answer.
    let alerts = world.alerts("uk", tenant).await;
    let away = alerts.iter().find(|a| !a.is_here).unwrap().id;
    let cell = world.cell("uk");
    let me = Credential::local_operator();
    let grant = cell.cx().decide::<ReadIncidents>(&me, tenant).unwrap();
    cell.alert(&grant, away).await.unwrap();
    world.link.is_cut.store(true, Ordering::Release);
    cell.alert(&grant, away).await.unwrap();
    let home = record("uk", ledger::Happening::AlertRead).await;
    let there = record("eu", ledger::Happening::AlertRead).await;
    assert_eq!((home.len(), there.len()), (2, 1));
    assert_eq!(home[0].details["alert"], away.to_string());
    assert_eq!(home[0].details["region"], "eu");
    assert_eq!(there[0].details["home"], "uk");
}
