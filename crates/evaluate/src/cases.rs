//! Queries with the engine's recorded answers: documentation examples and generated ones.

use kql::{SchemaSource, TableShape};
use serde_json::Value;

use crate::compare::{self, Rules};
use crate::engine::{self, Bench, rows_of};
use crate::report::{Outcome, Report};

/// Words of a query whose arrays are sets.
const SET_MAKERS: &[&str] = &["make_set", "makeset", "set_", "buildschema"];

/// Words of a query whose types the engine does not tell before it runs.
const WITHOUT_TYPES: &[&str] = &["| scan ", "evaluate "];

/// Functions of which the documentation's build of the engine says, for a constant argument, `long`
/// where the other build, and the binder, say `int`.
const INT_PARTS: &[&str] = &[
    "getyear(",
    "monthofyear(",
    "hourofday(",
    "dayofmonth(",
    "dayofyear(",
    "week_of_year(",
    "datetime_part(",
];

/// The recorded answers are of a database without tables.
struct NoTables;

impl SchemaSource for NoTables {
    fn table(&self, _: &str) -> Option<TableShape> {
        None
    }

    fn tables(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(crate) fn run(file: &str, lines: &[Value], report: &mut Report) {
    let answers = engine::each(lines, outcome);
    for (line, (failure, _)) in lines.iter().zip(answers) {
        report.outcomes.push(Outcome {
            file: file.to_owned(),
            id: text(line, "id").to_owned(),
            families: families(line),
            failure,
            reported_only: is_reported_only(line),
        });
    }
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is(line: &Value, key: &str) -> bool {
    line.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn is_geometry(line: &Value) -> bool {
    text(line, "query").contains("geo_")
}

fn is_reported_only(line: &Value) -> bool {
    text(line, "quality") == "silver" || is_geometry(line)
}

fn families(line: &Value) -> Vec<String> {
    let quality = text(line, "quality");
    let mut families = Vec::new();
    if !quality.is_empty() {
        if is_geometry(line) {
            families.push(format!("{quality} with geo_*"));
        } else {
            families.push(format!("{quality} without geo_*"));
            if quality != "silver" {
                families.push("* gold, gold-engine without geo_*".to_owned());
            }
        }
    } else if is(line, "expect_error") {
        families.push("* errors".to_owned());
        families.push("* all".to_owned());
    } else {
        families.push(text(line, "family").to_owned());
        families.push("* all".to_owned());
    }
    if is(line, "hunting_relevant") {
        families.push("* hunting_relevant".to_owned());
    }
    families
}

/// Why the case fails; `None` if it passes.
fn outcome(bench: &Bench, line: &Value) -> Option<String> {
    let query = text(line, "query");
    let prepared = bench.prepare(query, &NoTables);
    if is(line, "expect_error") {
        prepared.resolved.as_ref()?;
        return match bench.run(&prepared) {
            Err(why) if why.contains("unexpectedly") => Some(why),
            Err(_) => None,
            Ok(_) => Some("the engine refuses this".to_owned()),
        };
    }
    if prepared.resolved.is_none() {
        return Some(engine::first_finding(&prepared));
    }
    let result = match bench.run(&prepared) {
        Ok(result) => result,
        Err(why) => return Some(why),
    };
    let names = result.columns.iter().map(|(name, _)| Value::from(&**name));
    if let Some(why) = differs("columns", names.collect(), line.get("expected_columns")) {
        return Some(why);
    }
    let types = result
        .columns
        .iter()
        .map(|(_, ty)| Value::from(ty.as_str()));
    let expected_types = as_recorded(line, query);
    let mut types: Vec<Value> = types.collect();
    if !text(line, "quality").is_empty() && INT_PARTS.iter().any(|f| query.contains(f)) {
        for (ty, expected) in types
            .iter_mut()
            .zip(expected_types.iter().flat_map(Value::as_array).flatten())
        {
            if *ty == "int" && expected == "long" {
                *ty = expected.clone();
            }
        }
    }
    if let Some(why) = differs("types", types, expected_types.as_ref()) {
        return Some(why);
    }
    let none = Vec::new();
    let expected = line.get("expected_rows").and_then(Value::as_array);
    let rules = Rules {
        ordered: is(line, "ordered"),
        sets: SET_MAKERS.iter().any(|word| query.contains(word)),
    };
    compare::rows(&rows_of(&result), expected.unwrap_or(&none), rules).err()
}

/// The recorded types. Those of the generated queries were taken from the values where the engine
/// did not tell them beforehand, which is after `scan` and plugins: there a small whole number was
/// noted as an `int`. (The documentation's answers, by the same engine, have `long` there.)
fn as_recorded(line: &Value, query: &str) -> Option<Value> {
    let types = line.get("expected_types")?.as_array()?.clone();
    let from_values =
        text(line, "quality").is_empty() && WITHOUT_TYPES.iter().any(|w| query.contains(w));
    let type_of = |ty: Value| match ty.as_str() {
        Some("int") if from_values => Value::from("long"),
        _ => ty,
    };
    Some(Value::Array(types.into_iter().map(type_of).collect()))
}

fn differs(what: &str, actual: Vec<Value>, expected: Option<&Value>) -> Option<String> {
    let expected = expected?.as_array()?;
    let actual = Value::Array(actual);
    (actual.as_array() != Some(expected)).then(|| {
        format!(
            "{what} {actual} instead of {}",
            Value::from(expected.clone())
        )
    })
}
