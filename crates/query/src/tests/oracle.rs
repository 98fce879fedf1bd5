//! Random queries over random rows: the engine gives what the oracle gives.
//!
//! `BAILIWICK_SEED` repeats a failure; every query of a run has a seed of its own, which is printed
//! with the query, its tables and both answers. Rows are compared as a bag: where the order matters
//! (`take`, windows) the query sorts by all columns first.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use kql::resolved::Value;
use kql::{SchemaSource, TableShape};
use model::{ColumnType, TableName, Ticks};
use rows::types;
use testkit::SeededRandom;

use super::support::{describe, now, run_prepared};
use crate::kernels::args::Cell;
use crate::{Limits, TableRows, prepare};

/// Queries of one run.
const QUERIES: u64 = 250;

type Columns = &'static [(&'static str, ColumnType)];

const A: Columns = &[
    ("k", ColumnType::Long),
    ("n", ColumnType::Int),
    ("x", ColumnType::Real),
    ("s", ColumnType::String),
    ("t", ColumnType::DateTime),
    ("b", ColumnType::Bool),
];
const B: Columns = &[
    ("k", ColumnType::Long),
    ("s", ColumnType::String),
    ("y", ColumnType::Long),
];
const TABLES: &[(&str, Columns)] = &[("A", A), ("B", B)];

struct Shapes;

impl SchemaSource for Shapes {
    fn table(&self, name: &str) -> Option<TableShape> {
        let (_, columns) = TABLES.iter().find(|(known, _)| *known == name)?;
        Some(TableShape {
            name: TableName::new(name).ok()?,
            columns: columns.iter().map(|(n, ty)| ((*n).into(), *ty)).collect(),
        })
    }

    fn tables(&self) -> Vec<String> {
        TABLES.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}

const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "alpha beta",
    "beta-2",
    "Beta 10",
    "x_1",
    "10.0.0.1",
    "110.0.0.1",
    "cmd.exe /c whoami",
    "CMD",
    "é",
];
const NEEDLES: &[&str] = &[
    "a", "beta", "10.0", "exe", "c", "ALPHA", "1", "2", "0.0.1", "cmd",
];
/// 2024-06-15T00:00:00Z.
const MIDNIGHT: i64 = 638_540_064_000_000_000;
const HOUR: i64 = 36_000_000_000;

// Data.

fn random_value(rng: &SeededRandom, ty: ColumnType) -> Value {
    if ty != ColumnType::String && rng.chance(15) {
        return Value::Null(ty);
    }
    let small = i64::try_from(rng.below(9)).unwrap_or(0) - 3;
    match ty {
        ColumnType::Bool => Value::Bool(rng.chance(50)),
        ColumnType::Int => Value::Int(i32::try_from(small).unwrap_or(0)),
        ColumnType::Real => Value::Real(f64::from(i32::try_from(small).unwrap_or(0)) * 0.5),
        ColumnType::String => Value::String(pick(rng, TEXTS).into()),
        ColumnType::DateTime => Value::DateTime(Ticks(MIDNIGHT + small * HOUR / 2)),
        _ => Value::Long(small),
    }
}

fn pick<'a>(rng: &SeededRandom, all: &[&'a str]) -> &'a str {
    all.get(rng.index(all.len())).copied().unwrap_or_default()
}

fn random_rows(rng: &SeededRandom, columns: Columns) -> Vec<Vec<Value>> {
    let n = rng.below(12);
    let row = |_| {
        columns
            .iter()
            .map(|(_, ty)| random_value(rng, *ty))
            .collect()
    };
    (0..n).map(row).collect()
}

/// The rows as the engine reads them, in several batches.
fn table_rows(rng: &SeededRandom, columns: Columns, rows: &[Vec<Value>]) -> TableRows {
    let fields: Vec<_> = columns.iter().map(|(n, ty)| types::field(n, *ty)).collect();
    let schema = Arc::new(datafusion::arrow::datatypes::Schema::new(fields));
    let size = rng.index(6) + 1;
    let batch = |rows: &[Vec<Value>]| {
        let arrays = columns
            .iter()
            .enumerate()
            .map(|(at, (_, ty))| array(rows.iter().filter_map(|row| row.get(at)), *ty))
            .collect();
        RecordBatch::try_new(schema.clone(), arrays).expect("a batch")
    };
    TableRows {
        schema: schema.clone(),
        memory: rows.chunks(size).map(batch).collect(),
        segments: Vec::new(),
        time_column: None,
        look_back: false,
    }
}

