//! A catalogue in memory, for crashes in step with a simulated disk.
//!
//! It passes the same conformance suite as the real one. A transaction is durable when it returns;
//! one that was made to fail may come back at a crash until a later one has worked, as the trait says.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use model::{AlertId, GeographyCode, RegionCode, SegmentId, SourceId, TenantId, Ticks, TokenId};

use crate::catalogue::{
    ActivityRow, AlertFilter, AlertRow, Answer, AuditRange, AuditRow, Catalogue, CompactionCommit,
    DetectionHead, DetectionTx, EgressRow, Error, FlushCommit, IncidentRow, IncidentRowFilter,
    KeptKind, KeptRow, LeafRow, LinkQueueRow, LinkRow, Loaded, ParcelRow, PartitionRow,
    RegistryRow, RuleRow, SegmentRow, SourceCounts, SourceRow, StateKind, StateRow, TenantRow,
    TokenRow,
};

type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, Clone, Default)]
struct State {
    region: Option<(RegionCode, GeographyCode)>,
    tenants: BTreeMap<TenantId, TenantRow>,
    sources: BTreeMap<SourceId, SourceRow>,
    tokens: BTreeMap<TokenId, TokenRow>,
    segments: BTreeMap<(TenantId, SegmentId), SegmentRow>,
    partitions: BTreeMap<(TenantId, [u8; 16]), u64>,
    registries: BTreeMap<u64, RegistryRow>,
    leaves: BTreeMap<(Option<TenantId>, u64), LeafRow>,
    heads: BTreeMap<TenantId, DetectionHead>,
    states: BTreeMap<(TenantId, StateKind), StateRow>,
    alerts: BTreeMap<(TenantId, AlertId), AlertRow>,
    incidents: BTreeMap<(TenantId, u64), IncidentRow>,
    activity: BTreeMap<(TenantId, u64), ActivityRow>,
    rules: BTreeMap<(Option<TenantId>, [u8; 16]), RuleRow>,
    windows: BTreeMap<(TenantId, [u8; 16]), Ticks>,
    queues: BTreeMap<(TenantId, [u8; 16]), LinkQueueRow>,
    link: BTreeMap<(TenantId, [u8; 16], u64), LinkRow>,
    egress: BTreeMap<(TenantId, SegmentId), EgressRow>,
    parcels: BTreeMap<(TenantId, SegmentId), ParcelRow>,
    kept: BTreeMap<(Option<TenantId>, KeptKind), KeptRow>,
    next_cell_leaf: u64,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    /// A failed transaction that a crash may bring back.
    doubt: Option<State>,
    epoch: u64,
    /// After so many transactions so many fail, without having happened or in doubt.
    fail: Option<(u64, u64, bool)>,
}

/// The database behind the openings. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryDatabase(Arc<Mutex<Inner>>);

impl MemoryDatabase {
    pub(crate) fn open(&self, region: &str, geography: &str) -> Result<MemoryCatalogue> {
        let mut inner = self.0.lock().unwrap();
        let wanted = (
            RegionCode::new(region).unwrap(),
            GeographyCode::new(geography).unwrap(),
        );
        if inner.state.region.get_or_insert_with(|| wanted.clone()) != &wanted {
            return Err(Error::OtherRegion);
        }
        inner.epoch += 1;
        Ok(MemoryCatalogue {
            database: self.clone(),
            epoch: inner.epoch,
            closed: Mutex::new(false),
        })
    }

    /// The next `n` transactions fail; `in_doubt`: a crash may bring the first of them back.
    pub(crate) fn fail(&self, n: u64, in_doubt: bool) {
        self.fail_after(0, n, in_doubt);
    }

    /// The same after `good` more transactions.
    pub(crate) fn fail_after(&self, good: u64, n: u64, in_doubt: bool) {
        self.0.lock().unwrap().fail = Some((good, n, in_doubt));
    }

    /// As after a crash: what was in doubt happened, or not.
    pub(crate) fn crash(&self, happened: bool) {
        let mut inner = self.0.lock().unwrap();
        if let Some(state) = inner.doubt.take().filter(|_| happened) {
            inner.state = state;
        }
        inner.fail = None;
    }

