//! The same question asked in another form has the same answer.
//!
//! A random query is run as it stands, and again by way of `let`, functions, `materialize`, `fork`,
//! `partition`, `mv-apply`, and of operators after it that change nothing. No other engine is asked:
//! the two answers are compared as bags of rows. `BAILIWICK_SEED` repeats a failure.

use kql::resolved::Value;
use model::{ColumnType, TableName};
use testkit::SeededRandom;

use super::random::{Query, Shapes, answered, context, kept_tables, random_tables};
use super::support::{describe, run};

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

/// Forms that hold for every query.
fn forms(query: &Query) -> Vec<Pair> {
    let (source, all) = (&query.source, query.text());
    let then = format!("{}\n| project {}", query.operators(), columns(&query.after));
    let kept = columns(&query.after);
    let types: Vec<String> = query
        .before
        .iter()
        .map(|(name, ty)| format!("{name}: {}", ty.as_str()))
        .collect();
    let types = types.join(", ");
    let others = [
        ("let", format!("let T = {source}; T | {then}")),
        (
            "function",
            format!("let f = (T: ({types})) {{ T | {then} }}; f(({source}))"),
        ),
        (
            "any table",
            format!("let f = (T: (*)) {{ T | {then} }}; f(({source}))"),
        ),
        (
            "invoke",
            format!("let f = (T: ({types})) {{ T | {then} }}; {source} | invoke f()"),
        ),
        (
            "materialize",
            format!("let T = materialize({source} | {then}); T | union (T | where false)"),
        ),
        ("as", format!("{source} | as X | {then}")),
        ("fork", format!("{source} | fork ({then}) (count)")),
        (
            "one part",
            format!("{source} | extend p_ = 1 | partition by p_ ({then})"),
        ),
        (
            "groups",
            format!(
                "{all} | summarize n_ = count() by {kept} | mv-expand i_ = range(1, n_, 1) | project {kept}"
            ),
        ),
        (
            "inner join",
            format!(
                "{all} | extend j_ = 1 | join kind=inner (print j_ = 1) on j_ | project {kept}"
            ),
        ),
        (
            "outer join",
            format!(
                "{all} | extend j_ = 1 | join kind=leftouter (print j_ = 2) on j_ | project {kept}"
            ),
        ),
        (
            "other outer join",
            format!(
                "print j_ = 1 | join kind=rightouter ({all} | extend j_ = 1) on j_ | project {kept}"
            ),
        ),
        (
            "semi join",
            format!(
                "{all} | extend j_ = 'x' | join kind=leftsemi (print j_ = 'x') on j_ | project {kept}"
            ),
        ),
        (
            "anti join",
            format!(
                "{all} | extend j_ = 'x' | join kind=leftanti (print j_ = 'y') on j_ | project {kept}"
            ),
        ),
        (
            "lookup",
            format!(
                "{all} | extend j_ = 'x' | lookup (print j_ = 'x', z_ = 3) on j_ | project {kept}"
            ),
        ),
        (
            "mv-apply",
            format!(
                "{all} | mv-apply e_ = dynamic([1, 2]) to typeof(long) on (where e_ == 1) | project {kept}"
            ),
        ),
        (
            "scan",
            format!("{all} | serialize | scan with (step s_: true) | project {kept}"),
        ),
        (
            "sort",
            format!(
                "{all} | order by {kept} | extend r_ = row_number() | where r_ > 0 | project {kept}"
            ),
        ),
        (
            "two halves",
            format!(
                "{all} | extend h_ = rand() < 0.5 | as X | where h_ | union (X | where not(h_)) | project {kept}"
            ),
        ),
        (
            "list",
            format!(
                "{all} | summarize l_ = make_list(pack('v', pack_all())) | mv-expand l_ | project {}",
                unpacked(&query.after)
            ),
        ),
    ];
    let mut pairs: Vec<Pair> = others
        .into_iter()
        .map(|(name, other)| Pair {
            name,
            one: format!("{all}\n| project {kept}"),
            other,
        })
        .collect();
    // The columns of `mv-apply` come beside those of its query: they need names of their own.
    let own = query.after.iter().map(|(name, _)| format!("o_{name}"));
    let own: Vec<String> = own.collect();
    let named: Vec<String> = query
        .after
        .iter()
        .zip(&own)
        .map(|((name, _), own)| format!("{own} = {name}"))
        .collect();
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
        let ask = |text: &str| match run(text, &Shapes, &tables) {
            Ok(result) => Ok(answered(&result)),
            Err(error) => Err(describe(&error)),
        };
        match (ask(&pair.one), ask(&pair.other)) {
            (Ok(one), Ok(other)) if one == other => same += 1,
            (Err(one), Err(other)) if one == other => same += 1,
            (Ok(_), Err(other)) if other.starts_with("KQL") => {
                refused.push(format!("{}: {other}\n{}", pair.name, pair.other));
            }
            (one, other) => {
                let show = |answer| match answer {
                    Ok(rows) => rows,
                    Err(why) => format!("fails: {why}"),
                };
                let asked = format!("{}\n== {}\n{}", pair.one, pair.name, pair.other);
                let context = context(seed, &asked, &data);
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
    assert!(refused.len() * 10 < same, "{}", refused.join("\n\n"));
}
