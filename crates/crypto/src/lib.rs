//! The primitives, each under one name.
//!
//! AES-256-GCM ([`aead`]), HKDF-SHA-256 and HMAC-SHA-256 ([`kdf`]), SHA-256 ([`sha256`]), Ed25519
//! verification ([`PublicKey`]), and [`Secret`], which never prints and is wiped when dropped.
//!
//! Promises
//! - Every input made of several fields is length-prefixed ([`Fields`]): no two lists of fields
//!   give the same bytes.
//! - Nothing here draws randomness or decides which key to use; that is `vault`.

pub mod aead;
pub mod fields;
pub mod kdf;
mod secret;
mod signature;

pub use fields::Fields;
pub use secret::Secret;
pub use signature::{BadSignature, PublicKey, Signature, Signer};

/// A keyed pseudo-random function that does not show its key.
pub trait Prf: Send + Sync {
    /// HMAC-SHA-256 of `message` under the key.
    fn evaluate(&self, message: &[u8]) -> [u8; 32];
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
            let _ = write!(text, "{b:02x}");
            text
        })
}

/// Reads hexadecimal of either case.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .map(|b| {
            char::from(b)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        })
        .collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    Some(
        digits
            .chunks_exact(2)
            .map(|p| p.iter().fold(0, |n, d| (n << 4) | d))
            .collect(),
    )
}

#[cfg(test)]
mod tests;