    /// Changes what is stored behind the program's back.
    pub(crate) fn tamper(&self, change: impl FnOnce(&mut Vec<SegmentRow>)) {
        let mut inner = self.0.lock().unwrap();
        let mut rows: Vec<_> = inner.state.segments.values().cloned().collect();
        change(&mut rows);
        inner.state.segments = rows
            .into_iter()
            .map(|row| ((row.tenant, row.segment), row))
            .collect();
    }

    /// Changes sealed rows behind the program's back: of some alerts, incidents and states a byte.
    pub(crate) fn spoil(
        &self,
        alerts: impl Fn(&AlertRow) -> bool,
        incidents: impl Fn(&IncidentRow) -> bool,
        states: impl Fn(StateKind) -> bool,
    ) {
        let flip = |sealed: &mut Vec<u8>| *sealed.last_mut().unwrap() ^= 1;
        let state = &mut self.0.lock().unwrap().state;
        let rows = state.alerts.values_mut().filter(|row| alerts(row));
        rows.for_each(|row| flip(&mut row.sealed));
        let rows = state.incidents.values_mut().filter(|row| incidents(row));
        rows.for_each(|row| flip(&mut row.sealed));
        let rows = state.states.values_mut().filter(|row| states(row.kind));
        rows.for_each(|row| flip(&mut row.sealed));
    }

    /// A database of its own with the same content.
    pub(crate) fn copy(&self) -> Self {
        let inner = self.0.lock().unwrap();
        Self(Arc::new(Mutex::new(Inner {
            state: inner.state.clone(),
            ..Inner::default()
        })))
    }

    pub(crate) fn tenant_row(&self, tenant: TenantId) -> TenantRow {
        self.0.lock().unwrap().state.tenants[&tenant].clone()
    }
}

/// One opening.
#[derive(Debug)]
pub(crate) struct MemoryCatalogue {
    database: MemoryDatabase,
    epoch: u64,
    closed: Mutex<bool>,
}

impl MemoryCatalogue {
    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T> {
        if *self.closed.lock().unwrap() {
            return Err(Error::Database(sqlx::Error::PoolClosed));
        }
        Ok(read(&self.database.0.lock().unwrap().state))
    }

    fn write<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        self.read(|_| ())?;
        let mut inner = self.database.0.lock().unwrap();
        if inner.epoch != self.epoch {
            return Err(Error::Fenced);
        }
        let mut state = inner.state.clone();
        let answer = change(&mut state)?;
        match &mut inner.fail {
            Some((0, n, in_doubt)) if *n > 0 => {
                *n -= 1;
                let doubt = in_doubt.then_some(state);
                inner.doubt = inner.doubt.take().or(doubt);
                return Err(Error::Database(sqlx::Error::WorkerCrashed));
            }
            Some((good, ..)) => *good = good.saturating_sub(1),
            None => {}
        }
        inner.doubt = None;
        inner.state = state;
        Ok(answer)
    }
}

fn conflict<T>(what: &'static str) -> Result<T> {
    Err(Error::Conflict { what })
}

fn number(value: u64, what: &'static str) -> Result<()> {
    match i64::try_from(value) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::Damaged { what }),
    }
}

impl State {
    fn tenant(&mut self, tenant: TenantId) -> Result<&mut TenantRow> {
        let found = self.tenants.get_mut(&tenant);
        found.ok_or(Error::Missing { what: "tenant" })
    }

    fn put_leaves(&mut self, leaves: &[LeafRow]) -> Result<()> {
        for leaf in leaves {
            let next = match leaf.tenant {
                Some(tenant) => &mut self.tenant(tenant)?.next_leaf,
                None => &mut self.next_cell_leaf,
            };
            if *next != leaf.sequence {
                return conflict("leaf");
            }
            *next += 1;
            let key = (leaf.tenant, leaf.sequence);
            self.leaves.insert(key, leaf.clone());
        }
        Ok(())
    }

    fn put_segments(&mut self, tenant: TenantId, rows: &[SegmentRow]) -> Result<()> {
        for row in rows {
            let is_new = !self.segments.keys().any(|(_, id)| *id == row.segment);
            if row.tenant != tenant || !is_new {
                return conflict("segment");
            }
            number(row.rows, "row_count")?;
            number(row.bytes, "byte_count")?;
            self.segments.insert((tenant, row.segment), row.clone());
        }
        Ok(())
    }

    fn advance(&mut self, tenant: TenantId, before: u64, after: u64) -> Result<()> {
        let row = self.tenant(tenant)?;
        if row.key_table_generation != before || after < before {
            return conflict("generation");
        }
        row.key_table_generation = after;
        Ok(())
    }
}

