//! A batch with the receipt that its cell signed: what goes over the wire.
//!
//! ```text
//! "BWEP" version:u16 receipt_bytes:u32 receipt batch
//! ```
//!
//! The receipt is a signed document of kind `egress-receipt`; the cell keeps a copy as its evidence of
//! what left, and the tenant can be shown it.
//!
//! Promises
//! - [`open`] gives a batch only if the pinned key of the sending region signed the digest of exactly
//!   these bytes, and the list here permits them.
//!
//! A receipt names no tenant: batch and contributor are opaque.

use crypto::{PublicKey, Signer};
use model::{Epoch, RegionCode, SegmentId, TableName, Ticks, limits};
use serde::{Deserialize, Serialize};

use super::allow_list::{AllowList, Transform};
use super::batch::{Batch, NotTaken};
use super::bytes::{Reader, count};
use crate::Error;
use crate::signed::{self, Accepted, Digest, Kind, Payload, Verified};

const MAGIC: [u8; 4] = *b"BWEP";
const VERSION: u16 = 1;
const HEAD_BYTES: usize = 4 + 2 + 4;

/// What left, column by column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The table that was read.
    pub table: TableName,
    /// The column that was read.
    pub column: String,
    /// The form in which its values left.
    pub transform: Transform,
    /// How many facts.
    pub facts: u64,
}

/// What a cell signs of each batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    magic: String,
    format: u16,
    /// The region that sent it.
    pub region: RegionCode,
    /// The batch's id.
    pub batch: SegmentId,
    /// Its epoch.
    pub epoch: Epoch,
    /// When it was made.
    pub made_at: Ticks,
    /// The list it was made under.
    pub allow_list: Accepted,
    /// Its facts.
    pub facts: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Of its bytes.
    pub digest: Digest,
    /// What left, in order of table and column.
    pub left: Vec<Left>,
}

impl Receipt {
    fn of(batch: &Batch, encoded: &[u8], region: &RegionCode, made_at: Ticks) -> Self {
        let left = |(at, shape): (usize, &super::Shape)| Left {
            table: shape.table.clone(),
            column: shape.column.clone(),
            transform: shape.transform,
            facts: long(
                batch
                    .facts()
                    .iter()
                    .filter(|f| usize::from(f.shape) == at)
                    .count(),
            ),
        };
        Self {
            magic: signed::magic(Kind::EgressReceipt),
            format: Self::FORMAT,
            region: region.clone(),
            batch: batch.header().batch,
            epoch: batch.header().epoch,
            made_at,
            allow_list: batch.list(),
            facts: long(batch.facts().len()),
            bytes: long(encoded.len()),
            digest: Digest::of(encoded),
            left: batch.shapes().iter().enumerate().map(left).collect(),
        }
    }

    /// Verifies a signed receipt with the key of the region that should have sent it.
    pub fn open(bytes: &[u8], key: &PublicKey) -> Result<Verified<Self>, Error> {
        signed::open(bytes, key, None)
    }
}

impl Payload for Receipt {
    const KIND: Kind = Kind::EgressReceipt;
    const FORMAT: u16 = 1;

    /// A receipt is not replaced by another.
    fn version(&self) -> u64 {
        1
    }

    fn check(&self) -> Result<(), Error> {
        if self.left.len() > limits::DOCUMENT_ITEMS_MAX {
            return Err(Error::Contradiction {
                kind: Self::KIND,
                what: "too many columns".to_owned(),
            });
        }
        Ok(())
    }
}

/// What the centre signs when it has a parcel. Asked to take the same parcel again it signs the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    magic: String,
    format: u16,
    /// The region that sent it.
    pub region: RegionCode,
    /// The batch's id.
    pub batch: SegmentId,
    /// Of the batch's bytes, as in the receipt.
    pub digest: Digest,
    /// Its facts.
    pub facts: u64,
    /// When it came first.
    pub received_at: Ticks,
}

