//! Rows of the catalogue that do not open, one by one.
//!
//! What authenticates a row also finds it changed, or brought from another place. Such a row is named
//! (table and number are no content) and left out; what stands beside it is served.
//!
//! Promises
//! - A row that does not open is never shown, nor taken for one that is not there.
//! - It is said once in the log, and named by [`Store::damaged_rows`] until it opens or is written anew.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use access::{Granted, ReadIncidents};
use model::{Code, limits};

use crate::Error;
use crate::open::{Inner, Store, TenantState};

/// A row that does not open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DamagedRow {
    /// The catalogue's table.
    pub table: &'static str,
    /// The row: its number or id.
    pub number: String,
}

impl DamagedRow {
    /// As the answer to whoever asks for this row alone.
    pub(crate) fn into_error(self) -> Error {
        let Self { table, number } = self;
        Error::RowDamaged { table, number }
    }
}

impl TenantState {
    /// Whether the row is not known as damaged yet; notes it.
    fn note_damaged(&self, row: &DamagedRow) -> bool {
        let rows = self.damaged_rows.write();
        let mut rows = rows.unwrap_or_else(PoisonError::into_inner);
        // LIMIT: beyond, rows are still left out and said, but not remembered.
        rows.len() >= limits::DAMAGED_ROWS_NAMED_MAX || rows.insert(row.clone())
    }

    fn note_sound(&self, row: &DamagedRow) {
        let rows = self.damaged_rows.read();
        if rows.unwrap_or_else(PoisonError::into_inner).is_empty() {
            return;
        }
        let rows = self.damaged_rows.write();
        rows.unwrap_or_else(PoisonError::into_inner).remove(row);
    }

    /// The rows known as damaged.
    pub(crate) fn damaged(&self) -> BTreeSet<DamagedRow> {
        let rows = self.damaged_rows.read();
        rows.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Inner {
    /// What was opened; nothing if it is damaged, which is noted.
    pub(crate) fn isolate<T>(
        &self,
        state: &TenantState,
        row: DamagedRow,
        number: impl Into<access::Value>,
        opened: Result<T, Error>,
    ) -> Result<Result<T, DamagedRow>, Error> {
        match opened {
            Ok(value) => {
                state.note_sound(&row);
                Ok(Ok(value))
            }
            Err(Error::Key(_) | Error::Form { .. }) => {
                if state.note_damaged(&row) {
                    let fields = [
                        ("tenant", state.tenant.into()),
                        ("table", row.table.into()),
                        ("row", number.into()),
                    ];
                    self.cx.error("row_damaged", Code::TenantDamaged, &fields);
                }
                Ok(Err(row))
            }
            Err(other) => Err(other),
        }
    }
}

impl Store {
    /// Rows of the tenant that lists have left out because they do not open.
    pub fn damaged_rows(&self, grant: &Granted<ReadIncidents>) -> Result<Vec<DamagedRow>, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        Ok(state.damaged().into_iter().collect())
    }

    /// How many of them there are.
    pub fn damaged_row_count(&self, tenant: model::TenantId) -> usize {
        let state = self.inner.tenant(tenant);
        state.map_or(0, |state| state.damaged().len())
    }
}
