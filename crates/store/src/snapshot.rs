//! Reading: one moment of a tenant's rows.
//!
//! A [`View`] pins one immutable value of memory: its chunks and segments stay readable however
//! long a query takes, and no row is seen twice or not at all while a flush or compaction runs.
//! Pruning by time leaves out segments whose manifest says that no row can match.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use access::{Granted, Hunt};
use model::{ColumnType, Schema as HuntingSchema, SegmentId, ServiceName, TableName, TenantId};
use rows::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use rows::{Predicate, RecordBatch, conform, hidden, types};

use crate::Error;
use crate::manifest::{Manifest, PartitionKey};
use crate::memory::{Partition, TenantRows};
use crate::segment::{SegmentFile, SegmentReader};

/// A tenant's rows at one moment, under a grant.
#[derive(Debug, Clone)]
pub struct View {
    tenant: TenantId,
    rows: Arc<TenantRows>,
    tables: access::Only<TableName>,
}

/// One table's rows at one moment.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The table.
    pub table: TableName,
    /// Known columns in documented order, raw columns by name, hidden columns.
    pub schema: SchemaRef,
    /// Rows not yet in segments, in this schema.
    pub memory: Vec<RecordBatch>,
    /// Sealed files; each may lack columns of the schema.
    pub segments: Vec<SegmentHandle>,
}

/// A sealed file that may be read while the handle lives.
#[derive(Debug, Clone)]
pub struct SegmentHandle(pub(crate) Arc<SegmentFile>);

impl SegmentHandle {
    /// Its id.
    pub fn id(&self) -> SegmentId {
        self.0.row.segment
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.0.row.rows
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.0.row.bytes
    }

    /// What its rows are and why they rest here.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Opens it for a query engine. The first reader in a process checks the whole file's digest.
    pub fn reader(&self) -> Result<SegmentReader, Error> {
        self.0.reader()
    }
}

impl View {
    pub(crate) fn new(grant: &Granted<Hunt>, rows: Arc<TenantRows>) -> Self {
        Self {
            tenant: grant.tenant(),
            rows,
            tables: grant.scope().tables.clone(),
        }
    }

    /// Whose rows.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The tables outside the schema, and known tables' extra columns, that this moment has.
    pub fn raw_columns(&self) -> BTreeMap<TableName, BTreeMap<String, ColumnType>> {
        let mut out: BTreeMap<TableName, BTreeMap<String, ColumnType>> = BTreeMap::new();
        for (key, partition) in &self.rows.partitions {
            if !self.tables.allows(&key.table) {
                continue;
            }
            let known = HuntingSchema::hunting().table(key.table.as_str());
            if known.is_none() {
                out.entry(key.table.clone()).or_default();
            }
            for (name, ty) in raw_columns_of(key, partition) {
                out.entry(key.table.clone()).or_default().insert(name, ty);
            }
        }
        out
    }

    /// The services whose rows a table has at this moment.
    pub fn services_of(&self, table: &TableName) -> BTreeSet<ServiceName> {
        self.partitions(table)
            .map(|(key, _)| key.service.clone())
            .collect()
    }

    /// A table's rows that may match `keep`. A table without rows gives an empty view.
    pub fn table(&self, table: &TableName, keep: &Predicate) -> Result<TableView, Error> {
        if !self.tables.allows(table) {
            return Err(Error::NotGranted);
        }
        let schema = self.schema(table);
        let mut view = TableView {
            table: table.clone(),
            schema,
            memory: Vec::new(),
            segments: Vec::new(),
        };
        for (_, partition) in self.partitions(table) {
            for chunk in &partition.chunks {
                view.memory
                    .push(conform(&chunk.batch, &view.schema).map_err(Error::Rows)?);
            }
            let wanted = partition.segments.iter().filter(|s| {
                s.manifest
                    .time
                    .is_none_or(|(from, to)| keep.may_match(from, to))
            });
            view.segments.extend(wanted.cloned().map(SegmentHandle));
        }
        Ok(view)
    }

    fn partitions(
        &self,
        table: &TableName,
    ) -> impl Iterator<Item = (&PartitionKey, &Arc<Partition>)> {
        self.rows
            .partitions
            .iter()
            .filter(move |(key, _)| key.table == *table)
    }

    fn schema(&self, table: &TableName) -> SchemaRef {
        let known = HuntingSchema::hunting().table(table.as_str());
        let mut fields: Vec<FieldRef> = known
            .map(|t| types::table_schema(t).fields().to_vec())
            .unwrap_or_default();
        let mut raw = BTreeMap::new();
        for (key, partition) in self.partitions(table) {
            raw.extend(raw_columns_of(key, partition));
        }
        fields.extend(
            raw.iter()
                .map(|(name, ty)| Arc::new(types::field(name, *ty))),
        );
        fields.extend(
            hidden::ALL
                .iter()
                .filter_map(|name| hidden::field(name))
                .map(Arc::new),
        );
        Arc::new(Schema::new(fields))
    }
}

fn raw_columns_of(key: &PartitionKey, partition: &Partition) -> Vec<(String, ColumnType)> {
    let mut out: BTreeMap<String, ColumnType> = BTreeMap::new();
    for segment in &partition.segments {
        out.extend(segment.manifest.raw_columns.iter().cloned());
    }
    for chunk in &partition.chunks {
        out.extend(raw_columns(&key.table, chunk.batch.schema_ref()));
    }
    out.into_iter().collect()
}

/// The columns of a batch that the schema does not know, with their types.
pub(crate) fn raw_columns(table: &TableName, schema: &SchemaRef) -> Vec<(String, ColumnType)> {
    let known = HuntingSchema::hunting().table(table.as_str());
    let is_raw =
        |name: &str| !hidden::is_hidden(name) && known.is_none_or(|t| t.column(name).is_none());
    let raw = schema.fields().iter().filter(|f| is_raw(f.name()));
    raw.filter_map(|f| Some((f.name().clone(), types::column_type(f)?)))
        .collect()
}

/// The columns of all schemas: visible ones as first seen, then the hidden ones.
pub(crate) fn union_schema<'a>(schemas: impl Iterator<Item = &'a SchemaRef>) -> SchemaRef {
    let mut seen = BTreeSet::new();
    let (mut visible, mut last) = (Vec::new(), Vec::new());
    for field in schemas.flat_map(|s| s.fields().iter()) {
        if seen.insert(field.name().clone()) {
            let place = if hidden::is_hidden(field.name()) {
                &mut last
            } else {
                &mut visible
            };
            place.push(field.clone());
        }
    }
    visible.append(&mut last);
    Arc::new(Schema::new(visible))
}
