//! The rules about the graph, on small graphs; the real one is checked by `cargo xtask graph`.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::edges::MAY_USE;
use crate::graph::{Graph, findings};

/// `of kind: used used, …` per line; ours are those with a line of their own and a colon.
fn metadata(text: &str) -> Value {
    let lines: Vec<(&str, &str, &str)> = text
        .lines()
        .filter_map(|line| {
            let (head, uses) = line.trim().split_once(':')?;
            let (name, kind) = head.split_once(' ').unwrap_or((head, ""));
            Some((name, kind, uses))
        })
        .collect();
    let mut names: Vec<&str> = lines.iter().map(|(name, ..)| *name).collect();
    names.extend(lines.iter().flat_map(|(.., uses)| uses.split_whitespace()));
    names.sort_unstable();
    names.dedup();
    let kind = |k: &str| if k.is_empty() { Value::Null } else { json!(k) };
    let uses = |of: &str| -> Vec<(&str, &str)> {
        lines
            .iter()
            .filter(|(name, ..)| *name == of)
            .flat_map(|(_, k, uses)| uses.split_whitespace().map(move |u| (u, *k)))
            .collect()
    };
    let ours = |name: &str| lines.iter().any(|(n, k, _)| *n == name && *k != "lib");
    json!({
        "workspace_members": names.iter().filter(|n| ours(n)).collect::<Vec<_>>(),
        "packages": names.iter().map(|n| json!({
            "id": n, "name": n,
            "dependencies": uses(n).iter().map(|(u, k)| json!({"name": u, "kind": kind(k)})).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "resolve": {"nodes": names.iter().map(|n| json!({
            "id": n,
            "deps": uses(n).iter().map(|(u, k)| json!({"pkg": u, "dep_kinds": [{"kind": kind(k)}]})).collect::<Vec<_>>(),
        })).collect::<Vec<_>>()},
    })
}

fn check(text: &str, expected: Expect) {
    let mut found: Vec<String> = findings(&Graph::read(&metadata(text)))
        .iter()
        .map(crate::Finding::text)
        .collect();
    found.sort();
    expected.assert_eq(&found.join("\n"));
}

#[test]
fn an_edge_must_be_in_the_table() {
    check("wal: model\nmodel:", expect![[r#""#]]);
    check(
        "wal: model crypto\nmodel:\ncrypto:",
        expect!["crates/wal/Cargo.toml: graph: must not use `crypto` (dependency)"],
    );
    check(
        "novelty: model\nmodel:",
        expect![
            "crates/novelty/Cargo.toml: graph: unknown crate: add it to crates/xtask/src/edges.rs"
        ],
    );
}

#[test]
fn tests_may_use_the_kit_and_what_is_reachable() {
    check(
        "store dev: testkit model\ntestkit: model\nmodel:",
        expect![[r#""#]],
    );
    check("query dev: vault\nvault:", expect![[r#""#]]);
    check(
        "kql dev: store\nstore:",
        expect!["crates/kql/Cargo.toml: graph: must not use `store` (dev-dependency)"],
    );
    check(
        "wal: testkit\ntestkit:",
        expect!["crates/wal/Cargo.toml: graph: must not use `testkit` (dependency)"],
    );
}

#[test]
fn a_heavy_library_has_one_owner() {
    check("api: axum\nquery: datafusion-expr", expect![[r#""#]]);
    check(
        "cell: axum-core\nkql: arrow-array parquet",
        expect![[r#"
            crates/cell/Cargo.toml: graph: names `axum-core`, which is for `api`
            crates/kql/Cargo.toml: graph: names `arrow-array`, which is for `rows`, `inspect`
            crates/kql/Cargo.toml: graph: names `parquet`, which is for `store`, `inspect`"#]],
    );
    check("kql: arrowhead", expect![[r#""#]]);
    check("wal dev: tokio", expect![[r#""#]]);
    check(
        "wal: tokio",
        expect![
            "crates/wal/Cargo.toml: graph: names `tokio`, which is for `bailiwick`, `api`, `store`, `query`, `cell`, `centre`, `connect`, `evaluate`"
        ],
    );
}

#[test]
fn a_forbidden_path_is_found_at_any_length() {
    check(
        "store: helper\nhelper lib: middle\nmiddle lib: datafusion-common",
        expect![
            "crates/store/Cargo.toml: graph: must not reach `datafusion*`: store → helper → middle → datafusion-common"
        ],
    );
    check(
        "centre: store\nstore: residency\nresidency lib: pseudonym\npseudonym:",
        expect![
            "crates/centre/Cargo.toml: graph: must not reach `pseudonym`: centre → store → residency → pseudonym"
        ],
    );
    // What tests are built with is not shipped.
    check(
        "store dev: helper\nhelper lib: datafusion-common",
        expect![[r#""#]],
    );
    check(
        "bailiwick: reqwest\nreqwest lib: openssl-sys",
        expect![
            "crates/bailiwick/Cargo.toml: graph: must not reach `openssl-sys`: bailiwick → reqwest → openssl-sys"
        ],
    );
}

#[test]
fn the_table_has_no_circle_and_names_only_what_it_knows() {
    let known = |name: &str| MAY_USE.iter().any(|(n, _)| *n == name);
    for (name, uses) in MAY_USE {
        assert!(uses.iter().all(|u| *u == "*" || known(u)), "{name}");
    }
    // Each round takes away the crates whose uses are all gone; a circle would remain.
    let mut left: Vec<_> = MAY_USE.iter().filter(|(_, uses)| *uses != ["*"]).collect();
    while !left.is_empty() {
        let names: Vec<&str> = left.iter().map(|(n, _)| *n).collect();
        let before = left.len();
        left.retain(|(_, uses)| uses.iter().any(|u| names.contains(u)));
        assert!(left.len() < before, "a circle among {names:?}");
    }
}
