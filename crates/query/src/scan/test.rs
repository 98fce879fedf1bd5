//! Conditions over the columns of a segment as they lie there.
//!
//! Text that a segment keeps as a dictionary is tested once per distinct value that is met, however
//! many rows have it: whatever the condition costs, a regular expression or a search for terms, is
//! paid for the dictionary. Conditions over several columns are taken apart at `and`, `or` and `not`;
//! a part that still needs several columns gets them as plain text.
//!
//! Promise: the same three-valued answers as the expression itself gives row by row.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, RecordBatchOptions,
    new_null_array,
};
use datafusion::arrow::buffer::{BooleanBuffer, NullBuffer};
use datafusion::arrow::compute::{and_kleene, cast, not, or_kleene, take};
use datafusion::arrow::datatypes::{DataType, FieldRef, Int32Type, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, NotExpr};
use datafusion::physical_expr::utils::collect_columns;

/// A condition, prepared for the columns of one row group.
#[derive(Debug)]
pub(super) enum Test {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// Over one column: remembers its answers for a dictionary.
    One(One),
    /// Over several columns, or none.
    Many(Many),
}

/// A condition over one column.
#[derive(Debug)]
pub(super) struct One {
    /// Over a schema of that column alone.
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    name: String,
    /// The dictionary that the answers are for; kept, so that it cannot be mistaken for another.
    values: Option<ArrayRef>,
    answers: Vec<Answer>,
    null: Answer,
}

/// A condition over several columns.
#[derive(Debug)]
pub(super) struct Many {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

/// What is known of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Unknown,
    /// About to be found.
    Asked,
    False,
    True,
    Null,
}

impl Test {
    /// `expr` is over `table`.
    pub(super) fn new(expr: &Arc<dyn PhysicalExpr>, table: &SchemaRef) -> Result<Self> {
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            let sides = || {
                Ok::<_, datafusion::common::DataFusionError>((
                    Box::new(Self::new(binary.left(), table)?),
                    Box::new(Self::new(binary.right(), table)?),
                ))
            };
            match binary.op() {
                Operator::And => return sides().map(|(a, b)| Self::And(a, b)),
                Operator::Or => return sides().map(|(a, b)| Self::Or(a, b)),
                _ => {}
            }
        }
        if let Some(negated) = expr.downcast_ref::<NotExpr>() {
            return Ok(Self::Not(Box::new(Self::new(negated.arg(), table)?)));
        }
        let columns = columns_of(expr);
        let fields: Vec<FieldRef> = columns
            .iter()
            .filter_map(|at| table.fields().get(*at).cloned())
            .collect();
        let expr = over(expr.clone(), &columns)?;
        if let [field] = fields.as_slice() {
            return Ok(Self::One(One {
                expr,
                name: field.name().clone(),
                schema: Arc::new(Schema::new(fields)),
                values: None,
                answers: Vec::new(),
                null: Answer::Unknown,
            }));
        }
        Ok(Self::Many(Many {
            expr,
            schema: Arc::new(Schema::new(fields)),
        }))
    }

    /// The answers for a batch that has the columns by name, text plain or as a dictionary.
    pub(super) fn holds(&mut self, batch: &RecordBatch) -> Result<BooleanArray> {
        match self {
            Self::And(a, b) => {
                let first = a.holds(batch)?;
                if first.true_count() == 0 && first.null_count() == 0 {
                    return Ok(first);
                }
                Ok(and_kleene(&first, &b.holds(batch)?)?)
            }
            Self::Or(a, b) => {
                let first = a.holds(batch)?;
                if first.true_count() == batch.num_rows() {
                    return Ok(first);
                }
                Ok(or_kleene(&first, &b.holds(batch)?)?)
            }
            Self::Not(inner) => Ok(not(&inner.holds(batch)?)?),
            Self::One(one) => one.holds(batch),
            Self::Many(many) => many.holds(batch),
        }
    }
}

