//! What a kernel reads and writes: typed arguments by row, and typed columns out.
//!
//! A constant argument is one value read at every row. Output builders look at the query's
//! [`Guard`] before each row, so that a cancelled query stops inside a batch, however large its
//! values, and count what they make.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, BooleanBuilder, Decimal256Array, Float64Array, Float64Builder,
    Int32Array, Int32Builder, Int64Array, Int64Builder, StringArray, StringBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::i256;
use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use model::{ColumnType, limits};
use tokio::sync::Notify;

use super::decimals;
use super::memory::{self, Budget, Held};
use crate::json::{self, Json};

/// The switch that stops a query. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    switch: Arc<Switch>,
    /// What the query's kernels may make; nothing bounds them before a query runs.
    memory: Option<Arc<Budget>>,
}

#[derive(Default)]
struct Switch {
    stopped: Arc<AtomicBool>,
    waiting: Notify,
    /// Given back when nothing of the query is left that could still run.
    _held: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switch")
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

/// How often a flag that somebody else may set is looked at.
const FLAG_LOOK: Duration = Duration::from_millis(20);

impl Guard {
    /// A switch that is thrown, too, when somebody sets `flag`.
    pub fn watching(flag: Arc<AtomicBool>) -> Self {
        Self::holding(flag, None)
    }

    /// The same; `held` is dropped with the last clone of the switch. The query's thread and its plan
    /// have clones, so that is not before they have ended, whether or not somebody waits for them.
    pub fn holding(flag: Arc<AtomicBool>, held: Option<Box<dyn Any + Send + Sync>>) -> Self {
        let switch = Switch {
            stopped: flag,
            waiting: Notify::new(),
            _held: held,
        };
        Self {
            switch: Arc::new(switch),
            memory: None,
        }
    }

    /// The same switch, with a budget for what kernels make.
    pub(crate) fn with_memory(&self, budget: Arc<Budget>) -> Self {
        Self {
            switch: self.switch.clone(),
            memory: Some(budget),
        }
    }

    /// A count of bytes that grow, empty at first.
    pub(crate) fn hold(&self) -> Held {
        self.memory.as_ref().map(Budget::hold).unwrap_or_default()
    }

    /// The column, counted for as long as somebody reads it.
    pub(crate) fn keep(&self, array: ArrayRef) -> Result<ArrayRef> {
        match &self.memory {
            Some(budget) => memory::keep(array, budget),
            None => Ok(array),
        }
    }

    /// Stops everything that looks at this guard.
    pub fn cancel(&self) {
        self.switch.stopped.store(true, Ordering::SeqCst);
        self.switch.waiting.notify_waiters();
    }

    /// Whether the query was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.switch.stopped.load(Ordering::Relaxed)
    }

    /// Returns once the query is stopped.
    pub(crate) async fn cancelled(&self) {
        while !self.switch.stopped.load(Ordering::SeqCst) {
            let notified = self.switch.waiting.notified();
            // The flag may be set without a word, so it is looked at again.
            let _ = tokio::time::timeout(FLAG_LOOK, notified).await;
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            return Err(cancelled());
        }
        Ok(())
    }
}

pub(crate) fn cancelled() -> DataFusionError {
    DataFusionError::Execution("the query was cancelled".to_owned())
}

/// One argument: a column, or a constant.
#[derive(Debug)]
pub(crate) struct Arg {
    values: Values,
    ty: ColumnType,
    constant: bool,
}

#[derive(Debug)]
enum Values {
    Bool(BooleanArray),
    Int(Int32Array),
    Long(Int64Array),
    Real(Float64Array),
    Text(StringArray),
    Decimal(Decimal256Array),
}

