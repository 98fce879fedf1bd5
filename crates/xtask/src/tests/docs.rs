//! Generated pages.

use expect_test::expect;

use crate::docs::{codes, limits_page};

#[test]
fn limits_are_shown_for_people() {
    let page = limits_page(
        "//! Head.\n\n/// Bytes of a body.\npub const BODY_BYTES_MAX: usize = 32 << 20;\n/// Bytes of a\n/// name.\npub const NAME_BYTES_MAX: usize = 128;\n/// Rows.\npub const ROWS_MAX: usize = 100_000;\n/// Seconds.\npub const AGE_MAX: i64 = 6 * 3600;\n/// Odd.\npub const ODD: f64 = 1.5;\n",
    );
    let page = page.unwrap();
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
    expect![[r#"
        | `BODY_BYTES_MAX` | 32 MiB | Bytes of a body. |
        | `NAME_BYTES_MAX` | 128 bytes | Bytes of a name. |
        | `ROWS_MAX` | 100,000 | Rows. |
        | `AGE_MAX` | 21,600 | Seconds. |
        | `ODD` | `1.5` | Odd. |"#]]
    .assert_eq(&rows.join("\n"));
}

#[test]
fn a_limit_without_a_sentence_is_refused() {
    let error = limits_page("pub const A_MAX: usize = 1;\n").unwrap_err();
    expect!["crates/model/src/limits.rs: `A_MAX` does not say what it bounds"]
        .assert_eq(&error.to_string());
}

#[test]
fn every_code_has_a_row_and_no_two_are_alike() {
    let page = codes("    UNKNOWN \"KQL0207\" \"a column\";\n").unwrap();
    assert!(page.ends_with("| `KQL0207` | a column |\n"));
    for code in model::Code::ALL {
        let row = format!("| `{code}` | {} |", code.status());
        assert_eq!(page.matches(&row).count(), 1, "{code}");
        assert!(code.summary().ends_with('.'), "{code}");
    }
}

#[test]
fn a_query_code_stands_once() {
    let twice = "A \"KQL0001\" \"a\";\nB \"KQL0001\" \"b\";\n";
    expect!["crates/kql/src/codes.rs: `KQL0001` stands twice"]
        .assert_eq(&codes(twice).unwrap_err().to_string());
    expect!["crates/kql/src/codes.rs: no code found"]
        .assert_eq(&codes("").unwrap_err().to_string());
}
