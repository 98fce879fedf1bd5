//! Why a key could not be had or something sealed could not be opened.

use std::io;
use std::path::PathBuf;

use model::{Code, Epoch, KeyId, TenantId};

/// A failure of the ring or of something sealed with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ring file could not be read or written.
    #[error("cannot read or write the key file `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// A ring is already there; making a new one would lose it.
    #[error("a key file is already at `{path}`")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The bytes are not a key file, or are cut short.
    #[error("`{path}` is not a key file of this program")]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("key material has format {found}, newest supported is {supported}")]
    Format {
        /// The version found.
        found: u16,
        /// The newest version this program reads.
        supported: u16,
    },
    /// The passphrase is another, or the file is damaged: the cipher cannot tell which.
    #[error("the key file does not open: wrong passphrase, or damaged")]
    WrongPassphrase,
    /// The ring belongs to another region.
    #[error("the key ring is of region `{found}`, not `{expected}`")]
    OtherRegion {
        /// The region the ring names.
        found: String,
        /// The region that was asked for.
        expected: String,
    },
    /// The ring holds no key of this tenant.
    #[error("no key of tenant {tenant} in this ring")]
    NoTenant {
        /// The tenant.
        tenant: TenantId,
    },
    /// The tenant already has keys here.
    #[error("tenant {tenant} already has keys in this ring")]
    TenantExists {
        /// The tenant.
        tenant: TenantId,
    },
    /// The key table lacks the key: it was destroyed, or the table is another.
    #[error("segment key {key} is not in the key table")]
    NoSegmentKey {
        /// The key.
        key: KeyId,
    },
    /// Sealed bytes do not open under the key they should open under.
    #[error("sealed {what} does not open: wrong key, wrong place, or damaged")]
    DoesNotOpen {
        /// What it is.
        what: &'static str,
    },
    /// The line is not a share of a linkage secret, or was mistyped.
    #[error("the line is not a share of a linkage secret, or is mistyped")]
    NotAShare,
    /// The epoch's linkage secret is complete; tokens were made with it.
    #[error("the linkage secret of epoch {epoch} is there already")]
    LinkageExists {
        /// The epoch.
        epoch: Epoch,
    },
    /// One person tried to bring both shares, or two brought the same one.
    #[error("the second share of epoch {epoch} must be another one, brought by another person")]
    SecondPerson {
        /// The epoch.
        epoch: Epoch,
    },
    /// The ring has no such secret of this epoch: not imported, or destroyed.
    #[error("no secret of epoch {epoch} in this ring")]
    NoEpochSecret {
        /// The epoch.
        epoch: Epoch,
    },
    /// The passphrase could not be stretched (too long for the function).
    #[error("the passphrase cannot be used")]
    BadPassphrase,
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> Code {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Code::DiskFull
            }
            Self::Io { .. } => Code::Internal,
            Self::Exists { .. } | Self::TenantExists { .. } | Self::LinkageExists { .. } => {
                Code::Conflict
            }
            Self::SecondPerson { .. } => Code::Denied,
            Self::NotAShare => Code::BadRequest,
            Self::NoEpochSecret { .. } => Code::LinkageMissing,
            Self::Format { .. } => Code::NewerFormat,
            Self::NotAKeyFile { .. }
            | Self::WrongPassphrase
            | Self::OtherRegion { .. }
            | Self::NoTenant { .. }
            | Self::NoSegmentKey { .. }
            | Self::DoesNotOpen { .. }
            | Self::BadPassphrase => Code::WrongKey,
        }
    }
}
