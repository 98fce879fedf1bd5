//! Sealing of log frames.
//!
//! Frame key = HKDF(tenant log key, salt = random id of the log segment); nonce = number of the
//! frame within the segment. The log hands out each number once and a number belongs to one frame,
//! so no nonce is used twice under a key. Associated data: version, geography, tenant, stream and
//! sequence number (architecture §5.5): a frame does not open as another's.

use crypto::Fields;
use model::StreamId;

use crate::{Error, TenantVault};

/// Where in the log a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramePlace {
    /// Random id of the log segment.
    pub segment: [u8; 16],
    /// Number of the frame within the segment.
    pub number: u64,
    /// The tenant's stream.
    pub stream: StreamId,
    /// Sequence number within the stream.
    pub sequence: u64,
}

/// Bytes that were sealed for one place in the log. The log takes nothing else from `store`.
#[derive(Debug)]
pub struct SealedFrame {
    place: FramePlace,
    bytes: Vec<u8>,
}

impl SealedFrame {
    /// The place it was sealed for.
    pub fn place(&self) -> &FramePlace {
        &self.place
    }

    /// The sealed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl TenantVault {
    /// Seals `plain`, which is taken, for `place`.
    pub fn seal_frame(&self, place: FramePlace, mut plain: Vec<u8>) -> SealedFrame {
        let aad = self.frame_aad(&place);
        self.cached_frame_key(&place.segment, |key| {
            key.seal_in_place(nonce(place.number), aad.as_bytes(), &mut plain);
        });
        SealedFrame {
            place,
            bytes: plain,
        }
    }

    /// Opens the bytes found at `place`.
    pub fn open_frame(&self, place: FramePlace, mut sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let aad = self.frame_aad(&place);
        let len = self.cached_frame_key(&place.segment, |key| {
            key.open_in_place(nonce(place.number), aad.as_bytes(), &mut sealed)
                .map(|m| m.len())
        });
        sealed.truncate(len.map_err(|_| Error::DoesNotOpen { what: "log frame" })?);
        Ok(sealed)
    }

    fn frame_aad(&self, place: &FramePlace) -> Fields {
        let context = Fields::new("frame")
            .with(place.stream.as_bytes())
            .with_u64(place.sequence);
        self.aad("log-frame-v1", &context)
    }
}

fn nonce(number: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce
        .iter_mut()
        .zip(number.to_le_bytes())
        .for_each(|(n, b)| *n = b);
    nonce
}
