//! The manual, `spec/kql`: everything that works has a section with an example, and the index lists it.
//!
//! A section is a heading that has the name in backticks, down to the next heading that is not
//! deeper; its example is a `kql` block that uses the name. The examples run in `query`'s tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::functions::{self, Meaning};
use crate::operators::Operator;
use crate::signatures;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/kql")
}

/// The manual's pages: name and text.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| name != "README.md" && name != "diagnostics.md")
        .collect();
    pages.sort();
    pages
}

/// Each name with a section: where it is. The first page that has one is shown.
fn sections() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (page, text) in pages() {
        let lines: Vec<&str> = text.lines().collect();
        let mut is_fenced = false;
        for (at, line) in lines.iter().enumerate() {
            is_fenced ^= line.starts_with("```");
            let level = line.chars().take_while(|c| *c == '#').count();
            if is_fenced || level == 0 {
                continue;
            }
            let examples = examples(&lines[at + 1..], level);
            for name in line.split('`').skip(1).step_by(2) {
                if examples.contains(name) {
                    let place = if level == 1 {
                        page.clone()
                    } else {
                        format!("{page}#{}", anchor(line))
                    };
                    found.entry(name.to_owned()).or_insert(place);
                }
            }
        }
    }
    found
}

/// The words of the examples below a heading, up to the next one that is not deeper.
fn examples(lines: &[&str], level: usize) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut fence = "";
    for line in lines {
        if let Some(info) = line.strip_prefix("```") {
            fence = info;
            continue;
        }
        let deep = line.chars().take_while(|c| *c == '#').count();
        if fence.is_empty() && deep > 0 && deep <= level {
            break;
        }
        if fence.starts_with("kql") {
            let tokens = crate::lexer::tokens(line).into_iter();
            words.extend(tokens.map(|(_, text)| text.to_owned()));
        }
    }
    words
}

/// The fragment that a page's renderer makes of a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// One entry of the index: name, what to show of it, and what it is.
struct Entry {
    name: &'static str,
    shown: String,
    doc: &'static str,
}

fn functions_that(are: fn(&Meaning) -> bool) -> Vec<Entry> {
    let mut all: Vec<Entry> = functions::all()
        .filter(|f| are(&f.meaning))
        .map(|f| Entry {
            name: f.name,
            shown: signatures::ways(f)
                .iter()
                .map(|way| format!("`{way}`"))
                .collect::<Vec<_>>()
                .join("<br>"),
            doc: f.doc,
        })
        .collect();
    all.sort_by_key(|e| e.name);
    all
}

fn groups() -> Vec<(&'static str, Vec<Entry>)> {
    let plain = |name: &'static str, doc: &'static str| Entry {
        name,
        shown: format!("`{name}`"),
        doc,
    };
    let mut operators: Vec<Entry> = Operator::ALL
        .iter()
        .filter(|o| o.is_supported())
        .map(|o| plain(o.as_str(), o.doc()))
        .collect();
    operators.sort_by_key(|e| e.name);
    let plugins = crate::PLUGINS.iter().map(|(n, d)| plain(n, d)).collect();
    vec![
        ("Tabular operators", operators),
        (
            "Scalar functions",
            functions_that(|m| !matches!(m, Meaning::Aggregate(..) | Meaning::Window(_))),
        ),
        (
            "Window functions",
            functions_that(|m| matches!(m, Meaning::Window(_))),
        ),
        (
            "Aggregates",
            functions_that(|m| matches!(m, Meaning::Aggregate(..))),
        ),
        ("Plugins", plugins),
    ]
}

#[test]
fn everything_that_works_has_a_section_with_an_example() {
    let sections = sections();
    let mut missing: Vec<&str> = groups()
        .iter()
        .flat_map(|(_, entries)| entries.iter().map(|e| e.name))
        .filter(|name| !sections.contains_key(*name))
        .collect();
    missing.sort_unstable();
    assert_eq!(
        missing,
        Vec::<&str>::new(),
        "give each a section with an example under spec/kql"
    );
}

#[test]
fn the_index_is_that_of_the_tables() {
    let sections = sections();
    let mut index = String::from(
        "# The query language\n\nThe manual: every page is prose with queries and their answers, and \
         every answer is checked by a test.\nThis index is generated from the tables that the \
         resolver and the completions read (`UPDATE_EXPECT=1 cargo test -p kql`).\n\
         What is said about mistakes has [a page of its own](diagnostics.md).\n\n## Pages\n\n",
    );
    for (page, text) in pages() {
        let title = text.lines().next().unwrap_or_default();
        let _ = writeln!(
            index,
            "- [{}]({page})",
            title.trim_start_matches("# ").replace('`', "")
        );
    }
    for (title, entries) in groups() {
        let _ = writeln!(
            index,
            "\n## {title}\n\n| name | call | what it is |\n|---|---|---|"
        );
        for entry in entries {
            let name = match sections.get(entry.name) {
                Some(place) => format!("[{}]({place})", entry.name),
                None => entry.name.to_owned(),
            };
            let call = if entry.shown == format!("`{}`", entry.name) {
                String::new()
            } else {
                entry.shown.replace('|', "\\|")
            };
            let _ = writeln!(index, "| {name} | {call} | {} |", entry.doc);
        }
    }
    testkit::golden(folder().join("README.md"), &index);
}
