//! Random queries over random rows: the engine gives what the oracle gives.
//!
//! `BAILIWICK_SEED` repeats a failure; every query of a run has a seed of its own, which is printed
//! with the query, its tables and both answers. Rows are compared as a bag: where the order matters
//! (`take`, windows) the query sorts by all columns first.

use testkit::SeededRandom;

use super::random::{
    Query, Setting, Shapes, answered, bag, context, kept_tables, random_tables, shown,
};
use super::support::{describe, now, run_in};
use crate::{Limits, prepare};

/// Queries of one run.
const QUERIES: u64 = 250;

/// What became of one query.
enum Outcome {
    Same,
    /// The oracle does not know something in it.
    Unknown(String),
    /// The resolver refuses it.
    Refused(String),
}

fn compare(seed: u64) -> Result<Outcome, String> {
    let rng = SeededRandom::new(seed);
    let data = random_tables(&rng);
    let query = Query::random(&rng).text();
    let setting = Setting::random(&rng);
    let prepared = prepare(&query, &Shapes, now());
    let Some(resolved) = &prepared.resolved else {
        let finding = prepared.diagnostics.first().map(|d| d.message.clone());
        return Ok(Outcome::Refused(format!(
            "{}: {query}",
            finding.unwrap_or_default()
        )));
    };
    let wanted = match oracle::run(resolved, &|name| data.get(name).cloned()) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(Outcome::Unknown(refusal.what)),
    };
    let wanted = wanted
        .iter()
        .map(|row| row.iter().map(shown).collect::<Vec<_>>().join(" | "))
        .collect();
    let context = |what: String| format!("{}{what}", context(seed, setting, &query, &data));
    let tables = kept_tables(&rng, &data);
    let result = run_in(&setting.engine(), &prepared, &tables, Limits::default())
        .map_err(|error| context(format!("the engine fails: {}", describe(&error))))?;
    let (wanted, actual) = (bag(wanted), answered(&result));
    if wanted == actual {
        return Ok(Outcome::Same);
    }
    Err(context(format!(
        "the oracle says\n  {wanted}\nthe engine says\n  {actual}\n"
    )))
}

#[test]
fn the_engine_gives_what_the_oracle_gives() {
    let first = testkit::seed(1);
    let rng = SeededRandom::new(first);
    let (mut same, mut unknown, mut refused) = (0, Vec::new(), Vec::new());
    let mut failures = Vec::new();
    for _ in 0..QUERIES {
        match compare(rng.next_u64()) {
            Ok(Outcome::Same) => same += 1,
            Ok(Outcome::Unknown(what)) => unknown.push(what),
            Ok(Outcome::Refused(why)) => refused.push(why),
            Err(difference) => failures.push(difference),
        }
    }
    println!(
        "{same} alike, {} unknown to the oracle, {} refused",
        unknown.len(),
        refused.len()
    );
    assert!(
        failures.is_empty(),
        "{} differ\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    // A test that compares little proves little.
    assert!(
        same * 10 >= QUERIES * 9,
        "unknown: {unknown:#?}; refused: {refused:#?}"
    );
}
