//! `make-series`: the rows of a summary laid out as arrays along an axis.
//!
//! The input has the keys, then the start of each row's bin, then the aggregates.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use model::ColumnType;

use crate::error::TooManyBins;
use crate::json::{self, Json};
use crate::kernels::args::{Arg, Guard};
use crate::kernels::convert;

/// Bins of one series at most, as in the service.
const BINS_MAX: usize = 1_048_576;

/// What one `make-series` makes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct SeriesTask {
    pub(crate) keys: usize,
    pub(crate) axis: ColumnType,
    pub(crate) aggregates: Vec<ColumnType>,
    pub(crate) from: Option<ScalarValue>,
    pub(crate) to: Option<ScalarValue>,
    pub(crate) step: ScalarValue,
    pub(crate) inclusive: bool,
    pub(crate) nonempty: bool,
    pub(crate) defaults: Vec<ScalarValue>,
}

/// The bins: all of one width.
#[derive(PartialEq)]
enum Bins {
    Long { start: i64, step: i64, count: usize },
    Real { start: f64, step: f64, count: usize },
}

impl SeriesTask {
    pub(super) fn run(
        &self,
        input: &RecordBatch,
        schema: &SchemaRef,
        guard: &Guard,
    ) -> Result<RecordBatch> {
        let Some(axis) = input.columns().get(self.keys) else {
            return exec_err!("a series without its axis");
        };
        let axis = Arg::of_array(axis, self.axis, false)?;
        let mut groups = self.groups(input)?;
        if self.nonempty && self.keys == 0 && groups.is_empty() {
            groups.push(Vec::new());
        }
        // Without a start or an end, each series has its own.
        let mut bins = Vec::with_capacity(groups.len());
        for rows in &groups {
            bins.push(self.bins(&axis, rows)?);
        }
        let series = if bins.iter().all(|b| b.count() == 0) {
            0
        } else {
            groups.len()
        };
        let firsts: Vec<u64> = groups
            .iter()
            .filter_map(|rows| u64::try_from(*rows.first()?).ok())
            .collect();
        let mut columns: Vec<ArrayRef> = Vec::new();
        let indices = UInt64Array::from(firsts.into_iter().take(series).collect::<Vec<_>>());
        for key in input.columns().iter().take(self.keys) {
            columns.push(take(key, &indices, None)?);
        }
        for (at, ty) in self.aggregates.iter().enumerate() {
            let Some(values) = input.columns().get(self.keys + 1 + at) else {
                return exec_err!("a series without aggregate {at}");
            };
            let values = Arg::of_array(values, *ty, false)?;
            let default = self.default(at, *ty)?;
            let mut arrays = Vec::with_capacity(series);
            for (rows, bins) in groups.iter().zip(&bins).take(series) {
                guard.check()?;
                let mut items = vec![default.clone(); bins.count()];
                for row in rows {
                    let slot = bins.index(&axis, *row).and_then(|i| items.get_mut(i));
                    if let Some(slot) = slot {
                        *slot = values.json(*row).unwrap_or_else(|| default.clone());
                    }
                }
                arrays.push(Json::Array(items).to_text());
            }
            columns.push(Arc::new(StringArray::from(arrays)));
        }
        columns.push(Arc::new(self.axes(bins.get(..series).unwrap_or_default())));
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }

    /// The axis of each series, made once for neighbours that share it.
    fn axes(&self, bins: &[Bins]) -> StringArray {
        let mut last: Option<(&Bins, String)> = None;
        let texts = bins.iter().map(|bins| {
            let text = match last.take() {
                Some((same, text)) if same == bins => text,
                _ => Json::Array(bins.values(self.axis)).to_text(),
            };
            last = Some((bins, text.clone()));
            text
        });
        texts.collect::<Vec<_>>().into()
    }

    fn default(&self, at: usize, ty: ColumnType) -> Result<Json> {
        let Some(value) = self.defaults.get(at) else {
            return Ok(Json::Null);
        };
        let value = Arg::of_array(&value.to_array()?, ty, true)?;
        Ok(value.json(0).unwrap_or(Json::Null))
    }

