//! The key table: all segment keys of a tenant in one region, sealed together.
//!
//! Layout: magic `BWKT`, `u16` version, `u32` version of the key-encryption key, `u64` generation,
//! 12 bytes nonce, then the sealed entries: per key its id (16) and its bytes (32). The header is
//! associated data, after geography and tenant.
//!
//! A key is destroyed by writing the table without it under the next key-encryption key and
//! destroying the former one; the ring then holds nothing that opens the old table.

use std::collections::BTreeMap;

use crypto::aead::AeadKey;
use crypto::{Fields, Secret};
use model::{KeyId, Random};

use crate::Error;
use crate::codec::{Reader, wiped_buffer};

const MAGIC: [u8; 4] = *b"BWKT";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 4 + 2 + 4 + 8 + 12;

/// The data key of one segment.
pub struct SegmentKey(Secret<32>);

impl std::fmt::Debug for SegmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SegmentKey(…)")
    }
}

impl SegmentKey {
    pub(crate) fn random(random: &dyn Random) -> Self {
        Self(Secret::random(|b| random.fill(b)))
    }

    /// The key as bytes, for the Parquet library, which takes nothing else. The only way out.
    pub fn expose_for_parquet(&self) -> Vec<u8> {
        self.0.expose().to_vec()
    }

    fn duplicate(&self) -> Self {
        Self(self.0.duplicate())
    }
}

/// Segment keys by id, with the generation that the catalogue names.
#[derive(Debug, Default)]
pub struct KeyTable {
    generation: u64,
    keys: BTreeMap<KeyId, SegmentKey>,
}

impl KeyTable {
    /// Generation 0 is the empty table that is never written.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key of that id.
    pub fn get(&self, id: KeyId) -> Result<&SegmentKey, Error> {
        self.keys.get(&id).ok_or(Error::NoSegmentKey { key: id })
    }

    /// The next generation: these keys more, those fewer.
    #[must_use]
    pub fn next(&self, added: Vec<(KeyId, SegmentKey)>, removed: &[KeyId]) -> Self {
        let kept = self.keys.iter().filter(|(id, _)| !removed.contains(id));
        let mut keys: BTreeMap<_, _> = kept.map(|(id, key)| (*id, key.duplicate())).collect();
        keys.extend(added);
        Self {
            generation: self.generation + 1,
            keys,
        }
    }

    pub(crate) fn seal(
        &self,
        key: &AeadKey,
        nonce: [u8; 12],
        kek_version: u32,
        context: &Fields,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.keys.len() * 48 + 16);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&kek_version.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&nonce);
        let mut body = Vec::with_capacity(self.keys.len() * 48 + 16);
        for (id, key) in &self.keys {
            body.extend_from_slice(id.as_bytes());
            body.extend_from_slice(key.0.expose());
        }
        key.seal_in_place(nonce, context.clone().with(&out).as_bytes(), &mut body);
        out.append(&mut body);
        out
    }

    pub(crate) fn open(
        bytes: &[u8],
        key: &AeadKey,
        kek_version: u32,
        context: &Fields,
    ) -> Result<Self, Error> {
        let damaged = || Error::DoesNotOpen { what: "key table" };
        let (header, sealed) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
        let mut r = Reader(header);
        let mut read = || {
            Some((
                r.array::<4>()?,
                r.u16()?,
                r.u32()?,
                r.u64()?,
                r.array::<12>()?,
            ))
        };
        let (magic, version, kek, generation, nonce) = read().ok_or_else(damaged)?;
        if magic != MAGIC || kek != kek_version {
            return Err(damaged());
        }
        if version != VERSION {
            return Err(Error::Format {
                found: version,
                supported: VERSION,
            });
        }
        let mut body = wiped_buffer(sealed.len());
        body.extend_from_slice(sealed);
        let aad = context.clone().with(header);
        let plain = key
            .open_in_place(nonce, aad.as_bytes(), &mut body)
            .map_err(|_| damaged())?;
        let mut keys = BTreeMap::new();
        let mut r = Reader(plain);
        while !r.0.is_empty() {
            let id = KeyId::from_bytes(r.array().ok_or_else(damaged)?);
            let key = Secret::from_slice(r.bytes(32).ok_or_else(damaged)?).ok_or_else(damaged)?;
            keys.insert(id, SegmentKey(key));
        }
        Ok(Self { generation, keys })
    }
}
