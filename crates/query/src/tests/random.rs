//! Random rows and random queries over them, right by their types.
//!
//! Tables of up to eleven rows, now and then sixty, lie in memory, in segments with and without
//! dictionaries, or in both, and batches are as small as one row, so that short queries meet all ways to
//! read and to hand on. Does not judge the answers: see [`super::oracle`] and
//! [`super::forms`].

mod operators;
mod terms;

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

use self::terms::DYNAMICS;
use super::conditions::File;
use crate::kernels::args::Cell;
use crate::{Engine, HuntResult, Segment, Settings, TableRows};

pub(super) type Columns = &'static [(&'static str, ColumnType)];

const A: Columns = &[
    ("k", ColumnType::Long),
    ("n", ColumnType::Int),
    ("x", ColumnType::Real),
    ("s", ColumnType::String),
    ("t", ColumnType::DateTime),
    ("b", ColumnType::Bool),
    ("d", ColumnType::Dynamic),
];
const B: Columns = &[
    ("k", ColumnType::Long),
    ("s", ColumnType::String),
    ("y", ColumnType::Long),
];
const TABLES: &[(&str, Columns)] = &[("A", A), ("B", B)];

pub(super) struct Shapes;

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
        ColumnType::Dynamic => Value::Dynamic(pick(rng, DYNAMICS).into()),
        ColumnType::DateTime if rng.chance(20) => {
            Value::DateTime(Ticks(MIDNIGHT + small * 789 * HOUR + small * 7_000_000))
        }
        ColumnType::DateTime => Value::DateTime(Ticks(MIDNIGHT + small * HOUR / 2)),
        _ => Value::Long(small),
    }
}

fn pick<'a>(rng: &SeededRandom, all: &[&'a str]) -> &'a str {
    all.get(rng.index(all.len())).copied().unwrap_or_default()
}

fn random_rows(rng: &SeededRandom, columns: Columns) -> Vec<Vec<Value>> {
    let n = rng.below(if rng.chance(10) { 61 } else { 12 });
    let row = |_| {
        columns
            .iter()
            .map(|(_, ty)| random_value(rng, *ty))
            .collect()
    };
    (0..n).map(row).collect()
}

/// The rows as the engine reads them: in several batches, in segments, or in both.
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
    let segment = |rows: &[Vec<Value>]| -> Arc<dyn Segment> {
        let dictionary_bytes = if rng.chance(50) { 1 << 20 } else { 20 };
        Arc::new(File::in_groups(&batch(rows), dictionary_bytes, size))
    };
    let stored = match rng.below(4) {
        0 => 0,
        1 => rng.index(rows.len() + 1),
        _ => rows.len(),
    };
    let (stored, fresh) = rows.split_at(stored);
    TableRows {
        schema: schema.clone(),
        memory: fresh.chunks(size).map(batch).collect(),
        segments: stored.chunks(size * 3).map(segment).collect(),
        time_column: None,
        look_back: false,
    }
}

/// Every table with random rows.
pub(super) fn random_tables(rng: &SeededRandom) -> BTreeMap<TableName, Vec<Vec<Value>>> {
    let table = |(name, columns): &(&str, Columns)| {
        let name = TableName::new(name).expect("a name");
        (name, random_rows(rng, columns))
    };
    TABLES.iter().map(table).collect()
}

/// The same tables as the engine reads them.
pub(super) fn kept_tables(
    rng: &SeededRandom,
    data: &BTreeMap<TableName, Vec<Vec<Value>>>,
) -> BTreeMap<TableName, TableRows> {
    let table = |(name, columns): &(&str, Columns)| {
        let name = TableName::new(name).ok()?;
        let rows = table_rows(rng, columns, data.get(&name)?);
        Some((name, rows))
    };
    TABLES.iter().filter_map(table).collect()
}

/// How a query runs: batches of few rows or as many as there are, one part of a plan at once or two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    batch_rows: usize,
    parallelism: usize,
}

impl Setting {
    pub(super) fn random(rng: &SeededRandom) -> Self {
        let few = [1, 2, 3].get(rng.index(4)).copied();
        Self {
            batch_rows: few.unwrap_or(Settings::default().batch_rows),
            parallelism: 1 + rng.index(2),
        }
    }

    pub(super) fn engine(self) -> Engine {
        Engine::new(Settings {
            batch_rows: self.batch_rows,
            parallelism: self.parallelism,
            ..Settings::default()
        })
    }
}

/// A query and its tables, to be read in a failure.
pub(super) fn context(
    seed: u64,
    setting: Setting,
    query: &str,
    data: &BTreeMap<TableName, Vec<Vec<Value>>>,
) -> String {
    let mut text = format!("seed {seed}, {setting:?}\n{query}\n");
    for (name, rows) in data {
        let _ = writeln!(text, "{name}:");
        for row in rows {
            let cells: Vec<_> = row.iter().map(shown).collect();
            let _ = writeln!(text, "  {}", cells.join(" | "));
        }
    }
    text
}

