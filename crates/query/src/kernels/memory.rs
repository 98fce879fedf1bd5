//! What a hunt makes beside its operators, counted against the hunt's one budget.
//!
//! DataFusion's operators count what they keep in the query's pool; what expressions make is counted
//! by nobody. Here every column that a kernel makes is: from the moment it grows until its last
//! reader drops it, because the count rides on the column's buffers.
//!
//! Operators see these bytes as taken, so a sort writes to its temporary files earlier; they have
//! [`Budget::operators`] of the budget, so that what is left is always enough to feed them. Columns
//! that an operator keeps are counted twice, once by each: the budget is a bound, not a promise.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal256Array, Float64Array, Int32Array,
    Int64Array, ListArray, PrimitiveArray, StringArray, StructArray,
};
use datafusion::arrow::buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};

/// Bytes of a column that are not worth counting.
const SMALL_BYTES: usize = 256;
/// A growing column is counted in steps of so many bytes.
const STEP_BYTES: usize = 1 << 20;

/// The memory of one hunt.
pub(crate) struct Budget {
    pool: Arc<dyn MemoryPool>,
    /// Empty; every count is a part of it.
    made: MemoryReservation,
    bytes: usize,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {})", self.pool.reserved(), self.bytes)
    }
}

impl Budget {
    /// `bytes` in all; `pool` is the operators'.
    pub(crate) fn new(pool: Arc<dyn MemoryPool>, bytes: usize) -> Self {
        let made = MemoryConsumer::new("made").register(&pool);
        Self { pool, made, bytes }
    }

    /// What operators may keep of a budget: what is left feeds them.
    pub(crate) fn operators(bytes: usize) -> usize {
        bytes / 4 * 3
    }

    pub(crate) fn hold(self: &Arc<Self>) -> Held {
        Held(Some((self.made.new_empty(), self.clone())))
    }
}

/// Bytes that are counted; given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<(MemoryReservation, Arc<Budget>)>);

impl Held {
    /// Counts `bytes` in all, if that is more than before.
    pub(crate) fn at_least(&self, bytes: usize) -> Result<()> {
        let Some((held, budget)) = &self.0 else {
            return Ok(());
        };
        let Some(more) = bytes.checked_sub(held.size()).filter(|more| *more > 0) else {
            return Ok(());
        };
        held.grow(more);
        if budget.pool.reserved() > budget.bytes {
            let what = "the query's memory is used up".to_owned();
            return Err(DataFusionError::ResourcesExhausted(what));
        }
        Ok(())
    }

    /// The same for something that grows: in steps.
    pub(crate) fn growing(&self, bytes: usize) -> Result<()> {
        if bytes < STEP_BYTES {
            return Ok(());
        }
        self.at_least(bytes.next_multiple_of(STEP_BYTES))
    }
}

/// A buffer and the count of its bytes.
struct Counted {
    buffer: Buffer,
    _held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_slice()
    }
}

fn counted(buffer: &Buffer, budget: &Arc<Budget>) -> Result<Buffer> {
    if buffer.len() < SMALL_BYTES {
        return Ok(buffer.clone());
    }
    let held = budget.hold();
    held.at_least(buffer.capacity().max(buffer.len()))?;
    Ok(Buffer::from(Bytes::from_owner(Counted {
        buffer: buffer.clone(),
        _held: held,
    })))
}

/// The same column, its bytes counted for as long as somebody reads it. Types that no kernel makes
/// stay as they are.
pub(crate) fn keep(array: ArrayRef, budget: &Arc<Budget>) -> Result<ArrayRef> {
    fn of<T: ArrowPrimitiveType>(
        array: &PrimitiveArray<T>,
        budget: &Arc<Budget>,
    ) -> Result<PrimitiveArray<T>> {
        let values = counted(array.values().inner(), budget)?;
        let values = ScalarBuffer::new(values, 0, array.len());
        let kept = PrimitiveArray::<T>::try_new(values, array.nulls().cloned())?;
        Ok(kept.with_data_type(array.data_type().clone()))
    }
    fn typed<T: Clone + 'static>(array: &ArrayRef) -> Option<T> {
        array.as_any().downcast_ref::<T>().cloned()
    }
    Ok(match array.data_type() {
        DataType::Utf8 => match typed::<StringArray>(&array) {
            Some(texts) => {
                let (offsets, values, nulls) = texts.into_parts();
                let values = counted(&values, budget)?;
                Arc::new(StringArray::try_new(offsets, values, nulls)?)
            }
            None => array,
        },
        DataType::Int64 => match typed::<Int64Array>(&array) {
            Some(values) => Arc::new(of(&values, budget)?),
            None => array,
        },
        DataType::Int32 => match typed::<Int32Array>(&array) {
            Some(values) => Arc::new(of(&values, budget)?),
            None => array,
        },
        DataType::Float64 => match typed::<Float64Array>(&array) {
            Some(values) => Arc::new(of(&values, budget)?),
            None => array,
        },
        DataType::Decimal256(..) => match typed::<Decimal256Array>(&array) {
            Some(values) => Arc::new(of(&values, budget)?),
            None => array,
        },
        DataType::Boolean => match typed::<BooleanArray>(&array) {
            Some(bits) => {
                let (values, nulls) = bits.into_parts();
                let (offset, len) = (values.offset(), values.len());
                let values = BooleanBuffer::new(counted(values.inner(), budget)?, offset, len);
                Arc::new(BooleanArray::new(values, nulls))
            }
            None => array,
        },
        DataType::Struct(_) | DataType::List(_) => nested(&array, budget)?,
        _ => array,
    })
}

fn nested(array: &ArrayRef, budget: &Arc<Budget>) -> Result<ArrayRef> {
    if let Some(structs) = array.as_any().downcast_ref::<StructArray>() {
        let (fields, columns, nulls) = structs.clone().into_parts();
        let columns = columns
            .into_iter()
            .map(|column| keep(column, budget))
            .collect::<Result<_>>()?;
        return Ok(Arc::new(StructArray::try_new(fields, columns, nulls)?));
    }
    if let Some(lists) = array.as_any().downcast_ref::<ListArray>() {
        let (item, offsets, values, nulls) = lists.clone().into_parts();
        let values = keep(values, budget)?;
        return Ok(Arc::new(ListArray::try_new(item, offsets, values, nulls)?));
    }
    Ok(array.clone())
}
