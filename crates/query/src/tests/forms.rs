//! The same question asked in another form has the same answer.
//!
//! A random query is run as it stands, and again by way of `let`, functions, `materialize`, `fork`,
//! `partition`, `mv-apply`, and of operators after it that change nothing. No other engine is asked:
//! the two answers are compared as bags of rows. `BAILIWICK_SEED` repeats a failure.

use kql::resolved::Value;
use model::{ColumnType, TableName};
use testkit::SeededRandom;

use super::random::{Query, Setting, Shapes, answered, context, kept_tables, random_tables};
use super::support::{describe, now, run_in};
use crate::{Limits, prepare};

/// Queries of one run; each is asked in every form.
const QUERIES: u64 = 30;

/// Two queries whose answers are the same.
struct Pair {
    name: &'static str,
    one: String,
    other: String,
}

fn columns(of: &[(String, ColumnType)]) -> String {
    let names: Vec<&str> = of.iter().map(|(name, _)| name.as_str()).collect();
    names.join(", ")
}

/// Forms that hold for every query: `SOURCE`, `TYPES` of its columns, the operators that come `THEN`,
/// both of these as `ALL`, and the columns that are `KEPT`.
const FORMS: [(&str, &str); 20] = [
    ("let", "let T = SOURCE; T | THEN"),
    ("function", "let f = (T: (TYPES)) { T | THEN }; f((SOURCE))"),
    ("any table", "let f = (T: (*)) { T | THEN }; f((SOURCE))"),
    (
        "invoke",
        "let f = (T: (TYPES)) { T | THEN }; SOURCE | invoke f()",
    ),
    (
        "materialize",
        "let T = materialize(SOURCE | THEN); T | union (T | where false)",
    ),
    ("as", "SOURCE | as X | THEN"),
    ("fork", "SOURCE | fork (THEN) (count)"),
    (
        "one part",
        "SOURCE | extend p_ = 1 | partition by p_ (THEN)",
    ),
    (
        "groups",
        "ALL | summarize n_ = count() by KEPT | mv-expand i_ = range(1, n_, 1)",
    ),
    (
        "inner join",
        "ALL | extend j_ = 1 | join kind=inner (print j_ = 1) on j_",
    ),
    (
        "outer join",
        "ALL | extend j_ = 1 | join kind=leftouter (print j_ = 2) on j_",
    ),
    (
        "other outer join",
        "print j_ = 1 | join kind=rightouter (ALL | extend j_ = 1) on j_",
    ),
    (
        "semi join",
        "ALL | extend j_ = 'x' | join kind=leftsemi (print j_ = 'x') on j_",
    ),
    (
        "anti join",
        "ALL | extend j_ = 'x' | join kind=leftanti (print j_ = 'y') on j_",
    ),
    (
        "lookup",
        "ALL | extend j_ = 'x' | lookup (print j_ = 'x', z_ = 3) on j_",
    ),
    (
        "mv-apply",
        "ALL | mv-apply e_ = dynamic([1, 2]) to typeof(long) on (where e_ == 1)",
    ),
    ("scan", "ALL | serialize | scan with (step s_: true)"),
    (
        "sort",
        "ALL | order by KEPT | extend r_ = row_number() | where r_ > 0",
    ),
    (
        "two halves",
        "ALL | extend h_ = rand() < 0.5 | as X | where h_ | union (X | where not(h_))",
    ),
    (
        "list",
        "ALL | summarize l_ = make_list(pack('v', pack_all())) | mv-expand l_ | project UNPACKED",
    ),
];

fn forms(query: &Query) -> Vec<Pair> {
    let (source, all) = (&query.source, query.text());
    let kept = columns(&query.after);
    let then = format!("{}\n| project {kept}", query.operators());
    let types = query.before.iter();
    let types: Vec<String> = types
        .map(|(n, ty)| format!("{n}: {}", ty.as_str()))
        .collect();
    let filled = |form: &str| {
        form.replace("SOURCE", source)
            .replace("TYPES", &types.join(", "))
            .replace("THEN", &then)
            .replace("ALL", &all)
            .replace("KEPT", &kept)
            .replace("UNPACKED", &unpacked(&query.after))
    };
    let mut pairs: Vec<Pair> = FORMS
        .into_iter()
        .map(|(name, form)| Pair {
            name,
            one: format!("{all}\n| project {kept}"),
            other: filled(&format!("{form} | project KEPT")),
        })
        .collect();
    // The columns of `mv-apply` come beside those of its query: they need names of their own.
    let after = query.after.iter();
    let own: Vec<String> = after.map(|(name, _)| format!("o_{name}")).collect();
    let named = query.after.iter().zip(&own);
    let named: Vec<String> = named.map(|((n, _), own)| format!("{own} = {n}")).collect();
    let (own, named) = (own.join(", "), named.join(", "));
    let then = format!("{}\n| project {named}", query.operators());
    pairs.push(Pair {
        name: "row by row",
        one: format!("{source} | serialize r_ = row_number() | partition by r_ ({then})"),
        other: format!(
            "{source} | mv-apply e_ = dynamic([1]) to typeof(long) on ({then}) | project {own}"
        ),
    });
    pairs
}

