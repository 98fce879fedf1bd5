//! A catalogue in memory, for crashes in step with a simulated disk.
//!
//! It passes the same conformance suite as the real one. A transaction is durable when it returns;
//! one that was made to fail may come back at a crash until a later one has worked, as the trait says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use model::{GeographyCode, RegionCode, SegmentId, SourceId, TenantId, Ticks, TokenId};

use crate::catalogue::{
    Answer, Catalogue, CompactionCommit, Error, FlushCommit, LeafRow, Loaded, PartitionRow,
    RegistryRow, SegmentRow, SourceCounts, SourceRow, TenantRow, TokenRow,
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

    fn write(&self, change: impl FnOnce(&mut State) -> Result<()>) -> Result<()> {
        self.read(|_| ())?;
        let mut inner = self.database.0.lock().unwrap();
        if inner.epoch != self.epoch {
            return Err(Error::Fenced);
        }
        let mut state = inner.state.clone();
        change(&mut state)?;
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
        Ok(())
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

fn ready<'a, T: Send + 'a>(result: Result<T>) -> Answer<'a, T> {
    std::future::ready(result).boxed()
}

impl Catalogue for MemoryCatalogue {
    fn load(&self) -> Answer<'_, Loaded> {
        ready(self.read(|state| {
            Loaded {
                tenants: state.tenants.values().cloned().collect(),
                sources: state.sources.values().cloned().collect(),
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
            state.put_leaves(leaves)
        }))
    }

    fn update_tenant<'a>(
        &'a self,
        tenant: TenantId,
        document_version: u64,
        sealed: &'a [u8],
        leaves: &'a [LeafRow],
    ) -> Answer<'a, ()> {
        ready(self.write(|state| {
            let row = state.tenant(tenant)?;
            if row.document_version + 1 != document_version {
                return conflict("version");
            }
            (row.document_version, row.sealed) = (document_version, sealed.to_vec());
            state.put_leaves(leaves)
        }))
    }

    fn mark_first_record(&self, tenant: TenantId, at: Ticks) -> Answer<'_, ()> {
        ready(self.write(|state| {
            state.tenant(tenant)?.first_record_at.get_or_insert(at);
            Ok(())
        }))
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

    fn close(&self) -> Answer<'_, ()> {
        *self.closed.lock().unwrap() = true;
        ready(Ok(()))
    }
}
