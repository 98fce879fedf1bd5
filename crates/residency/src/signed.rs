//! The envelope of every signed document.
//!
//! One line of text, then the payload, byte for byte:
//!
//! ```text
//! bailiwick-signed v1 <kind> <public key, 64 hex digits> <signature, 128 hex digits>\n
//! <payload>
//! ```
//!
//! The signature is Ed25519 over the length-prefixed fields (see [`crypto::Fields`]) label
//! `bailiwick-signed-v1`, kind, public key, payload: a document of one kind never passes for another.
//!
//! Promises
//! - The line is compared whole with the only one that the pinned key could have written, so no
//!   byte of a signed document can change unnoticed, not even the case of a hex digit.
//! - A document is parsed only after its signature was verified.
//!
//! Does not choose keys and does not know when a key was revoked: the caller pins one.

use std::fmt;
use std::ops::Deref;

use crypto::{Fields, PublicKey, Signature, Signer, hex, sha256, unhex};
use model::limits;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// First words of every signed document.
const MAGIC: &str = "bailiwick-signed v1";
/// Bytes within which the first line must end.
const LINE_BYTES_MAX: usize = 512;

/// What a signed document is; part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`crate::Registry`].
    Registry,
    /// [`crate::Provisioning`].
    Provisioning,
    /// [`crate::CellProfile`].
    CellProfile,
    /// [`crate::egress::AllowList`].
    EgressAllowList,
    /// [`crate::egress::Receipt`].
    EgressReceipt,
    /// [`crate::egress::Acknowledgement`].
    EgressAcknowledgement,
    /// [`crate::egress::Snapshot`], which has an envelope of its own.
    PrevalenceSnapshot,
    /// Alerts without content, from one cell of a tenant to its home (tenant link, kind 1).
    LinkAlerts,
    /// A viewer's read of content that rests in another cell of the tenant.
    LinkRead,
}

impl Kind {
    /// The word in the first line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Provisioning => "provisioning",
            Self::CellProfile => "cell-profile",
            Self::EgressAllowList => "egress-allow-list",
            Self::EgressReceipt => "egress-receipt",
            Self::EgressAcknowledgement => "egress-acknowledgement",
            Self::PrevalenceSnapshot => "prevalence-snapshot",
            Self::LinkAlerts => "link-alerts",
            Self::LinkRead => "link-read",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SHA-256 of a document's payload, printed as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(payload: &[u8]) -> Self {
        Self(sha256(payload))
    }

    /// A digest that was written down.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bytes = unhex(&text).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a digest is 64 hex digits"))
    }
}

/// The newest version of a document that was accepted, remembered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Its version.
    pub version: u64,
    /// Of its payload.
    pub digest: Digest,
}

impl Accepted {
    /// Refuses `found` if it is older than this, or another document under the same version.
    pub(crate) fn admits(self, kind: Kind, found: Self) -> Result<(), Error> {
        if found.version < self.version {
            return Err(Error::Old {
                kind,
                found: found.version,
                least: self.version,
            });
        }
        if found.version == self.version && found.digest != self.digest {
            return Err(Error::Reused {
                kind,
                version: found.version,
            });
        }
        Ok(())
    }
}

/// A document whose signature was checked. Only this module makes one.
#[derive(Debug)]
pub struct Verified<T> {
    value: T,
    accepted: Accepted,
}

