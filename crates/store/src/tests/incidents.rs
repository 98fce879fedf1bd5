//! Alerts, incidents, rules and the outbox: whole or not at all, found again, never in clear.

use model::{
    AlertId, AlertSeverity, Code, DetectionRuleId, IncidentId, IncidentStatus, RegionCode,
    RuleKind, Span100ns, Ticks,
};

use super::kit::{World, on_both_catalogues};
use crate::{
    ActivityRecord, AlertFilter, AlertRecord, DetectionCommit, IncidentFilter, IncidentRecord,
    LinkEntry, StateRecord, Store, WindowRecord,
};

on_both_catalogues! { World::detecting(320);
    what_is_committed_is_read_back_and_after_a_restart
    an_alert_is_there_once_and_stays_as_it_was
    half_a_commit_is_none
    alerts_are_listed_newest_first_in_pages
    incidents_change_one_version_at_a_time_and_are_found_by_what_they_are
    people_commit_incidents_and_nothing_else
    too_much_at_once_is_refused
    windows_of_scheduled_rules_follow_one_another
    rules_are_replaced_by_the_next_version_and_switched
    the_outbox_is_counted_per_region_and_emptied_on_arrival
}

pub(crate) fn alert_id(n: u64) -> AlertId {
    let mut bytes = [0x33; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    AlertId::from_bytes(bytes)
}

fn at(seconds: i64) -> Ticks {
    Ticks(638_000_000_000_000_000).saturating_add(Span100ns::seconds(seconds))
}

fn region(code: &str) -> RegionCode {
    RegionCode::new(code).unwrap()
}

fn alert(n: u64) -> AlertRecord {
    AlertRecord {
        id: alert_id(n),
        created_at: at(i64::try_from(n / 2).unwrap()),
        severity: AlertSeverity::ALL[usize::try_from(n % 4).unwrap()],
        incident: (!n.is_multiple_of(3)).then_some(IncidentId(n % 3)),
        origin: region(if n.is_multiple_of(5) { "uk" } else { "eu" }),
        linked: n.is_multiple_of(5),
        body: format!("planted-body-of-alert-{n}").into_bytes(),
    }
}

fn incident(number: u64, version: u64) -> IncidentRecord {
    IncidentRecord {
        number: IncidentId(number),
        version,
        created_at: at(1),
        updated_at: at(i64::try_from(version).unwrap()),
        status: IncidentStatus::ALL[usize::try_from(version % 4).unwrap()],
        severity: AlertSeverity::Medium,
        assigned: (version > 1).then(|| "planted-analyst@contoso.example".to_owned()),
        body: format!("planted-incident-{number}-{version}").into_bytes(),
    }
}

fn activity(incident: u64, n: i64) -> ActivityRecord {
    ActivityRecord {
        incident: IncidentId(incident),
        at: at(n),
        body: format!("planted-activity-{n}").into_bytes(),
    }
}

fn state(version: u64) -> StateRecord {
    StateRecord {
        version,
        body: format!("planted-state-{version}").into_bytes(),
    }
}

fn rule(id: &str) -> DetectionRuleId {
    DetectionRuleId::new(id).unwrap()
}

async fn commit(world: &World, store: &Store, step: DetectionCommit) -> Result<Vec<AlertId>, Code> {
    let done = store.commit_detection(&world.grant(1), step).await;
    done.map(|d| d.repeated).map_err(|e| e.code())
}

/// Two incidents and twenty alerts, of which some are theirs.
fn filled() -> DetectionCommit {
    DetectionCommit {
        alerts: (1..=20).map(alert).collect(),
        incidents: vec![incident(1, 1), incident(2, 1)],
        activity: vec![activity(1, 1), activity(2, 2), activity(1, 3)],
        state: Some(state(1)),
        detector_state: Some(state(1)),
        ..DetectionCommit::default()
    }
}

async fn what_is_committed_is_read_back_and_after_a_restart(world: World) {
    let mut store = world.start().await;
    assert_eq!(commit(&world, &store, filled()).await, Ok(vec![]));
    for _ in 0..2 {
        for n in 1..=20 {
            let found = store.alert(&world.grant(1), alert_id(n)).await.unwrap();
            assert_eq!(found, Some(alert(n)));
        }
        let other = store.alert(&world.grant(2), alert_id(1)).await.unwrap();
        assert_eq!(other, None, "another tenant's");
        let one = store
            .incident(&world.grant(1), IncidentId(1))
            .await
            .unwrap();
        let one = one.unwrap();
        assert_eq!((one.version, one.body), (1, incident(1, 1).body));
        let log = store.activity(&world.grant(1), IncidentId(1), 0, 10).await;
        let log = log.unwrap();
        assert_eq!(log.iter().map(|e| e.at).collect::<Vec<_>>(), [at(1), at(3)]);
        assert_eq!(
            store
                .activity(&world.grant(1), IncidentId(1), log[0].sequence, 10)
                .await
                .unwrap(),
            log[1..]
        );
        let found = store.detection_state(&world.grant(1)).await.unwrap();
        assert_eq!(found.state, Some(state(1)));
        assert_eq!(found.detector_state, Some(state(1)));
        assert_eq!(found.next_incident, IncidentId(3));
        let counts = store.alert_counts(&world.grant(1)).await.unwrap();
        assert_eq!((counts.local, counts.linked, counts.incidents), (16, 4, 2));
        drop(store);
        store = world.open().await.unwrap();
    }
}

async fn an_alert_is_there_once_and_stays_as_it_was(world: World) {
    let store = world.start().await;
    commit(&world, &store, filled()).await.unwrap();
    let changed = AlertRecord {
        body: b"another".to_vec(),
        ..alert(3)
    };
    let step = DetectionCommit {
        alerts: vec![changed, alert(21)],
        ..DetectionCommit::default()
    };
    assert_eq!(commit(&world, &store, step).await, Ok(vec![alert_id(3)]));
    let found = store.alert(&world.grant(1), alert_id(3)).await.unwrap();
    assert_eq!(found, Some(alert(3)));
    let known = [alert_id(3), alert_id(99), alert_id(21)];
    let known = store.known_alerts(&world.grant(1), &known).await.unwrap();
    assert_eq!(known, [alert_id(3), alert_id(21)]);
    // To another incident, with its seal as it was.
    let step = DetectionCommit {
        moves: vec![(alert_id(3), IncidentId(2))],
        ..DetectionCommit::default()
    };
    commit(&world, &store, step).await.unwrap();
    let found = store
        .alert(&world.grant(1), alert_id(3))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.incident, Some(IncidentId(2)));
    assert_eq!(found.body, alert(3).body);
}

