//! Batches that keep no more in memory than their rows.
//!
//! A slice keeps what it is a slice of. Who counts memory counts all of that for each slice, as the
//! library's sort does, so that a few thousand rows seem to need gigabytes.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take_record_batch;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};

use crate::kernels::args::Guard;
use crate::nodes::{Action, OneInput};

/// Bytes that a batch may keep without need.
const SPARE_BYTES: usize = 64 << 10;

/// The rows of a batch in order, copied `rows_max` at a time; a batch that has no more stays as it is.
pub(crate) fn in_portions(
    batch: RecordBatch,
    rows_max: usize,
) -> impl Iterator<Item = Result<RecordBatch>> {
    let rows = batch.num_rows();
    let is_one = rows <= rows_max || batch.num_columns() == 0;
    let step = if is_one { rows.max(1) } else { rows_max };
    (0..rows.max(1)).step_by(step).map(move |start| {
        if is_one {
            return Ok(batch.clone());
        }
        copied(&batch, start, step.min(rows - start))
    })
}

/// The same rows; a copy if the batch keeps more than twice what they need.
pub(crate) fn of_its_own(batch: RecordBatch) -> Result<RecordBatch> {
    let kept = get_record_batch_memory_size(&batch);
    if kept
        <= slice_bytes(&batch)
            .saturating_mul(2)
            .saturating_add(SPARE_BYTES)
    {
        return Ok(batch);
    }
    copied(&batch, 0, batch.num_rows())
}

/// Bytes of the rows of a batch, whatever else it keeps.
pub(crate) fn slice_bytes(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum()
}

fn copied(batch: &RecordBatch, start: usize, rows: usize) -> Result<RecordBatch> {
    let at = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
    let rows = UInt32Array::from_iter_values(at(start)..at(start + rows));
    Ok(take_record_batch(batch, &rows)?)
}

/// The plan with sorts that take batches of their own.
pub(crate) fn below_sorts(
    plan: Arc<dyn ExecutionPlan>,
    guard: &Guard,
) -> Result<Arc<dyn ExecutionPlan>> {
    let owned = |plan: Arc<dyn ExecutionPlan>| {
        let Some(sort) = plan.downcast_ref::<SortExec>() else {
            return Ok(Transformed::no(plan));
        };
        let input = sort.input();
        let is_own = input.downcast_ref::<OneInput>().is_some_and(OneInput::owns);
        if is_own || input.output_partitioning().partition_count() > 1 {
            return Ok(Transformed::no(plan));
        }
        let own = OneInput::new(input.clone(), Action::Own, guard.clone());
        let inputs: Vec<Arc<dyn ExecutionPlan>> = vec![Arc::new(own)];
        Ok(Transformed::yes(replace_children_if_necessary(
            plan, inputs,
        )?))
    };
    plan.transform_up(owned).data()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
    use datafusion::arrow::compute::concat_batches;

    use super::*;

    fn large() -> RecordBatch {
        let texts = (0..50_000).map(|n| format!("text number {n}"));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from_iter_values(0..50_000))),
            ("t", Arc::new(StringArray::from_iter_values(texts))),
        ];
        RecordBatch::try_from_iter(columns).expect("a batch")
    }

    #[test]
    fn a_slice_of_much_becomes_a_copy_of_little() {
        let all = large();
        let slice = all.slice(20_000, 1000);
        let own = of_its_own(slice.clone()).expect("a copy");
        assert_eq!(own, slice);
        assert!(get_record_batch_memory_size(&slice) > 1_000_000);
        assert!(get_record_batch_memory_size(&own) < 100_000);
        // What keeps no more than it needs stays what it is.
        let same = of_its_own(all.clone()).expect("a batch");
        assert!(Arc::ptr_eq(same.column(0), all.column(0)));
    }

    #[test]
    fn portions_are_all_rows_in_order() {
        let all = large();
        let portions: Result<Vec<_>> = in_portions(all.clone(), 8192).collect();
        let portions = portions.expect("copies");
        assert_eq!(portions.len(), 7);
        let together = concat_batches(&all.schema(), &portions).expect("a batch");
        assert_eq!(together, all);
        let none: Vec<_> = in_portions(all.slice(0, 0), 8192).collect();
        assert_eq!(none.len(), 1);
    }
}