/// The rows of an answer as a bag.
pub(super) fn answered(result: &HuntResult) -> String {
    let mut rows = Vec::new();
    for batch in result.result_batches() {
        for row in 0..batch.rows() {
            let cells: Vec<_> = batch.cells(row).map(shown_cell).collect();
            rows.push(cells.join(" | "));
        }
    }
    bag(rows)
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
        ColumnType::Dynamic => Arc::new(
            values
                .map(|v| match v {
                    Value::Dynamic(json) => Some(json.to_string()),
                    _ => None,
                })
                .collect::<StringArray>(),
        ),
        _ => Arc::new(values.map(whole).collect::<Int64Array>()),
    }
}

// Queries.

/// A query that is right by its types.
pub(super) struct Query {
    pub(super) source: String,
    /// The columns of the source.
    pub(super) before: Vec<(String, ColumnType)>,
    pub(super) operators: Vec<String>,
    /// The columns of the answer.
    pub(super) after: Vec<(String, ColumnType)>,
}

impl Query {
    pub(super) fn random(rng: &SeededRandom) -> Self {
        let mut writer = Writer {
            rng,
            columns: Vec::new(),
            named: 0,
        };
        let source = writer.source();
        let before = writer.columns.clone();
        let operators = (0..=rng.below(6)).map(|_| writer.operator()).collect();
        Self {
            source,
            before,
            operators,
            after: writer.columns,
        }
    }

    /// The operators, one after the other.
    pub(super) fn operators(&self) -> String {
        self.operators.join("\n| ")
    }

    pub(super) fn text(&self) -> String {
        format!("{}\n| {}", self.source, self.operators())
    }
}

struct Writer<'r> {
    rng: &'r SeededRandom,
    columns: Vec<(String, ColumnType)>,
    named: usize,
}

