//! The ingest pipeline: decode, tell the service, place, stamp, store.
//!
//! Each record goes its own way: rows that belong here are stored, rows of another region come back
//! as misdirected (held in memory only), what cannot be used comes back with its code. One record may
//! do two of these at once, when it makes rows of two services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use access::{Granted, Ingest};
use ingest::{Decoded, Format, RawSchema, Rejected, SourceContext, Tally};
use model::{ColumnType, RegionCode, RequestId, RowId, ServiceName, SourceId, TableName, Ticks};
use residency::{NotHere, place, service_of};
use rows::{TableRows, hidden};
use store::{Durable, PlacedRows, SourceCounts};

use crate::Error;
use crate::cell::{Cell, Source, Tenant, sum};
use crate::detection::OWN_SOURCE;

/// A request to store records.
#[derive(Debug, Clone)]
pub struct IngestRequest {
    /// The format if it was stated.
    pub format: Option<Format>,
    /// The content encoding if it was stated.
    pub encoding: Option<String>,
    /// The content type if it was stated.
    pub content_type: Option<String>,
    /// For plain JSON, the table.
    pub raw_table: Option<TableName>,
    /// For rows outside the schema, the column with their time.
    pub time_column: Option<String>,
    /// The body as it arrived.
    pub body: Vec<u8>,
    /// The id of the request; identifies rows whose source does not.
    pub request: RequestId,
    /// Decode and place, store nothing.
    pub dry_run: bool,
}

/// A record that made rows of a service which rests in another region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misdirected {
    /// Its index in the request.
    pub record: u64,
    /// Where it begins, in bytes of the decompressed body.
    pub offset: Option<u64>,
    /// The table.
    pub table: TableName,
    /// The service.
    pub service: ServiceName,
    /// Where it belongs.
    pub region: RegionCode,
}

/// What became of a request.
#[derive(Debug, Clone, Default)]
pub struct IngestOutcome {
    /// Records read.
    pub read: u64,
    /// Rows that are new, now durable (or would be, in a dry run).
    pub stored: u64,
    /// Rows that had been stored before.
    pub duplicates: u64,
    /// How records came to their tables.
    pub tally: Tally,
    /// Refused records, in order.
    pub rejected: Vec<Rejected>,
    /// Records of other regions, in order.
    pub wrong_region: Vec<Misdirected>,
    /// New rows by table.
    pub tables: BTreeMap<TableName, u64>,
    /// The durable rows, for whoever goes on with them.
    pub durable: Vec<Durable>,
}

impl IngestOutcome {
    /// Whether nothing of the request belongs here: every record was placed elsewhere.
    pub fn is_all_elsewhere(&self) -> bool {
        self.stored + self.duplicates == 0
            && self.rejected.is_empty()
            && !self.wrong_region.is_empty()
    }
}

/// Rows that were told apart by where they belong.
#[derive(Default)]
struct Sorted {
    here: Vec<PlacedRows>,
    /// The records of these rows, batch by batch.
    records: Vec<Vec<u64>>,
    rejected: Vec<Rejected>,
    wrong_region: Vec<Misdirected>,
    /// Rows by table.
    tables: BTreeMap<TableName, u64>,
}

/// How often a tenant's first rows are placed anew because its document was replaced meanwhile.
const PLACED_TRIES_MAX: u32 = 3;

impl Cell {
    /// Stores the records of a request that belong here. On return the new rows are durable.
    pub async fn ingest(
        &self,
        grant: &Granted<Ingest>,
        source: SourceId,
        request: IngestRequest,
    ) -> Result<IngestOutcome, Error> {
        let request = Arc::new(request);
        let mut tries = 1;
        loop {
            let tenant = self.tenant_of(grant.tenant())?;
            let version = tenant.document_version;
            let done = self.ingest_placed(grant, tenant, source, request.clone());
            let done = done.await;
            let refused = matches!(&done, Err(error) if error.code() == model::Code::Conflict);
            // The tenant's first rows, placed by a document that was replaced meanwhile: they may belong
            // elsewhere now, and are placed anew.
            let replaced = refused && self.tenant_of(grant.tenant())?.document_version != version;
            if !replaced || tries == PLACED_TRIES_MAX {
                return done;
            }
            tries += 1;
        }
    }

