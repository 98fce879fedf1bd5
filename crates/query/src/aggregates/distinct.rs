//! `dcount`: exact up to [`EXACT_MAX`] values (by 64-bit hashes), beyond it a HyperLogLog sketch of
//! 2^14 registers (standard error 0.8 %), or of as many as the accuracy asked for says. `hll` and
//! `hll_merge` give the sketch itself.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Int64Array};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use model::ColumnType;

use crate::kernels::args::Arg;
use crate::sketch::{CARRIED_EXACT_MAX, Hll, hash_of};

/// Distinct values counted exactly.
const EXACT_MAX: usize = 8_192;

/// What comes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gives {
    Count,
    Sketch,
}

#[derive(Debug)]
pub(crate) struct Distinct {
    ty: ColumnType,
    sketch: Hll,
    /// The values are sketches themselves.
    merges: bool,
    gives: Gives,
}

impl Distinct {
    /// `dcount`.
    pub(crate) fn count(ty: ColumnType, precision: u32) -> Self {
        Self {
            ty,
            sketch: Hll::new(precision, EXACT_MAX),
            merges: false,
            gives: Gives::Count,
        }
    }

    /// `hll`, or `hll_merge` if the values are sketches.
    pub(crate) fn sketch(ty: ColumnType, precision: u32, merges: bool) -> Self {
        Self {
            ty,
            sketch: Hll::new(precision, CARRIED_EXACT_MAX),
            merges,
            gives: Gives::Sketch,
        }
    }

    fn exact_max(&self) -> usize {
        match self.gives {
            Gives::Count => EXACT_MAX,
            Gives::Sketch => CARRIED_EXACT_MAX,
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("dcount of nothing");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        for row in 0..array.len() {
            if self.merges {
                if let Some(sketch) = arg.json(row).and_then(|v| Hll::from_json(&v)) {
                    self.sketch.merge(&sketch);
                }
            } else if let Some(hash) = hash_of(arg.cell(row)) {
                self.sketch.add(hash);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.gives {
            Gives::Count => ScalarValue::Int64(Some(self.sketch.estimate())),
            Gives::Sketch if self.sketch.is_empty() => ScalarValue::Utf8(None),
            Gives::Sketch => ScalarValue::Utf8(Some(self.sketch.to_json().to_text())),
        })
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sketch.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.sketch.to_bytes()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let exact_max = self.exact_max();
        for state in binaries(states)?.iter().flatten() {
            if let Some(sketch) = Hll::from_bytes(state, exact_max) {
                self.sketch.merge(&sketch);
            }
        }
        Ok(())
    }
}

/// The one column of states.
pub(super) fn binaries(states: &[ArrayRef]) -> Result<&BinaryArray> {
    let found = states
        .first()
        .and_then(|a| a.as_any().downcast_ref::<BinaryArray>());
    let Some(array) = found else {
        return exec_err!("not the state of a sketch");
    };
    Ok(array)
}

/// `dcount` over all groups at once.
pub(super) struct Sketches {
    ty: ColumnType,
    precision: u32,
    of: Vec<Hll>,
    /// Bytes that they hold.
    held: usize,
}

impl Sketches {
    pub(super) fn new(ty: ColumnType, precision: u32) -> Self {
        Self {
            ty,
            precision,
            of: Vec::new(),
            held: 0,
        }
    }

    fn grow(&mut self, groups: usize) {
        let new = || Hll::new(self.precision, EXACT_MAX);
        self.of.resize_with(groups.max(self.of.len()), new);
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Hll)) {
        if let Some(sketch) = self.of.get_mut(group) {
            let before = sketch.size();
            change(sketch);
            self.held = (self.held + sketch.size()).saturating_sub(before);
        }
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Hll> {
        let taken = emit_to.take_needed(&mut self.of);
        let held: usize = taken.iter().map(Hll::size).sum();
        self.held = self.held.saturating_sub(held);
        taken
    }
}

impl GroupsAccumulator for Sketches {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("dcount of nothing");
        };
        self.grow(total_num_groups);
        let arg = Arg::of_array(array, self.ty, false)?;
        for (row, group) in group_indices.iter().enumerate() {
            let wanted = opt_filter.is_none_or(|f| f.is_valid(row) && f.value(row));
            if let Some(hash) = hash_of(arg.cell(row)).filter(|_| wanted) {
                self.change(*group, |sketch| sketch.add(hash));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let counts = self.taken(emit_to);
        let counts = counts.iter().map(Hll::estimate);
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.taken(emit_to);
        let states = states.iter().map(Hll::to_bytes);
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let states = binaries(values)?;
        self.grow(total_num_groups);
        for (state, group) in states.iter().zip(group_indices) {
            if let Some(sketch) = state.and_then(|bytes| Hll::from_bytes(bytes, EXACT_MAX)) {
                self.change(*group, |own| own.merge(&sketch));
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut own = Self::new(self.ty, self.precision);
        let rows = values.first().map_or(0, Array::len);
        let groups: Vec<usize> = (0..rows).collect();
        own.update_batch(values, &groups, opt_filter, rows)?;
        own.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held + self.of.capacity() * size_of::<Hll>()
    }
}
