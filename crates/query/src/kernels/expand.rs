//! The kernel of `mv-expand`: one row's dynamics become a list of structs, one per output row.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, StringBuilder, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::Result;
use kql::resolved::BagExpansion;
use model::ColumnType;

use super::args::{Arg, Call, Guard, check_made};
use crate::json::Json;
use crate::jsonscan;

/// What one `mv-expand` makes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Expansion {
    /// Type of each expanded column's elements.
    pub(crate) to: Vec<ColumnType>,
    pub(crate) as_pairs: bool,
    pub(crate) item_index: bool,
    pub(crate) rows_max: Option<u64>,
}

/// What a dynamic takes in memory while it is taken apart, in times of its text.
const READ_FACTOR: usize = 4;

impl Expansion {
    pub(crate) fn new(
        to: Vec<ColumnType>,
        bags: BagExpansion,
        item_index: bool,
        rows_max: Option<u64>,
    ) -> Self {
        Self {
            to,
            as_pairs: bags == BagExpansion::Array,
            item_index,
            rows_max,
        }
    }

    fn fields(&self) -> Fields {
        let columns = self.to.iter().enumerate();
        let mut fields: Vec<Field> = columns
            .map(|(i, ty)| {
                Field::new(
                    format!("f{i}"),
                    crate::kernels::decimals::data_type(*ty),
                    true,
                )
            })
            .collect();
        if self.item_index {
            fields.push(Field::new(
                format!("f{}", self.to.len()),
                DataType::Int64,
                true,
            ));
        }
        fields.into()
    }

    fn item(&self) -> FieldRef {
        Arc::new(Field::new("item", DataType::Struct(self.fields()), true))
    }

    /// A list of structs.
    pub(crate) fn data_type(&self) -> DataType {
        DataType::List(self.item())
    }

    pub(crate) fn run(&self, args: &[Arg], rows: usize, guard: &Guard) -> Result<ArrayRef> {
        if let ([list], [ColumnType::String], false) = (args, self.to.as_slice(), self.item_index) {
            return self.texts(list, rows, guard);
        }
        let mut columns: Vec<Vec<Option<Json>>> = vec![Vec::new(); self.to.len()];
        let mut index: Vec<i64> = Vec::new();
        let mut lengths = Vec::with_capacity(rows);
        let (held, mut read) = (guard.hold(), 0);
        for row in 0..rows {
            guard.check()?;
            for arg in args {
                read += arg.text_or_null(row).map_or(0, str::len);
            }
            held.growing(read.saturating_mul(READ_FACTOR))?;
            let expanded: Vec<Vec<Option<Json>>> = args
                .iter()
                .map(|arg| self.elements(arg.json(row)))
                .collect();
            let longest = expanded.iter().map(Vec::len).max().unwrap_or(0);
            let most = self
                .rows_max
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(usize::MAX);
            let length = longest.min(most);
            for (column, mut values) in columns.iter_mut().zip(expanded) {
                values.resize(length, None);
                column.append(&mut values);
            }
            index.extend((0_i64..).take(length));
            lengths.push(length);
        }
        let mut arrays = Vec::with_capacity(columns.len() + 1);
        for (ty, values) in self.to.iter().zip(columns) {
            let call = Call {
                args: &[],
                rows: values.len(),
                result: *ty,
                guard,
            };
            let mut values = values.into_iter();
            let next = |_| values.next().flatten().filter(|value| is_of(value, *ty));
            arrays.push(call.converted(next)?);
        }
        if self.item_index {
            arrays.push(Arc::new(datafusion::arrow::array::Int64Array::from(index)) as ArrayRef);
        }
        self.lists(arrays, lengths)
    }

    /// One column of texts: strings go from list to column as they stand.
    fn texts(&self, list: &Arg, rows: usize, guard: &Guard) -> Result<ArrayRef> {
        let mut out = StringBuilder::new();
        let mut lengths = Vec::with_capacity(rows);
        let (held, mut read) = (guard.hold(), 0);
        let most = self.rows_max.and_then(|n| usize::try_from(n).ok());
        let most = most.unwrap_or(usize::MAX);
        let (mut found, mut shown) = (Vec::new(), String::new());
        for row in 0..rows {
            guard.check()?;
            let text = list
                .text_or_null(row)
                .filter(|_| list.ty() == ColumnType::Dynamic);
            read += text.map_or(0, str::len);
            held.growing(read.saturating_mul(READ_FACTOR))?;
            if let Some(text) = text
                && jsonscan::strings(text, &mut found).is_some()
            {
                found.truncate(most);
                lengths.push(found.len());
                for item in &found {
                    check_made(item, &out, &held)?;
                    out.append_value(item);
                }
                continue;
            }
            let mut items = self.elements(list.json(row));
            items.truncate(most);
            lengths.push(items.len());
            for item in items {
                shown.clear();
                if let Some(item) = item {
                    item.display(&mut shown);
                }
                check_made(&shown, &out, &held)?;
                out.append_value(&shown);
            }
        }
        self.lists(vec![Arc::new(out.finish())], lengths)
    }

    fn lists(&self, arrays: Vec<ArrayRef>, lengths: Vec<usize>) -> Result<ArrayRef> {
        let structs = StructArray::try_new(self.fields(), arrays, None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(
            self.item(),
            offsets,
            Arc::new(structs),
            None,
        )?))
    }

    fn elements(&self, value: Option<Json>) -> Vec<Option<Json>> {
        match value {
            None => vec![None],
            Some(Json::Array(items)) => items.into_iter().map(Some).collect(),
            Some(Json::Bag(entries)) => entries
                .into_iter()
                .map(|(key, value)| {
                    Some(if self.as_pairs {
                        Json::Array(vec![Json::Text(key), value])
                    } else {
                        Json::Bag(vec![(key, value)])
                    })
                })
                .collect(),
            Some(scalar) => vec![Some(scalar)],
        }
    }
}

/// Whether an element is of the type that was said of all: others are null, for `to typeof(…)` reads
/// and converts nothing. A number is of every type of numbers; instants, durations and guids are texts
/// in a dynamic. A string has the text of whatever there is: an empty one would hide it.
fn is_of(value: &Json, ty: ColumnType) -> bool {
    match ty {
        ColumnType::Int | ColumnType::Long | ColumnType::Real | ColumnType::Decimal => {
            match value {
                Json::Long(_) | Json::Real(_) => true,
                // JSON has no numbers for these.
                Json::Text(text) => {
                    ty == ColumnType::Real && matches!(&**text, "NaN" | "Infinity" | "-Infinity")
                }
                _ => false,
            }
        }
        ColumnType::Bool => matches!(value, Json::Bool(_)),
        ColumnType::DateTime | ColumnType::TimeSpan | ColumnType::Guid => {
            matches!(value, Json::Text(_))
        }
        ColumnType::String | ColumnType::Dynamic => true,
    }
}
