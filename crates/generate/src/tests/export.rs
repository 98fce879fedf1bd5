//! The shapes of an export.

use serde_json::Value;

use super::world;
use crate::{LineEnd, Shape, write_export};

fn written(shape: Shape, most: usize) -> String {
    let mut out = Vec::new();
    let world = world(600);
    let count = write_export(world.records(0).take(most), shape, &mut out).unwrap();
    assert_eq!(count, most as u64);
    String::from_utf8(out).unwrap()
}

#[test]
fn lines_end_as_asked() {
    let lf = written(Shape::Lines(LineEnd::Lf), 50);
    assert_eq!(lf.matches('\n').count(), 50);
    assert!(!lf.contains('\r'));
    let crlf = written(Shape::Lines(LineEnd::CrLf), 50);
    assert_eq!(crlf.replace("\r\n", "\n"), lf);
    assert_eq!(crlf.matches("\r\n").count(), 50);
}

#[test]
fn batches_hold_at_most_their_number() {
    let text = written(Shape::Batches(20), 50);
    let sizes: Vec<usize> = text
        .lines()
        .map(|line| {
            let batch: Value = serde_json::from_str(line).unwrap();
            batch["records"].as_array().unwrap().len()
        })
        .collect();
    assert_eq!(sizes, [20, 20, 10]);
    assert_eq!(written(Shape::Batches(20), 40).lines().count(), 2);
    assert_eq!(written(Shape::Batches(0), 3).lines().count(), 3);
    assert_eq!(written(Shape::Batches(5), 0), "");
}

#[test]
fn an_array_holds_all() {
    let all: Value = serde_json::from_str(&written(Shape::Array, 50)).unwrap();
    let lines = written(Shape::Lines(LineEnd::Lf), 50);
    let expected: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(all, Value::Array(expected));
    assert_eq!(written(Shape::Array, 0), "[]\n");
}