fn array<'a>(values: impl Iterator<Item = &'a Value>, ty: ColumnType) -> ArrayRef {
    let whole = |value: &Value| match value {
        Value::Long(n) => Some(*n),
        Value::DateTime(t) => Some(t.0),
        _ => None,
    };
    match ty {
        ColumnType::Bool => Arc::new(
            values
                .map(|v| match v {
                    Value::Bool(b) => Some(*b),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        ColumnType::Int => Arc::new(
            values
                .map(|v| match v {
                    Value::Int(n) => Some(*n),
                    _ => None,
                })
                .collect::<Int32Array>(),
        ),
        ColumnType::Real => Arc::new(
            values
                .map(|v| match v {
                    Value::Real(n) => Some(*n),
                    _ => None,
                })
                .collect::<Float64Array>(),
        ),
        ColumnType::String => Arc::new(StringArray::from_iter_values(values.map(|v| match v {
            Value::String(text) => text.to_string(),
            _ => String::new(),
        }))),
        _ => Arc::new(values.map(whole).collect::<Int64Array>()),
    }
}

// Queries.

/// Writes a query that is right by its types.
struct Writer<'r> {
    rng: &'r SeededRandom,
    columns: Vec<(String, ColumnType)>,
    named: usize,
}

impl Writer<'_> {
    fn query(rng: &SeededRandom) -> String {
        let mut writer = Writer {
            rng,
            columns: Vec::new(),
            named: 0,
        };
        let mut text = writer.source();
        for _ in 0..=rng.below(4) {
            text.push_str("\n| ");
            text.push_str(&writer.operator());
        }
        text
    }

    fn source(&mut self) -> String {
        if self.rng.chance(8) {
            self.columns = vec![("k".to_owned(), ColumnType::Long)];
            return format!("range k from -2 to {} step 1", self.rng.below(6));
        }
        let (name, columns) = TABLES.get(self.rng.index(TABLES.len())).expect("a table");
        self.columns = columns
            .iter()
            .map(|(n, ty)| ((*n).to_owned(), *ty))
            .collect();
        (*name).to_owned()
    }

    fn name(&mut self) -> String {
        self.named += 1;
        format!("c{}", self.named)
    }

    fn operator(&mut self) -> String {
        match self.rng.below(15) {
            0..=3 => format!("where {}", self.expr(ColumnType::Bool, 3)),
            4..=5 => self.extend(),
            6 => self.project(),
            7..=8 => self.summarize(),
            9 => format!("distinct {}", self.some_columns(true)),
            10 => format!("{}\n| take {}", self.sort(), self.rng.below(5)),
            11..=12 => self.join(),
            13 => self.union(),
            _ => self.window(),
        }
    }

    fn extend(&mut self) -> String {
        let ty = self.any_type();
        let value = self.expr(ty, 3);
        let name = self.name();
        self.columns.push((name.clone(), ty));
        format!("extend {name} = {value}")
    }

    fn project(&mut self) -> String {
        let mut kept = Vec::new();
        let mut items = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let ty = self.any_type();
            let value = self.expr(ty, 2);
            let name = self.name();
            items.push(format!("{name} = {value}"));
            kept.push((name, ty));
        }
        self.columns = kept;
        format!("project {}", items.join(", "))
    }

    /// Some columns by name; they are the ones that remain if `keeps`.
    fn some_columns(&mut self, keeps: bool) -> String {
        let first = self.rng.index(self.columns.len());
        let chosen: Vec<_> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(at, _)| *at == first || self.rng.chance(35))
            .map(|(_, column)| column.clone())
            .collect();
        let names: Vec<_> = chosen.iter().map(|(name, _)| name.clone()).collect();
        if keeps {
            self.columns = chosen;
        }
        names.join(", ")
    }

    fn summarize(&mut self) -> String {
        let mut items = Vec::new();
        let mut made = Vec::new();
        for _ in 0..=self.rng.below(2) {
            let (call, ty) = self.aggregate();
            let name = self.name();
            items.push(format!("{name} = {call}"));
            made.push((name, ty));
        }
        let mut text = format!("summarize {}", items.join(", "));
        if self.rng.chance(70) {
            let by = self.some_columns(true);
            let _ = write!(text, " by {by}");
            made.splice(0..0, self.columns.drain(..));
        }
        self.columns = made;
        text
    }

    fn aggregate(&mut self) -> (String, ColumnType) {
        use ColumnType::{Bool, Long, Real, String as Text};
        let filter = self.expr(Bool, 1);
        let number = pick_type(self.rng, &[Long, Real]);
        let any = pick_type(self.rng, &[Long, Real, Text, ColumnType::DateTime]);
        match self.rng.below(11) {
            0 => ("count()".to_owned(), Long),
            1 => (format!("countif({filter})"), Long),
            2 => (format!("sum({})", self.expr(number, 2)), number),
            3 => (format!("sumif({}, {filter})", self.expr(number, 1)), number),
            4 => (format!("avg({})", self.expr(number, 1)), Real),
            5 => (format!("min({})", self.expr(any, 2)), any),
            6 => (format!("max({})", self.expr(any, 2)), any),
            7 => (format!("minif({}, {filter})", self.expr(any, 1)), any),
            8 => (format!("dcount({})", self.expr(any, 1)), Long),
            9 => (format!("count_distinct({})", self.expr(any, 1)), Long),
            _ => (format!("avgif({}, {filter})", self.expr(number, 1)), Real),
        }
    }

    /// By all columns, so that equal rows alone can change places.
    fn sort(&mut self) -> String {
        let keys: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| {
                let direction = pick(
                    self.rng,
                    &["", " asc", " desc", " asc nulls last", " desc nulls first"],
                );
                format!("{name}{direction}")
            })
            .collect();
        format!("sort by {}", keys.join(", "))
    }

    fn join(&mut self) -> String {
        let key = self
            .columns
            .iter()
            .find(|(name, ty)| name == "k" && *ty == ColumnType::Long);
        if key.is_none() {
            return self.extend();
        }
        let filter = if self.rng.chance(50) {
            " | where y > 0"
        } else {
            ""
        };
        let right = format!("(B{filter} | project k, z = y)");
        let kinds = &[
            "inner",
            "leftouter",
            "rightouter",
            "fullouter",
            "leftsemi",
            "leftanti",
            "rightsemi",
            "rightanti",
        ];
        let kind = pick(self.rng, kinds);
        let text = format!("join kind={kind} {right} on k");
        let z = self.name();
        let rename = |text: String| format!("{text}\n| project-rename {z} = z");
        match kind {
            "leftsemi" | "leftanti" => text,
            "rightsemi" | "rightanti" => {
                self.columns = vec![
                    ("k".to_owned(), ColumnType::Long),
                    (z.clone(), ColumnType::Long),
                ];
                rename(text)
            }
            _ => {
                let other = self.name();
                self.columns.push((z.clone(), ColumnType::Long));
                self.columns.push((other.clone(), ColumnType::Long));
                format!("{}\n| extend {other} = k1\n| project-away k1", rename(text))
            }
        }
    }

    fn union(&mut self) -> String {
        let copies = self.columns.iter().all(|(name, _)| name != "y");
        if !copies
            || self
                .columns
                .iter()
                .any(|(n, ty)| n == "k" && *ty != ColumnType::Long)
        {
            return self.extend();
        }
        if !self.columns.iter().any(|(n, _)| n == "k") {
            self.columns.push(("k".to_owned(), ColumnType::Long));
        }
        self.columns.push(("y".to_owned(), ColumnType::Long));
        "union (B | project k, y)".to_owned()
    }

    fn window(&mut self) -> String {
        let sort = self.sort();
        let (value, ty) = match self.rng.below(4) {
            0 => ("row_number()".to_owned(), ColumnType::Long),
            1 => {
                let (name, ty) = self.column_of_any();
                (format!("prev({name})"), ty)
            }
            2 => {
                let (name, ty) = self.column_of_any();
                (format!("next({name}, 2)"), ty)
            }
            _ => {
                let term = self.expr(ColumnType::Long, 1);
                (format!("row_cumsum({term})"), ColumnType::Long)
            }
        };
        let name = self.name();
        self.columns.push((name.clone(), ty));
        format!("{sort}\n| extend {name} = {value}")
    }

    fn column_of_any(&self) -> (String, ColumnType) {
        let at = self.rng.index(self.columns.len());
        self.columns.get(at).cloned().expect("a column")
    }

    // Expressions.

    fn any_type(&self) -> ColumnType {
        use ColumnType::{Bool, DateTime, Int, Long, Real, String as Text, TimeSpan};
        pick_type(
            self.rng,
            &[Bool, Long, Long, Int, Real, Text, Text, DateTime, TimeSpan],
        )
    }

    fn expr(&self, ty: ColumnType, depth: u32) -> String {
        use ColumnType::{Bool, DateTime, Int, Long, Real, String as Text, TimeSpan};
        if depth == 0 || self.rng.chance(35) {
            return self.leaf(ty);
        }
        let of = |ty| self.expr(ty, depth - 1);
        match ty {
            Bool => self.condition(depth),
            Long => match self.rng.below(12) {
                0 => format!("({} + {})", of(Long), of(Long)),
                1 => format!("({} - {})", of(Long), of(Int)),
                2 => format!("({} * {})", of(Long), of(Long)),
                3 => format!("({} / {})", of(Long), of(Long)),
                4 => format!("({} % {})", of(Long), of(Long)),
                5 => format!("strlen({})", of(Text)),
                6 => format!("indexof({}, '{}')", of(Text), pick(self.rng, NEEDLES)),
                7 => format!("abs({})", of(Long)),
                8 => format!("bin({}, {})", of(Long), self.rng.below(5)),
                9 => format!("tolong({})", of(Int)),
                10 => format!("max_of({}, {})", of(Long), of(Long)),
                _ => self.choice(Long, depth),
            },
            Int => match self.rng.below(3) {
                0 => format!("toint({})", of(Long)),
                1 => format!("-({})", of(Int)),
                _ => self.choice(Int, depth),
            },
            Real => match self.rng.below(6) {
                0 => format!("({} + {})", of(Real), of(Real)),
                1 => format!("({} - {})", of(Real), of(Long)),
                2 => format!("({} * {})", of(Real), of(Real)),
                3 => format!("toreal({})", of(Long)),
                4 => format!("min_of({}, {})", of(Real), of(Real)),
                _ => self.choice(Real, depth),
            },
            Text => match self.rng.below(7) {
                0 => format!("strcat({}, '-', {})", of(Text), of(Long)),
                1 => format!("toupper({})", of(Text)),
                2 => format!("tolower({})", of(Text)),
                3 => format!(
                    "substring({}, {}, {})",
                    of(Text),
                    self.rng.below(4),
                    self.rng.below(5)
                ),
                4 => format!("tostring({})", of(Long)),
                5 => format!("reverse({})", of(Text)),
                _ => self.choice(Text, depth),
            },
            DateTime => match self.rng.below(3) {
                0 => format!("({} + {})", of(DateTime), of(TimeSpan)),
                1 => format!("bin({}, 2h)", of(DateTime)),
                _ => self.choice(DateTime, depth),
            },
            TimeSpan => match self.rng.below(2) {
                0 => format!("({} - {})", of(DateTime), of(DateTime)),
                _ => self.choice(TimeSpan, depth),
            },
            _ => self.leaf(ty),
        }
    }

    fn choice(&self, ty: ColumnType, depth: u32) -> String {
        let of = |ty| self.expr(ty, depth - 1);
        match self.rng.below(3) {
            0 => format!("iff({}, {}, {})", of(ColumnType::Bool), of(ty), of(ty)),
            1 => {
                let (first, second) = (of(ColumnType::Bool), of(ColumnType::Bool));
                format!(
                    "case({first}, {}, {second}, {}, {})",
                    of(ty),
                    of(ty),
                    of(ty)
                )
            }
            _ => format!("coalesce({}, {})", of(ty), of(ty)),
        }
    }

    fn condition(&self, depth: u32) -> String {
        use ColumnType::{Bool, DateTime, Int, Long, Real, String as Text};
        let of = |ty| self.expr(ty, depth - 1);
        let operator = pick(self.rng, &["==", "!=", "<", "<=", ">", ">="]);
        match self.rng.below(13) {
            0..=1 => {
                let ty = pick_type(self.rng, &[Long, Real, Text, DateTime, Int]);
                format!("({} {operator} {})", of(ty), of(ty))
            }
            2 => format!("({} {operator} {})", of(Long), of(Real)),
            3 => format!("({} and {})", of(Bool), of(Bool)),
            4 => format!("({} or {})", of(Bool), of(Bool)),
            5 => format!("not({})", of(Bool)),
            6 => {
                let ty = self.any_type();
                let call = pick(self.rng, &["isnull", "isnotnull", "isempty", "isnotempty"]);
                format!("{call}({})", of(ty))
            }
            7 => {
                let not = pick(self.rng, &["", "!"]);
                format!("({} {not}between ({} .. {}))", of(Long), of(Long), of(Long))
            }
            8 => {
                let not = pick(self.rng, &["", "!"]);
                format!("({} {not}in (1, {}, 3))", of(Long), of(Long))
            }
            9 => {
                let word = pick(self.rng, &["in", "!in", "in~", "!in~"]);
                format!("({} {word} ('a', 'cmd', 'beta-2'))", of(Text))
            }
            10 => {
                let word = pick(self.rng, &["has_any", "has_all"]);
                let (a, b) = (pick(self.rng, NEEDLES), pick(self.rng, NEEDLES));
                format!("({} {word} ('{a}', '{b}'))", of(Text))
            }
            11 if self.rng.chance(30) => "(toscalar(B | count) > 3)".to_owned(),
            11 if self.rng.chance(30) => format!("({} in (B | project y))", of(Long)),
            _ => {
                let operators = &[
                    "has",
                    "!has",
                    "has_cs",
                    "contains",
                    "!contains",
                    "contains_cs",
                    "startswith",
                    "!startswith",
                    "startswith_cs",
                    "endswith",
                    "endswith_cs",
                    "hasprefix",
                    "hassuffix",
                    "=~",
                    "!~",
                ];
                let operator = pick(self.rng, operators);
                format!("({} {operator} '{}')", of(Text), pick(self.rng, NEEDLES))
            }
        }
    }

    fn leaf(&self, ty: ColumnType) -> String {
        let known: Vec<&String> = self
            .columns
            .iter()
            .filter(|(_, known)| *known == ty)
            .map(|(name, _)| name)
            .collect();
        if let Some(name) = known.get(self.rng.index(known.len()))
            && self.rng.chance(75)
        {
            return (*name).clone();
        }
        let small = i64::try_from(self.rng.below(8)).unwrap_or(0) - 2;
        match ty {
            ColumnType::Bool => pick(self.rng, &["true", "false", "bool(null)"]).to_owned(),
            ColumnType::Int => format!("int({small})"),
            ColumnType::Real => format!("real({small}.5)"),
            ColumnType::String => format!("'{}'", pick(self.rng, TEXTS)),
            ColumnType::DateTime => format!("datetime(2024-06-15T0{}:30:00Z)", self.rng.below(9)),
            ColumnType::TimeSpan => format!("{}m", self.rng.below(200)),
            _ if self.rng.chance(10) => "long(null)".to_owned(),
            _ => format!("({small})"),
        }
    }
}