impl Acknowledgement {
    /// Signs for the parcel of this receipt, which came first at `received_at`.
    pub fn sign(
        receipt: &Receipt,
        received_at: Ticks,
        signer: &dyn Signer,
    ) -> Result<Vec<u8>, Error> {
        let acknowledgement = Self {
            magic: signed::magic(Self::KIND),
            format: Self::FORMAT,
            region: receipt.region.clone(),
            batch: receipt.batch,
            digest: receipt.digest,
            facts: receipt.facts,
            received_at,
        };
        let payload = signed::payload(&acknowledgement)?;
        Ok(signed::sign(Self::KIND, &payload, signer))
    }

    /// Verifies what the centre signed; nothing of another parcel passes.
    pub fn open(bytes: &[u8], key: &PublicKey, receipt: &Receipt) -> Result<Verified<Self>, Error> {
        let opened: Verified<Self> = signed::open(bytes, key, None)?;
        let is_of = opened.region == receipt.region
            && opened.batch == receipt.batch
            && opened.digest == receipt.digest
            && opened.facts == receipt.facts;
        if is_of {
            return Ok(opened);
        }
        Err(Error::Contradiction {
            kind: Self::KIND,
            what: "it acknowledges another parcel".to_owned(),
        })
    }
}

impl Payload for Acknowledgement {
    const KIND: Kind = Kind::EgressAcknowledgement;
    const FORMAT: u16 = 1;

    /// An acknowledgement is not replaced by another.
    fn version(&self) -> u64 {
        1
    }

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A parcel and the signed receipt in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What goes over the wire.
    pub bytes: Vec<u8>,
    /// The signed document, for the cell's own records.
    pub signed_receipt: Vec<u8>,
    /// What it says.
    pub receipt: Receipt,
}

/// Signs a batch. The way here is `pseudonym::Pseudonymised`; `cargo xtask tidy` knows who may say this.
pub fn pack_batch(
    batch: &Batch,
    region: &RegionCode,
    made_at: Ticks,
    signer: &dyn Signer,
) -> Result<Parcel, Error> {
    let encoded = batch.encode();
    let receipt = Receipt::of(batch, &encoded, region, made_at);
    let signed_receipt = signed::sign(Kind::EgressReceipt, &signed::payload(&receipt)?, signer);
    let bytes = join(&signed_receipt, &encoded);
    Ok(Parcel {
        bytes,
        signed_receipt,
        receipt,
    })
}

/// Puts a signed receipt and a batch's bytes together.
pub fn join(signed_receipt: &[u8], batch: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + signed_receipt.len() + batch.len());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&count(signed_receipt.len()).to_le_bytes());
    out.extend_from_slice(signed_receipt);
    out.extend_from_slice(batch);
    out
}

/// Receipt and batch of a parcel, neither checked.
pub fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), NotTaken> {
    let not_ours = || NotTaken::Malformed {
        what: "not a parcel",
    };
    if bytes.len() > limits::EGRESS_BATCH_BYTES_MAX + limits::DOCUMENT_BYTES_MAX {
        return Err(NotTaken::TooLarge);
    }
    let mut r = Reader(bytes);
    if r.array().ok_or_else(not_ours)? != MAGIC {
        return Err(not_ours());
    }
    let found = r.u16().ok_or_else(not_ours)?;
    if found != VERSION {
        return Err(NotTaken::Format { found });
    }
    let n = r.u32().and_then(|n| usize::try_from(n).ok());
    let receipt = n.and_then(|n| r.bytes(n)).ok_or_else(not_ours)?;
    Ok((receipt, r.0))
}

/// Checks everything about a parcel that can be checked without remembering others.
pub fn open(
    bytes: &[u8],
    region: &RegionCode,
    key: &PublicKey,
    list: &Verified<AllowList>,
) -> Result<(Verified<Receipt>, Batch), NotTaken> {
    let (receipt, encoded) = split(bytes)?;
    let receipt = Receipt::open(receipt, key).map_err(NotTaken::Receipt)?;
    if receipt.region != *region
        || receipt.digest != Digest::of(encoded)
        || receipt.bytes != long(encoded.len())
    {
        return Err(NotTaken::OtherReceipt);
    }
    let batch = Batch::decode(encoded, list)?;
    // The whole receipt, not field by field: what it says of the batch is what the batch says.
    let of_batch = Receipt::of(&batch, encoded, region, receipt.made_at);
    if *receipt != of_batch {
        return Err(NotTaken::OtherReceipt);
    }
    Ok((receipt, batch))
}

fn long(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
