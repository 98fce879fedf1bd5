//! Aggregates with Kusto's results, as DataFusion aggregate functions.
//!
//! `count`, `sum`, `min` … are DataFusion's own with Kusto's defaults around them (in `lower`); here
//! are those it does not have. Each keeps its own bytes in sight of the memory pool.

pub(crate) mod collect;
mod digest;
mod distinct;
mod fold;
mod pick;
mod picks;
mod rank;
mod shape;
pub(crate) mod unique;
mod weighted;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use model::ColumnType;

/// Elements of an array made by `make_list` or `make_set` when the query does not say.
pub(crate) const ELEMENTS_MAX: usize = 1_048_576;

/// What is computed over a group.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Gather {
    /// `make_list`, with nulls or without.
    List { limit: usize, nulls: bool },
    /// `make_set`.
    Set { limit: usize },
    /// `make_bag`.
    Bag { limit: usize },
    /// `dcount`, with this precision.
    Distinct(u32),
    /// `hll`, with this precision; `hll_merge` if the values are sketches.
    Sketch(u32, bool),
    /// `tdigest`; `tdigest_merge` if the values are digests.
    Digest(bool),
    /// `buildschema`.
    Shape,
    /// `count_distinct` of text or longs.
    Unique,
    /// `percentile` and `percentiles`: the percentiles wanted.
    Ranks(Vec<f64>),
    /// `percentiles_array`.
    RankArray(Vec<f64>),
    /// `percentilesw`: percentiles of argument 0 weighted by argument 1; as an array or apart.
    WeightedRanks(Vec<f64>, bool),
    /// The row where argument 0 is greatest (`true`) or least.
    Extreme(bool),
    /// Any row.
    Any,
    /// Largest (`true`) or smallest real: a NaN wins.
    RealExtreme(bool),
    /// Mean of instants or durations.
    MeanTicks,
    /// Bits combined.
    Bits(BitFold),
}

/// What `make_list` and `make_set` put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Elements {
    /// Of the values.
    pub(crate) ty: ColumnType,
    /// Whether each value comes once.
    pub(crate) is_set: bool,
    /// Elements of one list, at most.
    pub(crate) limit: usize,
    /// Whether a missing value is an element.
    pub(crate) nulls: bool,
}

/// How bits are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BitFold {
    And,
    Or,
    Xor,
}

/// One aggregate of a query.
#[derive(Clone, Debug)]
pub(crate) struct Aggregator {
    gather: Gather,
    /// Kusto types of the arguments.
    args: Vec<ColumnType>,
    /// One type per output; several make a struct.
    outputs: Vec<ColumnType>,
    signature: Signature,
}

impl Aggregator {
    pub(crate) fn new(gather: Gather, args: Vec<ColumnType>, outputs: Vec<ColumnType>) -> Self {
        Self {
            gather,
            args,
            outputs,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    pub(crate) fn into_udaf(self) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(self))
    }

    /// Whether the result is a struct of the outputs.
    pub(crate) fn is_struct(gather: &Gather) -> bool {
        matches!(
            gather,
            Gather::Extreme(_) | Gather::Any | Gather::Ranks(_) | Gather::WeightedRanks(_, false)
        )
    }

    /// Whether it is the exact count of the distinct values of its one argument.
    pub(crate) fn counts_distinct(&self) -> bool {
        self.gather == Gather::Unique
    }

    /// Whether a value that a group had before changes nothing.
    pub(crate) fn ignores_repeats(&self) -> bool {
        matches!(self.gather, Gather::Distinct(_) | Gather::Sketch(_, false))
    }

    /// Which elements it puts into a list, if they are values of the argument as they are.
    pub(crate) fn elements(&self) -> Option<Elements> {
        let ty = *self.args.first()?;
        let (is_set, limit, nulls) = match self.gather {
            Gather::List { limit, nulls } => (false, limit, nulls),
            Gather::Set { limit } => (true, limit, false),
            _ => return None,
        };
        let elements = Elements {
            ty,
            is_set,
            limit,
            nulls,
        };
        // An array among dynamic values is taken apart, and a real has texts that it shares.
        let is_plain = !matches!(ty, ColumnType::Dynamic | ColumnType::Real);
        is_plain.then_some(elements)
    }

    /// Whether it keeps rows, of which all but the first column may be dictionaries.
    pub(crate) fn picks_rows(&self) -> bool {
        matches!(self.gather, Gather::Extreme(_) | Gather::Any)
    }

    fn data_type(&self) -> DataType {
        if Self::is_struct(&self.gather) {
            return DataType::Struct(struct_fields(&self.outputs));
        }
        self.outputs.first().map_or(DataType::Null, |ty| {
            crate::kernels::decimals::data_type(*ty)
        })
    }

    /// The layout of the first argument.
    fn argument_type(&self) -> DataType {
        let first = self.args.first().copied().unwrap_or(ColumnType::Dynamic);
        crate::kernels::decimals::data_type(first)
    }

