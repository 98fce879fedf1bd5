//! Percentiles by nearest rank: the answer is one of the values and keeps their type.
//!
//! All values of a group are kept (8 bytes each), in sight of the memory pool.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BinaryArray, Float64Array, Int32Array, Int64Array, StructArray,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use model::ColumnType;

use super::struct_fields;
use crate::json::{Json, of_ticks};
use crate::kernels::args::{Arg, Cell};
use crate::kernels::{convert, decimals, time};

#[derive(Debug)]
pub(crate) struct Ranks {
    ty: ColumnType,
    wanted: Vec<f64>,
    as_array: bool,
    /// Longs, or the bits of reals.
    values: Vec<[u8; 8]>,
}

impl Ranks {
    pub(crate) fn new(ty: ColumnType, wanted: Vec<f64>, as_array: bool) -> Self {
        Self {
            ty,
            wanted,
            as_array,
            values: Vec::new(),
        }
    }

    /// Of values that are known already, in order.
    pub(super) fn of(
        ty: ColumnType,
        as_array: bool,
        found: &[Option<[u8; 8]>],
    ) -> Result<ScalarValue> {
        let ranks = Self::new(ty, vec![0.0; found.len()], as_array);
        ranks.answer(found.to_vec())
    }

    fn real(&self) -> bool {
        is_real(self.ty)
    }

    fn sort(&mut self) {
        if self.real() {
            self.values
                .sort_by(|a, b| f64::from_le_bytes(*a).total_cmp(&f64::from_le_bytes(*b)));
        } else {
            self.values.sort_by_key(|bytes| i64::from_le_bytes(*bytes));
        }
    }

    /// The smallest value that so many percent of the values do not exceed.
    fn at(&self, percent: f64) -> Option<[u8; 8]> {
        let n = convert::real_of_long(convert::long_of(self.values.len()));
        let rank = convert::long_of_real((percent / 100.0 * n).ceil())?.max(1) - 1;
        let rank = usize::try_from(rank).ok()?;
        self.values.get(rank).or(self.values.last()).copied()
    }

    fn answer(&self, found: Vec<Option<[u8; 8]>>) -> Result<ScalarValue> {
        if self.as_array {
            let items: Vec<Json> = found.iter().flatten().map(|b| self.json(*b)).collect();
            let text = (!items.is_empty()).then(|| Json::Array(items).to_text());
            return Ok(ScalarValue::Utf8(text));
        }
        let columns = found.into_iter().map(|bytes| -> Result<ArrayRef> {
            Ok(match self.ty {
                ColumnType::Real => {
                    Arc::new(Float64Array::from(vec![bytes.map(f64::from_le_bytes)]))
                }
                ColumnType::Int => {
                    let n = bytes.and_then(|b| i32::try_from(i64::from_le_bytes(b)).ok());
                    Arc::new(Int32Array::from(vec![n]))
                }
                ColumnType::Decimal => {
                    let value = bytes.and_then(|b| decimals::of_real(f64::from_le_bytes(b)));
                    return decimals::column(vec![value]);
                }
                _ => Arc::new(Int64Array::from(vec![bytes.map(i64::from_le_bytes)])),
            })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let types = vec![self.ty; self.wanted.len()];
        let row = StructArray::try_new(struct_fields(&types), columns, None)?;
        Ok(ScalarValue::Struct(Arc::new(row)))
    }

    fn json(&self, bytes: [u8; 8]) -> Json {
        match self.ty {
            ColumnType::Real | ColumnType::Decimal => Json::Real(f64::from_le_bytes(bytes)),
            ty if time::is_ticks(ty) => of_ticks(i64::from_le_bytes(bytes), ty),
            _ => Json::Long(i64::from_le_bytes(bytes)),
        }
    }
}

/// Whether values are kept as reals: decimals are, a percentile is an estimate.
pub(super) fn is_real(ty: ColumnType) -> bool {
    matches!(ty, ColumnType::Real | ColumnType::Decimal)
}

impl Accumulator for Ranks {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("percentiles of nothing");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        for row in 0..array.len() {
            match arg.cell(row) {
                Cell::Real(x) if !x.is_nan() => self.values.push(x.to_le_bytes()),
                Cell::Long(n) | Cell::DateTime(n) | Cell::TimeSpan(n) => {
                    self.values.push(n.to_le_bytes());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.sort();
        let found: Vec<Option<[u8; 8]>> = self.wanted.iter().map(|p| self.at(*p)).collect();
        self.answer(found)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * 8
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.values.concat()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(array) = states
            .first()
            .and_then(|a| a.as_any().downcast_ref::<BinaryArray>())
        else {
            return exec_err!("not the state of percentiles");
        };
        for state in array.iter().flatten() {
            self.values.extend_from_slice(state.as_chunks::<8>().0);
        }
        Ok(())
    }
}
