//! `buildschema`: the least schema that all values admit.
//!
//! A scalar is the name of its type, a bag a bag of the schemas of its properties, an array a bag of
//! `` `indexer` `` and the schema of its elements; several of them make an array. Null says nothing.

use datafusion::arrow::array::{Array, ArrayRef, StringArray};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::Accumulator;

use crate::json::Json;

/// The key of the elements of an array.
const INDEXER: &str = "`indexer`";

/// What was seen at one place.
#[derive(Clone, Default, Debug)]
struct Shape {
    /// Names of types, in first-seen order.
    scalars: Vec<String>,
    /// Properties in first-seen order.
    bag: Option<Vec<(String, Self)>>,
    elements: Option<Box<Self>>,
}

impl Shape {
    fn see(&mut self, value: &Json) {
        match value {
            Json::Null => {}
            Json::Bool(_) => self.scalar("bool"),
            Json::Long(_) => self.scalar("long"),
            Json::Real(_) => self.scalar("double"),
            Json::Text(_) => self.scalar("string"),
            Json::Array(items) => {
                let elements = self.elements.get_or_insert_default();
                for item in items {
                    elements.see(item);
                }
            }
            Json::Bag(entries) => {
                for (key, value) in entries {
                    self.property(key).see(value);
                }
                self.bag.get_or_insert_default();
            }
        }
    }

    fn scalar(&mut self, name: &str) {
        if !self.scalars.iter().any(|known| known == name) {
            self.scalars.push(name.to_owned());
        }
    }

    fn property(&mut self, key: &str) -> &mut Self {
        let bag = self.bag.get_or_insert_default();
        let at = match bag.iter().position(|(known, _)| known == key) {
            Some(at) => at,
            None => {
                bag.push((key.to_owned(), Self::default()));
                bag.len() - 1
            }
        };
        // The position was found or made just now.
        #[expect(clippy::indexing_slicing, reason = "see above")]
        &mut bag[at].1
    }

    /// Takes in what [`Self::to_json`] of another says.
    fn read(&mut self, schema: &Json) {
        match schema {
            Json::Text(name) => self.scalar(name),
            Json::Array(all) => {
                for one in all {
                    self.read(one);
                }
            }
            Json::Bag(entries) => match entries.as_slice() {
                [(key, inner)] if key == INDEXER => {
                    self.elements.get_or_insert_default().read(inner);
                }
                entries => {
                    self.bag.get_or_insert_default();
                    for (key, inner) in entries {
                        self.property(key).read(inner);
                    }
                }
            },
            _ => {}
        }
    }

    fn to_json(&self) -> Json {
        let mut all: Vec<Json> = self.scalars.iter().cloned().map(Json::Text).collect();
        if let Some(bag) = &self.bag {
            let entries = bag
                .iter()
                .map(|(key, shape)| (key.clone(), shape.to_json()));
            all.push(Json::Bag(entries.collect()));
        }
        if let Some(elements) = &self.elements {
            all.push(Json::Bag(vec![(INDEXER.to_owned(), elements.to_json())]));
        }
        match all.len() {
            1 => all.pop().unwrap_or(Json::Null),
            _ => Json::Array(all),
        }
    }

    fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.bag.is_none() && self.elements.is_none()
    }
}

#[derive(Default, Debug)]
pub(crate) struct Shapes {
    shape: Shape,
    bytes: usize,
}

impl Shapes {
    fn texts(arrays: &[ArrayRef]) -> Result<&StringArray> {
        let found = arrays
            .first()
            .and_then(|a| a.as_any().downcast_ref::<StringArray>());
        match found {
            Some(array) => Ok(array),
            None => exec_err!("a schema of what is no dynamic"),
        }
    }
}

impl Accumulator for Shapes {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for text in Self::texts(values)?.iter().flatten() {
            self.shape.see(&Json::of_column(text));
        }
        self.bytes = self.shape.to_json().to_text().len();
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let text = (!self.shape.is_empty()).then(|| self.shape.to_json().to_text());
        Ok(ScalarValue::Utf8(text))
    }

    fn size(&self) -> usize {
        size_of_val(self) + 4 * self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for text in Self::texts(states)?.iter().flatten() {
            self.shape.read(&Json::of_column(text));
        }
        Ok(())
    }
}
