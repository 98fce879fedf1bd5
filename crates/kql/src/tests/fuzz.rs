//! Texts made of pieces of right ones: nothing panics, hangs, or goes on without end.
//!
//! Runs on stable: a seeded mutator over a committed corpus (`corpus/` and the manual's queries).
//! Every text goes through parser, resolver, formatter, completion and division into queries, and
//! each must keep its promises. A failure prints seed and text; `BAILIWICK_SEED` repeats it, and
//! `.ci/deep` runs many seeds.

use std::path::Path;

use model::{Diagnostic, Schema, Severity, limits};
use testkit::SeededRandom;

use super::NOW;
use crate::format::{comments, laid_out, same_shape};

/// Texts of one run.
const TEXTS: usize = 1_500;
/// Bytes of a mutated text: repeating may not grow without end.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Pieces that change what is around them.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|",
    ";",
    ",",
    ".",
    "..",
    ":",
    "=",
    "==",
    "=>",
    "-",
    "--",
    "*",
    "!",
    "'",
    "\"",
    "@'",
    "```",
    "//",
    "#",
    "\n",
    "\n\n",
    " ",
    "\t",
    "\u{feff}",
    "\u{0}",
    "é",
    "“",
    "&&",
    "let x = ",
    "print ",
    "where ",
    "| summarize ",
    " by ",
    " on ",
    " in (",
    " between (",
    "dynamic(",
    "datetime(",
    "long(",
    "typeof(",
    "$left.",
    "hint.",
    "kind=",
    "view () {",
    "union ",
    "range x from ",
    "datatable(a: long) [",
    "toscalar(",
    "materialize(",
    "1.",
    "1..",
    "0x",
    "1d",
    "- -",
    ".5",
    "~",
    "in~",
    "!has",
    "matches regex ",
    " asc",
    " nulls",
    "null",
    "true",
    "9999999999999999999999",
    "-9223372036854775808",
];

fn corpus() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "kql"))
        .collect();
    files.sort();
    let mut all: Vec<String> = files
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    all.extend(super::format::manual());
    all
}

/// A text with one thing changed.
fn mutated(rng: &SeededRandom, text: &str, corpus: &[String]) -> String {
    let tokens: Vec<&str> = crate::lexer::tokens(text)
        .into_iter()
        .map(|(_, t)| t)
        .collect();
    let at = rng.index(tokens.len() + 1);
    let to = (at + rng.index(6)).min(tokens.len());
    let (before, rest) = tokens.split_at(at.min(tokens.len()));
    let (piece, after) = rest.split_at(to - at.min(to));
    let (before, piece, after) = (before.concat(), piece.concat(), after.concat());
    let any = |all: &[&str]| all[rng.index(all.len())].to_owned();
    match rng.below(9) {
        0 => before + &after,
        1 => format!("{before}{piece}{piece}{after}"),
        2 => format!("{before}{}{piece}{after}", any(PIECES)),
        3 => format!("{before}{}{after}", any(PIECES)),
        4 => {
            let times = rng.index(40) + 1;
            format!("{before}{}{after}", piece.repeat(times))
        }
        5 => {
            // Cut at any character.
            let n = rng.index(text.chars().count() + 1);
            text.chars().take(n).collect()
        }
        6 => {
            let other = &corpus[rng.index(corpus.len())];
            let others: Vec<&str> = crate::lexer::tokens(other)
                .into_iter()
                .map(|(_, t)| t)
                .collect();
            let from = rng.index(others.len() + 1).min(others.len());
            format!("{before}{}", others[from..].concat())
        }
        7 => format!("{before}({piece}){after}"),
        _ => format!("{after}{piece}{before}"),
    }
}

/// Everything that is promised of any text.
fn keeps_its_promises(text: &str, rng: &SeededRandom) {
    let syntax = crate::parse(text);
    assert_eq!(syntax.root().text().to_string(), text);
    assert!(syntax.diagnostics.len() <= limits::QUERY_DIAGNOSTICS_MAX);
    let schemas: [&Schema; 2] = [&super::SCHEMA, Schema::hunting()];
    for schema in schemas {
        let (resolved, findings) = crate::resolve(&syntax, schema, NOW);
        let is_error = |finding: &Diagnostic| finding.severity == Severity::Error;
        assert_eq!(resolved.is_none(), findings.iter().any(is_error));
        assert!(findings.len() <= limits::QUERY_DIAGNOSTICS_MAX);
        for finding in &findings {
            assert!(!finding.render("query", text).is_empty());
            assert!(finding.span.start <= finding.span.end);
            assert!(finding.span.end as usize <= text.len());
        }
    }
    if syntax.diagnostics.is_empty() {
        let formatted = crate::format(text);
        let again = crate::parse(&formatted);
        assert!(again.diagnostics.is_empty());
        assert!(same_shape(&syntax.root(), &again.root()));
        assert_eq!(comments(text), comments(&formatted));
        assert_eq!(crate::format(&formatted), formatted);
    } else {
        assert_eq!(crate::format(text), text);
        // The layout alone does not mind errors.
        laid_out(&syntax.root(), text);
    }
    let parts = crate::queries(text);
    assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
    for _ in 0..2 {
        let found = crate::complete(text, rng.index(text.len() + 2), &*super::SCHEMA);
        assert!(found.items.len() <= limits::QUERY_COMPLETIONS_MAX);
        assert!(found.span.end as usize <= text.len());
        assert!(text.is_char_boundary(found.span.start as usize));
    }
}

#[test]
fn mutated_texts() {
    let corpus = corpus();
    let first = testkit::seed(1);
    let seeds = SeededRandom::new(first);
    for _ in 0..TEXTS {
        let seed = seeds.next_u64();
        let rng = SeededRandom::new(seed);
        let mut text = corpus[rng.index(corpus.len())].clone();
        for _ in 0..=rng.below(4) {
            text = mutated(&rng, &text, &corpus);
            if text.len() > TEXT_BYTES_MAX {
                text = text.chars().take(TEXT_BYTES_MAX / 4).collect();
            }
        }
        let shown = format!("seed {seed}:\n{text}");
        let guard = Shown(&shown);
        keeps_its_promises(&text, &rng);
        std::mem::forget(guard);
    }
}

/// Prints the text if what is done with it panics.
struct Shown<'t>(&'t str);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        eprintln!("{}", self.0);
    }
}

#[test]
fn the_corpus_itself() {
    let rng = SeededRandom::new(1);
    let all = corpus();
    assert!(all.len() > 100);
    for text in &all {
        keeps_its_promises(text, &rng);
    }
}

/// Long texts. Were anything quadratic in them, this would not end. (Parser and resolver are also
/// given texts as long as they may be, in `limits`.)
#[test]
fn long_texts_end() {
    let long = |piece: &str| piece.repeat(limits::QUERY_BYTES_MAX / 8 / piece.len());
    let rng = SeededRandom::new(1);
    for text in [
        long("("),
        long("()"),
        long("[{("),
        long("a,"),
        long("| take 1 "),
        format!("Logon{}", "| take 1 ".repeat(10_000)),
        long("let x = 1;"),
        long("a.b[0]"),
        long("\n\nLogon"),
        long("//x\n"),
        format!("Logon // {}", long("x")),
        format!(
            "Logon | where User in ({}'x')",
            "'abcdef',\n".repeat(10_000)
        ),
        format!("Logon | where {}true", "User == 'a' or\n".repeat(10_000)),
        format!("print {}1{}", "abs(".repeat(60), ")".repeat(60)),
        "let v = 1;\n".repeat(500) + "Logon | take v",
    ] {
        keeps_its_promises(&text, &rng);
    }
}