impl Writer<'_> {
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
        if self.rng.chance(35) {
            return self.wide_operator();
        }
        match self.rng.below(15) {
            0..=3 => format!("where {}", self.expr(ColumnType::Bool, 3)),
            4..=5 => self.extend(),
            6 => self.project(),
            7..=8 => self.summarize(),
            9 => self.distinct(),
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

    /// Some columns by name, none of them dynamic; they are the ones that remain if `keeps`.
    fn some_columns(&mut self, keeps: bool) -> Option<String> {
        let all = self.columns.iter();
        let all: Vec<_> = all.filter(|(_, ty)| *ty != ColumnType::Dynamic).collect();
        let first = self.rng.index(all.len());
        let chosen: Vec<_> = all
            .into_iter()
            .enumerate()
            .filter(|(at, _)| *at == first || self.rng.chance(35))
            .map(|(_, column)| column.clone())
            .collect();
        if chosen.is_empty() {
            return None;
        }
        let names: Vec<_> = chosen.iter().map(|(name, _)| name.clone()).collect();
        if keeps {
            self.columns = chosen;
        }
        Some(names.join(", "))
    }

    fn distinct(&mut self) -> String {
        match self.some_columns(true) {
            Some(names) => format!("distinct {names}"),
            None => self.extend(),
        }
    }

    fn summarize(&mut self) -> String {
        use ColumnType::{Bool, DateTime, Long, String as Text};
        let mut items = Vec::new();
        let mut made = Vec::new();
        for _ in 0..=self.rng.below(2) {
            let (call, ty) = self.aggregate();
            let name = self.name();
            items.push(format!("{name} = {call}"));
            made.push((name, ty));
        }
        let mut text = format!("summarize {}", items.join(", "));
        let mut by = Vec::new();
        let computed = self.rng.chance(30).then(|| {
            let ty = pick_type(self.rng, &[Bool, DateTime, Long, Text]);
            (self.expr(ty, 2), ty)
        });
        let columns = self.rng.chance(70).then(|| self.some_columns(true));
        match columns.flatten() {
            Some(names) => by.push(names),
            None => self.columns.clear(),
        }
        if let Some((value, ty)) = computed {
            let name = self.made(ty);
            by.push(format!("{name} = {value}"));
        }
        if !by.is_empty() {
            let _ = write!(text, " by {}", by.join(", "));
        }
        made.splice(0..0, self.columns.drain(..));
        self.columns = made;
        text
    }

    fn aggregate(&mut self) -> (String, ColumnType) {
        use ColumnType::{Bool, Long, Real, String as Text};
        let filter = self.expr(Bool, 1);
        let number = pick_type(self.rng, &[Long, Real]);
        let any = pick_type(self.rng, &[Long, Real, Text, ColumnType::DateTime]);
        match self.rng.below(17) {
            11 => (format!("dcountif({}, {filter})", self.expr(any, 1)), Long),
            12 => (format!("maxif({}, {filter})", self.expr(any, 1)), any),
            13 => {
                let call = pick(self.rng, &["stdev", "stdevp", "variance", "variancep"]);
                (format!("{call}({})", self.expr(number, 1)), Real)
            }
            14 => {
                let percent = pick(self.rng, &["25", "50", "75", "90", "100"]);
                let value = self.expr(Long, 1);
                (format!("percentile({value}, {percent})"), Long)
            }
            15 => {
                let call = pick(
                    self.rng,
                    &["binary_all_or", "binary_all_and", "binary_all_xor"],
                );
                // Of nothing no documentation says what they are.
                (format!("{call}(coalesce({}, 5))", self.expr(Long, 1)), Long)
            }
            16 => (
                format!("count_distinctif({}, {filter})", self.expr(any, 1)),
                Long,
            ),
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
            .map(|(name, ty)| {
                let name = match ty {
                    ColumnType::Dynamic => format!("strcat(gettype({name}), tostring({name}))"),
                    _ => name.clone(),
                };
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
        let right = match self.rng.below(10) {
            0 => format!("(B{filter} | summarize z = max(y) by k)"),
            1 => format!("(B{filter} | distinct k, z = y)"),
            2 => format!("(B{filter} | project k, z = 3)"),
            3 => "(A | where b | project k, z = tolong(n))".to_owned(),
            4 => format!(
                "(B{filter} | summarize n = count() by k | mv-expand z = range(0, n, 1) to typeof(long) | project k, z)"
            ),
            5 => "(A | summarize z = count() by k, s | project k, z)".to_owned(),
            6 => format!("(union (B{filter} | project k, z = 1), (A | project k, z = 2))"),
            _ => format!("(B{filter} | project k, z = y)"),
        };
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
        let plain = "union (B | project k, y)".to_owned();
        let text = match self.rng.below(4) {
            0 => {
                let name = self.name();
                self.columns.insert(0, (name.clone(), ColumnType::String));
                format!("union withsource={name} (B | project k, y)")
            }
            1 => {
                // One value in one table, another in the next.
                let name = self.made(ColumnType::Long);
                let (one, other) = (self.rng.below(3), self.rng.below(3));
                format!("extend {name} = {one}\n| union (B | project k, y, {name} = {other})")
            }
            2 => {
                let name = self.name();
                self.columns.push(("y".to_owned(), ColumnType::Long));
                self.columns.push((name.clone(), ColumnType::String));
                return format!("union isfuzzy=true (B | project k, y, {name} = 'b')");
            }
            _ => plain,
        };
        self.columns.push(("y".to_owned(), ColumnType::Long));
        text
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

    /// The name of a new column.
    fn made(&mut self, ty: ColumnType) -> String {
        let name = self.name();
        self.columns.push((name.clone(), ty));
        name
    }

    fn column_of_any(&self) -> (String, ColumnType) {
        let at = self.rng.index(self.columns.len());
        self.columns.get(at).cloned().expect("a column")
    }

    // Expressions.

    fn any_type(&self) -> ColumnType {
        use ColumnType::{Bool, DateTime, Dynamic, Int, Long, Real, String as Text, TimeSpan};
        pick_type(
            self.rng,
            &[
                Bool, Long, Long, Int, Real, Text, Text, DateTime, TimeSpan, Dynamic,
            ],
        )
    }

    fn expr(&self, ty: ColumnType, depth: u32) -> String {
        use ColumnType::{Bool, DateTime, Dynamic, Int, Long, Real, String as Text, TimeSpan};
        if depth == 0 || self.rng.chance(35) {
            return self.leaf(ty);
        }
        let of = |ty| self.expr(ty, depth - 1);
        if self.rng.chance(45) {
            match ty {
                Bool => return self.more_condition(depth),
                Long => return self.more_long(depth),
                Int => return self.more_int(depth),
                Real => return self.more_real(depth),
                Text => return self.more_text(depth),
                DateTime => return self.more_time(depth),
                TimeSpan => return self.more_span(depth),
                _ => {}
            }
        }
        match ty {
            Dynamic => self.dynamic(depth),
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
                let calls = &["isnull", "isnotnull", "isempty", "isnotempty"];
                let call = match ty {
                    ColumnType::Dynamic => pick(self.rng, &["isnull", "isnotnull"]),
                    _ => pick(self.rng, calls),
                };
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
            ColumnType::Dynamic => format!("dynamic({})", pick(self.rng, DYNAMICS)),
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

pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null(_) => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Long(n) => n.to_string(),
        Value::Real(x) => real(*x),
        Value::String(text) => format!("{text:?}"),
        Value::Dynamic(json) => format!("{json:?}"),
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

/// To nine digits; both zeros are one, and so is what is left of numbers that cancel out.
fn real(x: f64) -> String {
    let x = if x.abs() < 1e-12 { 0.0 } else { x };
    format!("{:.8e}", x + 0.0)
}

pub(super) fn bag(mut rows: Vec<String>) -> String {
    rows.sort();
    rows.join("\n  ")
}