    async fn ingest_placed(
        &self,
        grant: &Granted<Ingest>,
        tenant: Arc<Tenant>,
        source: SourceId,
        request: Arc<IngestRequest>,
    ) -> Result<IngestOutcome, Error> {
        if !grant.scope().sources.allows(&source) {
            return Err(Error::NotFound("source"));
        }
        let source = self.own_source(grant.tenant(), source)?;
        if source.entry.disabled {
            return Err(Error::Conflict("the source is switched off".to_owned()));
        }
        let dry_run = request.dry_run;
        let ingested_at = self.inner.cx.now();
        let (decoded, sorted) = {
            let (cell, tenant, source) = (self.clone(), tenant.clone(), source.clone());
            let work = move || cell.decode_and_place(&tenant, &source, &request, ingested_at);
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| Error::Internal)??
        };
        let mut outcome = IngestOutcome {
            read: decoded.read,
            tally: decoded.tally,
            rejected: decoded.rejected,
            wrong_region: sorted.wrong_region,
            tables: sorted.tables,
            ..IngestOutcome::default()
        };
        outcome.rejected.extend(sorted.rejected);
        outcome.rejected.sort_by_key(|r| (r.record, r.code));
        if dry_run {
            outcome.stored = outcome.tables.values().sum();
            return Ok(outcome);
        }
        self.learn(
            &tenant,
            &source,
            &decoded.new_raw,
            decoded.domain_controllers,
        )
        .await?;
        let placed_by = Some(tenant.document_version);
        let append = self.store();
        let appended = append.append_placed_by(grant, sorted.here, placed_by);
        let appended = appended.await?;
        outcome.tables.clear();
        for durable in &appended.durable {
            let rows = u64::try_from(durable.batch().num_rows()).unwrap_or(u64::MAX);
            outcome.stored += rows;
            *outcome.tables.entry(durable.table().clone()).or_default() += rows;
        }
        outcome.duplicates = appended.duplicates;
        outcome.durable = appended.durable;
        count(&source, &outcome, ingested_at);
        Ok(outcome)
    }

    fn decode_and_place(
        &self,
        tenant: &Tenant,
        source: &Source,
        request: &IngestRequest,
        ingested_at: Ticks,
    ) -> Result<(Decoded, Sorted), Error> {
        let known_raw = tenant
            .raw
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let controllers = controllers_of(source);
        let context = SourceContext {
            envelope_tenant: source.entry.envelope_tenant.as_deref(),
            known_raw: &known_raw,
            domain_controllers: &controllers,
            raw_table: request.raw_table.as_ref(),
            time_column: request.time_column.as_deref(),
        };
        let mut decoded = ingest::decode_request(
            request.format,
            request.encoding.as_deref(),
            request.content_type.as_deref(),
            &request.body,
            &context,
        )?;
        let mut sorted = Sorted::default();
        for rows in std::mem::take(&mut decoded.batches) {
            self.place_rows(tenant, source, request, ingested_at, rows, &mut sorted)?;
        }
        sorted.wrong_region.sort_by_key(|m| m.record);
        for refused in &mut sorted.rejected {
            refused.offset = start_of(&decoded, refused.record);
        }
        for elsewhere in &mut sorted.wrong_region {
            elsewhere.offset = start_of(&decoded, elsewhere.record);
        }
        if !sorted.rejected.is_empty() || !sorted.wrong_region.is_empty() {
            recount(&mut decoded, &sorted);
        }
        Ok((decoded, sorted))
    }

    fn place_rows(
        &self,
        tenant: &Tenant,
        source: &Source,
        request: &IngestRequest,
        ingested_at: Ticks,
        rows: TableRows,
        sorted: &mut Sorted,
    ) -> Result<(), Error> {
        let services = &source.entry.services;
        let service = match service_of(&tenant.registry, &tenant.placement, &rows.table, services) {
            Ok(service) => service.clone(),
            Err(error) => {
                let reason = match error.code() {
                    model::Code::ServiceNotDeclared => {
                        "the table's service is not among those that the source declares"
                    }
                    _ => "a table outside the schema needs a source with exactly one service",
                };
                let service = tenant.registry.service_of_table(&rows.table).cloned();
                reject_all(&rows, error.code(), reason, service, sorted);
                return Ok(());
            }
        };
        let placement = match place(&tenant.placement, self.region(), &service) {
            Ok(placement) => placement,
            Err(NotHere::WrongRegion { region, .. }) => {
                let records: BTreeSet<u64> = rows.record.iter().copied().collect();
                sorted
                    .wrong_region
                    .extend(records.into_iter().map(|record| Misdirected {
                        record,
                        offset: None,
                        table: rows.table.clone(),
                        service: service.clone(),
                        region: region.clone(),
                    }));
                return Ok(());
            }
            Err(refused) => {
                let reason =
                    "no deployed region satisfies the storage rule of the record's service";
                reject_all(&rows, refused.code(), reason, Some(service), sorted);
                return Ok(());
            }
        };
        let ids = self.row_ids(tenant, source.entry.source, request, &rows)?;
        let stamp = hidden::Stamp {
            ingested_at,
            service: &service,
            source: source.entry.source,
            row_ids: &ids,
        };
        let batch =
            hidden::stamp(&rows.batch, &stamp).map_err(|e| Error::from(store::Error::Rows(e)))?;
        let n = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        *sorted.tables.entry(rows.table.clone()).or_default() += n;
        let source = source.entry.source;
        sorted.records.push(rows.record);
        sorted.here.push(PlacedRows {
            table: rows.table,
            placement,
            batch,
            ingested_at,
            source,
        });
        Ok(())
    }

    /// Places and stamps rows that the cell itself made of the tenant's alerts.
    pub(crate) fn place_own(
        &self,
        tenant: &Tenant,
        rows: Vec<TableRows>,
    ) -> Result<Vec<PlacedRows>, Error> {
        let ingested_at = self.inner.cx.now();
        let vault = self.store().vault().tenant(tenant.id)?;
        let mut placed = Vec::new();
        for rows in rows {
            let service = tenant.registry.service_of_table(&rows.table);
            let service = service.ok_or(Error::Internal)?.clone();
            let placement =
                place(&tenant.placement, self.region(), &service).map_err(|_| Error::Internal)?;
            let ids: Vec<RowId> = rows
                .identity
                .iter()
                .map(|identity| vault.row_id(&rows.table, OWN_SOURCE.as_bytes(), identity))
                .collect();
            let stamp = hidden::Stamp {
                ingested_at,
                service: &service,
                source: OWN_SOURCE,
                row_ids: &ids,
            };
            let batch = hidden::stamp(&rows.batch, &stamp)
                .map_err(|e| Error::from(store::Error::Rows(e)))?;
            placed.push(PlacedRows {
                table: rows.table,
                placement,
                batch,
                ingested_at,
                source: OWN_SOURCE,
            });
        }
        Ok(placed)
    }

    /// Identity of each row under the tenant's key (architecture §5.3).
    fn row_ids(
        &self,
        tenant: &Tenant,
        source: SourceId,
        request: &IngestRequest,
        rows: &TableRows,
    ) -> Result<Vec<RowId>, Error> {
        let vault = self.store().vault().tenant(tenant.id)?;
        let mut ids = Vec::with_capacity(rows.identity.len());
        for (identity, record) in rows.identity.iter().zip(&rows.record) {
            // Plain JSON says nothing of its records' identity: two equal ones are two events, and
            // a repeat is known by its request and the position in it.
            let says_nothing = identity.is_empty() || request.format == Some(Format::Json);
            ids.push(if says_nothing {
                let fallback = crypto::Fields::new("position")
                    .with(request.request.as_bytes())
                    .with_u64(*record)
                    .into_bytes();
                vault.row_id(&rows.table, source.as_bytes(), &fallback)
            } else {
                vault.row_id(&rows.table, source.as_bytes(), identity)
            });
        }
        Ok(ids)
    }

    /// Keeps what the request taught: tables and columns outside the schema, domain controllers.
    async fn learn(
        &self,
        tenant: &Tenant,
        source: &Source,
        new_raw: &RawSchema,
        controllers: BTreeSet<String>,
    ) -> Result<(), Error> {
        if !controllers.is_empty() {
            let mut learnt = source
                .learnt_controllers
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            learnt.extend(controllers);
        }
        if new_raw.is_empty() {
            return Ok(());
        }
        let _one = self.inner.changing.lock().await;
        let merged = {
            let mut merged = tenant
                .raw
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            merged.merge(new_raw);
            merged
        };
        self.store()
            .put_raw_schema(tenant.id, &raw_schema_to_bytes(&merged)?)
            .await?;
        *tenant.raw.write().unwrap_or_else(PoisonError::into_inner) = merged;
        Ok(())
    }
}

