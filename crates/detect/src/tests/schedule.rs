//! Queries on a schedule: their documents, when they are due, what their rows mean.

use model::{EntityKind, KeyKind, Ticks, limits};
use serde_json::{Value, json};

use super::help;
use crate::RuleText;
use crate::schedule::{
    Outcome, ResultRows, ScheduleState, ScheduledRule, Window, compile_scheduled,
};

fn text(frequency: &str, look_back: &str) -> String {
    format!(
        "id: s\ntitle: t\nseverity: High\ncategory: Discovery\ntechniques: [T1087]\n\
         query: SignInLogs\nfrequency: {frequency}\nlook_back: {look_back}\n\
         entities:\n  - type: User\n    columns: {{AccountUpn: Who}}\n"
    )
}

fn problems(text: &str) -> Vec<String> {
    let rules = compile_scheduled(&[RuleText {
        name: "s.yml",
        text,
    }]);
    assert_eq!(rules.rules.is_empty(), !rules.problems.is_empty());
    rules.problems.into_iter().map(|p| p.message).collect()
}

fn rule(frequency: &str, look_back: &str) -> ScheduledRule {
    let text = text(frequency, look_back);
    let mut rules = compile_scheduled(&[RuleText {
        name: "s.yml",
        text: &text,
    }]);
    assert_eq!(rules.problems, []);
    rules.rules.remove(0)
}

#[test]
fn look_backs_have_the_documented_bounds() {
    for (frequency, look_back, ok) in [
        ("5m", "5m", true),
        ("4m", "5m", false),
        ("14d", "14d", true),
        ("15d", "15d", false),
        ("1h", "59m", false),
        ("59m", "47h", true),
        ("59m", "48h", false),
        ("1h", "14d", true),
        ("1h", "15d", false),
        ("23h", "14d", true),
        ("1d", "30d", true),
        ("1d", "31d", false),
        ("1x", "1d", false),
        ("-1h", "1d", false),
        ("99999999999999999999d", "1d", false),
        ("é", "1d", false),
    ] {
        let found = problems(&text(frequency, look_back));
        assert_eq!(found.is_empty(), ok, "{frequency} {look_back}: {found:?}");
    }
}

#[test]
fn a_wrong_document_says_all_that_is_wrong_with_it() {
    let good = text("1h", "4h");
    assert_eq!(problems(&good), [""; 0]);
    for (from, to, says) in [
        (
            "severity: High",
            "severity: Awful",
            "`Awful` is no severity",
        ),
        (
            "category: Discovery",
            "category: Guessing",
            "`Guessing` is no category",
        ),
        ("T1087", "T87", "`T87` is no technique id"),
        ("query: SignInLogs", "query: ''", "the query is empty"),
        ("type: User", "type: Human", "`Human` is no entity type"),
        (
            "AccountUpn: Who",
            "Upn: Who",
            "`Upn` is nothing that an entity is known by",
        ),
        ("id: s", "id: 's s'", "`s s` is no id"),
    ] {
        let found = problems(&good.replace(from, to));
        assert!(found.iter().any(|m| m == says), "{says}: {found:?}");
    }
    let both = good.replace("High", "Awful").replace("T1087", "T87");
    assert_eq!(problems(&both).len(), 2);
    let unknown = problems(&format!("{good}colour: red\n"));
    assert!(unknown[0].contains("colour"), "{unknown:?}");
}

#[test]
fn json_is_read_too_and_a_second_rule_of_an_id_is_refused() {
    let json = json!({"id": "s", "title": "t", "severity": "Low", "category": "Impact",
        "query": "T", "frequency": "1h", "look_back": "1h",
        "entities": [{"type": "Ip", "role": "Related", "columns": {"RemoteIP": "IP"}}]})
    .to_string();
    let rules = compile_scheduled(&[
        RuleText {
            name: "a",
            text: &json,
        },
        RuleText {
            name: "b",
            text: &json,
        },
    ]);
    assert_eq!(rules.rules.len(), 1);
    assert_eq!(rules.problems[0].source, "b");
    assert_eq!(rules.rules[0].required_columns, ["IP", "Timestamp"]);
}

fn time(text: &str) -> Ticks {
    Ticks::parse(text).unwrap()
}

/// Runs everything that is due, as often as it is due.
fn run(state: &mut ScheduleState, rule: &ScheduledRule, now: Ticks) -> Vec<Window> {
    let due = state.due(rule, now);
    for window in &due {
        state.finish(rule, *window);
    }
    assert_eq!(state.due(rule, now), [], "nothing is due twice");
    due
}