/// One value of any type.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cell<'a> {
    /// Nothing; never of a string.
    Null,
    /// A bool.
    Bool(bool),
    /// An int or a long.
    Long(i64),
    /// A real, or a decimal as the nearest real.
    Real(f64),
    /// A string.
    Text(&'a str),
    /// A guid in lower case, `8-4-4-4-12`.
    Guid(&'a str),
    /// An instant in ticks since the year 1.
    DateTime(i64),
    /// A duration in ticks.
    TimeSpan(i64),
    /// A dynamic, as JSON text.
    Dynamic(&'a str),
}

impl Arg {
    pub(crate) fn new(value: &ColumnarValue, ty: ColumnType) -> Result<Self> {
        let (array, constant) = match value {
            ColumnarValue::Array(array) => (array.clone(), false),
            ColumnarValue::Scalar(scalar) => (scalar.to_array_of_size(1)?, true),
        };
        Self::of_array(&array, ty, constant)
    }

    pub(crate) fn of_array(array: &ArrayRef, ty: ColumnType, constant: bool) -> Result<Self> {
        fn typed<T: Clone + 'static>(array: &ArrayRef) -> Option<T> {
            array.as_any().downcast_ref::<T>().cloned()
        }
        let values = match ty {
            ColumnType::Bool => typed(array).map(Values::Bool),
            ColumnType::Int => typed(array).map(Values::Int),
            ColumnType::Long | ColumnType::DateTime | ColumnType::TimeSpan => {
                typed(array).map(Values::Long)
            }
            ColumnType::Real => typed(array).map(Values::Real),
            ColumnType::String | ColumnType::Dynamic | ColumnType::Guid => {
                typed(array).map(Values::Text)
            }
            ColumnType::Decimal => {
                let wide = cast(array, &decimals::data_type(ty))?;
                typed(&wide).map(Values::Decimal)
            }
        };
        let Some(values) = values else {
            return exec_err!("a {ty} argument came as {}", array.data_type());
        };
        Ok(Self {
            values,
            ty,
            constant,
        })
    }

    pub(crate) fn ty(&self) -> ColumnType {
        self.ty
    }

    /// Whether every row has the same value.
    pub(crate) fn is_constant(&self) -> bool {
        self.constant
    }

    fn at(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    fn valid(&self, row: usize) -> bool {
        match &self.values {
            Values::Bool(a) => a.is_valid(row),
            Values::Int(a) => a.is_valid(row),
            Values::Long(a) => a.is_valid(row),
            Values::Real(a) => a.is_valid(row),
            Values::Text(a) => a.is_valid(row),
            Values::Decimal(a) => a.is_valid(row),
        }
    }

    /// An `int`, `long`, `datetime` or `timespan`.
    pub(crate) fn long(&self, row: usize) -> Option<i64> {
        let at = self.at(row);
        match &self.values {
            Values::Long(a) if a.is_valid(at) => Some(a.value(at)),
            Values::Int(a) if a.is_valid(at) => Some(i64::from(a.value(at))),
            _ => None,
        }
    }

    /// The values of a column of longs or ticks without nulls.
    pub(crate) fn longs(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Long(a) if !self.constant && a.null_count() == 0 => Some(a.values()),
            _ => None,
        }
    }

    /// The column itself, if it is one of texts.
    pub(crate) fn text_column(&self) -> Option<&StringArray> {
        match &self.values {
            Values::Text(a) if !self.constant => Some(a),
            _ => None,
        }
    }

    /// Any number, as a real.
    pub(crate) fn real(&self, row: usize) -> Option<f64> {
        match &self.values {
            Values::Real(a) => {
                let at = self.at(row);
                a.is_valid(at).then(|| a.value(at))
            }
            Values::Decimal(_) => self.decimal(row).map(decimals::to_real),
            _ => self.long(row).map(super::convert::real_of_long),
        }
    }

    /// A decimal.
    pub(crate) fn decimal(&self, row: usize) -> Option<i256> {
        let at = self.at(row);
        match &self.values {
            Values::Decimal(a) if a.is_valid(at) => Some(a.value(at)),
            _ => None,
        }
    }

    /// A string; what is missing is empty.
    pub(crate) fn text(&self, row: usize) -> &str {
        self.text_or_null(row).unwrap_or_default()
    }

    /// The text of a string, guid or dynamic.
    pub(crate) fn text_or_null(&self, row: usize) -> Option<&str> {
        let at = self.at(row);
        match &self.values {
            Values::Text(a) if a.is_valid(at) => Some(a.value(at)),
            _ => None,
        }
    }

    /// The value of a dynamic, or of a scalar put into one.
    pub(crate) fn json(&self, row: usize) -> Option<Json> {
        Some(match self.cell(row) {
            Cell::Null => return None,
            Cell::Dynamic(text) => Json::of_column(text),
            Cell::Bool(b) => Json::Bool(b),
            Cell::Long(n) => Json::Long(n),
            Cell::Real(x) => Json::Real(x),
            Cell::Text(text) | Cell::Guid(text) => Json::Text(text.to_owned()),
            Cell::DateTime(t) => json::of_ticks(t, ColumnType::DateTime),
            Cell::TimeSpan(t) => json::of_ticks(t, ColumnType::TimeSpan),
        })
        .filter(|v| *v != Json::Null)
    }

    /// The value, whatever its type.
    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        let at = self.at(row);
        match (&self.values, self.ty) {
            (_, ColumnType::String) => Cell::Text(self.text(row)),
            _ if !self.valid(at) => Cell::Null,
            (Values::Bool(a), _) => Cell::Bool(a.value(at)),
            (Values::Int(a), _) => Cell::Long(i64::from(a.value(at))),
            (Values::Long(a), ColumnType::DateTime) => Cell::DateTime(a.value(at)),
            (Values::Long(a), ColumnType::TimeSpan) => Cell::TimeSpan(a.value(at)),
            (Values::Long(a), _) => Cell::Long(a.value(at)),
            (Values::Real(a), _) => Cell::Real(a.value(at)),
            (Values::Decimal(a), _) => Cell::Real(decimals::to_real(a.value(at))),
            (Values::Text(a), ColumnType::Guid) => Cell::Guid(a.value(at)),
            (Values::Text(a), _) => Cell::Dynamic(a.value(at)),
        }
    }
}

