//! `dcount`: exact up to [`EXACT_MAX`] values (by 64-bit hashes), beyond it a HyperLogLog sketch of
//! 2^14 registers (standard error 0.8 %). At most 16 KiB per group after that.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Int64Array};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use model::ColumnType;

use crate::kernels::args::{Arg, Cell};
use crate::kernels::{convert, member};

/// Distinct values counted exactly.
const EXACT_MAX: usize = 8_192;
/// Bits of a hash that choose a register.
const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;

/// A hash is its own hash.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Debug)]
enum Sketch {
    Exact(HashSet<u64, BuildHasherDefault<AsItIs>>),
    Registers(Vec<u8>),
}

#[derive(Debug)]
pub(crate) struct Distinct {
    ty: ColumnType,
    sketch: Sketch,
}

impl Distinct {
    pub(crate) fn new(ty: ColumnType) -> Self {
        Self {
            ty,
            sketch: Sketch::Exact(HashSet::default()),
        }
    }

    fn add(&mut self, hash: u64) {
        match &mut self.sketch {
            Sketch::Exact(seen) => {
                seen.insert(hash);
                if seen.len() > EXACT_MAX {
                    self.coarsen();
                }
            }
            Sketch::Registers(registers) => set_register(registers, hash),
        }
    }

    /// Bytes held beside the value itself.
    fn held(&self) -> usize {
        match &self.sketch {
            Sketch::Exact(seen) => seen.capacity() * 9,
            Sketch::Registers(registers) => registers.capacity(),
        }
    }

    /// What another one can be merged with.
    fn bytes(&self) -> Vec<u8> {
        match &self.sketch {
            Sketch::Exact(seen) => {
                let mut hashes: Vec<u64> = seen.iter().copied().collect();
                hashes.sort_unstable();
                std::iter::once(0)
                    .chain(hashes.into_iter().flat_map(u64::to_le_bytes))
                    .collect()
            }
            Sketch::Registers(registers) => std::iter::once(1)
                .chain(registers.iter().copied())
                .collect(),
        }
    }

    fn merge(&mut self, state: &[u8]) {
        match state.split_first() {
            Some((0, hashes)) => {
                for hash in hashes.as_chunks::<8>().0 {
                    self.add(u64::from_le_bytes(*hash));
                }
            }
            Some((_, theirs)) => {
                self.coarsen();
                if let Sketch::Registers(ours) = &mut self.sketch {
                    ours.iter_mut()
                        .zip(theirs)
                        .for_each(|(a, b)| *a = (*a).max(*b));
                }
            }
            None => {}
        }
    }

    fn coarsen(&mut self) {
        if let Sketch::Exact(seen) = &self.sketch {
            let mut registers = vec![0; REGISTERS];
            #[expect(
                clippy::iter_over_hash_type,
                reason = "a register keeps the largest value, in whatever order they come"
            )]
            for hash in seen {
                set_register(&mut registers, *hash);
            }
            self.sketch = Sketch::Registers(registers);
        }
    }

    fn estimate(&self) -> i64 {
        match &self.sketch {
            Sketch::Exact(seen) => convert::long_of(seen.len()),
            Sketch::Registers(registers) => {
                let m = f64::from(u32::try_from(registers.len()).unwrap_or(u32::MAX));
                let sum: f64 = registers.iter().map(|r| 0.5_f64.powi(i32::from(*r))).sum();
                let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
                let used = registers
                    .iter()
                    .map(|r| usize::from(*r != 0))
                    .sum::<usize>();
                let empty = registers.len() - used;
                let corrected = if raw <= 2.5 * m && empty > 0 {
                    m * (m / convert::real_of_long(convert::long_of(empty))).ln()
                } else {
                    raw
                };
                convert::long_of_real(corrected.round()).unwrap_or(i64::MAX)
            }
        }
    }
}

fn set_register(registers: &mut [u8], hash: u64) {
    let at = usize::try_from(hash >> (64 - PRECISION)).unwrap_or(0);
    let rank = (hash << PRECISION).leading_zeros().min(64 - PRECISION) + 1;
    if let Some(register) = registers.get_mut(at) {
        *register = (*register).max(u8::try_from(rank).unwrap_or(u8::MAX));
    }
}

/// The hash of a value; the same in every process, for states may meet.
fn hash_of(cell: Cell<'_>) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    match cell {
        Cell::Null => return None,
        Cell::Text(text) | Cell::Guid(text) => text.hash(&mut hasher),
        Cell::Bool(b) => b.hash(&mut hasher),
        Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => n.hash(&mut hasher),
        Cell::Real(x) => x.to_bits().hash(&mut hasher),
        Cell::Dynamic(_) => member::canonical(cell)?.hash(&mut hasher),
    }
    Some(hasher.finish())
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("dcount of nothing");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        for row in 0..array.len() {
            if let Some(hash) = hash_of(arg.cell(row)) {
                self.add(hash);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.estimate())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.bytes()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(array) = states
            .first()
            .and_then(|a| a.as_any().downcast_ref::<BinaryArray>())
        else {
            return exec_err!("not the state of a dcount");
        };
        for state in array.iter().flatten() {
            self.merge(state);
        }
        Ok(())
    }
}

/// `dcount` over all groups at once.
pub(super) struct Sketches {
    ty: ColumnType,
    of: Vec<Distinct>,
    /// Bytes that they hold.
    held: usize,
}

impl Sketches {
    pub(super) fn new(ty: ColumnType) -> Self {
        Self {
            ty,
            of: Vec::new(),
            held: 0,
        }
    }

    fn grow(&mut self, groups: usize) {
        let new = || Distinct::new(self.ty);
        self.of.resize_with(groups.max(self.of.len()), new);
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Distinct)) {
        if let Some(distinct) = self.of.get_mut(group) {
            let before = distinct.held();
            change(distinct);
            self.held = (self.held + distinct.held()).saturating_sub(before);
        }
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Distinct> {
        let taken = emit_to.take_needed(&mut self.of);
        let held: usize = taken.iter().map(Distinct::held).sum();
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
                self.change(*group, |distinct| distinct.add(hash));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let counts = self.taken(emit_to);
        let counts = counts.iter().map(Distinct::estimate);
        Ok(Arc::new(Int64Array::from_iter_values(counts)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.taken(emit_to);
        let states = states.iter().map(Distinct::bytes);
        Ok(vec![Arc::new(BinaryArray::from_iter_values(states))])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        let states = values
            .first()
            .map(|a| a.as_any().downcast_ref::<BinaryArray>());
        let Some(states) = states.flatten() else {
            return exec_err!("not the state of a dcount");
        };
        self.grow(total_num_groups);
        for (state, group) in states.iter().zip(group_indices) {
            if let Some(state) = state {
                self.change(*group, |distinct| distinct.merge(state));
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let mut own = Self::new(self.ty);
        let rows = values.first().map_or(0, |a| a.len());
        let groups: Vec<usize> = (0..rows).collect();
        own.update_batch(values, &groups, opt_filter, rows)?;
        own.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held + self.of.capacity() * size_of::<Distinct>()
    }
}