/// Each of these fails in its last part; what came before it must be gone, the cursor included.
async fn half_a_commit_is_none(world: World) {
    let store = world.start().await;
    commit(&world, &store, filled()).await.unwrap();
    world.append(&store, 1, "Raw_CL", &[1]).await.unwrap();
    let good = || DetectionCommit {
        cursor: Some(1),
        rules_version: Some(9),
        alerts: vec![alert(30)],
        incidents: vec![incident(3, 1), incident(1, 2)],
        activity: vec![activity(3, 9)],
        outbox: vec![LinkEntry {
            destination: region("uk"),
            body: b"x".to_vec(),
        }],
        state: Some(state(2)),
        ..DetectionCommit::default()
    };
    let mut bad = Vec::new();
    let mut add = |change: fn(&mut DetectionCommit)| {
        let mut step = good();
        change(&mut step);
        bad.push(step);
    };
    add(|s| s.state = Some(state(3)));
    add(|s| s.state = Some(state(1)));
    add(|s| s.detector_state = Some(state(4)));
    add(|s| s.incidents.push(incident(2, 3)));
    add(|s| s.incidents.push(incident(2, 1)));
    add(|s| s.activity.push(activity(77, 9)));
    add(|s| s.moves.push((alert_id(99), IncidentId(1))));
    let window = |former, end| WindowRecord {
        rule: DetectionRuleId::new("r").unwrap(),
        former,
        end,
    };
    let mut with_window = good();
    with_window.windows = vec![window(Some(at(1)), at(2))];
    bad.push(with_window);
    let mut twice = good();
    twice.windows = vec![window(None, at(2)), window(None, at(3))];
    bad.push(twice);
    for (n, step) in bad.into_iter().enumerate() {
        let refused = commit(&world, &store, step).await.unwrap_err();
        assert!(
            matches!(refused, Code::Conflict | Code::NotFound),
            "{n}: {refused}"
        );
    }
    if world.sqlite.is_none() {
        world.database.fail(1, false);
        assert!(commit(&world, &store, good()).await.is_err());
    }
    assert_eq!(
        store.alert(&world.grant(1), alert_id(30)).await.unwrap(),
        None
    );
    let found = store
        .incident(&world.grant(1), IncidentId(1))
        .await
        .unwrap();
    assert_eq!(found.unwrap().version, 1);
    let found = store.detection_state(&world.grant(1)).await.unwrap();
    assert_eq!((found.cursor, found.rules_version), (Some(0), 0));
    assert_eq!(store.tenants_behind().len(), 1, "the row still waits");
    let pending = store.pending_link(&world.grant(1), &region("uk"), 10).await;
    assert_eq!(pending.unwrap(), []);
    commit(&world, &store, good()).await.unwrap();
    assert_eq!(store.tenants_behind(), []);
    let found = store.detection_state(&world.grant(1)).await.unwrap();
    assert_eq!((found.cursor, found.rules_version), (Some(1), 9));
}

