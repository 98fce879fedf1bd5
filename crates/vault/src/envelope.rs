//! Bytes sealed to another cell's public key: the link secret on its way to a tenant's second cell.
//!
//! Layout: `u16` version, 32 bytes ephemeral Ed25519 public key, AES-256-GCM of the content.
//! X25519 (RFC 7748) between the ephemeral key and the recipient's signing key, both taken to the
//! Montgomery curve; key = HKDF-SHA-256(shared, salt = both public keys, info = context). The key is
//! used once, so the nonce is zero.

use crypto::aead::AeadKey;
use crypto::kdf::hkdf;
use crypto::{Fields, PublicKey, Secret, Signer as _};
use ed25519_dalek::VerifyingKey;
use model::Random;

use crate::signing::SigningKey;
use crate::{Error, Vault};

const VERSION: u16 = 1;
const HEADER_BYTES: usize = 2 + 32;

/// Seals `plain` so that only the cell with `recipient`'s private half opens it, and only as `context`.
pub fn seal_to(
    recipient: &PublicKey,
    context: &Fields,
    plain: &[u8],
    random: &dyn Random,
) -> Result<Vec<u8>, Error> {
    let ephemeral = SigningKey::generate(random);
    let public = ephemeral.public_key();
    let key = key(&ephemeral, recipient, &public, recipient, context)?;
    let mut body = plain.to_vec();
    key.seal_in_place([0; 12], public.as_bytes(), &mut body);
    let mut out = Vec::with_capacity(HEADER_BYTES + body.len());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(public.as_bytes());
    out.append(&mut body);
    Ok(out)
}

impl Vault {
    /// Opens what another cell sealed to this one with [`seal_to`].
    pub fn open_envelope(&self, context: &Fields, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let damaged = || Error::DoesNotOpen { what: "envelope" };
        let (header, body) = sealed
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or_else(damaged)?;
        let (version, public) = header.split_first_chunk::<2>().ok_or_else(damaged)?;
        let found = u16::from_le_bytes(*version);
        if found != VERSION {
            return Err(Error::Format {
                found,
                supported: VERSION,
            });
        }
        let public = PublicKey::from_bytes(public.try_into().map_err(|_| damaged())?);
        let key = key(
            self.signing(),
            &public,
            &public,
            &self.public_key(),
            context,
        )?;
        let mut body = body.to_vec();
        let opened = key.open_in_place([0; 12], public.as_bytes(), &mut body);
        let len = opened.map_err(|_| damaged())?.len();
        body.truncate(len);
        Ok(body)
    }
}

fn key(
    mine: &SigningKey,
    theirs: &PublicKey,
    ephemeral: &PublicKey,
    recipient: &PublicKey,
    context: &Fields,
) -> Result<AeadKey, Error> {
    let bad = || Error::DoesNotOpen { what: "envelope" };
    let theirs = VerifyingKey::from_bytes(theirs.as_bytes()).map_err(|_| bad())?;
    let mut shared = theirs.to_montgomery().mul_clamped(mine.scalar()).to_bytes();
    if shared == [0; 32] {
        // A point of small order: whoever made it would know the key.
        return Err(bad());
    }
    let salt = Fields::new("envelope")
        .with(ephemeral.as_bytes())
        .with(recipient.as_bytes());
    let info = Fields::new("envelope-v1").with(context.as_bytes());
    Ok(AeadKey::new(&hkdf(
        &Secret::take(&mut shared),
        salt.as_bytes(),
        info.as_bytes(),
    )))
}
