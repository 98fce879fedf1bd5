//! The tables of the language agree with themselves.

use std::collections::BTreeSet;

use crate::functions::{self, AggregateFn, Meaning, ScalarFn};
use crate::{codes, not_yet, operators::Operator, signatures};

#[test]
fn codes_are_unique_and_well_formed() {
    let mut seen = BTreeSet::new();
    for row in codes::ALL {
        assert!(seen.insert(row.code), "{} stands twice", row.code);
        let digits = row.code.strip_prefix("KQL").unwrap();
        assert!(digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()));
        assert!(!row.meaning.ends_with('.'));
    }
}

#[test]
fn every_signature_reads() {
    for row in functions::all() {
        assert!(!row.signatures.is_empty());
        for signature in row.signatures {
            assert!(
                signatures::read(signature).is_some(),
                "{}: {signature}",
                row.name
            );
        }
        assert!(
            !row.doc.is_empty() && !row.doc.ends_with('.'),
            "{}",
            row.name
        );
    }
}

#[test]
fn names_are_unique_and_found() {
    let mut seen = BTreeSet::new();
    for row in functions::all() {
        let is_aggregate = matches!(row.meaning, Meaning::Aggregate(..));
        for name in std::iter::once(row.name).chain(row.synonyms.iter().copied()) {
            assert!(seen.insert((is_aggregate, name)), "{name} stands twice");
            let found = if is_aggregate {
                functions::aggregate_named(name)
            } else {
                functions::scalar(name)
            };
            assert_eq!(found.map(|f| f.name), Some(row.name));
        }
    }
}

#[test]
fn every_meaning_has_a_row() {
    let rows: Vec<Meaning> = functions::all().map(|f| f.meaning).collect();
    let operators = ScalarFn::ALL
        .iter()
        .skip_while(|f| **f != ScalarFn::Add)
        .count();
    for function in ScalarFn::ALL.iter().rev().skip(operators) {
        assert!(rows.contains(&Meaning::Call(*function)), "{function:?}");
    }
    for function in AggregateFn::ALL {
        assert!(
            rows.contains(&Meaning::Aggregate(*function, false)),
            "{function:?}"
        );
    }
}

#[test]
fn what_is_not_supported_is_not_in_the_table() {
    for name in not_yet::FUNCTIONS.iter().chain(not_yet::FORBIDDEN) {
        assert!(functions::scalar(name).is_none(), "{name} is supported");
    }
}

#[test]
fn operators_are_found_by_name() {
    for operator in Operator::ALL {
        assert_eq!(Operator::named(operator.as_str()), Some(*operator));
    }
}
