//! Cells as text.

use expect_test::expect;

use super::kit::every_type;
use crate::{hunt_json, present, wire};

#[test]
fn every_type_as_json() {
    let answer = every_type();
    expect![[r#"[[true,"2026-03-04T05:06:07.1234567Z","-1.00:00:00.0000001",-3,9223372036854775807,"-Infinity","a \"b\",\nc",{"z":1.50,"a":[null]},"00000000-0000-0000-0000-000000000001","-1.5"],[null,null,null,null,null,null,"",null,null,null]]"#]].assert_eq(&present::json_rows(&answer.columns, &answer.batches));
}

#[test]
fn every_type_as_lines() {
    let answer = every_type();
    expect![[r#"
        {"b":true,"t":"2026-03-04T05:06:07.1234567Z","s":"-1.00:00:00.0000001","i":-3,"l":9223372036854775807,"r":"-Infinity","x":"a \"b\",\nc","d":{"z":1.50,"a":[null]},"g":"00000000-0000-0000-0000-000000000001","n":"-1.5"}
        {"b":null,"t":null,"s":null,"i":null,"l":null,"r":null,"x":"","d":null,"g":null,"n":null}
    "#]].assert_eq(&present::ndjson(&answer.columns, &answer.batches[0]));
}

#[test]
fn every_type_as_csv() {
    let answer = every_type();
    let csv =
        present::csv_header(&answer.columns) + &present::csv(&answer.columns, &answer.batches[0]);
    expect![[r#"
        b,t,s,i,l,r,x,d,g,n<CRLF>
        true,2026-03-04T05:06:07.1234567Z,-1.00:00:00.0000001,-3,9223372036854775807,-Infinity,"a ""b"",
        c","{""z"":1.50,""a"":[null]}",00000000-0000-0000-0000-000000000001,-1.5<CRLF>
        ,,,,,,,,,<CRLF>
    "#]].assert_eq(&csv.replace("\r\n", "<CRLF>\n"));
}

#[test]
fn an_answer_reads_back_cell_by_cell() {
    let bytes = hunt_json(&every_type(), "x").unwrap();
    let read: wire::HuntAnswer = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(read.rows.len(), 2);
    assert_eq!(read.columns.len(), read.rows[0].len());
    assert_eq!(read.rows[0][4].get(), "9223372036854775807");
    assert_eq!(read.rows[1][0].get(), "null");
}

#[test]
fn further_results_follow_the_first() {
    let one = every_type();
    let also = cell::AlsoAnswer {
        name: Some("More".to_owned()),
        columns: one.columns.clone(),
        batches: one.batches.clone(),
    };
    let answer = cell::HuntAnswer {
        also: vec![also, cell::AlsoAnswer::default()],
        ..one
    };
    let bytes = hunt_json(&answer, "x").unwrap();
    let read: wire::HuntAnswer = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((read.name, read.also.len()), (None, 2));
    assert_eq!(read.also[0].name.as_deref(), Some("More"));
    assert_eq!(read.also[0].columns, read.columns);
    assert_eq!(read.also[0].rows.len(), read.rows.len());
    assert_eq!(read.also[1].rows.len(), 0);
    // One result is written as ever.
    let bytes = hunt_json(&every_type(), "x").unwrap();
    assert!(!String::from_utf8(bytes).unwrap().contains("also"));
}

#[test]
fn no_rows_are_an_empty_list() {
    assert_eq!(present::json_rows(&[], &[]), "[]");
}