/// The steps of a detection commit.
impl State {
    fn head(&self, tenant: TenantId) -> DetectionHead {
        self.heads.get(&tenant).copied().unwrap_or_default()
    }

    fn set_cursor(&mut self, tenant: TenantId, cursor: Option<u64>) -> Result<()> {
        self.tenant(tenant)?.detect_cursor = cursor;
        let mut head = self.head(tenant);
        head.cursor = cursor;
        self.heads.insert(tenant, head);
        Ok(())
    }

    fn commit_detection(&mut self, tx: &DetectionTx) -> Result<Vec<AlertId>> {
        let tenant = tx.tenant;
        let mut head = self.head(tenant);
        if tx
            .cursor
            .is_some_and(|c| head.cursor.is_some_and(|f| c < f))
        {
            return conflict("cursor");
        }
        let cursor = tx.cursor.or(head.cursor);
        self.set_cursor(tenant, cursor)?;
        head.cursor = cursor;
        head.rules_version = tx.rules_version.unwrap_or(head.rules_version);
        let mut repeated = Vec::new();
        for row in &tx.alerts {
            match self.alerts.entry((tenant, row.alert)) {
                Entry::Occupied(_) => repeated.push(row.alert),
                Entry::Vacant(place) => drop(place.insert(row.clone())),
            }
        }
        for row in &tx.grown {
            let held = self.alerts.get_mut(&(tenant, row.alert));
            let same = |held: &&mut AlertRow| {
                (held.created_at, held.linked) == (row.created_at, row.linked)
            };
            let held = held.filter(same).ok_or(Error::Missing { what: "alert" })?;
            held.severity = row.severity;
            held.sealed.clone_from(&row.sealed);
        }
        for (alert, incident) in &tx.moves {
            let row = self.alerts.get_mut(&(tenant, *alert));
            row.ok_or(Error::Missing { what: "alert" })?.incident = Some(*incident);
        }
        for row in &tx.incidents {
            let former = self.incidents.get(&(tenant, row.number)).map(|r| r.version);
            let is_new = row.version == 1 && row.number >= head.next_incident;
            if !is_new && (row.version == 1 || former != Some(row.version - 1)) {
                return conflict("incident");
            }
            if is_new {
                head.next_incident = row.number + 1;
            }
            self.incidents.insert((tenant, row.number), row.clone());
        }
        for row in &tx.activity {
            if row.sequence != head.next_activity {
                return conflict("activity");
            }
            if !self.incidents.contains_key(&(tenant, row.incident)) {
                return Err(Error::Missing { what: "incident" });
            }
            head.next_activity += 1;
            self.activity.insert((tenant, row.sequence), row.clone());
        }
        self.put_states(tx)?;
        self.heads.insert(tenant, head);
        self.put_leaves(&tx.leaves)?;
        Ok(repeated)
    }

    fn put_states(&mut self, tx: &DetectionTx) -> Result<()> {
        let tenant = tx.tenant;
        for row in &tx.states {
            let former = self
                .states
                .get(&(tenant, row.kind))
                .map_or(0, |s| s.version);
            if row.version != former + 1 {
                return conflict("state");
            }
            self.states.insert((tenant, row.kind), row.clone());
        }
        for row in &tx.windows {
            let former = self.windows.get(&(tenant, row.rule)).copied();
            if former != row.former || former.is_some_and(|f| row.end <= f) {
                return conflict("window");
            }
            self.windows.insert((tenant, row.rule), row.end);
        }
        for row in &tx.link {
            let queue = self.queue(tenant, row.destination);
            if row.sequence != queue.next_sequence {
                return conflict("link");
            }
            queue.next_sequence += 1;
            queue.bytes += u64::try_from(row.sealed.len()).unwrap();
            let key = (tenant, row.destination, row.sequence);
            self.link.insert(key, row.clone());
        }
        Ok(())
    }

    fn queue(&mut self, tenant: TenantId, destination: [u8; 16]) -> &mut LinkQueueRow {
        let new = LinkQueueRow {
            destination,
            next_sequence: 1,
            acknowledged: 0,
            bytes: 0,
        };
        self.queues.entry((tenant, destination)).or_insert(new)
    }
}

