//! Published hunting queries, read in place when the data folder is there.

use std::path::PathBuf;

use model::{Schema, Ticks};

fn data() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    path.exists()
        .then_some(path)
        .or(Some(PathBuf::from("/work/shared/data")))
}

#[test]
fn published_queries() {
    let Some(data) = data() else { return };
    let text = std::fs::read_to_string(data.join("kql/hunting_queries.jsonl")).unwrap();
    let (mut n, mut parsed) = (0, 0);
    let (mut ok, mut resolved) = (0, 0);
    let mut codes = std::collections::BTreeMap::new();
    for line in text.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let query = row["query"].as_str().unwrap();
        let syntax = crate::parse(query);
        assert_eq!(syntax.root().text().to_string(), query);
        if row["syntax_ok"] == true {
            n += 1;
            parsed += usize::from(syntax.diagnostics.is_empty());
        }
        let (plan, diagnostics) =
            crate::resolve(&syntax, Schema::hunting(), Ticks(638_000_000_000_000_000));
        assert_eq!(plan.is_some(), diagnostics.is_empty());
        if row["semantic_ok_alias"] == true {
            ok += 1;
            if plan.is_some() {
                resolved += 1;
            } else {
                let d = &diagnostics[0];
                *codes
                    .entry(format!("{} {}", d.code, d.message))
                    .or_insert(0) += 1;
                println!("FAIL {} {}", row["id"], d.render("query", query));
            }
        } else if plan.is_some() {
            println!("LENIENT {}", row["id"]);
        }
    }
    let mut codes: Vec<_> = codes.into_iter().collect();
    codes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    for (code, n) in codes {
        println!("{n:5} {code}");
    }
    println!("{parsed} of {n} parse, {resolved} of {ok} resolve");
}

#[test]
fn engine_answers() {
    let Some(data) = data() else { return };
    for file in ["kql/cases.jsonl", "kql/engine_cases.jsonl"] {
        let text = std::fs::read_to_string(data.join(file)).unwrap();
        let (mut n, mut resolved, mut same, mut rejected, mut errors) = (0, 0, 0, 0, 0);
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let query = row["query"].as_str().unwrap();
            let syntax = crate::parse(query);
            let (plan, diagnostics) =
                crate::resolve(&syntax, Schema::hunting(), Ticks(638_000_000_000_000_000));
            if row["expect_error"] == true {
                errors += 1;
                rejected += usize::from(plan.is_none());
                if plan.is_some() {
                    println!("ACCEPTS {} {query}", row["id"]);
                }
                continue;
            }
            n += 1;
            let Some(plan) = plan else {
                let d = &diagnostics[0];
                if !d.code.starts_with("KQL04") {
                    println!("REFUSES {} {query} {} {}", row["id"], d.code, d.message);
                }
                continue;
            };
            resolved += 1;
            let names: Vec<&str> = plan.root.columns.iter().map(|f| &*f.name).collect();
            let types: Vec<&str> = plan.root.columns.iter().map(|f| f.ty.as_str()).collect();
            let expected = |key: &str| -> Vec<String> {
                row[key]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|v| v.as_str().unwrap().to_owned())
                    .collect()
            };
            if names == expected("expected_columns") && types == expected("expected_types") {
                same += 1;
            } else {
                println!(
                    "DIFFERS {} {query}\n    {names:?} {types:?}\n    {:?} {:?}",
                    row["id"],
                    expected("expected_columns"),
                    expected("expected_types")
                );
            }
        }
        println!(
            "{file}: {n} answers, {resolved} resolve, {same} same columns; {rejected} of {errors} refused"
        );
    }
}
