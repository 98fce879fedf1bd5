//! Tenants, sources, tokens and registries: what the catalogue holds besides segments.
//!
//! Each change is one transaction with its ledger leaf. Names, scopes and documents are sealed here;
//! the catalogue sees ids, times and counts. Every function takes the grant that allows it.

use access::{
    Actor, AdministerTenant, Granted, GrantedCell, ManageSources, ManageTokens, Operate,
    ReadTenant, Scope,
};
use crypto::Fields;
use ledger::{Happening, Leaf};
use model::{ServiceName, SourceId, TenantId, Ticks, TokenId};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::audit::AuditDraft;
use crate::catalogue::{
    Answer, Catalogue, LeafRow, RegistryRow, SourceCounts, SourceRow, TenantRow, TokenRow,
};
use crate::flush::detached;
use crate::leaves::Draft;
use crate::open::{Store, TenantState};

/// A tenant in this region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantEntry {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether this is its home region.
    pub home: bool,
    /// Version of the document.
    pub document_version: u64,
    /// The signed provisioning record (at home) or cell profile (elsewhere), as it was verified.
    pub document: Vec<u8>,
    /// When its first record arrived here.
    pub first_record_at: Option<Ticks>,
}

/// A source of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// The source.
    pub source: SourceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What its owner calls it.
    pub name: String,
    /// The services whose rows it may bring.
    pub services: Vec<ServiceName>,
    /// The tenant id that its envelopes carry; nothing if they carry none.
    pub envelope_tenant: Option<String>,
    /// Computers that are domain controllers: their logons are identity rows as well.
    #[serde(default)]
    pub domain_controllers: Vec<String>,
    /// When it was added.
    pub created_at: Ticks,
    /// Whether it is switched off.
    #[serde(skip)]
    pub disabled: bool,
}

/// A token, without its secret, which nobody has any more but its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEntry {
    /// The token.
    pub token: TokenId,
    /// Whose it is; nothing for an operator's.
    pub tenant: Option<TenantId>,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: Ticks,
    /// First instant at which it is no longer good.
    pub expires_at: Ticks,
    /// When it was taken back.
    pub revoked_at: Option<Ticks>,
}

#[derive(Serialize, Deserialize)]
struct SealedToken {
    name: String,
    scope: Scope,
}

impl Store {
    /// Adds a tenant with a signed document that the caller verified; makes its keys first.
    pub async fn put_tenant(
        &self,
        grant: &GrantedCell<Operate>,
        tenant: TenantId,
        home: bool,
        document: &[u8],
    ) -> Result<(), Error> {
        let (inner, actor) = (self.inner.clone(), *grant.actor());
        let document = document.to_vec();
        detached(async move {
            let mut writer = inner.writer.lock().await;
            // Keys without a tenant do no harm; a tenant without keys could not be served.
            let vault = match inner.vault.create_tenant(tenant) {
                Err(vault::Error::TenantExists { .. }) => inner.vault.tenant(tenant)?,
                other => other?,
            };
            let row = TenantRow {
                tenant,
                stream: model::StreamId::random(&*inner.cx.random),
                home,
                document_version: 1,
                sealed: vault.seal_blob(&document_context(1), &document),
                key_table_generation: 0,
                first_record_at: None,
                next_leaf: 0,
                sealed_raw_schema: None,
                detect_cursor: inner.lag.is_held().then_some(0),
                sealed_damage: None,
                export_since: None,
            };
            let happening = if home {
                Happening::TenantProvisioned
            } else {
                Happening::ProfileAccepted
            };
            let draft = Draft::new(Some(tenant), inner.cx.now(), actor, happening)
                .with("document_sha256", crypto::hex(&crypto::sha256(&document)));
            let leaf = writer.seal(&inner.vault, draft)?;
            let leaves = std::slice::from_ref(&leaf);
            inner.catalogue.put_tenant(&row, leaves).await?;
            writer.committed(&leaf);
            writer.key_tables.insert(tenant, vault::KeyTable::default());
            if let Some(cursor) = row.detect_cursor {
                inner.lag.add_tenant(tenant, cursor);
            }
            inner.add_tenant(TenantState::new(&row, vault, document));
            Ok(())
        })
        .await
    }

    /// Replaces a tenant's signed document by the next version; `happened` goes on record in the same
    /// transaction.
    pub async fn update_tenant(
        &self,
        grant: &Granted<AdministerTenant>,
        document: &[u8],
        happened: Vec<AuditDraft>,
    ) -> Result<u64, Error> {
        self.replace_document(grant, document, happened, false)
            .await
    }