/// Whether an alert is to be listed.
type Lets = fn(&AlertRecord) -> bool;

async fn alerts_are_listed_newest_first_in_pages(world: World) {
    let store = world.start().await;
    commit(&world, &store, filled()).await.unwrap();
    let pages = |filter: AlertFilter, limit| {
        let (store, world) = (&store, &world);
        async move {
            let (mut all, mut filter) = (Vec::new(), filter);
            loop {
                let page = store.alerts(&world.grant(1), &filter, limit).await.unwrap();
                assert!(page.len() <= limit);
                all.extend_from_slice(&page);
                match page.last() {
                    Some(last) => filter.after = Some((last.created_at, last.id)),
                    None => return all,
                }
            }
        }
    };
    let mut expected: Vec<AlertRecord> = (1..=20).map(alert).collect();
    expected.sort_by_key(|a| std::cmp::Reverse((a.created_at, a.id)));
    for limit in [1, 3, 100] {
        assert_eq!(pages(AlertFilter::default(), limit).await, expected);
    }
    let filters: [(AlertFilter, Lets); 5] = [
        (
            AlertFilter {
                from: Some(at(3)),
                to: Some(at(7)),
                ..AlertFilter::default()
            },
            |a| a.created_at >= at(3) && a.created_at < at(7),
        ),
        (
            AlertFilter {
                severity_min: Some(AlertSeverity::Medium),
                ..AlertFilter::default()
            },
            |a| a.severity >= AlertSeverity::Medium,
        ),
        (
            AlertFilter {
                incident: Some(IncidentId(2)),
                ..AlertFilter::default()
            },
            |a| a.incident == Some(IncidentId(2)),
        ),
        (
            AlertFilter {
                linked: Some(true),
                ..AlertFilter::default()
            },
            |a| a.linked,
        ),
        (
            AlertFilter {
                incident: Some(IncidentId(1)),
                linked: Some(false),
                severity_min: Some(AlertSeverity::Low),
                from: Some(at(2)),
                ..AlertFilter::default()
            },
            |a| {
                a.incident == Some(IncidentId(1))
                    && !a.linked
                    && a.severity >= AlertSeverity::Low
                    && a.created_at >= at(2)
            },
        ),
    ];
    for (filter, lets_through) in filters {
        let chosen = expected.iter().filter(|a| lets_through(a)).cloned();
        let chosen: Vec<_> = chosen.collect();
        assert!(!chosen.is_empty() && chosen.len() < expected.len());
        assert_eq!(pages(filter, 2).await, chosen, "{filter:?}");
    }
}

