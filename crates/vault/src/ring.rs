//! The key ring: one sealed file per region, outside the data directory.
//!
//! Layout: magic `BWKR`, `u16` version, `u8` protection (1 passphrase, 2 raw key), 16 bytes salt,
//! `u32` memory KiB, `u32` passes, `u32` lanes (zero for a raw key), 12 bytes nonce, then the sealed
//! body. The header is associated data. Body: region and geography (`u16` length, text), region
//! root (32), signing seed (32), `u32` count, then per tenant: id (16), tenant key (32), `u32`
//! version of the key-encryption key, that key (32); then the secrets of epochs: `u32` count, then each:
//! kind (1), id (16), purpose (1), `u32` epoch, secret (32) (see [`crate::epochs`]).
//!
//! Promises
//! - A change is written to a new file, synced, renamed over the old one and the folder synced,
//!   before it is used: a key that sealed something durable is durable itself.
//! - The passphrase is stretched with Argon2id (RFC 9106) at the parameters in the header.
//!
//! An *ephemeral* ring has no file: its keys end with the process, and the program says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use argon2::{Algorithm, Argon2, Params, Version};
use crypto::aead::AeadKey;
use crypto::kdf::{MacKey, hkdf};
use crypto::{Fields, PublicKey, Secret, Signature, Signer};
use model::{Disk, GeographyCode, Random, RegionCode, TenantId};
use zeroize::Zeroizing;

use crate::Error;
use crate::codec::{Reader, put_text, wiped_buffer};
use crate::epochs::{self, Secrets};
use crate::signing::SigningKey;
use crate::tenant::{TenantKeys, TenantVault};

const MAGIC: [u8; 4] = *b"BWKR";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 4 + 2 + 1 + 16 + 12 + 12;
/// Argon2id: 64 MiB, 3 passes, 1 lane; about 0.1 s, paid once at start.
const ARGON2: (u32, u32, u32) = (65_536, 3, 1);
/// Bytes of one tenant in the body.
const TENANT_BYTES: usize = 16 + 32 + 4 + 32;

/// What opens a key file.
pub enum Protection {
    /// A passphrase, stretched.
    Passphrase(Zeroizing<String>),
    /// A 32-byte key from elsewhere (a file descriptor, later a KMS).
    RawKey(Secret<32>),
}

impl std::fmt::Debug for Protection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(…)",
            Self::RawKey(_) => "RawKey(…)",
        })
    }
}

struct Home {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    protection: Protection,
}

/// The opened keys of one region.
pub struct Vault {
    region: RegionCode,
    geography: GeographyCode,
    random: Arc<dyn Random>,
    root: Secret<32>,
    signing_seed: Secret<32>,
    signing: SigningKey,
    cell: AeadKey,
    token_mac: MacKey,
    /// `None` for an ephemeral ring. The lock also orders writers of the ring file.
    home: Mutex<Option<Home>>,
    /// Written under `home`'s lock after the file; read by everyone.
    tenants: RwLock<BTreeMap<TenantId, Arc<TenantVault>>>,
    /// As `tenants`.
    epochs: RwLock<Secrets>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.region)
    }
}

impl Vault {
    /// A ring that lives only in memory.
    pub fn ephemeral(
        region: RegionCode,
        geography: GeographyCode,
        random: Arc<dyn Random>,
    ) -> Self {
        Self::assemble(Body::new(region, geography, &*random), random, None)
    }

    /// Makes a new ring file; refuses if there is one.
    pub fn create(
        region: RegionCode,
        geography: GeographyCode,
        random: Arc<dyn Random>,
        disk: Arc<dyn Disk>,
        path: &Path,
        protection: Protection,
    ) -> Result<Self, Error> {
        let home = Home {
            disk: disk.clone(),
            path: path.to_owned(),
            protection,
        };
        let body = Body::new(region, geography, &*random);
        let vault = Self::assemble(body, random, Some(home));
        if let Some(sealed) = vault.sealed_ring()? {
            write_new(&*disk, path, &sealed)?;
        }
        Ok(vault)
    }

