//! The catalogue: an SQLite file with its log beside it.
//!
//! Read from a copy in memory (`image`), so that nothing in the directory changes, no file appears
//! beside it, and no process is waited for. Every table, column and value is held against a list of
//! this crate's own (`list`).

mod image;
mod list;
mod rows;

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteOwnedBuf};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, TypeInfo, ValueRef};

use crate::Error;
use crate::places::{DataDir, Finding, What};
use crate::shape;
pub(crate) use image::{MAGIC, SHARED_MAGIC, WAL_MAGICS};
use list::{Holds, TABLES};
pub(crate) use rows::{Owner, Rows, SegmentRow, TenantRow};

/// The file's `application_id`: `BWCA`.
const APPLICATION_ID: i64 = 0x4257_4341;
/// The newest format that the list below describes.
const FORMAT: i64 = 3;

/// A catalogue in memory.
pub(crate) struct Catalogue {
    path: PathBuf,
    connection: SqliteConnection,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalogue({})", self.path.display())
    }
}

impl Catalogue {
    /// Reads the database and its log into memory. `None` if it has no page yet.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let image = image::read(path)?;
        let Ok(image) = SqliteOwnedBuf::try_from(image.as_slice()) else {
            return Ok(None);
        };
        let failed = |source| Error::Catalogue {
            path: path.to_owned(),
            source,
        };
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .pragma("trusted_schema", "OFF")
            .pragma("cell_size_check", "ON")
            .disable_statement_logging();
        let connection = block_on(async {
            let mut connection = options.connect().await?;
            connection.deserialize(None, image, true).await?;
            Ok(connection)
        });
        Ok(Some(Self {
            path: path.to_owned(),
            connection: connection.map_err(failed)?,
        }))
    }

    /// Whether the file is a catalogue at all, by its id and format.
    fn is_ours(&mut self) -> Result<bool, Error> {
        let id = self.number("PRAGMA application_id")?;
        let format = self.number("PRAGMA user_version")?;
        Ok(id == APPLICATION_ID && (0..=FORMAT).contains(&format))
    }

    fn number(&mut self, sql: &'static str) -> Result<i64, Error> {
        let rows = self.query(sql.to_owned())?;
        let number = rows.first().and_then(|row| row.try_get::<i64, _>(0).ok());
        Ok(number.unwrap_or(-1))
    }

    fn query(&mut self, sql: String) -> Result<Vec<sqlx::sqlite::SqliteRow>, Error> {
        let query = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        block_on(query).map_err(|source| Error::Catalogue {
            path: self.path.clone(),
            source,
        })
    }

    fn texts(&mut self, sql: String) -> Result<Vec<String>, Error> {
        let rows = self.query(sql)?;
        Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
    }

    /// Holds schema and values against the list.
    pub(crate) fn check(&mut self, of: Option<&DataDir>) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        if !self.is_ours()? {
            findings
                .push(self.finding(What::UnknownFile, "a database of another program or format"));
            return Ok(findings);
        }
        let others = "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')";
        if self.number(others)? != 0 {
            findings.push(self.finding(What::UnknownColumn, "a view or trigger"));
        }
        // SQLite's own tables as well: its statistics quote values.
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        for table in self.texts(tables.to_owned())? {
            let Some((name, columns)) = TABLES.iter().find(|(name, _)| *name == table) else {
                // The name may be somebody's content.
                findings.push(self.finding(What::UnknownColumn, "a table that is on no list"));
                continue;
            };
            for found in self.texts(format!("SELECT name FROM pragma_table_xinfo('{name}')"))? {
                if let Some((column, holds)) = columns.iter().find(|(c, _)| *c == found) {
                    self.values(of, name, column, holds, &mut findings)?;
                } else {
                    let detail = format!("a column of `{name}` that is on no list");
                    findings.push(self.finding(What::UnknownColumn, detail));
                }
            }
        }
        Ok(findings)
    }

    fn values(
        &mut self,
        of: Option<&DataDir>,
        table: &str,
        column: &str,
        holds: &Holds,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let rows = self.query(format!("SELECT \"{column}\" FROM \"{table}\""))?;
        let bad = rows.iter().filter(|row| !fits(row, holds, of)).count();
        if bad > 0 {
            let what = if matches!(holds, Holds::Sealed | Holds::SealedOrNull) {
                What::Clear
            } else {
                What::BadValue
            };
            let detail = format!("{bad} values of `{table}.{column}`");
            findings.push(self.finding(what, detail));
        }
        Ok(())
    }

    fn finding(&self, what: What, detail: impl Into<String>) -> Finding {
        Finding::new(&self.path, what, detail)
    }
}

/// Whether a row's only value is of the kind that its column holds.
fn fits(row: &sqlx::sqlite::SqliteRow, holds: &Holds, of: Option<&DataDir>) -> bool {
    let Ok(value) = row.try_get_raw(0) else {
        return false;
    };
    if value.is_null() {
        return holds.may_be_null();
    }
    let kind = value.type_info().name().to_owned();
    drop(value);
    let text = || row.try_get_unchecked::<String, _>(0).unwrap_or_default();
    let blob = || row.try_get_unchecked::<Vec<u8>, _>(0).unwrap_or_default();
    match holds {
        Holds::Number | Holds::NumberOrNull => kind == "INTEGER",
        Holds::Bytes(len) | Holds::BytesOrNull(len) => kind == "BLOB" && blob().len() == *len,
        Holds::Word(words) => kind == "TEXT" && words.contains(&text().as_str()),
        Holds::Region => kind == "TEXT" && of.is_none_or(|dir| dir.region.as_str() == text()),
        Holds::Geography => kind == "TEXT" && of.is_none_or(|dir| dir.geography.as_str() == text()),
        Holds::Sealed | Holds::SealedOrNull => kind == "BLOB" && shape::looks_sealed(&blob()),
    }
}