async fn incidents_change_one_version_at_a_time_and_are_found_by_what_they_are(world: World) {
    let store = world.start().await;
    let new = DetectionCommit {
        incidents: (1..=5).map(|n| incident(n, 1)).collect(),
        ..DetectionCommit::default()
    };
    commit(&world, &store, new).await.unwrap();
    let change = |record: IncidentRecord| {
        let step = DetectionCommit {
            activity: vec![activity(record.number.0, 5)],
            incidents: vec![record],
            ..DetectionCommit::default()
        };
        let (store, grant) = (store.clone(), world.grant(1));
        async move {
            store
                .commit_incidents(&grant, step)
                .await
                .map_err(|e| e.code())
        }
    };
    change(incident(2, 2)).await.unwrap();
    // Somebody else was faster.
    assert_eq!(change(incident(2, 2)).await.unwrap_err(), Code::Conflict);
    change(incident(2, 3)).await.unwrap();
    change(incident(4, 2)).await.unwrap();
    let found = |filter: IncidentFilter| {
        let (store, grant) = (store.clone(), world.grant(1));
        async move {
            let all = store.incidents(&grant, &filter, 10).await.unwrap();
            all.into_iter()
                .map(|i| (i.number.0, i.version))
                .collect::<Vec<_>>()
        }
    };
    let all = IncidentFilter::default();
    assert_eq!(
        found(all.clone()).await,
        [(5, 1), (4, 2), (3, 1), (2, 3), (1, 1)]
    );
    let before = IncidentFilter {
        before: Some(IncidentId(3)),
        ..all.clone()
    };
    assert_eq!(found(before).await, [(2, 3), (1, 1)]);
    let status = IncidentFilter {
        status: Some(incident(4, 2).status),
        ..all.clone()
    };
    assert_eq!(found(status).await, [(4, 2)]);
    let assigned = IncidentFilter {
        assigned: incident(2, 3).assigned,
        ..all.clone()
    };
    assert_eq!(found(assigned).await, [(4, 2), (2, 3)]);
    let stranger = IncidentFilter {
        assigned: Some("somebody".to_owned()),
        ..all.clone()
    };
    assert_eq!(found(stranger).await, []);
    let since = IncidentFilter {
        updated_since: Some(at(3)),
        ..all.clone()
    };
    assert_eq!(found(since).await, [(2, 3)]);
    let worse = IncidentFilter {
        severity_min: Some(AlertSeverity::High),
        ..all
    };
    assert_eq!(found(worse).await, []);
}

async fn people_commit_incidents_and_nothing_else(world: World) {
    let store = world.start().await;
    let steps = [
        DetectionCommit {
            cursor: Some(0),
            ..DetectionCommit::default()
        },
        DetectionCommit {
            alerts: vec![alert(1)],
            ..DetectionCommit::default()
        },
        DetectionCommit {
            detector_state: Some(state(1)),
            ..DetectionCommit::default()
        },
        DetectionCommit {
            outbox: vec![LinkEntry {
                destination: region("uk"),
                body: vec![],
            }],
            ..DetectionCommit::default()
        },
    ];
    for step in steps {
        let refused = store.commit_incidents(&world.grant(1), step).await;
        assert_eq!(refused.unwrap_err().code(), Code::Denied);
    }
}

async fn too_much_at_once_is_refused(world: World) {
    let store = world.start().await;
    let large = AlertRecord {
        body: vec![0; model::limits::DETECTION_ITEM_BYTES_MAX + 1],
        ..alert(1)
    };
    let step = DetectionCommit {
        alerts: vec![large],
        ..DetectionCommit::default()
    };
    assert_eq!(commit(&world, &store, step).await, Err(Code::TooLarge));
    let many = model::limits::DETECTION_COMMIT_ALERTS_MAX + 1;
    let step = DetectionCommit {
        alerts: vec![alert(1); many],
        ..DetectionCommit::default()
    };
    assert_eq!(commit(&world, &store, step).await, Err(Code::TooLarge));
}

async fn windows_of_scheduled_rules_follow_one_another(world: World) {
    let store = world.start().await;
    let window = |id: &str, former: Option<i64>, end: i64| DetectionCommit {
        windows: vec![WindowRecord {
            rule: rule(id),
            former: former.map(at),
            end: at(end),
        }],
        ..DetectionCommit::default()
    };
    commit(&world, &store, window("a", None, 60)).await.unwrap();
    commit(&world, &store, window("b", None, 30)).await.unwrap();
    commit(&world, &store, window("a", Some(60), 120))
        .await
        .unwrap();
    // Repeated, skipped, backwards.
    for step in [
        window("a", Some(60), 120),
        window("a", Some(180), 240),
        window("a", Some(120), 120),
    ] {
        assert_eq!(commit(&world, &store, step).await, Err(Code::Conflict));
    }
    drop(store);
    let store = world.open().await.unwrap();
    let rules = [rule("b"), rule("c"), rule("a")];
    let ends = store.rule_windows(&world.grant(1), &rules).await.unwrap();
    assert_eq!(ends, [Some(at(30)), None, Some(at(120))]);
    let other = store.rule_windows(&world.grant(2), &rules).await.unwrap();
    assert_eq!(other, [None, None, None]);
}

