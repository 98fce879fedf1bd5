//! `tdigest` and `tdigest_merge`: digests of numbers.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use model::ColumnType;

use super::distinct::binaries;
use crate::kernels::args::Arg;
use crate::kernels::convert;
use crate::sketch::Digest;

#[derive(Debug)]
pub(crate) struct Digests {
    ty: ColumnType,
    /// The values are digests themselves.
    merges: bool,
    digest: Digest,
}

impl Digests {
    pub(crate) fn new(ty: ColumnType, merges: bool) -> Self {
        Self {
            ty,
            merges,
            digest: Digest::new(ty),
        }
    }
}

impl Accumulator for Digests {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("a digest of nothing");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        let weights = match values.get(1) {
            Some(weights) => Some(Arg::of_array(weights, ColumnType::Long, false)?),
            None => None,
        };
        for row in 0..array.len() {
            if self.merges {
                if let Some(digest) = arg.json(row).and_then(|v| Digest::from_json(&v)) {
                    self.digest.merge(&digest);
                }
            } else if let Some(value) = arg.real(row) {
                let weight = weights.as_ref().map_or(Some(1), |w| w.long(row));
                let weight = weight.map_or(0.0, convert::real_of_long);
                self.digest.add(value, weight);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.digest.compress();
        let text = (!self.digest.is_empty()).then(|| self.digest.to_json().to_text());
        Ok(ScalarValue::Utf8(text))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.digest.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.digest.compress();
        Ok(vec![ScalarValue::Binary(Some(self.digest.to_bytes()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in binaries(states)?.iter().flatten() {
            if let Some(digest) = Digest::from_bytes(state) {
                self.digest.merge(&digest);
            }
        }
        Ok(())
    }
}
