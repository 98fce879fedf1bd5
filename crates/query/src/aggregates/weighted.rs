//! Weighted percentiles by nearest rank: each value counts as often as its weight says.

use datafusion::arrow::array::{Array, ArrayRef, BinaryArray};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use model::ColumnType;

use super::rank::Ranks;
use crate::kernels::args::{Arg, Cell};
use crate::kernels::convert;

/// A value (a long, or the bits of a real) and its weight.
type Weighted = ([u8; 8], i64);

#[derive(Debug)]
pub(crate) struct WeightedRanks {
    ty: ColumnType,
    wanted: Vec<f64>,
    as_array: bool,
    values: Vec<Weighted>,
}

impl WeightedRanks {
    pub(crate) fn new(ty: ColumnType, wanted: Vec<f64>, as_array: bool) -> Self {
        Self {
            ty,
            wanted,
            as_array,
            values: Vec::new(),
        }
    }

    fn sort(&mut self) {
        if super::rank::is_real(self.ty) {
            let real = |v: &Weighted| f64::from_le_bytes(v.0);
            self.values.sort_by(|a, b| real(a).total_cmp(&real(b)));
        } else {
            self.values.sort_by_key(|v| i64::from_le_bytes(v.0));
        }
    }

    fn at(&self, percent: f64, total: i64) -> Option<[u8; 8]> {
        let wanted = (percent / 100.0 * convert::real_of_long(total))
            .ceil()
            .max(1.0);
        let mut sum = 0_i64;
        for (value, weight) in &self.values {
            sum = sum.saturating_add(*weight);
            if convert::real_of_long(sum) >= wanted {
                return Some(*value);
            }
        }
        self.values.last().map(|(value, _)| *value)
    }
}

impl Accumulator for WeightedRanks {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [array, weights] = values else {
            return exec_err!("weighted percentiles without a weight");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        let weights = Arg::of_array(weights, ColumnType::Long, false)?;
        for row in 0..array.len() {
            let Some(weight) = weights.long(row).filter(|w| *w > 0) else {
                continue;
            };
            match arg.cell(row) {
                Cell::Real(x) if !x.is_nan() => self.values.push((x.to_le_bytes(), weight)),
                Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => {
                    self.values.push((n.to_le_bytes(), weight));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.sort();
        let weights = self.values.iter().map(|(_, weight)| *weight);
        let total = weights.fold(0_i64, i64::saturating_add);
        let found: Vec<Option<[u8; 8]>> = self.wanted.iter().map(|p| self.at(*p, total)).collect();
        Ranks::of(self.ty, self.as_array, &found)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<Weighted>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut bytes = Vec::with_capacity(self.values.len() * size_of::<Weighted>());
        for (value, weight) in &self.values {
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(&weight.to_le_bytes());
        }
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let array = states
            .first()
            .map(|a| a.as_any().downcast_ref::<BinaryArray>());
        let Some(Some(array)) = array else {
            return exec_err!("not the state of weighted percentiles");
        };
        for state in array.iter().flatten() {
            let (words, _) = state.as_chunks::<8>();
            for pair in words.as_chunks::<2>().0 {
                let [value, weight] = *pair;
                self.values.push((value, i64::from_le_bytes(weight)));
            }
        }
        Ok(())
    }
}
