//! Rows out of arrays, and columns out of texts: `mv-expand` and `parse`.

use kql::resolved::{BagExpansion, Expanded, PatternMode, TextForm, TextPart, Value};
use model::ColumnType;

use crate::Unsupported;
use crate::json::Json;
use crate::relations::{Row, Rows};
use crate::values::{convert, element, is_null};

/// How rows become several.
pub(crate) struct Expansion<'a> {
    pub(crate) columns: &'a [Expanded],
    pub(crate) bags: BagExpansion,
    pub(crate) item_index: bool,
    pub(crate) rows_max: Option<u64>,
}

impl Expansion<'_> {
    pub(crate) fn rows(&self, rows: Rows) -> Result<Rows, Unsupported> {
        let mut out = Vec::new();
        for row in rows {
            let mut lists = Vec::new();
            for one in self.columns {
                let value = row.get(one.column);
                lists.push(self.elements(value.ok_or_else(|| Unsupported::new(one.column))?)?);
            }
            let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
            let most = self.rows_max.and_then(|n| usize::try_from(n).ok());
            for at in 0..longest.min(most.unwrap_or(usize::MAX)) {
                let mut new = row.clone();
                for (one, list) in self.columns.iter().zip(&lists) {
                    let json = list.get(at).unwrap_or(&Json::Null);
                    if let Some(cell) = new.get_mut(one.column) {
                        *cell = element(json, one.to)?;
                    }
                }
                if self.item_index {
                    new.push(Value::Long(i64::try_from(at).unwrap_or(i64::MAX)));
                }
                out.push(new);
            }
        }
        Ok(out)
    }

    /// Of a null one null; of a scalar itself.
    fn elements(&self, value: &Value) -> Result<Vec<Json>, Unsupported> {
        Ok(match Json::of(value)? {
            Json::Array(elements) => elements,
            Json::Bag(entries) => {
                let single = |(key, value)| match self.bags {
                    BagExpansion::Bag => Json::Bag(vec![(key, value)]),
                    BagExpansion::Array => Json::Array(vec![Json::Text(key), value]),
                };
                entries.into_iter().map(single).collect()
            }
            other => vec![other],
        })
    }
}

/// The captures of a text, then whether it has the form.
pub(crate) fn captured(
    text: &str,
    form: &TextForm,
    types: &[ColumnType],
) -> Result<Row, Unsupported> {
    let (parts, relaxed) = match form {
        TextForm::Pattern {
            parts,
            mode: PatternMode::Simple,
        } => (parts, false),
        TextForm::Pattern {
            parts,
            mode: PatternMode::Relaxed,
        } => (parts, true),
        other => return Err(Unsupported::new(other)),
    };
    let missing = || {
        let mut row: Row = types.iter().map(|ty| Value::missing(*ty)).collect();
        row.push(Value::Bool(false));
        row
    };
    let Some((texts, could_differ)) = cut(text, parts) else {
        return Ok(missing());
    };
    let mut row = Row::new();
    for (text, ty) in texts.iter().zip(types) {
        row.push(convert(&Value::String(text.as_str().into()), *ty)?);
    }
    if !relaxed && row.iter().any(is_null) {
        // Whether a later end of a capture is tried then, nothing says.
        return if could_differ {
            Err(Unsupported::new("a pattern that fits in several ways"))
        } else {
            Ok(missing())
        };
    }
    row.push(Value::Bool(true));
    Ok(row)
}

/// What stands in the captures, each up to the first place of the text after it; and whether there
/// are further places. Nothing if the text has another form.
fn cut(text: &str, parts: &[TextPart]) -> Option<(Vec<String>, bool)> {
    let mut texts = Vec::new();
    let mut rest = text;
    let mut could_differ = false;
    let mut open: Option<bool> = None;
    for part in parts {
        match part {
            TextPart::Text(wanted) => {
                let (before, after) = rest.split_once(&**wanted)?;
                match open.take() {
                    None if !before.is_empty() => return None,
                    Some(true) => texts.push(before.to_owned()),
                    _ => {}
                }
                could_differ |= after.contains(&**wanted);
                rest = after;
            }
            TextPart::Skip => open = Some(false),
            TextPart::Capture => open = Some(true),
        }
    }
    match open {
        Some(true) => texts.push(rest.to_owned()),
        None if !rest.is_empty() => return None,
        _ => {}
    }
    Some((texts, could_differ))
}
