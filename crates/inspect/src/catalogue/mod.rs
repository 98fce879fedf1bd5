//! The catalogue: an SQLite file with its log beside it.
//!
//! Read from a copy in memory (`image`), so that nothing in the directory changes, no file appears
//! beside it, and no process is waited for. Every table, column and value is held against a list of
//! this crate's own (`list`).

mod image;
mod list;
pub(crate) mod pages;
mod rows;
mod words;

use std::path::{Path, PathBuf};

use futures::executor::block_on;
use model::RegionCode;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteOwnedBuf};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, TypeInfo, ValueRef};

use crate::Error;
use crate::formats::Fault;
use crate::places::{DataDir, Finding, What};
use crate::shape;
pub(crate) use image::MAGIC;
use list::Holds;
pub(crate) use list::{CATALOGUE, CENTRE, Flavour};
pub(crate) use rows::{Owner, Rows, SegmentRow, TenantRow};

/// A catalogue in memory.
pub(crate) struct Catalogue {
    path: PathBuf,
    flavour: &'static Flavour,
    connection: SqliteConnection,
    /// What is wrong with the file's pages.
    faults: Vec<Fault>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalogue({})", self.path.display())
    }
}

impl Catalogue {
    /// Reads a region's catalogue and its log into memory. `None` if it has no page yet.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        Self::read_as(&CATALOGUE, path)
    }

    /// Reads a database of a kind and its log into memory. `None` if it has no page yet.
    pub(crate) fn read_as(flavour: &'static Flavour, path: &Path) -> Result<Option<Self>, Error> {
        let image = image::read(path)?;
        let faults = pages::image(&image);
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
            flavour,
            connection: connection.map_err(failed)?,
            faults,
        }))
    }

    /// Whether the file is a catalogue at all, by its id and format.
    fn is_ours(&mut self) -> Result<bool, Error> {
        let id = self.number("PRAGMA application_id")?;
        let format = self.number("PRAGMA user_version")?;
        Ok(id == self.flavour.id && (0..=self.flavour.format).contains(&format))
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
        for fault in &self.faults {
            let found = Finding::new(&self.path, fault.what, fault.detail);
            findings.push(found.at(fault.offset));
        }
        self.schema(&mut findings)?;
        // SQLite's own tables as well: its statistics quote values.
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let flavour = self.flavour;
        for table in self.texts(tables.to_owned())? {
            let Some((name, columns)) = flavour.tables.iter().find(|(name, _)| *name == table)
            else {
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

    /// Holds the text of the schema against the list: statements are kept as they were written.
    fn schema(&mut self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let flavour = self.flavour;
        for row in self.query("SELECT type, name, tbl_name, sql FROM sqlite_schema".to_owned())? {
            let text = |at: usize| row.try_get::<Option<String>, _>(at).ok().flatten();
            let kind = text(0).unwrap_or_default();
            let name = text(1).unwrap_or_default();
            let of = text(2).unwrap_or_default();
            let sql = text(3);
            let fault = match (kind.as_str(), sql) {
                ("table", Some(sql)) => {
                    let is_listed = flavour.tables.iter().any(|(table, _)| *table == name);
                    let is_known = words::is_table(&sql, flavour);
                    (is_listed && !is_known)
                        .then_some("a table's statement has more in it than it may")
                }
                // SQLite makes one for each key.
                ("index", None) => {
                    let number = name.strip_prefix(&format!("sqlite_autoindex_{of}_"));
                    let is_made = number.is_some_and(|n| n.len() == 1 && n.parse::<u8>().is_ok());
                    (!is_made).then_some("an index that is on no list")
                }
                ("index", Some(sql)) => {
                    let listed = flavour.indexes.iter().find(|(index, _)| *index == name);
                    let is_same = listed.is_some_and(|(_, listed)| words::plain(&sql) == *listed);
                    (!is_same).then_some("an index that is on no list")
                }
                _ => Some("a view or trigger"),
            };
            if let Some(detail) = fault {
                findings.push(self.finding(What::UnknownColumn, detail));
            }
        }
        Ok(())
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
        Holds::Code => kind == "TEXT" && RegionCode::new(&text()).is_ok(),
        Holds::Sealed | Holds::SealedOrNull => kind == "BLOB" && shape::looks_sealed(&blob()),
    }
}
