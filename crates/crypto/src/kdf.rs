//! HKDF-SHA-256 (RFC 5869) and HMAC-SHA-256 (RFC 2104).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Prf, Secret};

/// A key for the purpose that `info` names, derived from `secret` and `salt`.
pub fn hkdf(secret: &Secret<32>, salt: &[u8], info: &[u8]) -> Secret<32> {
    let mut key = [0; 32];
    // 32 bytes are below HKDF's bound of 255 * 32, the only way `expand` can fail.
    let _ = Hkdf::<Sha256>::new(Some(salt), secret.expose()).expand(info, &mut key);
    Secret::take(&mut key)
}

/// A MAC key with its state set up once: cheap to use for many short messages.
#[derive(Clone)]
pub struct MacKey(Hmac<Sha256>);

impl std::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MacKey(…)")
    }
}

impl MacKey {
    /// The MAC under `key`.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    pub fn new(key: &Secret<32>) -> Self {
        Self(Hmac::new_from_slice(key.expose()).expect("HMAC takes keys of any length"))
    }

    /// HMAC-SHA-256 of `message`.
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    /// The first 128 bits of [`Self::mac`].
    pub fn mac_128(&self, message: &[u8]) -> [u8; 16] {
        let mut out = [0; 16];
        out.iter_mut()
            .zip(self.mac(message))
            .for_each(|(o, b)| *o = b);
        out
    }

    /// Whether `tag` is the MAC of `message`, in constant time.
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(tag).is_ok()
    }
}

impl Prf for MacKey {
    fn evaluate(&self, message: &[u8]) -> [u8; 32] {
        self.mac(message)
    }
}
