//! `arg_max`, `arg_min`, `take_any` over all groups at once: the batches that have a best row stay, and
//! a group names its row in them. See [`super::pick`] for what is best.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, StructArray, make_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::interleave;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use model::ColumnType;

use super::pick::Wanted;
use super::struct_fields;
use crate::kernels::args::Arg;
use crate::scan::test::plain;

/// Rows kept beside the best ones before they are given up.
const SPARE_ROWS: usize = 65_536;

/// Where a row is.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch: usize,
    row: usize,
}

/// Rows that are kept: all columns, and the compared one as its values.
struct Kept {
    columns: Vec<ArrayRef>,
    compared: Arg,
    /// The compared column where it is of longs or ticks, none of them null.
    longs: Option<Int64Array>,
}

/// The best rows of all groups.
pub(super) struct Picks {
    wanted: Wanted,
    args: Vec<ColumnType>,
    outputs: Vec<ColumnType>,
    kept: Vec<Kept>,
    kept_rows: usize,
    best: Vec<Option<Place>>,
    bytes: usize,
}

impl Picks {
    pub(super) fn new(wanted: Wanted, args: Vec<ColumnType>, outputs: Vec<ColumnType>) -> Self {
        Self {
            wanted,
            args,
            outputs,
            kept: Vec::new(),
            kept_rows: 0,
            best: Vec::new(),
            bytes: 0,
        }
    }

    fn keep(&self, columns: Vec<ArrayRef>) -> Result<Kept> {
        let (Some(first), Some(ty)) = (columns.first(), self.args.first()) else {
            return exec_err!("a row without columns");
        };
        let compared = Arg::of_array(first, *ty, false)?;
        let longs = first.as_primitive_opt::<Int64Type>();
        let longs = longs.filter(|longs| longs.null_count() == 0).cloned();
        Ok(Kept {
            columns,
            compared,
            longs,
        })
    }

    /// Takes the rows for which `group` says one.
    fn consider(
        &mut self,
        columns: Vec<ArrayRef>,
        group: impl Fn(usize) -> Option<usize>,
    ) -> Result<()> {
        let rows = columns.first().map_or(0, Array::len);
        let new = self.keep(columns)?;
        let batch = self.kept.len();
        let mut found = false;
        for row in 0..rows {
            let Some(best) = group(row).and_then(|group| self.best.get_mut(group)) else {
                continue;
            };
            let is_better = match best {
                None => true,
                Some(old) => {
                    let former = self.kept.get(old.batch).unwrap_or(&new);
                    if let (Some(longs), Some(others)) = (&new.longs, &former.longs) {
                        self.wanted
                            .prefers_long(longs.value(row), others.value(old.row))
                    } else {
                        let candidate = new.compared.cell(row);
                        let known = former.compared.cell(old.row);
                        self.wanted.prefers(candidate, known)
                    }
                }
            };
            if is_better {
                *best = Some(Place { batch, row });
                found = true;
            }
        }
        if found {
            self.bytes += bytes_of(&new.columns);
            self.kept.push(new);
            self.kept_rows += rows;
        }
        if self.kept_rows > 2 * self.best.len() + SPARE_ROWS {
            let columns = self.rows(&self.best)?;
            let mut next = 0;
            for place in self.best.iter_mut().flatten() {
                *place = Place {
                    batch: 0,
                    row: next,
                };
                next += 1;
            }
            self.bytes = bytes_of(&columns);
            self.kept = vec![self.keep(columns)?];
            self.kept_rows = next;
        }
        Ok(())
    }

    /// The rows of the groups that have one.
    fn rows(&self, best: &[Option<Place>]) -> Result<Vec<ArrayRef>> {
        let places: Vec<(usize, usize)> = best.iter().flatten().map(|p| (p.batch, p.row)).collect();
        self.interleaved(&places)
    }

    fn interleaved(&self, places: &[(usize, usize)]) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.args.len());
        for at in 0..self.args.len() {
            let arrays: Vec<&dyn Array> = self
                .kept
                .iter()
                .filter_map(|kept| kept.columns.get(at).map(AsRef::as_ref))
                .collect();
            columns.push(interleaved(&arrays, places)?);
        }
        Ok(columns)
    }
}

/// The rows at these places. Text may be dictionaries here and there, and comes out plain.
fn interleaved(arrays: &[&dyn Array], places: &[(usize, usize)]) -> Result<ArrayRef> {
    let mut types = arrays.iter().map(|array| array.data_type());
    let first = types.next();
    if types.all(|other| Some(other) == first) {
        return plain(&interleave(arrays, places)?);
    }
    let all = arrays
        .iter()
        .map(|array| plain(&make_array(array.to_data())));
    let all: Vec<ArrayRef> = all.collect::<Result<_>>()?;
    let all: Vec<&dyn Array> = all.iter().map(AsRef::as_ref).collect();
    Ok(interleave(&all, places)?)
}

fn bytes_of(columns: &[ArrayRef]) -> usize {
    columns.iter().map(Array::get_array_memory_size).sum()
}

impl GroupsAccumulator for Picks {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.best
            .resize(total_num_groups.max(self.best.len()), None);
        self.consider(values.to_vec(), |row| {
            let wanted = opt_filter.is_none_or(|f| f.is_valid(row) && f.value(row));
            group_indices.get(row).copied().filter(|_| wanted)
        })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let fields = struct_fields(&self.outputs);
        let best = emit_to.take_needed(&mut self.best);
        if self.kept.is_empty() {
            return Ok(Arc::new(StructArray::new_null(fields, best.len())));
        }
        // A group without a row gets any; it is null.
        let places: Vec<(usize, usize)> = best
            .iter()
            .map(|p| p.map_or((0, 0), |p| (p.batch, p.row)))
            .collect();
        let valid: NullBuffer = best.iter().map(Option::is_some).collect();
        let columns = self.interleaved(&places)?;
        if self.best.is_empty() {
            (self.kept, self.kept_rows, self.bytes) = (Vec::new(), 0, 0);
        }
        let valid = Some(valid).filter(|valid| valid.null_count() > 0);
        Ok(Arc::new(StructArray::try_new(fields, columns, valid)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let Some(rows) = values.first().and_then(|a| a.as_struct_opt()) else {
            return exec_err!("not the state of picked rows");
        };
        self.best
            .resize(total_num_groups.max(self.best.len()), None);
        self.consider(rows.columns().to_vec(), |row| {
            group_indices
                .get(row)
                .copied()
                .filter(|_| rows.is_valid(row))
        })
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let valid = opt_filter.map(|f| match f.nulls() {
            None => NullBuffer::new(f.values().clone()),
            Some(nulls) => NullBuffer::new(f.values() & nulls.inner()),
        });
        let fields = struct_fields(&self.outputs);
        Ok(vec![Arc::new(StructArray::try_new(
            fields,
            values.to_vec(),
            valid,
        )?)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes + self.best.capacity() * size_of::<Option<Place>>()
    }
}
