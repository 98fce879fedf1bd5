//! What is gathered of each group: rows counted, distinct values counted, values put into lists, or
//! what a library or Kusto aggregate keeps.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};

use super::elements::Lists;
use super::groups::Pairs;
use super::keys::place;
use super::numbers::{Numbers, is_numbered};
use crate::aggregates::Aggregator;
use crate::scan::stages::{Coded, Input};
use crate::scan::test::plain;

/// One aggregate over all groups.
pub(super) struct Gatherer {
    args: Vec<Coded>,
    filter: Option<Coded>,
    how: How,
}

enum How {
    /// Rows.
    Rows(Vec<i64>),
    Distinct(Box<Distinct>),
    Lists(Box<Lists>),
    /// Anything else; `coded` if it takes text as dictionaries, but for its first argument.
    Kept {
        keeps: Box<dyn GroupsAccumulator>,
        coded: bool,
        /// Of what ignores values that a group had before: those, as long as they are few.
        had: Option<Box<Had>>,
    },
}

/// Bytes of what groups had, at most: with more, looking for it is no faster than taking values again.
const HAD_BYTES_MAX: usize = 64 << 20;

/// Which groups had which values.
struct Had {
    values: Numbers,
    pairs: Pairs,
    /// Of a batch's values.
    numbers: Vec<u32>,
}

impl Had {
    fn new(of: &DataType) -> Result<Self> {
        Ok(Self {
            values: Numbers::new(of)?,
            pairs: Pairs::new(),
            numbers: Vec::new(),
        })
    }

    /// The rows with a value that is new to their group, and does not miss the filter.
    fn fresh(
        &mut self,
        column: &ArrayRef,
        groups: &[u32],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<u32>> {
        self.values.of(column, &mut self.numbers)?;
        let mut fresh = Vec::new();
        for (row, (group, number)) in (0_u32..).zip(groups.iter().zip(&self.numbers)) {
            if filter.is_none_or(|f| f.value(place(row))) && self.pairs.number(*group, *number)?.1 {
                fresh.push(row);
            }
        }
        Ok(fresh)
    }

    fn size(&self) -> usize {
        self.values.size() + self.pairs.size() + self.numbers.capacity() * 4
    }
}

/// Distinct values of each group, null not among them.
struct Distinct {
    values: Numbers,
    pairs: Pairs,
    counts: Vec<i64>,
    /// Of a batch's values.
    numbers: Vec<u32>,
}

/// Whether an aggregate can be gathered here.
pub(super) fn is_gathered(aggregate: &AggregateFunctionExpr) -> bool {
    aggregate.order_bys().is_empty()
}

/// What keeps all groups; where an aggregate knows one group only, one for each.
fn groups_of(aggregate: &AggregateFunctionExpr) -> Result<Box<dyn GroupsAccumulator>> {
    if aggregate.groups_accumulator_supported() {
        return aggregate.create_groups_accumulator();
    }
    let aggregate = aggregate.clone();
    let one = move || aggregate.create_accumulator();
    Ok(Box::new(GroupsAccumulatorAdapter::new(one)))
}

fn counts_rows(aggregate: &AggregateFunctionExpr) -> bool {
    let constant = |arg: &Arc<dyn PhysicalExpr>| {
        let literal = arg.downcast_ref::<Literal>();
        literal.is_some_and(|literal| !literal.value().is_null())
    };
    aggregate.fun().name() == "count"
        && !aggregate.is_distinct()
        && aggregate.expressions().iter().all(constant)
}

impl Gatherer {
    /// Over columns of `schema`.
    pub(super) fn new(
        aggregate: &AggregateFunctionExpr,
        filter: Option<&Arc<dyn PhysicalExpr>>,
        schema: &SchemaRef,
    ) -> Result<Self> {
        let ours = aggregate.fun().inner().downcast_ref::<Aggregator>();
        let args = aggregate.expressions();
        let types = args.iter().map(|arg| arg.data_type(schema));
        let types: Vec<DataType> = types.collect::<Result<_>>()?;
        let how = if counts_rows(aggregate) {
            How::Rows(Vec::new())
        } else if let (true, [of]) = (
            ours.is_some_and(Aggregator::counts_distinct),
            types.as_slice(),
        ) {
            How::Distinct(Box::new(Distinct {
                values: Numbers::new(of)?,
                pairs: Pairs::new(),
                counts: Vec::new(),
                numbers: Vec::new(),
            }))
        } else if let (Some(elements), Some(of)) =
            (ours.and_then(Aggregator::elements), types.first())
        {
            How::Lists(Box::new(Lists::new(elements, of)?))
        } else {
            How::Kept {
                keeps: groups_of(aggregate)?,
                coded: ours.is_some_and(Aggregator::picks_rows),
                had: match types.as_slice() {
                    [of] if ours.is_some_and(Aggregator::ignores_repeats) && is_numbered(of) => {
                        Some(Box::new(Had::new(of)?))
                    }
                    _ => None,
                },
            }
        };
        let args = match how {
            How::Rows(_) => Vec::new(),
            _ => args,
        };
        let coded = args.iter().map(|arg| Coded::new(arg, schema));
        Ok(Self {
            args: coded.collect::<Result<_>>()?,
            filter: filter.map(|f| Coded::new(f, schema)).transpose()?,
            how,
        })
    }

