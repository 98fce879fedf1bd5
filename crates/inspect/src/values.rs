//! Searching rows by their values, whatever their column's type.

use arrow::array::{
    Array, BinaryArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field};

use crate::{Form, Needles};

/// Calls `each` with column, form and marker for every value, and for every column's name, that holds a
/// marker. Returns how many values were looked at, or the first type that nobody thought of.
pub(crate) fn search(
    needles: &Needles,
    batch: &RecordBatch,
    mut each: impl FnMut(&str, Form, usize),
) -> Result<u64, DataType> {
    let mut values = 0;
    let schema = batch.schema();
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let name = field.name();
        // A column outside the schema is a tenant's content by its name already.
        needles.find(name.as_bytes(), |_, form, marker| each(name, form, marker));
        column_values(needles, field, column, &mut |form, marker| {
            each(name, form, marker);
        })?;
        values += crate::needles::to_u64(column.len());
    }
    Ok(values)
}

/// Searches a text or bytes.
pub(crate) fn bytes(needles: &Needles, bytes: &[u8], each: &mut impl FnMut(Form, usize)) {
    needles.find(bytes, |_, form, marker| each(form, marker));
    needles.numbers_in(bytes, |marker| each(Form::Value, marker));
}

fn column_values(
    needles: &Needles,
    field: &Field,
    column: &dyn Array,
    each: &mut impl FnMut(Form, usize),
) -> Result<(), DataType> {
    let any = column.as_any();
    let number = |value: i64| needles.number(value);
    let mut found = Vec::new();
    if let Some(texts) = any.downcast_ref::<StringArray>() {
        texts
            .iter()
            .flatten()
            .for_each(|text| bytes(needles, text.as_bytes(), each));
    } else if let Some(blobs) = any.downcast_ref::<BinaryArray>() {
        blobs
            .iter()
            .flatten()
            .for_each(|blob| bytes(needles, blob, each));
    } else if let Some(blobs) = any.downcast_ref::<FixedSizeBinaryArray>() {
        blobs
            .iter()
            .flatten()
            .for_each(|blob| bytes(needles, blob, each));
    } else if let Some(numbers) = any.downcast_ref::<Int64Array>() {
        found.extend(numbers.iter().flatten().filter_map(number));
    } else if let Some(numbers) = any.downcast_ref::<Int32Array>() {
        found.extend(numbers.iter().flatten().map(i64::from).filter_map(number));
    } else if let Some(reals) = any.downcast_ref::<Float64Array>() {
        found.extend(reals.iter().flatten().filter_map(|real| needles.real(real)));
    } else if let Some(decimals) = any.downcast_ref::<Decimal128Array>() {
        let scale = decimals.scale();
        found.extend(
            decimals
                .iter()
                .flatten()
                .filter_map(|d| decimal(needles, d, scale)),
        );
    } else if !matches!(field.data_type(), DataType::Boolean | DataType::Null) {
        return Err(field.data_type().clone());
    }
    for marker in found {
        each(Form::Value, marker);
    }
    Ok(())
}

/// A decimal that is a marked whole number or fraction.
fn decimal(needles: &Needles, unscaled: i128, scale: i8) -> Option<usize> {
    let unit = 10_i128.checked_pow(u32::try_from(scale).ok()?)?;
    if unscaled % unit == 0
        && let Ok(whole) = i64::try_from(unscaled / unit)
        && let Some(marker) = needles.number(whole)
    {
        return Some(marker);
    }
    #[expect(clippy::cast_precision_loss, reason = "markers are exact in a double")]
    let real = unscaled as f64 / unit as f64;
    needles.real(real)
}