/// Places of the table's columns that an expression reads, in order.
pub(super) fn columns_of(expr: &Arc<dyn PhysicalExpr>) -> Vec<usize> {
    let mut places: Vec<usize> = collect_columns(expr).iter().map(Column::index).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The expression over a schema of these columns of the table only.
pub(super) fn over(
    expr: Arc<dyn PhysicalExpr>,
    columns: &[usize],
) -> Result<Arc<dyn PhysicalExpr>> {
    moved(expr, |at| columns.iter().position(|column| *column == at))
}

/// The expression with each column at another place.
pub(super) fn moved(
    expr: Arc<dyn PhysicalExpr>,
    place: impl Fn(usize) -> Option<usize>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = expr.transform(|node| {
        let Some(column) = node.downcast_ref::<Column>() else {
            return Ok(Transformed::no(node));
        };
        if let Some(at) = place(column.index()) {
            Ok(Transformed::yes(
                Arc::new(Column::new(column.name(), at)) as Arc<dyn PhysicalExpr>
            ))
        } else {
            exec_err!("a condition over a column that is not read")
        }
    })?;
    Ok(moved.data)
}

fn asked(
    expr: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<BooleanArray> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
    let answers = expr.evaluate(&batch)?.into_array(rows)?;
    if let Some(answers) = answers.as_boolean_opt() {
        Ok(answers.clone())
    } else {
        exec_err!("a condition that gives {}", answers.data_type())
    }
}

impl One {
    fn holds(&mut self, batch: &RecordBatch) -> Result<BooleanArray> {
        let Some(column) = batch.column_by_name(&self.name) else {
            return exec_err!("a condition over a column that was not read");
        };
        let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else {
            return asked(
                &self.expr,
                &self.schema,
                vec![column.clone()],
                batch.num_rows(),
            );
        };
        self.know(dictionary.values());
        let keys = dictionary.keys();
        self.find(keys, dictionary.values())?;
        let of = |row: usize| match (keys.is_valid(row), keys.values().get(row)) {
            (true, Some(key)) => self.answer(*key),
            _ => self.null,
        };
        let rows = keys.len();
        let holds = BooleanBuffer::collect_bool(rows, |row| of(row) == Answer::True);
        let has_nulls = self.null == Answer::Null || self.answers.contains(&Answer::Null);
        let nulls = has_nulls
            .then(|| BooleanBuffer::collect_bool(rows, |row| of(row) != Answer::Null))
            .map(NullBuffer::new);
        Ok(BooleanArray::new(holds, nulls))
    }

    /// Begins anew with another dictionary.
    fn know(&mut self, values: &ArrayRef) {
        let text = |array: &ArrayRef| {
            let text = array.as_string_opt::<i32>()?;
            Some((text.value_data().as_ptr(), text.len()))
        };
        let same = self
            .values
            .as_ref()
            .is_some_and(|known| text(known).is_some() && text(known) == text(values));
        if !same {
            self.answers = vec![Answer::Unknown; values.len()];
            self.values = Some(values.clone());
        }
    }

    fn answer(&self, key: i32) -> Answer {
        let at = usize::try_from(key).unwrap_or(usize::MAX);
        self.answers.get(at).copied().unwrap_or(Answer::Null)
    }

    /// Asks about the values of these rows that were not met before.
    fn find(&mut self, keys: &Int32Array, values: &ArrayRef) -> Result<()> {
        if keys.null_count() > 0 && self.null == Answer::Unknown {
            let none = new_null_array(values.data_type(), 1);
            let answers = asked(&self.expr, &self.schema, vec![none], 1)?;
            self.null = Answer::of(&answers, 0);
        }
        let mut unknown = Vec::new();
        for key in keys.iter().flatten() {
            let at = usize::try_from(key).unwrap_or(usize::MAX);
            if let Some(answer) = self.answers.get_mut(at)
                && *answer == Answer::Unknown
            {
                *answer = Answer::Asked;
                unknown.push(key);
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let all = values.len();
        if unknown.len() > all / 2 {
            // Those that were not met are few: they cost less than a copy of the others.
            let answers = asked(&self.expr, &self.schema, vec![values.clone()], all);
            if let Ok(answers) = answers {
                self.answers = (0..all).map(|at| Answer::of(&answers, at)).collect();
                return Ok(());
            }
        }
        let unknown = Int32Array::from(unknown);
        let picked = take(values, &unknown, None)?;
        let answers = asked(&self.expr, &self.schema, vec![picked], unknown.len())?;
        for (row, key) in unknown.values().iter().enumerate() {
            let at = usize::try_from(*key).unwrap_or(usize::MAX);
            if let Some(answer) = self.answers.get_mut(at) {
                *answer = Answer::of(&answers, row);
            }
        }
        Ok(())
    }
}

impl Answer {
    fn of(answers: &BooleanArray, row: usize) -> Self {
        match (answers.is_valid(row), answers.value(row)) {
            (false, _) => Self::Null,
            (true, true) => Self::True,
            (true, false) => Self::False,
        }
    }
}

impl Many {
    fn holds(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let Some(column) = batch.column_by_name(field.name()) else {
                return exec_err!("a condition over a column that was not read");
            };
            columns.push(plain(column)?);
        }
        asked(&self.expr, &self.schema, columns, batch.num_rows())
    }
}

/// A column without its dictionary.
pub(crate) fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Dictionary(_, values) => Ok(cast(column, values)?),
        _ => Ok(column.clone()),
    }
}
