//! Several queries in one text.

use crate::queries;

fn parts(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = queries(text).into_iter().map(|r| &text[r]).collect();
    if !parts.is_empty() {
        assert_eq!(parts.concat(), text, "the parts cover the text");
    }
    parts.into_iter().map(str::trim).collect()
}

#[test]
fn an_empty_line_divides_where_a_query_can_end() {
    assert_eq!(
        parts("Logon\n| take 5\n\n// second\nProcess | count // it\n\n\nprint 1"),
        [
            "Logon\n| take 5",
            "// second\nProcess | count // it",
            "print 1"
        ]
    );
    assert_eq!(parts("let x = 5;\n\nLogon"), ["let x = 5;\n\nLogon"]);
    assert_eq!(parts("Logon\n\n| take 5"), ["Logon\n\n| take 5"]);
    assert_eq!(parts("Logon | take 5\n\nlet x = 1;\nprint x").len(), 2);
    assert_eq!(parts("\n// nothing\n\n"), [""; 0]);
}

#[test]
fn an_empty_line_inside_of_a_query_does_not() {
    for text in [
        "Logon\n| where Port in (1,\n\n2)\n| take 1",
        "Logon | summarize count()\n\nby User",
        "Logon\n| project User,\n\nPort",
        "Logon | where Port ==\n\n5",
        "let f = (a: long) {\n\na + 1\n\n};\n\nprint f(1)",
        // A forgotten bar or semicolon is one mistake, not another query.
        "Logon\n\nwhere Port == 1",
        "let x = 5\n\nLogon",
    ] {
        assert_eq!(parts(text).len(), 1, "{text}");
    }
}
