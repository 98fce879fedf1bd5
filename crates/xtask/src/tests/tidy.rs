//! Each rule of `tidy`: what it finds, and what it leaves alone.

use expect_test::{Expect, expect};

use crate::scan::Source;
use crate::tidy::{Place, any_text, long_functions, rust};

fn check(path: &str, text: &str, expected: Expect) {
    let place = Place { path };
    let source = Source::new(text);
    let mut found = any_text(place, text);
    found.extend(rust(place, &source));
    found.extend(long_functions(place, &source).into_iter().map(|(f, _)| f));
    found.sort();
    let text: Vec<String> = found.iter().map(crate::Finding::text).collect();
    expected.assert_eq(&text.join("\n"));
}

fn check_code(code: &str, expected: Expect) {
    check(
        "crates/wal/src/a.rs",
        &format!("//! Head.\n{code}"),
        expected,
    );
}

#[test]
fn every_file_begins_with_a_header() {
    check(
        "crates/wal/src/a.rs",
        "use std::io;",
        expect!["crates/wal/src/a.rs:1: header: does not begin with `//!`"],
    );
    check(
        "crates/wal/build.rs",
        "// no\n",
        expect!["crates/wal/build.rs:1: header: does not begin with `//!`"],
    );
}

#[test]
fn a_bare_matches_is_found_and_others_are_not() {
    check_code(
        "fn f() { matches!(x, Some(_)); }",
        expect!["crates/wal/src/a.rs:2: matches: a bare `matches!` asserts nothing; use `assert!`"],
    );
    check_code(
        "fn f() { g(); matches! { x, Some(_) }; }",
        expect!["crates/wal/src/a.rs:2: matches: a bare `matches!` asserts nothing; use `assert!`"],
    );
    check_code("fn f() -> bool { matches!(x, Some(_)) }", expect![[r#""#]]);
    check_code("fn f() { let y = matches!(x, Some(_)); }", expect![[r#""#]]);
    check_code(
        "fn f() { let y =\n  matches!(x, Some(_)); }",
        expect![[r#""#]],
    );
    check_code(
        "fn f() { assert!(matches!(x, Some(_))); }",
        expect![[r#""#]],
    );
    check_code(
        "// matches!(x, y);\nfn f() { g(\"; matches!(x, y);\"); }",
        expect![[r#""#]],
    );
    check_code("fn f() { check_matches!(x, Some(_)); }", expect![[r#""#]]);
}

#[test]
fn banned_words_are_found_in_code_only() {
    check_code(
        "#[test]\n#[ignore]\nfn f() {}",
        expect![
            "crates/wal/src/a.rs:3: banned: `#[ignore`: assert today's answer with a comment instead"
        ],
    );
    check_code(
        "#[should_panic(expected = \"x\")]\nfn f() {}",
        expect!["crates/wal/src/a.rs:2: banned: `#[should_panic`: assert the error instead"],
    );
    check_code(
        "fn f() { todo!() }\nfn g() { unimplemented!(\"x\") }",
        expect![[r#"
            crates/wal/src/a.rs:2: banned: `todo!`: refuse with an error instead
            crates/wal/src/a.rs:3: banned: `unimplemented!`: refuse with an error instead"#]],
    );
    check_code(
        &format!("// {}: later", ["FIX", "ME"].concat()),
        expect!["crates/wal/src/a.rs:2: banned: `FIXME` may not be merged"],
    );
    check_code(
        "const A: &str = r#\"todo!() #[ignore] \"#;",
        expect![[r#""#]],
    );
}

#[test]
fn work_that_is_left_names_its_issue() {
    let mark = ["TO", "DO"].concat();
    check_code(
        &format!("// {mark}: later"),
        expect!["crates/wal/src/a.rs:2: to-do: write `TODO(#12):` with the issue's number"],
    );
    check_code(
        &format!("// {mark}(me): later"),
        expect!["crates/wal/src/a.rs:2: to-do: write `TODO(#12):` with the issue's number"],
    );
    check_code(&format!("// {mark}(#12): later"), expect![[r#""#]]);
}

#[test]
fn a_message_does_not_print_its_source() {
    check_code(
        "enum E {\n    #[error(\"cannot open: {0}\")]\n    Open(#[from] io::Error),\n}",
        expect![
            "crates/wal/src/a.rs:3: source: the message contains the source, which is printed after it anyway"
        ],
    );
    check_code(
        "enum E {\n    #[error(\"cannot open `{path}`: {source}\")]\n    Open { path: P, source: io::Error },\n}",
        expect![
            "crates/wal/src/a.rs:3: source: the message contains the source, which is printed after it anyway"
        ],
    );
    check_code(
        "enum E {\n    #[error(\"cannot open `{0}`\")]\n    Open(P, #[source] io::Error),\n}",
        expect![[r#""#]],
    );
    check_code(
        "enum E {\n    #[error(\"bad `{0}`\")]\n    Bad(String),\n    #[error(\"cannot open\")]\n    Open(#[from] io::Error),\n}",
        expect![[r#""#]],
    );
}

#[test]
fn ids_are_types() {
    check_code(
        "fn f(a: u8, tenant_id: &str) {}",
        expect!["crates/wal/src/a.rs:2: ids: `tenant_id` is text in a signature: use its id type"],
    );
    check_code(
        "fn f(token_id: Option<String>);\nfn g() -> Uuid { h() }",
        expect![[r#"
            crates/wal/src/a.rs:2: ids: `token_id` is text in a signature: use its id type
            crates/wal/src/a.rs:3: ids: `Uuid` in a signature: use an id type of `model`"#]],
    );
    check_code(
        "fn f(tenant_id: TenantId) { g(\"tenant_id: &str\") }",
        expect![[r#""#]],
    );
    check_code("struct S { tenant_id: String }", expect![[r#""#]]);
}

#[test]
fn the_edge_alone_reads_the_environment_clocks_and_files() {
    let code = "//! Head.\nfn f() { std::env::var(\"A\"); Instant::now(); std::fs::read(p); }";
    check(
        "crates/kql/src/a.rs",
        code,
        expect![[r#"
        crates/kql/src/a.rs:2: clock: `Instant::now` is not an argument: take a `Clock`
        crates/kql/src/a.rs:2: environment: `std::env` is read by the program alone
        crates/kql/src/a.rs:2: files: `std::fs` in a crate that does no I/O"#]],
    );
    check(
        "crates/store/src/a.rs",
        code,
        expect![[r#"
        crates/store/src/a.rs:2: clock: `Instant::now` is not an argument: take a `Clock`
        crates/store/src/a.rs:2: environment: `std::env` is read by the program alone"#]],
    );
    check(
        "crates/kql/src/tests/a.rs",
        code,
        expect![[r#"
        crates/kql/src/tests/a.rs:2: clock: `Instant::now` is not an argument: take a `Clock`
        crates/kql/src/tests/a.rs:2: environment: `std::env` is read by the program alone"#]],
    );
    check("crates/bailiwick/src/a.rs", code, expect![[r#""#]]);
}

#[test]
fn heavy_libraries_are_said_by_their_owner() {
    let code = "//! Head.\nuse datafusion::prelude::*;\nuse axum::Router;";
    check(
        "crates/store/src/a.rs",
        code,
        expect![[r#"
        crates/store/src/a.rs:2: owner: `datafusion` is for `query`
        crates/store/src/a.rs:3: owner: `axum` is for `api`"#]],
    );
    check(
        "crates/query/src/a.rs",
        code,
        expect!["crates/query/src/a.rs:3: owner: `axum` is for `api`"],
    );
}

#[test]
fn a_long_function_is_measured_by_its_braces() {
    let body = "    g(\"}\"); // }\n".repeat(70);
    check_code(
        &format!("fn long(a: [u8; 4]) {{\n{body}}}\nfn short() {{}}"),
        expect![
            "crates/wal/src/a.rs:2: length: `long` has 72 lines; 70 fit a screen, 120 are the limit"
        ],
    );
    check_code(
        &format!("struct S {{ f: fn(u8) -> u8 }}\nmod m {{\n{body}}}"),
        expect![[r#""#]],
    );
    let fits = "    g();\n".repeat(68);
    check_code(&format!("fn fits() {{\n{fits}}}"), expect![[r#""#]]);
}

#[test]
fn paths_of_one_machine_are_found_in_any_text() {
    // The words are put together here too: this file is checked like every other.
    let place = Place { path: "docs/a.md" };
    for halves in [["/wo", "rk/main"], ["/ro", "ot/x"], ["/tmp/", "target"]] {
        let found = any_text(place, &format!("# A\n\nSee `{}`.\n", halves.concat()));
        let lines: Vec<usize> = found.iter().map(|f| f.line).collect();
        assert_eq!(lines, [3], "{halves:?}");
    }
    assert!(any_text(place, "Put it in the work directory.\n").is_empty());
}

#[test]
fn an_empty_page_is_found() {
    let found = any_text(Place { path: "docs/a.md" }, "\n\n");
    assert_eq!(found.len(), 1);
    assert!(any_text(Place { path: "docs/a.md" }, "# A\n").is_empty());
}

#[test]
fn a_manifest_takes_lints_and_versions_from_the_workspace() {
    let check = |text: &str| {
        let place = Place {
            path: "crates/wal/Cargo.toml",
        };
        let found = any_text(place, text);
        found.iter().map(|f| (f.line, f.rule)).collect::<Vec<_>>()
    };
    let good = "[dependencies]\n# why = this\na.workspace = true\nb = { workspace = true, features = [\n  \"x\",\n] }\n\n[lints]\nworkspace = true\n";
    assert_eq!(check(good), []);
    assert_eq!(
        check(&good.replace("a.workspace = true", "a = \"1\"")),
        [(3, "manifest")]
    );
    assert_eq!(check("[package]\nworkspace = true\n"), [(0, "manifest")]);
}

#[test]
fn the_views_know_literals_and_comments() {
    let text = "let a = 'x'; let b = '\\''; fn f<'a>(s: &'a str) /* a /* b */ c */ {} r\"q\" br#\"\"\"# r#type // z";
    let source = Source::new(text);
    expect![[r#"
        let a =    ; let b =     ; fn f<'a>(s: &'a str)                   {}              r#type     
                                                        /* a /* b */ c */                        // z"#]].assert_eq(&format!("{}\n{}", source.code, source.comments));
}
