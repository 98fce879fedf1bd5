//! The ports to other processes: the tenant's other cells, and the centre.
//!
//! Kind 0 of the tenant link (architecture §3): the home cell signs a cell profile for each other
//! region that holds a service of the tenant, and delivers it. Kind 1: alerts without content go home,
//! and a viewer's read of content goes where it rests ([`crate::link`]). Federated hunting reads are a
//! later kind of the same port.
//!
//! A port moves signed bytes and promises nothing about them: whoever receives them verifies.

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

impl PeerError {
    /// As an error of this cell.
    pub(crate) fn of_link(self) -> crate::Error {
        match self {
            Self::Unreachable => crate::Error::Hunt {
                code: Code::PeerUnreachable,
                message: "the other cell cannot be reached".to_owned(),
            },
            Self::Refused(code) => crate::Error::Hunt {
                code,
                message: "the other cell refused".to_owned(),
            },
        }
    }
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

    /// Hands a signed [`crate::link::LinkAlerts`] to the cell of `home`.
    fn deliver_alerts<'a>(
        &'a self,
        home: &'a RegionCode,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>>;

    /// Asks the cell of `origin` with a signed [`crate::link::LinkRead`]; the answer is sealed to
    /// the asking cell's key.
    fn read_alert<'a>(
        &'a self,
        origin: &'a RegionCode,
        request: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, PeerError>>;
}

/// The way to the centre, which sees nothing but what went through the egress gate.
pub trait CentrePort: Send + Sync + fmt::Debug {
    /// The key under which the centre signs snapshots; nothing if no centre is configured.
    fn key(&self) -> Option<PublicKey>;

    /// Hands over one parcel as the gate signed it; gives what the centre signed for it. The centre takes
    /// the same parcel again, counts it once and signs the same.
    fn submit<'a>(&'a self, batch: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, PeerError>>;

    /// The newest signed snapshot of prevalence; nothing before the first.
    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, PeerError>>;
}

/// No centre is configured: what would leave stays.
#[derive(Debug, Clone, Copy)]
pub struct NoCentre;

impl CentrePort for NoCentre {
    fn key(&self) -> Option<PublicKey> {
        None
    }

    fn submit<'a>(&'a self, _batch: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(std::future::ready(Err(PeerError::Unreachable)))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Vec<u8>>, PeerError>> {
        Box::pin(std::future::ready(Err(PeerError::Unreachable)))
    }
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

    fn deliver_alerts<'a>(
        &'a self,
        _home: &'a RegionCode,
        _message: &'a [u8],
    ) -> BoxFuture<'a, Result<(), PeerError>> {
        Box::pin(std::future::ready(Err(PeerError::Unreachable)))
    }

    fn read_alert<'a>(
        &'a self,
        _origin: &'a RegionCode,
        _request: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, PeerError>> {
        Box::pin(std::future::ready(Err(PeerError::Unreachable)))
    }
}
