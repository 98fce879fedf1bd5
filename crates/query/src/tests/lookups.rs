//! `parse_user_agent` and `geo_info_from_ip_address`: what data gives, and that nothing is given and
//! said without it.

use std::sync::Arc;

use model::Schema;
use reference::{Agents, Places, Reference};
use testkit::PlaceValue as Value;

use super::support::{now, runtime};
use crate::{Cancel, Cell, Engine, HuntResult, Limits, Settings, prepare};

fn named(name: &'static str) -> Value {
    let names = Value::Map(vec![("en", Value::Text(name))]);
    Value::Map(vec![("names", names)])
}

fn supplied() -> Reference {
    let harbour = Value::Map(vec![
        ("country", named("Northland")),
        ("subdivisions", Value::List(vec![named("Upper Part")])),
        ("city", named("Harbour")),
        (
            "location",
            Value::Map(vec![
                ("latitude", Value::Double(61.5)),
                ("longitude", Value::Double(-7.0)),
            ]),
        ),
    ]);
    let south = Value::Map(vec![("country", named("Southland"))]);
    let networks = [(0xc000_0200, 120, harbour), (0x2001_0db8 << 96, 32, south)];
    let database = testkit::places("GeoLite2-City", &networks);
    Reference {
        agents: Some(Agents::new(reference::COMMON_AGENTS).expect("the shipped patterns")),
        places: Some(Places::new(database).expect("a database")),
    }
}

fn ask(query: &str, reference: Reference) -> HuntResult {
    let settings = Settings {
        reference: Arc::new(reference),
        ..Settings::default()
    };
    let prepared = prepare(query, Schema::hunting(), now());
    let (engine, cancel) = (Engine::new(settings), Cancel::default());
    let run = engine.run(&prepared, |_| None, Limits::default(), &cancel);
    runtime().block_on(run).expect("an answer")
}

fn cells(result: &HuntResult) -> Vec<String> {
    let mut all = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            all.extend(batch.cells(row).map(|cell| match cell {
                Cell::Null => "null".to_owned(),
                Cell::Dynamic(text) | Cell::Text(text) => text.to_owned(),
                other => format!("{other:?}"),
            }));
        }
    }
    all
}

const AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.6478.57 Safari/537.36";

#[test]
fn a_user_agent_is_told_by_the_parts_that_are_asked_for() {
    let browser =
        r#""Browser":{"Family":"Chrome","MajorVersion":"126","MinorVersion":"0","Patch":"6478"}"#;
    let system = r#""OperatingSystem":{"Family":"Windows","MajorVersion":"10","MinorVersion":"","Patch":"","PatchMinor":""}"#;
    let device = r#""Device":{"Family":"Other","Brand":"","Model":""}"#;
    for (wanted, expected) in [
        (r#""browser""#, format!("{{{browser}}}")),
        (r#"dynamic(["os"])"#, format!("{{{system}}}")),
        (
            r#"dynamic(["device", "os", "browser"])"#,
            format!("{{{browser},{system},{device}}}"),
        ),
        (r#""engine""#, "null".to_owned()),
        ("dynamic([])", "null".to_owned()),
    ] {
        let query = format!("print parse_user_agent('{AGENT}', {wanted})");
        let result = ask(&query, supplied());
        assert_eq!(cells(&result), [expected], "{query}");
        assert_eq!(result.notices, []);
    }
}

#[test]
fn rows_are_told_one_by_one() {
    let query = r#"
        datatable(a:string, w:string) ["curl/8.4.0", "browser", "curl/8.4.0", "os", "curl/8.4.0", "browser", "", "browser"]
        | project tostring(parse_user_agent(a, w).Browser.Family)"#;
    let result = ask(query, supplied());
    assert_eq!(cells(&result), ["curl", "", "curl", "Other"]);
}

#[test]
fn an_address_is_somewhere_or_unknown() {
    let query = r#"
        datatable(a:string) ["192.0.2.9", " 2001:db8::1 ", "::ffff:192.0.2.9", "198.51.100.1", "10.0.0.1", "no address", ""]
        | project geo_info_from_ip_address(a)"#;
    let result = ask(query, supplied());
    let harbour = r#"{"country":"Northland","state":"Upper Part","city":"Harbour","latitude":61.5,"longitude":-7.0}"#;
    let south = r#"{"country":"Southland"}"#;
    assert_eq!(
        cells(&result),
        [harbour, south, harbour, "null", "null", "null", "null"]
    );
    assert_eq!(result.notices, []);
}

#[test]
fn without_data_nothing_is_given_and_the_notice_says_why() {
    let query =
        "print a = parse_user_agent('x', 'browser'), b = geo_info_from_ip_address('192.0.2.9')";
    let notices = |reference| -> Vec<String> {
        let result = ask(query, reference);
        result.notices.iter().map(ToString::to_string).collect()
    };
    assert_eq!(cells(&ask(query, Reference::default())), ["null", "null"]);
    let both = notices(Reference::default());
    assert_eq!(both.len(), 2);
    assert!(
        both[0].contains("`geo_info_from_ip_address` gives no values")
            && both[0].contains("`places`")
    );
    assert!(
        both[1].contains("`parse_user_agent` gives no values") && both[1].contains("`user_agents`")
    );
    let one = notices(Reference {
        places: None,
        ..supplied()
    });
    assert_eq!(one, [both[0].clone()]);
}
