//! Columns that stand in the data: what a [`Probe`] finds in the relation it names.

use std::collections::HashMap;
use std::sync::Arc;

use kql::resolved::{Found, Probe, ProbeKind};
use model::ColumnType;

use crate::error::Error;
use crate::json::Json;
use crate::kernels::args::{Arg, Guard};
use crate::lower::SharedRows;

/// Columns that one probe finds at most; the rest stays in the bag.
const FOUND_MAX: usize = 1_000;

/// Looks for the names that `probe` wants.
pub(crate) fn find(probe: &Probe, rows: &SharedRows, guard: &Guard) -> Result<Found, Error> {
    let mut names: Vec<(Arc<str>, Option<ColumnType>)> = Vec::new();
    let mut known: HashMap<Arc<str>, usize> = HashMap::new();
    for batch in &rows.batches {
        let Some(column) = batch.columns().get(probe.column) else {
            continue;
        };
        let ty = match probe.wanted {
            ProbeKind::Keys => ColumnType::Dynamic,
            ProbeKind::Values => ColumnType::String,
        };
        let values = Arg::of_array(column, ty, false)?;
        for row in 0..batch.num_rows() {
            guard.check()?;
            match probe.wanted {
                ProbeKind::Keys => {
                    let Some(Json::Bag(entries)) = values.json(row) else {
                        continue;
                    };
                    for (key, value) in entries {
                        note(&mut names, &mut known, &key, type_of(&value));
                    }
                }
                ProbeKind::Values => {
                    let text = values.text(row).to_owned();
                    note(&mut names, &mut known, &text, Some(ColumnType::String));
                }
            }
        }
    }
    if probe.wanted == ProbeKind::Values {
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    Ok(names
        .into_iter()
        .map(|(name, ty)| (name, ty.unwrap_or(ColumnType::Dynamic)))
        .collect())
}

fn note(
    names: &mut Vec<(Arc<str>, Option<ColumnType>)>,
    known: &mut HashMap<Arc<str>, usize>,
    name: &str,
    ty: Option<ColumnType>,
) {
    if let Some(at) = known.get(name) {
        if let Some((_, so_far)) = names.get_mut(*at) {
            *so_far = merged(*so_far, ty);
        }
    } else if names.len() < FOUND_MAX {
        let name: Arc<str> = name.into();
        known.insert(name.clone(), names.len());
        names.push((name, ty));
    }
}

/// The type of a value; a null says nothing.
fn type_of(value: &Json) -> Option<ColumnType> {
    match value {
        Json::Null => None,
        Json::Bool(_) => Some(ColumnType::Bool),
        Json::Long(_) => Some(ColumnType::Long),
        Json::Real(_) => Some(ColumnType::Real),
        Json::Text(_) => Some(ColumnType::String),
        Json::Array(_) | Json::Bag(_) => Some(ColumnType::Dynamic),
    }
}

fn merged(a: Option<ColumnType>, b: Option<ColumnType>) -> Option<ColumnType> {
    match (a, b) {
        (None, other) | (other, None) => other,
        (Some(a), Some(b)) if a == b => Some(a),
        (Some(ColumnType::Long), Some(ColumnType::Real))
        | (Some(ColumnType::Real), Some(ColumnType::Long)) => Some(ColumnType::Real),
        _ => Some(ColumnType::Dynamic),
    }
}