async fn rules_are_replaced_by_the_next_version_and_switched(world: World) {
    let mut store = world.start().await;
    let put = |store: &Store, id: &str, text: &str, enabled: bool| {
        let (store, grant, id) = (store.clone(), world.grant(1), rule(id));
        let text = text.to_owned();
        async move {
            store
                .put_rule(&grant, &id, RuleKind::Sigma, enabled, &text)
                .await
                .unwrap()
        }
    };
    assert_eq!(put(&store, "mine", "one", true).await, 1);
    assert_eq!(put(&store, "mine", "one", true).await, 1, "nothing changed");
    assert_eq!(put(&store, "mine", "one", false).await, 1, "the same text");
    assert_eq!(put(&store, "mine", "two", true).await, 2);
    assert_eq!(put(&store, "another", "three", false).await, 1);
    let operate = world.operate();
    assert_eq!(
        store
            .put_cell_rule(&operate, &rule("mine"), RuleKind::Scheduled, true, "cell")
            .await
            .unwrap(),
        1
    );
    store
        .set_rule_enabled(&world.grant(1), &rule("another"), true)
        .await
        .unwrap();
    assert_eq!(
        store
            .set_rule_enabled(&world.grant(2), &rule("mine"), false)
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    store
        .set_cell_rule_enabled(&operate, &rule("mine"), false)
        .await
        .unwrap();
    for _ in 0..2 {
        let grant = world.grant::<access::ManageRules>(1);
        let rules = store.rules(&grant).await.unwrap();
        let told: Vec<_> = rules
            .iter()
            .map(|r| (r.id.as_str(), r.version, r.enabled, r.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [("another", 1, true, "three"), ("mine", 2, true, "two")]
        );
        let grant = world.grant::<access::Maintain>(2);
        assert_eq!(store.rules(&grant).await.unwrap(), []);
        let cell = store.cell_rules().await.unwrap();
        assert_eq!(
            (cell.len(), cell[0].enabled, cell[0].kind),
            (1, false, RuleKind::Scheduled)
        );
        drop(store);
        store = world.open().await.unwrap();
    }
    let long = "x".repeat(model::limits::RULE_BYTES_MAX + 1);
    assert_eq!(
        store
            .put_rule(&world.grant(1), &rule("long"), RuleKind::Sigma, true, &long)
            .await
            .unwrap_err()
            .code(),
        Code::TooLarge
    );
}

async fn the_outbox_is_counted_per_region_and_emptied_on_arrival(world: World) {
    let store = world.start().await;
    let entry = |to: &str, n: u64| LinkEntry {
        destination: region(to),
        body: format!("entry {n}").into_bytes(),
    };
    for n in 1..=3 {
        let step = DetectionCommit {
            alerts: vec![alert(n)],
            outbox: vec![entry("uk", n), entry("us", n)],
            ..DetectionCommit::default()
        };
        commit(&world, &store, step).await.unwrap();
    }
    let pending = |store: &Store, to: &str| {
        let (store, grant, to) = (store.clone(), world.grant(1), region(to));
        async move {
            let all = store.pending_link(&grant, &to, 2).await.unwrap();
            all.into_iter()
                .map(|p| (p.sequence, p.body))
                .collect::<Vec<_>>()
        }
    };
    let expected = |numbers: &[u64]| -> Vec<(u64, Vec<u8>)> {
        numbers
            .iter()
            .map(|n| (*n, format!("entry {n}").into_bytes()))
            .collect()
    };
    assert_eq!(pending(&store, "uk").await, expected(&[1, 2]));
    let gone = store
        .acknowledge_link(&world.grant(1), &region("uk"), 2)
        .await;
    assert_eq!(gone.unwrap(), 2);
    let again = store
        .acknowledge_link(&world.grant(1), &region("uk"), 1)
        .await;
    assert_eq!(again.unwrap(), 0);
    let early = store
        .acknowledge_link(&world.grant(1), &region("uk"), 4)
        .await;
    assert_eq!(early.unwrap_err().code(), Code::Conflict);
    drop(store);
    let store = world.open().await.unwrap();
    assert_eq!(pending(&store, "uk").await, expected(&[3]));
    assert_eq!(pending(&store, "us").await, expected(&[1, 2]));
    store
        .acknowledge_link(&world.grant(1), &region("uk"), 3)
        .await
        .unwrap();
    // Numbers go on where they were, though nothing is there any more.
    let step = DetectionCommit {
        outbox: vec![entry("uk", 4)],
        ..DetectionCommit::default()
    };
    commit(&world, &store, step).await.unwrap();
    assert_eq!(pending(&store, "uk").await, expected(&[4]));
    let counts = store
        .link_counts(&world.grant(1), &region("uk"))
        .await
        .unwrap();
    assert_eq!((counts.entries, counts.waiting), (4, 1));
    assert!(counts.bytes > 4 * 7);
    let none = store
        .link_counts(&world.grant(2), &region("uk"))
        .await
        .unwrap();
    assert_eq!(none, crate::LinkCounts::default());
    let leaves = store.leaves(&world.grant(1), 0, 100).await.unwrap();
    let delivered = leaves
        .iter()
        .filter(|l| l.happening == ledger::Happening::LinkDelivered);
    let entries: Vec<_> = delivered.map(|l| l.details["entries"].clone()).collect();
    assert_eq!(entries, ["2", "1"]);
}

#[tokio::test]
async fn a_damaged_row_is_named_and_the_others_are_served() {
    let world = World::detecting(329);
    let store = world.start().await;
    commit(&world, &store, filled()).await.unwrap();
    let (bad, worse) = (alert_id(7), alert_id(12));
    let is_bad = |row: &crate::catalogue::AlertRow| row.alert == bad || row.alert == worse;
    world.database.spoil(is_bad, |i| i.number == 1, |_| false);
    // Pages of three: what is left out leaves no hole.
    let (mut seen, mut filter) = (Vec::new(), AlertFilter::default());
    loop {
        let page = store.alerts(&world.grant(1), &filter, 3).await.unwrap();
        filter.after = page.last().map(|a| (a.created_at, a.id));
        seen.extend(page.iter().map(|a| a.id));
        if page.len() < 3 {
            break;
        }
    }
    assert_eq!(seen.len(), 18, "{seen:?}");
    assert!(!seen.contains(&bad) && !seen.contains(&worse));
    let incidents = store
        .incidents(&world.grant(1), &IncidentFilter::default(), 10)
        .await
        .unwrap();
    assert_eq!(incidents.len(), 1);
    let named: Vec<(&str, String)> = store
        .damaged_rows(&world.grant(1))
        .unwrap()
        .into_iter()
        .map(|row| (row.table, row.number))
        .collect();
    assert_eq!(named.len(), 3, "{named:?}");
    assert!(named.contains(&("alert", bad.to_string())));
    assert!(named.contains(&("incident", "1".to_owned())));
    // Alone it is an error with its name.
    let alone = store.alert(&world.grant(1), bad).await.unwrap_err();
    assert_eq!(alone.code(), Code::TenantDamaged);
    assert!(alone.to_string().contains(&bad.to_string()), "{alone}");
    let alone = store.incident(&world.grant(1), IncidentId(1)).await;
    assert_eq!(alone.unwrap_err().code(), Code::TenantDamaged);
    // Its version is known, and the next one heals it.
    let version = store.incident_version(&world.grant(1), IncidentId(1)).await;
    assert_eq!(version.unwrap(), Some(1));
    let next = DetectionCommit {
        incidents: vec![incident(1, 2)],
        ..DetectionCommit::default()
    };
    commit(&world, &store, next).await.unwrap();
    let healed = store
        .incident(&world.grant(1), IncidentId(1))
        .await
        .unwrap();
    assert_eq!(healed.unwrap().body, incident(1, 2).body);
    assert_eq!(store.damaged_rows(&world.grant(1)).unwrap().len(), 2);
}

#[tokio::test]
async fn a_damaged_state_is_told_with_its_version_so_that_another_can_follow() {
    use crate::catalogue::StateKind;
    let world = World::detecting(330);
    let store = world.start().await;
    commit(&world, &store, filled()).await.unwrap();
    let is_detectors = |kind| kind == StateKind::Detectors;
    world.database.spoil(|_| false, |_| false, is_detectors);
    let found = store.detection_state(&world.grant(1)).await.unwrap();
    assert_eq!(found.state, Some(state(1)));
    assert_eq!((found.damaged_state, found.detector_state), (None, None));
    assert_eq!(found.damaged_detector_state, Some(1));
    let next = DetectionCommit {
        detector_state: Some(state(2)),
        ..DetectionCommit::default()
    };
    commit(&world, &store, next).await.unwrap();
    let found = store.detection_state(&world.grant(1)).await.unwrap();
    assert_eq!(found.detector_state, Some(state(2)));
    assert_eq!(found.damaged_detector_state, None);
    assert_eq!(store.damaged_rows(&world.grant(1)).unwrap(), []);
}
