//! A problem says where: in YAML the line and column of the key or word, in a query the place in the file.

use model::limits;

use crate::schedule::compile_scheduled;
use crate::{Problem, RuleText, check};

fn problems(text: &str) -> Vec<Problem> {
    check(&[RuleText {
        name: "r.yml",
        text,
    }])
}

/// Line and column of the first error.
fn place(text: &str) -> (u32, u32) {
    let problems = problems(text);
    let first = problems.iter().find(|p| p.weight == crate::Weight::Error);
    let first = first.unwrap_or_else(|| panic!("no error: {problems:#?}"));
    (first.line.unwrap_or(0), first.column.unwrap_or(0))
}

const GOOD: &str = "title: A tool
id: 5d5ddc4f-5d4a-4a1c-9a35-0c2c1b3d7e55
description: It is endwith. # endwith
status: test
logsource:
  product: windows
  category: process_creation
detection:
  tool:
    Image|endswith: '\\a.exe'
    CommandLine|contains: ' -x '
  condition: tool
level: high
";

#[test]
fn a_wrong_modifier_is_found_at_its_key() {
    assert_eq!(place(&GOOD.replace("endswith", "endwith")), (10, 11));
    assert_eq!(place(&GOOD.replace("|contains", "|contians|all")), (11, 17));
}

#[test]
fn a_wrong_condition_is_found_in_its_line() {
    assert_eq!(
        place(&GOOD.replace("condition: tool", "condition: tool and and x")).0,
        12
    );
    assert_eq!(
        place(&GOOD.replace("condition: tool", "condition: other")).0,
        12
    );
}

#[test]
fn what_is_no_yaml_is_found_by_the_reader() {
    assert_eq!(place(&GOOD.replace("level: high", "level: [high")).0, 14);
}

const SCHEDULED: &str = "id: 5a1f6d52-4a0c-4a3e-9a0a-6a1b2c3d4e5f
title: Somebody did something
severity: Low
category: Discovery
frequency: 1h
look_back: 6h
query: |
  DeviceEvents
  | where Tiimestamp > ago(1h)
entities:
  - type: User
    columns: {AccountUpn: AccountUpn}
";

#[test]
fn a_scheduled_rule_is_found_wrong_at_the_key_that_is() {
    let place = |text: &str| {
        let problems = compile_scheduled(&[RuleText {
            name: "s.yml",
            text,
        }])
        .problems;
        (
            problems[0].line.unwrap_or(0),
            problems[0].column.unwrap_or(0),
        )
    };
    assert_eq!(place(&SCHEDULED.replace("Low", "Discovery")), (3, 1));
    assert_eq!(place(&SCHEDULED.replace("1h", "1s")), (5, 1));
    assert_eq!(place(&SCHEDULED.replace("6h", "10m")), (6, 1));
    assert_eq!(
        place(&SCHEDULED.replace("type: User", "type: Usr")),
        (11, 11)
    );
    assert_eq!(place(&SCHEDULED.replace("{AccountUpn:", "{Upn:")), (12, 15));
}

#[test]
fn a_place_in_a_query_is_a_place_in_the_file() {
    let place = |text: &str, wanted: &str| {
        let text = RuleText {
            name: "s.yml",
            text,
        };
        let compiled = compile_scheduled(&[text]);
        let rule = compiled.rules.first().unwrap();
        let offset = rule.query.find(wanted).unwrap();
        let problem = rule.query_problem(&text, offset, "x".to_owned());
        (problem.line.unwrap(), problem.column.unwrap())
    };
    assert_eq!(place(SCHEDULED, "DeviceEvents"), (8, 3));
    assert_eq!(place(SCHEDULED, "Tiimestamp"), (9, 11));
    let line = SCHEDULED.replace("|\n  DeviceEvents\n  | where", "DeviceEvents | where");
    assert_eq!(place(&line, "Tiimestamp"), (7, 29));
    let json = r#"{"id": "5a1f6d52-4a0c-4a3e-9a0a-6a1b2c3d4e5f", "title": "t", "severity": "Low", "category": "Discovery",
 "frequency": "1h", "look_back": "6h", "query": "T\n| where x", "entities": [{"type": "User", "columns": {"AccountUpn": "A"}}]}"#;
    assert_eq!(place(json, "where"), (2, 40), "where the query begins");
    let text = RuleText {
        name: "s.yml",
        text: SCHEDULED,
    };
    let rule = &compile_scheduled(&[text]).rules[0];
    let missing = rule.column_problems(&text, &["Timestamp".to_owned()]);
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0].line, missing[0].column), (Some(12), Some(15)));
}

#[test]
fn a_text_that_nests_too_deep_is_refused_before_it_is_read() {
    let deep = [
        GOOD.replace("'\\a.exe'", &"[".repeat(50_000)),
        GOOD.replace("'\\a.exe'", &"{\"a\":".repeat(20_000)),
        GOOD.replace("'\\a.exe'", &format!("\n{}", "[\n".repeat(50_000))),
        format!("{}a", "- ".repeat(50_000)),
    ];
    for text in deep {
        let problems = problems(&text);
        assert!(
            problems[0].message.contains("nests deeper"),
            "{}",
            problems[0]
        );
        let scheduled = compile_scheduled(&[RuleText {
            name: "s.yml",
            text: &text,
        }]);
        assert!(scheduled.problems[0].message.contains("nests deeper"));
    }
    // Brackets in values are text.
    let brackets = format!("'{}'", "[{".repeat(200));
    assert!(
        problems(&GOOD.replace("'\\a.exe'", &brackets))
            .iter()
            .all(|p| p.weight != crate::Weight::Error)
    );
    let values: Vec<String> = (0..200).map(|n| format!("      - a[{n}\n")).collect();
    let many = GOOD.replace("'\\a.exe'", &format!("\n{}", values.concat()));
    assert!(
        problems(&many)
            .iter()
            .all(|p| p.weight != crate::Weight::Error)
    );
}

#[test]
fn the_patterns_of_a_text_are_limited_in_sum() {
    let patterns = |n: usize, pattern: &str| {
        let values: Vec<String> = (0..n)
            .map(|at| format!("      - '{pattern}{at}'\n"))
            .collect();
        GOOD.replace(
            "CommandLine|contains: ' -x '",
            &format!("CommandLine|re:\n{}", values.concat()),
        )
    };
    let problems_of = problems(&patterns(3_000, "\\w{90}N"));
    let large = problems_of.iter().find(|p| p.message.contains("compiled"));
    assert!(large.is_some(), "{problems_of:?}");
    let fine = problems(&patterns(200, "[a-z]+\\.exe"));
    assert!(
        fine.iter().all(|p| p.weight != crate::Weight::Error),
        "{fine:?}"
    );
    let wild = GOOD.replace(
        "'\\a.exe'",
        &format!("'{}'", "?".repeat(limits::RULE_PATTERN_BYTES_MAX / 400)),
    );
    assert!(
        problems(&wild)
            .iter()
            .any(|p| p.message.contains("compiled"))
    );
}
