//! Completions: what is offered where.

use crate::{Completion, CompletionKind, Completions, complete};

use super::SCHEMA;

/// What is offered at the `^` of a text.
fn at(marked: &str) -> Completions {
    let offset = marked.find('^').unwrap();
    complete(&marked.replacen('^', "", 1), offset, &*SCHEMA)
}

fn labels(marked: &str) -> Vec<String> {
    at(marked).items.into_iter().map(|i| i.label).collect()
}

fn of_kind(marked: &str, kind: CompletionKind) -> Vec<String> {
    let items = at(marked).items.into_iter().filter(|i| i.kind == kind);
    items.map(|i| i.label).collect()
}

fn item(marked: &str, label: &str) -> Completion {
    let all = at(marked);
    let found = all.items.iter().find(|i| i.label == label);
    found
        .unwrap_or_else(|| panic!("{label} in {all:?}"))
        .clone()
}

use CompletionKind::{Aggregate, Column, Function, Keyword, Name, Operator, Plugin, Table, Type};

#[test]
fn a_query_begins_with_a_table() {
    assert_eq!(
        of_kind("^", Table),
        ["Address", "Device", "Logon", "Process"]
    );
    assert_eq!(labels("Lo^"), ["Logon"]);
    assert_eq!(of_kind("let x = 5; Pro^", Table), ["Process"]);
    assert!(labels("^").contains(&"let".to_owned()));
    assert_eq!(of_kind("^", Column), [""; 0]);
    assert_eq!(of_kind("let big = ^", Table).len(), 4);
    assert_eq!(labels("let b^"), [""; 0]);
    assert_eq!(of_kind("Logon | take 1\n\nAd^", Table), ["Address"]);
}

#[test]
fn an_operator_follows_a_bar() {
    let all = at("Logon | ^");
    assert!(
        all.items
            .iter()
            .all(|i| i.kind == Operator && !i.doc.is_empty())
    );
    assert!(all.items.iter().any(|i| i.label == "mv-expand"));
    assert_eq!(labels("Logon | summ^ | take 5"), ["summarize"]);
    // What is not supported is not offered.
    assert!(!labels("Logon | ^").contains(&"macro-expand".to_owned()));
    assert_eq!(
        labels("Logon | mv-apply e = Extra on (summ^)"),
        ["summarize"]
    );
}

#[test]
fn columns_are_those_of_the_operators_before() {
    let columns = ["Bytes", "Extra", "Port", "Result", "Timestamp", "User"];
    assert_eq!(of_kind("Logon | where ^", Column), columns);
    assert_eq!(of_kind("Logon | where Port == 1 and ^", Column), columns);
    assert_eq!(
        of_kind("Logon | project User, N = Port * 2 | extend ^", Column),
        ["N", "User"]
    );
    assert_eq!(
        of_kind(
            "Logon | summarize count(), Last = max(Timestamp) by User | where ^",
            Column
        ),
        ["Last", "User", "count_"]
    );
    // An operator that is wrong is passed over.
    assert_eq!(
        of_kind("Logon | where Nothing > | project User | extend ^", Column),
        ["User"]
    );
    assert_eq!(item("Logon | where Po^", "Port").detail, "int");
    assert_eq!(
        of_kind(
            "Logon | mv-apply e = Extra to typeof(long) on (where ^)",
            Column
        )
        .len(),
        7
    );
    assert_eq!(of_kind("Logon | project-away ^", Column), columns);
    assert_eq!(of_kind("Logon | project-away ^", Function), [""; 0]);
    assert_eq!(
        of_kind("Logon | project ['a b'] = Port | where ^", Column),
        ["['a b']"]
    );
}

#[test]
fn the_word_under_the_cursor_is_replaced() {
    let text = "Logon | where Por";
    let all = complete(text, text.len(), &*SCHEMA);
    assert_eq!(text.get(all.span.range()), Some("Por"));
    let all = complete("Logon | where Port", 16, &*SCHEMA);
    assert_eq!(all.span.range(), 14..18);
    assert_eq!(all.items[0].label, "Port");
}

#[test]
fn functions_come_with_signature_and_doc() {
    let found = item("Logon | extend x = substr^", "substring");
    assert_eq!(found.kind, Function);
    assert_eq!(
        found.detail,
        "substring(text: any, start: integer, length: integer?) -> string"
    );
    assert!(found.doc.contains("part of a text"));
    assert_eq!(item("print strl^", "strlen").kind, Function);
}

#[test]
fn aggregates_stand_in_summarize_before_by() {
    assert_eq!(item("Logon | summarize dc^", "dcount").kind, Aggregate);
    assert_eq!(item("Logon | summarize a = dcount(^", "User").kind, Column);
    assert_eq!(
        of_kind("Logon | summarize count() by ^", Aggregate),
        [""; 0]
    );
    assert_eq!(of_kind("Logon | where ^", Aggregate), [""; 0]);
    assert!(of_kind("Logon | summarize count() by ^", Function).contains(&"bin".to_owned()));
}