impl<T> Verified<T> {
    /// Version and digest, to be remembered so that nothing older is accepted later.
    pub fn accepted(&self) -> Accepted {
        self.accepted
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Signs `payload` as a document of this kind.
pub fn sign(kind: Kind, payload: &[u8], signer: &dyn Signer) -> Vec<u8> {
    let key = signer.public_key();
    let signature = signer.sign(message(kind, &key, payload).as_bytes());
    let mut bytes = first_line(kind, &key, &signature).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The payload of a document of this kind, if the pinned key signed exactly these bytes.
pub fn verify<'a>(bytes: &'a [u8], kind: Kind, pinned: &PublicKey) -> Result<&'a [u8], Error> {
    if bytes.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len() });
    }
    let not_signed = || Error::NotSigned { kind };
    let end = bytes
        .iter()
        .take(LINE_BYTES_MAX)
        .position(|b| *b == b'\n')
        .ok_or_else(not_signed)?;
    let (line, payload) = bytes.split_at_checked(end + 1).ok_or_else(not_signed)?;
    let line = std::str::from_utf8(line).map_err(|_| not_signed())?;
    let words = line
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.strip_suffix('\n'));
    let mut words = words.ok_or_else(not_signed)?.split(' ').skip(1);
    let (Some(named), Some(key), Some(signature), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(not_signed());
    };
    let key: PublicKey = key.parse().map_err(|_| not_signed())?;
    let signature: Signature = signature.parse().map_err(|_| not_signed())?;
    if named != kind.as_str() {
        return Err(not_signed());
    }
    if key != *pinned {
        return Err(Error::OtherKey { kind, found: key });
    }
    if line != first_line(kind, pinned, &signature) {
        return Err(not_signed());
    }
    pinned
        .verify(message(kind, pinned, payload).as_bytes(), &signature)
        .map_err(|_| Error::Signature { kind })?;
    Ok(payload)
}

/// What follows the first line, unverified: for a document whose digest is known from elsewhere.
pub(crate) fn unverified_payload(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes
        .iter()
        .take(LINE_BYTES_MAX)
        .position(|b| *b == b'\n')?;
    bytes.get(end + 1..)
}

/// A document that can stand in a signed envelope.
pub(crate) trait Payload: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;
    /// The newest format number that this program reads and the one it writes.
    const FORMAT: u16;
    /// The version that grows with every change.
    fn version(&self) -> u64;
    /// Checks what the types do not.
    fn check(&self) -> Result<(), Error>;
}

/// Verifies, parses and checks a document; refuses one older than `highest`.
pub(crate) fn open<T: Payload>(
    bytes: &[u8],
    pinned: &PublicKey,
    highest: Option<Accepted>,
) -> Result<Verified<T>, Error> {
    let payload = verify(bytes, T::KIND, pinned)?;
    let value: T = parse(payload)?;
    let accepted = Accepted {
        version: value.version(),
        digest: Digest::of(payload),
    };
    if let Some(highest) = highest {
        highest.admits(T::KIND, accepted)?;
    }
    Ok(Verified { value, accepted })
}

/// Parses and checks a payload. The head is read first, so that a document of a newer format is
/// told from a damaged one.
pub(crate) fn parse<T: Payload>(payload: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Head {
        magic: String,
        format: u16,
    }
    let kind = T::KIND;
    let json = |source| Error::Json { kind, source };
    if payload.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(Error::TooLarge {
            bytes: payload.len(),
        });
    }
    let head: Head = serde_json::from_slice(payload).map_err(json)?;
    if head.format > T::FORMAT {
        return Err(Error::Format {
            kind,
            found: head.format,
            supported: T::FORMAT,
        });
    }
    if head.magic != magic(kind) || head.format != T::FORMAT {
        return Err(Error::OtherKind { kind });
    }
    let value: T = serde_json::from_slice(payload).map_err(json)?;
    value.check()?;
    Ok(value)
}

/// The payload as it is signed: compact JSON, fields in the order of the format's page.
pub(crate) fn payload<T: Payload>(value: &T) -> Result<Vec<u8>, Error> {
    value.check()?;
    serde_json::to_vec(value).map_err(|source| Error::Json {
        kind: T::KIND,
        source,
    })
}

/// The `magic` field of a payload.
pub(crate) fn magic(kind: Kind) -> String {
    format!("bailiwick-{kind}")
}

fn first_line(kind: Kind, key: &PublicKey, signature: &Signature) -> String {
    format!("{MAGIC} {kind} {key} {signature}\n")
}

fn message(kind: Kind, key: &PublicKey, payload: &[u8]) -> Fields {
    Fields::new("bailiwick-signed-v1")
        .with(kind.as_str().as_bytes())
        .with(key.as_bytes())
        .with(payload)
}
