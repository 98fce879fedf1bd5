//! Evaluation against recorded answers. `cargo xtask conformance` starts it.
//!
//! `evaluate conformance DATA KNOWN FAILING` reads the three files of `DATA`, writes the ids that
//! fail to the file `FAILING`, prints totals per file and family, and ends with 1 if a case fails
//! that `KNOWN` does not list, or one passes that it lists.
//!
//! `evaluate answers QUERIES` reads lines with an id and a query and prints for each what it gives:
//! for looking at the language beside another engine.
//!
//! Reads files and the machine's clock because that is what it is for; ships with nothing.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it reports to whoever runs it"
)]

mod answers;
mod cases;
mod compare;
mod engine;
mod hunts;
mod known;
mod report;

use std::path::Path;
use std::process::ExitCode;

use report::Report;

/// What went wrong with the evaluation itself.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the program that reads its arguments"
    )]
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["conformance", data, known, failing] => {
            conformance(Path::new(data), Path::new(known), Path::new(failing), "")
        }
        ["conformance", data, known, failing, only] => {
            conformance(Path::new(data), Path::new(known), Path::new(failing), only)
        }
        ["answers", queries] => answers::print(Path::new(queries)).map(|()| true),
        _ => {
            eprintln!("usage: evaluate conformance DATA KNOWN FAILING [FILE] | answers QUERIES");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(3)
        }
    }
}

/// True if nothing differs from what is known. `only` restricts to the files that contain it.
fn conformance(data: &Path, known: &Path, failing: &Path, only: &str) -> Result<bool, Failure> {
    let mut report = Report::default();
    for file in ["cases.jsonl", "engine_cases.jsonl", "hunting_queries.jsonl"] {
        if !file.contains(only) {
            continue;
        }
        let lines = lines_of(&data.join(file))?;
        if file.starts_with("hunting") {
            hunts::run(file, &lines, &mut report);
        } else {
            cases::run(file, &lines, &mut report);
        }
    }
    print!("{}", report.totals());
    #[expect(
        clippy::disallowed_methods,
        reason = "a list for whoever runs it, not data of a tenant"
    )]
    std::fs::write(failing, report.failing())?;
    println!("failing cases: {}", failing.display());
    let known = known::read(known)?;
    let surprises = known::surprises(&known, &report);
    for line in &surprises {
        println!("{line}");
    }
    Ok(surprises.is_empty())
}

/// One JSON object per line.
pub(crate) fn lines_of(path: &Path) -> Result<Vec<serde_json::Value>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let mut lines = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        lines.push(serde_json::from_str(line)?);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
