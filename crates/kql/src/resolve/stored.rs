//! Stored columns that are no part of a table's shape, for the queries that ask for them.
//!
//! `ingestion_time()` and `row_id()` read one each; `_source_fields` can be named. Whoever asks gets
//! the column carried along, hidden, from the table to where a projection or grouping ends the row;
//! `*`, `pack_all()`, `search` and the result never have it. Other queries do without.

use model::{ColumnType, Span};

use super::{Broken, Resolver, Row, column};
use crate::codes;
use crate::resolved::{Expr, Field, Value};
use crate::syntax::{Kind, Node};

/// When the row came.
pub(super) const INGESTED_AT: &str = "_ingested_at";
/// What the row is called.
pub(super) const ROW_ID: &str = "_row_id";
/// What the source said, under its own names.
const SOURCE_FIELDS: &str = "_source_fields";

/// Stored column, its type for a query, and the word that asks for it.
const ASKED_FOR: [(&str, ColumnType, &str); 3] = [
    (INGESTED_AT, ColumnType::DateTime, "ingestion_time"),
    (ROW_ID, ColumnType::String, "row_id"),
    (SOURCE_FIELDS, ColumnType::Dynamic, SOURCE_FIELDS),
];

/// Every stored column that no table lists, and what to say to who names it.
const ALL: [(&str, Option<&str>); 5] = [
    (INGESTED_AT, Some("`ingestion_time()` gives it")),
    (ROW_ID, Some("`row_id()` gives it")),
    (
        SOURCE_FIELDS,
        Some("name it in an expression, before the row of the table is projected or grouped"),
    ),
    ("_service", None),
    ("_source", None),
];

/// The columns that a query asks for.
pub(super) fn asked_for(root: &Node) -> Vec<Field> {
    let mut found = [false; ASKED_FOR.len()];
    let tokens = root
        .descendants_with_tokens()
        .filter_map(rowan::NodeOrToken::into_token);
    for token in tokens.filter(|t| matches!(t.kind(), Kind::Word | Kind::String)) {
        // `['name']` is a name, too: quotes aside.
        let text = token.text().trim_matches(|c| matches!(c, '"' | '\''));
        for (found, (_, _, word)) in found.iter_mut().zip(&ASKED_FOR) {
            *found |= text == *word;
        }
    }
    let wanted = ASKED_FOR.iter().zip(found).filter(|(_, found)| *found);
    wanted
        .map(|((name, ty, _), _)| Field {
            name: (*name).into(),
            ty: *ty,
            hidden: true,
        })
        .collect()
}

/// Whether a column is one of these, carried along.
pub(super) fn is_stored(field: &Field) -> bool {
    field.hidden && ASKED_FOR.iter().any(|(name, ..)| *name == &*field.name)
}

/// The carried column of that name, or what a row without it has.
pub(super) fn read(row: Row<'_>, name: &str, ty: ColumnType, at: Span) -> Expr {
    match position(row, name) {
        Some(position) => column(position, ty, at),
        // Once the row has been projected nobody knows.
        None => Expr::literal(Value::missing(ty), at),
    }
}

/// A carried column that can be named.
pub(super) fn named(row: Row<'_>, name: &str, at: Span) -> Option<Expr> {
    let position = position(row, name).filter(|_| name == SOURCE_FIELDS)?;
    Some(column(position, ColumnType::Dynamic, at))
}

fn position(row: Row<'_>, name: &str) -> Option<usize> {
    row.columns
        .iter()
        .position(|f| f.hidden && *f.name == *name)
}

impl Resolver<'_> {
    /// Refuses a name that stands for a stored column, if it is one.
    pub(super) fn refuse_stored(&mut self, name: &str, at: Span) -> Option<Broken> {
        let (_, help) = ALL.iter().find(|(known, _)| *known == name)?;
        let message = format!("column `{name}` cannot be named here");
        Some(match help {
            Some(help) => self.error_help(codes::HIDDEN_COLUMN, at, message, *help),
            None => self.error(codes::HIDDEN_COLUMN, at, message),
        })
    }
}