fn controllers_of(source: &Source) -> BTreeSet<String> {
    let learnt = source
        .learnt_controllers
        .read()
        .unwrap_or_else(PoisonError::into_inner);
    let stated = source
        .entry
        .domain_controllers
        .iter()
        .map(|name| name.to_lowercase());
    stated.chain(learnt.iter().cloned()).collect()
}

fn start_of(decoded: &Decoded, record: u64) -> Option<u64> {
    let at = usize::try_from(record).ok()?;
    decoded.starts.get(at).copied()
}

/// How records came to their tables, for those of which a row rests here: what was refused or belongs
/// elsewhere was not kept, raw or otherwise.
fn recount(decoded: &mut Decoded, sorted: &Sorted) {
    let mut here = vec![false; decoded.starts.len()];
    let mut kept = 0;
    for record in sorted.records.iter().flatten() {
        let at = usize::try_from(*record).unwrap_or(usize::MAX);
        if let Some(here) = here.get_mut(at) {
            kept += u64::from(!*here);
            *here = true;
        }
    }
    let is_here = |record: &&u64| {
        let at = usize::try_from(**record).unwrap_or(usize::MAX);
        here.get(at).copied().unwrap_or(false)
    };
    let raw = decoded.tally.raw_records.iter().filter(is_here).count();
    decoded.tally.raw = u64::try_from(raw).unwrap_or(u64::MAX);
    decoded.tally.mapped = kept.saturating_sub(decoded.tally.raw);
}