    /// Opens the ring of `region`.
    pub fn open(
        region: &RegionCode,
        random: Arc<dyn Random>,
        disk: Arc<dyn Disk>,
        path: &Path,
        protection: Protection,
    ) -> Result<Self, Error> {
        // A former process may have failed when it renamed the file: what is read here must not be
        // taken back by a crash after keys of it were used.
        let dir = path.parent().unwrap_or(Path::new(""));
        disk.sync_dir(dir).map_err(|source| Error::Io {
            path: dir.to_owned(),
            source,
        })?;
        let bytes = read(&*disk, path)?;
        let body = unprotect(MAGIC, b"ring", &bytes, &protection, path)?;
        let parsed = parse_body(&body).ok_or_else(|| Error::NotAKeyFile {
            path: path.to_owned(),
        })?;
        if parsed.region != *region {
            return Err(Error::OtherRegion {
                found: parsed.region.to_string(),
                expected: region.to_string(),
            });
        }
        let home = Home {
            disk,
            path: path.to_owned(),
            protection,
        };
        Ok(Self::assemble(parsed, random, Some(home)))
    }

    fn assemble(body: Body, random: Arc<dyn Random>, home: Option<Home>) -> Self {
        let Body {
            region,
            geography,
            root,
            seed,
            tenants,
            epochs,
        } = body;
        let derive = |label: &str| {
            hkdf(
                &root,
                region.as_str().as_bytes(),
                Fields::new(label).as_bytes(),
            )
        };
        let open = |(id, keys)| {
            (
                id,
                Arc::new(TenantVault::new(id, &geography, keys, &random)),
            )
        };
        Self {
            cell: AeadKey::new(&derive("cell-blob-v1")),
            token_mac: MacKey::new(&derive("token-hash-v1")),
            signing: SigningKey::from_seed(&seed),
            signing_seed: seed,
            tenants: RwLock::new(tenants.into_iter().map(open).collect()),
            epochs: RwLock::new(epochs),
            home: Mutex::new(home),
            region,
            geography,
            random,
            root,
        }
    }

    /// The region whose keys these are.
    pub fn region(&self) -> &RegionCode {
        &self.region
    }

    /// The geography that everything sealed here is bound to.
    pub fn geography(&self) -> &GeographyCode {
        &self.geography
    }

    pub(crate) fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Makes keys for a tenant; durable when this returns.
    pub fn create_tenant(&self, tenant: TenantId) -> Result<Arc<TenantVault>, Error> {
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self
            .tenants
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if all.contains_key(&tenant) {
            return Err(Error::TenantExists { tenant });
        }
        let keys = TenantKeys::random(&*self.random);
        let vault = Arc::new(TenantVault::new(
            tenant,
            &self.geography,
            keys,
            &self.random,
        ));
        all.insert(tenant, vault.clone());
        self.save(home.as_ref(), &all, &self.epochs())?;
        *self.tenants.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(vault)
    }

    pub(crate) fn epochs(&self) -> RwLockReadGuard<'_, Secrets> {
        self.epochs.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn random(&self) -> &Arc<dyn Random> {
        &self.random
    }

    /// Stands for a person in the ring, so that no name is there.
    pub(crate) fn person(&self, name: &str) -> [u8; 16] {
        self.token_mac
            .mac_128(Fields::new("person").with(name.as_bytes()).as_bytes())
    }

    /// Changes the secrets of epochs; the change is durable before anyone sees it.
    pub(crate) fn change_epochs<T>(
        &self,
        change: impl FnOnce(&mut Secrets) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.epochs().clone();
        let answer = change(&mut all)?;
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        self.save(home.as_ref(), &tenants, &all)?;
        *self.epochs.write().unwrap_or_else(PoisonError::into_inner) = all;
        Ok(answer)
    }

    /// The keys of a tenant.
    pub fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantVault>, Error> {
        let tenants = self.tenants.read().unwrap_or_else(PoisonError::into_inner);
        tenants
            .get(&tenant)
            .cloned()
            .ok_or(Error::NoTenant { tenant })
    }

    /// Seals a catalogue blob that belongs to no tenant; `context` says which row and column it is.
    pub fn seal_cell_blob(&self, context: &Fields, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        self.cell
            .seal(nonce, self.cell_aad(context).as_bytes(), plain)
    }

    /// Opens what [`Self::seal_cell_blob`] made under the same context.
    pub fn open_cell_blob(&self, context: &Fields, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let aad = self.cell_aad(context);
        let opened = self.cell.open(aad.as_bytes(), sealed);
        opened.map_err(|_| Error::DoesNotOpen {
            what: "catalogue entry",
        })
    }