    /// Takes rows; the group of each is below `total`. `places` are the groups once more.
    pub(super) fn add(
        &mut self,
        input: &mut Input<'_>,
        groups: &[u32],
        places: &[usize],
        total: usize,
    ) -> Result<()> {
        let filter = match &mut self.filter {
            Some(filter) => Some(kept(&plain(&filter.run(input)?)?)?),
            None => None,
        };
        let args = self.args.iter_mut().map(|arg| arg.run(input));
        let args: Vec<ArrayRef> = args.collect::<Result<_>>()?;
        match &mut self.how {
            How::Rows(counts) => {
                counts.resize(total.max(counts.len()), 0);
                count(counts, places, filter.as_ref());
                Ok(())
            }
            How::Distinct(distinct) => {
                let Some(column) = args.first() else {
                    return exec_err!("distinct values of nothing");
                };
                let counts = &mut distinct.counts;
                counts.resize(total.max(counts.len()), 0);
                distinct.add(column, groups, places, filter.as_ref())
            }
            How::Lists(lists) => {
                let Some(column) = args.first() else {
                    return exec_err!("a list of nothing");
                };
                lists.add(column, groups, total, filter.as_ref())
            }
            How::Kept {
                keeps,
                had: slot @ Some(_),
                ..
            } => {
                let (Some(had), Some(column)) = (slot.as_mut(), args.first()) else {
                    return exec_err!("values of nothing");
                };
                let fresh = had.fresh(column, groups, filter.as_ref())?;
                if had.size() > HAD_BYTES_MAX {
                    *slot = None;
                }
                let at = |row: &u32| places.get(place(*row)).copied();
                let places: Vec<usize> = fresh.iter().filter_map(at).collect();
                let values = plain(&take(column, &UInt32Array::from(fresh), None)?)?;
                keeps.update_batch(&[values], &places, None, total)
            }
            How::Kept { keeps, coded, .. } => {
                let as_wanted = |(at, array): (usize, &ArrayRef)| {
                    if *coded && at > 0 {
                        Ok(array.clone())
                    } else {
                        plain(array)
                    }
                };
                let args = args.iter().enumerate().map(as_wanted);
                let args: Vec<ArrayRef> = args.collect::<Result<_>>()?;
                keeps.update_batch(&args, places, filter.as_ref(), total)
            }
        }
    }

    /// Bytes that the results will take beside what is kept, where that is much.
    pub(super) fn bytes_of_results(&mut self) -> Result<usize> {
        match &mut self.how {
            How::Lists(lists) => lists.bytes_of_text(),
            How::Rows(_) | How::Distinct(_) | How::Kept { .. } => Ok(0),
        }
    }

    /// The results of all groups; nothing is left.
    pub(super) fn take(&mut self) -> Result<ArrayRef> {
        Ok(match &mut self.how {
            How::Lists(lists) => lists.take()?,
            How::Rows(counts) => Arc::new(Int64Array::from(std::mem::take(counts))),
            How::Distinct(distinct) => {
                Arc::new(Int64Array::from(std::mem::take(&mut distinct.counts)))
            }
            How::Kept { keeps, .. } => keeps.evaluate(EmitTo::All)?,
        })
    }

    pub(super) fn size(&self) -> usize {
        match &self.how {
            How::Rows(counts) => counts.capacity() * 8,
            How::Distinct(distinct) => distinct.size(),
            How::Lists(lists) => lists.size(),
            How::Kept { keeps, had, .. } => keeps.size() + had.as_ref().map_or(0, |had| had.size()),
        }
    }
}

impl Distinct {
    fn add(
        &mut self,
        column: &ArrayRef,
        groups: &[u32],
        places: &[usize],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.values.of(column, &mut self.numbers)?;
        let null = has_nulls(column).then(|| self.values.null()).transpose()?;
        let rows = groups.iter().zip(&self.numbers).zip(places);
        for (row, ((group, number), place)) in rows.enumerate() {
            if Some(*number) == null || filter.is_some_and(|f| !f.value(row)) {
                continue;
            }
            if self.pairs.number(*group, *number)?.1
                && let Some(count) = self.counts.get_mut(*place)
            {
                *count += 1;
            }
        }
        Ok(())
    }

    fn size(&self) -> usize {
        let vectors = self.counts.capacity() * 8 + self.numbers.capacity() * 4;
        self.values.size() + self.pairs.size() + vectors
    }
}

fn count(counts: &mut [i64], places: &[usize], filter: Option<&BooleanArray>) {
    for (row, place) in places.iter().enumerate() {
        if filter.is_none_or(|f| f.value(row))
            && let Some(count) = counts.get_mut(*place)
        {
            *count += 1;
        }
    }
}

/// Whether some value is null, in a dictionary too.
pub(super) fn has_nulls(column: &ArrayRef) -> bool {
    column.null_count() > 0
        || column
            .as_dictionary_opt::<Int32Type>()
            .is_some_and(|dictionary| dictionary.values().null_count() > 0)
}

/// A filter with null as false.
fn kept(filter: &ArrayRef) -> Result<BooleanArray> {
    let Some(filter) = filter.as_boolean_opt() else {
        return exec_err!("a filter that gives {}", filter.data_type());
    };
    Ok(match filter.nulls() {
        None => filter.clone(),
        Some(valid) => BooleanArray::new(filter.values() & valid.inner(), None),
    })
}
