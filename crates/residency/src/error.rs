//! Why a document, a plan or a record was refused.

use crypto::PublicKey;
use model::{Code, GeographyCode, RegionCode, ServiceName, TableName, limits};

use crate::signed::Kind;

/// Why something was refused, other than "not here" (see [`crate::NotHere`]).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a signed document of this kind.
    #[error("the bytes are not a signed document of kind `{kind}`")]
    NotSigned {
        /// What was expected.
        kind: Kind,
    },
    /// The payload is not of this kind.
    #[error("the payload does not say that it is a {kind} document")]
    OtherKind {
        /// What was expected.
        kind: Kind,
    },
    /// Signed, but by another key than the pinned one.
    #[error("the {kind} document names the key {found}, which is not the pinned one")]
    OtherKey {
        /// What was read.
        kind: Kind,
        /// The key that the document names.
        found: PublicKey,
    },
    /// The signature is not the pinned key's over these bytes.
    #[error("the signature of the {kind} document does not verify")]
    Signature {
        /// What was read.
        kind: Kind,
    },
    /// Longer than [`limits::DOCUMENT_BYTES_MAX`].
    #[error(
        "the document has {bytes} bytes, at most {} are read",
        limits::DOCUMENT_BYTES_MAX
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A newer program wrote it.
    #[error("the {kind} document has format {found}, newest supported is {supported}")]
    Format {
        /// What was read.
        kind: Kind,
        /// Its format number.
        found: u16,
        /// The newest that this program reads.
        supported: u16,
    },
    /// The payload is not the JSON that the format describes.
    #[error("the {kind} document is not of its documented form")]
    Json {
        /// What was read.
        kind: Kind,
        /// Where and what.
        #[source]
        source: serde_json::Error,
    },
    /// The document contradicts itself; the first contradiction is named.
    #[error("the {kind} document contradicts itself: {what}")]
    Contradiction {
        /// What was read.
        kind: Kind,
        /// The first contradiction, in words.
        what: String,
    },
    /// Older than one that was accepted, or than the pinned least version.
    #[error("the {kind} document has version {found}, at least {least} is wanted")]
    Old {
        /// What was read.
        kind: Kind,
        /// Its version.
        found: u64,
        /// The least version that is accepted now.
        least: u64,
    },
    /// The version was accepted before with other bytes.
    #[error("the {kind} document of version {version} differs from the one already accepted")]
    Reused {
        /// What was read.
        kind: Kind,
        /// The version that two documents claim.
        version: u64,
    },
    /// No such country in the registry.
    #[error("the registry has no country `{country}`")]
    UnknownCountry {
        /// As given.
        country: String,
    },
    /// No such geography, or no region in it.
    #[error("no region is deployed in geography `{geography}`")]
    UnknownGeography {
        /// As given.
        geography: GeographyCode,
    },
    /// The tenant's home region is not in the registry, or not in its geography any more.
    #[error("the home region `{region}` is not one of geography `{geography}` in this registry")]
    HomeGone {
        /// The home region of the record.
        region: RegionCode,
        /// The tenant's geography.
        geography: GeographyCode,
    },
    /// A region with data of the tenant is declared elsewhere now.
    #[error("region `{region}` was declared in another country or geography when it was pinned")]
    RegionChanged {
        /// The region.
        region: RegionCode,
    },
    /// The plan that was confirmed is not the one that the registry gives now.
    #[error("the plan is not the one that was confirmed")]
    PlanChanged,
    /// The first record has arrived.
    #[error("the placement is fixed since the first record arrived")]
    PlacementFixed,
    /// The retention is outside the bounds.
    #[error(
        "a retention of {days} days is outside {} to {}",
        limits::RETENTION_DAYS_MIN,
        limits::RETENTION_DAYS_MAX
    )]
    Retention {
        /// As given.
        days: i64,
    },
    /// The sharing consent names a service twice or one that the plan lacks.
    #[error("the sharing consent names the pair `{a}`, `{b}`, which is not two planned services")]
    Sharing {
        /// One of the pair.
        a: ServiceName,
        /// The other.
        b: ServiceName,
    },
    /// A cell profile was asked for home, or for a region that never held anything.
    #[error("region `{region}` is no second cell of this tenant")]
    NoSecondCell {
        /// The region.
        region: RegionCode,
    },
    /// A profile reached a cell of another region than it was issued for.
    #[error("the cell profile is for region `{found}`, not `{expected}`")]
    OtherRegion {
        /// The region in the profile.
        found: RegionCode,
        /// The region of this cell.
        expected: RegionCode,
    },
    /// The registry is not the one that the tenant's placement was made with.
    #[error(
        "the registry of version {found} is not the one that the tenant accepted, of version {wanted}"
    )]
    OtherRegistry {
        /// The version that the tenant accepted.
        wanted: u64,
        /// The version that was handed in; the same if only the bytes differ.
        found: u64,
    },
    /// The row's service is not one that its source declares.
    #[error("table `{table}` belongs to service `{service}`, which the source does not declare")]
    ServiceNotDeclared {
        /// The row's table.
        table: TableName,
        /// Its service by the registry.
        service: ServiceName,
    },
    /// A raw table came from a source with no service or several.
    #[error("table `{table}` is not in the registry and the source declares {n_services} services")]
    ServiceAmbiguous {
        /// The row's table.
        table: TableName,
        /// How many services the source declares.
        n_services: usize,
    },
}

impl Error {
    /// The stable code that clients see.
    pub fn code(&self) -> Code {
        match self {
            Self::OtherKey { .. } | Self::Signature { .. } => Code::BadSignature,
            Self::NotSigned { .. }
            | Self::OtherKind { .. }
            | Self::Json { .. }
            | Self::Contradiction { .. }
            | Self::Reused { .. }
            | Self::OtherRegion { .. } => Code::BadDocument,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Format { .. } => Code::NewerFormat,
            Self::Old { .. } => Code::OldVersion,
            Self::UnknownCountry { .. } => Code::UnknownCountry,
            Self::UnknownGeography { .. } => Code::UnknownGeography,
            Self::PlacementFixed => Code::PlacementFixed,
            Self::Retention { .. } | Self::Sharing { .. } => Code::BadRequest,
            Self::HomeGone { .. }
            | Self::RegionChanged { .. }
            | Self::PlanChanged
            | Self::NoSecondCell { .. }
            | Self::OtherRegistry { .. } => Code::Conflict,
            Self::ServiceNotDeclared { .. } => Code::ServiceNotDeclared,
            Self::ServiceAmbiguous { .. } => Code::ServiceAmbiguous,
        }
    }
}
