//! AES-256-GCM.
//!
//! The caller owns nonce uniqueness: a nonce is either a counter under a key used by one writer
//! (log frames) or 96 random bits under a key used far fewer than 2^32 times (everything else).

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::Secret;

/// Bytes a sealed message is longer than the message.
pub const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// The ciphertext, nonce, key and associated data do not belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open: wrong key, wrong place, or damaged")]
pub struct DoesNotOpen;

/// A key, expanded once.
#[derive(Clone)]
pub struct AeadKey(LessSafeKey);

impl std::fmt::Debug for AeadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AeadKey(…)")
    }
}

impl AeadKey {
    /// Expands a 256-bit key.
    #[expect(
        clippy::expect_used,
        reason = "32 bytes are always accepted; unsealed is worse"
    )]
    pub fn new(key: &Secret<32>) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key.expose());
        Self(LessSafeKey::new(
            key.expect("AES-256-GCM takes every key of 32 bytes"),
        ))
    }

    /// Seals `message` in place and appends the tag.
    #[expect(
        clippy::expect_used,
        reason = "only messages beyond 64 GiB fail; unsealed is worse"
    )]
    pub fn seal_in_place(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], message: &mut Vec<u8>) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .0
            .seal_in_place_append_tag(nonce, Aad::from(aad), message);
        sealed.expect("AES-256-GCM seals every message below 64 GiB");
    }

    /// Opens `sealed` in place and returns the message's part of it.
    pub fn open_in_place<'a>(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], DoesNotOpen> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.0
            .open_in_place(nonce, Aad::from(aad), sealed)
            .map_err(|_| DoesNotOpen)
    }

    /// Seals under the given random nonce, which is put in front: `nonce ‖ ciphertext ‖ tag`.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], aad: &[u8], message: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(message.len() + TAG_BYTES);
        body.extend_from_slice(message);
        self.seal_in_place(nonce, aad, &mut body);
        let mut out = Vec::with_capacity(NONCE_BYTES + body.len());
        out.extend_from_slice(&nonce);
        out.append(&mut body);
        out
    }

    /// Opens what [`Self::seal`] made.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or(DoesNotOpen)?;
        let mut body = body.to_vec();
        let len = self.open_in_place(*nonce, aad, &mut body)?.len();
        body.truncate(len);
        Ok(body)
    }
}
