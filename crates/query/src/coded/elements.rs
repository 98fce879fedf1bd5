//! `make_list` and `make_set` by numbers: a value is written as JSON once, however many lists have it.
//!
//! Promise: the same lists as [`crate::aggregates::collect`] makes, element by element.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, BooleanArray, StringArray};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err};

use super::gather::has_nulls;
use super::groups::Pairs;
use super::keys::place;
use super::numbers::Numbers;
use crate::aggregates::Elements;
use crate::aggregates::collect::write_element;
use crate::kernels::args::Arg;

/// The elements of all groups.
pub(super) struct Lists {
    of: Elements,
    values: Numbers,
    /// Of a set: which groups have which values.
    known: Option<Pairs>,
    /// Group and value of each element, in the order in which they came.
    made: Vec<(u32, u32)>,
    /// Elements of each group.
    counts: Vec<usize>,
    /// Of a batch's values.
    numbers: Vec<u32>,
    /// The values as elements, once all are there.
    texts: Option<Texts>,
}

/// Elements one after the other.
struct Texts {
    all: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, number: usize) -> &str {
        let before = number.checked_sub(1);
        let start = before.and_then(|n| self.ends.get(n)).copied().unwrap_or(0);
        let end = self.ends.get(number).copied().unwrap_or(start);
        self.all.get(start..end).unwrap_or_default()
    }
}

impl Lists {
    pub(super) fn new(of: Elements, data_type: &DataType) -> Result<Self> {
        Ok(Self {
            of,
            values: Numbers::new(data_type)?,
            known: of.is_set.then(Pairs::new),
            made: Vec::new(),
            counts: Vec::new(),
            numbers: Vec::new(),
            texts: None,
        })
    }

    pub(super) fn add(
        &mut self,
        column: &ArrayRef,
        groups: &[u32],
        total: usize,
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        self.counts.resize(total.max(self.counts.len()), 0);
        self.values.of(column, &mut self.numbers)?;
        let skips = has_nulls(column) && !self.of.nulls;
        let skipped = skips.then(|| self.values.null()).transpose()?;
        for (row, (group, number)) in groups.iter().zip(&self.numbers).enumerate() {
            if Some(*number) == skipped || filter.is_some_and(|f| !f.value(row)) {
                continue;
            }
            let Some(count) = self.counts.get_mut(place(*group)) else {
                continue;
            };
            if *count >= self.of.limit {
                continue;
            }
            if let Some(known) = &mut self.known
                && !known.number(*group, *number)?.1
            {
                continue;
            }
            *count += 1;
            self.made.push((*group, *number));
        }
        Ok(())
    }

    /// Bytes that the lists will take as text.
    pub(super) fn bytes_of_text(&mut self) -> Result<usize> {
        let texts = match self.texts.take() {
            Some(texts) => texts,
            None => self.written()?,
        };
        let lengths = self
            .made
            .iter()
            .map(|(_, value)| texts.get(place(*value)).len() + 1);
        let bytes = lengths.sum::<usize>() + 2 * self.counts.len() + texts.all.len();
        self.texts = Some(texts);
        Ok(bytes)
    }

    /// All values as elements; none is left in numbers.
    fn written(&mut self) -> Result<Texts> {
        let values = self.values.take()?;
        let arg = Arg::of_array(&values, self.of.ty, false)?;
        let mut texts = Texts {
            all: String::new(),
            ends: Vec::with_capacity(values.len()),
        };
        for row in 0..values.len() {
            if !write_element(&arg, row, &mut texts.all) {
                texts.all.push_str("null");
            }
            texts.ends.push(texts.all.len());
        }
        Ok(texts)
    }

    /// The lists of all groups; nothing is left.
    pub(super) fn take(&mut self) -> Result<ArrayRef> {
        let bytes = self.bytes_of_text()?;
        let Some(texts) = self.texts.take() else {
            return Err(exec_datafusion_err!("lists without texts"));
        };
        self.known = None;
        let counts = std::mem::take(&mut self.counts);
        // Values by groups: where each group's begin, then one after the other.
        let mut next = Vec::with_capacity(counts.len());
        let mut start = 0;
        for count in &counts {
            next.push(start);
            start += count;
        }
        let mut by_group = vec![0_u32; self.made.len()];
        for (group, value) in std::mem::take(&mut self.made) {
            if let Some(at) = next.get_mut(place(group)) {
                if let Some(slot) = by_group.get_mut(*at) {
                    *slot = value;
                }
                *at += 1;
            }
        }
        let mut all = String::with_capacity(bytes);
        let mut offsets = Vec::with_capacity(counts.len() + 1);
        offsets.push(0_i32);
        let mut values = by_group.iter();
        for count in counts {
            all.push('[');
            for (at, value) in values.by_ref().take(count).enumerate() {
                if at > 0 {
                    all.push(',');
                }
                all.push_str(texts.get(place(*value)));
            }
            all.push(']');
            let end = i32::try_from(all.len());
            offsets.push(end.map_err(|_| exec_datafusion_err!("too much text in one column"))?);
        }
        Ok(Arc::new(StringArray::try_new(
            OffsetBuffer::new(offsets.into()),
            Buffer::from_vec(all.into_bytes()),
            None,
        )?))
    }

    pub(super) fn size(&self) -> usize {
        let known = self.known.as_ref().map_or(0, Pairs::size);
        let vectors = (self.made.capacity() + self.counts.capacity()) * 8;
        self.values.size() + known + vectors + self.numbers.capacity() * 4
    }
}