    fn cell_aad(&self, context: &Fields) -> Fields {
        Fields::new("cell-blob-v1")
            .with(self.geography.as_str().as_bytes())
            .with(self.region.as_str().as_bytes())
            .with(context.as_bytes())
    }

    /// The stored form of an API token's secret. A keyed hash suffices: the secret has 256 bits.
    pub fn token_hash(&self, secret: &[u8]) -> [u8; 32] {
        self.token_mac.mac(secret)
    }

    fn save(
        &self,
        home: Option<&Home>,
        tenants: &BTreeMap<TenantId, Arc<TenantVault>>,
        epochs: &Secrets,
    ) -> Result<(), Error> {
        let Some(home) = home else { return Ok(()) };
        let body = self.body(tenants, epochs);
        let sealed = protect(MAGIC, b"ring", &body, &home.protection, &*self.random)?;
        replace(&*home.disk, &home.path, &sealed)
    }

    /// A new ring, as its file is.
    fn sealed_ring(&self) -> Result<Option<Vec<u8>>, Error> {
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(home) = home.as_ref() else {
            return Ok(None);
        };
        protect(
            MAGIC,
            b"ring",
            &self.body(&BTreeMap::new(), &Secrets::new()),
            &home.protection,
            &*self.random,
        )
        .map(Some)
    }