impl State {
    fn put_egress(&mut self, rows: &[EgressRow]) -> Result<()> {
        for row in rows {
            self.tenant(row.tenant)?;
            let key = (row.tenant, row.segment);
            let of_tenant = self.egress.values().filter(|r| r.tenant == row.tenant);
            let mut sequences = of_tenant.map(|r| r.sequence);
            if self.egress.contains_key(&key) || sequences.any(|s| s == row.sequence) {
                return conflict("egress");
            }
            self.egress.insert(key, row.clone());
            self.parcels.remove(&key);
        }
        Ok(())
    }

    fn put_kept(&mut self, row: &KeptRow) -> Result<()> {
        if let Some(tenant) = row.tenant {
            self.tenant(tenant)?;
        }
        let key = (row.tenant, row.kind);
        let former = self.kept.get(&key).map_or(0, |kept| kept.version);
        if row.version != former + 1 {
            return conflict("kept");
        }
        self.kept.insert(key, row.clone());
        Ok(())
    }
}

fn ready<'a, T: Send + 'a>(result: Result<T>) -> Answer<'a, T> {
    std::future::ready(result).boxed()
}

impl Catalogue for MemoryCatalogue {
    fn load(&self) -> Answer<'_, Loaded> {
        ready(self.read(|state| {
            Loaded {
                tenants: state.tenants.values().cloned().collect(),
                exported: state
                    .egress
                    .keys()
                    .filter(|key| state.segments.contains_key(key))
                    .copied()
                    .collect(),
                segments: state.segments.values().cloned().collect(),
                partitions: state
                    .partitions
                    .iter()
                    .map(|((tenant, partition), flushed)| PartitionRow {
                        tenant: *tenant,
                        partition: *partition,
                        flushed_sequence: *flushed,
                    })
                    .collect(),
                registry: state.registries.values().next_back().cloned(),
                next_cell_leaf: state.next_cell_leaf,
            }
        }))
    }

    fn put_tenant<'a>(&'a self, tenant: &'a TenantRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let same = |t: &TenantRow| t.tenant == tenant.tenant || t.stream == tenant.stream;
            if tenant.next_leaf != 0 || state.tenants.values().any(same) {
                return conflict("tenant");
            }
            state.tenants.insert(tenant.tenant, tenant.clone());
            if tenant.detect_cursor.is_some() {
                state.set_cursor(tenant.tenant, tenant.detect_cursor)?;
            }
            state.put_leaves(leaves)
        }))
    }

    fn update_tenant<'a>(
        &'a self,
        tenant: TenantId,
        document_version: u64,
        sealed: &'a [u8],
        before_first_record: bool,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let row = state.tenant(tenant)?;
            if before_first_record && row.first_record_at.is_some() {
                return conflict("first record");
            }
            if row.document_version + 1 != document_version {
                return conflict("version");
            }
            (row.document_version, row.sealed) = (document_version, sealed.to_vec());
            state.put_leaves(leaves)
        }))
    }

    fn mark_first_record(
        &self,
        tenant: TenantId,
        at: Ticks,
        placed_by: Option<u64>,
    ) -> Answer<'_, ()> {
        ready(self.write(|state| {
            let row = state.tenant(tenant)?;
            let is_other = placed_by.is_some_and(|by| by != row.document_version);
            if row.first_record_at.is_none() && is_other {
                return conflict("document");
            }
            row.first_record_at.get_or_insert(at);
            Ok(())
        }))
    }

    fn raw_schemas(&self) -> Answer<'_, Vec<(TenantId, Vec<u8>)>> {
        ready(self.read(|state| {
            let rows = state.tenants.values();
            rows.filter_map(|t| Some((t.tenant, t.sealed_raw_schema.clone()?)))
                .collect()
        }))
    }

    fn sources(&self) -> Answer<'_, Vec<SourceRow>> {
        ready(self.read(|state| state.sources.values().cloned().collect()))
    }

    fn put_raw_schema<'a>(&'a self, tenant: TenantId, sealed: &'a [u8]) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.tenant(tenant)?.sealed_raw_schema = Some(sealed.to_vec());
            Ok(())
        }))
    }

    fn put_source<'a>(&'a self, source: &'a SourceRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.tenant(source.tenant)?;
            if state.sources.contains_key(&source.source) {
                return conflict("source");
            }
            state.sources.insert(source.source, source.clone());
            state.put_leaves(leaves)
        }))
    }

    fn set_source_disabled<'a>(
        &'a self,
        tenant: TenantId,
        source: SourceId,
        disabled: bool,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let row = state.sources.get_mut(&source);
            let row = row.filter(|row| row.tenant == tenant);
            row.ok_or(Error::Missing { what: "source" })?.disabled = disabled;
            state.put_leaves(leaves)
        }))
    }

    fn add_counts<'a>(
        &'a self,
        counts: &'a [(SourceId, SourceCounts, Option<Ticks>)],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            for (source, more, at) in counts {
                let row = state.sources.get_mut(source);
                let row = row.ok_or(Error::Missing { what: "source" })?;
                let sum = &mut row.counts;
                for (total, more) in [
                    (&mut sum.stored, more.stored),
                    (&mut sum.raw, more.raw),
                    (&mut sum.duplicate, more.duplicate),
                    (&mut sum.rejected, more.rejected),
                    (&mut sum.wrong_region, more.wrong_region),
                ] {
                    number(more, "counts")?;
                    *total = total.saturating_add(more);
                    number(*total, "counts")?;
                }
                row.last_stored_at = row.last_stored_at.max(*at);
            }
            Ok(())
        }))
    }

    fn put_token<'a>(&'a self, token: &'a TokenRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        ready(self.write(|state| {
            if let Some(tenant) = token.tenant {
                state.tenant(tenant)?;
            }
            let same = |t: &TokenRow| t.token == token.token || t.hash == token.hash;
            if state.tokens.values().any(same) {
                return conflict("token");
            }
            state.tokens.insert(token.token, token.clone());
            state.put_leaves(leaves)
        }))
    }

    fn revoke_token<'a>(
        &'a self,
        tenant: Option<TenantId>,
        token: TokenId,
        at: Ticks,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let row = state.tokens.get_mut(&token);
            let row = row.filter(|row| row.tenant == tenant);
            let row = row.ok_or(Error::Missing { what: "token" })?;
            row.revoked_at.get_or_insert(at);
            state.put_leaves(leaves)
        }))
    }

    fn token_by_hash<'a>(&'a self, hash: &'a [u8; 32]) -> Answer<'a, Option<TokenRow>> {
        ready(self.read(|state| state.tokens.values().find(|t| t.hash == *hash).cloned()))
    }

    fn tokens(
        &self,
        tenant: Option<TenantId>,
        after: Option<TokenId>,
        limit: usize,
    ) -> Answer<'_, Vec<TokenRow>> {
        ready(self.read(|state| {
            let rows = state.tokens.values().filter(|t| t.tenant == tenant);
            let rows = rows.filter(|t| after.is_none_or(|after| t.token > after));
            rows.take(limit).cloned().collect()
        }))
    }

    fn put_registry<'a>(
        &'a self,
        registry: &'a RegistryRow,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let newest = state.registries.keys().next_back();
            if newest.is_some_and(|newest| *newest >= registry.version) {
                return conflict("registry");
            }
            state.registries.insert(registry.version, registry.clone());
            state.put_leaves(leaves)
        }))
    }

    fn registry(&self) -> Answer<'_, Option<RegistryRow>> {
        ready(self.read(|state| state.registries.values().next_back().cloned()))
    }

    fn registry_at(&self, version: u64) -> Answer<'_, Option<RegistryRow>> {
        ready(self.read(|state| state.registries.get(&version).cloned()))
    }

    fn commit_flush<'a>(&'a self, commit: &'a FlushCommit) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.advance(
                commit.tenant,
                commit.key_table_before,
                commit.key_table_after,
            )?;
            state.put_segments(commit.tenant, &commit.added)?;
            for row in &commit.flushed {
                if row.tenant != commit.tenant {
                    return conflict("partition");
                }
                let key = (row.tenant, row.partition);
                let position = state.partitions.entry(key).or_insert(row.flushed_sequence);
                if row.flushed_sequence < *position {
                    return conflict("position");
                }
                *position = row.flushed_sequence;
            }
            state.put_leaves(&commit.leaves)
        }))
    }

    fn commit_compaction<'a>(&'a self, commit: &'a CompactionCommit) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.advance(
                commit.tenant,
                commit.key_table_before,
                commit.key_table_after,
            )?;
            for segment in &commit.removed {
                let removed = state.segments.remove(&(commit.tenant, *segment));
                removed.ok_or(Error::Missing { what: "segment" })?;
            }
            state.put_segments(commit.tenant, &commit.added)?;
            state.put_leaves(&commit.leaves)
        }))
    }

    fn put_leaves<'a>(&'a self, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        ready(self.write(|state| state.put_leaves(leaves)))
    }

    fn leaves(
        &self,
        tenant: Option<TenantId>,
        from: u64,
        limit: usize,
    ) -> Answer<'_, Vec<LeafRow>> {
        ready(self.read(|state| {
            let rows = state.leaves.range((tenant, from)..=(tenant, u64::MAX));
            rows.take(limit).map(|(_, row)| row.clone()).collect()
        }))
    }

    fn audit(
        &self,
        tenant: Option<TenantId>,
        range: AuditRange,
        limit: usize,
    ) -> Answer<'_, Vec<AuditRow>> {
        ready(self.read(|state| {
            let rows = state
                .leaves
                .range((tenant, range.from)..=(tenant, u64::MAX));
            let rows = rows.map(|(_, row)| row).filter(|row| {
                range.since.is_none_or(|at| row.at >= at)
                    && range.until.is_none_or(|at| row.at < at)
            });
            let audit = |row: &LeafRow| AuditRow {
                tenant: row.tenant,
                sequence: row.sequence,
                at: row.at,
                sealed: row.audit.clone(),
            };
            rows.take(limit).map(audit).collect()
        }))
    }

    fn accept_damage<'a>(
        &'a self,
        accepted: &'a [(TenantId, Vec<u8>)],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            for (tenant, sealed) in accepted {
                state.tenant(*tenant)?.sealed_damage = Some(sealed.clone());
            }
            state.put_leaves(leaves)
        }))
    }

    fn begin_detection<'a>(&'a self, cursors: &'a [(TenantId, u64)]) -> Answer<'a, ()> {
        ready(self.write(|state| {
            for (tenant, cursor) in cursors {
                let cursor = state.head(*tenant).cursor.unwrap_or(*cursor);
                state.set_cursor(*tenant, Some(cursor))?;
            }
            Ok(())
        }))
    }

    fn commit_detection<'a>(&'a self, commit: &'a DetectionTx) -> Answer<'a, Vec<AlertId>> {
        ready(self.write(|state| state.commit_detection(commit)))
    }

    fn detection_head(&self, tenant: TenantId) -> Answer<'_, DetectionHead> {
        ready(self.read(|state| state.head(tenant)))
    }

    fn detection_state(&self, tenant: TenantId, kind: StateKind) -> Answer<'_, Option<StateRow>> {
        ready(self.read(|state| state.states.get(&(tenant, kind)).cloned()))
    }

    fn alert(&self, tenant: TenantId, alert: AlertId) -> Answer<'_, Option<AlertRow>> {
        ready(self.read(|state| state.alerts.get(&(tenant, alert)).cloned()))
    }

    fn known_alerts<'a>(
        &'a self,
        tenant: TenantId,
        alerts: &'a [AlertId],
    ) -> Answer<'a, Vec<AlertId>> {
        ready(self.read(|state| {
            let known = |id: &&AlertId| state.alerts.contains_key(&(tenant, **id));
            alerts.iter().filter(known).copied().collect()
        }))
    }

    fn alerts<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a AlertFilter,
        limit: usize,
    ) -> Answer<'a, Vec<AlertRow>> {
        ready(self.read(|state| {
            let all = state.alerts.iter().filter(|((of, _), _)| *of == tenant);
            let all = all.map(|(_, row)| row.clone()).filter(|row| {
                filter.from.is_none_or(|at| row.created_at >= at)
                    && filter.to.is_none_or(|at| row.created_at < at)
                    && filter.severity_min.is_none_or(|min| row.severity >= min)
                    && filter.incident.is_none_or(|n| row.incident == Some(n.0))
                    && filter.linked.is_none_or(|linked| row.linked == linked)
                    && filter
                        .after
                        .is_none_or(|last| (row.created_at, row.alert) < last)
            });
            let mut rows: Vec<_> = all.collect();
            rows.sort_by_key(|row| std::cmp::Reverse((row.created_at, row.alert)));
            rows.truncate(limit);
            rows
        }))
    }

    fn incident(&self, tenant: TenantId, number: u64) -> Answer<'_, Option<IncidentRow>> {
        ready(self.read(|state| state.incidents.get(&(tenant, number)).cloned()))
    }

    fn incidents<'a>(
        &'a self,
        tenant: TenantId,
        filter: &'a IncidentRowFilter,
        limit: usize,
    ) -> Answer<'a, Vec<IncidentRow>> {
        ready(self.read(|state| {
            let of_tenant = state.incidents.range((tenant, 0)..=(tenant, u64::MAX));
            let rows = of_tenant.rev().map(|(_, row)| row).filter(|row| {
                filter.status.is_none_or(|status| row.status == status)
                    && filter.severity_min.is_none_or(|min| row.severity >= min)
                    && filter
                        .assigned
                        .is_none_or(|whom| row.assigned == Some(whom))
                    && filter.updated_since.is_none_or(|at| row.updated_at >= at)
                    && filter.before.is_none_or(|n| row.number < n)
            });
            rows.take(limit).cloned().collect()
        }))
    }

    fn activity(
        &self,
        tenant: TenantId,
        incident: u64,
        after: u64,
        limit: usize,
    ) -> Answer<'_, Vec<ActivityRow>> {
        ready(self.read(|state| {
            let of_tenant = state.activity.range((tenant, 0)..=(tenant, u64::MAX));
            let rows = of_tenant.map(|(_, row)| row);
            let rows = rows.filter(|row| row.incident == incident && row.sequence > after);
            rows.take(limit).cloned().collect()
        }))
    }

    fn alert_counts(&self, tenant: TenantId) -> Answer<'_, (u64, u64, u64)> {
        ready(self.read(|state| {
            let count = |n: usize| u64::try_from(n).unwrap();
            let alerts = state.alerts.iter().filter(|((of, _), _)| *of == tenant);
            let linked: Vec<bool> = alerts.map(|(_, row)| row.linked).collect();
            let n_linked = linked.iter().filter(|l| **l).count();
            let incidents = state.incidents.keys().filter(|(of, _)| *of == tenant);
            let incidents = count(incidents.count());
            (count(linked.len() - n_linked), count(n_linked), incidents)
        }))
    }

    fn rule_windows(&self, tenant: TenantId) -> Answer<'_, Vec<([u8; 16], Ticks)>> {
        ready(self.read(|state| {
            let of_tenant = state.windows.iter().filter(|((of, _), _)| *of == tenant);
            of_tenant.map(|((_, rule), end)| (*rule, *end)).collect()
        }))
    }

    fn put_rule<'a>(&'a self, rule: &'a RuleRow, leaves: &'a [LeafRow]) -> Answer<'a, ()> {
        ready(self.write(|state| {
            if let Some(tenant) = rule.tenant {
                state.tenant(tenant)?;
            }
            let key = (rule.tenant, rule.rule);
            let former = state.rules.get(&key).map_or(0, |r| r.version);
            if rule.version != former + 1 {
                return conflict("rule");
            }
            state.rules.insert(key, rule.clone());
            state.put_leaves(leaves)
        }))
    }

    fn set_rule_enabled<'a>(
        &'a self,
        tenant: Option<TenantId>,
        rule: [u8; 16],
        enabled: bool,
        at: Ticks,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let row = state.rules.get_mut(&(tenant, rule));
            let row = row.ok_or(Error::Missing { what: "rule" })?;
            (row.enabled, row.updated_at) = (enabled, at);
            state.put_leaves(leaves)
        }))
    }

    fn rules(
        &self,
        tenant: Option<TenantId>,
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Answer<'_, Vec<RuleRow>> {
        ready(self.read(|state| {
            let rows = state.rules.values().filter(|row| row.tenant == tenant);
            let rows = rows.filter(|row| after.is_none_or(|after| row.rule > after));
            rows.take(limit).cloned().collect()
        }))
    }

    fn link_entries(
        &self,
        tenant: TenantId,
        destination: [u8; 16],
        limit: usize,
    ) -> Answer<'_, Vec<LinkRow>> {
        ready(self.read(|state| {
            let all = (tenant, destination, 0)..=(tenant, destination, u64::MAX);
            let rows = state.link.range(all).map(|(_, row)| row.clone());
            rows.take(limit).collect()
        }))
    }

    fn link_queues(&self, tenant: TenantId) -> Answer<'_, Vec<LinkQueueRow>> {
        ready(self.read(|state| {
            let all = state.queues.iter().filter(|((of, _), _)| *of == tenant);
            all.map(|(_, row)| *row).collect()
        }))
    }

    fn acknowledge_link<'a>(
        &'a self,
        tenant: TenantId,
        destination: [u8; 16],
        upto: u64,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, u64> {
        ready(self.write(|state| {
            let queues = &mut state.queues;
            let Some(queue) = queues.get_mut(&(tenant, destination)) else {
                return if upto == 0 { Ok(0) } else { conflict("link") };
            };
            if upto >= queue.next_sequence {
                return conflict("link");
            }
            queue.acknowledged = queue.acknowledged.max(upto);
            let before = state.link.len();
            let arrived = (tenant, destination, 0)..=(tenant, destination, upto);
            let keys: Vec<_> = state.link.range(arrived).map(|(key, _)| *key).collect();
            for key in keys {
                state.link.remove(&key);
            }
            state.put_leaves(leaves)?;
            Ok(u64::try_from(before - state.link.len()).unwrap())
        }))
    }

    fn set_export<'a>(
        &'a self,
        tenant: TenantId,
        since: Option<Ticks>,
        given_up: &'a [EgressRow],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.put_egress(given_up)?;
            state.tenant(tenant)?.export_since = since;
            state.put_leaves(leaves)
        }))
    }

    fn put_parcel<'a>(
        &'a self,
        parcel: &'a ParcelRow,
        kept: Option<&'a KeptRow>,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.tenant(parcel.tenant)?;
            let key = (parcel.tenant, parcel.segment);
            if state.egress.contains_key(&key) || state.parcels.contains_key(&key) {
                return conflict("parcel");
            }
            state.parcels.insert(key, parcel.clone());
            kept.map_or(Ok(()), |kept| state.put_kept(kept))?;
            state.put_leaves(leaves)
        }))
    }

    fn parcel(&self, tenant: TenantId, segment: SegmentId) -> Answer<'_, Option<ParcelRow>> {
        ready(self.read(|state| state.parcels.get(&(tenant, segment)).cloned()))
    }

    fn parcels(&self, tenant: TenantId) -> Answer<'_, Vec<ParcelRow>> {
        ready(self.read(|state| {
            let rows = state.parcels.values().filter(|row| row.tenant == tenant);
            let bare = |row: &ParcelRow| ParcelRow {
                sealed: Vec::new(),
                ..row.clone()
            };
            rows.map(bare).collect()
        }))
    }

    fn commit_egress<'a>(
        &'a self,
        rows: &'a [EgressRow],
        kept: Option<&'a KeptRow>,
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            state.put_egress(rows)?;
            kept.map_or(Ok(()), |kept| state.put_kept(kept))?;
            state.put_leaves(leaves)
        }))
    }

    fn put_kept<'a>(&'a self, kept: &'a KeptRow) -> Answer<'a, ()> {
        ready(self.write(|state| state.put_kept(kept)))
    }

    fn kept(&self, tenant: Option<TenantId>, kind: KeptKind) -> Answer<'_, Option<KeptRow>> {
        ready(self.read(|state| state.kept.get(&(tenant, kind)).cloned()))
    }

    fn egress(
        &self,
        tenant: TenantId,
        before: Option<u64>,
        limit: usize,
    ) -> Answer<'_, Vec<EgressRow>> {
        ready(self.read(|state| {
            let rows = state.egress.values().filter(|row| row.tenant == tenant);
            let rows = rows.filter(|row| before.is_none_or(|n| row.sequence < n));
            let mut rows: Vec<_> = rows.cloned().collect();
            rows.sort_by_key(|row| std::cmp::Reverse(row.sequence));
            rows.truncate(limit);
            rows
        }))
    }

    fn egress_of(&self, tenant: TenantId, segment: SegmentId) -> Answer<'_, Option<EgressRow>> {
        ready(self.read(|state| state.egress.get(&(tenant, segment)).cloned()))
    }

    fn check_writer(&self) -> Answer<'_, ()> {
        let epoch = self.database.0.lock().unwrap().epoch;
        ready(if epoch == self.epoch {
            Ok(())
        } else {
            Err(Error::Fenced)
        })
    }

    fn close(&self) -> Answer<'_, ()> {
        *self.closed.lock().unwrap() = true;
        ready(Ok(()))
    }
}
