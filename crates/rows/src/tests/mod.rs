//! Batches in and out, and the tokeniser.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, Schema as ArrowSchema};
use model::{ColumnType, RowId, Schema, ServiceName, SourceId, TableName, Ticks};
use proptest::prelude::*;

use crate::terms::Needle;
use crate::{Predicate, TableBuilder, conform, encoding, hidden, types};

fn two_rows() -> crate::TableRows {
    let table = Schema::hunting().table("DeviceProcessEvents").unwrap();
    let mut builder = TableBuilder::known(table);
    let (file, _) = table.column("FileName").unwrap();
    let (pid, _) = table.column("ProcessId").unwrap();
    assert!(builder.set_text(file, "cmd.exe"));
    assert!(!builder.set_text(file, "again"), "a cell is set once");
    assert!(!builder.set_text(pid, "7"), "a layout is kept");
    builder.end_row(0, |id| id.extend_from_slice(b"one"));
    let extra = builder.raw_column("Zeta", ColumnType::Dynamic);
    let other = builder.raw_column("Alpha", ColumnType::Dynamic);
    assert!(builder.set_long(pid, 7));
    assert!(builder.set_text(extra, "1"));
    assert!(builder.set_text(other, "2"));
    builder.set_source_fields("{\"a\":1}");
    builder.end_row(5, |id| id.extend_from_slice(b"two"));
    // A row begun and not ended leaves no trace.
    assert!(builder.set_text(file, "ghost"));
    builder.finish().unwrap()
}

#[test]
fn missing_strings_are_empty_and_other_cells_null() {
    let rows = two_rows();
    assert_eq!(rows.batch.num_rows(), 2);
    assert_eq!(rows.batch.num_columns(), 68 + 2 + 1);
    let file = rows
        .batch
        .column_by_name("FileName")
        .unwrap()
        .as_string::<i32>();
    assert_eq!(
        (file.value(0), file.value(1), file.null_count()),
        ("cmd.exe", "", 0)
    );
    let pid = rows
        .batch
        .column_by_name("ProcessId")
        .unwrap()
        .as_primitive::<Int64Type>();
    assert!(pid.is_null(0));
    assert_eq!(pid.value(1), 7);
    let names: Vec<_> = rows.batch.schema().fields()[68..]
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, ["Alpha", "Zeta", "_source_fields"]);
    assert_eq!(
        rows.identity.iter().collect::<Vec<_>>(),
        [&b"one"[..], b"two"]
    );
    assert_eq!(rows.record, [0, 5]);
}

#[test]
fn a_builder_can_be_used_again() {
    let mut builder = TableBuilder::raw(TableName::new("Foo").unwrap());
    let a = builder.raw_column("A", ColumnType::Dynamic);
    for _ in 0..3 {
        assert!(builder.set_text(a, "1"));
        builder.end_row(0, |_| {});
        assert_eq!(builder.finish().unwrap().batch.num_rows(), 1);
    }
}

#[test]
fn stamping_adds_the_hidden_columns_and_bytes_round_trip() {
    let rows = two_rows();
    let ids = [RowId::from_bytes([1; 16]), RowId::from_bytes([2; 16])];
    let stamp = hidden::Stamp {
        ingested_at: Ticks(5),
        service: &ServiceName::new("endpoint").unwrap(),
        source: SourceId::from_bytes([9; 16]),
        row_ids: &ids,
    };
    let batch = hidden::stamp(&rows.batch, &stamp).unwrap();
    assert_eq!(hidden::row_ids(&batch).unwrap().collect::<Vec<_>>(), ids);
    for name in hidden::ALL {
        assert_eq!(
            batch.schema().field_with_name(name).unwrap(),
            &hidden::field(name).unwrap()
        );
    }
    let bytes = encoding::encode(&batch).unwrap();
    assert_eq!(encoding::decode(&bytes).unwrap(), batch);
    assert!(encoding::decode(b"BWRX").is_err());
    let mut newer = bytes;
    newer[4] = 9;
    assert_eq!(
        encoding::decode(&newer).unwrap_err().to_string(),
        "encoded batch has format 9, newest supported is 1"
    );
}

#[test]
fn conforming_fills_reorders_and_refuses_other_types() {
    let rows = two_rows();
    let fields = vec![
        types::field("New", ColumnType::String),
        types::field("Zeta", ColumnType::Dynamic),
        types::field("Time", ColumnType::DateTime),
    ];
    let target = Arc::new(ArrowSchema::new(fields));
    let out = conform(&rows.batch, &target).unwrap();
    assert_eq!(out.column(0).as_string::<i32>().value(1), "");
    assert_eq!(out.column(0).null_count(), 0);
    assert_eq!(out.column(1).as_string::<i32>().value(1), "1");
    assert_eq!(out.column(2).null_count(), 2);
    let wrong = Arc::new(ArrowSchema::new(vec![types::field(
        "Zeta",
        ColumnType::Long,
    )]));
    assert!(conform(&rows.batch, &wrong).is_err());
}

#[test]
fn field_metadata_carries_the_kusto_type() {
    for ty in [
        ColumnType::DateTime,
        ColumnType::Long,
        ColumnType::Dynamic,
        ColumnType::String,
    ] {
        assert_eq!(types::column_type(&types::field("x", ty)), Some(ty));
    }
}

#[test]
fn has_follows_the_engine() {
    let has = |haystack: &str, needle: &str| Needle::new(needle, true).is_in(haystack);
    assert!(has("alpha_beta", "alpha"));
    assert!(has("1.2.3", "2.3"));
    assert!(has("x powershell.exe -enc", "PowerShell"));
    assert!(has("anything", ""));
    assert!(has("aab ab", "ab"));
    assert!(has("aaa-aa", "aa"));
    assert!(!has("alphabet", "alpha"));
    assert!(!has("1.2.34", "2.3"));
    assert!(has("CAFÉ au lait", "café"));
    assert!(!Needle::new("PowerShell", false).is_in("powershell"));
}

#[test]
fn predicates_skip_only_what_cannot_match() {
    let p = Predicate {
        time_from: Some(Ticks(10)),
        time_to: Some(Ticks(20)),
    };
    assert!(p.may_match(Ticks(0), Ticks(10)));
    assert!(p.may_match(Ticks(20), Ticks(30)));
    assert!(!p.may_match(Ticks(0), Ticks(9)));
    assert!(!p.may_match(Ticks(21), Ticks(30)));
    assert!(Predicate::all().may_match(Ticks(0), Ticks(0)));
}

proptest! {
    #[test]
    fn has_of_a_term_agrees_with_the_term_list(text in "[ab._ ]{0,12}", needle in "[ab]{1,3}") {
        let by_terms = crate::terms::terms(&text).any(|t| t == needle);
        prop_assert_eq!(Needle::new(&needle, true).is_in(&text), by_terms);
    }
}

proptest! {
    #[test]
    fn a_folded_needle_is_found_wherever_it_begins(text in "[abAB_ ]{0,16}", needle in "[abA_]{0,3}") {
        let folded = crate::terms::Folded::new(&needle).unwrap();
        let (lower, needle) = (text.to_lowercase(), needle.to_lowercase());
        let expected: Vec<usize> =
            (0..=lower.len()).filter(|at| lower.get(*at..).unwrap().starts_with(&needle)).collect();
        let found: Vec<usize> = folded.positions(text.as_bytes()).collect();
        prop_assert_eq!(found, expected);
    }
}
