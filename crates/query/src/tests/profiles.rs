//! `invoke FileProfile`: what is asked, what is told, what is said beside it.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use model::{Schema, Ticks};

use super::support::{now, runtime};
use crate::{
    Cancel, Cell, Engine, Error, FileAnswer, HuntResult, Limits, Notice, Profiles, Settings,
    prepare,
};

const KNOWN: &str = "5e9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";
const RARE: &str = "aa9a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8";

/// Knows one file, fails at hashes that begin with `ff`, and keeps what it was asked.
#[derive(Debug, Default)]
struct Told {
    asked: Mutex<Vec<Vec<String>>>,
    is_empty: bool,
}

impl Profiles for Told {
    fn source(&self) -> Option<String> {
        (!self.is_empty).then(|| "snapshot 7".to_owned())
    }

    fn files<'a>(&'a self, sha256: &'a [String]) -> BoxFuture<'a, Vec<FileAnswer>> {
        self.asked.lock().expect("asked").push(sha256.to_vec());
        let answer = |hash: &String| match hash.as_str() {
            KNOWN => FileAnswer::Known {
                groups: 10,
                first_seen: Ticks::parse("2024-05-30T00:00:00Z").expect("a day"),
            },
            hash if hash.starts_with("ff") => FileAnswer::Failed,
            _ => FileAnswer::Unknown,
        };
        let answers = sha256.iter().map(answer).collect();
        Box::pin(async move { answers })
    }
}

fn ask(query: &str, port: Option<Arc<Told>>) -> Result<HuntResult, Error> {
    let settings = Settings {
        profiles: port.map(|port| -> Arc<dyn Profiles> { port }),
        ..Settings::default()
    };
    let prepared = prepare(query, Schema::hunting(), now());
    let (engine, cancel) = (Engine::new(settings), Cancel::default());
    runtime().block_on(engine.run(&prepared, |_| None, Limits::default(), &cancel))
}

/// Cells of these columns, row by row.
fn cells(result: &HuntResult, columns: &[&str]) -> Vec<Vec<String>> {
    let at = |name: &&str| {
        let mut all = result.columns.iter();
        all.position(|(n, _)| **n == **name).expect("the column")
    };
    let places: Vec<usize> = columns.iter().map(at).collect();
    let mut rows = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            let text = |place: &usize| match batch.cell(row, *place) {
                Cell::Null => "null".to_owned(),
                Cell::Text(text) => text.to_owned(),
                Cell::Long(n) => n.to_string(),
                Cell::DateTime(ticks) => Ticks(ticks).to_string(),
                other => format!("{other:?}"),
            };
            rows.push(places.iter().map(text).collect());
        }
    }
    rows
}

const TOLD: [&str; 3] = ["GlobalPrevalence", "GlobalFirstSeen", "ProfileAvailability"];

#[test]
fn a_file_has_the_figure_that_may_be_told_and_no_other() {
    let port = Arc::new(Told::default());
    let failing = "ff".repeat(32);
    let query = format!(
        "datatable(n: long, SHA256: string)[1, '{}', 2, '{RARE}', 3, '', 4, 'abc', 5, '{failing}', 6, '{KNOWN}']
         | sort by n asc | invoke FileProfile('SHA256', 1000)",
        KNOWN.to_uppercase()
    );
    let result = ask(&query, Some(port.clone())).expect("a result");
    let day = "2024-05-30T00:00:00.0000000Z";
    assert_eq!(
        cells(&result, &TOLD),
        [
            ["10", day, "Available"],
            ["null", "null", "Missing"],
            ["null", "null", ""],
            ["null", "null", ""],
            ["null", "null", "Error"],
            ["10", day, "Available"],
        ]
    );
    // A clash is numbered as in a join; what nobody knows is empty or null.
    assert_eq!(
        cells(&result, &["n", "SHA2561", "SHA1", "FileSize", "Signer"])[..2],
        [["1", KNOWN, "", "null", ""], ["2", "", "", "null", ""],]
    );
    assert_eq!(result.columns.len(), 2 + kql::resolved::FILE_PROFILE.len());
    assert_eq!(
        result.notices,
        [Notice::FileProfile {
            source: "snapshot 7".to_owned()
        }]
    );
    let asked = port.asked.lock().expect("asked");
    assert_eq!(asked.concat(), [KNOWN, RARE, &failing], "each once");
}

