//! Markers: unique, findable, everywhere, and each leads back to its place.

use std::collections::{BTreeMap, BTreeSet};

use model::{ColumnType, Schema};
use serde_json::Value;

use super::world;
use crate::{Marker, Planted};

#[test]
fn every_column_of_every_table_is_planted_but_times_and_flags() {
    let planting = world(100).plant(0, 9);
    assert_eq!(planting.records.len(), 66);
    let have: BTreeSet<(&str, &str)> = planting
        .planted
        .iter()
        .map(|p| (p.table, &*p.column))
        .collect();
    let mut exempt = 0;
    for table in Schema::hunting().tables() {
        for column in &table.columns {
            let is_exempt = matches!(column.column_type, ColumnType::DateTime | ColumnType::Bool);
            exempt += u32::from(is_exempt);
            let planted = have.contains(&(table.name.as_str(), &*column.name));
            assert_eq!(planted, !is_exempt, "{}.{}", table.name, column.name);
        }
    }
    assert!(exempt > 100, "{exempt}");
}

#[test]
fn a_marker_stands_in_its_own_record_and_column() {
    let world = world(100);
    for tenant in 0..3 {
        let planting = world.plant(tenant, 9);
        for planted in &planting.planted {
            assert_eq!(planted.tenant, tenant);
            let record = &planting.records[planted.record_index];
            assert_eq!(record.table, planted.table);
            let row: Value = serde_json::from_str(record.row()).unwrap();
            let value = &row[&*planted.column];
            assert!(is_found(&planted.marker, value), "{planted:?} {value}");
        }
    }
}

fn is_found(marker: &Marker, value: &Value) -> bool {
    match marker {
        Marker::Text {
            token,
            value: whole,
        } => {
            assert!(token.len() >= 20 && whole.contains(token.as_str()));
            match value.as_str() {
                Some(text) => text.contains(whole.as_str()),
                None => value.to_string().contains(token.as_str()),
            }
        }
        Marker::Number(number) => value.as_i64() == Some(*number),
        Marker::Real(number) => value.as_f64().map(f64::to_bits) == Some(number.to_bits()),
        Marker::Guid(guid) => value == guid,
    }
}

#[test]
fn markers_of_a_world_are_unique() {
    let world = world(100);
    let mut seen: BTreeMap<String, Planted> = BTreeMap::new();
    for tenant in 0..3 {
        for planted in world.plant(tenant, 9).planted {
            let key = match &planted.marker {
                Marker::Text { token, .. } => token.clone(),
                Marker::Number(number) => number.to_string(),
                Marker::Real(number) => number.to_string(),
                Marker::Guid(guid) => guid.clone(),
            };
            let before = seen.insert(key, planted.clone());
            assert!(before.is_none(), "{planted:?} and {before:?}");
        }
    }
    assert!(seen.len() > 3 * 1_400, "{}", seen.len());
}

#[test]
fn a_marker_occurs_in_no_other_record() {
    let world = world(3_000);
    let planting = world.plant(1, 9);
    // Every word of every record, and where it is: looking up beats searching 1,500 times.
    let mut places: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let background: Vec<String> = world.records(1).map(|r| r.json).collect();
    let planted = planting.records.iter().map(|r| r.json.as_str());
    for (index, json) in planted
        .chain(background.iter().map(String::as_str))
        .enumerate()
    {
        for word in json.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
            places.entry(word).or_default().insert(index);
        }
    }
    for planted in &planting.planted {
        let word = match &planted.marker {
            Marker::Text { token, .. } => token.clone(),
            Marker::Guid(guid) => guid.clone(),
            Marker::Number(number) => number.to_string(),
            // The point ends a word.
            Marker::Real(number) => number.trunc().to_string(),
        };
        let found = places.get(word.as_str());
        assert_eq!(
            found,
            Some(&BTreeSet::from([planted.record_index])),
            "{planted:?}"
        );
    }
    assert!(!background.iter().any(|json| json.contains("\"zq")));
}

#[test]
fn numbers_fit_their_columns() {
    let planting = world(100).plant(2, 9);
    for planted in &planting.planted {
        let table = Schema::hunting().table(planted.table).unwrap();
        let Some((_, column)) = table.column(&planted.column) else {
            assert_eq!(&*planted.column, "MachineGroup");
            continue;
        };
        match (&planted.marker, column.column_type) {
            (Marker::Number(n), ColumnType::Int) => {
                assert!((1 << 30..=i64::from(i32::MAX)).contains(n));
            }
            (Marker::Number(n), ColumnType::Long) => assert!(*n >= 1 << 62),
            (Marker::Real(_), ColumnType::Real)
            | (Marker::Guid(_), ColumnType::Guid)
            | (Marker::Text { .. }, ColumnType::String | ColumnType::Dynamic) => {}
            other => panic!("{other:?} in {}", planted.column),
        }
    }
}

#[test]
fn a_dynamic_column_has_a_marker_as_key_and_one_as_value() {
    let planting = world(100).plant(0, 9);
    let of = |table: &str, column: &str| {
        planting
            .planted
            .iter()
            .filter(|p| p.table == table && &*p.column == column)
            .count()
    };
    assert_eq!(of("CloudAppEvents", "RawEventData"), 2);
    assert_eq!(of("EmailEvents", "To"), 2);
    assert_eq!(of("EmailEvents", "Subject"), 1);
}

#[test]
fn columns_outside_the_schema_have_a_marker_for_a_name_too() {
    let world = world(100);
    let (inside, planting) = (world.plant(1, 9), world.plant_unknown(1, 9));
    assert_eq!(planting.records.len(), 2);
    assert!(Schema::hunting().table(planting.records[0].table).is_none());
    let mut tokens = BTreeSet::new();
    for planted in &planting.planted {
        let record = &planting.records[planted.record_index];
        let row: Value = serde_json::from_str(record.row()).unwrap();
        let Marker::Text { token, .. } = &planted.marker else {
            panic!("{planted:?}")
        };
        assert!(tokens.insert(token.clone()));
        let is_name = *planted.column == **token;
        assert!(is_name || row[&*planted.column] == **token, "{planted:?}");
        assert!(
            inside
                .records
                .iter()
                .all(|r| !r.json.contains(token.as_str()))
        );
    }
    assert_eq!(tokens.len(), 32);
    assert!(world.plant_unknown(3, 9).records.is_empty());
}

#[test]
fn another_seed_plants_other_markers() {
    let world = world(100);
    let (one, two) = (world.plant(0, 1), world.plant(0, 2));
    let same = one
        .planted
        .iter()
        .zip(&two.planted)
        .filter(|(a, b)| a.marker == b.marker)
        .count();
    assert_eq!(same, 0);
    assert_eq!(one.records, world.plant(0, 1).records);
}