#[test]
fn after_a_value_comes_an_operator_or_a_clause() {
    let all = of_kind("Logon | where User ^", Keyword);
    assert!(all.contains(&"has".to_owned()) && all.contains(&"matches regex".to_owned()));
    assert_eq!(of_kind("Logon | where User ^", Column), [""; 0]);
    assert_eq!(
        labels("Logon | where User !startswith_^"),
        ["!startswith_cs"]
    );
    assert!(labels("Logon | summarize count() ^").contains(&"by".to_owned()));
    assert!(labels("Logon | sort by User ^").contains(&"desc".to_owned()));
    assert_eq!(labels("Logon | sort ^"), ["by"]);
    // `by` does not stand twice.
    assert!(!labels("Logon | sort by User ^").contains(&"by".to_owned()));
    assert!(labels("Logon | render ^").contains(&"timechart".to_owned()));
    assert_eq!(
        labels("Logon | top-nested 2 of User with^").first(),
        Some(&"with others =".to_owned())
    );
}

#[test]
fn a_join_has_two_sides() {
    assert!(labels("Logon | join ^").contains(&"Process".to_owned()));
    assert!(labels("Logon | join kind=^").contains(&"leftanti".to_owned()));
    assert_eq!(labels("Logon | join kind=inner Process ^"), ["on"]);
    assert_eq!(
        of_kind(
            "Logon | join kind=inner (Process | project User, FileName) on ^",
            Column
        ),
        ["User"]
    );
    assert_eq!(
        labels(
            "Logon | join kind=inner (Process | project User, FileName) on $left.User == $right.^"
        ),
        ["FileName", "User"]
    );
    assert_eq!(
        labels("Logon | project A = User | join Process on $left.^"),
        ["A"]
    );
    assert_eq!(of_kind("Logon | join (Process | where ^", Column).len(), 6);
    assert_eq!(of_kind("Logon | join (^", Table).len(), 4);
}

#[test]
fn names_of_the_query_are_offered() {
    let lets =
        "let limit = 5; let big = Process | project FileName; let f = (a: long, b: string) { a };";
    assert_eq!(item(&format!("{lets} b^"), "big").kind, Name);
    assert_eq!(
        of_kind(&format!("{lets} big | where ^"), Column),
        ["FileName"]
    );
    assert_eq!(item(&format!("{lets} print l^"), "limit").detail, "long");
    assert_eq!(
        item(&format!("{lets} print f^"), "f").detail,
        "(a: long, b: string)"
    );
    // Inside of a function its parameters are.
    let inside = "let g = (T: (x: string, y: long), n: int) { T | where ^ }";
    assert_eq!(of_kind(inside, Column), ["x", "y"]);
    assert_eq!(item(inside, "n").detail, "int");
    assert_eq!(
        of_kind("let bad = nothing(; Logon | where ^", Column).len(),
        6
    );
    assert_eq!(
        of_kind("let bad = nothing(1); Logon | where ^", Column).len(),
        6
    );
}

#[test]
fn types_and_plugins() {
    assert!(of_kind("Logon | mv-expand Extra to typeof(^", Type).contains(&"long".to_owned()));
    assert_eq!(labels("datatable(a: str^"), ["string"]);
    assert_eq!(labels("Logon | evaluate piv^"), ["pivot"]);
    assert_eq!(item("Logon | evaluate ^", "bag_unpack").kind, Plugin);
    assert_eq!(labels("Logon | invoke FileP^"), ["FileProfile"]);
}

#[test]
fn nothing_is_offered_in_texts_and_comments() {
    for marked in [
        "Logon | where User == 'a^b'",
        "Logon // ab^",
        "Logon | take 1^",
        "print \"a^",
    ] {
        assert_eq!(labels(marked), [""; 0], "{marked}");
    }
    // Not at the boundary of a character.
    assert_eq!(complete("é", 1, &*SCHEMA).span.range(), 0..0);
}

#[test]
fn every_function_of_the_service_that_is_offered_is_known() {
    for (name, _) in crate::resolve::SERVICE_FUNCTION_NAMES {
        let query = "Logon | extend SHA1 = User, DeviceId = User, IP = User | invoke";
        let (_, findings) = super::resolve(&format!("{query} {name}(SHA1)"));
        assert!(
            findings.iter().all(|d| !d.code.starts_with("KQL02")),
            "{name}: {findings:?}"
        );
    }
}

#[test]
fn after_a_sort_key_its_direction_comes_first() {
    let wanted = ["asc", "desc", "nulls first", "nulls last"];
    for (query, next) in [
        ("Logon | sort by Timestamp ^", vec![",", "|"]),
        ("Logon | order by User asc, Timestamp ^", vec![",", "|"]),
        ("Logon | top 5 by Timestamp ^", vec!["|"]),
    ] {
        let all = labels(query);
        let wanted = [&wanted[..], &next].concat();
        assert_eq!(all[..wanted.len()], wanted, "{query}");
        // `sort by User has "a"` can be written, too.
        assert!(all.contains(&"has".to_owned()), "{query}");
    }
    assert_eq!(
        labels("Logon | sort by Timestamp desc ^"),
        ["nulls first", "nulls last", ",", "|"]
    );
    assert_eq!(
        labels("Logon | sort by Timestamp nulls ^"),
        ["first", "last"]
    );
    assert_eq!(labels("Logon | sort by Timestamp nulls last ^"), [",", "|"]);
    assert_eq!(
        labels("Logon | sort by Timestamp d^").first(),
        Some(&"desc".to_owned())
    );
}
