//! Opening a data directory, and what an open store consists of.
//!
//! Order: catalogue → keys → key tables and manifests → orphans removed → row ids of the horizon →
//! log replayed into memory → commit thread. A tenant whose keys or part of the log are damaged is
//! marked and refused; the others are served.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use access::{Cx, Granted, Hunt, Ingest};
use crypto::Fields;
use model::{Code, Disk, RowId, SegmentId, StreamId, TenantId, Ticks, limits};
use rows::arrow::array::BooleanArray;
use rows::arrow::compute::filter_record_batch;
use rows::{RecordBatch, encoding, hidden};
use tokio::sync::oneshot;
use vault::{FramePlace, KeyTable, TenantVault, Vault};
use wal::{Damage, FrameRef, Recovered, Recovery};

use crate::audit::AuditQueue;
use crate::catalogue::{self, Catalogue, Loaded, SegmentRow, TenantRow};
use crate::commit::{Appended, Job, Message, PlacedRows, Queue, Writer, job_parts};
use crate::damage::{LogDamage, Lost};
use crate::detection::source_of;
use crate::egress::Export;
use crate::entries::{TenantEntry, document_context};
use crate::identity::{Identities, first_day};
use crate::lag::{Lag, LagFrame, LagPart, SYSTEM_SOURCE};
use crate::leaves::Sequences;
use crate::manifest::{Manifest, PartitionKey};
use crate::memory::{Chunk, Memory};
use crate::objects::{
    KEY_TABLES, NEW, Objects, SEGMENTS, key_table_of, key_table_path, segment_path,
};
use crate::payload::{Origin, Payload};
use crate::segment::SegmentFile;
use crate::snapshot::View;
use crate::status::TenantHealth;
use crate::witness::LogWitness;
use crate::{Error, TemporaryFiles};

/// Folder of the log.
pub(crate) const LOG: &str = "log";

/// What a store is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory; the caller holds its lock.
    pub disk: Arc<dyn Disk>,
    /// Its catalogue.
    pub catalogue: Arc<dyn Catalogue>,
    /// The region's keys.
    pub vault: Arc<Vault>,
    /// Limits of the log.
    pub log: wal::Options,
}

/// The rows of one region. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) cx: Cx,
    pub(crate) vault: Arc<Vault>,
    pub(crate) objects: Objects,
    pub(crate) catalogue: Arc<dyn Catalogue>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) lag: Arc<Lag>,
    pub(crate) queue: Queue,
    /// Orders all writers of the catalogue.
    pub(crate) writer: tokio::sync::Mutex<Sequences>,
    /// One flush or compaction at a time.
    pub(crate) reconciling: tokio::sync::Mutex<()>,
    pub(crate) temporary: TemporaryFiles,
    pub(crate) audit: AuditQueue,
    pub(crate) damage: std::sync::Mutex<LogDamage>,
    tenants: RwLock<BTreeMap<TenantId, Arc<TenantState>>>,
    /// Tenants in the catalogue whose keys or files do not open, and why.
    refused: BTreeMap<TenantId, Code>,
}

/// What is damaged of a tenant.
#[derive(Debug, Clone, Copy, Default)]
struct Health {
    log_offset: Option<u64>,
    segment: Option<SegmentId>,
}

/// A tenant that is served here.
#[derive(Debug)]
pub(crate) struct TenantState {
    pub(crate) tenant: TenantId,
    pub(crate) stream: StreamId,
    pub(crate) vault: Arc<TenantVault>,
    home: bool,
    document: RwLock<(u64, Arc<[u8]>)>,
    first_record: RwLock<Option<Ticks>>,
    health: RwLock<Health>,
    export: RwLock<Export>,
    /// Rows of the catalogue that do not open.
    pub(crate) damaged_rows: RwLock<std::collections::BTreeSet<crate::row_damage::DamagedRow>>,
}

impl TenantState {
    pub(crate) fn new(row: &TenantRow, vault: Arc<TenantVault>, document: Vec<u8>) -> Self {
        Self {
            tenant: row.tenant,
            stream: row.stream,
            vault,
            home: row.home,
            document: RwLock::new((row.document_version, document.into())),
            first_record: RwLock::new(row.first_record_at),
            health: RwLock::default(),
            damaged_rows: RwLock::default(),
            export: RwLock::new(Export {
                since: row.export_since,
                ..Export::default()
            }),
        }
    }