#[test]
fn the_first_run_looks_back_thirty_days_and_later_ones_the_look_back() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    let first = run(&mut state, &rule, time("2026-07-18T10:20:00Z"));
    assert_eq!(
        first,
        [Window {
            from: time("2026-06-18T10:00:00Z"),
            to: time("2026-07-18T10:00:00Z")
        }]
    );
    let later = run(&mut state, &rule, time("2026-07-18T11:00:00Z"));
    assert_eq!(
        later,
        [Window {
            from: time("2026-07-18T07:00:00Z"),
            to: time("2026-07-18T11:00:00Z")
        }]
    );
    assert_eq!(
        state.next(&rule, time("2026-07-18T11:30:00Z")),
        time("2026-07-18T12:00:00Z")
    );
}

#[test]
fn no_window_is_missed_or_repeated_over_restarts_and_uneven_ticks() {
    let rule = rule("5m", "1h");
    let mut state = ScheduleState::default();
    let mut random = 7_u64;
    let mut now = time("2026-07-18T10:01:00Z");
    let mut ends = Vec::new();
    for _ in 0..500 {
        // A crash between running and noting: the window is due again.
        let due = state.due(&rule, now);
        assert_eq!(state.due(&rule, now), due);
        ends.extend(run(&mut state, &rule, now).iter().map(|w| w.to));
        state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let seconds = i64::try_from(random >> 54).unwrap();
        now = now.saturating_add(model::Span100ns::seconds(seconds));
    }
    for pair in ends.windows(2) {
        assert_eq!(pair[1].since(pair[0]), rule.frequency);
    }
    assert_eq!(state.missed(&rule, now), 0);
}

#[test]
fn a_long_pause_is_caught_up_within_a_bound_and_the_rest_counted() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    run(&mut state, &rule, time("2026-07-18T10:00:00Z"));
    // 100 hours later: 100 windows, of which the newest are run.
    let now = time("2026-07-22T14:00:00Z");
    let most = limits::SCHEDULE_CATCH_UP_MAX;
    assert_eq!(state.missed(&rule, now), 100 - most as u64);
    let due = run(&mut state, &rule, now);
    assert_eq!(due.len(), most);
    assert_eq!(due.last().map(|w| w.to), Some(now));
    assert_eq!(state.missed(&rule, now), 100 - most as u64);
}

#[test]
fn a_clock_that_jumps_ahead_and_comes_back_loses_nothing() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    run(&mut state, &rule, time("2026-07-18T10:00:00Z"));
    run(&mut state, &rule, time("2040-01-01T00:00:00Z"));
    let back = run(&mut state, &rule, time("2026-07-18T13:00:00Z"));
    let ends: Vec<Ticks> = back.iter().map(|w| w.to).collect();
    let hours = ["11", "12", "13"].map(|h| time(&format!("2026-07-18T{h}:00:00Z")));
    assert_eq!(ends, hours);
    assert_eq!(state.missed(&rule, time("2026-07-18T13:00:00Z")), 0);
}

#[test]
fn a_clock_that_jumps_back_repeats_nothing() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    run(&mut state, &rule, time("2026-07-18T10:00:00Z"));
    run(&mut state, &rule, time("2026-07-18T12:00:00Z"));
    assert_eq!(run(&mut state, &rule, time("2026-07-18T11:30:00Z")), []);
    assert_eq!(run(&mut state, &rule, time("2001-01-01T00:00:00Z")), []);
    assert_eq!(
        run(&mut state, &rule, time("2026-07-18T13:00:00Z")).len(),
        1
    );
}

#[test]
fn another_frequency_goes_on_where_the_old_one_stopped() {
    let mut state = ScheduleState::default();
    let hourly = rule("1h", "4h");
    run(&mut state, &hourly, time("2026-07-18T10:00:00Z"));
    let often = rule("15m", "4h");
    let ends: Vec<Ticks> = run(&mut state, &often, time("2026-07-18T10:30:00Z"))
        .iter()
        .map(|w| w.to)
        .collect();
    assert_eq!(
        ends,
        ["15", "30"].map(|m| time(&format!("2026-07-18T10:{m}:00Z")))
    );
}

fn finish(
    rule: &ScheduledRule,
    state: &mut ScheduleState,
    now: &str,
    rows: &[Vec<Value>],
) -> Outcome {
    let columns = ["Timestamp".to_owned(), "Who".to_owned()];
    let window = *state.due(rule, time(now)).last().unwrap();
    let result = ResultRows {
        columns: &columns,
        rows,
    };
    help::making(|m| rule.finish(state, window, &result, m))
}

