//! A scan for a top: of all rows only those that come first in some order are wanted.
//!
//! Segments and row groups go in the order of their times, if that is what the top goes by: then what
//! it keeps soon rules the others out. Of a row group first the columns of the order are read, and of
//! the others only the rows that come first in it: no other row of the group can be among the top.
//!
//! Promise: of rows that are equal in all that the order goes by any may be given, as many as wanted;
//! of others none is missing.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::BooleanArray;
use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Int64Array, UInt64Array};
use datafusion::arrow::compute::{SortColumn, SortOptions, cast, concat, lexsort_to_indices, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue, exec_datafusion_err};
use datafusion::parquet::arrow::RowNumber;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use super::Segment;
use super::groups::{Failure, Group, Job, Reading, Wanted, column, first};

/// A row group has so many times as many rows as are wanted, if they are looked for first.
const FEW: usize = 8;

/// Name of the column of rows' numbers; no column of a table begins so.
const NUMBERS: &str = "$row";

/// What a top wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Top {
    /// Columns of the scan's output and how they are sorted, the first one first.
    pub(crate) keys: Vec<(usize, SortOptions)>,
    /// How many rows are wanted, if the order goes by no more than that, and no row is left out above.
    pub(crate) rows: Option<usize>,
}

impl fmt::Display for Top {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("top=")?;
        for (at, (column, options)) in self.keys.iter().enumerate() {
            let and = if at == 0 { "" } else { "," };
            write!(f, "{and}{column} {options}")?;
        }
        match self.rows {
            Some(rows) => write!(f, " rows={rows}"),
            None => Ok(()),
        }
    }
}

impl Top {
    /// How the table's time is sorted, if the order goes by that first.
    fn time(&self, wanted: &Wanted) -> Option<SortOptions> {
        let (column, options) = self.keys.first()?;
        let field = wanted.output.fields().get(*column)?;
        (wanted.time.as_ref() == Some(field.name())).then_some(*options)
    }

    /// Segments whose rows may come first go first.
    pub(super) fn sort(&self, segments: &mut [Arc<dyn Segment>], wanted: &Wanted) {
        if let Some(options) = self.time(wanted) {
            segments.sort_by_key(|s| place(s.time().map(|(from, to)| (from.0, to.0)), options));
        }
    }

    /// Row groups whose rows may come first go first.
    pub(super) fn arrange(&self, groups: &mut [Group], wanted: &Wanted) {
        if let (Some(options), Some(time)) = (self.time(wanted), &wanted.time) {
            groups.sort_by_key(|group| place(group.range(time), options));
        }
    }

    /// Whether few rows of that many are wanted.
    pub(super) fn is_of_few(&self, rows: usize) -> bool {
        self.rows.is_some_and(|few| few.saturating_mul(FEW) <= rows)
    }
}

/// What to sort by to have first what may come first: ranges that are not known, then by the end that
/// counts.
fn place(range: Option<(i64, i64)>, options: SortOptions) -> Option<i64> {
    range.map(|(from, to)| if options.descending { !to } else { from })
}

impl Group {
    /// The same reading, of those rows only that come first in the order of a top.
    pub(super) fn best_of<'a>(
        &self,
        job: &Arc<Job>,
        top: &Top,
        reading: Reading<'a>,
        failure: &Failure,
    ) -> Result<Reading<'a>> {
        let (Some(before), Some(rows)) = (self.first_row(), top.rows) else {
            return Ok(reading);
        };
        let fields = job.wanted.output.fields();
        let sorted = |(column, _): &(usize, SortOptions)| fields.get(*column).cloned();
        let keys: Vec<FieldRef> = top.keys.iter().filter_map(sorted).collect();
        let names: HashSet<&str> = keys.iter().map(|field| field.name().as_str()).collect();
        if reading.columns.iter().all(|name| names.contains(name)) {
            return Ok(reading);
        }
        let numbers = Field::new(NUMBERS, DataType::Int64, false).with_extension_type(RowNumber);
        let first_pass = Reading {
            columns: names.into_iter().collect(),
            rows: reading.rows,
            predicates: reading.predicates,
            numbers: Some(Arc::new(numbers)),
        };
        let mut best = Best::new(keys.len());
        for batch in self
            .reader(job, first_pass)
            .map_err(|e| first(failure, e))?
        {
            job.check()?;
            let batch = batch.map_err(|e| first(failure, e.into()))?;
            let Some(numbers) = batch.column_by_name(NUMBERS) else {
                return Err(exec_datafusion_err!("rows without numbers"));
            };
            let mut columns = Vec::with_capacity(keys.len() + 1);
            for field in &keys {
                columns.push(cast(&column(field, &batch)?, field.data_type())?);
            }
            columns.push(numbers.clone());
            best.add(columns, &top.keys, rows)?;
        }
        let ranges = best.ranges(before)?;
        let all = RowSelection::from_consecutive_ranges(ranges.into_iter(), self.rows());
        Ok(Reading {
            columns: reading.columns,
            rows: Some(all),
            predicates: Vec::new(),
            numbers: None,
        })
    }
}

