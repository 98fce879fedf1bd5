//! Whatever the text, there is a tree that is the text, and an answer.

use model::Schema;
use proptest::prelude::*;

use super::NOW;

/// Words that make texts which nearly mean something.
const WORDS: &[&str] = &[
    "Logon",
    "Process",
    "DeviceProcessEvents",
    "User",
    "Port",
    "Timestamp",
    "Extra",
    "|",
    "|",
    "|",
    ";",
    ",",
    ",",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    "..",
    ":",
    "=",
    "==",
    "!=",
    "=~",
    "<",
    ">",
    "+",
    "-",
    "*",
    "/",
    "%",
    "and",
    "or",
    "not",
    "in",
    "in~",
    "!in",
    "has",
    "has_any",
    "has_all",
    "between",
    "matches regex",
    "contains",
    "startswith",
    "let",
    "x",
    "y",
    "f",
    "print",
    "where",
    "project",
    "project-away",
    "extend",
    "summarize",
    "by",
    "count()",
    "sum(Port)",
    "arg_max(Timestamp, *)",
    "make_set(User)",
    "distinct",
    "take",
    "top",
    "sort by",
    "asc",
    "nulls first",
    "join",
    "kind=inner",
    "on",
    "$left.User",
    "$right.User",
    "lookup",
    "union",
    "withsource=S",
    "mv-expand",
    "to typeof(long)",
    "render timechart",
    "range",
    "from",
    "to",
    "step",
    "datatable(a: long)",
    "dynamic(",
    "dynamic([1,2])",
    "toscalar(",
    "materialize(",
    "ago(1d)",
    "now()",
    "1d",
    "5",
    "1.5",
    "'a'",
    "\"b\"",
    "@'c",
    "datetime(2024-01-01)",
    "int(null)",
    "true",
    "iff(",
    "case(",
    "tostring(",
    "parse_json(",
    "bin(",
    "strcat(",
    "//c\n",
    "\n",
    "é",
    "\u{0}",
    "as X",
    "getschema",
    "serialize",
    "count",
    "parse",
    "mv-apply",
    "_row_id",
    "(a: long) {",
    "(T: (*)) {",
    "view ()",
    "externaldata(a: string)",
    "cluster('x')",
    "*",
];

fn answer(text: &str) {
    let syntax = crate::parse(text);
    assert_eq!(syntax.root().text().to_string(), text);
    let schemas: [&Schema; 2] = [&super::SCHEMA, Schema::hunting()];
    for schema in schemas {
        let (resolved, diagnostics) = crate::resolve(&syntax, schema, NOW);
        assert_eq!(
            resolved.is_none(),
            diagnostics
                .iter()
                .any(|d| d.severity == model::Severity::Error)
        );
        for finding in &diagnostics {
            assert!(crate::codes::ALL.iter().any(|row| row.code == finding.code));
            assert!(!finding.message.contains('\n') && !finding.message.ends_with('.'));
            finding.render("query", text);
        }
        if let Some(resolved) = resolved {
            positions_are_in_range(&resolved);
        }
    }
}

/// Every column an expression reads is there, and of the type it says.
fn positions_are_in_range(query: &crate::Resolved) {
    let text = crate::explain::explain(query);
    assert!(!text.contains("?#"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..40)) {
        answer(&words.join(" "));
    }

    #[test]
    fn of_pipelines(
        parts in prop::collection::vec(prop::collection::vec(prop::sample::select(WORDS), 1..7), 1..6)
    ) {
        let parts: Vec<String> = parts.iter().map(|words| words.join(" ")).collect();
        answer(&format!("Logon | {}", parts.join(" | ")));
    }

    #[test]
    fn of_characters(text in "[ -~\\n\u{e9}\u{2028}]{0,200}") {
        answer(&text);
    }
}
