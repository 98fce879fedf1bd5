//! Expressions over the columns of a segment as they lie there.
//!
//! Text that a segment keeps as a dictionary goes on as one: an expression over such a column alone
//! is computed for the dictionary's values, once per row group, however many rows have them, and its
//! results are a dictionary with the same keys. What needs several columns gets them plain.
//!
//! Promise: the same values as the expressions themselves give row by row.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use datafusion::arrow::datatypes::{Field, FieldRef, Int32Type, Schema, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::test::{columns_of, over, plain};

/// Values of a dictionary that are worth computing all, in times of the rows seen with it.
const VALUES_PER_ROW: usize = 2;

/// One step from columns to columns.
#[derive(Clone, Debug)]
pub(crate) enum Stage {
    /// What a projection says.
    Compute {
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        /// Of the columns that go in.
        schema: SchemaRef,
    },
    /// What another operator wants done where rows are decoded.
    Step(Arc<dyn Step>),
}

/// A step of an operator's own. Each row group has one at work. It may leave rows out and add columns
/// at the end; those that go in stay where they are.
pub(crate) trait Step: fmt::Debug + Send + Sync {
    fn begin(&self) -> Result<Box<dyn Stepping>>;
}

/// A step at work.
pub(crate) trait Stepping: fmt::Debug + Send {
    /// The columns that come of these, and how many rows they have. Text may be a dictionary.
    fn step(&mut self, columns: Vec<ArrayRef>, rows: usize) -> Result<(Vec<ArrayRef>, usize)>;
}

/// Stages with what they remember of the dictionaries they met.
#[derive(Debug, Default)]
pub(crate) struct Stages(Vec<Running>);

#[derive(Debug)]
enum Running {
    Compute(Vec<Coded>),
    Step(Box<dyn Stepping>),
}

impl Running {
    fn new(stage: &Stage) -> Result<Self> {
        Ok(match stage {
            Stage::Compute { exprs, schema } => {
                let coded = exprs.iter().map(|expr| Coded::new(expr, schema));
                Self::Compute(coded.collect::<Result<_>>()?)
            }
            Stage::Step(step) => Self::Step(step.begin()?),
        })
    }
}

impl Stages {
    pub(crate) fn new(stages: &[Stage]) -> Result<Self> {
        Ok(Self(
            stages.iter().map(Running::new).collect::<Result<_>>()?,
        ))
    }

    /// The columns after the last stage, and how many rows they have; text may be a dictionary
    /// before and after.
    pub(crate) fn run(
        &mut self,
        columns: Vec<ArrayRef>,
        rows: usize,
    ) -> Result<(Vec<ArrayRef>, usize)> {
        let (mut columns, mut rows) = (columns, rows);
        for stage in &mut self.0 {
            match stage {
                Running::Compute(exprs) => {
                    let mut input = Input::new(&columns, rows);
                    let made = exprs.iter_mut().map(|coded| coded.run(&mut input));
                    columns = made.collect::<Result<_>>()?;
                }
                Running::Step(step) => (columns, rows) = step.step(columns, rows)?,
            }
        }
        Ok((columns, rows))
    }
}

/// Columns as a batch: with text plain under a schema that others expect, or, without one, as they are
/// under a schema of their own.
pub(crate) fn batch(
    schema: Option<&SchemaRef>,
    mut columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch> {
    let schema = if let Some(schema) = schema {
        for column in &mut columns {
            *column = plain(column)?;
        }
        schema.clone()
    } else {
        let own = columns.iter().map(|column| {
            let of = column.data_type().clone();
            Field::new("", of, true)
        });
        Arc::new(Schema::new(own.collect::<Vec<_>>()))
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}

/// The column before all stages that stands after them as it was.
pub(crate) fn traced(stages: &[Stage], column: usize) -> Option<usize> {
    stages
        .iter()
        .rev()
        .try_fold(column, |column, stage| match stage {
            Stage::Compute { exprs, .. } => {
                let column = exprs.get(column)?.downcast_ref::<Column>()?;
                Some(column.index())
            }
            Stage::Step(_) => Some(column),
        })
}

/// The columns that an expression reads, each made plain at most once.
pub(crate) struct Input<'a> {
    columns: &'a [ArrayRef],
    plain: Vec<Option<ArrayRef>>,
    rows: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(columns: &'a [ArrayRef], rows: usize) -> Self {
        Self {
            columns,
            plain: vec![None; columns.len()],
            rows,
        }
    }

    fn column(&self, at: usize) -> Result<&'a ArrayRef> {
        let column = self.columns.get(at);
        column.ok_or_else(|| exec_datafusion_err!("an expression over a column that is not there"))
    }

    fn plain(&mut self, at: usize) -> Result<ArrayRef> {
        let column = self.column(at)?;
        match self.plain.get_mut(at) {
            Some(Some(known)) => Ok(known.clone()),
            Some(slot) => Ok(slot.insert(plain(column)?).clone()),
            None => plain(column),
        }
    }
}