    /// The rows of each key, keys in order of appearance.
    fn groups(&self, input: &RecordBatch) -> Result<Vec<Vec<usize>>> {
        if self.keys == 0 {
            let all: Vec<usize> = (0..input.num_rows()).collect();
            return Ok(if all.is_empty() {
                Vec::new()
            } else {
                vec![all]
            });
        }
        let keys: Vec<ArrayRef> = input.columns().iter().take(self.keys).cloned().collect();
        let fields = keys
            .iter()
            .map(|k| SortField::new(k.data_type().clone()))
            .collect();
        let converter = RowConverter::new(fields)?;
        let rows = converter.convert_columns(&keys)?;
        let mut numbers: HashMap<Box<[u8]>, usize> = HashMap::new();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let number = if let Some(number) = numbers.get(row.as_ref()) {
                *number
            } else {
                numbers.insert(row.as_ref().into(), groups.len());
                groups.push(Vec::new());
                groups.len() - 1
            };
            if let Some(group) = groups.get_mut(number) {
                group.push(at);
            }
        }
        Ok(groups)
    }

    fn bins(&self, axis: &Arg, rows: &[usize]) -> Result<Bins> {
        let bins = if self.axis == ColumnType::Real {
            self.real_bins(axis, rows)?
        } else {
            self.long_bins(axis, rows)?
        };
        let count = bins.count();
        if count > BINS_MAX {
            let max = BINS_MAX;
            return Err(DataFusionError::External(Box::new(TooManyBins {
                count,
                max,
            })));
        }
        Ok(bins)
    }

    fn long_bins(&self, axis: &Arg, rows: &[usize]) -> Result<Bins> {
        let scalar = |value: &Option<ScalarValue>| match value {
            Some(value) => Ok::<_, DataFusionError>(
                Arg::of_array(&value.to_array()?, self.axis, true)?.long(0),
            ),
            None => Ok(None),
        };
        let values = || rows.iter().filter_map(|row| axis.long(*row));
        let step_type = if self.axis == ColumnType::DateTime {
            ColumnType::TimeSpan
        } else {
            self.axis
        };
        let step = Arg::of_array(&self.step.to_array()?, step_type, true)?.long(0);
        let step = step.filter(|s| *s > 0);
        let start = match self.from {
            Some(_) => scalar(&self.from)?,
            None => values().min(),
        };
        let (Some(start), Some(step)) = (start, step) else {
            return Ok(Bins::Long {
                start: 0,
                step: 1,
                count: 0,
            });
        };
        // The end is not part of the axis, but the last row is.
        let end = match scalar(&self.to)? {
            Some(end) if self.inclusive => end.saturating_add(1),
            Some(end) => end,
            None => values().max().map_or(start, |last| last.saturating_add(1)),
        };
        let length = end.saturating_sub(start).max(0);
        let count = length / step + i64::from(length % step > 0);
        Ok(Bins::Long {
            start,
            step,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        })
    }

    fn real_bins(&self, axis: &Arg, rows: &[usize]) -> Result<Bins> {
        let scalar = |value: &ScalarValue| {
            Ok::<_, DataFusionError>(
                Arg::of_array(&value.to_array()?, ColumnType::Real, true)?.real(0),
            )
        };
        let values = || rows.iter().filter_map(|row| axis.real(*row));
        let step = scalar(&self.step)?.filter(|s| *s > 0.0);
        let start = match &self.from {
            Some(from) => scalar(from)?,
            None => values().reduce(f64::min),
        };
        let none = Bins::Real {
            start: 0.0,
            step: 1.0,
            count: 0,
        };
        let (Some(start), Some(step)) = (start, step) else {
            return Ok(none);
        };
        let bins = match &self.to {
            Some(to) => {
                let Some(end) = scalar(to)? else {
                    return Ok(none);
                };
                let bins = (end - start) / step;
                if self.inclusive {
                    bins.floor() + 1.0
                } else {
                    bins.ceil()
                }
            }
            None => values()
                .reduce(f64::max)
                .map_or(0.0, |last| (last - start) / step + 1.0),
        };
        let count = convert::long_of_real(bins.max(0.0)).unwrap_or(i64::MAX);
        Ok(Bins::Real {
            start,
            step,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        })
    }
}

impl Bins {
    fn count(&self) -> usize {
        match self {
            Self::Long { count, .. } | Self::Real { count, .. } => *count,
        }
    }

    fn index(&self, axis: &Arg, row: usize) -> Option<usize> {
        match self {
            Self::Long { start, step, .. } => {
                let away = axis.long(row)?.checked_sub(*start)?;
                usize::try_from(away.checked_div(*step)?).ok()
            }
            Self::Real { start, step, .. } => {
                let away = ((axis.real(row)? - start) / step).round();
                usize::try_from(convert::long_of_real(away)?).ok()
            }
        }
    }

    fn values(&self, ty: ColumnType) -> Vec<Json> {
        match self {
            Self::Long { start, step, count } => {
                let mut at = *start;
                let mut out = Vec::with_capacity(*count);
                for _ in 0..*count {
                    out.push(if crate::kernels::time::is_ticks(ty) {
                        json::of_ticks(at, ty)
                    } else {
                        Json::Long(at)
                    });
                    at = at.saturating_add(*step);
                }
                out
            }
            Self::Real { start, step, count } => (0..*count)
                .map(|n| Json::Real(start + convert::real_of_long(convert::long_of(n)) * step))
                .collect(),
        }
    }
}