    /// The same with a document that may place rows elsewhere: refused with `conflict` once the first
    /// record has arrived, and of the two at once exactly one happens
    /// ([`Store::append_placed_by`] is the other side).
    pub async fn update_tenant_before_first_record(
        &self,
        grant: &Granted<AdministerTenant>,
        document: &[u8],
        happened: Vec<AuditDraft>,
    ) -> Result<u64, Error> {
        self.replace_document(grant, document, happened, true).await
    }

    async fn replace_document(
        &self,
        grant: &Granted<AdministerTenant>,
        document: &[u8],
        happened: Vec<AuditDraft>,
        before_first_record: bool,
    ) -> Result<u64, Error> {
        let state = self.inner.tenant(grant.tenant())?;
        if happened.iter().any(|d| d.0.tenant != Some(state.tenant)) {
            return Err(Error::NotGranted);
        }
        let happened = self.inner.dated(happened)?;
        let (inner, actor) = (self.inner.clone(), *grant.actor());
        let document = document.to_vec();
        detached(async move {
            let mut writer = inner.writer.lock().await;
            let version = state.document().0 + 1;
            let sealed = state.vault.seal_blob(&document_context(version), &document);
            let (tenant, at) = (state.tenant, inner.cx.now());
            let draft = Draft::new(Some(tenant), at, actor, Happening::TenantChanged)
                .with("document_version", version)
                .with("document_sha256", crypto::hex(&crypto::sha256(&document)));
            let drafts = std::iter::once(draft).chain(happened).collect();
            let leaves = writer.seal_all(&inner.vault, drafts)?;
            inner
                .catalogue
                .update_tenant(tenant, version, &sealed, before_first_record, &leaves)
                .await?;
            writer.all_committed(&leaves);
            state.set_document(version, document);
            Ok(version)
        })
        .await
    }

    /// The tenants of this region, by id. Takes no tenant's grant: it is for the cell's own start
    /// and for its operator, and shows documents, not rows.
    pub fn tenants(&self) -> Vec<TenantEntry> {
        self.inner.tenants().iter().map(|t| t.entry()).collect()
    }

    /// Replaces the tenant's list of tables and columns outside the schema, as the caller encodes it.
    pub async fn put_raw_schema(&self, tenant: TenantId, encoded: &[u8]) -> Result<(), Error> {
        let state = self.inner.tenant(tenant)?;
        let sealed = state.vault.seal_blob(&Fields::new("raw-schema"), encoded);
        let inner = self.inner.clone();
        detached(async move {
            let _writer = inner.writer.lock().await;
            Ok(inner.catalogue.put_raw_schema(tenant, &sealed).await?)
        })
        .await
    }

    /// The lists of all tenants that have one.
    pub async fn raw_schemas(&self) -> Result<Vec<(TenantId, Vec<u8>)>, Error> {
        let mut out = Vec::new();
        for (tenant, sealed) in self.inner.catalogue.raw_schemas().await? {
            // A tenant whose keys are missing was reported when the store opened.
            if let Ok(state) = self.inner.tenant(tenant) {
                let plain = state.vault.open_blob(&Fields::new("raw-schema"), &sealed)?;
                out.push((tenant, plain));
            }
        }
        Ok(out)
    }

    /// Adds a source.
    pub async fn put_source(
        &self,
        grant: &Granted<ManageSources>,
        source: &SourceEntry,
    ) -> Result<(), Error> {
        let state = self.inner.tenant(grant.tenant())?;
        if source.tenant != state.tenant {
            return Err(Error::NotGranted);
        }
        let json = serde_json::to_vec(source).map_err(|_| Error::Form { what: "source" })?;
        let row = SourceRow {
            source: source.source,
            tenant: state.tenant,
            disabled: false,
            sealed: state.vault.seal_blob(&source_context(source.source), &json),
            counts: SourceCounts::default(),
            last_stored_at: None,
        };
        let draft = self.draft(grant, Happening::SourceAdded);
        let draft = draft.with("source", source.source);
        self.change(draft, move |catalogue, leaves| {
            Box::pin(async move { catalogue.put_source(&row, leaves).await })
        })
        .await
    }

    /// Switches a source of the tenant on or off.
    pub async fn set_source_disabled(
        &self,
        grant: &Granted<ManageSources>,
        source: SourceId,
        disabled: bool,
    ) -> Result<(), Error> {
        let tenant = grant.tenant();
        let draft = self
            .draft(grant, Happening::SourceSwitched)
            .with("source", source)
            .with("disabled", disabled);
        self.change(draft, move |catalogue, leaves| {
            catalogue.set_source_disabled(tenant, source, disabled, leaves)
        })
        .await
    }