    fn state_type(&self) -> DataType {
        match self.gather {
            Gather::List { .. } | Gather::Set { .. } | Gather::Bag { .. } | Gather::Shape => {
                DataType::Utf8
            }
            Gather::Distinct(_)
            | Gather::Sketch(..)
            | Gather::Digest(_)
            | Gather::Ranks(_)
            | Gather::RankArray(_)
            | Gather::WeightedRanks(..)
            | Gather::MeanTicks => DataType::Binary,
            Gather::Extreme(_) | Gather::Any => self.data_type(),
            Gather::Unique => unique::state_type(&self.argument_type()),
            Gather::RealExtreme(_) => DataType::Float64,
            Gather::Bits(_) => DataType::Int64,
        }
    }
}

/// The fields of a struct that holds several outputs.
pub(crate) fn struct_fields(types: &[ColumnType]) -> Fields {
    types
        .iter()
        .enumerate()
        .map(|(i, ty)| {
            Field::new(
                format!("f{i}"),
                crate::kernels::decimals::data_type(*ty),
                true,
            )
        })
        .collect()
}

impl PartialEq for Aggregator {
    fn eq(&self, other: &Self) -> bool {
        self.gather == other.gather && self.args == other.args && self.outputs == other.outputs
    }
}

impl Eq for Aggregator {}

impl Hash for Aggregator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(&self.gather).hash(state);
        self.args.hash(state);
        self.outputs.hash(state);
    }
}

impl AggregateUDFImpl for Aggregator {
    fn name(&self) -> &str {
        match self.gather {
            Gather::List { .. } => "make_list",
            Gather::Set { .. } => "make_set",
            Gather::Bag { .. } => "make_bag",
            Gather::Distinct(_) => "dcount",
            Gather::Unique => "count_distinct",
            Gather::Sketch(..) => "hll",
            Gather::Digest(_) => "tdigest",
            Gather::Shape => "buildschema",
            Gather::Ranks(_) => "percentiles",
            Gather::RankArray(_) => "percentiles_array",
            Gather::WeightedRanks(..) => "percentilesw",
            Gather::Extreme(true) => "arg_max",
            Gather::Extreme(false) => "arg_min",
            Gather::Any => "take_any",
            Gather::RealExtreme(true) => "max_real",
            Gather::RealExtreme(false) => "min_real",
            Gather::MeanTicks => "avg_ticks",
            Gather::Bits(_) => "binary_all",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types.to_vec())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[state]", args.name);
        Ok(vec![Arc::new(Field::new(name, self.state_type(), true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let first = self.args.first().copied().unwrap_or(ColumnType::Dynamic);
        Ok(match &self.gather {
            Gather::List { limit, nulls } => {
                Box::new(collect::Elements::list(first, *limit, *nulls))
            }
            Gather::Set { limit } => Box::new(collect::Elements::set(first, *limit)),
            Gather::Bag { limit } => Box::new(collect::Entries::new(*limit)),
            Gather::Distinct(precision) => Box::new(distinct::Distinct::count(first, *precision)),
            Gather::Unique => Box::new(unique::Whole::new(self.argument_type())),
            Gather::Sketch(precision, merges) => {
                Box::new(distinct::Distinct::sketch(first, *precision, *merges))
            }
            Gather::Digest(merges) => Box::new(digest::Digests::new(first, *merges)),
            Gather::Shape => Box::new(shape::Shapes::default()),
            Gather::Ranks(wanted) => Box::new(rank::Ranks::new(first, wanted.clone(), false)),
            Gather::RankArray(wanted) => Box::new(rank::Ranks::new(first, wanted.clone(), true)),
            Gather::WeightedRanks(wanted, as_array) => Box::new(weighted::WeightedRanks::new(
                first,
                wanted.clone(),
                *as_array,
            )),
            Gather::Extreme(greatest) => Box::new(pick::Pick::extreme(
                self.args.clone(),
                self.outputs.clone(),
                *greatest,
            )),
            Gather::Any => Box::new(pick::Pick::any(self.args.clone(), self.outputs.clone())),
            Gather::RealExtreme(greatest) => Box::new(fold::RealExtreme::new(*greatest)),
            Gather::MeanTicks => Box::new(fold::MeanTicks::new(first)),
            Gather::Bits(how) => Box::new(fold::Bits::new(*how, first)),
        })
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        matches!(
            self.gather,
            Gather::Distinct(_) | Gather::Unique | Gather::Extreme(_) | Gather::Any
        )
    }

    fn create_groups_accumulator(
        &self,
        _: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let picks = |wanted| picks::Picks::new(wanted, self.args.clone(), self.outputs.clone());
        let first = self.args.first().copied().unwrap_or(ColumnType::Dynamic);
        Ok(match &self.gather {
            Gather::Distinct(precision) => Box::new(distinct::Sketches::new(first, *precision)),
            Gather::Unique => Box::new(unique::Unique::new(self.argument_type())),
            Gather::Extreme(greatest) => Box::new(picks(pick::Wanted::extreme(*greatest))),
            Gather::Any => Box::new(picks(pick::Wanted::Any)),
            _ => return exec_err!("`{}` goes group by group", self.name()),
        })
    }
}