    fn body(
        &self,
        tenants: &BTreeMap<TenantId, Arc<TenantVault>>,
        epochs: &Secrets,
    ) -> Zeroizing<Vec<u8>> {
        let bytes = tenants.len() * TENANT_BYTES + epochs.len() * epochs::ENTRY_BYTES;
        let mut out = wiped_buffer(128 + bytes);
        put_text(&mut out, self.region.as_str());
        put_text(&mut out, self.geography.as_str());
        out.extend_from_slice(self.root.expose());
        out.extend_from_slice(self.signing_seed.expose());
        out.extend_from_slice(
            &u32::try_from(tenants.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        for (id, vault) in tenants {
            let keys = vault.keys();
            out.extend_from_slice(id.as_bytes());
            out.extend_from_slice(keys.tenant_key.expose());
            out.extend_from_slice(&keys.kek_version.to_le_bytes());
            out.extend_from_slice(keys.kek.expose());
        }
        epochs::put(&mut out, epochs);
        out
    }
}

impl Signer for Vault {
    fn sign(&self, message: &[u8]) -> Signature {
        self.signing.sign(message)
    }

    fn public_key(&self) -> PublicKey {
        self.signing.public_key()
    }
}

struct Body {
    region: RegionCode,
    geography: GeographyCode,
    root: Secret<32>,
    seed: Secret<32>,
    tenants: BTreeMap<TenantId, TenantKeys>,
    epochs: Secrets,
}

impl Body {
    fn new(region: RegionCode, geography: GeographyCode, random: &dyn Random) -> Self {
        Self {
            region,
            geography,
            root: Secret::random(|b| random.fill(b)),
            seed: Secret::random(|b| random.fill(b)),
            tenants: BTreeMap::new(),
            epochs: Secrets::new(),
        }
    }
}

fn parse_body(bytes: &[u8]) -> Option<Body> {
    let mut r = Reader(bytes);
    let region = RegionCode::new(r.text()?).ok()?;
    let geography = GeographyCode::new(r.text()?).ok()?;
    let root = Secret::from_slice(r.bytes(32)?)?;
    let seed = Secret::from_slice(r.bytes(32)?)?;
    let mut tenants = BTreeMap::new();
    for _ in 0..r.u32()? {
        let id = TenantId::from_bytes(r.array()?);
        let tenant_key = Secret::from_slice(r.bytes(32)?)?;
        let kek_version = r.u32()?;
        let kek = Secret::from_slice(r.bytes(32)?)?;
        tenants.insert(
            id,
            TenantKeys {
                tenant_key,
                kek_version,
                kek,
            },
        );
    }
    let epochs = epochs::read(&mut r)?;
    r.0.is_empty().then_some(Body {
        region,
        geography,
        root,
        seed,
        tenants,
        epochs,
    })
}

/// Seals `body` into the layout of the module header, with `magic`.
pub(crate) fn protect(
    magic: [u8; 4],
    purpose: &[u8],
    body: &[u8],
    protection: &Protection,
    random: &dyn Random,
) -> Result<Vec<u8>, Error> {
    let (mut salt, mut nonce) = ([0; 16], [0; 12]);
    random.fill(&mut salt);
    random.fill(&mut nonce);
    let (kind, (memory, passes, lanes)) = match protection {
        Protection::Passphrase(_) => (1_u8, ARGON2),
        Protection::RawKey(_) => (2, (0, 0, 0)),
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len() + 16);
    out.extend_from_slice(&magic);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(&salt);
    for n in [memory, passes, lanes] {
        out.extend_from_slice(&n.to_le_bytes());
    }
    out.extend_from_slice(&nonce);
    let key = file_key(protection, purpose, &salt, (memory, passes, lanes))?;
    let mut sealed = Vec::with_capacity(body.len() + 16);
    sealed.extend_from_slice(body);
    key.seal_in_place(nonce, &out, &mut sealed);
    out.append(&mut sealed);
    Ok(out)
}

/// Opens what [`protect`] made.
pub(crate) fn unprotect(
    magic: [u8; 4],
    purpose: &[u8],
    bytes: &[u8],
    protection: &Protection,
    path: &Path,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let not_ours = || Error::NotAKeyFile {
        path: path.to_owned(),
    };
    let (header, sealed) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(not_ours)?;
    let mut r = Reader(header);
    let mut read = || {
        let (found, version, kind) = (r.array::<4>()?, r.u16()?, r.array::<1>()?);
        let salt = r.array::<16>()?;
        let cost = (r.u32()?, r.u32()?, r.u32()?);
        Some((found, version, kind, salt, cost, r.array::<12>()?))
    };
    let (found, version, [kind], salt, cost, nonce) = read().ok_or_else(not_ours)?;
    if found != magic {
        return Err(not_ours());
    }
    if version != VERSION {
        return Err(Error::Format {
            found: version,
            supported: VERSION,
        });
    }
    // LIMIT: a forged header must not make the machine stretch for hours or take all its memory.
    let expected = matches!(protection, Protection::Passphrase(_));
    if (kind == 1) != expected || cost.0 > 1 << 21 || cost.1 > 64 || cost.2 > 16 {
        return Err(Error::WrongPassphrase);
    }
    let key = file_key(protection, purpose, &salt, cost)?;
    let mut body = wiped_buffer(sealed.len());
    body.extend_from_slice(sealed);
    let opened = key.open_in_place(nonce, header, &mut body);
    let len = opened.map_err(|_| Error::WrongPassphrase)?.len();
    body.truncate(len);
    Ok(body)
}

fn file_key(
    protection: &Protection,
    purpose: &[u8],
    salt: &[u8],
    (memory, passes, lanes): (u32, u32, u32),
) -> Result<AeadKey, Error> {
    let info = Fields::new("key-file-v1").with(purpose);
    let base = match protection {
        Protection::RawKey(key) => key.duplicate(),
        Protection::Passphrase(passphrase) => {
            let params = Params::new(memory, passes, lanes, Some(32));
            let params = params.map_err(|_| Error::BadPassphrase)?;
            let mut stretched = [0; 32];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(passphrase.as_bytes(), salt, &mut stretched)
                .map_err(|_| Error::BadPassphrase)?;
            Secret::take(&mut stretched)
        }
    };
    Ok(AeadKey::new(&hkdf(&base, salt, info.as_bytes())))
}

pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Error> {
    disk.read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// Writes a file that must not exist yet.
pub(crate) fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let io = |source| match source {
        e if std::io::Error::kind(&e) == std::io::ErrorKind::AlreadyExists => Error::Exists {
            path: path.to_owned(),
        },
        source => Error::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mut file = disk.create_new(path).map_err(io)?;
    let written = file.append(bytes).and_then(|()| file.sync());
    if let Err(source) = written {
        // The next start could read from the cache what the disk does not have.
        let _ = disk.remove(path);
        return Err(io(source));
    }
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))
        .map_err(io)
}

/// Replaces a file so that a crash leaves the old bytes or the new ones.
fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    // What a crash left half-written is of no use.
    let _ = disk.remove(&temporary);
    write_new(disk, &temporary, bytes)?;
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    disk.rename(&temporary, path).map_err(io)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new("")))
        .map_err(io)
}
