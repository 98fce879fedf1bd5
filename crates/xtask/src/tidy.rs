//! House rules that no compiler and no lint knows.
//!
//! Each rule is a function from a [`Source`] (or a text) to findings; which file it applies to is
//! decided in [`rust`] and [`any_text`]. The files are those that git tracks or would track.

use std::path::Path;
use std::process::Command;

use crate::scan::{Source, closing, functions, line_of, words};
use crate::{Failure, Finding};

/// Lines of a function above which a notice is printed.
const FUNCTION_LINES_WARN: usize = 70;
/// Lines of a function above which the check fails.
const FUNCTION_LINES_MAX: usize = 120;

/// Crates that read the environment, clocks or files because that is what they are for.
const EDGE_CRATES: &[&str] = &["bailiwick", "testkit", "xtask", "evaluate"];

/// Crates that do no I/O, read no clock and draw no randomness.
const PURE_CRATES: &[&str] = &[
    "model",
    "crypto",
    "access",
    "residency",
    "kql",
    "rows",
    "ingest",
    "detect",
    "incident",
    "pseudonym",
];

/// Names that only one crate says in code.
const SAID_ONLY_BY: &[(&str, &[&str])] = &[
    ("datafusion", &["query"]),
    ("axum", &["api"]),
    ("clap", &["bailiwick"]),
    ("cedar_policy", &["access"]),
    ("sqlx", &["store", "inspect", "centre"]),
    // What leaves for the centre goes through `Pseudonymised`; the centre's tests attack it with less.
    ("pack_batch", &["residency", "pseudonym", "centre"]),
];

/// Types of ours that a parameter of that name has instead of text.
const ID_PARAMETERS: &[&str] = &[
    "tenant_id",
    "source_id",
    "token_id",
    "segment_id",
    "key_id",
    "request_id",
    "stream_id",
    "row_id",
    "alert_id",
    "incident_id",
];

/// A file's place, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Relative to the repository, with `/`.
    pub(crate) path: &'a str,
}

impl<'a> Place<'a> {
    fn krate(self) -> &'a str {
        let mut parts = self.path.split('/');
        match (parts.next(), parts.next()) {
            (Some("crates"), Some(name)) => name,
            _ => "",
        }
    }

    fn is(self, extension: &str) -> bool {
        Path::new(self.path)
            .extension()
            .is_some_and(|e| e == extension)
    }

    fn is_test_or_bench(self) -> bool {
        ["/tests/", "/benches/", "/examples/"]
            .iter()
            .any(|part| self.path.contains(part))
    }

    fn is_build_script(self) -> bool {
        self.path.ends_with("/build.rs")
    }
}

pub(crate) fn run(root: &Path) -> Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    let mut long = Vec::new();
    for path in files(root)? {
        let Ok(bytes) = std::fs::read(root.join(&path)) else {
            // Deleted but not yet committed.
            continue;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let place = Place { path: &path };
        found.extend(any_text(place, &text));
        if place.is("rs") {
            let source = Source::new(&text);
            found.extend(rust(place, &source));
            long.extend(long_functions(place, &source));
        }
    }
    let (too_long, notices): (Vec<_>, Vec<_>) = long
        .into_iter()
        .partition(|(_, lines)| *lines > FUNCTION_LINES_MAX);
    found.extend(too_long.into_iter().map(|(finding, _)| finding));
    for (finding, _) in notices {
        println!("notice: {}", finding.text());
    }
    Ok(found)
}

