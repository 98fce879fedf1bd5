//! The list of known failures: `file<TAB>id<TAB>reason` a line, `#` for comments.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Failure;
use crate::report::Report;

/// File and id of a case, and why it fails.
pub(crate) type Known = BTreeMap<(String, String), String>;

/// Reads the list; every line has its reason.
pub(crate) fn read(path: &Path) -> Result<Known, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    parse(&text)
}

pub(crate) fn parse(text: &str) -> Result<Known, Failure> {
    let mut known = Known::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parts: Vec<&str> = line.splitn(3, '\t').collect();
        let [file, id, reason] = parts.as_slice() else {
            return Err(format!("line {number}: file, id and reason, with tabs between").into());
        };
        if reason.trim().is_empty() {
            return Err(format!("line {number}: `{id}` has no reason").into());
        }
        let key = ((*file).to_owned(), (*id).to_owned());
        if known.insert(key, (*reason).to_owned()).is_some() {
            return Err(format!("line {number}: `{id}` is listed twice").into());
        }
    }
    Ok(known)
}

/// Where the run and the list disagree. Cases of the list that were not run are no surprise.
pub(crate) fn surprises(known: &Known, report: &Report) -> Vec<String> {
    let mut out = Vec::new();
    for outcome in report.outcomes.iter().filter(|o| !o.reported_only) {
        let key = (outcome.file.clone(), outcome.id.clone());
        match (&outcome.failure, known.get(&key)) {
            (Some(why), None) => out.push(format!("fails: {} {}: {why}", outcome.file, outcome.id)),
            (None, Some(_)) => out.push(format!(
                "passes, but is listed as failing: {} {}",
                outcome.file, outcome.id
            )),
            _ => {}
        }
    }
    out
}
