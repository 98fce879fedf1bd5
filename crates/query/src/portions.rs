//! Rows that are about to become many: handed on in portions.
//!
//! `mv-expand` repeats every column of a row for each element of its list, a whole batch at a time,
//! and nobody counts that. [`Portions`] stands before it: it cuts batches, and lists inside of rows,
//! so that what one portion becomes has at most the rows of a batch and about
//! [`EXPANDED_BYTES_MAX`] bytes. Nothing is copied, order stays.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, ListArray, RecordBatch, StringArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, DFSchemaRef, FunctionalDependencies, Result, exec_err, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// Bytes that one portion becomes, unless one element alone is more.
const EXPANDED_BYTES_MAX: usize = 16 << 20;

/// The input in portions, as column `list` will expand it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Portions {
    input: LogicalPlan,
    pub(crate) list: Column,
    /// The input's, but that no column is known to be unique or to follow from others: rows will be
    /// repeated, and the library would go on to believe it of them.
    schema: DFSchemaRef,
}

impl Portions {
    pub(crate) fn new(input: LogicalPlan, list: Column) -> Result<Self> {
        let schema = input.schema().as_ref().clone();
        let schema = schema.with_functional_dependencies(FunctionalDependencies::empty())?;
        Ok(Self {
            input,
            list,
            schema: Arc::new(schema),
        })
    }
}

impl PartialOrd for Portions {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (self == other).then_some(std::cmp::Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for Portions {
    #[expect(clippy::unnecessary_literal_bound, reason = "the trait says so")]
    fn name(&self) -> &str {
        "Portions"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![Expr::Column(self.list.clone())]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Portions")
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let ([Expr::Column(list)], [input]) = (exprs.as_slice(), inputs.as_slice()) else {
            return plan_err!("Portions has one input and one column");
        };
        Self::new(input.clone(), list.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut needed = output_columns.to_vec();
        needed.push(self.input.schema().maybe_index_of_column(&self.list)?);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// The portions of one batch, made as they are asked for.
pub(crate) struct Cut {
    batch: RecordBatch,
    at: usize,
    /// Rows that one portion becomes.
    rows_max: usize,
    item: FieldRef,
    lists: ListArray,
    /// Bytes of each row without its list.
    widths: Vec<usize>,
    row: usize,
    /// Elements of the row's list that were handed on.
    taken: usize,
}

impl Cut {
    /// `batch` by the list column at position `at`, for at most `rows_max` rows at a time.
    pub(crate) fn new(batch: RecordBatch, at: usize, rows_max: usize) -> Result<Self> {
        let Some(lists) = batch
            .columns()
            .get(at)
            .and_then(|c| c.as_list_opt::<i32>())
            .cloned()
        else {
            return exec_err!("portions need a list");
        };
        let DataType::List(item) = lists.data_type().clone() else {
            return exec_err!("portions need a list");
        };
        Ok(Self {
            widths: widths(&batch, at),
            batch,
            at,
            rows_max,
            item,
            lists,
            row: 0,
            taken: 0,
        })
    }

    fn length(&self, row: usize) -> usize {
        usize::try_from(self.lists.value_length(row)).unwrap_or_default()
    }

    /// Elements of a row of that width that go into one portion.
    fn elements_max(&self, width: usize) -> usize {
        (EXPANDED_BYTES_MAX / width.max(1)).clamp(1, self.rows_max)
    }

    /// How many whole rows from here on fit into one portion.
    fn whole_rows(&self) -> usize {
        let (mut rows, mut bytes, mut fit) = (0_usize, 0_usize, 0);
        while let Some(width) = self.widths.get(self.row + fit) {
            let length = self.length(self.row + fit);
            rows += length;
            bytes = bytes.saturating_add(length.saturating_mul(*width));
            if rows > self.rows_max || bytes > EXPANDED_BYTES_MAX {
                break;
            }
            fit += 1;
        }
        fit
    }

    fn part_of_row(&mut self) -> Result<RecordBatch> {
        let width = self.widths.get(self.row).copied().unwrap_or(1);
        let left = self.length(self.row) - self.taken;
        let take = left.min(self.elements_max(width));
        let part = self.lists.value(self.row).slice(self.taken, take);
        let list = ListArray::try_new(
            self.item.clone(),
            OffsetBuffer::from_lengths([take]),
            part,
            None,
        )?;
        let one = self.batch.slice(self.row, 1);
        let mut columns: Vec<ArrayRef> = one.columns().to_vec();
        if let Some(column) = columns.get_mut(self.at) {
            *column = Arc::new(list);
        }
        self.taken += take;
        if take == left {
            self.row += 1;
            self.taken = 0;
        }
        Ok(RecordBatch::try_new(self.batch.schema(), columns)?)
    }
}

impl Iterator for Cut {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.row >= self.batch.num_rows() {
            return None;
        }
        let whole = if self.taken == 0 {
            self.whole_rows()
        } else {
            0
        };
        if whole == 0 {
            return Some(self.part_of_row());
        }
        let portion = self.batch.slice(self.row, whole);
        self.row += whole;
        Some(Ok(portion))
    }
}

/// Bytes of each row, the column at `except` aside.
fn widths(batch: &RecordBatch, except: usize) -> Vec<usize> {
    let mut widths = vec![0_usize; batch.num_rows()];
    for (at, column) in batch.columns().iter().enumerate() {
        if at == except {
            continue;
        }
        if let Some(texts) = column.as_any().downcast_ref::<StringArray>() {
            for (width, pair) in widths.iter_mut().zip(texts.value_offsets().windows(2)) {
                let length = match pair {
                    [from, to] => usize::try_from(to - from).unwrap_or_default(),
                    _ => 0,
                };
                *width += length + 4;
            }
        } else {
            let each = column.data_type().primitive_width().unwrap_or(1);
            for width in &mut widths {
                *width += each;
            }
        }
    }
    widths
}
