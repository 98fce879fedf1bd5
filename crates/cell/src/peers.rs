//! The tenant link, as far as it exists: telling a tenant's second cell of it.
//!
//! Kind 0 of the link (architecture §3): the home cell signs a cell profile for each other region that
//! holds a service of the tenant, and delivers it. Alerts and federated reads are later kinds of the
//! same port.

use std::fmt;

use crypto::PublicKey;
use futures::future::BoxFuture;
use model::{Code, RegionCode};

/// Why a peer did not take what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It is not configured or cannot be reached; the profile waits.
    #[error("the peer cannot be reached")]
    Unreachable,
    /// It refused, with this code.
    #[error("the peer refused: {0}")]
    Refused(Code),
}

/// The way to the other cells.
pub trait PeerPort: Send + Sync + fmt::Debug {
    /// The public key of another region's cell, by configuration; nothing if it is unknown.
    fn key_of(&self, region: &RegionCode) -> Option<PublicKey>;

    /// Hands a signed profile to the cell of `region`, in the name of the cell of `home`.
    fn deliver_profile<'a>(
        &'a self,
        region: &'a RegionCode,
        home: &'a RegionCode,
        profile: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>>;
}

/// A cell that stands alone.
#[derive(Debug, Clone, Copy)]
pub struct NoPeers;

impl PeerPort for NoPeers {
    fn key_of(&self, _region: &RegionCode) -> Option<PublicKey> {
        None
    }

    fn deliver_profile<'a>(
        &'a self,
        _region: &'a RegionCode,
        _home: &'a RegionCode,
        _profile: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(std::future::ready(Err(PeerError::Unreachable)))
    }
}
