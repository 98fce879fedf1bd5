//! A tenant's keys in one region, by use.

use std::sync::{Arc, Mutex, PoisonError};

use crypto::aead::AeadKey;
use crypto::kdf::{MacKey, hkdf};
use crypto::{Fields, Secret};
use model::{GeographyCode, Random, RowId, TableName, TenantId};

use crate::{Error, KeyTable, SegmentKey};

/// What the ring stores of a tenant.
#[derive(Debug)]
pub(crate) struct TenantKeys {
    pub(crate) tenant_key: Secret<32>,
    pub(crate) kek_version: u32,
    pub(crate) kek: Secret<32>,
}

impl TenantKeys {
    pub(crate) fn random(random: &dyn Random) -> Self {
        let draw = || Secret::random(|b| random.fill(b));
        Self {
            tenant_key: draw(),
            kek_version: 1,
            kek: draw(),
        }
    }
}

/// The opened keys of a tenant in one region.
pub struct TenantVault {
    tenant: TenantId,
    geography: GeographyCode,
    random: Arc<dyn Random>,
    keys: TenantKeys,
    pub(crate) log_key: Secret<32>,
    /// The expanded key of the log segment used last; one commit thread uses it at a time.
    pub(crate) frame_key: Mutex<Option<([u8; 16], AeadKey)>>,
    blob: AeadKey,
    row_id: MacKey,
    blind: MacKey,
    table: AeadKey,
}

impl std::fmt::Debug for TenantVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TenantVault({})", self.tenant)
    }
}

impl TenantVault {
    pub(crate) fn new(
        tenant: TenantId,
        geography: &GeographyCode,
        keys: TenantKeys,
        random: &Arc<dyn Random>,
    ) -> Self {
        let derive = |label: &str| {
            hkdf(
                &keys.tenant_key,
                tenant.as_bytes(),
                Fields::new(label).as_bytes(),
            )
        };
        let table = hkdf(
            &keys.kek,
            tenant.as_bytes(),
            Fields::new("key-table-v1").as_bytes(),
        );
        Self {
            log_key: derive("log-v1"),
            frame_key: Mutex::new(None),
            blob: AeadKey::new(&derive("tenant-blob-v1")),
            row_id: MacKey::new(&derive("row-id-v1")),
            blind: MacKey::new(&derive("blind-index-v1")),
            table: AeadKey::new(&table),
            tenant,
            geography: geography.clone(),
            random: random.clone(),
            keys,
        }
    }

    pub(crate) fn keys(&self) -> &TenantKeys {
        &self.keys
    }

    /// Whose keys these are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The geography everything sealed here is bound to.
    pub fn geography(&self) -> &GeographyCode {
        &self.geography
    }

    /// Identity of a row: a keyed 128-bit hash of its table and what identifies it to its source.
    pub fn row_id(&self, table: &TableName, source: &[u8], identity: &[u8]) -> RowId {
        let message = Fields::new("row")
            .with(table.as_str().as_bytes())
            .with(source)
            .with(identity);
        RowId::from_bytes(self.row_id.mac_128(message.as_bytes()))
    }

    /// A token for equality look-ups on a sealed column.
    pub fn blind_index(&self, column: &str, value: &[u8]) -> [u8; 16] {
        self.blind
            .mac_128(Fields::new(column).with(value).as_bytes())
    }

    /// Seals a catalogue blob; `context` says which row and column it is.
    pub fn seal_blob(&self, context: &Fields, plain: &[u8]) -> Vec<u8> {
        self.blob.seal(
            self.nonce(),
            self.aad("tenant-blob-v1", context).as_bytes(),
            plain,
        )
    }

    /// Opens what [`Self::seal_blob`] made under the same context.
    pub fn open_blob(&self, context: &Fields, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let aad = self.aad("tenant-blob-v1", context);
        let opened = self.blob.open(aad.as_bytes(), sealed);
        opened.map_err(|_| Error::DoesNotOpen {
            what: "catalogue entry",
        })
    }

    /// A fresh key for one segment.
    pub fn new_segment_key(&self) -> SegmentKey {
        SegmentKey::random(&*self.random)
    }

    /// The key table as bytes for the disk (layout in [`KeyTable`]).
    pub fn seal_key_table(&self, table: &KeyTable) -> Vec<u8> {
        let version = self.keys.kek_version;
        table.seal(&self.table, self.nonce(), version, &self.table_context())
    }

    /// Opens a key table.
    pub fn open_key_table(&self, bytes: &[u8]) -> Result<KeyTable, Error> {
        KeyTable::open(
            bytes,
            &self.table,
            self.keys.kek_version,
            &self.table_context(),
        )
    }

    fn table_context(&self) -> Fields {
        self.aad("key-table-v1", &Fields::default())
    }

    pub(crate) fn aad(&self, label: &str, context: &Fields) -> Fields {
        Fields::new(label)
            .with(self.geography.as_str().as_bytes())
            .with(self.tenant.as_bytes())
            .with(context.as_bytes())
    }

    pub(crate) fn cached_frame_key<T>(
        &self,
        segment: &[u8; 16],
        use_key: impl FnOnce(&AeadKey) -> T,
    ) -> T {
        let mut cached = self
            .frame_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((of, key)) = &*cached
            && of == segment
        {
            return use_key(key);
        }
        let info = Fields::new("log-frame-v1");
        let key = AeadKey::new(&hkdf(&self.log_key, segment, info.as_bytes()));
        let result = use_key(&key);
        *cached = Some((*segment, key));
        result
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        nonce
    }
}