/// The columns out of a bag, with their types.
fn unpacked(of: &[(String, ColumnType)]) -> String {
    let columns = of.iter().map(|(name, ty)| {
        let to = ty.as_str();
        format!("{name} = to{to}(l_.v.{name})")
    });
    columns.collect::<Vec<_>>().join(", ")
}

/// A part for each value of a key, beside a union of what is asked of each value.
fn parts(query: &Query, rows: Option<&[Vec<Value>]>) -> Option<Pair> {
    let (at, (key, ty)) = query
        .before
        .iter()
        .enumerate()
        .find(|(_, (name, _))| name == "k" || name == "s")?;
    let mut values: Vec<String> = Vec::new();
    for row in rows? {
        let literal = match row.get(at)? {
            Value::Long(n) => format!("long({n})"),
            Value::String(text) => format!("@'{text}'"),
            _ => continue,
        };
        if !values.contains(&literal) {
            values.push(literal);
        }
    }
    let kept = columns(&query.after);
    let then = format!("{}\n| project {kept}", query.operators());
    let known = if *ty == ColumnType::String {
        "true"
    } else {
        "isnotnull(k)"
    };
    let parts: Vec<String> = values
        .iter()
        .map(|value| format!("({} | where {key} == {value} | {then})", query.source))
        .collect();
    (!parts.is_empty()).then(|| Pair {
        name: "parts",
        one: format!("union {}", parts.join(",\n")),
        other: format!(
            "{} | where {known} | partition by {key} ({then})",
            query.source
        ),
    })
}

/// What differs, and what is refused.
fn compare(seed: u64, differ: &mut Vec<String>, refused: &mut Vec<String>) -> usize {
    let rng = SeededRandom::new(seed);
    let data = random_tables(&rng);
    let query = Query::random(&rng);
    let tables = kept_tables(&rng, &data);
    let setting = Setting::random(&rng);
    let engine = setting.engine();
    let mut same = 0;
    let rows = TableName::new(&query.source)
        .ok()
        .and_then(|name| data.get(&name));
    let nothing = rows.is_some_and(Vec::is_empty);
    let mut pairs = forms(&query);
    pairs.extend(parts(&query, rows.map(Vec::as_slice)));
    for pair in pairs {
        // Of no rows there is no part, and so no row that counts them.
        if nothing && pair.name == "one part" {
            continue;
        }
        // The name is the one that `withsource` tells.
        if pair.name == "as" && query.operators().contains("withsource") {
            continue;
        }
        let ask = |text: &str| {
            let prepared = prepare(text, &Shapes, now());
            let result = run_in(&engine, &prepared, &tables, Limits::default());
            result
                .map(|result| answered(&result))
                .map_err(|error| describe(&error))
        };
        match (ask(&pair.one), ask(&pair.other)) {
            (Ok(one), Ok(other)) if one == other => same += 1,
            // Refused alike; an engine that fails alike still fails.
            (Err(one), Err(other)) if one == other && one.starts_with("KQL") => refused.push(one),
            (Ok(_), Err(other)) if other.starts_with("KQL") => {
                refused.push(format!("{}: {other}\n{}", pair.name, pair.other));
            }
            (one, other) => {
                let show = |answer| match answer {
                    Ok(rows) => rows,
                    Err(why) => format!("fails: {why}"),
                };
                let asked = format!("{}\n== {}\n{}", pair.one, pair.name, pair.other);
                let context = context(seed, setting, &asked, &data);
                let (one, other) = (show(one), show(other));
                differ.push(format!(
                    "{context}the one says\n  {one}\nthe other says\n  {other}\n"
                ));
            }
        }
    }
    same
}

#[test]
fn a_question_in_another_form_has_the_same_answer() {
    let rng = SeededRandom::new(testkit::seed(1));
    let (mut differ, mut refused, mut same) = (Vec::new(), Vec::new(), 0);
    for _ in 0..QUERIES {
        same += compare(rng.next_u64(), &mut differ, &mut refused);
    }
    println!(
        "{same} alike, {} refused\n{}",
        refused.len(),
        refused.join("\n")
    );
    assert!(
        differ.is_empty(),
        "{} differ\n{}",
        differ.len(),
        differ.join("\n\n")
    );
    assert!(refused.len() * 5 < same, "{}", refused.join("\n\n"));
}
