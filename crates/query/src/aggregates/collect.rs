//! `make_list`, `make_set`, `make_bag`: arrays and bags as JSON text, in first-seen order.
//!
//! An array among the values is flattened into the result; nulls are skipped unless asked for.

use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;
use model::ColumnType;

use crate::json::{self, Json};
use crate::kernels::args::{Arg, Cell};

/// Elements of a list or a set.
#[derive(Debug)]
pub(crate) struct Elements {
    ty: ColumnType,
    limit: usize,
    nulls: bool,
    /// JSON texts joined by commas.
    text: String,
    count: usize,
    /// For a set, the texts that are in it, and their bytes.
    seen: Option<(HashSet<Box<str>>, usize)>,
}

impl Elements {
    pub(crate) fn list(ty: ColumnType, limit: usize, nulls: bool) -> Self {
        Self {
            ty,
            limit,
            nulls,
            text: String::new(),
            count: 0,
            seen: None,
        }
    }

    pub(crate) fn set(ty: ColumnType, limit: usize) -> Self {
        Self {
            seen: Some((HashSet::new(), 0)),
            ..Self::list(ty, limit, false)
        }
    }

    fn push(&mut self, element: &str) {
        if self.count >= self.limit {
            return;
        }
        if let Some((seen, bytes)) = &mut self.seen {
            if seen.contains(element) {
                return;
            }
            seen.insert(element.into());
            *bytes += element.len() + 48;
        }
        if self.count > 0 {
            self.text.push(',');
        }
        self.text.push_str(element);
        self.count += 1;
    }

    fn push_json(&mut self, value: &Json) {
        match value {
            Json::Null if !self.nulls => {}
            other => self.push(&other.to_text()),
        }
    }
}

/// Writes a value of any type but `dynamic` as an element; whether there is one.
pub(crate) fn write_element(arg: &Arg, row: usize, out: &mut String) -> bool {
    match arg.cell(row) {
        Cell::Null => return false,
        Cell::Text(text) | Cell::Guid(text) => json::write_text(text, out),
        _ => match arg.json(row) {
            None | Some(Json::Null) => return false,
            Some(value) => out.push_str(&value.to_text()),
        },
    }
    true
}

impl Accumulator for Elements {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(array) = values.first() else {
            return exec_err!("a list of nothing");
        };
        let arg = Arg::of_array(array, self.ty, false)?;
        let mut element = String::new();
        for row in 0..array.len() {
            if self.count >= self.limit {
                break;
            }
            if let Cell::Dynamic(text) = arg.cell(row) {
                match Json::of_column(text) {
                    Json::Array(items) => {
                        for item in &items {
                            self.push_json(item);
                        }
                    }
                    other => self.push_json(&other),
                }
                continue;
            }
            element.clear();
            if write_element(&arg, row, &mut element) {
                self.push(&element);
            } else if self.nulls {
                self.push("null");
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8(Some(format!("[{}]", self.text))))
    }

    fn size(&self) -> usize {
        let seen = self.seen.as_ref().map_or(0, |(_, bytes)| *bytes);
        size_of_val(self) + self.text.capacity() + seen
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for text in texts(states)? {
            if let Some(Json::Array(items)) = Json::parse(text) {
                for item in &items {
                    self.push(&item.to_text());
                }
            }
        }
        Ok(())
    }
}

/// Entries of a bag; the first value of a key stays.
#[derive(Debug)]
pub(crate) struct Entries {
    limit: usize,
    bag: Vec<(String, Json)>,
    known: HashSet<String>,
    bytes: usize,
}

impl Entries {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            bag: Vec::new(),
            known: HashSet::new(),
            bytes: 0,
        }
    }
}

impl Accumulator for Entries {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for text in texts(values)? {
            let Some(Json::Bag(entries)) = Json::parse(text) else {
                continue;
            };
            self.bytes += 2 * text.len();
            for (key, value) in entries {
                if self.bag.len() < self.limit && self.known.insert(key.clone()) {
                    self.bag.push((key, value));
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8(Some(
            Json::Bag(self.bag.clone()).to_text(),
        )))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

fn texts(arrays: &[ArrayRef]) -> Result<impl Iterator<Item = &str>> {
    let array = arrays
        .first()
        .and_then(|a| a.as_any().downcast_ref::<StringArray>());
    let Some(array) = array else {
        return exec_err!("not a column of texts");
    };
    Ok(array.iter().flatten())
}