/// Tracked files, and new ones that are not ignored.
fn files(root: &Path) -> Result<Vec<String>, Failure> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        return Err("git ls-files failed: this is not a checkout".into());
    }
    Ok(String::from_utf8(output.stdout)?
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Rules for every text file.
pub(crate) fn any_text(place: Place<'_>, text: &str) -> Vec<Finding> {
    let mut found = machine_paths(place, text);
    if place.is("md") && text.trim().is_empty() {
        found.push(at(place, 0, "empty", "a page without text"));
    }
    if place.path.starts_with("crates/") && place.path.ends_with("/Cargo.toml") {
        found.extend(manifest(place, text));
    }
    found
}

/// A crate's manifest takes lints, versions and features from the workspace.
fn manifest(place: Place<'_>, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut section = "";
    let mut lints = false;
    for (n, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section == "lints" && line == "workspace = true" {
            lints = true;
        } else if section.ends_with("dependencies")
            && line.contains('=')
            && !line.starts_with('#')
            && !line.contains("workspace = true")
        {
            let what = "the version belongs into the table of the root manifest";
            found.push(at(place, n + 1, "manifest", what));
        }
    }
    if !lints {
        found.push(at(
            place,
            0,
            "manifest",
            "does not take the workspace's lints",
        ));
    }
    found
}

/// Rules for Rust, all but the length of functions.
pub(crate) fn rust(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !source.text.starts_with("//!") {
        found.push(at(place, 1, "header", "does not begin with `//!`"));
    }
    found.extend(bare_matches(place, source));
    found.extend(banned_words(place, source));
    found.extend(to_do_form(place, source));
    found.extend(printed_source(place, source));
    found.extend(untyped_ids(place, source));
    found.extend(environment(place, source));
    found.extend(foreign_names(place, source));
    found
}

fn at(place: Place<'_>, line: usize, rule: &'static str, what: impl Into<String>) -> Finding {
    Finding {
        path: place.path.to_owned(),
        line,
        rule,
        what: what.into(),
    }
}

/// A text that only makes sense on the machine it was written on.
fn machine_paths(place: Place<'_>, text: &str) -> Vec<Finding> {
    // Put together here, so that this file does not contain what it looks for.
    let banned = [
        ["/wo", "rk/"],
        ["/tmp/", "target"],
        ["/ro", "ot/"],
        ["far", "m-"],
    ]
    .map(|halves| halves.concat());
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        for word in banned.iter().filter(|word| line.contains(word.as_str())) {
            found.push(at(
                place,
                n + 1,
                "machine",
                format!("`{word}` is of one machine"),
            ));
        }
    }
    found
}

/// `matches!(value, Pattern);` computes a truth and drops it.
fn bare_matches(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let code = &source.code;
    words(code, "matches")
        .filter(|start| {
            let before = code.get(..*start).unwrap_or_default().trim_end();
            let is_statement = before.is_empty() || before.ends_with([';', '{', '}']);
            let rest = code.get(*start..).unwrap_or_default();
            let Some(open) = rest
                .strip_prefix("matches!")
                .and(rest.find(['(', '[', '{']))
            else {
                return false;
            };
            let after = closing(code, start + open).and_then(|end| code.get(end..));
            is_statement && after.is_some_and(|after| after.trim_start().starts_with(';'))
        })
        .map(|start| {
            let what = "a bare `matches!` asserts nothing; use `assert!`";
            at(place, line_of(code, start), "matches", what)
        })
        .collect()
}

fn banned_words(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let in_code = [
        ("#[ignore", "assert today's answer with a comment instead"),
        ("#[should_panic", "assert the error instead"),
        ("todo!", "refuse with an error instead"),
        ("unimplemented!", "refuse with an error instead"),
    ];
    let mut found = Vec::new();
    for (word, instead) in in_code {
        for (start, _) in source.code.match_indices(word) {
            let line = line_of(&source.code, start);
            found.push(at(place, line, "banned", format!("`{word}`: {instead}")));
        }
    }
    let mark = ["FIX", "ME"].concat();
    for start in words(&source.comments, &mark) {
        let line = line_of(&source.comments, start);
        found.push(at(
            place,
            line,
            "banned",
            format!("`{mark}` may not be merged"),
        ));
    }
    found
}