fn pick_type(rng: &SeededRandom, all: &[ColumnType]) -> ColumnType {
    all.get(rng.index(all.len())).copied().expect("a type")
}

// Answers.

fn shown(value: &Value) -> String {
    match value {
        Value::Null(_) => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Long(n) => n.to_string(),
        Value::Real(x) => real(*x),
        Value::String(text) => format!("{text:?}"),
        Value::DateTime(t) => t.to_string(),
        Value::TimeSpan(t) => t.to_string(),
        other => format!("{other:?}"),
    }
}

fn shown_cell(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Bool(b) => b.to_string(),
        Cell::Long(n) => n.to_string(),
        Cell::Real(x) => real(x),
        Cell::Text(text) | Cell::Guid(text) | Cell::Dynamic(text) => format!("{text:?}"),
        Cell::DateTime(t) => Ticks(t).to_string(),
        Cell::TimeSpan(t) => model::Span100ns(t).to_string(),
    }
}

/// To nine digits; both zeros are one.
fn real(x: f64) -> String {
    format!("{:.8e}", x + 0.0)
}

fn bag(mut rows: Vec<String>) -> String {
    rows.sort();
    rows.join("\n  ")
}

/// What became of one query.
enum Outcome {
    Same,
    /// The oracle does not know something in it.
    Unknown,
    /// The resolver refuses it.
    Refused(String),
}