/// The rows of one call, and the type it promised.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) args: &'a [Arg],
    pub(crate) rows: usize,
    pub(crate) result: ColumnType,
    pub(crate) guard: &'a Guard,
}

/// LIMIT: one value has at most `HUNT_VALUE_BYTES_MAX` bytes, a column of a batch
/// `HUNT_COLUMN_BYTES_MAX`, and all columns together what the query's budget has.
pub(super) fn check_made(value: &str, column: &StringBuilder, held: &Held) -> Result<()> {
    let made = column.values_slice().len() + value.len();
    if value.len() > limits::HUNT_VALUE_BYTES_MAX || made > limits::HUNT_COLUMN_BYTES_MAX {
        let what = "a value or a column is too large".to_owned();
        return Err(DataFusionError::ResourcesExhausted(what));
    }
    held.growing(made)
}

/// Whether a kernel should stop making more of a value: it is refused anyway.
pub(crate) fn is_too_large(value: &str) -> bool {
    value.len() > limits::HUNT_VALUE_BYTES_MAX
}

impl Call<'_> {
    /// Argument `at`; asking for one that is not there is a mistake of the kernel.
    pub(crate) fn arg(&self, at: usize) -> Result<&Arg> {
        let Some(arg) = self.args.get(at) else {
            return exec_err!("argument {at} is missing");
        };
        Ok(arg)
    }

    /// Argument `at`, if it was given.
    pub(crate) fn optional(&self, at: usize) -> Option<&Arg> {
        self.args.get(at)
    }

    pub(crate) fn bools(&self, mut f: impl FnMut(usize) -> Option<bool>) -> Result<ArrayRef> {
        let mut out = BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            self.guard.check()?;
            out.append_option(f(row));
        }
        Ok(Arc::new(out.finish()))
    }

    /// Longs, datetimes, timespans; ints when that is what was promised (null beyond their range).
    pub(crate) fn longs(&self, mut f: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
        if self.result == ColumnType::Int {
            let mut out = Int32Builder::with_capacity(self.rows);
            for row in 0..self.rows {
                self.guard.check()?;
                out.append_option(f(row).and_then(|n| i32::try_from(n).ok()));
            }
            return Ok(Arc::new(out.finish()));
        }
        let mut out = Int64Builder::with_capacity(self.rows);
        for row in 0..self.rows {
            self.guard.check()?;
            out.append_option(f(row));
        }
        Ok(Arc::new(out.finish()))
    }

    pub(crate) fn reals(&self, mut f: impl FnMut(usize) -> Option<f64>) -> Result<ArrayRef> {
        let mut out = Float64Builder::with_capacity(self.rows);
        for row in 0..self.rows {
            self.guard.check()?;
            out.append_option(f(row));
        }
        Ok(Arc::new(out.finish()))
    }

    /// Decimals.
    pub(crate) fn decimals(&self, mut f: impl FnMut(usize) -> Option<i256>) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(self.rows);
        for row in 0..self.rows {
            self.guard.check()?;
            values.push(f(row));
        }
        let array = Decimal256Array::from(values)
            .with_precision_and_scale(decimals::PRECISION, decimals::SCALE)?;
        Ok(Arc::new(array))
    }

    /// Strings: never null. `f` appends to an empty buffer.
    pub(crate) fn texts(&self, mut f: impl FnMut(usize, &mut String)) -> Result<ArrayRef> {
        let (mut out, held) = (StringBuilder::new(), self.guard.hold());
        let mut buffer = String::new();
        for row in 0..self.rows {
            self.guard.check()?;
            buffer.clear();
            f(row, &mut buffer);
            check_made(&buffer, &out, &held)?;
            out.append_value(&buffer);
        }
        Ok(Arc::new(out.finish()))
    }

    /// Guids and dynamics as text, or null.
    pub(crate) fn texts_or_null(
        &self,
        mut f: impl FnMut(usize, &mut String) -> Option<()>,
    ) -> Result<ArrayRef> {
        let (mut out, held) = (StringBuilder::new(), self.guard.hold());
        let mut buffer = String::new();
        for row in 0..self.rows {
            self.guard.check()?;
            buffer.clear();
            match f(row, &mut buffer) {
                Some(()) => {
                    check_made(&buffer, &out, &held)?;
                    out.append_value(&buffer);
                }
                None => out.append_null(),
            }
        }
        Ok(Arc::new(out.finish()))
    }

    /// Dynamics; a JSON null is null.
    pub(crate) fn dynamics(&self, mut f: impl FnMut(usize) -> Option<Json>) -> Result<ArrayRef> {
        self.texts_or_null(|row, out| {
            let value = f(row)?;
            if value == Json::Null {
                return None;
            }
            value.write(out);
            Some(())
        })
    }

    /// One column of whatever type was promised, from dynamic values converted as by a cast.
    pub(crate) fn converted(&self, mut f: impl FnMut(usize) -> Option<Json>) -> Result<ArrayRef> {
        use super::convert;
        match self.result {
            ColumnType::Bool => self.bools(|row| convert::json_to_bool(&f(row)?)),
            ColumnType::Int => self.longs(|row| convert::json_to_int(&f(row)?)),
            ColumnType::Long => self.longs(|row| convert::json_to_long(&f(row)?)),
            ColumnType::Real => self.reals(|row| convert::json_to_real(&f(row)?)),
            ColumnType::DateTime => self.longs(|row| convert::json_to_datetime(&f(row)?)),
            ColumnType::TimeSpan => self.longs(|row| convert::json_to_timespan(&f(row)?)),
            ColumnType::Guid => self.texts_or_null(|row, out| match f(row)? {
                Json::Text(text) => {
                    out.push_str(&convert::parse_guid(&text)?);
                    Some(())
                }
                _ => None,
            }),
            ColumnType::Dynamic => self.dynamics(f),
            ColumnType::Decimal => self.decimals(|row| decimals::of_json(&f(row)?)),
            ColumnType::String => self.texts(|row, out| {
                if let Some(value) = f(row) {
                    value.display(out);
                }
            }),
        }
    }
}
