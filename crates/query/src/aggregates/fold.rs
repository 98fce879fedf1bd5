//! Aggregates that keep one number: means of ticks, and bits.

use datafusion::arrow::array::{Array, ArrayRef, BinaryArray};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use model::ColumnType;

use super::BitFold;
use crate::kernels::args::Arg;

/// Mean of instants or durations, to the tick.
#[derive(Debug)]
pub(crate) struct MeanTicks {
    ty: ColumnType,
    sum: i128,
    count: i128,
}

impl MeanTicks {
    pub(crate) fn new(ty: ColumnType) -> Self {
        Self {
            ty,
            sum: 0,
            count: 0,
        }
    }
}

impl Accumulator for MeanTicks {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("a mean of nothing");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        for ticks in (0..array.len()).filter_map(|row| arg.long(row)) {
            self.sum += i128::from(ticks);
            self.count += 1;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mean = self.sum.checked_div(self.count);
        Ok(ScalarValue::Int64(
            mean.and_then(|mean| i64::try_from(mean).ok()),
        ))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let bytes = [self.sum.to_le_bytes(), self.count.to_le_bytes()].concat();
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(array) = states
            .first()
            .and_then(|a| a.as_any().downcast_ref::<BinaryArray>())
        else {
            return exec_err!("not the state of a mean");
        };
        for state in array.iter().flatten() {
            if let ([sum, count], []) = state.as_chunks::<16>() {
                self.sum += i128::from_le_bytes(*sum);
                self.count += i128::from_le_bytes(*count);
            }
        }
        Ok(())
    }
}

/// The largest or smallest real. Unlike in SQL, a NaN among the values is the answer.
#[derive(Debug)]
pub(crate) struct RealExtreme {
    greatest: bool,
    value: Option<f64>,
}

impl RealExtreme {
    pub(crate) fn new(greatest: bool) -> Self {
        Self {
            greatest,
            value: None,
        }
    }
}

impl Accumulator for RealExtreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("an extreme of nothing");
        };
        let arg = Arg::of_array(array, ColumnType::Real, false)?;
        for x in (0..array.len()).filter_map(|row| arg.real(row)) {
            self.value = Some(match self.value {
                Some(best) if best.is_nan() => best,
                Some(best) if self.greatest && best > x => best,
                Some(best) if !self.greatest && best < x => best,
                _ => x,
            });
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// Bits of all values combined.
#[derive(Debug)]
pub(crate) struct Bits {
    how: BitFold,
    ty: ColumnType,
    value: Option<i64>,
}

impl Bits {
    pub(crate) fn new(how: BitFold, ty: ColumnType) -> Self {
        Self {
            how,
            ty,
            value: None,
        }
    }

    fn fold(&mut self, array: Option<&ArrayRef>, ty: ColumnType) -> Result<()> {
        let Some(array) = array else {
            return exec_err!("bits of nothing");
        };
        let arg = Arg::of_array(array, ty, false)?;
        for n in (0..array.len()).filter_map(|row| arg.long(row)) {
            self.value = Some(match (self.value, self.how) {
                (None, _) => n,
                (Some(m), BitFold::And) => m & n,
                (Some(m), BitFold::Or) => m | n,
                (Some(m), BitFold::Xor) => m ^ n,
            });
        }
        Ok(())
    }
}

impl Accumulator for Bits {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.fold(values.first(), self.ty)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(self.value))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.fold(states.first(), ColumnType::Long)
    }
}
