//! A condition or a summary says the same of rows in a segment as of the same rows in memory, however the segment
//! keeps them: as a dictionary, as plain text, as both, or not at all.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

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
use datafusion::parquet::file::properties::WriterProperties;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kql::{SchemaSource, TableShape};
use model::{ColumnType, TableName, Ticks};
use rows::types;

use super::encode;
use super::support::{describe, run};
use crate::{Segment, TableRows};

const ROWS: i64 = 3_000;
const DAY: i64 = 864_000_000_000;

#[derive(Clone, Debug)]
pub(super) struct File {
    bytes: Bytes,
    rows: usize,
    time: Option<(Ticks, Ticks)>,
}

impl File {
    /// In groups of a third of the rows; a dictionary larger than `dictionary_bytes` is given up.
    pub(super) fn new(batch: &RecordBatch, dictionary_bytes: usize) -> Self {
        let time = Some((Ticks(start()), Ticks(start() + ROWS * DAY / 1_000)));
        Self {
            time,
            ..Self::in_groups(batch, dictionary_bytes, 1_000)
        }
    }

    /// In groups of so many rows, each of ten pages or of one for each row; without a range of time.
    pub(super) fn in_groups(batch: &RecordBatch, dictionary_bytes: usize, rows: usize) -> Self {
        let mut bytes = Vec::new();
        let page = (rows / 10).max(1);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows))
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page)
            .set_dictionary_page_size_limit(dictionary_bytes)
            .build();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
        writer.write(batch).expect("written");
        writer.close().expect("closed");
        Self {
            bytes: bytes.into(),
            rows: batch.num_rows(),
            time: None,
        }
    }
}