#[test]
fn another_hash_is_answered_by_the_sha256_of_the_same_row() {
    let rows = format!("datatable(SHA1: string, SHA256: string)['x', '{KNOWN}']");
    for call in [
        "FileProfile()",
        "FileProfile(SHA1)",
        "FileProfile(\"SHA1\", 10000)",
    ] {
        let port = Arc::new(Told::default());
        let result = ask(&format!("{rows} | invoke {call}"), Some(port)).expect("a result");
        assert_eq!(cells(&result, &["GlobalPrevalence"]), [["10"]], "{call}");
        let by = Notice::FileProfileBy {
            asked: "SHA1".to_owned(),
            by: Some("SHA256".to_owned()),
        };
        assert!(result.notices.contains(&by), "{:?}", result.notices);
    }
    let query = format!(
        "datatable(InitiatingProcessSHA1: string, InitiatingProcessSHA256: string)['x', '{KNOWN}']
         | invoke FileProfile(InitiatingProcessSHA1)"
    );
    let result = ask(&query, Some(Arc::new(Told::default()))).expect("a result");
    assert_eq!(cells(&result, &["GlobalPrevalence"]), [["10"]]);

    // Nothing of the row is a SHA-256: nobody is asked, and it is said.
    let port = Arc::new(Told::default());
    let query = "datatable(SHA1: string)['x'] | invoke FileProfile()";
    let result = ask(query, Some(port.clone())).expect("a result");
    assert_eq!(cells(&result, &TOLD), [["null", "null", ""]]);
    assert!(port.asked.lock().expect("asked").is_empty());
    assert!(result.notices.contains(&Notice::FileProfileBy {
        asked: "SHA1".to_owned(),
        by: None,
    }));
}

#[test]
fn no_more_files_are_looked_up_than_the_query_says() {
    let query = |more: &str| {
        format!(
            "range n from 1 to 20000 step 1
             | extend SHA256 = strcat('{}', tostring(n % 250 + 100000))
             | invoke FileProfile(SHA256{more})
             | summarize Rows = count() by ProfileAvailability | sort by Rows desc",
            RARE.get(..58).expect("its beginning")
        )
    };
    for (more, files) in [("", 100), (", 7", 7), (", 5000", 250)] {
        let port = Arc::new(Told::default());
        let result = ask(&query(more), Some(port.clone())).expect("a result");
        assert_eq!(port.asked.lock().expect("asked").concat().len(), files);
        let cut = result.notices.contains(&Notice::FileProfileCut);
        assert_eq!(cut, files < 250, "{more}");
        let rows: u64 = cells(&result, &["Rows"])
            .concat()
            .iter()
            .map(|n| n.parse::<u64>().expect("a number"))
            .sum();
        assert_eq!(rows, 20_000, "no row is lost");
    }
}

#[test]
fn without_anything_to_answer_from_the_columns_are_there_and_hold_nothing() {
    let query = format!("datatable(SHA256: string)['{KNOWN}'] | invoke FileProfile(SHA256)");
    let empty = Arc::new(Told {
        is_empty: true,
        ..Told::default()
    });
    for port in [None, Some(empty)] {
        let result = ask(&query, port).expect("a result");
        assert_eq!(cells(&result, &TOLD), [["null", "null", ""]]);
        assert_eq!(
            result.notices,
            [Notice::NoData {
                function: "FileProfile"
            }]
        );
    }
}

#[test]
fn what_is_no_column_of_hashes_is_refused() {
    for (call, code) in [
        ("FileProfile('Sha3')", "KQL0207"),
        ("FileProfile(Sha3)", "KQL0207"),
        ("FileProfile(n)", "KQL0301"),
        ("FileProfile(strcat(SHA256, 'a'))", "KQL0003"),
        ("FileProfile(SHA256, n)", "KQL0204"),
        ("FileProfile(SHA256, 0)", "KQL0302"),
    ] {
        let query = format!("datatable(n: long, SHA256: string)[1, 'a'] | invoke {call}");
        let Err(Error::Query { diagnostics }) = ask(&query, None) else {
            panic!("{call} runs");
        };
        let codes: Vec<_> = diagnostics.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, [code], "{call}: {diagnostics:?}");
    }
}

#[test]
fn filters_above_and_below_and_shared_relations_see_the_same_figures() {
    let query = format!(
        "let files = materialize(datatable(n: long, SHA256: string)[1, '{KNOWN}', 2, '{RARE}', 3, '{KNOWN}']
             | where n < 3 | invoke FileProfile(SHA256));
         files | where isnull(GlobalPrevalence) or GlobalPrevalence < 50
         | join kind=inner (files | project n, Again = GlobalPrevalence) on n
         | sort by n asc | project n, GlobalPrevalence, Again"
    );
    let result = ask(&query, Some(Arc::new(Told::default()))).expect("a result");
    assert_eq!(
        cells(&result, &["n", "GlobalPrevalence", "Again"]),
        [["1", "10", "10"], ["2", "null", "null"]]
    );
}