fn compare(seed: u64) -> Result<Outcome, String> {
    let rng = SeededRandom::new(seed);
    let data: BTreeMap<TableName, Vec<Vec<Value>>> = TABLES
        .iter()
        .map(|(name, columns)| {
            let table = TableName::new(name).expect("a name");
            (table, random_rows(&rng, columns))
        })
        .collect();
    let query = Writer::query(&rng);
    let prepared = prepare(&query, &Shapes, now());
    let Some(resolved) = &prepared.resolved else {
        let finding = prepared.diagnostics.first().map(|d| d.message.clone());
        return Ok(Outcome::Refused(format!(
            "{}: {query}",
            finding.unwrap_or_default()
        )));
    };
    let Ok(wanted) = oracle::run(resolved, &|name| data.get(name).cloned()) else {
        return Ok(Outcome::Unknown);
    };
    let wanted = wanted
        .iter()
        .map(|row| row.iter().map(shown).collect::<Vec<_>>().join(" | "))
        .collect();
    let tables: BTreeMap<TableName, TableRows> = TABLES
        .iter()
        .filter_map(|(name, columns)| {
            let table = TableName::new(name).ok()?;
            let rows = table_rows(&rng, columns, data.get(&table)?);
            Some((table, rows))
        })
        .collect();
    let context = |what: String| {
        let mut text = format!("seed {seed}\n{query}\n");
        for (name, rows) in &data {
            let _ = writeln!(text, "{name}:");
            for row in rows {
                let cells: Vec<_> = row.iter().map(shown).collect();
                let _ = writeln!(text, "  {}", cells.join(" | "));
            }
        }
        format!("{text}{what}")
    };
    let result = run_prepared(&prepared, &tables, Limits::default())
        .map_err(|error| context(format!("the engine fails: {}", describe(&error))))?;
    let mut actual = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            let cells: Vec<_> = batch.cells(row).map(shown_cell).collect();
            actual.push(cells.join(" | "));
        }
    }
    let (wanted, actual) = (bag(wanted), bag(actual));
    if wanted == actual {
        return Ok(Outcome::Same);
    }
    Err(context(format!(
        "the oracle says\n  {wanted}\nthe engine says\n  {actual}\n"
    )))
}

#[test]
fn the_engine_gives_what_the_oracle_gives() {
    let first = testkit::seed(1);
    let rng = SeededRandom::new(first);
    let (mut same, mut unknown, mut refused) = (0, 0, Vec::new());
    let mut failures = Vec::new();
    for _ in 0..QUERIES {
        match compare(rng.next_u64()) {
            Ok(Outcome::Same) => same += 1,
            Ok(Outcome::Unknown) => unknown += 1,
            Ok(Outcome::Refused(why)) => refused.push(why),
            Err(difference) => failures.push(difference),
        }
    }
    println!(
        "{same} alike, {unknown} unknown to the oracle, {} refused",
        refused.len()
    );
    assert!(
        failures.is_empty(),
        "{} differ\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    // A test that compares little proves little.
    assert!(
        same * 10 >= QUERIES * 9,
        "{unknown} unknown; refused: {refused:#?}"
    );
}