/// The first rows so far: the columns of their order, and their numbers.
struct Best(Vec<Vec<ArrayRef>>);

impl Best {
    fn new(keys: usize) -> Self {
        Self(vec![Vec::new(); keys + 1])
    }

    /// Takes more rows, and forgets those that are not among the first any more.
    fn add(
        &mut self,
        columns: Vec<ArrayRef>,
        keys: &[(usize, SortOptions)],
        rows: usize,
    ) -> Result<()> {
        for (kept, more) in self.0.iter_mut().zip(columns) {
            kept.push(more);
            let parts: Vec<_> = kept.iter().map(AsRef::as_ref).collect();
            *kept = vec![concat(&parts)?];
        }
        let all: Vec<ArrayRef> = self.0.iter().flatten().cloned().collect();
        if all.first().is_none_or(|column| column.len() <= rows) {
            return Ok(());
        }
        let order: Vec<SortColumn> = all
            .iter()
            .zip(keys)
            .map(|(values, (_, options))| SortColumn {
                values: values.clone(),
                options: Some(*options),
            })
            .collect();
        let first = lexsort_to_indices(&order, Some(rows))?;
        for (kept, column) in self.0.iter_mut().zip(&all) {
            *kept = vec![take(column, &first, None)?];
        }
        Ok(())
    }

    /// Where the rows are, counted from row number `before`.
    fn ranges(self, before: i64) -> Result<Vec<Range<usize>>> {
        let Some(numbers) = self.0.into_iter().next_back().unwrap_or_default().pop() else {
            return Ok(Vec::new());
        };
        let numbers = numbers.as_primitive::<Int64Type>().values().iter();
        let at = |number: &i64| usize::try_from(number - before);
        let mut places: Vec<usize> = numbers
            .map(at)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| exec_datafusion_err!("a row's number is not of its group"))?;
        places.sort_unstable();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for place in places {
            match ranges.last_mut() {
                Some(range) if range.end == place => range.end += 1,
                _ => ranges.push(place..place + 1),
            }
        }
        Ok(ranges)
    }
}

/// Whether what became known while the query ran leaves out all rows of a segment, going by its times.
pub(super) fn rules_out(job: &Job, segment: &dyn Segment) -> Result<bool> {
    let wanted = &job.wanted;
    let (Some(name), Some((from, to))) = (&wanted.time, segment.time()) else {
        return Ok(false);
    };
    let known = job.known()?;
    if known.is_empty() {
        return Ok(false);
    }
    let builder = PruningPredicateBuilder::new().with_file_schema(wanted.schema.clone());
    let Ok(predicate) = builder.try_build(conjunction(known)) else {
        return Ok(false);
    };
    let times = Times {
        name,
        from: from.0,
        to: to.0,
    };
    let is_out = predicate.prune(&times)?.iter().all(|may_have| !may_have);
    if is_out {
        let relaxed = Ordering::Relaxed;
        wanted.reads.segments.fetch_sub(1, relaxed);
        wanted.reads.segments_pruned.fetch_add(1, relaxed);
    }
    Ok(is_out)
}

/// What is known of a segment that was not opened: the range of its times, none of which is missing.
struct Times<'a> {
    name: &'a str,
    from: i64,
    to: i64,
}

impl Times<'_> {
    fn of(&self, column: &Column, value: i64) -> Option<ArrayRef> {
        (column.name == self.name).then(|| Arc::new(Int64Array::from(vec![value])) as ArrayRef)
    }
}

impl PruningStatistics for Times<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, self.from)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.of(column, self.to)
    }

    fn num_containers(&self) -> usize {
        1
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == self.name).then(|| Arc::new(UInt64Array::from(vec![0])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
