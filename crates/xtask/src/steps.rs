//! The inner loop and CI: commands run one after the other, each with its seconds.
//!
//! A step's budget stands beside it; running past it is printed, so that it is seen before it hurts.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::{Failure, docs, graph, report, tidy};

/// Crates whose tests need none of the libraries that take minutes to build.
const LIGHT_CRATES: &[&str] = &[
    "model",
    "crypto",
    "wal",
    "access",
    "kql",
    "residency",
    "vault",
    "ledger",
    "generate",
    "testkit",
    "xtask",
];

pub(crate) fn check(root: &Path) -> Result<bool, Failure> {
    let mut good = cargo(root, "fmt", 3, &["fmt", "--all", "--check"], &[])?;
    good &= timed("tidy", 5, || Ok(report(tidy::run(root)?)))?;
    good &= timed("graph", 3, || Ok(report(graph::run(root)?)))?;
    good &= timed("docs", 1, || Ok(report(docs::stale(root)?)))?;
    let changed = changed_crates(root)?;
    if changed.is_empty() {
        println!("clippy: no crate differs from HEAD");
        return Ok(good);
    }
    let mut args = vec!["clippy", "--all-targets"];
    for name in &changed {
        args.extend(["--package", name]);
    }
    args.extend(["--", "-D", "warnings"]);
    good &= cargo(root, "clippy", 30, &args, &[])?;
    Ok(good)
}

pub(crate) fn test(root: &Path, all: bool, update: bool) -> Result<bool, Failure> {
    let update: &[(&str, &str)] = if update {
        &[("UPDATE_EXPECT", "1")]
    } else {
        &[]
    };
    if all {
        return cargo(root, "test", 600, &["test", "--workspace"], update);
    }
    let mut args = vec!["test"];
    for name in LIGHT_CRATES {
        args.extend(["--package", name]);
    }
    cargo(root, "test", 30, &args, update)
}

pub(crate) fn ci(root: &Path) -> Result<bool, Failure> {
    timed("ci", 45 * 60, || {
        Ok(Command::new("bash")
            .arg(".ci/run")
            .current_dir(root)
            .status()?
            .success())
    })
}

/// Compares the query language with recorded answers, in a process of its own: this program does not
/// link the engine.
pub(crate) fn conformance(root: &Path, data: Option<&str>) -> Result<bool, Failure> {
    let data = match data {
        // Relative to where the person is.
        Some(folder) => Path::new(folder).to_owned(),
        None => root.join("../shared/data/kql"),
    };
    if !data.join("engine_cases.jsonl").exists() {
        println!("skipped: no recorded answers in `{}`", data.display());
        return Ok(true);
    }
    let data = data.canonicalize()?;
    let failing = root.join("target/conformance_failing.tsv");
    if let Some(folder) = failing.parent() {
        std::fs::create_dir_all(folder)?;
    }
    timed("conformance", 600, || {
        let mut command = Command::new("cargo");
        command
            .args([
                "run",
                "--quiet",
                "--package",
                "evaluate",
                "--",
                "conformance",
            ])
            .args([&data, &root.join("spec/kql/known_failures.tsv"), &failing])
            .current_dir(root);
        Ok(command.status()?.success())
    })
}

fn cargo(
    root: &Path,
    name: &str,
    budget_seconds: u64,
    args: &[&str],
    environment: &[(&str, &str)],
) -> Result<bool, Failure> {
    timed(name, budget_seconds, || {
        let mut command = Command::new("cargo");
        command
            .args(args)
            .envs(environment.iter().copied())
            .current_dir(root);
        Ok(command.status()?.success())
    })
}

fn timed(
    name: &str,
    budget_seconds: u64,
    step: impl FnOnce() -> Result<bool, Failure>,
) -> Result<bool, Failure> {
    let start = Instant::now();
    let good = step()?;
    let seconds = start.elapsed().as_secs_f64();
    let word = if good { "fine" } else { "FAILED" };
    println!("{name}: {word}, {seconds:.1} s (budget {budget_seconds} s)");
    if start.elapsed().as_secs() > budget_seconds {
        println!("{name}: over its budget");
    }
    Ok(good)
}

/// Crates with a file that differs from HEAD or is new.
fn changed_crates(root: &Path) -> Result<BTreeSet<String>, Failure> {
    let output = Command::new("git")
        .args([
            "status",
            "--porcelain",
            "--untracked-files=all",
            "--no-renames",
            "-z",
        ])
        .current_dir(root)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .split('\0')
        .filter_map(|entry| entry.get(3..)?.strip_prefix("crates/")?.split_once('/'))
        .filter(|(name, _)| root.join("crates").join(name).join("Cargo.toml").exists())
        .map(|(name, _)| name.to_owned())
        .collect())
}