    /// Which segments wait for the export, as of now.
    pub(crate) fn export(&self) -> Export {
        self.export
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn change_export(&self, change: impl FnOnce(&mut Export)) {
        change(&mut self.export.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn document(&self) -> (u64, Arc<[u8]>) {
        self.document
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_document(&self, version: u64, document: Vec<u8>) {
        *self
            .document
            .write()
            .unwrap_or_else(PoisonError::into_inner) = (version, document.into());
    }

    fn first_record_at(&self) -> Option<Ticks> {
        *self
            .first_record
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn health(&self) -> TenantHealth {
        let health = *self.health.read().unwrap_or_else(PoisonError::into_inner);
        match (health.log_offset, health.segment) {
            (Some(offset), _) => TenantHealth::LogDamaged { offset },
            (None, Some(segment)) => TenantHealth::SegmentDamaged { segment },
            (None, None) => TenantHealth::Good,
        }
    }

    fn mark(&self, change: impl FnOnce(&mut Health)) {
        change(&mut self.health.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// The tenant goes on without what its log has lost.
    pub(crate) fn log_is_accepted(&self) {
        self.mark(|health| health.log_offset = None);
    }

    pub(crate) fn entry(&self) -> TenantEntry {
        let (document_version, document) = self.document();
        TenantEntry {
            tenant: self.tenant,
            home: self.home,
            document_version,
            document: document.to_vec(),
            first_record_at: self.first_record_at(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        match self.health() {
            TenantHealth::LogDamaged { offset } => Err(Error::LogDamaged {
                tenant: self.tenant,
                offset,
            }),
            // Without a segment what is left can be read; a query that wants it says so.
            TenantHealth::Good | TenantHealth::SegmentDamaged { .. } => Ok(()),
        }
    }

    /// Whether rows may be added: only if repeats can be told.
    fn check_writable(&self) -> Result<(), Error> {
        self.check()?;
        match self.health() {
            TenantHealth::SegmentDamaged { segment } => Err(Error::SegmentDamaged { segment }),
            _ => Ok(()),
        }
    }

    /// Notes the first record; the first note stays.
    fn note_first_record(&self, at: Ticks) {
        let mut first = self
            .first_record
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(at);
    }
}

impl Inner {
    pub(crate) fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantState>, Error> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        match (tenants.get(&tenant), self.refused.get(&tenant)) {
            (Some(state), _) => Ok(state.clone()),
            (None, Some(code)) => Err(Error::TenantRefused {
                tenant,
                code: *code,
            }),
            (None, None) => Err(Error::NoTenant { tenant }),
        }
    }

    /// The tenant, if its rows may be moved: not if some of them are missing from its log, because
    /// then a flush would tell the catalogue that they are in segments.
    pub(crate) fn writable(&self, tenant: TenantId) -> Result<Arc<TenantState>, Error> {
        let state = self.tenant(tenant)?;
        state.check()?;
        Ok(state)
    }

    /// Whether the grant is still good.
    pub(crate) fn live<A>(&self, grant: &Granted<A>) -> Result<(), Error> {
        grant.check(self.cx.now()).map_err(|_| Error::NotGranted)
    }

    pub(crate) fn tenants(&self) -> Vec<Arc<TenantState>> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants.values().cloned().collect()
    }

    pub(crate) fn add_tenant(&self, state: TenantState) {
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        tenants.insert(state.tenant, Arc::new(state));
    }
}

impl Store {
    /// Opens a data directory and replays its log. May take seconds: it reads the row ids of the
    /// identity horizon.
    ///
    /// Without detection: rows of tenants for whom it is on stay in the log for whoever examines them.
    pub async fn open(cx: Cx, options: Options) -> Result<Self, Error> {
        Self::open_as(cx, options, false).await
    }

    /// The same, and holds the rows that wait for detection ([`Store::undetected`]). Of a tenant for
    /// whom it was never on, rows that are stored already are not examined.
    pub async fn open_with_detection(cx: Cx, options: Options) -> Result<Self, Error> {
        Self::open_as(cx, options, true).await
    }

    async fn open_as(cx: Cx, options: Options, detect: bool) -> Result<Self, Error> {
        let loaded = options.catalogue.load().await?;
        let assemble = move || Self::assemble(cx, options, loaded, detect);
        let (store, new) = tokio::task::spawn_blocking(assemble)
            .await
            .map_err(|_| Error::Closed)??;
        if !new.is_empty() {
            store.inner.catalogue.begin_detection(&new).await?;
        }
        Ok(store)
    }

    /// The store, and the cursors of tenants for whom detection is new.
    fn assemble(
        cx: Cx,
        options: Options,
        loaded: Loaded,
        detect: bool,
    ) -> Result<(Self, Vec<(TenantId, u64)>), Error> {
        let objects = Objects::new(options.disk.clone());
        for dir in [SEGMENTS, KEY_TABLES, LOG] {
            objects.create_dir(Path::new(dir))?;
        }
        let temporary = TemporaryFiles::open(options.disk.clone(), cx.random.clone())?;
        let mut opening = Opening::new(&cx, &options.vault, &objects, detect);
        opening.tenants(&loaded)?;
        opening.segments(&loaded)?;
        opening.orphans(&loaded)?;
        opening.identities();
        let had_records = loaded.tenants.iter().any(|t| t.first_record_at.is_some());
        let (disk, catalogue) = (options.disk.clone(), options.catalogue.clone());
        let (witness, vouch) = LogWitness::open(disk.clone(), catalogue, had_records)?;
        let (dir, random) = (Path::new(LOG), cx.random.clone());
        let recovery = Recovery::open_vouched(disk, dir, random, options.log, vouch);
        let log = opening.replay(recovery.map_err(Error::Log)?)?;
        let log = log.with_witness(Arc::new(witness));
        let new = opening.begin_detection(&log);
        let Opening {
            tenants,
            memory,
            lag,
            identities,
            sequences,
            hold,
            mut damage,
            refused,
            ..
        } = opening;
        damage.held_otherwise = hold;
        memory.measure();
        let (memory, lag) = (Arc::new(memory), Arc::new(lag));
        let hold = Arc::new(AtomicBool::new(damage.holds()));
        let queue = Queue::start(Writer {
            log,
            memory: memory.clone(),
            lag: lag.clone(),
            identities,
            today: cx.now().day(),
            hold,
        })?;
        let store = Self {
            inner: Arc::new(Inner {
                cx,
                vault: options.vault,
                objects,
                catalogue: options.catalogue,
                memory,
                lag,
                queue,
                writer: tokio::sync::Mutex::new(sequences),
                reconciling: tokio::sync::Mutex::new(()),
                temporary,
                audit: AuditQueue::default(),
                damage: std::sync::Mutex::new(damage),
                tenants: RwLock::new(tenants),
                refused,
            }),
        };
        Ok((store, new))
    }

    /// Stores rows of one request. On return the new ones are durable; the others were stored before.
    pub async fn append(
        &self,
        grant: &Granted<Ingest>,
        rows: Vec<PlacedRows>,
    ) -> Result<Appended, Arc<Error>> {
        self.append_placed_by(grant, rows, None).await
    }

    /// The same with the version of the tenant's document that placed the rows: if they are the tenant's
    /// first and the document has changed since, they are refused with `conflict` and the caller places
    /// them anew. Later a document cannot move them any more.
    pub async fn append_placed_by(
        &self,
        grant: &Granted<Ingest>,
        rows: Vec<PlacedRows>,
        placed_by: Option<u64>,
    ) -> Result<Appended, Arc<Error>> {
        let tenant = self.inner.tenant(grant.tenant())?.tenant;
        // LIMIT: flushing does not keep up, or fails; the log could take more, memory could not.
        if self.inner.memory.bytes() >= limits::MEMTABLE_BYTES_REFUSED {
            return Err(Arc::new(Error::Busy));
        }
        self.inner.lag.check(tenant)?;
        self.append_within(grant, rows, placed_by).await
    }

    /// Stores rows that the cell made itself, of [`SYSTEM_SOURCE`]. Detection does not examine them and
    /// they do not wait for it: its own lag never keeps it from going on.
    pub async fn append_system(
        &self,
        grant: &Granted<Ingest>,
        rows: Vec<PlacedRows>,
    ) -> Result<Appended, Arc<Error>> {
        let is_own = matches!(grant.actor(), access::Actor::System(_));
        if !is_own || rows.iter().any(|r| r.source != SYSTEM_SOURCE) {
            return Err(Arc::new(Error::NotGranted));
        }
        // LIMIT: ingestion is refused before this; beyond, detection waits for a flush.
        let most = limits::MEMTABLE_BYTES_REFUSED + limits::SYSTEM_ROWS_BYTES_MAX;
        if self.inner.memory.bytes() >= most {
            return Err(Arc::new(Error::Busy));
        }
        self.append_within(grant, rows, None).await
    }

    async fn append_within(
        &self,
        grant: &Granted<Ingest>,
        rows: Vec<PlacedRows>,
        placed_by: Option<u64>,
    ) -> Result<Appended, Arc<Error>> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        state.check_writable()?;
        for r in &rows {
            self.check_placed(grant, r)?;
        }
        if rows.iter().all(|r| r.batch.num_rows() == 0) {
            return Ok(Appended::default());
        }
        let at = self.inner.cx.now();
        if state.first_record_at().is_none() {
            // Before the first row is durable, so that no row ever precedes the mark.
            self.inner
                .catalogue
                .mark_first_record(state.tenant, at, placed_by)
                .await
                .map_err(Error::from)?;
            state.note_first_record(at);
        }
        let (reply, answer) = oneshot::channel();
        let job = Job {
            vault: state.vault.clone(),
            stream: state.stream,
            parts: job_parts(rows)?,
            at,
            reply,
        };
        self.inner.queue.send(Message::Append(job))?;
        answer.await.map_err(|_| Error::Closed)?
    }

    fn check_placed(&self, grant: &Granted<Ingest>, rows: &PlacedRows) -> Result<(), Error> {
        let placement = &rows.placement;
        let here = placement.region() == self.inner.vault.region()
            && placement.geography() == self.inner.vault.geography()
            && placement.tenant() == grant.tenant();
        if !here {
            return Err(Error::Misplaced);
        }
        let scope = grant.scope();
        if !scope.tables.allows(&rows.table) || !scope.sources.allows(&rows.source) {
            return Err(Error::NotGranted);
        }
        let stamped = hidden::ALL
            .iter()
            .all(|name| rows.batch.column_by_name(name).is_some());
        if stamped {
            Ok(())
        } else {
            Err(Error::Form {
                what: "stamped rows",
            })
        }
    }

    /// One moment of the tenant's rows.
    pub fn view(&self, grant: &Granted<Hunt>) -> Result<View, Error> {
        self.inner.live(grant)?;
        let state = self.inner.tenant(grant.tenant())?;
        state.check()?;
        Ok(View::new(grant, self.inner.memory.of(state.tenant)))
    }

    /// Why a tenant of this region is not served at all: its keys or documents do not open.
    pub fn refusal(&self, tenant: TenantId) -> Option<Error> {
        let code = *self.inner.refused.get(&tenant)?;
        Some(Error::TenantRefused { tenant, code })
    }

    /// The region's sealed temporary files, for a query that spills.
    pub fn temporary_files(&self) -> &TemporaryFiles {
        &self.inner.temporary
    }

    /// The region's keys.
    pub fn vault(&self) -> &Arc<Vault> {
        &self.inner.vault
    }

    /// Lets a flush and waiting commits finish, ends the commit thread and closes the catalogue. Rows
    /// in memory stay in the log.
    pub async fn close(&self) -> Result<(), Error> {
        let _reconciler = self.inner.reconciling.lock().await;
        let _writer = self.inner.writer.lock().await;
        let inner = self.inner.clone();
        let stopped = tokio::task::spawn_blocking(move || inner.queue.stop()).await;
        stopped.map_err(|_| Error::Closed)?;
        Ok(self.inner.catalogue.close().await?)
    }
}

/// A store on its way up.
struct Opening<'a> {
    cx: &'a Cx,
    vault: &'a Vault,
    objects: &'a Objects,
    tenants: BTreeMap<TenantId, Arc<TenantState>>,
    by_stream: HashMap<StreamId, TenantId>,
    memory: Memory,
    lag: Lag,
    identities: HashMap<TenantId, Identities>,
    sequences: Sequences,
    /// Keyed partition tokens that were flushed up to a sequence number.
    flushed: BTreeMap<(TenantId, [u8; 16]), u64>,
    refused: BTreeMap<TenantId, Code>,
    damage: LogDamage,
    /// Something else than damage keeps the log as it is.
    hold: bool,
}

impl<'a> Opening<'a> {
    fn new(cx: &'a Cx, vault: &'a Vault, objects: &'a Objects, detect: bool) -> Self {
        Self {
            cx,
            vault,
            objects,
            tenants: BTreeMap::new(),
            by_stream: HashMap::new(),
            memory: Memory::default(),
            lag: Lag::new(detect),
            identities: HashMap::new(),
            sequences: Sequences::default(),
            flushed: BTreeMap::new(),
            refused: BTreeMap::new(),
            damage: LogDamage::default(),
            hold: false,
        }
    }

    fn tenants(&mut self, loaded: &Loaded) -> Result<(), Error> {
        self.sequences.next_leaf.insert(None, loaded.next_cell_leaf);
        for row in &loaded.tenants {
            self.by_stream.insert(row.stream, row.tenant);
            match self.open_tenant(row) {
                Ok((state, table, accepted)) => {
                    self.sequences
                        .next_leaf
                        .insert(Some(row.tenant), row.next_leaf);
                    self.sequences.key_tables.insert(row.tenant, table);
                    if let Some(cursor) = row.detect_cursor {
                        self.lag.add_tenant(row.tenant, cursor);
                    }
                    if let Some(accepted) = accepted {
                        self.damage.accepted.insert(row.tenant, accepted);
                    }
                    self.tenants.insert(row.tenant, Arc::new(state));
                }
                Err(error) => self.refuse(row.tenant, &error)?,
            }
        }
        for (tenant, segment) in &loaded.exported {
            if let Some(state) = self.tenants.get(tenant) {
                state.change_export(|export| export.done.extend([*segment]));
            }
        }
        for p in &loaded.partitions {
            self.flushed
                .insert((p.tenant, p.partition), p.flushed_sequence);
        }
        Ok(())
    }

    /// Goes on without a tenant whose keys or files do not open; nothing of it is touched. What a newer
    /// program wrote, and a disk that fails, stop the start.
    fn refuse(&mut self, tenant: TenantId, error: &Error) -> Result<(), Error> {
        match (error.code(), error) {
            (Code::NewerFormat, Error::Key(vault::Error::Format { found, supported })) => {
                return Err(Error::Key(vault::Error::Format {
                    found: *found,
                    supported: *supported,
                }));
            }
            (
                Code::NewerFormat,
                Error::Format {
                    what,
                    found,
                    supported,
                },
            ) => {
                return Err(Error::Format {
                    what,
                    found: *found,
                    supported: *supported,
                });
            }
            (code, _) => {
                self.hold = true;
                self.tenants.remove(&tenant);
                self.refused.insert(tenant, code);
                self.cx
                    .error("tenant_refused", code, &[("tenant", tenant.into())]);
            }
        }
        Ok(())
    }

    fn open_tenant(&self, row: &TenantRow) -> Result<(TenantState, KeyTable, Option<Lost>), Error> {
        let vault = self.vault.tenant(row.tenant)?;
        let document = vault.open_blob(&document_context(row.document_version), &row.sealed)?;
        let table = match row.key_table_generation {
            0 => KeyTable::default(),
            generation => {
                let bytes = self.objects.read(&key_table_path(row.tenant, generation))?;
                vault.open_key_table(&bytes)?
            }
        };
        let accepted = row.sealed_damage.as_deref();
        let accepted = accepted
            .map(|sealed| Lost::open(&vault, sealed))
            .transpose()?;
        Ok((TenantState::new(row, vault, document), table, accepted))
    }

    fn segments(&mut self, loaded: &Loaded) -> Result<(), Error> {
        for row in &loaded.segments {
            let Some(state) = self.tenants.get(&row.tenant) else {
                continue;
            };
            match self.open_segment(state, row) {
                Ok(file) => self.memory.update(row.tenant, |rows| {
                    let partition = rows.partition(&file.manifest.partition);
                    partition.segments.push(Arc::new(file));
                }),
                Err(error) => self.refuse(row.tenant, &error)?,
            }
        }
        Ok(())
    }

    fn open_segment(&self, state: &TenantState, row: &SegmentRow) -> Result<SegmentFile, Error> {
        let plain = state.vault.open_blob(&manifest_context(row), &row.sealed)?;
        let manifest = Manifest::from_bytes(&plain)?;
        if manifest.geography != *self.vault.geography() {
            return Err(Error::Misplaced);
        }
        let table = self.sequences.key_tables.get(&row.tenant);
        let key = table
            .ok_or(Error::NoTenant { tenant: row.tenant })?
            .get(row.key)?;
        SegmentFile::new(row.clone(), manifest, key, self.objects.clone())
    }

    /// Removes files that no committed row names: a crash came between file and transaction.
    ///
    /// Only what this program makes and only of tenants that were opened: a catalogue that lacks a
    /// tenant, or knows an older key table than the next to last, is not the one that belongs to these
    /// files, and their removal could not be taken back.
    fn orphans(&mut self, loaded: &Loaded) -> Result<(), Error> {
        let segments: HashSet<PathBuf> = loaded
            .segments
            .iter()
            .map(|s| segment_path(s.tenant, s.segment))
            .collect();
        self.key_table_orphans(loaded)?;
        let mut orphans = Vec::new();
        for folder in self.objects.list(Path::new(SEGMENTS))? {
            let tenant = folder.parse::<TenantId>().ok();
            if !tenant.is_some_and(|id| self.tenants.contains_key(&id)) {
                self.leave(tenant, "segments_not_in_catalogue");
                continue;
            }
            let dir = Path::new(SEGMENTS).join(&folder);
            let ours = |name: &String| {
                let name = name.strip_suffix(NEW).unwrap_or(name);
                let id = name.strip_suffix(".parquet");
                id.is_some_and(|id| id.parse::<SegmentId>().is_ok())
            };
            let names = self.objects.list(&dir)?;
            let paths = names.iter().filter(|n| ours(n)).map(|n| dir.join(n));
            orphans.extend(paths.filter(|path| !segments.contains(path)));
        }
        self.remove_orphans(&orphans)
    }

    fn key_table_orphans(&mut self, loaded: &Loaded) -> Result<(), Error> {
        let mut orphans = Vec::new();
        for name in self.objects.list(Path::new(KEY_TABLES))? {
            let Some((tenant, generation)) = key_table_of(&name) else {
                continue;
            };
            let known = loaded.tenants.iter().find(|t| t.tenant == tenant);
            let Some(row) = known.filter(|_| self.tenants.contains_key(&tenant)) else {
                self.leave(Some(tenant), "key_table_not_in_catalogue");
                continue;
            };
            if generation > row.key_table_generation + 1 {
                self.refuse(
                    tenant,
                    &catalogue::Error::Damaged { what: "generation" }.into(),
                )?;
            } else if generation != row.key_table_generation || name.ends_with(NEW) {
                orphans.push((tenant, Path::new(KEY_TABLES).join(&name)));
            }
        }
        let removed = orphans
            .into_iter()
            .filter(|(tenant, _)| self.tenants.contains_key(tenant));
        let removed: Vec<_> = removed.map(|(_, path)| path).collect();
        self.remove_orphans(&removed)
    }

    fn remove_orphans(&self, paths: &[PathBuf]) -> Result<(), Error> {
        for path in paths {
            self.objects.remove(path)?;
        }
        if !paths.is_empty() {
            let n = u64::try_from(paths.len()).unwrap_or(u64::MAX);
            self.cx.info("orphans_removed", &[("files", n.into())]);
        }
        Ok(())
    }

    /// Files of a tenant that the catalogue does not have: somebody has to look.
    fn leave(&mut self, tenant: Option<TenantId>, event: &'static str) {
        if tenant.is_some_and(|id| self.refused.contains_key(&id)) {
            return;
        }
        self.hold = true;
        let id = tenant.unwrap_or(TenantId::from_bytes([0; 16]));
        self.cx
            .error(event, Code::CatalogueFailed, &[("tenant", id.into())]);
    }

    /// Reads the row ids of the horizon from the segments.
    fn identities(&mut self) {
        let first = first_day(self.cx.now().day());
        for (tenant, rows) in self.memory.all() {
            let identities = self.identities.entry(tenant).or_default();
            let recent = rows.partitions.iter().filter(|(key, _)| key.day >= first);
            for (day, segment) in recent.flat_map(|(k, p)| p.segments.iter().map(|s| (k.day, s))) {
                if let Err(error) = read_ids(segment, |id| identities.insert(day, id)) {
                    // Whether a row repeats one of this segment cannot be told.
                    let segment = segment.row.segment;
                    let fields = [("tenant", tenant.into()), ("segment", segment.into())];
                    self.cx.error("segment_damaged", error.code(), &fields);
                    if let Some(state) = self.tenants.get(&tenant) {
                        state.mark(|health| health.segment = Some(segment));
                    }
                }
            }
        }
    }

    fn replay(&mut self, mut recovery: Recovery) -> Result<wal::Log, Error> {
        // File numbers are known only once the log is open; the order of files stands in for them.
        let (mut pending, mut waiting) = (Vec::new(), Vec::new());
        let now = self.cx.now();
        for item in &mut recovery {
            match item.map_err(Error::Log)? {
                Recovered::Frame(at, bytes) => {
                    let found = self.replay_frame(&at, bytes)?;
                    let Some(tenant) = found.tenant else { continue };
                    let chunks = found.chunks.into_iter();
                    pending.extend(chunks.map(|(key, chunk)| (tenant, key, chunk, at.segment)));
                    if let Some((sequence, parts)) = found.undetected {
                        let frame = LagFrame::new(sequence, parts, 0, now);
                        waiting.push((tenant, frame, at.segment));
                    }
                }
                Recovered::Damage(damage) => self.damaged(&damage),
                Recovered::TornTail { offset, bytes, .. } => {
                    let fields = [("offset", offset.into()), ("bytes", bytes.into())];
                    self.cx.info("log_tail_cut", &fields);
                }
            }
        }
        let mut log = recovery.finish().map_err(Error::Log)?;
        // A log whose files were lost must not give numbers again that count as flushed.
        for ((tenant, _), flushed) in &self.flushed {
            if let Some(state) = self.tenants.get(tenant) {
                log.raise(state.stream, *flushed).map_err(Error::Log)?;
            }
        }
        // Nor such that count as examined.
        for (tenant, state) in &self.tenants {
            if let Some(cursor) = self.lag.cursor(*tenant) {
                log.raise(state.stream, cursor).map_err(Error::Log)?;
            }
        }
        let numbers: HashMap<_, _> = log
            .segments()
            .iter()
            .map(|s| (s.segment, s.number))
            .collect();
        for (tenant, key, chunk, segment) in pending {
            let oldest_file = numbers.get(&segment).copied().unwrap_or(0);
            let chunk = Chunk {
                oldest_file,
                ..chunk
            };
            self.memory
                .update(tenant, |rows| rows.push(&key, chunk, now));
        }
        for (tenant, frame, segment) in waiting {
            let file = numbers.get(&segment).copied().unwrap_or(0);
            self.lag.push(tenant, LagFrame { file, ..frame });
        }
        Ok(log)
    }

    /// Detection begins for tenants for whom it was never on, after what is stored.
    fn begin_detection(&self, log: &wal::Log) -> Vec<(TenantId, u64)> {
        if !self.lag.is_held() {
            return Vec::new();
        }
        let mut new = Vec::new();
        for (tenant, state) in &self.tenants {
            if self.lag.cursor(*tenant).is_none() {
                let cursor = log.last_sequence(state.stream);
                self.lag.add_tenant(*tenant, cursor);
                new.push((*tenant, cursor));
            }
        }
        new
    }

    /// The rows of a frame that are not in segments or not examined yet.
    fn replay_frame(&mut self, at: &FrameRef, bytes: Vec<u8>) -> Result<Replayed, Error> {
        let Some(tenant) = self.by_stream.get(&at.stream).copied() else {
            // A stream that the catalogue does not know: keep the log for whoever looks into it.
            self.hold = true;
            let fields = [("stream", at.stream.into()), ("offset", at.offset.into())];
            self.cx
                .error("log_stream_unknown", Code::LogDamaged, &fields);
            return Ok(Replayed::default());
        };
        let Some(state) = self.tenants.get(&tenant).cloned() else {
            return Ok(Replayed::default());
        };
        match self.rows_of_frame(&state, at, bytes) {
            Ok(found) => Ok(found),
            Err(error) if error.code() == Code::NewerFormat => Err(error),
            Err(error) => {
                let fields = [("tenant", tenant.into()), ("offset", at.offset.into())];
                self.cx.error("log_frame_damaged", error.code(), &fields);
                self.lost(&state, (at.sequence, at.sequence), at.offset);
                Ok(Replayed::default())
            }
        }
    }

    fn rows_of_frame(
        &mut self,
        state: &TenantState,
        at: &FrameRef,
        bytes: Vec<u8>,
    ) -> Result<Replayed, Error> {
        let place = FramePlace {
            segment: *at.segment.as_bytes(),
            number: at.frame,
            stream: at.stream,
            sequence: at.sequence,
        };
        let plain = state.vault.open_frame(place, bytes)?;
        let payload = Payload::from_bytes(&plain)?;
        let mut found = Replayed {
            tenant: Some(state.tenant),
            ..Replayed::default()
        };
        // What was copied for the memtable needs no second look: a frame stays in the log, or is copied
        // for detection, until the cursor has passed it.
        let (sequences, examined_as) = match payload.origin {
            Origin::Rows => (Some((at.sequence, at.sequence)), Some(at.sequence)),
            Origin::Copied(first, last) => (Some((first, last)), None),
            Origin::Undetected(sequence) => (None, Some(sequence)),
        };
        let cursor = self.lag.cursor(state.tenant);
        let waits_as = examined_as.filter(|s| cursor.is_some_and(|cursor| *s > cursor));
        let mut undetected = Vec::new();
        for part in payload.parts {
            let unflushed = sequences.filter(|s| s.1 > self.flushed_of(state, &part.key));
            if unflushed.is_none() && waits_as.is_none() {
                continue;
            }
            let batch = encoding::decode(&part.batch).map_err(Error::Encoding)?;
            if let Some(sequences) = unflushed {
                let fresh = self.unknown_rows(state.tenant, part.key.day, &batch)?;
                if fresh.num_rows() > 0 {
                    let chunk = Chunk::new(fresh, sequences, 0);
                    found.chunks.push((part.key.clone(), chunk));
                }
            }
            // What the cell made itself does not wait.
            if source_of(&batch) != Some(SYSTEM_SOURCE) {
                undetected.push(LagPart {
                    key: part.key,
                    batch,
                });
            }
        }
        let waits_as = waits_as.filter(|_| !undetected.is_empty());
        found.undetected = waits_as.map(|sequence| (sequence, undetected));
        Ok(found)
    }

    /// How far the partition is in segments.
    fn flushed_of(&self, state: &TenantState, key: &PartitionKey) -> u64 {
        let token = state.vault.blind_index("partition", &key.to_bytes());
        let flushed = self.flushed.get(&(state.tenant, token));
        flushed.copied().unwrap_or(0)
    }

    /// The rows that were not read before; notes them.
    fn unknown_rows(
        &mut self,
        tenant: TenantId,
        day: i32,
        batch: &RecordBatch,
    ) -> Result<RecordBatch, Error> {
        let identities = self.identities.entry(tenant).or_default();
        let ids: Vec<RowId> = hidden::row_ids(batch)
            .ok_or(Error::Form { what: "row ids" })?
            .collect();
        let new: Vec<bool> = ids.iter().map(|id| !identities.contains(*id)).collect();
        for id in ids {
            identities.insert(day, id);
        }
        filter_record_batch(batch, &BooleanArray::from(new)).map_err(Error::Rows)
    }

    fn damaged(&mut self, damage: &Damage) {
        let (stream, offset) = match damage {
            Damage::Payload { stream, offset, .. } | Damage::Repeat { stream, offset, .. } => {
                (Some(*stream), *offset)
            }
            Damage::Gap { stream, .. } => (Some(*stream), 0),
            Damage::Region { offset, .. } => (None, *offset),
            Damage::Header { .. } | Damage::Missing { .. } | Damage::Unnamed { .. } => (None, 0),
        };
        self.cx.error(
            "log_damaged",
            Code::LogDamaged,
            &[("offset", offset.into())],
        );
        let tenant = stream.and_then(|stream| self.by_stream.get(&stream));
        let state = tenant.and_then(|tenant| self.tenants.get(tenant)).cloned();
        match (damage, state) {
            (Damage::Payload { sequence, .. } | Damage::Repeat { sequence, .. }, Some(state)) => {
                self.lost(&state, (*sequence, *sequence), offset);
            }
            (Damage::Gap { from, to, .. }, Some(state)) => self.lost(&state, (*from, *to), offset),
            (Damage::Unnamed { frames }, _) => {
                for state in self.tenants.values().cloned().collect::<Vec<_>>() {
                    self.lost_unnamed(&state, *frames);
                }
            }
            // Whose frames these were, another finding says.
            (Damage::Region { .. } | Damage::Header { .. } | Damage::Missing { .. }, _) => {
                self.damage.note_unnamed_place();
            }
            // A stream that nobody here has.
            (_, None) => self.hold = true,
        }
    }

    /// Frames of the tenant are lost: it is not served until somebody accepts that.
    fn lost(&mut self, state: &TenantState, range: (u64, u64), offset: u64) {
        if self.damage.note(state.tenant, range) {
            self.mark_damaged(state, offset);
        }
    }

    fn lost_unnamed(&mut self, state: &TenantState, frames: u64) {
        let is_new = self.damage.note_unnamed(state.tenant, frames);
        // Who never had a record has lost none.
        if is_new && state.first_record_at().is_some() {
            self.mark_damaged(state, 0);
        }
    }

    fn mark_damaged(&self, state: &TenantState, offset: u64) {
        state.mark(|health| health.log_offset = health.log_offset.or(Some(offset)));
        let fields = [("tenant", state.tenant.into())];
        self.cx
            .error("tenant_log_damaged", Code::LogDamaged, &fields);
    }
}

/// What is still to be done with a frame.
#[derive(Default)]
struct Replayed {
    /// Whose; nobody that is served.
    tenant: Option<TenantId>,
    /// Rows that are not in segments.
    chunks: Vec<(PartitionKey, Chunk)>,
    /// Rows that were not examined, and as which frame.
    undetected: Option<(u64, Vec<LagPart>)>,
}

fn read_ids(segment: &SegmentFile, mut each: impl FnMut(RowId)) -> Result<(), Error> {
    for batch in segment.read(Some(&[hidden::ROW_ID]))? {
        let ids = hidden::row_ids(&batch).ok_or(Error::Form { what: "row ids" })?;
        ids.for_each(&mut each);
    }
    Ok(())
}

/// What a manifest is sealed for: a catalogue row whose clear columns were changed does not open.
pub(crate) fn manifest_context(row: &SegmentRow) -> Fields {
    Fields::new("manifest")
        .with(row.segment.as_bytes())
        .with(&row.partition)
        .with(&row.digest)
        .with(row.key.as_bytes())
        .with(&[row.level])
        .with_u64(row.rows)
        .with_u64(row.bytes)
}

impl Inner {
    /// Whether anything keeps the log from being trimmed is the commit thread's to know; this only
    /// asks it to try.
    pub(crate) async fn trim(&self) -> Result<crate::commit::LogStatus, Arc<Error>> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Message::Trim(reply))?;
        let status = answer.await.map_err(|_| Error::Closed)??;
        if status.is_gone {
            self.cx.error("log_file_gone", Code::LogPoisoned, &[]);
        }
        Ok(status)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A store that was not closed ends its thread all the same; nothing acknowledged is lost.
        self.queue.stop();
    }
}