/// One expression.
#[derive(Debug)]
pub(crate) enum Coded {
    Column(usize),
    /// Over one column.
    One(One),
    /// Over several, or none.
    Many {
        expr: Arc<dyn PhysicalExpr>,
        schema: SchemaRef,
        columns: Vec<usize>,
    },
}

/// An expression over one column, and its results for that column's dictionary.
#[derive(Debug)]
pub(crate) struct One {
    at: usize,
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// The dictionary that is known; kept, so that it cannot be mistaken for another.
    values: Option<ArrayRef>,
    /// Rows seen with it.
    seen: usize,
    results: Option<ArrayRef>,
    /// Whether nothing comes of nothing.
    null_is_null: Option<bool>,
}

impl Coded {
    /// `expr` is over columns of `schema`.
    pub(crate) fn new(expr: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<Self> {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return Ok(Self::Column(column.index()));
        }
        let columns = columns_of(expr);
        let fields = columns.iter().filter_map(|at| schema.fields().get(*at));
        // A column that stands as text may be null all the same.
        let nullable = |field: &FieldRef| Field::clone(field).with_nullable(true);
        let schema = Arc::new(Schema::new(fields.map(nullable).collect::<Vec<_>>()));
        let expr = over(expr.clone(), &columns)?;
        Ok(match columns.as_slice() {
            [at] => Self::One(One {
                at: *at,
                expr,
                schema,
                values: None,
                seen: 0,
                results: None,
                null_is_null: None,
            }),
            _ => Self::Many {
                expr,
                schema,
                columns,
            },
        })
    }

    pub(crate) fn run(&mut self, input: &mut Input<'_>) -> Result<ArrayRef> {
        match self {
            Self::Column(at) => Ok(input.column(*at)?.clone()),
            Self::One(one) => one.run(input),
            Self::Many {
                expr,
                schema,
                columns,
            } => {
                let columns = columns.iter().map(|at| input.plain(*at));
                evaluated(expr, schema, columns.collect::<Result<_>>()?, input.rows)
            }
        }
    }
}

fn evaluated(
    expr: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<ArrayRef> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    expr.evaluate(&batch)?.into_array(rows)
}

impl One {
    fn run(&mut self, input: &mut Input<'_>) -> Result<ArrayRef> {
        let column = input.column(self.at)?;
        if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>()
            && (dictionary.keys().null_count() == 0 || self.null_is_null(dictionary.values())?)
            && let Some(results) = self.results(dictionary)
        {
            let keys = dictionary.keys().clone();
            return Ok(Arc::new(DictionaryArray::try_new(keys, results)?));
        }
        let column = input.plain(self.at)?;
        evaluated(&self.expr, &self.schema, vec![column], input.rows)
    }

    fn null_is_null(&mut self, values: &ArrayRef) -> Result<bool> {
        if let Some(known) = self.null_is_null {
            return Ok(known);
        }
        let none = new_null_array(values.data_type(), 1);
        let result = evaluated(&self.expr, &self.schema, vec![none], 1)?;
        Ok(*self.null_is_null.insert(result.is_null(0)))
    }

    /// The results for the whole dictionary, if enough rows have it. One that fails fails for a row,
    /// or for none: that shows row by row.
    fn results(&mut self, dictionary: &DictionaryArray<Int32Type>) -> Option<ArrayRef> {
        let values = dictionary.values();
        if !self
            .values
            .as_ref()
            .is_some_and(|known| same(known, values))
        {
            (self.values, self.seen, self.results) = (Some(values.clone()), 0, None);
        }
        self.seen += dictionary.len();
        if self.results.is_none() && values.len() <= self.seen.saturating_mul(VALUES_PER_ROW) {
            let columns = vec![values.clone()];
            self.results = evaluated(&self.expr, &self.schema, columns, values.len()).ok();
        }
        self.results.clone()
    }
}

/// Whether two dictionaries are one.
pub(crate) fn same(a: &ArrayRef, b: &ArrayRef) -> bool {
    Arc::ptr_eq(a, b)
        || match (a.as_string_opt::<i32>(), b.as_string_opt::<i32>()) {
            (Some(a), Some(b)) => {
                a.len() == b.len()
                    && std::ptr::eq(a.value_offsets(), b.value_offsets())
                    && std::ptr::eq(a.value_data(), b.value_data())
            }
            _ => false,
        }
}
