//! Chores: the checks that no compiler makes, generated reference pages, the inner loop.
//!
//! `cargo xtask` without a command lists them. Each check prints what it found as
//! `path:line: rule: what`, and the program ends with 1 if it found something.
//!
//! Does not build or ship anything: `cargo` does.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to whoever runs it"
)]

mod docs;
mod drift;
mod edges;
mod graph;
mod scan;
mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What went wrong with the chore itself, as opposed to what it found.
type Failure = Box<dyn std::error::Error>;

/// One thing that a check found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Finding {
    /// Relative to the repository.
    path: String,
    /// From 1; 0 if the finding is about the file as a whole.
    line: usize,
    /// The rule's short name.
    rule: &'static str,
    what: String,
}

const USAGE: &str = "\
usage: cargo xtask COMMAND

  check             fmt, tidy, graph and clippy of the crates that differ from HEAD
  test [--all]      tests of the crates without heavy dependencies; --all: of every crate
       [--update]   rewrite expected values instead of comparing; then read the diff
  tidy              house rules that no compiler knows
  graph             which crate may use which; what must not be reachable
  docs [--check]    write docs/reference from the sources; --check: fail if it is stale
  conformance       the query language against recorded answers, by the crate `evaluate`
       [--data DIR] a folder with the recorded answers (default ../shared/data/kql)
  ci                what .ci/run does
";

fn main() -> ExitCode {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the program that reads its arguments"
    )]
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = repository();
    let outcome = match words.as_slice() {
        ["check"] => steps::check(&root),
        ["test", flags @ ..] if flags.iter().all(|f| ["--all", "--update"].contains(f)) => {
            steps::test(&root, flags.contains(&"--all"), flags.contains(&"--update"))
        }
        ["tidy"] => tidy::run(&root).map(report),
        ["graph"] => graph::run(&root).map(report),
        ["docs"] => docs::write(&root),
        ["docs", "--check"] => docs::stale(&root).map(report),
        ["conformance"] => steps::conformance(&root, None),
        ["conformance", "--data", folder] => steps::conformance(&root, Some(folder)),
        ["ci"] => steps::ci(&root),
        _ => {
            eprint!("{USAGE}");
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

/// Prints what was found; true if nothing was.
fn report(mut findings: Vec<Finding>) -> bool {
    findings.sort();
    for finding in &findings {
        println!("{}", finding.text());
    }
    findings.is_empty()
}

impl Finding {
    fn text(&self) -> String {
        let Self {
            path,
            line,
            rule,
            what,
        } = self;
        match line {
            0 => format!("{path}: {rule}: {what}"),
            _ => format!("{path}:{line}: {rule}: {what}"),
        }
    }
}

/// The root of the checkout that this program was built from.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

#[cfg(test)]
mod tests;
