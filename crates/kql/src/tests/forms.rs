//! Spellings that mean the same.

use super::{resolve, resolved};

/// The two queries resolve to the same but for places in the text.
fn same(a: &str, b: &str) {
    let explain = |q| crate::explain::explain(&resolved(q));
    assert_eq!(explain(a), explain(b), "{a}\n{b}");
}

#[test]
fn synonyms() {
    same(
        "Logon | filter Port == 1 | limit 5",
        "Logon | where Port == 1 | take 5",
    );
    same(
        "Logon | order by Port",
        "Logon | sort by Port desc nulls last",
    );
    same(
        "Logon | summarize makeset(User)",
        "Logon | summarize set_User = make_set(User)",
    );
    same("Logon | where User <> 'a'", "Logon | where User != 'a'");
    same(
        "Logon | where notempty(User)",
        "Logon | where isnotempty(User)",
    );
    same("print iif(true, 1, 2)", "print iff(true, 1, 2)");
    same("print todouble('1')", "print toreal('1')");
    same(
        "Logon | join kind=anti (Process) on User",
        "Logon | join kind=leftanti (Process) on User",
    );
    same(
        "Logon | join kind=rightantisemi (Process) on User",
        "Logon | join kind=rightanti (Process) on User",
    );
    same(
        "Logon | join (Process) on User",
        "Logon | join kind=innerunique (Process) on User",
    );
    same(
        "Logon | where User notcontains 'a'",
        "Logon | where User !contains 'a'",
    );
}

#[test]
fn quoting() {
    same(
        "Logon | where ['User'] == \"a\"",
        "Logon | where User == 'a'",
    );
    same(
        "Logon | where [\"User\"] == 'a'",
        "Logon | where User == 'a'",
    );
    same(
        "print @'a\\b', h'c', \"d\\\"\"",
        "print 'a\\\\b', 'c', 'd\"'",
    );
    same("print 'a' 'b'", "print 'ab'");
    same(
        "Logon | project Extra.['a b']",
        "Logon | project Extra['a b']",
    );
    same("print '\\u0041\\x42\\103'", "print 'ABC'");
}

#[test]
fn blank_lines_comments_and_semicolons() {
    same(
        "let x = 1; // one\n\n\nLogon\n\n| where Port == x // two\n;",
        "let x = 1;Logon|where Port==x",
    );
    same("set notruncation; Logon", "Logon");
}

#[test]
fn instants() {
    same(
        "print datetime(2024-05-01)",
        "print datetime('2024-05-01T00:00:00Z')",
    );
    same("print datetime(5/1/2024)", "print datetime(2024-05-01)");
    same(
        "print datetime(2024-05-01 7:30)",
        "print datetime(2024-05-01T07:30:00)",
    );
    same("print 1.5h", "print time(01:30:00)");
    same("print timespan(2)", "print 2d");
    same("print 1day, 2minutes, 3ms", "print 1d, 2m, 0.003s");
}

#[test]
fn functions_without_brackets() {
    same(
        "let f = () { Logon }; f | count",
        "let f = () { Logon }; f() | count",
    );
    same("let v = view () { Logon }; v", "Logon");
    same("let x = () { 5 }; print a = x", "print a = 5");
}

#[test]
fn a_definition_sees_what_stands_before_it() {
    same(
        "let x = 1; let f = () { x }; let x = 2; print a = f()",
        "print a = 1",
    );
    // A parameter hides a definition; a column hides both.
    same(
        "let x = 1; let f = (x: long) { x }; print a = f(7)",
        "print a = 7",
    );
    same(
        "let Port = 1; Logon | where Port == 5",
        "Logon | where ['Port'] == 5",
    );
}

#[test]
fn a_row_does_not_reach_into_another_query() {
    let query = "let f = (p: long) { toscalar(Logon | where Bytes == p | count) }; Logon | extend n = f(Bytes)";
    let (resolved, diagnostics) = resolve(query);
    assert!(resolved.is_none());
    assert_eq!(diagnostics[0].code, "KQL0403");
    same(
        "let f = (p: long) { toscalar(Logon | where Bytes == p | count) }; print a = f(1)",
        "print a = toscalar(Logon | where Bytes == 1 | count)",
    );
}

#[test]
fn tables_are_named() {
    let query = "let a = materialize(Logon); union a, (Process | where User in (Device | project DeviceId)), (print x = toscalar(Address | count))";
    let tables: Vec<String> = resolved(query)
        .tables()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(tables, ["Address", "Device", "Logon", "Process"]);
}
