//! The shipped schema is whole.

use crate::{PrivacyClass, Schema, TableKind};

#[test]
fn the_hunting_schema_has_its_documented_size() {
    let schema = Schema::parse(include_str!("../../data/hunting_schema.txt")).unwrap();
    assert_eq!(schema.tables().count(), 66);
    assert_eq!(
        schema.tables().map(|t| t.columns.len()).sum::<usize>(),
        1_659
    );
    assert_eq!(Schema::hunting().tables().count(), 66);
}

#[test]
fn time_columns_exist_where_they_are_named() {
    for table in Schema::hunting().tables() {
        if let Some(time) = &table.time_column {
            assert!(table.column(time).is_some(), "{}.{time}", table.name);
        }
    }
    let without_timestamp = Schema::hunting()
        .tables()
        .filter(|t| t.column("Timestamp").is_none())
        .count();
    assert_eq!(
        without_timestamp, 16,
        "architecture §2: 16 of 66 have no Timestamp"
    );
}

#[test]
fn names_are_case_sensitive_and_aliases_resolve() {
    let events = Schema::hunting().table("DeviceEvents").unwrap();
    assert!(events.column("LogonId").is_some() && events.column("LogonID").is_none());
    let files = Schema::hunting().table("DeviceFileEvents").unwrap();
    assert!(files.column("LogonID").is_some() && files.column("LogonId").is_none());
    let graph = Schema::hunting().table("GraphAPIAuditEvents").unwrap();
    assert_eq!(graph.column("IPAddress"), graph.column("IpAddress"));
    assert!(Schema::hunting().table("deviceevents").is_none());
}

#[test]
fn classes_and_kinds_are_as_documented() {
    let table = Schema::hunting().table("DeviceProcessEvents").unwrap();
    assert_eq!(table.kind, TableKind::Event);
    assert_eq!(
        table.column("ProcessCommandLine").unwrap().1.privacy,
        PrivacyClass::Content
    );
    assert_eq!(table.columns.len(), 68);
}

#[test]
fn a_bad_line_is_named() {
    assert_eq!(
        Schema::parse("table T event X\n  A strnig technical\n").unwrap_err(),
        "  A strnig technical"
    );
}