impl Segment for File {
    fn name(&self) -> String {
        "segment".to_owned()
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn rows(&self) -> u64 {
        self.rows as u64
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
                ("Note".into(), ColumnType::String),
                ("Bag".into(), ColumnType::Dynamic),
                ("Size".into(), ColumnType::Long),
                ("Later".into(), ColumnType::String),
                ("LaterBag".into(), ColumnType::Dynamic),
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

fn start() -> i64 {
    Ticks::parse("2024-06-01").expect("a day").0
}

/// Without the columns that came later.
pub(super) fn batch() -> RecordBatch {
    let rows = || 0..ROWS;
    let bag = |i: i64| match i % 5 {
        0 => None,
        1 => Some("\"\"".to_owned()),
        n => Some(format!("{{\"a\":{n}}}")),
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(
            rows().map(|i| start() + i * DAY / 1_000),
        )),
        Arc::new(StringArray::from_iter_values(
            rows().map(|i| format!("PC-{} of dept {}", i % 7, i % 3)),
        )),
        Arc::new(StringArray::from_iter_values(rows().map(|i| {
            format!(
                "run {i} powershell{} -x",
                if i % 11 == 0 { "" } else { "y" }
            )
        }))),
        Arc::new(rows().map(bag).collect::<StringArray>()),
        Arc::new(
            rows()
                .map(|i| (i % 13 != 0).then_some(i))
                .collect::<Int64Array>(),
        ),
    ];
    let schema = Arc::new(schema().project(&[0, 1, 2, 3, 4]).expect("columns"));
    RecordBatch::try_new(schema, columns).expect("a batch")
}

pub(super) fn tables(
    memory: Vec<RecordBatch>,
    segments: Vec<Arc<dyn Segment>>,
) -> BTreeMap<TableName, TableRows> {
    let rows = TableRows {
        schema: schema(),
        memory,
        segments,
        time_column: Some("Timestamp".to_owned()),
        look_back: false,
    };
    BTreeMap::from([(TableName::new("Events").expect("a name"), rows)])
}

const CONDITIONS: [&str; 24] = [
    "Device has 'pc'",
    "Device !has '3'",
    "Device has_any ('4', 'nothing')",
    "Device contains 'DEPT 1'",
    "Device matches regex '-[25] '",
    "Device == 'PC-1 of dept 1'",
    "Device != 'PC-1 of dept 1'",
    "Device in ('PC-1 of dept 1', 'PC-2 of dept 2')",
    "Device in~ ('pc-1 of DEPT 1')",
    "Device has '1' or Note has 'powershell'",
    "not(Device has '1' and Size > 100)",
    "Note has 'powershell'",
    "Note endswith 'Y -X' and Device startswith 'pc-6'",
    "strlen(Device) + Size > 2000",
    "strcat(Device, Note) contains '6 of dept 2run'",
    "Bag.a == 3",
    "Bag.a == 3 or isnull(Bag)",
    "not(Bag.a == 3)",
    "isempty(Bag)",
    "isnull(Size) and Device has '2'",
    "Size != 5",
    "isempty(Later) and Size == 3",
    "Later == 'x' or isnotnull(LaterBag)",
    "Timestamp between (datetime(2024-06-01 12:00) .. datetime(2024-06-02 06:00)) and Device has '5'",
];

#[test]
fn a_condition_says_the_same_of_a_segment_as_of_memory() {
    let batch = batch();
    let whole = rows::conform(&batch, &schema()).expect("conforms");
    let memory = tables(vec![whole], Vec::new());
    let (mut some, mut all) = (0, 0);
    for dictionary_bytes in [1 << 20, 4_000, 1] {
        let segment: Arc<dyn Segment> = Arc::new(File::new(&batch, dictionary_bytes));
        let segment = tables(Vec::new(), vec![segment]);
        for condition in CONDITIONS {
            for rest in [
                "summarize count(), sum(Size), max(Device), min(Note), dcount(Later)",
                "project Size, Device, Later, Bag | top 5 by Size desc",
            ] {
                let query = format!("Events | where {condition} | {rest}");
                let of = |tables: &BTreeMap<TableName, TableRows>| match run(&query, &Shape, tables)
                {
                    Ok(result) => encode::json(&result),
                    Err(error) => panic!("{query}: {}", describe(&error)),
                };
                let expected = of(&memory);
                some += usize::from(!expected.contains(r#""count_":0,"#) && expected != "[]");
                all += 1;
                assert_eq!(of(&segment), expected, "{query}, {dictionary_bytes}");
            }
        }
    }
    assert!(some > all - all / 8, "{some} of {all} have an answer");
}

const SUMMARIES: [&str; 24] = [
    "summarize n = count() by Device",
    "summarize n = count(), s = sum(Size), d = dcount(Note), u = count_distinct(Note), m = max(Note) by Device, Day = bin(Timestamp, 1d)",
    "summarize n = count() by Later",
    "summarize n = count() by bin(Size, 500)",
    "summarize n = count() by bin(Size, 500), Device, tostring(Bag), Later",
    "summarize count_distinct(Later), count_distinct(Size), count_distinct(tostring(Bag)) by Device",
    "summarize arg_max(Size, Note, Device), arg_min(Timestamp, Later) by tostring(Bag.a)",
    "summarize arg_max(Note, *) by Device",
    "summarize arg_max(Timestamp, Device, Note) by Size % 5",
    "summarize n = count() by tolower(Device), strlen(Note)",
    "summarize countif(Size > 100), dcountif(Device, Size > 7), sumif(Size, Note has 'powershell') by Kind = extract('dept ([0-9])', 1, Device)",
    "extend K = iff(Device has 'PC-1', '', Device) | summarize take_any(Note) by K",
    "distinct Device, Later",
    "distinct Size",
    "summarize count_distinct(Size) by isnull(Size), isempty(tostring(Bag.a))",
    "summarize make_set(Device) by Size % 3",
    "summarize avg(Size), stdev(Size), min(Size) by Device",
    "project K = strcat(Device, '/', Note), Size | summarize n = count() by K | where n > 0 | summarize sum(n), count()",
    "mv-expand k = bag_keys(parse_json(tostring(Bag))) to typeof(string) | summarize n = count() by k, Device",
    "extend T = tostring(Bag) | where isnotempty(T) | summarize n = count() by T",
    "union Events, (Events | where Size > 10 | extend Later = 'y') | summarize n = count(), count_distinct(Device) by Later, Device",
    "where Device has '1' | summarize n = count() by Device | join kind=inner (Events | where Size > 2000 | summarize m = count() by Device) on Device",
    "project U = toupper(Device), L = strlen(Note), Later, P = tostring(parse_json(tostring(Bag)).a), Size | top 40 by Size desc",
    "where Size > 1000000 | summarize n = count(), arg_max(Size, Note) by Device",
];

#[test]
fn a_summary_says_the_same_of_segments_as_of_memory() {
    let batch = batch();
    let whole = rows::conform(&batch, &schema()).expect("conforms");
    let once = tables(vec![whole.clone()], Vec::new());
    let twice = tables(vec![whole.clone(), whole.clone()], Vec::new());
    for dictionary_bytes in [1 << 20, 4_000, 1] {
        let segment: Arc<dyn Segment> = Arc::new(File::new(&batch, dictionary_bytes));
        let cases = [
            (&once, tables(Vec::new(), vec![segment.clone()])),
            (&twice, tables(vec![whole.clone()], vec![segment.clone()])),
            (&twice, tables(Vec::new(), vec![segment; 2])),
        ];
        for summary in SUMMARIES {
            // The order of groups is not the query's.
            let query = format!(
                "Events | {summary} | extend Row = tostring(pack_all()) | order by Row asc"
            );
            let of = |tables: &BTreeMap<TableName, TableRows>| match run(&query, &Shape, tables) {
                Ok(result) => encode::json(&result),
                Err(error) => panic!("{query}: {}", describe(&error)),
            };
            for (at, (memory, segments)) in cases.iter().enumerate() {
                let answer = of(segments);
                assert_eq!(answer, of(memory), "{query}, {dictionary_bytes}, case {at}");
                let is_none = summary.contains("1000000");
                assert_eq!(answer == "[]", is_none, "{query}");
            }
        }
    }
}

#[test]
fn rows_of_many_groups_come_in_order() {
    let segment: Arc<dyn Segment> = Arc::new(File::new(&batch(), 1 << 20));
    let again = tables(Vec::new(), vec![segment; 5]);
    let result = run("Events | where Size > 0 | project Size", &Shape, &again);
    let rows = match result {
        Ok(result) => encode::json(&result),
        Err(error) => panic!("{}", describe(&error)),
    };
    let once = (0..ROWS).filter(|i| *i > 0 && i % 13 != 0);
    let all = (0..5).flat_map(|_| once.clone());
    let expected: Vec<String> = all.map(|i| format!("{{\"Size\":{i}}}")).collect();
    assert_eq!(rows, format!("[{}]", expected.join(",")));
}
