//! What the resolver asks about tables.
//!
//! The tenant's tables (the hunting schema and its own raw tables) come through [`SchemaSource`];
//! the resolver never looks anywhere else, so a query cannot name a table its asker must not see.

use std::sync::Arc;

use model::{ColumnType, Schema, TableName};

/// The tables that a query may name.
pub trait SchemaSource {
    /// The table of that exact name.
    fn table(&self, name: &str) -> Option<TableShape>;

    /// All names, for `union *` patterns and "did you mean".
    fn tables(&self) -> Vec<String>;

    /// Whether the operator lets queries read that address (`externaldata`): by default none.
    fn external(&self, address: &str) -> bool {
        let _ = address;
        false
    }

    /// Whether nobody waits for the answer any more: then the query is not read to its end.
    fn is_given_up(&self) -> bool {
        false
    }
}

/// A table as a query sees it. Hidden columns (`_row_id` …) are not listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableShape {
    /// Its name.
    pub name: TableName,
    /// Columns in order.
    pub columns: Vec<(Arc<str>, ColumnType)>,
}

/// The shipped schema, as it is.
impl SchemaSource for Schema {
    fn table(&self, name: &str) -> Option<TableShape> {
        let table = Self::table(self, name)?;
        Some(TableShape {
            name: table.name.clone(),
            columns: table
                .columns
                .iter()
                .map(|c| (c.name.clone(), c.column_type))
                .collect(),
        })
    }

    fn tables(&self) -> Vec<String> {
        Self::tables(self)
            .map(|t| t.name.as_str().to_owned())
            .collect()
    }
}
