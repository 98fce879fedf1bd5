//! A condition that a join learns of its first side: a text is one of those that side has.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::keys::Keys;
use super::numbers::texts_of;

/// Whether a text, or null, is among those that are known.
#[derive(Debug)]
pub(super) struct Among {
    text: Arc<dyn PhysicalExpr>,
    keys: Arc<Keys>,
    /// The column of the keys.
    at: usize,
}

impl Among {
    pub(super) fn new(text: Arc<dyn PhysicalExpr>, keys: Arc<Keys>, at: usize) -> Self {
        Self { text, keys, at }
    }
}

impl PartialEq for Among {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq(&other.text) && self.at == other.at && Arc::ptr_eq(&self.keys, &other.keys)
    }
}

impl Eq for Among {}

impl Hash for Among {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        Arc::as_ptr(&self.keys).hash(state);
    }
}

impl fmt::Display for Among {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} among {} keys", self.text, self.keys.len())
    }
}

impl PhysicalExpr for Among {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts: ArrayRef = self.text.evaluate(batch)?.into_array(batch.num_rows())?;
        let answers = self.keys.know_texts(self.at, texts_of(&texts)?);
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.text]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(text) if children.is_empty() => {
                Ok(Arc::new(Self::new(text, self.keys.clone(), self.at)))
            }
            _ => plan_err!("one text is looked for"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