/// Work that is left is written `TODO(#12):`, so that it can be found from the issue.
fn to_do_form(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let mark = ["TO", "DO"].concat();
    words(&source.comments, &mark)
        .filter(|start| {
            let rest = source
                .comments
                .get(start + mark.len()..)
                .unwrap_or_default();
            let number = rest.strip_prefix("(#").and_then(|r| r.split_once("):"));
            !number.is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
        .map(|start| {
            let what = format!("write `{mark}(#12):` with the issue's number");
            at(place, line_of(&source.comments, start), "to-do", what)
        })
        .collect()
}

/// `#[error("…{0}…")]` on a variant whose field 0 is the source prints the source twice.
fn printed_source(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let starts: Vec<usize> = source
        .code
        .match_indices("#[error(")
        .map(|(i, _)| i)
        .collect();
    let mut found = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let Some(end) = closing(&source.code, *start + 1) else {
            continue;
        };
        let message = source.text_at(*start, end);
        // The variant reaches to the next message, or to the end of the type.
        let next = starts.get(n + 1).copied().unwrap_or(source.code.len());
        let body = source.code.get(end..next).unwrap_or_default();
        let body = body.split("\n}").next().unwrap_or_default();
        if prints_source(&message, body) {
            let what = "the message contains the source, which is printed after it anyway";
            found.push(at(place, line_of(&source.code, *start), "source", what));
        }
    }
    found
}

fn prints_source(message: &str, body: &str) -> bool {
    let marks: Vec<usize> = ["#[source]", "#[from]"]
        .iter()
        .flat_map(|mark| body.match_indices(mark).map(|(i, _)| i))
        .collect();
    if message.contains("{source") {
        return true;
    }
    let Some(open) = body.find(['(', '{', ',']) else {
        return false;
    };
    let is_tuple = body.get(open..).is_some_and(|rest| rest.starts_with('('));
    is_tuple
        && marks.iter().any(|mark| {
            let before = body.get(open..*mark).unwrap_or_default();
            let position = before.matches(',').count();
            message.contains(&format!("{{{position}}}"))
                || message.contains(&format!("{{{position}:"))
        })
}

/// Ids are types: neither `Uuid` nor text in a signature.
fn untyped_ids(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let code = &source.code;
    let mut found = Vec::new();
    for (start, open) in functions(code) {
        let signature = code
            .get(start..open.unwrap_or(code.len()))
            .unwrap_or_default();
        let signature = match open {
            Some(_) => signature,
            None => signature.split(';').next().unwrap_or_default(),
        };
        let line = line_of(code, start);
        if words(signature, "Uuid").next().is_some() {
            found.push(at(
                place,
                line,
                "ids",
                "`Uuid` in a signature: use an id type of `model`",
            ));
        }
        for name in ID_PARAMETERS {
            let is_text = words(signature, name).any(|i| {
                let rest = signature.get(i + name.len()..).unwrap_or_default();
                let of = rest.trim_start_matches([':', ' ', '&']);
                rest.starts_with(':')
                    && ["str", "String", "Option<&str>", "Option<String>"]
                        .iter()
                        .any(|t| of.starts_with(t))
            });
            if is_text {
                let what = format!("`{name}` is text in a signature: use its id type");
                found.push(at(place, line, "ids", what));
            }
        }
    }
    found
}

/// The environment, clocks and files belong to the edge.
fn environment(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut look = |word: &str, rule, what: &str| {
        for (start, _) in source.code.match_indices(word) {
            let line = line_of(&source.code, start);
            found.push(at(place, line, rule, format!("`{word}` {what}")));
        }
    };
    let edge = EDGE_CRATES.contains(&place.krate());
    if !edge && !place.is_build_script() {
        look("std::env", "environment", "is read by the program alone");
        look("process::exit", "environment", "is for the program alone");
    }
    if !edge && !place.path.contains("/benches/") {
        look(
            "SystemTime::now",
            "clock",
            "is not an argument: take a `Clock`",
        );
        look(
            "Instant::now",
            "clock",
            "is not an argument: take a `Clock`",
        );
    }
    let pure = PURE_CRATES.contains(&place.krate());
    if pure && !place.is_test_or_bench() && !place.is_build_script() {
        look("std::fs", "files", "in a crate that does no I/O");
    }
    found
}

/// Each heavy library is said in one crate's code.
fn foreign_names(place: Place<'_>, source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, owners) in SAID_ONLY_BY {
        if owners.contains(&place.krate()) || !place.path.starts_with("crates/") {
            continue;
        }
        for start in words(&source.code, name) {
            let line = line_of(&source.code, start);
            let owners = owners.join("`, `");
            found.push(at(
                place,
                line,
                "owner",
                format!("`{name}` is for `{owners}`"),
            ));
        }
    }
    found
}

/// Functions of more than [`FUNCTION_LINES_WARN`] lines, and how many they have.
pub(crate) fn long_functions(place: Place<'_>, source: &Source) -> Vec<(Finding, usize)> {
    let code = &source.code;
    let mut found = Vec::new();
    for (start, open) in functions(code) {
        let Some(end) = open.and_then(|open| closing(code, open)) else {
            continue;
        };
        let (first, last) = (line_of(code, start), line_of(code, end));
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES_WARN {
            let name: String = code
                .get(start + 3..)
                .unwrap_or_default()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let what = format!(
                "`{name}` has {lines} lines; {FUNCTION_LINES_WARN} fit a screen, {FUNCTION_LINES_MAX} are the limit"
            );
            found.push((at(place, first, "length", what), lines));
        }
    }
    found
}
