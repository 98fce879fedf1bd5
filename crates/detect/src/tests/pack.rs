//! The starter pack: every rule compiles, is tested, finds what it must and nothing that looks like it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ingest::Format;

use super::help;
use crate::rule_test::{RuleTest, TestBody, count_alerts};
use crate::schedule::{ResultRows, ScheduleState, ScheduledRules, compile_scheduled};
use crate::{Engine, SigmaEngine, compile, starter_pack};

fn engine() -> SigmaEngine {
    let compiled = compile(starter_pack().sigma);
    assert_eq!(compiled.problems, []);
    compiled.engine
}

fn scheduled() -> ScheduledRules {
    let rules = compile_scheduled(starter_pack().scheduled);
    assert_eq!(rules.problems, []);
    rules
}

fn tests() -> Vec<RuleTest> {
    let parse =
        |t: &crate::RuleText<'_>| RuleTest::parse(t.text).map_err(|e| format!("{}: {e}", t.name));
    starter_pack()
        .tests
        .iter()
        .map(|t| parse(t).unwrap())
        .collect()
}

#[test]
fn every_rule_finds_what_it_must_and_nothing_near_it() {
    let engine = engine();
    let scheduled = scheduled();
    let mut wrong = Vec::new();
    for test in tests() {
        for case in &test.cases {
            let mut batches = Vec::new();
            let mut alerts = 0;
            for body in &case.bodies {
                let first = batches.len() as u64 * 10_000;
                match body {
                    TestBody::Export(text) => batches.extend(help::decode_as(
                        Format::DefenderExport,
                        text.as_bytes(),
                        None,
                        first,
                    )),
                    TestBody::Windows(text) => batches.extend(help::decode_as(
                        Format::WindowsJson,
                        text.as_bytes(),
                        None,
                        first,
                    )),
                    TestBody::Result(columns, rows) => {
                        let rule = scheduled.rules.iter().find(|r| r.reference.id == test.rule);
                        let rule = rule.unwrap();
                        assert_eq!(rule.missing_columns(columns), [""; 0], "{}", rule.title);
                        let mut state = ScheduleState::default();
                        let now = model::Ticks::parse(help::ARRIVAL).unwrap();
                        let window = state.due(rule, now)[0];
                        let result = ResultRows { columns, rows };
                        let outcome = help::making(|m| rule.finish(&mut state, window, &result, m));
                        alerts += outcome.alerts.len();
                    }
                }
            }
            alerts += count_alerts(&engine, &test.rule, &batches);
            if alerts != case.expect {
                let title = engine.rules().rule(&test.rule).map(|r| r.title.clone());
                wrong.push((title, case.name.clone(), alerts, case.expect));
            }
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn every_rule_that_alerts_has_a_case_that_it_finds_and_one_that_it_leaves() {
    let engine = engine();
    let tests = tests();
    let alerting = engine.rules().rules().iter().filter(|r| r.alerts);
    let ids: BTreeSet<_> = alerting
        .map(|r| &r.reference.id)
        .chain(scheduled().rules.iter().map(|r| &r.reference.id))
        .cloned()
        .collect();
    let tested: BTreeSet<_> = tests.iter().map(|t| t.rule.clone()).collect();
    assert_eq!(ids, tested);
    for test in tests {
        assert!(test.cases.iter().any(|c| c.expect > 0), "{}", test.rule);
        assert!(test.cases.iter().any(|c| c.expect == 0), "{}", test.rule);
    }
}

#[test]
fn every_file_of_the_folder_is_in_the_pack() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let pack = starter_pack();
    let listed: BTreeSet<String> = (pack.sigma.iter())
        .chain(pack.scheduled)
        .chain(pack.tests)
        .map(|t| t.name.to_owned())
        .collect();
    let mut found = BTreeSet::new();
    for below in ["", "scheduled/", "tests/"] {
        for entry in fs::read_dir(folder.join(below)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|e| e == "yml") {
                found.insert(format!("{below}{name}"));
            }
        }
    }
    assert_eq!(found, listed);
}

#[test]
fn rules_say_how_bad_it_is_and_which_technique_it_is() {
    for rule in engine().rules().rules() {
        if !rule.alerts {
            continue;
        }
        assert!(!rule.techniques.is_empty(), "{}", rule.title);
        assert_ne!(rule.category, "SuspiciousActivity", "{}", rule.title);
        assert!(!rule.description.is_empty(), "{}", rule.title);
        assert_eq!(rule.reference.id.as_str().len(), 36, "{}", rule.title);
    }
}