fn reject_all(
    rows: &TableRows,
    code: model::Code,
    reason: &'static str,
    service: Option<ServiceName>,
    sorted: &mut Sorted,
) {
    let records: BTreeSet<u64> = rows.record.iter().copied().collect();
    sorted
        .rejected
        .extend(records.into_iter().map(|record| Rejected {
            table: Some(rows.table.clone()),
            service: service.clone(),
            ..Rejected::new(record, None, code, reason.into())
        }));
}

fn count(source: &Arc<Source>, outcome: &IngestOutcome, at: Ticks) {
    let n = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    let records = |m: &[Misdirected]| n(m.iter().map(|m| m.record).collect::<BTreeSet<_>>().len());
    let fresh = SourceCounts {
        stored: outcome.stored,
        raw: outcome.tally.raw.min(outcome.stored),
        duplicate: outcome.duplicates,
        rejected: n(outcome.rejected.len()),
        wrong_region: records(&outcome.wrong_region),
    };
    let mut counts = source.fresh.lock().unwrap_or_else(PoisonError::into_inner);
    counts.0 = sum(counts.0, fresh);
    if outcome.stored > 0 {
        counts.1 = Some(at);
    }
}

/// `[[table, [[column, type] …]] …]`, sealed by the store.
fn raw_schema_to_bytes(schema: &RawSchema) -> Result<Vec<u8>, Error> {
    let tables: Vec<(&TableName, Vec<(&String, &ColumnType)>)> = schema
        .tables()
        .map(|(table, columns)| (table, columns.iter().collect()))
        .collect();
    serde_json::to_vec(&tables).map_err(|_| Error::Internal)
}

/// Reads it back; what does not parse is an empty list, and arriving records fill it again.
pub(crate) fn raw_schema_from_bytes(bytes: &[u8]) -> RawSchema {
    let tables: Vec<(TableName, Vec<(String, ColumnType)>)> =
        serde_json::from_slice(bytes).unwrap_or_default();
    let mut schema = RawSchema::new();
    for (table, columns) in tables {
        schema.add_table(&table);
        for (column, column_type) in columns {
            schema.add(&table, &column, column_type);
        }
    }
    schema
}