    /// All sources of the region with what they delivered up to the last [`Self::add_counts`].
    pub async fn sources(&self) -> Result<Vec<(SourceEntry, SourceCounts, Option<Ticks>)>, Error> {
        let mut out = Vec::new();
        for row in self.inner.catalogue.sources().await? {
            let Ok(state) = self.inner.tenant(row.tenant) else {
                continue;
            };
            let json = state
                .vault
                .open_blob(&source_context(row.source), &row.sealed)?;
            let mut entry: SourceEntry =
                serde_json::from_slice(&json).map_err(|_| Error::Form { what: "source" })?;
            entry.tenant = row.tenant;
            entry.disabled = row.disabled;
            out.push((entry, row.counts, row.last_stored_at));
        }
        Ok(out)
    }

    /// Adds to the counts of sources.
    pub async fn add_counts(
        &self,
        counts: &[(SourceId, SourceCounts, Option<Ticks>)],
    ) -> Result<(), Error> {
        let (inner, counts) = (self.inner.clone(), counts.to_vec());
        detached(async move {
            let _writer = inner.writer.lock().await;
            Ok(inner.catalogue.add_counts(&counts).await?)
        })
        .await
    }

    /// Mints a tenant's token: stores the hash of a secret that the caller shows once.
    pub async fn put_token(
        &self,
        grant: &Granted<ManageTokens>,
        token: &TokenEntry,
        hash: [u8; 32],
    ) -> Result<(), Error> {
        let token = TokenEntry {
            tenant: Some(grant.tenant()),
            ..token.clone()
        };
        self.store_token(*grant.actor(), &token, hash).await
    }

    /// Mints a credential of the cell itself.
    pub async fn put_operator_token(
        &self,
        grant: &GrantedCell<Operate>,
        token: &TokenEntry,
        hash: [u8; 32],
    ) -> Result<(), Error> {
        let token = TokenEntry {
            tenant: None,
            ..token.clone()
        };
        self.store_token(*grant.actor(), &token, hash).await
    }

    async fn store_token(
        &self,
        actor: Actor,
        token: &TokenEntry,
        hash: [u8; 32],
    ) -> Result<(), Error> {
        let content = SealedToken {
            name: token.name.clone(),
            scope: token.scope.clone(),
        };
        let json = serde_json::to_vec(&content).map_err(|_| Error::Form { what: "token" })?;
        let row = TokenRow {
            token: token.token,
            hash,
            tenant: token.tenant,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: None,
            sealed: self.seal_for(token.tenant, &token_context(token.token), &json)?,
        };
        let draft = Draft::new(
            token.tenant,
            self.inner.cx.now(),
            actor,
            Happening::TokenCreated,
        )
        .with("token", token.token)
        .with("expires_at", token.expires_at);
        self.change(draft, move |catalogue, leaves| {
            Box::pin(async move { catalogue.put_token(&row, leaves).await })
        })
        .await
    }

    /// Takes a tenant's token back.
    pub async fn revoke_token(
        &self,
        grant: &Granted<ManageTokens>,
        token: TokenId,
    ) -> Result<(), Error> {
        let (tenant, at) = (grant.tenant(), self.inner.cx.now());
        let draft = self.draft(grant, Happening::TokenRevoked);
        self.change(draft.with("token", token), move |catalogue, leaves| {
            catalogue.revoke_token(Some(tenant), token, at, leaves)
        })
        .await
    }

    /// The token whose secret has this hash.
    pub async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<TokenEntry>, Error> {
        match self.inner.catalogue.token_by_hash(hash).await? {
            None => Ok(None),
            Some(row) => self.open_token(row).map(Some),
        }
    }

    /// The tokens of a tenant.
    pub async fn tokens(&self, grant: &Granted<ManageTokens>) -> Result<Vec<TokenEntry>, Error> {
        self.tokens_of(Some(grant.tenant())).await
    }

    async fn tokens_of(&self, tenant: Option<TenantId>) -> Result<Vec<TokenEntry>, Error> {
        let page = model::limits::PAGE_ITEMS_MAX;
        let (mut out, mut after) = (Vec::new(), None);
        loop {
            let rows = self.inner.catalogue.tokens(tenant, after, page).await?;
            after = rows.last().map(|row| row.token);
            let n = rows.len();
            for row in rows {
                out.push(self.open_token(row)?);
            }
            if n < page {
                return Ok(out);
            }
        }
    }