#[test]
fn rows_of_the_same_entities_are_one_alert() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    let row =
        |minute: u32, who: &str| vec![json!(format!("2026-07-18T09:{minute:02}:00Z")), json!(who)];
    let rows = [
        row(1, "A@b.example"),
        row(9, "a@b.example"),
        row(3, "c@d.example"),
        row(4, ""),
    ];
    let outcome = finish(&rule, &mut state, "2026-07-18T10:00:00Z", &rows);
    assert_eq!((outcome.alerts.len(), outcome.nameless), (2, 1));
    let first = &outcome.alerts[0];
    assert_eq!(
        (first.first_at, first.last_at),
        (time("2026-07-18T09:01:00Z"), time("2026-07-18T09:09:00Z"))
    );
    assert_eq!(first.entities[0].kind, EntityKind::Account);
    assert_eq!(first.entities[0].keys[0].kind, KeyKind::Address);
    assert_eq!(first.entities[0].keys[0].value, "a@b.example");
    assert_eq!(first.title, "t");
}

#[test]
fn rows_that_overlapping_look_backs_find_again_are_reported_once() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    let old = vec![json!("2026-07-18T09:01:00Z"), json!("a@b.example")];
    let first = finish(
        &rule,
        &mut state,
        "2026-07-18T10:00:00Z",
        std::slice::from_ref(&old),
    );
    assert_eq!(first.alerts.len(), 1);
    let second = finish(
        &rule,
        &mut state,
        "2026-07-18T11:00:00Z",
        std::slice::from_ref(&old),
    );
    assert_eq!((second.alerts.len(), second.known), (0, 1));
    let new = vec![json!("2026-07-18T11:30:00Z"), json!("a@b.example")];
    let third = finish(&rule, &mut state, "2026-07-18T12:00:00Z", &[old, new]);
    assert_eq!((third.alerts.len(), third.known), (1, 1));
    assert_ne!(third.alerts[0].id, first.alerts[0].id);
}

#[test]
fn rows_that_came_days_late_are_reported_once() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    let late = [vec![json!("2026-07-11T09:01:00Z"), json!("a@b.example")]];
    let alerts: Vec<usize> = (10..20)
        .map(|hour| {
            let at = format!("2026-07-18T{hour}:00:00Z");
            finish(&rule, &mut state, &at, &late).alerts.len()
        })
        .collect();
    assert_eq!(alerts, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // No run found them for twice the look-back: they are not remembered for ever.
    assert!(
        finish(&rule, &mut state, "2026-07-19T05:00:00Z", &[])
            .alerts
            .is_empty()
    );
    let again = finish(&rule, &mut state, "2026-07-19T06:00:00Z", &late);
    assert_eq!((again.alerts.len(), again.known), (1, 0));
}

#[test]
fn a_run_repeated_after_a_crash_makes_the_same_alerts() {
    let rule = rule("1h", "4h");
    let rows = [vec![json!("2026-07-18T09:01:00Z"), json!("a@b.example")]];
    let outcome =
        |mut state: ScheduleState| finish(&rule, &mut state, "2026-07-18T10:00:00Z", &rows);
    assert_eq!(
        outcome(ScheduleState::default()),
        outcome(ScheduleState::default())
    );
}

#[test]
fn a_run_has_a_limit_and_counts_the_rest() {
    let rule = rule("1h", "4h");
    let mut state = ScheduleState::default();
    let most = limits::SCHEDULE_ALERTS_PER_RUN_MAX;
    let rows: Vec<Vec<Value>> = (0..most + 5)
        .map(|n| {
            vec![
                json!("2026-07-18T09:01:00Z"),
                json!(format!("p{n}@b.example")),
            ]
        })
        .collect();
    let outcome = finish(&rule, &mut state, "2026-07-18T10:00:00Z", &rows);
    assert_eq!((outcome.alerts.len(), outcome.over), (most, 5));
    // What was over the limit is not forgotten: the next run, which finds it again, reports it.
    let next = finish(&rule, &mut state, "2026-07-18T11:00:00Z", &rows);
    assert_eq!((next.alerts.len(), next.over), (5, 0));
}

#[test]
fn columns_that_are_missing_are_named() {
    let rule = rule("1h", "4h");
    assert_eq!(rule.missing_columns(&["Who".to_owned()]), ["Timestamp"]);
}
