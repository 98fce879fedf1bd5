//! Ed25519 signing keys: a cell's own (in the ring) and the operator's (a file of its own).

use std::path::Path;

use crypto::{PublicKey, Secret, Signature, Signer};
use ed25519_dalek::Signer as _;
use model::{Disk, Random};

use crate::Error;
use crate::ring::{self, Protection};

const OPERATOR_MAGIC: [u8; 4] = *b"BWOK";

/// A key that signs; its private half does not print and is wiped on drop.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public_key())
    }
}

impl SigningKey {
    /// A fresh key.
    pub fn generate(random: &dyn Random) -> Self {
        Self::from_seed(&Secret::random(|buffer| random.fill(buffer)))
    }

    /// The key of a 32-byte seed.
    pub(crate) fn from_seed(seed: &Secret<32>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.expose()))
    }

    /// The private half as a scalar, for key agreement.
    pub(crate) fn scalar(&self) -> [u8; 32] {
        self.0.to_scalar_bytes()
    }

    /// Writes a fresh operator key to a new file, sealed by `protection`.
    pub fn create_file(
        disk: &dyn Disk,
        path: &Path,
        protection: &Protection,
        random: &dyn Random,
    ) -> Result<Self, Error> {
        let key = Self::generate(random);
        let sealed = ring::protect(
            OPERATOR_MAGIC,
            b"operator",
            key.0.as_bytes(),
            protection,
            random,
        )?;
        ring::write_new(disk, path, &sealed)?;
        Ok(key)
    }

    /// Opens an operator key file.
    pub fn open_file(disk: &dyn Disk, path: &Path, protection: &Protection) -> Result<Self, Error> {
        let bytes = ring::read(disk, path)?;
        let body = ring::unprotect(OPERATOR_MAGIC, b"operator", &bytes, protection, path)?;
        let seed = Secret::from_slice(&body).ok_or_else(|| Error::NotAKeyFile {
            path: path.to_owned(),
        })?;
        Ok(Self::from_seed(&seed))
    }
}

impl Signer for SigningKey {
    fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.0.sign(message).to_bytes())
    }

    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().to_bytes())
    }
}
