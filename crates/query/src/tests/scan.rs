//! Reading segments: pruning, columns that came later, memory beside segments.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result as ParquetResult;
use datafusion::parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};
use datafusion::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kql::{SchemaSource, TableShape};
use model::{ColumnType, TableName, Ticks};
use rows::types;

use super::encode;
use super::support::{describe, now, run};
use crate::{HuntResult, Notice, Segment, TableRows};

pub(super) const MINUTE: i64 = 60 * model::ticks::PER_SECOND;

/// A Parquet file in memory that counts the bytes read from it.
#[derive(Clone, Debug)]
pub(super) struct File {
    bytes: Bytes,
    rows: u64,
    time: Option<(Ticks, Ticks)>,
    pub(super) read: Arc<AtomicU64>,
    damaged: bool,
}

impl File {
    pub(super) fn new(batch: &RecordBatch, group_rows: usize) -> Self {
        Self::with(batch, properties(group_rows).build())
    }

    pub(super) fn with(batch: &RecordBatch, properties: WriterProperties) -> Self {
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
        writer.write(batch).expect("written");
        writer.close().expect("closed");
        let time = batch.column_by_name("Timestamp").map(|column| {
            let times = column.as_any().downcast_ref::<Int64Array>().expect("ticks");
            let of = |t: Option<i64>| Ticks(t.expect("a row"));
            (
                of(times.iter().flatten().min()),
                of(times.iter().flatten().max()),
            )
        });
        let rows = u64::try_from(batch.num_rows()).expect("few rows");
        Self {
            bytes: bytes.into(),
            rows,
            time,
            read: Arc::default(),
            damaged: false,
        }
    }
}

/// Pages of 100 rows.
pub(super) fn properties(group_rows: usize) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
}

impl Segment for File {
    fn name(&self) -> String {
        "segment".to_owned()
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn time(&self) -> Option<(Ticks, Ticks)> {
        self.time
    }

    fn open(&self) -> Result<Box<dyn AsyncFileReader + Send>, crate::OpenError> {
        Ok(Box::new(self.clone()))
    }
}

impl AsyncFileReader for File {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        assert!(!self.damaged, "a damaged module panics in the decryptor");
        self.read
            .fetch_add(range.end - range.start, Ordering::Relaxed);
        let at = |n: u64| usize::try_from(n).expect("a small file");
        let range = at(range.start)..at(range.end);
        async move { Ok(self.bytes.slice(range)) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let reader =
                ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            Ok(Arc::new(reader.parse_and_finish(&self.bytes)?))
        }
        .boxed()
    }
}

pub(super) struct Shape;

impl SchemaSource for Shape {
    fn table(&self, name: &str) -> Option<TableShape> {
        (name == "Events").then(|| TableShape {
            name: TableName::new("Events").expect("a name"),
            columns: vec![
                ("Timestamp".into(), ColumnType::DateTime),
                ("Device".into(), ColumnType::String),
                ("Size".into(), ColumnType::Long),
                ("Late".into(), ColumnType::String),
            ],
        })
    }

    fn tables(&self) -> Vec<String> {
        vec!["Events".to_owned()]
    }
}

pub(super) fn schema() -> SchemaRef {
    let columns = Shape.table("Events").expect("the table").columns;
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, ty)| types::field(name, *ty))
        .collect();
    Arc::new(ArrowSchema::new(fields))
}

/// `n` rows, one a minute from `start`, without the column that came later.
pub(super) fn early(start: i64, n: i64) -> RecordBatch {
    let schema = Arc::new(schema().project(&[0, 1, 2]).expect("columns"));
    let times = (0..n).map(|i| start + i * MINUTE);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(times)),
        Arc::new(StringArray::from_iter_values(
            (0..n).map(|i| format!("d{}", i % 7)),
        )),
        Arc::new(Int64Array::from_iter_values(0..n)),
    ];
    RecordBatch::try_new(schema, columns).expect("a batch")
}

fn late(time: i64) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![time])),
        Arc::new(StringArray::from(vec!["d9"])),
        Arc::new(Int64Array::from(vec![None])),
        Arc::new(StringArray::from(vec!["x"])),
    ];
    RecordBatch::try_new(schema(), columns).expect("a batch")
}

pub(super) fn day(text: &str) -> i64 {
    Ticks::parse(text).expect("a day").0
}

pub(super) fn hunt(query: &str, files: &[File]) -> HuntResult {
    let rows = TableRows {
        schema: schema(),
        memory: vec![late(day("2024-06-14"))],
        segments: files
            .iter()
            .map(|file| Arc::new(file.clone()) as Arc<dyn Segment>)
            .collect(),
        time_column: Some("Timestamp".to_owned()),
        look_back: true,
    };
    let tables = BTreeMap::from([(TableName::new("Events").expect("a name"), rows)]);
    match run(query, &Shape, &tables) {
        Ok(result) => result,
        Err(error) => panic!("{query}: {}", describe(&error)),
    }
}

