//! What a log frame says, before it is sealed.
//!
//! Layout (little endian): `u8` kind (1 rows, 2 rows copied forward for the memtable, 3 a whole frame
//! copied forward for detection), `u16` version, `u64` first and
//! `u64` last sequence number that the rows had when they were first logged, `u16` number of parts;
//! per part: `u32` length and JSON of its partition key, `u32` length and the encoded batch
//! (`rows::encoding`). A frame of rows is one request's rows for this tenant: all or none.

use crate::Error;
use crate::manifest::PartitionKey;

const VERSION: u16 = 1;
const KIND_ROWS: u8 = 1;
const KIND_COPIED: u8 = 2;
const KIND_UNDETECTED: u8 = 3;

/// Why a frame's rows are in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They came.
    Rows,
    /// They wait for a flush; first logged under these sequence numbers.
    Copied(u64, u64),
    /// They wait for detection; first logged as this one frame.
    Undetected(u64),
}

impl Origin {
    fn kind(self) -> u8 {
        match self {
            Self::Rows => KIND_ROWS,
            Self::Copied(..) => KIND_COPIED,
            Self::Undetected(_) => KIND_UNDETECTED,
        }
    }

    fn sequences(self) -> (u64, u64) {
        match self {
            Self::Rows => (0, 0),
            Self::Copied(first, last) => (first, last),
            Self::Undetected(sequence) => (sequence, sequence),
        }
    }
}

/// Rows of one partition in a frame.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) key: PartitionKey,
    /// `rows::encoding` of the batch.
    pub(crate) batch: Vec<u8>,
}

/// A frame's content.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    pub(crate) origin: Origin,
    pub(crate) parts: Vec<Part>,
}

impl Payload {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let too_many = |_| Error::Form { what: "frame" };
        let size: usize = self.parts.iter().map(|p| p.batch.len() + 512).sum();
        // Room for the tag as well, so that sealing does not copy.
        let mut out = Vec::with_capacity(size + 64);
        out.push(self.origin.kind());
        out.extend_from_slice(&VERSION.to_le_bytes());
        let (first, last) = self.origin.sequences();
        out.extend_from_slice(&first.to_le_bytes());
        out.extend_from_slice(&last.to_le_bytes());
        let parts = u16::try_from(self.parts.len()).map_err(too_many)?;
        out.extend_from_slice(&parts.to_le_bytes());
        for part in &self.parts {
            let key = serde_json::to_vec(&part.key).map_err(|_| Error::Form { what: "frame" })?;
            for bytes in [&key, &part.batch] {
                let len = u32::try_from(bytes.len()).map_err(too_many)?;
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(bytes);
            }
        }
        Ok(out)
    }

    /// Reads what [`Self::to_bytes`] wrote; a newer program's is told apart from a damaged one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const FORM: Error = Error::Form { what: "frame" };
        let [kind, v0, v1, rest @ ..] = bytes else {
            return Err(FORM);
        };
        let found = u16::from_le_bytes([*v0, *v1]);
        if found > VERSION {
            return Err(Error::Format {
                what: "frame",
                found,
                supported: VERSION,
            });
        }
        parse(*kind, rest).ok_or(FORM)
    }
}

fn parse(kind: u8, mut rest: &[u8]) -> Option<Payload> {
    let first = u64::from_le_bytes(*take(&mut rest)?);
    let last = u64::from_le_bytes(*take(&mut rest)?);
    let origin = match kind {
        KIND_ROWS => Origin::Rows,
        KIND_COPIED => Origin::Copied(first, last),
        KIND_UNDETECTED if first == last => Origin::Undetected(first),
        _ => return None,
    };
    let n = u16::from_le_bytes(*take(&mut rest)?);
    let mut parts = Vec::with_capacity(usize::from(n));
    for _ in 0..n {
        let key = serde_json::from_slice(sized(&mut rest)?).ok()?;
        parts.push(Part {
            key,
            batch: sized(&mut rest)?.to_vec(),
        });
    }
    rest.is_empty().then_some(Payload { origin, parts })
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}

fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(u32::from_le_bytes(*take(rest)?)).ok()?;
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}
