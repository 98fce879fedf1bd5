//! `arg_max`, `arg_min`, `take_any`: one row of a group, as a struct of the returned columns.
//!
//! A row whose compared value is null wins only if all are. Of equal rows the first seen stays.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StructArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use model::ColumnType;

use super::struct_fields;
use crate::kernels::args::{Arg, Cell};
use crate::kernels::order;

/// Which row is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    Greatest,
    Least,
    /// A row with something in its first column rather than one without.
    Any,
}

impl Wanted {
    /// The greatest (`true`) or the least.
    pub(super) fn extreme(greatest: bool) -> Self {
        if greatest {
            Self::Greatest
        } else {
            Self::Least
        }
    }

    /// Whether a row with `new` is better than one with `old` that came before.
    pub(super) fn prefers(self, new: Cell<'_>, old: Cell<'_>) -> bool {
        match self {
            Self::Any => is_empty(old) && !is_empty(new),
            Self::Greatest | Self::Least => match (new, old) {
                (Cell::Null, _) => false,
                (_, Cell::Null) => true,
                // A NaN wins either way, as in `max` and `min`.
                (_, Cell::Real(x)) if x.is_nan() => false,
                (Cell::Real(x), _) if x.is_nan() => true,
                (new, old) => {
                    let wanted = match self {
                        Self::Least => Ordering::Less,
                        _ => Ordering::Greater,
                    };
                    order(new, old) == Some(wanted)
                }
            },
        }
    }
}

impl Wanted {
    /// The same for integers and ticks.
    pub(super) fn prefers_long(self, new: i64, old: i64) -> bool {
        match self {
            Self::Any => false,
            Self::Greatest => new > old,
            Self::Least => new < old,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Pick {
    wanted: Wanted,
    args: Vec<ColumnType>,
    outputs: Vec<ColumnType>,
    /// The best row so far: one array of one value per argument.
    best: Option<Vec<ArrayRef>>,
}

impl Pick {
    pub(crate) fn extreme(args: Vec<ColumnType>, outputs: Vec<ColumnType>, greatest: bool) -> Self {
        Self {
            wanted: Wanted::extreme(greatest),
            args,
            outputs,
            best: None,
        }
    }

    pub(crate) fn any(args: Vec<ColumnType>, outputs: Vec<ColumnType>) -> Self {
        Self {
            wanted: Wanted::Any,
            args,
            outputs,
            best: None,
        }
    }

    fn better(&self, new: Cell<'_>, old: Cell<'_>) -> bool {
        self.wanted.prefers(new, old)
    }

    fn consider(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (Some(first), Some(ty)) = (values.first(), self.args.first()) else {
            return exec_err!("a row without columns");
        };
        if first.is_empty() {
            return Ok(());
        }
        let candidates = Arg::of_array(first, *ty, false)?;
        let mut at = 0;
        for row in 1..first.len() {
            if self.better(candidates.cell(row), candidates.cell(at)) {
                at = row;
            }
        }
        if let Some(best) = self.best.as_ref().and_then(|best| best.first()) {
            let best = Arg::of_array(best, *ty, true)?;
            if !self.better(candidates.cell(at), best.cell(0)) {
                return Ok(());
            }
        }
        let row = values
            .iter()
            .map(|array| ScalarValue::try_from_array(array, at)?.to_array());
        self.best = Some(row.collect::<Result<_>>()?);
        Ok(())
    }
}

fn is_empty(cell: Cell<'_>) -> bool {
    cell == Cell::Null || cell == Cell::Text("")
}

impl Accumulator for Pick {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.consider(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let fields = struct_fields(&self.outputs);
        match &self.best {
            Some(row) => {
                let array = StructArray::try_new(fields, row.clone(), None)?;
                Ok(ScalarValue::Struct(Arc::new(array)))
            }
            None => ScalarValue::try_new_null(&DataType::Struct(fields)),
        }
    }

    fn size(&self) -> usize {
        let row = self.best.iter().flatten();
        size_of_val(self) + row.map(Array::get_array_memory_size).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(structs) = states
            .first()
            .and_then(|a| a.as_any().downcast_ref::<StructArray>())
        else {
            return exec_err!("not the state of a picked row");
        };
        for row in (0..structs.len()).filter(|row| structs.is_valid(*row)) {
            let one: Vec<ArrayRef> = structs.columns().iter().map(|c| c.slice(row, 1)).collect();
            self.consider(&one)?;
        }
        Ok(())
    }
}