fn files() -> [File; 2] {
    [
        File::new(&early(day("2024-06-10"), 1000), 250),
        File::new(&early(day("2024-06-12"), 1000), 250),
    ]
}

#[test]
fn memory_and_segments_are_one_table() {
    let result = hunt(
        "Events | summarize n = count(), devices = dcount(Device)",
        &files(),
    );
    assert_eq!(encode::json(&result), r#"[{"n":2001,"devices":8}]"#);
    assert_eq!(result.stats.segments_read, 2);
}

#[test]
fn a_time_condition_leaves_whole_segments_unopened() {
    let files = files();
    let result = hunt(
        "Events | where Timestamp >= datetime(2024-06-12) | count",
        &files,
    );
    assert_eq!(encode::json(&result), r#"[{"Count":1001}]"#);
    assert_eq!(
        (result.stats.segments_read, result.stats.segments_pruned),
        (1, 1)
    );
    assert_eq!(files[0].read.load(Ordering::Relaxed), 0);
}

#[test]
fn rows_that_are_only_counted_are_not_read() {
    for query in [
        "Events | count",
        "Events | where Timestamp >= datetime(2024-06-10) and Timestamp < datetime(2024-06-20) | count",
        "Events | summarize Count = count()",
        "union Events, Events | take 3000 | count",
    ] {
        let all = files();
        let counted = hunt(query, &all);
        let expected = if query.contains("union") { 3000 } else { 2001 };
        assert_eq!(
            encode::json(&counted),
            format!(r#"[{{"Count":{expected}}}]"#)
        );
        for file in &all {
            assert_eq!(file.read.load(Ordering::Relaxed), 0, "{query}");
        }
    }
    // A bound that runs through a segment: that one is read, the other is not.
    let all = files();
    let query = "Events | where Timestamp >= datetime(2024-06-10 00:10) | count";
    let counted = hunt(query, &all);
    let read: Vec<bool> = all
        .iter()
        .map(|file| file.read.load(Ordering::Relaxed) > 0)
        .collect();
    assert_eq!(read, [true, false]);
    let listed = hunt(
        "Events | where Timestamp >= datetime(2024-06-10 00:10) | summarize Count = countif(isnotempty(Device) or isempty(Device))",
        &all,
    );
    assert_eq!(encode::json(&counted), encode::json(&listed));
}

#[test]
fn statistics_prune_row_groups_and_pages() {
    let all = files();
    hunt("Events | summarize sum(Size), max(Device)", &all);
    let whole = all[0].read.load(Ordering::Relaxed);
    let some = files();
    let query = "Events | where Timestamp between (datetime(2024-06-10 00:10) .. datetime(2024-06-10 00:20)) | summarize sum(Size), max(Device)";
    let result = hunt(query, &some);
    assert_eq!(
        encode::json(&result),
        r#"[{"sum_Size":165,"max_Device":"d6"}]"#
    );
    let part = some[0].read.load(Ordering::Relaxed);
    assert!(
        part > 0 && part * 2 < whole,
        "{part} of {whole} bytes were read"
    );
}

#[test]
fn a_kernel_in_the_condition_does_not_stop_pruning() {
    let files = files();
    let query = "Events | where Timestamp > datetime(2024-06-12) and Device has 'D3' and Size == 10 | project Size, Device";
    let result = hunt(query, &files);
    assert_eq!(encode::json(&result), r#"[{"Size":10,"Device":"d3"}]"#);
    assert_eq!(files[0].read.load(Ordering::Relaxed), 0);
}

#[test]
fn a_column_that_came_later_is_empty_or_null_in_older_segments() {
    let of = |query: &str| encode::json(&hunt(query, &files()));
    assert_eq!(
        of("Events | where Late == '' | count"),
        r#"[{"Count":2000}]"#
    );
    assert_eq!(
        of("Events | where isempty(Late) and Size == 3 | project Late | take 1"),
        r#"[{"Late":""}]"#
    );
    assert_eq!(
        of("Events | where Late != 'x' | count"),
        r#"[{"Count":2000}]"#
    );
    assert_eq!(
        of("Events | where Size != 5 | count"),
        r#"[{"Count":1999}]"#
    );
    assert_eq!(
        of("Events | summarize count() by Late | order by Late asc"),
        r#"[{"Late":"","count_":2000},{"Late":"x","count_":1}]"#
    );
}

/// 2,001 rows, one of them without a size, joined with the six of which the size is 0, 1 or 2.
#[test]
fn a_join_gives_the_same_rows_whichever_side_is_the_smaller() {
    let files = files();
    let of = |left: &str, kind: &str, right: &str, what: &str| {
        let query = format!(
            "let few = Events | where Size < 3; {left} | join kind={kind} {right} on Size | summarize {what}"
        );
        encode::json(&hunt(&query, &files))
    };
    let both = "n = count(), a = sum(Size), b = sum(Size1)";
    for (kind, many_first, few_first) in [
        ("inner", (12, 12, 12), (12, 12, 12)),
        ("innerunique", (6, 6, 6), (6, 6, 6)),
        ("leftouter", (2007, 999_006, 12), (12, 12, 12)),
        ("rightouter", (12, 12, 12), (2007, 12, 999_006)),
        ("fullouter", (2007, 999_006, 12), (2007, 12, 999_006)),
    ] {
        let expected = |(n, a, b)| format!(r#"[{{"n":{n},"a":{a},"b":{b}}}]"#);
        let answer = of("Events", kind, "few", both);
        assert_eq!(answer, expected(many_first), "{kind}, many first");
        let answer = of("few", kind, "Events", both);
        assert_eq!(answer, expected(few_first), "{kind}, few first");
    }
    let one = "n = count(), a = sum(Size)";
    for (kind, many_first, few_first) in [
        ("leftsemi", (6, 6), (6, 6)),
        ("rightsemi", (6, 6), (6, 6)),
        ("leftanti", (1995, 998_994), (0, 0)),
        ("rightanti", (0, 0), (1995, 998_994)),
    ] {
        let expected = |(n, a)| format!(r#"[{{"n":{n},"a":{a}}}]"#);
        let answer = of("Events", kind, "few", one);
        assert_eq!(answer, expected(many_first), "{kind}, many first");
        let answer = of("few", kind, "Events", one);
        assert_eq!(answer, expected(few_first), "{kind}, few first");
    }
}

/// The rows that pass by keep their order; those of the smaller side are the ones that are looked up.
#[test]
fn the_larger_side_of_a_join_passes_by() {
    let few = "(Events | where Size < 3 | project Size, Other = Timestamp)";
    for query in [
        format!("Events | join kind=inner {few} on Size | project Timestamp"),
        format!("{few} | join kind=inner Events on Size | project Timestamp"),
    ] {
        let rows = encode::json(&hunt(&query, &files()));
        let times: Vec<_> = rows.split("\"Timestamp\":").skip(1).collect();
        assert_eq!(times.len(), 12, "{rows}");
        assert!(times.is_sorted(), "{query}: {rows}");
    }
}

#[test]
fn a_query_that_does_not_say_from_when_looks_back_so_many_days() {
    let old = File::new(&early(day("2024-01-01"), 10), 250);
    let new = File::new(&early(day("2024-06-01"), 10), 250);
    let result = hunt("Events | count", &[old.clone(), new.clone()]);
    assert_eq!(encode::json(&result), r#"[{"Count":11}]"#);
    assert_eq!(result.notices, [Notice::LookBack { days: 30 }]);
    assert_eq!(result.stats.segments_pruned, 1);
    for restricted in [
        "Events | where Timestamp > datetime(2020-01-01) | count",
        "Events | extend T = bin(Timestamp, 1d) | where T > ago(1000d) | count",
        "let a = Events | project Timestamp, Device; a | where Timestamp > ago(1000d) | count",
    ] {
        let result = hunt(restricted, &[old.clone(), new.clone()]);
        assert_eq!(encode::json(&result), r#"[{"Count":21}]"#, "{restricted}");
        assert_eq!(result.notices, [], "{restricted}");
    }
    assert_eq!(now().to_string(), "2024-06-15T12:00:00.0000000Z");
}

#[test]
fn a_panic_while_reading_is_one_querys_error() {
    let mut file = File::new(&early(day("2024-06-10"), 10), 250);
    file.damaged = true;
    let rows = TableRows {
        schema: schema(),
        memory: Vec::new(),
        segments: vec![Arc::new(file)],
        time_column: None,
        look_back: false,
    };
    let tables = BTreeMap::from([(TableName::new("Events").expect("a name"), rows)]);
    let outcome = run("Events | summarize max(Device)", &Shape, &tables);
    assert!(
        matches!(outcome, Err(crate::Error::Panicked)),
        "{outcome:?}"
    );
}

#[test]
fn large_chunks_in_memory_count_once_against_the_querys_memory() {
    let rows = TableRows {
        schema: Arc::new(schema().project(&[0, 1, 2]).expect("columns")),
        memory: vec![early(day("2024-06-10"), 100_000)],
        segments: Vec::new(),
        time_column: None,
        look_back: false,
    };
    let tables = BTreeMap::from([(TableName::new("Events").expect("a name"), rows)]);
    let prepared = crate::prepare("Events | order by Device asc, Size desc", &Shape, now());
    let limits = crate::Limits {
        memory_bytes: 24 << 20,
        ..crate::Limits::default()
    };
    let result = super::support::run_prepared(&prepared, &tables, limits);
    assert_eq!(
        result.map(|r| r.rows()).map_err(|e| describe(&e)),
        Ok(100_000)
    );
}
