//! What rests where, as a person reads it: each service with the rule that placed it, then each table.
//!
//! Says which regions were not asked. Figures are those of the answers, never worked out here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::print;
use crate::view::{self, Column};

const SERVICES: [Column; 6] = [
    ("SERVICE", "/service"),
    ("RULE", "/rule"),
    ("BY", "/by"),
    ("WANTS", "/wants"),
    ("REGION", "/region"),
    ("COUNTRY", "/country"),
];
const TABLES: [Column; 8] = [
    ("REGION", "/region"),
    ("SERVICE", "/service"),
    ("TABLE", "/table"),
    ("RULE", "/rule"),
    ("SEGMENTS", "/segments"),
    ("ROWS", "/segment_rows"),
    ("BYTES", "/segment_bytes"),
    ("ROWS IN LOG", "/log_rows"),
];

/// The reports of the regions that answered, by region.
pub(crate) fn text(reports: &BTreeMap<String, Value>) -> String {
    let services: Vec<&Value> = reports.values().flat_map(|r| list(r, "services")).collect();
    let mut rows: Vec<Value> = services.iter().map(|s| of_service(s)).collect();
    // Every region that holds something of a tenant knows the pin of what rests with it.
    rows.sort_by_key(Value::to_string);
    rows.dedup();
    let mut out = view::table(&rows, &SERVICES);
    out.push_str("\na: the tenant's geography; b: the storage rule of the service itself\n\n");
    let tables: Vec<Value> = reports
        .iter()
        .flat_map(|(region, report)| {
            let services = list(report, "services").iter();
            services.flat_map(move |service| of_tables(region, service))
        })
        .collect();
    if tables.is_empty() {
        out.push_str("No rows yet.\n");
    } else {
        out.push_str(&view::table(&tables, &TABLES));
        out.push('\n');
    }
    for (region, report) in reports {
        let n = |name: &str| print::number(report.get(name).and_then(Value::as_u64).unwrap_or(0));
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "{region} ({}): {} rows, {} bytes in sealed files",
            word(report, "/geography"),
            n("rows"),
            n("segment_bytes")
        );
    }
    let others: BTreeSet<String> = services
        .iter()
        .map(|s| word(s, "/outcome/placed/region"))
        .filter(|region| !region.is_empty() && !reports.contains_key(region))
        .collect();
    for region in others {
        let _ = writeln!(
            out,
            "{region} was not asked: its own server says what rests there"
        );
    }
    out
}

fn of_service(service: &Value) -> Value {
    let placed = |what: &str| word(service, &format!("/outcome/placed/{what}"));
    let wants: Vec<String> = list(service, "wanted").iter().map(place).collect();
    let (region, country) = if service.pointer("/outcome/placed").is_some() {
        (
            format!("{} ({})", placed("region"), placed("geography")),
            placed("country"),
        )
    } else {
        ("refused: no region is there".to_owned(), String::new())
    };
    json!({
        "service": word(service, "/service"),
        "rule": rule(service),
        "by": word(service, "/basis"),
        "wants": wants.join(", "),
        "region": region,
        "country": country,
    })
}

/// A wanted place: `geography EU` or `country NO`.
fn place(wanted: &Value) -> String {
    let kinds = wanted.as_object().into_iter().flatten();
    let said: Vec<String> = kinds
        .map(|(kind, name)| format!("{kind} {}", view::text(name)))
        .collect();
    said.join(" ")
}

fn of_tables(region: &str, service: &Value) -> Vec<Value> {
    let tables = list(service, "tables").iter();
    tables
        .map(|table| {
            let mut row = table.as_object().cloned().unwrap_or_default();
            row.insert("region".to_owned(), json!(region));
            row.insert("service".to_owned(), json!(word(service, "/service")));
            row.insert("rule".to_owned(), json!(rule(table)));
            Value::Object(row)
        })
        .collect()
}

fn rule(of: &Value) -> String {
    format!("{} v{}", word(of, "/rule"), word(of, "/rule_version"))
}

fn list<'v>(of: &'v Value, name: &str) -> &'v [Value] {
    let items = of.get(name).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

fn word(of: &Value, at: &str) -> String {
    of.pointer(at).map(view::text).unwrap_or_default()
}