    fn open_token(&self, row: TokenRow) -> Result<TokenEntry, Error> {
        let context = token_context(row.token);
        let json = match row.tenant {
            Some(tenant) => self
                .inner
                .vault
                .tenant(tenant)?
                .open_blob(&context, &row.sealed)?,
            None => self.inner.vault.open_cell_blob(&context, &row.sealed)?,
        };
        let content: SealedToken =
            serde_json::from_slice(&json).map_err(|_| Error::Form { what: "token" })?;
        Ok(TokenEntry {
            token: row.token,
            tenant: row.tenant,
            name: content.name,
            scope: content.scope,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    }

    fn draft<A>(&self, grant: &Granted<A>, happening: Happening) -> Draft {
        let at = self.inner.cx.now();
        Draft::new(Some(grant.tenant()), at, grant.actor(), happening)
    }

    /// One change of the catalogue with its leaf; goes on to its end if the caller stops waiting.
    async fn change(
        &self,
        draft: Draft,
        commit: impl for<'a> FnOnce(&'a dyn Catalogue, &'a [LeafRow]) -> Answer<'a, ()> + Send + 'static,
    ) -> Result<(), Error> {
        let inner = self.inner.clone();
        detached(async move {
            let mut writer = inner.writer.lock().await;
            let leaf = writer.seal(&inner.vault, draft)?;
            commit(&*inner.catalogue, std::slice::from_ref(&leaf)).await?;
            writer.committed(&leaf);
            Ok(())
        })
        .await
    }

    fn seal_for(
        &self,
        tenant: Option<TenantId>,
        context: &Fields,
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        Ok(match tenant {
            Some(tenant) => self.inner.vault.tenant(tenant)?.seal_blob(context, plain),
            None => self.inner.vault.seal_cell_blob(context, plain),
        })
    }

    /// Accepts a registry that the caller verified.
    pub async fn put_registry(
        &self,
        grant: &GrantedCell<Operate>,
        version: u64,
        document: &[u8],
    ) -> Result<(), Error> {
        let digest = crypto::sha256(document);
        let context = registry_context(version);
        let row = RegistryRow {
            version,
            digest,
            sealed: self.inner.vault.seal_cell_blob(&context, document),
        };
        let at = self.inner.cx.now();
        let draft = Draft::new(None, at, grant.actor(), Happening::RegistryAccepted)
            .with("version", version)
            .with("sha256", crypto::hex(&digest));
        self.change(draft, move |catalogue, leaves| {
            Box::pin(async move { catalogue.put_registry(&row, leaves).await })
        })
        .await
    }

    /// The newest accepted registry: its version and signed bytes.
    pub async fn registry(&self) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let row = self.inner.catalogue.registry().await?;
        row.map(|row| Ok((row.version, self.open_registry(&row)?)))
            .transpose()
    }

    /// The accepted registry of that version: its signed bytes. A tenant keeps to the version that it
    /// accepted, however many newer ones the region knows.
    pub async fn registry_at(&self, version: u64) -> Result<Option<Vec<u8>>, Error> {
        let row = self.inner.catalogue.registry_at(version).await?;
        row.map(|row| self.open_registry(&row)).transpose()
    }

    fn open_registry(&self, row: &RegistryRow) -> Result<Vec<u8>, Error> {
        let context = registry_context(row.version);
        let document = self.inner.vault.open_cell_blob(&context, &row.sealed)?;
        Ok(document)
    }

    /// Notes that somebody at the machine opened the directory.
    pub async fn note_local_access(
        &self,
        grant: &GrantedCell<Operate>,
        what: &'static str,
    ) -> Result<(), Error> {
        let at = self.inner.cx.now();
        let draft = Draft::new(None, at, grant.actor(), Happening::LocalAccess);
        self.change(draft.with("command", what), |catalogue, leaves| {
            catalogue.put_leaves(leaves)
        })
        .await
    }

    /// A tenant's leaves from sequence number `from`, at most `limit`.
    pub async fn leaves(
        &self,
        grant: &Granted<ReadTenant>,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Leaf>, Error> {
        let rows = self
            .inner
            .catalogue
            .leaves(Some(grant.tenant()), from, limit)
            .await?;
        rows.iter()
            .map(|row| crate::leaves::open(&self.inner.vault, row))
            .collect()
    }
}

pub(crate) fn document_context(version: u64) -> Fields {
    Fields::new("tenant-document").with_u64(version)
}

fn source_context(source: SourceId) -> Fields {
    Fields::new("source").with(source.as_bytes())
}

fn token_context(token: TokenId) -> Fields {
    Fields::new("token").with(token.as_bytes())
}

fn registry_context(version: u64) -> Fields {
    Fields::new("registry").with_u64(version)
}
