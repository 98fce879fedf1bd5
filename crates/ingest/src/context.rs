//! What the caller knows of the source, and the tables and columns outside the schema.

use std::collections::{BTreeMap, BTreeSet};

use model::{ColumnType, Schema, TableName, limits};

/// The column that takes what the quota leaves no column for.
pub const RAW_BAG: &str = "RawColumns";
/// The time column that every raw table has.
pub const RAW_TIME: &str = "Timestamp";

/// Where a row of a table outside the schema may have its time, best first. `ts` and `time` are
/// Zeek's and many exporters', the others Elastic's, Azure's, Office's and `CloudTrail`'s.
pub const TIME_NAMES: [&str; 8] = [
    RAW_TIME,
    "@timestamp",
    "TimeGenerated",
    "timestamp",
    "CreationTime",
    "eventTime",
    "time",
    "ts",
];

/// What a source states about its records, and what its tenant already has.
#[derive(Debug, Clone, Copy)]
pub struct SourceContext<'a> {
    /// The tenant id that the source's envelopes must carry; compared without case. `None`: its
    /// envelopes carry none, and one that does is refused.
    pub envelope_tenant: Option<&'a str>,
    /// The tenant's tables and columns outside the schema.
    pub known_raw: &'a RawSchema,
    /// Names of the tenant's domain controllers, full or short, lower case: their logons are
    /// identity rows as well as endpoint rows.
    pub domain_controllers: &'a BTreeSet<String>,
    /// The raw table that takes [`crate::Format::Json`] records.
    pub raw_table: Option<&'a TableName>,
    /// The column that has the time of rows outside the schema; without it, a usual name is looked
    /// for ([`crate::TIME_NAMES`]).
    pub time_column: Option<&'a str>,
}

/// Tables outside the schema with their columns, and columns outside the schema of tables in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawSchema {
    tables: BTreeMap<TableName, BTreeMap<String, ColumnType>>,
}

impl RawSchema {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            tables: BTreeMap::new(),
        }
    }

    /// Adds a table without columns.
    pub fn add_table(&mut self, table: &TableName) {
        self.tables.entry(table.clone()).or_default();
    }

    /// Adds a column, and its table if need be. The type of a column that is there stays.
    pub fn add(&mut self, table: &TableName, column: &str, column_type: ColumnType) {
        let columns = self.tables.entry(table.clone()).or_default();
        if !columns.contains_key(column) {
            columns.insert(column.to_owned(), column_type);
        }
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Self) {
        for (table, columns) in &other.tables {
            self.add_table(table);
            for (column, column_type) in columns {
                self.add(table, column, *column_type);
            }
        }
    }

    /// Whether the table has an entry.
    pub fn has_table(&self, table: &TableName) -> bool {
        self.tables.contains_key(table)
    }

    /// The type of a column.
    pub fn column(&self, table: &TableName, column: &str) -> Option<ColumnType> {
        self.tables.get(table)?.get(column).copied()
    }

    /// Tables and their columns, both by name.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &BTreeMap<String, ColumnType>)> {
        self.tables.iter()
    }

    /// Whether nothing is outside the schema.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Tables that count against [`limits::RAW_TABLES_MAX`].
    pub fn tables_counted(&self) -> usize {
        let outside = |t: &&TableName| Schema::hunting().table(t.as_str()).is_none();
        self.tables.keys().filter(outside).count()
    }

    /// Columns that count against [`limits::RAW_COLUMNS_MAX`].
    pub fn columns_counted(&self) -> usize {
        let counted = |(table, columns): (&TableName, &BTreeMap<String, ColumnType>)| {
            columns.keys().filter(|c| counts(table, c)).count()
        };
        self.tables.iter().map(counted).sum()
    }
}

/// Whether a column counts against the quota. Those that every tenant gains do not: the time of a
/// raw table, the bag, and `MachineGroup`, which the export adds to all Device and Alert tables
/// although the schema does not have it. Their number is bounded by the tables.
fn counts(table: &TableName, column: &str) -> bool {
    let known = Schema::hunting().table(table.as_str()).is_some();
    match column {
        RAW_BAG => false,
        RAW_TIME => known,
        "MachineGroup" => {
            !known || !(table.as_str().starts_with("Device") || table.as_str().starts_with("Alert"))
        }
        _ => true,
    }
}

/// Decides which raw tables and columns a request may add.
#[derive(Debug)]
pub(crate) struct Quota<'a> {
    known: &'a RawSchema,
    pub(crate) added: RawSchema,
    tables: usize,
    columns: usize,
}

impl<'a> Quota<'a> {
    pub(crate) fn new(known: &'a RawSchema) -> Self {
        Self {
            known,
            added: RawSchema::new(),
            tables: known.tables_counted(),
            columns: known.columns_counted(),
        }
    }

    /// Whether rows may go to this table outside the schema.
    pub(crate) fn admit_table(&mut self, table: &TableName) -> bool {
        if self.known.has_table(table) || self.added.has_table(table) {
            return true;
        }
        if self.tables >= limits::RAW_TABLES_MAX {
            return false;
        }
        self.tables += 1;
        self.added.add_table(table);
        true
    }

    /// Whether the table may have this column outside the schema; otherwise it goes to the bag.
    pub(crate) fn admit_column(&mut self, table: &TableName, column: &str) -> bool {
        if !is_column_name(column) {
            return false;
        }
        if self.known.column(table, column).is_some() || self.added.column(table, column).is_some()
        {
            return true;
        }
        if counts(table, column) {
            if self.columns >= limits::RAW_COLUMNS_MAX {
                return false;
            }
            self.columns += 1;
        }
        self.added.add(table, column, ColumnType::Dynamic);
        true
    }

    /// Notes that the table has one of the columns that are always allowed.
    pub(crate) fn note(&mut self, table: &TableName, column: &str, column_type: ColumnType) {
        if self.known.column(table, column).is_none() {
            self.added.add(table, column, column_type);
        }
    }
}

/// Names that a column may have. A leading underscore is kept for columns of ours, and the bag
/// cannot be a column's name in a record because it is one here.
fn is_column_name(name: &str) -> bool {
    (1..=limits::NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('_')
        && name != RAW_BAG
        && !name.chars().any(char::is_control)
}
