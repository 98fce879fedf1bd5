//! Tests of rules: rows that a rule must find, and rows that look like them and that it must not.
//!
//! A test document names a rule and cases. A case has rows (of hunting tables, or Windows events) or,
//! for a scheduled rule, what its query is taken to give. `repeat` makes several rows of one, each
//! `step_seconds` after the one before, with `{n}` replaced by its number.
//!
//! Turns documents into bodies of the ingest formats; the caller decodes, stamps and evaluates them.

use std::collections::BTreeMap;

use model::ticks::Span100ns;
use model::{DetectionRuleId, TableName, Ticks};
use rows::RecordBatch;
use serde::Deserialize;
use serde_json::Value;

use crate::correlation::CorrelationState;
use crate::engine::Engine;

/// Rows that one row of a test may stand for.
const REPEAT_MAX: u32 = 10_000;

/// The tests of one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTest {
    /// The rule.
    pub rule: DetectionRuleId,
    /// Its cases.
    pub cases: Vec<TestCase>,
}

/// Rows, and how many alerts the rule makes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TestCase {
    /// What it shows.
    pub name: String,
    /// Alerts of the rule.
    pub expect: usize,
    /// What to decode, in the order in which it arrives.
    pub bodies: Vec<TestBody>,
}

/// What arrives.
#[derive(Debug, Clone, PartialEq)]
pub enum TestBody {
    /// Records of the Defender export, one a line.
    Export(String),
    /// Windows events as JSON, one a line.
    Windows(String),
    /// What a scheduled rule's query gives: names of the columns, and rows.
    Result(Vec<String>, Vec<Vec<Value>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    rule: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    expect: usize,
    #[serde(default)]
    rows: Vec<Row>,
    #[serde(default)]
    result: Option<ResultDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    columns: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    windows: Option<BTreeMap<String, Value>>,
    #[serde(default = "one")]
    repeat: u32,
    #[serde(default)]
    step_seconds: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultDocument {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

fn one() -> u32 {
    1
}

impl RuleTest {
    /// Reads a test document. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = yaml_serde::from_str(text).map_err(|e| e.to_string())?;
        let rule = DetectionRuleId::new(&document.rule).map_err(|e| e.to_string())?;
        let cases = document.cases.into_iter().map(TestCase::read);
        Ok(Self {
            rule,
            cases: cases.collect::<Result<_, String>>()?,
        })
    }
}

impl TestCase {
    fn read(case: Case) -> Result<Self, String> {
        let mut bodies = Vec::new();
        for row in &case.rows {
            if row.repeat > REPEAT_MAX {
                return Err(format!("a row stands for at most {REPEAT_MAX}"));
            }
            let lines = (0..row.repeat).map(|n| line(row, n));
            let body = lines.collect::<Result<Vec<_>, String>>()?.join("\n");
            bodies.push(if row.windows.is_some() {
                TestBody::Windows(body)
            } else {
                TestBody::Export(body)
            });
        }
        if let Some(result) = case.result {
            bodies.push(TestBody::Result(result.columns, result.rows));
        }
        Ok(Self {
            name: case.name,
            expect: case.expect,
            bodies,
        })
    }
}

fn line(row: &Row, number: u32) -> Result<String, String> {
    let fill = |values: &BTreeMap<String, Value>, time: &str| -> serde_json::Map<String, Value> {
        let one = |(name, value): (&String, &Value)| {
            let value = if name == time {
                later(
                    value,
                    Span100ns::seconds(row.step_seconds * i64::from(number)),
                )
            } else {
                numbered(value, number)
            };
            (name.clone(), value)
        };
        values.iter().map(one).collect()
    };
    match (&row.table, &row.columns, &row.windows) {
        (Some(table), Some(columns), None) => {
            let table = TableName::new(table).map_err(|e| e.to_string())?;
            Ok(serde_json::json!({
                "time": "2026-01-01T00:00:00Z",
                "operationName": "Publish",
                "category": format!("AdvancedHunting-{table}"),
                "properties": fill(columns, "Timestamp"),
            })
            .to_string())
        }
        (None, None, Some(event)) => Ok(Value::Object(fill(event, "TimeCreated")).to_string()),
        _ => Err("a row has either a table and columns, or a Windows event".to_owned()),
    }
}

fn later(value: &Value, span: Span100ns) -> Value {
    match value.as_str().and_then(Ticks::parse) {
        Some(at) => at.saturating_add(span).to_string().into(),
        None => value.clone(),
    }
}

fn numbered(value: &Value, number: u32) -> Value {
    match value {
        Value::String(text) => text.replace("{n}", &number.to_string()).into(),
        other => other.clone(),
    }
}

/// How many alerts a rule makes of stamped batches, correlations included.
pub fn count_alerts(
    engine: &dyn Engine,
    rule: &DetectionRuleId,
    batches: &[(TableName, RecordBatch)],
) -> usize {
    let mut state = CorrelationState::default();
    let rules = engine.rules();
    let is = |at: usize| {
        rules
            .rules()
            .get(at)
            .is_some_and(|r| r.reference.id == *rule)
    };
    // Only hits of one run are compared, so any hash that tells them apart will do.
    let hash = |bytes: &[u8]| {
        let half = crate::version::Version::new()
            .part(bytes)
            .finish()
            .to_be_bytes();
        let mut out = [0; 16];
        out.iter_mut().zip(half).for_each(|(to, from)| *to = from);
        out
    };
    let mut alerts = 0;
    for (table, batch) in batches {
        let found = engine.evaluate(table, batch);
        alerts += found.detections.iter().filter(|d| is(d.rule)).count();
        let hits = state.advance(rules, &found.steps, &hash);
        alerts += hits.iter().filter(|hit| is(hit.rule)).count();
    }
    alerts
}
